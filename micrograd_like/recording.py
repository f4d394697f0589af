"""How operations are recorded in a part of a program: not at all in `no_grad`, watched in `detect_anomaly`.

While a part like this runs anywhere, the operators of `Value` ask first what holds here. Otherwise they ask nothing, so
that what is off costs nothing.
"""

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

from .engine import Value, topological
from .number import operators
from .ops import DomainError, Op

# (operation, its operands in order, the method that records it, what to call that with) -> the result
Mode = Callable[[Op, tuple[Any, ...], Callable[..., Any], tuple[Any, ...]], Any]

mode: ContextVar[Mode | None] = ContextVar("mode", default=None)


# ---- switching it on and off ---------------------------------------------------------------------------------


@contextmanager
def recording_by(wanted: Mode | None) -> Iterator[None]:
    """A part of the program in which operations go through `wanted`; None records them as ever."""
    token = mode.set(wanted)
    if wanted is not None:
        _install(1)
    try:
        yield
    finally:
        if wanted is not None:
            _install(-1)
        mode.reset(token)


_lock = Lock()
_parts = 0  # that run now, in all threads
_plain: dict[str, Any] = {}
_asking: dict[str, Any] = {}


def _install(change: int) -> None:
    global _parts
    with _lock:
        if not _plain:
            _plain.update({"_record": staticmethod(Value._record), **operators(Value)})
            record = Value._record
            asking = operators(Value, _wrap)
            _asking.update({"_record": staticmethod(lambda op, operands: _ask(op, operands, record, (op, operands)))})
            _asking.update(asking)
            _plain["backward"], _asking["backward"] = Value.backward, _backward
        before, _parts = _parts, _parts + change
        if (before == 0) != (_parts == 0):
            for name, attribute in (_asking if _parts else _plain).items():
                setattr(Value, name, attribute)


def _ask(op: Op, operands: tuple[Any, ...], method: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    wanted = mode.get()
    return method(*given) if wanted is None else wanted(op, operands, method, given)


def _wrap(method: Callable[..., Any], op: Op, swapped: bool) -> Callable[..., Any]:
    """The method that asks. That of `no_grad` is written out, for what it is there for is speed."""
    get, value, arity = mode.get, op.value, op.arity

    def asking(self: Any, *others: Any) -> Any:
        if not others and arity == 2:
            others = asking.__defaults__ or ()
        wanted = get()
        if wanted is None:
            return method(self, *others)
        if wanted is to_floats:
            if arity == 2 and others:
                (other,) = others
                if type(other) is Value:
                    other = other._data
                if type(other) is float or type(other) is int:
                    out = value(other, self._data) if swapped else value(self._data, other)
                    if out == out:
                        return float(out)
            elif arity == 1:
                out = value(self._data)
                if out == out:
                    return out
        given = (self, *others)
        return wanted(op, given[::-1] if swapped else given, method, given)

    return asking


# ---- no_grad ---------------------------------------------------------------------------------------------------


def to_floats(op: Op, operands: tuple[Any, ...], method: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    """The mode of `no_grad`."""
    with recording_by(None):
        out = method(*given)
    return out.data if isinstance(out, Value) else out


@contextmanager
def no_grad() -> Iterator[None]:
    """A part of the program in which operations on Values give plain floats, and no graph.

    It is for evaluating: as exact, and much faster. What is done with the floats obeys Python's rules: dividing by one
    that is 0 raises, and functions are `exp(v)`, since a float has no `v.exp()`. It may also stand above a function, as
    `@no_grad()`. Functions that differentiate, as `grad`, do so inside of it too.

    >>> w = Value(3.0)
    >>> with no_grad():
    ...     w * w + 1
    10.0
    """
    with recording_by(to_floats):
        yield


# ---- detect_anomaly ----------------------------------------------------------------------------------------------


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """A part of the program in which the first number that is not finite raises FloatingPointError.

    In the computation it is raised at the operation that gave nan or an infinity from finite numbers; in `backward`,
    and in `grad` and its kin, where a gradient stops to be finite, with the nodes from there to the loss. The message
    has the line of the program that made the node, if that ran in here too. Outside a domain DomainError is raised as
    ever, and its message has the line.

    It is slower; what runs outside of it is not.
    """
    with recording_by(_watched):
        yield


def _backward(self: Value) -> None:
    check_backward(self)
    _plain["backward"](self)


def _watched(op: Op, operands: tuple[Any, ...], method: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    try:
        out = method(*given)
    except DomainError as error:
        where = _line()
        raise error if " (" in str(error) and where in str(error) else DomainError(f"{error} ({where})") from None
    if isinstance(out, Value) and out.op is not None:
        vars(out)["made_at"] = where = _line()
        numbers = [x.data if isinstance(x, Value) else x for x in out.operands]
        if not isfinite(out.data) and all(map(isfinite, numbers)):
            raise FloatingPointError(f"{_applied(out)} = {out.data} ({where})")
    return out


def _line() -> str:
    """The line of the program that calls this package."""
    frame = sys._getframe(1)
    here = str(Path(__file__).parent)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line).strip()
    return f"{Path(name).name}, line {line}" + (f": {text}" if text else "")


def _applied(node: Value) -> str:
    """The operation with its operands: log(p = 0.0)"""
    operands = [
        repr(x) if not isinstance(x, Value) else f"{x.name} = {x.data!r}" if x.name else repr(x.data)
        for x in node.operands
    ]
    name = node.op.name if node.op is not None else "leaf"
    return f"{name}({', '.join(operands)})"


def check_backward(root: Value) -> None:
    """Raise FloatingPointError, in `detect_anomaly`, where going back from the root first gives what is not finite."""
    if mode.get() is not _watched:
        return
    order = topological(root)
    behind: dict[Value, Value] = {}  # from a node to the one that has passed its gradient on to it
    gradient = dict.fromkeys(order, 0.0)
    gradient[root] = 1.0
    for node in order:
        numbers = [x.data for x in node.operands if isinstance(x, Value)]
        if not isfinite(node.data) and all(map(isfinite, numbers)):
            what = _applied(node) if node.op is not None else f"the leaf {node.name or node!r}"
            raise FloatingPointError(f"{what} = {node.data}{_made(node)}")
    for node in reversed(order):
        if node.op is None:
            continue
        for i, (x, partial) in enumerate(zip(node.operands, node.partials(), strict=True)):
            if not isinstance(x, Value) or not node.op.passes[i]:
                continue
            flow = partial * gradient[node]
            if not isfinite(flow):
                where = f"∂/∂{x.name or f'operand {i + 1}'} of {_applied(node)} is {partial}"
                times = f", times the gradient {gradient[node]}" if isfinite(partial) else ""
                raise FloatingPointError(f"{where}{times}{_made(node)}{_way(node, behind)}")
            behind.setdefault(x, node)
            gradient[x] += flow


def _made(node: Value) -> str:
    where = vars(node).get("made_at")
    return f" ({where})" if where else ""


def _way(node: Value, behind: dict[Value, Value]) -> str:
    """The nodes with names from here to the loss."""
    names = []
    at: Value | None = node
    while at is not None:
        if at.name:
            names.append(at.name)
        at = behind.get(at)
    shown = [*names[:10], "…", names[-1]] if len(names) > 12 else names
    return f", on the way to the loss: {' → '.join(shown)}" if shown else ""
