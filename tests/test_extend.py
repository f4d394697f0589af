"""Operations of one's own: `custom`, and `stop_gradient`."""

import math
import pickle
import random
import re

import pytest

from micrograd_like import (
    Value,
    custom,
    derivative,
    derive,
    diagnose,
    exp,
    grad,
    gradcheck,
    hessian,
    jvp,
    nn,
    no_grad,
    ops,
    sigmoid,
    stop_gradient,
    tanh,
    topological,
)


def make_swish(name="swish"):
    return custom(
        lambda x: x / (1 + math.exp(-x)), lambda x, out: out + sigmoid(x) * (1 - out), name=name, text="swish({0})"
    )


# ---- what it is known as ---------------------------------------------------------------------------------------------


def test_custom_operations_are_read_as_all_others():
    swish = make_swish()
    assert gradcheck(swish, (0.7,))
    assert hessian(swish)(0.7) == pytest.approx(derivative(lambda x: x * sigmoid(x), 2)(0.7), rel=1e-12)
    assert swish(0.7) == swish(Value(0.7)).data
    wrong = custom(lambda x: x**3, lambda x: 2 * x**2, name="wrong")
    with pytest.raises(AssertionError, match="the partial of wrong by operand 1 is wrong"):
        gradcheck(wrong, (0.7,))


def test_formulas_know_its_name():
    swish = make_swish()
    w, x = Value(0.8, "w"), Value(1.5, "x")
    loss = swish(w * x)
    loss.name = "f"
    assert str(derive(loss, w)).endswith("= x (f + sigmoid(w x)(1 - f))")
    assert diagnose(loss, {w: "x (swish(w x) + sigmoid(w x) (1 - swish(w x)))"})


def test_networks_know_its_name():
    with pytest.raises(ValueError, match="activation 'swish' is not known"):
        nn.MLP(2, [3, 1], activation="swish")
    swish = make_swish()
    assert ops.FUNCTIONS["swish"] is swish
    by_name, by_function = (nn.MLP(2, [3, 1], activation=f, rng=random.Random(0)) for f in ("swish", swish))
    assert by_name([1.0, -2.0]).data == by_function([1.0, -2.0]).data
    assert str(by_name) == "MLP 2-3-1, swish linear, 13 parameters"
    with pytest.raises(ValueError, match=r"choose None, a function, or one of .*, swish, "):
        nn.MLP(2, [3, 1], activation="swosh")


def test_no_value_gets_a_method():
    """Neither now nor when operators are made again."""
    custom(lambda x: 2 * x, 2.0, name="data")
    make_swish()
    with no_grad():
        assert Value(3.0).data == 3.0 and not hasattr(Value, "swish")
    assert Value(3.0).data == 3.0 and not hasattr(Value, "swish")


# ---- pickles, and names that are defined anew ------------------------------------------------------------------------

cubed = custom(lambda x: x**3, lambda x: 3 * x**2, name="cubed")
del ops.TABLE["cubed"], ops.FUNCTIONS["cubed"]


def test_a_graph_is_loaded_where_its_operations_are_defined():
    saved = pickle.dumps(make_swish()(Value(0.7, "x")))
    loaded = pickle.loads(saved)
    assert loaded.op is ops.TABLE["swish"]
    loaded.backward()
    assert topological(loaded)[0].grad == grad(ops.FUNCTIONS["swish"])(0.7)
    del ops.TABLE["swish"]
    with pytest.raises(LookupError) as error:
        pickle.loads(saved)
    assert str(error.value) == (
        "the pickled graph has an operation 'swish', which is not there: define it first, with "
        "custom(..., name='swish')"
    )


def test_a_function_is_pickled_as_the_functions_of_its_module():
    assert cubed.__module__ == __name__
    assert pickle.loads(pickle.dumps(cubed)) is cubed
    with pytest.raises((pickle.PicklingError, AttributeError), match="swish"):
        pickle.dumps(make_swish())


def test_older_graphs_keep_what_they_have():
    twice = custom(lambda x: 2 * x, 2.0, name="times")
    x = Value(1.0)
    old = twice(x)
    thrice = custom(lambda x: 3 * x, 3.0, name="times")
    assert (twice(1.0), thrice(1.0), twice(x).data, thrice(x).data) == (2.0, 3.0, 2.0, 3.0)
    old.backward()
    assert x.grad == 2.0 and grad(twice)(1.0) == 2.0 and grad(thrice)(1.0) == 3.0
    with pytest.raises(TypeError) as error:
        pickle.dumps(old)
    assert str(error.value) == (
        "a pickle names its operations, and 'times' has been defined anew since this graph was recorded: "
        "record it again"
    )
    assert pickle.loads(pickle.dumps(thrice(x))).op is ops.TABLE["times"]


# ---- mistakes --------------------------------------------------------------------------------------------------------

AT_DEFINITION = {
    "a name that is there": (
        lambda: custom(math.tanh, 1.0), ValueError, "an operation named 'tanh' is there already; choose another name=",
    ),
    "no name": (
        lambda: custom(lambda x: x, 1.0), ValueError, "an operation needs a name, as name='swish', got '<lambda>'",
    ),
    "no partial": (lambda: custom(lambda x: x, name="f"), TypeError, "f: give a partial derivative for each operand"),
    "a partial of too many": (
        lambda: custom(lambda x: x, lambda x, y, out: 1.0, name="f"), TypeError,
        "partial 1 of f takes x, y, out, and should take the operands, which are 1, or these and the result",
    ),
    "a partial of too few": (
        lambda: custom(lambda x, y: x * y, lambda x, y: y, lambda y: y, name="f"), TypeError,
        "partial 2 of f takes y, and should take the operands, which are 2, or these and the result",
    ),
    "a partial of nothing": (
        lambda: custom(lambda x: x, lambda: 1.0, name="f"), TypeError,
        "partial 1 of f takes nothing, and should take the operands, which are 1, or these and the result",
    ),
    "a value of more": (
        lambda: custom(lambda x, y: x * y, lambda x, y: y, name="f"), TypeError,
        "the value of f takes x, y, and there are partial derivatives for 1",
    ),
    "a partial that is text": (
        lambda: custom(lambda x: x, "1", name="f"), TypeError,
        "f takes partials that are functions or numbers, not str '1'",
    ),
    "text of other operands": (
        lambda: custom(lambda x: x, 1.0, name="f", latex=r"\frac{{0}}{{2}} {1}"), ValueError,
        "f is written with {0}, {1}, … for its operands, which are 1, and {{ }} for braces, not as '",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AT_DEFINITION)
def test_mistakes_at_definition(case):
    define, error, text = AT_DEFINITION[case]
    with pytest.raises(error, match=re.escape(text)):
        define()
    assert "f" not in ops.TABLE


WHEN_USED = {
    "a partial that gives nothing": (
        lambda: grad(custom(lambda x: x, lambda x: None, name="f"))(0.5),
        "partial 1 of f gives NoneType None, and should give a number or a Value",
    ),
    "a partial that gives text": (
        lambda: custom(lambda x, y: x, 1.0, lambda x, y: "0", name="f")(Value(0.5), Value(0.5)).backward(),
        "partial 2 of f gives str '0', and should give a number or a Value",
    ),
    "a value that gives nothing": (
        lambda: custom(lambda x: None, 1.0, name="f")(0.5),
        "f takes a function that returns numbers, not NoneType None",
    ),
    "floats for Values": (
        lambda: grad(grad(custom(math.exp, lambda x: math.exp(getattr(x, "data", x)), name="f")))(0.5),
        (
            "partial 1 of f gives a float for Values, so its own derivative is lost: use the functions of "
            "micrograd_like in it (exp, log, …) in place of those of math"
        ),
    ),
}


@pytest.mark.parametrize("case", WHEN_USED)
def test_mistakes_when_it_is_used(case):
    use, text = WHEN_USED[case]
    with pytest.raises(TypeError) as error:
        use()
    assert str(error.value) == text


def test_functions_of_math_have_one_derivative():
    lost = custom(math.exp, math.exp, name="lost")
    assert grad(lost)(0.5) == exp(0.5)
    with no_grad(), pytest.raises(TypeError, match=r"was to become a plain number|gives a float for Values"):
        grad(grad(lost))(0.5)


@pytest.mark.parametrize(
    "partial",
    [lambda x: 2 * x, lambda x, out: 2 * x, lambda *all_of_them: 2 * all_of_them[0], lambda x, factor=2: factor * x],
    ids=["operands", "and the result", "any", "a default"],
)
def test_ways_to_write_a_partial(partial):
    f = custom(lambda x: x * x, partial, name="f")
    assert (grad(f)(3.0), hessian(f)(3.0), derivative(f, 3)(3.0)) == (6.0, 2.0, 0.0)


def test_many_operands():
    f = custom(lambda a, b, c, d: a * b + c * d, *(lambda a, b, c, d, i=i: (b, a, d, c)[i] for i in range(4)), name="f")
    assert gradcheck(f, (0.5, 0.7, -1.2, 2.0)) and f.__doc__.startswith("f(x, y, z, u), of numbers")


# ---- power series ----------------------------------------------------------------------------------------------------

CUBES = {
    "products": (lambda x: x * x * x, lambda x: 3 * x * x),
    "a power": (lambda x: x**3, lambda x: 3 * x**2),
    "of the result": (lambda x: x**3, lambda x, out: 3 * out / x),
}


@pytest.mark.parametrize("case", CUBES)
def test_series_of_a_polynomial_end(case):
    f = custom(*CUBES[case], name="cube")
    found = [derivative(f, n)(0.7) for n in range(12)]
    assert found[:4] == pytest.approx([0.343, 1.47, 4.2, 6.0], rel=1e-14)
    if case == "of the result":  # a quotient, whose series does not know that it ends: rounding, times n!
        assert found[4:] == pytest.approx([0.0] * 8, abs=1e-3)
    else:
        assert found[4:] == [0.0] * 8


# ---- stop_gradient ---------------------------------------------------------------------------------------------------


def test_stop_gradient():
    def f(x):
        return stop_gradient(x * x) * x * x

    assert grad(f)(3.0) == 54.0 and grad(grad(f))(3.0) == hessian(f)(3.0) == derivative(f, 2)(3.0) == 18.0
    assert jvp(stop_gradient, (3.0,), (1.0,)) == (3.0, 0.0) and derivative(stop_gradient)(3.0) == 0.0
    assert (stop_gradient(3), type(stop_gradient(3))) == (3.0, float)
    assert grad(lambda x: x + stop_gradient(round(x.data) - x))(2.3) == 1.0  # straight through


def running(x):
    """A sum that a stopped one divides, with another number of calls on either side of 1."""
    total = 0.0
    for k in range(3 if x < 1 else 4):
        total = total + x**k / stop_gradient(1 + total * x)
    return total


STOPPED = {
    "alone": (lambda x: x * stop_gradient(x * x), 0.7),
    "straight through": (lambda x: x + stop_gradient(round(x.data) - x), 2.3),
    "a target": (lambda x, y: (stop_gradient(tanh(x) * y) - y * x) ** 2, (0.3, 0.8)),
    "in a loop": (running, 0.99),
    "of a number": (lambda x: x * stop_gradient(2.0), 0.5),
    "without effect": (lambda x: x * x + 0 * stop_gradient(x), 0.5),
    "of another function": (lambda x: x * grad(lambda y: y**2 * stop_gradient(y * x))(x), 0.5),
}


@pytest.mark.parametrize("case", STOPPED)
def test_gradcheck_holds_what_is_stopped(case):
    f, inputs = STOPPED[case]
    assert gradcheck(f, inputs)


def test_gradcheck_sees_what_is_wrong_beside():
    wrong = custom(lambda x: x**3, lambda x: 2 * x**2, name="wrong")
    for f in (
        lambda x: x * stop_gradient(x) + x * x.data,
        lambda x: stop_gradient(x) * wrong(x),
        lambda x: stop_gradient(wrong(x)) * x + x**2,
    ):
        assert not gradcheck(f, 0.7, raise_exception=False)
