"""grad, jvp, hessian, derivative and their kin: against 40 digits and JAX, nested, in every shape, and misused.

    python tests/test_transforms.py [--programs 5000] [--seed 0] [--jax]

compares that many random programs and prints how far each function was off.
"""

import argparse
import functools
import gc
import itertools
import math
import operator
import random
import sys
import threading
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest

import micrograd_like
from micrograd_like import (
    Value,
    acosh,
    asin,
    atan,
    atan2,
    cos,
    derivative,
    exp,
    grad,
    hessian,
    hvp,
    hypot,
    jacobian,
    jvp,
    log,
    log1p,
    logaddexp,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    value_and_grad,
    vjp,
    where,
)
from micrograd_like.ops import FUNCTIONS

numpy = pytest.importorskip("numpy")
mp = pytest.importorskip("mpmath").mp

EPS = 2.0**-52
TINY = 1e-290  # below it, floats have fewer digits

# ---- 40 digits, to second order ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(40):
        yield


class Jet:
    """A number of 40 digits with its gradient and Hessian.

    With `noise`, each number that is computed is off by up to a float's last place.
    """

    noise = None

    def __init__(self, value, gradient, second):
        self.value, self.gradient, self.second = value, gradient, second

    @staticmethod
    def variables(numbers):
        n = len(numbers)
        zero = [[mp.zero] * n for _ in range(n)]
        return [Jet(mp.mpf(x), [mp.mpf(i == k) for k in range(n)], zero) for i, x in enumerate(numbers)]

    @staticmethod
    def off(x):
        return x if Jet.noise is None or not x else x * (1 + Jet.noise.uniform(-1, 1) * EPS)

    @staticmethod
    def of(value, *terms):
        """terms: (operand, ∂/∂operand, [(other operand, ∂²/∂operand ∂other), …])."""
        off = Jet.off
        n = len(terms[0][0].gradient)
        gradient, second = [mp.zero] * n, [[mp.zero] * n for _ in range(n)]
        for x, slope, curvatures in terms:
            first = off(slope)
            for i in range(n):
                gradient[i] = off(gradient[i] + off(first * x.gradient[i]))
                for k in range(i + 1):
                    term = off(first * x.second[i][k])
                    for y, curvature in curvatures:
                        term = off(term + off(off(curvature * x.gradient[i]) * y.gradient[k]))
                    second[i][k] = off(second[i][k] + term)
        for i, k in itertools.combinations(range(n), 2):
            second[i][k] = second[k][i]
        return Jet(off(value), gradient, second)

    def chain(self, value, first, second):
        return Jet.of(value, (self, first, [(self, second)]))

    def __add__(self, y):
        if not isinstance(y, Jet):
            return self.chain(self.value + y, mp.one, mp.zero)
        return Jet.of(self.value + y.value, (self, mp.one, []), (y, mp.one, []))

    __radd__ = __add__

    def __neg__(self):
        return self.chain(-self.value, -mp.one, mp.zero)

    def __sub__(self, y):
        return self + -y

    def __rsub__(self, x):
        return x + -self

    def __mul__(self, y):
        if not isinstance(y, Jet):
            return self.chain(self.value * y, mp.mpf(y), mp.zero)
        return Jet.of(self.value * y.value, (self, y.value, [(y, mp.one)]), (y, self.value, [(self, mp.one)]))

    __rmul__ = __mul__

    def __truediv__(self, y):
        a, b = self.value, y.value
        by_b = (y, -a / b**2, [(self, -1 / b**2), (y, 2 * a / b**3)])
        return Jet.of(a / b, (self, 1 / b, [(y, -1 / b**2)]), by_b)

    def __rtruediv__(self, x):
        b = self.value
        return self.chain(x / b, -x / b**2, 2 * x / b**3)

    def __pow__(self, y):
        a = self.value
        if not isinstance(y, Jet):
            b = int(y) if y == int(y) else mp.mpf(y)
            return self.chain(a**b, b * a ** (b - 1), b * (b - 1) * a ** (b - 2))
        b = y.value
        mixed = a ** (b - 1) * (1 + b * mp.log(a))
        by_a = (self, b * a ** (b - 1), [(self, b * (b - 1) * a ** (b - 2)), (y, mixed)])
        by_b = (y, a**b * mp.log(a), [(self, mixed), (y, a**b * mp.log(a) ** 2)])
        return Jet.of(a**b, by_a, by_b)

    def __rpow__(self, x):
        out, rate = mp.mpf(x) ** self.value, mp.log(mp.mpf(x))
        return self.chain(out, out * rate, out * rate**2)

    def __gt__(self, y):
        return self.value > y

    def __float__(self):
        return float(self.value)


def logistic(x):
    return 1 / (1 + mp.exp(-x))


TEXTBOOK = {  # value, first derivative, second
    "exp": (mp.exp, mp.exp, mp.exp),
    "expm1": (mp.expm1, mp.exp, mp.exp),
    "exp2": (lambda x: mp.power(2, x), lambda x: mp.log(2) * mp.power(2, x), lambda x: mp.log(2) ** 2 * mp.power(2, x)),
    "log": (mp.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "log1p": (mp.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "log2": (lambda x: mp.log(x) / mp.log(2), lambda x: 1 / (x * mp.log(2)), lambda x: -1 / (x**2 * mp.log(2))),
    "log10": (mp.log10, lambda x: 1 / (x * mp.log(10)), lambda x: -1 / (x**2 * mp.log(10))),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), lambda x: -1 / (4 * mp.sqrt(x) ** 3)),
    "cbrt": (
        lambda x: mp.sign(x) * mp.cbrt(abs(x)),
        lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),
        lambda x: -2 * mp.sign(x) / (9 * mp.cbrt(abs(x)) ** 5),
    ),
    "sin": (mp.sin, mp.cos, lambda x: -mp.sin(x)),
    "cos": (mp.cos, lambda x: -mp.sin(x), lambda x: -mp.cos(x)),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2, lambda x: 2 * mp.tan(x) * mp.sec(x) ** 2),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x**2), lambda x: x / mp.sqrt(1 - x**2) ** 3),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x**2), lambda x: -x / mp.sqrt(1 - x**2) ** 3),
    "atan": (mp.atan, lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2),
    "sinh": (mp.sinh, mp.cosh, mp.sinh),
    "cosh": (mp.cosh, mp.sinh, mp.cosh),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(1 + x**2), lambda x: -x / mp.sqrt(1 + x**2) ** 3),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x**2 - 1), lambda x: -x / mp.sqrt(x**2 - 1) ** 3),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x**2), lambda x: 2 * x / (1 - x**2) ** 2),
    "sigmoid": (
        logistic,
        lambda x: logistic(x) * logistic(-x),
        lambda x: logistic(x) * logistic(-x) * (logistic(-x) - logistic(x)),
    ),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), logistic, lambda x: logistic(x) * logistic(-x)),
    "erf": (
        mp.erf,
        lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
        lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
    ),
    "abs": (abs, mp.sign, lambda x: mp.zero),
    "relu": (lambda x: max(x, mp.zero), lambda x: mp.mpf(x > 0), lambda x: mp.zero),
    "leaky_relu": (
        lambda x: x if x > 0 else x * mp.mpf(0.01),
        lambda x: mp.one if x > 0 else mp.mpf(0.01),
        lambda x: mp.zero,
    ),
}


def textbook(name):
    value, first, second = TEXTBOOK[name]
    return lambda x: x.chain(value(x.value), first(x.value), second(x.value))


def exact_atan2(y, x):
    a, b = y.value, x.value
    r = a**2 + b**2
    mixed = (a**2 - b**2) / r**2
    by_y = (y, b / r, [(y, -2 * a * b / r**2), (x, mixed)])
    return Jet.of(mp.atan2(a, b), by_y, (x, -a / r, [(y, mixed), (x, 2 * a * b / r**2)]))


def exact_hypot(x, y):
    a, b = x.value, y.value
    r = mp.sqrt(a**2 + b**2)
    mixed = -a * b / r**3
    return Jet.of(r, (x, a / r, [(x, b**2 / r**3), (y, mixed)]), (y, b / r, [(x, mixed), (y, a**2 / r**3)]))


def exact_logaddexp(x, y):
    s, t = logistic(x.value - y.value), logistic(y.value - x.value)
    out = mp.log(mp.exp(x.value) + mp.exp(y.value))
    return Jet.of(out, (x, s, [(x, s * t), (y, -s * t)]), (y, t, [(x, -s * t), (y, s * t)]))


EXACT = {name: textbook(name) for name in TEXTBOOK} | {
    "atan2": exact_atan2,
    "hypot": exact_hypot,
    "logaddexp": exact_logaddexp,
    "maximum": lambda x, y: x if x.value > y.value else y,
    "minimum": lambda x, y: y if x.value > y.value else x,
    "where": lambda condition, x, y: x if condition else y,
    "number": float,
}
OURS = FUNCTIONS | {"number": lambda x: getattr(x, "data", x)}

# ---- random programs -----------------------------------------------------------------------------------------------


def apart(a, b):
    return abs(a - b) > 0.05


def nonzero(x):
    return abs(x) > 0.05


def moderate(x):
    return abs(x) < 4.0


def inside(x):
    return abs(x) < 0.95


SAFE = {  # where an operation is defined and has no kink or pole nearby; everywhere unless it is here
    **dict.fromkeys(("exp", "expm1", "exp2", "sinh", "cosh", "2.5**x"), moderate),
    **dict.fromkeys(("log", "log2", "log10", "sqrt"), lambda x: x > 0.05),
    **dict.fromkeys(("cbrt", "abs", "relu", "leaky_relu", "1/x"), nonzero),
    **dict.fromkeys(("asin", "acos", "atanh"), inside),
    **dict.fromkeys(("maximum", "minimum"), apart),
    "log1p": lambda x: x > -0.95,
    "tan": lambda x: abs(math.cos(x)) > 0.1,
    "acosh": lambda x: x > 1.05,
    "atan2": lambda y, x: math.hypot(y, x) > 0.1 and (x > 0 or abs(y) > 0.05),
    "hypot": lambda x, y: math.hypot(x, y) > 0.1,
    "truediv": lambda x, y: nonzero(y),
    "pow": lambda x, y: x > 0.05 and moderate(y),
}
OPERATORS = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "pow", "neg")},
    "1/x": lambda x: 1 / x,
    "2.5**x": lambda x: 2.5**x,
    "2-x": lambda x: 2 - x,
    "3*x": lambda x: 3 * x,
    "x**2": lambda x: x**2,
}
BINARY = {"add", "sub", "mul", "truediv", "pow", "atan2", "hypot", "logaddexp", "maximum", "minimum"}
NAMES = [*TEXTBOOK, *sorted(BINARY | set(OPERATORS)), *("add", "sub", "mul", "truediv") * 2]


class Program:
    """A random program of all the operations, with branches and loops, at a point where every step is safe.

    A step is chosen for the numbers it meets there, so that no program has to be left out.
    """

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.point = [rng.uniform(-2, 2) for _ in range(rng.randint(1, 4))]
        self.decided = []  # the numbers by which branches and loops go, for who cannot ask for them
        self.steps = []
        nodes = list(self.point)
        for _ in range(rng.randint(3, 25)):
            while True:
                asked = []
                step = rng.choice([self.operation] * 14 + [self.power, self.choice, self.branch, self.loop])(nodes)
                if step is not None:
                    out = step(nodes, FUNCTIONS | {"number": lambda x, asked=asked: asked.append(x) or x})
                    if abs(out) < 50:
                        break
            nodes.append(out)
            self.decided += asked
            self.steps.append(step)
        results = sorted({len(nodes) - 1, *rng.sample(range(len(nodes)), 3)})
        self.results = [(i, rng.uniform(0.5, 2)) for i in results]

    def __call__(self, xs, functions=OURS):
        nodes = list(xs)
        for step in self.steps:
            nodes.append(step(nodes, functions))
        return functools.reduce(operator.add, [nodes[i] * factor for i, factor in self.results])

    def some(self, nodes):
        return max(self.rng.randrange(len(nodes)), self.rng.randrange(len(nodes)))  # later ones more often

    def operation(self, nodes):
        name = self.rng.choice(NAMES)
        used = [self.some(nodes) for _ in range(2 if name in BINARY else 1)]
        if name in SAFE and not SAFE[name](*(nodes[i] for i in used)):
            return None
        return lambda nodes, functions: (OPERATORS.get(name) or functions[name])(*(nodes[i] for i in used))

    def power(self, nodes):
        i = self.some(nodes)
        exponent = self.rng.choice([-3, -2, -1, 2, 3, 4, 5, 3.0, 4.0] + [0.5, 1.5, -0.5, 2.7] * (nodes[i] > 0))
        return (lambda nodes, functions: nodes[i] ** exponent) if abs(nodes[i]) > 0.1 else None

    def choice(self, nodes):
        c, i, k = (self.some(nodes) for _ in range(3))
        at = self.rng.uniform(-1, 1)
        if not apart(nodes[c], at):
            return None
        return lambda nodes, functions: functions["where"](nodes[c] > at, nodes[i], nodes[k])

    def branch(self, nodes):
        c, i, k = (self.some(nodes) for _ in range(3))
        at = self.rng.uniform(-1, 1)

        def step(nodes, functions):
            if functions["number"](nodes[c]) > at:
                return functions["sin"](nodes[i]) * nodes[k]
            return functions["tanh"](nodes[k]) - nodes[i]

        return step if apart(nodes[c], at) else None

    def loop(self, nodes):
        c, i, k = (self.some(nodes) for _ in range(3))

        def step(nodes, functions):
            x = nodes[i]
            for _ in range(1 + int(abs(3 * functions["number"](nodes[c]))) % 5):
                x = functions["tanh"](x * nodes[k] + 0.3) + x * 0.5
            return x

        return step if apart(3 * nodes[c], round(3 * nodes[c])) else None


def exact(program):
    """The value, the gradient and the rows of the Hessian; and how far rounding may move each of these numbers."""

    def run(noise):
        Jet.noise = noise
        try:
            out = program(Jet.variables(program.point), EXACT)
        finally:
            Jet.noise = None
        return [out.value, *out.gradient, *itertools.chain.from_iterable(out.second)]

    true = run(None)
    moved = [run(random.Random(seed)) for seed in range(3)]
    reach = [max(EPS * abs(x), *(abs(row[i] - x) for row in moved), mp.mpf(TINY)) for i, x in enumerate(true)]
    return true, reach


def answers(f, point):
    """The value, the gradient and the rows of the Hessian, in every way in which they can be had."""
    units = [[float(i == k) for k in range(len(point))] for i in range(len(point))]
    flat = itertools.chain.from_iterable
    value, gradient = value_and_grad(f)(point)
    yield "hessian", [value, *gradient, *flat(hessian(f)(point))]
    yield "jacobian(grad)", [value, *grad(f)(point), *flat(jacobian(grad(f))(point))]
    value, back = vjp(f, point)
    yield "vjp, hvp", [value, *back(1.0)[0], *flat(hvp(f, (point,), (unit,)) for unit in units)]
    slopes = [jvp(f, (point,), (unit,)) for unit in units]
    rows = [jvp(grad(f), (point,), (unit,))[1] for unit in units]
    yield "jvp", [slopes[0][0], *(slope for _, slope in slopes), *flat(rows)]
    leaves = [Value(x) for x in point]
    out = f(leaves)
    out.backward()
    yield "backward", [out.data, *(leaf.grad for leaf in leaves)]


def errors(program, also=()):
    """(way, order, error in units of what rounding explains, error relative to the largest of its order)."""
    true, reach = exact(program)
    n = len(program.point)
    orders = [0, *[1] * n, *[2] * n * n]
    largest = {order: max(abs(x) for x, o in zip(true, orders, strict=True) if o == order) for order in range(3)}
    for way, got in itertools.chain(answers(program, program.point), also):
        for x, exactly, unit, order in zip(got, true, reach, orders, strict=False):
            error = abs(mp.mpf(x) - exactly) if math.isfinite(x) else mp.inf
            yield way, order, float(error / unit), float(error / (largest[order] + TINY))


@pytest.mark.parametrize("seed", range(10))
def test_random_programs(seed):
    checked = 0
    for program in map(Program, range(12 * seed, 12 * seed + 12)):
        for way, order, error, _ in errors(program):
            assert error <= 64, f"{way}, order {order}, {error} at {program.point}"
            checked += 1
    assert checked > 12 * 13


def test_an_error_in_a_program_is_seen():
    """The test of the test: an operation whose derivative is off in the 12th digit."""
    f = Program(7)
    true, reach = exact(f)
    slightly_off = [float(x) * (1 + 1e-12) for x in true]
    assert max(abs(mp.mpf(x) - y) / unit for x, y, unit in zip(slightly_off, true, reach, strict=True)) > 64


def jax_answers(program):
    """The value, the gradient, and the Hessian times (1, 1, …), by JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)
    names = {"atan2": "arctan2", **{name: f"arc{name[1:]}" for name in ("asin", "acos", "atan")}}
    names |= {name: f"arc{name[1:]}" for name in ("asinh", "acosh", "atanh")}
    functions = {name: getattr(jax.numpy, names.get(name, name), None) for name in EXACT}
    functions |= {"erf": jax.scipy.special.erf}
    functions |= {name: getattr(jax.nn, name) for name in ("sigmoid", "softplus", "relu", "leaky_relu")}

    def f(xs):
        decided = iter(program.decided)
        return program(xs, functions | {"number": lambda x: next(decided)})

    point = [jax.numpy.float64(x) for x in program.point]
    value, gradient = jax.value_and_grad(f)(point)
    _, product = jax.jvp(jax.grad(f), (point,), ([jax.numpy.float64(1.0)] * len(point),))
    return [float(value), *map(float, gradient), *map(float, product)]


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_beside_jax(seed):
    pytest.importorskip("jax")
    program = Program(seed)
    n = len(program.point)
    value, gradient = value_and_grad(program)(program.point)
    product = hvp(program, (program.point,), ([1.0] * n,))
    theirs = jax_answers(program)
    assert value == pytest.approx(theirs[0], rel=1e-12)
    for ours, other in ((gradient, theirs[1 : n + 1]), (product, theirs[n + 1 :])):
        assert ours == pytest.approx(other, rel=1e-10, abs=1e-12 * max(map(abs, other)))


# ---- high orders ---------------------------------------------------------------------------------------------------

HIGHEST = 10
ONE = {
    "exp": (mp.exp, [0.0, 1.0, -3.0, 1e-8, 20.0]),
    "expm1": (mp.expm1, [0.0, 1.0, -3.0, 1e-8]),
    "exp2": (lambda x: mp.power(2, x), [0.0, 1.5, -3.0]),
    "log": (mp.log, [1.0, 0.3, 1e-3, 50.0, 1e-8]),
    "log1p": (mp.log1p, [0.0, 0.5, -0.9, 1e-9, -0.999999, 40.0]),
    "log2": (lambda x: mp.log(x) / mp.log(2), [1.0, 0.3, 7.0]),
    "log10": (lambda x: mp.log(x) / mp.log(10), [1.0, 0.3, 7.0]),
    "sqrt": (mp.sqrt, [1.0, 0.3, 1e-6, 1e-12, 30.0]),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), [1.0, -0.3, 1e-6, 30.0]),
    "sin": (mp.sin, [0.0, 0.7, -3.0, math.pi, 100.0]),
    "cos": (mp.cos, [0.0, 0.7, -3.0, math.pi / 2]),
    "tan": (mp.tan, [0.0, 0.7, -1.5, 1.57, 3.0]),
    "asin": (mp.asin, [0.0, 0.7, -0.9, 0.999999]),
    "acos": (mp.acos, [0.0, 0.7, -0.9, 0.999999]),
    "atan": (mp.atan, [0.0, 0.7, -3.0, 1.0, 50.0]),
    "sinh": (mp.sinh, [0.0, 0.7, -3.0]),
    "cosh": (mp.cosh, [0.0, 0.7, -3.0]),
    "tanh": (mp.tanh, [0.0, 0.3, -1.0, 1e-9, 3.0, 10.0, -19.0]),
    "asinh": (mp.asinh, [0.0, 0.7, -3.0, 1.0, 50.0]),
    "acosh": (mp.acosh, [1.0001, 1.5, 3.0, 50.0]),
    "atanh": (mp.atanh, [0.0, 0.5, -0.9, 0.999999]),
    "sigmoid": (logistic, [0.0, 0.7, -3.0, 10.0, -30.0]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [0.0, 0.7, -3.0, 10.0, -30.0]),
    "erf": (mp.erf, [0.0, 0.5, -1.5, 1e-9, 3.0, 5.0]),
    "neg": (operator.neg, [0.5]),
}
OTHERS = {
    "x ** 2.5": (lambda x: x**2.5, lambda x: x ** mp.mpf(2.5), [1.0, 0.3, 1e-6]),
    "x ** 0.5": (lambda x: x**0.5, mp.sqrt, [1.0, 0.3]),
    "x ** 0.1": (lambda x: x**0.1, lambda x: x ** mp.mpf(0.1), [1.0, 0.3, 1e-3]),
    "x ** -1": (lambda x: x**-1, lambda x: 1 / x, [1.0, 0.3, -2.0]),
    "x ** -2.5": (lambda x: x**-2.5, lambda x: x ** mp.mpf(-2.5), [1.0, 0.3]),
    "x ** -3": (lambda x: x**-3, lambda x: x**-3, [1.0, -2.0, 0.1]),
    "x ** 3": (lambda x: x**3, lambda x: x**3, [1.0, 0.0, -2.0, 1e-9]),
    "x ** 7": (lambda x: x**7, lambda x: x**7, [1.0, 0.0, -2.0, 1e-9]),
    "x ** 12": (lambda x: x**12, lambda x: x**12, [1.0, 0.0, -2.0, 0.1]),
    "2 ** x": (lambda x: 2**x, lambda x: mp.power(2, x), [0.0, 1.0, -2.0]),
    "x ** x": (lambda x: x**x, lambda x: x**x, [1.0, 0.3, 2.5, 1e-3, 1e-8]),
    "x ** (x x)": (lambda x: x ** (x * x), lambda x: x ** (x * x), [1.0, 0.3]),
    "1 / x": (lambda x: 1 / x, lambda x: 1 / x, [1.0, 0.3, -2.0]),
    "x / (1 + x x)": (lambda x: x / (1 + x * x), lambda x: x / (1 + x * x), [1.0, 0.3, 0.0, -2.0]),
    "atan2(x, 1)": (lambda x: atan2(x, 1.0), mp.atan, [0.0, 0.7, -3.0]),
    "atan2(1, x)": (lambda x: atan2(1.0, x), lambda x: mp.atan2(1, x), [0.5, -0.7, 0.0]),
    "atan2(sin x, exp x)": (
        lambda x: atan2(sin(x), exp(x)),
        lambda x: mp.atan2(mp.sin(x), mp.exp(x)),
        [0.5, -0.7],
    ),
    "hypot(x, 1)": (lambda x: hypot(x, 1.0), lambda x: mp.sqrt(x * x + 1), [0.0, 0.7, -3.0]),
    "hypot(x, 1 + x x)": (
        lambda x: hypot(x, x * x + 1),
        lambda x: mp.sqrt(x * x + (x * x + 1) ** 2),
        [0.0, 0.7],
    ),
    "logaddexp(x, 1)": (
        lambda x: logaddexp(x, 1.0),
        lambda x: mp.log(mp.exp(x) + mp.e),
        [1.0, 0.0, -5.0, 20.0],
    ),
    "logaddexp(x, x x)": (
        lambda x: logaddexp(x, x * x),
        lambda x: mp.log(mp.exp(x) + mp.exp(x * x)),
        [1.0, 0.0, 2.0],
    ),
    "exp(-x x)": (lambda x: exp(-x * x), lambda x: mp.exp(-x * x), [1.0, 0.0]),
    "tanh(tanh x)": (lambda x: tanh(tanh(x)), lambda x: mp.tanh(mp.tanh(x)), [1.0, 0.0]),
    "sigmoid(-x)": (lambda x: sigmoid(-x), lambda x: logistic(-x), [1.0, 0.0]),
    "(-x) ** 3": (lambda x: (-x) ** 3, lambda x: (-x) ** 3, [1.0, 0.0]),
}
ORDERS = {name: (FUNCTIONS[name], true, points) for name, (true, points) in ONE.items()} | OTHERS
FLAT = {"abs", "relu", "leaky_relu", "maximum", "minimum", "where", "stop_gradient"}  # not smooth
ELSEWHERE = {"add", "sub", "mul", "div", "pow", "atan2", "hypot", "logaddexp"}  # operators, and among the others


def test_every_smooth_operation_has_its_orders():
    assert set(FUNCTIONS) - FLAT - ELSEWHERE == set(ONE)


@pytest.mark.parametrize("name", ORDERS)
def test_orders_up_to_ten(name):
    f, true, points = ORDERS[name]
    for x in points:
        with mp.workdps(120):
            exactly = [c * mp.factorial(k) for k, c in enumerate(mp.taylor(true, mp.mpf(x), HIGHEST + 1))]
            for n in range(HIGHEST + 1):
                got, now, after = derivative(f, n)(x), exactly[n], exactly[n + 1]
                before = abs(exactly[n - 1]) if n else mp.zero
                if abs(now) <= 1e-30 * max(before, abs(after)):  # 0, of which differences leave some noise
                    assert abs(got) <= 1e-12 * n * before, (x, n, got)
                    continue
                moves = abs(x * after) + 4 * abs(now)  # by how much a rounded x would change it
                assert abs(got - now) <= 200 * EPS * moves, (x, n, got, float(now))


@pytest.mark.parametrize("name", ["sin", "tanh", "exp", "x ** 2.5", "x ** x", "atan2(sin x, exp x)", "erf"])
def test_the_derivative_is_the_gradient_of_the_gradient(name):
    f = nested = ORDERS[name][0]
    for n in range(1, 5):
        nested = grad(nested)
        assert derivative(f, n)(0.8) == pytest.approx(nested(0.8), rel=1e-12)
    assert hessian(f)(0.8) == pytest.approx(derivative(f, 2)(0.8), rel=1e-14)


POLYNOMIALS = {
    "x": (lambda x: x, 1),
    "x + 3": (lambda x: x + 3, 1),
    "x x": (lambda x: x * x, 2),
    "x ** 3": (lambda x: x**3, 3),
    "x ** 4.0": (lambda x: x**4.0, 4),
    "x ** 5": (lambda x: x**5, 5),
    "x ** 9": (lambda x: x**9, 9),
    "(2 x - 1) ** 6": (lambda x: (2 * x - 1) ** 6, 6),
    "(x / 4) ** 3 x": (lambda x: (x / 4) ** 3 * x, 4),
    "x ** 0": (lambda x: x**0, 0),
    "7 - x ** 2 x ** 5": (lambda x: 7 - x**2 * x**5, 7),
    "(x x + x) (x - 1)": (lambda x: (x * x + x) * (x - 1), 3),
    "relu x + |x|": (lambda x: relu(x) + abs(x), 1),
    "where": (lambda x: where(x > 1, x**3, x), 3),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("x", [0.0, 1.7, -0.3, 1e6])
def test_a_polynomial_ends(name, x):
    f, degree = POLYNOMIALS[name]
    assert [derivative(f, degree + k)(x) for k in range(1, 8)] == [0.0] * 7


@pytest.mark.parametrize("power", [2.5, 0.5, -1.5, 1.1, 4.3])
def test_powers_at_zero(power):
    """Up to the exponent 0, then a pole."""
    for n in range(6):
        got = derivative(lambda x: x**power, n)(0.0)
        assert got == 0.0 if n < power else math.isinf(got), n


def test_order_thirty():
    def f(x):
        return tanh(sin(x) * exp(x)) ** 2.5 + log(1 + x * x) / atan2(x, 2.0)

    with mp.workdps(200):
        true = mp.diff(
            lambda x: mp.tanh(mp.sin(x) * mp.exp(x)) ** 2.5 + mp.log(1 + x * x) / mp.atan2(x, 2), mp.mpf(0.75), 30
        )
    assert derivative(f, 30)(0.75) == pytest.approx(float(true), rel=1e-9)


def test_orders_of_a_million_operations_need_no_recursion():
    def f(x):
        return functools.reduce(lambda y, _: sin(y) + x, range(20_000), x)

    assert derivative(f, 3)(0.3) == pytest.approx(grad(grad(grad(f)))(0.3), rel=1e-9)


def test_an_order_above_that_of_the_largest_factorial():
    assert derivative(exp, 171)(1.0) == pytest.approx(math.e)


def test_a_large_whole_exponent():
    assert derivative(lambda x: x**1e300, 1)(1.0) == 1e300


@pytest.mark.parametrize("a", [0.7, 1e-160, 1e160, 1e-300, -3e-9])
@pytest.mark.parametrize("ratio", [1.0, 1e-3, 1e-9, -1e-30, 1e9, 1e30])
def test_the_second_derivatives_of_hypot_do_not_cancel(a, ratio):
    """b² / r³, also where it is tiny beside 1 / r, and where squares would leave the floats."""
    b = a * ratio
    x, y = mp.mpf(a), mp.mpf(b)
    r = mp.hypot(x, y)
    true = [[y * y / r**3, -x * y / r**3], [-x * y / r**3, x * x / r**3]]
    graphs = grad(lambda p: grad(lambda q: hypot(*q))(p)[0])([a, b])
    rows = {"hessian": hessian(lambda p: hypot(*p))([a, b]), "grad": [graphs]}
    rows["hvp"] = [
        hvp(lambda p: hypot(*p), ([a, b],), ([1.0, 0.0],)),
        hvp(lambda p: hypot(*p), ([a, b],), ([0.0, 1.0],)),
    ]
    rows["derivative"] = [[derivative(lambda x: hypot(x, b), 2)(a)], [None, derivative(lambda y: hypot(a, y), 2)(b)]]
    for how, found in rows.items():
        for row, exact in zip(found, true, strict=False):
            for got, number in zip(row, exact, strict=False):
                if got is not None and 1e-300 < abs(number) < 1e300:
                    assert got == pytest.approx(float(number), rel=1e-14, abs=0.0), how


# ---- nested --------------------------------------------------------------------------------------------------------

FIRST = {  # the first derivative of a function of one number
    "grad": grad,
    "derivative": derivative,
    "jacobian": jacobian,
    "value_and_grad": lambda f: lambda x: value_and_grad(f)(x)[1],
    "jvp": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: vjp(f, x)[1](1.0)[0],
}
SECOND = {  # the second
    "hessian": hessian,
    "hvp": lambda f: lambda x: hvp(f, (x,), (1.0,)),
    "derivative 2": lambda f: derivative(f, 2),
}
ANY = {name: (how, 1) for name, how in FIRST.items()} | {name: (how, 2) for name, how in SECOND.items()}


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(ANY, ANY)))
def test_nested(outer, inner):
    """exp(2 x) gains a factor 2 each time."""
    (by_outer, n), (by_inner, m) = ANY[outer], ANY[inner]
    assert by_outer(by_inner(lambda x: exp(2 * x)))(0.5) == pytest.approx(2 ** (n + m) * math.e, rel=1e-14)


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(ANY, ANY)))
def test_closures_over_the_outer_variable(outer, inner):
    """∂ⁿ/∂xⁿ of x² (∂ᵐ/∂yᵐ of x³ y⁴ at y = 2 x)."""
    (by_outer, n), (by_inner, m) = ANY[outer], ANY[inner]
    got = by_outer(lambda x: x * x * by_inner(lambda y: x**3 * y**4)(2 * x))(1.5)
    factor, power = math.perm(4, m) * 2 ** (4 - m), 9 - m  # of factor · x^power
    assert got == pytest.approx(factor * math.perm(power, n) * 1.5 ** (power - n), rel=1e-14)


@pytest.mark.parametrize(("a", "b", "c"), list(itertools.product(FIRST, repeat=3)))
def test_three_levels(a, b, c):
    got = FIRST[a](lambda x: x * FIRST[b](lambda y: y * FIRST[c](lambda z: x * y * z * z)(1.0))(2.0))(3.0)
    assert got == 48.0  # x · ∂/∂y (y · 2 x y) = 4 x² y; by x: 8 x y


D = {
    # Siskind and Pearlmutter, Perturbation confusion and referential transparency, 2005
    "d/dx (x · d/dy (x + y))": (lambda: grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0), 1.0),
    "d/dx (x · d/dy (x y) at x)": (lambda: grad(lambda x: x * grad(lambda y: x * y)(x))(3.0), 6.0),
    "d/dx (x · d/dy (x y) at 2)": (lambda: grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0), 6.0),
    "d/dx (d/dy (x y y) at x)": (lambda: grad(lambda x: grad(lambda y: x * y * y)(x))(3.0), 12.0),
    "forward in forward": (
        lambda: jvp(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1],
        1.0,
    ),
    "forward in reverse": (lambda: grad(lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0), 6.0),
    "reverse in forward": (lambda: jvp(lambda x: x * grad(lambda y: x * y)(2.0), (3.0,), (1.0,))[1], 6.0),
    "the outer variable as a direction": (lambda: grad(lambda x: jvp(lambda y: y**3, (2.0,), (x,))[1])(5.0), 12.0),
    "the outer variable as a cotangent": (lambda: grad(lambda x: vjp(lambda y: y**3, 2.0)[1](x)[0])(5.0), 12.0),
    "hvp by its direction": (lambda: grad(lambda x: hvp(lambda y: y**3, (2.0,), (x,)))(5.0), 12.0),
    "hvp of the outer variable": (lambda: grad(lambda x: hvp(lambda y: x * y**3, (2.0,), (1.0,)))(5.0), 12.0),
    "the value beside the gradient": (
        lambda: grad(lambda x: sum(value_and_grad(lambda y: x * x * y)(x)))(3.0),
        33.0,  # x³ + x²
    ),
    # Manzyuk, Pearlmutter, Radul, Rush, Siskind, Perturbation confusion in forward automatic differentiation
    # of higher-order functions, 2019: (D s 0) twice, with s u f x = f (x + u)
    "the amazing bug": (lambda: shifted(shifted(exp))(1.0), math.e),
    "the amazing bug, forward": (lambda: shifted_forward(shifted_forward(exp))(1.0), math.e),
    "the amazing bug, mixed": (lambda: shifted(shifted_forward(shifted(exp)))(1.0), math.e),
    "a pullback": (lambda: grad(lambda x: vjp(lambda y: x * y * y, 3.0)[1](1.0)[0])(2.0), 6.0),
    "a pullback of outside": (lambda: grad(pullback_of_cube)(2.0), 27.0),
    "an inner function that ignores the outer variable": (
        lambda: grad(lambda x: x * grad(lambda y: y * y)(3.0))(2.0),
        6.0,
    ),
}


def shifted(f):
    return lambda x: grad(lambda u: f(x + u))(0.0)


def shifted_forward(f):
    return lambda x: jvp(lambda u: f(x + u), (0.0,), (1.0,))[1]


pullback = vjp(lambda y: y**3, 3.0)[1]


def pullback_of_cube(x):
    return pullback(x)[0]


@pytest.mark.parametrize("case", D)
def test_no_perturbation_is_confused(case):
    compute, expected = D[case]
    assert compute() == pytest.approx(expected, rel=1e-15)


CONSTANT_AT_LAST = {
    "grad grad 3 x": (lambda: grad(grad(lambda x: 3 * x))(1.0), 0.0),
    "grad grad -x": (lambda: grad(grad(lambda x: -x))(1.0), 0.0),
    "grad grad relu": (lambda: grad(grad(relu))(1.0), 0.0),
    "grad grad |x|": (lambda: grad(grad(abs))(-1.0), 0.0),
    "grad grad grad x x": (lambda: grad(grad(grad(lambda x: x * x)))(1.0), 0.0),
    "grad derivative": (lambda: grad(derivative(lambda x: 2 * x + 1))(1.0), 0.0),
    "derivative grad": (lambda: derivative(grad(lambda x: 2 * x + 1), 2)(1.0), 0.0),
    "grad jvp": (lambda: grad(lambda x: jvp(lambda y: 2 * y, (x,), (1.0,))[1])(1.0), 0.0),
    "grad vjp": (lambda: grad(lambda x: vjp(lambda y: 2 * y, x)[1](1.0)[0])(1.0), 0.0),
    "grad hvp": (lambda: grad(lambda x: hvp(lambda y: y * y, (x,), (1.0,)))(1.0), 0.0),
    "grad hessian": (lambda: grad(hessian(lambda y: y * y))(1.0), 0.0),
    "hessian grad": (lambda: hessian(grad(lambda x: 2 * x))(1.0), 0.0),
    "jacobian grad": (lambda: jacobian(grad(lambda x: 2 * x))(1.0), 0.0),
    "hvp grad": (lambda: hvp(grad(lambda x: x * x), (1.0,), (1.0,)), 0.0),
    "what ignores the inner variable": (lambda: grad(lambda x: grad(lambda y: x * 2)(1.0))(2.0), 0.0),
    "value_and_grad": (lambda: value_and_grad(grad(lambda x: 3 * x))(1.0), (3.0, 0.0)),
    "of a list": (lambda: grad(lambda p: grad(lambda q: q[0] + q[1])(p)[0])([1.0, 2.0]), [0.0, 0.0]),
}


@pytest.mark.parametrize("case", CONSTANT_AT_LAST)
def test_the_derivative_of_a_constant_derivative_is_zero(case):
    compute, expected = CONSTANT_AT_LAST[case]
    assert compute() == expected


def test_inner_derivatives_in_threads():
    def f(x):
        with ThreadPoolExecutor(2) as pool:
            return x * sum(pool.map(grad(lambda y: x * y * y), [1.0, 2.0]))

    assert grad(f)(3.0) == 36.0  # of x · (2 x + 4 x)


def test_threads_side_by_side():
    wrong = []

    def work(k):
        for _ in range(50):
            inner = grad(lambda x: x * grad(lambda y: x * y * k)(x))(3.0)
            if inner != 6.0 * k or abs(hvp(lambda x: k * x**3, (2.0,), (1.0,)) - 12 * k) > 1e-9:
                wrong.append((k, inner))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_function_that_was_kept_does_not_remember_the_outer_variable():
    kept = []

    def f(x):
        kept.append(lambda: grad(lambda y: x * y * y)(2.0))
        return x * x

    assert grad(f)(3.0) == 6.0
    assert kept[0]() == 12.0 and type(kept[0]()) is float


# ---- what is around is left alone ----------------------------------------------------------------------------------

EVERY = {
    "grad": lambda f, x: grad(f)(x),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "jvp": lambda f, x: jvp(f, (x,), (1.0,)),
    "vjp": lambda f, x: vjp(f, x)[1](1.0),
    "jacobian": lambda f, x: jacobian(f)(x),
    "hessian": lambda f, x: hessian(f)(x),
    "hvp": lambda f, x: hvp(f, (x,), (1.0,)),
    "derivative": lambda f, x: derivative(f, 3)(x),
    "grad grad": lambda f, x: grad(grad(f))(x),
}


@pytest.mark.parametrize("how", EVERY)
@pytest.mark.parametrize("argument", [0.5, Value(0.5)], ids=["a number", "a Value"])
def test_no_grad_of_a_value_is_touched(how, argument):
    w, unused = Value(2.0), Value(1.0)
    inner = tanh(w)
    values = [w, inner, unused] + [argument] * isinstance(argument, Value)
    for i, value in enumerate(values):
        value.grad = 7.0 + i
    EVERY[how](lambda x: sin(inner * x) * w, argument)
    assert [value.grad for value in values] == [7.0 + i for i in range(len(values))]
    assert [value.data for value in values[:2]] == [2.0, math.tanh(2.0)]


@pytest.mark.parametrize("how", EVERY)
def test_an_exception_of_the_function_goes_through_and_leaves_nothing(how):
    from micrograd_like import number

    def f(x):
        raise KeyError(x)

    with pytest.raises(KeyError):
        EVERY[how](f, 1.0)
    assert number.differentiated == set() and number.around.get() is None and not number.asking


def test_garbage_needs_no_collector():
    """README says that graphs never need it, so that a training loop may run with gc.disable()."""

    def left(compute):
        compute()
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(20):
            compute()
        return len(gc.get_objects()) - before

    def f(x):
        return sin(x * x) * tanh(x)

    gc.disable()
    try:
        found = {how: left(lambda how=how: EVERY[how](f, 0.5)) for how in EVERY}
    finally:
        gc.enable()
    assert not {how: count for how, count in found.items() if count >= 20}


def test_functions_are_called_once():
    calls = Counter()

    def counted(name, f):
        def g(x):
            calls[name] += 1
            return f(x)

        return g

    grad(counted("grad", sin))(1.0)
    hessian(counted("hessian", lambda x: x[0] * x[1] * x[2]))([1.0, 2.0, 3.0])
    jacobian(counted("jacobian", lambda x: [x, x * x, x**3]))(1.0)
    derivative(counted("derivative", sin), 5)(1.0)
    hvp(counted("hvp", sin), (1.0,), (1.0,))
    assert set(calls.values()) == {1}


# ---- shapes --------------------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")  # noqa: PYI024
A = numpy.array([[1.0, 2.0], [3.0, 4.0]])


def same_shape(a, b):
    if isinstance(b, numpy.ndarray):
        return isinstance(a, numpy.ndarray) and a.shape == b.shape and a.dtype == b.dtype and (a == b).all()
    if isinstance(b, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same_shape(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same_shape, a, b))
    return type(a) is float and a == b


SHAPES = {
    "a float": (lambda: grad(lambda x: x * x)(3.0), 6.0),
    "an int": (lambda: grad(lambda x: x * x)(3), 6.0),
    "a bool": (lambda: grad(lambda x: x * x)(True), 2.0),
    "a Fraction": (lambda: grad(lambda x: x * x)(Fraction(1, 2)), 1.0),
    "a numpy scalar": (lambda: grad(lambda x: x * x)(numpy.float32(0.5)), 1.0),
    "an array of no dimension": (lambda: grad(lambda x: x * x)(numpy.array(0.5)), 1.0),
    "a list": (lambda: grad(lambda p: p[0] * p[1])([2.0, 3]), [3.0, 2.0]),
    "a tuple": (lambda: grad(lambda p: p[0] * p[1])((2.0, 3)), (3.0, 2.0)),
    "a namedtuple": (lambda: grad(lambda p: p.x * p.y)(Point(2.0, 3.0)), Point(3.0, 2.0)),
    "a dict": (lambda: grad(lambda p: p["b"] * p["a"])({"b": 2.0, "a": 3.0}), {"b": 3.0, "a": 2.0}),
    "nested": (
        lambda: grad(lambda p: p[0]["w"][1][0] * p[1])([{"w": [(1.0,), (2.0, 5.0)]}, 3.0]),
        [{"w": [(0.0,), (3.0, 0.0)]}, 2.0],
    ),
    "nothing": (lambda: grad(lambda p: Value(1.0) * 2)([]), []),
    "an array": (lambda: grad(lambda a: numpy.sum(a * a))(A), 2 * A),
    "an array of ints": (lambda: grad(lambda a: numpy.sum(a * a))(A.astype(int)), 2 * A),
    "a product of arrays": (lambda: grad(lambda a: numpy.sum(a @ a))(A), numpy.array([[7.0, 11.0], [9.0, 13.0]])),
    "functions of numpy": (
        lambda: grad(lambda a: numpy.sum(numpy.exp(numpy.log(a)) * 2))(numpy.array([1.0, 1.0])),
        numpy.array([2.0, 2.0]),
    ),
    "an empty array": (lambda: grad(lambda a: Value(1.0) * 2)(numpy.zeros((0, 3))), numpy.zeros((0, 3))),
    "arrays in a dict": (
        lambda: grad(lambda p: numpy.sum(p["W"]) * p["b"])({"W": A, "b": 2.0}),
        {"W": numpy.full((2, 2), 2.0), "b": 10.0},
    ),
    "of what is ignored": (
        lambda: grad(lambda a, b: a * 2, (0, 1))(1.0, [2.0, {"c": 3.0}]),
        (2.0, [0.0, {"c": 0.0}]),
    ),
    "by the second": (lambda: grad(lambda a, b: a * b * b, 1)(5.0, 3.0), 30.0),
    "by the last": (lambda: grad(lambda a, b: a * b * b, -1)(5.0, 3.0), 30.0),
    "by both, turned": (lambda: grad(lambda a, b: a * b * b, (1, 0))(5.0, 3.0), (30.0, 9.0)),
    "by one of one": (lambda: grad(lambda a, b: a * b * b, [0])(5.0, 3.0), (9.0,)),
    "with a keyword": (lambda: grad(lambda a, *, k: a * k)(5.0, k=3.0), 3.0),
    "value and gradient": (lambda: value_and_grad(lambda p: p[0] * p[1])([2, 3]), (6.0, [3.0, 2.0])),
    "identity": (lambda: value_and_grad(lambda x: x)(2), (2.0, 1.0)),
    "jvp": (lambda: jvp(lambda p, q: [p[0] * q, q], ((2, 1), 3), ((1, 0), 10)), ([6.0, 3.0], [23.0, 10.0])),
    "jvp of a constant": (lambda: jvp(lambda x: [x, 5.0], (2.0,), (1.0,)), ([2.0, 5.0], [1.0, 0.0])),
    "jvp of arrays": (lambda: jvp(lambda a: a @ a, (A,), (numpy.eye(2),)), (A @ A, 2 * A)),
    "vjp": (lambda: vjp(lambda p, q: {"a": p[0] * q}, [2.0, 1.0], 3.0)[1]({"a": 10}), ([30.0, 0.0], 20.0)),
    "vjp of arrays": (lambda: vjp(lambda a: a * 3, A)[1](A), (3 * A,)),
    "the value of vjp": (lambda: vjp(lambda a: a * 3, A)[0], 3 * A),
    "jacobian, wide": (lambda: jacobian(lambda p: p[0] * p[1])([2.0, 3.0]), [3.0, 2.0]),
    "jacobian, tall": (lambda: jacobian(lambda x: {"a": x * x, "b": (x, 7.0)})(3.0), {"a": 6.0, "b": (1.0, 0.0)}),
    "jacobian of lists": (lambda: jacobian(lambda p: [p[0], p[0] * p[1]])([2.0, 3.0]), [[1.0, 0.0], [3.0, 2.0]]),
    "jacobian of an array": (lambda: jacobian(lambda a: a.sum(axis=0))(A[:1]), numpy.array([[[1.0, 0]], [[0, 1.0]]])),
    "jacobian, square": (lambda: jacobian(lambda a: a * a)(A[0]), numpy.diag(2 * A[0])),
    "jacobian, a list of an array": (lambda: jacobian(lambda a: [a[1]])(A[0]), [numpy.array([0.0, 1.0])]),
    "jacobian by two": (lambda: jacobian(lambda a, b: [a * b, a], (0, 1))(2.0, 3.0), [(3.0, 2.0), (1.0, 0.0)]),
    "hessian of a number": (lambda: hessian(lambda x: x**3)(2.0), 12.0),
    "hessian of a list": (lambda: hessian(lambda p: p[0] * p[1] ** 2)([2.0, 3.0]), [[0.0, 6.0], [6.0, 4.0]]),
    "hessian of a dict": (
        lambda: hessian(lambda p: p["a"] * p["b"] ** 2)({"a": 2.0, "b": 3.0}),
        {"a": {"a": 0.0, "b": 6.0}, "b": {"a": 6.0, "b": 4.0}},
    ),
    "hessian of an array": (lambda: hessian(lambda a: numpy.sum(a * a * a))(A[0]), numpy.diag(6 * A[0])),
    "hessian by two": (lambda: hessian(lambda a, b: a * b * b, (0, 1))(2.0, 3.0), ((0.0, 6.0), (6.0, 4.0))),
    "hessian of what is ignored": (lambda: hessian(lambda p: p[0] ** 2)([1.0, 5.0]), [[2.0, 0.0], [0.0, 0.0]]),
    "hessian of a constant": (lambda: hessian(lambda p: Value(2.0) * 2)([1.0, 5.0]), [[0.0, 0.0], [0.0, 0.0]]),
    "hvp": (lambda: hvp(lambda p, q: p[0] ** 2 * q, ([2.0, 1.0], 3.0), ([1, 5], 1)), [10.0, 0.0]),
    "hvp of an array": (lambda: hvp(lambda a: numpy.sum(a * a * a), (A,), (A,)), 6 * A * A),
    "derivative 0": (lambda: derivative(lambda x: x * x, 0)(3), 9.0),
    "derivative 2": (lambda: derivative(lambda x: x * x, 2)(3), 2.0),
    "derivative 0 of what ignores it": (lambda: derivative(lambda x: Value(3.0) * 3, 0)(1.0), 9.0),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case):
    compute, expected = SHAPES[case]
    assert same_shape(compute(), expected), compute()


def test_a_matrix_by_a_matrix():
    tensor = jacobian(lambda a: a @ a)(A)
    assert tensor.shape == (2, 2, 2, 2) and tensor.dtype == float
    for i, k, m, n in itertools.product(range(2), repeat=4):
        assert tensor[i, k, m, n] == (i == m) * A[n, k] + (k == n) * A[i, m]
    assert hessian(lambda a: numpy.sum(a @ a))(A).shape == (2, 2, 2, 2)


def test_blocks_of_several_arrays():
    """As JAX has it: for each pair of arguments one array, of both their shapes."""
    blocks = hessian(lambda a, b: numpy.sum(a * b[:2] * b[2]), (0, 1))(A[0], numpy.array([1.0, 2.0, 3.0]))
    assert [[block.shape for block in row] for row in blocks] == [[(2, 2), (2, 3)], [(3, 2), (3, 3)]]
    rows = jacobian(lambda a, b: a * b, (0, 1))(A[0], A[1])
    assert [block.shape for block in rows] == [(2, 2), (2, 2)]


@pytest.mark.parametrize("argument", [A, [1.0, 2.0], {"a": 1.0}])
def test_arguments_are_not_changed(argument):
    import copy

    before = copy.deepcopy(argument)

    def f(p):
        first = next(iter(p.values())) if isinstance(p, dict) else p[0]
        for key in list(p) if isinstance(p, dict) else range(len(p)):
            p[key] = p[key] * 0.0
        return numpy.sum(first * 2)

    grad(f)(argument)
    assert numpy.array_equal(argument, before) if isinstance(argument, numpy.ndarray) else argument == before


def test_values_in_values_out():
    x = Value(2.0, "x")
    slope = grad(lambda z: z**3)(x)
    assert type(slope) is Value and slope.data == 12.0
    slope.backward()
    assert x.grad == 12.0
    value, slopes = value_and_grad(lambda p: p[0] * p[1])([x, 3.0])
    assert [type(number) for number in (value, *slopes)] == [Value] * 3
    assert type(grad(lambda z: z * x)(3.0)) is float


def test_scipy_minimizes_with_value_and_grad():
    optimize = pytest.importorskip("scipy.optimize")
    f = value_and_grad(lambda x: (x[0] - 1) ** 2 + (x[0] * x[1] + 2) ** 2)
    assert optimize.minimize(f, numpy.zeros(2), jac=True).x == pytest.approx([1.0, -2.0], abs=1e-5)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: jvp(lambda p: 10 * p["a"] + p["b"], ({"a": 1.0, "b": 2.0},), ({"b": 0.0, "a": 1.0},))[1],
        lambda: vjp(lambda x: {"a": 10 * x, "b": x}, 1.0)[1]({"b": 0.0, "a": 1.0})[0],
        lambda: hvp(lambda p: 5 * p["a"] ** 2 + p["b"] ** 2, ({"a": 1.0, "b": 1.0},), ({"b": 0.0, "a": 1.0},))["a"],
    ],
    ids=["jvp", "vjp", "hvp"],
)
def test_a_direction_goes_by_its_keys(compute):
    assert compute() == 10.0


# ---- edges ---------------------------------------------------------------------------------------------------------

EDGES = {
    "a pole": (log, 0.0, math.inf),
    "sqrt": (sqrt, 0.0, math.inf),
    "relu at its kink": (relu, 0.0, 0.0),
    "abs at its kink": (abs, 0.0, 0.0),
    "0 ** y": (lambda y: Value(0.0) ** y, 2.0, 0.0),
    "far out": (sigmoid, 1000.0, 0.0),
    "softplus far out": (softplus, -1000.0, 0.0),
    "x ** 0 at 0": (lambda x: x**0, 0.0, 0.0),
    "x ** 1 at 0": (lambda x: x**1, 0.0, 1.0),
}


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.parametrize("how", ["grad", "jvp", "vjp", "derivative", "backward"])
def test_edges(case, how):
    f, x, expected = EDGES[case]
    if how == "backward":
        leaf = Value(x)
        f(leaf).backward()
        assert leaf.grad == expected
    else:
        assert FIRST[how](f)(x) == expected


def test_negative_bases_with_whole_exponents():
    for n in (-3, -2, 2, 3, 4.0, 7):
        assert derivative(lambda x, n=n: x**n, 2)(-1.5) == pytest.approx(n * (n - 1) * (-1.5) ** (n - 2), rel=1e-14)
        assert hessian(lambda x, n=n: x**n)(-1.5) == pytest.approx(n * (n - 1) * (-1.5) ** (n - 2), rel=1e-14)


def test_the_base_of_a_power_of_values_may_be_negative():
    """By the exponent there is nan, and only there."""
    assert grad(lambda p: p[0] ** p[1])([-2.0, 3.0])[0] == 12.0
    assert hvp(lambda p: p[0] ** p[1], ([-2.0, 3.0],), ([1.0, 0.0],))[0] == -12.0


# ---- misuse --------------------------------------------------------------------------------------------------------

NOTHING_KNOWN = (
    ", no Value, so nothing is known of how it was computed: return what the operations gave, not its .data; "
    "where it is constant, add 0 * x"
)
AS_A_FLOAT = (
    "a Value = 0.0, which depends on what is being differentiated by, was to become a plain number, which would lose "
    "its derivative: use arrays with dtype=object and the functions of micrograd_like, or .data where just the number "
    "is meant"
)
ONE_NUMBER = ": value_and_grad and grad need one number; jacobian takes several"
NUMBERS = "should have numbers, Values, and lists, tuples, dicts and numpy arrays of them, not"


def f(x, y=1.0):
    return x * y


def halves(x):
    return [x / 2, x / 2]


def lost(x):
    return x.data


def by_math(x):
    return math.exp(x)


def forgotten(x):
    x * 2


def product(p):
    return p[0] * p[1]


MISUSE = {
    ".data": (lambda: grad(lost)(1.0), TypeError, "lost returned float 1.0" + NOTHING_KNOWN),
    "math": (lambda: grad(by_math)(0.0), TypeError, AS_A_FLOAT),
    "a constant": (lambda: grad(lambda x: 3.0)(1.0), TypeError, "<lambda> returned float 3.0" + NOTHING_KNOWN),
    "no return": (lambda: grad(forgotten)(1.0), TypeError, f"what forgotten returned {NUMBERS} NoneType None"),
    "several numbers": (
        lambda: grad(halves)(1.0),
        TypeError,
        "halves returned list [Value(data=0.5, grad=0.0), Value(data=0.5, grad=0.0)]" + ONE_NUMBER,
    ),
    "hessian of several": (
        lambda: hessian(lambda x: (x,))(1.0),
        TypeError,
        "<lambda> returned tuple (Value(data=1.0, grad=0.0),): hessian needs one number",
    ),
    "hvp of several": (
        lambda: hvp(lambda x: (x,), (1.0,), (1.0,)),
        TypeError,
        "<lambda> returned tuple (Value(data=1.0, grad=0.0),): hvp needs one number",
    ),
    "derivative of several": (
        lambda: derivative(lambda x: (x,))(1.0),
        TypeError,
        "<lambda> returned tuple (Value(data=1.0, grad=0.0),): derivative needs one number",
    ),
    "derivative by several": (
        lambda: derivative(product)([1.0, 2.0]),
        TypeError,
        "derivative is of functions of one number, not of list; use grad",
    ),
    "a negative order": (
        lambda: derivative(f, -1),
        ValueError,
        "n, the order of the derivative, should be a whole number of at least 0, got -1",
    ),
    "half an order": (
        lambda: derivative(f, 0.5),
        ValueError,
        "n, the order of the derivative, should be a whole number of at least 0, got 0.5",
    ),
    "text": (lambda: grad(f)("a"), TypeError, f"argument 0 of f {NUMBERS} str 'a'"),
    "text deep inside": (
        lambda: grad(f)({"w": [1.0, "a"]}),
        TypeError,
        f"argument 0 of f['w'][1] {NUMBERS} str 'a'",
    ),
    "None": (lambda: grad(f)(None), TypeError, f"argument 0 of f {NUMBERS} NoneType None"),
    "complex": (lambda: grad(f)(1j), TypeError, f"argument 0 of f {NUMBERS} complex 1j"),
    "complex arrays": (lambda: grad(f)(numpy.array([1j])), TypeError, f"argument 0 of f {NUMBERS} complex 1j"),
    "too few arguments": (
        lambda: grad(f, 2)(1.0, 2.0),
        ValueError,
        "f was called with 2 positional arguments, and is to be differentiated by number 2 (the first is 0)",
    ),
    "a named argument": (
        lambda: grad(f)(x=1.0),
        ValueError,
        "f was called with 0 positional arguments, and is to be differentiated by number 0 (the first is 0)",
    ),
    "tangents too few": (
        lambda: jvp(f, (1.0, 2.0), (1.0,)),
        ValueError,
        "there are 2 primals, and 1 tangents",
    ),
    "a tangent too short": (
        lambda: jvp(product, ([1.0, 2.0],), ([1.0],)),
        ValueError,
        "tangent 0 has 1 numbers, and the primal has 2",
    ),
    "a tangent of text": (lambda: jvp(f, (1.0,), ("a",)), TypeError, f"tangent 0 {NUMBERS} str 'a'"),
    "a cotangent too short": (
        lambda: vjp(halves, 1.0)[1](1.0),
        ValueError,
        "the cotangent is one number, and what halves returned has 2",
    ),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse(case):
    compute, kind, message = MISUSE[case]
    with pytest.raises(kind) as error:
        compute()
    assert str(error.value) == message


NAMES_THE_CAUSE = {  # what the message has to name
    "argnums, a float": (lambda: grad(f, 0.0)(1.0), "argnums"),
    "argnums, text": (lambda: grad(f, "x")(1.0), "argnums"),
    "primals, not a tuple": (lambda: jvp(f, 1.0, 1.0), "primals"),
    "tangents, not a tuple": (lambda: jvp(f, (1.0,), 1.0), "tangents"),
    "a number for the function": (lambda: grad(1.0)(1.0), "function"),
    "a tangent in another shape": (lambda: jvp(product, (A[0],), (A[:1].T,)), "shape"),
    "a tangent with other keys": (
        lambda: jvp(lambda p: p["a"], ({"a": 1.0},), ({"c": 1.0},)),
        "'c'",
    ),
    "a function that returns a function": (lambda: grad(lambda x: lambda y: x + y)(1.0), "function"),
}


@pytest.mark.parametrize("case", NAMES_THE_CAUSE)
def test_what_a_message_names(case):
    compute, cause = NAMES_THE_CAUSE[case]
    with pytest.raises((TypeError, ValueError)) as error:
        compute()
    assert cause in str(error.value)


@pytest.mark.parametrize("whole", [numpy.int64(1), True])
def test_whole_numbers_of_other_kinds(whole):
    assert grad(lambda x, y: x * y * y, whole)(2.0, 3.0) == 12.0
    assert derivative(lambda x: x * x, whole)(3.0) == 6.0


# ---- the other functions of the package ----------------------------------------------------------------------------


def test_hessian_of_a_network_beside_its_formula():
    """A unit tanh(w x + b) and the loss (y - f)², by hand."""
    x, y, w, b = 1.5, 0.25, 0.8, -0.1
    f = math.tanh(w * x + b)
    slope, curvature = 1 - f * f, -2 * f * (1 - f * f)
    second = 2 * slope**2 - 2 * (y - f) * curvature
    rows = hessian(lambda p: (y - tanh(p[0] * x + p[1])) ** 2)([w, b])
    assert rows == [
        pytest.approx([second * x * x, second * x], rel=1e-12),
        pytest.approx([second * x, second], rel=1e-12),
    ]


CLOSED = {
    "log1p, cos": (lambda x: log1p(x) * cos(x), 0.7),
    "acosh, asin": (lambda x: acosh(1 + x) * asin(x), 0.4),
    "atan, sqrt": (lambda x: atan(x) / sqrt(1 + x), 0.4),
}


@pytest.mark.parametrize("case", CLOSED)
def test_second_derivatives_beside_differences(case):
    f, x = CLOSED[case]
    assert micrograd_like.gradcheck(f, (x,))
    h = 1e-4
    difference = (grad(f)(x + h) - grad(f)(x - h)) / (2 * h)
    assert hessian(f)(x) == pytest.approx(difference, rel=1e-6)


# ---- many programs -------------------------------------------------------------------------------------------------


def report(count, first, with_jax):
    """Print how far each way was off, over all programs. None is left out."""
    worst, over, numbers, steps = {}, Counter(), 0, 0
    for seed in range(first, first + count):
        program = Program(seed)
        steps += len(program.steps)
        also = []
        if with_jax:
            n = len(program.point)
            theirs = jax_answers(program)
            also = [("jax", theirs[: n + 1])]
            product = hvp(program, (program.point,), ([1.0] * n,))
            size = max(map(abs, theirs[n + 1 :])) + TINY
            apart_by = max(abs(a - b) for a, b in zip(product, theirs[n + 1 :], strict=True)) / size
            worst["hvp beside jax", 2] = max(worst.get(("hvp beside jax", 2), (0, 0, 0)), (0, apart_by, seed))
        for way, order, error, relative in errors(program, also):
            numbers += 1
            over[way] += error > 64
            worst[way, order] = max(worst.get((way, order), (0, 0, 0)), (error, relative, seed))
    lines = [f"{count} programs from seed {first}, {steps} steps, {numbers} numbers, none left out"]
    lines.append(
        "worst error in units of what rounding explains, its size relative to the largest of its order, the seed:"
    )
    for (way, order), (error, relative, seed) in sorted(worst.items()):
        lines.append(f"{way:16} order {order}  {error:10.3g}  {relative:10.3g}  {seed}")
    sys.stdout.write("\n".join([*lines, f"more than 64 units: {dict(over)}", ""]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jax", action="store_true")
    arguments = parser.parse_args()
    mp.dps = 40
    report(arguments.programs, arguments.seed, arguments.jax)
