"""The graph and the backward pass."""

import gc
import math
import random
import sys
import threading
import weakref

import pytest

from micrograd_like import Value, maximum, topological, where
from micrograd_like.byhand import ACTIVATIONS


def leaves(*numbers):
    return [Value(number) for number in numbers]


# ---- what the backward pass does -------------------------------------------------------------------


def test_the_example_of_micrograds_readme():
    """Its published numbers; the program exercises every operator that micrograd has."""
    a, b = leaves(-4.0, 2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


def test_leaves_add_and_inner_nodes_are_set():
    x = Value(3.0)
    square = x * x
    y = square * x
    y.backward()
    assert (x.grad, square.grad, y.grad) == (27.0, 3.0, 1.0)
    y.backward()
    assert (x.grad, square.grad, y.grad) == (54.0, 3.0, 1.0)
    x.grad = 0
    y.backward()
    assert (x.grad, square.grad, y.grad) == (27.0, 3.0, 1.0)


def test_gradients_of_a_minibatch_accumulate():
    w = Value(2.0)
    for x in (1.0, 2.0, 3.0):
        (w * x).backward()
    assert w.grad == 6.0
    w.zero_grad()
    assert w.grad == 0.0


def test_zero_grad_reaches_the_whole_graph():
    x = Value(3.0)
    square = x * x
    y = square * x
    y.backward()
    y.zero_grad()
    assert [node.grad for node in (x, square, y)] == [0.0, 0.0, 0.0]


def test_backward_on_a_leaf():
    x = Value(3.0)
    x.backward()
    assert x.grad == 1.0


def test_the_order_of_the_backward_pass_matters():
    """a is used by b and by the loss: visited before b, it would pass on an unfinished gradient."""
    x = Value(3.0)
    a = x * 2
    b = a + x
    loss = a * b
    loss.backward()
    assert (a.grad, x.grad) == (15.0, 36.0)  # loss = 6x²


@pytest.mark.parametrize(
    ("build", "operation", "operands"),
    [
        (lambda x, y: x + x, "+", "xx"),
        (lambda x, y: x - y, "-", "xy"),
        (lambda x, y: x / y, "/", "xy"),
        (lambda x, y: -x, "neg", "x"),
        (lambda x, y: x**y, "**", "xy"),
        (lambda x, y: x * 2, "*", ("x", 2.0)),
        (lambda x, y: 2 - x, "-", (2.0, "x")),
        (lambda x, y: 2**x, "**", (2.0, "x")),
        (lambda x, y: maximum(1, x), "maximum", (1.0, "x")),
        (lambda x, y: where(x > 0, x, y), "where", (1.0, "x", "y")),
        (lambda x, y: x.relu(), "ReLU", "x"),
    ],
)
def test_what_was_written_is_recorded(build, operation, operands):
    named = {"x": Value(3.0), "y": Value(2.0)}
    node = build(**named)
    expected = tuple(named.get(operand, operand) for operand in operands)
    assert node._op == operation
    assert len(node.operands) == len(expected)
    assert all(got is want or got == want for got, want in zip(node.operands, expected, strict=True))


def test_partials_are_the_numbers_on_the_edges():
    x, y = leaves(3.0, 2.0)
    assert (x * y).partials() == (2.0, 3.0)
    assert (x / y).partials() == (0.5, -0.75)
    assert x.partials() == ()


def test_leaves_of_equal_value_are_not_merged():
    x, y = leaves(3.0, 3.0)
    (2 * x + 5 * y).backward()
    assert (x.grad, y.grad) == (2.0, 5.0)


def test_topological_order():
    x, y = leaves(1.0, 2.0)
    a = x + y
    b = a * x
    order = topological(b, a)
    assert order == [x, y, a, b]
    assert topological(where(True, b, a))[-2:-1] == [b]


# ---- deep, wide, shared ----------------------------------------------------------------------------


def test_a_chain_of_a_million_operations():
    x = Value(0.5)
    y = x
    for _ in range(1_000_000):
        y = y + 1e-6
    y.backward()
    assert x.grad == 1.0
    assert len(topological(y)) == 1_000_001


def test_one_leaf_used_a_million_times():
    x = Value(0.5)
    y = x * 2
    for _ in range(1_000_000):
        y = y + x
    y.backward()
    assert x.grad == 1_000_002.0


def test_a_ladder_of_sixty_diamonds():
    """2^60 paths, 61 nodes."""
    x = Value(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


@pytest.mark.parametrize("shape", ["deep", "wide", "where"])
def test_dropping_the_loss_frees_the_graph_at_once(shape):
    """By reference count: with the collector off, nothing of the graph remains."""
    x = Value(0.5)

    def build():
        y = x
        for i in range(200_000):
            y = where(1, y, x) if shape == "where" else y * 1.0 if shape == "deep" else y + x * i
        y.backward()
        return y

    gc.collect()
    gc.disable()
    try:
        before = sum(type(o) is Value for o in gc.get_objects())
        y = build()
        during = sum(type(o) is Value for o in gc.get_objects())
        del y
        after = sum(type(o) is Value for o in gc.get_objects())
    finally:
        gc.enable()
    assert during - before >= 200_000
    assert after == before


def test_threads_that_share_a_leaf():
    w = Value(2.0)

    def loss():
        y = w * 0
        for _ in range(3000):
            y = y + w * w
        return y

    def work(y):
        for _ in range(5):
            y.backward()

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(loss(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert w.grad == 4 * 5 * 3000 * 4.0


def test_weak_references():
    node = Value(1.0) + 1
    reference = weakref.ref(node)
    del node
    assert reference() is None


# ---- random programs against a slow, obvious reference ------------------------------------------------
# The reference is forward mode in plain floats: a program is a list of steps, each step's derivative by one
# input is written out here, and the whole is run once for every input.

INSIDE = {  # what keeps an operation's operand inside its domain and away from its poles
    **dict.fromkeys(("log", "log10", "log2", "log1p", "sqrt", "cbrt"), lambda v: v * v + 0.5),
    **dict.fromkeys(("asin", "acos", "atanh"), lambda v: v.tanh() * 0.9),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), lambda v: v.tanh()),
    "acosh": lambda v: v * v + 1.5,
    "tan": lambda v: v.tanh() * 0.5,
}


class Dual:
    """A number and its derivative by one input: the textbook rules, spelled out."""

    def __init__(self, data, slope):
        self.data, self.slope = data, slope

    def __add__(self, other):
        other = other if isinstance(other, Dual) else Dual(other, 0.0)
        return Dual(self.data + other.data, self.slope + other.slope)

    def __sub__(self, other):
        return Dual(self.data - other.data, self.slope - other.slope)

    def __mul__(self, other):
        other = other if isinstance(other, Dual) else Dual(other, 0.0)
        return Dual(self.data * other.data, self.slope * other.data + self.data * other.slope)

    def __truediv__(self, other):
        return Dual(self.data / other.data, (self.slope * other.data - self.data * other.slope) / other.data**2)

    def __pow__(self, other):
        value = self.data**other.data
        return Dual(value, value * (other.slope * math.log(self.data) + other.data * self.slope / self.data))

    def maximum(self, other):
        return self if self.data > other.data else other

    def minimum(self, other):
        return self if self.data < other.data else other

    def hypot(self, other):
        value = math.hypot(self.data, other.data)
        return Dual(value, (self.data * self.slope + other.data * other.slope) / value)

    def atan2(self, other):
        square = self.data**2 + other.data**2
        value = math.atan2(self.data, other.data)
        return Dual(value, (other.data * self.slope - self.data * other.slope) / square)

    def logaddexp(self, other):
        a, b = math.exp(self.data), math.exp(other.data)
        return Dual(math.log(a + b), (a * self.slope + b * other.slope) / (a + b))

    def __getattr__(self, name):
        f, slope = ACTIVATIONS[name]
        return lambda: Dual(f(self.data), slope(self.data) * self.slope)


BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b * b + 0.7),
    "pow": lambda a, b: (a * a + 0.5) ** b.tanh(),
    "maximum": lambda a, b: a.maximum(b),
    "minimum": lambda a, b: a.minimum(b),
    "hypot": lambda a, b: a.hypot(b),
    "atan2": lambda a, b: a.atan2(b * b + 0.3),
    "logaddexp": lambda a, b: a.tanh().logaddexp(b.tanh()),
}


def random_program(seed, size):
    rng = random.Random(seed)
    inputs = [rng.uniform(-2, 2) for _ in range(rng.randint(1, 6))]
    steps = []
    for i in range(size):
        known = len(inputs) + i
        name = rng.choice([*BINARY, *(a for a in ACTIVATIONS if a not in ("linear", "leaky_relu"))])
        steps.append((name, rng.randrange(known), rng.randrange(max(0, known - 8), known)))
    return inputs, steps


def run(inputs, steps):
    nodes = list(inputs)
    for name, i, j in steps:
        a, b = nodes[i], nodes[j]
        node = BINARY[name](a, b) if name in BINARY else getattr(INSIDE.get(name, lambda v: v)(b), name)()
        nodes.append(node.tanh() if abs(node.data) > 20 else node)
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total


@pytest.mark.parametrize("size", [5, 20, 100, 500])
@pytest.mark.parametrize("seed", range(15))
def test_random_programs(seed, size):
    numbers, steps = random_program(seed, size)
    inputs = leaves(*numbers)
    loss = run(inputs, steps)
    loss.backward()
    for k, x in enumerate(inputs):
        true = run([Dual(number, float(i == k)) for i, number in enumerate(numbers)], steps)
        assert loss.data == pytest.approx(true.data, rel=1e-12)
        assert x.grad == pytest.approx(true.slope, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "tanh", "sin", "relu", "maximum", "hypot", "neg"])
def test_random_programs_catch_a_wrong_rule(name, monkeypatch):
    from micrograd_like.ops import TABLE

    op = TABLE[name]
    first = op.partials[0]
    monkeypatch.setattr(op, "partials", (lambda *args: 1.001 * first(*args), *op.partials[1:]))
    monkeypatch.setattr(op, "slopes", ())
    with pytest.raises(AssertionError):
        for seed in range(15):
            test_random_programs(seed, 100)
