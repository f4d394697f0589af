"""Every row of the table against 50-digit arithmetic, at ordinary and at hard points."""

import math
import random
from math import inf, nan

import pytest

from micrograd_like import Value, ops

mp = pytest.importorskip("mpmath").mp
mp.dps = 50

# ---- points ---------------------------------------------------------------------------------------

ANY = [0.0, -0.0, 1e-300, 1e-20, 1e-9, 0.1, 0.5, 0.75, 1.0, 1.5, math.pi / 2, 2.0, 3.3, 10.0, 19.0, 37.0]
ANY += [100.0, 360.0, 700.0, 709.7, 745.0, 1e3, 1e9, 1e16, 1e150, 1e300, 5e-324, 2.3e-308]
ANY += [-x for x in ANY]


def spread(low: float, high: float, count: int = 200, seed: int = 0) -> list[float]:
    """Numbers whose logarithms are uniform between those of low and high."""
    rng = random.Random(seed)
    return [math.exp(rng.uniform(math.log(low), math.log(high))) for _ in range(count)]


def both(points: list[float]) -> list[float]:
    return points + [-x for x in points]


ANY += [-15.949941860251027, -10.400864675323103]  # where 1/cosh² is more than 4 ulp off
WIDE = ANY + both(spread(1e-12, 1e3)) + both(spread(1e-305, 1e305, 60))
POSITIVE = [x for x in WIDE if x > 0]
NEAR_ONE = [1 - 2**-53, 1 - 1e-15, 1 - 1e-9, 0.999, 0.5, 0.1, 1e-9, 1e-300, 0.0]
UNIT = both(NEAR_ONE + spread(1e-12, 0.9999999))
PAIRS = [
    (x, y)
    for x in both([1e-200, 1e-9, 0.3, 1.0, 1.1, 7.7, 600.3, 1e9])
    for y in both([1e-150, 0.1, 1.0, 2.5, 33.3, 700.1])
]
PAIRS += list(zip(both(spread(1e-9, 1e3)), both(spread(1e-9, 1e3, seed=1)), strict=True))
POWERS = [
    (a, b)
    for a in (1e-300, 1e-200, 1e-9, 0.1, 0.9, 1 - 1e-15, 1.0, 1 + 1e-15, 1.1, 3.0, 1e9, 1e160, 1e300)
    for b in (-3.0, -1.0, -0.9, -0.5, -0.1, 1e-20, 0.1, 0.3, 1 / 3, 0.5, 0.9, 1.0, 1.1, 2.0, 2.7, 3.0, 30.0, 1e5)
]
POWERS += [(1e-300, -0.03), (1000.0, -102.0)]
POWERS += [(-2.0, b) for b in (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 101.0)]
POWERS += list(zip(spread(1e-300, 1e300), both(spread(1e-3, 3.0, 100)), strict=True))

# ---- reference: name -> value, partials, points -----------------------------------------------------


def unary(value, slope, points):
    return value, [slope], [(x,) for x in points]


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def sign(x):
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0


REFERENCE = {
    "add": (lambda a, b: a + b, [lambda a, b: 1, lambda a, b: 1], PAIRS),
    "sub": (lambda a, b: a - b, [lambda a, b: 1, lambda a, b: -1], PAIRS),
    "mul": (lambda a, b: a * b, [lambda a, b: b, lambda a, b: a], PAIRS),
    "div": (lambda a, b: a / b, [lambda a, b: 1 / b, lambda a, b: -a / b**2], PAIRS),
    "neg": unary(lambda a: -a, lambda a: -1, WIDE),
    "pow": (
        lambda a, b: mp.power(a, b) if a > 0 else a ** int(b),
        [
            lambda a, b: b * (mp.power(a, b - 1) if a > 0 else a ** int(b - 1)),
            lambda a, b: mp.power(a, b) * mp.log(a) if a > 0 else mp.nan,
        ],
        POWERS,
    ),
    "exp": unary(mp.exp, mp.exp, [x for x in WIDE if x < 800]),
    "expm1": unary(mp.expm1, mp.exp, [x for x in WIDE if x < 800]),
    "exp2": unary(lambda a: mp.power(2, a), lambda a: mp.log(2) * mp.power(2, a), [x for x in WIDE if x < 2000]),
    "log": unary(mp.log, lambda a: 1 / a, POSITIVE),
    "log1p": unary(mp.log1p, lambda a: 1 / (1 + a), POSITIVE + [-x for x in [*NEAR_ONE, 0.99, 0.7, 1e-05]]),
    "log2": unary(lambda a: mp.log(a, 2), lambda a: 1 / (a * mp.log(2)), POSITIVE),
    "log10": unary(mp.log10, lambda a: 1 / (a * mp.log(10)), POSITIVE),
    "sqrt": unary(mp.sqrt, lambda a: 1 / (2 * mp.sqrt(a)), POSITIVE),
    "cbrt": unary(
        lambda a: sign(a) * mp.cbrt(abs(a)), lambda a: 1 / (3 * mp.cbrt(abs(a)) ** 2), [x for x in WIDE if x]
    ),
    "sin": unary(mp.sin, mp.cos, WIDE),
    "cos": unary(mp.cos, lambda a: -mp.sin(a), WIDE),
    "tan": unary(mp.tan, lambda a: mp.sec(a) ** 2, WIDE),
    "asin": unary(mp.asin, lambda a: 1 / mp.sqrt(1 - a * a), UNIT),
    "acos": unary(mp.acos, lambda a: -1 / mp.sqrt(1 - a * a), UNIT),
    "atan": unary(mp.atan, lambda a: 1 / (1 + a * a), WIDE),
    "atan2": (mp.atan2, [lambda y, x: x / (x * x + y * y), lambda y, x: -y / (x * x + y * y)], PAIRS),
    "sinh": unary(mp.sinh, mp.cosh, WIDE),
    "cosh": unary(mp.cosh, mp.sinh, WIDE),
    "tanh": unary(mp.tanh, lambda a: mp.sech(a) ** 2, WIDE),
    "asinh": unary(mp.asinh, lambda a: 1 / mp.sqrt(1 + a * a), WIDE),
    "acosh": unary(
        mp.acosh, lambda a: 1 / mp.sqrt(a * a - 1), [1 + 2**-52, 1 + 1e-9, 1.5] + [x for x in WIDE if x > 1]
    ),
    "atanh": unary(mp.atanh, lambda a: 1 / (1 - a * a), UNIT),
    "sigmoid": unary(sigmoid, lambda a: sigmoid(a) * sigmoid(-a), WIDE),
    "softplus": unary(lambda a: mp.log1p(mp.exp(-abs(a))) + max(a, 0), sigmoid, WIDE),
    "logaddexp": (
        lambda a, b: max(a, b) + mp.log1p(mp.exp(-abs(a - b))),
        [lambda a, b: sigmoid(a - b), lambda a, b: sigmoid(b - a)],
        PAIRS,
    ),
    "erf": unary(mp.erf, lambda a: 2 / mp.sqrt(mp.pi) * mp.exp(-a * a), [*WIDE, *both([5.3, 13.77, 26.1, 26.5])]),
    "hypot": (mp.hypot, [lambda a, b: a / mp.hypot(a, b), lambda a, b: b / mp.hypot(a, b)], PAIRS),
    "relu": unary(lambda a: max(a, mp.zero), lambda a: 1.0 if a > 0 else 0.0, WIDE),
    "leaky_relu": (
        lambda a, s: a if a > 0 else s * a,
        [lambda a, s: 1 if a > 0 else s, lambda a, s: min(a, mp.zero)],
        PAIRS,
    ),
    "abs": unary(abs, sign, WIDE),
    "maximum": (max, [lambda a, b: (1 + sign(a - b)) / 2, lambda a, b: (1 - sign(a - b)) / 2], PAIRS),
    "minimum": (min, [lambda a, b: (1 - sign(a - b)) / 2, lambda a, b: (1 + sign(a - b)) / 2], PAIRS),
    "where": (
        lambda c, a, b: a if c else b,
        [lambda c, a, b: 0, lambda c, a, b: 1 if c else 0, lambda c, a, b: 0 if c else 1],
        [(c, a, b) for c in (0.0, 1.0, -2.0) for a, b in PAIRS[:30]],
    ),
    "sech2": unary(lambda a: mp.sech(a) ** 2, lambda a: -2 * mp.sech(a) ** 2 * mp.tanh(a), WIDE),
    "gauss": unary(lambda a: mp.exp(-a * a), lambda a: -2 * a * mp.exp(-a * a), WIDE),
    "sigmoid_of_difference": (
        lambda a, b: sigmoid(a - b),
        [lambda a, b: sigmoid(a - b) * sigmoid(b - a), lambda a, b: -sigmoid(a - b) * sigmoid(b - a)],
        PAIRS,
    ),
    "share": (
        lambda a, b: a / mp.hypot(a, b),
        [lambda a, b: b * b / mp.hypot(a, b) ** 3, lambda a, b: -a * b / mp.hypot(a, b) ** 3],
        PAIRS,
    ),
    "log_or_nan": unary(mp.log, lambda a: 1 / a, POSITIVE),
    "stop_gradient": unary(lambda a: a, lambda a: 0.0, WIDE),
    "same": unary(lambda a: a, lambda a: 1.0, WIDE),
    "step": unary(lambda a: 1.0 if a > 0 else 0.0, lambda a: 0.0, WIDE),
    "compare": (lambda a, b: sign(a - b), [lambda a, b: 0, lambda a, b: 0], PAIRS),
    "greater": (lambda a, b: float(a > b), [lambda a, b: 0, lambda a, b: 0], PAIRS),
    "greater_equal": (lambda a, b: float(a >= b), [lambda a, b: 0, lambda a, b: 0], PAIRS),
}

# Where the unit is not the ulp of the result. log(e^a + e^b) is a sum of two terms, the larger operand and
# log(1 + e^-|a - b|); where they nearly cancel, the error is small against the terms, not against the sum.
UNIT_OF = {("logaddexp", "value"): max}


def ulps(got: float, true: object, unit: float = 0.0) -> float:
    """The error in units of the last place of the true number (of `unit` if that is larger).

    0 where the true number is beyond the floats or below the normal ones, if `got` says so.
    """
    true = mp.mpf(true)
    if mp.isnan(true):
        return 0.0 if got != got else inf
    if abs(true) > mp.mpf(math.ldexp(1 - 2**-53, 1024)):
        return 0.0 if math.copysign(got, true) == got and abs(got) > 1.7e308 else inf
    if abs(true) < 2**-1022:
        return 0.0 if abs(got) < 2.3e-308 else inf
    return float(abs(mp.mpf(got) - true) / math.ulp(max(abs(float(true)), abs(unit)))) if math.isfinite(got) else inf


def test_every_row_has_a_reference():
    assert set(REFERENCE) == set(ops.TABLE)


def worst_errors(name: str) -> dict[object, tuple[float, tuple[float, ...]]]:
    """For the value and for each partial (by operand): its largest error in ulp, and the point of it."""
    value, slopes, points = REFERENCE[name]
    op = ops.TABLE[name]
    worst: dict[object, tuple[float, tuple[float, ...]]] = dict.fromkeys(["value", *range(op.arity)], (0.0, ()))
    for point in points:
        exact = [mp.mpf(x) for x in point]
        true = value(*exact)
        out = op.value(*point)
        unit = UNIT_OF[name, "value"](*point) if (name, "value") in UNIT_OF else 0.0
        worst["value"] = max(worst["value"], (ulps(out, true, unit), point))
        if (not mp.isnan(true) and 0 < abs(true) < 2**-1022) or abs(true) > 1.7e308:
            continue  # partials are promised where the value is a normal number or 0
        for i, slope in enumerate(slopes):
            worst[i] = max(worst[i], (ulps(op.partials[i](*point, out), slope(*exact)), point))
    return worst


@pytest.mark.parametrize("name", REFERENCE)
def test_value_and_partials(name):
    for part, (error, point) in worst_errors(name).items():
        assert error <= 4.0, f"{name}, {part}: {error:.1f} ulp at {point}"


@pytest.mark.parametrize("name", REFERENCE)
def test_partials_of_values_are_those_of_floats(name):
    """The same formulas on nodes: what a gradient that is itself a graph is made of."""
    op = ops.TABLE[name]
    checked = 0
    for point in REFERENCE[name][2]:
        if not all(x == 0 or 1e-3 < abs(x) < 20 for x in point):
            continue
        out = op.value(*point)
        for partial in op.partials:
            of_floats = partial(*point, out)
            of_values = float(partial(*map(Value, point), Value(out)))
            assert of_values == pytest.approx(of_floats, rel=1e-12, nan_ok=True), (point, of_values, of_floats)
            checked += 1
    assert checked >= 9


@pytest.mark.parametrize("name", REFERENCE)
def test_partials_as_a_person_writes_them(name):
    """They may cancel near a saturated point, where the row's own do not: so at ordinary points."""
    _, _, points = REFERENCE[name]
    op = ops.TABLE[name]
    compared = 0
    for at in (point if isinstance(point, tuple) else (point,) for point in points):
        if not all(0.05 < abs(x) < 0.95 or 1.05 < abs(x) < 3.0 for x in at) or (name == "pow" and at[0] < 0.0):
            continue
        out = op.value(*at)
        for written, partial in zip(op.written, op.partials, strict=True):
            assert written(*at, out) == pytest.approx(partial(*at, out), rel=1e-13, abs=1e-15), (name, at)
            compared += 1
    assert compared


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (-2.0, 3.0), (0.0, 0.5)])
def test_partials_of_powers_of_values(a, b):
    op = ops.TABLE["pow"]
    for partial in op.partials:
        of_floats = partial(a, b, op.value(a, b))
        assert float(partial(Value(a), Value(b), Value(op.value(a, b)))) == pytest.approx(of_floats, nan_ok=True)


PLANTED = {
    "a factor": lambda partial: lambda *args: 1.0000001 * partial(*args),
    "the sign": lambda partial: lambda *args: -partial(*args),
    "a summand": lambda partial: lambda *args: partial(*args) + 1e-12,
}
FLAT = {
    ("where", 0),
    ("step", 0),
    ("stop_gradient", 0),
    ("compare", 0),
    ("compare", 1),
    ("greater", 0),
    ("greater", 1),
    ("greater_equal", 0),
    ("greater_equal", 1),
}  # derivative 0: no factor changes it


@pytest.mark.parametrize("mistake", PLANTED)
@pytest.mark.parametrize("name", REFERENCE)
def test_a_wrong_partial_is_caught(name, mistake, monkeypatch):
    op = ops.TABLE[name]
    right = op.partials
    for i in range(op.arity):
        if (name, i) in FLAT and mistake != "a summand":
            continue
        wrong = PLANTED[mistake](right[i])
        monkeypatch.setattr(op, "partials", (*right[:i], wrong, *right[i + 1 :]))
        assert worst_errors(name)[i][0] > 4.0


@pytest.mark.parametrize("name", REFERENCE)
def test_the_function_is_the_row(name):
    """Numbers give floats and Values give Values, of the same number."""
    op = ops.TABLE[name]
    if name not in ops.FUNCTIONS:
        return
    function = ops.FUNCTIONS[name]
    point = next(p for p in REFERENCE[name][2] if all(1e-3 < abs(x) < 1e3 for x in p) or name == "where")
    of_numbers = function(*point)
    of_values = function(*map(Value, point))
    as_method = getattr(Value(point[0]), name)(*point[1:])
    assert type(of_numbers) is float and type(of_values) is type(as_method) is Value
    assert of_numbers == of_values.data == as_method.data == op.value(*point)
    assert of_values.op is as_method.op is op
    assert [type(x) for x in of_values.operands] == [Value] * op.arity


@pytest.mark.parametrize("name", REFERENCE)
def test_how_it_is_written(name):
    op = ops.TABLE[name]
    operands = ["α", "β", "γ"][: op.arity]
    for template in (op.text, op.latex):
        written = template.format(*operands)
        assert all(operand in written for operand in operands)
        assert written.count("{") == written.count("}")


DOMAIN_ERRORS = [
    (lambda: Value(-1.0, "p").log(), "log(p = -1.0) is not defined: the logarithm needs x ≥ 0"),
    (lambda: ops.log(-1.0), "log(-1.0) is not defined: the logarithm needs x ≥ 0"),
    (lambda: Value(-2.0).log1p(), "log1p(-2.0) is not defined: log(1 + x) needs x ≥ -1"),
    (lambda: Value(-2.0, "q").sqrt(), "sqrt(q = -2.0) is not defined: the square root needs x ≥ 0"),
    (lambda: Value(1.5).asin(), "asin(1.5) is not defined: it needs -1 ≤ x ≤ 1"),
    (lambda: Value(0.5).acosh(), "acosh(0.5) is not defined: it needs x ≥ 1"),
    (lambda: Value(inf).cos(), "cos(inf) is not defined: it needs a finite x"),
    (
        lambda: Value(-2.0, "base") ** 0.5,
        (
            "pow(base = -2.0, 0.5) is not defined: a negative base needs a whole exponent "
            "(a power that is not real is never made complex)"
        ),
    ),
]


@pytest.mark.parametrize(("call", "message"), DOMAIN_ERRORS, ids=[text for _, text in DOMAIN_ERRORS])
def test_domain_errors(call, message):
    with pytest.raises(ops.DomainError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize("name", sorted(set(ops.FUNCTIONS) - {"where"}))
def test_nan_goes_through(name):
    function, arity = ops.FUNCTIONS[name], ops.TABLE[name].arity
    assert math.isnan(function(*[nan] * arity))
    x = Value(nan)
    function(x, *[0.5] * (arity - 1)).backward()
    linear = {"add", "sub", "neg", "mul", "div"}
    assert math.isnan(x.grad) or name in linear  # no healthy-looking slope at an undefined point


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "tanh", "erf", "atan", "asinh", "relu", "exp", "sinh", "cosh"])
@pytest.mark.parametrize("x", [1e3, -1e3, 1e308, -1e308, inf, -inf])
def test_no_exception_at_any_magnitude(name, x):
    v = Value(x)
    out = getattr(v, name)()
    out.backward()
    assert not math.isnan(out.data) and not math.isnan(v.grad)
