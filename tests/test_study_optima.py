"""The study of local optima: what it proves, how it counts, what it says if there is nothing to be found."""

import random

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("mpmath")

import mpmath
import numpy
from matplotlib.figure import Figure

from micrograd_like import Value, exp, sin, tanh
from micrograd_like.studies import intervals, optima, proof

# ---- proofs --------------------------------------------------------------------------------------------


def bowl(x):
    return (x[0] - 1.0) ** 2 + (x[1] + 0.5) ** 2 * 3.0 + x[0] * x[1] * 0.125


BOTTOM = numpy.linalg.solve([[2.0, 0.125], [0.125, 6.0]], [2.0, -3.0])


def test_a_minimum_is_proved():
    found = proof.prove(bowl, BOTTOM, 1e-6)
    assert found.holds and found.slope < 1e-14
    lowest = numpy.linalg.eigvalsh([[2.0, 0.125], [0.125, 6.0]])[0]
    assert lowest - 1e-6 < found.curvature <= lowest
    low, high = found.value
    exact = mpmath.matrix([[2, 0.125], [0.125, 6]]) ** -1 * mpmath.matrix([2, -3])
    assert low <= bowl(exact) <= high and high - low < 1e-14


@pytest.mark.parametrize(
    ("f", "point", "radius"),
    [
        (bowl, BOTTOM + 0.1, 1e-3),  # it is further away
        (lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0], 1e-3),  # a saddle
        (lambda x: -(x[0] ** 2) - x[1] ** 2, [0.0, 0.0], 1e-3),  # a maximum
        (lambda x: x[0] ** 2 + x[1] * 0.0, [0.0, 0.0], 1e-3),  # a valley: not the only one
        (lambda x: x[0] ** 4 + x[1] ** 2, [0.0, 0.0], 1e-3),  # a minimum, but its curvature is 0
        (lambda x: (x[0] ** 2 - 1.0) ** 2 + x[1] ** 2, [1.0, 0.0], 2.5),  # two of them in there
        (lambda x: exp(x[0]) + x[1] ** 2, [-40.0, 0.0], 1e-3),  # flat, and falls for ever
        (lambda x: tanh(x[0]) ** 2 + x[1] ** 2, [0.3, 0.0], 1e-1),
    ],
)
def test_nothing_is_proved_that_is_not_so(f, point, radius):
    assert not proof.prove(f, point, radius).holds


def test_a_larger_radius_is_proved_where_it_is_so():
    assert proof.prove(lambda x: tanh(x[0]) ** 2 + x[1] ** 2, [0.01, 0.0], 0.1).holds


def test_intervals_hold_what_is_in_them():
    """At random points of the box, each node is within its interval, which is not much wider than need be."""
    from mpmath.ctx_iv import MPIntervalContext

    iv = MPIntervalContext()
    leaves = [Value(0.3), Value(-0.7)]
    x, y = leaves
    nodes = [x + y, x - y, x * y, y / (x + 2.0), -x, (x + 2.0) ** 3, exp(x), tanh(x * y + 1.0)]
    box = {leaf: iv.mpf([leaf.data - 0.1, leaf.data + 0.1]) for leaf in leaves}
    ranges = proof.ranges(nodes, box, iv)
    seen = [[] for _ in nodes]
    for _ in range(300):
        a, b = (leaf.data + random.uniform(-0.1, 0.1) for leaf in leaves)
        values = [a + b, a - b, a * b, b / (a + 2), -a, (a + 2) ** 3, numpy.exp(a), numpy.tanh(a * b + 1)]
        for value, found, interval in zip(values, seen, ranges, strict=True):
            assert value in interval
            found.append(value)
    for found, interval in zip(seen, ranges, strict=True):
        assert float(interval.delta) < 1.6 * (max(found) - min(found))


def test_an_operation_without_a_rule():
    with pytest.raises(NotImplementedError, match="there is no rule for intervals of sin"):
        proof.prove(lambda x: sin(x[0]), [0.0], 0.1)


# ---- the network ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minima():
    """From a few starts; the three that are found most often."""
    found = []
    for seed in range(12):
        rng = random.Random(seed)
        found.append(optima.canonical(optima.polish(numpy.array([rng.gauss(0, 1.5) for _ in range(7)])).tolist()))
    return optima._minima(found)


def by_hand(w):
    """The objective and its gradient, by the lecture's formulas, in 40 digits."""
    w = [mpmath.mpf(v) for v in w]
    total, slopes = 0, [2 * optima.DECAY * v for v in w]
    for x, y in optima.POINTS:
        f = [mpmath.tanh(w[0] * x + w[1]), mpmath.tanh(w[2] * x + w[3])]
        delta = 2 * (w[4] * f[0] + w[5] * f[1] + w[6] - y) / len(optima.POINTS)
        total += (w[4] * f[0] + w[5] * f[1] + w[6] - y) ** 2 / len(optima.POINTS)
        for j in (0, 1):
            unit = delta * w[4 + j] * (1 - f[j] ** 2)
            slopes[2 * j] += unit * x
            slopes[2 * j + 1] += unit
            slopes[4 + j] += delta * f[j]
        slopes[6] += delta
    return total + optima.DECAY * sum(v * v for v in w), slopes


def test_the_minima_by_hand(minima):
    assert len(minima) >= 3
    with mpmath.workdps(40):
        for m in minima:
            value, slopes = by_hand(m["weights"])
            low, high = m["proved"]["value"]
            assert low <= value + 1e-25 and value - 1e-25 <= high and high - low < 1e-13
            assert max(map(abs, slopes)) < 1e-13 and m["gradient"] < 1e-13
            h = mpmath.mpf("1e-12")
            rows = [
                [(a - b) / (2 * h) for a, b in zip(by_hand(up)[1], by_hand(down)[1], strict=True)]
                for up, down in (
                    [[v + s * h * (i == j) for j, v in enumerate(map(mpmath.mpf, m["weights"]))] for s in (1, -1)]
                    for i in range(7)
                )
            ]
            lowest = min(mpmath.eigsy(mpmath.matrix(rows), eigvals_only=True))
            assert lowest > 0 and float(lowest) == pytest.approx(m["eigenvalue"], rel=1e-9)


def test_symmetry(minima):
    for m in minima:
        w = m["weights"]
        same = list(optima.copies(w))
        assert len({tuple(v) for v in same}) == 8
        for v in same:
            assert optima.canonical(v) == w
            for x in (-1.0, 0.3):
                assert optima.output(v, x) == pytest.approx(optima.output(w, x), abs=1e-14)


def test_the_network_is_the_one_that_is_trained(minima):
    """The formulas here, and the MLP that learns, compute the same."""
    one = optima.learner(1)
    for p, v in zip(one.params, minima[0]["weights"], strict=True):
        p.data = v
    assert optima.weights(one) == minima[0]["weights"]
    for x, _ in optima.POINTS:
        assert one.model([x]).data == pytest.approx(optima.output(minima[0]["weights"], x), abs=1e-14)
    assert one.measure()[0] + optima.DECAY * sum(v * v for v in optima.weights(one)) == pytest.approx(
        minima[0]["value"], abs=1e-14
    )


def test_native_and_eager_derivatives_agree(monkeypatch):
    pytest.importorskip("llvmlite")
    w = numpy.array([0.5, -1.0, 2.0, 0.25, 1.5, -0.5, 0.75])
    optima.derivatives.cache_clear()
    slope, curvature = optima.derivatives()
    monkeypatch.setattr(optima, "native", lambda: False)
    optima.derivatives.cache_clear()
    eager, eager_curvature = optima.derivatives()
    optima.derivatives.cache_clear()
    assert slope(w)[0] == pytest.approx(eager(w)[0], rel=1e-12)
    assert slope(w)[1] == pytest.approx(eager(w)[1], rel=1e-9)
    assert numpy.array(curvature(w)) == pytest.approx(numpy.array(eager_curvature(w)), rel=1e-9, abs=1e-12)


# ---- the study -----------------------------------------------------------------------------------------


def test_newcombes_example():
    """Newcombe, 1998, table II, (a): 56 of 70 and 48 of 80."""
    assert intervals.difference((56, 48), (70, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert intervals.difference((10, 0), (10, 10)) == pytest.approx((0.6075, 1.0), abs=5e-5)  # (h)


@pytest.fixture(scope="module")
def records():
    """A small part of the study; with less epochs, so that it is quick without native code as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optima, "EPOCHS", 1280)
        tasks = [t for t in optima.tasks(full=False, seed=0) if t["first"] == 0]
        assert len(tasks) == 21
        return [{**task, **optima.run({**task, "repeats": 4})} for task in tasks]


def drawn(records, summary):
    figure = Figure(figsize=optima.SIZE, layout="constrained")
    optima.draw(figure, records, summary)
    figure.canvas.draw()
    return [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]


def test_a_small_run(records, monkeypatch):
    monkeypatch.setattr(optima, "EPOCHS", 1280)
    monkeypatch.setattr(optima, "PATH", 20)
    again = optima.run({**{k: records[0][k] for k in ("method", "restarts", "first", "seed")}, "repeats": 4})
    assert again == {key: records[0][key] for key in ("reached", "minima")}
    summary = optima.conclude(records)
    minima = summary["minima"]
    assert len(minima) >= 2 and [m["value"] for m in minima] == sorted(m["value"] for m in minima)
    for ends in summary["ends"].values():
        assert sum(end["count"] for end in ends) == 4 and len(ends) == len(minima) + 1
    assert len(optima.report(summary).splitlines()) < 25
    rows = optima.table(records, summary)
    assert len(rows) == 3 * (len(minima) + 1) + 21 and len({tuple(row) for row in rows}) == 1
    assert any("end in a minimum" in title for title in drawn(records, summary))


def planted(weights, reached, above=0.0):
    """Records of 400 repeats of each: single runs end in one of these, or that much above it; the others reach that."""
    values = [optima.objective(w) + above for w in weights]
    return [
        {
            "method": method,
            "restarts": n,
            "reached": [values[i % len(weights)] if n == 1 else reached(n) for i in range(400)],
            "minima": [weights[i % len(weights)] for i in range(400)] if n == 1 else [],
        }
        for method in optima.METHODS
        for n in optima.RESTARTS
    ]


def test_claims_can_fail(minima, monkeypatch):
    monkeypatch.setattr(optima, "PATH", 20)
    weights = [m["weights"] for m in minima[:3]]
    best, worst = minima[0]["value"], 10.0
    good = optima.conclude(planted(weights, lambda n: best if n == optima.SOME else worst))
    assert all(good["claims"].values()) and len(good["claims"]) == 2 + 3 + 6
    always = optima.conclude(planted(weights[:1], lambda n: best))
    assert not any(always["claims"].values()) and len(always["minima"]) == 1
    alike = optima.conclude(planted(weights, lambda n: best))
    assert sorted(alike["claims"].values()) == [False] * 3 + [True] * 8  # more of them are not too short
    drawn([], alike)


def test_who_has_not_arrived_ends_in_no_minimum(minima):
    """A run that is still near a saddle is above some minimum, and has not found it."""
    waiting = optima.conclude(planted([m["weights"] for m in minima[:2]], lambda n: 10.0, above=0.2))
    assert [end["count"] for end in waiting["ends"]["SGD"]] == [0, 0, 400]
    assert not any(holds for claim, holds in waiting["claims"].items() if " is not the best in " in claim)


def test_what_is_no_minimum_is_told(minima):
    saddle = [0.0] * 7
    summary = optima.conclude(planted([saddle, minima[0]["weights"]], lambda n: 1.0))
    assert len(summary["minima"]) == 1
    assert [end["count"] for end in summary["ends"]["SGD"]] == [200, 200]
    optima.report(summary)
    drawn([], summary)
    nothing = optima.conclude(planted([saddle], lambda n: 1.0))
    assert not any(nothing["claims"].values())
    optima.report(nothing)
    optima.table([], nothing)
    drawn([], nothing)
