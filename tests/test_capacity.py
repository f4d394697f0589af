"""`diagnose_capacity`: its parts on numbers made by hand, its verdicts on tasks where they are plain, and bad input."""

import random

import pytest

pytest.importorskip("scipy")

import numpy

from micrograd_like import data, diagnose_capacity
from micrograd_like.capacity import Capacity, Plan, Problem, chosen, compared, costs, judge, possible

# ---- the parts -----------------------------------------------------------------------------------------


def test_the_others_choose():
    """Split 0 is given what is best for 1 and 2, though it is bad for it itself."""
    losses = numpy.array([[5.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    assert chosen(losses).tolist() == [5.0, 2.0, 2.0]  # 5 + 1 against 1 + 2; 1 + 5 against 2 + 1
    # Options that are equally good but for noise: the choice flatters nothing.
    noise = numpy.random.default_rng(0).standard_normal((400, 50))
    assert abs(chosen(noise).mean()) < 0.15 and noise.min(axis=1).mean() < -2.0


def test_costs():
    rng = numpy.random.default_rng(1)
    noise = rng.normal(scale=0.01, size=(3, 20, 2))
    losses = {0.5: 1.0 + noise[0], 1.0: [0.7, 1.5] + noise[1], 2.0: [0.4, 2.0] + noise[2]}
    lacking, excess = costs(losses, 1.0, 0.0)
    assert lacking[0] == pytest.approx(0.3, abs=0.01) and lacking[1] < 0.3 < lacking[2]
    assert excess[0] == pytest.approx(0.8, abs=0.01) and excess[2] - excess[1] < 0.03
    wider = costs(losses, 1.0, 0.25)[0]
    assert wider[0] == lacking[0] and wider[2] - wider[1] > 1.5 * (lacking[2] - lacking[1])


@pytest.mark.parametrize(
    ("lacking", "excess", "verdict"),
    [
        ((0.5, 0.4, 0.6), (0.0, -0.1, 0.1), ("under", True)),
        ((0.0, -0.1, 0.1), (0.5, 0.4, 0.6), ("over", True)),
        ((0.5, 0.4, 0.55), (0.7, 0.6, 0.8), ("over", True)),
        ((0.7, 0.6, 0.8), (0.5, 0.4, 0.55), ("under", True)),
        ((0.5, -0.1, 1.1), (0.0, -0.1, 0.1), ("under", False)),  # it may be chance
        ((-0.5, -0.6, -0.4), (0.5, -0.4, 1.4), ("over", False)),
        ((0.5, 0.05, 0.95), (0.0, -0.1, 0.05), ("under", False)),  # above 0 for sure, but maybe too little to count
        ((0.5, 0.4, 0.6), (0.45, 0.2, 0.7), ("under", False)),  # both are, and who knows which is more
        ((0.05, 0.04, 0.06), (0.0, -0.1, 0.1), ("enough", True)),  # it is too little
        ((0.05, 0.04, 0.06), (0.0, -0.3, 0.3), ("enough", False)),
    ],
)
def test_verdicts_by_the_costs(lacking, excess, verdict):
    assert judge(lacking, excess, 0.1) == verdict


def test_what_is_possible():
    assert possible((0.5, 0.4, 0.6), (0.0, -0.1, 0.05), 0.1) == ["under"]
    assert possible((0.0, -0.1, 0.05), (0.15, 0.05, 0.25), 0.1) == ["enough", "over"]
    assert possible((0.5, 0.05, 0.95), (0.5, 0.05, 0.95), 0.1) == ["under", "enough", "over"]
    # No verdict is in the middle of the intervals that is not at their ends.
    rng = random.Random(0)
    for _ in range(300):
        lacking, excess = ((0.0, *sorted(rng.uniform(-0.3, 0.5) for _ in range(2))) for _ in range(2))
        inside = [rng.uniform(*cost[1:]) for cost in (lacking, excess)]
        assert judge(*((cost,) * 3 for cost in inside), 0.1)[0] in possible(lacking, excess, 0.1)


def test_which_are_compared():
    assert compared([16]) == {0.25: [4], 0.5: [8], 1.0: [16], 2.0: [32], 4.0: [64]}
    assert compared([1]) == {1.0: [1], 2.0: [2], 4.0: [4]}
    assert compared([8, 4])[0.25] == [2, 1]
    assert Plan(epochs=200).checkpoints[0] == 1 and Plan(epochs=200).checkpoints[-1] == 200


def test_targets():
    assert Problem([3.5, 1.25, 2.0] * 5).classes == 0 and Problem([0, 1, 2] * 5).classes == 3
    assert Problem(["b", "a"] * 5).y[:2] == [1, 0] and Problem([0, 1] * 5, "regression").classes == 0
    assert Problem(["a", "b"] * 8).guessing == pytest.approx(numpy.log(2.0))


# ---- verdicts ------------------------------------------------------------------------------------------


def wrong(y, share, seed):
    rng = random.Random(seed)
    return [1 - label if rng.random() < share else label for label in y]


def test_under():
    X, y = data.circles(120, noise=0.05, seed=0)
    found = diagnose_capacity(X, y, 1, splits=5, epochs=100)
    assert found.verdict == "under" and found.evidence["lacking"][1] > 0.2
    assert str(found).startswith(
        "under: a network of 1 hidden unit has too little capacity: more units would do better."
    )
    assert found.evidence["cures"] == {}


def test_over():
    """One of six numbers tells the classes apart, and every fourth label is wrong."""
    rng = random.Random(0)
    X = [[rng.gauss(0.0, 1.0) for _ in range(6)] for _ in range(250)]
    y = wrong([int(x[0] > 0.0) for x in X], 0.25, 1)
    found = diagnose_capacity(X, y, 32)
    text = str(found)
    assert found.verdict == "over", text
    assert found.evidence["excess"][1] > 0.0 and found.evidence["training"] < found.evidence["validation"]
    assert len(found.evidence["cures"]) == 3 and "weight decay" in text and "stopping in epoch" in text
    assert diagnose_capacity(X, y, 32) == found


def test_enough():
    """A line tells them apart, as well as can be."""
    rng = random.Random(0)
    X = [[rng.gauss(0.0, 1.0), rng.gauss(0.0, 1.0)] for _ in range(400)]
    y = [int(x1 + x2 + rng.gauss(0.0, 1.0) > 0.0) for x1, x2 in X]
    found = diagnose_capacity(X, y, 2, splits=5, epochs=20, lr=0.02)
    assert found.verdict == "enough", str(found)
    assert abs(found.evidence["lacking"][0]) < found.evidence["tolerance"]


def test_numbers():
    """A sine that one unit cannot follow; its unit and shift make no difference."""
    rng = random.Random(0)
    X = [[rng.uniform(-3.0, 3.0)] for _ in range(100)]
    y = [1e6 + 300.0 * numpy.sin(2.0 * x) for (x,) in X]
    found = diagnose_capacity(X, y, 1, splits=5, epochs=100)
    assert found.verdict == "under" and found.evidence["guessing"] == 1.0
    assert isinstance(found, Capacity) and found.evidence["samples"] == (80, 20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, r"hidden should be a number of units, 1 or more, or a list of them, got 0"),
        ({"hidden": []}, r"hidden should be a number of units, 1 or more, or a list of them, got \[\]"),
        ({"splits": 2}, "splits should be 3 or more, got 2"),
        ({"tolerance": 1.0}, "tolerance should be between 0 and 1, got 1.0"),
        ({"epochs": 0}, "epochs should be 1 or more, got 0"),
        ({"lr": 0.0}, "lr should be above 0, got 0.0"),
        ({"fraction": 1.0}, "fraction should be between 0 and 1, got 1.0"),
        ({"task": "sorting"}, 'task should be "classification" or "regression", got \'sorting\''),
        ({"y": [1] * 30}, "all targets are 1: there is nothing to learn"),
        ({"y": [0.5, float("nan")] * 15}, "targets should be finite numbers, or all of them texts"),
        ({"y": ["a", 1] * 15}, "targets should be finite numbers, or all of them texts"),
        ({"X": [[0.0], [1.0]] * 5, "y": [0, 1] * 5}, "10 samples are too few to tell; 20 or more are needed"),
        ({"activation": "tahn"}, "activation 'tahn' is not known"),
    ],
)
def test_bad_input(settings, message):
    given = {"X": [[float(i)] for i in range(30)], "y": [0, 1] * 15, "splits": 3, "epochs": 2, **settings}
    with pytest.raises(ValueError, match=message):
        diagnose_capacity(**given)
