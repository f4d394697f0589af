"""Derivatives of functions: what they are, that they nest, and what is said where there are none."""

import math
import operator
import random
import re

import mpmath as mp
import pytest

from micrograd_like import (
    Value,
    derivative,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    ops,
    sin,
    tanh,
    value_and_grad,
    vjp,
)

mp.mp.dps = 60


# ---- random programs, with JAX as the witness ----------------------------------------------------------------

UNARY = ("tanh", "sin", "cos", "sigmoid", "softplus", "exp", "log1p", "sqrt", "atan", "erf", "asinh", "expm1", "cbrt")


def program(seed):
    """Some steps of a program: (operation, places of its operands); all numbers stay in a safe range."""
    rng = random.Random(seed)
    steps = []
    for k in range(rng.randint(3, 14)):
        pick = [rng.randrange(k + 3) for _ in range(2)]
        steps.append((rng.choice([*UNARY, "add", "sub", "mul", "div", "pow", "maximum", "hypot", "atan2"]), *pick))
    return steps


def run(steps, x, functions):
    """The program on three numbers, with functions of ours or of JAX. Squashed, so that nothing leaves its domain."""
    values = list(x)
    for name, i, j in steps:
        a, b = values[i], values[j]
        if name in UNARY:
            out = functions[name](functions["tanh"](a) + 1.5)
        elif name == "pow":
            out = functions["pow"](functions["tanh"](a) + 1.5, functions["tanh"](b))
        elif name == "div":
            out = a / (functions["tanh"](b) + 2.0)
        elif name in ("add", "sub", "mul"):
            out = functions["tanh"](getattr(operator, name)(a, b))
        elif name == "maximum":
            out = functions["maximum"](a, functions["sin"](b) + 0.01)
        else:
            out = functions[name](functions["tanh"](a) + 2.0, functions["tanh"](b) + 1.5)
        values.append(out)
    return sum(values[3:], values[0] * values[1])


@pytest.fixture(scope="module")
def witness():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    theirs = {
        "atan": jnp.arctan,
        "asinh": jnp.arcsinh,
        "atan2": jnp.arctan2,
        "pow": jnp.power,
        "erf": jax.scipy.special.erf,
    }
    theirs |= {"sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus}
    names = [*UNARY, "maximum", "hypot"]
    return jax, {name: theirs.get(name) or getattr(jnp, name) for name in [*names, "atan2", "pow"]}


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_against_jax(seed, witness):
    jax, theirs = witness
    rng = random.Random(seed)
    steps, x = program(seed), [rng.uniform(-1.5, 1.5) for _ in range(3)]
    ours = ops.FUNCTIONS
    point = jax.numpy.array(x)

    def of_jax(v):
        return run(steps, [v[0], v[1], v[2]], theirs)

    value, gradient = value_and_grad(lambda v: run(steps, v, ours))(x)
    assert value == pytest.approx(float(of_jax(point)), rel=1e-13)
    assert gradient == pytest.approx([float(g) for g in jax.grad(of_jax)(point)], rel=1e-11, abs=1e-12)
    second = jax.hessian(of_jax)(point)
    found = hessian(lambda v: run(steps, v, ours))(x)
    for mine, row in zip(found, second, strict=True):
        assert mine == pytest.approx([float(h) for h in row], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("seed", range(150))
def test_all_ways_to_the_second_derivatives_agree(seed):
    rng = random.Random(seed)
    steps, x = program(seed), [rng.uniform(-1.5, 1.5) for _ in range(3)]
    v = [rng.uniform(-1, 1) for _ in range(3)]

    def f(x):
        return run(steps, x, ops.FUNCTIONS)

    h = hessian(f)(x)
    along = [sum(a * b for a, b in zip(row, v, strict=True)) for row in h]
    assert hvp(f, (x,), (v,)) == pytest.approx(along, rel=1e-10, abs=1e-11)
    assert jvp(grad(f), (x,), (v,))[1] == pytest.approx(along, rel=1e-10, abs=1e-11)
    for mine, row in zip(jacobian(grad(f))(x), h, strict=True):
        assert mine == pytest.approx(row, rel=1e-10, abs=1e-11)
    (twice,) = [vjp(grad(f), x)[1](v)[0]]
    assert twice == pytest.approx(along, rel=1e-10, abs=1e-11)
    leaves = [Value(u) for u in x]
    f(leaves).backward()
    assert [leaf.grad for leaf in leaves] == pytest.approx(grad(f)(x), rel=1e-14, abs=1e-300)


# ---- orders ------------------------------------------------------------------------------------------------------

SMOOTH = {  # ours, mpmath's, the point
    "exp": (mp.exp, 0.7), "expm1": (mp.expm1, 0.7), "exp2": (lambda x: mp.power(2, x), 0.7), "log": (mp.log, 0.7),
    "log1p": (mp.log1p, 0.7), "log2": (lambda x: mp.log(x, 2), 0.7), "log10": (mp.log10, 0.7), "sqrt": (mp.sqrt, 0.7),
    "cbrt": (mp.cbrt, 0.7), "sin": (mp.sin, 0.7), "cos": (mp.cos, 0.7), "tan": (mp.tan, 0.7), "asin": (mp.asin, 0.3),
    "acos": (mp.acos, 0.3), "atan": (mp.atan, 0.7), "sinh": (mp.sinh, 0.7), "cosh": (mp.cosh, 0.7),
    "tanh": (mp.tanh, 0.7), "asinh": (mp.asinh, 0.7), "acosh": (mp.acosh, 1.7), "atanh": (mp.atanh, 0.3),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), 0.7), "softplus": (lambda x: mp.log(1 + mp.exp(x)), 0.7),
    "erf": (mp.erf, 0.7),
}  # fmt: skip
BINARY = {
    "pow": (lambda x: x**x, mp.mpf, 0.7),
    "power of a number": (lambda x: 2.5**x, mp.mpf, 0.7),
    "broken exponent": (lambda x: x**2.5, mp.mpf, 0.7),
    "whole exponent": (lambda x: x**7, mp.mpf, -0.7),
    "negative exponent": (lambda x: x**-3, mp.mpf, -0.7),
    "quotient": (lambda x: (1 + x) / (2 - x * x), mp.mpf, 0.7),
}


def compare_orders(f, of_mpmath, x):
    right = [c * mp.factorial(n) for n, c in enumerate(mp.taylor(of_mpmath, mp.mpf(x), 10))]
    for n, true in enumerate(right):
        assert derivative(f, n)(x) == pytest.approx(float(true), rel=2e-13 * 2**n, abs=1e-12 * float(mp.factorial(n)))


@pytest.mark.parametrize("name", SMOOTH)
def test_ten_orders_against_mpmath(name):
    of_mpmath, x = SMOOTH[name]
    compare_orders(ops.FUNCTIONS[name], of_mpmath, x)


@pytest.mark.parametrize("name", BINARY)
def test_ten_orders_of_powers(name):
    f, _, x = BINARY[name]
    compare_orders(f, f, x)


def test_every_smooth_operation_is_here():
    others = {"add", "sub", "mul", "div", "neg", "pow", "atan2", "hypot", "logaddexp"}
    corners = {"relu", "leaky_relu", "abs", "maximum", "minimum", "where"}
    assert set(SMOOTH) | others | corners == set(ops.FUNCTIONS)


@pytest.mark.parametrize("n", range(1, 6))
def test_series_and_nested_gradients_agree(n):
    def f(x):
        return ops.FUNCTIONS["atan2"](x, 2.0) * ops.FUNCTIONS["hypot"](x, 1.0) + ops.FUNCTIONS["logaddexp"](x, 1 - x)

    nested = f
    for _ in range(n):
        nested = grad(nested)
    assert derivative(f, n)(0.4) == pytest.approx(nested(0.4), rel=1e-10)


def test_polynomials_end():
    assert [derivative(lambda x: x**7, n)(0.5) for n in (7, 8, 9)] == [5040.0, 0.0, 0.0]
    assert derivative(lambda x: (x * x + 1) ** 3, 7)(1.5) == 0.0
    assert derivative(lambda x: x**3, 3)(0.0) == 6.0


def test_order_thirty():
    true = mp.diff(mp.tanh, mp.mpf(0.3), 30)
    assert derivative(tanh, 30)(0.3) == pytest.approx(float(true), rel=1e-9)


# ---- nesting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: x * grad(lambda y: x + y)(1.0), 1.0, 1.0),
        (lambda x: x * grad(lambda y: x * y)(x), 3.0, 6.0),  # by y alone, although y is x
        (lambda x: x * grad(lambda y: x + y)(x * x), 2.0, 1.0),
        (lambda x: grad(lambda y: x**2 * y**3)(x), 2.0, 12 * 2.0**3),
        (lambda x: derivative(lambda y: x * y**3, 2)(2.0), 1.0, 12.0),
        (lambda x: hessian(lambda y: x * y**3)(2.0), 1.0, 12.0),
        (lambda x: hvp(lambda y: y**4, (x,), (1.0,)), 2.0, 48.0),
        (lambda x: jvp(lambda y: x * y * y, (3.0,), (x,))[1], 2.0, 24.0),
        (lambda x: vjp(lambda y: y**3, x)[1](x)[0], 2.0, 36.0),
        (lambda x: jacobian(lambda y: [x * y, y * y])(x)[0], 2.0, 1.0),
        (lambda x: grad(lambda y: grad(lambda z: x * y * z)(y))(x), 2.0, 1.0),
    ],
)
def test_derivatives_of_derivatives(f, x, expected):
    assert grad(f)(x) == pytest.approx(expected)
    h = 1e-5
    with no_grad():
        pass
    assert (f(x + h) - f(x - h)) / (2 * h) == pytest.approx(grad(f)(x), rel=1e-6)


def test_curried_functions_are_not_confused():
    """The example of Manzyuk et al., Perturbation confusion in forward automatic differentiation, 2019."""

    def shifted(g, u):
        return lambda x: g(x + u)

    d_shift = grad(lambda u: shifted(sin, u)(0.7))
    assert d_shift(0.2) == pytest.approx(math.cos(0.9))
    assert grad(lambda x: grad(lambda u: shifted(sin, u)(x))(0.2))(0.7) == pytest.approx(-math.sin(0.9))


def test_gradients_of_nodes_are_values():
    x, w = Value(0.7, "x"), Value(-1.3, "w")
    z = w * x
    f = tanh(z) * x
    by = gradients(f, {"x": x, "z": z, "other": Value(2.0)})
    assert by["other"].data == 0.0 and by["z"].data == pytest.approx(x.data / math.cosh(z.data) ** 2)
    second = gradients(by["x"], [x, w])
    found = hessian(lambda v: tanh(v[1] * v[0]) * v[0])([0.7, -1.3])
    assert [node.data for node in second] == pytest.approx(found[0], rel=1e-13)
    assert x.grad == w.grad == 0.0
    with pytest.raises(TypeError, match=r"gradients are of a Value, not of float 1\.0"):
        gradients(1.0, x)
    with pytest.raises(TypeError, match=r"wrt should hold Values of the graph, not the number 3\.0"):
        gradients(f, [x, 3.0])


def test_shapes_and_what_is_left_alone():
    w = Value(0.5)

    def f(p, q):
        return w * p["a"] * q[0][1] + p["b"][0] ** 2 + 0.0 * q[1]

    arguments = {"a": 2.0, "b": (3.0,)}, [[1.0, 4], 5.0]
    assert grad(f)(*arguments) == {"a": 2.0, "b": (6.0,)}
    assert grad(f, 1)(*arguments) == [[0.0, 1.0], 0.0]
    assert grad(f, (0, 1))(*arguments) == ({"a": 2.0, "b": (6.0,)}, [[0.0, 1.0], 0.0])
    assert w.grad == 0.0
    inside = grad(lambda x: w * x * x)(Value(3.0))
    assert isinstance(inside, Value) and inside.data == 3.0
    inside.backward()
    assert w.grad == 6.0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: grad(lambda x: 3.0)(1.0), TypeError, "<lambda> returned float 3.0, no Value, so nothing is known"),
        (lambda: grad(lambda x: x.data)(1.0), TypeError, "not its .data; where it is constant, add 0 * x"),
        (lambda: grad(float)(1.0), TypeError, "was to become a plain number, which would lose its derivative"),
        (
            lambda: grad(lambda x: [x])(1.0),
            TypeError,
            "value_and_grad and grad need one number; jacobian",
        ),
        (lambda: grad(lambda x: x, 1)(1.0), ValueError, "called with 1 positional arguments, and is to be differenti"),
        (lambda: grad(lambda x: x)("a"), TypeError, "argument 0 of <lambda> should have numbers, Values, and lists, "),
        (lambda: grad(lambda x: x[1])([1.0, None]), TypeError, "argument 0 of <lambda>[1] should have numbers"),
        (lambda: jvp(sin, (1.0,), (1.0, 2.0)), ValueError, "there are 1 primals, and 2 tangents"),
        (
            lambda: derivative(sin, -1),
            ValueError,
            "n, the order of the derivative, should be a whole number",
        ),
        (lambda: derivative(lambda x: x[0])([1.0]), TypeError, "derivative is of functions of one number, not of list"),
    ],
)
def test_mistakes(call, error, text):
    with pytest.raises(error, match=re.escape(text)):
        call()


# ---- numbers inside of functions that are differentiated -------------------------------------------------------------


@pytest.mark.parametrize(
    "convert", [float, int, round, lambda x: round(x, 1), math.floor, math.ceil, math.trunc, math.exp]
)
def test_what_would_lose_the_derivative(convert):
    with pytest.raises(TypeError) as error:
        grad(lambda x: convert(x * 2) * x)(1.5)
    assert str(error.value) == (
        "a Value = 3.0, which depends on what is being differentiated by, was to become a plain number, which would "
        "lose its derivative: use arrays with dtype=object and the functions of micrograd_like, or .data where just "
        "the number is meant"
    )
    outside = Value(1.5, "w")
    assert grad(lambda x: convert(outside * 2) * x)(1.0) == convert(3.0)
    with pytest.raises(TypeError, match=r"^a Value = 2.0, which depends"):
        grad(lambda x: grad(lambda y: convert(x + y * 0) * y)(1.0))(2.0)


def test_what_depends_on_nothing_is_walked_once():
    """Also in the middle of a loop, and beside what depends; whoever asks again gets the same answer."""
    w = Value(1.0)
    steps = [w := w * 0.999 for _ in range(3000)]

    class Counted(Value):
        asked = 0

        @property
        def operands(self):
            Counted.asked += 1
            return super().operands

    for node in steps:
        node.__class__ = Counted

    def f(x):
        assert sum(map(float, steps)) > 0
        with pytest.raises(TypeError):
            float(steps[-1] * x)
        assert [int(node) for node in steps[-2:]] == [0, 0]
        return x * steps[-1].data

    grad(f)(1.0)
    assert Counted.asked <= len(steps) + 10
    with pytest.raises(TypeError):
        grad(lambda x: [float(steps[-1] + x), float(x)])(1.0)
