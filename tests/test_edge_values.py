"""Every row of the tables in docs/edge-values.md."""

import math
from pathlib import Path

import pytest

from micrograd_like import DomainError, Value, detect_anomaly, grad, gradients, stop_gradient, vjp
from micrograd_like.byhand.replay import gradients as gradients_at, values
from micrograd_like.ops import FUNCTIONS, TABLE, compare, step

PAGE = Path(__file__).parent.parent / "docs" / "edge-values.md"


def rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in TABLE:
            yield cells


def same(a, b):
    return a == b or (a != a and b != b)


def test_the_page_has_its_rows():
    assert (
        len(list(rows())) == sum(line.startswith("| ") for line in PAGE.read_text(encoding="utf-8").splitlines()) - 10
    )


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: f"{row[0]} at {row[1]}")
def test_row(row):
    operation, at, expected, *rest = row
    operands = [float(x.strip("[]")) if x.startswith("[") else Value(float(x)) for x in at.split(", ")]
    if expected == "DomainError":
        with pytest.raises(DomainError, match=operation):
            FUNCTIONS[operation](*operands)
        return
    node = FUNCTIONS[operation](*operands)
    node.backward()
    slopes = [float(slope) for slope in rest[0].split(", ")]
    variables = [x for x in operands if isinstance(x, Value)]
    assert same(node.data, float(expected))
    assert len(slopes) == len(variables)
    for x, slope in zip(variables, slopes, strict=True):
        assert same(x.grad, slope) or math.isclose(x.grad, slope, rel_tol=1e-15), f"{x.grad}, not {slope}"


def test_unselected_branches_take_part():
    x = Value(0.0)
    FUNCTIONS["where"](x > 0, x.log(), 0.0).backward()
    assert math.isnan(x.grad)
    x = Value(0.0)
    FUNCTIONS["log"](FUNCTIONS["where"](x > 0, x, 1.0)).backward()
    assert x.grad == 0.0


@pytest.mark.parametrize("how", ["backward", "grad", "gradients", "vjp of a Value"])
@pytest.mark.parametrize("blocking", ["where", "stop_gradient", "step", "compare"])
def test_nothing_passes_where_the_slope_is_always_zero(how, blocking):
    """Not even an infinite gradient, of which 0 times were nan."""

    def f(x):
        blocked = {
            "where": lambda: FUNCTIONS["where"](x, 0.0, 0.0),
            "stop_gradient": lambda: stop_gradient(x) * 0.0,
            "step": lambda: step(-x),
            "compare": lambda: compare(x, 3.0) + 1.0,
        }[blocking]()
        return FUNCTIONS["sqrt"](blocked) + x  # the slope of sqrt at 0 is infinite

    x = Value(2.0)
    if how == "backward":
        f(x).backward()
        assert x.grad == 1.0
    elif how == "grad":
        assert grad(f)(2.0) == 1.0
    elif how == "gradients":
        assert gradients(f(x), x).data == 1.0
    else:
        assert vjp(f, x)[1](1.0)[0].data == 1.0


@pytest.mark.parametrize("blocked", [stop_gradient, step, lambda a: FUNCTIONS["where"](a, 1.0, 0.0)])
def test_nothing_goes_back_from_what_no_gradient_comes_to(blocked):
    """0 times its infinite slopes would be nan."""

    def f(x):
        return blocked(FUNCTIONS["sqrt"](x) * 2.0) * 3.0 + x

    x = Value(0.0)
    behind = FUNCTIONS["sqrt"](x)
    behind.grad = 7.0
    (blocked(behind) + x).backward()
    assert (x.grad, behind.grad) == (1.0, 0.0)
    assert grad(f)(0.0) == vjp(f, 0.0)[1](1.0)[0] == gradients(f(x), x).data == 1.0
    with detect_anomaly():
        assert grad(f)(0.0) == 1.0
        f(x).backward()
    assert gradients_at(loss := f(x), values(loss))[x] == 1.0


def others(column):
    """(operation, operands, which of them are variables, value, derivatives) as another system is said to have them."""
    for operation, at, value, *rest in rows():
        if rest and rest[column] != "none" and operation != "where":
            operands = [float(x.strip("[]")) for x in at.split(", ")]
            variables = [i for i, x in enumerate(at.split(", ")) if not x.startswith("[")]
            slopes = rest[0] if rest[column] == "=" else rest[column]
            yield operation, operands, variables, float(value), [float(slope) for slope in slopes.split(", ")]


def close(got, want):
    return same(got, want) or math.isclose(got, want, rel_tol=1e-12)


JAX_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "atan2": "arctan2", "atanh": "arctanh", "div": "divide",
    "pow": "power",
}  # fmt: skip


@pytest.mark.parametrize("row", list(others(2)), ids=str)
def test_what_jax_has(row):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    operation, operands, variables, value, slopes = row
    f = getattr(jax.nn, operation, None) or getattr(jax.numpy, JAX_NAMES.get(operation, operation))
    assert close(float(f(*operands)), value)
    gradients = jax.grad(f, tuple(variables))(*operands)
    assert all(close(float(got), slope) for got, slope in zip(gradients, slopes, strict=True)), gradients


@pytest.mark.parametrize("row", list(others(1)), ids=str)
def test_what_torch_has(row):
    torch = pytest.importorskip("torch")
    operation, operands, variables, value, slopes = row
    f = getattr(torch.nn.functional, operation, None) or getattr(torch, operation)
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=i in variables) for i, x in enumerate(operands)]
    out = f(tensors[0], operands[1]) if operation == "leaky_relu" else f(*tensors)
    out.backward()
    gradients = [tensors[i].grad.item() for i in variables]
    assert close(out.item(), value)
    assert all(close(got, slope) for got, slope in zip(gradients, slopes, strict=True)), gradients
