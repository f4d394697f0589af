"""The hand-derived recurrences and the engine, which share no code, must agree."""

import math
import random

import pytest

from micrograd_like import Value
from micrograd_like.byhand import (
    ACTIVATIONS,
    central_difference,
    chain_deltas,
    chain_gradients,
    layered_gradients,
    unrolled_gradients,
)
from micrograd_like.nn import MLP
from micrograd_like.ops import FUNCTIONS, TABLE


def chain(weights, x, y):
    """The lecture's network, node by node: the weights, the z_i and the loss."""
    w = [Value(w_i) for w_i in weights]
    z, f = [], Value(x)
    for w_i in w:
        z.append(w_i * f)
        f = z[-1].tanh()
    return w, z, (y - f) ** 2


def close(a, b, bits):
    """Equal but for the last `bits` bits."""
    return abs(a - b) <= 2.0**bits * math.ulp(max(abs(a), abs(b)))


@pytest.mark.parametrize("depth", range(1, 51))
def test_chain(depth):
    rng = random.Random(depth)
    weights = [rng.uniform(-2, 2) for _ in range(depth)]
    x, y = rng.uniform(-2, 2), rng.uniform(-1, 1)
    w, z, loss = chain(weights, x, y)
    loss.backward()
    for i in range(depth):
        assert close(z[i].grad, chain_deltas(weights, x, y)[i], 5), f"delta {i + 1}"
        assert close(w[i].grad, chain_gradients(weights, x, y)[i], 5), f"w {i + 1}"
        assert close(w[i].grad, unrolled_gradients(weights, x, y)[i], 5), f"w {i + 1}, unrolled"


def test_chain_when_saturated():
    """Here 1 - f² computed as written has no correct digit left."""
    w, _z, loss = chain([30.0, 2.0], 1.0, 0.5)
    loss.backward()
    assert w[0].grad == pytest.approx(chain_gradients([30.0, 2.0], 1.0, 0.5)[0], rel=1e-15)
    assert w[0].grad != 0


def test_the_lectures_formula_for_three_units():
    w1, w2, w3, x, y = 0.5, -1.5, 0.8, 2.0, 0.3
    f1 = math.tanh(w1 * x)
    f2 = math.tanh(w2 * f1)
    f3 = math.tanh(w3 * f2)
    product = x * (1 - f1**2) * w2 * (1 - f2**2) * w3 * (1 - f3**2) * 2 * (f3 - y)
    assert chain_gradients([w1, w2, w3], x, y)[0] == pytest.approx(product, rel=1e-14)


def test_every_activation_of_the_table_has_a_hand_derivative():
    unary = {name for name in FUNCTIONS if TABLE[name].arity == 1}
    assert set(ACTIVATIONS) == unary | {"linear", "leaky_relu"}


OFFSETS = dict.fromkeys(("acos", "asin", "atanh"), (0.02, 0.1))
OFFSETS |= dict.fromkeys(("acosh", "log", "log10", "log1p", "log2", "sqrt"), (3.0, 4.0))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("sizes", [(1, 1), (2, 3, 1), (3, 5, 4, 2), (4, 1, 1, 3), (1, 2, 2, 2, 2, 2)], ids=str)
def test_layered_network(activation, sizes):
    rng = random.Random(str((activation, sizes)))
    nonlinear = None if activation == "linear" else activation
    model = MLP(sizes[0], sizes[1:], activation=nonlinear, output=nonlinear, rng=rng)
    inputs = [rng.uniform(0.1, 0.9) for _ in range(sizes[0])]
    if activation in OFFSETS:  # keep every z inside the domain: small positive weights and a fitting offset
        low, high = OFFSETS[activation]
        for layer in model.layers:
            for neuron in layer.neurons:
                neuron.b.data = rng.uniform(low, high)
                for weight in neuron.w:
                    weight.data = rng.uniform(0.01, 0.3) / len(neuron.w)
    else:
        for layer in model.layers:
            for neuron in layer.neurons:
                neuron.b.data = rng.uniform(-1, 1)
    targets = [rng.uniform(-1, 1) for _ in range(sizes[-1])]
    outputs = model(inputs)
    loss = sum((y - f) ** 2 for y, f in zip(targets, outputs if sizes[-1] > 1 else [outputs], strict=True))
    loss.backward()

    w = [[[n.w[i].data for n in layer.neurons] for i in range(len(layer.neurons[0].w))] for layer in model.layers]
    b = [[n.b.data for n in layer.neurons] for layer in model.layers]
    by_w, by_b = layered_gradients(w, b, inputs, targets, [activation] * len(w))
    for depth, layer in enumerate(model.layers):
        for j, neuron in enumerate(layer.neurons):
            assert neuron.b.grad == pytest.approx(by_b[depth][j], rel=1e-12, abs=1e-14)
            for i, weight in enumerate(neuron.w):
                assert weight.grad == pytest.approx(by_w[depth][i][j], rel=1e-12, abs=1e-14)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="the weights of layer 2 should be 2 rows of 1"):
        layered_gradients([[[1.0, 2.0]], [[1.0]]], [[0.0, 0.0], [0.0]], [1.0], [1.0], ["tanh", "tanh"])
    with pytest.raises(ValueError, match="the last layer has 1 units, but there are 2 targets"):
        layered_gradients([[[1.0]]], [[0.0]], [1.0], [1.0, 2.0], ["tanh"])
    with pytest.raises(ValueError, match="the chain needs at least one weight"):
        chain_gradients([], 1.0, 1.0)


def test_central_difference():
    def f(x):
        return math.exp(x[0]) * math.sin(x[1])

    assert central_difference(f, [0.5, 1.0], 0) == pytest.approx(math.exp(0.5) * math.sin(1.0), rel=1e-10)
    assert central_difference(f, [0.5, 1.0], 1) == pytest.approx(math.exp(0.5) * math.cos(1.0), rel=1e-10)
    assert central_difference(lambda x: x[0] ** 3, [1e6], 0) == pytest.approx(3e12, rel=1e-9)
