"""A Value as a Python number, as numpy's, and as something to copy and to pickle."""

import copy
import math
import pickle
import re
from decimal import Decimal
from fractions import Fraction

import pytest

import micrograd_like
from micrograd_like import Value, topological
from micrograd_like.ops import FUNCTIONS, TABLE

# ---- Python ---------------------------------------------------------------------------------------


def test_conversions():
    v = Value(-2.75)
    assert (float(v), int(v), bool(v), bool(Value(0)), round(v), round(v, 1)) == (-2.75, -2, True, False, -3, -2.8)
    assert (f"{v:.1f}", f"{v:+08.3f}", f"{v}") == ("-2.8", "-002.750", "Value(data=-2.75, grad=0.0)")
    assert type(abs(v)) is Value and abs(v).data == 2.75 and +v is v


def test_whole_numbers():
    v = Value(-2.75)
    found = (math.floor(v), math.ceil(v), math.trunc(v), int(v), round(v))
    assert found == (-3, -2, -2, -2, -3) and {type(x) for x in found} == {int}
    with pytest.raises(TypeError, match="list indices must be integers or slices, not Value"):
        [1, 2][v]


@pytest.mark.parametrize(
    "divide",
    [
        lambda v: v // 2, lambda v: 2 // v, lambda v: v % 2, lambda v: 2.0 % v, lambda v: divmod(v, 2),
        lambda v: divmod(2, v), lambda v: v // v, lambda v: Fraction(2) // v,
    ],
)  # fmt: skip
def test_quotients_that_are_rounded(divide):
    with pytest.raises(TypeError) as error:
        divide(Value(7.5))
    assert re.fullmatch(
        r"//, % and divmod are no operations of Values, here of Value\(data=7.5, grad=0.0\) and .*: take q = "
        r"math.floor\(a.data / b.data\) where just the number is meant, and a - q \* b for the remainder",
        str(error.value),
    )
    a, b = Value(7.5), Value(2.0)
    remainder = a - math.floor(a.data / b.data) * b
    remainder.backward()
    assert (remainder.data, a.grad, b.grad) == (1.5, 1.0, -3.0)


def test_repr():
    x = Value(2, name="x")
    (x * 3).backward()
    assert repr(x) == "Value(data=2.0, grad=3.0, name='x')"
    assert repr(Value(0.1)) == "Value(data=0.1, grad=0.0)"
    assert (x * 3)._repr_html_() == "<table><tr><td>Value</td><td>*</td><td>data 6</td><td>grad +0</td></tr></table>"
    assert "<td>&lt;b&gt;</td>" in Value(1, name="<b>")._repr_html_()


@pytest.mark.parametrize("constant", [2, 2.0, True, Fraction(5, 2)])
def test_constants_on_either_side(constant):
    number = float(constant)
    v = Value(3.0)
    pairs = [
        (v + constant, 3 + number), (constant + v, 3 + number), (v - constant, 3 - number), (constant - v, number - 3),
        (v * constant, 3 * number), (constant * v, 3 * number), (v / constant, 3 / number), (constant / v, number / 3),
        (v**constant, 3**number), (constant**v, number**3),
    ]  # fmt: skip
    for node, expected in pairs:
        assert type(node) is Value and node.data == pytest.approx(expected, rel=1e-15)


def test_in_place_forms_make_new_nodes():
    v = w = Value(3.0)
    w += 1
    w -= 2
    w *= 3
    w /= 4
    w **= 2
    assert (v.data, w.data) == (3.0, 2.25) and w is not v
    w.backward()
    assert v.grad == 2.25


@pytest.mark.parametrize("bad", ["2", b"2", 2j, None, [2], (2,), {}, Decimal(2)], ids=repr)
def test_what_is_no_number(bad):
    v = Value(1.0)
    kind = type(bad).__name__
    for operate in (lambda: v + bad, lambda: bad - v, lambda: v**bad, lambda: bad / v):
        with pytest.raises(TypeError, match="unsupported operand type"):
            operate()
    for name in ("tanh", "maximum"):
        with pytest.raises(TypeError) as error:
            FUNCTIONS[name](*[bad] * TABLE[name].arity)
        assert str(error.value) == f"{name} takes numbers and Values, not {kind} {bad!r}"
    with pytest.raises(TypeError) as error:
        Value(bad)
    assert str(error.value) == f"Value takes a number, not {kind} {bad!r}"
    with pytest.raises(TypeError):
        v.data = bad
    assert v.data == 1.0


def test_comparisons_are_of_data():
    a, b = Value(1.0), Value(2.0)
    assert a < b and a <= b and b > a and b >= a and a < 2 and a > 0 and a >= 1.0 and not a > b
    assert not Value(math.nan) < 1 and not Value(math.nan) > 1
    assert Value(0.1) > Fraction(1, 10) and Value(2.0**53) < 2**53 + 1 and a < 10**400
    assert max(a, b) is b and sorted([b, a])[0] is a
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Value' and 'str'"):
        a < "2"


def test_a_value_equals_only_itself():
    a, b = Value(1.0), Value(1.0)
    assert a == a and a != b and a != 1.0
    assert len({a, b, a}) == 2 and {a: "a"}[a] == "a"


def test_names_and_other_attributes():
    v = Value(1.0, label="a")
    assert v.name == v.label == "a"
    v.label = "b"
    v.colour = "red"
    assert (v.name, v.colour) == ("b", "red")
    assert (Value(1.0).name, Value(1.0, "c").name) == ("", "c")


def test_operands_are_not_given():
    for arguments in ((1.0, (Value(2.0),)), (1.0, (Value(2.0),), "tanh"), (1.0, "name", "tanh")):
        with pytest.raises(TypeError) as error:
            Value(*arguments)
        assert str(error.value) == (
            "Value(data, name): a node with operands is made by applying an operation to them; "
            "how to add an operation is in CONTRIBUTING.md"
        )


def test_a_value_is_not_data():
    with pytest.raises(TypeError, match=r"^Value takes a number, not Value Value\(data=2.0, grad=0.0\)$"):
        Value(1.0).data = Value(2.0)
    with pytest.raises(TypeError, match=r"^Value takes a number, not ndarray array\(\[1., 2.\]\)$"):
        Value(numpy.array([1.0, 2.0]))


def test_micrograds_manual_backward():
    x = Value(3.0)
    a = x * 2
    loss = a * x
    loss.grad = 1.0
    loss._backward()
    a._backward()
    assert (a.grad, x.grad) == (3.0, 12.0)


def test_what_micrograds_drawing_code_reads():
    a = Value(2.0)
    c = a * 3
    assert c._op == "*" and a._op == "" and a._prev == ()
    assert c._prev[0] is a and c._prev[1].data == 3.0


def test_leaky_relu_has_its_usual_slope():
    assert micrograd_like.leaky_relu(-2.0) == -0.02
    assert Value(-2.0).leaky_relu().data == -0.02
    assert Value(-2.0).leaky_relu(0.5).data == -1.0


# ---- numpy ----------------------------------------------------------------------------------------

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int64", "int8", "uint8", "bool_", "longdouble"])
def test_numpy_scalars_on_either_side(kind):
    number = getattr(numpy, kind)(1)
    v = Value(3.0)
    for node, expected in ((number * v, 3), (v * number, 3), (number - v, -2), (v - number, 2), (number / v, 1 / 3)):
        assert type(node) is Value and node.data == expected
    assert (number < v) and (v > number)
    assert Value(number).data == Value(numpy.array(number)).data == 1.0 and micrograd_like.neg(number) == -1.0


NUMPY_NAMES = {
    "abs": "absolute", "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "div": "divide", "mul": "multiply", "neg": "negative", "pow": "power",
    "sub": "subtract",
}  # fmt: skip
NOT_IN_NUMPY = {"erf", "leaky_relu", "relu", "sigmoid", "softplus", "where"}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - NOT_IN_NUMPY))
def test_numpy_functions(name):
    ufunc = getattr(numpy, NUMPY_NAMES.get(name, name))
    numbers = [1.5 if name == "acosh" else 0.5, 0.25][: TABLE[name].arity]
    expected = float(ufunc(*numbers))
    node = ufunc(*map(Value, numbers))
    assert type(node) is Value and node.op is TABLE[name] and node.data == pytest.approx(expected, rel=1e-14)
    if len(numbers) == 2:
        assert [x.data for x in ufunc(numpy.array([numbers[0]] * 2), Value(numbers[1]))] == [node.data] * 2
    if name not in ("logaddexp", "maximum", "minimum"):  # numpy itself has no loop over objects, or compares
        column = ufunc(*(numpy.array([Value(number)]) for number in numbers))
        assert type(column[0]) is Value and column[0].data == node.data


@pytest.mark.parametrize(
    ("name", "operands"),
    [("square", [3.0]), ("reciprocal", [4.0]), ("positive", [-2.0]), ("fabs", [-2.0]), ("float_power", [3.0, 2.0])]
    + [
        (name, pair) for name in ("less", "less_equal", "greater", "greater_equal") for pair in ([1, 2], [2, 2], [3, 2])
    ],
    ids=str,
)
def test_numpys_other_names(name, operands):
    ufunc = getattr(numpy, name)
    first, *rest = operands
    assert float(ufunc(Value(first), *rest)) == float(ufunc(*operands))


def test_what_numpy_cannot_do_with_values():
    with pytest.raises(TypeError):
        numpy.add.accumulate(Value(1.0))
    target = numpy.array([None, None])
    result = numpy.multiply(Value(2.0), numpy.array([3.0, 4.0]), out=target)
    assert result is target and [x.data for x in target] == [6.0, 8.0]


def test_arrays_act_elementwise():
    v = Value(3.0)
    array = numpy.array([[1.0], [2.0]])
    for product in (array * v, v * array):
        assert product.shape == (2, 1) and [x.data for x in product.flat] == [3.0, 6.0]
    total = numpy.sum(array * v) + numpy.array([v, v]) @ numpy.array([1.0, 4.0])
    total.backward()
    assert (total.data, v.grad) == (24.0, 8.0)
    assert (array > v).dtype == bool and (array < v).all()
    assert type(numpy.array(2.0) * v) is Value


def test_an_array_of_floats_cannot_take_values():
    array = numpy.array([1.0, 2.0])
    with pytest.raises(TypeError) as error:
        array *= Value(2.0)
    assert str(error.value) == (
        "numpy.multiply cannot put Values into an array of float64; "
        "make the array with dtype=object, or write a = a * v instead of a *= v"
    )
    objects = array.astype(object)
    objects *= Value(2.0)
    assert [x.data for x in objects] == [2.0, 4.0]


def test_arrays_given_to_our_functions():
    with pytest.raises(TypeError, match=r"not ndarray array\(\[1.\]\) \(for arrays use numpy.tanh\)"):
        micrograd_like.tanh(numpy.array([1.0]))


def test_numpys_complex_numbers():
    with pytest.raises(TypeError, match="mul takes numbers and Values, not complex 1j"):
        numpy.complex128(1j) * Value(1.0)


# ---- copies and pickles ----------------------------------------------------------------------------


def graph():
    x = Value(3.0, name="x")
    h = x * 2
    h.colour = "red"
    loss = h**2 + micrograd_like.where(True, h, x)
    return x, h, loss


def clones():
    def by_pickle(protocol):
        return lambda values: pickle.loads(pickle.dumps(values, protocol))

    return [copy.deepcopy, *map(by_pickle, range(pickle.HIGHEST_PROTOCOL + 1))]


@pytest.mark.parametrize("clone", clones())
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_copied_graph_works(clone, order):
    originals = graph()
    copied = clone([originals[i] for i in order])
    x, h, loss = (copied[order.index(i)] for i in range(3))
    assert loss.operands[0].operands[0] is h and h.operands[0] is x
    assert (x.name, h.colour, loss.data) == ("x", "red", 42.0)
    loss.backward()
    assert (x.grad, h.grad) == (26.0, 13.0)
    assert originals[0].grad == 0.0


def test_a_shallow_copy_shares_the_operands():
    x, _h, loss = graph()
    twin = copy.copy(loss)
    assert twin is not loss and twin.operands == loss.operands
    twin.backward()
    assert x.grad == 26.0


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_deep_graphs_are_copied_without_recursion(clone):
    y = x = Value(0.5)
    for _ in range(50_000):
        y = y * 1.0
    copied = clone(y)
    copied.backward()
    assert topological(copied)[0].grad == 1.0 and x.grad == 0.0


def test_a_pickle_that_failed_spoils_no_other():
    def deep():
        y = Value(0.5)
        for _ in range(20_000):
            y = y * 1.0
        return y

    bad = Value(1.0)
    bad.attribute = lambda: None
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(bad * 2)
    assert pickle.loads(pickle.dumps(deep())).data == 0.5
    x = Value(1.0)
    x.history = deep()
    assert topological(pickle.loads(pickle.dumps(x * 2)))[0].history.data == 0.5


def test_functions_and_methods_can_be_pickled():
    for function in (micrograd_like.abs, micrograd_like.tanh, Value.tanh):
        assert pickle.loads(pickle.dumps(function)) is function


def test_a_pickle_carries_no_code():
    import pickletools

    names = {arg for op, arg, _ in pickletools.genops(pickle.dumps(graph()[2])) if isinstance(arg, str)}
    assert "micrograd_like.ops" in names
    assert not names & {"eval", "exec", "system", "<lambda>"}
