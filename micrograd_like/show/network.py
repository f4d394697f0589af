"""The network in a graph: which nodes are the units of its layers, found by what they compute.

A unit is f(Σ w_i x_i + b) with leaves w and b, however it was written and whatever the names are. The same weights on
other inputs are the same unit on another sample.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..byhand.graph import stem, unit_operand
from ..engine import Value

_ACTIVATIONS = {"tanh", "sigmoid", "relu", "leaky_relu", "softplus"}
_WEIGHTS = {"w", "W", "b", "B", "weight", "bias", "theta", "θ"}

Source = Value | float  # what enters a unit: an input, as a leaf or a constant, or another unit's output


@dataclass
class Unit:
    """One unit on one sample. weights and inputs in the same order; total: Σ w x + b; output: f of it."""

    weights: list[Value]
    inputs: list[Source]
    products: list[Value]
    bias: Value | None
    total: Value
    output: Value


@dataclass
class Network:
    """layers: the units of each, on the first sample. samples: what enters layer 1, for all that share the weights."""

    layers: list[list[Unit]]
    samples: list[list[Source]]

    @property
    def inputs(self) -> list[Source]:
        """What enters layer 1 on the first sample."""
        return self.samples[0]

    @property
    def parameters(self) -> list[Value]:
        """Every weight and bias."""
        units = [unit for layer in self.layers for unit in layer]
        return [p for unit in units for p in (*unit.weights, unit.bias) if p is not None]


def find(order: Sequence[Value]) -> Network | None:
    """The network in the nodes of a graph: all of it, or None.

    There is none where only a part of the graph is layers of units: with connections that skip a layer, say.
    """
    graph = _Graph(order)
    made: dict[Value, Unit] = {}  # by output
    depth: dict[Value, int] = {}
    shared: dict[tuple[Value, ...], list[Unit]] = {}  # the same unit on each sample
    weights_first = graph.weights_first()
    for node, products, bias in graph.sums:
        pairs = [_weight_and_input(product, made, weights_first) for product in products]
        activation = graph.activation.get(node)
        if not all(pairs) or (activation is None and not _is(node, "add")):
            continue
        weights, inputs = [pair[0] for pair in pairs if pair], [pair[1] for pair in pairs if pair]
        unit = Unit(
            weights, inputs, products, bias, node, node if activation is None else activation
        )  # a Value may be false
        made[unit.output] = unit
        depth[unit.output] = 1 + max((depth.get(x, 0) for x in inputs if isinstance(x, Value)), default=0)
        shared.setdefault(tuple(weights), []).append(unit)
    # A single sum of products is no network: it may be any expression.
    if len(shared) < 2 and all(unit.output is unit.total for unit in made.values()):
        return None
    layers: list[list[Unit]] = [[] for _ in range(max(depth.values()))]
    for instances in shared.values():
        layers[depth[instances[0].output] - 1].append(instances[0])
    if not all(layers):
        return None
    found = Network(layers, [unit.inputs for unit in shared[tuple(layers[0][0].weights)]])
    regular = all(
        all(unit.inputs == layer[0].inputs for unit in layer)
        and (not before or set(layer[0].inputs) <= {unit.output for unit in before})
        for before, layer in zip([[], *layers], layers, strict=False)
    )
    alike = all(len({depth[unit.output] for unit in instances}) == 1 for instances in shared.values())
    return found if regular and alike and graph.is_all(found, made, depth) else None


def _is(node: Value, name: str) -> bool:
    return node.op is not None and node.op.name == name


def _leaf(x: Source) -> bool:
    return isinstance(x, float) or x.op is None


class _Graph:
    """What `find` has to know of all nodes.

    sums: (node, products, bias) for what may be the Σ w x + b of a unit. activation: what each node is the only, and
    activated, operand of.
    """

    def __init__(self, order: Sequence[Value]):
        self.order = order
        self.consumers: dict[Value, list[Value]] = {}
        for node in order:
            for x in node.operands:
                if isinstance(x, Value):
                    self.consumers.setdefault(x, []).append(node)
        summed = {
            x for node in order if _is(node, "add") for x in node.operands if isinstance(x, Value) and self.uses(x) == 1
        }  # whose sum goes on
        self.sums = []
        for node in order:
            if (_is(node, "add") or _is(node, "mul")) and node not in summed:
                parts = self._parts(node)
                if parts:
                    self.sums.append((node, *parts))
        weighted = {x for node in order if _is(node, "mul") for x in node.operands if isinstance(x, Value)}
        losses = self._losses()
        self.activation: dict[Value, Value] = {}
        for node in order:
            z = unit_operand(node)
            if z is None or node.op is None or self.uses(z) > 1:
                continue
            if node in weighted or (node.op.name in _ACTIVATIONS and not (_is(node, "softplus") and node in losses)):
                self.activation[z] = node

    def uses(self, node: Value) -> int:
        """How many operands it is."""
        return len(self.consumers.get(node, ()))

    def _losses(self) -> set[Value]:
        """What the root is a sum or a mean of: the losses of samples. A softplus there is no output."""
        found = {self.order[-1]}
        for node in reversed(self.order):
            scaled = node.op is not None and node.op.name in ("mul", "div") and not all(map(_is_value, node.operands))
            if node in found and (scaled or (node.op is not None and node.op.name in ("add", "sub", "neg"))):
                found.update(x for x in node.operands if isinstance(x, Value))
        return found

    def _parts(self, node: Value) -> tuple[list[Value], Value | None] | None:
        """The products and the bias of a sum, if it is of such: products, and one leaf at most."""
        products, others = [], []
        stack: list[Source] = [node]
        while stack:
            x = stack.pop()
            if isinstance(x, Value) and _is(x, "add") and (x is node or self.uses(x) == 1):
                stack += reversed(x.operands)
            elif isinstance(x, Value) and _is(x, "mul"):
                products.append(x)
            elif x != 0.0:  # with which sum() begins
                others.append(x)
        bias = others[0] if others else None
        if not products or len(others) > 1 or isinstance(bias, float) or (bias is not None and bias.op is not None):
            return None
        if any(self.uses(x) > 1 for x in products if x is not node) or any(bias in x.operands for x in products):
            return None
        return products, bias

    def weights_first(self) -> bool:
        """Of products of two leaves, is the first the weight? Names tell, or biases, or that inputs are shared."""
        pairs: list[tuple[tuple[Value, ...], tuple[Value, ...], Value | None]] = []
        sums: list[Value] = []
        for node, products, bias in self.sums:
            operands = [product.operands for product in products]
            if all(isinstance(x, Value) and x.op is None for pair in operands for x in pair) and all(
                a is not b
                for a, b in operands  # p * p is of a penalty
            ):
                first, second = zip(*(product.operands for product in products), strict=True)
                pairs.append((first, second, bias))
                sums.append(node)
        named = Counter((stem(first[0]) in _WEIGHTS, stem(second[0]) in _WEIGHTS) for first, second, _ in pairs)
        if named[True, False] != named[False, True]:
            return named[True, False] > named[False, True]
        # Each bias is that of one unit, whatever the sample.
        fixed = [len({(pair[2], pair[side]) for pair in pairs}) == len({pair[2] for pair in pairs}) for side in (0, 1)]
        if None not in {pair[2] for pair in pairs} and fixed[0] != fixed[1]:
            return fixed[0]
        # What meets in a sum of the next layer is of one sample, and has the same inputs.
        meets = {product: node for node, products, _ in self.sums for product in products}
        met: dict[Value, list[int]] = {}
        for i, node in enumerate(sums):
            for product in self.consumers.get(self.activation.get(node, node), ()):
                if product in meets:
                    met.setdefault(meets[product], []).append(i)
        groups = [group for group in met.values() if len(group) > 1]
        shared = [all(len({pairs[i][side] for i in group}) == 1 for group in groups) for side in (0, 1)]
        if groups and shared[0] != shared[1]:
            return shared[1]
        return len({pair[0] for pair in pairs}) >= len({pair[1] for pair in pairs})

    def is_all(self, found: Network, made: dict[Value, Unit], depth: dict[Value, int]) -> bool:
        """Does all that flows back flow over the edges of the network, and is nothing that looks like a weight left?"""
        last = len(found.layers)
        products = {product: unit for unit in made.values() for product in unit.products}
        for unit in made.values():
            if depth[unit.output] < last and any(x not in products for x in self.consumers.get(unit.output, ())):
                return False
            if unit.output is not unit.total and self.uses(unit.total) > 1:
                return False
        if len(set(found.parameters)) < len(found.parameters):
            return False
        inside = set(found.parameters)
        biases = {unit.bias for unit in made.values()}
        behind = set(products)  # what depends on units; the rest is penalties on weights
        for node in self.order:
            if any(isinstance(x, Value) and x in behind for x in node.operands):
                behind.add(node)
        for p in inside:
            for node in self.consumers[p]:
                if node in behind and node not in products and not (p in biases and _is(node, "add")):
                    return False
        return not any(
            _is(node, "mul")
            and node not in products
            and any(isinstance(x, Value) and x.op is None and x not in inside for x in node.operands)
            and any(isinstance(x, Value) and x in behind for x in node.operands)
            and any(_is(consumer, "add") for consumer in self.consumers.get(node, ()))
            for node in self.order
        )


def _is_value(x: Source) -> bool:
    return isinstance(x, Value)


def _weight_and_input(product: Value, made: dict[Value, Unit], weights_first: bool) -> tuple[Value, Source] | None:
    a, b = product.operands
    if a is b:
        return None
    for weight, x in ((a, b), (b, a)):
        if isinstance(weight, Value) and weight.op is None and isinstance(x, Value) and x in made:
            return weight, x
    if not (_leaf(a) and _leaf(b)):
        return None
    if isinstance(b, float) or isinstance(a, float):
        return (a, b) if isinstance(a, Value) else (b, a)  # type: ignore[return-value]
    return (a, b) if weights_first else (b, a)


def parameters(order: Sequence[Value], network: Network | None) -> set[Value]:
    """The leaves that are weights: of the network, or by their names."""
    named = {node for node in order if node.op is None and stem(node) in _WEIGHTS}
    return named | set(network.parameters if network else ())
