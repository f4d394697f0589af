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
    """The network in the nodes of a graph, or None if there is none of at least one layer."""
    uses = Counter(x for node in order for x in node.operands if isinstance(x, Value))
    summed = {
        x for node in order if _is(node, "add") for x in node.operands if isinstance(x, Value) and uses[x] == 1
    }  # whose sum goes on
    weighted = {x for node in order if _is(node, "mul") for x in node.operands if isinstance(x, Value)}
    activated: dict[Value, Value] = {}
    for node in order:
        operand = unit_operand(node)
        if operand is not None and (node in weighted or (node.op and node.op.name in _ACTIVATIONS)):
            activated.setdefault(operand, node)
    made: dict[Value, Unit] = {}  # by output
    depth: dict[Value, int] = {}
    shared: dict[tuple[Value, ...], list[Unit]] = {}
    for node in order:
        if node.op is None or node in summed:
            continue
        unit = _unit(node, made, uses)
        if unit is None or (not _is(node, "add") and node not in activated):
            continue
        unit.output = activated.get(node, node)
        made[unit.output] = unit
        depth[unit.output] = 1 + max((depth.get(x, 0) for x in unit.inputs if isinstance(x, Value)), default=0)
        shared.setdefault(tuple(unit.weights), []).append(unit)
    if not shared:
        return None
    layers: list[list[Unit]] = [[] for _ in range(max(depth.values()))]
    for instances in shared.values():
        layers[depth[instances[0].output] - 1].append(instances[0])
    # A single sum of products is no network: it may be any expression.
    many = len(shared) > 1 or any(unit.output is not unit.total for unit in made.values())
    regular = (
        many
        and all(layers)
        and all(
            all(unit.inputs == layer[0].inputs for unit in layer)
            and (not before or set(layer[0].inputs) <= {unit.output for unit in before})
            for before, layer in zip([[], *layers], layers, strict=False)
        )
    )
    if not regular:
        return None
    return Network(layers, [unit.inputs for unit in shared[tuple(layers[0][0].weights)]])


def _is(node: Value, name: str) -> bool:
    return node.op is not None and node.op.name == name


def _leaf(x: Source) -> bool:
    return isinstance(x, float) or x.op is None


def _unit(node: Value, made: dict[Value, Unit], uses: Counter[Value]) -> Unit | None:
    """The unit whose sum the node is, if it is one: a product, or a sum of products and one leaf."""
    terms: list[Source] = []
    stack: list[Source] = [node]
    while stack:
        x = stack.pop()
        if isinstance(x, Value) and _is(x, "add") and (x is node or uses[x] == 1):
            stack += reversed(x.operands)
        else:
            terms.append(x)
    products = [x for x in terms if isinstance(x, Value) and _is(x, "mul")]
    others = [x for x in terms if x != 0.0 and not (isinstance(x, Value) and _is(x, "mul"))]  # sum() begins with 0
    if any(uses[x] > 1 for x in products):
        return None
    if not products or len(others) > 1 or not all(isinstance(x, Value) and x.op is None for x in others):
        return None
    weights, inputs = [], []
    for product in products:
        pair = _weight_and_input(product, made, uses)
        if pair is None:
            return None
        weights.append(pair[0])
        inputs.append(pair[1])
    bias = next((x for x in others if isinstance(x, Value)), None)
    if bias in weights:
        return None
    return Unit(weights, inputs, products, bias, node, node)


def _weight_and_input(product: Value, made: dict[Value, Unit], uses: Counter[Value]) -> tuple[Value, Source] | None:
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
    # Two leaves: the names may tell, or that an input goes to all units of a layer; else the weight is written first.
    if (stem(b) in _WEIGHTS) != (stem(a) in _WEIGHTS):
        return (b, a) if stem(b) in _WEIGHTS else (a, b)
    return (b, a) if uses[b] < uses[a] else (a, b)


def parameters(order: Sequence[Value], network: Network | None) -> set[Value]:
    """The leaves that are weights: of the network, or by their names."""
    named = {node for node in order if node.op is None and stem(node) in _WEIGHTS}
    return named | set(network.parameters if network else ())
