"""Overcapacity: a network that can do more than its task needs learns its samples by heart. How to see it, and cures.

Two parts. Real data: MLPs of one hidden layer learn samples of which a share has wrong labels, and none; training and
validation loss by the number of units and of samples; what early stopping, weight decay and fewer units save, each
chosen on some samples that are set apart and measured on others. And `diagnose_capacity` put to the test: tasks of
which any number of new samples can be drawn, so that the true verdict is known, by the criterion of that function
itself applied to expected losses; and the verdicts that it gives to small samples of them.
"""

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from .. import data
from ..capacity import (
    DECAYS,
    TOLERANCE,
    VERDICTS,
    Estimate,
    Part,
    Plan,
    Problem,
    compared,
    costs,
    curves,
    diagnose_capacity,
    possible,
)
from ..show.plane import COLOURS
from .intervals import mean, wilson
from .runs import Json

if TYPE_CHECKING:
    import numpy

LECTURE = "a network can have more capacity than the task needs (overcapacity): one must be able to see that"
SIZE = (12.6, 8.0)

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
WIDE = WIDTHS[-1]
PLAN = Plan()

# Of each set of real data: samples to learn from, as against widths and as against themselves; and in each of the two
# parts that are set apart.
DATA = {
    "digits": (192, (48, 96, 192, 384, 768), 200),
    "breast cancer": (192, (48, 96, 192, 288), 140),
    "Iris": (48, (32, 48, 64, 80), 35),
}

# The tasks for `diagnose_capacity`: the shares of wrong labels (for numbers, the noise in standard deviations of the
# rest); and with each, samples to learn from and weight decay.
SETTINGS = ((64, 0.0), (256, 0.0), (256, 0.01))
TASKS = {
    "digits": ((0.0, 0.25), SETTINGS[:2]),
    "two classes": ((0.02, 0.25), SETTINGS),
    "numbers": ((0.1, 0.7), SETTINGS),
}
JUDGED = (2, 16)  # hidden units
SHARE = 0.2  # that is set apart
SHORT = Plan(epochs=100)
INPUTS, UNITS = 6, 6  # of the teacher


def tasks(*, full: bool, seed: int, noise: float = 0.2) -> list[Json]:
    """Networks on real data, some splits each; expected losses; verdicts. noise: the share of wrong labels.

    Raises ValueError for a share that is not between 0 and 1.
    """
    if not 0.0 < noise < 1.0:
        raise ValueError(f"noise, a share of wrong labels, should be between 0 and 1, got {noise!r}")
    splits, draws, verdicts = (40, 300, 60) if full else (10, 30, 10)
    found = []
    for name, (learn, sizes, _) in DATA.items():
        # Ordered so that networks of the same size, which share their code, follow each other.
        kinds = [(width, learn, 0.0) for width in WIDTHS]
        kinds += [(WIDE, n, 0.0) for n in sizes if n != learn] + [(WIDE, learn, decay) for decay in DECAYS]
        found += [
            {"part": "curve", "data": name, "width": width, "learn": n, "noise": share, "decay": decay,
             "splits": splits, "seed": seed}
            for width, n, decay in kinds
            for share in (0.0, noise)
        ]  # fmt: skip
    first = 10_000  # so that no two verdicts are on the same samples
    for name, (shares, settings) in TASKS.items():
        for share in shares:
            for n, decay in settings:
                task = {"data": name, "noise": share, "learn": n, "decay": decay, "seed": seed}
                found.append({"part": "truth", **task, "draws": draws})
                for width in JUDGED:
                    found.append({"part": "verdict", **task, "width": width, "draws": verdicts, "first": first})
                    first += verdicts
    return found


def run(task: Json) -> Json:
    """The losses of the networks, or the verdicts."""
    return {"curve": _curve, "truth": _truth, "verdict": _verdicts}[task["part"]](task)


# ---- real data -------------------------------------------------------------------------------------


def _curve(task: Json) -> Json:
    """losses: [part, split, checkpoint]; the parts are to learn from, to choose by, and to measure."""
    X, y = _load(task["data"])
    problem = Problem(y)
    held = DATA[task["data"]][2]
    seeds = range(1000 * task["seed"], 1000 * task["seed"] + task["splits"])
    splits = [problem.scaled(*parts(X, problem.y, task["learn"], held, task["noise"], seed)) for seed in seeds]
    losses = curves(problem, splits, [task["width"]], replace(PLAN, weight_decay=task["decay"]), task["seed"])
    return {"losses": losses.round(6).tolist(), "guessing": problem.guessing}


@lru_cache(maxsize=3)
def _load(name: str) -> Part:
    if name == "Iris":
        iris = data.iris()
        return iris.X, iris.y
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
    return X.tolist(), y.tolist()


def parts(X: list[list[float]], y: list[int], learn: int, held: int, noise: float, seed: int) -> list[Part]:
    """Samples to learn from, of which the share `noise` has wrong labels; and two parts without, to choose and measure.

    The three have no sample in common. The two do not depend on `learn` and `noise`, and more to learn from are those
    of less, and others.
    """
    X_learn, y_learn, X_held, y_held = data.split(X, y, 2 * held / len(X), seed)
    X_choose, y_choose, X_test, y_test = data.split(X_held, y_held, 0.5, seed)
    return [(X_learn[:learn], mislabelled(y_learn[:learn], noise, seed)), (X_choose, y_choose), (X_test, y_test)]


def mislabelled(y: list[int], noise: float, seed: int) -> list[int]:
    """The labels, this share of them replaced by others."""
    rng = Random(seed)
    kinds, found = sorted(set(y)), list(y)
    for i in rng.sample(range(len(y)), round(noise * len(y))):
        found[i] = rng.choice([kind for kind in kinds if kind != y[i]])
    return found


# ---- tasks of which the truth is known -------------------------------------------------------------


def _truth(task: Json) -> Json:
    """losses: of networks of each width on new samples, [draw, checkpoint]."""
    draws = [
        _sample(task["data"], task["noise"], task["learn"], 500, task["seed"], draw) for draw in range(task["draws"])
    ]
    problem = _problem(task)
    splits = [problem.scaled(*draw) for draw in draws]
    plan = replace(SHORT, weight_decay=task["decay"])
    found = {str(width): curves(problem, splits, [width], plan, task["seed"])[1] for width in WIDTHS}
    return {"losses": {width: losses.round(6).tolist() for width, losses in found.items()}}


def _problem(task: Json) -> Problem:
    """That of very many samples, so that the loss of guessing is that of the task."""
    return Problem(_sample(task["data"], task["noise"], 1000, 1, task["seed"], -1)[0][1])


def _verdicts(task: Json) -> Json:
    """verdicts: of `diagnose_capacity` on independent samples; and the costs that it decided by."""
    n = round(task["learn"] / (1.0 - SHARE))
    found = []
    for draw in range(task["draws"]):
        (X, y), _ = _sample(task["data"], task["noise"], n, 1, task["seed"], task["first"] + draw)
        settings: Json = {"epochs": SHORT.epochs, "weight_decay": task["decay"], "fraction": SHARE, "cures": False}
        found.append(diagnose_capacity(X, y, task["width"], **settings, seed=draw))
    return {
        "verdicts": [capacity.verdict for capacity in found],
        "sure": [capacity.sure for capacity in found],
        **{cost: [capacity.evidence[cost] for capacity in found] for cost in ("lacking", "excess")},
    }


def _sample(name: str, noise: float, learn: int, new: int, seed: int, draw: int) -> list[Part]:
    """Independent samples of a task: some to learn from, and new ones to measure by."""
    import numpy

    rng = numpy.random.default_rng([seed, 20_000 + draw])
    if name == "digits":
        X, y = _load("digits")
        X_pool, y_pool, X_new, y_new = data.split(X, y, 1.0 / 3.0, seed)  # what is new was never learned from
        found = []
        for (X, y), count in (((X_pool, y_pool), learn), ((X_new, y_new), new)):
            which = rng.permutation(len(X))[:count].tolist()
            found.append(([X[i] for i in which], mislabelled([y[i] for i in which], noise, int(rng.integers(2**31)))))
        return found
    inputs = rng.standard_normal((learn + new, INPUTS))
    targets = _teacher(seed, inputs)
    if name == "two classes":
        targets = (targets > 0.0) ^ (rng.random(learn + new) < noise)
        targets = targets.astype(int)
    else:
        targets = targets + noise * rng.standard_normal(learn + new)
    rows, numbers = inputs.tolist(), targets.tolist()
    return [(rows[:learn], numbers[:learn]), (rows[learn:], numbers[learn:])]


def _teacher(seed: int, inputs: "numpy.ndarray") -> "numpy.ndarray":
    """A random network of tanh units says what is right; of variance about 1, and mean 0 as its units are odd."""
    import numpy

    rng = numpy.random.default_rng([seed, 1])
    weights, outward = rng.standard_normal((INPUTS, UNITS)), rng.standard_normal(UNITS)
    many = numpy.tanh(rng.standard_normal((10_000, INPUTS)) @ weights) @ outward
    found: numpy.ndarray = numpy.tanh(inputs @ weights) @ outward / many.std()
    return found


# ---- what follows ----------------------------------------------------------------------------------


def conclude(records: list[Json]) -> Json:
    """Losses by units, samples and epochs; what cures save; how often `diagnose_capacity` is right."""
    noise = max(r["noise"] for r in records if r["part"] == "curve")
    real = {name: {str(share): _real(records, name, share) for share in (0.0, noise)} for name in DATA}
    summary: Json = {"noise": noise, "real": real, "diagnosis": _diagnosis(records)}
    return {"claims": _claims(summary), **summary}


def _real(records: list[Json], name: str, noise: float) -> Json:
    import numpy

    learn, _, held = DATA[name]
    # What splits have in common is that they are parts of the same samples, of which the share `held` is measured by.
    ratio = held / (len(_load(name)[0]) - held)
    found = {
        (r["width"], r["learn"], r["decay"]): numpy.array(r["losses"])
        for r in records
        if r["part"] == "curve" and (r["data"], r["noise"]) == (name, noise)
    }
    wide = found[WIDE, learn, 0.0]
    end = wide[2, :, -1]
    # Each cure is chosen by the second part of the samples, split by split, and measured on the third.
    options = {
        "early stopping": wide[1:],
        "weight decay": numpy.stack([found[WIDE, learn, decay][1:, :, -1] for decay in DECAYS], axis=-1),
        "fewer units": numpy.stack([found[width, learn, 0.0][1:, :, -1] for width in WIDTHS], axis=-1),
    }
    least, most = (found[WIDE, n, 0.0][:, :, -1] for n in (min(DATA[name][1]), max(DATA[name][1])))
    return {
        "widths": {str(width): _levels(found[width, learn, 0.0], ratio) for width in WIDTHS},
        "samples": {str(n): _levels(found[WIDE, n, 0.0], ratio) for n in DATA[name][1]},
        "epochs": {"training": wide[0].mean(axis=0).tolist(), "new": wide[2].mean(axis=0).tolist()},
        "cures": {cure: mean(end - _by(*losses), ratio=ratio) for cure, losses in options.items()},
        "closing": mean((least[2] - least[0]) - (most[2] - most[0]), ratio=ratio),
        "guessing": next(r["guessing"] for r in records if r["part"] == "curve" and r["data"] == name),
    }


def _by(choose: "numpy.ndarray", measure: "numpy.ndarray") -> "numpy.ndarray":
    """Of each split the second loss of the option whose first is least: [split, option] both."""
    import numpy

    found: numpy.ndarray = measure[numpy.arange(len(measure)), choose.argmin(axis=1)]
    return found


def _levels(losses: "numpy.ndarray", ratio: float) -> Json:
    """The training loss and that on new samples, at the end and stopped early, of [part, split, checkpoint]."""
    return {
        "training": mean(losses[0, :, -1], ratio=ratio),
        "new": mean(losses[2, :, -1], ratio=ratio),
        "stopped": mean(_by(losses[1], losses[2]), ratio=ratio),
    }


def _diagnosis(records: list[Json]) -> Json:
    """How often each verdict was given, by the true one; apart from that, where the truth is borderline."""
    import numpy

    key = ("data", "noise", "learn", "decay")
    counts: Counter[tuple[str, str]] = Counter()
    surely: Counter[tuple[str, str]] = Counter()
    borderline = 0
    cases = []
    for r in records:
        if r["part"] != "verdict":
            continue
        truth = next(t for t in records if t["part"] == "truth" and all(t[k] == r[k] for k in key))
        losses = {f: numpy.array(truth["losses"][str(size)]) for f, (size,) in compared([r["width"]]).items()}
        true = possible(*costs(losses, 1.0, 0.0, 0.95), TOLERANCE * _problem(truth).guessing)
        cases.append({**{k: r[k] for k in (*key, "width")}, "true": true, "given": Counter(r["verdicts"])})
        if len(true) == 1:
            counts.update((true[0], given) for given in r["verdicts"])
            surely.update((true[0], given) for given, sure in zip(r["verdicts"], r["sure"], strict=True) if sure)
        else:
            borderline += len(r["verdicts"])
    return {
        "table": [[counts[true, given] for given in VERDICTS] for true in VERDICTS],
        "surely": [[surely[true, given] for given in VERDICTS] for true in VERDICTS],
        "clear": counts.total(),
        "borderline": borderline,
        "wrong": _wrong(counts),
        "wrong though sure": _wrong(surely),
        "cases": cases,
    }


def _wrong(counts: "Counter[tuple[str, str]]") -> Estimate | None:
    """The share of verdicts that are not the true ones. counts: by the true and the given."""
    wrong, trials = sum(n for (true, given), n in counts.items() if true != given), counts.total()
    return (wrong / trials, *wilson(wrong, trials)) if trials else None


def _claims(summary: Json) -> dict[str, bool]:
    claims = {}
    share = f"{summary['noise']:.0%} wrong labels"
    for name, kinds in summary["real"].items():
        noisy = kinds[str(summary["noise"])]
        levels = noisy["widths"][str(WIDE)]
        claims[
            f"{name}, {share}: with {WIDE} units the training loss falls to {_told(levels['training'])}, while on new "
            f"samples it ends at {_told(levels['new'])}; early stopping saves "
            f"{_told(noisy['cures']['early stopping'])} of that"
        ] = levels["training"][2] < levels["new"][1] and noisy["cures"]["early stopping"][1] > 0.0
        claims[f"{name}, {share}: weight decay saves {_told(noisy['cures']['weight decay'])}"] = (
            noisy["cures"]["weight decay"][1] > 0.0
        )
    sizes = DATA["digits"][1]
    closing = summary["real"]["digits"][str(summary["noise"])]["closing"]
    claims[
        f"digits, {share}: {sizes[-1]} samples instead of {sizes[0]} close the gap between training and new samples by "
        f"{_told(closing)}"
    ] = closing[1] > 0.0
    found = summary["diagnosis"]
    if found["wrong"]:
        claims[
            f"diagnose_capacity: of {found['clear']} verdicts on tasks whose truth is clear, "
            f"{_percent(found['wrong'])} are wrong, fewer than a quarter"
        ] = found["wrong"][2] < 0.25
    if found["wrong though sure"]:
        claims[
            f"of the {sum(map(sum, found['surely']))} that it is sure of, {_percent(found['wrong though sure'])} are "
            "wrong, fewer than a tenth"
        ] = found["wrong though sure"][2] < 0.1
    return claims


def _told(estimate: Estimate) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*estimate)


def _percent(estimate: Estimate) -> str:
    return "{:.1%} [{:.1%}, {:.1%}]".format(*estimate)


# ---- what is shown ---------------------------------------------------------------------------------


def report(summary: Json) -> str:
    """Losses of the largest network and what saves how much of them; the verdicts."""
    lines = [
        f"{f'{WIDE} hidden units':15}{'wrong':>7}{'loss in':>10}{'on new':>10}{'saved on new samples by':>34}",
        f"{'':15}{'labels':>7}{'training':>10}{'samples':>10}{'early stopping':>24}{'weight decay':>22}",
    ]
    for name, kinds in summary["real"].items():
        for share, found in kinds.items():
            levels = found["widths"][str(WIDE)]
            lines.append(
                f"{name:15}{float(share):>7.0%}{levels['training'][0]:>10.3f}{levels['new'][0]:>10.3f}"
                f"{_told(found['cures']['early stopping']):>24}{_told(found['cures']['weight decay']):>22}"
            )
    found = summary["diagnosis"]
    lines += ["", f"{'diagnose_capacity says (and is sure)':>51}"]
    lines.append(f"{'the truth is':15}" + "".join(f"{v:>12}" for v in VERDICTS))
    for verdict, row, sure in zip(VERDICTS, found["table"], found["surely"], strict=True):
        lines.append(f"{verdict:15}" + "".join(f"{f'{n} ({m})':>12}" for n, m in zip(row, sure, strict=True)))
    lines.append(f"({found['borderline']} more on tasks that are borderline)")
    return "\n".join(lines)


def table(records: list[Json], summary: Json) -> list[Json]:
    """A row for each loss, by units and by samples; for each saving; for each pair of verdicts."""
    rows = []
    for name, kinds in summary["real"].items():
        for share, found in kinds.items():
            for what in ("widths", "samples"):
                for at, levels in found[what].items():
                    rows += [_row(name, share, what, at, loss, e) for loss, e in levels.items()]
            rows += [_row(name, share, "saved", "", cure, e) for cure, e in found["cures"].items()]
    for true, row in zip(VERDICTS, summary["diagnosis"]["table"], strict=True):
        rows += [_row("", "", "verdicts", true, given, (n, "", "")) for given, n in zip(VERDICTS, row, strict=True)]
    return rows


def _row(name: str, noise: str, what: str, at: str, which: str, estimate: Any) -> Json:
    value, low, high = estimate
    return {"data": name, "noise": noise, "what": what, "at": at, "which": which, "value": value, "low": low,
            "high": high}  # fmt: skip


LEARNED, NEW, STOPPED = COLOURS[1], COLOURS[0], COLOURS[2]


def draw(figure: Any, records: list[Json], summary: Json) -> None:
    """Loss by units of three data sets and by samples; over epochs; what cures save; the verdicts."""
    above, below = figure.subfigures(2, 1)
    panels = above.subplots(1, len(DATA) + 1)
    noise = str(summary["noise"])
    real = {name: kinds[noise] for name, kinds in summary["real"].items()}
    for ax, (name, found) in zip(panels, real.items(), strict=False):
        _draw_levels(ax, found["widths"])
        ax.axhline(found["guessing"], color="#868e96", linewidth=1.0, linestyle="-.")
        ax.set(xlabel="hidden units")
        ax.set_title(f"{name}, {DATA[name][0]} samples,\n{summary['noise']:.0%} wrong labels")
    panels[0].set_ylabel("loss (-·-: of guessing)")
    panels[0].legend(fontsize=9)
    _draw_levels(panels[-1], real["digits"]["samples"])
    panels[-1].set(xlabel="samples to learn from")
    panels[-1].set_title(f"digits, {WIDE} units:\nmore samples close the gap")
    epochs, cures, verdicts = below.subplots(1, 3)
    _draw_epochs(epochs, real["digits"]["epochs"])
    _draw_cures(cures, real)
    _draw_verdicts(verdicts, summary["diagnosis"])


def _draw_levels(ax: Any, levels: Json) -> None:
    at = [int(key) for key in levels]
    for which, colour, style, marker, text in (
        ("training", LEARNED, "-", "o", "training samples"),
        ("new", NEW, "--", "s", "new samples"),
        ("stopped", STOPPED, ":", "D", "new, stopped early"),
    ):
        centre, low, high = zip(*(level[which] for level in levels.values()), strict=True)
        ax.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.plot(at, centre, style, marker=marker, color=colour, markersize=4.5, markeredgecolor="white", label=text)
    ax.set_xscale("log", base=2)
    ax.set_xticks(at, map(str, at))
    ax.minorticks_off()
    ax.set_xlim(at[0] / 1.2, at[-1] * 1.3)
    ax.set_ylim(bottom=0.0)


def _draw_epochs(ax: Any, losses: Json) -> None:
    at = PLAN.checkpoints
    ax.plot(at, losses["training"], "-", color=LEARNED, linewidth=2)
    ax.plot(at, losses["new"], "--", color=NEW, linewidth=2)
    turn = losses["new"].index(min(losses["new"]))
    ax.plot(at[turn], losses["new"][turn], "D", color=STOPPED, markersize=8, markeredgecolor="white", zorder=3)
    ax.annotate(
        f"epoch {at[turn]}: stop", (at[turn], losses["new"][turn]), (0.04, 0.06), textcoords="axes fraction",
        color=STOPPED, arrowprops={"arrowstyle": "-", "color": STOPPED},
    )  # fmt: skip
    ax.annotate("new samples", (at[-1], losses["new"][-1]), (-4, 6), textcoords="offset points", ha="right", color=NEW)
    ax.annotate("training samples", (at[-1], losses["training"][-1]), (-4, 8), textcoords="offset points", ha="right",
                color=LEARNED)  # fmt: skip
    ax.set_xscale("log")
    ax.set_ylim(bottom=0.0)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.set_title(f"digits, {WIDE} units: from some epoch on\nit only learns by heart")


def _draw_cures(ax: Any, real: Json) -> None:
    names = list(real)
    for k, (cure, marker) in enumerate((("early stopping", "D"), ("weight decay", "o"), ("fewer units", "^"))):
        colour = (STOPPED, COLOURS[3], COLOURS[4])[k]
        for i, found in enumerate(real.values()):
            centre, low, high = found["cures"][cure]
            ax.errorbar(centre, i + 0.22 * (k - 1), xerr=[[centre - low], [high - centre]], fmt=marker, color=colour,
                        capsize=2.5, label=cure if i == 0 else None)  # fmt: skip
    ax.axvline(0.0, color="#212529", linewidth=1.0)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.9)
    ax.legend(fontsize=8.5, ncols=3, loc="upper right", columnspacing=0.8, handletextpad=0.2)
    ax.set(xlabel="loss on new samples that it saves")
    ax.set_title("Cures, chosen and measured\non different samples")


def _draw_verdicts(ax: Any, found: Json) -> None:
    rows = found["table"]
    shares = [[n / max(sum(row), 1) for n in row] for row in rows]
    ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for i, row in enumerate(rows):
        for j, n in enumerate(row):
            colour = "white" if shares[i][j] > 0.5 else "#212529"
            ax.text(j, i - 0.1, str(n), ha="center", va="center", fontsize=13, weight="bold" if i == j else "normal",
                    color=colour)  # fmt: skip
            ax.text(j, i + 0.27, f"sure: {found['surely'][i][j]}", ha="center", va="center", fontsize=8.5, color=colour)
    ax.set_xticks(range(3), VERDICTS)
    ax.set_yticks(range(3), VERDICTS)
    ax.grid(visible=False)
    ax.set(xlabel="diagnose_capacity says", ylabel="the truth is")
    wrong = "" if found["wrong"] is None else "\nwrong in {:.0%} [{:.0%}, {:.0%}]".format(*found["wrong"])
    ax.set_title(f"diagnose_capacity, tested:{wrong}")
