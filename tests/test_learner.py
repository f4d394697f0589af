"""What studies train with: the same with native code and without, from the starts of `nn.MLP`."""

import random

import pytest

pytest.importorskip("numpy")

import numpy

from micrograd_like import data, losses, nn
from micrograd_like.studies import learner
from micrograd_like.studies.learner import Learner

NATIVE = [False, pytest.param(True, marks=pytest.mark.skipif(not learner.native(), reason="needs llvmlite"))]
X, y = data.circles(30, 0.05, seed=1)
Z = [[x1, x2, x1 * x2] for x1, x2 in X]
SETS = {
    "a logit": ([2, 4, 1], X, y, losses.binary_cross_entropy, 10),
    "classes": ([2, 4, 2], X, y, losses.cross_entropy, 7),
    "numbers": ([3, 2, 1], Z, [float(label) for label in y], losses.squared_error, 4),
}


@pytest.fixture(params=NATIVE, ids=["eager", "native"])
def native(request, monkeypatch):
    monkeypatch.setattr(learner, "native", lambda: request.param)
    return request.param


@pytest.mark.parametrize("which", SETS)
def test_native_and_eager_are_the_same(which, monkeypatch):
    pytest.importorskip("llvmlite")
    found = []
    for native in (False, True):
        monkeypatch.setattr(learner, "native", lambda native=native: native)
        sizes, rows, targets, loss, batch = SETS[which]
        one = Learner(sizes, rows, targets, loss, batch, X_val=rows[:9], y_val=targets[:9])
        one.begin(5, 0.1, momentum=0.9, weight_decay=0.01)
        found.append([one.run(3), one.run(4), one.measure(), one.measure(validation=True), one.each()])
    for eager, compiled in zip(*found, strict=True):
        for a, b in zip(eager, compiled, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert numpy.asarray(a, float) == pytest.approx(numpy.asarray(b, float), rel=1e-9)


def test_starts_are_those_of_a_network(native):
    one = Learner([2, 3, 1], X, y, losses.binary_cross_entropy, 10, init=nn.uniform)
    one.begin(7, 0.1)
    model = nn.MLP(2, [3, 1], activation="tanh", rng=random.Random(7), init=nn.uniform)
    assert [p.data for p in one.params] == [p.data for p in model.parameters()]


def test_a_start_forgets_what_was_before(native):
    one = Learner([2, 3, 1], X, y, losses.binary_cross_entropy, 10)
    found = []
    for _ in range(2):
        one.begin(3, 0.2, momentum=0.9)
        found.append(one.run(5)[0].tolist())
        one.begin(4, 0.5)
        one.run(3)
    assert found[0] == found[1] and len(found[0]) == 5


def test_the_losses_are_those_of_sgd(native):
    """By one batch of all: the loss before the first update, and gradient descent by hand."""
    one = Learner([2, 1], X, y, losses.binary_cross_entropy, 30)
    one.begin(1, 0.5)
    w = [p.data for p in one.params]
    wanted = []
    for _ in range(3):
        z = [w[0] * x1 + w[1] * x2 + w[2] for x1, x2 in X]
        p = [1.0 / (1.0 + numpy.exp(-v)) for v in z]
        wanted.append(-numpy.mean([numpy.log(q if label else 1.0 - q) for q, label in zip(p, y, strict=True)]))
        slopes = [numpy.mean([(q - t) * x for q, t, x in zip(p, y, column, strict=True)])
                  for column in (*zip(*X, strict=True), [1.0] * 30)]  # fmt: skip
        w = [v - 0.5 * s for v, s in zip(w, slopes, strict=True)]
    found, shares = one.run(3)
    assert found == pytest.approx(wanted, rel=1e-9) and all(0.0 <= share <= 1.0 for share in shares)


def test_other_samples(native):
    one = Learner([2, 3, 1], X, y, losses.binary_cross_entropy, 10, X_val=X[:5], y_val=y[:5])
    X_new, y_new = data.moons(25, seed=3)
    one.take(X_new, y_new, X_new[:8], y_new[:8])
    one.begin(3, 0.2)
    again = Learner([2, 3, 1], X_new, y_new, losses.binary_cross_entropy, 10, X_val=X_new[:8], y_val=y_new[:8])
    again.begin(3, 0.2)
    assert one.run(4)[0].tolist() == pytest.approx(again.run(4)[0].tolist(), rel=1e-12)
    assert one.measure(validation=True) == pytest.approx(again.measure(validation=True), rel=1e-9)


def test_divergence(native):
    one = Learner([3, 2, 1], Z, [1e3 * label for label in y], losses.squared_error, 30)
    one.begin(0, 1e6)
    with pytest.raises(FloatingPointError):
        one.run(50)
