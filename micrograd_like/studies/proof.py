"""That a minimum is near, proved: the graph of a function and its derivatives, read with intervals for numbers.

Intervals are rounded outwards (mpmath's `iv`), so that each holds all that a node can be while the leaves are anywhere
in theirs. Let H be the Hessian of f, c a point, r a radius and μ > 0. If all eigenvalues of H are at least μ wherever
|x - c| ≤ r, and |∇f(c)| < μ r, then

* f has exactly one minimum there, and that is a strict one: ∇f(x)·(x - c) ≥ μ r² - |∇f(c)| r > 0 on the boundary, so
  that f falls inwards, and f is strictly convex inside;
* its value is not below f(c) - |∇f(c)|² / 2μ.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, nextafter
from typing import Any, NamedTuple

from ..byhand.replay import values
from ..engine import Value
from ..ops import Op
from ..transforms import gradients

BITS = 120  # of the ends of intervals: rounding is then far below that of floats


class Proof(NamedTuple):
    """What is known of f near a point, for certain. `holds`: that exactly one minimum is within the radius.

    value: an interval in which f is at that minimum. slope: |∇f| at the point is at most that. curvature: all
    eigenvalues of the Hessian within the radius are at least that, or -inf where nothing could be shown.
    """

    holds: bool
    radius: float
    value: tuple[float, float]
    slope: float
    curvature: float


def prove(f: Callable[[Sequence[Any]], Value], point: Sequence[float], radius: float) -> Proof:
    """Is there exactly one minimum of f within the radius of the point?

    f: a function of a list of Values, made of the operations in `_rules`. Raises NotImplementedError for others. That
    a proof does not hold says nothing: the point may not be close enough, or the radius too large.
    """
    import numpy
    from mpmath.ctx_iv import MPIntervalContext

    iv = MPIntervalContext()
    iv.prec = BITS
    leaves = [Value(float(x)) for x in point]
    out = f(leaves)
    slopes = gradients(out, leaves)
    rows = [gradients(slope, leaves) for slope in slopes]
    centre = [iv.mpf(leaf.data) for leaf in leaves]
    value, *gradient = ranges([out, *slopes], dict(zip(leaves, centre, strict=True)), iv)
    box = {leaf: x + iv.mpf([-radius, radius]) for leaf, x in zip(leaves, centre, strict=True)}
    flat = ranges([entry for row in rows for entry in row], box, iv)
    hessian = [flat[i : i + len(leaves)] for i in range(0, len(flat), len(leaves))]
    # With V near the eigenvectors, Vᵀ H V is near a diagonal matrix, where Gershgorin's circles are small.
    middle = numpy.array([[float(entry.mid) for entry in row] for row in hessian])
    vectors = iv.matrix(numpy.linalg.eigh(middle)[1].tolist())
    turned = (vectors.T * iv.matrix(hessian) * vectors).tolist()
    lowest = min((row[i] - sum(abs(x) for x in row[:i] + row[i + 1 :])).a for i, row in enumerate(turned))
    slope = _norm(gradient, iv).b
    if not lowest > 0:
        return Proof(False, radius, _ends(value), _ends(slope)[1], -inf)
    # x = V y has xᵀ H x = yᵀ Vᵀ H V y ≥ lowest |y|², and |x|² ≤ |Vᵀ V| |y|², in the norm of largest sums of rows.
    size = max(sum(map(abs, row)).b for row in (vectors.T * vectors).tolist())
    curvature = (lowest / size).a
    within = iv.mpf([(value - slope**2 / (2 * curvature)).a, value.b])
    holds = bool(slope < curvature * radius)
    return Proof(holds, radius, _ends(within), _ends(slope)[1], _ends(curvature)[0])


def ranges(nodes: Sequence[Value], leaves: Mapping[Value, Any], iv: Any) -> list[Any]:
    """An interval for each node, which holds all that it can be while the leaves are in theirs.

    leaves: their intervals; other leaves have their numbers. iv: a context of mpmath for intervals.
    """
    rules = _rules(iv)

    def rule(op: Op) -> Callable[..., Any]:
        if op.name not in rules:
            raise NotImplementedError(f"there is no rule for intervals of {op.name}")
        return lambda *operands: rules[op.name](*map(iv.convert, operands))

    known = values(nodes, leaves, rule)
    return [iv.convert(known[node]) for node in nodes]


def _rules(iv: Any) -> dict[str, Callable[..., Any]]:
    """The value of operations, of intervals. Their derivatives are made of the same operations."""

    def tanh(x: Any) -> Any:
        return 1 - 2 / (iv.exp(2 * x) + 1)  # x stands there once: no end is further out than it need be

    return {
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "neg": operator.neg,
        "pow": operator.pow,
        "exp": iv.exp,
        "tanh": tanh,
        "sech2": lambda x: 1 - tanh(x) ** 2,
    }


def _norm(vector: Iterable[Any], iv: Any) -> Any:
    return iv.sqrt(sum(x**2 for x in vector))


def _ends(x: Any) -> tuple[float, float]:
    """An interval of floats around that one."""
    return nextafter(float(x.a), -inf), nextafter(float(x.b), inf)
