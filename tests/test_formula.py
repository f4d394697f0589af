"""Formulas as text: what can be read, what they mean, and that nothing else happens."""

import math
import random

import pytest

from micrograd_like.byhand.formula import DEEPEST, LONGEST, FormulaError, canonical, parse

NAMES = {"x": 0.7, "y": -0.2, "w1": 1.3, "w2": -0.4, "z1": 0.91, "f1": 0.72, "f2": -0.28, "δ_9": 0.5, "w1_2_3": 2.5}
x, y, w1, w2, z1, f1, f2, d9, w123 = NAMES.values()


def value(text):
    expression = parse(text, NAMES)[-1][1]
    return expression if isinstance(expression, float) else expression.evaluate(NAMES)


READ = [
    ("1 + 2 * 3", 7.0),
    ("(1 + 2) * 3 - 4 / 8", 8.5),
    ("2 - 3 - 4", -5.0),
    ("16 / 4 / 2", 2.0),
    ("2^3^2", 512.0),
    ("2**-1", 0.5),
    ("-3^2", -9.0),
    ("-3²", -9.0),
    ("--3", 3.0),
    ("2 - -3", 5.0),
    ("2 + -3", -1.0),
    ("2 -+ 3", -1.0),
    ("1.5e2 + .5 + 2.", 152.5),
    ("x*(1-f1**2)*w2*(1-f2**2)*2*(f2-y)", x * (1 - f1**2) * w2 * (1 - f2**2) * 2 * (f2 - y)),
    ("x (1 - f1²) w2 (1 - f2²) · 2 (f2 - y)", x * (1 - f1**2) * w2 * (1 - f2**2) * 2 * (f2 - y)),
    (r"x (1-f_1^2) \cdot w_2 \left(1-f_{2}^{2}\right) 2 (f_2-y)", x * (1 - f1**2) * w2 * (1 - f2**2) * 2 * (f2 - y)),
    (r"\frac{2(f_2-y)}{1+\tanh^2(z_1)} \delta_9", 2 * (f2 - y) / (1 + math.tanh(z1) ** 2) * d9),
    ("δ₉ × δ9 ÷ delta_9", d9),
    ("w_{1,2,3} + w_1", w123 + w1),
    ("1 − tanh(z1)²", 1 - math.tanh(z1) ** 2),
    ("tanh²(z1)", math.tanh(z1) ** 2),
    (r"\tanh z_1 w_2", math.tanh(z1) * w2),
    (r"\sqrt{x} + \exp{y}", math.sqrt(x) + math.exp(y)),
    ("1/(1+e^{-z1})", 1 / (1 + math.exp(-z1))),
    ("σ(z1)(1 - σ(z1))", math.exp(-z1) / (1 + math.exp(-z1)) ** 2),
    ("max(x, 0) + minimum(y, 0) + leaky_relu(y)", x + y + 0.01 * y),
    ("2 π e", 2 * math.pi * math.e),
    ("where(x, 1, 2)", 1.0),
    ("{[x]}", x),
    (r"$$\bigl(\dfrac{x}{2}\bigr) y.$$", x / 2 * y),
    ("[x > y] + (y > 0) 5 + (y < w1)", 2.0),
    ("|y| + 2 · |x - 1|", -y + 2 * abs(x - 1)),
    (r"x \left|y\right| w1", -x * y * w1),
    (r"\operatorname{relu}(y) + \operatorname{leaky\_relu}(y, 0.1)", 0.1 * y),
    (r"w^{(1)}_{2,3} + (w_{2,3}^{(1)})^2", w123 + w123**2),
    ("sign(y) + step(x) + sech(x)²", 1 / math.cosh(x) ** 2),
    (
        r"\sqrt[3]{w1} + \log_2(w1) + \log_{10}(w1) + \ln w1",
        w1 ** (1 / 3) + math.log2(w1) + math.log10(w1) + math.log(w1),
    ),
]


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_what_is_read(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-14)


def test_fractions_on_the_right():
    lines = parse("dL/dw1 = 2\ndL/dw11 = 3\n% a comment\ndL/dx = dL/dw11 x + dL/dw1", NAMES)
    assert [target for target, _ in lines] == ["dL/dw1", "dL/dw11", "dL/dx"]
    assert lines[-1][1].evaluate(NAMES | {"dL/dw1": 2.0, "dL/dw11": 3.0}) == 3.0 * x + 2.0


def test_lines():
    lines = parse("d2 = 2 (f2 - y)   # the output\n\n dw2 = f1 d2; dw1 = x w2 d2", NAMES)
    assert [target for target, _ in lines] == ["d2", "dw2", "dw1"]
    assert str(lines[1][1]) == "f1 * d2"


@pytest.mark.parametrize(
    "text",
    [
        "a - (b - c)",
        "a / (b / c)",
        "a - b - c",
        "(a ** b) ** c",
        "a ** b ** c",
        "-(a + b)",
        "(-a) ** b",
        "a * (-b)",
        "-a ** b",
    ],
)
def test_what_is_written_reads_the_same(text):
    names = {"a": 1.7, "b": 2.0, "c": 3.0}
    first = parse(text, names)[0][1]
    again = parse(str(first), names)[0][1]
    assert again.evaluate(names) == first.evaluate(names)
    assert str(again) == str(first)


def test_one_spelling():
    spellings = {"δ_1", "δ1", "δ₁", "delta1", "delta_1", r"\delta_1", r"\delta_{1}"}
    assert {canonical(s) for s in spellings} == {"δ1"}
    assert canonical("deltas") == "deltas"


MISTAKES = [
    ("x +* y", "did not expect '*' here", 3),
    ("(x", "expected ')' here", 2),
    ("(x]", "expected ')', found ']'", 2),
    ("x)", "did not expect ')' here", 1),
    ("x @ y", "cannot read '@'", 2),
    ("x % y", "cannot read '%'", 2),
    ("x + tanh'(z1)", "cannot read \"'\"; write derivatives out, as 1 - f² for tanh'(z)", 8),
    (r"\sum_k w1", "sums have to be written out, as w2_1_1 δ2_1 + w2_1_2 δ2_2", 0),
    ("x +", "something is missing here", 3),
    ("", "the formula is empty", 0),
    ("  # only a comment", "the formula is empty", 0),
    ("w_3 x", "unknown name 'w_3'; there are x, y, w1, w2, z1, f1, f2, δ_9, w1_2_3 (did you mean w2?)", 0),
    ("tanh x + relu()", "did not expect ')' here", 14),
    ("max(x)", "maximum takes 2 operands, got 1", 5),
    ("x = = y", "did not expect '=' here", 4),
    ("= y", "a name should stand before '='", 0),
    ("9" * 400, "this number is too large", 0),
    ("|x", "expected '|' here", 2),
    ("x^¹", "did not expect '¹' here", 2),
    ("\\frac{1}", "expected '{'", 8),
    (r"\left|x|", "expected '\\\\right|', found '|'", 7),
    (r"\sqrt[4]{x}", "only square and cube roots are read; write x^(1/n)", 7),
    (
        r"w^{(1)}_{2,4} x",
        "unknown name 'w_{1,2,4}'; there are x, y, w1, w2, z1, f1, f2, δ_9, w1_2_3 (did you mean w1_2_3?)",
        0,
    ),
    ("(" * (DEEPEST + 1) + "x", f"nested more than {DEEPEST} deep", DEEPEST),
    ("2" + "^2" * (DEEPEST + 1), f"nested more than {DEEPEST} deep", 200),
    ("x" * (LONGEST + 1), f"the formula has {LONGEST + 1} characters; {LONGEST} are read at most", 0),
]


@pytest.mark.parametrize(("text", "message", "column"), MISTAKES, ids=[text[:20] for text, _, _ in MISTAKES])
def test_mistakes_are_shown_in_place(text, message, column):
    with pytest.raises(FormulaError) as error:
        parse(text, NAMES)
    first, *_, caret = str(error.value).split("\n")
    assert first == message
    assert error.value.column == column
    assert caret.strip() == "^"


def test_what_is_no_text():
    with pytest.raises(TypeError, match="a formula is text, not int 3"):
        parse(3, NAMES)


def test_a_name_with_two_meanings():
    with pytest.raises(FormulaError, match="'w1123' could be w1_12_3 or w11_2_3"):
        parse("w1123", ["w1_12_3", "w11_2_3"])


PIECES = [
    "x", "y", "w_1", "δ_9", "\\delta_{9}", "\\frac", "\\tanh", "tanh", "max", "(", ")", "{", "}", "[", "]", "+", "-",
    "*", "/", "^", "**", "=", "|", "\\left|", "\\right|", "^{(1)}_{2,3}", "_{2}", "\\operatorname{relu}",
    "\\mathrm{x}", "\\mathrm{", "\\begin{aligned}", "\\\\[1ex]", "\\sqrt[3]", "sign", "step", "\\log_2", ",", ";",
    "\n", " ", "1", "2.5", "1e3", "1e999", "²", "⁻¹", "·", "−", "_", "\\", "e", "σ", "__import__('os')",
    "().__class__", "lambda: 0", "exec", "eval", "'", '"', "#", "$", "%s", "\0", "\x1b[2J", "🎈", "א", "．", "１", "٣",
    "\u202e",
]  # fmt: skip


def test_a_hundred_thousand_inputs_give_a_number_or_the_documented_error():
    rng = random.Random(0)
    read = 0
    for _ in range(100_000):
        text = "".join(rng.choices(PIECES, k=rng.randint(1, 12)))
        try:
            lines = parse(text, NAMES)
        except FormulaError:
            continue
        numbers = dict(NAMES)
        for target, expression in lines:
            result = expression if isinstance(expression, float) else expression.evaluate(numbers)
            assert type(result) is float
            numbers[target] = result
        read += 1
    assert read > 500


@pytest.mark.parametrize(
    "text",
    ["-" * 19_000 + "x", "x^" * 9_000 + "x", "x" + "+x" * 9_000, "f1 " * 6_000, "(x)" * 6_000, "x/" * 9_000 + "x"],
)
def test_long_formulas_end(text):
    try:
        result = value(text)
    except FormulaError as error:
        result = math.nan if "deep" in str(error) else None
    assert type(result) is float
