"""Derivatives of ordinary functions: `grad`, `jacobian`, `hessian` and their kin, by the names of JAX.

A function is called once, with Values in the place of the numbers it is differentiated by, and the graph that it
records is read: backwards for gradients, forwards for tangents and for power series. No `grad` of a Value is touched.

Arguments and results are numbers, and nested lists, tuples, dicts and numpy arrays of them; a derivative has the shape
of what it is by. It is made of floats; of Values where the argument is a Value, or inside another of these functions,
so that they nest.

>>> from micrograd_like import sin
>>> grad(sin)(0.0), grad(grad(sin))(0.0), derivative(sin, 3)(0.0)
(1.0, 0.0, -1.0)
>>> value_and_grad(lambda p: p["a"] * p["x"][0] ** 2 + p["x"][1])({"a": 2.0, "x": [3.0, 1.0]})
(19.0, {'a': 9.0, 'x': [12.0, 1.0]})
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from operator import index
from threading import Lock
from typing import Any, Self

from .constant import Constant
from .engine import Value, adjoints
from .number import differentiated
from .ops import TABLE, apply, number, same
from .recording import Check, compiling, reads, recorded
from .series import Made, Series, is_zero, series
from .walks import topological

Function = Callable[..., Any]

_lock = Lock()

# ---- functions of functions --------------------------------------------------------------------------------


def grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the gradient of f: ∂f/∂argument, in the shape of the argument.

    f: returns one number. argnums: by which positional argument, or several of them, for a tuple of gradients.

    What f does not depend on has 0. The returned function raises TypeError for arguments that are no numbers, and if f
    returns something else than a Value, as the number inside of one; ValueError if it has no such argument.
    """
    both = value_and_grad(f, argnums)

    @like(f)
    def gradient(*args: Any, **named: Any) -> Any:
        return both(*args, **named)[1]

    gradient.derivative_of = "grad", f, argnums  # type: ignore[attr-defined]  # for `compile`
    return gradient


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives (f, its gradient). See `grad`.

    What `scipy.optimize.minimize(value_and_grad(f), x0, jac=True)` asks for.
    """

    @like(f)
    def value_and_gradient(*args: Any, **named: Any) -> tuple[Any, Any]:
        with _Call(f, args, named, argnums) as call:
            out = call.single("value_and_grad and grad need one number; jacobian takes several")
            gradients = backward([out], [1.0], call.variables, call.symbolic, call.order)
        return call.result(out), call.by_argument(gradients)

    value_and_gradient.derivative_of = "value_and_grad", f, argnums  # type: ignore[attr-defined]
    return value_and_gradient


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(f(*primals), its derivative along the tangents), by going forward through the graph once.

    primals: all positional arguments of f. tangents: a direction for each of them, of the same shape.
    """
    with _Call(f, _tuple(primals), {}, range(len(primals))) as call:
        along = call.directions(tangents)
        moving = _forward(call.order, along, call.symbolic)
        outs, rebuild = call.outputs()
    return rebuild([call.result(x) for x in outs]), rebuild([call.result(_tangent(moving, x)) for x in outs])


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """(f(*primals), the function from a cotangent of the shape of f to those of the primals, a tuple)."""
    with _Call(f, primals, {}, range(len(primals))) as call:
        outs, rebuild = call.outputs()

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        seeds = _aligned(cotangent, call.out, "the cotangent", f"what {call.name} returned")
        symbolic = any(isinstance(seed, Value) for seed in seeds)
        gradients = backward(outs, seeds, call.variables, call.symbolic or symbolic)
        return tuple(call.by_argument(gradients, symbolic))

    return rebuild([call.result(x) for x in outs]), pullback


def jacobian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the derivative of every output of f by every number in the argument.

    It has the shape of what f returns, with the shape of the argument in the place of each number; of numpy arrays it
    is one array, of shape (*output, *argument). It goes backward once for each output, or forward once for each number
    of the argument, whichever is less.
    """

    @like(f)
    def jacobian_of(*args: Any, **named: Any) -> Any:
        with _Call(f, args, named, argnums) as call:
            outs, rebuild = call.outputs()
            if call.symbolic or not _is_cheaper_forward(outs, call):
                rows = [backward([out], [1.0], call.variables, call.symbolic) for out in outs]
            else:
                tangents = [_forward(call.order, {v: 1.0}, call.symbolic) for v in call.variables]
                rows = [[_tangent(moving, out) for moving in tangents] for out in outs]
        if not getattr(call.out, "ndim", 0):
            return rebuild([call.by_argument(row) for row in rows])
        # Of an array, the derivatives are arrays, one for each part of the argument.
        columns = [[call.result(row[i]) for row in rows] for i in range(len(call.variables))]
        parts = zip(call.places, call.split(columns), strict=True)
        shaped = tuple(_by_part(given, part, call.out.shape) for given, part in parts)
        return shaped if call.several else shaped[0]

    return jacobian_of


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of f by its first argument, times a direction: the derivative of grad(f) along the tangents.

    primals, tangents: as for `jvp`. The result has the shape of the first argument. It is the gradient of the
    derivative along the tangents, at the price of a few gradients.
    """
    with _Call(f, _tuple(primals), {}, range(len(primals))) as call:
        out = call.single("hvp needs one number")
        along = call.directions(tangents)
        tangent = _tangent(_forward(call.order, along, symbolic=True), out)
        return call.by_argument(backward([tangent], [1.0], call.variables, call.symbolic))[0]


def hessian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives the second derivatives of f by every pair of numbers in the argument.

    It has the shape of the argument, with that shape again in the place of each number; of a numpy array of shape (n,)
    it is one of shape (n, n). The gradient is recorded once, and gone back through once for each number.
    """

    @like(f)
    def hessian_of(*args: Any, **named: Any) -> Any:
        with _Call(f, args, named, argnums) as call:
            out = call.single("hessian needs one number")
            slopes = backward([out], [1.0], call.variables, symbolic=True)
            rows = [backward([slope], [1.0], call.variables, call.symbolic) for slope in slopes]
        blocks = tuple(
            tuple(
                rebuild([inner([call.result(x) for x in part]) for part in (list(call.split(row))[j] for row in own)])
                if own or not hasattr(first, "shape")
                else _array([], (*first.shape, *getattr(call.places[j], "shape", ())))
                for j, (_, inner) in enumerate(call.arguments)
            )
            for first, own, (_, rebuild) in zip(call.places, call.split(rows), call.arguments, strict=True)
        )
        return blocks if call.several else blocks[0][0]

    return hessian_of


def derivative(f: Function, n: int = 1) -> Function:
    """The function that gives the n-th derivative of f, a function of one number.

    By a power series of f at the point, whose coefficients cost n² for each operation: order 30 is quick.
    Raises ValueError for an n that is no whole number or negative.
    """
    if not hasattr(n, "__index__") or n < 0:
        raise ValueError(f"n, the order of the derivative, should be a whole number of at least 0, got {n!r}")
    n = index(n)

    def nth(x: Any) -> Any:
        with _Call(f, (x,), {}, 0) as call:
            out = call.single("derivative needs one number")
            if len(call.variables) != 1 or call.arguments[0][1] is not _alone:
                raise TypeError(f"derivative is of functions of one number, not of {type(x).__name__}; use grad")
            if call.symbolic:
                nested: Any = out
                for _ in range(n):
                    (nested,) = backward([nested], [1.0], call.variables, symbolic=True)
                return call.result(nested)
            if n == 0:
                return call.result(out)
            found = _series(call, {call.variables[0]: [1.0]}, n)
            nth_derivative = found[out][n] if out in found else 0.0
            for k in range(2, n + 1):  # n! itself may be beyond the floats
                nth_derivative *= k
            found[call.variables[0]].forget()
            return nth_derivative

    return nth


def gradients(loss: Value, wrt: Any) -> Any:
    """∂loss/∂node as Values, which can be differentiated again: what torch calls `create_graph=True`.

    wrt: a node of the graph, a leaf or an inner one, or a list, tuple or dict of them; the result has its shape. What
    loss does not depend on has a Value of 0. No `grad` is touched.

    Raises TypeError if loss is no Value, or wrt holds something else than Values.

    >>> x = Value(2.0)
    >>> slope = gradients(x**3, x)
    >>> slope.backward()
    >>> slope.data, x.grad
    (12.0, 12.0)
    """
    if not isinstance(loss, Value):
        raise TypeError(f"gradients are of a Value, not of {type(loss).__name__} {loss!r:.60}")
    nodes, rebuild = flatten(wrt, "wrt")
    for node in nodes:
        if not isinstance(node, Value):
            raise TypeError(f"wrt should hold Values of the graph, not the number {node!r}")
    found = backward([loss], [1.0], nodes, symbolic=True)
    return rebuild([x if isinstance(x, Value) else Value(x) for x in found])


def like(f: Function) -> Callable[[Function], Function]:
    """Gives the function that differentiates f its signature and its name."""
    return wraps(f, assigned=("__module__", "__name__", "__qualname__"), updated=())


# ---- a call with Values in the place of numbers --------------------------------------------------------------


class _Call:
    """f called with fresh Values in its arguments `argnums`; a context, in which what depends on them stays Values.

    variables: these Values, in order. arguments: for each argument its numbers and how to put such together again.
    order: the graph of what f returned. symbolic: are derivatives Values? later: only because a function is compiled,
    and they depend on Values from outside, which may have other numbers when the code runs?
    """

    def __init__(self, f: Function, args: tuple[Any, ...], named: dict[str, Any], argnums: Any):
        if not callable(f):
            raise TypeError(f"what is differentiated is a function, not {type(f).__name__} {f!r:.60}")
        self.name = getattr(f, "__name__", "the function")
        self.several = not hasattr(argnums, "__index__")
        try:
            self._places = [index(place) for place in (argnums if self.several else [argnums])]
        except TypeError:
            raise TypeError(f"argnums is a whole number, or several of them, not {argnums!r:.60}") from None
        for place in self._places:
            if not -len(args) <= place < len(args):
                raise ValueError(
                    f"{self.name} was called with {len(args)} positional arguments, and is to be differentiated by "
                    f"number {place} (the first is 0)"
                )
        self._f, self._args, self._named = f, list(args), named
        self.places = [args[place] for place in self._places]

    def __enter__(self) -> Self:
        self._recording = recorded()  # in no_grad, too, derivatives are to be had
        self._recording.__enter__()
        self.arguments: list[tuple[list[Any], Callable[[list[Any]], Any]]] = []
        self.variables: list[Value] = []
        try:
            for place, x in zip(self._places, self.places, strict=True):
                numbers, rebuild = flatten(x, f"argument {place} of {self.name}")
                fresh = [same(x) if isinstance(x, Value) else Value(x) for x in numbers]
                self._args[place] = rebuild(fresh)
                self.arguments.append((numbers, rebuild))
                self.variables += fresh
            with _lock:
                differentiated.update(self.variables)
            self.out = self._f(*self._args, **self._named)
            outs, rebuild = flatten(self.out, f"what {self.name} returned")
            if rebuild is _alone and not isinstance(self.out, Constant):
                self.out = outs[0]  # numpy gives arrays of no dimension
            self.order = topological(*(x for x in outs if isinstance(x, Value)))
        except BaseException:
            self.__exit__()
            raise
        outer = differentiated.difference(self.variables)
        self.symbolic = any(isinstance(x, Value) for numbers, _ in self.arguments for x in numbers) or (
            bool(outer) and not outer.isdisjoint(self.order)
        )
        self.later = (
            not self.symbolic and compiling() and any(x.op is None for x in set(self.order).difference(self.variables))
        )
        self.symbolic |= self.later
        return self

    def __exit__(self, *exception: object) -> None:
        with _lock:
            differentiated.difference_update(self.variables)
        self._recording.__exit__(None, None, None)

    def single(self, need: str) -> Value:
        """What f returned, which has to be one Value."""
        if isinstance(self.out, Value):
            return self.out
        shown = f"{type(self.out).__name__} {self.out!r:.60}"
        if isinstance(self.out, Constant):
            raise TypeError(
                f"{self.name} returned {self.out!r}, which was computed in no_grad, so nothing is known of how: "
                "compute it outside of no_grad"
            )
        if isinstance(self.out, (float, int)):
            raise TypeError(
                f"{self.name} returned {shown}, no Value, so nothing is known of how it was computed: return what the "
                "operations gave, not its .data; where it is constant, add 0 * x"
            )
        raise TypeError(f"{self.name} returned {shown}: {need}")

    def outputs(self) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """What f returned, as a list, and how to put such together again."""
        return flatten(self.out, f"what {self.name} returned")

    def result(self, x: Any, symbolic: bool = False) -> Any:
        """What is given back: a float, or a Value where derivatives are Values, also if it is constant."""
        if self.later and not symbolic:  # as a float: nothing goes back through it
            with recorded():
                return apply(TABLE["stop_gradient"], (x,))
        if self.symbolic or symbolic:
            return x if isinstance(x, Value) else Value(x)
        return x._data if isinstance(x, Value) else x

    def split(self, numbers: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """What belongs to each argument, of what there is one of for each variable."""
        start = 0
        for own, _ in self.arguments:
            yield numbers[start : start + len(own)]
            start += len(own)

    def by_argument(self, numbers: Sequence[Any], symbolic: bool = False) -> Any:
        """Numbers, one for each variable, in the shapes of the arguments."""
        parts = zip(self.split(numbers), self.arguments, strict=True)
        shaped = tuple(rebuild([self.result(x, symbolic) for x in part]) for part, (_, rebuild) in parts)
        return shaped if self.several else shaped[0]

    def directions(self, tangents: Sequence[Any]) -> dict[Value, Any]:
        """The variables with their tangents."""
        if not isinstance(tangents, (list, tuple)):
            raise TypeError(
                f"tangents are a tuple, one for each primal, not {type(tangents).__name__} {tangents!r:.60}"
            )
        if len(tangents) != len(self.arguments):
            raise ValueError(f"there are {len(self.arguments)} primals, and {len(tangents)} tangents")
        along: list[Any] = []
        for i, (tangent, primal) in enumerate(zip(tangents, self.places, strict=True)):
            along += _aligned(tangent, primal, f"tangent {i}", "the primal")
        if any(isinstance(x, Value) for x in along):
            self.symbolic, self.later = True, False
        return dict(zip(self.variables, along, strict=True))


# ---- reading the graph -----------------------------------------------------------------------------------------


def _numbers(node: Value, symbolic: bool) -> tuple[Any, ...]:
    """The operands and the result of a node, as its partials take them."""
    if symbolic:
        return (*node.operands, node)
    return (*(x._data if isinstance(x, Value) else x for x in node.operands), node._data)


def depending_on(some: Iterable[Value], order: Iterable[Value]) -> set[Value]:
    """These nodes, and those of the order that were computed from them."""
    found = set(some)
    for node in order:
        if not found.isdisjoint(node.operands):
            found.add(node)
    return found


@reads
def backward(
    outs: Sequence[Any],
    seeds: Sequence[Any],
    variables: Sequence[Value],
    symbolic: bool,
    order: Sequence[Value] | None = None,
    *,
    check: Check | None = None,
) -> list[Any]:
    """Σ seed · ∂out/∂variable for each variable.

    order: what gradients go back through, unless that is all the outs were computed from.
    """
    seeded = [(out, seed) for out, seed in zip(outs, seeds, strict=True) if isinstance(out, Value)]
    if order is None:
        order = topological(*(out for out, _ in seeded))
    if not symbolic and check is None:
        return adjoints(order, seeded, variables)
    depending = depending_on(variables, order)
    gradient: dict[Value, Any] = {}
    for out, seed in seeded:
        if out in depending:
            gradient[out] = gradient[out] + seed if out in gradient else seed
    sweep(order, gradient, lambda node: _numbers(node, symbolic), depending, check)
    found = [gradient.get(variable, 0.0) for variable in variables]
    return found if symbolic else [x + 0.0 for x in found]  # which makes 0.0 of -0.0, as in `adjoints`


def sweep(
    order: Sequence[Value],
    gradient: dict[Value, Any],
    numbers: Callable[[Value], tuple[Any, ...]],
    depending: Container[Value],
    check: Check | None = None,
) -> None:
    """Take the gradients of some nodes back to all that they depend on, in place. The chain rule, and nothing else.

    order: operands before results. numbers: of a node, the operands and the result, as partials take them; what these
    are, gradients are too. depending: the nodes that matter. check: is shown each sum.
    """
    for node in reversed(order):
        op = node.op
        if op is None or node not in gradient or node not in depending:
            continue
        operands: tuple[Any, ...] = node.operands
        upstream = gradient[node]
        through = [i for i, x in enumerate(operands) if op.passes[i] and x in depending]
        for i, slope in zip(through, op.slopes_at(numbers(node), through), strict=True):
            x, flow = operands[i], _times(slope, upstream)
            gradient[x] = gradient[x] + flow if x in gradient else flow
            if check is not None:
                check(order, node, x, gradient[x], slope, upstream)


def _times(a: Any, b: Any) -> Any:
    """a b, without a node for what 1 multiplies."""
    if type(a) is float and type(b) is float:
        return a * b
    return b if type(a) is float and a == 1.0 else a if type(b) is float and b == 1.0 else a * b


@reads
def _forward(
    order: Sequence[Value], along: Mapping[Value, Any], symbolic: bool, *, check: Check | None = None
) -> dict[Value, Any]:
    """The derivative of each node along a direction; what does not depend on it is missing."""
    tangents: dict[Value, Any] = {node: tangent for node, tangent in along.items() if not is_zero(tangent)}
    for node in order:
        op = node.op
        if op is None or node in along:
            continue
        operands: tuple[Any, ...] = node.operands
        through = [i for i, x in enumerate(operands) if x in tangents and op.passes[i]]
        if not through:
            continue
        total: Any = 0.0
        for i, slope in zip(through, op.slopes_at(_numbers(node, symbolic), through), strict=True):
            x = operands[i]
            term = _times(slope, tangents[x])
            total = term if is_zero(total) else total + term
            if check is not None:
                check(order, node, x, total, slope, tangents[x])
        if not is_zero(total):
            tangents[node] = total
    return tangents


def _tangent(tangents: Mapping[Value, Any], out: Any) -> Any:
    return tangents.get(out, 0.0) if isinstance(out, Value) else 0.0


@reads
def _series(
    call: _Call, first: Mapping[Value, list[float]], n: int, *, check: Check | None = None
) -> dict[Value, Series]:
    """The power series of every node that depends on the variables, up to order n. first: theirs, without order 0."""
    made: Made = {}
    found = {node: Series([node._data, *coefficients], made) for node, coefficients in first.items()}
    for node in call.order:
        if node.op is None or node in found or not any(isinstance(x, Value) and x in found for x in node.operands):
            continue
        operands = tuple(found.get(x, x._data) if isinstance(x, Value) else x for x in node.operands)
        found[node] = series(node.op, operands, made, [node._data])
        found[node][n]  # now, while what it needs is known, or the root would have to go all the way down
        if check is not None:
            for k in range(1, n + 1):
                check(call.order, node, None, found[node][k], found[node][k], 1.0, f"the coefficient of order {k} of")
    return found


# ---- nested lists, tuples, dicts and arrays of numbers -----------------------------------------------------------


def _tuple(primals: Any) -> tuple[Any, ...]:
    if not isinstance(primals, (list, tuple)):
        raise TypeError(f"primals are a tuple of all arguments, not {type(primals).__name__} {primals!r:.60}")
    return tuple(primals)


def _aligned(x: Any, like: Any, what: str, whose: str) -> list[Any]:
    """The numbers in x, in the order of those in `like`. Raises ValueError where the shapes differ."""
    if isinstance(like, dict):
        if not isinstance(x, dict) or set(x) != set(like):
            shown = f"the keys {list(x)!r:.60}" if isinstance(x, dict) else f"no keys, {x!r:.40}"
            raise ValueError(f"{what} has {shown}, and {whose} has {list(like)!r:.60}")
        return [y for key in like for y in _aligned(x[key], like[key], f"{what}[{key!r}]", whose)]
    if isinstance(like, (list, tuple)):
        if not isinstance(x, (list, tuple)) and not getattr(x, "ndim", 0):
            raise ValueError(f"{what} is one number, and {whose} has {len(like)}")
        if len(x) != len(like):
            raise ValueError(f"{what} has {len(x)} numbers, and {whose} has {len(like)}")
        pairs = enumerate(zip(x, like, strict=True))
        return [y for i, (mine, other) in pairs for y in _aligned(mine, other, f"{what}[{i}]", whose)]
    numbers, _ = flatten(x, what)
    wanted, _ = flatten(like, whose)
    if len(numbers) != len(wanted):
        raise ValueError(f"{what} has {len(numbers)} numbers, and {whose} has {len(wanted)}")
    shape, own = getattr(like, "shape", ()), getattr(x, "shape", ())
    if shape and own and shape != own:
        raise ValueError(f"{what} has the shape {own}, and {whose} has {shape}")
    return numbers


def _alone(numbers: list[Any]) -> Any:
    return numbers[0]


def flatten(x: Any, where: str) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The numbers in x, in order, as floats and Values; and the function that puts others into the same shape.

    Raises TypeError that says where something else is.
    """
    if isinstance(x, Value):
        return [x], _alone
    if isinstance(x, dict):
        parts = [flatten(item, f"{where}[{key!r}]") for key, item in x.items()]
        return _joined(parts, lambda items: dict(zip(x, items, strict=True)))
    if isinstance(x, (list, tuple)):
        parts = [flatten(item, f"{where}[{i}]") for i, item in enumerate(x)]
        if hasattr(x, "_fields"):
            return _joined(parts, lambda items: type(x)(*items))
        return _joined(parts, lambda items: tuple(items) if isinstance(x, tuple) else items)
    if getattr(x, "ndim", None) == 0 and getattr(x.dtype, "kind", "") == "O":
        return flatten(x.item(), where)
    if getattr(x, "ndim", 0) and hasattr(x, "ravel"):
        numbers = [item if isinstance(item, Value) else _number(item, where) for item in x.ravel().tolist()]
        return numbers, lambda items: _array(items, x.shape)
    return [_number(x, where)], _alone


def _number(x: Any, where: str) -> float:
    try:
        return number(x, where, "numbers, Values, and lists, tuples, dicts and numpy arrays of them")
    except TypeError as error:
        raise TypeError(str(error).replace(f"{where} takes", f"{where} should have")) from None


def _joined(parts: list[Any], put: Callable[[list[Any]], Any]) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    def rebuild(numbers: list[Any]) -> Any:
        items, start = [], 0
        for own, build in parts:
            items.append(build(numbers[start : start + len(own)]))
            start += len(own)
        return put(items)

    return [x for own, _ in parts for x in own], rebuild


def _array(items: list[Any], shape: tuple[int, ...]) -> Any:
    import numpy

    if any(getattr(item, "ndim", 0) for item in items):  # of arrays: the derivative of an array by an array
        return numpy.array(items).reshape(*shape, *items[0].shape)
    kind = float if all(type(item) is float for item in items) else object
    array = numpy.empty(len(items), kind)
    array[:] = items
    return array.reshape(shape)


def _by_part(given: Any, columns: Sequence[Sequence[Any]], shape: tuple[int, ...]) -> Any:
    """∂(an array)/∂given in the shape of given, an array for each number or array in it.

    columns: for each number in given, the derivatives of all outputs by it. shape: that of the outputs' array.
    """
    if isinstance(given, (dict, list, tuple)):
        parts = []
        start = 0
        for item in given.values() if isinstance(given, dict) else given:
            count = len(flatten(item, "")[0])
            parts.append(_by_part(item, columns[start : start + count], shape))
            start += count
        return dict(zip(given, parts, strict=True)) if isinstance(given, dict) else type(given)(parts)
    numbers = [x for row in zip(*columns, strict=True) for x in row]
    return _array(numbers, (*shape, *getattr(given, "shape", ())))


def _is_cheaper_forward(outs: Sequence[Any], call: _Call) -> bool:
    """Is it less to go forward once for each variable than backward from each output through its own graph?"""
    if len(outs) <= len(call.variables):
        return False
    backward = sum(len(topological(out)) for out in outs if isinstance(out, Value))
    return len(call.variables) * len(call.order) < backward
