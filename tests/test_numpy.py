"""What those do who come with numpy arrays and scipy: programs of arrays are differentiated, shapes are kept."""

import math
from typing import Any, NamedTuple

import pytest

from micrograd_like import (
    DomainError,
    Value,
    atan2,
    derivative,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    logaddexp,
    maximum,
    relu,
    value_and_grad,
    vjp,
)

np = pytest.importorskip("numpy")

X = np.array([0.3, -0.7, 1.2])
M = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])
ELSE = np.array([1.1, 0.4, -0.6])


def slopes(f, x):
    """∂f/∂x by central differences, f being of floats: of shape (*f, *x)."""
    x = np.asarray(x, float)
    columns = []
    for place in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[place] = 1e-6
        columns.append((np.asarray(f(x + shift), float) - np.asarray(f(x - shift), float)) / 2e-6)
    return np.stack(columns, -1).reshape(np.shape(columns[0]) + x.shape)


def same(found, expected, tolerance=1e-7):
    """Are they arrays of floats, of one shape, and near each other?"""
    return found.dtype == np.float64 and found.shape == np.shape(expected) and np.allclose(found, expected, tolerance)


# ---- functions of elements ---------------------------------------------------------------------------------------

ELEMENTWISE = {
    "absolute": X, "arccos": X / 2, "arccosh": X + 2, "arcsin": X / 2, "arcsinh": X, "arctan": X, "arctanh": X / 2,
    "cbrt": X, "cos": X, "cosh": X, "exp": X, "exp2": X, "expm1": X, "fabs": X, "log": X + 1, "log10": X + 1,
    "log1p": X, "log2": X + 1, "negative": X, "positive": X, "reciprocal": X, "sin": X, "sinh": X, "sqrt": X + 1,
    "square": X, "tan": X, "tanh": X,
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_function_of_elements(name):
    f, x = getattr(np, name), ELEMENTWISE[name]
    values = f(np.array([Value(number) for number in x]))
    assert values.dtype == object and np.allclose(values.astype(float), f(x), 1e-14)
    assert same(jacobian(f)(x), np.diag(np.diag(slopes(f, x))))
    assert same(hessian(lambda v: np.sum(f(v)))(x), slopes(grad(lambda v: np.sum(f(v))), x))
    assert grad(f)(float(x[0])) == jacobian(f)(x)[0, 0]


SIDES = {  # what stands on the two sides of a function of two operands, made of an array that is differentiated
    "arrays": lambda v: (v, v[::-1] + 0.5),
    "an array and floats": lambda v: (v, ELSE),
    "floats and an array": lambda v: (ELSE, v),
    "an array and a float": lambda v: (v, 0.4),
    "floats and one": lambda v: (ELSE, v[0]),
    "one and floats": lambda v: (v[0], ELSE),
    "numbers": lambda v: (v[0], v[1]),
    "a number of numpy": lambda v: (np.float64(0.4), v[2]),
    "integers": lambda v: (v, np.array([1, 2, 3])),
    "a column and a row": lambda v: (v[:, None], ELSE),
}
BINARY = ["add", "subtract", "multiply", "divide", "power", "arctan2", "hypot", "maximum", "minimum"]
# numpy asks the floats of the first array for a method of this name: see FAILS, and the test after the next.
IMPOSSIBLE = {("arctan2", "floats and an array"), ("hypot", "floats and an array")}


@pytest.mark.parametrize(
    ("name", "sides"), [(name, sides) for name in BINARY for sides in SIDES if (name, sides) not in IMPOSSIBLE]
)
def test_function_of_two(name, sides):
    x = abs(X) if name == "power" else X

    def f(v):
        first, second = SIDES[sides](v)
        return getattr(np, name)(abs(first) if name == "power" else first, second)

    assert same(jacobian(f)(x), slopes(f, x))
    assert same(hessian(lambda v: np.sum(v * f(v)))(x), slopes(grad(lambda v: np.sum(v * f(v))), x))


@pytest.mark.parametrize(("f", "ours"), [(np.arctan2, atan2), (np.logaddexp, logaddexp)], ids=["arctan2", "logaddexp"])
def test_a_function_of_two_made_for_arrays(f, ours):
    """The way round what numpy does not do with objects."""
    assert same(jacobian(lambda v: np.frompyfunc(ours, 2, 1)(ELSE, v))(X), slopes(lambda v: f(ELSE, v), X))
    assert same(jacobian(np.vectorize(lambda s: ours(0.5, s), otypes=[object]))(X), slopes(lambda v: f(0.5, v), X))


# ---- programs of arrays ------------------------------------------------------------------------------------------


def in_place(v):
    v = v.copy()
    v *= 2
    v[0] += v[1]
    return v @ v


def into_an_empty_array(v):
    made = np.empty_like(v)
    for i in range(3):
        made[i] = v[i] * v[i - 1]
    return np.sum(made)


def recurrence(v):
    state = np.zeros(2)
    for i in range(4):
        state = np.tanh(M[:, :2] @ state + v[:2] * v[2] + i)
    return state @ state


PROGRAMS = {  # of an array of shape (3,), to a number
    "v @ v": lambda v: v @ v,
    "M @ v": lambda v: np.sum((M @ v) ** 3),
    "v @ M.T": lambda v: np.prod(v @ M.T),
    "dot": lambda v: np.dot(M, v) @ np.dot(v, M.T),
    "inner": lambda v: np.inner(v, v**2),
    "outer": lambda v: np.sum(np.outer(v, ELSE) @ np.outer(v, v)),
    "matmul": lambda v: np.matmul(np.matmul(M, np.diag(v)), v).sum(),
    "einsum": lambda v: np.einsum("ij,j,i->", M, v, v[:2]),
    "kron": lambda v: np.sum(np.kron(v, v)),
    "cross": lambda v: np.cross(v, ELSE) @ v**2,
    "matrix_power": lambda v: np.trace(np.linalg.matrix_power(np.outer(v, ELSE), 3)),
    "multi_dot": lambda v: np.sum(np.linalg.multi_dot([M, np.outer(v, v), v])),
    "norm": np.linalg.norm,
    "norm of 1": lambda v: np.linalg.norm(v, 1) ** 2,
    "norm of ∞": lambda v: np.linalg.norm(v, np.inf) ** 2,
    "sum by axis": lambda v: np.sum(np.outer(v, v), axis=0) @ v,
    "sum of a list": lambda v: np.sum([v[0] * v[1], v[2]]),
    "sum of Python": lambda v: sum(x * x for x in v),
    "mean": lambda v: np.mean(v**3),
    "mean by axis": lambda v: (M * v).mean(axis=1) @ v[:2],
    "average": lambda v: np.average(v**2, weights=[1.0, 2.0, 3.0]),
    "prod": np.prod,
    "cumsum": lambda v: np.sum(np.cumsum(v) ** 2),
    "cumprod": lambda v: np.sum(np.cumprod(v)),
    "diff": lambda v: np.sum(np.diff(v) ** 2),
    "trapezoid": lambda v: np.trapezoid(v**2, [0.0, 1.0, 3.0]) if hasattr(np, "trapezoid") else np.trapz(v**2),
    "nansum": lambda v: np.nansum(v**2),
    "max": lambda v: np.max(v) ** 2,
    "min": lambda v: v.min() ** 2,
    "median": lambda v: np.median(v) ** 2,
    "sort": lambda v: np.sort(v)[::-1] @ ELSE**2 + np.sort(v)[0] ** 2,
    "argmax": lambda v: v[np.argmax(v)] ** 2,
    "unique": lambda v: np.sum(np.unique(v) ** 2),
    "where": lambda v: np.sum(np.where(v > 0, v**2, np.sin(v))),
    "where a constant": lambda v: np.sum(np.where(v > 0, v**2, 1.0)),
    "relu": lambda v: np.sum(np.maximum(v, 0) ** 2),
    "clip": lambda v: np.sum(np.clip(v, -0.5, 0.5) * v),
    "select": lambda v: np.sum(np.select([v > 0, v <= 0], [v, v**2])),
    "piecewise": lambda v: np.sum(np.piecewise(v, [v > 0, v <= 0], [lambda t: t, lambda t: t**2])),
    "mask": lambda v: np.sum(v[v > 0] ** 2),
    "fancy indices": lambda v: np.sum(v[[0, 0, 1]] ** 2),
    "comparison as numbers": lambda v: np.sum((v > 0) * v**2),
    "any": lambda v: v[0] ** 2 if np.any(v > 1) else v[1],
    "concatenate": lambda v: np.sum(np.concatenate([v, M[0]]) ** 2),
    "stack": lambda v: np.sum(np.stack([v, ELSE]) ** 2),
    "append": lambda v: np.sum(np.append(v, 1.0) ** 2),
    "pad": lambda v: np.sum(np.pad(v, 1) ** 2),
    "roll": lambda v: v @ np.roll(v, 1),
    "repeat": lambda v: np.sum(np.repeat(v, 2) ** 2),
    "meshgrid": lambda v: np.sum(np.multiply(*np.meshgrid(v, v**2))),
    "broadcasting": lambda v: np.sum((v[:, None] - v) ** 2),
    "reshape": lambda v: np.sum(v.reshape(3, 1) * ELSE) ** 2,
    "triu": lambda v: np.sum(np.triu(np.outer(v, v))),
    "convolve": lambda v: np.sum(np.convolve(v, [1.0, 2.0]) ** 2),
    "polyval": lambda v: np.polyval(v, 2.0) ** 2 + np.polyval([1.0, 2.0, 3.0], v[0]),
    "polynomial": lambda v: np.polynomial.Polynomial(v)(2.0) ** 2,
    "chebyshev": lambda v: np.polynomial.chebyshev.chebval(0.3, v) ** 2,
    "vander": lambda v: np.sum(np.vander(v)),
    "vectorize": lambda v: np.sum(np.vectorize(lambda x: x * x)(v)),
    "a new array": lambda v: np.sum(np.array([v[0] * v[1], v[2], 1.0]) ** 2),
    "in place": in_place,
    "into an empty array": into_an_empty_array,
    "recurrence": recurrence,
    "numbers of numpy": lambda v: np.float64(2) * v[0] * np.int64(3) + v[1] / np.float32(2) - np.array(1) * v[2] ** 2,
    "sinc": lambda v: np.sum(np.sinc(v) ** 2),
    "logarithm of sums": lambda v: np.log(np.sum(np.exp(v))),
    "softmax": lambda v: np.sum((np.exp(v) / np.sum(np.exp(v))) ** 2),
    "gaussian": lambda v: np.exp(-((v - 0.5) ** 2) / 2).prod() / np.sqrt(2 * np.pi),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    f = PROGRAMS[name]
    value, gradient = value_and_grad(f)(X)
    assert type(value) is float and value == pytest.approx(float(f(X)), rel=1e-14)
    assert same(gradient, slopes(f, X))
    assert same(jacobian(f)(X), gradient, 1e-15)
    second = hessian(f)(X)
    assert same(second, slopes(grad(f), X), 1e-6)
    assert same(hvp(f, (X,), (ELSE,)), second @ ELSE, 1e-12)
    assert same(grad(lambda v: grad(f)(v) @ ELSE)(X), second @ ELSE, 1e-12)
    values = np.array([Value(x) for x in X])
    f(values).backward()
    assert same(np.array([x.grad for x in values]), gradient, 1e-15)


def test_the_differences_notice_a_wrong_slope():
    assert not same(grad(lambda v: np.sum(v**2) + 1e-6 * v[1])(X), slopes(lambda v: np.sum(v**2), X))
    assert not same(np.zeros((3, 1)), np.zeros(3)) and not same(np.zeros(3, object), np.zeros(3))


# ---- what is given -----------------------------------------------------------------------------------------------


def total(x):
    """Σ k x² over whatever x holds, k counting from 1."""
    numbers = []

    def collect(part):
        if isinstance(part, dict):
            part = list(part.values())
        if isinstance(part, (list, tuple)) or getattr(part, "ndim", 0):
            for item in part:
                collect(item)
        else:
            numbers.append(part)

    collect(x)
    return sum(k * number**2 for k, number in enumerate(numbers, 1)) + 0.0 * Value(1.0)


class Pair(NamedTuple):
    a: Any
    b: Any


GIVEN = {  # an argument, and the gradient of `total` by it
    "integers": (np.array([1, 2, 3]), np.array([2.0, 8.0, 18.0])),
    "bytes": (np.array([1, 200], np.uint8), np.array([2.0, 800.0])),
    "booleans": (np.array([True, False]), np.array([2.0, 0.0])),
    "float32": (np.array([0.5, 0.25], np.float32), np.array([1.0, 1.0])),
    "float16": (np.array([0.5], np.float16), np.array([1.0])),
    "longdouble": (np.array([0.5], np.longdouble), np.array([1.0])),
    "objects": (np.array([1.0, 2], object), np.array([2.0, 8.0])),
    "matrix": (np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[2.0, 8.0, 18.0], [32.0, 50.0, 72.0]])),
    "by columns": (np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 8.0], [18.0, 32.0]])),
    "transposed": (np.array([[1.0, 2.0], [3.0, 4.0]]).T, np.array([[2.0, 12.0], [12.0, 32.0]])),
    "backwards": (np.array([1.0, 2.0, 3.0])[::-1], np.array([6.0, 8.0, 6.0])),
    "every other": (np.arange(5.0)[::2], np.array([0.0, 8.0, 24.0])),
    "three dimensions": (np.ones((1, 2, 2)), np.array([[[2.0, 4.0], [6.0, 8.0]]])),
    "read only": (np.broadcast_to(np.array(1.0), (2,)), np.array([2.0, 4.0])),
    "empty": (np.array([]), np.array([])),
    "rows of nothing": (np.zeros((2, 0)), np.zeros((2, 0))),
    "no dimension": (np.array(3.0), 6.0),
    "no dimension, integer": (np.array(3), 6.0),
    "np.float64": (np.float64(3.0), 6.0),
    "np.float32": (np.float32(3.0), 6.0),
    "np.int64": (np.int64(3), 6.0),
    "list": ([1.0, 2, np.float64(3)], [2.0, 8.0, 18.0]),
    "list of arrays": ([np.array([1.0, 2.0]), 3.0], [np.array([2.0, 8.0]), 18.0]),
    "tuple of arrays": ((np.array([[1.0]]), np.array([2.0, 3.0])), (np.array([[2.0]]), np.array([8.0, 18.0]))),
    "dict of arrays": (
        {"w": np.array([[1.0, 2.0]]), "b": np.array([3.0]), "s": 4},
        {"w": np.array([[2.0, 8.0]]), "b": np.array([18.0]), "s": 32.0},
    ),
    "named tuple": (Pair(np.array([1.0]), [2.0]), Pair(np.array([2.0]), [8.0])),
    "nested": ([{"w": [np.array([1.0])]}, ((2.0,), [])], [{"w": [np.array([2.0])]}, ((8.0,), [])]),
}


def alike(found, expected):
    """The same types with the same numbers, arrays being of float64."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(alike(found[key], expected[key]) for key in expected)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, np.ndarray):
        return found.dtype == np.float64 and found.shape == expected.shape and (found == expected).all()
    return found == expected


@pytest.mark.parametrize("name", GIVEN)
def test_gradient_has_the_shape_of_what_is_given(name):
    x, expected = GIVEN[name]
    before = repr(x)
    assert alike(grad(total)(x), expected)
    assert alike(vjp(total, x)[1](1.0), (expected,))
    assert alike(hvp(total, (x,), (x,)), expected)  # total is quadratic
    assert repr(x) == before


def test_alike_can_fail():
    for found, expected in [
        (np.array([1]), np.array([1.0])), (np.array([[1.0]]), np.array([1.0])), (np.float64(1.0), 1.0), ([1.0], (1.0,)),
        ({"a": 1.0}, {"b": 1.0}), (np.array([1.0], object), np.array([1.0])), ([1.0], [1.0, 1.0]),
    ]:  # fmt: skip
        assert alike(expected, expected) and not alike(found, expected)


def test_what_is_given_is_left_as_it_is():
    x = X.copy()
    assert same(grad(in_place)(x), slopes(in_place, X))
    assert (x == X).all()


def test_several_arguments():
    def f(a, b, *, k):
        return k * np.sum(a) * np.sum(b**2)

    a, b = np.ones(3), np.array([1.0, 2.0])
    assert alike(grad(f, argnums=(1, 0))(a, b, k=np.float32(2)), (np.array([12.0, 24.0]), np.array([10.0, 10.0, 10.0])))
    assert alike(grad(f, argnums=-1)(a, b, k=2), np.array([12.0, 24.0]))
    assert alike(value_and_grad(f)(a, b, k=2), (30.0, np.array([10.0, 10.0, 10.0])))


# ---- shapes of derivatives ---------------------------------------------------------------------------------------

SHAPES = {  # f, its argument, the shape of its jacobian
    "() by ()": (lambda s: s**2, 2.0, ()),
    "() by (n,)": (lambda v: v @ v, X, (3,)),
    "() by (m, n)": (lambda a: np.sum(a**2), M, (2, 3)),
    "(m,) by (n,)": (lambda v: M @ v, X, (2, 3)),
    "(m,) by ()": (lambda s: s * X, 2.0, (3,)),
    "(m,) by a number of numpy": (lambda s: s * X, np.float64(2.0), (3,)),
    "(m,) by an array of no dimension": (lambda s: s * X, np.array(2.0), (3,)),
    "(m, k) by (n,)": (lambda v: np.outer(M @ v, v), X, (2, 3, 3)),
    "(n, 1) by (n,)": (lambda v: v[:, None] ** 2, X, (3, 1, 3)),
    "(m,) by (m, n)": (lambda a: a @ X, M, (2, 2, 3)),
    "(m, n) by (m, n)": (lambda a: a**2, M, (2, 3, 2, 3)),
    "(1,) by (1,)": (lambda v: v**2, np.array([3.0]), (1, 1)),
    "more than there are numbers": (lambda v: np.array([v[0] ** k for k in range(6)]), np.array([2.0]), (6, 1)),
    "fewer than there are numbers": (lambda v: v[:1] ** 2, X, (1, 3)),
    "constant": (lambda v: np.ones(2), X, (2, 3)),
    "partly constant": (lambda v: np.array([v[0], 1.0]), X, (2, 3)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_jacobian(name):
    f, x, shape = SHAPES[name]
    found = jacobian(f)(x)
    assert np.shape(found) == shape and (shape == () or found.dtype == np.float64)
    assert np.allclose(found, slopes(f, x), 1e-7)
    direction = np.full(np.shape(x), 0.5)
    value, along = jvp(f, (x,), (direction,))
    assert np.shape(value) == np.shape(along) == np.shape(f(x))
    assert np.allclose(along, np.tensordot(found, direction, direction.ndim), 1e-12)
    value, back = vjp(f, x)
    (pulled,) = back(np.full(np.shape(value), 2.0))
    assert np.allclose(pulled, 2.0 * np.sum(found, axis=tuple(range(np.ndim(value)))), 1e-12)


@pytest.mark.parametrize("x", [X, M, X[:1], np.ones((1, 2, 1))], ids=lambda x: str(x.shape))
def test_hessian(x):
    def f(a):
        return np.sum(a) * np.sum(a**3)

    assert same(hessian(f)(x), slopes(grad(f), x))
    assert hessian(f)(x).shape == x.shape * 2
    assert same(jacobian(grad(f))(x), hessian(f)(x), 1e-13)
    assert same(jacobian(jacobian(lambda a: a**3))(x), slopes(jacobian(lambda a: a**3), x))
    linear = hessian(np.sum)(x)
    assert linear.shape == x.shape * 2 and not linear.any()


def test_jacobian_of_lists_and_dicts():
    assert alike(jacobian(lambda v: [v[0], v[1] * v[2]])(X), [np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.2, -0.7])])
    assert alike(jacobian(lambda v: {"a": v * 2, "b": np.sum(v)})(X), {"a": np.eye(3) * 2, "b": np.ones(3)})
    assert alike(jacobian(lambda s: (s, [s * s]))(2.0), (1.0, [4.0]))
    assert alike(hessian(lambda x: x[0] ** 2 * x[1])([1.0, 2.0]), [[4.0, 2.0], [2.0, 0.0]])


def test_derivative_of_order_n():
    assert derivative(np.exp, 5)(np.float64(0.5)) == derivative(np.exp, 5)(np.array(0.5)) == pytest.approx(math.e**0.5)
    third = derivative(lambda s: np.sum(np.sin(s * X)), 3)(0.5)
    assert third == pytest.approx(float(np.sum(-(X**3) * np.cos(0.5 * X))))


# ---- in the hands of scipy ---------------------------------------------------------------------------------------


def rosenbrock(v):
    return np.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)


def circles(v):
    return np.array([v[0] ** 2 + v[1] ** 2 - 4, (v[0] - 1) ** 2 + v[1] ** 2 - 2])


def product_with_hessian(v, direction):
    return hvp(rosenbrock, (v,), (direction,))


SECOND = {"hess": hessian(rosenbrock)}
PRODUCT = {"hessp": product_with_hessian}
MINIMIZERS = [
    ("BFGS", {}), ("L-BFGS-B", {}), ("CG", {}), ("TNC", {"options": {"maxfun": 1000}}), ("SLSQP", {}),
    ("Newton-CG", SECOND), ("Newton-CG", PRODUCT), ("trust-ncg", SECOND), ("trust-ncg", PRODUCT),
    ("trust-krylov", SECOND), ("trust-exact", SECOND), ("trust-constr", SECOND),
]  # fmt: skip


@pytest.mark.parametrize(("method", "more"), MINIMIZERS, ids=lambda x: x if isinstance(x, str) else "".join(x))
@pytest.mark.parametrize("start", [[-1.2, 1.0], (-1, 1), np.array([-1.2, 1.0, 0.5])], ids=["list", "ints", "array"])
def test_minimize(method, more, start):
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(value_and_grad(rosenbrock), start, jac=True, method=method, **more)
    assert found.success and abs(found.x - 1).max() < 2e-3


def test_minimize_other_ways():
    optimize = pytest.importorskip("scipy.optimize")
    apart = optimize.minimize(rosenbrock, [-1.2, 1.0], jac=grad(rosenbrock))
    together = optimize.minimize(value_and_grad(rosenbrock), [-1.2, 1.0], jac=True)
    assert (apart.x == together.x).all() and apart.nfev == together.nfev
    with_arguments = optimize.minimize(
        value_and_grad(lambda v, k, why: np.sum((v - k) ** 2)), X, args=(3, "text"), jac=True
    )
    assert np.allclose(with_arguments.x, 3)
    of_one = optimize.minimize(value_and_grad(lambda v: np.exp(v[0]) - v[0]), 2.0, jac=True)
    assert np.allclose(of_one.x, 0, atol=1e-5)
    hopping = optimize.basinhopping(
        value_and_grad(rosenbrock), [-1.0, 1.0], niter=2, minimizer_kwargs={"jac": True, "method": "L-BFGS-B"}
    )
    assert np.allclose(hopping.x, 1, atol=1e-4)


def test_minimize_on_a_disc():
    optimize = pytest.importorskip("scipy.optimize")

    def inside(v):
        return np.array([1 - v @ v])

    slsqp = optimize.minimize(
        value_and_grad(rosenbrock), [0.5, 0.5], jac=True, method="SLSQP",
        constraints={"type": "ineq", "fun": inside, "jac": jacobian(inside)},
    )  # fmt: skip
    constraint = optimize.NonlinearConstraint(
        inside, 0, np.inf, jac=jacobian(inside), hess=lambda v, weights: hessian(lambda u: inside(u) @ weights)(v)
    )
    trust = optimize.minimize(
        value_and_grad(rosenbrock), [0.5, 0.5], jac=True, hess=hessian(rosenbrock), method="trust-constr",
        constraints=constraint,
    )  # fmt: skip
    assert np.allclose(slsqp.x, [0.786415, 0.617698], atol=1e-4) and np.allclose(trust.x, slsqp.x, atol=1e-4)


@pytest.mark.parametrize("returned", [np.array, list], ids=["array", "list"])
def test_roots_and_least_squares(returned):
    optimize = pytest.importorskip("scipy.optimize")
    answer = np.array([1.5, math.sqrt(1.75)])

    def f(v):
        return returned(list(circles(v)))

    for method in ("hybr", "lm"):
        assert np.allclose(optimize.root(f, [1, 1], jac=jacobian(f), method=method).x, answer)
    assert np.allclose(optimize.fsolve(f, [1.0, 1.0], fprime=jacobian(f)), answer)
    for method in ("lm", "trf", "dogbox"):
        assert np.allclose(optimize.least_squares(f, [1.0, 1.0], jac=jacobian(f), method=method).x, answer)
    assert np.allclose(optimize.least_squares(f, [1.0, 1.0], jac=jacobian(f), loss="soft_l1").x, answer)


def test_roots_of_one_number():
    optimize = pytest.importorskip("scipy.optimize")

    def f(s):
        return s**3 - 2

    assert optimize.newton(f, 1.0, fprime=derivative(f), fprime2=derivative(f, 2)) == pytest.approx(2 ** (1 / 3))
    found = optimize.root_scalar(f, x0=1.0, fprime=grad(f), fprime2=grad(grad(f)), method="halley")
    assert found.converged and found.root == pytest.approx(2 ** (1 / 3))


def test_curve_fit():
    optimize = pytest.importorskip("scipy.optimize")
    times = np.linspace(0, 4, 20)

    def model(t, a, b, c):
        return a * np.exp(-b * t) + c

    def slope(t, *parameters):
        return jacobian(lambda p: model(t, *p))(np.array(parameters))

    found, _ = optimize.curve_fit(model, times, model(times, 2.5, 1.3, 0.5), p0=[1.0, 1.0, 1.0], jac=slope)
    assert np.allclose(found, [2.5, 1.3, 0.5])


def test_check_grad():
    optimize = pytest.importorskip("scipy.optimize")
    x = np.array([-1.2, 1.0, 0.5])
    assert optimize.check_grad(rosenbrock, grad(rosenbrock), x) < 1e-4
    assert optimize.check_grad(rosenbrock, lambda v: 1.001 * grad(rosenbrock)(v), x) > 1e-2
    assert np.allclose(optimize.approx_fprime(x[:2], circles), jacobian(circles)(x[:2]), atol=1e-6)


def test_a_stiff_equation():
    integrate = pytest.importorskip("scipy.integrate")

    def van_der_pol(t, y):
        return [y[1], 1000 * (1 - y[0] ** 2) * y[1] - y[0]]

    for method in ("Radau", "BDF"):
        done = integrate.solve_ivp(van_der_pol, (0, 10), [2.0, 0.0], method=method, jac=jacobian(van_der_pol, 1))
        assert done.success and done.y[0, -1] == pytest.approx(1.99331, abs=1e-4)


def test_linear_operator():
    linalg = pytest.importorskip("scipy.sparse.linalg")
    operator = linalg.LinearOperator((3, 3), matvec=lambda p: hvp(lambda v: np.sum(v**2 + v**4), (X,), (p,)))
    found, status = linalg.cg(operator, np.ones(3), atol=0.0)
    assert status == 0 and np.allclose(found, 1 / (2 + 12 * X**2), 1e-4)


# ---- what does not work ------------------------------------------------------------------------------------------

NOTHING_IS_KNOWN = (
    "no Value, so nothing is known of how it was computed: return what the operations gave, not its .data"
)
LOSES = "was to become a plain number, which would lose its derivative"
FAILS = {  # f of an array, the error, and what it says
    "linalg.det": (lambda v: np.linalg.det(np.diag(v)), TypeError, "Cannot cast ufunc 'det' input"),
    "linalg.solve": (lambda v: np.linalg.solve(np.diag(v), v)[0], TypeError, "Cannot cast ufunc 'solve1'"),
    "linalg.eigvalsh": (lambda v: np.linalg.eigvalsh(np.diag(v))[0], TypeError, "Cannot cast ufunc 'eigvalsh_lo'"),
    "fft": (lambda v: np.abs(np.fft.fft(v))[0], TypeError, "not supported for the input types|no Value"),
    "logaddexp of arrays": (lambda v: np.sum(np.logaddexp(v, v)), TypeError, "'logaddexp' not supported for the input"),
    "arctan2": (lambda v: np.sum(np.arctan2(ELSE, v)), AttributeError, "'float' object has no attribute 'arctan2'"),
    "isfinite": (lambda v: v[0] if np.isfinite(v).all() else v[1], TypeError, "'isfinite' not supported for the input"),
    "a column of numbers": (lambda v: v * v, TypeError, "grad need one number; jacobian takes several"),
    "one number in an array": (lambda v: v.sum(keepdims=True), TypeError, "grad need one number; jacobian takes"),
    "signs alone": (lambda v: np.sum(np.sign(v)), TypeError, NOTHING_IS_KNOWN),
    "floats made of it": (lambda v: np.sum(v.astype(float)), TypeError, LOSES),
    "floats asked for": (lambda v: np.sum(v, dtype=float), TypeError, LOSES),
    "one float": (lambda v: float(v[0]), TypeError, LOSES),
    "math": (lambda v: math.exp(v[0]), TypeError, LOSES),
    "text": (lambda v: "text", TypeError, "returned should have numbers, Values, and lists, tuples, dicts and numpy"),
    "outside a domain": (lambda v: np.sum(np.log(v)), DomainError, r"log\(-0.7\) is not defined"),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_is_no_part_of_it(name):
    f, error, text = FAILS[name]
    with pytest.raises(error, match=text):
        grad(f)(X)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            np.array([1j]),
            "argument 0 of sum should have numbers, .* not complex 1j",
        ),
        (
            np.array(["a"]),
            "argument 0 of sum should have numbers, .* not str 'a'",
        ),
        (
            np.array([None]),
            "argument 0 of sum should have numbers, .* not NoneType None",
        ),
        ({1.0}, r"argument 0 of sum should have numbers, Values, and lists, .* not set {1.0}"),
        ({"w": [1.0, None]}, r"argument 0 of sum\['w'\]\[1\] should have numbers, .* not NoneType None"),
        ("text", "argument 0 of sum should have numbers, .* not str 'text'"),
    ],
    ids=str,
)
def test_what_is_no_argument(x, text):
    with pytest.raises(TypeError, match=text):
        grad(np.sum)(x)


def test_shapes_that_do_not_match():
    with pytest.raises(ValueError, match="tangent 0 has 2 numbers, and the primal has 3"):
        jvp(lambda v: M @ v, (X,), (np.ones(2),))
    with pytest.raises(ValueError, match="there are 1 primals, and 2 tangents"):
        jvp(lambda v: M @ v, (X,), (X, X))
    with pytest.raises(ValueError, match="the cotangent has 3 numbers, and what <lambda> returned has 2"):
        vjp(lambda v: M @ v, X)[1](np.ones(3))
    with pytest.raises(TypeError, match="derivative needs one number"):
        derivative(np.exp)(X)


# ---- what numpy asks for, and what does not work --------------------------------------------------------------------

WORKS = {  # f, what it is by, the gradient or jacobian
    "var": (grad, np.var, X, 2 / 3 * (X - X.mean())),
    "std": (grad, np.std, X, (X - X.mean()) / 3 / X.std()),
    "vdot": (grad, lambda v: np.vdot(v, v), X, 2 * X),
    "sum of a number": (grad, np.sum, 2.0, 1.0),
    "tensordot": (grad, lambda v: np.tensordot(v, v, 1), X, 2 * X),
    "no dimension": (jacobian, lambda v: np.array(v @ v), X, 2 * X),
}


@pytest.mark.parametrize(("transform", "f", "x", "expected"), WORKS.values(), ids=WORKS)
def test_what_numpy_asks_for(transform, f, x, expected):
    found = transform(f)(x)
    assert np.shape(found) == np.shape(expected) and np.allclose(found, expected, atol=1e-12)


# What numpy does with objects by itself, so that no Value hears of it, and what to write instead: see docs/numpy.md.
INSTEAD = {  # f, what it is by, the gradient; the same as it should be written, its gradient
    "a tie": (
        lambda v: np.sum(np.maximum(v, 0)), np.zeros(3), np.ones(3),
        lambda v: np.sum(np.frompyfunc(maximum, 2, 1)(v, 0)), np.full(3, 0.5),
    ),
    "relu": (
        lambda v: np.sum(np.maximum(v, 0)), X, np.array([1.0, 0.0, 1.0]),
        lambda v: np.sum(np.frompyfunc(relu, 1, 1)(v)), np.array([1.0, 0.0, 1.0]),
    ),
    "equality": (
        lambda v: np.sum(np.where(v == 1.2, v**2, v)), X, np.ones(3),
        lambda v: np.sum(np.where((v >= 1.2) & (v <= 1.2), v**2, v)), np.array([1.0, 1.0, 2.4]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INSTEAD)
def test_what_to_write_instead(name):
    f, x, found, instead, expected = INSTEAD[name]
    assert same(grad(f)(x), found) and same(grad(instead)(x), expected)


@pytest.mark.parametrize(
    ("f", "x", "instead"),
    [
        (lambda v: np.sum(np.maximum(v, 0)), -abs(X), lambda v: np.sum(np.frompyfunc(relu, 1, 1)(v))),
        (lambda s: s if s > 0 else 0.0, -1.0, lambda s: s if s > 0 else 0 * s),
    ],
    ids=["relu of negatives", "one branch"],
)
def test_a_constant_is_refused(f, x, instead):
    with pytest.raises(TypeError, match=NOTHING_IS_KNOWN):
        grad(f)(x)
    assert not np.any(grad(instead)(x))


EMPTY = [(0,), (0, 3), (3, 0)]


@pytest.mark.parametrize("shape", EMPTY, ids=str)
def test_empty_arrays_keep_their_shapes(shape):
    x = np.zeros(shape)
    square = lambda v: np.sum(v**2) + Value(1.0)  # noqa: E731
    for found, expected in [
        (grad(square)(x), shape),
        (hessian(square)(x), 2 * shape),
        (jacobian(lambda v: v * 2)(x), 2 * shape),
        (jacobian(lambda v: np.ones(2))(x), (2, *shape)),
        (jacobian(lambda v, s: v * s, 1)(x, 2.0), shape),
        (jacobian(lambda v: v[:0])(M), (0, 3, *M.shape)),
        (jacobian(lambda p: p["a"])({"a": x, "s": 2.0})["a"], 2 * shape),
        (jacobian(lambda p: p["a"])({"a": x, "s": 2.0})["s"], shape),
        (hessian(lambda v, w: square(v) * np.sum(w), (0, 1))(x, X)[0][1], (*shape, 3)),
        (hessian(lambda v, w: square(v) * np.sum(w), (0, 1))(x, X)[1][0], (3, *shape)),
        (jvp(lambda v: v * 2, (x,), (x,))[1], shape),
        (vjp(lambda v: v * 2, x)[1](x)[0], shape),
        (hvp(square, (x,), (x,)), shape),
    ]:
        assert found.shape == expected and found.dtype == np.float64


def test_values_put_into_floats():
    def f(v):
        made = np.zeros(3)
        made[0] = v[0] * v[1]
        return made @ v

    with pytest.raises(TypeError, match=LOSES):
        grad(f)(X)
