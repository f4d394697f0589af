"""The table's values as LLVM code, for one number at a time or for a vector of them.

`Native` is a number that is text in LLVM's language: operations on it write instructions, so that a row's partials,
applied to Natives, write the code of the derivative. The rules are values only; no derivative stands here.
"""

import ctypes
import ctypes.util
import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache
from math import inf, log as natural_log, nan
from typing import Any

from .. import ops
from ..ops import Op
from .trace import calculate, plain, undecided


class Native:
    """A number in the code: one for each copy of the loop body that is written side by side, or one for all."""

    __slots__ = ("code", "texts")

    def __init__(self, code: "Code", texts: list[str]):
        self.code, self.texts = code, texts

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Native":
        code: Code = next(x.code for x in operands if isinstance(x, Native))
        count = max(len(x.texts) for x in operands if isinstance(x, Native))
        texts = []
        for i in range(count):
            one = [
                x.texts[i if len(x.texts) > 1 else 0] if isinstance(x, Native) else plain(x, op.name) for x in operands
            ]
            texts.append(code.operation(op, one))
        return Native(code, texts)


calculate(Native, undecided)


class Code:
    """Instructions, as they are written. lanes: how many numbers a vector has. strict: exactly as eager code does it.

    Numbers are the names of LLVM values, or Python's floats.
    """

    def __init__(self, lanes: int, *, strict: bool):
        self.lanes, self.strict = lanes, strict
        self.type = "double" if lanes == 1 else f"<{lanes} x double>"
        self.integers = "i64" if lanes == 1 else f"<{lanes} x i64>"
        self.truth = "i1" if lanes == 1 else f"<{lanes} x i1>"
        self.flags = "" if strict else "contract "
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}  # functions that are called: name -> declaration or definition
        self.callbacks: dict[str, Op] = {}  # rows that only Python can compute
        self._count = 0

    # ---- single instructions

    def put(self, instruction: str) -> str:
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def label(self, name: str) -> str:
        self._count += 1
        return f"{name}{self._count}"

    def text(self, x: Any) -> str:
        if type(x) is float:
            return constant(x) if self.lanes == 1 else f"splat (double {constant(x)})"
        return x  # type: ignore[no-any-return]

    def whole(self, x: int) -> str:
        return str(x) if self.lanes == 1 else f"splat (i64 {x})"

    def binary(self, name: str, a: Any, b: Any) -> str:
        return self.put(f"{name} {self.flags}{self.type} {self.text(a)}, {self.text(b)}")

    def add(self, a: Any, b: Any) -> Any:
        return self.binary("fadd", a, b)

    def sub(self, a: Any, b: Any) -> str:
        return self.binary("fsub", a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return b if a == 1.0 else a if b == 1.0 else self.binary("fmul", a, b)

    def div(self, a: Any, b: Any) -> str:
        return self.binary("fdiv", a, b)

    def neg(self, a: Any) -> str:
        return self.put(f"fneg {self.flags}{self.type} {self.text(a)}")

    def fma(self, a: Any, b: Any, c: Any) -> str:
        return self.call("llvm.fma", a, b, c)

    def call(self, name: str, *operands: Any) -> str:
        """An intrinsic of LLVM."""
        suffix = "f64" if self.lanes == 1 else f"v{self.lanes}f64"
        types = ", ".join([self.type] * len(operands))
        self.declared[f"{name}.{suffix}"] = f"declare {self.type} @{name}.{suffix}({types})"
        given = ", ".join(f"{self.type} {self.text(x)}" for x in operands)
        return self.put(f"call {self.type} @{name}.{suffix}({given})")

    def compare(self, how: str, a: Any, b: Any) -> str:
        return self.put(f"fcmp {how} {self.type} {self.text(a)}, {self.text(b)}")

    def select(self, condition: str, a: Any, b: Any) -> str:
        return self.put(f"select {self.truth} {condition}, {self.type} {self.text(a)}, {self.type} {self.text(b)}")

    def bits(self, x: Any) -> str:
        return self.put(f"bitcast {self.type} {self.text(x)} to {self.integers}")

    def from_bits(self, x: str) -> str:
        return self.put(f"bitcast {self.integers} {x} to {self.type}")

    def integer(self, name: str, a: str, b: int | str) -> str:
        return self.put(f"{name} {self.integers} {a}, {b if isinstance(b, str) else self.whole(b)}")

    # ---- operations

    def operation(self, op: Op, operands: Sequence[Any]) -> Any:
        """The result of a row of the table."""
        rule = EXACT.get(op.name) or (None if self.strict else CLOSE.get(op.name))
        if rule is not None:
            return rule(self, *operands)
        if op.name in LIBRARY:
            return self.library(LIBRARY[op.name], operands)
        if not self.strict and op.name in {"hypot", "cbrt"}:  # Python's are better by a rounding
            return self.library(op.name, operands)
        if not self.strict and op.name in MADE_OF:
            made = MADE_OF[op.name](*(Native(self, [x]) if isinstance(x, str) else x for x in operands))
            return made.texts[0] if isinstance(made, Native) else made
        name = f"python.{op.name}.{id(op)}"  # one may have been defined anew under its name
        self.callbacks[name] = op
        return self.scalar(name, operands)

    def library(self, name: str, operands: Sequence[Any]) -> str:
        """A function of the C library: of its vector part where there is one."""
        width = 0 if self.strict or self.lanes == 1 else vector_width(name, len(operands))
        if not width or self.lanes % width:
            return self.scalar(name, operands)
        mangled = vector_name(name, width, len(operands))
        part = f"<{width} x double>"
        self.declared[mangled] = f"declare {part} @{mangled}({', '.join([part] * len(operands))})"
        whole = f"vector.{name}"
        if whole not in self.declared:
            self.declared[whole] = self._split(whole, mangled, width, len(operands))
        return self._called(whole, operands)

    def scalar(self, name: str, operands: Sequence[Any]) -> str:
        """A function of single numbers."""
        self.declared[name] = f'declare double @"{name}"({", ".join(["double"] * len(operands))})'
        if self.lanes == 1:
            return self._called(name, operands)
        whole = f"lanes.{name}"
        if whole not in self.declared:
            self.declared[whole] = self._split(whole, name, 1, len(operands))
        return self._called(whole, operands)

    def _called(self, name: str, operands: Sequence[Any]) -> str:
        given = ", ".join(f"{self.type} {self.text(x)}" for x in operands)
        exactly = " nobuiltin" if self.strict else ""  # LLVM knows pow, and would make x * x of it, or exp2
        return self.put(f'call {self.type} @"{name}"({given}){exactly}')

    def _split(self, name: str, part_name: str, width: int, arity: int) -> str:
        """A function of whole vectors that calls one of parts of them, in a loop."""
        part = "double" if width == 1 else f"<{width} x double>"
        names = [f"x{i}" for i in range(arity)]
        parameters = ", ".join(f"{self.type} %{x}" for x in names)
        lines = [f'define internal {self.type} @"{name}"({parameters}) noinline {{']
        lines += [f"  %{x}p = alloca {self.type}, align 64" for x in (*names, "out")]
        lines += [f"  store {self.type} %{x}, ptr %{x}p, align 64" for x in names]
        lines += ["  br label %loop", "loop:", "  %i = phi i64 [0, %0], [%next, %loop]"]
        lines += [f"  %{x}q = getelementptr {part}, ptr %{x}p, i64 %i" for x in (*names, "out")]
        lines += [f"  %{x}v = load {part}, ptr %{x}q" for x in names]
        lines += [
            f'  %r = call {part} @"{part_name}"({", ".join(f"{part} %{x}v" for x in names)})',
            f"  store {part} %r, ptr %outq",
            "  %next = add i64 %i, 1",
            f"  %more = icmp ult i64 %next, {self.lanes // width}",
            "  br i1 %more, label %loop, label %done",
            "done:",
            f"  %out = load {self.type}, ptr %outp, align 64",
            f"  ret {self.type} %out",
            "}",
        ]
        return "\n".join(lines)


def constant(x: float) -> str:
    """A number as LLVM reads it: its bits."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


# ---- what is bit for bit what eager code computes ---------------------------------------------------------------


def _pow(code: Code, a: Any, b: Any) -> Any:
    if b == 2.0:
        return code.mul(a, a)
    if not code.strict and type(b) is float:
        if b == 0.0:
            return 1.0
        if b in {0.5, -0.5}:
            root = code.select(code.compare("oeq", a, -inf), inf, code.call("llvm.sqrt", a))
            return root if b > 0.0 else code.div(1.0, root)
        if -3.0 <= b <= 16.0 and b % 1.0 == 0.0:  # the error grows with the exponent, the more so below 0
            power: Any = 1.0
            square, left = a if b > 0.0 else code.div(1.0, a), int(abs(b))
            while left:
                power = code.mul(power, square) if left & 1 else power
                left >>= 1
                square = code.mul(square, square) if left else square
            return power
    return code.library("pow", (a, b))


def _larger(code: Code, how: str, a: Any, b: Any) -> str:
    first = code.put(f"or {code.truth} {code.compare(how, a, b)}, {code.compare('uno', a, a)}")
    return code.select(first, a, b)


def _where(code: Code, condition: Any, a: Any, b: Any) -> Any:
    if type(condition) is float:
        return a if condition else b
    return code.select(code.compare("une", condition, 0.0), a, b)


def _sign(code: Code, a: Any, b: Any) -> str:
    equal = code.select(code.compare("oeq", a, b), 0.0, nan)
    return code.select(code.compare("ogt", a, b), 1.0, code.select(code.compare("olt", a, b), -1.0, equal))


Rule = Callable[..., Any]

EXACT: dict[str, Rule] = {
    "add": Code.add,
    "sub": Code.sub,
    "mul": Code.mul,
    "div": Code.div,
    "neg": Code.neg,
    "abs": lambda code, a: code.call("llvm.fabs", a),
    "sqrt": lambda code, a: code.call("llvm.sqrt", a),
    "pow": _pow,
    "relu": lambda code, a: code.select(code.compare("ugt", a, 0.0), a, 0.0),
    "leaky_relu": lambda code, a, slope: code.select(code.compare("ogt", a, 0.0), a, code.mul(slope, a)),
    "maximum": lambda code, a, b: _larger(code, "ogt", a, b),
    "minimum": lambda code, a, b: _larger(code, "olt", a, b),
    "where": _where,
    "same": lambda code, a: a,
    "stop_gradient": lambda code, a: a,
    "step": lambda code, a: code.select(
        code.compare("ogt", a, 0.0), 1.0, code.select(code.compare("ole", a, 0.0), 0.0, nan)
    ),
    "compare": _sign,
    "greater": lambda code, a, b: code.select(code.compare("ogt", a, b), 1.0, 0.0),
    "greater_equal": lambda code, a, b: code.select(code.compare("oge", a, b), 1.0, 0.0),
}

# Rows whose values are the C library's, in Python too.
LIBRARY = dict.fromkeys(["log_or_nan"], "log") | {
    name: name
    for name in (
        *("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "erf"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    )
}


# ---- vectors: at most 4 ulp from the true value ------------------------------------------------------------------

_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10  # their sum is log 2 to 33 + 53 bits
_TO_WHOLE = 6755399441055744.0  # 1.5 · 2^52: added and taken off, it leaves a whole number; its bits are in the sum


def _reduced(code: Code, x: Any) -> tuple[str, str, str]:
    """(r, n, the bits of n) with x = n log 2 + r and |r| ≤ log(2)/2."""
    shifted = code.fma(x, 1.0 / natural_log(2.0), _TO_WHOLE)
    n = code.put(f"fsub {code.type} {shifted}, {code.text(_TO_WHOLE)}")
    r = code.fma(n, -_LN2_LOW, code.fma(n, -_LN2_HIGH, x))
    return r, n, code.bits(shifted)


def _polynomial(code: Code, x: str, coefficients: Sequence[float]) -> Any:
    """Σ cᵢ xⁱ, by Estrin's scheme: pairs, pairs of pairs, so that fewer steps wait for one another."""
    level: list[Any] = list(coefficients)
    power = x
    while len(level) > 1:
        pairs = [
            code.fma(level[i + 1], power, level[i]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)
        ]
        level = pairs
        power = code.mul(power, power) if len(level) > 1 else power
    return level[0]


def _power_of_two(code: Code, bits: str) -> str:
    """2^n, from the bits of n, for normal results."""
    return code.from_bits(code.integer("shl", code.integer("add", bits, 1023), 52))


_FACTORIALS = [1.0]
for _k in range(1, 16):
    _FACTORIALS.append(_FACTORIALS[-1] * _k)


def _exp(code: Code, x: Any) -> Any:
    if code.lanes == 1:
        return code.library("exp", (x,))
    r, _, bits = _reduced(code, x)
    # e^r = 1 + r + r² q(r); the terms that are left out are below 2^-54
    q = _polynomial(code, r, [1.0 / _FACTORIALS[k] for k in range(2, 14)])
    value = code.add(code.fma(code.mul(r, r), q, r), 1.0)
    n = code.integer("sub", bits, 0x4338000000000000)
    half = code.integer("ashr", n, 1)  # in two steps, for 2^n may be below the normal numbers
    rest = code.integer("sub", n, half)
    value = code.mul(code.mul(value, _power_of_two(code, half)), _power_of_two(code, rest))
    value = code.select(code.compare("ogt", x, 709.782712893384), inf, value)
    return code.select(code.compare("olt", x, -745.1332191019412), 0.0, value)


def _expm1_of_negative(code: Code, x: str) -> str:
    """e^x - 1 for -40 ≤ x ≤ 0."""
    r, _, bits = _reduced(code, x)
    q = _polynomial(code, r, [1.0 / _FACTORIALS[k] for k in range(2, 14)])
    p = code.fma(code.mul(r, r), q, r)
    scale = _power_of_two(code, bits)
    return code.fma(scale, p, code.sub(scale, 1.0))


def _tanh(code: Code, x: Any) -> Any:
    """-t / (2 + t), t = e^(-2|x|) - 1, with the sign of x."""
    if code.lanes == 1:
        return code.library("tanh", (x,))
    size = code.call("llvm.fabs", x)
    twice = code.mul(size, -2.0)
    t = _expm1_of_negative(code, code.select(code.compare("ult", twice, -40.0), -40.0, twice))
    value = code.div(code.neg(t), code.add(t, 2.0))
    value = code.select(code.compare("uno", x, x), x, value)
    return code.call("llvm.copysign", value, x)


def _log(code: Code, x: Any) -> Any:
    """x = 2^k m, √½ ≤ m < √2; log m = 2 artanh s, s = (m-1)/(m+1)."""
    if code.lanes == 1:
        return code.library("log", (x,))
    tiny = code.compare("olt", x, 2.2250738585072014e-308)
    scaled = code.select(tiny, code.mul(x, 18014398509481984.0), x)  # 2^54
    bits = code.bits(scaled)
    shifted = code.integer("sub", bits, 0x3FE6A09E667F3BCD)  # √½
    k = code.integer("ashr", shifted, 52)
    m = code.from_bits(code.integer("sub", bits, code.integer("shl", k, 52)))
    exponent = code.put(f"sitofp {code.integers} {k} to {code.type}")
    exponent = code.add(exponent, code.select(tiny, -54.0, 0.0))
    f = code.sub(m, 1.0)
    s = code.div(f, code.add(f, 2.0))
    z = code.mul(s, s)
    # log m = f - s (f - R), R = 2/3 s² + 2/5 s⁴ + … to the 21st power of s, as |s| < 0.1716
    series = code.mul(z, _polynomial(code, z, [2.0 / k for k in range(3, 23, 2)]))
    low = code.fma(s, code.sub(series, f), code.mul(exponent, _LN2_LOW))
    value = code.fma(exponent, _LN2_HIGH, code.add(f, low))
    value = code.select(code.compare("oeq", x, 0.0), -inf, value)
    value = code.select(code.compare("olt", x, 0.0), nan, value)
    value = code.select(code.compare("oeq", x, inf), inf, value)
    return code.select(code.compare("uno", x, x), x, value)


def _log1p(code: Code, x: Any) -> Any:
    """log u + (x - (u - 1)) / u, u the rounded 1 + x."""
    if code.lanes == 1:
        return code.library("log1p", (x,))
    u = code.put(f"fadd {code.type} {code.text(x)}, {code.text(1.0)}")
    lost = code.put(f"fsub {code.type} {code.text(x)}, {code.put(f'fsub {code.type} {u}, {code.text(1.0)}')}")
    value = code.add(_log(code, u), code.div(lost, u))
    odd = code.put(f"or {code.truth} {code.compare('ueq', x, inf)}, {code.compare('ole', x, -1.0)}")
    return code.select(odd, _log(code, u), value)


def _gauss(code: Code, x: Any) -> Any:
    """exp(-x²), less the rounding error of x²."""
    square = code.put(f"fmul {code.type} {code.text(x)}, {code.text(x)}")
    error = code.fma(x, x, code.neg(square))
    value = code.mul(_exp(code, code.neg(square)), code.sub(1.0, error))
    return code.select(code.compare("ogt", code.call("llvm.fabs", x), 28.0), 0.0, value)


CLOSE: dict[str, Rule] = {
    "exp": _exp,
    "gauss": _gauss,
    "log": _log,
    "log1p": _log1p,
    "log_or_nan": _log,
    "tanh": _tanh,
}


# ---- rows made of others ------------------------------------------------------------------------------------------


def _sigmoid(a: Any) -> Any:
    t = ops.exp(-ops.abs_(a))
    return ops.where(ops.greater_equal(a, 0.0), 1.0, t) / (1.0 + t)


def _softplus(a: Any) -> Any:
    return ops.maximum(a, 0.0) + ops.log1p(ops.exp(-ops.abs_(a)))


def _difference(a: Any, b: Any) -> tuple[Any, Any]:
    """a - b, and what rounding took away, as in the table."""
    d = ops.where(ops.compare(a, b), a - b, 0.0)  # inf - inf is no difference
    t = d - a
    error = (a - (d - t)) - (b + t)
    return d, ops.where(ops.greater(1.0, ops.abs_(error)), error, 0.0)


def _logaddexp(a: Any, b: Any) -> Any:
    larger = ops.maximum(a, b)
    d, error = _difference(ops.minimum(a, b), larger)
    e = ops.exp(d)
    return larger + ops.log1p(e + e * error)


def _sech2(a: Any) -> Any:
    e = ops.exp(-2.0 * ops.abs_(a))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _sigmoid_of_difference(a: Any, b: Any) -> Any:
    d, error = _difference(a, b)
    s = _sigmoid(d)
    return s + s * (1.0 - s) * error


MADE_OF: dict[str, Rule] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "logaddexp": _logaddexp,
    "sech2": _sech2,
    "sigmoid_of_difference": _sigmoid_of_difference,
    "share": lambda a, b: ops.div(a, ops.hypot(a, b)),
}


# ---- the C library -------------------------------------------------------------------------------------------------


@cache
def c_library() -> Any:
    """The one whose functions Python's math has too."""
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else ctypes.util.find_library("m"))


@cache
def vector_library() -> Any:
    """glibc's functions of vectors, or None."""
    try:
        return ctypes.CDLL("libmvec.so.1")
    except OSError:
        return None


def llvm() -> Any:
    """llvmlite's binding. Raises ImportError that names the extra."""
    try:
        import llvmlite.binding
    except ImportError:
        raise ImportError(
            "native code needs llvmlite: pip install 'micrograd_like[jit]'. Without it everything runs eagerly"
        ) from None
    return llvmlite.binding


@cache
def features() -> dict[str, bool]:
    """What this machine has, by LLVM's names; nothing where LLVM cannot tell."""
    try:
        return dict(llvm().get_host_cpu_features())
    except RuntimeError:
        return {}


def simd() -> int:
    """How many doubles a register of this machine holds."""
    return 8 if features().get("avx512f") else 4 if features().get("avx2") else 2


def lanes_for(samples: int) -> int:
    """How many samples to compute at once: the more, the more often a weight is used that was read; but few in vain."""
    # What a sample costs in 4, 2 and 1 registers at a time was measured on networks. Only powers of two: LLVM lays
    # other vectors out with gaps between them.
    costs = {4: 1.0, 2: 1.1, 1: 1.5}
    return simd() * min(costs, key=lambda n: costs[n] * n * -(-samples // (n * simd())))


def vector_name(name: str, width: int, arity: int) -> str:
    """By the x86-64 vector function ABI."""
    return f"_ZGV{ ({8: 'e', 4: 'd', 2: 'b'}[width]) }N{width}{'v' * arity}_{name}"


@cache
def vector_width(name: str, arity: int) -> int:
    """How many numbers the vector form of a function takes here; 0 if there is none."""
    width = simd()
    library = vector_library()
    return width if library is not None and hasattr(library, vector_name(name, width, arity)) else 0


def address(name: str) -> int | None:
    """Of a function of the C library."""
    library = vector_library() if name.startswith("_ZGV") else c_library()
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value
