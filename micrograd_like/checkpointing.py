"""`checkpoint`: a function whose graph is not kept but computed again, for long programs."""

from collections.abc import Callable
from typing import Any

from .engine import Value
from .ops import Op, same
from .recording import part
from .transforms import _backward, flatten


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, of which no graph is kept: it is computed again when a gradient goes back through it.

    It trades time for memory: of a long recurrence in which every thousand steps are one such function, only the states
    between them are kept, and the graph of one of them at a time.

    f: of numbers and Values, and lists, tuples and dicts of them, gives such; the same for the same arguments. It may
    use Values from outside, as the weights of a model: they get their gradients.

    What depends on no Value is a float. When a gradient goes back, raises RuntimeError if f then gives other numbers.

    >>> w = Value(0.5)
    >>> @checkpoint
    ... def steps(x):
    ...     for _ in range(1000):
    ...         x = (w * x).sin() + 1
    ...     return x
    >>> y = steps(Value(0.1))
    >>> y.backward()
    >>> f"{w.grad:.6f}"
    '1.637207'
    """

    def light(*args: Any) -> Any:
        numbers, rebuild = flatten(args, f"the arguments of {getattr(f, '__name__', 'f')}")
        run = _Run(f, numbers, rebuild)
        if not run.operands:
            return run.rebuild_out(run.values)
        return run.rebuild_out([Value._record(_Whole(run, i), run.operands) for i in range(len(run.values))])

    return light


class _Run:
    """One call of a checkpointed function: its numbers, and what they depend on.

    operands: the Values among the arguments, then those from outside that the function used.
    """

    def __init__(self, f: Callable[..., Any], numbers: list[Any], rebuild: Callable[[list[Any]], Any]):
        self.f, self.rebuild, self.numbers = f, rebuild, numbers
        self.given = [x for x in numbers if isinstance(x, Value)]
        outs, self.rebuild_out, outside = self.record([Value(x.data) for x in self.given])
        self.values = _data(outs)
        self.operands = (*self.given, *outside)
        self._slopes: tuple[tuple[Any, ...], list[list[Any]]] = (), []  # the operands, and ∂out/∂operand at them

    def record(self, fresh: list[Any]) -> tuple[list[Any], Callable[[list[Any]], Any], list[Value]]:
        """Run f with these in the place of the given Values. Returns its outputs, and what it used from outside."""
        known: dict[Value, None] = dict.fromkeys(fresh)
        outside: dict[Value, None] = {}

        def watch(node: Value) -> None:
            known[node] = None
            outside.update((x, None) for x in node.operands if isinstance(x, Value) and x not in known)

        source = iter(fresh)
        args = self.rebuild([next(source) if isinstance(x, Value) else x for x in self.numbers])
        with part(records=True, watch=watch):
            out = self.f(*args)
        outs, rebuild_out = flatten(out, f"what {getattr(self.f, '__name__', 'f')} returned")
        outside.update((x, None) for x in outs if isinstance(x, Value) and x not in known)
        return outs, rebuild_out, list(outside)

    def slopes(self, operands: tuple[Any, ...]) -> list[list[Any]]:
        """∂out/∂operand for each output, computed anew unless it was for the same operands. Values if these are."""
        if self._slopes[0] != operands:
            symbolic = any(isinstance(x, Value) for x in operands)
            count = len(self.given)
            fresh = [same(x) if isinstance(x, Value) else Value(x) for x in operands[:count]]
            outs, _, _ = self.record(fresh)
            if _data(outs) != self.values:
                raise RuntimeError(
                    f"checkpoint: {getattr(self.f, '__name__', 'f')} gave {_data(outs)!r:.80} now, and "
                    f"{self.values!r:.80} when it was called; it has to give the same each time (no random numbers, "
                    "no data changed since)"
                )
            by = [*fresh, *self.operands[count:]]
            self._slopes = operands, [_backward([out], [1.0], by, symbolic, stop=True) for out in outs]
        return self._slopes[1]


def _data(outs: list[Any]) -> list[float]:
    return [x.data if isinstance(x, Value) else x for x in outs]


class _Whole(Op):
    """The operation that is output i of a checkpointed function. Its partials are made when they are asked for."""

    __slots__ = ("_i", "_run")

    def __init__(self, run: _Run, i: int):
        super().__init__("checkpoint", lambda *operands: run.values[i], ())
        self._run, self._i = run, i
        self.arity = len(run.operands)
        self.passes = (True,) * self.arity
        self.partials = self.written = _Partials(run, i)  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        raise TypeError("what a checkpointed function gave cannot be pickled or copied: the function would be lost")


class _Partials:
    """As a tuple of functions, without a function for each of what may be thousands of weights."""

    __slots__ = ("i", "run")

    def __init__(self, run: _Run, i: int):
        self.run, self.i = run, i

    def __len__(self) -> int:
        return len(self.run.operands)

    def __getitem__(self, k: int) -> Callable[..., Any]:
        if k >= len(self):
            raise IndexError(k)
        return lambda *operands_and_out: self.run.slopes(operands_and_out[:-1])[self.i][k]
