"""The table of operations: everything the package knows about +, tanh, max and the others.

One row is one operation: its value on floats, its local partial derivatives, how it is written, where
it is defined. Everything else (eager values, the backward pass, pictures, derivations) reads these rows.

How a row is written:

* ``value(*floats) -> float`` never raises. It follows IEEE 754: an overflow is ``inf``, a pole is ``±inf``,
  and outside the domain it is ``nan`` (the caller turns that into a `DomainError`, see `check`).
* ``partials`` holds one function for each operand, ``(*operands, out) -> ∂out/∂operand``. They use only
  arithmetic and the functions of this module, so they work on floats, on graph nodes (which makes the
  gradient a graph itself) and on whatever else can be recorded. A constant one is written as the number;
  where all of them are, `slopes` holds the numbers. Where it is the number 0, no gradient passes to the operand,
  not even an infinite one: `passes` says where one does. A formula that would lose digits where it cancels
  (1 - tanh² far from 0) is replaced by one that does not (sech²).
* ``written`` holds those partials, by the operand's number, that a person writes in another way (1 - out², for
  tanh): derivations are written with them, and a test holds them to be the same functions.
* ``series`` holds, in the same way, those that power series need in another form: theirs have to be made of finitely
  many series, partials of partials included (not out / b, for that makes out / b / b).
* ``text`` and ``latex`` are templates with ``{0}``, ``{1}``, … for the operands; ``precedence`` says how tightly
  they bind, ``commutative`` that their order does not matter.

Adding an operation is adding a row; `tests/test_ops.py` then checks it in every reading.
"""

import math
import operator
from collections.abc import Callable, Sequence
from math import inf, nan
from numbers import Real
from typing import Any

ATOM = 9  # precedence of what never needs parentheses: names, numbers, function calls


class DomainError(ValueError):
    """An operation was asked for its value where it has none, like the logarithm of -1."""


class Op:
    """One row of the table. The module's docstring says what the fields mean."""

    __slots__ = (
        "arity",
        "at_once",
        "commutative",
        "domain",
        "latex",
        "name",
        "partials",
        "passes",
        "precedence",
        "series",
        "slopes",
        "symbol",
        "text",
        "value",
        "written",
    )

    def __init__(
        self,
        name: str,
        value: Callable[..., float],
        partials: tuple[Callable[..., Any] | float, ...],
        *,
        symbol: str = "",
        text: str = "",
        latex: str = "",
        precedence: int = ATOM,
        commutative: bool = False,
        domain: str = "",
        written: dict[int, Callable[..., Any]] | None = None,
        series: dict[int, Callable[..., Any]] | None = None,
    ):
        operands = ", ".join(f"{{{i}}}" for i in range(len(partials)))
        self.name = name
        self.value = value
        self.partials = tuple(p if callable(p) else _constant(p) for p in partials)
        self.passes: Sequence[bool] = tuple(callable(p) or p != 0.0 for p in partials)
        self.at_once = len(partials) > 2 or not all(self.passes)  # read by `slopes_at`, not one by one: it is rare
        numbers = tuple(p for p in partials if not callable(p))
        self.slopes = numbers if len(numbers) == len(partials) else ()
        self.arity = len(partials)
        self.symbol = symbol or name
        self.text = text or f"{name}({operands})"
        upright = name.replace("_", r"\_")
        self.latex = latex or rf"\operatorname{{{{{upright}}}}}({operands})"
        self.precedence = precedence
        self.commutative = commutative
        self.domain = domain
        self.written = self._instead(written)
        self.series = self._instead(series)

    def _instead(self, others: dict[int, Callable[..., Any]] | None) -> tuple[Callable[..., Any], ...]:
        return tuple((others or {}).get(i, partial) for i, partial in enumerate(self.partials))

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def __reduce__(self) -> Any:
        if TABLE.get(self.name) is not self:
            raise TypeError(
                f"a pickle names its operations, and {self.name!r} has been defined anew since this graph was "
                "recorded: record it again"
            )
        return _row, (self.name,)  # a pickle names the row and never carries code

    def slopes_at(self, at: Sequence[Any], by: Sequence[int]) -> Sequence[Any]:
        """∂out/∂operand for the operands `by`, at (*operands, out)."""
        return [self.partials[i](*at) for i in by]

    def check(self, numbers: tuple[float, ...], names: tuple[str, ...] = ()) -> None:
        """Raise `DomainError` if `value(*numbers)` came out as nan although no operand was nan.

        Operations without a `domain` let nan through: 0/0 and inf - inf are nan, as in numpy.
        """
        if self.domain and not any(x != x for x in numbers):
            names = names or ("",) * self.arity
            shown = [f"{name} = {x!r}" if name else repr(x) for name, x in zip(names, numbers, strict=True)]
            raise DomainError(f"{self.name}({', '.join(shown)}) is not defined: {self.domain}")


def _constant(number: float) -> Callable[..., float]:
    return lambda *operands_and_out: number


TABLE: dict[str, Op] = {}  # every row by name, in the order of this file
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # the rows users call, by name


def number(x: Any, where: str, takes: str = "numbers and Values") -> float:
    """The float of a real number (int, float, bool, Fraction, a numpy scalar), for the operation `where`.

    Raises TypeError for anything else: text, complex numbers, None, lists.
    """
    if isinstance(x, Real):
        return float(x)
    if getattr(x, "ndim", None) == 0 and getattr(x.dtype, "kind", "?") in "biuf":
        return float(x)  # numpy's bool and its arrays of no dimension are no Real
    cure = f" (for arrays use numpy.{where})" if hasattr(x, "__array__") and where in TABLE else ""
    raise TypeError(f"{where} takes {takes}, not {type(x).__name__} {x!r:.60}{cure}")


def apply(op: Op, operands: tuple[Any, ...]) -> Any:
    """`op` of numbers is a float; if any operand records operations, what it records."""
    for x in operands:
        record = getattr(x, "_record", None)
        if record is not None:
            return record(op, operands)
    numbers = tuple(number(x, op.name) for x in operands)
    out = op.value(*numbers)
    if out != out:
        op.check(numbers)
    return out


def row(
    name: str, value: Callable[..., float], *partials: Callable[..., Any] | float, public: bool = True, **how: Any
) -> Callable[..., Any]:
    """Put a row into the table; return the function that applies it to numbers and nodes alike."""
    op = TABLE[name] = Op(name, value, partials, **how)

    # The backward pass calls these on floats and networks call them on nodes, all the time: hence the short
    # cuts. What records operations has `_record(op, operands)` and `_recorders`, which is that by op.
    if op.arity == 1:

        def function(x: Any) -> Any:
            if type(x) is float and (out := value(x)) == out:
                return out
            recorders = getattr(x, "_recorders", None)
            return recorders[op](x) if recorders else apply(op, (x,))

    elif op.arity == 2:

        def function(x: Any, y: Any) -> Any:  # type: ignore[misc]
            if type(x) is float and type(y) is float and (out := value(x, y)) == out:
                return out
            recorders = getattr(x, "_recorders", None)
            return recorders[op](x, y) if recorders else apply(op, (x, y))

    else:

        def function(*operands: Any) -> Any:  # type: ignore[misc]
            if len(operands) != op.arity:
                raise TypeError(f"{name} takes {op.arity} operands, got {len(operands)}")
            return apply(op, operands)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "micrograd_like"  # which is where users, and pickles, find it
    function.__doc__ = (
        f"{op.text.format(*'xyzuvwabcdefghijklmnopqrst')}, of numbers (a float) or of Values (a Value)."
        + (f" {op.domain[0].upper()}{op.domain[1:]}." if op.domain else "")
    )
    if public:
        FUNCTIONS[name] = function
    return function


def _row(name: str) -> Op:
    if name not in TABLE:
        raise LookupError(
            f"the pickled graph has an operation {name!r}, which is not there: define it first, with "
            f"custom(..., name={name!r})"
        )
    return TABLE[name]


# ---- values: Python's math, with IEEE's answer where Python raises --------------------------------


def _quiet(f: Callable[[float], float]) -> Callable[[float], float]:
    def value(x: float) -> float:
        try:
            return f(x)
        except ValueError:
            return nan
        except OverflowError:
            return inf

    return value


def _quiet_log(f: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: f(x) if x > 0.0 else (-inf if x == 0.0 else nan)


def _div(a: float, b: float) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return a * math.copysign(inf, b)  # nan when a is 0 or nan


def _pow(a: float, b: float) -> float:
    if b == 2.0:
        return a * a  # the same number, sooner: squares are most of the powers that people write
    try:
        return math.pow(a, b)
    except ValueError:  # a pole, or a negative base under a broken exponent
        return nan if a else math.copysign(inf, a) if b % 2.0 == 1.0 else inf
    except OverflowError:
        return -inf if a < 0.0 and b % 2.0 == 1.0 else inf


def _cbrt(x: float) -> float:
    y = math.cbrt(x)
    # glibc's is 2 ulp off at times; a step of Newton's method puts that right
    return y - (y - x / (y * y)) / 3.0 if y and abs(y) < inf else y


def _log1p(x: float) -> float:
    return math.log1p(x) if x > -1.0 else (-inf if x == -1.0 else nan)


def _atanh(x: float) -> float:
    return math.atanh(x) if -1.0 < x < 1.0 else (math.copysign(inf, x) if abs(x) == 1.0 else nan)


def _sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _difference(a: float, b: float) -> tuple[float, float]:
    """a - b rounded, and what rounding took away (Knuth's TwoSum): exp would multiply that by a - b."""
    d = a - b
    t = d - a
    error = (a - (d - t)) - (b + t)
    return d, error if abs(error) < 1.0 else 0.0  # nan and inf: where a - b is infinite


def _logaddexp(a: float, b: float) -> float:
    if a == b:
        return a + math.log(2.0)  # also where both are infinite
    a, b = (b, a) if a < b else (a, b)
    d, error = _difference(b, a)
    e = math.exp(d)
    return a + math.log1p(e + e * error)


def _sech2(x: float) -> float:
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _gauss(x: float) -> float:
    """exp(-x²). The rounding error of x² would be multiplied by x², so it is computed too (Dekker 1971)."""
    if abs(x) > 28.0:
        return 0.0
    square = x * x
    high = x * 134217729.0
    high -= high - x
    low = x - high
    error = ((high * high - square) + 2.0 * high * low) + low * low
    return math.exp(-square) * (1.0 - error)


def _sigmoid_of_difference(a: float, b: float) -> float:
    if a == b:
        return 0.5  # also where both are infinite
    d, error = _difference(a, b)
    s = _sigmoid(d)
    return s + s * _sigmoid(-d) * error


def _compare(a: float, b: float) -> float:
    return 1.0 if a > b else -1.0 if a < b else 0.0 if a == b else nan


def _maximum(a: float, b: float) -> float:
    return a if a > b or a != a else b


def _minimum(a: float, b: float) -> float:
    return a if a < b or a != a else b


# ---- arithmetic -----------------------------------------------------------------------------------

add = row(
    "add", operator.add,
    1.0,
    1.0,
    symbol="+", text="{0} + {1}", latex="{0} + {1}", precedence=1, commutative=True,
)  # fmt: skip
sub = row(
    "sub", operator.sub,
    1.0,
    -1.0,
    symbol="-", text="{0} - {1}", latex="{0} - {1}", precedence=1,
)  # fmt: skip
mul = row(
    "mul", operator.mul,
    lambda a, b, out: b,
    lambda a, b, out: a,
    symbol="*", text="{0} * {1}", latex=r"{0} \, {1}", precedence=2, commutative=True,
)  # fmt: skip
div = row(
    "div", _div,
    lambda a, b, out: div(1.0, b),
    lambda a, b, out: -div(out, b),
    symbol="/", text="{0} / {1}", latex=r"\frac{{{0}}}{{{1}}}", precedence=2,
    written={1: lambda a, b, out: -div(a, pow_(b, 2.0))},
    series={1: lambda a, b, out: -(out * div(1.0, b))},
)  # fmt: skip
neg = row("neg", operator.neg, -1.0, text="-{0}", latex="-{0}", precedence=3)


def _pow_by_base(a: Any, b: Any, out: Any) -> Any:
    """∂(a^b)/∂a = b a^(b-1), which is 0 for b = 0 whatever a is (0^0 is 1 with slope 0)."""
    if type(b) is not float:
        # 0^0 again: there the exponent stays 0, so that 0 times a pole is never formed.
        at_origin = (1.0 - where(a, 1.0, 0.0)) * (1.0 - where(b, 1.0, 0.0))
        return b * pow_(a, b - (1.0 - at_origin))
    if b == 2.0:
        return 2.0 * a
    if b == 0.0:
        return 0.0
    exponent = b - 1.0
    power = pow_(a, exponent)
    if type(a) is float and a and out and abs(out) < inf and not 2.3e-308 < abs(power) < inf:
        return b * out / a  # out of the range of floats, though the slope may be within it
    slope = b * power
    lost = b - (exponent + 1.0)  # b - 1 is rounded for a b like 0.1; log(a) would multiply that error
    if not 0.0 < abs(lost) < 1.0 or (type(slope) is float and not 0.0 < abs(slope) < inf):
        return slope
    return slope * where(a, pow_(a, lost), 1.0)


def _lowered_power(a: Any, b: Any) -> Any:
    """a^(b-1), where a person would not write a^0 or a^1."""
    if type(b) is float and b in {1.0, 2.0}:
        return a if b == 2.0 else 1.0
    return pow_(a, b - 1.0)


def _pow_by_base_in_series(a: Any, b: Any, out: Any) -> Any:
    """The same without powers of powers, unless they end: x³, 3 x², 6 x, 6."""
    ends = type(b) is float and 0.0 <= b <= 64.0 and b % 1.0 == 0.0
    return _pow_by_base(a, b, out) if ends or float(a) == 0.0 else out * b * div(1.0, a)


pow_ = row(
    "pow", _pow,
    _pow_by_base,
    lambda a, b, out: out * log_or_nan(where(a, a, 1.0)),  # slope 0 at 0^b, nan for a < 0, as torch
    symbol="**", text="{0} ** {1}", latex="{0}^{{{1}}}", precedence=4,
    domain="a negative base needs a whole exponent (a power that is not real is never made complex)",
    written={
        0: lambda a, b, out: b * _lowered_power(a, b),
        1: lambda a, b, out: out * (log_or_nan if type(a) is float else log)(a),
    },
    series={0: _pow_by_base_in_series},
)  # fmt: skip

# ---- exponentials and logarithms ------------------------------------------------------------------

exp = row("exp", _quiet(math.exp), lambda a, out: out, latex="e^{{{0}}}")
expm1 = row("expm1", _quiet(math.expm1), lambda a, out: exp(a), latex="(e^{{{0}}} - 1)")
exp2 = row("exp2", _quiet(math.exp2), lambda a, out: math.log(2.0) * out, latex="2^{{{0}}}")
_log_domain = "the logarithm needs x ≥ 0"
log = row(
    "log", _quiet_log(math.log),
    lambda a, out: div(1.0, a),
    latex=r"\log({0})", domain=_log_domain,
)  # fmt: skip
log1p = row(
    "log1p", _log1p,
    lambda a, out: div(1.0, 1.0 + a),
    latex=r"\log(1 + {0})", domain="log(1 + x) needs x ≥ -1",
)  # fmt: skip
log2 = row(
    "log2", _quiet_log(math.log2),
    lambda a, out: div(1.0, a * math.log(2.0)),
    latex=r"\log_2({0})", domain=_log_domain,
)  # fmt: skip
log10 = row(
    "log10", _quiet_log(math.log10),
    lambda a, out: div(1.0, a * math.log(10.0)),
    latex=r"\log_{{10}}({0})", domain=_log_domain,
)  # fmt: skip
sqrt = row(
    "sqrt", _quiet(math.sqrt),
    lambda a, out: div(0.5, out),
    latex=r"\sqrt{{{0}}}", domain="the square root needs x ≥ 0",
    written={0: lambda a, out: div(1.0, 2.0 * out)},
)  # fmt: skip
cbrt = row(
    "cbrt", _cbrt,
    lambda a, out: div(1.0, 3.0 * out * out),
    latex=r"\sqrt[3]{{{0}}}",
    written={0: lambda a, out: div(1.0, 3.0 * pow_(out, 2.0))},
)  # fmt: skip

# ---- circular and hyperbolic functions ------------------------------------------------------------

_finite = "it needs a finite x"
sin = row("sin", _quiet(math.sin), lambda a, out: cos(a), latex=r"\sin({0})", domain=_finite)
cos = row("cos", _quiet(math.cos), lambda a, out: -sin(a), latex=r"\cos({0})", domain=_finite)
tan = row(
    "tan", _quiet(math.tan),
    lambda a, out: 1.0 + out * out,
    latex=r"\tan({0})", domain=_finite,
    written={0: lambda a, out: 1.0 + pow_(out, 2.0)},
)  # fmt: skip
_unit = "it needs -1 ≤ x ≤ 1"
asin = row(
    "asin", _quiet(math.asin),
    lambda a, out: div(1.0, sqrt((1.0 - a) * (1.0 + a))),  # 1 - a² would cancel near ±1
    latex=r"\arcsin({0})", domain=_unit,
    written={0: lambda a, out: div(1.0, sqrt(1.0 - pow_(a, 2.0)))},
)  # fmt: skip
acos = row(
    "acos", _quiet(math.acos),
    lambda a, out: div(-1.0, sqrt((1.0 - a) * (1.0 + a))),
    latex=r"\arccos({0})", domain=_unit,
    written={0: lambda a, out: -div(1.0, sqrt(1.0 - pow_(a, 2.0)))},
)  # fmt: skip
atan = row(
    "atan", math.atan,
    lambda a, out: div(1.0, 1.0 + a * a),
    latex=r"\arctan({0})",
    written={0: lambda a, out: div(1.0, 1.0 + pow_(a, 2.0))},
)  # fmt: skip
atan2 = row(
    "atan2", math.atan2,
    lambda y, x, out: div(div(x, hypot(x, y)), hypot(x, y)),  # x² + y² would overflow
    lambda y, x, out: -div(div(y, hypot(x, y)), hypot(x, y)),
    written={
        0: lambda y, x, out: div(x, pow_(x, 2.0) + pow_(y, 2.0)),
        1: lambda y, x, out: -div(y, pow_(x, 2.0) + pow_(y, 2.0)),
    },
)  # fmt: skip
sinh = row("sinh", _sinh, lambda a, out: cosh(a), latex=r"\sinh({0})")
cosh = row("cosh", _quiet(math.cosh), lambda a, out: sinh(a), latex=r"\cosh({0})")
tanh = row(
    "tanh", math.tanh,
    lambda a, out: sech2(a),
    latex=r"\tanh({0})",
    written={0: lambda a, out: 1.0 - pow_(out, 2.0)},
)  # fmt: skip
asinh = row(
    "asinh", math.asinh,
    lambda a, out: div(1.0, hypot(1.0, a)),
    written={0: lambda a, out: div(1.0, sqrt(1.0 + pow_(a, 2.0)))},
)  # fmt: skip
acosh = row(
    "acosh", _quiet(math.acosh),
    lambda a, out: div(1.0, sqrt(a - 1.0) * sqrt(a + 1.0)),
    domain="it needs x ≥ 1",
    written={0: lambda a, out: div(1.0, sqrt(pow_(a, 2.0) - 1.0))},
)  # fmt: skip
atanh = row(
    "atanh", _atanh,
    lambda a, out: div(1.0, (1.0 - a) * (1.0 + a)),
    domain=_unit,
    written={0: lambda a, out: div(1.0, 1.0 - pow_(a, 2.0))},
)  # fmt: skip

# ---- activations and what losses are made of ------------------------------------------------------

sigmoid = row(
    "sigmoid", _sigmoid,
    lambda a, out: out * sigmoid(-a),
    latex=r"\sigma({0})",
    written={0: lambda a, out: out * (1.0 - out)},
    series={0: lambda a, out: out * sigmoid_of_difference(0.0, a)},  # not sigmoid(-a), whose partial has -(-a)
)  # fmt: skip
softplus = row("softplus", _softplus, lambda a, out: sigmoid(a))
logaddexp = row(
    "logaddexp", _logaddexp,
    lambda a, b, out: sigmoid_of_difference(a, b),
    lambda a, b, out: sigmoid_of_difference(b, a),
    written={0: lambda a, b, out: sigmoid(a - b), 1: lambda a, b, out: sigmoid(b - a)},
    latex=r"\log(e^{{{0}}} + e^{{{1}}})", commutative=True,
)  # fmt: skip
erf = row(
    "erf", math.erf,
    lambda a, out: 2.0 / math.sqrt(math.pi) * gauss(a),
    written={0: lambda a, out: 2.0 / math.sqrt(math.pi) * exp(-pow_(a, 2.0))},
)  # fmt: skip
hypot = row(
    "hypot", math.hypot,
    lambda a, b, out: share(a, b),  # the derivative of a / out would be 1 / out - a² / out³, which cancels
    lambda a, b, out: share(b, a),
    latex=r"\sqrt{{{0}^2 + {1}^2}}", commutative=True,
    written={0: lambda a, b, out: div(a, out), 1: lambda a, b, out: div(b, out)},
)  # fmt: skip
relu = row("relu", lambda a: a if a > 0.0 or a != a else 0.0, lambda a, out: step(a), symbol="ReLU")
leaky_relu = row(
    "leaky_relu", lambda a, slope: a if a > 0.0 else slope * a,
    lambda a, slope, out: step(a) + slope * (1.0 - step(a)),
    lambda a, slope, out: minimum(a, 0.0),
)  # fmt: skip
leaky_relu.__defaults__ = (0.01,)
abs_ = row("abs", abs, lambda a, out: compare(a, 0.0), latex=r"\left|{0}\right|")
maximum = row(
    "maximum", _maximum,
    lambda a, b, out: 0.5 + 0.5 * compare(a, b),  # a tie is split in half
    lambda a, b, out: 0.5 - 0.5 * compare(a, b),
    latex=r"\max({0}, {1})", commutative=True,
)  # fmt: skip
minimum = row(
    "minimum", _minimum,
    lambda a, b, out: 0.5 - 0.5 * compare(a, b),
    lambda a, b, out: 0.5 + 0.5 * compare(a, b),
    latex=r"\min({0}, {1})", commutative=True,
)  # fmt: skip
where = row(
    "where", lambda condition, a, b: a if condition else b,
    0.0,
    lambda condition, a, b, out: where(condition, 1.0, 0.0),
    lambda condition, a, b, out: where(condition, 0.0, 1.0),
)  # fmt: skip

# ---- rows that only the partials above use: with them the table is closed under differentiation ----

sech2 = row(
    "sech2",
    _sech2,
    lambda a, out: -2.0 * out * tanh(a),
    text="sech({0})²",
    latex=r"\operatorname{{sech}}^2({0})",
    public=False,
)
gauss = row("gauss", _gauss, lambda a, out: -2.0 * a * out, latex="e^{{-{0}^2}}", public=False)
sigmoid_of_difference = row(
    "sigmoid_of_difference", _sigmoid_of_difference,
    lambda a, b, out: out * sigmoid_of_difference(b, a),
    lambda a, b, out: -(out * sigmoid_of_difference(b, a)),
    text="sigmoid({0} - {1})", latex=r"\sigma({0} - {1})", public=False,
)  # fmt: skip
share = row(  # a / hypot(a, b)
    "share", lambda a, b: _div(a, math.hypot(a, b)),
    lambda a, b, out: div(share(b, a) * share(b, a), hypot(a, b)),
    lambda a, b, out: -div(out * share(b, a), hypot(a, b)),
    text="cos(atan2({1}, {0}))", latex=r"\cos(\operatorname{{atan2}}({1}, {0}))", public=False,
)  # fmt: skip
log_or_nan = row(
    "log_or_nan", _quiet_log(math.log), lambda a, out: div(1.0, a),
    text="log({0})", latex=r"\log({0})", public=False,
)  # fmt: skip
stop_gradient = row("stop_gradient", lambda a: a, 0.0, public=False)  # a constant to whatever differentiates
same = row("same", lambda a: a, 1.0, text="{0}", latex="{0}", public=False)  # another node for what is the same number
step = row(  # 1 where a > 0, else 0: the slope of relu, which is 0 at 0
    "step", lambda a: 1.0 if a > 0.0 else 0.0 if a <= 0.0 else nan, 0.0,
    public=False,
)  # fmt: skip
compare = row(  # the sign of a - b, also where both are infinite
    "compare", _compare, 0.0, 0.0,
    text="sign({0} - {1})", latex=r"\operatorname{{sign}}({0} - {1})", public=False,
)  # fmt: skip
greater = row(  # what compiled code has for a > b, which in eager code is decided at once
    "greater", lambda a, b: 1.0 if a > b else 0.0, 0.0, 0.0,
    public=False,
)  # fmt: skip
greater_equal = row(
    "greater_equal", lambda a, b: 1.0 if a >= b else 0.0, 0.0, 0.0,
    public=False,
)  # fmt: skip
