"""Modules and networks, and what code written for micrograd expects of them."""

import math
import random
import re

import pytest

from micrograd_like import Value
from micrograd_like.nn import MLP, Layer, Module, Neuron, uniform, xavier


def test_repr_is_micrograds():
    assert repr(Neuron(2)) == "ReLUNeuron(2)"
    assert repr(Neuron(3, nonlin=False)) == "LinearNeuron(3)"
    assert repr(Layer(2, 2)) == "Layer of [ReLUNeuron(2), ReLUNeuron(2)]"
    assert repr(MLP(2, [2, 1])) == ("MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(2)]]")


def test_str_counts_the_parameters():
    assert str(MLP(2, [16, 16, 1])) == "MLP 2-16-16-1, relu relu linear, 337 parameters"
    assert str(MLP(4, [8, 3], activation="tanh")) == "MLP 4-8-3, tanh linear, 67 parameters"


def test_a_neuron_is_its_formula():
    neuron = Neuron(2, activation="tanh", rng=random.Random(0))
    neuron.b.data = 0.5
    w1, w2 = (weight.data for weight in neuron.w)
    assert neuron([2.0, Value(-1.0)]).data == math.tanh(0.5 + w1 * 2.0 + w2 * -1.0)


def test_parameters_are_weights_then_bias_of_each_neuron():
    model = MLP(2, [2, 1])
    names = [p.name for p in model.parameters()]
    assert names == ["w1_1_1", "w1_2_1", "b1_1", "w1_1_2", "w1_2_2", "b1_2", "w2_1_1", "w2_2_1", "b2_1"]
    assert [name for name, _ in model.named_parameters()][:3] == [
        "layers.0.neurons.0.w.0",
        "layers.0.neurons.0.w.1",
        "layers.0.neurons.0.b",
    ]


def test_parameters_of_a_module_of_ones_own():
    class Pair(Module):
        def __init__(self):
            shared = Value(1.0)
            self.parts = {"a": Neuron(1), "b": (shared, [Value(2.0)])}
            self.again = shared

    names = [name for name, _ in Pair().named_parameters()]
    assert names == ["parts.a.w.0", "parts.a.b", "parts.b.0", "parts.b.1.0"]


def test_zero_grad():
    model = MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert not any(p.grad for p in model.parameters())


def test_a_single_output_is_unwrapped():
    assert type(MLP(2, [3, 1])([1.0, 2.0])) is Value
    assert len(MLP(2, [1, 3])([1.0, 2.0])) == 3


def test_the_seed_decides():
    def numbers(**how):
        return [p.data for p in MLP(3, [4, 2], **how).parameters()]

    assert numbers(rng=random.Random(7)) == numbers(rng=random.Random(7)) != numbers(rng=random.Random(8))
    random.seed(7)
    assert numbers() == numbers(rng=random.Random(7))  # micrograd's way: Python's global generator


def test_initialisations():
    rng = random.Random(0)
    drawn = [uniform(rng, 100) for _ in range(2000)]
    assert -1 <= min(drawn) < -0.9 and 0.9 < max(drawn) <= 1
    drawn = [xavier(rng, 100) for _ in range(2000)]
    assert sum(x * x for x in drawn) / 2000 == pytest.approx(0.01, rel=0.15)
    assert all(abs(w.data) < 0.5 for w in Neuron(100, rng=rng, init=xavier).w)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "sin", "leaky_relu", "abs"])
def test_activations(activation):
    out = Neuron(1, activation=activation)([0.5])
    assert out.op is not None and out.op.name == activation


def test_linear_is_no_activation():
    assert repr(Neuron(1, activation="linear")) == repr(Neuron(1, activation=None)) == "LinearNeuron(1)"


def test_an_activation_of_ones_own():
    neuron = Neuron(1, activation=lambda z: z * z.sigmoid())
    z = neuron.w[0].data * 0.5
    assert neuron([0.5]).data == pytest.approx(z / (1 + math.exp(-z)))
    assert repr(neuron) == "LambdaNeuron(1)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MLP(2, [3, 1])([1.0]), "MLP takes 2 inputs, got 1"),
        (lambda: MLP(2, [3, 1])([1.0, 2.0, 3.0]), "MLP takes 2 inputs, got 3"),
        (lambda: Neuron(2)([1.0]), "Neuron takes 2 inputs, got 1"),
        (lambda: MLP(1, [1])(3.0), "MLP takes a sequence of 1 numbers, got float 3.0"),
        (lambda: MLP(2, []), "an MLP takes the number of inputs and a list of layer sizes, all 1 or more, got 2, []"),
        (lambda: MLP(2, 1), "an MLP takes the number of inputs and a list of layer sizes, all 1 or more, got 2, 1"),
        (lambda: MLP(2, [1])("ab"), "MLP takes a sequence of 2 numbers, got str 'ab'"),
        (lambda: MLP(0, [1]), "an MLP takes the number of inputs and a list of layer sizes, all 1 or more, got 0, [1]"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_an_unknown_activation_lists_the_known_ones():
    with pytest.raises(
        ValueError,
        match=r"activation 'tahn' is not known; choose None, a function, or one of linear, leaky_relu, abs, .*tanh",
    ):
        Neuron(1, activation="tahn")


@pytest.mark.parametrize("sizes", [[16, 16, 1]])
def test_micrograds_network_from_the_same_seed(sizes):
    """Same draws, same sums in the same order: equal to the last bit."""
    micrograd = pytest.importorskip("micrograd.nn")
    random.seed(1337)
    theirs = micrograd.MLP(2, sizes)
    random.seed(1337)
    ours = MLP(2, sizes)
    out, our_out = theirs([0.3, -0.7]), ours([0.3, -0.7])
    out.backward()
    our_out.backward()
    assert our_out.data == out.data
    assert [p.grad for p in ours.parameters()] == pytest.approx([p.grad for p in theirs.parameters()], rel=1e-13)
