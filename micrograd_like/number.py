"""How a `Value` behaves as a Python number: operators, comparisons, conversions, numpy, copies, pickles."""

import operator
from collections.abc import Callable
from contextvars import ContextVar
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn, Self

from .ops import FUNCTIONS, TABLE, Op, apply

_OPERATORS = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow"}

# numpy's name of an operation -> the row's name, where they differ
_NUMPY = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "divide": "div", "fabs": "abs",
    "float_power": "pow", "multiply": "mul", "negative": "neg", "power": "pow", "subtract": "sub",
    "true_divide": "div",
}  # fmt: skip
_NUMPY_COMPARISONS = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
}  # fmt: skip
_NUMPY_OPERATORS = {
    "positive": operator.pos, "square": lambda x: x**2, "reciprocal": lambda x: 1.0 / x,
}  # fmt: skip

_METHODS = dict(FUNCTIONS)  # not what users add later: its name may be that of an attribute

# The variables of the functions that are being differentiated now, in all threads; `transforms` keeps it.
differentiated: set[Any] = set()


class Number:
    """What `Value` and `Constant` inherit: everything of a number that needs to know nothing of the graph."""

    __slots__ = ()

    # What both have: slots or their constant values, and what `give_operators` makes. Only type checkers see this.
    if TYPE_CHECKING:
        _data: float
        _flow: float
        _grad: float
        _mark: Any
        _a: Any
        _b: Any
        op: Op | None
        name: str

        @property
        def data(self) -> float: ...

        def _unary(self) -> Self: ...
        def _binary(self, other: Any) -> Self: ...

        __neg__ = __abs__ = _unary
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = _binary
        exp = expm1 = exp2 = log = log1p = log2 = log10 = sqrt = cbrt = _unary
        sin = cos = tan = asin = acos = atan = sinh = cosh = tanh = asinh = acosh = atanh = _unary
        sigmoid = softplus = erf = relu = abs = _unary
        add = sub = mul = div = pow = atan2 = logaddexp = hypot = maximum = minimum = _binary
        neg = _unary

        def leaky_relu(self, slope: Any = 0.01) -> Self: ...
        def where(self, a: Any, b: Any) -> Self: ...

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Value(data={self._data}, grad={self._grad}{name})"

    def _repr_html_(self) -> str:
        import html

        cells = [self.name or type(self).__name__, self._op, f"data {self._data:.6g}", f"grad {self._grad:+.6g}"]
        tds = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells if cell)
        return f"<table><tr>{tds}</tr></table>"

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    # Conversions, all by way of __float__; math.floor and math.ceil go that way by themselves.

    def __float__(self) -> float:
        """Its number. Raises TypeError inside of `grad` and its kin, where that would lose a derivative unnoticed."""
        if differentiated:
            from .walks import depends

            if depends(self, differentiated):
                raise TypeError(
                    f"{self.name or 'a Value'} = {self._data!r}, which depends on what is being differentiated by, was "
                    "to become a plain number, which would lose its derivative: use arrays with dtype=object and the "
                    "functions of micrograd_like, or .data where just the number is meant"
                )
        return self.data

    def __int__(self) -> int:
        return int(float(self))

    __trunc__ = __int__

    def __round__(self, digits: int | None = None) -> float:
        return round(float(self), digits)

    def conjugate(self) -> Self:
        """Itself; numpy asks for it in np.var and np.vdot."""
        return self

    def __bool__(self) -> bool:
        return self.data != 0.0

    def __pos__(self) -> "Number":
        return self

    # No operations: what a quotient is rounded to has no slope to speak of.

    def __floordiv__(self, other: Any) -> NoReturn:
        raise TypeError(
            f"//, % and divmod are no operations of Values, here of {self!r:.60} and {other!r:.60}: "
            "take q = math.floor(a.data / b.data) where just the number is meant, and a - q * b for the remainder"
        )

    __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __floordiv__

    # Comparisons are of data; == and hash stay those of the object, so Values live in sets and dicts.

    def __lt__(self, other: Any) -> bool:
        return self.data < _bare(other) if isinstance(other, (Number, Real)) else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self.data <= _bare(other) if isinstance(other, (Number, Real)) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self.data > _bare(other) if isinstance(other, (Number, Real)) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self.data >= _bare(other) if isinstance(other, (Number, Real)) else NotImplemented

    # micrograd's names, so that code written for it runs as it is.

    @property
    def label(self) -> str:
        return self.name

    @label.setter
    def label(self: Any, name: str) -> None:
        self.name = name

    @property
    def _op(self) -> str:
        return self.op.symbol if self.op else ""

    @property
    def _prev(self: Any) -> tuple["Number", ...]:
        return tuple(x if isinstance(x, Number) else type(self)(x) for x in self.operands)

    # numpy hands its operations to us, so that np.exp(v), array * v and np.float64(2) * v record nodes.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and isinstance(inputs[0], Number):
            return inputs[0]  # np.sum of one
        function = FUNCTIONS.get(_NUMPY.get(name, name)) or _NUMPY_OPERATORS.get(name) or _NUMPY_COMPARISONS.get(name)
        if function is None or method != "__call__" or options:
            return NotImplemented
        if all(isinstance(x, (Number, Real)) for x in inputs):
            result = function(*inputs)
        else:
            result = _elementwise(function, inputs)
            if name in _NUMPY_COMPARISONS and hasattr(result, "astype"):
                result = result.astype(bool)
        if out is None:
            return result
        if out[0].dtype != object:
            raise TypeError(
                f"numpy.{name} cannot put Values into an array of {out[0].dtype}; "
                "make the array with dtype=object, or write a = a * v instead of a *= v"
            )
        out[0][...] = result
        return out[0]

    # Copies and pickles, without recursion: a chain of a million nodes can be copied too.

    def __copy__(self) -> Any:
        clone = _blank(type(self))
        clone.__setstate__(self._state())
        return clone

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        from .walks import topological

        def copied(x: Any) -> Any:
            return tuple(map(copied, x)) if type(x) is tuple else memo[id(x)] if isinstance(x, Number) else x

        for node in topological(self):
            if id(node) not in memo:
                data, grad, op, a, b, attributes = node._state()
                clone = memo[id(node)] = _blank(type(node))
                clone.__setstate__((data, grad, op, copied(a), copied(b), deepcopy(attributes, memo)))
        return memo[id(self)]

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        # A pickle saves what an object refers to before its state. So the ancestors are named first, in
        # an order in which each finds its operands already saved; they themselves then need no such list.
        if self.op is None or any(id(self) in saved for saved in _saved_first.get()):
            return _blank, (type(self),), self._state()
        from .walks import topological

        ancestors = topological(self)[:-1]
        first = frozenset(map(id, ancestors))
        return _blank, (type(self), _Saved(first), ancestors, _Saved(None)), self._state()

    def _state(self) -> tuple[Any, ...]:
        return self._data, self._grad, self.op, self._a, self._b, self.__dict__

    def __setstate__(self: Any, state: tuple[Any, ...]) -> None:
        self._data, self._grad, self.op, self._a, self._b, attributes = state
        self._mark = None
        self.__dict__.update(attributes)


def _elementwise(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    import numpy

    arrays = []
    for x in inputs:
        if isinstance(x, Number):
            array = numpy.empty((), object)
            array[()] = x
        else:
            array = numpy.asarray(x)
            if array.dtype.kind in "biuf":
                array = array.astype(float)  # whose elements are Python's floats
        arrays.append(array)
    return numpy.frompyfunc(function, len(arrays), 1)(*arrays)


# The ids of the nodes that a pickle names before a root, for each root it is in the middle of.
_saved_first: ContextVar[tuple[frozenset[int], ...]] = ContextVar("saved_first", default=())


class _Saved:
    """Notes the ids, or forgets those noted last, at the moment the pickler comes to it."""

    def __init__(self, ids: frozenset[int] | None):
        self.ids = ids

    def __reduce__(self) -> Any:
        noted = _saved_first.get()
        _saved_first.set(noted[:-1] if self.ids is None else (*noted, self.ids))
        return bool, ()


def _bare(x: Any) -> Any:
    return x._data if isinstance(x, Number) else x  # a Fraction or a large int is compared as it is


def _blank(cls: type, *ignored: Any) -> Any:
    return object.__new__(cls)


# ---- operators and methods, made from the table ----------------------------------------------------

# Is a part of the program open, in any thread, in which operations are recorded in another way? `recording` keeps it.
# It is a plain global, since each operation looks at it and nothing costs less.
asking = False
# The innermost such part around the code that runs, or None. One that was left may still be there, and wants nothing.
around: ContextVar[Any] = ContextVar("around", default=None)

_current, _new = around.get, object.__new__


def asked_for(value: Any) -> float:
    """The number of a Value, for which Python code asks, after telling the part of the program that wants to know."""
    part = around.get()
    told = part.holds("asked") if part is not None else None
    if told is not None:
        told(value)
    return value._data  # type: ignore[no-any-return]


def evaluating() -> bool:
    """Are we in `no_grad`, with nobody who watches the operations?"""
    part = around.get() if asking else None
    return part is not None and part.records is False and not part.holds("anomalies")


def give_operators(node: Any, constant: Any) -> None:
    """Make both classes calculate: with operators, and with a method for each function of the table.

    node: the class whose operations are recorded. constant: that of numbers without a graph.

    The methods do what `_record` of their class does, written out for one and two operands because this is the hot
    path. They are made in pairs: `record` is the node's, `evaluate` the constant's.
    """

    def unary(op: Op) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        value = op.value

        def evaluate(self: Any) -> Any:
            data = value(self._data)
            if data - data:  # nan, for an infinite one too: somebody may watch for it
                return apply(op, (self,))
            out = constant()
            out._data = data
            return out

        def record(self: Any) -> Any:
            data = value(self._data)
            if asking and (part := _current()) is not None:
                if part.records is not False or data - data:
                    return part.recorded(op, (self,), data, node._node) if data == data else apply(op, (self,))
                out = constant()
                out._data = data
                return out
            if data != data:
                return apply(op, (self,))
            out = _new(node)
            out._data = data
            out._grad = 0.0
            out.op = op
            out._a = self
            out._b = None
            out._mark = None
            return out

        return record, evaluate

    def binary(
        op: Op, otherwise: Callable[[Op, tuple[Any, ...]], Any]
    ) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
        value = op.value

        def evaluate(self: Any, other: Any) -> Any:
            if type(other) is constant:
                data = value(self._data, other._data)
            elif type(other) is float:
                data = value(self._data, other)
            elif type(other) is int:
                data = value(self._data, float(other))
            elif type(other) is node and asking and getattr(_current(), "records", None) is False:
                data = value(self._data, other._data)
            else:
                return otherwise(op, (self, other))
            if data - data:
                return apply(op, (self, other))
            out = constant()
            out._data = data
            return out

        def record(self: Any, other: Any) -> Any:
            if type(other) is node:
                data = value(self._data, other._data)
            elif type(other) is float:
                data = value(self._data, other)
            else:
                if type(other) is int:
                    other = float(other)
                elif type(other) is constant:
                    other = other._data
                else:
                    return otherwise(op, (self, other))
                data = value(self._data, other)
            if asking and (part := _current()) is not None:
                if part.records is not False or data - data:
                    return (
                        part.recorded(op, (self, other), data, node._node) if data == data else apply(op, (self, other))
                    )
                out = constant()
                out._data = data
                return out
            if data != data:
                return apply(op, (self, other))
            out = _new(node)
            out._data = data
            out._grad = 0.0
            out.op = op
            out._a = self
            out._b = other
            out._mark = None
            return out

        return record, evaluate

    def reflected(op: Op) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
        value = op.value

        def evaluate(self: Any, other: Any) -> Any:
            if type(other) is not float and type(other) is not int:
                return operate(op, (other, self))
            data = value(float(other), self._data)
            if data - data:
                return apply(op, (other, self))
            out = constant()
            out._data = data
            return out

        def record(self: Any, other: Any) -> Any:
            if type(other) is int:
                other = float(other)
            elif type(other) is not float:
                return operate(op, (other, self))
            data = value(other, self._data)
            if asking and (part := _current()) is not None:
                if part.records is not False or data - data:
                    return (
                        part.recorded(op, (other, self), data, node._node) if data == data else apply(op, (other, self))
                    )
                out = constant()
                out._data = data
                return out
            if data != data:
                return apply(op, (other, self))
            out = _new(node)
            out._data = data
            out._grad = 0.0
            out.op = op
            out._a = None
            out._b = (other, self)
            out._mark = None
            return out

        return record, evaluate

    def n_ary(op: Op) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return (lambda *operands: apply(op, operands)), (lambda *operands: apply(op, operands))

    def operate(op: Op, operands: tuple[Any, ...]) -> Any:
        """An operator says NotImplemented to what is no number, for then the other operand may know."""
        return apply(op, operands) if all(isinstance(x, (Number, Real)) for x in operands) else NotImplemented

    class Recorders(dict[Op, Callable[..., Any]]):
        """What records each operation, made when it is first needed: users may add operations."""

        def __missing__(self, op: Op) -> Callable[..., Any]:
            pair = n_ary(op) if op.at_once else unary(op) if op.arity == 1 else binary(op, apply)
            for cls, method in zip((node, constant), pair, strict=True):
                cls._recorders[op] = method
            return self[op]

    numpy_names = {ours: theirs for theirs, ours in _NUMPY.items()}
    node._recorders, constant._recorders = Recorders(), Recorders()
    for i, cls in enumerate((node, constant)):
        for dunder, name in _OPERATORS.items():
            setattr(cls, f"__{dunder}__", binary(TABLE[name], operate)[i])
            setattr(cls, f"__r{dunder}__", reflected(TABLE[name])[i])
        cls.__neg__ = unary(TABLE["neg"])[i]
        cls.__abs__ = unary(TABLE["abs"])[i]
        for name, function in _METHODS.items():
            method = cls._recorders[TABLE[name]]
            method.__name__, method.__qualname__, method.__module__ = name, f"{cls.__name__}.{name}", cls.__module__
            method.__doc__, method.__defaults__ = function.__doc__, function.__defaults__
            setattr(cls, name, method)
            if name in numpy_names:  # numpy calls most of these on the elements of an object array
                setattr(cls, numpy_names[name], method)
