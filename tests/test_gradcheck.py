"""gradcheck: right functions pass, each planted error is caught, and the message says where it is."""

import math
import random
import re

import pytest

from micrograd_like import (
    Value,
    acosh,
    asin,
    cbrt,
    exp,
    hypot,
    leaky_relu,
    log,
    logaddexp,
    losses,
    maximum,
    minimum,
    ops,
    relu,
    sigmoid,
    sin,
    softplus,
    tanh,
    where,
)
from micrograd_like.byhand import checking as module
from micrograd_like.byhand.checking import GradcheckError, gradcheck, kinks, wrong_partials
from micrograd_like.byhand.differences import difference
from micrograd_like.byhand.replay import gradients, values
from micrograd_like.ops import FUNCTIONS, TABLE, Op

# ---- one difference -------------------------------------------------------------------------------


def log_of_float(x):
    return math.log(x) if x > 0 else math.nan


SLOPES = {  # f, x, the error of f beyond its own last place, df/dx, and how small the stated error has to be
    "exp": (math.exp, 0.5, 0.0, math.exp(0.5), 1e-9),
    "log near 0": (log_of_float, 1e-8, 0.0, 1e8, 1.0),
    "log at its zero": (math.log, 1.0, 0.0, 1.0, 1e-14),
    "fast": (lambda x: math.sin(1e8 * x), 1.0, 6e-8, 1e8 * math.cos(1e8), 1e4),
    "far out": (math.sin, 1e9, 0.0, math.cos(1e9), 1e-8),
    "log very near 0": (log_of_float, 1e-200, 0.0, 1e200, 1e193),
    "tiny": (lambda x: 1e-8 * x * x, 0.5, 0.0, 1e-8, 1e-18),
    "huge": (lambda x: x**3, 1e8, 0.0, 3e16, 1e7),
    "constant": (lambda x: 3.0, 0.5, 0.0, 0.0, 1e-11),
    "a corner nearby": (lambda x: abs(x) + 1.0, 1e-5, 0.0, 1.0, 1e-6),
    "a corner very near": (lambda x: max(1.0 + 1e-9 - x, 0.0), 1.0, 0.0, -1.0, 1e-5),
    "a rounded corner": (lambda x: math.hypot(x, 1e-6), 0.0, 0.0, 0.0, 1e-12),
    "a pole nearby": (lambda x: 1.0 / x, 1e-5, 0.0, -1e10, 1e3),
    "the end of the domain nearby": (lambda x: math.asin(x) if x <= 1 else math.nan, 1 - 1e-9, 0.0, 22360.679783, 1e-1),
    "hidden by rounding": (lambda x: 1e8 + x, 0.3, 1.5e-8, 1.0, 1e-4),
    "unexpected noise": (lambda x: x * x + 1e-15 * math.sin(1e30 * x), 0.7, 0.0, 1.4, 1e-8),
}


@pytest.mark.parametrize("case", SLOPES)
def test_difference(case):
    f, x, rounding, slope, small = SLOPES[case]
    found = difference(f, x, rounding)
    assert abs(found.slope - slope) <= found.error + 1e-12 * abs(slope)
    assert found.error <= small and not found.kink
    assert not found.excludes(slope, 1e-12)
    assert found.excludes(math.nan, 1.0) and found.excludes(slope + 2 * small, 0.0)
    assert found.excludes(math.inf, 1.0) or not slope


UNSETTLED = {  # f, x, whether it is a kink
    "corner": (abs, 0.0, True),
    "corner elsewhere": (lambda x: max(x, 0.7), 0.7, True),
    "jump": (lambda x: float(x > 0.0), 0.0, True),
    "jump, the same on both sides": (lambda x: float(x > 0.0) - float(x < 0.0), 0.0, True),
    "cusp": (lambda x: math.sqrt(abs(x)), 0.0, True),
    "noise": (lambda x: x + 1e-9 * math.sin(1e30 * x), 0.7, True),
    "vertical": (math.cbrt, 0.0, False),
    "too fast": (lambda x: math.sin(1e15 * x), 0.0, False),
    "beyond all digits": (math.sin, 8.699138807848281e184, True),
    "beyond all digits, by chance smooth": (math.cos, 1.9559405951457246e243, True),
    "no smaller step": (log_of_float, 5e-324, False),
    "one side": (lambda x: math.sqrt(x) if x >= 0 else math.nan, 0.0, False),
    "nowhere": (lambda x: math.nan, 0.5, False),
    "at infinity": (math.tanh, math.inf, False),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_differences_that_do_not_settle(case):
    f, x, kink = UNSETTLED[case]
    found = difference(f, x)
    assert found.error == math.inf and found.kink == kink
    assert not any(found.excludes(slope, 0.0) for slope in (0.0, 1e300, math.inf, math.nan))


def test_rounding_can_hide_an_infinite_slope():
    found = difference(lambda x: 1e12 + math.cbrt(x), 0.0)
    assert found.error < math.inf and not found.excludes(math.inf, 0.0)
    assert difference(lambda x: 1e10 + x, 0.0).excludes(math.inf, 0.0)


# ---- right functions ------------------------------------------------------------------------------

POINTS = {name: [(0.7, 1.3, 0.4), (2.1, -0.6, -1.7), (1.2, 3.0, 5.0)] for name in FUNCTIONS}
POINTS |= {name: [(0.7,), (-0.9,), (1e-3,)] for name in ("acos", "asin", "atanh")} | {"acosh": [(1.1,), (7.0,)]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_operation(name):
    for point in POINTS[name]:
        assert gradcheck(FUNCTIONS[name], point[: TABLE[name].arity])


def program(rng):
    """A random function of two numbers, of operations that are defined everywhere; some have kinks."""
    unary = [tanh, sin, exp, sigmoid, softplus, relu, leaky_relu, ops.abs_, ops.atan, ops.asinh, ops.erf, ops.cos]
    binary = [ops.add, ops.sub, ops.mul, maximum, minimum, hypot, logaddexp, lambda a, b: a / (b * b + 1.0)]
    steps = [
        (rng.choice(unary), rng.randrange(k))
        if rng.random() < 0.4
        else (rng.choice(binary), rng.randrange(k), rng.randrange(k))
        for k in range(3, 13)
    ]

    def f(x, y):
        nodes = [x, y, x * 0.5 - y]
        for function, *operands in steps:
            nodes.append(tanh(function(*(nodes[i] for i in operands))))
        return nodes[-1] * nodes[-2]

    return f


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    rng = random.Random(seed)
    assert gradcheck(program(rng), (rng.uniform(-2, 2), rng.uniform(-2, 2)), seed=seed)


def series(x):
    total, term = x * 0.0 + 1.0, 1.0
    for n in range(1, 30):
        term = term * x / n
        total += term
    return total


def ratio(x):
    return x / x + ops.cosh(x)


RIGHT = {
    "tiny gradients": (lambda x, y: 1e-8 * x * tanh(y), (0.3, 0.5)),
    "huge values": (lambda x, y: 1e8 * x * exp(y), (0.3, 10.0)),
    "huge inputs": (lambda x, y: x * y**2, (1e8, -3e8)),
    "tiny inputs": (lambda x, y: x * y + x**3, (1e-8, 1e-12)),
    "mixed": (lambda x, y: 1e8 * x + 1e-8 * y * y, (0.3, 0.5)),
    "offset": (lambda x: 1e8 + x * x, 0.3),
    "zeros": (lambda x, y: x * y + exp(x) - y**2, (0.0, 0.0)),
    "cancelling to 0": (lambda x: 0.1 * (x - 1) ** 2 + 0.2 * (x - 1) ** 2 - 0.3 * (x - 1) ** 2, 1.0),
    "cancelling terms": (ratio, -9.789821425913955e-07),
    "cancelling in an inner node": (lambda x: ratio(2.7501461183650937 * x), -4.6806091695288317e-07),
    "cancelling terms of 1e18": (lambda x: (3.0 * x) / (7.0 * x) + ops.atan2(3.0 * x, x), 4.8e-10),
    "chaotic": (lambda x: sin(exp(exp(x))) + x, 6.0),
    "subnormal": (lambda x, y: x**y, (214232579004.0, -26.01342826501445)),
    "near poles": (lambda x: 1 / x + log(x), 1e-8),
    "near the end of a domain": (lambda x, y: asin(x) * acosh(y), (1 - 1e-9, 1 + 1e-9)),
    "at the end of a domain": (lambda x: x**1.5, 0.0),
    "vertical": (cbrt, 0.0),
    "vertical, hidden by rounding": (lambda x: 1e12 + cbrt(x), 0.0),
    "saturated": (lambda x, y: tanh(x) + sigmoid(y), (30.0, -600.0)),
    "overflowing softplus": (lambda x: softplus(x) + logaddexp(x, 1.0), 900.0),
    "fast": (lambda x: sin(1e6 * x), 1.0),
    "steep": (lambda x: tanh(1e9 * (x - 0.5)), 0.5 + 1e-10),
    "a constant": (lambda x, y: x * 2.0, (0.3, 0.5)),
    "an input as it is": (lambda x, y: y, (0.3, 0.5)),
    "a constant second derivative": (lambda x: 3.0 * x * x - x, 0.3),
    "powers": (lambda x, y: x**y + x**2 + 2**y + x**-1 + x**0.0, (1.3, 0.7)),
    "a branch of Python": (lambda x: x * x if x > 0.3 else sin(x) if x > -0.3 else -x, 0.1),
    "a branch to a number": (lambda x: x * x if x > -0.05 else 7.0, 0.1),
    "a loop": (series, 1.5),
    "several outputs": (lambda x, y: [x * y, (x + y, [x / y])], (0.3, 0.5)),
    "nested inputs": (lambda w, b: tanh(w[0][0] * w[1][0] + w[0][1] + b), ([(0.1, 0.2), (0.3,)], 0.4)),
    "a loss": (lambda z: losses.cross_entropy(z, 1), [[0.3, -1.2, 0.8]]),
    "unselected": (lambda x: where(x > 0, log(where(x > 0, x, 1.0)), x * x), -0.7),
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_functions(case):
    f, inputs = RIGHT[case]
    assert gradcheck(f, inputs)


ON_KINKS = {
    "relu": (relu, 0.0),
    "abs": (abs, 0.0),
    "maximum": (lambda x, y: maximum(x, y) * x, (1.0, 1.0)),
    "minimum of the same": (lambda x: minimum(x, x), 1.0),
    "leaky": (lambda x: leaky_relu(x * 2.0), 0.0),
    "hidden: f has no kink": (lambda x: relu(x) - relu(-x), 0.0),
    "of the second derivative": (lambda x: relu(x) ** 2 + abs(x) * x, 0.0),
    "a jump": (lambda x: where(x, 2.0, x), 0.0),
    "of Python": (lambda x: x if x > 0 else 0 * x, 0.0),
    "an apex": (hypot, (0.0, 0.0)),
    "a dead unit": (lambda w, x: relu(w * x) + w, (0.5, 0.0)),
    "a tie to second order": (lambda x: maximum(sin(x), x), 0.0),
}


@pytest.mark.parametrize("case", ON_KINKS)
def test_inputs_on_a_kink(case):
    f, inputs = ON_KINKS[case]
    assert gradcheck(f, inputs)


# ---- wrong rules ----------------------------------------------------------------------------------


def lecture(w, x, y):
    return (tanh(w * x) - y) ** 2


INPUTS = (Value(0.8, name="w"), Value(1.5, name="x"), Value(0.25, name="y"))

PLANTED = {  # the partial of tanh, the derivative that is told, what is said of the rule
    "square dropped": (
        lambda a, out: 1.0 - out,
        "∂f/∂w",
        "it says 0.166345392988, differences of the value say 0.30501",
    ),
    "sign": (lambda a, out: -ops.sech2(a), "∂f/∂w", "it says -0.305019"),
    "factor 2": (lambda a, out: 2.0 * ops.sech2(a), "∂f/∂w", "it says 0.610039"),
    "z for out": (lambda a, out: 1.0 - a * a, "∂f/∂w", "it says -0.44, "),
    "relative 1e-5": (lambda a, out: ops.sech2(a) * 1.00001, "∂f/∂w", "it says 0.30502"),
    "relative 1e-8": (lambda a, out: ops.sech2(a) * 1.00000001, "∂f/∂w", "it says 0.305019"),
    "nan": (lambda a, out: math.nan, "∂f/∂w", "it says nan"),
    "infinite": (lambda a, out: math.inf, "∂f/∂w", "it says inf"),
    "zero": (lambda a, out: 0.0, "∂f/∂w", "it says 0, "),
    "cut from the graph": (
        lambda a, out: ops.sech2(float(a)),
        "∂²f/∂w²",
        "as a graph: at 1.2 its derivative by operand 1 is 0, differences of the partial say -0.50856265",
    ),
    "half cut from the graph": (
        lambda a, out: 1.0 - out * float(out),
        "∂²f/∂w²",
        "as a graph: at 1.2 its derivative by operand 1 is -0.2542813250",
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_wrong_rule_is_found_and_named(mistake, monkeypatch):
    partial, derivative, says = PLANTED[mistake]
    monkeypatch.setattr(TABLE["tanh"], "partials", (partial,))
    with pytest.raises(GradcheckError) as error:
        gradcheck(lecture, INPUTS)
    head, _, difference_line, *rules = str(error.value).splitlines()
    assert head == f"{derivative} is wrong at w = 0.8, x = 1.5, y = 0.25"
    assert "off by" in difference_line
    assert len(rules) == 1 and rules[0].startswith("  the partial of tanh by operand 1 is wrong") and says in rules[0]
    assert gradcheck(lecture, INPUTS, raise_exception=False) is False


def test_the_message(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: 1.0 - a * a,))
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda w, x: [w[0] + x, tanh(w[0] * x)], ([0.5], Value(1.5, name="x")))
    text = re.sub(r"± \de-\d\d,", "± …,", re.sub(r"(\.\d{6})\d+", r"\1", str(error.value)))
    assert text == (
        "∂f[1]/∂inputs[0][0] is wrong at inputs[0][0] = 0.5, x = 1.5\n"
        "  engine      0.65625\n"
        "  difference  0.894878 ± …, off by 2.7e-01 relative\n"
        "  the partial of tanh by operand 1 is wrong (or its value is): at 0.75 it says 0.4375, "
        "differences of the value say 0.596585"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_error_of_1e_8_in_any_rule_is_found(name, monkeypatch):
    op = TABLE[name]
    right = op.partials
    point = POINTS[name][0][: op.arity]
    out = op.value(*point)
    for i in range(op.arity):
        if right[i](*point, out) == 0.0:
            continue  # no factor changes it
        wrong = lambda *args, i=i: right[i](*args) * (1.0 + 1e-8)  # noqa: E731
        monkeypatch.setattr(op, "partials", (*right[:i], wrong, *right[i + 1 :]))
        with pytest.raises(GradcheckError, match=f"the partial of {name} by operand {i + 1} is wrong"):
            gradcheck(FUNCTIONS[name], point)


def test_the_rule_of_a_rule(monkeypatch):
    """tanh' is sech²: that rule shows in second derivatives only, and is blamed instead of that of tanh."""
    monkeypatch.setattr(TABLE["sech2"], "partials", (lambda a, out: 2.0 * out * tanh(a),))
    with pytest.raises(GradcheckError) as error:
        gradcheck(lecture, INPUTS)
    assert "∂²f/∂w² is wrong" in str(error.value)
    assert "the partial of sech2 by operand 1 is wrong (or its value is)" in str(error.value)
    assert "tanh" not in str(error.value)


def test_a_wrong_value():
    bad = Op("bad", lambda a: 1.01 * math.tanh(a), (lambda a, out: ops.sech2(a),))
    with pytest.raises(
        GradcheckError, match=r"the partial of bad by operand 1 is wrong \(or its value is\): at 0.6 it"
    ):
        gradcheck(lambda x: Value._record(bad, (2.0 * x,)) ** 2, 0.3)


def test_a_wrong_value_in_the_table(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "value", lambda a: 1.01 * math.tanh(a))
    with pytest.raises(GradcheckError, match="the partial of tanh by operand 1 is wrong"):
        gradcheck(lecture, INPUTS)


def test_a_rule_whose_error_does_not_show(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: ops.sech2(a) * 1.001,))
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda x: x + 0.0 * tanh(x), Value(0.3, name="x"))
    assert str(error.value).startswith("a rule is wrong, though f shows nothing at x = 0.3\n  the partial of tanh")


def test_all_wrong_rules_are_named(monkeypatch):
    for name in ("tanh", "sin"):
        monkeypatch.setattr(TABLE[name], "partials", (lambda a, out: 1.0 - a,))
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda x: sin(tanh(x)) + sin(x), 0.3)
    assert str(error.value).count("\n  the partial of ") == 2


WRONG_CHAINS = {
    "overwrites": lambda old, new: new,
    "adds twice": lambda old, new: old + 2.0 * new,
}


@pytest.mark.parametrize("mistake", WRONG_CHAINS)
def test_a_wrong_chain_rule(mistake, monkeypatch):
    """The rules are right, what is made of them is not: only differences of f itself can find it."""

    def gradients(loss, numbers):
        order = module.topological(loss)
        gradient = dict.fromkeys(order, 0.0) | {loss: 1.0}
        for node in reversed(order):
            operands = [numbers[x] if isinstance(x, Value) else x for x in node.operands]
            for operand, partial in zip(node.operands, node.op.partials if node.op else (), strict=True):
                if isinstance(operand, Value):
                    new = partial(*operands, numbers[node]) * gradient[node]
                    gradient[operand] = WRONG_CHAINS[mistake](gradient[operand], new)
        return gradient

    monkeypatch.setattr(module, "gradients", gradients)
    with pytest.raises(GradcheckError, match="the rule of each operation is right, so the graph misses something"):
        gradcheck(lambda x: x * x + x, 0.3)


CUT = {
    "data": (lambda x, y: x * y.data + y, "∂f/∂y is wrong at x = 0.5, y = 2.0\n  engine      1\n  difference  1.5 ± "),
    "float": (lambda x, y: x * float(x) * y, "∂f/∂x is wrong at x = 0.5, y = 2.0\n  engine      1\n  difference  2 ± "),
    "math": (lambda x, y: [y, y * math.exp(x)], "∂f[1]/∂x is wrong at x = 0.5, y = 2.0\n  engine      0\n"),
    "second order only": (
        lambda x, y: x * x.data - x.data**2 / 2 + y,
        "∂²f/∂x² is wrong at x = 0.5, y = 2.0\n  engine      0\n  difference  1 ± ",
    ),
}


@pytest.mark.parametrize("case", CUT)
def test_a_dependence_that_the_graph_misses(case):
    f, message = CUT[case]
    with pytest.raises(GradcheckError) as error:
        gradcheck(f, (Value(0.5, name="x"), Value(2.0, name="y")))
    assert str(error.value).startswith(message)
    assert str(error.value).endswith("misses something: does f use .data or float() of a Value?")


def test_a_gradient_that_is_nan():
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda x: (x**4).sqrt(), 0.0)
    assert str(error.value).startswith(
        "∂f/∂inputs[0] is wrong at inputs[0] = 0.0\n  engine      nan\n  difference  0 ± "
    )
    assert str(error.value).endswith("\n  the partials of sqrt at 0.0 are not finite")


UNCHECKED = {
    "a tie everywhere": (lambda x: maximum(x, x.data), {}, "on a kink of maximum at 1.0, 1.0"),
    "one point": (lambda x: relu(x - 1.0), {"points": 0}, "on a kink of relu at 0.0"),
    "one point, of Python": (lambda x: x * 1.0 if x < 1 else x * 2.0 - 1.0, {"points": 0}, "on a kink of f itself"),
    "one point, vertical": (lambda x: 1e12 + cbrt(x - 1.0), {"points": 0}, "on a point without a slope that settles"),
    "a domain of one point": (lambda x: asin(x) + acosh(x), {}, "on a point without a slope that settles"),
}


@pytest.mark.parametrize("case", UNCHECKED)
def test_what_cannot_be_checked_does_not_pass(case):
    f, options, where_it_is = UNCHECKED[case]
    with pytest.raises(GradcheckError) as error:
        gradcheck(f, Value(1.0, name="x"), **options)
    assert str(error.value) == (
        f"∂f/∂x cannot be checked: x = 1.0 is {where_it_is}, where differences are no witness, "
        "and no other point tried is better"
    )


# ---- how it is called -----------------------------------------------------------------------------


def test_tolerances(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: ops.sech2(a) * 1.0001,))
    assert gradcheck(lecture, INPUTS, rtol=1e-3)
    assert not gradcheck(lecture, INPUTS, rtol=1e-5, raise_exception=False)
    assert gradcheck(lambda x: x * x.data, 0.3, atol=10.0)
    assert not gradcheck(lambda x: x * x.data, 0.3, atol=0.1, raise_exception=False)


def test_the_points_around_find_what_the_inputs_do_not(monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: where(a - 0.31 > 0, 1.0, 0.0) + ops.sech2(a),))
    assert gradcheck(tanh, 0.3, points=0)
    assert not gradcheck(tanh, 0.3, points=8, raise_exception=False)


def test_they_come_nearer_where_f_is_undefined(monkeypatch):
    monkeypatch.setattr(TABLE["sqrt"], "partials", (lambda a, out: 0.5 / out if a > 0.9e-9 else 7.0,))

    def f(x):
        return x.sqrt() * (2e-9 - x).sqrt()

    assert gradcheck(f, 1e-9, points=0)
    assert not gradcheck(f, 1e-9, raise_exception=False)


def test_the_same_seed_is_the_same_check():
    def visited(seed):
        seen = []
        gradcheck(lambda x: seen.append(x.data) or x * x, 0.3, seed=seed)
        return seen

    assert visited(1) == visited(1) != visited(2)


def test_what_f_is_given_and_what_is_left_alone():
    w, bias = Value(0.5, name="w"), Value(0.25, name="b")
    inputs = [[w, 2.0], (True, w)]
    loss = (w * bias).tanh()
    loss.backward()
    before = [(v.data, v.grad, v.name) for v in (w, bias, loss)]
    seen = []

    def f(pair, other):
        seen.append((pair, other))
        return pair[0] * pair[1] * other[0] * other[1] + bias * pair[0]

    assert gradcheck(f, inputs)
    pair, other = seen[0]
    assert type(pair) is list and type(other) is tuple
    assert [v.name for v in (*pair, *other)] == ["w", "inputs[0][1]", "inputs[1][0]", "w"]
    assert [v.data for v in (*pair, *other)] == [0.5, 2.0, 1.0, 0.5]
    assert all(v is not w for v in (*pair, *other))
    assert [(v.data, v.grad, v.name) for v in (w, bias, loss)] == before
    assert inputs == [[w, 2.0], (True, w)]


def test_many_inputs_are_not_all_shown():
    with pytest.raises(GradcheckError, match=r"inputs\[7\] = 7.0, … \(4 more\)\n"):
        gradcheck(lambda *xs: sum(xs) * xs[0].data, [float(i) for i in range(12)])


def test_a_deep_graph():
    def f(x):
        for _ in range(2000):
            x = x * 0.999 + 0.001
        return x

    assert gradcheck(f, 0.3, points=0)


FUNCTION = "gradcheck takes functions that return a Value or a list of them, f returned "
CURE = " (math.* and float() make plain numbers of Values)"
MISUSE = [
    (math.exp, 0.0, TypeError, f"{FUNCTION}float 1.0{CURE}"),
    (lambda x: None, 0.0, TypeError, f"{FUNCTION}NoneType None{CURE}"),
    (lambda x: [], 0.0, TypeError, f"{FUNCTION}list []{CURE}"),
    (lambda x: [x, "x"], 0.0, TypeError, f"{FUNCTION}str 'x'{CURE}"),
    (
        log,
        -1.0,
        ValueError,
        "f is undefined at inputs[0] = -1.0: log(inputs[0] = -1.0) is not defined: the logarithm needs x ≥ 0",
    ),
    (log, 0.0, ValueError, "f is undefined at inputs[0] = 0.0: f is -inf"),
    (lambda x: [x, x / x], 0.0, ValueError, "f is undefined at inputs[0] = 0.0: f[1] is nan"),
    (lambda x: x * math.sqrt(x), -1.0, ValueError, "f is undefined at inputs[0] = -1.0: math domain error"),
    (lambda x: x / (1 // float(x)), 0.0, ValueError, "f is undefined at inputs[0] = 0.0: float floor division by zero"),
    (lambda x: x, math.inf, ValueError, "gradcheck differentiates by finite inputs, got inputs[0] = inf"),
    (lambda: Value(1.0), (), ValueError, "gradcheck differentiates by finite inputs, got none"),
    (lambda x: x, "1", TypeError, "gradcheck takes numbers, Values and lists of them, not str '1'"),
    (lambda x: x, [[1.0, None]], TypeError, "gradcheck takes numbers, Values and lists of them, not NoneType None"),
]


@pytest.mark.parametrize(("f", "inputs", "kind", "message"), MISUSE, ids=[text[-40:] for *_, text in MISUSE])
def test_misuse(f, inputs, kind, message):
    with pytest.raises(kind) as error:
        gradcheck(f, inputs, raise_exception=False)
    assert str(error.value) == message


def test_a_random_function():
    numbers = iter([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^f is random: at inputs\[0\] = 0.5 it gave \[0.5\], then \[1.0\]$"):
        gradcheck(lambda x: x * next(numbers), 0.5)


# ---- the parts that others use ----------------------------------------------------------------------


def test_wrong_partials(monkeypatch):
    x, y = Value(0.5, name="x"), Value(2.0, name="y")
    inner = tanh(x * y)
    loss = (inner - x) * tanh(x * y) + inner
    assert wrong_partials(loss, values(loss)) == []
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: 1.0 - a * a,))
    found = wrong_partials(loss, values(loss))
    assert [(w.node, w.operand, w.partial, w.at) for w in found] == [(inner, 0, 0.0, (1.0,))]
    assert found[0].difference == pytest.approx(1 / math.cosh(1.0) ** 2, rel=1e-9)
    assert str(found[0]).startswith("the partial of tanh by operand 1 is wrong (or its value is): at 1 it says 0, ")
    elsewhere = wrong_partials(loss, values(loss, {x: 0.25}))
    assert [w.at for w in elsewhere] == [(0.5,)]


def test_constants_have_no_partials_to_check(monkeypatch):
    pow_by_base, _ = TABLE["pow"].partials
    monkeypatch.setattr(TABLE["pow"], "partials", (pow_by_base, lambda a, b, out: 7.0))
    assert gradcheck(lambda x: x**3, 0.5)
    assert not gradcheck(lambda x, y: x**y, (0.5, 3.0), raise_exception=False)


KINKS = [
    (relu, 0.0, ["relu"]),
    (lambda x: relu(x) + abs(x) + tanh(x), 0.0, ["relu", "abs"]),
    (lambda x: maximum(x, 1.0) * minimum(2.0, 2.0 * x), 1.0, ["maximum", "minimum"]),
    (lambda x: where(x, x, 1.0), 0.0, ["where"]),
    (lambda x: relu(x) + abs(x) + maximum(x, 1.0), 1e-12, []),
    (lambda x: x.sqrt() + cbrt(x), 0.0, []),
    (lambda x: x * x, 0.0, []),
]


@pytest.mark.parametrize(("f", "x", "names"), KINKS)
def test_kinks(f, x, names):
    loss = f(Value(x))
    assert [node.op.name for node in kinks(loss, values(loss))] == names


def test_zeros_of_gradients_have_the_sign_that_backward_gives():
    x, y = Value(0.0), Value(-0.0)
    loss = -(relu(x) * y) + (x - y) * -0.0 - x * x
    found = gradients(loss, values(loss))
    loss.backward()
    assert all(math.copysign(1.0, found[node]) == math.copysign(1.0, node.grad) for node in module.topological(loss))
    assert 0.0 in found.values()
