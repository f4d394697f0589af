"""Has a network too little capacity for its task, enough, or too much? `diagnose_capacity` says so, and why.

docs/capacity.md tells how it decides, and how often it errs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from math import inf, isfinite, log
from numbers import Real
from threading import Lock
from typing import TYPE_CHECKING, Any

from .data import samples, split, standardize
from .lazy import need
from .losses import classification, squared_error
from .tabular import FEW

if TYPE_CHECKING:
    import numpy

    from .studies.learner import Learner

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times as many units: the networks that are compared
DECAYS = (0.001, 0.003, 0.01, 0.03)  # that are tried as a cure
CHECKPOINTS = 16  # epochs at which the losses are measured, closer together at the start
TOLERANCE = 0.02  # of the loss of guessing: what is less does not count
LEAST = 20  # samples
CONFIDENCE = 0.8  # of the intervals; what is sure has to hold in two of them at once, which is rarely wrong
VERDICTS = ("under", "enough", "over")

Estimate = tuple[float, float, float]  # a mean, and the ends of its interval
Part = tuple[list[list[float]], list[Any]]  # X and y


@dataclass(frozen=True)
class Capacity:
    """What was found. Printed, it is a few sentences.

    verdict: "under", "enough" or "over". sure: whether the intervals allow no other, or only the estimates say so.
    evidence: what it was decided by, all losses as means of one sample:

    lacking, excess: what more units would save, and fewer units or epochs, as (mean, low, high).
    tolerance: what counts; guessing: the loss of who knows the shares of the classes, or the mean, and nothing else.
    training, validation: the losses after the last epoch; best: the least validation loss, at best_epoch.
    sizes: for each network that was trained (the units of its hidden layers) the same four.
    enough: the smallest of them that is as good, each stopped at its best. cures: if it is too large, what each cure
    saves. splits, samples: how many, of how many samples to learn from and to validate.
    """

    verdict: str
    sure: bool
    evidence: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        e = self.evidence
        learn, check = e["samples"]
        headline = {
            "under": "has too little capacity: more units would do better",
            "enough": f"has enough capacity, and {'it does no harm' if self.sure else 'no harm by it could be shown'}",
            "over": "has more capacity than is good: it learns its samples by heart",
        }[self.verdict]
        lines = [
            f"{self.verdict}{'' if self.sure else ', probably'}: a network of {_units(e['hidden'])} {headline}.",
            f"Training loss: falls to {e['training']:.3g} in {e['epochs']} epochs.",
            f"Validation loss: {e['validation']:.3g} at the end, {e['best']:.3g} at best, in epoch {e['best_epoch']}.",
            f"More units would save {_told(e['lacking'])}; fewer units or epochs, {_told(e['excess'])}.",
        ]
        if e["cures"]:
            saved = "; ".join(f"{cure}: {_told(estimate)}" for cure, estimate in e["cures"].items())
            lines.append(f"Saved by {saved}.")
        if e["enough"] != e["hidden"] and self.verdict != "under":
            lines.append(f"As good, if stopped in time: {_units(e['enough'])}.")
        if e["best_epoch"] == e["epochs"] and self.verdict != "over":
            lines.append("The validation loss is least in the last epoch: it may fall further with more of them.")
        lines.append(
            f"What is below {e['tolerance']:.2g} does not count: that is little beside the {e['guessing']:.3g} of "
            f"guessing. Means and {CONFIDENCE:.0%} intervals over {e['splits']} splits into {learn} samples to learn "
            f"from and {check} to validate."
        )
        if not self.sure:
            lines.append("The intervals are too wide to be sure: more samples would tell.")
        return "\n".join(lines)


def _told(estimate: Estimate) -> str:
    return "{:.2g} [{:.2g}, {:.2g}]".format(*estimate)


def _units(hidden: str) -> str:
    return "1 hidden unit" if hidden == "1" else f"{hidden} hidden units"


def diagnose_capacity(
    X: Any,
    y: Any,
    hidden: int | Sequence[int] = 16,
    *,
    epochs: int = 200,
    lr: float = 0.05,
    momentum: float = 0.9,
    batch: int = 16,
    weight_decay: float = 0.0,
    activation: str = "tanh",
    task: str | None = None,
    splits: int = 10,
    fraction: float = 0.2,
    tolerance: float = TOLERANCE,
    cures: bool = True,
    seed: int = 0,
) -> Capacity:
    """Whether a network with so many hidden units has too little capacity for these samples, enough, or too much.

    X: rows of numbers, which are standardised. y: labels of classes (texts, or few different whole numbers) or other
    numbers; task="classification" or "regression" decides otherwise. hidden: units of the hidden layer, or of each.
    epochs, lr, momentum, batch, weight_decay, activation: how the network is trained.
    splits: how often the share `fraction` of the samples, drawn anew, is set apart to validate.
    tolerance: what counts as a difference, as a share of the loss of guessing.
    cures: whether to try them on a network that is too large. seed: of all random numbers.

    The network is trained beside others with a quarter to four times its units, all alike, on the same splits. Two
    costs are estimated, as differences of the mean validation loss:

        lacking   what more units would save: this network at its best epoch, less larger ones at theirs
        excess    what less would save: this network after all epochs, less the best of it and smaller ones at any epoch

    The greater of those that are above the tolerance gives the verdict, "under" or "over"; if none is, it is "enough".
    It is sure if it is the same wherever in their 80% intervals the two costs are. Epochs and sizes are chosen for
    each split by the others, so that no estimate is flattered by the choice. The intervals are Student's, with the
    variance that Nadeau and Bengio (Inference for the generalization error, 2003) give for splits that share samples.

    It needs the extra [study], and takes seconds with the extra [jit], and very much longer without it. Raises
    ValueError for samples or settings that make no sense, FloatingPointError if a training diverges.
    """
    need("diagnose_capacity needs", "study", "numpy", "scipy")
    X, y = samples(X, y)
    layers = [hidden] if isinstance(hidden, int) else list(hidden)
    if not layers or not all(isinstance(h, int) and h >= 1 for h in layers):
        raise ValueError(f"hidden should be a number of units, 1 or more, or a list of them, got {hidden!r}")
    if splits < 3:
        raise ValueError(f"splits should be 3 or more, got {splits!r}")
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance should be between 0 and 1, got {tolerance!r}")
    if len(X) < LEAST:
        raise ValueError(f"{len(X)} samples are too few to tell; {LEAST} or more are needed")
    plan = Plan(epochs, lr, momentum, batch, weight_decay, activation)
    problem = Problem(y, task)
    parts = problem.parts(X, splits, fraction, seed)
    sizes = compared(layers)
    found = {f: curves(problem, parts, size, plan, seed) for f, size in sizes.items()}
    evidence = _evidence(problem, plan, sizes, found, parts, tolerance)
    verdict, sure = judge(evidence["lacking"], evidence["excess"], evidence["tolerance"])
    if cures and verdict == "over":
        decayed = {
            decay: curves(problem, parts, layers, replace(plan, weight_decay=decay), seed)[1]
            for decay in DECAYS
            if decay > weight_decay
        }
        evidence["cures"] = _cures(evidence, sizes, {f: curve[1] for f, curve in found.items()}, decayed)
    return Capacity(verdict, sure, evidence)


def compared(layers: Sequence[int]) -> dict[float, list[int]]:
    """The units of the networks that are compared with one of these, by the factor."""
    sizes = {factor: [max(1, int(h * factor + 0.5)) for h in layers] for factor in FACTORS}
    # Where rounding makes two alike, the one nearer to the network itself stays.
    return {f: size for f, size in sizes.items() if f >= 1.0 or size not in [sizes[g] for g in FACTORS if g > f]}


@dataclass(frozen=True)
class Plan:
    """How a network is trained, as for `diagnose_capacity`."""

    epochs: int = 200
    lr: float = 0.05
    momentum: float = 0.9
    batch: int = 16
    weight_decay: float = 0.0
    activation: str = "tanh"

    def __post_init__(self) -> None:
        for name, fits, what in (
            ("epochs", self.epochs >= 1, "1 or more"),
            ("lr", 0.0 < self.lr < inf, "above 0"),
            ("momentum", 0.0 <= self.momentum < 1.0, "from 0 up to 1"),
            ("batch", self.batch >= 1, "1 or more"),
            ("weight_decay", 0.0 <= self.weight_decay < inf, "0 or more"),
        ):
            if not fits:
                raise ValueError(f"{name} should be {what}, got {getattr(self, name)!r}")

    @property
    def checkpoints(self) -> list[int]:
        """The epochs after which losses are measured: about a geometric series, from the first to the last."""
        return sorted({round(self.epochs ** (k / (CHECKPOINTS - 1))) for k in range(CHECKPOINTS)})


class Problem:
    """What is to be predicted: y as labels 0, 1, … (or as numbers), how many outputs, their loss, that of guessing."""

    def __init__(self, y: list[Any], task: str | None = None):
        if task not in (None, "classification", "regression"):
            raise ValueError(f'task should be "classification" or "regression", got {task!r}')
        texts = isinstance(y[0], str)
        if not all(isinstance(k, str) if texts else isinstance(k, Real) and isfinite(k) for k in y):
            raise ValueError("targets should be finite numbers, or all of them texts")
        if texts and task == "regression":
            raise ValueError(f"regression takes numbers as targets, got {y[0]!r}")
        kinds = sorted(set(y))
        if len(kinds) < 2:
            raise ValueError(f"all targets are {kinds[0]!r}: there is nothing to learn")
        whole = texts or all(k == int(k) for k in kinds)
        few = texts or len(kinds) <= FEW
        self.classes = len(kinds) if task == "classification" or (task is None and whole and few) else 0
        if self.classes:
            self.y: list[Any] = [kinds.index(target) for target in y]
            self.outputs, self.loss = classification(self.classes)
            shares = [self.y.count(k) / len(y) for k in range(self.classes)]
            self.guessing = -sum(p * log(p) for p in shares)
        else:
            self.y = [float(target) for target in y]
            self.outputs, self.loss, self.guessing = 1, squared_error, 1.0  # in units of the variance of y

    def parts(self, X: list[list[float]], splits: int, fraction: float, seed: int) -> list[list[Part]]:
        """For each split the samples to learn from and those to validate, standardised by the first."""
        found = []
        for i in range(splits):
            learn_X, learn_y, X_val, y_val = split(X, self.y, fraction, seed=splits * seed + i)
            found.append(self.scaled((learn_X, learn_y), (X_val, y_val)))
        return found

    def scaled(self, *parts: Part) -> list[Part]:
        """The parts, standardised by the first of them."""
        ys = [y for _, y in parts]
        if not self.classes:
            ys = [[target for (target,) in column] for column in standardize(*([[t] for t in y] for y in ys))]
        return list(zip(standardize(*(X for X, _ in parts)), ys, strict=True))


_lock = Lock()  # the learners are kept, and serve one thread at a time


@lru_cache(maxsize=24)
def _learner(
    sizes: tuple[int, ...], loss: Callable[[Any, Any], Any], classes: int, batch: int, activation: str
) -> "Learner":
    """For any samples: those that it begins with are only of the right shape."""
    from .studies.learner import Learner

    X = [[0.0] * sizes[0]] * max(batch, 64)
    y = [i % max(classes, 1) for i in range(len(X))]
    return Learner(sizes, X, y, loss, batch, activation=activation, X_val=X, y_val=y)


def curves(
    problem: Problem, splits: Sequence[Sequence[Part]], hidden: Sequence[int], plan: Plan, seed: int
) -> "numpy.ndarray":
    """The losses of such a network, trained once for each split on its first part: [part, split, checkpoint]."""
    import numpy

    inputs = len(splits[0][0][0][0])
    sizes = (inputs, *hidden, problem.outputs)
    found = []
    with _lock:
        learner = _learner(sizes, problem.loss, problem.classes, plan.batch, plan.activation)
        for i, ((X, y), *held) in enumerate(splits):
            learner.take(X, y, *([x for part in held for x in part[j]] for j in (0, 1)))
            ends = numpy.cumsum([len(X) for X, _ in held])[:-1]
            learner.begin(len(splits) * seed + i, plan.lr, plan.momentum, plan.weight_decay)
            done, measured = 0, []
            for epoch in plan.checkpoints:
                learner.run(epoch - done)
                done = epoch
                others = numpy.split(learner.each(validation=True)[0], ends)
                measured.append([learner.measure()[0], *(losses.mean() for losses in others)])
            found.append(measured)
    return numpy.array(found).transpose(2, 0, 1)


def chosen(losses: "numpy.ndarray") -> "numpy.ndarray":
    """For each split the loss of the option that the other splits would choose. losses: [split, option]."""
    import numpy

    others = losses.sum(axis=0) - losses
    found: numpy.ndarray = losses[numpy.arange(len(losses)), others.argmin(axis=1)]
    return found


def costs(
    losses: "Mapping[float, numpy.ndarray]", at: float, ratio: float, confidence: float = CONFIDENCE
) -> tuple[Estimate, Estimate]:
    """What the network `at` costs by lacking capacity, and by its excess.

    losses: for each size its validation losses, [split, checkpoint]. ratio: samples to validate for each to learn
    from, if splits share samples; 0.0 if they are independent.
    """
    import numpy

    from .studies.intervals import mean

    own = losses[at]
    less = numpy.concatenate([losses[size] for size in losses if size <= at], axis=1)
    more = numpy.concatenate([losses[size] for size in losses if size > at], axis=1)
    lacking, excess = chosen(own) - chosen(more), own[:, -1] - chosen(less)
    return mean(lacking, confidence, ratio=ratio), mean(excess, confidence, ratio=ratio)


def judge(lacking: Estimate, excess: Estimate, tolerance: float) -> tuple[str, bool]:
    """The verdict by these costs, and whether it is sure."""
    verdict = _verdict(lacking[0], excess[0], tolerance)
    return verdict, possible(lacking, excess, tolerance) == [verdict]


def possible(lacking: Estimate, excess: Estimate, tolerance: float) -> list[str]:
    """The verdicts that costs in these intervals may deserve: those of the corners, as no other is between them."""
    found = {_verdict(*costs, tolerance) for costs in product(lacking[1:], excess[1:])}
    return sorted(found, key=VERDICTS.index)


def _verdict(lacking: float, excess: float, tolerance: float) -> str:
    if max(lacking, excess) <= tolerance:
        return "enough"
    return "under" if lacking > excess else "over"


def _evidence(
    problem: Problem,
    plan: Plan,
    sizes: dict[float, list[int]],
    found: "dict[float, numpy.ndarray]",
    parts: list[list[Part]],
    tolerance: float,
) -> dict[str, Any]:
    """As `Capacity` describes it, but for the cures. found: for each size the losses, [part, split, checkpoint]."""
    from .studies.intervals import mean

    learn, check = (len(X) for X, _ in parts[0])
    ratio = check / learn
    counts = tolerance * problem.guessing
    validation = {f: curve[1] for f, curve in found.items()}
    lacking, excess = costs(validation, 1.0, ratio)
    names = {f: "-".join(map(str, size)) for f, size in sizes.items()}
    own = chosen(validation[1.0])
    # As good: the interval has no loss that is more by what counts.
    good = [f for f in sizes if f < 1.0 and mean(chosen(validation[f]) - own, CONFIDENCE, ratio=ratio)[2] <= counts]
    about = {}
    for f, curve in found.items():
        training, validating = curve.mean(axis=1)
        best = int(validating.argmin())
        about[names[f]] = {
            "training": float(training[-1]), "validation": float(validating[-1]), "best": float(validating[best]),
            "best_epoch": plan.checkpoints[best],
        }  # fmt: skip
    return {
        "hidden": names[1.0], **about[names[1.0]], "lacking": lacking, "excess": excess, "tolerance": counts,
        "guessing": problem.guessing, "enough": names[min([*good, 1.0])], "cures": {}, "sizes": about,
        "epochs": plan.epochs, "splits": len(parts), "samples": (learn, check),
    }  # fmt: skip


def _cures(
    evidence: dict[str, Any],
    sizes: dict[float, list[int]],
    validation: "dict[float, numpy.ndarray]",
    decayed: "dict[float, numpy.ndarray]",
) -> dict[str, Estimate]:
    """What stopping saves, fewer units, weight decay: for each split the option is chosen by the others."""
    import numpy

    from .studies.intervals import mean

    learn, check = evidence["samples"]
    names = dict(zip(sizes, evidence["sizes"], strict=True))
    options = {f"stopping in epoch {evidence['best_epoch']}": validation[1.0]}
    fewer = {_units(names[f]): validation[f][:, -1] for f in sizes if f < 1.0}
    decays = {f"a weight decay of {decay:g}": losses[:, -1] for decay, losses in decayed.items()}
    for group in (fewer, decays):
        if group:
            best = min(group, key=lambda name: float(group[name].mean()))
            options[best] = numpy.stack(list(group.values()), axis=1)
    own = validation[1.0][:, -1]
    return {name: mean(own - chosen(losses), CONFIDENCE, ratio=check / learn) for name, losses in options.items()}
