"""The study of depth: its formula by quadrature and by hand, and claims that fail where they should."""

from copy import deepcopy
from random import Random

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("mpmath")

import mpmath
from matplotlib.figure import Figure

from micrograd_like import nn
from micrograd_like.byhand.lecture import layered_gradients
from micrograd_like.studies import depth


@pytest.mark.parametrize(("name", "variance"), [("tanh", 1.0), ("tanh", 4.0), ("sigmoid", 1.0), ("softplus", 0.25)])
def test_the_formula_by_quadrature(name, variance):
    """The same integrals, by mpmath."""
    f = {
        "tanh": mpmath.tanh,
        "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
        "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    }[name]
    q, wanted = mpmath.mpf(variance), []

    def mean(of):
        return mpmath.quad(lambda g: of(mpmath.sqrt(q) * g) ** 2 * mpmath.npdf(g), [-12, -3, 0, 3, 12])

    for _ in range(3):
        wanted.append(variance * mean(lambda z: mpmath.diff(f, z)))
        q = variance * mean(f)
    assert depth.factors(name, variance, 4) == pytest.approx([float(x) for x in wanted], rel=1e-9)


def test_the_formula_where_it_is_known():
    assert depth.factors("relu", 2.0, 5) == pytest.approx([1.0] * 4, rel=1e-9)
    assert depth.factors("relu", 1.0, 5) == pytest.approx([0.5] * 4, rel=1e-9)
    assert depth.factors("linear", 3.0, 3) == pytest.approx([3.0] * 2, rel=1e-9)


@pytest.mark.parametrize(("activation", "init"), [("tanh", nn.xavier), ("relu", nn.he), ("sigmoid", nn.uniform)])
def test_what_is_measured_by_hand(activation, init):
    """δ by the lecture's recurrence, of the same weights."""
    n, layers, rng = 5, 4, Random(3)
    x = [rng.gauss(0.0, 1.0) for _ in range(n)]
    size = (sum(v * v for v in x) / n) ** 0.5
    w = []
    for units in [n] * layers + [1]:
        rows = [[init(rng, n) for _ in range(n)] for _ in range(units)]  # unit by unit
        w.append([list(column) for column in zip(*rows, strict=True)])
    b = [[0.0] * n] * layers + [[0.0]]
    _, deltas = layered_gradients(w, b, [v / size for v in x], [0.5], [activation] * layers + ["linear"])
    sums = [sum(d * d for d in layer) for layer in deltas[:-1]]
    assert depth.squares(activation, init, 3, n, layers) == pytest.approx([s / sums[-1] for s in sums], rel=1e-12)


def test_inits():
    """The variances that the formula takes for granted."""
    for init, variance, _ in depth.INITS.values():
        rng = Random(1)
        drawn = [init(rng, 64) for _ in range(20_000)]
        assert sum(drawn) / 20_000 == pytest.approx(0.0, abs=0.03 * (variance(64) / 64) ** 0.5)
        assert sum(v * v for v in drawn) / 20_000 == pytest.approx(variance(64) / 64, rel=0.04)


@pytest.fixture(scope="module")
def records():
    """Planted: networks that follow the formula, and all starts of shallow networks learn."""
    made = [{**task, **depth.run(task)} for task in depth.tasks(full=False, seed=0) if task["part"] == "chain"]
    for activation, init in depth.NETWORKS:
        factors = depth.factors(activation, depth.INITS[init][1](depth.WIDTH))
        rows = []
        for scale in (0.99, 1.0, 1.01):
            row = [1.0]
            for factor in reversed(factors):
                row.append(row[-1] * factor * scale)
            rows.append(row[::-1])
        made.append({"part": "network", "activation": activation, "init": init, "squares": rows})
    for layers in depth.DEPTHS:
        for activation, init in depth.LEARNERS:
            learned = [0, 40 if layers < 8 else 3, 1]
            made.append({"part": "learn", "activation": activation, "init": init, "depth": layers, "starts": 40,
                         "learned": learned})  # fmt: skip
    return made


def test_claims_hold(records):
    summary = depth.conclude(records)
    assert all(summary["claims"].values()) and len(summary["claims"]) == 1 + 6 + 3
    assert {r["rate"] for r in summary["learned"]} == {0.1}
    text = depth.report(summary)
    assert "relu, He  " in text and text.count("100%") == 4 * 3 and max(map(len, text.splitlines())) < 100
    rows = depth.table(records, summary)
    assert len(rows) == 3 * depth.UNITS + 6 * depth.LAYERS + 4 * len(depth.DEPTHS)
    figure = Figure(figsize=depth.SIZE, layout="constrained")
    depth.draw(figure, records, summary)
    figure.canvas.draw()


@pytest.mark.parametrize("fault", ["chain", "network", "learn"])
def test_claims_can_fail(records, fault):
    made = deepcopy(records)
    if fault == "chain":
        made[1]["formula"][5] *= 1.0 + 1e-11
    elif fault == "network":
        row = next(r for r in made if r["part"] == "network")["squares"]
        row[:] = [[v * 1.15 ** (depth.LAYERS - 1 - i) for i, v in enumerate(numbers)] for numbers in row]
    else:
        for r in made:
            if r["part"] == "learn":
                r["learned"] = [40, 0, 0]
    wrong = [claim for claim, holds in depth.conclude(made)["claims"].items() if not holds]
    assert len(wrong) == {"chain": 1, "network": 1, "learn": 3}[fault]


def test_learning():
    """Small weights and many layers: nothing is learned; one layer: all of it. And the same each time."""
    task = {"part": "learn", "activation": "tanh", "depth": 1, "seeds": [0, 2], "init": "xavier"}
    found = depth.run(task)
    assert found == depth.run(task) and max(found["learned"]) == 2
