"""`Constant`: a number that remembers nothing; and how an operation is recorded, or is not, where it is called."""

from collections.abc import Callable
from numbers import Real
from typing import Any

from .number import Number, around
from .ops import Op, apply, number


class Constant(Number):
    """A number of which is known only what it is: what operations on Values give in `no_grad`.

    It calculates as a Value does, by the same rules and with the same methods, but records nothing; beside a Value it
    is a constant as a float is. `grad` is 0.0, `data` cannot be set, and a name is not kept: code that names what it
    computes runs in `no_grad` too.

    >>> from micrograd_like import Value, no_grad
    >>> with no_grad():
    ...     half = Value(1.0) / 2
    >>> half, half.exp() > 1, half * Value(3.0)
    (Constant(data=0.5), True, Value(data=1.5, grad=0.0))
    """

    __slots__ = ("_data",)

    op = None
    _grad = grad = 0.0
    operands = ()

    @property
    def data(self) -> float:
        return self._data

    @property
    def name(self) -> str:
        return ""

    @name.setter
    def name(self, name: str) -> None:
        pass

    def backward(self) -> None:
        """Raise RuntimeError: there is nothing to go back through."""
        raise RuntimeError(
            f"{self!r} was computed in no_grad, so nothing is known of how: to call backward, compute it outside of "
            "no_grad"
        )

    def zero_grad(self) -> None:
        """Do nothing: its gradient is 0.0."""

    def partials(self) -> tuple[float, ...]:
        return ()

    def __repr__(self) -> str:
        return f"Constant(data={self._data})"

    def __float__(self) -> float:
        """Its number: it has no derivative to lose."""
        return self._data

    def __copy__(self) -> "Constant":
        return self

    def __deepcopy__(self, memo: Any) -> "Constant":
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return constant, (self._data,)

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> Any:
        """The Constant of `op` applied to Constants and numbers; what else can record gets it as a float."""
        operands = tuple(x._data if type(x) is Constant else x for x in operands)
        if any(hasattr(x, "_record") for x in operands):
            return apply(op, operands)
        return record(op, operands, lambda op, operands, data: constant(data))


def constant(data: float) -> Constant:
    """The Constant of a float. Without an __init__ they are made a third sooner."""
    out = Constant()
    out._data = data
    return out


Real.register(Constant)  # it may stand wherever a number may


def record(op: Op, operands: tuple[Any, ...], make: Callable[[Op, tuple[Any, ...], float], Any]) -> Any:
    """What `make` makes of the operation and its value, or what else is wanted here."""
    part = around.get()
    return make(op, *computed(op, operands)) if part is None else part.record(op, operands, make)


def computed(op: Op, operands: tuple[Any, ...]) -> tuple[tuple[Any, ...], float]:
    """The operands, all but Values as floats, and the value of the operation. Raises DomainError and TypeError."""
    operands = tuple(x if isinstance(x, Number) and type(x) is not Constant else number(x, op.name) for x in operands)
    numbers = tuple(x._data if isinstance(x, Number) else x for x in operands)
    data = op.value(*numbers)
    if data != data:
        op.check(numbers, tuple(getattr(x, "name", "") for x in operands))
    return operands, data
