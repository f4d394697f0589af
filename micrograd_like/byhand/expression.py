"""Formulas as trees: the operations of the table applied to names instead of numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from ..ops import ATOM, TABLE, Op, number


class Expression:
    """A name, or an operation of the table on expressions and numbers.

    >>> x, w = Expression(name="x"), Expression(name="w")
    >>> from micrograd_like.ops import tanh
    >>> print(2 * (tanh(w * x) - 1))
    2 * (tanh(w * x) - 1)
    >>> (w * x).evaluate({"w": 3.0, "x": 0.5})
    1.5
    """

    __slots__ = ("name", "op", "operands")

    def __init__(self, op: Op | None = None, operands: tuple[Any, ...] = (), name: str = ""):
        self.op = op
        self.operands = operands
        self.name = name

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Expression":
        return Expression(op, tuple(x if isinstance(x, Expression) else number(x, op.name) for x in operands))

    def evaluate(self, numbers: Mapping[str, float]) -> float:
        """Its value when the names stand for these numbers; nan outside a domain. Raises KeyError for a name."""
        result: float = self._fold(lambda name: numbers[name], float, lambda op, operands, results: op.value(*results))
        return result

    def __str__(self) -> str:
        text: str = self._fold(str, lambda x: f"{x:.17g}", _written)
        return text

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


def _written(op: Op, operands: tuple[Any, ...], texts: list[str]) -> str:
    """The operation's text; an operand that binds less tightly gets parentheses."""
    shown = []
    for i, (operand, text) in enumerate(zip(operands, texts, strict=True)):
        inner = TABLE["neg"].precedence if text.startswith("-") else ATOM
        if isinstance(operand, Expression) and operand.op:
            inner = operand.op.precedence
        # a - (b - c) and a / (b / c) need them, (a - b) - c does not; for ** it is the other way round
        equal = i == 0 if op.name == "pow" else i == 1
        loose = inner < op.precedence or (inner == op.precedence and equal)
        shown.append(f"({text})" if op.precedence < ATOM and loose else text)
    return op.text.format(*shown)


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "pow"):
        op = TABLE["div" if name == "truediv" else name]
        setattr(Expression, f"__{name}__", lambda a, b, op=op: Expression._record(op, (a, b)))
        setattr(Expression, f"__r{name}__", lambda a, b, op=op: Expression._record(op, (b, a)))
    setattr(Expression, "__neg__", lambda a: Expression._record(TABLE["neg"], (a,)))  # noqa: B010


_operators()
