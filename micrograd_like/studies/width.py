"""Larger is easier: how often SGD succeeds from a random start, and after how many updates, by the hidden units.

Each network 2-H-1 with tanh learns by the lecture's SGD, one sample at a time, at the same rate and with the same
budget of updates for all H. It has *succeeded* when it tells every sample right, with the weights as they are between
two epochs. A width *suffices* if any start succeeded, at whatever rate: then there are weights that solve the task. How
many starts find them is another question, and that is the study. (That each sample was told right when its turn came
in an epoch says less: the updates run after the samples, and no weights of that epoch need tell all of them right.)

The samples have no noise, so that nothing but the start and the order of the samples differs from run to run.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations
from math import inf, isfinite, log2
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data import Points, circles, spirals, xor
from ..losses import binary_cross_entropy
from ..show.plane import COLOURS
from .intervals import Interval, wilson
from .learner import Learner
from .runs import Json

if TYPE_CHECKING:
    import numpy

LECTURE = (
    "larger models tend to be easier to learn, because their units need to be adjusted only so that they are, "
    "collectively, sufficient to solve the task"
)
SIZE = (11.0, 9.5)


class Problem(NamedTuple):
    """What is learned, by which numbers of hidden units, in how many epochs at most."""

    data: Points
    widths: tuple[int, ...]
    epochs: int


# Two tanh units cannot close a curve around the inner circle: w1 tanh(z1) + w2 tanh(z2) goes on growing towards one
# quadrant of (z1, z2), and shrinking towards another. There 2 units are to be seen to fail.
PROBLEMS = {
    "xor": Problem(xor(4, 0.0), (2, 3, 4, 6, 8, 16, 32, 64), 2000),
    "circles": Problem(circles(60, 0.0), (2, 3, 4, 6, 8, 16, 32, 64), 1000),
    "spirals": Problem(spirals(60, 0.0), (3, 4, 6, 8, 16, 32, 64), 3000),
}
RATES = LOW, RATE, HIGH = 0.03, 0.1, 0.3  # RATE is judged; the others are there to see what hangs on it


def tasks(*, full: bool, seed: int) -> list[Json]:
    """For each problem and width 200 starts, half as many at other rates.

    full: 1000 starts, more rates and widths, and four times the budget.
    """
    starts, rates, more, longer = (1000, (LOW, 0.05, RATE, 0.2, HIGH), (5, 12, 24), 4) if full else (200, RATES, (), 1)
    at_once = 10 if full else 50  # in one task, so that it takes seconds
    return [
        {
            "problem": name, "width": width, "rate": rate, "epochs": longer * problem.epochs,
            "starts": at_once, "seed": f"{seed} {name} {width} {rate} {first}",
        }
        for name, problem in PROBLEMS.items()
        for width in sorted({*problem.widths, *more})
        for rate in rates
        for first in range(0, starts if rate == RATE else starts // 2, at_once)
    ]  # fmt: skip


def run(task: Json) -> Json:
    """For each start the number of epochs after which it was seen to have succeeded, or None."""
    learner = _learner(task["problem"], task["width"])
    rng = Random(task["seed"])
    seeds = [rng.getrandbits(32) for _ in range(task["starts"])]
    return {"succeeded": [_succeeds(learner, seed, task["rate"], task["epochs"]) for seed in seeds]}


@lru_cache(maxsize=4)
def _learner(problem: str, width: int) -> Learner:
    return Learner([2, width, 1], *PROBLEMS[problem].data, binary_cross_entropy, 1)


def _succeeds(learner: Learner, seed: int, rate: float, epochs: int) -> int | None:
    learner.begin(seed, rate)
    done = 0
    for look in _looks(epochs):
        try:
            learner.run(look - done)
            _, share = learner.measure()
        except FloatingPointError:  # diverged
            return None
        if share == 1.0:
            return look
        done = look
    return None


def _looks(epochs: int) -> Iterator[int]:
    """After which epochs one looks at a network: at first after each, later after 2 % more."""
    look = 0
    while look < epochs:
        look = min(max(look + 1, look * 51 // 50), epochs)
        yield look


# ---- statistics -------------------------------------------------------------------------------------------


def trend(scores: list[float], successes: list[int], trials: list[int]) -> tuple[float, float]:
    """Whether shares rise with a score: z, and the one-sided probability of as large a z if they do not.

    Armitage, Tests for linear trends in proportions and frequencies, 1955. If all shares are 0, or all are 1, z is 0.
    """
    import numpy
    from scipy.stats import norm

    x, k, n = (numpy.array(numbers, float) for numbers in (scores, successes, trials))
    share = k.sum() / n.sum()
    away = x - (n * x).sum() / n.sum()
    variance = share * (1.0 - share) * (n * away**2).sum()
    z = float((k * away).sum() / variance**0.5) if variance else 0.0
    return z, float(norm.sf(z))


def with_restarts(updates: "numpy.ndarray") -> Any:
    """The updates to be expected until a first success, if each start is given up after b of them.

    updates: of each start until it succeeded, inf for those that did not; further axes come first. It is the mean of
    min(T, b), divided by the share of T ≤ b (Luby, Sinclair and Zuckerman, Optimal speedup of Las Vegas algorithms,
    1993), for the best of four b, by which a quarter, half, three quarters, or all of the successes were there. (Of all
    b, the best would be one by which a few starts had luck.) inf if none succeeded.
    """
    import numpy

    T = numpy.sort(updates, axis=-1)
    n = T.shape[-1]
    finite = numpy.where(numpy.isfinite(T), T, 0.0)
    successes = numpy.isfinite(T).sum(axis=-1, keepdims=True)
    k = numpy.maximum(numpy.ceil(successes * numpy.array([0.25, 0.5, 0.75, 1.0])).astype(int), 1)
    # With b = T[k - 1], k starts succeed.
    total, b = (numpy.take_along_axis(numbers, k - 1, axis=-1) for numbers in (finite.cumsum(axis=-1), finite))
    return numpy.where(successes > 0, (total + (n - k) * b) / k, numpy.inf).min(axis=-1)


def bootstrap(updates: "numpy.ndarray") -> Interval:
    """The interval of that: of what 999 samples drawn from these starts give, the middle 95 % (Efron, 1979)."""
    import numpy

    drawn = numpy.random.default_rng(0).choice(updates, (999, len(updates)))
    low, high = numpy.quantile(with_restarts(drawn), (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)


def conclude(records: list[Json]) -> Json:
    """For each problem: which width suffices, what was counted for each rate and width, and the trends."""
    found: Json = {}
    for record in records:
        problem = found.setdefault(record["problem"], {"epochs": record["epochs"], "rates": {}})
        row = problem["rates"].setdefault(str(record["rate"]), {})
        row.setdefault(record["width"], []).extend(record["succeeded"])
    problems = {name: _problem(len(PROBLEMS[name].data[0]), **counted) for name, counted in found.items()}
    claims = [claim for name, problem in problems.items() for claim in _claims(name, problem)]
    return {"problems": problems, "claims": dict([*claims, *_claims_of_rates(problems)])}


def _problem(samples: int, epochs: int, rates: Json) -> Json:
    budget = samples * epochs
    cells = {rate: [_cell(width, epoch, samples) for width, epoch in row.items()] for rate, row in rates.items()}
    enough = [cell["width"] for row in cells.values() for cell in row if cell["successes"]]
    return {
        "budget": budget,  # updates, each by one sample
        "suffices": min(enough, default=None),
        "rates": cells,
        "trends": {
            rate: _trend([c for c in row if c["width"] >= min(enough, default=0)]) for rate, row in cells.items()
        },
    }


def _cell(width: int, epochs: list[int | None], samples: int) -> Json:
    import numpy
    from scipy.stats import quantile_test

    updates = numpy.array([numpy.inf if epoch is None else epoch * samples for epoch in epochs])
    successes = int(numpy.isfinite(updates).sum())
    parameters = 4 * width + 1
    work = [with_restarts(updates), *bootstrap(updates)]
    return {
        "width": width,
        "parameters": parameters,
        "starts": len(updates),
        "successes": successes,
        "share": [successes / len(updates), *wilson(successes, len(updates))],
        "quartiles": _known(numpy.quantile(updates, (0.25, 0.5, 0.75), method="inverted_cdf")),
        "median": _known(quantile_test(updates).confidence_interval()),
        "work": _known(parameters * number for number in work),
    }


def _known(numbers: Iterable[float]) -> list[float | None]:
    """None for what lies beyond the budget."""
    return [float(number) if isfinite(number) else None for number in numbers]


def _trend(row: list[Json]) -> tuple[float, float]:
    return trend([log2(c["width"]) for c in row], [c["successes"] for c in row], [c["starts"] for c in row])


def _ends(problem: Json, rate: float = RATE) -> tuple[Json, Json]:
    """The smallest width that suffices, and the largest."""
    row = problem["rates"][str(rate)]
    return next(cell for cell in row if cell["width"] == problem["suffices"]), row[-1]


def _claims(name: str, problem: Json) -> list[tuple[str, bool]]:
    if problem["suffices"] is None:
        return [(f"{name}: there is a width that suffices", False)]
    row = problem["rates"][str(RATE)]
    small, large = _ends(problem)
    z, p = problem["trends"][str(RATE)]
    often = (
        f"{name}: {small['width']} hidden units suffice (some start succeeded), but of {small['starts']} starts "
        f"{_share(small)} succeed; with {large['width']} units {_share(large)}. The share rises with the width "
        f"(Cochran-Armitage: z = {z:.1f}, p = {p:.0e}), and falls nowhere between two widths"
    )
    soon = (
        f"{name}: the median start takes {_updates(small)} updates with {small['width']} units, "
        f"{_updates(large)} with {large['width']}"
    )
    cheapest = min(row, key=lambda cell: _or_inf(cell["work"][0]))
    work = (
        f"{name}: but an update costs more; as updates × parameters, restarts included, {large['width']} units take "
        f"{_work(large)}, and the cheapest, {cheapest['width']} units, {_work(cheapest)} ({small['width']} units: "
        f"{_work(small)})"
    )
    return [
        (often, large["share"][1] > small["share"][2] and p < 0.001 and not _falls(row)),
        (soon, _or_inf(large["median"][1]) < _or_inf(small["median"][0])),
        (work, _or_inf(cheapest["work"][2]) < _or_inf(large["work"][1])),
    ]


def _falls(row: list[Json]) -> bool:
    """Whether some width succeeds less often than a smaller one: a trend alone may hide that."""
    return any(wide["share"][2] < cell["share"][1] for cell, wide in combinations(row, 2))


def _claims_of_rates(problems: Json) -> list[tuple[str, bool]]:
    """That larger is easier at a smaller rate as well, and that this ends at too large a one."""
    solved = {name: problem for name, problem in problems.items() if problem["suffices"] is not None}
    ends = {name: _ends(problem, LOW) for name, problem in solved.items()}
    told = (f"{name} {_share(large)} beside {_share(small)}" for name, (small, large) in ends.items())
    claims = [
        (
            f"at the rate {LOW} as well, the largest width succeeds more often than the smallest: {'; '.join(told)}",
            bool(ends) and all(large["share"][1] > small["share"][2] for small, large in ends.values()),
        )
    ]
    if "spirals" in solved:
        row = solved["spirals"]["rates"][str(HIGH)]
        fits, wide = (next(cell for cell in row if cell["width"] == width) for width in (8, 32))  # as other runs told
        sentence = (
            f"but at a rate that is too large, more units can do harm: spirals at {HIGH} succeed with {fits['width']} "
            f"units in {_share(fits)}, with {wide['width']} units in {_share(wide)}; with {row[-1]['width']} in "
            f"{_share(row[-1])}"
        )
        claims.append((sentence, wide["share"][2] < fits["share"][1]))
    return claims


def _or_inf(number: float | None) -> float:
    return inf if number is None else number


def _share(cell: Json) -> str:
    share, low, high = (100.0 * number for number in cell["share"])
    return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def _updates(cell: Json) -> str:
    return _within([cell["quartiles"][1], *cell["median"]], "more than the budget")


def _work(cell: Json) -> str:
    return _within(cell["work"], "∞")


def _within(numbers: list[float | None], beyond: str) -> str:
    number, low, high = (beyond if n is None else _count(n) for n in numbers)
    return beyond if low == beyond else f"{number} ({low} to {high})"


def _count(number: float) -> str:
    """In three digits: 116520 as 117,000, 1704561 as 1.7 million."""
    return f"{number / 1e6:.3g} million" if number >= 1e6 else f"{float(f'{number:.3g}'):,.0f}"


# ---- what is shown ----------------------------------------------------------------------------------------


def report(summary: Json) -> str:
    """A row for each width."""
    lines = [f"problem  units  succeed (95 %)    median updates       work  succeed at rate {LOW}     {HIGH}"]
    for name, problem in summary["problems"].items():
        for low, cell, high in zip(*(problem["rates"][str(rate)] for rate in RATES), strict=True):
            share, least, most = (100.0 * number for number in cell["share"])
            beyond = f"> {problem['budget']:,}"
            updates, work = cell["quartiles"][1], cell["work"][0]
            lines.append(
                f"{name:<8} {cell['width']:>5} {share:>6.1f} % {f'({least:.0f} to {most:.0f})':<12}"
                f"{_count(updates) if updates else beyond:>11}{_count(work) if work else '':>14}"
                f"{100.0 * low['share'][0]:>17.1f}{100.0 * high['share'][0]:>8.1f}"
            )
    return "\n".join([*lines, "work: updates × parameters until a first success, with restarts"])


def table(records: list[Json], summary: Json) -> list[Json]:
    """A row for each problem, rate and width; empty is what lies beyond the budget."""
    return [
        {
            "problem": name, "rate": rate, "budget": problem["budget"],
            **{key: cell[key] for key in ("width", "parameters", "starts", "successes")},
            **_columns("share", ("", "_low", "_high"), cell["share"]),
            **_columns("updates", ("_q1", "_median", "_q3"), cell["quartiles"]),
            **_columns("updates_median", ("_low", "_high"), cell["median"]),
            **_columns("work", ("", "_low", "_high"), cell["work"]),
        }
        for name, problem in summary["problems"].items()
        for rate, row in problem["rates"].items()
        for cell in row
    ]  # fmt: skip


def _columns(name: str, endings: tuple[str, ...], numbers: list[float | None]) -> Json:
    return {f"{name}{ending}": number for ending, number in zip(endings, numbers, strict=True)}


INK, PALE = "#1971c2", "#868e96"
ANSWER: Json = {"fontsize": 9.5, "fontweight": "normal"}  # the title of a panel; its row's is bold


def draw(figure: Any, records: list[Json], summary: Json) -> None:
    """A row for each question, how often, how soon and at what cost; a column for each problem."""
    problems = summary["problems"]
    figure.set_layout_engine("none")  # a row's question stands between panels, of which no engine knows
    figure.suptitle(f"The lecture: “{LECTURE[0].upper()}{LECTURE[1:]}.”", fontsize=9.5, style="italic", y=0.99)
    edges = {"left": 0.09, "right": 0.985, "top": 0.895, "bottom": 0.055, "hspace": 0.5, "wspace": 0.27}
    rows = figure.subplots(3, len(problems), squeeze=False, gridspec_kw={**edges, "height_ratios": (1.2, 1.0, 1.0)})
    answers = (
        ("Do larger networks succeed more often?", "starts that succeed", _draw_shares),
        ("Do they need fewer updates?", "updates until success", _draw_updates),
        ("Is it less work in all?", "updates × parameters,\nrestarts included", _draw_work),
    )
    for row, (question, measure, answer) in zip(rows, answers, strict=True):
        figure.text(0.012, row[0].get_position().y1 + 0.034, question, weight="bold", fontsize=13)
        row[0].set_ylabel(measure)
        row[0].yaxis.set_label_coords(-0.21, 0.5)
        for panel, (name, problem) in zip(row, problems.items(), strict=True):
            cells = problem["rates"][str(RATE)]
            answer(panel, name, problem, cells)
            widths = [cell["width"] for cell in cells]
            panel.set_xscale("log", base=2)
            panel.set_xlim(widths[0] / 1.15, widths[-1] * 1.15)
            panel.set_xticks(widths, list(map(str, widths)))
            panel.minorticks_off()
    starts = cells[-1]["starts"]
    for panel, place, note in (
        (
            rows[0, 0],
            (0.97, 0.05),
            f"{starts} starts of each width\nat rate {RATE}, with 95 % intervals;\ndotted: rate {LOW}, dashed: {HIGH}",
        ),
        (rows[1, 0], (0.97, 0.6), "line: the median start\nband: the middle half"),
    ):
        panel.text(*place, note, transform=panel.transAxes, ha="right", color=PALE, fontsize=9)
    for panel in rows[-1]:
        panel.set_xlabel("hidden units")


def _draw_shares(panel: Any, name: str, problem: Json, cells: list[Json]) -> None:
    from matplotlib.ticker import PercentFormatter

    for rate, style in ((LOW, ":"), (HIGH, "--")):
        panel.plot(*_line(problem["rates"][str(rate)], "share"), color=PALE, lw=1.2, ls=style)
    gap, width, share = max(
        (cell["share"][0] - other["share"][0], other["width"], other["share"][0])
        for cell, other in zip(cells, problem["rates"][str(HIGH)], strict=True)
    )
    if gap > 0.15:  # else the lines lie too close together for a name
        beside = {"ha": "left", "va": "top", "xytext": (6, 0)} if share > 0.3 else {"ha": "right", "xytext": (0, 5)}
        panel.annotate(f"rate {HIGH}", (width, share), textcoords="offset points", color=PALE, fontsize=9, **beside)
    _bars(panel, cells, "share")
    panel.set_ylim(-0.05, 1.06)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    for cell in cells:
        if problem["suffices"] is None or cell["width"] < problem["suffices"]:
            panel.annotate(
                "never", (cell["width"], 0.0), (9, 4), textcoords="offset points", va="bottom", color=INK, fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip
    thumbnail = panel.inset_axes((0.66, 0.29, 0.32, 0.46))
    X, y = PROBLEMS[name].data
    for label, marker in enumerate("xo"):
        x1, x2 = zip(*(x for x, k in zip(X, y, strict=True) if k == label), strict=True)
        thumbnail.scatter(x1, x2, s=10, marker=marker, color=COLOURS[label], lw=0.8)
    thumbnail.set_axis_off()
    thumbnail.set_aspect("equal")
    thumbnail.margins(0.1)
    panel.set_title(name, **ANSWER)
    if problem["suffices"] is not None:
        small, large = _ends(problem)
        shares = [f"{100.0 * cell['share'][0]:.0f} %" for cell in (small, large)]
        panel.set_title(f"{name}: {shares[0]} with {small['width']} units, {shares[1]} with {large['width']}", **ANSWER)


def _draw_updates(panel: Any, name: str, problem: Json, cells: list[Json]) -> None:
    budget = problem["budget"]
    widths = [cell["width"] for cell in cells]
    low, middle, high = ([min(_or_inf(cell["quartiles"][i]), budget) for cell in cells] for i in range(3))
    panel.fill_between(widths, low, high, color=INK, alpha=0.18, lw=0)
    panel.plot(widths, middle, color=INK, lw=1.8)
    for width, cell, updates in zip(widths, cells, middle, strict=True):
        panel.plot(width, updates, color=INK, marker="^" if cell["quartiles"][1] is None else "o", ms=5)
    panel.axhline(budget, color=PALE, lw=1.0, ls="-.")
    panel.annotate(
        f"budget: {budget:,}", (widths[-1], budget), (0, -4), textcoords="offset points", ha="right", va="top",
        color=PALE, fontsize=9,
    )  # fmt: skip
    _scale(panel, (1.0, 2.0, 5.0))
    if problem["suffices"] is not None:
        small, large = _ends(problem)
        updates = [
            "most fail" if cell["quartiles"][1] is None else _count(cell["quartiles"][1]) for cell in (small, large)
        ]
        panel.set_title(f"{updates[0]} with {small['width']} units, {updates[1]} with {large['width']}", **ANSWER)


def _draw_work(panel: Any, name: str, problem: Json, cells: list[Json]) -> None:
    _bars(panel, cells, "work")
    _scale(panel, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
    if problem["suffices"] is not None:
        best = min(cells, key=lambda cell: _or_inf(cell["work"][0]))
        panel.plot(best["width"], best["work"][0], marker="o", ms=13, mfc="none", mec=COLOURS[0], mew=1.8)
        panel.set_title(f"cheapest: {best['width']} units", color=COLOURS[0], **ANSWER)


def _line(cells: list[Json], key: str) -> tuple[list[int], list[float]]:
    known = [cell for cell in cells if cell[key][0] is not None]
    return [cell["width"] for cell in known], [cell[key][0] for cell in known]


def _bars(panel: Any, cells: list[Json], key: str) -> None:
    widths, numbers = _line(cells, key)
    ends = [[_or_inf(cell[key][i]) for cell in cells if cell["width"] in widths] for i in (1, 2)]
    reach = [[abs(end - number) for end, number in zip(side, numbers, strict=True)] for side in ends]
    panel.errorbar(widths, numbers, yerr=reach, color=INK, marker="o", ms=5, lw=1.8, capsize=2.5)


def _scale(panel: Any, ticks: tuple[float, ...]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=ticks))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda number, _: _count(number)))
