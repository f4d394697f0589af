"""Functions whose graph is not kept: that nothing else changes, for whatever reads a graph."""

import gc
import math
import pickle
import random
import re
import time

import pytest

from micrograd_like import (
    Value,
    checkpoint,
    compare,
    derivative,
    derive,
    diagnose,
    draw,
    explore,
    grad,
    gradcheck,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    no_grad,
    sin,
    stop_gradient,
    tanh,
    where,
)
from micrograd_like.constant import Constant
from micrograd_like.walks import topological

# ---- gradients -----------------------------------------------------------------------------------------------------


def recurrence(w, x, n):
    for _ in range(n):
        x = (w * x).sin() + 1
    return x


@pytest.mark.parametrize("every", [1, 10, 100])
def test_checkpoints_change_nothing(every):
    w, x = Value(0.5), Value(0.1)
    recurrence(w, x, 300).backward()
    expected = w.grad, x.grad
    w.grad = x.grad = 0.0
    part = checkpoint(lambda y: recurrence(w, y, every))
    y = x
    for _ in range(300 // every):
        y = part(y)
    y.backward()
    assert (w.grad, x.grad) == pytest.approx(expected, rel=1e-12, abs=0.0)  # the products are taken in parts
    assert len(checkpoint(lambda a: [a, a * w])(x)) == 2


def test_a_checkpoint_counts_no_way_twice():
    """It uses a node from outside, and what that node is made of."""
    w = Value(0.7)
    inner = w * w
    checkpoint(lambda x: inner * w * x)(Value(1.0)).backward()
    assert w.grad == pytest.approx(3 * 0.7**2)
    by_both = hessian(lambda p: checkpoint(lambda x: sin(p[0] * x) * p[1])(p[1]))([0.7, 1.5])
    assert by_both[0] == pytest.approx(hessian(lambda p: sin(p[0] * p[1]) * p[1])([0.7, 1.5])[0], rel=1e-12)
    assert by_both[0][1] == pytest.approx(by_both[1][0], rel=1e-12)


def test_higher_orders():
    def f(x):
        return x * tanh(x) ** 2

    light = checkpoint(f)
    assert hessian(light)(0.3) == pytest.approx(hessian(f)(0.3), rel=1e-13)
    assert hvp(light, (0.3,), (2.0,)) == pytest.approx(2 * hessian(f)(0.3), rel=1e-13)
    assert derivative(light, 4)(0.3) == pytest.approx(derivative(f, 4)(0.3), rel=1e-11)
    assert grad(grad(grad(light)))(0.3) == pytest.approx(derivative(f, 3)(0.3), rel=1e-11)


def several(x, y, w):
    shared = sin(x * w)
    return {"a": shared * y, "b": [shared + w, x, w, 2.0, where(x > 0, shared, y)]}


def test_several_outputs_some_of_them_operands_or_constants():
    w = Value(0.4)
    light = checkpoint(lambda x, y: several(x, y, w))
    for how in (jacobian, lambda f, n: lambda x, y: jvp(f, (x, y), (0.3, 0.7))[1]):
        of_light, plain = how(light, (0, 1))(0.5, 1.5), how(lambda x, y: several(x, y, w), (0, 1))(0.5, 1.5)
        assert of_light["a"] == pytest.approx(plain["a"], rel=1e-14)
        assert all(a == pytest.approx(b, rel=1e-14) for a, b in zip(of_light["b"], plain["b"], strict=True))
    out = light(Value(0.5), 1.5)
    (out["a"] + sum(out["b"])).backward()
    assert w.grad == pytest.approx(1.5 * 0.5 * math.cos(0.2) + 2 * 0.5 * math.cos(0.2) + 2)


def test_keyword_arguments_are_differentiated_too():
    def f(x, *, scale, parts):
        return scale * sin(x) + parts["b"][0] * x

    light = checkpoint(f)
    x, scale, b = Value(0.3), Value(2.0), Value(5.0)
    light(x, scale=scale, parts={"b": [b, 1.0]}).backward()
    assert (x.grad, scale.grad, b.grad) == pytest.approx((2 * math.cos(0.3) + 5, math.sin(0.3), 0.3))
    assert light(0.3, scale=2.0, parts={"b": (5.0,)}) == 2 * math.sin(0.3) + 1.5
    assert light.__name__ == "f"
    with pytest.raises(TypeError, match=re.escape("the arguments of f['scale'] should have numbers, Values, and")):
        light(x, scale="2", parts={"b": [b]})


def test_without_gradients_it_is_the_function():
    light = checkpoint(lambda x: x * 2 + 1)
    assert light(3.0) == 7.0
    with no_grad():
        assert type(light(Value(3.0))) is Constant and light(Value(3.0)).data == 7.0


def test_what_is_in_a_function_is_left_alone():
    """It may differentiate by itself, by the weights that a gradient is on the way to, and inside another one."""
    w = Value(0.6)

    def f(x):
        return x * grad(lambda y: sin(y * x) * w)(0.5) * w

    inner = checkpoint(f)
    outer = checkpoint(lambda x: inner(x) * inner(w) + w)

    def gradients_of(program):
        w.grad = 0.0
        program(Value(0.8)).backward()
        return w.grad

    assert gradients_of(inner) == pytest.approx(gradients_of(f), rel=1e-14)
    assert gradients_of(outer) == pytest.approx(gradients_of(lambda x: f(x) * f(w) + w), rel=1e-14)

    def with_backward(x):
        leaf = Value(x.data)
        (leaf * w).backward()
        return x * w * leaf.grad

    w.grad = 0.0
    (checkpoint(with_backward)(Value(0.8)) + w).backward()
    # 0.8 by each call of its own backward; 0.8 · 0.6 + 1 through it, whose leaf.grad is a number
    assert w.grad == pytest.approx(2 * 0.8 + 0.8 * 0.6 + 1)


def test_random_programs():
    rng = random.Random(0)
    for _ in range(100):
        weights = [Value(rng.uniform(-1, 1)) for _ in range(5)]
        steps = [(rng.randrange(4), rng.randrange(5), rng.randrange(2)) for _ in range(12)]

        def program(x, y, weights=weights, steps=steps):
            for kind, i, which in steps:
                w, z = weights[i], (x, y)[which]
                z = (z * w, sin(z) + w, where(z > 0, z, w * y), z - stop_gradient(w) * x)[kind]
                x, y = (z, y) if which else (x, z)
            return x, x * y

        found = []
        for f in (program, checkpoint(program)):
            for w in weights:
                w.grad = 0.0
            x, y = Value(0.3), Value(-0.8)
            a, b = f(x, y)
            for loss in (a * b, b):
                loss.backward()
            slopes = gradients(a * b, weights)
            slopes[0].backward()
            found.append([x.grad, y.grad, *(w.grad for w in weights), *(s.data for s in slopes)])
        assert found[0] == pytest.approx(found[1], rel=1e-11, abs=1e-13)


def test_it_gives_the_same_each_time():
    w = Value(2.0)
    y = checkpoint(lambda x: w * x)(Value(3.0))
    w.data = 5.0
    with pytest.raises(RuntimeError) as error:
        y.backward()
    assert str(error.value) == (
        "checkpoint: <lambda> gave [15.0] now, and [6.0] when it was called; it has to give the same each time (no "
        "random numbers, no data changed since)"
    )
    x = Value(0.0)
    (checkpoint(lambda x: x / x)(x) * 2).backward()  # nan is the same as nan
    assert math.isnan(x.grad)


def test_it_is_called_twice_and_linear_in_the_weights():
    calls = []

    def seconds(count):
        weights = [Value(0.1) for _ in range(count)]
        light = checkpoint(lambda x: calls.append(count) or sum(sin(w * x) for w in weights))
        times = []
        for _ in range(5):
            start = time.process_time()
            light(Value(0.5)).backward()
            times.append(time.process_time() - start)
        return min(times)

    gc.disable()  # it takes longer the more there is elsewhere
    try:
        few, many = seconds(500), seconds(8000)
    finally:
        gc.enable()
    assert calls == [500] * 10 + [8000] * 10
    assert many < 64 * few  # 16 times as long; if it were quadratic, 256 times


# ---- what reads graphs ---------------------------------------------------------------------------------------------


def graph():
    w, x = Value(0.5, "w"), Value(0.3, "x")
    return w, x, checkpoint(lambda a: sin(a * w) + a)(x) * 2


def test_it_is_one_operation_for_pictures():
    _, _, loss = graph()
    assert [node.op.name for node in topological(loss) if node.op] == ["checkpoint", "mul"]
    assert "checkpoint" in draw(loss).svg
    assert '"partials":[1.4943' in explore(loss).html


def test_it_is_an_operation_at_other_numbers():
    w, _, loss = graph()
    whole = loss.operands[0]
    assert whole.op.value(0.7, 0.9) == math.sin(0.63) + 0.7
    assert whole.op.slopes_at((0.7, 0.9, 0.0), [1, 0]) == pytest.approx(
        [0.7 * math.cos(0.63), 0.9 * math.cos(0.63) + 1]
    )
    assert whole.partials() == pytest.approx((0.5 * math.cos(0.15) + 1, 0.3 * math.cos(0.15)))
    assert compare(loss, {"x": "2 cos(w x) w + 2", "w": "2 cos(w x) x"})
    assert not compare(loss, {"x": "cos(w x) w + 2"})
    assert "wrong, but I cannot tell why" in str(diagnose(loss, {"x": "cos(w x) w + 2"}))
    assert gradcheck(checkpoint(lambda a: sin(a * w) + a), (0.3,))


def test_nothing_is_derived_through_it():
    w, x, loss = graph()
    with pytest.raises(ValueError, match="keeps no graph") as error:
        derive(loss, x)
    assert str(error.value) == (
        "checkpoint keeps no graph of its function, so nothing can be derived through it: build the graph with the "
        "function itself"
    )
    whole = loss.operands[0]
    whole.name = "c"
    assert str(derive(loss * w, "c")) == "∂L/∂c = 2 w"


def test_it_cannot_be_pickled():
    with pytest.raises(
        TypeError, match="what a checkpointed function gave cannot be pickled: the function would be lost"
    ):
        pickle.dumps(graph()[2])
