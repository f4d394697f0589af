"""Derivatives from function values alone: the witness that knows no calculus."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, zip_longest
from sys import float_info
from typing import NamedTuple

_BEYOND_NOISE = 16.0  # a bend this many times the noise is none


class Difference(NamedTuple):
    """A derivative from function values: `slope`, within `error`, which is inf where differences do not settle.

    kink: the slopes from the left and from the right differ at this very point, or f jumps there. Then f has no
    derivative, and the error is inf.
    """

    slope: float
    error: float
    kink: bool

    def excludes(self, derivative: float, rtol: float, atol: float = 0.0) -> bool:
        """Whether `derivative` is further off than error and tolerances allow; what is unsettled excludes nothing."""
        if math.isinf(derivative):  # rounding can hide how steep f is
            return self.error < abs(self.slope)
        allowed = self.error + atol + rtol * abs(self.slope)
        return self.error < math.inf and not abs(derivative - self.slope) <= allowed  # nan is excluded


class _Level(NamedTuple):
    step: float
    slope: float
    size: float  # the largest |f| of the three
    noise: float  # what rounding may have done to f at these points
    rise: float  # |f(x + h) - f(x - h)|
    bend: float  # |f(x + h) - 2 f(x) + f(x - h)|


def difference(f: Callable[[float], float], x: float, rounding: float = 0.0) -> Difference:
    """df/dx at x by differences over many steps, and how far off it may be.

    rounding: the error of f beyond four units in the last place of its result. f is nan or inf where it is undefined.

    What rounding does to a difference is known: it is the noise of f divided by the step. What the curvature of f
    does is not known, but it shows: as steps grow, the first result that those of smaller steps exclude comes from too
    wide a step (Lepski's rule). So no scale of f needs to be guessed, nor how near its next corner or pole is. Each
    result is extrapolated with the next one to step 0 (Richardson). What f does below its rounding error is not seen.
    """
    levels = _levels(f, x, rounding)
    if _has_kink(levels):
        return Difference(math.nan, math.inf, kink=True)
    # Over the smallest steps f bends by noise alone, which may be more than was said.
    shaking = max((level.bend for level in levels[:3] if level.bend <= _BEYOND_NOISE * level.noise), default=0.0)
    hidden = rounding > 1e-3 * max((level.size for level in levels), default=0.0)  # rounding hides what f does
    best = Difference(math.nan, math.inf, kink=False)
    low, high = -math.inf, math.inf  # between these the derivative is, as far as smaller steps tell
    finer = None
    for level, wider in zip_longest(levels, levels[1:]):
        slope, error = level.slope, max(level.noise, shaking) / level.step
        if wider:
            ratio = wider.step / level.step
            slope += (slope - wider.slope) / (ratio * ratio - 1.0)
        if not low - error <= slope <= high + error:
            break
        if finer:
            bound = abs(slope - finer[0]) + finer[1]
            if bound < best.error:
                best = Difference(slope, bound, kink=False)
            if hidden:  # then wider steps would agree with one another however wrong they are
                break
        low, high = max(low, slope - error), min(high, slope + error)
        finer = slope, error
    return best


def _levels(f: Callable[[float], float], x: float, rounding: float) -> list[_Level]:
    """Differences over steps of 16^k, from 2^-44 of the size of x to that size and to 1, as far as f is finite."""
    exponents: set[int] = set()
    for size in (abs(x), max(abs(x), 1.0)):
        top = math.frexp(size)[1] // 4 * 4
        exponents |= set(range(top - 44, top - 3, 4))
    middle = f(x)
    levels = []
    for exponent in sorted(exponents):
        h = math.ldexp(1.0, exponent)
        above, below = x + h, x - h
        if x in (above, below):
            continue
        up, down = f(above), f(below)
        bend = h * abs((up - middle) / (above - x) - (middle - down) / (x - below))  # steps as rounding left them
        if not math.isfinite(bend):
            break
        size = max(abs(up), abs(middle), abs(down))
        noise = rounding + 4.0 * math.ulp(size) + float_info.min  # numbers below that have few digits
        levels.append(_Level(h, (up - down) / (above - below), size, noise, abs(up - down), bend))
    return levels


def _has_kink(levels: list[_Level]) -> bool:
    """Whether f bends as at a corner (∝ h) or a jump (∝ 1) from the smallest step on at which it bends at all.

    A smooth f bends ∝ h²; one with a corner nearby does not bend over steps that are too small to reach it.
    """
    for k, (level, wider) in enumerate(pairwise(levels)):
        if k == 0 and level.rise > max(_BEYOND_NOISE * level.noise, wider.rise / 2.0):
            return True  # a jump that is as high on both sides does not bend
        if level.bend > _BEYOND_NOISE * level.noise:
            finer = levels[max(k - 1, 0)]
            sharp = level.bend > wider.bend * (level.step / wider.step) ** 1.5
            reached = max(finer.bend, 2 * _BEYOND_NOISE * finer.noise) >= 0.25 * level.bend * finer.step / level.step
            return sharp and reached
    return False


def central_difference(f: Callable[[list[float]], float], x: Sequence[float], i: int) -> float:
    """∂f/∂x_i at the point x, to about ten digits where f is smooth; nan where it has a kink."""
    return difference(lambda at: f([*x[:i], at, *x[i + 1 :]]), x[i]).slope
