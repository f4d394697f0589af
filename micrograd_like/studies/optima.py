"""Local optima: a network that is too small for its task has several minima, and training ends in one of them.

Twelve points are two hills, one higher than the other. Two tanh units can make one hill, so that the network has to
leave out the other: which of them is settled by where it starts. The objective is the lecture's squared error, its mean
over the points, and a little weight decay, λ Σ w². Without it some units would get steeper for ever, and the minimum
that they are on the way to would not be anywhere.

tanh(-z) = -tanh(z), and units can change places: each minimum is there 2² · 2! = 8 times, as the same function. Here
all eight are one, by their `canonical` form.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, permutations, product
from math import cos, inf, pi, sin
from random import Random
from typing import Any

from ..losses import squared_error
from ..ops import tanh
from ..show.plane import COLOURS
from ..show.plots import MARKERS
from ..transforms import hessian, value_and_grad
from .intervals import difference, wilson
from .learner import Learner, native
from .proof import prove
from .runs import Json

LECTURE = (
    "with several layers the loss is no longer convex in the weights: no SGD method is guaranteed to reach the global "
    "optimum"
)
SIZE = (12.0, 9.5)

UNITS = 2
# All are exact in binary, so that what is proved is proved of these very numbers.
HEIGHTS = (0.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0, 0.75, 1.5, 1.5, 0.75, 0.0)
POINTS = [(0.375 * (i - 5.5), height) for i, height in enumerate(HEIGHTS)]
DECAY = 2.0**-10
RADIUS = 1e-8  # within which of a point that was found a minimum is proved

EPOCHS = 6400  # of all runs together that one repeat has: its cost is 12 times that in gradients of a sample
RESTARTS = (1, 2, 4, 8, 16, 32, 64)
SOME = 4  # of them, chosen beforehand to be compared with one and with many
STAIRS = 20  # down which the learning rate of SGD goes, in equal steps, towards 0
METHODS: dict[str, Json] = {
    "gradient descent": {"batch": len(POINTS), "lr": 0.1, "stairs": 1},
    "SGD": {"batch": 1, "lr": 0.01, "stairs": STAIRS},
    "noisier SGD": {"batch": 1, "lr": 0.05, "stairs": STAIRS},
}
CHUNK = 50  # repeats in a task
NEAR = 0.1  # a run has arrived at a minimum if its objective is that much of it above it, or less
STARTS, PATH = 9, 4000  # paths of SGD that are drawn, and their epochs
STEP = 10  # epochs from one point of them to the next
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


# ---- the network and its objective -----------------------------------------------------------------------------


def output(w: Sequence[Any], x: Any) -> Any:
    """What the network makes of x. w: of each unit its weight and offset; the weights of the output, and its offset."""
    units = [tanh(w[2 * j] * x + w[2 * j + 1]) for j in range(UNITS)]
    return sum((v * f for v, f in zip(w[2 * UNITS : -1], units, strict=True)), w[-1])


def loss(w: Sequence[Any], x: Any, y: Any) -> Any:
    """The objective of one sample."""
    return squared_error(output(w, x), y) + DECAY * sum(v**2 for v in w)


def objective(w: Sequence[Any]) -> Any:
    """The mean over all points."""
    return sum(loss(w, x, y) for x, y in POINTS) / len(POINTS)


@lru_cache
def derivatives() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The functions from weights to (the objective, its gradient) and to its Hessian, as numpy arrays."""
    import numpy

    if not native():
        return value_and_grad(objective), hessian(objective)
    from ..compiler import compile  # noqa: A004

    x, y = map(numpy.array, zip(*POINTS, strict=True))
    slope, curvature = (compile(f(loss), batched=(1, 2)) for f in (value_and_grad, hessian))
    return lambda w: slope(w, x, y), lambda w: curvature(w, x, y)


def polish(w: Any) -> Any:
    """Down from these weights to a minimum: a trust region, which never goes up, then Newton's method."""
    import numpy
    from scipy.optimize import minimize

    slope, curvature = derivatives()
    w = minimize(slope, w, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-8}).x
    for _ in range(3):
        w = w - numpy.linalg.solve(curvature(w), slope(w)[1])
    return w


def copies(w: Sequence[float]) -> Iterator[list[float]]:
    """The weights that make the same function, by symmetry."""
    units = [(w[2 * j], w[2 * j + 1], w[2 * UNITS + j]) for j in range(UNITS)]
    for order in permutations(units):
        for signs in product((1.0, -1.0), repeat=UNITS):
            flipped = [[s * number for number in unit] for s, unit in zip(signs, order, strict=True)]
            yield [*(number for unit in flipped for number in unit[:2]), *(unit[2] for unit in flipped), w[-1]]


def canonical(w: Sequence[float]) -> list[float]:
    """The one of the copies whose units rise, from left to right."""
    rising = (v for v in copies(w) if all(v[2 * j] >= 0.0 for j in range(UNITS)))
    return max(rising, key=lambda v: [v[2 * j + 1] / max(v[2 * j], 1e-12) for j in range(UNITS)])


# ---- the runs --------------------------------------------------------------------------------------------------


def start(rng: Any, nin: int) -> float:
    """The start of a weight: twice as large as `nn.xavier`, for from near 0, a saddle, training takes long to leave."""
    return float(rng.gauss(0.0, 2.0 * nin**-0.5))


@lru_cache
def learner(batch: int) -> Learner:
    """The network, to be trained with batches of this size."""
    xs, ys = zip(*POINTS, strict=True)
    return Learner([1, UNITS, 1], [[x] for x in xs], list(ys), squared_error, batch, init=start)


def weights(one: Learner) -> list[float]:
    """Its weights now, in the order in which `output` takes them."""
    return [p.data for p in one.params]


def tasks(*, full: bool, seed: int) -> list[Json]:
    """For each method and number of restarts 400 repeats (full: 10,000)."""
    repeats = 10_000 if full else 400
    return [
        {"method": method, "restarts": restarts, "first": first, "repeats": CHUNK, "seed": seed}
        for method in METHODS
        for restarts in RESTARTS
        for first in range(0, repeats, CHUNK)
    ]


def run(task: Json) -> Json:
    """For each repeat, the lowest objective that its restarts ended with; of single runs, their minimum as well."""
    reached, minima = [], []
    for repeat in range(task["first"], task["first"] + task["repeats"]):
        ends = [_train(task, repeat, k) for k in range(task["restarts"])]
        value, w = min(ends)
        reached.append(value)
        if task["restarts"] == 1:
            minima.append(canonical(polish(w).tolist()))
    return {"reached": reached, "minima": minima}


def _train(task: Json, repeat: int, k: int) -> tuple[float, list[float]]:
    """One run: the objective it ended with, and the weights. All methods have the same starts."""
    method, restarts = METHODS[task["method"]], task["restarts"]
    one = learner(method["batch"])
    one.begin(Random(f"{task['seed']} {restarts} {repeat} {k}").getrandbits(62), method["lr"], weight_decay=2.0 * DECAY)
    for stair in range(method["stairs"]):
        one.optimizer.lr = method["lr"] * (1.0 - stair / method["stairs"])
        one.run(EPOCHS // restarts // method["stairs"])
    w = weights(one)
    return one.measure()[0] + DECAY * sum(v * v for v in w), w


# ---- what follows ----------------------------------------------------------------------------------------------


def conclude(records: list[Json]) -> Json:
    """The minima, proved, and how many runs ended in each; what is reached at equal cost; a plane through three."""
    minima = _minima([w for r in records for w in r["minima"]])
    best = minima[0]["value"] if minima else inf
    summary = {
        "minima": minima,
        "ends": {method: _ends(minima, _single(records, method)) for method in METHODS},
        "cost": {method: [_reached(records, method, n, best) for n in RESTARTS] for method in METHODS},
        "plane": _plane(minima) if len(minima) > 2 else None,
    }  # fmt: skip
    return {"claims": _claims(summary), **summary}


def _claims(summary: Json) -> dict[str, bool]:
    minima, plane = summary["minima"], summary["plane"]
    values = [m["proved"]["value"] for m in minima]
    apart = all(high < low for (_, high), (low, _) in pairwise(values))
    listed = ", ".join(f"{m['value']:.7f}" for m in minima)
    claims = {
        f"there are different minima: {len(minima)} are proved, each the only one within {RADIUS:g} of a point that "
        f"was found; their values, {listed}, differ by more than the proofs leave open": len(minima) > 1 and apart
    }
    if plane:
        claims[
            f"on the straight line from the best to the next the objective rises to {plane['barrier']:.3f}, above "
            "both: it is not convex"
        ] = plane["barrier"] > 1.01 * minima[1]["value"]
    for method, ends in summary["ends"].items():
        worse = _share(sum(e["count"] for e in ends[1:-1]), ends[0]["trials"])
        claims[f"{method} ends in a minimum that is not the best in {_told(worse)} of the runs"] = (
            worse["share"][1] > 0.05
        )
    for method, row in summary["cost"].items():
        by = {r["restarts"]: r for r in row}
        one, some, many = by[1], by[SOME], by[RESTARTS[-1]]
        low, high = _difference(some, one)
        claims[
            f"at equal cost, {SOME} shorter runs of {method} come near the best minimum more often than one long run: "
            f"{_told(some)}, {_told(one)}; difference {low:+.0%} to {high:+.0%}"
        ] = low > 0.0
        low, high = _difference(some, many)
        claims[
            f"but {many['restarts']} runs of {method} are too short to get there: {_told(many)}; difference "
            f"{low:+.0%} to {high:+.0%}"
        ] = low > 0.0
    return claims


def _difference(a: Json, b: Json) -> tuple[float, float]:
    return difference((a["count"], b["count"]), (a["trials"], b["trials"]))


def _told(share: Json) -> str:
    centre, low, high = share["share"]
    return f"{centre:.1%} [{low:.1%}, {high:.1%}]"


def _minima(points: list[list[float]]) -> list[Json]:
    """The different ones that can be proved, the lowest first."""
    import numpy

    slope, curvature = derivatives()
    different: list[list[float]] = []
    for w in points:
        if not any(_same(w, other) for other in different):
            different.append(w)
    found = []
    for w in different:
        proof = prove(objective, w, RADIUS)
        if proof.holds:
            value, gradient = slope(numpy.array(w))
            found.append({
                "weights": w,
                "value": float(value),
                "gradient": float(numpy.linalg.norm(gradient)),
                "eigenvalue": float(numpy.linalg.eigvalsh(curvature(numpy.array(w)))[0]),
                "proved": proof._asdict(),
            })  # fmt: skip
    return sorted(found, key=lambda m: m["value"])


def _same(w: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) < 1e-6 for a, b in zip(w, other, strict=True))


def _single(records: list[Json], method: str) -> list[tuple[float, list[float]]]:
    """Of each single run of the method, the objective that it ended with, and the minimum below."""
    own = (r for r in records if (r["method"], r["restarts"]) == (method, 1))
    return [end for r in own for end in zip(r["reached"], r["minima"], strict=True)]


def _ends(minima: list[Json], ends: list[tuple[float, list[float]]]) -> list[Json]:
    """How many runs arrived at each of the minima; the last are still elsewhere, as near a saddle."""
    counts = [sum(_same(w, m["weights"]) and value <= (1.0 + NEAR) * m["value"] for value, w in ends) for m in minima]
    counts.append(len(ends) - sum(counts))
    return [_share(count, len(ends)) for count in counts]


def _share(count: int, trials: int) -> Json:
    return {"count": count, "trials": trials, "share": (count / trials, *wilson(count, trials))}


def _reached(records: list[Json], method: str, restarts: int, best: float) -> Json:
    """How many repeats came near the best minimum."""
    values = [v for r in records if (r["method"], r["restarts"]) == (method, restarts) for v in r["reached"]]
    near = sum(value <= (1.0 + NEAR) * best for value in values)
    return {"restarts": restarts, "median": sorted(values)[len(values) // 2], **_share(near, len(values))}


def _plane(minima: list[Json]) -> Json:
    """The plane through the three lowest minima: origin, two directions, where the minima are; paths of SGD on it."""
    import numpy

    a, b, c = (numpy.array(m["weights"]) for m in minima[:3])
    # Of the copies, those that are near one another.
    b = min(map(numpy.array, copies(b.tolist())), key=lambda v: numpy.linalg.norm(v - a))
    c = min(map(numpy.array, copies(c.tolist())), key=lambda v: numpy.linalg.norm(v - a) + numpy.linalg.norm(v - b))
    across = (b - a) / numpy.linalg.norm(b - a)
    up = c - a - across * ((c - a) @ across)
    up /= numpy.linalg.norm(up)
    slope, _ = derivatives()
    line = [float(slope(a + t * (b - a))[0]) for t in numpy.linspace(0.0, 1.0, 101)]
    corners = [[float((v - a) @ across), float((v - a) @ up)] for v in (a, b, c)]
    paths = [_path(minima, a, across, up, start) for start in _starts(corners)]
    return {
        "origin": a.tolist(),
        "directions": [across.tolist(), up.tolist()],
        "minima": corners,
        "barrier": max(line),
        "paths": paths,
    }


def _starts(corners: list[list[float]]) -> Iterator[tuple[float, float]]:
    """Points of the plane between the minima: near the centre of the triangle and on the middle of its sides."""
    x, y = (sum(corner[i] for corner in corners) / 3.0 for i in (0, 1))
    for i in range(STARTS):
        angle = 2.0 * pi * (i + 0.5) / STARTS
        yield x + 1.6 * cos(angle), y + 1.6 * sin(angle)


def _path(minima: list[Json], origin: Any, across: Any, up: Any, begin: tuple[float, float]) -> Json:
    """SGD from a point of the plane: where it goes, as the eye sees it from above, and in which minimum it ends."""
    import numpy

    one = learner(1)
    one.begin(0, 1.0, weight_decay=2.0 * DECAY)
    for p, x in zip(one.params, origin + begin[0] * across + begin[1] * up, strict=True):
        p.data = float(x)
    seen = [weights(one)]
    for epoch in range(0, PATH, STEP):
        one.optimizer.lr = METHODS["noisier SGD"]["lr"] * (1.0 - epoch / PATH)
        one.run(STEP)
        seen.append(weights(one))
    away = numpy.array(seen) - origin
    flat = numpy.stack([away @ across, away @ up], axis=1)
    end = canonical(polish(numpy.array(seen[-1])).tolist())
    kept = float(((flat - flat[0]) ** 2).sum() / ((away - away[0]) ** 2).sum())
    return {
        "points": flat.round(4).tolist(),
        "end": next((i for i, m in enumerate(minima) if _same(end, m["weights"])), None),
        "kept": kept,
    }


# ---- what is shown ---------------------------------------------------------------------------------------------


def report(summary: Json) -> str:
    """The minima, and what was reached at equal cost."""
    names = list(METHODS)
    starts = summary["ends"][names[0]][0]["trials"]
    above = f"{'smallest':>40}{'a minimum':>12}"
    lines = [f"{above}   runs that arrive there, from {len(names)} x {starts} starts"]
    lines.append(
        f"{'minimum':8}{'objective':>12}{'|∇|':>9}{'eigenvalue':>11}{'proved':>12}"
        + "".join(f"{name:>18}" for name in names)
    )
    for i, m in enumerate(summary["minima"]):
        lines.append(
            f"{LETTERS[i]:8}{m['value']:>12.7f}{m['gradient']:>9.0e}{m['eigenvalue']:>11.4f}"
            f"{f'± {RADIUS:g}':>12}" + "".join(f"{summary['ends'][name][i]['share'][0]:>18.1%}" for name in names)
        )
    lines.append(f"{'not there yet':52}" + "".join(f"{summary['ends'][n][-1]['share'][0]:>18.1%}" for n in names))
    lines += [
        "",
        f"at equal cost, {EPOCHS * len(POINTS):,} gradients of a sample: within {NEAR:.0%} of the best minimum",
        f"{'runs, the best of which counts':36}" + "".join(f"{n:>9}" for n in RESTARTS),
    ]
    for name, row in summary["cost"].items():
        lines.append(f"{name:36}" + "".join(f"{r['share'][0]:>9.1%}" for r in row))
    return "\n".join(lines)


def table(records: list[Json], summary: Json) -> list[Json]:
    """A row for each method and minimum, and for each method and number of restarts."""
    empty = dict.fromkeys(
        ("what", "method", "minimum", "objective", "gradient", "eigenvalue", "restarts", "median"), ""
    )
    rows = [
        {**empty, "what": "ends", "method": method, "minimum": LETTERS[i],
         **{key: m[of] for key, of in (("objective", "value"), ("gradient", "gradient"), ("eigenvalue", "eigenvalue"))},
         **_columns(ends[i])}
        for method, ends in summary["ends"].items()
        for i, m in enumerate(summary["minima"])
    ]  # fmt: skip
    rows += [
        {**empty, "what": "ends", "method": method, "minimum": "not there yet", **_columns(ends[-1])}
        for method, ends in summary["ends"].items()
    ]
    rows += [
        {**empty, "what": "cost", "method": method, "restarts": r["restarts"], "median": r["median"], **_columns(r)}
        for method, row in summary["cost"].items()
        for r in row
    ]
    return rows


def _columns(share: Json) -> Json:
    centre, low, high = share["share"]
    return {"count": share["count"], "trials": share["trials"], "share": centre, "low": low, "high": high}


def draw(figure: Any, records: list[Json], summary: Json) -> None:
    """Where runs end, what the minima are, a plane through three of them, and what noise and restarts do."""
    (ends, fits), (plane, cost) = figure.subplots(2, 2, gridspec_kw={"height_ratios": (1.0, 1.35)})
    _draw_fits(fits, summary["minima"])
    _draw_ends(ends, summary)
    _draw_plane(plane, summary)
    _draw_cost(cost, summary["cost"])


def _colour(i: int) -> str:
    return ("#2f9e44", "#d9480f", "#7048e8", "#495057")[min(i, 3)]


def _draw_ends(ax: Any, summary: Json) -> None:
    names = list(METHODS)
    for k, name in enumerate(names):
        for i, end in enumerate(summary["ends"][name]):
            centre, low, high = end["share"]
            last = i == len(summary["minima"])
            place = i + (k - 1) * 0.27
            ax.barh(
                place, centre, 0.25, xerr=[[centre - low], [high - centre]], color="#868e96" if last else _colour(i),
                alpha=(0.95, 0.65, 0.4)[k], error_kw={"lw": 1.0, "capsize": 2},
            )  # fmt: skip
            ax.text(
                high + 0.012,
                place,
                f"{name} {centre:.{0 < centre < 0.01:d}%}",
                va="center",
                fontsize=8.5,
                color="#495057",
            )
    labels = [f"minimum {LETTERS[i]}\nobjective {m['value']:.3f}" for i, m in enumerate(summary["minima"])]
    ax.set_yticks(range(len(labels) + 1), [*labels, "not there yet"])
    ax.invert_yaxis()
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.grid(visible=False, axis="y")
    worse = [_share(sum(e["count"] for e in ends[1:-1]), ends[0]["trials"])["share"][0] for ends in
             summary["ends"].values()]  # fmt: skip
    ax.set_title(f"{min(worse):.0%} to {max(worse):.0%} of the runs end in a minimum\nthat is not the best")


def _draw_fits(ax: Any, minima: list[Json]) -> None:
    import numpy

    xs, ys = zip(*POINTS, strict=True)
    at = numpy.linspace(xs[0] - 0.3, xs[-1] + 0.3, 200)
    styles = ("-", "--", ":", "-.")
    for i, m in reversed(list(enumerate(minima[:4]))):
        ax.plot(
            at, [float(output(m["weights"], x)) for x in at], styles[i], color=_colour(i), linewidth=2.2,
            label=f"minimum {LETTERS[i]}",
        )  # fmt: skip
    ax.plot(xs, ys, "o", color="#212529", markersize=6, markeredgecolor="white", zorder=3)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper right")
    ax.set(xlabel="x", ylabel="y", ylim=(-0.6, 3.1))
    ax.set_title("Two tanh units, two hills:\neach minimum leaves something out")


def _draw_plane(ax: Any, summary: Json) -> None:
    import numpy
    from matplotlib.patheffects import withStroke

    plane = summary["plane"]
    if plane is None:
        ax.text(0.5, 0.5, "fewer than three minima were found", ha="center", transform=ax.transAxes)
        return
    origin, (across, up) = numpy.array(plane["origin"]), map(numpy.array, plane["directions"])
    seen = numpy.array([*plane["minima"], *(point for path in plane["paths"] for point in path["points"])])
    (left, bottom), (right, top) = seen.min(axis=0) - 0.5, seen.max(axis=0) + numpy.array([1.0, 0.5])
    x, y = numpy.linspace(left, right, 60), numpy.linspace(bottom, top, 60)
    slope, _ = derivatives()
    heights = numpy.array([[slope(origin + u * across + v * up)[0] for u in x] for v in y])
    best = summary["minima"][0]["value"]
    levels = best * numpy.geomspace(1.0, max(heights.max() / best, 2.0), 20)
    filled = ax.contourf(x, y, heights, levels=levels, cmap="Blues", norm="log", extend="both", alpha=0.75)
    filled.set_rasterized(True)  # or an SVG of it is larger than all others
    ax.contour(x, y, heights, levels=levels, colors="white", linewidths=0.5)
    for path in plane["paths"]:
        points = numpy.array(path["points"])
        colour = "#868e96" if path["end"] is None else _colour(path["end"])
        ax.plot(*points.T, color="white", linewidth=2.6, alpha=0.8)
        ax.plot(*points.T, color=colour, linewidth=1.2)
        ax.plot(*points[0], "o", color=colour, markersize=6, markeredgecolor="white")
    for i, place in enumerate(plane["minima"]):
        ax.plot(*place, "*", color=_colour(i), markersize=20, markeredgecolor="white", zorder=4)
        ax.annotate(
            f"{LETTERS[i]} {summary['minima'][i]['value']:.2f}", place, (10, 8), textcoords="offset points",
            weight="bold", color=_colour(i), zorder=5, path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    kept = sorted(path["kept"] for path in plane["paths"])
    ax.set_title("The plane through the three lowest minima,\nand where SGD goes from nine of its points")
    ax.set(xlabel=f"seen from above: {kept[0]:.0%} to {kept[-1]:.0%} of the way lies in the plane", aspect="equal")
    ax.grid(visible=False)


def _draw_cost(ax: Any, cost: Json) -> None:
    for (method, row), colour, marker in zip(cost.items(), COLOURS[1:], MARKERS, strict=False):
        at = [r["restarts"] for r in row]
        shares, lows, highs = zip(*(r["share"] for r in row), strict=True)
        ax.fill_between(at, lows, highs, color=colour, alpha=0.15, linewidth=0)
        ax.plot(
            at,
            shares,
            marker=marker,
            color=colour,
            markeredgecolor="white",
            markersize=7,
            label=f"{method}, rate {METHODS[method]['lr']}",
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(RESTARTS, map(str, RESTARTS))
    ax.set(ylim=(-0.03, 1.03), xlabel=f"runs, all together of {EPOCHS:,} epochs; the best counts")
    ax.set_ylabel(f"within {NEAR:.0%} of the best minimum")
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.legend(loc="lower left")
    ax.set_title("At equal cost, some restarts help more than noise;\nvery many leave no time to arrive")
