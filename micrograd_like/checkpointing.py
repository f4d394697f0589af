"""`checkpoint`: a function whose graph is not kept but computed again, for long programs."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from .engine import Value
from .number import around
from .ops import Op, apply, same
from .recording import Check, compiling, in_no_grad, part, reads, watching
from .transforms import backward, depending_on, flatten, like, sweep
from .walks import topological


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which no graph is kept: it is computed again when a gradient goes back through it.

    It trades time for memory: of a long recurrence in which every thousand steps are one such function, only the states
    between them are kept, and the graph of one of them at a time.

    f: of numbers and Values, and lists, tuples and dicts of them, gives such; the same for the same arguments. It may
    use Values from outside, as the weights of a model: they get their gradients. Each number that it gives is one
    operation `checkpoint` of a graph, with all these as operands, and costs one way back through f.

    What depends on no Value is a float. When a gradient goes back, raises RuntimeError if f then gives other numbers.

    >>> w = Value(0.5)
    >>> @checkpoint
    ... def steps(x, count):
    ...     for _ in range(int(count)):
    ...         x = (w * x).sin() + 1
    ...     return x
    >>> y = steps(Value(0.1), count=1000)
    >>> y.backward()
    >>> f"{w.grad:.6f}"
    '1.637207'
    """
    name = getattr(f, "__name__", "f")

    @like(f)
    def light(*args: Any, **named: Any) -> Any:
        where = f"the arguments of {name}"
        parts = flatten(args, where), flatten(named, where)
        (numbers, rebuild), (named_numbers, rebuild_named) = parts
        count = len(numbers)

        def call(numbers: list[Any]) -> Any:
            return f(*rebuild(numbers[:count]), **rebuild_named(numbers[count:]))

        numbers = numbers + named_numbers
        if in_no_grad() or compiling():  # there is no graph that could be spared
            return call([same(x) if isinstance(x, Value) else x for x in numbers])
        run = _Run(name, call, numbers)
        if not run.operands:
            return run.rebuild(run.values)
        return run.rebuild([Value._record(_Whole(run, i), run.operands) for i in range(len(run.values))])

    return light


class _Run:
    """One call of a checkpointed function: what it gave, and on what that depends.

    call: the function, of its numbers in a list. operands: the Values among the numbers, then those from outside that
    the function used; at: their data. values: the data of what it gave.
    """

    def __init__(self, name: str, call: Callable[[list[Any]], Any], numbers: list[Any]):
        self.name, self._call, self._numbers = name, call, numbers
        given = [x for x in numbers if isinstance(x, Value)]
        self._given = [x._data for x in given]
        made: list[Value] = []
        with part(records=True, watch=made.append):
            fresh, outs, self.rebuild = self._again()
        own = {*fresh, *made}
        outside: dict[Value, None] = {}
        for used in (*(node.operands for node in made), outs):
            outside.update((x, None) for x in used if isinstance(x, Value) and x not in own)
        self.values = _data(outs)
        self.operands = (*given, *outside)
        self.at = tuple(x._data for x in self.operands)
        self._slopes: tuple[tuple[Any, ...], dict[int, list[Any]]] = (), {}

    def _again(self) -> tuple[list[Value], list[Any], Callable[[list[Any]], Any]]:
        """Call the function with fresh Values in the place of the given ones: these, what it gave, and its shape."""
        fresh = [Value(x) for x in self._given]
        source = iter(fresh)
        out = self._call([next(source) if isinstance(x, Value) else x for x in self._numbers])
        return fresh, *flatten(out, f"what {self.name} returned")

    def _graph(self) -> tuple[list[Value], list[Any]]:
        """What stands for the operands in a graph of the function, and its outputs there."""
        with nullcontext() if around.get() is None else part(records=True, watch=lambda node: None):
            fresh, outs, _ = self._again()
        values = _data(outs)
        if repr(values) != repr(self.values):  # nan is not equal to itself
            raise RuntimeError(
                f"checkpoint: {self.name} gave {values!r:.80} now, and {self.values!r:.80} when it was called; it "
                "has to give the same each time (no random numbers, no data changed since)"
            )
        return [*fresh, *self.operands[len(fresh) :]], outs

    def value(self, operands: tuple[float, ...], i: int) -> float:
        """Output i at these operands."""
        if _alike(operands, self.at):
            return self.values[i]
        by, outs = self._graph()
        at: float = _replay(outs[i], by, operands)[1].get(outs[i], outs[i])
        return at

    def slopes(self, operands: tuple[Any, ...], i: int, which: Sequence[int]) -> list[Any]:
        """∂output i/∂operand for these of the operands, at these operands; numbers as these are."""
        if watching():  # what nobody asks for does not count
            by, outs = self._graph()
            watched: list[Any] = self._slopes_of(outs[i], by, operands, which)
            return watched
        if not _alike(self._slopes[0], operands) or i not in self._slopes[1]:
            by, outs = self._graph()
            every = range(len(by))
            self._slopes = operands, {k: self._slopes_of(out, by, operands, every) for k, out in enumerate(outs)}
        slopes: list[Any] = self._slopes[1].pop(i)  # backward asks once for each output
        if not self._slopes[1]:
            self._slopes = (), {}
        return [slopes[k] for k in which]

    @reads
    def _slopes_of(
        self, out: Any, by: list[Value], operands: tuple[Any, ...], which: Sequence[int], *, check: Check | None = None
    ) -> list[Any]:
        wanted = [by[k] for k in which]
        if not isinstance(out, Value):
            return [0.0] * len(wanted)
        if _alike(operands, self.at):
            found: list[Any] = backward([out], [1.0], wanted, symbolic=False, order=topological(out, without=by))
            return found
        order, numbers = _replay(out, by, operands)
        gradient: dict[Value, Any] = {out: 1.0}
        at = lambda node: (*_operands(node, numbers), numbers[node])  # noqa: E731
        sweep(order, gradient, at, depending_on(wanted, order), check)
        return [gradient.get(x, 0.0) for x in wanted]


def _alike(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Are they the same numbers? What stands for numbers that are not known is not compared."""
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(x is y or (type(x) is type(y) is float and x == y) for x, y in pairs)


def _replay(out: Any, by: list[Value], operands: tuple[Any, ...]) -> tuple[list[Value], dict[Any, Any]]:
    """The graph of out down to `by`, and the number of each node in it if `by` had those of the operands."""
    numbers: dict[Any, Any] = dict(zip(by, operands, strict=True))
    order = topological(out, without=by) if isinstance(out, Value) else []
    for node in order:
        if node.op is None:
            numbers[node] = node._data
        else:
            at = _operands(node, numbers)
            plain = all(type(x) is float for x in at)
            numbers[node] = node.op.value(*at) if plain else apply(node.op, tuple(at))
    return order, numbers


def _operands(node: Value, numbers: dict[Any, Any]) -> list[Any]:
    return [numbers[x] if isinstance(x, Value) else x for x in node.operands]


def _data(outs: list[Any]) -> list[float]:
    return [x._data if isinstance(x, Value) else x for x in outs]


class _Whole(Op):
    """The operation that is output i of a checkpointed function. Its partials are made when they are asked for."""

    __slots__ = ("_i", "_run")

    def __init__(self, run: _Run, i: int):
        super().__init__("checkpoint", lambda *operands: run.value(operands, i), ())
        self._run, self._i = run, i
        self.arity = len(run.operands)
        self.passes = (True,) * self.arity
        self.at_once = True
        self.text = f"checkpoint({', '.join(f'{{{k}}}' for k in range(self.arity))})"
        each: Any = _Each(self.arity, lambda k: lambda *at: run.slopes(at[:-1], i, (k,))[0])
        self.partials = self.series = each
        self.written = ()  # its formulas would be as long as the function

    def slopes_at(self, at: Sequence[Any], by: Sequence[int]) -> list[Any]:
        return self._run.slopes(tuple(at[:-1]), self._i, by)

    def __reduce__(self) -> Any:
        raise TypeError("what a checkpointed function gave cannot be pickled: the function would be lost")


class _Each(Sequence[Callable[..., Any]]):
    """As a tuple of functions, without a function for each of what may be thousands of weights."""

    def __init__(self, count: int, make: Callable[[int], Callable[..., Any]]):
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: Any) -> Any:
        if k >= self._count:
            raise IndexError(k)
        return self._make(k)
