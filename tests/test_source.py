"""What compiled code says that it computes: the text as it is printed, and the equations run beside eager code."""

import random
from collections import defaultdict

import pytest
from test_compiler import LOOPS, chain, random_function, rosenbrock

from micrograd_like import (
    Value,
    compile,  # noqa: A004
    exp,
    log,
    losses,
    nn,
    sin,
    tanh,
    value_and_grad,
)
from micrograd_like.ops import TABLE
from micrograd_like.transforms import flatten

pytest.importorskip("llvmlite")


def run(source, arguments, parameters=()):
    """Runs the equations. Returns the names they have given, and a function that reads one from its stem and index."""
    known = {name: op.value for name, op in TABLE.items()} | {"defaultdict": defaultdict}

    def key(index):
        return index if len(index) > 1 else index[0]

    def give(place, number):
        stem, index = place
        if index:
            known.setdefault(stem, {})[key(index)] = number
        else:
            known[stem] = number

    for i, x in enumerate(arguments):
        for place, number in zip(source.inputs[i], flatten(x, "")[0], strict=True):
            give(place, number)
    for place, p in zip(source.parameters, parameters, strict=True):
        give(place, p.data)
    exec(source.python, known)

    def derivative(place):
        stem, index = place
        found = known[f"d_{stem}"]
        return found[key(index)] if index else found

    return known, derivative


def check(f, x):
    compiled = compile(f)
    compiled.value_and_grad(x)
    source = compiled.source
    known, derivative = run(source, [x])
    value, gradient = value_and_grad(f)(x)
    assert known["L"] == pytest.approx(value, rel=1e-10, abs=1e-12)
    found = [derivative(place) for place in source.inputs[0]]
    assert found == pytest.approx(flatten(gradient, "")[0], rel=1e-8, abs=1e-11)
    return source


def check_model(loss, model, *arguments):
    """The equations are of one sample."""
    compiled = compile(loss, batched=range(len(arguments)))
    compiled.backward(*([x] for x in arguments))
    parameters = compiled._shown().parameters
    source = compiled.source
    known, derivative = run(source, arguments, parameters)
    model.zero_grad()
    wanted = loss(*arguments)
    wanted.backward()
    assert known["L"] == pytest.approx(wanted.data, rel=1e-12)
    assert [derivative(place) for place in source.parameters] == pytest.approx([p.grad for p in parameters], rel=1e-9)
    return source


# ---- the equations are right -------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("size", [5, 9, 12, 17])
def test_loops(f, size):
    rng = random.Random(size)
    check(f, [rng.uniform(-0.9, 0.9) for _ in range(size)])


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    rng = random.Random(seed)
    check(random_function(rng, rng.choice([5, 20, 60])), [rng.uniform(-1.5, 1.5) for _ in range(4)])


def random_loops(rng):
    """A random nest of loops, with states that are carried on, arrays that are made anew, sums."""
    steps = [(rng.choice("+-*t"), rng.randrange(6), rng.randrange(6)) for _ in range(rng.choice([2, 4, 6]))]
    carries, maps, sums, backwards = (rng.random() < p for p in (0.5, 0.5, 0.5, 0.3))
    turns, shift = rng.choice([5, 7]), rng.choice([0, 1, 2])

    def f(x):
        a, b, row, total = x[0], x[1], list(x), 0.0
        for _ in range(turns):
            new = []
            for i in reversed(range(len(x) - 2)) if backwards else range(len(x) - 2):
                pool = [row[i], row[i + 1], row[i + 2], a, b, x[(shift + i) % len(x)]]
                v = pool[0]
                for step, m, n in steps:
                    p, q = pool[m], pool[n]
                    v = {"+": lambda v, p, q: v + p * q, "-": lambda v, p, q: v - q, "*": lambda v, p, q: v * p,
                         "t": lambda v, p, q: tanh(v + p)}[step](v, p, q)  # fmt: skip
                    pool[(m + n) % 6] = v
                new.append(tanh(v))
                total = total + v * 0.1 if sums else total
                a, b = (b, tanh(v) * 0.5) if carries else (a, b)
            row = [row[0], *(new[::-1] if backwards else new), row[-1]] if maps else row
            total = total + sum(new) * 0.2
        return total + a * b

    return f


@pytest.mark.parametrize("seed", range(80))
def test_random_loops(seed):
    rng = random.Random(seed)
    check(random_loops(rng), [rng.uniform(-0.8, 0.8) for _ in range(rng.choice([4, 6, 9]))])


@pytest.mark.parametrize("sizes", [[2, 16, 16, 1], [3, 5, 1], [4, 10, 7, 3], [9, 33, 4], [1, 1], [2, 3, 3, 2]])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_networks(sizes, activation):
    rng = random.Random(1)
    model = nn.MLP(sizes[0], sizes[1:], activation=activation, rng=rng)
    x = [rng.uniform(-1, 1) for _ in range(sizes[0])]
    y = [rng.uniform(-1, 1) for _ in range(sizes[-1])]
    check_model(lambda x, y: losses.squared_error(model(x), y if len(y) > 1 else y[0]), model, x, y)


def test_a_batch_that_is_written_as_a_loop():
    rng = random.Random(0)
    model = nn.MLP(2, [5, 6, 1], activation="tanh", rng=rng)
    X = [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(11)]
    y = [rng.uniform(-1, 1) for _ in X]
    compiled = compile(lambda: sum((model(x) - t) ** 2 for x, t in zip(X, y, strict=True)) / len(X))
    compiled.backward()
    parameters = compiled._shown().parameters
    _, derivative = run(compiled.source, [], parameters)
    model.zero_grad()
    (sum((model(x) - t) ** 2 for x, t in zip(X, y, strict=True)) / len(X)).backward()
    found = [derivative(place) for place in compiled.source.parameters]
    assert found == pytest.approx([p.grad for p in parameters], rel=1e-9)


def lotka_volterra(p):
    (x, y), (a, b, c, d), h = p["start"], p["rates"], 0.01

    def slope(x, y):
        return a * x - b * x * y, c * x * y - d * y

    for _ in range(100):
        k1, l1 = slope(x, y)
        k2, l2 = slope(x + h / 2 * k1, y + h / 2 * l1)
        k3, l3 = slope(x + h / 2 * k2, y + h / 2 * l2)
        k4, l4 = slope(x + h * k3, y + h * l3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        y = y + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    return x * x + y * y


def test_an_initial_value_problem_is_one_loop_each_way():
    source = check(lotka_volterra, {"start": [1.0, 1.2], "rates": [1.1, 0.4, 0.1, 0.4]})
    text = source.text
    assert "u1[0] = p_start[1]\nu2[0] = p_start[2]\nfor t = 1 … 100\n" in text
    assert "    u1[t] = u1[t-1] + (v1[t] + 2 v5[t] + 2 v9[t] + " in text
    assert text.count("for t = 100 … 1") == 1
    assert len(text.split("\n")) < 60


# ---- and this is how they are written ------------------------------------------------------------------------------


def test_the_recurrences_of_the_lecture():
    model = nn.MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(0))

    def loss(x, y):
        return losses.squared_error(model(x), y)

    assert str(check_model(loss, model, [0.3, -0.2], 0.7)) == (
        """\
for each sample; results are their mean
for j = 1 … 16
    z1[j] = b1[j] + w1[1,j] x[1] + w1[2,j] x[2]
    f1[j] = tanh(z1[j])
for j = 1 … 16
    z2[j] = b2[j] + Σ_{i=1…16} w2[i,j] f1[i]
    f2[j] = tanh(z2[j])
z3 = b3 + Σ_{i=1…16} w3[i] f2[i]
L = (z3 - y)²

in reverse
δ3 = 2 (z3 - y)
δ2[j] = (1 - f2[j]²) w3[j] δ3      (j = 1 … 16)
δ1[j] = (1 - f1[j]²) Σ_{k=1…16} w2[j,k] δ2[k]      (j = 1 … 16)
∂L/∂w1[1,j] = x[1] δ1[j]      (j = 1 … 16)
∂L/∂w1[2,j] = x[2] δ1[j]      (j = 1 … 16)
∂L/∂b1[j] = δ1[j]      (j = 1 … 16)
∂L/∂w2[i,j] = f1[i] δ2[j]      (i = 1 … 16, j = 1 … 16)
∂L/∂b2[j] = δ2[j]      (j = 1 … 16)
∂L/∂w3[j] = f2[j] δ3      (j = 1 … 16)
∂L/∂b3 = δ3"""
    )


def test_a_softmax():
    model = nn.MLP(8, [7, 5], activation="tanh", rng=random.Random(0))

    def loss(x, y):
        e = [exp(z) for z in model(x)]
        total = sum(e)
        return -sum(t * log(v / total) for t, v in zip(y, e, strict=True))

    text = check_model(loss, model, [0.1 * i for i in range(8)], [0.0, 0.0, 1.0, 0.0, 0.0]).text
    assert "L = -Σ_{i=1…5} y[i] log(z4[i])\n" in text
    assert "δ2[j] = f2[j] (δ4[j] / z3 - Σ_{k=1…5} f2[k] δ4[k] / z3²)      (j = 1 … 5)\n" in text


@pytest.mark.parametrize(
    ("f", "x", "text"),
    [
        (
            rosenbrock, [0.1] * 1000,
            """\
L = Σ_{i=1…999} (100 (x[i+1] - x[i]²)² + (1 - x[i])²)

in reverse
∂L/∂x[1] = 400 x[1] (x[1]² - x[2]) - 2 (1 - x[1])
∂L/∂x[j] = 400 x[j] (x[j]² - x[j+1]) + 200 (x[j] - x[j-1]²) - 2 (1 - x[j])      (j = 2 … 999)
∂L/∂x[1000] = 200 (x[1000] - x[999]²)""",
        ),
        (
            chain, [0.3, 0.2, 0.1],
            """\
u1[1] = sin(x[1])
u1[t] = sin(u1[t-1] x[2] + x[3])      (t = 2 … 50)
L = u1[50] x[2] + x[3]

in reverse
δ_u1[50] = x[2]
δ_u1[t-1] = x[2] cos(u1[t-1] x[2] + x[3]) δ_u1[t]      (t = 50 … 2)
∂L/∂x[1] = cos(x[1]) δ_u1[1]
∂L/∂x[2] = u1[50] + Σ_{t=2…50} u1[t-1] cos(u1[t-1] x[2] + x[3]) δ_u1[t]
∂L/∂x[3] = Σ_{t=2…50} cos(u1[t-1] x[2] + x[3]) δ_u1[t] + 1""",
        ),
        (
            lambda m: sum(sin(m[i][j] * m[j][i]) * (i - 2 * j) for i in range(5) for j in range(5)),
            [[0.1 * i - 0.3 * j for i in range(5)] for j in range(5)],
            """\
L = Σ_{i=1…5} Σ_{j=1…5} sin(m[i,j] m[j,i])(i - 2*j + 1)

in reverse
for i = 1 … 5, j = 1 … 5
    ∂L/∂m[i,j] = m[j,i] (cos(m[j,i] m[i,j])(j - 2*i + 1) + cos(m[i,j] m[j,i])(i - 2*j + 1))""",
        ),
        (
            lambda x: sum(x[2 * i] * tanh(x[i]) for i in range(6)), [0.1 * i for i in range(12)],
            """\
L = Σ_{i=1…6} x[2*i-1] tanh(x[i])

in reverse
∂L/∂x[i] += (1 - tanh(x[i])²) x[2*i-1]      (i = 1 … 6)
∂L/∂x[2*i-1] += tanh(x[i])      (i = 1 … 6)""",
        ),
    ],
)  # fmt: skip
def test_text(f, x, text):
    assert check(f, x).text == text


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_lines_fit_on_the_screen(f):
    compiled = compile(f)
    compiled.value_and_grad([0.1 * i for i in range(12)])
    assert all(len(line) <= 100 for line in compiled.source.text.split("\n"))


def test_a_wrong_partial_is_noticed(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "written", (lambda a, out: 1.0 - out,))
    with pytest.raises(AssertionError):
        check(lambda x: tanh(x[0] * x[1]), [0.3, 0.5])


def test_what_stands_alone_has_its_name():
    a, w = Value(0.5, name="a"), [Value(0.1 * i) for i in range(6)]
    compiled = compile(lambda s, *rest: a * s + rest[0] * sum(v * v for v in w))
    compiled.backward(2.0, 3.0)
    assert str(compiled.source) == (
        "z1 = Σ_{i=2…7} p[i]²\nL = a s + rest1 z1\n\nin reverse\n∂L/∂a = s\n∂L/∂p[j] = 2 p[j] rest1      (j = 2 … 7)"
    )
    compiled(2.0, 3.0)
    assert str(compiled.source) == "z1 = Σ_{i=2…7} p[i]²\nL = a s + rest1 z1"


def test_long_programs_are_cut_where_they_are_shown():
    source = check(random_function(random.Random(5), 400), [0.1, 0.2, 0.3, 0.4])
    lines = str(source).split("\n")
    assert len(lines) == 80
    assert lines[-1] == f"… and {len(source.text.split(chr(10))) - 79:,} more lines; .text has them all"


def test_the_report():
    model = nn.MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(0))

    def loss(x, y):
        return losses.squared_error(model(x), y)

    compiled = compile(loss, batched=(0, 1))
    with pytest.raises(RuntimeError, match="has not been called yet"):
        compiled.report()
    compiled.backward([[0.1, 0.2]] * 100, [0.3] * 100)
    lines = compiled.report().split("\n")
    assert lines[:4] == [
        "loss(x, y)",
        "operations 642 recorded, 643 kept, 21 written down with their loops, in 1 function",
        "loops      for 16 { 5 } for 16 { 2 for 15 { 2 } 1 } 2 for 15 { 2 } 3",
        "samples    x, y, their mean",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["lanes", "numbers", "functions", "workspace", "seconds"]
