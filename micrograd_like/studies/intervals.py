"""Intervals around what was counted and measured."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy

Interval = tuple[float, float]


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The interval of a share (Wilson, Probable inference, 1927), which is sound for 0 and for all of them as well."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, "wilson")
    return float(interval.low), float(interval.high)


def mean(
    numbers: "Sequence[float] | numpy.ndarray", confidence: float = 0.95, *, ratio: float = 0.0
) -> tuple[float, float, float]:
    """The mean of two or more numbers and the ends of its interval, by Student's t.

    ratio: where each number was measured on another random part of the same samples, the size of that part by the size
    of the rest, which was learned from. The numbers then depend on each other, and the interval is wider (Nadeau and
    Bengio, Inference for the generalization error, 2003).
    """
    import numpy
    from scipy.stats import t

    centre = float(numpy.mean(numbers))
    error = float(numpy.std(numbers, ddof=1)) * (1.0 / len(numbers) + ratio) ** 0.5
    reach = float(t.ppf(0.5 + confidence / 2.0, len(numbers) - 1)) * error
    return centre, centre - reach, centre + reach


def difference(successes: tuple[int, int], trials: tuple[int, int], confidence: float = 0.95) -> Interval:
    """The interval of the first share minus the second, of independent trials.

    Newcombe, Interval estimation for the difference between independent proportions, 1998, method 10.
    """
    p, q = (s / n for s, n in zip(successes, trials, strict=True))
    (p_low, p_high), (q_low, q_high) = (wilson(s, n, confidence) for s, n in zip(successes, trials, strict=True))
    return p - q - ((p - p_low) ** 2 + (q_high - q) ** 2) ** 0.5, p - q + ((p_high - p) ** 2 + (q - q_low) ** 2) ** 0.5
