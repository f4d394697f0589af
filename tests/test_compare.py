"""Gradients derived by hand beside the engine's and beside differences."""

import math

import pytest

from micrograd_like import Value, tanh
from micrograd_like.byhand import compare
from micrograd_like.byhand.formula import FormulaError
from micrograd_like.lecture import chain
from micrograd_like.ops import TABLE

RIGHT = {
    "w1": "x (1-f1²) w2 (1-f2²) 2 (f2-y)",
    "w2": "f1 * (1 - f2**2) * 2 * (f2 - y)",
    "x": r"w_1 (1-f_1^2) w_2 (1-f_2^2) \cdot 2 (f_2-y)",
    "y": "-2 (f2 - y)",
    "z2": "2 (f2 - y)(1 - f2²)",
}


@pytest.fixture
def loss():
    return chain([0.8, -1.2], 1.5, 0.25)[1]


@pytest.mark.parametrize("name", RIGHT)
def test_right_formulas(name, loss):
    comparison = compare(loss, {name: RIGHT[name]})
    assert comparison, comparison
    row = comparison.rows[0]
    assert row.name == name
    assert row.engine == pytest.approx(row.yours, rel=1e-13) == pytest.approx(row.difference, rel=1e-8)
    assert row.ulp < 20


def test_the_recurrence_as_text(loss):
    text = """
        d2 = 2 (f2 - y)(1 - f2²)
        d1 = (1 - f1²) w2 d2
        dw2 = f1 d2
        ∂Loss/∂w1 = x d1
        \\frac{\\partial Loss}{\\partial x} = w1 d1
        y.grad = -2 (f2 - y)
    """
    comparison = compare(loss, text)
    assert comparison
    assert [row.name for row in comparison.rows] == ["w2", "w1", "x", "y"]


def test_numbers_functions_and_nodes(loss):
    (w1, w2), loss = chain([0.8, -1.2], 1.5, 0.25)
    right = compare(loss, {w1: "x (1-f1²) w2 (1-f2²) 2 (f2-y)"}).rows[0].engine
    assert compare(loss, {w1: right})
    assert not compare(loss, {w1: right * 1.001})
    assert compare(loss, {w1: right * 1.001}, rtol=1e-2)
    assert compare(loss, {w2: lambda f1, f2, y: f1 * (1 - f2**2) * 2 * (f2 - y)})


@pytest.mark.parametrize(
    "wrong",
    [
        "x (1-f1²) w2 (1-f2²) (f2-y)",
        "(1-f1²) w2 (1-f2²) 2 (f2-y)",
        "x (1-z1²) w2 (1-f2²) 2 (f2-y)",
        "x (1-f1²) w1 (1-f2²) 2 (f2-y)",
        "-x (1-f1²) w2 (1-f2²) 2 (f2-y)",
        "x (1-f1²) w2 (1-f2²) 2 (f2-y) + 1e-8",
        "0",
        "log(0-1)",
        "(f1 - 2)^0.5 x",
        "((0 - x)(1 - f1²))^(1 - f1)",
    ],
)
def test_wrong_formulas(wrong, loss):
    comparison = compare(loss, {"w1": wrong, "y": RIGHT["y"]})
    assert not comparison
    assert [row.verdict for row in comparison.rows] == ["DIFFERS", "agrees"]


def test_the_graph_is_left_alone(loss):
    loss.backward()
    before = [(node.data, node.grad) for node in (loss, *loss.operands[0].operands)]
    compare(loss, {"w1": 0.0})
    assert [(node.data, node.grad) for node in (loss, *loss.operands[0].operands)] == before


def test_when_engine_and_difference_disagree_the_user_is_not_blamed(loss, monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: 1.0 - a * a,))
    comparison = compare(loss, {"w1": RIGHT["w1"]})
    assert not comparison
    assert comparison.rows[0].verdict == "engine and difference disagree"


def test_how_it_is_shown(loss):
    comparison = compare(loss, {"w1": RIGHT["w1"], "w2": 1.0})
    lines = str(comparison).splitlines()
    assert lines[0].split() == ["∂Loss/∂", "engine", "yours", "difference", "relative", "ulp", "verdict"]
    assert lines[1].endswith("agrees") and lines[2].endswith("DIFFERS")
    assert comparison._repr_html_().count("<tr>") == 3
    latex = comparison.latex
    assert latex.startswith(r"\begin{array}") and latex.count(r"\\") == 3


def test_zero_gradients():
    x = Value(2.0, name="x")
    loss = (x * 0.0).relu() + 1.0
    assert compare(loss, {"x": 0.0})
    assert not compare(loss, {"x": 1e-3})


MISTAKES = [
    (
        lambda loss: compare(loss, {"w9": 1.0}),
        ValueError,
        "no node has the name 'w9'; the names of the graph are y, w2, w1, x",
    ),
    (
        lambda loss: compare(loss, {Value(1.0, "q"): 1.0}),
        ValueError,
        "q is not in the graph; the names of the graph are",
    ),
    (lambda loss: compare(loss, {"w1": "w9 x"}), FormulaError, "unknown name 'w9'"),
    (
        lambda loss: compare(loss, {"w1": lambda w9: w9}),
        ValueError,
        "the function's parameter 'w9' is no name of the graph",
    ),
    (
        lambda loss: compare(loss, {"w1": None}),
        TypeError,
        "compare takes a text, a function or a number for w1, not NoneType None",
    ),
    (
        lambda loss: compare(loss, "d2 = 2 x"),
        ValueError,
        "no line gives a gradient: write a line dw = … for the node w",
    ),
    (lambda loss: compare(loss, {}), ValueError, "there is no formula; the names of the graph are"),
    (lambda loss: compare(loss, 3), TypeError, "the formulas are a text or a dict by node, not int 3"),
    (lambda loss: compare(3.0, {}), TypeError, "compare reads the graph of a Value, not float 3.0"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message[:40] for _, _, message in MISTAKES])
def test_mistakes(call, kind, message, loss):
    with pytest.raises(kind) as error:
        call(loss)
    assert message in str(error.value)


def test_two_nodes_of_one_name():
    a, b = Value(1.0, "a"), Value(2.0, "a")
    with pytest.raises(ValueError, match="2 nodes have the name 'a'"):
        compare(a * b, {"a": 1.0})
    assert compare(a * b, {a: 2.0, b: 1.0})


def test_a_deep_graph():
    y = Value(0.5, name="x")
    for _ in range(20_000):
        y = y * 1.0
    assert compare(tanh(y), {"x": 1 / math.cosh(0.5) ** 2})
