"""`derive`: the derivative that a recorded graph implies, written out as a person would."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, count
from keyword import kwlist
from typing import Any

from ..engine import Value
from ..ops import Op
from .expression import Expression
from .formula import FUNCTION_NAMES, is_name, spelled
from .graph import Graph
from .indices import Line, fold
from .tidy import Part, product, total
from .writing import LATEX, PYTHON, TEXT, Style

SCREEN = 160  # symbols; what is longer is written in several lines
LINE = 40  # symbols; in several lines, a part that is longer gets a line of its own
WIDEST = 400  # characters of a line that are printed


class Derivation:
    """What `derive` returns: `lines`, each by those before it. Printed, it is Unicode text; in a notebook, LaTeX.

    text, latex, python: the lines in these notations. Lines that differ only in their indices, as those of the units of
    a layer do, are written once, with sums over k; `python` always has all of them.
    names: the leaves that had to be given a name, because no formula could contain theirs, or several had the same.
    """

    def __init__(self, loss: str, lines: list[Line], names: Mapping[str, Value], taken: Collection[str]):
        self.loss = loss
        self.lines = lines
        self.names = names
        self._taken = taken

    @property
    def text(self) -> str:
        """The lines in Unicode, as x (1 - f_1²) δ_2."""
        lines = [f"{left} = {right}" for left, right in self._written(TEXT)]
        return "\n".join(lines + [f"# {TEXT.name(name)} is {_leaf(node)}" for name, node in self.names.items()])

    @property
    def latex(self) -> str:
        """The lines in LaTeX, for mathematics mode."""
        lines = [rf"{left} &= {right} \\[1ex]" for left, right in self._written(LATEX)]
        lines += [f"% {LATEX.name(name)} is {_leaf(node)}" for name, node in self.names.items()]
        return "\n".join([r"\begin{aligned}", *lines, r"\end{aligned}"])

    @property
    def python(self) -> str:
        """The lines as Python, in the names of the graph; its functions are those of `micrograd_like.ops`."""
        lines = [f"{PYTHON.name(line.name)} = {PYTHON.write(line.expression)}" for line in self.lines]
        return "\n".join(lines + [f"# {PYTHON.name(name)} is {_leaf(node)}" for name, node in self.names.items()])

    def evaluate(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The number of each line by its name, when the names of the graph stand for these numbers."""
        known = dict(numbers)
        for line in self.lines:
            expression = line.expression
            known[line.name] = expression.evaluate(known) if isinstance(expression, Expression) else expression
        return {line.name: known[line.name] for line in self.lines}

    def _written(self, style: Style) -> Iterator[tuple[str, str]]:
        for line in fold(self.lines, self._taken):
            label = style.derivative(self.loss, line.of) if line.of else style.name(line.name)
            yield label, style.write(line.expression) + style.ranges(line.ranges)

    def __str__(self) -> str:
        lines = [
            line if len(line) <= WIDEST else f"{line[: WIDEST - 20]} … {line[-15:]}" for line in self.text.split("\n")
        ]
        if len(lines) > 2 * LINE:
            lines[LINE:-LINE] = [f"… {len(lines) - 2 * LINE} more lines; .text has them all"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"


def derive(loss: Value, wrt: Any, through: Any = ()) -> Derivation:
    r"""Write the derivative of `loss` by `wrt` as a formula in the names of the graph.

    wrt: a node of the graph or its name, or several of them (a list, or what `parameters()` gives).
    through: nodes whose own derivatives get a line each, δ, by which the others are written: with the z of the units
    that is the recurrence of back-propagation. Names, nodes, or the letter before their index: "z" is all of z1, z2, …,
    which f1, f2, … are the activations of, if these have names.

    Named nodes appear by name, others as what they were computed from; the units of an `nn.MLP` have names by
    themselves (z1_2 and f1_2 in layer 1, unit 2). What would be longer than a screen is written in several lines,
    with names for the parts that occur more than once.

    No gradient of the graph is touched. Raises TypeError if loss is no Value, ValueError for a node or a name that is
    not in the graph.

    >>> from micrograd_like.lecture import chain
    >>> weights, loss = chain([0.5, -1.5], 2.0, 0.3)
    >>> print(derive(loss, ["w1", "w2"], through=["z1", "z2"]))
    δ_2 = 2 (f_2 - y)(1 - f_2²)
    δ_1 = (1 - f_1²) w_2 δ_2
    ∂Loss/∂w_1 = x δ_1
    ∂Loss/∂w_2 = f_1 δ_2
    >>> print(derive(loss, "w1"))
    ∂Loss/∂w_1 = x (1 - f_1²) w_2 (1 - f_2²) · 2 (f_2 - y)
    """
    graph = Graph(loss, "derive", sums="z" in (through if isinstance(through, (list, tuple)) else [through]))
    targets = _nodes(graph, wrt)
    if not targets:
        raise ValueError(f"derive needs a node to differentiate by; {graph.listing()}")
    cut = [node for node in _nodes(graph, through) if node is not loss]
    try:
        return _Writer(graph, targets, cut, folded=False).derivation()
    except UnwrittenError:
        raise
    except TooLongError:
        return _Writer(graph, targets, cut, folded=True).derivation()


def _nodes(graph: Graph, asked: Any) -> list[Value]:
    """The nodes meant, without repetition."""
    if isinstance(asked, (str, Value)) or not isinstance(asked, Iterable):
        asked = [asked]
    found: dict[Value, None] = {}
    for key in asked:
        family = [
            node
            for name, node in graph.nodes.items()
            if isinstance(key, str) and key not in graph.nodes and name.rstrip("0123456789_") == key
        ]
        if not isinstance(key, (str, Value)):
            raise TypeError(f"derive takes nodes and names, not {type(key).__name__} {key!r:.60}")
        found |= dict.fromkeys(family or [graph.node(key)])
    return list(found)


class Symbols:
    """A graph in symbols: what stands for each node, and the local derivative between two nodes."""

    def __init__(self, graph: Graph, names: Mapping[Value, str]):
        self.names = names
        self._forms: dict[Value, Part] = {}
        for node in graph.order:
            self._forms[node] = Expression(name=names[node]) if node in names else self.computed(node)

    def __getitem__(self, node: Value) -> Part:
        return self._forms[node]

    def computed(self, node: Value) -> Part:
        """The node as what it was computed from."""
        if node.op is None:
            return node.data
        operands = self._operands(node)
        if all(isinstance(x, float) for x in operands):
            return node.data
        if node.op.name == "add" and 0.0 in operands:
            return operands[operands[0] == 0.0]  # Python's sum() begins with 0 +
        return Expression(node.op, operands)

    def local(self, node: Value, operand: Value) -> Part:
        """∂node/∂operand as a person writes it, for all the places that operand has in node."""
        op: Any = node.op  # a leaf has no operand
        operands = self._operands(node)
        rules = formulas(op)
        if not op.slopes and any(isinstance(x, Expression) and x.size > SCREEN for x in (*operands, self[node])):
            raise TooLongError
        partials = [
            product([written(*operands, self._forms[node])])
            for x, written in zip(node.operands, rules, strict=True)
            if x is operand
        ]
        return partials[0] if len(partials) == 1 else total(partials)

    def _operands(self, node: Value) -> tuple[Part, ...]:
        return tuple(self._forms[x] if isinstance(x, Value) else x for x in node.operands)


class TooLongError(OverflowError):
    """What was to be written in one line does not fit there."""


class UnwrittenError(TooLongError, ValueError):
    """There is no formula for the derivative of an operation."""


def formulas(op: Op) -> tuple[Callable[..., Any], ...]:
    """The partials as a person writes them. Raises UnwrittenError if there are none."""
    if not op.written:
        raise UnwrittenError(
            f"{op.name} keeps no graph of its function, so nothing can be derived through it: build the graph with "
            "the function itself"
        )
    return op.written


class _Writer:
    """The reverse sweep in symbols: what `backward` does with numbers, done with what stands for them.

    folded: name what is used several times. Otherwise raises TooLongError for a line longer than SCREEN.
    """

    def __init__(self, graph: Graph, targets: list[Value], cut: list[Value], folded: bool):
        self.graph, self.targets, self.folded = graph, dict.fromkeys(targets), folded
        times = Counter(spelled(name) for name in [*graph.names.values(), *_other_names(graph)])
        reserved = _reserved(graph)
        self.taken = set(times)
        self._numbers: dict[str, Iterator[int]] = {}
        # What is read and written by name has one that nothing else could be read as. "\0" begins those that are given
        # for the time being, to inner nodes, of which many are not needed in the end.
        self.names = {
            node: name
            for node, name in graph.names.items()
            if times[spelled(name)] == 1 and spelled(name) not in reserved and name not in reserved
        }
        self.given: dict[str, Value] = {}
        for i, node in enumerate(graph.order):
            if node in self.names:
                continue
            if node.op is None and (node.name or node in self.targets):
                self.names[node] = self._new("v")
                self.given[self.names[node]] = node
            elif node.op is not None and (folded or node in self.targets or node in cut):
                self.names[node] = f"\0{i}"
        self.symbols = Symbols(graph, self.names)
        on_way = set(targets)
        for node in graph.order:
            if not on_way.isdisjoint(node.operands):
                on_way.add(node)
        self.order = [node for node in graph.order if node in on_way]
        self.cut = {*cut} & on_way
        self.lines: list[Line] = []

    def _new(self, stem: str, *wished: str) -> str:
        """A name that nothing else has: one that is wished for, or stem1, stem2, …"""
        numbers = self._numbers.setdefault(stem, count(1))
        candidates = chain(wished, (f"{stem}{i}" for i in numbers))
        name = next(name for name in candidates if spelled(name) not in self.taken)
        self.taken.add(spelled(name))
        return name

    def derivation(self) -> Derivation:
        self._sweep()
        values = self._values()
        loss = self.graph.loss.name
        return Derivation(loss if is_name(loss) else "L", [*values, *self.lines], self.given, self.taken)

    def _sweep(self) -> None:
        consumers: dict[Value, list[Value]] = {node: [] for node in self.order}
        for node in self.order:
            for operand in dict.fromkeys(node.operands):
                if operand in consumers:
                    consumers[operand].append(node)
        adjoints: dict[Value, list[Part]] = {}  # the factors of ∂loss/∂node, from the node to the loss
        hops: dict[Value, int] = {}  # nodes with names from there to the loss, where there is one way only
        for node in reversed(self.order):
            ways = [[*_unless_one(self.symbols.local(v, node)), *adjoints[v]] for v in consumers[node]]
            hops[node] = min((hops[v] + (v in self.graph.names) for v in consumers[node]), default=0)
            if not ways:
                parts: list[Part] = []
            elif len(ways) == 1:
                parts = ways[0]
            else:
                parts = [total([product(way) for way in ways])]
            size = sum(part.size if isinstance(part, Expression) else 1 for part in parts)
            if size > SCREEN and not self.folded:
                raise TooLongError
            received = sum(1 for x in set(node.operands) if x in consumers)
            if self.folded and node not in self.targets and (size > LINE or (size > 3 and received > 1)):
                self.cut.add(node)
            if node in self.cut:
                if hops[node] == 1 + (self.graph.loss in self.graph.names) and len(ways) == 1:
                    # the derivative of the loss comes first where it is next: 2 (f - y)(1 - f²)
                    behind = len(adjoints[consumers[node][0]])
                    parts = [*parts[-behind:], *parts[:-behind]]
                own = self.names[node]
                name = f"\0δ{own[1:]}" if own[0] == "\0" else self._new("g", _delta(own), f"delta_{own}")
                self.lines.append(Line("delta", node, name, product(parts)))
                parts = [Expression(name=name)]
                hops[node] = len(self.order)
            elif node in self.targets:
                self.lines.append(Line("gradient", node, "", product(parts), self.names[node]))
            adjoints[node] = parts
        self._order()

    def _order(self) -> None:
        """Put the units of a layer, which do not depend on each other, together, in the order of the graph.

        The gradients come last, as they were asked for.
        """
        deltas = [line for line in self.lines if line.kind == "delta"]
        levels: dict[str, int] = {}
        first: dict[tuple[int, str], int] = {}
        keys: dict[str, tuple[int, int, int]] = {}
        for line in deltas:
            mentioned = line.expression.names() if isinstance(line.expression, Expression) else {}
            level = levels[line.name] = 1 + max((levels.get(name, 0) for name in mentioned), default=0)
            family = first.setdefault((level, line.name.rstrip("0123456789")), len(first))
            keys[line.name] = level, family, self.graph.place[line.node]
        gradients = {line.node: line for line in self.lines if line.kind == "gradient"}
        self.lines = sorted(deltas, key=lambda line: keys[line.name])
        self.lines += [gradients[node] for node in self.targets if node in gradients]

    def _values(self) -> list[Line]:
        """Lines for the values that got a name here; those that are mentioned once are put back where they belong."""
        fresh = {node: name for node, name in self.names.items() if name[0] == "\0"}
        forms = {name: self.symbols.computed(node) for node, name in fresh.items()}
        mentions: Counter[str] = Counter()
        said = {line.node for line in self.lines}  # what a derivative is by has to be said
        for line in self.lines:
            if isinstance(line.expression, Expression):
                mentions.update(line.expression.names())
        for node in reversed(self.graph.order):
            name = fresh.get(node, "")
            form = forms.get(name)
            if (mentions[name] or node in said) and isinstance(form, Expression):
                for operand, times in form.names().items():
                    mentions[operand] += times
        written: dict[str, Any] = {}
        lines = []
        for node, name in fresh.items():
            form = forms[name]
            if isinstance(form, Expression):
                form = form.replace(written)
            size = form.size if isinstance(form, Expression) else 1
            if node not in said and ((mentions[name] == 1 and size <= LINE) or size == 1):
                written[name] = form
            elif mentions[name] or node in said:
                new = self._new("v")
                written[name] = Expression(name=new)
                if node in self.cut:
                    written[f"\0δ{name[1:]}"] = Expression(name=self._new("g", f"delta_{new}"))
                lines.append(Line("value", node, new, form))
        for line in self.lines:
            line.name = written[line.name].name if line.name in written else line.name
            if line.kind == "gradient":
                line.of = written[line.of].name if line.of in written else line.of
                line.name = self._new("grad", f"d{line.of}", f"grad_{line.of}")
            if isinstance(line.expression, Expression):
                line.expression = line.expression.replace(written)
        return lines


def _other_names(graph: Graph) -> list[str]:
    return [node.name for node in graph.order if node.name and graph.names.get(node) != node.name]


def _reserved(graph: Graph) -> set[str]:
    """Names that would be read as something else: functions, numbers, and e where there are exponentials."""
    ops = {node.op for node in graph.order if node.op is not None}
    e = {"e"} if any(map(_has_exponential, ops)) else set()
    return {*FUNCTION_NAMES, *map(spelled, FUNCTION_NAMES), "pi", "π", "inf", "nan", *kwlist} | e


def _has_exponential(op: Op) -> bool:
    """Is e^x written for the operation, or for its derivative?"""
    operands = [Expression(name=f"x{i}") for i in range(op.arity + 1)]
    return any("e^" in text for text in (op.latex, *(LATEX.write(written(*operands)) for written in op.written)))


def _leaf(node: Value) -> str:
    return f"{node.name!r} ({node.data!r})" if node.name else f"a leaf ({node.data!r})"


def _unless_one(part: Part) -> list[Part]:
    return [] if part == 1.0 else [part]


def _delta(name: str) -> str:
    """δ_2 for z2, as in the lecture; δ_f2 for f2."""
    index = name[1:].lstrip("_")
    if name[0] != "z" or not index:
        return f"delta_{name}"
    return f"delta{index}" if "_" in index else f"delta_{index}"
