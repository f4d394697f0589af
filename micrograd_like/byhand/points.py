"""Points at which a recorded graph tells formulas apart: no factor saturated, zero, or by accident 1."""

import math
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..engine import Value
from .graph import Graph
from .replay import gradients, values

Numbers = tuple[float, ...]  # one for each point

TRIED = 40
RTOL = 1e-8
MOST_WORK = 400_000  # nodes computed while looking for points, so that large graphs have fewer to choose from


@dataclass(frozen=True)
class Point:
    """The numbers of all nodes and ∂loss/∂node, with the named leaves at fresh values."""

    numbers: dict[Value, float]
    gradient: dict[Value, float]


def general(graph: Graph, targets: Collection[Value], fixed: Collection[Value], count: int, seed: int) -> list[Point]:
    """Up to `count` points in general position, and where there are other branches more in which these are taken.

    At the former all targets have a gradient other than 0, if that can be. Among the others each branch of operations
    that have such, as relu and maximum, is taken once if one of the tries takes it; and a few have other signs, for a
    formula may lack an absolute value.
    Leaves without a name that a formula could use keep their number, as do those in `fixed`. Fewer points, or none, are
    found where the graph is not defined away from the numbers it was recorded with.
    """
    rng = random.Random(seed)
    free = [node for node in graph.order if node.op is None and node in graph.names and node not in fixed]
    found: list[_Try] = []
    for attempt in range(max(count + 2, min(4 * TRIED, MOST_WORK // len(graph.order)))):
        if (attempt and not free) or (attempt == TRIED and not _kinks(found)):
            break
        # Away from all that was, or near what is known to be defined; then to branches that are rarely taken.
        near = (None, 0.5, 0.1)[attempt % 3] if attempt < TRIED else None
        changed = {}
        for node in free:
            size = rng.uniform(0.35, 1.25)
            if near is None:
                changed[node] = size * rng.choice((-1.0, 1.0))
            else:
                changed[node] = (node.data or 0.3) * (1.0 + near * rng.uniform(-1.0, 1.0))
        numbers = values(graph.loss, changed)
        if not all(map(math.isfinite, numbers.values())):
            continue
        gradient = gradients(graph.loss, numbers)
        if all(map(math.isfinite, gradient.values())):
            quality, slopes = _quality(graph, numbers)
            if any(gradient[node] == 0.0 for node in targets):
                quality -= 1000.0
            signs = tuple(x > 0.0 for x in (*(numbers[node] for node in graph.names), *slopes))
            found.append(_Try(quality, slopes, signs, Point(numbers, gradient)))
    found.sort(key=lambda one: -one.quality)
    best = found[:count]
    best += _other_branches(best, found)
    taken = {one.signs for one in best}
    for one in found[count:]:
        if one.signs not in taken and len(best) < 2 * count:
            taken.add(one.signs)
            best.append(one)
    return [one.point for one in best]


class _Try(NamedTuple):
    quality: float
    slopes: Numbers  # the local derivatives in the graph, in order
    signs: tuple[bool, ...]  # of all numbers with a name, and of these
    point: Point


def _kinks(found: Sequence[_Try]) -> list[Numbers]:
    """The local derivatives of operations with branches, as relu, maximum and where: they have few values in all."""
    return [column for column in zip(*(one.slopes for one in found), strict=True) if 1 < len(set(column)) <= 3]


def _other_branches(best: Sequence[_Try], found: Sequence[_Try]) -> list[_Try]:
    """Tries for the branches that none of the best takes: where little else is different, or that might hide it."""
    kinks = _kinks(found)
    apart = [sum(column[i] != column[0] for column in kinks) for i in range(len(found))]
    nearest: dict[int, None] = {}
    for column in kinks:
        for branch in sorted(set(column).difference(column[: len(best)])):
            nearest[min((i for i, slope in enumerate(column) if slope == branch), key=apart.__getitem__)] = None
    return [found[i] for i in nearest]


def _quality(graph: Graph, numbers: dict[Value, float]) -> tuple[float, Numbers]:
    """How far all values and local derivatives are from 0, 1 and huge; and these derivatives."""
    worst = 0.0
    slopes: list[float] = []
    for node in graph.order:
        sizes = [abs(numbers[node])]
        if node.op is not None and not node.op.slopes:
            operands = [numbers[x] if isinstance(x, Value) else x for x in node.operands]
            variable = [i for i, x in enumerate(node.operands) if isinstance(x, Value)]
            for slope in node.op.slopes_at((*operands, numbers[node]), variable):
                slopes.append(slope)
                if slope not in (-1.0, 0.0, 1.0):  # the slopes of relu cannot be avoided
                    sizes += [abs(slope), abs(abs(slope) - 1.0)]
        for size in sizes:
            worst = min(worst, -abs(math.log(max(size, 1e-300))))
    return worst, tuple(slopes)


# ---- what is the same at all points -------------------------------------------------------------------


class Index:
    """Things by the numbers they have at the points, found again in spite of rounding."""

    def __init__(self, rtol: float, items: Iterable[tuple[Numbers, Any]] = ()):
        self.rtol = rtol
        self._at: dict[int, list[tuple[Numbers, Any]]] = {}
        for numbers, item in items:
            self.add(numbers, item)

    def add(self, numbers: Numbers, item: Any) -> None:
        if math.isfinite(numbers[0]):
            self._at.setdefault(_bin(numbers[0]), []).append((numbers, item))

    def find(self, numbers: Numbers) -> list[Any]:
        if not numbers or not all(map(math.isfinite, numbers)):
            return []
        middle = _bin(numbers[0])
        near = (pair for i in (middle - 1, middle, middle + 1) for pair in self._at.get(i, ()))
        return [item for own, item in near if all(close(a, b, self.rtol) for a, b in zip(own, numbers, strict=True))]


def _bin(x: float) -> int:
    """Numbers that differ by a millionth at most are in the same bin or in neighbouring ones."""
    return round(math.copysign(math.log(max(abs(x), 1e-300)) + 1000.0, x) * 5e5)


def close(a: float, b: float, rtol: float = RTOL) -> bool:
    """Equal but for rounding."""
    return a == b or abs(a - b) <= min(rtol * max(abs(a), abs(b)) + 1e-290, 1e300)


def same(a: Sequence[float], b: Sequence[float], rtol: float = RTOL) -> bool:
    """Equal but for rounding, at every point."""
    return all(close(x, y, rtol) for x, y in zip(a, b, strict=True))


def usable(numbers: Sequence[float]) -> bool:
    """No number is infinite or nan."""
    return all(map(math.isfinite, numbers))


def over(a: float, b: float) -> float:
    """a / b, where 0 / 0 is 0 and anything else / 0 is infinite."""
    return a / b if b else 0.0 if not a else math.inf


def constant_ratio(yours: Numbers, derivative: Numbers) -> float:
    """c, if yours = c · derivative at all points and c is not 1; else 0. One point says nothing."""
    ratios = [over(a, b) for a, b in zip(yours, derivative, strict=True) if a or b]
    if len(ratios) < 2 or not usable(ratios) or not ratios[0] or close(ratios[0], 1.0):
        return 0.0
    return ratios[0] if all(close(ratio, ratios[0]) for ratio in ratios) else 0.0
