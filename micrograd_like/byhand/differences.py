"""Derivatives from function values alone: the witness that knows no calculus."""

from collections.abc import Callable, Sequence


def central_difference(f: Callable[[list[float]], float], x: Sequence[float], i: int) -> float:
    """∂f/∂x_i at the point x, to about ten digits where f is smooth.

    Two central differences, (f(x + h) - f(x - h)) / 2h with steps h and h/2, are extrapolated to h = 0
    (Richardson), which removes the error in h². The step balances what remains, h⁴, against rounding.
    """

    def slope(h: float) -> float:
        above, below = list(x), list(x)
        above[i] += h
        below[i] -= h
        return (f(above) - f(below)) / (above[i] - below[i])  # the step that was taken, after rounding

    h = 2e-3 * max(1.0, abs(x[i]))
    return (4.0 * slope(h / 2) - slope(h)) / 3.0
