"""Larger is easier: the statistics beside independent ones, what counts as success, and claims that can fail."""

import json
from itertools import pairwise
from math import inf, log2
from random import Random

import pytest

from micrograd_like.nn import MLP
from micrograd_like.studies import runs, width
from micrograd_like.studies.learner import native

for name in ("joblib", "matplotlib", "scipy", "sklearn"):
    pytest.importorskip(name)
numpy = pytest.importorskip("numpy")


def test_a_trend_is_the_correlation_of_single_outcomes():
    from scipy.stats import pearsonr

    widths, successes, trials = [2, 3, 8, 32], [9, 14, 11, 20], [20, 20, 15, 20]
    scores = [log2(w) for w in widths]
    x = [score for score, n in zip(scores, trials, strict=True) for _ in range(n)]
    y = [i < k for k, n in zip(successes, trials, strict=True) for i in range(n)]
    z, p = width.trend(scores, successes, trials)
    assert z == pytest.approx(len(x) ** 0.5 * pearsonr(x, y)[0])
    assert p < 0.001
    z, p = width.trend(scores, successes[::-1], trials[::-1])
    assert z < 0.0 and p > 0.999


def test_no_trend_is_found_where_there_is_none():
    assert width.trend([1.0, 2.0, 3.0], [10, 10, 10], [20, 20, 20]) == (pytest.approx(0.0), pytest.approx(0.5))
    for all_alike in ([0, 0], [20, 20]):
        assert width.trend([1.0, 2.0], all_alike, [20, 20]) == (0.0, 0.5)
    rng = Random(0)
    found = [width.trend([1.0, 2.0, 3.0], [sum(rng.random() < 0.7 for _ in range(50)) for _ in range(3)], [50] * 3)[1]
             for _ in range(400)]  # fmt: skip
    assert sum(p < 0.05 for p in found) == pytest.approx(20, abs=12)


def simulated(updates, b, rng, times=4000):
    """Restarts played: starts drawn one after another, each given up after b, until one succeeds."""
    total = 0
    for _ in range(times):
        while (T := rng.choice(updates)) > b:
            total += b
        total += T
    return total / times


def test_restarts_cost_what_playing_them_costs():
    updates = [10.0, 14.0, 30.0, 400.0, inf, inf]
    played = {b: simulated(updates, b, Random(1)) for b in updates if b < inf}
    assert width.with_restarts(numpy.array(updates)) == pytest.approx(min(played.values()), rel=0.05)
    assert width.with_restarts(numpy.array([100.0, 100.0])) == 100.0
    assert width.with_restarts(numpy.array([100.0, inf])) == 200.0
    assert width.with_restarts(numpy.array([inf, inf])) == inf
    assert width.with_restarts(numpy.array([[100.0, inf], [inf, inf]])).tolist() == [200.0, inf]


def test_luck_is_no_method():
    """Where success has no memory, restarts change nothing; the best of all b would be one of a few lucky starts."""
    updates = numpy.random.default_rng(3).exponential(100.0, 400)
    low, high = width.bootstrap(updates)
    assert low < width.with_restarts(updates) < high and low < 100.0 < high and high / low < 1.5


def test_the_bootstrap_covers():
    """Of times that are 1 in half of the starts, and inf in the others, 2 are to be expected."""
    rng, covered = Random(2), 0
    for _ in range(40):
        low, high = width.bootstrap(numpy.array([1.0 if rng.random() < 0.5 else inf for _ in range(60)]))
        covered += low <= 2.0 <= high
    assert covered >= 34
    assert width.bootstrap(numpy.array([1.0, inf]))[1] == inf


def test_one_looks_seldom_enough_and_at_the_end():
    looks = list(width._looks(2000))
    assert looks[:3] == [1, 2, 3] and looks[-1] == 2000 and len(looks) < 300
    assert all(0 < b - a <= max(1.0, 0.02 * a) for a, b in pairwise(looks))


XOR = {"problem": "xor", "width": 2, "rate": 0.3, "epochs": 300 if native() else 60, "starts": 12, "seed": "a"}


def test_success_is_of_weights_that_tell_all_right():
    found = width.run(XOR)["succeeded"]
    assert found == width.run(XOR)["succeeded"]
    assert None in found and any(found)
    X, y = width.PROBLEMS["xor"].data
    learner, rng = width._learner("xor", 2), Random(XOR["seed"])
    differs = False
    for epochs in found:
        learner.begin(rng.getrandbits(32), XOR["rate"])
        if epochs is None:
            continue
        looks = list(width._looks(epochs))
        for before, look in pairwise([0, *looks]):
            shares = learner.run(look - before)[1]
            right = [z.data > 0.0 for z in map(learner.model, X)] == [label == 1 for label in y]
            assert right == (look == epochs)
            differs |= right != (shares[-1] == 1.0)
    assert differs  # from what was told right while the epoch went on, which is therefore no witness


def test_tasks():
    tasks = width.tasks(full=False, seed=0)
    assert tasks == width.tasks(full=False, seed=0)
    assert len({task["seed"] for task in [*tasks, *width.tasks(full=False, seed=-1)]}) == 2 * len(tasks)
    for some, least in ((tasks, 200), (width.tasks(full=True, seed=0), 1000)):
        starts = {}
        for task in some:
            cell = task["problem"], task["width"], task["rate"]
            starts[cell] = starts.get(cell, 0) + task["starts"]
        assert {n for (_, _, rate), n in starts.items() if rate == width.RATE} == {least}


def records(share, epochs, seed=1):
    """What a study would have found where starts succeed with this probability, after about so many epochs."""
    rng = Random(seed)
    return [
        {**task, "succeeded": [
            max(1, round(epochs(task) * rng.uniform(0.7, 1.3))) if rng.random() < share(task) else None
            for _ in range(task["starts"])
        ]}
        for task in width.tasks(full=False, seed=0)
    ]  # fmt: skip


def easier(task):
    if task["rate"] == width.HIGH:
        return 0.5 if task["width"] < 16 else 0.05
    return 0.0 if task["width"] < 3 else min(1.0, 0.25 * task["width"] - 0.35)


PLANTED = {
    "larger is easier": (easier, lambda task: 400 / task["width"] ** 0.8, set()),
    "larger is harder": (lambda task: 1.6 / task["width"] ** 0.7, lambda task: 10 * task["width"], {0, 1, 3}),
    "all the same": (lambda task: 0.7, lambda task: 100, {0, 1, 3, 4}),
    "the largest is cheapest": (easier, lambda task: 64 * 400 / task["width"] ** 2, {2}),
}


def drawn(found):
    summary = json.loads(json.dumps(width.conclude(found), allow_nan=False))
    svg, png = runs._pictures(width, found, summary)
    assert svg.startswith(b"<?xml") and png.startswith(b"\x89PNG")
    lines = width.report(summary).splitlines()
    assert len(lines) <= 26 and max(map(len, lines)) < 100
    rows = width.table(found, summary)
    assert sum(row["starts"] for row in rows) == sum(record["starts"] for record in found)
    assert runs._csv(rows)
    return summary


@pytest.mark.parametrize("case", PLANTED)
def test_claims_can_fail(case):
    share, epochs, failing = PLANTED[case]
    summary = drawn(records(share, epochs))
    claims = list(summary["claims"].values())
    assert len(claims) == 11
    kinds = [{*claims[kind:9:3]} for kind in range(3)] + [{claims[9]}, {claims[10]}]
    for kind, held in enumerate(kinds):
        assert held == {kind not in failing}, (kind, summary["claims"])


def test_a_dip_between_two_widths_is_no_rise():
    """The largest does best, and the trend is sure, but 16 and 32 units do worse than 8."""
    dip = {2: 0.2, 3: 0.3, 4: 0.4, 6: 0.6, 8: 0.97, 16: 0.6, 32: 0.6, 64: 1.0}
    summary = width.conclude(records(lambda task: dip[task["width"]], lambda task: 400 / task["width"] ** 0.8))
    for (often, held), problem in zip([*summary["claims"].items()][:9:3], summary["problems"].values(), strict=True):
        assert problem["trends"][str(width.RATE)][1] < 0.001 and not held, often


def test_two_units_can_solve_xor():
    """By hand: x1 + x2 is above 0.5, but not above 1.5."""
    model = MLP(2, [2, 1], "tanh")
    by_hand = [10.0, 10.0, -5.0, 10.0, 10.0, -15.0, 1.0, -1.0, -1.0]
    for parameter, number in zip(model.parameters(), by_hand, strict=True):
        parameter.data = number
    X, y = width.PROBLEMS["xor"].data
    assert [model(x).data > 0.0 for x in X] == [label == 1 for label in y]


def test_two_units_close_no_curve():
    """Why 2 units fail at circles: there is a way from every point on which the output never falls."""
    rng = Random(4)
    for _ in range(50):
        model = MLP(2, [2, 1], "tanh", rng=rng)
        w = [parameter.data for parameter in model.parameters()]
        way = numpy.linalg.solve([w[0:2], w[3:5]], numpy.sign(w[6:8]))
        along = [model([float(t * step) for step in way]).data for t in numpy.linspace(-5.0, 5.0, 21)]
        assert all(a <= b + 1e-12 for a, b in pairwise(along))


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_titles_fit(share):
    """At their longest: 100 % at both ends, or most starts that fail."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    found = records(lambda task: share if task["width"] >= 16 or share < 1.0 else 0.0, lambda task: 2900)
    with rc_context(runs.STYLE):
        figure = Figure(figsize=width.SIZE)
        renderer = FigureCanvasAgg(figure).get_renderer()
        width.draw(figure, found, width.conclude(found))
        for panel in figure.axes:
            texts = {text.get_text(): text for text in panel.findobj(Text)}
            title = texts[panel.get_title("left")].get_window_extent(renderer)
            assert title.x1 <= panel.get_window_extent().x1 + 2.0  # pixels


def test_what_suffices_and_what_was_counted():
    summary = width.conclude(records(easier, lambda task: 400 / task["width"] ** 0.8))
    xor = summary["problems"]["xor"]
    assert xor["suffices"] == 2  # at the rate that is too large, if at no other
    cells = xor["rates"][str(width.RATE)]
    assert cells[0]["successes"] == 0 and cells[0]["work"] == [None] * 3 and cells[0]["quartiles"] == [None] * 3
    assert cells[1]["share"][0] == cells[1]["successes"] / 200 == pytest.approx(0.4, abs=0.1)
    assert cells[1]["quartiles"][0] and cells[1]["quartiles"][1] is None
    last = cells[-1]
    assert last["median"][0] <= last["quartiles"][1] <= last["median"][1]
    assert last["parameters"] == len(width._learner("xor", 64).params)
    assert last["work"][0] <= last["parameters"] * 4 * 1.05 * 400 / 64**0.8


def test_nothing_succeeds():
    summary = drawn(records(lambda task: 0.0, lambda task: 1))
    assert not any(summary["claims"].values())


@pytest.mark.skipif(not native(), reason="slow without native code")
def test_a_small_study():
    """Real runs of a tenth of the starts: what is large enough to be seen with these."""
    tasks = [
        {**task, "starts": 20, "epochs": 500}
        for task in width.tasks(full=False, seed=3)
        if task["problem"] == "xor" and task["seed"].endswith(" 0")
    ]
    summary = drawn([{**task, **width.run(task)} for task in tasks])
    often, soon, *_ = summary["claims"].values()
    assert summary["problems"]["xor"]["suffices"] == 2
    assert often and soon
