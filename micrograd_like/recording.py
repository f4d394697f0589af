"""How operations are recorded in a part of a program: not at all in `no_grad`, watched in `detect_anomaly`.

The methods of Values look at one global, `number.asking`: only while such a part is open anywhere do they ask what
holds where they are called.
"""

import linecache
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import Any

from . import number
from .constant import computed, constant
from .engine import Value
from .number import around
from .ops import TABLE, DomainError, Op
from .walks import topological

Make = Callable[[Op, tuple[Any, ...], float], Any]  # of an operation and its value
Check = Callable[..., None]  # see `_check`

_STOPPED = TABLE["stop_gradient"]
_HERE = str(Path(__file__).parent) + os.sep

# ---- parts of a program --------------------------------------------------------------------------------------------


class Part:
    """What is wanted in a part of the program; None leaves it to the part around this one.

    records: False gives Constants; "later", Values through which nothing goes back, for where a function is compiled:
    they may have other numbers when it runs. anomalies: True watches for what is not finite. reading: True where a
    graph is being read, which watches by itself. watch: a function, called with each node that is recorded. asked: a
    function, called with each Value whose number Python code asks for, as `.data` and comparisons do.
    """

    __slots__ = ("anomalies", "asked", "open", "outer", "reading", "records", "watch")

    def __init__(self, outer: "Part | None"):
        self.outer = outer
        self.leave()
        self.open = True

    def leave(self) -> None:
        """From now on this says nothing, also to those parts that were entered in it and go on."""
        self.records: bool | str | None = None
        self.anomalies: bool | None = None
        self.reading: bool | None = None
        self.watch: Callable[[Value], None] | None = None
        self.asked: Callable[[Value], None] | None = None
        self.open = False

    def holds(self, what: str) -> Any:
        """What the innermost part that says something says."""
        part: Part | None = self
        while part is not None:
            if (said := getattr(part, what)) is not None:
                return said
            part = part.outer
        return None

    def record(self, op: Op, operands: tuple[Any, ...], make: Make) -> Any:
        """What the operation gives here, where elsewhere it is what `make` makes."""
        try:
            operands, data = computed(op, operands)
        except DomainError as error:
            if not self.holds("anomalies") or (where := line_of_program()) in str(error):
                raise
            raise DomainError(f"{error} ({where})") from None
        return self.recorded(op, operands, data, make)

    def recorded(self, op: Op, operands: tuple[Any, ...], data: float, make: Make) -> Any:
        """The same, where the value is known."""
        records, anomalies, watch = self.records, self.anomalies, self.watch
        part = self.outer
        while part is not None:  # three times `holds`, in a third of the time
            if records is None:
                records = part.records
            if anomalies is None:
                anomalies = part.anomalies
            if watch is None:
                watch = part.watch
            part = part.outer
        out = constant(data) if records is False else make(op, operands, data)
        if records == "later" and op is not _STOPPED:
            out = make(_STOPPED, (out,), data)
        if anomalies:
            where = line_of_program()
            if isinstance(out, Value):
                vars(out)["made_at"] = where
            if not isfinite(data) and not self.holds("reading") and all(isfinite(_bare(x)) for x in operands):
                raise FloatingPointError(f"{_applied(op, operands)} = {data} ({where})")
        if watch is not None and isinstance(out, Value):
            watch(out)
        return out

    def check_backward(self, root: Value) -> None:
        """If that is watched, raise FloatingPointError where going back from the root gives what is not finite."""
        if self.holds("anomalies"):
            _check_backward(root)


_lock = RLock()  # the garbage collector may close a generator, and leave its part, wherever it runs
_parts: set[Part] = set()  # that are open, in all threads


@contextmanager
def part(**wanted: Any) -> Iterator[None]:
    """A part of the program in which this holds: see `Part`.

    Parts may overlap, since generators and tasks stop in them, and one may be left in another context than it was
    entered in. So leaving one restores nothing: it takes back what this part says, and nothing else.
    """
    here = Part(_open(around.get()))
    for what, said in wanted.items():
        setattr(here, what, said)
    try:
        with _lock:
            _parts.add(here)
            number.asking = True
        around.set(here)
        yield
    finally:
        here.leave()
        around.set(_open(around.get()))
        with _lock:
            _parts.discard(here)
            number.asking = bool(_parts)


def _open(part: Part | None) -> Part | None:
    while part is not None and not part.open:
        part = part.outer
    return part


def recorded() -> AbstractContextManager[None]:
    """A part of the program in which operations are recorded, also where `no_grad` is around it."""
    return part(records=True) if in_no_grad() else nullcontext()


def in_no_grad() -> bool:
    """Is what is computed here constant to whatever differentiates?"""
    here = around.get()
    return here is not None and here.holds("records") in (False, "later")


def compiling() -> bool:
    """Is what is recorded here a program, and the numbers in it those of the moment?"""
    here = around.get()
    return here is not None and here.holds("asked") is not None


# ---- no_grad -------------------------------------------------------------------------------------------------------


@contextmanager
def no_grad() -> Iterator[None]:
    """A part of the program in which operations on Values give Constants: numbers of the same bits, and no graph.

    It is for evaluating: sooner, and in less memory. It may also stand above a function, as `@no_grad()`. Functions
    that differentiate, as `grad`, do so inside of it too.

    >>> w = Value(3.0)
    >>> with no_grad():
    ...     w * w + 1
    Constant(data=10.0)
    """
    with part(records="later" if compiling() else False):
        yield


# ---- detect_anomaly ------------------------------------------------------------------------------------------------


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """A part of the program in which the first number that is not finite raises FloatingPointError.

    In the computation it is raised at the operation that gave nan or an infinity from finite numbers; in `backward`,
    and in `grad` and all its kin, at the operation where a derivative stops to be finite, with the nodes from there to
    the loss. A derivative that nobody asks for does not count; `backward` asks for that by every leaf. The message has
    the line of the program that made the node, if that ran in here too. Outside a domain DomainError is raised as ever,
    and its message has the line.

    It is slower; what runs outside of it is not.
    """
    with part(anomalies=True):
        yield


def watching() -> bool:
    """Are we in `detect_anomaly`?"""
    here = around.get()
    return here is not None and bool(here.holds("anomalies"))


def reads(reading: Callable[..., Any]) -> Callable[..., Any]:
    """Above a function that reads a graph: in `detect_anomaly` it gets `check`, to be called with each sum it makes."""

    @wraps(reading)
    def read(*args: Any, **named: Any) -> Any:
        if not watching():
            return reading(*args, **named)
        with part(reading=True):
            return reading(*args, **named, check=_check)

    return read


def _check(
    order: Sequence[Value], node: Any, x: Any, total: Any, slope: Any, times: Any, what: str = "∂/∂{} of"
) -> None:
    """Raise FloatingPointError if this sum of derivatives is not finite.

    order: what is read. slope: ∂node/∂x, or `what` of it; multiplied by `times` it was added last.
    """
    if isfinite(_bare(total)):
        return
    slope, times = _bare(slope), _bare(times)
    text = f"{what.format(_operand(node, x))} {_applied(node.op, node.operands)} is {_short(slope)}"
    if isfinite(slope):
        text += f", and {_short(times)} times that makes {'the sum ' if isfinite(slope * times) else ''}{_bare(total)}"
    raise FloatingPointError(f"{text}{_recorded_at(node)}{_way(order, node)}")


def _check_backward(root: Value) -> None:
    from .transforms import sweep

    order = topological(root)
    for node in order:
        if not isfinite(node._data) and all(isfinite(_bare(x)) for x in node.operands):
            text = _applied(node.op, node.operands) if node.op is not None else f"the leaf {_cut(node.name)}".strip()
            raise FloatingPointError(f"{text} = {node._data}{_recorded_at(node)}{_way(order, node)}")
    sweep(order, {root: 1.0}, lambda node: (*map(_bare, node.operands), node._data), set(order), _check)


# ---- what messages are made of -------------------------------------------------------------------------------------


def line_of_program() -> str:
    """The line of the program that calls this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line).strip()
    return f"{Path(name).name}, line {line}" + (f": {_cut(text, 80)}" if text else "")


def _recorded_at(node: Value) -> str:
    where = vars(node).get("made_at")
    return f" ({where})" if where else ""


def _applied(op: Op, operands: Sequence[Any]) -> str:
    """The operation with its operands: log(p = 0.0)"""
    shown = [f"{_cut(x.name)} = {_short(x)}" if getattr(x, "name", "") else _short(x) for x in operands[:4]]
    return f"{op.name}({', '.join(shown)}{', …' * (len(operands) > 4)})"


def _operand(node: Value, x: Value | None) -> str:
    return "" if x is None else _cut(x.name) or f"operand {[y is x for y in node.operands].index(True) + 1}"


def _way(order: Sequence[Value], node: Value) -> str:
    """The nodes with names from here to the loss."""
    behind: dict[Value, Value] = {}  # from a node to one that was computed from it
    for user in reversed(order):
        behind.update((x, user) for x in user.operands if isinstance(x, Value) and x not in behind)
    names = []
    at: Value | None = node
    while at is not None:
        if at.name:
            names.append(_cut(at.name))
        at = behind.get(at)
    shown = [*names[:4], "…", names[-1]] if len(names) > 6 else names
    return f", on the way to the loss: {' → '.join(shown)}" if shown else ""


def _bare(x: Any) -> Any:
    return x._data if isinstance(x, Value) else x


def _short(x: Any) -> str:
    """A number in few digits, but never as a whole number if it is a float."""
    text = repr(float(_bare(x)))
    return text if len(text) <= 10 else f"{float(text):.6g}"


def _cut(text: str, length: int = 24) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
