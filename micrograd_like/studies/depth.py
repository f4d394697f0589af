"""Depth: how δ shrinks or grows on its way back through the layers, and the product of (1 - f²) w that says why.

Three parts. The lecture's chain, one unit for each layer: δ by the engine, and the product. Networks of wide layers:
the mean square of δ in each layer, and what the recurrence δ_j^l = f'(z_j^l) Σ_k w_jk^{l+1} δ_k^{l+1} gives on average
over random weights of variance s²/n,

    mean of (δ^l)² = s² · mean of f'(z^l)² · mean of (δ^{l+1})²,

where z^l is normal with a variance that goes forward in the same way: q^1 = s² · mean of x², q^{l+1} = s² · mean of
f(z^l)². (Poole et al., Exponential expressivity in deep neural networks through transient chaos, 2016; Schoenholz et
al., Deep information propagation, 2017.) Nothing measured goes into that. And what it does to learning: the share of
the starts from which SGD learns a small task, by the depth.
"""

from collections.abc import Callable
from functools import lru_cache
from math import exp, fsum, sqrt
from random import Random
from typing import Any

from .. import data, nn
from ..byhand.lecture import ACTIVATIONS, chain_deltas
from ..lecture import chain
from ..losses import binary_cross_entropy, squared_error
from ..ops import FUNCTIONS
from ..show.plane import COLOURS
from ..show.plots import MARKERS
from ..walks import topological
from .intervals import mean, wilson
from .learner import Learner
from .runs import Json

LECTURE = "δ_i = (1 - f_i²) w_{i+1} δ_{i+1}"
SIZE = (11.0, 8.6)

WIDTH, LAYERS = 64, 24  # of the networks in which δ is measured
UNITS = 24  # of the chain
CHAIN = (0.5, 1.0, 2.0)  # the sizes of its weights


def small(rng: Any, nin: int) -> float:
    """Half of what keeps the size of signals."""
    return 0.5 * nn.xavier(rng, nin)


# How weights are drawn: the function, the variance times n, how it is written.
INITS: dict[str, tuple[Callable[[Any, int], float], Callable[[int], float], str]] = {
    "small": (small, lambda n: 0.25, "half of Xavier"),
    "xavier": (nn.xavier, lambda n: 1.0, "Xavier"),
    "he": (nn.he, lambda n: 2.0, "He"),
    "uniform": (nn.uniform, lambda n: n / 3.0, "uniform, -1 to 1"),
}
NETWORKS = (
    ("tanh", "uniform"),
    ("tanh", "xavier"),
    ("tanh", "small"),
    ("relu", "he"),
    ("relu", "xavier"),
    ("sigmoid", "xavier"),
)

# The task that networks of all depths learn.
SAMPLES, BATCH, EPOCHS, HIDDEN = 60, 10, 1000, 8
RATES = (0.02, 0.1, 0.5)  # each depth and start is given the best of them
LEARNERS = (("relu", "he"), ("tanh", "xavier"), ("tanh", "uniform"), ("tanh", "small"))
DEPTHS = (1, 2, 4, 8, 12, 16, 24)


def tasks(*, full: bool, seed: int) -> list[Json]:
    """The chains; ten networks at a time; the starts of one depth."""
    networks, starts = (200, 200) if full else (40, 40)
    depths = (*DEPTHS, 32, 48) if full else DEPTHS
    return [
        *({"part": "chain", "size": size, "seed": seed} for size in CHAIN),
        *(
            {"part": "network", "activation": activation, "init": init, "seeds": [seed + i, seed + i + 10]}
            for activation, init in NETWORKS
            for i in range(0, networks, 10)
        ),
        *(
            {"part": "learn", "activation": activation, "init": init, "depth": depth, "seeds": [seed, seed + starts]}
            for depth in depths
            for activation, init in LEARNERS
        ),
    ]


def run(task: Json) -> Json:
    """What the part of the task measures."""
    return {"chain": _chain, "network": _network, "learn": _learn}[task["part"]](task)


# ---- the chain -------------------------------------------------------------------------------------


def _chain(task: Json) -> Json:
    """|δ_i / δ_L| of each unit by the engine; and by the product, of plain floats."""
    rng = Random(task["seed"])
    w = [rng.choice((-1, 1)) * task["size"] * exp(rng.uniform(-0.5, 0.5)) for _ in range(UNITS)]
    x, y = 0.8, 0.5
    _, loss = chain(w, x, y)
    loss.backward()
    by_engine = [node.grad for node in topological(loss) if node.name and node.name.startswith("z")]
    return {
        "measured": [abs(delta / by_engine[-1]) for delta in by_engine],
        "formula": [abs(delta / deltas[-1]) for deltas in [chain_deltas(w, x, y)] for delta in deltas],
    }


# ---- wide layers -----------------------------------------------------------------------------------


def _network(task: Json) -> Json:
    """For each network, the mean square of δ in each layer, as a multiple of that in the last."""
    init = INITS[task["init"]][0]
    return {"squares": [squares(task["activation"], init, seed) for seed in range(*task["seeds"])]}


def squares(
    activation: str, init: Callable[[Any, int], float], seed: int, width: int = WIDTH, layers: int = LAYERS
) -> list[float]:
    """(mean of (δ^l)²) / (mean of (δ^L)²) for l = 1 … L in a random network, by the engine."""
    rng = Random(seed)
    x = [rng.gauss(0.0, 1.0) for _ in range(width)]
    size = sqrt(fsum(xi * xi for xi in x) / width)
    f: list[Any] = [xi / size for xi in x]  # so that the mean of x² is 1
    zs = []
    for _ in range(layers):
        zs.append(nn.Layer(width, width, activation=None, rng=rng, init=init)(f))
        f = [FUNCTIONS[activation](z) for z in zs[-1]]
    squared_error(nn.Neuron(width, activation=None, rng=rng, init=init)(f), 0.5).backward()
    sums = [fsum(z.grad * z.grad for z in layer) for layer in zs]
    return [total / sums[-1] for total in sums]


def factors(activation: str, variance: float, layers: int = LAYERS) -> list[float]:
    """s² · mean of f'(z^l)² for l = 1 … L - 1: what (δ^l)² is of (δ^{l+1})² on average, by the formula.

    variance: s², n times that of a weight.
    """
    import numpy

    f, slope = (numpy.vectorize(function, otypes=[float]) for function in ACTIVATIONS[activation])
    g = numpy.linspace(-9.0, 9.0, 3600)  # an even number of points, so that none is at the corner of relu
    normal = numpy.exp(-g * g / 2.0)
    normal /= normal.sum()
    q, found = variance, []
    for _ in range(layers - 1):
        z = sqrt(q) * g
        found.append(float(variance * (normal * slope(z) ** 2).sum()))
        q = float(variance * (normal * f(z) ** 2).sum())
    return found


# ---- learning --------------------------------------------------------------------------------------


def _learn(task: Json) -> Json:
    """For each rate, from how many of the starts all samples were learned."""
    learner = _learner(task["activation"], task["depth"])
    learner.init = INITS[task["init"]][0]
    starts = range(*task["seeds"])
    return {"starts": len(starts), "learned": [sum(_learns(learner, seed, rate) for seed in starts) for rate in RATES]}


@lru_cache(maxsize=4)
def _learner(activation: str, depth: int) -> Learner:
    X, y = data.circles(SAMPLES, 0.05, seed=0)
    return Learner([2, *[HIDDEN] * depth, 1], X, y, binary_cross_entropy, BATCH, activation=activation)


def _learns(learner: Learner, seed: int, rate: float) -> bool:
    """Whether it tells every sample right at one of ten looks."""
    learner.begin(seed, rate)
    try:
        for _ in range(10):
            learner.run(EPOCHS // 10)
            if learner.measure()[1] == 1.0:
                return True
    except FloatingPointError:
        pass
    return False


# ---- what follows ----------------------------------------------------------------------------------


def conclude(records: list[Json]) -> Json:
    """δ by layer and by formula; per layer, how far these are apart; the shares that learned."""
    chains = [r for r in records if r["part"] == "chain"]
    pairs = [pair for r in chains for pair in zip(r["measured"], r["formula"], strict=True)]
    apart = max(abs(a - b) / b for a, b in pairs)
    claims = {
        f"the product of (1 - f²) w is the engine's δ at all {len(pairs)} units of the chains: they differ by "
        f"{apart:.0e} at most": apart < 1e-12
    }
    networks = [_conclude_network(records, activation, init) for activation, init in NETWORKS]
    for network in networks:
        claims[
            f"{_name(network)}: each layer changes δ² as the formula says, within 10%: measured / formula = "
            f"{_text(network['ratio'])}"
        ] = network["ratio"][1] > 0.9 and network["ratio"][2] < 1.1
    learned = [
        {**{key: r[key] for key in ("activation", "init", "depth", "starts")}, **_best(r)}
        for r in records
        if r["part"] == "learn"
    ]
    for activation, init in LEARNERS[1:]:
        shallow, *_, deep = (r for r in learned if (r["activation"], r["init"]) == (activation, init))
        claims[
            f"{_name(deep)}: {deep['depth']} hidden layers learn less often than {shallow['depth']}: "
            f"{_text(deep['share'], '.0%')}, {_text(shallow['share'], '.0%')}"
        ] = deep["share"][2] < shallow["share"][1]
    return {"claims": claims, "networks": networks, "learned": learned}


def _conclude_network(records: list[Json], activation: str, init: str) -> Json:
    import numpy

    found = numpy.array(
        [
            row
            for r in records
            if (r["part"], r.get("activation"), r.get("init")) == ("network", activation, init)
            for row in r["squares"]
        ]
    )
    expected = factors(activation, INITS[init][1](WIDTH))
    # The factors of one network at a time: their mean has an interval that can be relied on, while δ² itself, a product
    # of them, is mostly small and now and then very large.
    ratios = (found[:, :-1] / found[:, 1:] / expected).mean(axis=1)
    return {
        "activation": activation,
        "init": init,
        "starts": len(found),
        "ratio": mean(ratios.tolist()),
        "factor": sqrt(float(numpy.prod(expected)) ** (1.0 / len(expected))),
        "measured": numpy.sqrt(found.mean(axis=0)).tolist(),
        "between": [numpy.sqrt(numpy.quantile(column, [0.1, 0.9])).tolist() for column in found.T],
        "formula": [sqrt(float(x)) for x in [*numpy.cumprod(expected[::-1])[::-1], 1.0]],
    }


def _best(record: Json) -> Json:
    learned = max(record["learned"])
    low, high = wilson(learned, record["starts"])
    return {"rate": RATES[record["learned"].index(learned)], "share": (learned / record["starts"], low, high)}


def _name(what: Json) -> str:
    return f"{what['activation']}, {INITS[what['init']][2]}"


def _text(interval: tuple[float, float, float], form: str = ".3f") -> str:
    centre, low, high = (format(x, form) for x in interval)
    return f"{centre} [{low}, {high}]"


def report(summary: Json) -> str:
    """The networks and the shares that learned, as tables."""
    lines = [f"{'weights':28}{'factor of |δ| a layer, measured':>34}{'formula':>10}{f'over {LAYERS - 1} layers':>18}"]
    for network in summary["networks"]:
        ratio = [network["factor"] * sqrt(x) for x in network["ratio"]]
        lines.append(
            f"{_name(network):28}{_text(tuple(ratio)):>34}{network['factor']:>10.3f}{network['formula'][0]:>18.1e}"
        )
    depths = sorted({r["depth"] for r in summary["learned"]})
    starts = summary["learned"][0]["starts"]
    heading = f"of {starts} starts learned, with hidden layers"
    lines += ["", f"{heading:44}" + "".join(f"{depth:>7}" for depth in depths)]
    for activation, init in LEARNERS:
        shares = [r for r in summary["learned"] if (r["activation"], r["init"]) == (activation, init)]
        lines.append(f"{_name(shares[0]):44}" + "".join(f"{r['share'][0]:>7.0%}" for r in shares))
    return "\n".join(lines)


def table(records: list[Json], summary: Json) -> list[Json]:
    """A row for each unit of a chain, each layer of a network (|δ| as a share of the last layer's), each depth."""
    rows = [
        {"part": "chain", "activation": "tanh", "init": r["size"], "layer": i, "measured": a, "low": "", "high": "",
         "formula": b}
        for r in records if r["part"] == "chain"
        for i, (a, b) in enumerate(zip(r["measured"], r["formula"], strict=True), 1)
    ]  # fmt: skip
    rows += [
        {"part": "network", "activation": n["activation"], "init": n["init"], "layer": i, "measured": a, "low": low,
         "high": high, "formula": b}
        for n in summary["networks"]
        for i, (a, (low, high), b) in enumerate(zip(n["measured"], n["between"], n["formula"], strict=True), 1)
    ]  # fmt: skip
    rows += [
        {"part": "learned", "activation": r["activation"], "init": r["init"], "layer": r["depth"],
         "measured": r["share"][0], "low": r["share"][1], "high": r["share"][2], "formula": ""}
        for r in summary["learned"]
    ]  # fmt: skip
    return rows


# ---- the picture -----------------------------------------------------------------------------------


def draw(figure: Any, records: list[Json], summary: Json) -> None:
    """The chain, δ by weights, δ by activation, and what it does to learning."""
    (chain, by_init), (by_activation, learning) = figure.subplots(2, 2)
    _draw_chain(chain, [r for r in records if r["part"] == "chain"])
    of = {(n["activation"], n["init"]): n for n in summary["networks"]}
    _draw_networks(by_init, [of["tanh", init] for init in ("uniform", "xavier", "small")])
    by_init.set_title("In wide layers, the weights decide whether\nδ grows or shrinks on its way back")
    pairs = (("relu", "he"), ("tanh", "xavier"), ("relu", "xavier"), ("sigmoid", "xavier"))
    _draw_networks(by_activation, [of[pair] for pair in pairs])
    by_activation.set_title("And so does the slope of the activation")
    _draw_learning(learning, summary["learned"])


def _draw_chain(ax: Any, chains: list[Json]) -> None:
    units = range(1, UNITS + 1)
    for colour, marker, r in zip(COLOURS, MARKERS, chains, strict=False):
        ax.plot(units, r["formula"], color=colour, linewidth=1.2)
        ax.plot(units, r["measured"], marker, color=colour, markersize=4.5, markeredgecolor="white")
        _label(ax, f"|w| about {r['size']:g}", r["measured"][0], colour)
    ax.set(yscale="log", xlabel="unit i", ylabel="$|\\delta_i|\\, /\\, |\\delta_L|$")
    ax.margins(y=0.15)
    ax.set_title("A chain of units: points by the engine,\nlines the product of $(1 - f_k^2)\\, w_{k+1}$")


def _draw_networks(ax: Any, networks: list[Json]) -> None:
    layers = range(1, LAYERS + 1)
    for colour, marker, n in zip(COLOURS, MARKERS, networks, strict=False):
        ax.fill_between(layers, *zip(*n["between"], strict=True), color=colour, alpha=0.15, linewidth=0)
        ax.plot(layers, n["formula"], color=colour, linewidth=1.5)
        ax.plot(layers, n["measured"], marker, color=colour, markersize=4.5, markeredgecolor="white")
        text = f"{_name(n)}: × {n['factor']:.2f} a layer"
        _label(ax, text, n["formula"][0], colour, above=n["factor"] > 0.98)
    ax.set(
        yscale="log",
        xlabel=f"layer l, of {WIDTH} units (bands: 8 of 10 networks)",
        ylabel="$|\\delta^l|\\, /\\, |\\delta^L|$, root mean square",
    )
    ax.margins(y=0.1)


def _label(ax: Any, text: str, height: float, colour: str, *, above: bool = False) -> None:
    """At the left end of a curve, on the side to which it does not go."""
    from matplotlib.patheffects import withStroke

    ax.annotate(
        text, (1, height), (-2, 9 if above else -17), textcoords="offset points", color=colour, zorder=4,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )  # fmt: skip


def _draw_learning(ax: Any, learned: list[Json]) -> None:
    ends = []
    for colour, marker, (activation, init) in zip(COLOURS, MARKERS, LEARNERS, strict=False):
        rows = [r for r in learned if (r["activation"], r["init"]) == (activation, init)]
        shares, lows, highs = zip(*(r["share"] for r in rows), strict=True)
        depths = [r["depth"] for r in rows]
        ax.fill_between(depths, lows, highs, color=colour, alpha=0.15, linewidth=0)
        ax.plot(depths, shares, marker=marker, color=colour, markersize=5, markeredgecolor="white")
        ends.append((shares[-1], _name(rows[0]), colour))
    height = -1.0
    for share, text, colour in sorted(ends):
        height = max(share, height + 0.07)  # labels do not cover one another
        ax.annotate(f" {text}", (depths[-1], height), color=colour, va="center", annotation_clip=False)
    ax.set(xlabel=f"hidden layers, of {HIDDEN} units (bands: 95% intervals)", ylim=(-0.03, 1.03))
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_ylabel("share of starts that learn")
    ax.set_title("Where δ shrinks, deep networks do not learn")
