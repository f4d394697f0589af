"""no_grad and detect_anomaly: what they give and say, and where they hold: nested, in threads, tasks, generators."""

import asyncio
import contextvars
import copy
import gc
import itertools
import math
import pickle
import re
import sys
import threading
from fractions import Fraction
from unittest import mock

import pytest

import micrograd_like
from micrograd_like import (
    DomainError,
    Value,
    checkpoint,
    custom,
    derivative,
    detect_anomaly,
    draw,
    exp,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    losses,
    maximum,
    no_grad,
    number,
    sigmoid,
    sin,
    sqrt,
    stop_gradient,
    tanh,
    value_and_grad,
    vjp,
    where,
)
from micrograd_like.constant import Constant, constant
from micrograd_like.nn import MLP
from micrograd_like.ops import FUNCTIONS, TABLE
from micrograd_like.train import evaluate, fit

numpy = pytest.importorskip("numpy")


@pytest.fixture(autouse=True)
def _all_is_left():
    yield
    assert number.around.get() is None and not number.asking


def evaluated(f):
    with no_grad():
        return f()


def kind():
    """What an operation gives here."""
    return type(Value(1.0) * 2.0)


# ---- no_grad: the numbers ------------------------------------------------------------------------------------------

OPERATIONS = {
    "w + 1": lambda w: w + 1,
    "2 - w": lambda w: 2 - w,
    "w * w": lambda w: w * w,
    "w / 3": lambda w: w / 3,
    "1 / w": lambda w: 1 / w,
    "2**w": lambda w: 2**w,
    "w**2": lambda w: w**2,
    "w**w": lambda w: w**w,
    "-w": lambda w: -w,
    "abs": abs,
    "a Fraction": lambda w: w * Fraction(1, 3) + Fraction(1, 3) * w,
    "a bool": lambda w: w + True,
    "numpy's float": lambda w: numpy.float64(2) * w + w * numpy.float32(0.1),
    "np.exp": numpy.exp,
    "np.maximum": lambda w: numpy.maximum(w, 0.1),
    "slope": lambda w: w.leaky_relu() + w.leaky_relu(0.5),
    "where": lambda w: where(w, w, 2.0),
    "mixed": lambda w: w * (w + 1) + (w + 1) * w + maximum(w, w * 2) + maximum(w * 2, w) + maximum(0.5, w * 2),
    "division by 0": lambda w: w / (w - w),
    "a chain": lambda w: ((w * 3).exp() + 1).log().tanh(),
    **{name: lambda w, f=f, n=TABLE[name].arity: f(*[w, w + 1, w * 3][:n]) for name, f in FUNCTIONS.items()},
}


def bits(x):
    return float.hex(float(x))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("w", [0.7, -0.3])
def test_constants_of_the_same_bits(name, w):
    def compute():
        try:
            return OPERATIONS[name](Value(w, "w"))
        except DomainError as error:
            return str(error)

    recorded, light = compute(), evaluated(compute)
    if isinstance(recorded, str):
        assert light == recorded
    else:
        assert type(light) is Constant and bits(light) == bits(recorded)


@pytest.mark.parametrize("name", OPERATIONS)
def test_constants_of_constants(name):
    w = 1.7 if name == "acosh" else 0.7
    inside, outside = evaluated(lambda: OPERATIONS[name](constant(w))), OPERATIONS[name](constant(w))
    assert type(inside) is type(outside) is Constant
    assert bits(inside) == bits(outside) == bits(OPERATIONS[name](Value(w)))


def test_a_constant_is_a_number():
    c = constant(-2.75)
    assert (c.data, c.grad, float(c), int(c), bool(c), bool(constant(0.0))) == (-2.75, 0.0, -2.75, -2, True, False)
    assert (round(c), round(c, 1), f"{c:.1f}", f"{c}", repr(c)) == (-3, -2.8, "-2.8", "Constant(data=-2.75)", f"{c}")
    assert c < 1 and c <= Value(-2.75) and Value(0) > c >= -2.75 and max(c, constant(1.0)).data == 1.0
    assert +c is c and c == c and c != constant(-2.75) and len({c, constant(-2.75)}) == 2
    assert (c.name, c.label, c.op, c.operands, c.partials(), c._prev, c._op) == ("", "", None, (), (), (), "")
    assert c._repr_html_() == "<table><tr><td>Constant</td><td>data -2.75</td><td>grad +0</td></tr></table>"
    assert Constant.tanh.__doc__ == Value.tanh.__doc__ and Constant.tanh.__qualname__ == "Constant.tanh"
    assert Value(c).data == -2.75 and math.isfinite(c)
    c.zero_grad()
    c.name = c.label = "c"
    assert c.name == ""
    assert sys.getsizeof(c) < sys.getsizeof(Value(1.0)) and not hasattr(c, "__dict__")
    with pytest.raises(AttributeError):
        c.data = 1.0


def test_numpy_takes_constants():
    a = evaluated(lambda: numpy.array([Value(1.0), Value(2.0)]) * Value(3.0))
    assert a.dtype == object and {*map(type, a)} == {Constant}
    assert a.astype(float).tolist() == [3.0, 6.0] and numpy.sum(a).data == 9.0
    assert type((numpy.exp(a) * 2)[0]) is Constant and (a > 4).tolist() == [False, True]
    assert numpy.array([*a], float).tolist() == [3.0, 6.0]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(again):
    assert type(again(constant(0.5))) is Constant and again(constant(0.5)).data == 0.5
    x = Value(2.0)
    pair = again([x, constant(0.5) * x])
    assert pair[1].data == 1.0


@pytest.mark.parametrize(
    "mix",
    [
        lambda c, x: c * x,
        lambda c, x: x * c,
        micrograd_like.mul,
        lambda c, x: where(x, c, 2.0) * x,
        lambda c, x: sum([c * x]),
        lambda c, x: numpy.multiply(numpy.array([c]), x)[0],
    ],
)
def test_outside_a_constant_is_a_constant_operand(mix):
    x = Value(3.0)
    y = mix(constant(0.5), x)
    assert type(y) is Value and y.data == 1.5
    assert not any(isinstance(z, Constant) for node in micrograd_like.topological(y) for z in node.operands)
    y.backward()
    assert x.grad == 0.5


def test_with_what_is_no_number():
    w, c = Value(2.0), constant(2.0)
    for x in (w, c):
        with pytest.raises(TypeError, match="unsupported operand type"), no_grad():
            x + "1"
        with pytest.raises(TypeError, match="unsupported operand type"), no_grad():
            "1" - x
        with pytest.raises(TypeError, match=r"^maximum takes numbers and Values, not str '1'$"), no_grad():
            x.maximum("1")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda c: c.backward(),
            RuntimeError,
            (
                "Constant(data=2.0) was computed in no_grad, so nothing is known of how: to call backward, compute it "
                "outside of no_grad"
            ),
        ),
        (
            lambda c: grad(lambda x: evaluated(lambda: x * 2))(1.0),
            TypeError,
            (
                "<lambda> returned Constant(data=2.0), which was computed in no_grad, so nothing is known of how: "
                "compute it outside of no_grad"
            ),
        ),
        (lambda c: gradients(c, Value(1.0)), TypeError, "gradients are of a Value, not of Constant Constant(data=2.0)"),
        (lambda c: evaluated(lambda: Value(-1.0, "p").log()), DomainError, "log(p = -1.0) is not defined: the log"),
        (lambda c: (-c).sqrt(), DomainError, "sqrt(-2.0) is not defined: the square root needs x ≥ 0"),
        (draw, TypeError, "Constant"),
    ],
)
def test_what_constants_cannot(call, error, text):
    with pytest.raises(error) as raised:
        call(constant(2.0))
    assert text in str(raised.value)


def test_losses_and_networks():
    model = MLP(2, [3, 2], activation="tanh")
    X, y = [[0.5, -1.0], [1.0, 2.0], [0, 1]], [0, 1, 1]

    def compute(x=(0.5, -1.0)):
        outs = model(x)
        scores = [losses.cross_entropy(outs, 1), losses.hinge(outs[0], -1), losses.squared_error(outs, [1, 2.0])]
        return [*outs, *scores, losses.binary_cross_entropy(outs[0], 0.3), losses.squared_error(1.0, outs[0])]

    for x in ((0.5, -1.0), (Value(0.5), 1), numpy.array([0.5, 1.0]), (constant(0.5), Fraction(1, 3))):
        recorded, light = compute(x), evaluated(lambda x=x: compute(x))
        assert [*map(bits, light)] == [*map(bits, recorded)] and {*map(type, light)} == {Constant}
    assert evaluated(lambda: evaluate(model, X, y, losses.cross_entropy)) == evaluate(model, X, y, losses.cross_entropy)
    with pytest.raises(RuntimeError, match="was computed in no_grad"), no_grad():
        fit(model, X, y, losses.cross_entropy, epochs=1, progress=False)
    model.layers[0].neurons[0].w[0] = 0.0  # pruned
    assert [*map(bits, evaluated(compute))] == [*map(bits, compute())]


def test_custom_operations_and_stop_gradient():
    cube = custom(lambda x: x**3, lambda x: 3 * x * x, name="cube_recording")
    assert evaluated(lambda: cube(Value(2.0))).data == cube(constant(2.0)).data == 8.0
    assert type(evaluated(lambda: stop_gradient(Value(2.0)))) is Constant
    c = constant(3.0)
    scaled = custom(lambda x: 3 * x, lambda x: c, name="scaled_recording")
    assert grad(scaled)(2.0) == 3.0 and hessian(scaled)(2.0) == 0.0


def test_methods_taken_before():
    tanh_of, times, power = Value.tanh, Value.__mul__, Value.maximum
    x = Value(0.5)
    bound = x.exp
    with no_grad():
        assert {type(tanh_of(x)), type(times(x, 2.0)), type(power(x, 1.0)), type(bound())} == {Constant}
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"^exp\(1000.0\) = inf"):
        [f() for f in [Value(1000.0).exp]]
    w = Value(2.0)
    checkpoint(lambda y: tanh_of(times(w, y)))(x).backward()
    expected = w.grad
    w.grad = 0.0
    (w * x).tanh().backward()
    assert w.grad == expected != 0.0


# ---- no_grad beside what differentiates ----------------------------------------------------------------------------

EVERY = {
    "grad": lambda f, x: grad(f)(x),
    "value_and_grad": lambda f, x: value_and_grad(f)(x),
    "jvp": lambda f, x: jvp(f, (x,), (1.0,)),
    "vjp": lambda f, x: vjp(f, x)[1](1.0)[0],
    "jacobian": lambda f, x: jacobian(lambda y: [f(y), f(y)])(x),
    "hessian": lambda f, x: hessian(f)(x),
    "hvp": lambda f, x: hvp(f, (x,), (1.0,)),
    "derivative": lambda f, x: derivative(f, 3)(x),
    "grad grad": lambda f, x: grad(grad(f))(x),
    "checkpoint": lambda f, x: grad(checkpoint(f))(x),
}


@pytest.mark.parametrize("how", EVERY)
@pytest.mark.parametrize("argument", [0.5, Value(0.5), constant(0.5)], ids=["a number", "a Value", "a Constant"])
def test_in_no_grad_derivatives_are_to_be_had(how, argument):
    def f(x):
        return sin(x * x) * tanh(x)

    def numbers(x):
        return [numbers(y) for y in x] if isinstance(x, (tuple, list)) else float(x)

    with no_grad():
        inside = EVERY[how](f, argument)
        assert kind() is Constant
    assert numbers(inside) == numbers(EVERY[how](f, argument))


@pytest.mark.parametrize("how", EVERY)
def test_in_what_is_differentiated_no_grad_gives_constants(how):
    def f(x):
        c = evaluated(lambda: exp(x))
        assert type(c) is Constant
        return c * x

    assert EVERY[how](f, 0.5) == EVERY[how](lambda x: stop_gradient(exp(x)) * x, 0.5)


def test_a_checkpoint_in_no_grad():
    light = evaluated(lambda: checkpoint(lambda x: [x * x, x])(Value(3.0)))
    assert [type(x) for x in light] == [Constant, Constant] and light[0].data == 9.0


# ---- where they hold -----------------------------------------------------------------------------------------------


def test_parts_in_parts():
    assert kind() is Value
    with no_grad():
        with detect_anomaly(), no_grad():
            assert kind() is Constant
        with detect_anomaly():
            assert kind() is Constant
            with pytest.raises(FloatingPointError, match=r"^exp\(1000.0\) = inf"):
                Value(1000.0).exp()
            with pytest.raises(FloatingPointError, match=r"^exp\(1000.0\) = inf"):
                (Value(1.0) * 1000).exp()
        assert math.isinf(Value(1000.0).exp())
        assert kind() is Constant
    assert kind() is Value
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert kind() is Value


@no_grad()
def twice(x):
    return x * 2


def test_above_a_function():
    assert type(twice(Value(1.0))) is Constant and type(twice(Value(1.0))) is Constant and kind() is Value


def inside(part):
    with part():
        while True:
            yield


PARTS = [no_grad, detect_anomaly, no_grad]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_generators_that_are_left_in_any_order(order):
    """What holds is what the parts that are still open say."""
    open_ones = [inside(part) for part in PARTS]
    for one in open_ones:
        next(one)
    left = {0, 1, 2}
    for i in order:
        left.discard(i)
        open_ones[i].close()
        light, watched = bool(left & {0, 2}), 1 in left
        assert kind() is (Constant if light else Value)
        if watched:
            with pytest.raises(FloatingPointError):
                Value(1000.0).exp()
        else:
            assert math.isinf(Value(1000.0).exp())


def test_a_generator_left_after_the_part_around_it():
    with no_grad():
        one = inside(detect_anomaly)
        next(one)
    with pytest.raises(FloatingPointError):
        Value(1000.0).exp()
    assert kind() is Value
    del one
    gc.collect()
    assert math.isinf(Value(1000.0).exp())


def test_a_generator_that_is_left_in_another_context():
    one = inside(no_grad)
    next(one)
    elsewhere = contextvars.copy_context()
    assert elsewhere.run(kind) is Constant
    elsewhere.run(one.close)
    assert kind() is elsewhere.run(kind) is Value
    two = inside(no_grad)
    contextvars.copy_context().run(next, two)
    assert kind() is Value
    two.close()
    assert kind() is Value
    with no_grad():  # so that what is closed is let go of
        pass


def test_threads():
    steps, kinds = threading.Barrier(2, timeout=20), []

    def other():
        with no_grad():
            steps.wait()
            kinds.append(kind())
            steps.wait()

    thread = threading.Thread(target=other)
    thread.start()
    steps.wait()
    assert kind() is Value
    with no_grad():
        steps.wait()
        thread.join()
        assert kind() is Constant
    assert kind() is Value and kinds == [Constant]


def test_many_threads_at_once():
    def run(part, wanted, wrong):
        for _ in range(300):
            with part():
                if kind() is not wanted:
                    wrong.append(part)

    wrong = []
    parts = [(no_grad, Constant), (detect_anomaly, Value)] * 2
    threads = [threading.Thread(target=run, args=(*each, wrong)) for each in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tasks():
    async def light():
        with no_grad():
            await asyncio.sleep(0)
            first = kind()
            await asyncio.sleep(0.01)
            return first, kind()

    async def recorded():
        kinds = []
        for _ in range(5):
            kinds.append(kind())
            await asyncio.sleep(0.003)
        return tuple(kinds)

    async def outlives():
        with no_grad():
            task = asyncio.ensure_future(recorded())
            await asyncio.sleep(0.004)
        return await task

    async def generator():
        with no_grad():
            yield kind()

    async def start(it):
        return await anext(it)

    async def main():
        left_open = generator()
        first = await asyncio.ensure_future(start(left_open))
        found = await asyncio.gather(light(), recorded(), light(), outlives())
        return first, *found

    first, one, two, three, four = asyncio.run(main())
    assert first is Constant and one == three == (Constant, Constant)
    assert four[0] is Constant and four[-1] is Value  # a task is in the part it was started in until that ends
    assert {*two} <= {Constant, Value}


def test_many_parts_leave_nothing_and_cost_nothing():
    for _ in range(20_000):
        with no_grad():
            pass
    assert "tanh" in vars(Value) and kind() is Value and not number.asking


# ---- detect_anomaly ------------------------------------------------------------------------------------------------


def message(f):
    """Without the number and the text of the line."""
    with mock.patch("linecache.getline", return_value=""), pytest.raises(FloatingPointError) as error, detect_anomaly():
        f()
    return re.sub(r"\(test_recording\.py, line \d+\)", "(here)", str(error.value))


X = Value(0.0, "x")


def way():
    x = Value(0.0, "x")
    s = sqrt(x)
    s.name = "s"
    loss = s * 2
    loss.name = "loss"
    return loss


def long_way():
    node = sqrt(Value(0.0, "x"))
    for i in range(20):
        node = node + 1.0
        node.name = f"n{i}"
    return node


def to_a_leaf():
    return Value(0.5) * 2 + sqrt(X) * 2


OUTSIDE = Value(1e200, "big") * 1e200

FORWARD = {
    "a pole": (X.log, "log(x = 0.0) = -inf (here)"),
    "nan": (lambda: X / (X * 2), "div(x = 0.0, 0.0) = nan (here)"),
    "a function": (lambda: exp(Value(1e3)), "exp(1000.0) = inf (here)"),
    "digits": (lambda: Value(1e200 / 3) * 1.1e308, "mul(3.33333e+199, 1.1e+308) = inf (here)"),
    "reflected": (lambda: 1 / X, "div(1.0, x = 0.0) = inf (here)"),
    "a long name": (
        lambda: Value(0.0, "a" * 60).log(),
        "log(" + "a" * 23 + "… = 0.0) = -inf (here)",
    ),
    "in grad": (lambda: grad(lambda x: x.log())(0.0), "log(0.0) = -inf (here)"),
    "in a checkpoint": (lambda: checkpoint(lambda x: x.log())(X), "log(0.0) = -inf (here)"),
}

BACKWARD = {
    "backward": (
        lambda: way().backward(),
        "∂/∂x of sqrt(x = 0.0) is inf (here), on the way to the loss: s → loss",
    ),
    "backward, a long way": (
        lambda: long_way().backward(),
        "∂/∂x of sqrt(x = 0.0) is inf (here), on the way to the loss: n0 → n1 → n2 → n3 → … → n19",
    ),
    "backward, of any leaf": (
        lambda: to_a_leaf().backward(),
        "∂/∂x of sqrt(x = 0.0) is inf (here)",
    ),
    "backward, recorded outside": (OUTSIDE.backward, "mul(big = 1e+200, 1e+200) = inf"),
    "backward, a leaf": ((Value(math.inf, "w") * 0.5).backward, "the leaf w = inf, on the way to the loss: w"),
    "gradients": (lambda: gradients(sqrt(X), X), "∂/∂x of sqrt(x = 0.0) is inf (here)"),
    "a product": (
        lambda: grad(lambda x: 1e200 * (1e-200 * (1e200 * (1e-200 * (x * 1e200)))) * 1e200)(1.0),
        "mul(1e+200, 1e+200) = inf (here)",
    ),
    "a product, not in the value": (
        lambda: grad(lambda x: 1e200 * (1e200 * x))(0.0),
        "∂/∂operand 2 of mul(1e+200, 0.0) is 1e+200, and 1e+200 times that makes inf (here)",
    ),
    "a sum": (
        lambda: grad(lambda x: 1.5e308 * x + 1.5e308 * x)(0.0),
        "∂/∂operand 2 of mul(1.5e+308, 0.0) is 1.5e+308, and 1.0 times that makes the sum inf (here)",
    ),
}

# f(x) at 0 has a derivative that is not finite, and a value that is.
FIRST = "∂/∂operand 1 of sqrt(0.0) is inf (here)"
KIN = {
    "grad": (lambda f: grad(f)(0.0), FIRST),
    "value_and_grad": (lambda f: value_and_grad(f)(0.0), FIRST),
    "grad by a Value": (lambda f: grad(f)(Value(0.0)), FIRST),
    "jvp": (lambda f: jvp(f, (0.0,), (1.0,)), FIRST),
    "vjp": (lambda f: vjp(f, 0.0)[1](1.0), FIRST),
    "jacobian, backward": (lambda f: jacobian(f)(0.0), FIRST),
    "jacobian, forward": (lambda f: jacobian(lambda x: [f(x), x, x])(0.0), FIRST),
    "hessian": (lambda f: hessian(f)(0.0), FIRST),
    "hvp": (lambda f: hvp(f, (0.0,), (1.0,)), FIRST),
    "derivative": (
        lambda f: derivative(f)(0.0),
        "the coefficient of order 1 of sqrt(0.0) is inf (here)",
    ),
    "grad of grad": (lambda f: grad(grad(f))(0.0), FIRST),
    "grad of a checkpoint": (lambda f: grad(checkpoint(f))(0.0), FIRST),
    "a checkpoint by a Value": (lambda f: grad(checkpoint(f))(Value(0.0)), FIRST),
}

SECOND = {
    "hessian": (
        lambda: hessian(lambda x: x**1.5)(0.0),
        "∂/∂operand 1 of pow(0.0, 0.5) is inf (here)",
    ),
    "hvp": (
        lambda: hvp(lambda x: x**1.5, (0.0,), (2.0,)),
        "∂/∂operand 1 of pow(0.0, 0.5) is inf (here)",
    ),
    "derivative": (
        lambda: derivative(lambda x: x**1.5, 3)(0.0),
        "the coefficient of order 2 of pow(0.0, 1.5) is inf (here)",
    ),
    "grad of grad": (
        lambda: grad(grad(lambda x: x**1.5))(0.0),
        "∂/∂operand 1 of pow(0.0, 0.5) is inf (here)",
    ),
    "hessian by a Value": (
        lambda: hessian(lambda x: x**1.5)(Value(0.0)),
        "∂/∂operand 1 of pow(0.0, 0.5) is inf (here)",
    ),
}


@pytest.mark.parametrize("case", FORWARD)
def test_the_first_operation(case):
    f, text = FORWARD[case]
    assert message(f) == text


@pytest.mark.parametrize("case", BACKWARD)
def test_the_first_gradient(case):
    f, text = BACKWARD[case]
    assert message(f) == text
    assert X.grad == 0.0


@pytest.mark.parametrize("case", KIN)
def test_every_function_that_differentiates(case):
    how, text = KIN[case]
    assert message(lambda: how(lambda x: sqrt(x) * 1.0)) == text


@pytest.mark.parametrize("case", SECOND)
def test_second_derivatives(case):
    f, text = SECOND[case]
    assert message(f) == text


def test_the_line_is_that_of_the_program():
    with pytest.raises(FloatingPointError) as error, detect_anomaly():
        Value(0.0, "p").log()
    assert str(error.value).endswith(': Value(0.0, "p").log())')
    with pytest.raises(DomainError) as error, detect_anomaly():
        Value(-1.0, "p").log()
    assert str(error.value).startswith("log(p = -1.0) is not defined: the logarithm needs x ≥ 0 (test_recording.py, li")
    with pytest.raises(FloatingPointError) as error, detect_anomaly():
        losses.squared_error(Value(1e300), 0.0) + MLP(1, [1])([1.0]) + sigmoid(Value(1.0)) + 1 + 2 + 3 + 4 + 5 + 6 + 7
    assert len(str(error.value)) < 200 and "losses.py" not in str(error.value)


NO_ALARM = {
    "of a constant": lambda: grad(lambda x: stop_gradient(x) * x)(2.0),
    "not depended on": lambda: grad(lambda x: x * 2 + sqrt(X))(1.0),
    "of another node": lambda: gradients(sqrt(X) + X * 2, Value(1.0)),
    "of a checkpoint, by another operand": lambda: grad(checkpoint(lambda y: y * 2 + sqrt(X)))(1.0),
    "of a checkpoint, of another output": lambda: grad(lambda x: checkpoint(lambda y: [y * 2, sqrt(y)])(x)[0])(0.0),
    "hvp, not depended on": lambda: hvp(lambda x: x * x + sqrt(X), (1.0,), (1.0,)),
    "jvp, not depended on": lambda: jvp(lambda x, y: x * 2 + sqrt(y) * 0, (1.0, 0.0), (1.0, 0.0)),
    "hessian, not depended on": lambda: hessian(lambda x: x * x + sqrt(X))(1.0),
    "derivative, not depended on": lambda: derivative(lambda x: x * x + sqrt(X), 2)(1.0),
    "an exponent that is constant": lambda: grad(lambda x: x**2)(-1.0),
    "a Value in the exponent": lambda: grad(lambda x: x ** Value(2.0))(-1.0),
    "all of them": lambda: [EVERY[how](lambda x: sin(x) * x**1.3 / sqrt(x + 1), 0.5) for how in EVERY],
    "all of them by a Value": lambda: [EVERY[how](lambda x: tanh(x) * x**1.3, Value(0.5)) for how in EVERY],
    "nan in, nan out": lambda: Value(math.nan) * 2,
    "backward": (X * 2 + 1).backward,
    "inf in the argument": lambda: grad(lambda x: 2 * x)(math.inf),
}


@pytest.mark.parametrize("case", NO_ALARM)
def test_no_false_alarm(case):
    with detect_anomaly():
        inside = NO_ALARM[case]()
    X.zero_grad()
    assert repr(inside) == repr(NO_ALARM[case]()) or isinstance(inside, Value)
    X.zero_grad()


def test_backward_gives_the_same_and_outside_nothing_is_watched():
    x = Value(0.5)
    with detect_anomaly():
        (x.tanh() * x).backward()
    inside, x.grad = x.grad, 0.0
    (x.tanh() * x).backward()
    assert x.grad == inside
    with detect_anomaly():
        loss = way()
    loss.backward()
    assert math.isinf(grad(sqrt)(0.0)) and math.isinf(hessian(lambda x: x**1.5)(0.0))
