"""`derive`: the lines it writes, and that every printed form of them is the gradient of the engine."""

import itertools
import math
import operator
import random
import re
import time
from collections import Counter
from functools import reduce

import pytest

from micrograd_like import DomainError, Value, byhand, derive, exp, losses, maximum, nn, ops, sigmoid, tanh
from micrograd_like.byhand.formula import parse, spelled
from micrograd_like.byhand.graph import Graph
from micrograd_like.byhand.replay import gradients, values
from micrograd_like.byhand.writing import PYTHON
from micrograd_like.lecture import chain
from micrograd_like.ops import TABLE
from micrograd_like.walks import topological

FORMS = ("text", "latex", "python")


# ---- reading what was written -----------------------------------------------------------------------

LETTERS = "ijkmnpq"
INDICES = rf"(?:(?:\d+|[{LETTERS}]),?)*[{LETTERS}](?:,?(?:\d+|[{LETTERS}]))*"


def scalar_lines(text):
    r"""Text or LaTeX as lines that `parse` reads: one for each value of the indices, a Σ_k as the sum it stands for."""
    for line in re.sub(r"\\(begin|end){aligned}\n?", "", text).strip().split("\n"):
        written, _, shown = re.sub(r" \\qquad (.*)", r"   (\1)", line.removesuffix(r" \\[1ex]")).partition("   (")
        found = re.findall(r"(\w) = (\d+)…(\d+)", shown.replace(r", \dots, ", "…"))
        if not found:
            yield line.removesuffix(r" \\[1ex]")
            continue
        ranges = {letter: range(int(first), int(last) + 1) for letter, first, last in found}
        assert len(ranges) == len(found), line
        written = written.replace(r"\,", "")
        written = re.sub(r"\\mathrm\{([^{}]*)\}(?=\S*_\{)", lambda match: match[1].replace(r"\_", "_"), written)
        written = re.sub(rf"(?:\^{{\((\d+)\)}})?_{{({INDICES})}}", r"\1_\2", written)
        written = (
            re.sub(rf"\\delta_{{\\?(\S*_{INDICES})}}", r"δ\1", written).replace(r"\delta", "δ").replace(r"\sum", "Σ")
        )
        written, summed = without_series(written, ranges)
        rest = {letter: ranges[letter] for letter in ranges if letter not in summed}
        for indices in itertools.product(*rest.values()):
            scalar = at(written, dict(zip(rest, indices, strict=True)))
            assert not re.search(rf"_[\d,]*[{''.join(ranges)}]", scalar), f"{scalar} is not all of {line}"
            yield scalar


def without_series(text, ranges):
    summed = set()
    while (start := text.find("Σ_")) >= 0:
        letter, depth, end = text[start + 2], 0, start
        while end < len(text) and (depth or not text.startswith((*")]}", ", ", " + ", " - ", r"\right|"), end)):
            depth += (text[end] in "([{") - (text[end] in ")]}")
            end += 1
        terms = [at(text[start + 3 : end], {letter: i}) for i in ranges[letter]]
        text = f"{text[:start]}({' + '.join(f'({term})' for term in terms)}){text[end:]}"
        summed.add(letter)
    return text, summed


def at(text, numbers):
    """w2_jk is w2_j,3 where k is 3, and that is w2_1_3 where j is 1."""

    def there(match):
        if not set(match[2]) & set(numbers):
            return match[0]
        indices = [str(numbers.get(x, x)) for x in re.findall(rf"\d+|[{LETTERS}]", match[2])]
        return f"{match[1]}_{('_' if all(map(str.isdigit, indices)) else ',').join(indices)}"

    return re.sub(rf"([^\W_]+)_({INDICES})(?![^\W⁰¹²³⁴-⁹])", there, text)


def of_target(target):
    """Is a line a derivative by what it is named for, and what is that?"""
    derivative = "∂" in target or "partial" in target
    return derivative, spelled(re.sub(r".*(?:∂|\\partial )|\}$", "", target) if derivative else target)


def number_and_error(expression, known):
    """Its value and what rounding may do to it, to first order, with numbers and errors known by name."""
    if isinstance(expression, float):
        return expression, 0.0

    def of_op(op, operands, parts):
        numbers = [number for number, _ in parts]
        out = op.value(*numbers)
        errors = (
            error and error * abs(partial(*numbers, out))
            for (_, error), partial in zip(parts, op.partials, strict=True)
        )
        return out, sum(errors) + 4.0 * math.ulp(out)

    return expression._fold(known.__getitem__, lambda x: (float(x), 0.0), of_op)


def named_nodes(loss, derivation):
    """The nodes by the names that stand in the lines."""
    nodes, given = Graph(loss, "this").nodes, derivation.names
    return {name: node for name, node in nodes.items() if node not in given.values()} | dict(given)


def compared(loss, derivation, form, changed=None):
    """What one written form evaluates to: (what, number, its error, the engine's) for each derivative in it."""
    numbers = values(loss, changed)
    known = {"nan": (math.nan, math.nan), "inf": (math.inf, 0.0)}
    for name, node in named_nodes(loss, derivation).items():
        known[name] = numbers[node], 4.0 * math.ulp(numbers[node])
    text = getattr(derivation, form)
    everything = text.split("\n") if form == "python" else list(scalar_lines(text))
    legend = [line for line in everything if line[0] in "#%"]
    written = everything[: len(everything) - len(legend)]
    gradient = gradients(loss, numbers)
    want = {
        (True, spelled(line.of)) if line.of and form != "python" else (False, spelled(line.name)): line
        for line in derivation.lines
    }
    assert len(want) == len(derivation.lines) == len(written), f"two lines have one name:\n{text}"
    assert len(legend) == len(derivation.names)
    result = []
    for start in range(0, len(written), 10):  # parse takes 20000 characters
        lines = written[start : start + 10]
        read = parse("\n".join(lines + legend), known)
        for text_line, (target, expression) in zip(lines, read, strict=True):
            line = want.pop(of_target(target))
            number, error = number_and_error(expression, known)
            known[target] = number, error
            if line.kind != "value":
                result.append((text_line, number, error, gradient[line.node]))
    return result


def assert_right(loss, *asked):
    """Every line of every form is what the engine says; returns the derivation."""
    derivation = derive(loss, *asked)
    for form in FORMS:
        for line, number, error, engine in compared(loss, derivation, form):
            assert number == pytest.approx(engine, rel=1e-9, abs=16.0 * error), (form, line)
    by_name = {name: node.data for name, node in named_nodes(loss, derivation).items()}
    run = vars(ops) | {PYTHON.name(name): number for name, number in by_name.items()}
    exec(derivation.python, run)
    gradient = gradients(loss, values(loss))
    found = derivation.evaluate(by_name)
    for line in derivation.lines:
        want = line.node.data if line.kind == "value" else gradient[line.node]
        assert found[line.name] == pytest.approx(want, rel=1e-9, abs=1e-15)
        assert run[PYTHON.name(line.name)] == pytest.approx(want, rel=1e-9, abs=1e-15)
    return derivation


# ---- the lecture ------------------------------------------------------------------------------------


def recurrence(n):
    yield f"δ_{n} = 2 (f_{n} - y)(1 - f_{n}²)"
    yield from (f"δ_{i} = (1 - f_{i}²) w_{i + 1} δ_{i + 1}" for i in range(n - 1, 0, -1))
    yield from (f"∂Loss/∂w_{i} = {f'f_{i - 1}' if i > 1 else 'x'} δ_{i}" for i in range(1, n + 1))


@pytest.mark.parametrize("underscore", ["", "_"])
@pytest.mark.parametrize("depth", [1, 2, 3, 12])
def test_the_recurrence(depth, underscore):
    rng = random.Random(depth)
    w, x, y = [rng.uniform(-1.5, 1.5) for _ in range(depth)], 0.7, -0.4
    weights, loss = chain(w, x, y)
    for node in topological(loss):
        node.name = re.sub(r"(\d+)", rf"{underscore}\1", node.name)
    z = [node for node in topological(loss) if node.name[:1] == "z"]
    for through in (names := [node.name for node in z], names[::-1], z, "z", ["z"], iter(z)):
        derivation = assert_right(loss, weights, [*through])
        assert derivation.text.split("\n") == [*recurrence(depth)] and derivation.loss == "Loss"
    assert derive(loss, [weight.name for weight in weights], "z").text == derivation.text
    found = derivation.evaluate(Graph(loss, "this").by_name)
    deltas, slopes = byhand.chain_deltas(w, x, y), byhand.chain_gradients(w, x, y)
    assert [found[f"delta_{i}"] for i in range(1, depth + 1)] == pytest.approx(deltas, rel=1e-12)
    assert [found[f"dw{underscore}{i}"] for i in range(1, depth + 1)] == pytest.approx(slopes, rel=1e-12)


UNROLLED = """
    ∂Loss/∂w_1 = x (1 - f_1²) w_2 (1 - f_2²) w_3 (1 - f_3²) · 2 (f_3 - y)
    ∂Loss/∂w_2 = f_1 (1 - f_2²) w_3 (1 - f_3²) · 2 (f_3 - y)
    ∂Loss/∂w_3 = f_2 (1 - f_3²) · 2 (f_3 - y)
"""


def lines(text):
    return [line.strip() for line in text.strip().split("\n")]


def test_the_unrolled_product():
    weights, loss = chain([0.8, -1.2, 0.6], 1.5, 0.25)
    assert assert_right(loss, weights).text.split("\n") == lines(UNROLLED)


def test_the_lecture_in_latex_and_in_python():
    weights, loss = chain([0.8, -1.2], 1.5, 0.25)
    derivation = derive(loss, weights, "z")
    assert derivation.latex.replace("[1ex]", "").split("\n") == [
        r"\begin{aligned}",
        r"\delta_{2} &= 2 \, (f_{2} - y) \, (1 - f_{2}^{2}) \\",
        r"\delta_{1} &= (1 - f_{1}^{2}) \, w_{2} \, \delta_{2} \\",
        r"\frac{\partial \mathrm{Loss}}{\partial w_{1}} &= x \, \delta_{1} \\",
        r"\frac{\partial \mathrm{Loss}}{\partial w_{2}} &= f_{1} \, \delta_{2} \\",
        r"\end{aligned}",
    ]
    assert len(parse(derivation.latex, Graph(loss, "this").nodes)) == 4
    assert derivation.python.split("\n") == [
        "delta_2 = 2 * (f2 - y) * (1 - f2 ** 2)",
        "delta_1 = (1 - f1 ** 2) * w2 * delta_2",
        "dw1 = x * delta_1",
        "dw2 = f1 * delta_2",
    ]
    assert derivation._repr_latex_() == f"$$\n{derivation.latex}\n$$"
    assert str(derivation) == repr(derivation) == derivation.text


# ---- layers -----------------------------------------------------------------------------------------


def network(sizes, activation="tanh", output=None, inputs=True, targets=True):
    rng = random.Random(repr(sizes))
    model = nn.MLP(sizes[0], sizes[1:], activation=activation, output=output, rng=rng)
    xs, ys = ([rng.uniform(-1, 1) for _ in range(size)] for size in (sizes[0], sizes[-1]))
    xs = [Value(x, f"x{i}") for i, x in enumerate(xs, 1)] if inputs else xs
    ys = [Value(y, f"y{i}") for i, y in enumerate(ys, 1)] if targets else ys
    outputs = model(xs)
    loss = losses.squared_error(outputs, ys if sizes[-1] > 1 else ys[0])
    loss.name = "Loss"
    return model, loss


LAYERS = [
    (
        ((2, 3, 2), "tanh", "tanh"),
        """
        δ2_j = 2 (f2_j - y_j)(1 - f2_j²)   (j = 1…2)
        δ1_j = (1 - f1_j²) Σ_k w2_jk δ2_k   (j = 1…3, k = 1…2)
        ∂Loss/∂w1_ij = x_i δ1_j   (i = 1…2, j = 1…3)
        ∂Loss/∂b1_j = δ1_j   (j = 1…3)
        ∂Loss/∂w2_ij = f1_i δ2_j   (i = 1…3, j = 1…2)
        ∂Loss/∂b2_j = δ2_j   (j = 1…2)
        """,
    ),
    (
        ((2, 12, 3, 1), "relu", None),
        """
        δ3_1 = 2 (z3_1 - y_1)
        δ2_j = step(z2_j) w3_j,1 δ3_1   (j = 1…3)
        δ1_j = step(z1_j) Σ_k w2_jk δ2_k   (j = 1…12, k = 1…3)
        ∂Loss/∂w1_ij = x_i δ1_j   (i = 1…2, j = 1…12)
        ∂Loss/∂b1_j = δ1_j   (j = 1…12)
        ∂Loss/∂w2_ij = f1_i δ2_j   (i = 1…12, j = 1…3)
        ∂Loss/∂b2_j = δ2_j   (j = 1…3)
        ∂Loss/∂w3_i,1 = f2_i δ3_1   (i = 1…3)
        ∂Loss/∂b3_1 = δ3_1
        """,
    ),
]


@pytest.mark.parametrize(("of", "expected"), LAYERS, ids=[str(of[0]) for of, _ in LAYERS])
def test_lines_with_indices(of, expected):
    model, loss = network(*of)
    assert assert_right(loss, model.parameters(), "z").text.split("\n") == lines(expected)


SIZES = [(2, 3, 2), (2, 3, 1), (1, 1, 1), (1, 4), (3, 1, 4), (4, 5, 6, 2), (2, 12, 1), (2, 2, 2, 2, 2), (3, 10, 11, 2)]


@pytest.mark.parametrize("through", ["", "z", "f", "zf"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_lines_with_indices_stand_for_the_scalar_ones(sizes, through):
    for activation, output, inputs, targets in [
        ("tanh", "tanh", True, True),
        ("relu", None, True, False),
        ("leaky_relu", "sigmoid", False, False),
    ]:
        model, loss = network(sizes, activation, output, inputs, targets)
        asked = [family for family in through if any(name[0] == family for name in Graph(loss, "this").nodes)]
        leaves = [node for node in topological(loss) if node.op is None]
        assert len(assert_right(loss, [*model.parameters(), *leaves], asked).lines) >= len(leaves)


def test_a_batch_through_one_network():
    rng = random.Random(1)
    model = nn.MLP(2, [3, 1], activation="tanh", rng=rng)
    loss = sum((model([rng.random(), Value(rng.random(), f"x{i}")]) - 1) ** 2 for i in range(3)) / 3
    assert_right(loss, model.parameters())


def dot(left, right, tail=""):
    pairs = [(Value(i / 3.0, f"{left}{i}{tail}"), Value(i / 7.0, f"{right}{i}{tail}")) for i in range(1, 6)]
    return reduce(operator.add, (a * b for a, b in pairs))


SERIES = [
    (lambda q: q * dot("w", "x"), "Σ_k w_k x_k   (k = 1…5)"),
    (lambda q: q * exp(dot("w", "x")), "exp(Σ_k w_k x_k)   (k = 1…5)"),
    (lambda q: q / dot("w", "x"), "1 / (Σ_k w_k x_k)   (k = 1…5)"),
    (lambda q: -q * dot("w", "x"), "-(Σ_k w_k x_k)   (k = 1…5)"),
    (lambda q: q * abs(dot("w", "x")), "abs(Σ_k w_k x_k)   (k = 1…5)"),
    (lambda q: q * dot("w", "x") * Value(2.0, "c"), "(Σ_k w_k x_k) c   (k = 1…5)"),
    (lambda q: q * (1.0 - dot("w", "x")) * Value(2.0, "k3"), None),
    (lambda q: q * maximum(dot("w", "x"), Value(2.0, "c3")), "maximum(Σ_k w_k x_k, c_3)   (k = 1…5)"),
    (lambda q: q * dot("w", "x") * (dot("a", "b") - Value(0.5, "a6") * Value(2.0, "b6")), None),
    (lambda q: q * dot("w", "x0"), None),  # x01 is no x_k
    (lambda q: q * dot("w", "x", "a"), None),
    (lambda q: q * dot("w_a", "x"), "Σ_k w_a_k x_k   (k = 1…5)"),
    (lambda q: q * dot("w", "x") * reduce(operator.mul, [dot("a", "b").operands[0], dot("u", "v")]), None),
]


@pytest.mark.parametrize(("graph", "expected"), SERIES)
def test_sums_with_an_index(graph, expected):
    q = Value(0.3, "q")
    derivation = assert_right(graph(q), q)
    assert expected is None or derivation.text == f"∂L/∂q = {expected}"


@pytest.mark.parametrize("name", ["w_i", "w_k", "x_i", "w1_ij", "i", "k", "w", "w_7", "w_0"])
def test_indices_are_no_names(name):
    q = Value(0.3, name)
    x = [Value(i / 3.0, f"x{i}") for i in range(1, 6)]
    f = [tanh(Value(i / 7.0, f"w{i}") * a) for i, a in enumerate(x, 1)]
    loss = q * reduce(operator.add, f) ** 2
    assert_right(loss, [*x, q])
    model, loss = network((2, 3, 2))
    assert_right(loss * q, [*model.parameters(), q], "z")


@pytest.mark.parametrize("stem", ["f", "theta", "h_a", "z", "long"])
def test_deltas_of_any_family(stem):
    f = [named(tanh(Value(i / 7.0, f"w{i}") * Value(i / 3.0, f"x{i}")), f"{stem}{i}") for i in range(1, 6)]
    g = [named(a * 0.7, f"{stem}b_{i}") for i, a in enumerate(f, 1)]
    loss = reduce(operator.add, (b * Value(i / 5.0, f"c{i}") for i, b in enumerate(g, 1))) ** 2
    leaves = [node for node in topological(loss) if node.op is None]
    for through in (f, g, f + g):
        assert assert_right(loss, leaves, through).text.count("   (i = 1…5)") >= 1


# ---- any graph --------------------------------------------------------------------------------------


def random_graph(rng):
    """Up to 30 operations of the table, on shared nodes and constants, some of them with names."""
    nodes = [
        Value(rng.uniform(0.3, 1.7) * rng.choice([1, 1, -1]), name) for name in ("x", "y", "w1", "w_2", "c1_2", "")
    ]
    for i in range(rng.randint(1, 30)):
        op = rng.choice([*TABLE.values()])
        operands = [rng.choice(nodes[-8:]) if rng.random() < 0.85 else rng.uniform(-2, 2) for _ in range(op.arity)]
        try:
            node = Value._record(op, (rng.choice(nodes[-8:]), *operands[1:]))
        except DomainError:
            continue
        if math.isfinite(node.data) and abs(node.data) < 1e4:
            node.name = rng.choice(["", "", f"{rng.choice('abghuz')}{i}", "twice", f"not a name {i}"])
            nodes.append(node)
    loss, *others = nodes[-rng.randint(1, 6) :]
    for node in others:
        loss = rng.choice([operator.add, operator.sub, operator.mul])(loss, node)
    return loss


def asked(rng, loss):
    order = topological(loss)
    wrt = [node for node in order if node.op is None or rng.random() < 0.1]
    return wrt, [node for node in order if node.op and rng.random() < 0.2]


def test_every_form_of_any_graph_is_the_gradient():
    counted = Counter()
    for seed in range(400):
        rng = random.Random(seed)
        loss = random_graph(rng)
        derivation = derive(loss, *asked(rng, loss))
        leaves = [node for node in topological(loss) if node.op is None and node.name]
        changed = rng.choice([{}, {leaf: leaf.data * rng.uniform(0.9, 1.1) for leaf in leaves}])
        if not all(map(math.isfinite, values(loss, changed).values())):
            counted["outside"] += 1
            continue
        for form in FORMS:
            for line, number, error, engine in compared(loss, derivation, form, changed):
                if not (math.isfinite(engine) and math.isfinite(error)):
                    counted["not finite"] += 1  # a pole, or outside a domain; the form then says so as it can
                    continue
                # The two may round differently, each by as much as first-order analysis of the form allows.
                counted[form] += 1
                counted["sharp"] += error <= 1e-9 * abs(engine)
                assert abs(number - engine) <= 16.0 * error + 1e-13 * abs(engine) + 1e-15, (seed, form, line)
        executed(loss, derivation, changed, counted)
    in_all = sum(counted[form] for form in FORMS)
    assert min(counted[form] for form in FORMS) > 1500, counted
    assert counted["sharp"] > 0.85 * in_all and counted["not finite"] + counted["outside"] < 0.1 * in_all, counted
    assert counted["run"] > 1500 and counted["value"] > 50 and counted["refused"] < 0.1 * counted["run"], counted


def executed(loss, derivation, changed, counted):
    """Run the Python form with the functions of ops. What Python refuses, as 1 / 0, is counted."""
    numbers = values(loss, changed)
    gradient = gradients(loss, numbers)
    known = vars(ops) | {"nan": math.nan, "inf": math.inf}
    known |= {name: numbers[node] for name, node in named_nodes(loss, derivation).items()}
    expected = {text: rest for text, *rest in compared(loss, derivation, "python", changed)}
    for line, text in zip(derivation.lines, derivation.python.split("\n"), strict=False):
        name = text.split(" = ")[0]
        number, error, engine = expected.get(text, (numbers[line.node], 0.0, numbers[line.node]))
        try:
            exec(text, known)
        except (ArithmeticError, DomainError):
            counted["refused"] += 1
            known[name] = gradient[line.node] if line.kind != "value" else number
            continue
        if math.isfinite(engine) and math.isfinite(error):
            counted["value" if line.kind == "value" else "run"] += 1
            assert known[name] == pytest.approx(number, rel=1e-9, abs=16.0 * error), text


# ---- as a person writes -----------------------------------------------------------------------------

TIDY = [
    ("(y - f)**2", "∂L/∂y = 2 (y - f)", "∂L/∂f = 2 (f - y)"),
    ("(f - y)**2", "∂L/∂y = 2 (y - f)", "∂L/∂f = 2 (f - y)"),
    ("-(y - f)**2", "∂L/∂y = 2 (f - y)", "∂L/∂f = 2 (y - f)"), ("x - y", "∂L/∂x = 1", "∂L/∂y = -1"),
    ("y - x", "∂L/∂x = -1", "∂L/∂y = 1"), ("3 - x", "∂L/∂x = -1"), ("-x", "∂L/∂x = -1"), ("x", "∂x/∂x = 1"),
    ("x - x", "∂L/∂x = 0"), ("x + x", "∂L/∂x = 2"), ("x * x", "∂L/∂x = 2 x"), ("x * x * x", "∂L/∂x = 3 x²"),
    ("x * y * x", "∂L/∂x = 2 y x", "∂L/∂y = x²"), ("x**3", "∂L/∂x = 3 x²"), ("x**-1", "∂L/∂x = -x⁻²"),
    ("x**0", "∂L/∂x = 0"), ("x**0.5", "∂L/∂x = x^(-0.5) / 2"), ("x**x", "∂L/∂x = x x^(x - 1) + x^x log(x)"),
    ("x * 1.0", "∂L/∂x = 1"), ("x * 0.0", "∂L/∂x = 0"), ("x * 2 * 3", "∂L/∂x = 6"), ("x / 3", "∂L/∂x = 1 / 3"),
    ("x * -3.0 / 7", "∂L/∂x = -3 / 7"), ("x / 2 / 3", "∂L/∂x = 1 / 6"), ("1 / x", "∂L/∂x = -1 / x²"),
    ("x / y", "∂L/∂x = 1 / y", "∂L/∂y = -x / y²"),
    ("x / y / w", "∂L/∂x = 1 / (y w)", "∂L/∂y = -x / (y² w)", "∂L/∂w = -x / (y w²)"),
    ("-(x * y)", "∂L/∂x = -y", "∂L/∂y = -x"), ("-(x - y) * w", "∂L/∂x = -w", "∂L/∂y = w", "∂L/∂w = y - x"),
    ("x * w + x * y", "∂L/∂x = w + y", "∂L/∂y = x", "∂L/∂w = x"),
    ("x * w * y - x * f * y", "∂L/∂x = (w - f) y", "∂L/∂y = x (w - f)", "∂L/∂f = -x y", "∂L/∂w = x y"),
    ("(x + y) * (x - y)", "∂L/∂x = 2 x", "∂L/∂y = -2 y"),
    ("((x - y)**2 + (f - y)**2) / 2", "∂L/∂x = x - y", "∂L/∂y = 2 y - x - f", "∂L/∂f = f - y"),
    ("((x - 1)**2 + (y - 2)**2 + f**2) / 3", "∂L/∂x = 2 (x - 1) / 3", "∂L/∂y = 2 (y - 2) / 3", "∂L/∂f = 2 f / 3"),
    ("x.relu()", "∂L/∂x = step(x)"),
    ("maximum(x, y)", "∂L/∂x = 0.5 + 0.5 sign(x - y)", "∂L/∂y = 0.5 - 0.5 sign(x - y)"),
    ("abs(x)", "∂L/∂x = sign(x)"), ("exp(x)", "∂L/∂x = exp(x)"), ("exp(x) * exp(x)", "∂L/∂x = 2 exp(x)²"),
    ("x.log()", "∂L/∂x = 1 / x"), ("x.sqrt()", "∂L/∂x = 1 / (2 sqrt(x))"),
    ("y**x", "∂L/∂x = y^x log(y)", "∂L/∂y = x y^(x - 1)"), ("2**x", "∂L/∂x = 0.6931471805599453 · 2^x"),
    ("sigmoid(x * w)", "∂L/∂x = w sigmoid(x w)(1 - sigmoid(x w))", "∂L/∂w = x sigmoid(x w)(1 - sigmoid(x w))"),
    ("tanh(x)", "∂L/∂x = 1 - tanh(x)²"), ("named(sigmoid(x), 's') * 2", "∂L/∂x = 2 s (1 - s)"),
    ("exp(named(x * y, 'p'))", "∂L/∂x = y exp(p)", "∂L/∂y = x exp(p)"),
]  # fmt: skip


def named(node, name):
    node.name = name
    return node


@pytest.mark.parametrize(("source", "expected"), [(source, expected) for source, *expected in TIDY])
def test_tidy(source, expected):
    leaves = {name: Value(data, name) for name, data in [("x", 1.5), ("y", 0.5), ("f", 0.25), ("w", 0.75)]}
    loss = eval(source, {"exp": exp, "maximum": maximum, "named": named, "sigmoid": sigmoid, "tanh": tanh} | leaves)
    order = topological(loss)
    derivation = assert_right(loss, [leaf for leaf in leaves.values() if leaf in order])
    assert derivation.text.split("\n") == expected


EDGES = [
    "x * 1e-200 * 1e-150 * 1e300", "x / 1e200 / 1e200 * 1e300", "x * 1.2345e-310", "x * 1e200 * 1e100 * 1e-250",
    "x / 3e-308", "x * 1e308 + x * -1e308", "x**math.inf * y", "x**-math.inf * y", "x**1e20 * y", "x**100 * y",
    "x * math.inf", "x * math.nan", "x**0.1 * x**-0.1", "(x - y) / -3.0", "x / 0.1 / 0.3", "x**-2 * y**-1",
    "(x**2)**3 * (y**x)**x * 2**(y**x)", "-x**2 * -(-y) - -x", "x / (y / x) / (y / 3)",
]  # fmt: skip


@pytest.mark.parametrize("source", EDGES)
def test_numbers_at_the_edges(source):
    x, y = Value(0.9, "x"), Value(1.2, "y")
    loss = eval(source)
    derivation = derive(loss, [leaf for leaf in (x, y) if leaf in topological(loss)])
    for form in FORMS:
        for line, number, _, engine in compared(loss, derivation, form):
            assert number == pytest.approx(engine, rel=1e-9, abs=0.0, nan_ok=True), (form, line)


# ---- size -------------------------------------------------------------------------------------------


def repeated(times, step):
    x = Value(0.5, "x")
    return x, reduce(lambda u, i: step(u, x, i), range(times), x)


BIG = {
    "300 tanh": lambda: repeated(300, lambda u, x, i: tanh(u * 1.01)),
    "300 paths": lambda: repeated(300, lambda u, x, i: tanh(u * 1.1) + 0.3 * x),
    "2^60 paths": lambda: repeated(60, lambda u, x, i: u * u + u),
    "20000 numbers": lambda: repeated(20_000, lambda u, x, i: u * 1.00001),
    "5000 names": lambda: repeated(5000, lambda u, x, i: u * Value(1.0 + i / 1e8, f"w{i}")),
    "5000 functions": lambda: repeated(5000, lambda u, x, i: u.sin()),
    "10000 paths": lambda: repeated(10_000, lambda u, x, i: u * x),
    "3000 summands": lambda: repeated(3000, lambda u, x, i: u + Value(1.0, f"my {i}") ** 2),
}


@pytest.mark.parametrize("size", BIG)
def test_large_graphs(size):
    x, loss = BIG[size]()
    start = time.perf_counter()
    derivation = derive(loss, x)
    shown = str(derivation)
    text, python = derivation.text, derivation.python
    assert time.perf_counter() - start < 60.0  # seconds, where exponential would never end
    assert len(shown) < 40_000 and shown.count("\n") <= 80
    assert max(map(len, shown.split("\n"))) <= 400
    found = derivation.evaluate({name: node.data for name, node in named_nodes(loss, derivation).items()})
    assert found["dx"] == pytest.approx(gradients(loss, values(loss))[x], rel=1e-8, abs=1e-300)
    assert len(derivation.lines) + len(derivation.names) == python.count("\n") + 1
    assert len(text) >= len(shown) - 100


@pytest.mark.parametrize("through", [(), "z"])
def test_a_large_network(through):
    model, loss = network((2, 16, 16, 1))
    start = time.perf_counter()
    derivation = derive(loss, model.parameters(), through)
    assert len(str(derivation).split("\n")) < 50
    assert time.perf_counter() - start < 2.0
    assert_right(loss, model.parameters(), through)


def test_what_is_long_is_written_in_several_lines():
    x, loss = repeated(12, lambda u, x, i: u * u + x)
    assert assert_right(loss, x).text.startswith("v_1 = x x + x\nv_2 = v_1 v_1 + x\n")
    x, loss = repeated(3, lambda u, x, i: u * u + u)
    assert len(assert_right(loss, x).lines) == 1


# ---- names ------------------------------------------------------------------------------------------

STRANGE = [
    "my weight!", " ", "λ", "w̄", "d1", "v1", "δ", "L", "k", "2x", "a=b", "x\ny", "1", "node 0", "_", "'", "e", "exp",
    "sigmoid", "step", "sign", "maximum", "tanh", "log", "sqrt", "where", "abs", "compare", "sigma", "σ", "max", "pi",
    "frac", "operatorname", "v_1", "v₁", "delta_1", "δ1", "δ_1", "dx", "elta_1", "lambda", "class", "None", "f₁",
    "w_{1,2}", "nan", "inf", "math", "dz1", "a#b", "50%", "a ∂ b",
    "\\alpha", "a;b", "a\\\\b", "\\begin{aligned}",
]  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_names_that_mean_something_else(name):
    a, x, y, b = Value(1.3, name), Value(0.7, "x"), Value(0.4, "y"), Value(0.6, "not a name")
    z = named(a * x + y, "z1")
    functions = exp(x) + sigmoid(x) + x.relu() + abs(x) + maximum(x, y) + x.log() + x.sqrt() + y**x + ops.where(x, x, y)
    derivation = assert_right(tanh(z) * a * functions * 2.0 + b * a, [a, x, y, b], "z1")
    assert b in derivation.names.values() and {x, y}.isdisjoint(derivation.names.values())


NEAR = [
    ("c3", "c_3", "z", "f"), ("c_3", "c3", "z", "f"), ("w12", "w1_2", "z1", "f1"), ("w12", "w1_2", "z1", "z_1"),
    ("w1_12", "w11_2", "z1_1", "z1_2"), ("w1_1", "w1_1_1", "z1", "f1"), ("a", "b", "zf1", "f1"),
    ("a", "b", "zh", "h"), ("a", "b", "same", "same"), ("a", "b", "z1", "v1"), ("alpha", "α", "z1", "f1"),
    ("f1", "F1", "Z1", "z1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of_a", "of_b", "of_z", "of_f"),
    NEAR,
)
def test_names_that_are_nearly_one(of_a, of_b, of_z, of_f):
    a, b = Value(1.3, of_a), Value(0.7, of_b)
    z = a * b + a
    f = tanh(z)
    z.name, f.name = of_z, of_f
    assert_right((f - a) ** 2 * b * f, [a, b], [z, f])


def test_leaves_of_one_name_and_none():
    a, b, c = Value(2.0, "a"), Value(3.0, "a"), Value(5.0)
    derivation = assert_right(a * b * b * c, [a, b, c])
    assert derivation.text.endswith("\n# v_1 is 'a' (2.0)\n# v_2 is 'a' (3.0)\n# v_3 is a leaf (5.0)")
    assert derivation.latex.split("\n")[-2:] == ["% v_{3} is a leaf (5.0)", r"\end{aligned}"]
    assert derivation.names == {"v1": a, "v2": b, "v3": c}
    assert derivation.evaluate({"v1": 2.0, "v2": 3.0, "v3": 5.0}) == {"dv1": 45.0, "dv2": 60.0, "dv3": 18.0}
    assert derive(c, c).text == "∂L/∂v_1 = 1\n# v_1 is a leaf (5.0)"


@pytest.mark.parametrize("long", [False, True])
def test_inner_nodes_of_one_name(long):
    x = Value(0.5, "x")
    a = tanh(x)
    b = tanh(a * 1.5)
    a.name = b.name = "a"
    loss = reduce(lambda u, i: u * x + tanh(u), range(9), b * x) if long else b * x
    derivation = assert_right(loss, [a, b, x])
    assert [line.node for line in derivation.lines if line.kind == "gradient"] == [a, b, x]
    assert not derivation.names


@pytest.mark.parametrize("name", ["my loss!", "v1", "L", "a = b", "a\nb", "d", "\\loss"])
def test_the_name_of_the_loss(name):
    x = Value(0.5, "x")
    loss = x * x
    loss.name = name
    assert_right(loss, [x, loss])


ASKED = [
    ("Loss", (), "∂Loss/∂Loss = 1"),
    ("Loss", "Loss", "∂Loss/∂Loss = 1"),
    ("y", "z", "∂Loss/∂y = 2 (y - f_2)"),
    ("w_1", "y", "∂Loss/∂w_1 = x (1 - f_1²) w_2 (1 - f_2²) · 2 (f_2 - y)"),
    (["w1", "w_1"], ["z2", "z_2", "z2"], "δ_2 = 2 (f_2 - y)(1 - f_2²)", "∂Loss/∂w_1 = x (1 - f_1²) w_2 δ_2"),
    ("z1", "z", "δ_2 = 2 (f_2 - y)(1 - f_2²)", "δ_1 = (1 - f_1²) w_2 δ_2"),
    ("z1", "z2", "δ_2 = 2 (f_2 - y)(1 - f_2²)", "∂Loss/∂z_1 = (1 - f_1²) w_2 δ_2"),
    ("w2", ["z1", "x"], "∂Loss/∂w_2 = f_1 (1 - f_2²) · 2 (f_2 - y)"),
    ("f1", "f", "δ_f2 = 2 (f_2 - y)", "δ_f1 = w_2 (1 - f_2²) δ_f2"),
]


@pytest.mark.parametrize(("wrt", "through", "expected"), [(wrt, through, text) for wrt, through, *text in ASKED])
def test_what_is_asked(wrt, through, expected):
    _, loss = chain([0.8, -1.2], 1.5, 0.25)
    assert assert_right(loss, wrt, through).text.split("\n") == expected


def test_unnamed_nodes_on_the_way():
    x = Value(0.5, "x")
    h = tanh(x * 2)
    expected = ["v_1 = tanh(x · 2)", "δ_v1 = 2 (v_1 - 1) v_1 + (v_1 - 1)²", "∂L/∂x = 2 (1 - v_1²) δ_v1"]
    assert assert_right((h - 1) ** 2 * h, x, h).text.split("\n") == expected
    c = Value(3.0)
    g = c.exp()
    assert "v1_" not in assert_right(tanh(g * x), [c, x], g).text
    assert_right(g * x, [c, x], [g, h * x][:1])


@pytest.mark.parametrize("count", [3, 20])
def test_an_unnamed_inner_node(count):
    nodes = []
    x, loss = repeated(count, lambda u, x, i: nodes.append(tanh(u) * x + u) or nodes[-1])
    derivation = assert_right(loss, [nodes[1], x])
    assert not re.search(r"\d_\b", derivation.text)


MISTAKES = [
    (lambda x: derive(3.0, "x"), TypeError, "derive reads the graph of a Value, not float 3.0"),
    (lambda x: derive(x, 3), TypeError, "derive takes nodes and names, not int 3"),
    (lambda x: derive(x, ["x", 3.0]), TypeError, "derive takes nodes and names, not float 3.0"),
    (lambda x: derive(x, [[x]]), TypeError, "derive takes nodes and names, not list [Value("),
    (lambda x: derive(x, "x", None), TypeError, "derive takes nodes and names, not NoneType None"),
    (lambda x: derive(x * 2, nn.Neuron(1)), TypeError, "derive takes nodes and names, not Neuron ReLUNeuron(1)"),
    (lambda x: derive(x, []), ValueError, "derive needs a node to differentiate by; the names of the graph are x"),
    (lambda x: derive(x, "q"), ValueError, "no node has the name 'q'; the names of the graph are x"),
    (lambda x: derive(x, ""), ValueError, "no node has the name ''; the names of the graph are x"),
    (lambda x: derive(Value(1.0) * 2, "q"), ValueError, "the names of the graph are none: give the nodes names"),
    (lambda x: derive(x, Value(1.0, "q")), ValueError, "q is not in the graph; the names of the graph are x"),
    (lambda x: derive(x, Value(1.0)), ValueError, "Value(data=1.0, grad=0.0) is not in the graph; the names"),
    (lambda x: derive(x * Value(1.0, "x"), "x"), ValueError, "2 nodes have the name 'x'; the names of the graph are"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[message[:40] for _, _, message in MISTAKES])
def test_mistakes(call, kind, message):
    with pytest.raises(kind) as error:
        call(Value(1.5, "x"))
    assert message in str(error.value)


def test_the_graph_is_left_alone():
    model, loss = network((2, 4, 2))
    loss.backward()
    before = [(node.data, node.grad, node.name, vars(node).copy()) for node in topological(loss)]
    derivation = derive(loss, model.parameters(), "z")
    assert str(derivation) and derivation.latex and derivation.python
    assert [(node.data, node.grad, node.name, vars(node)) for node in topological(loss)] == before
    assert str(derive(loss, model.parameters(), "z")) == str(derivation)
