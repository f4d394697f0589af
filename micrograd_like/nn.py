"""Feed-forward networks made of Values: micrograd's Module, Neuron, Layer and MLP.

In the lecture's notation, for layer l and unit j of it:

    z_j^l = Σ_i w_ij^l f_i^(l-1) + b_j^l          f_j^l = f(z_j^l)

The parameters of an `MLP` are named after it: w1_2_3 is w_23^1 (layer 1, from input 2 to unit 3), b1_3 is b_3^1.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from .constant import Constant, constant
from .engine import Value
from .number import evaluating
from .ops import FUNCTIONS, TABLE

_NUMBERS = {float, Value, Constant}

Activation = str | Callable[[Value], Value] | None


def uniform(rng: Any, nin: int) -> float:
    """micrograd's start: a weight drawn uniformly from [-1, 1]."""
    return float(rng.uniform(-1, 1))


def xavier(rng: Any, nin: int) -> float:
    """A weight from a normal distribution of variance 1/nin, which keeps the size of signals through layers.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    return float(rng.gauss(0.0, nin**-0.5))


def he(rng: Any, nin: int) -> float:
    """A weight from a normal distribution of variance 2/nin: xavier's for relu, which lets half of a signal through.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.
    """
    return float(rng.gauss(0.0, (2.0 / nin) ** 0.5))


class Module:
    """Something with parameters: the Values found in its attributes, also inside lists, dicts and Modules."""

    def named_parameters(self) -> list[tuple[str, Value]]:
        """(path, parameter) pairs, in the order of the attributes, as ("layers.0.neurons.2.w.1", Value(…))."""
        unique: dict[Value, str] = {}  # a parameter used in two places counts once
        for name, parameter in _named(vars(self).items(), ""):
            unique.setdefault(parameter, name)
        return [(name, parameter) for parameter, name in unique.items()]

    def parameters(self) -> list[Value]:
        """The parameters without their names."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0.0."""
        for parameter in self.parameters():
            parameter.grad = 0.0


def _named(items: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    for key, item in items:
        path = f"{prefix}{key}"
        if isinstance(item, Value):
            yield path, item
        elif isinstance(item, Module):
            for name, parameter in item.named_parameters():
                yield f"{path}.{name}", parameter
        elif isinstance(item, dict):
            yield from _named(item.items(), f"{path}.")
        elif isinstance(item, (list, tuple)):
            yield from _named(enumerate(item), f"{path}.")


def _check_length(module: Module, x: Any, nin: int) -> None:
    if not hasattr(x, "__len__") or isinstance(x, str):
        raise ValueError(f"{type(module).__name__} takes a sequence of {nin} numbers, got {type(x).__name__} {x!r:.40}")
    if len(x) != nin:
        raise ValueError(f"{type(module).__name__} takes {nin} inputs, got {len(x)}")


def _activation(activation: Activation) -> Callable[[Any], Any] | None:
    if activation is None or callable(activation):
        return activation
    if activation == "linear":
        return None
    if (activation in FUNCTIONS and TABLE[activation].arity == 1) or activation == "leaky_relu":
        return FUNCTIONS[activation]
    known = ["linear", "leaky_relu", *sorted(name for name in FUNCTIONS if TABLE[name].arity == 1)]
    raise ValueError(f"activation {activation!r} is not known; choose None, a function, or one of {', '.join(known)}")


class Neuron(Module):
    """One unit: activation(Σ w_i x_i + b).

    nonlin: False makes the unit linear, as in micrograd.
    activation: a function of one Value, or the name of one in the table; "relu" unless told otherwise.
    rng: a random.Random (or anything with its methods); Python's global generator unless given, as in micrograd.
    init: (rng, nin) -> float, the start of each weight; the bias starts at 0.
    """

    def __init__(
        self,
        nin: int,
        nonlin: bool = True,
        activation: Activation = "relu",
        rng: Any = random,
        init: Callable[[Any, int], float] = uniform,
    ):
        self.w = [Value(init(rng, nin)) for _ in range(nin)]
        self.b = Value(0.0)
        self.activation = _activation(activation) if nonlin else None
        self.nonlin = self.activation is not None

    def __call__(self, x: Sequence[Any]) -> Value:
        """The output for one input: a sequence of nin numbers or Values. Raises ValueError for another length."""
        _check_length(self, x, len(self.w))
        act, w = self.b, self.w
        light = evaluating() and {*map(type, x)} <= _NUMBERS
        if light:  # nothing is recorded: a sum of floats has the same bits, and needs no Constant for each part
            act, *w = [p._data if isinstance(p, Value) else p for p in (act, *w)]  # type: ignore[assignment]
            x = [xi if type(xi) is float else xi._data for xi in x]
        for wi, xi in zip(w, x, strict=True):
            act = act + wi * xi
        if light:
            act = constant(act)  # type: ignore[assignment,arg-type]
        return self.activation(act) if self.activation else act

    def __repr__(self) -> str:
        kind = "Linear"
        if self.activation:
            name = getattr(self.activation, "__name__", "")
            kind = TABLE[name].symbol if name in TABLE else name.strip("<>")
            kind = kind[:1].upper() + kind[1:]
        return f"{kind}Neuron({len(self.w)})"


class Layer(Module):
    """nout neurons on the same nin inputs. Further arguments go to each `Neuron`."""

    def __init__(self, nin: int, nout: int, **neuron: Any):
        self.neurons = [Neuron(nin, **neuron) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        """The outputs as a list; a single one is returned by itself."""
        out = [neuron(x) for neuron in self.neurons]
        return out[0] if len(out) == 1 else out

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(repr, self.neurons))}]"


class MLP(Module):
    """A multilayer perceptron: `MLP(2, [16, 16, 1])` has 2 inputs, two hidden layers of 16 units, one output.

    activation: of the hidden units, "relu" unless told otherwise ("tanh" is the lecture's).
    output: the activation of the last layer; None, its default, leaves it linear.
    rng, init: as for `Neuron`. The same seeded generator gives the same network.
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: Activation = "relu",
        output: Activation = None,
        rng: Any = random,
        init: Callable[[Any, int], float] = uniform,
    ):
        sizes = [nin, *(nouts if isinstance(nouts, Sequence) else [None])]
        if len(sizes) < 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(
                f"an MLP takes the number of inputs and a list of layer sizes, all 1 or more, got {nin!r}, {nouts!r}"
            )
        self.sizes = sizes
        self.layers = [
            Layer(a, b, activation=activation if i < len(sizes) - 2 else output, rng=rng, init=init)
            for i, (a, b) in enumerate(pairwise(sizes))
        ]
        for depth, layer in enumerate(self.layers, 1):
            for j, neuron in enumerate(layer.neurons, 1):
                neuron.b.name = f"b{depth}_{j}"
                for i, weight in enumerate(neuron.w, 1):
                    weight.name = f"w{depth}_{i}_{j}"

    def __call__(self, x: Sequence[Any]) -> Any:
        """The outputs for one input of nin numbers or Values; a single one is returned by itself."""
        _check_length(self, x, self.sizes[0])
        for depth, layer in enumerate(self.layers):
            x = [x] if depth and self.sizes[depth] == 1 else x  # a layer of one unit returned it unwrapped
            x = layer(x)
        return x

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(repr, self.layers))}]"

    def __str__(self) -> str:
        """The sizes, the activations, and how many parameters there are."""
        kinds = [repr(layer.neurons[0]).split("Neuron")[0].lower() for layer in self.layers]
        sizes = "-".join(map(str, self.sizes))
        return f"MLP {sizes}, {' '.join(kinds)}, {len(self.parameters())} parameters"
