"""Points at which a recorded graph tells formulas apart: no factor saturated, zero, or by accident 1."""

import math
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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
    """Up to `count` points in general position, and where there are other branches a few more in which these are taken.

    At the former all targets have a gradient other than 0, if that can be. Branches are those of relu, of maximum, and
    other signs, for a formula may lack an absolute value.
    Leaves without a name that a formula could use keep their number, as do those in `fixed`. Fewer points, or none, are
    found where the graph is not defined away from the numbers it was recorded with.
    """
    rng = random.Random(seed)
    free = [node for node in graph.order if node.op is None and node in graph.names and node not in fixed]
    found: list[tuple[float, tuple[bool, ...], Point]] = []
    for attempt in range(max(count + 2, min(TRIED, MOST_WORK // len(graph.order)))):
        if attempt and not free:
            break
        near = (None, 0.5, 0.1)[attempt % 3]  # away from all that was, or near what is known to be defined
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
            quality, branches = _quality(graph, numbers)
            if any(gradient[node] == 0.0 for node in targets):
                quality -= 1000.0
            found.append((quality, branches, Point(numbers, gradient)))
    found.sort(key=lambda one: -one[0])
    best = found[:count]
    taken = {branches for _, branches, _ in best}
    for one in found[count:]:
        if one[1] not in taken and len(best) < 2 * count:
            taken.add(one[1])
            best.append(one)
    return [point for _, _, point in best]


def _quality(graph: Graph, numbers: dict[Value, float]) -> tuple[float, tuple[bool, ...]]:
    """How far all values and local derivatives are from 0, 1 and huge; and the signs of these."""
    worst = 0.0
    branches = [numbers[node] > 0.0 for node in graph.names]
    for node in graph.order:
        sizes = [abs(numbers[node])]
        if node.op is not None and not node.op.slopes:
            operands = [numbers[x] if isinstance(x, Value) else x for x in node.operands]
            for x, partial in zip(node.operands, node.op.partials, strict=True):
                slope = abs(partial(*operands, numbers[node]))
                branches.append(partial(*operands, numbers[node]) > 0.0)
                if isinstance(x, Value) and slope not in (0.0, 1.0):  # the slopes of relu cannot be avoided
                    sizes += [slope, abs(slope - 1.0)]
        for size in sizes:
            worst = min(worst, -abs(math.log(max(size, 1e-300))))
    return worst, tuple(branches)


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
