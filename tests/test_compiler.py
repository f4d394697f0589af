"""Compiled code against eager code, operation by operation, on random programs, on loops of every kind."""

import math
import random
import re
import struct
import sys
import threading

import pytest

from micrograd_like import (
    Value,
    checkpoint,
    compile,  # noqa: A004
    cos,
    custom,
    derivative,
    exp,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    log,
    logaddexp,
    losses,
    maximum,
    nn,
    no_grad,
    sigmoid,
    sin,
    sqrt,
    stop_gradient,
    tanh,
    value_and_grad,
    vjp,
    where,
)
from micrograd_like.compiler import TraceError
from micrograd_like.compiler.loops import count_terms, folded
from micrograd_like.compiler.trace import ARGUMENT, Program, Trace, traced
from micrograd_like.ops import TABLE, apply

pytest.importorskip("llvmlite")
numpy = pytest.importorskip("numpy")

inf, nan = math.inf, math.nan


def bits(x):
    return "nan" if x != x else struct.pack("<d", x)


def flat(rows):
    return [x for row in rows for x in row]


def ulps(x, true):
    if x == true or (x != x and true != true):
        return 0.0
    if not (math.isfinite(x) and math.isfinite(true)):
        return inf
    return abs(x - true) / math.ulp(true)


# ---- every operation -----------------------------------------------------------------------------------------

HARD = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 1e-300, -1e-300, 5e-324, 1e-8, -1e-8, 1e300, -1e300, inf, -inf, nan,
    709.5, 710.5, -708.0, -745.0, -746.0, 20.0, -20.0, 40.0, 0.1, 0.9999999, 1.0000001, math.pi, 27.9, 28.1,
]  # fmt: skip


def points(arity):
    rng = random.Random(arity)
    ordinary = [rng.uniform(-3, 3) for _ in range(150)]
    scaled = [rng.uniform(-1, 1) * 10 ** rng.uniform(-12, 3) for _ in range(150)]
    numbers = HARD + ordinary + scaled
    if arity == 1:
        return [(x,) for x in numbers]
    return [tuple(rng.choice(numbers) for _ in range(arity)) for _ in range(400)]


@pytest.mark.parametrize("name", TABLE)
def test_values_are_bit_for_bit_those_of_eager_code_if_strict(name):
    op = TABLE[name]
    compiled = compile(lambda *x: apply(op, x), strict=True)
    for x in points(op.arity)[:150]:
        assert bits(compiled(*x)) == bits(op.value(*x)), (name, x)


@pytest.mark.parametrize("name", TABLE)
def test_values_of_vectors_are_at_most_4_ulp_away(name):
    op = TABLE[name]
    rows = points(op.arity)
    compiled = compile(lambda *x: apply(op, x), batched=range(op.arity), reduce=None)
    found = compiled(*map(numpy.array, zip(*rows, strict=True)))
    for x, out in zip(rows, found.tolist(), strict=True):
        true = op.value(*x)
        if name == "logaddexp" and abs(true) < abs(max(x)):
            assert abs(out - true) <= 4.0 * math.ulp(max(x))  # max + log1p(…) cancels, in eager code too
        else:
            assert ulps(out, true) <= 4.0, (name, x, out, true)


SMOOTH = [0.3, 0.7, -0.4, 0.9]  # where every operation of up to three operands is defined, but for those of ABOVE
ABOVE = {"acosh": [1.3], "log": [0.7], "log2": [0.7], "log10": [0.7], "log_or_nan": [0.4], "sqrt": [0.4]}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_gradients_and_second_derivatives_of_every_operation(name, strict):
    op = TABLE[name]
    x = ABOVE.get(name, SMOOTH[: op.arity])

    def f(p):
        return sin(apply(op, tuple(p)))

    for transform, size in ((grad, 1), (hessian, 2)):
        found, wanted = compile(transform(f), strict=strict)(x), transform(f)(x)
        if size == 2:
            found, wanted = flat(found), flat(wanted)
        assert found == pytest.approx(wanted, rel=1e-13, abs=1e-13), name


@pytest.mark.parametrize("name", TABLE)
def test_strict_gradients_are_bit_for_bit_those_of_eager_code(name):
    op = TABLE[name]
    x = ABOVE.get(name, SMOOTH[: op.arity])

    def f(*p):
        return apply(op, p) * p[0]

    found = compile(value_and_grad(f, range(op.arity)), strict=True)(*x)
    leaves = [Value(number) for number in x]
    out = f(*leaves)
    out.backward()
    assert bits(found[0]) == bits(out.data)
    assert [bits(a) for a in found[1]] == [bits(v.grad) for v in leaves]


# ---- random programs -----------------------------------------------------------------------------------------

UNARY = [sin, cos, tanh, sigmoid, lambda a: exp(-a * a), lambda a: sqrt(a * a + 1), lambda a: log(a * a + 1)]
BINARY = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (b * b + 1), maximum,
    lambda a, b: where(a > b, a * b, a - b), logaddexp,
]  # fmt: skip


def random_function(rng, size):
    """A random straight-line program, tamed by tanh so that it stays finite."""
    steps = []
    for _ in range(size):
        if rng.random() < 0.4:
            steps.append((rng.choice(UNARY), rng.randrange(1, 9), None))
        else:
            steps.append((rng.choice(BINARY), rng.randrange(1, 9), rng.randrange(1, 9)))

    def f(x):
        known = [*x, *x, *x]
        for step, a, b in steps:
            out = step(known[-a]) if b is None else step(known[-a], known[-b])
            known.append(tanh(out) if len(known) % 5 == 0 else out)
        return known[-1] + known[-2] * known[-3]

    return f


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    rng = random.Random(seed)
    f = random_function(rng, rng.choice([5, 20, 60]))
    x = [rng.uniform(-1.5, 1.5) for _ in range(4)]
    value, gradient = value_and_grad(f)(x)
    found = compile(f).value_and_grad(x)
    assert found[0] == pytest.approx(value, rel=1e-11, abs=1e-13)
    assert found[1] == pytest.approx(gradient, rel=1e-9, abs=1e-11)
    rows = [x, [rng.uniform(-1.5, 1.5) for _ in range(4)]]
    mean = compile(value_and_grad(f), batched=0)(rows)
    assert mean[0] == pytest.approx((value + value_and_grad(f)(rows[1])[0]) / 2, rel=1e-11, abs=1e-13)
    if seed < 10:
        wanted = flat(hessian(f)(x))
        assert flat(compile(hessian(f))(x)) == pytest.approx(wanted, rel=1e-8, abs=1e-9)


def assert_same_bits(f, x):
    found = compile(value_and_grad(f), strict=True)(x)
    leaves = [Value(number) for number in x]
    out = f(leaves)
    out.backward()
    assert bits(found[0]) == bits(out.data)
    assert [*map(bits, found[1])] == [bits(leaf.grad) for leaf in leaves]


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_strictly(seed):
    rng = random.Random(seed)
    f = random_function(rng, 40)
    x = [rng.uniform(-1.5, 1.5) for _ in range(4)]
    assert_same_bits(f, x)


# ---- loops -----------------------------------------------------------------------------------------------------


def chain(x):
    y = x[0]
    for _ in range(50):
        y = sin(y) * x[1] + x[2]
    return y


def two_states(x):
    a, b = x[0], x[1]
    for i in range(30):
        a, b = a + 0.01 * (a * x[2] - a * b), b + 0.01 * (a * b - x[3] * b) + i * 1e-3
    return a * b


def distance_two(x):
    a, b = x[0], x[1]
    for _ in range(30):
        a, b = b, tanh(a + x[2] * b)
    return b


def stencil(x):
    for _ in range(6):
        x = [x[0], *[0.5 * b + 0.25 * (a + c) * b for a, b, c in zip(x, x[1:], x[2:], strict=False)], x[-1]]
    return sum(v * v for v in x)


def products(x):
    total = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            total = total + sin(x[i] * x[j]) * (i - j)
    return total


def triangle(x):
    return sum(x[i] * x[j] for i in range(len(x)) for j in range(i))


def layers(x):
    n = len(x)
    for k in range(4):
        x = [tanh(sum((x[i] * x[j] for j in range(n)), x[(i + k) % n])) for i in range(n)]
    return sum(x)


def rosenbrock(x):
    return sum(100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


def last_of_inner(x):
    total = x[0]
    for i in range(5):
        s = x[i]
        for j in range(6):
            s = s * x[(i + j) % len(x)] + total * 0.1
        total = total + tanh(s)
    return total


def shared_constant(x):
    return sum(c * v**p for c, v, p in zip([2.0, 2.0, 3.0, 2.0, 2.0, 2.0], x * 2, [2, 3, 2, 2, 2, 2], strict=False))


def reversed_reads(x):
    y = [v * v for v in x]
    return sum(a * b for a, b in zip(x, reversed(y), strict=True))


def convolution(x):
    kernel = x[:3]
    once = [sum(k * x[i + j] for j, k in enumerate(kernel)) for i in range(len(x) - 2)]
    twice = [sum(k * once[i + j] for j, k in enumerate(kernel)) for i in range(len(once) - 2)]
    return sum(tanh(v) for v in twice)


def averages(x):
    """Each turn reads all earlier ones."""
    seen = list(x[:2])
    for _ in range(12):
        seen.append(tanh(sum(seen[-2:]) * x[2] + seen[0]))
    return sum(seen)


def reads_its_first_turn(x):
    y, total, seen = x[0] * x[1], x[2] * x[3], []
    for _ in range(6):
        y = tanh(y) * x[4]
        seen.append(y)
        total = total + y * seen[0]
    return total


LOOPS = [
    chain, two_states, distance_two, stencil, products, triangle, layers, rosenbrock, last_of_inner, shared_constant,
    reversed_reads, convolution, averages, reads_its_first_turn,
]  # fmt: skip


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("size", [5, 9, 17])
def test_loops(f, size):
    rng = random.Random(size)
    x = [rng.uniform(-0.9, 0.9) for _ in range(size)]
    value, gradient = value_and_grad(f)(x)
    found = compile(f).value_and_grad(x)
    assert found[0] == pytest.approx(value, rel=1e-12)
    assert found[1] == pytest.approx(gradient, rel=1e-10, abs=1e-12)
    assert_same_bits(f, x)
    rows = [x, [v + 0.01 for v in x], [v - 0.02 for v in x]] * 5
    each = [value_and_grad(f)(row) for row in rows]
    mean, slopes = compile(value_and_grad(f), batched=0)(rows)
    assert mean == pytest.approx(sum(v for v, _ in each) / len(rows), rel=1e-12)
    for mine, (_, wanted) in zip(slopes, each, strict=True):
        assert [15 * g for g in mine] == pytest.approx(wanted, rel=1e-10, abs=1e-12)
    total, slopes = compile(value_and_grad(lambda p, c: f([v * c for v in p])), batched=1, reduce="sum")(
        x, [1.0, 0.9, 1.1]
    )
    wanted = [value_and_grad(lambda p, c=c: f([v * c for v in p]))(x) for c in (1.0, 0.9, 1.1)]
    assert total == pytest.approx(sum(v for v, _ in wanted), rel=1e-12)
    assert slopes == pytest.approx([sum(gs) for gs in zip(*(g for _, g in wanted), strict=True)], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("f", [chain, products, layers, stencil, rosenbrock], ids=lambda f: f.__name__)
def test_hessians_of_loops(f):
    rng = random.Random(3)
    x = [rng.uniform(-0.9, 0.9) for _ in range(5)]
    assert flat(compile(hessian(f))(x)) == pytest.approx(flat(hessian(f)(x)), rel=1e-9, abs=1e-10)


PAIRS = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b * 0.5, lambda a, b: tanh(a) * b, maximum,
    lambda a, b: a * 0.3 + b * 0.7, lambda a, b: sigmoid(a) - b, lambda a, b: a / (1 + b * b),
]  # fmt: skip


def random_loops(rng):
    """A random sequence of loops that read themselves and one another in all kinds of ways."""
    plan = [
        (rng.randrange(8), rng.randint(3, 9), rng.randint(1, 3), rng.randint(1, 5), [rng.choice(PAIRS) for _ in "abc"])
        for _ in range(rng.randint(1, 4))
    ]

    def f(x):
        x = list(x)
        for kind, turns, step, shift, (a, b, c) in plan:
            n = len(x)
            if kind == 0:  # a chain
                y = x[shift % n]
                for _ in range(turns):
                    y = b(a(y, x[step % n]), x[shift % n])
                x = [*x, y]
            elif kind == 1:  # each with another
                x = [a(v, x[(i * step + shift) % n]) for i, v in enumerate(x)]
            elif kind == 2:  # a scan, and what is read from it at once
                y, out = x[0], []
                for i in range(n):
                    y = a(y, x[i])
                    out.append(b(y, x[(i + shift) % n]))
                x = out
            elif kind == 3:  # a nest with a running value
                out = []
                for i in range(min(turns, n)):
                    t = x[i]
                    for v in x:
                        t = a(t, b(v, x[i]))
                    out.append(tanh(t))
                x = [*out, *x[:2]]
            elif kind == 4:  # a value that runs through a nest
                t = x[0]
                for i in range(n):
                    for j in range(turns):
                        t = t + c(x[i], x[(i + j) % n]) * 0.1
                x = [t, *x]
            elif kind == 5:  # a shift
                x = [*x[1:], a(x[0], x[-1])]
            elif kind == 6:  # two and three turns back
                h = (x * 3)[:3]
                for _ in range(turns):
                    h.append(a(h[-1], b(h[-2], h[-3])))
                x = [*x, *h[-shift:]]
            else:  # half as far back as forward
                h = [x[0] * 0.1]
                for i in range(turns):
                    h.append(c(h[i // 2], x[i % n]))
                x = [*x, *h[-2:]]
            x = x[:14]
        return sum(v * v for v in x) + x[-1]

    return f


@pytest.mark.parametrize("seed", range(60))
def test_random_loops(seed):
    rng = random.Random(seed)
    f = random_loops(rng)
    x = [rng.uniform(-1, 1) for _ in range(rng.randint(3, 9))]
    value, gradient = value_and_grad(f)(x)
    scale = max(1.0, abs(value), *map(abs, gradient))

    def near(found, wanted):
        return found == pytest.approx(wanted, rel=1e-10, abs=1e-10 * scale)

    found = compile(value_and_grad(f))(x)
    assert near(found[0], value) and near(found[1], gradient)
    total = compile(value_and_grad(lambda p, c: f([v * c for v in p])), batched=1, reduce="sum")(x, [1.0] * 11)
    assert near(total[0] / 11, value) and near([g / 11 for g in total[1]], gradient)
    each = compile(value_and_grad(f), batched=0)([x] * 9)
    assert near(each[0], value) and near([9 * g for g in each[1][8]], gradient)
    assert_same_bits(f, x)


def terms_of(f, size):
    trace = Trace()
    program = Program(trace, [traced(trace, f, [[0.0] * size])], [ARGUMENT])
    return len(program.rows), count_terms(folded(program))


@pytest.mark.parametrize(("f", "most"), [(chain, 8), (rosenbrock, 20), (products, 45), (convolution, 45)])
def test_what_is_written_down_does_not_grow_with_the_loops(f, most):
    rows, terms = terms_of(f, 40)
    assert terms <= most < rows
    assert abs(terms - terms_of(f, 30)[1]) <= 4


def test_folding_is_linear():
    def steps(n):
        def f(x):
            a, b = x[0], x[1]
            for _ in range(n):
                a, b = a * x[2] - b, b + a * a
            return a + b

        return terms_of(f, 3)

    assert steps(3000)[1] == steps(300)[1]
    assert steps(3000)[0] > 9 * steps(300)[0]


# ---- networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[2, 16, 16, 1], [3, 5, 1], [4, 10, 7, 3], [9, 33, 4]])
@pytest.mark.parametrize("count", [1, 3, 8, 37, 100])
def test_a_network_is_read_live_and_differentiated(sizes, count):
    rng = random.Random(0)
    model = nn.MLP(sizes[0], sizes[1:], activation="tanh", rng=rng)
    X = [[rng.uniform(-1, 1) for _ in range(sizes[0])] for _ in range(count)]
    Y = [[rng.uniform(-1, 1) for _ in range(sizes[-1])] for _ in range(count)]

    def loss(x, y):
        return losses.squared_error(model(x), y if sizes[-1] > 1 else y[0])

    compiled = compile(loss, batched=(0, 1))
    for _ in range(2):
        model.zero_grad()
        wanted = sum(loss(x, y) for x, y in zip(X, Y, strict=True)) / count
        wanted.backward()
        slopes = [p.grad for p in model.parameters()]
        model.zero_grad()
        assert compiled(X, Y) == pytest.approx(wanted.data, rel=1e-13)
        assert all(p.grad == 0.0 for p in model.parameters())
        assert compiled.backward(X, Y) == pytest.approx(wanted.data, rel=1e-13)
        assert [p.grad for p in model.parameters()] == pytest.approx(slopes, rel=1e-11, abs=1e-14)
        for p in model.parameters():  # read anew the next time
            p.data = rng.uniform(-1, 1)


@pytest.mark.parametrize("samples", [1, 7, 8, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 57, 95, 96, 100])
def test_batches_of_every_size(samples):
    """What does not fill the registers counts for nothing, and nothing is written beside them."""

    def f(w, x):
        return sum(tanh(a * b) for a, b in zip(w, x, strict=True)) * w[0]

    rng = numpy.random.default_rng(samples)
    w, X = rng.normal(size=40), rng.normal(size=(samples, 40))
    value, slope = compile(value_and_grad(f), batched=1)(w, X)
    t = numpy.tanh(w * X)
    assert value == pytest.approx((t.sum(1) * w[0]).mean(), rel=1e-12)
    expected = ((1 - t * t) * X * w[0]).mean(0)
    expected[0] += t.sum(1).mean()
    assert slope == pytest.approx(expected, rel=1e-12)


def test_each_sample_by_itself():
    model = nn.MLP(3, [4, 2], activation="tanh", rng=random.Random(0))
    X = [[0.1 * i, 0.2, -0.3 * i] for i in range(19)]
    outs = compile(model, batched=0, reduce=None)(X)
    wanted = [[v.data for v in model(x)] for x in X]
    assert [list(row) for row in zip(*outs, strict=True)] == [pytest.approx(row) for row in wanted]
    arrays = compile(model, batched=0, reduce=None)(numpy.array(X))
    assert numpy.allclose(numpy.transpose(arrays), wanted)


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    monkeypatch.setattr("micrograd_like.compiler.compiled.PIECE", 2000)
    model = nn.MLP(2, [8, 1], activation="tanh", rng=random.Random(0))
    rng = numpy.random.default_rng(0)
    X, y = rng.normal(size=(1003, 2)), rng.normal(size=1003)
    found = []
    for threads in (1, 2, 5):
        model.zero_grad()
        loss = compile(lambda x, t: losses.squared_error(model(x), t), batched=(0, 1), threads=threads)
        found.append((loss.backward(X, y), [p.grad for p in model.parameters()]))
        by_input = compile(
            value_and_grad(lambda x, t: losses.squared_error(model(x), t)), batched=(0, 1), threads=threads
        )
        found[-1] += (by_input(X, y)[1].tolist(), compile(model, batched=0, reduce=None, threads=threads)(X).tolist())
    assert found[0] == found[1] == found[2]
    monkeypatch.setattr("micrograd_like.compiler.compiled.PIECE", 10**9)
    whole = compile(lambda x, t: losses.squared_error(model(x), t), batched=(0, 1))
    assert whole(X, y) == pytest.approx(found[0][0], rel=1e-13)


def test_threads_may_call_one_function():
    compiled = compile(value_and_grad(chain))
    points = [[0.01 * i, 0.3, -0.1] for i in range(200)]
    wanted = [compiled(x) for x in points]
    found = {}

    def work(part):
        for i in range(part, 200, 4):
            found[i] = compiled(points[i])

    workers = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[i] for i in range(200)] == wanted


def test_gradient_descent_in_place():
    X = numpy.random.default_rng(0).normal(size=(37, 3))
    y = X @ [1.0, -2.0, 0.5]

    def loss(w, x, t):
        return (sum(a * b for a, b in zip(w, x, strict=True)) - t) ** 2

    compiled = compile(loss, batched=(1, 2))
    w = numpy.zeros(3)
    wanted = w.copy()
    for steps in (1, 1, 20):
        before = compiled.descend(w, X, y, lr=0.1, steps=steps)
        for _ in range(steps):
            value, slope = compiled.value_and_grad(wanted, X, y)
            wanted -= 0.1 * slope
        assert before == pytest.approx(value, rel=1e-13)
        assert w == pytest.approx(wanted, rel=1e-12)
    alone = compile(rosenbrock)
    x = numpy.full(5, 0.5)
    alone.descend(x, lr=1e-3, steps=3000)
    assert rosenbrock(x.tolist()) < 0.1 < rosenbrock([0.5] * 5)


def test_strict_order_is_not_changed_by_comparisons():
    def f(x):
        a, b, c = sin(x[0]), cos(x[0]), tanh(x[0])
        return where(c > b, a + b + c, a - b - c)

    rng = random.Random(0)
    for x in [-0.7312715117751976, *(rng.uniform(-2, 2) for _ in range(30))]:
        assert_same_bits(f, [x])


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x**-1 * 1.0, 1.650215597460159), (lambda x: 2.0**x, 0.123), (lambda x: 0.5**x, 1.7),
        (lambda x: 4.0**x, -0.77),
    ],
)  # fmt: skip
def test_strict_powers_are_those_of_the_library(f, x):
    compiled = compile(f, strict=True)
    rng = random.Random(1)
    for v in [x, *(rng.uniform(0.1, 3.0) for _ in range(500))]:
        assert bits(compiled(v)) == bits(f(Value(v)).data)


@pytest.mark.parametrize(
    ("base", "exponent"), [(-inf, 0.5), (-inf, -0.5), (1e105, -3), (1e20, -16), (-2.0, -3), (0.0, -1)]
)
def test_powers_at_the_edge(base, exponent):
    found, wanted = compile(lambda x: x**exponent)(base), (Value(base) ** exponent).data
    assert found == wanted or ulps(found, wanted) <= 4


# ---- arguments and results ------------------------------------------------------------------------------------


def test_arguments_keep_their_shapes():
    def f(p, x):
        return p["a"] * x[0] ** 2 + p["b"][1] * x[1]

    p, x = {"a": 2.0, "b": (3.0, 4.0)}, [5.0, 6.0]
    assert compile(value_and_grad(f, (0, 1)))(p, x) == (74.0, ({"a": 25.0, "b": (0.0, 6.0)}, [20.0, 4.0]))
    array = numpy.array([[1.0, 2.0], [3.0, 4.0]])
    found = compile(grad(lambda a: numpy.sum(a * a)))(array)
    assert isinstance(found, numpy.ndarray)
    assert (found == 2 * array).all()
    assert compile(lambda a: a[::-1] * 2)(numpy.array([1.0, 2.0])).tolist() == [4.0, 2.0]
    assert compile(lambda a: a + 1)(3) == 4.0
    integers = compile(grad(lambda a: a[0] * a[1]))(numpy.array([2, 3]))
    assert integers.tolist() == [3.0, 2.0]


def test_new_shapes_are_traced_anew_and_old_ones_are_not():
    calls = []

    def f(x):
        calls.append(len(x))
        return sum(v * v for v in x)

    compiled = compile(f)
    assert [compiled([1.0, 2.0]), compiled([1.0, 3.0]), compiled([1.0, 2.0, 3.0]), compiled([2.0, 2.0])] == [
        5,
        10,
        14,
        8,
    ]
    assert calls == [2, 3]
    array = numpy.array([1.0, 2.0])
    assert compiled(array) == 5.0
    array[0] = 3.0
    assert compiled(array) == 13.0
    array.shape = (2, 1)
    assert compiled(array).tolist() == [13.0]


def test_slices_and_other_types_of_arrays_are_not_mistaken():
    compiled = compile(lambda a: a[0] + 10 * a[1])
    array = numpy.arange(8.0)
    assert compiled(array[2:4]) == 32.0
    assert compiled(array[::4]) == 40.0
    assert compiled(numpy.array([1, 2])) == 21.0
    assert compiled(numpy.array([1, 2], dtype=numpy.float32)) == 21.0
    assert compiled(array[2:4]) == 32.0


def test_constants_and_what_is_not_used():
    assert compile(lambda x: 3.0)(1.0) == 3.0
    assert compile(lambda x, y: [x, 2.0, x])(1.5, 9.0) == [1.5, 2.0, 1.5]
    assert compile(value_and_grad(lambda x, y: y * 2))(1.5, 9.0) == (18.0, 0.0)
    w = Value(3.0, name="w")
    assert compile(lambda x: w * w * x)(2.0) == 18.0
    w.data = 4.0
    compiled = compile(lambda x: w * w * x)
    assert compiled.backward(2.0) == 32.0
    assert w.grad == 16.0
    assert compiled.backward(2.0) == 32.0
    assert w.grad == 32.0  # added, as backward does


def test_values_may_be_computed_from_values_alone():
    w = [Value(0.1 * i) for i in range(20)]
    compiled = compile(lambda x: x * x + 0.1 * sum(p * p for p in w))
    assert compiled(2.0) == pytest.approx(4.0 + 0.1 * sum((0.1 * i) ** 2 for i in range(20)))
    w[0].data = 10.0
    assert compiled.backward(2.0) == pytest.approx(14.0 + 0.1 * sum((0.1 * i) ** 2 for i in range(20)))
    assert w[0].grad == pytest.approx(2.0)


def test_transforms_nest():
    def f(x):
        return grad(lambda y: grad(lambda z: sin(z) * y * x)(y))(x)

    assert compile(f)(0.7) == pytest.approx(f(0.7), rel=1e-13)
    assert compile(grad(f))(0.7) == pytest.approx(grad(f)(0.7), rel=1e-13)
    # perturbations are not confused
    assert compile(grad(lambda x: x * grad(lambda y: x + y)(1.0)))(3.0) == 1.0


def test_no_grad_inside_gives_constants():
    def f(x):
        with no_grad():
            still = sin(x) * x
            slope = grad(sin)(x)
        return x * still + slope * x

    assert compile(value_and_grad(f))(0.7) == pytest.approx(value_and_grad(f)(0.7), rel=1e-14)
    assert compile(f)(0.7) == pytest.approx(float(f(Value(0.7))), rel=1e-14)


def test_custom_operations_call_back():
    own = custom(lambda a: a * math.sin(a), lambda a: sin(a) + a * cos(a), name="compiled_own")
    x = [0.3, -1.2, 2.5]
    found, wanted = (t(lambda x: sum(own(v) for v in x)) for t in (lambda f: compile(grad(f)), grad))
    assert found(x) == pytest.approx(wanted(x), rel=1e-14)
    assert compile(own, batched=0, reduce=None)(numpy.array(x)).tolist() == [v * math.sin(v) for v in x]


W = Value(3.0, "w")


def own():
    return custom(lambda a: a * math.sin(a), lambda a: sin(a) + a * cos(a), name="compiled_in_a_function")


def constant(f):
    with no_grad():
        return f()


INSIDE = {
    "grad": lambda x: x * grad(lambda y: y * y * W)(2.0),
    "grad of what depends on no Value": lambda x: x * grad(lambda y: y * y)(2.0),
    "grad of grad": lambda x: x * grad(lambda y: grad(lambda z: sin(z * y) * z)(y) * W)(2.0),
    "hvp": lambda x: x * hvp(lambda y: y**3 * W, (2.0,), (1.5,)),
    "jvp": lambda x: x * jvp(lambda y: y**3 * W, (2.0,), (1.5,))[1],
    "vjp": lambda x: x * vjp(lambda y: y**3 * W, 2.0)[1](1.5)[0],
    "jacobian": lambda x: x * sum(jacobian(lambda y: [y**3 * W, W, y])(2.0)),
    "hessian": lambda x: x * hessian(lambda y: y**3 * W)(2.0),
    "derivative": lambda x: x * derivative(lambda y: sin(y * W), 3)(0.2),
    "derivative of what depends on no Value": lambda x: x * derivative(lambda y: sin(y * y), 3)(0.2),
    "gradients": lambda x: x * gradients(W * W * W, W),
    "in no_grad": lambda x: x * constant(lambda: W * 2 + sin(W)),
    "a checkpoint in no_grad": lambda x: x * x * constant(lambda: checkpoint(lambda y: W * y)(x)),
    "grad in no_grad": lambda x: x * constant(lambda: grad(lambda y: y * y * W)(2.0)),
    "checkpoint": lambda x: checkpoint(lambda y, a: sin(y * W) * a["a"])(x, {"a": x}),
    "grad of a checkpoint": lambda x: x * grad(checkpoint(lambda y: sin(y * W) * y))(2.0),
    "a checkpoint of grad": lambda x: checkpoint(lambda y: grad(lambda z: z * sin(z * y))(W) * 2)(x) * x,
    "custom": lambda x: checkpoint(own())(x) * grad(own())(x * W),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("how", INSIDE)
def test_derivatives_inside_of_a_function(how, strict):
    """By constants and by Values from outside too, and these are read each time."""
    f = INSIDE[how]
    value, slope = compile(f, strict=strict), compile(grad(f), strict=strict)
    for W.data in (3.0, 0.7, 3.0):
        assert value(1.3) == pytest.approx(float(f(1.3)), rel=1e-13)
        assert slope(1.3) == pytest.approx(float(grad(f)(1.3)), rel=1e-13)
        W.grad = 0.0
        value.backward(1.3)
        compiled, W.grad = W.grad, 0.0
        f(Value(1.3)).backward()
        assert compiled == pytest.approx(W.grad, rel=1e-13)  # 0 where eager code has a float


def test_a_constant_partial_that_is_a_function():
    double = custom(lambda a: 2 * a, lambda a: 2.0, name="compiled_double")
    assert compile(grad(lambda x: grad(double)(x) * x))(1.5) == 2.0
    lost = custom(math.exp, lambda a: math.exp(a.data), name="compiled_lost")
    with pytest.raises(TraceError, match="not known while the function is compiled"):
        compile(lambda x: grad(lost)(x) * x)(1.5)


def test_what_checkpoints_gave_outside():
    """Each is an operation of its own, all of the same name."""
    w = Value(0.7)
    a, b = checkpoint(lambda y: sin(y) * y)(w), checkpoint(exp)(w)
    compiled = compile(lambda x: x * a + b)
    assert compiled(2.0) == pytest.approx((2.0 * a + b).data)
    compiled.backward(2.0)
    found, w.grad = w.grad, 0.0
    (2.0 * a + b).backward()
    assert found == pytest.approx(w.grad)
    with pytest.raises(ValueError, match="checkpoint keeps no graph of its function, so nothing can be derived"):
        str(compiled.source)


def test_nothing_goes_back_from_what_no_gradient_comes_to():
    def f(x):
        return stop_gradient(sqrt(x) * 2.0) * 3.0 + x

    for strict in (False, True):
        assert compile(value_and_grad(f), strict=strict)(0.0) == (0.0, 1.0)


def test_custom_operations_of_one_name_and_of_many_operands():
    old, new = (custom(lambda a, k=k: a * k, k, name="compiled_twice") for k in (2.0, 3.0))
    compiled = compile(lambda x: old(x) * 100 + new(x))
    assert compiled(1.0) == 203.0
    again = custom(lambda a: a * 5, 5.0, name="compiled_twice")
    assert compile(again)(1.0) == 5.0
    assert compiled(1.0) == 203.0
    four = custom(lambda a, b, c, d: a + 10 * b + 100 * c + 1000 * d, 1.0, 10.0, 100.0, 1000.0, name="compiled_four")
    found = compile(lambda a: four(a, a * 2, a * 3, a * 4), batched=0, reduce=None)(numpy.ones(9))
    assert found.tolist() == [4321.0] * 9


def test_what_a_custom_operation_raises_is_raised():
    class OwnError(Exception):
        pass

    def value(a):
        raise OwnError(f"at {a}")

    failing = custom(value, 1.0, name="compiled_failing")
    compiled = compile(lambda x: failing(x) + 1)
    for _ in range(2):
        with pytest.raises(OwnError, match=r"at 2\.0"):
            compiled(2.0)
    assert compile(lambda x: x + 1)(1.0) == 2.0


@pytest.mark.parametrize(
    ("value", "partial"),
    [
        (lambda x: x * sigmoid(x), lambda x, out: out + sigmoid(x) * (1 - out)),
        (lambda x: x * x, lambda x: 2 * x),
        (abs, lambda x: where(x > 0, 1, -1)),
        (abs, lambda x: (x > 0) - (x < 0)),
        (math.exp, lambda x: x.exp()),
    ],
)
def test_partials_with_whole_numbers_comparisons_and_methods(value, partial):
    own = custom(value, partial, name="compiled_partial")
    for x in (0.7, -1.3):
        slope = float(partial(x, value(x))) if partial.__code__.co_argcount == 2 else None
        found = compile(grad(own))(x)
        assert found == pytest.approx(compile(grad(own), batched=0)([x] * 3)[0] * 3, rel=1e-14)
        if slope is not None:
            assert found == pytest.approx(slope, rel=1e-14)


def test_partials_that_decide_by_a_number_are_refused():
    own = custom(abs, lambda a: 0.0 if a == 0 else a / abs(a), name="compiled_deciding")
    with pytest.raises(TraceError, match="the partial of a custom operation asks for a number"):
        compile(grad(own))(0.0)


def test_results_of_samples_lead():
    X = numpy.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    compiled = compile(lambda x: {"a": numpy.array([[x[0] * 2, x[1] * 3]]), "b": (x[0], x[1])}, batched=0, reduce=None)
    for given in (X, X.tolist()):
        found = compiled(given)
        assert found["a"].tolist() == [[[2.0, 6.0]], [[6.0, 12.0]], [[10.0, 18.0]]]
        assert [*map(list, found["b"])] == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]


def test_arrays_that_change_under_way():
    compiled = compile(lambda x: sum(v * v for v in x))
    array = numpy.arange(4.0)
    assert compiled(array) == 14.0
    array.dtype = numpy.int64
    array[:] = [1, 1, 1, 3]
    assert compiled(array) == 12.0
    for bad in (numpy.array([1j, 2]), numpy.array(["3", "4"]), numpy.ma.array([1.0, 2.0]), numpy.array([None, 1.0])):
        with pytest.raises(TypeError, match="argument 0 should have numbers"):
            compiled(bad)


def test_threads_get_their_own_results():
    compiled = compile(lambda x: x * 1, batched=0)
    wrong, interval = [], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(t):
        array = numpy.full(100 * t, float(t))
        wrong.extend(found for _ in range(3000) if (found := compiled(array)) != t)

    try:
        workers = [threading.Thread(target=work, args=(t,)) for t in range(1, 7)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


# ---- misuse ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x > 0 else -x,
        lambda x: float(x) * x,
        lambda x: x.data * x,
        lambda x: max(x, 0.0),
        lambda x: x * int(x),
        lambda x: x * (1 if x else 2),
        lambda x: x * round(x),
        lambda x: x * x.grad,
        lambda x: x * 2 if x == 1 else x * 3,
        lambda x: x * 2 if x != 1 else x * 3,
        lambda x: x * (2 if [1.0, 2.0].count(x) else 3),
    ],
)
def test_what_asks_for_a_number_is_told(f):
    with pytest.raises(
        TraceError, match=r"test_compiler.py, line \d+: .*not known while the function is compiled.*where"
    ):
        compile(f)(1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda w, x: x if w > 0 else -x,
        lambda w, x: float(w) * x,
        lambda w, x: w.data * x,
        lambda w, x: x * max(w, 0.0),
        lambda w, x: x if w else -x,
        lambda w, x: x * round(w),
    ],
)
def test_numbers_of_values_from_outside_are_not_asked_for_either(f):
    w = Value(2.0, name="w")
    with pytest.raises(
        TraceError, match=r"test_compiler.py, line \d+: .*the number of w while.*later it may be another"
    ):
        compile(lambda x: f(w, x))(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compile(3.0), "what is compiled is a function, not float 3.0"),
        (lambda: compile(abs, reduce="max"), "reduce is 'mean', 'sum' or None, not 'max'"),
        (lambda: compile(abs, threads=0), "threads should be 1 or more, got 0"),
        (lambda: compile(abs, batched=0)([]), "argument 0 has no samples"),
        (lambda: compile(abs, batched=0)(numpy.zeros(0)), "argument 0 has no samples"),
        (
            lambda: compile(abs)(Value(2.0)),
            "argument 0 has the Value Value(data=2.0, grad=0.0), and compiled code gives",
        ),
        (lambda: compile(compile(abs))(2.0), "what is compiled already cannot be compiled or differentiated again"),
        (
            lambda: compile(grad(abs, -3))(1.0),
            "abs was called with 1 arguments, and is to be differentiated by number -3",
        ),
        (lambda: compile(abs, batched=0)(1.0), "argument 0 is batched: it should be a list or array of samples"),
        (lambda: compile(abs, batched=1)(1.0), "batched has 1, and abs was called with 1 arguments"),
        (
            lambda: compile(lambda x, y: x * y, batched=(0, 1))([1.0, 2.0], [1.0]),
            "argument 0 has 2 samples, and argument 1 has 1",
        ),
        (
            lambda: compile(lambda x: x[0], batched=0)([[1.0], [1.0, 2.0]]),
            "argument 0: sample 1 has another shape than sample 0",
        ),
        (lambda: compile(lambda x: [x, x]).value_and_grad(1.0), "returned 2 numbers: a gradient needs one"),
        (
            lambda: compile(abs, batched=0, reduce=None).value_and_grad([1.0]),
            "reduce=None gives each sample its own result; a gradient needs 'mean' or 'sum'",
        ),
        (
            lambda: compile(grad(abs, 1))(1.0),
            "abs was called with 1 arguments, and is to be differentiated by number 1",
        ),
        (lambda: compile(sum).descend([1.0], lr=1.0), "a writable numpy array of float64, not [1.0]"),
        (lambda: compile(abs).descend(1.0, lr=1.0), "a writable numpy array of float64, not 1.0"),
        (lambda: compile(abs).descend(1.0, lr=0.0), "descend takes lr > 0 and steps >= 1, got lr=0.0, steps=1"),
        (lambda: compile(abs, batched=0).descend([1.0], lr=1.0), "descend changes the first argument, which is one of"),
        (lambda: compile(abs).ir, "abs has not been called yet"),
        (lambda: compile(lambda x: "text")(1.0), "what <lambda> returned should have numbers"),
        (lambda: compile(abs)("text"), "argument 0 should have numbers"),
    ],
)
def test_misuse(call, message):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=re.escape(message)):
        call()
