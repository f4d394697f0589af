"""Losses against hand values, mpmath and torch, and what they refuse."""

import itertools
import math
import random
import re

import pytest

from micrograd_like import Value, log, tanh
from micrograd_like.losses import binary_cross_entropy, cross_entropy, hinge, squared_error

LOG2, LOG3 = 0.6931471805599453, 1.0986122886681098


def value_and_gradient(loss, outputs, target):
    """The loss of the outputs (a number or a list), and its derivatives by them as a list."""
    nodes = [Value(z) for z in (outputs if isinstance(outputs, list) else [outputs])]
    result = loss(nodes if isinstance(outputs, list) else nodes[0], target)
    result.backward()
    return result.data, [node.grad for node in nodes]


@pytest.mark.parametrize(
    ("loss", "outputs", "target", "value", "gradient"),
    [
        (squared_error, 0.5, 2.0, 2.25, [-3.0]),
        (squared_error, 2.0, 2.0, 0.0, [0.0]),
        (squared_error, [1.0, 2.0], [3.0, 5.0], 13.0, [-4.0, -6.0]),
        (squared_error, 0.5, [2.0], 2.25, [-3.0]),  # an MLP unwraps a single output, data need not
        (squared_error, 1e200, -1e200, math.inf, [4e200]),
        (hinge, 0.25, 1, 0.75, [-1.0]),
        (hinge, 0.25, -1, 1.25, [1.0]),
        (hinge, 2.0, 1, 0.0, [0.0]),
        (hinge, 1.0, 1, 0.0, [0.0]),  # the kink, where relu has slope 0
        (hinge, -1000.0, 1, 1001.0, [-1.0]),
        (binary_cross_entropy, 0.0, 1, LOG2, [-0.5]),
        (binary_cross_entropy, 0.0, 0, LOG2, [0.5]),
        (binary_cross_entropy, 0.0, 0.25, LOG2, [0.25]),
        (binary_cross_entropy, 1000.0, 1, 0.0, [0.0]),
        (binary_cross_entropy, 1000.0, 0, 1000.0, [1.0]),
        (binary_cross_entropy, -1000.0, 1, 1000.0, [-1.0]),
        (binary_cross_entropy, -1000.0, 0, 0.0, [0.0]),
        (binary_cross_entropy, 1000.0, 0.25, 750.0, [0.75]),
        (binary_cross_entropy, -1000.0, 0.25, 250.0, [-0.25]),
        (binary_cross_entropy, math.inf, 1, 0.0, [0.0]),
        (cross_entropy, [0.0, 0.0, 0.0], 1, LOG3, [1 / 3, -2 / 3, 1 / 3]),
        (cross_entropy, [0.0, math.log(3.0)], 0, math.log(4.0), [-0.75, 0.75]),
        (cross_entropy, [1000.0, -1000.0], 0, 0.0, [0.0, 0.0]),
        (cross_entropy, [1000.0, -1000.0], 1, 2000.0, [1.0, -1.0]),
        (cross_entropy, [1000.0, 1000.0, -1000.0], 0, LOG2, [-0.5, 0.5, 0.0]),
        (cross_entropy, [-1000.0, -1000.0, -1000.0], 2, LOG3, [1 / 3, 1 / 3, -2 / 3]),
        (cross_entropy, [1.0, -math.inf, 1.0], 0, LOG2, [-0.5, 0.0, 0.5]),  # a class ruled out
    ],
)
def test_values_and_gradients_by_hand(loss, outputs, target, value, gradient):
    got, by_outputs = value_and_gradient(loss, outputs, target)
    assert got == pytest.approx(value, rel=1e-15, abs=0.0)
    assert by_outputs == pytest.approx(gradient, rel=1e-15, abs=0.0)


def test_the_squared_error_is_the_loss_of_the_lecture():
    """δ_L = ∂Loss/∂z_L = 2 (f_L - y)(1 - f_L²), and the target may be a Value."""
    z, y = Value(0.3), Value(1.0)
    f = tanh(z)
    squared_error(f, y).backward()
    assert z.grad == pytest.approx(2 * (f.data - 1.0) * (1 - f.data**2), rel=1e-15)
    assert y.grad == -f.grad


def test_a_sum_of_squares_has_no_needless_nodes():
    assert [node._op for node in squared_error([Value(1.0), Value(2.0)], [0.0, 0.0])._prev] == ["**", "**"]
    assert squared_error(Value(1.0), 3.0)._op == "**"


@pytest.mark.parametrize(("target", "by_target"), [(0.25, -2.0), (1.0, -2.0), (0.0, -2.0)])
def test_a_target_may_be_a_value(target, by_target):
    y = Value(target)
    loss = binary_cross_entropy(Value(2.0), y)
    loss.backward()
    assert loss.data == pytest.approx(binary_cross_entropy(2.0, target), rel=1e-15)
    assert y.grad == pytest.approx(by_target, rel=1e-15)  # log(1 - σ(z)) - log σ(z) = -z
    y = Value(-1.0)
    hinge(Value(2.0), y).backward()
    assert y.grad == -2.0


def test_numbers_alone_give_a_float():
    for loss, outputs, target in (
        (squared_error, 3, 1),
        (squared_error, [3.0], [1]),
        (hinge, 0.5, -1),
        (binary_cross_entropy, 2, 1),
        (binary_cross_entropy, 2.0, 0.5),
        (cross_entropy, [1, 2.0, 3.0], 0),
    ):
        result = loss(outputs, target)
        assert type(result) is float
        assert result == value_and_gradient(loss, outputs, target)[0]


def test_numpys_scalars_and_arrays_are_taken():
    np = pytest.importorskip("numpy")
    z = Value(0.5)
    for given, same in (
        (hinge(z, np.int64(-1)), hinge(z, -1)),
        (squared_error(z, np.float32(0.25)), squared_error(z, 0.25)),
        (squared_error([z, z], np.array([1.0, 2.0])), squared_error([z, z], [1.0, 2.0])),
        (squared_error(np.array([z, z]), [1.0, 2.0]), squared_error([z, z], [1.0, 2.0])),
        (binary_cross_entropy(z, np.bool_(True)), binary_cross_entropy(z, 1)),
        (binary_cross_entropy(z, np.float64(0.5)), binary_cross_entropy(z, 0.5)),
        (cross_entropy([z, 2 * z, 0.0], np.int8(2)), cross_entropy([z, 2 * z, 0.0], 2)),
        (cross_entropy([z, 0.0], np.bool_(True)), cross_entropy([z, 0.0], 1)),
        (cross_entropy(np.array([z, 2 * z]), 1.0), cross_entropy([z, 2 * z], 1)),
    ):
        assert type(given) is Value and given.data == same.data


# ---- independent witnesses ---------------------------------------------------------------------------


def test_cross_entropies_keep_their_digits_where_they_are_tiny():
    """Against mpmath with 60 digits. log Σ e^z - z_label would give 0 for most of these."""
    mpmath = pytest.importorskip("mpmath")
    points = [-700.0, -37.5, -1.0, 1e-9, 0.7, 40.0, 300.0]
    with mpmath.workdps(700):
        for z in itertools.product(points, repeat=3):
            exponentials = [mpmath.exp(x) for x in z]
            for label in range(3):
                odds = sum(e for k, e in enumerate(exponentials) if k != label) / exponentials[label]
                value = float(mpmath.log1p(odds))
                softmax = [e / sum(exponentials) for e in exponentials]
                softmax[label] = -odds / (1 + odds)
                got, gradient = value_and_gradient(cross_entropy, list(z), label)
                # A difference d of logits is rounded to d (1 ± 2⁻⁵³), which e^d makes a factor 1 ± 2⁻⁵³ d.
                assert got == pytest.approx(value, rel=4e-13, abs=5e-324), (z, label)
                assert gradient == pytest.approx([float(s) for s in softmax], rel=4e-13, abs=5e-324)


@pytest.mark.parametrize("y", [0, 1, 0.5, 1e-9, 1 - 2.0**-40])
@pytest.mark.parametrize("z", [-700.0, -40.0, -1.5, 0.0, 1e-9, 3.0, 40.0, 700.0])
def test_binary_cross_entropy_keeps_its_digits(z, y):
    """Against mpmath. softplus(z) - y z loses eight digits at z = 40, y = 1 - 2⁻⁴⁰."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(700):
        sigma = 1 / (1 + mpmath.exp(-mpmath.mpf(z)))
        value = -y * mpmath.log(sigma) - (1 - mpmath.mpf(y)) * mpmath.log(1 - sigma)
        got, (slope,) = value_and_gradient(binary_cross_entropy, z, y)
        assert got == pytest.approx(float(value), rel=1e-15, abs=0.0)
        assert slope == pytest.approx(float(sigma - y), rel=1e-15, abs=1e-16)


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = random.Random(0)

    def tensor(x, **options):
        return torch.tensor(x, dtype=torch.float64, **options)

    def agree(ours, outputs, target, theirs, **options):
        logits = tensor(outputs, requires_grad=True)
        expected = theirs(logits, target, **options)
        expected.backward()
        value, gradient = value_and_gradient(ours, outputs, target.tolist())
        # torch's own digits end at 1e-15, however small the loss is
        assert value == pytest.approx(expected.item(), rel=1e-12, abs=1e-14)
        assert gradient == pytest.approx(logits.grad.reshape(-1).tolist(), rel=1e-12, abs=1e-14)

    for _ in range(20):
        z = [rng.gauss(0, 5) for _ in range(4)]
        y = tensor([rng.gauss(0, 1) for _ in range(4)])
        agree(squared_error, z, y, functional.mse_loss, reduction="sum")
        agree(cross_entropy, z, torch.tensor(rng.randrange(4)), functional.cross_entropy)
        for p in (0.0, 1.0, rng.random()):
            agree(binary_cross_entropy, z[0], tensor(p), functional.binary_cross_entropy_with_logits)


def test_two_classes_are_one_logit():
    """cross_entropy of (z0, z1) is binary_cross_entropy of z1 - z0."""
    for a, b in itertools.product([-30.0, -2.5, 0.0, 1.25, 700.0], repeat=2):
        for label in (0, 1):
            assert cross_entropy([a, b], label) == binary_cross_entropy(b - a, label)


# ---- what is refused -----------------------------------------------------------------------------------

z = Value(0.5)


@pytest.mark.parametrize(
    ("loss", "outputs", "target", "message"),
    [
        (squared_error, [z, z], [1.0],
         "squared_error takes one target for each output, got 2 outputs and 1 targets"),
        (squared_error, z, [1.0, 2.0],
         "squared_error takes one target for each output, got 1 outputs and 2 targets"),
        (squared_error, [], [],
         "squared_error takes one target for each output, got 0 outputs and 0 targets"),
        (squared_error, z, math.nan, "squared_error takes finite targets, got nan"),
        (squared_error, [z, z], [1.0, math.inf], "squared_error takes finite targets, got inf"),
        (squared_error, z, 1j, "squared_error takes finite targets, got 1j"),
        (squared_error, z, None, "squared_error takes finite targets, got None"),
        (hinge, z, 0, "hinge takes a target of -1 or +1, got 0"),
        (hinge, z, math.nan, "hinge takes a target of -1 or +1, got nan"),
        (hinge, [z, z], 1, "hinge takes a single output, got a sequence of 2"),
        (binary_cross_entropy, z, 1.5, "binary_cross_entropy takes a target from 0 to 1, got 1.5"),
        (binary_cross_entropy, z, -1, "binary_cross_entropy takes a target from 0 to 1, got -1"),
        (binary_cross_entropy, z, math.nan, "binary_cross_entropy takes a target from 0 to 1, got nan"),
        (binary_cross_entropy, [z], 1, "binary_cross_entropy takes a single output, got a sequence of 1"),
        (cross_entropy, [z, z, z], 3, "cross_entropy takes a whole label from 0 to 2 for 3 logits, got 3"),
        (cross_entropy, [z, z, z], -1, "cross_entropy takes a whole label from 0 to 2 for 3 logits, got -1"),
        (cross_entropy, [z, z], 0.5, "cross_entropy takes a whole label from 0 to 1 for 2 logits, got 0.5"),
        (cross_entropy, [z, z], math.nan,
         "cross_entropy takes a whole label from 0 to 1 for 2 logits, got nan"),
        (cross_entropy, [z, z], "0", "cross_entropy takes a whole label from 0 to 1 for 2 logits, got '0'"),
        (cross_entropy, [z, z], [0, 1],
         "cross_entropy takes a whole label from 0 to 1 for 2 logits, got [0, 1]"),
        (cross_entropy, [z], 0,
         ("cross_entropy takes the logits of two or more classes, got [Value(data=0.5, grad=0.0)]; "
          "for a single logit there is binary_cross_entropy")),
        (cross_entropy, z, 0,
         ("cross_entropy takes the logits of two or more classes, got Value(data=0.5, grad=0.0); "
          "for a single logit there is binary_cross_entropy")),
    ],
)  # fmt: skip
def test_messages(loss, outputs, target, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loss(outputs, target)


def test_the_naive_formulas_fail_where_these_are_tested():
    """The points above can tell a stable formula from one that is not."""
    assert log(math.exp(40.0) + math.exp(1.0)) - 40.0 == 0.0 < cross_entropy([40.0, 1.0], 0)
    y = 1 - 2.0**-40
    naive = math.log1p(math.exp(40.0)) - y * 40.0
    assert naive != pytest.approx(binary_cross_entropy(40.0, y), rel=1e-9, abs=0.0)
