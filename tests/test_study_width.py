"""The study of width: its statistics against others, and claims that fail where they should."""

import random

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import numpy
from matplotlib.figure import Figure
from scipy.stats import pearsonr

from micrograd_like import nn
from micrograd_like.studies import width

# ---- statistics ----------------------------------------------------------------------------------------


def test_the_trend_is_a_correlation():
    """Armitage's z² is N r², r the correlation of the score with success (Agresti, Categorical data analysis)."""
    scores, successes, trials = [1.0, 2.0, 3.0, 5.0], [3, 10, 12, 19], [20, 20, 25, 20]
    x = [s for s, n in zip(scores, trials, strict=True) for _ in range(n)]
    y = [float(i < k) for k, n in zip(successes, trials, strict=True) for i in range(n)]
    z, p = width.trend(scores, successes, trials)
    assert z == pytest.approx(pearsonr(x, y).statistic * len(x) ** 0.5, rel=1e-12) and z > 0
    assert p == pytest.approx(0.5 * pytest.importorskip("scipy.special").erfc(z / 2**0.5), rel=1e-9)
    falling = width.trend(scores, [n - k for k, n in zip(successes, trials, strict=True)], trials)
    assert falling == (pytest.approx(-z), pytest.approx(1.0 - p))


def test_a_published_trend():
    """Agresti, table 2.7, alcohol and malformations: z² = 6.57 for the scores 0, 0.5, 1.5, 4, 7."""
    malformed, absent = [48, 38, 5, 1, 1], [17066, 14464, 788, 126, 37]
    trials = [a + b for a, b in zip(malformed, absent, strict=True)]
    z, p = width.trend([0.0, 0.5, 1.5, 4.0, 7.0], malformed, trials)
    assert z**2 == pytest.approx(6.57, abs=0.01) and p == pytest.approx(0.0104 / 2, abs=1e-4)


@pytest.mark.parametrize("successes", [[0, 0], [5, 5]])
def test_no_trend_where_all_are_alike(successes):
    assert width.trend([1.0, 2.0], successes, [5, 5]) == (0.0, 0.5)


def test_restarts_by_simulation():
    """What is expected of starting anew after b updates is what comes out of doing so."""
    rng = random.Random(0)
    updates = numpy.array([10.0, 29.0, 30.0, 80.0, numpy.inf, numpy.inf])
    found = width.with_restarts(updates, 100.0)
    costs = {}
    for b in (10.0, 30.0, 80.0):
        totals = []
        for _ in range(20_000):
            total = 0.0
            while True:
                t = rng.choice(updates.tolist())
                total += min(t, b)
                if t <= b:
                    break
            totals.append(total)
        costs[b] = sum(totals) / len(totals)
    assert min(costs, key=costs.get) == 30.0
    assert found == pytest.approx(costs[30.0], rel=0.02) and found == pytest.approx((10 + 29 + 30 * 4) / 3)
    assert width.with_restarts(numpy.full(3, numpy.inf), 100.0) == numpy.inf
    assert width.with_restarts(numpy.array([7.0, 7.0]), 100.0) == 7.0


def test_bootstrap():
    rng = numpy.random.default_rng(3)
    updates = rng.exponential(100.0, 400)  # without memory: restarts change nothing, the expectation is 100
    low, high = width.bootstrap(updates, 1e9)
    assert low < width.with_restarts(updates, 1e9) < high and low < 100.0 < high and high / low < 1.5
    assert width.bootstrap(numpy.full(5, numpy.inf), 10.0) == (numpy.inf, numpy.inf)


# ---- what is learned -----------------------------------------------------------------------------------


def test_two_units_suffice_for_xor():
    """By hand: one unit is large from (1, 0) on, the other from (1, 1) on; their difference is xor."""
    model = nn.MLP(2, [2, 1], activation="tanh")
    weights = (5.0, 5.0, -2.5, 5.0, 5.0, -7.5, 5.0, -5.0, -4.0)
    for p, v in zip(model.parameters(), weights, strict=True):
        p.data = v
    X, y = width.PROBLEMS["xor"].data
    assert [int(model(x).data > 0.0) for x in X] == y


def test_runs():
    task = {"problem": "xor", "width": 6, "rate": 0.1, "epochs": 600, "starts": 6, "seed": "a"}
    found = width.run(task)["succeeded"]
    assert found == width.run(task)["succeeded"] and sum(e is not None for e in found) >= 5
    assert all(1 <= e <= 600 for e in found if e is not None)
    # Success is an epoch without a mistake, and the first one.
    learner = width._learner("xor", 6)
    seeds = random.Random("a")
    learner.begin(seeds.getrandbits(32), 0.1)
    shares = [float(share) for _ in range(12) for share in learner.run(50)[1]]
    assert found[0] == next((i for i, share in enumerate(shares, 1) if share == 1.0), None)
    assert width.run({**task, "rate": 1e6, "epochs": 100})["succeeded"].count(None) >= 4  # diverged, or beyond it


def test_tasks():
    tasks = width.tasks(full=False, seed=0)
    counted = {}
    for task in tasks:
        key = task["problem"], task["width"], task["rate"]
        counted[key] = counted.get(key, 0) + task["starts"]
    assert set(counted.values()) == {200} and len(counted) == 3 * 7 * 3
    assert len({task["seed"] for task in tasks}) == len(tasks)
    assert {task["seed"] for task in tasks}.isdisjoint(task["seed"] for task in width.tasks(full=False, seed=1))
    assert len(width.tasks(full=True, seed=0)) > 5 * len(tasks)


# ---- what follows --------------------------------------------------------------------------------------


def planted(succeeds):
    """Records of 100 starts of each cell: succeeds(problem, width, rate) gives the epoch of each, or None."""
    return [
        {"problem": name, "width": w, "rate": rate, "epochs": problem.epochs, "starts": 100,
         "succeeded": succeeds(name, w, rate)}
        for name, problem in width.PROBLEMS.items()
        for w in problem.widths
        for rate in (width.LOW, width.RATE, width.HIGH)
    ]  # fmt: skip


def spread(share, epoch):
    return [epoch + i % 7 if i < 100 * share else None for i in range(100)]


def larger_is_easier(name, w, rate):
    if rate == width.HIGH and name == "spirals":
        return spread(0.5 if w == 8 else 0.1, 100)
    return spread(min(1.0, 0.2 + 0.1 * w), 500 // min(w, 8) ** 2 + 20)


def shown(records):
    summary = width.conclude(records)
    text = width.report(summary)
    assert len(text.splitlines()) < 26 and max(map(len, text.splitlines())) < 100
    rows = width.table(records, summary)
    assert len(rows) == 63 and len({tuple(row) for row in rows}) == 1
    figure = Figure(figsize=width.SIZE, layout="constrained")
    width.draw(figure, records, summary)
    figure.canvas.draw()
    return summary


def test_claims_hold():
    summary = shown(planted(larger_is_easier))
    assert all(summary["claims"].values()) and len(summary["claims"]) == 3 * 3 + 2, summary["claims"]
    cell = summary["problems"]["xor"]["rates"]["0.1"][0]
    assert (cell["width"], cell["parameters"], cell["starts"], cell["successes"]) == (2, 9, 100, 40)
    assert summary["problems"]["xor"]["budget"] == 8000 and summary["problems"]["xor"]["suffices"] == 2


def holding(summary):
    return [claim for claim, holds in summary["claims"].items() if holds]


def test_claims_fail_where_small_networks_are_better():
    """Where small ones succeed more often, and sooner, there is only the harm of large ones."""
    *costs, last = holding(shown(planted(lambda name, w, rate: spread(1.0 - 0.02 * w, 20 + w * w))))
    assert last.startswith("but not at a rate that is too large for large networks")
    assert len(costs) == 3 and all("but an update costs more" in claim for claim in costs)


def test_claims_fail_where_width_makes_no_difference():
    claims = holding(shown(planted(lambda name, w, rate: spread(0.9, 50))))
    assert len(claims) == 3 and all("but an update costs more" in claim for claim in claims)


def test_larger_may_be_cheaper():
    claims = holding(shown(planted(lambda name, w, rate: spread(1.0, 10_000 // w**2 + 1))))
    assert claims and not any("but an update costs more" in claim for claim in claims)


def test_nothing_succeeds():
    summary = shown(planted(lambda name, w, rate: [None] * 100))
    assert not any(summary["claims"].values())
