"""Epochs as native code: the same training as the eager one, and what is said where it cannot be."""

import random
import re
import sys

import pytest

from micrograd_like import Value, data, losses, nn, optim, softplus, tanh, train

pytest.importorskip("llvmlite")


def problem(sizes, target, count=70, seed=0):
    rng = random.Random(seed)
    X = [[rng.gauss(0, 1) for _ in range(sizes[0])] for _ in range(count)]
    return X, [target(rng) for _ in X]


def trained(compiled, sizes, loss, X, y, model=None, sgd=None, **options):
    model = model or nn.MLP(sizes[0], sizes[1:], activation="tanh", rng=random.Random(1))
    sgd = optim.SGD(model.parameters(), 0.05, **(sgd or {}))
    options = {"epochs": 6, "batch_size": 16, "seed": 3, "progress": False, **options}
    history = train.fit(model, X, y, loss, optimizer=sgd, compiled=compiled, **options)
    numbers = [p.data for p in model.parameters()], [p.grad for p in model.parameters()], sgd._buffers
    return history, numbers


CASES = {
    "squared_error": ([2, 16, 16, 1], losses.squared_error, lambda rng: rng.choice([-1, 1])),
    "several": ([3, 5, 2], losses.squared_error, lambda rng: [rng.gauss(0, 1), rng.gauss(0, 1)]),
    "hinge": ([2, 7, 1], losses.hinge, lambda rng: rng.choice([-1, 1])),
    "binary": ([2, 5, 1], losses.binary_cross_entropy, lambda rng: rng.randrange(2)),
    "classes": ([4, 8, 3], losses.cross_entropy, lambda rng: rng.randrange(3)),
    "ten classes": ([6, 33, 10], losses.cross_entropy, lambda rng: rng.randrange(10)),
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sgd": {"momentum": 0.9, "weight_decay": 1e-2}},
        {"batch_size": None},
        {"batch_size": 1},
        {"batch_size": 1000},
        {"validation": 0.3, "patience": 3},
        {"schedule": optim.linear(0.1, 0.01, 6), "sgd": {"momentum": 0.5}},
    ],
    ids=lambda options: " ".join(map(str, options)) or "plain",
)
@pytest.mark.parametrize("case", CASES)
def test_the_same_training(case, options):
    sizes, loss, target = CASES[case]
    X, y = problem(sizes, target)
    wanted, numbers = trained(False, sizes, loss, X, y, **options)
    found, mine = trained(True, sizes, loss, X, y, **options)
    for a, b in zip(mine, numbers, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-11)
    assert found.stopped == wanted.stopped
    for a, b in zip(found.records, wanted.records, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-10)
        assert (a["accuracy"], a["val_accuracy"]) == (b["accuracy"], b["val_accuracy"])
        assert a["val_loss"] == (None if b["val_loss"] is None else pytest.approx(b["val_loss"], rel=1e-10))


def test_a_callback_may_change_everything_between_epochs():
    sizes, loss, target = CASES["classes"]
    X, y = problem(sizes, target)
    both = []
    for compiled in (False, True):
        model = nn.MLP(4, [8, 3], activation="tanh", rng=random.Random(1))

        def change(record, model=model):
            for p in model.parameters()[:5]:
                p.data *= 0.5

        both.append(trained(compiled, sizes, loss, X, y, model=model, callback=change)[1][0])
    assert both[1] == pytest.approx(both[0], rel=1e-9)


def test_some_parameters_may_stay():
    X, y = problem([2, 1], lambda rng: rng.choice([-1, 1]))
    both = []
    for compiled in (False, True):
        model = nn.MLP(2, [4, 1], activation="tanh", rng=random.Random(1))
        before = [p.data for p in model.parameters()]
        sgd = optim.SGD(model.parameters()[5:], 0.1, momentum=0.9)
        train.fit(model, X, y, losses.hinge, optimizer=sgd, epochs=5, progress=False, compiled=compiled)
        after = [p.data for p in model.parameters()]
        assert after[:5] == before[:5]
        both.append(after)
    assert both[1] == pytest.approx(both[0], rel=1e-10)


def test_a_loss_that_explodes_is_told_and_taken_back():
    X, y = problem([2, 1], lambda rng: rng.gauss(0, 1))
    for compiled in (False, True):
        model = nn.MLP(2, [4, 1], rng=random.Random(1))
        with pytest.raises(FloatingPointError, match=r"epoch \d+: the .*(became (inf|nan)|is (inf|nan)).*set back"):
            train.fit(model, X, y, losses.squared_error, lr=1e4, epochs=200, progress=False, compiled=compiled)
        assert all(abs(p.data) < 1e300 for p in model.parameters())


def test_it_is_used_where_it_saves_time_and_says_so(capsys):
    X, y = data.moons(100)
    model = nn.MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(0))
    train.fit(model, X, y, losses.binary_cross_entropy, epochs=300, lr=0.5)
    assert re.match(r"compiled: 6\d\d operations for each sample\n", capsys.readouterr().err)
    train.fit(model, X, y, losses.binary_cross_entropy, epochs=1)
    assert "compiled" not in capsys.readouterr().err  # eager is as quick
    train.fit(model, X, y, losses.binary_cross_entropy, epochs=300, progress=False)
    assert capsys.readouterr().err == ""


class Branching(nn.Module):
    def __init__(self):
        self.w = Value(0.5)

    def __call__(self, x):
        return self.w * x[0] if self.w * x[1] > 0 else tanh(self.w * x[0])


class Noisy(Branching):
    def __call__(self, x):
        return self.w * (x[0] + random.gauss(0, 0.1))


class Unused(Branching):
    def __init__(self):
        super().__init__()
        self.v = Value(1.0)

    def __call__(self, x):
        return self.w * x[0]


class Own(optim.SGD):
    pass


@pytest.mark.parametrize(
    ("model", "optimizer", "message"),
    [
        (Branching, optim.SGD, r"test_training.py, line \d+: .*asks for a number that is not known"),
        (Noisy, optim.SGD, r"another one each time it is called \(random numbers\?\)"),
        (Unused, optim.SGD, "the optimizer has parameters that the model does not use"),
        (Unused, Own, "an optimizer other than SGD itself, as Own, is not compiled"),
    ],
)
def test_what_cannot_be_compiled_is_trained_eagerly(model, optimizer, message, capsys):
    X, y = problem([2, 1], lambda rng: rng.choice([-1, 1]))
    model = model()
    with pytest.raises((TypeError, ValueError), match=message):
        train.fit(model, X, y, losses.hinge, optimizer=optimizer(model.parameters(), 0.1), compiled=True)
    assert model.w.data == 0.5
    train.fit(model, X, y, losses.hinge, optimizer=optimizer(model.parameters(), 0.1), epochs=20)
    assert ("not compiled, so slower: " in capsys.readouterr().err) == (type(model) in {Branching, Noisy})
    assert model.w.data != 0.5


def deciding(output, target):
    return softplus(-output) if target is True or target == 1 else softplus(output)


def looking_up(output, target):
    return (output - {0: -1.0, 1: 1.0}[target]) ** 2


def by_identity(output, target):
    return softplus(-output) if type(target) is int and target > 0 else softplus(output)


@pytest.mark.parametrize("loss", [deciding, looking_up, by_identity])
def test_losses_that_decide_by_the_target_are_trained_eagerly(loss, capsys):
    X, y = problem([2, 1], lambda rng: rng.randrange(2))
    both = []
    for compiled in (None, False):
        model = nn.MLP(2, [32, 1], activation="tanh", rng=random.Random(1))
        train.fit(model, X, y, loss, epochs=80, batch_size=35, compiled=compiled, progress=compiled is None)
        both.append([p.data for p in model.parameters()])
    assert both[0] == both[1]
    assert "not compiled, so slower: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("loss", "bad", "message"),
    [
        (losses.binary_cross_entropy, 7, "row 33: binary_cross_entropy takes a target from 0 to 1, got 7"),
        (losses.hinge, 0, r"row 33: hinge takes a target of -1 or \+1, got 0"),
    ],
)
def test_bad_targets_are_refused_as_ever(loss, bad, message):
    X, y = problem([2, 1], lambda rng: 1)
    y[33] = bad
    with pytest.raises(ValueError, match=message):
        train.fit(nn.MLP(2, [16, 1], rng=random.Random(0)), X, y, loss, epochs=500)


def test_targets_of_several_shapes_are_not_mixed_up():
    X, _ = problem([2, 1], lambda rng: 1)
    y = [{"a": 1.0, "b": 0.0} if i % 2 else {"b": 0.0, "a": 1.0} for i in range(len(X))]
    both = []
    for compiled in (None, False):
        model = nn.MLP(2, [8, 2], activation="tanh", rng=random.Random(0))
        sgd = lambda o, t: (o[0] - t["a"]) ** 2 + (o[1] - t["b"]) ** 2  # noqa: E731
        train.fit(model, X, y, sgd, epochs=60, progress=False, compiled=compiled)
        both.append([p.data for p in model.parameters()])
    assert both[0] == both[1]


def test_without_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    X, y = data.moons(100)
    model = nn.MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(0))
    with pytest.raises(ImportError, match=r"pip install 'micrograd_like\[jit\]'"):
        train.fit(model, X, y, losses.binary_cross_entropy, epochs=1, compiled=True)
    train.fit(model, X[:4], y[:4], losses.binary_cross_entropy, epochs=2)
    assert "compile" not in capsys.readouterr().err
