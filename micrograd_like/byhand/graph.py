"""The names by which a formula refers to the nodes of a graph, and the other way round."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from ..engine import Value
from ..ops import ATOM, TABLE
from ..walks import topological
from .formula import canonical, is_name
from .replay import values


class Graph:
    """A recorded graph with its names and numbers.

    order: the nodes, operands before results. numbers: what each had when it was recorded. names: the name of every
    node that a formula can refer to: those that users gave, if a formula can contain them and no other node has
    them, and z1_2, f1_2 for the units of an `nn.MLP` (layer 1, unit 2), which nobody named. If `sums` is true, z2 for
    what f2 is the activation of, too.

    Raises TypeError if loss is no Value.
    """

    def __init__(self, loss: Value, where: str, sums: bool = False):
        if not isinstance(loss, Value):
            raise TypeError(f"{where} reads the graph of a Value, not {type(loss).__name__} {loss!r:.60}")
        self.loss = loss
        self.order = topological(loss)
        self.place = {node: i for i, node in enumerate(self.order)}
        self.numbers = values(loss)
        times = Counter(node.name for node in self.order)
        self.names = {node: node.name for node in self.order if times[node.name] == 1 and is_name(node.name)}
        self.nodes = {name: node for node, name in self.names.items()}
        for node, name in [*_units(self.order).items(), *(_sums(self.order) if sums else ())]:
            if node not in self.names and name not in times and name not in self.nodes:
                self.names[node], self.nodes[name] = name, node

    @property
    def by_name(self) -> dict[str, float]:
        """The number of every name."""
        return {name: self.numbers[node] for name, node in self.nodes.items()}

    @cached_property
    def inputs(self) -> set[Value]:
        """The leaves that enter the network: in products with other leaves, never with what a unit gives out."""
        pairs = [node.operands for node in self.order if node.op is not None and node.op.name == "mul"]
        weights = {stem(a) for pair in pairs for a, b in (pair, pair[::-1]) if _is_leaf(a) and not _is_leaf(b)}
        return {a for pair in pairs for a in pair if isinstance(a, Value) and _is_leaf(a) and stem(a) not in weights}

    @cached_property
    def means(self) -> list[float]:
        """The n of means: what something is divided by, or multiplied with 1/n."""
        found = [x for node in self.order if node.op is TABLE["div"] for x in node.operands[1:]]
        factors = (x for node in self.order if node.op is TABLE["mul"] for x in node.operands)
        found += [1.0 / x for x in factors if isinstance(x, float) and x]
        return list(dict.fromkeys(x for x in found if isinstance(x, float) and x > 1.0))

    @cached_property
    def targets(self) -> set[Value]:
        """The leaves that are compared with what the network gives out: no unit and no weight has to do with them."""
        upstream: set[Value] = set()
        for node in reversed(self.order):
            if node in upstream or unit_operand(node) is not None:
                upstream.update(x for x in node.operands if isinstance(x, Value))
            if node.op is not None and node.op.name == "mul" and all(map(_is_leaf, node.operands)):
                upstream.update(x for x in node.operands if isinstance(x, Value))
        return {node for node in self.order if node.op is None and node not in upstream}

    def title(self, node: Value) -> str:
        """What to call a node: its name, or where it stands."""
        return self.names.get(node) or node.name or ("loss" if node is self.loss else f"node {self.place[node]}")

    def node(self, key: Value | str) -> Value:
        """The node itself, or the only one of that name under any spelling (w_1 is w1). Raises ValueError."""
        if isinstance(key, Value):
            if key not in self.place:
                raise ValueError(f"{key.name or repr(key)} is not in the graph; {self.listing()}")
            return key
        found = [self.nodes[key]] if key in self.nodes else [node for node in self.order if node.name == key and key]
        found = found or [node for name, node in self.nodes.items() if canonical(name) == canonical(str(key))]
        if len(found) != 1:
            problem = f"{len(found)} nodes have the name {key!r}" if found else f"no node has the name {key!r}"
            raise ValueError(f"{problem}; {self.listing()}")
        return found[0]

    def listing(self) -> str:
        """The names there are, for messages."""
        names = list(self.nodes)
        shown = ", ".join(names[:30]) + (f", … ({len(names)} in all)" if len(names) > 30 else "")
        return f"the names of the graph are {shown or 'none: give the nodes names'}"


def unit_operand(node: Value) -> Value | None:
    """What a unit is the activation of: the only operand, apart from constants, of what is no arithmetic."""
    if node.op is None or node.op.precedence < ATOM:
        return None
    operands = [x for x in node.operands if isinstance(x, Value)]
    return operands[0] if len(operands) == 1 else None


def _is_leaf(x: Value | float) -> bool:
    return isinstance(x, float) or x.op is None


def stem(x: Value | float) -> str:
    """w of the node w1_2."""
    return x.name.rstrip("0123456789_") if isinstance(x, Value) else ""


def _sums(order: Iterable[Value]) -> Iterator[tuple[Value, str]]:
    """The names z of what units with a name and an index are the activations of, in the lecture's notation."""
    for node in order:
        index = node.name[len(stem(node)) :].lstrip("_")
        operand = unit_operand(node) if index else None
        if operand is not None and operand.op is not None and not operand.name:
            yield operand, f"z{index}"


def _units(order: Iterable[Value]) -> dict[Value, str]:
    """The names z and f of the units whose parameters are named as `nn.MLP` names them."""
    of_unit: dict[Value, str] = {}  # a partial sum b + w x + … -> "1_2" of its b1_2
    last: dict[str, Value] = {}
    ambiguous = set()
    for node in order:
        if node.op is None:
            continue
        first, second = (*node.operands, None)[:2]
        if node.op.name == "add" and isinstance(first, Value) and isinstance(second, Value):
            bias = re.fullmatch(r"b(\d+_\d+)", first.name)
            unit = bias.group(1) if bias and first.op is None else of_unit.get(first, "")
            if unit:
                of_unit[node] = unit
                if unit in last and last[unit] is not first:
                    ambiguous.add(unit)  # several samples go through the unit
                last[unit] = node
    named = {node: f"z{unit}" for unit, node in last.items() if unit not in ambiguous}
    # What follows the last sum may be part of the loss: a hidden unit goes into products with weights.
    weighted = {
        x for node in order if node.op is not None and node.op.name == "mul" for x in node.operands if not _is_leaf(x)
    }
    for node in order:
        operand = unit_operand(node)
        if operand in named and (node in weighted or node.op.name in ("tanh", "sigmoid", "relu")):  # type: ignore[union-attr]
            named[node] = "f" + named[operand][1:]
    return named
