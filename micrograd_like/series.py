"""Truncated power series as numbers: the rows of the table applied to x(t) = x₀ + x₁ t + x₂ t² + …

The coefficients of an operation follow from its partials alone. With out' = Σ ∂out/∂xᵢ · xᵢ' for the derivatives by t,
comparing coefficients gives

    k · outₖ = Σᵢ Σₘ m · xᵢₘ · (∂out/∂xᵢ)ₖ₋ₘ          m = 1 … k

where the partials are series themselves and are needed up to k - 1 only: each coefficient when it is asked for.
(Griewank and Walther, Evaluating derivatives, 2008, chapter 13.)
"""

import operator
from typing import Any

from .ops import TABLE, Op, apply

Made = dict[Any, "Series"]


class Series:
    """A number that depends on t. `series[k]` is its coefficient of t^k.

    coefficients: the known ones; of a variable all others are 0.
    made: the series of one computation by operation and operands. Partials use one another's, as those of tanh and
    sech² do, so that without it they would never end.
    """

    __slots__ = ("coefficients", "made", "op", "operands", "partials")

    def __init__(self, coefficients: list[Any], made: Made, op: Op | None = None, operands: tuple[Any, ...] = ()):
        self.coefficients = coefficients
        self.made = made
        self.op = op
        self.operands = operands
        self.partials: list[Any] = []

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Series":
        # Rows tell what a constant is by its type: the partial of x**2 ends if 2 is a float.
        operands = tuple(x if hasattr(x, "_record") else float(x) for x in operands)
        return series(op, operands, next(x.made for x in operands if isinstance(x, Series)), [])

    def __getitem__(self, k: int) -> Any:
        for j in range(len(self.coefficients), k + 1):
            self.coefficients.append(self._next(j))
        return self.coefficients[k]

    def __float__(self) -> float:
        return float(self[0])

    def forget(self) -> None:
        """Let go of the series of this computation, which refer to one another."""
        for one in self.made.values():
            one.partials, one.operands = [], ()
        self.made.clear()

    def _next(self, k: int) -> Any:
        op = self.op
        if op is None:
            return 0.0
        if k == 0:
            return apply(op, tuple(x[0] if isinstance(x, Series) else x for x in self.operands))
        if not self.partials:
            rules = zip(op.series, op.passes, strict=True)
            self.partials = [rule(*self.operands, self) if passes else 0.0 for rule, passes in rules]
        total = 0.0
        for x, partial in zip(self.operands, self.partials, strict=True):
            if not isinstance(x, Series):
                continue
            if isinstance(partial, Series):
                for m in range(1, k + 1):
                    if not is_zero(x[m]):  # 0 times a pole is still 0 here: there is no such term
                        total = total + x[m] * partial[k - m] * (m / k)
            elif not is_zero(partial) and not is_zero(x[k]):
                total = total + x[k] * partial
        return total


def series(op: Op, operands: tuple[Any, ...], made: Made, known: list[float]) -> Series:
    """The series of an operation on others and on constants, of which these coefficients are known."""
    key = op, *(x if type(x) is float else id(x) for x in operands)
    found = made.get(key)
    if found is None:
        found = made[key] = Series(known, made, op, operands)
    return found


def is_zero(x: Any) -> bool:
    """Is it the number 0, rather than something that happens to be 0 here?"""
    return type(x) is float and x == 0.0


def operators_by_record(cls: Any) -> None:
    """Operators that record, by the `_record` of a class of numbers."""
    for name in ("add", "sub", "mul", "truediv", "pow"):
        op = TABLE["div" if name == "truediv" else name]
        setattr(cls, f"__{name}__", lambda a, b, op=op: cls._record(op, (a, b)))
        setattr(cls, f"__r{name}__", lambda a, b, op=op: cls._record(op, (b, a)))
    cls.__neg__ = lambda a: cls._record(TABLE["neg"], (a,))
    cls.__abs__ = lambda a: cls._record(TABLE["abs"], (a,))
    cls.__pos__ = lambda a: a
    for name in ("lt", "le", "gt", "ge"):
        compare = getattr(operator, name)
        setattr(cls, f"__{name}__", lambda a, b, compare=compare: compare(float(a), float(b)))


operators_by_record(Series)
