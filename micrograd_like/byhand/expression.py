"""Formulas as trees: the operations of the table applied to names instead of numbers."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..ops import TABLE, Op, number


class Expression:
    """A name, or an operation of the table on expressions and numbers.

    >>> x, w = Expression(name="x"), Expression(name="w")
    >>> from micrograd_like.ops import tanh
    >>> print(2 * (tanh(w * x) - 1))
    2 * (tanh(w * x) - 1)
    >>> (w * x).evaluate({"w": 3.0, "x": 0.5})
    1.5
    """

    __slots__ = ("name", "op", "operands", "size")

    def __init__(self, op: Op | None = None, operands: tuple[Any, ...] = (), name: str = ""):
        self.op = op
        self.operands = operands
        self.name = name
        # How many symbols it has when it is written out. A part that is shared counts each time, so this can be huge.
        self.size: int = 1 + sum([x.size if isinstance(x, Expression) else 1 for x in operands])

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Expression":
        return Expression(op, tuple(x if isinstance(x, Expression) else number(x, op.name) for x in operands))

    def evaluate(self, numbers: Mapping[str, float]) -> float:
        """Its value when the names stand for these numbers; nan outside a domain. Raises KeyError for a name."""
        result: float = self._fold(lambda name: numbers[name], float, lambda op, operands, results: op.value(*results))
        return result

    def __str__(self) -> str:
        from .writing import PYTHON

        return PYTHON.write(self)

    def names(self) -> Counter[str]:
        """How often it mentions each name."""
        found: Counter[str] = Counter()
        self._fold(lambda name: found.update((name,)), float, lambda op, operands, results: None)
        return found

    def replace(self, by_name: Mapping[str, Any]) -> Any:
        """The expression with other expressions or numbers for some names."""
        return self._fold(
            lambda name: by_name[name] if name in by_name else Expression(name=name),
            float,
            lambda op, operands, results: Expression(op, tuple(results)),
        )

    def _fold(self, of_name: Callable[[str], Any], of_number: Callable[[float], Any], of_op: Callable[..., Any]) -> Any:
        """What comes of the tree when every part is replaced from the inside out. No recursion: sums get long."""
        results: list[Any] = []
        stack: list[tuple[Any, bool]] = [(self, False)]
        while stack:
            part, done = stack.pop()
            if not isinstance(part, Expression):
                results.append(of_number(part))
            elif part.op is None:
                results.append(of_name(part.name))
            elif done:
                operands = results[-part.op.arity :]
                del results[-part.op.arity :]
                results.append(of_op(part.op, part.operands, operands))
            else:
                stack.append((part, True))
                stack += ((operand, False) for operand in reversed(part.operands))
        return results[0]

    def __repr__(self) -> str:
        return f"<Expression {self}>"


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "pow"):
        op = TABLE["div" if name == "truediv" else name]
        setattr(Expression, f"__{name}__", lambda a, b, op=op: Expression._record(op, (a, b)))
        setattr(Expression, f"__r{name}__", lambda a, b, op=op: Expression._record(op, (b, a)))
    setattr(Expression, "__neg__", lambda a: Expression._record(TABLE["neg"], (a,)))  # noqa: B010


_operators()
