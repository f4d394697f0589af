"""What a function computes, as a flat list of operations on numbered cells: the input of the compiler.

The function is called once, with `Traced` in the place of the numbers. They record operations as Values do, but have no
number, so that nothing can be decided by one without being told.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial, partialmethod
from typing import Any

from ..engine import Value
from ..number import Number, differentiated
from ..ops import FUNCTIONS, TABLE, Op, number
from ..recording import in_no_grad, line_of_program, part
from ..series import operators_by_record
from ..transforms import flatten
from ..walks import topological

# Where a number is: the result of an operation, a Value from outside, a constant, the first argument, the second, …
VALUE, PARAMETER, CONSTANT, ARGUMENT = range(4)

Ref = tuple[int, int]  # (where, number there)


_CONSTANT = TABLE["stop_gradient"]
_COMPARISONS = TABLE["greater"], TABLE["greater_equal"]


class TraceError(TypeError):
    """A function that is compiled asked for a number that is not known before it runs."""


class Trace:
    """All that was recorded, in order."""

    def __init__(self) -> None:
        self.nodes: list[Traced] = []


class Traced(Value):
    """A Value without a number, for as long as a function is traced."""

    __slots__ = ("cell", "number", "trace")

    trace: Trace
    number: int  # among the nodes of the trace; -1 for an argument
    cell: Ref  # of an argument

    def __init__(self, trace: Trace, cell: Ref):
        self.trace, self.number = trace, -1
        self.op, self._a, self._b, self._mark = None, None, None, None
        self.cell = cell

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "Traced":
        operands = tuple(x if isinstance(x, Value) else number(x, op.name) for x in operands)
        trace = next(x.trace for x in operands if isinstance(x, Traced))
        node = object.__new__(Traced)
        node.op, node._a, node._b, node._mark = op, None, operands, None
        node.trace, node.number = trace, len(trace.nodes)
        trace.nodes.append(node)
        if in_no_grad() and op is not _CONSTANT:
            return Traced._record(_CONSTANT, (node,))
        return node

    def _unknown(self) -> Any:
        raise TraceError(
            f"{line_of_program()}: this asks for a number that is not known while the function is compiled. Use "
            "where(x > 0, a, b) for a branch, maximum and minimum for max and min; what is to be decided before is no "
            "argument, but fixed outside of the function"
        )

    _data = _grad = property(_unknown)

    def __repr__(self) -> str:
        return f"Traced({self.name or self._op or 'argument'})"


class _Recorders(dict[Op, Callable[..., Any]]):
    def __missing__(self, op: Op) -> Callable[..., Any]:
        self[op] = partial(lambda op, *operands: Traced._record(op, operands), op)
        return self[op]


def calculate(cls: Any, refuse: Callable[[Any], Any]) -> None:
    """Give a class of unknown numbers operators, comparisons and methods, which record by its `_record`.

    Comparisons, which eager code decides at once, are numbers, 1 or 0, as the condition of `where`. refuse: called
    where Python would decide by a number; raises.
    """
    operators_by_record(cls)
    cls.__gt__ = lambda a, b: cls._record(TABLE["greater"], (a, b))
    cls.__lt__ = lambda a, b: cls._record(TABLE["greater"], (b, a))
    cls.__ge__ = lambda a, b: cls._record(TABLE["greater_equal"], (a, b))
    cls.__le__ = lambda a, b: cls._record(TABLE["greater_equal"], (b, a))
    cls.__eq__ = cls.__ne__ = lambda a, b: refuse(a)
    cls.__bool__ = cls.__float__ = refuse
    cls.__hash__ = object.__hash__
    for name, function in FUNCTIONS.items():
        setattr(cls, name, partialmethod(_method, TABLE[name], function.__defaults__ or ()))


def _method(self: Any, op: Op, more: tuple[Any, ...], *others: Any) -> Any:
    operands = (self, *others)
    return self._record(op, operands if len(operands) == op.arity else (*operands, *more))


Traced._recorders = _Recorders()  # type: ignore[attr-defined]
calculate(Traced, Traced._unknown)


def undecided(x: Any) -> Any:
    """Refuse to decide by a number that stands for another, in the partial of an operation."""
    raise TraceError(
        "the partial of a custom operation asks for a number, which is not known while it is compiled: use "
        "where(x > 0, a, b) for a branch, and the functions of micrograd_like in place of those of math"
    )


def plain(x: Any, where: str) -> float:
    """The float of a constant among unknown numbers."""
    return x._data if isinstance(x, Number) else number(x, where)


def shape(x: Any) -> Any:
    """Something equal for what has numbers in the same places."""
    if isinstance(x, (list, tuple)):
        return type(x), *map(shape, x)
    if isinstance(x, dict):
        return dict, *((key, shape(item)) for key, item in x.items())
    if getattr(x, "ndim", 0):
        return type(x), x.shape
    return float


def traced(trace: Trace, f: Callable[..., Any], args: Sequence[Any]) -> Any:
    """What f returns for Traced in the places of the numbers of these arguments."""
    given, variables = [], []
    for i, x in enumerate(args):
        numbers, rebuild = flatten(x, f"argument {i}")
        fresh = [Traced(trace, (ARGUMENT + i, n)) for n in range(len(numbers))]
        variables += fresh
        given.append(rebuild(fresh))
    differentiated.update(variables)  # derivatives of them are Values
    try:
        with part(asked=_refuse):
            return f(*given)
    finally:
        differentiated.difference_update(variables)


def _refuse(value: Value) -> None:
    """A Value from outside has a number, but it may be another one when the code runs."""
    if isinstance(value, Traced):
        value._unknown()
    raise TraceError(
        f"{line_of_program()}: this asks for the number of {value.name or 'a Value'} while the function is compiled; "
        "later it may be another one. Use the Value itself, where(w > 0, a, b) for a branch, stop_gradient(w) for a "
        "constant"
    )


# ---- the flat program -------------------------------------------------------------------------------------------


class Row:
    """One operation. refs: where its operands are. active: which of them a derivative goes back to."""

    __slots__ = ("active", "op", "refs")

    def __init__(self, op: Op, refs: tuple[Ref, ...], active: tuple[bool, ...]):
        self.op, self.refs, self.active = op, refs, active


class Program:
    """A traced function, without what nothing depends on.

    rows: in order; row i computes (VALUE, i). outs: how many results there are, which are the last rows.
    parameters: the Values from outside that it uses. constants: a number for each time one is used, so that these stand
    in a row as the operations do. recorded: how many operations there were. as_is: duplicates too, and in the order in
    which `backward` goes back through them, not in which they were made.
    """

    def __init__(self, trace: Trace, outs: Sequence[Any], differentiated: Iterable[int], *, as_is: bool = False):
        self.rows: list[Row] = []
        self.parameters: list[Value] = []
        self.constants: list[float] = []
        self.recorded = len(trace.nodes)
        self._active = set(differentiated)
        self._varying: list[bool] = []  # is row i one that derivatives go through?
        self._made: dict[Any, Any] = {}
        self._as_is = as_is
        self._where: dict[Any, Any] = {}  # a node -> its Ref, or the float that it is

        # Comparisons are no operations of eager code, and do not change the order in which it goes back.
        decided = [node for node in trace.nodes if node.op in _COMPARISONS] if as_is else []
        nodes: Any = topological(*(x for x in outs if isinstance(x, Value)), without=decided)
        if not as_is:  # as they were computed, which has the loops
            nodes = sorted((node for node in nodes if type(node) is Traced), key=lambda node: node.number)
        for node in nodes:
            if node.op is not None:
                self._where[node] = self._place(node.op, [self._of(x) for x in node.operands])
        for x in outs:  # the results stand side by side at the end
            ref = self._ref(self._of(x))
            self._varying.append(self.is_active(ref))
            self.rows.append(Row(TABLE["same"], (ref,), (self._varying[-1],)))
        self.outs = len(outs)
        self._cut()

    def _cut(self) -> None:
        """No derivative goes back to what is read only where it does not pass."""
        reached = set(range(len(self.rows) - self.outs, len(self.rows)))
        for i in reversed(range(len(self.rows))):
            row = self.rows[i]
            if i in reached:
                reached.update(
                    n for (where, n), active in zip(row.refs, row.active, strict=True) if active and where == VALUE
                )
            else:
                row.active = (False,) * len(row.active)

    def is_like(self, other: "Program") -> bool:
        """Do both compute the same?"""
        mine, others = ([(row.op, row.refs) for row in program.rows] for program in (self, other))
        return mine == others and self.constants == other.constants and self.parameters == other.parameters

    def _of(self, x: Any) -> Any:
        """Where an operand is; a constant is a float."""
        if type(x) is float:
            return x
        found = self._where.get(x)
        if found is None:
            if not isinstance(x, Value):
                return float(x)
            if type(x) is Traced and x.op is None:
                found = x.cell
            elif x.op is None:
                found = PARAMETER, len(self.parameters)
                self.parameters.append(x)
            else:
                for node in topological(x):  # what was computed from Values alone, or what comparisons need
                    if node.op is not None and node not in self._where:
                        self._where[node] = self._place(node.op, [self._of(y) for y in node.operands])
                return self._where[x]
            self._where[x] = found
        return found

    def _place(self, op: Any, operands: list[Any]) -> Any:
        """Where the result of an operation is, which may be there already."""
        if op.name == "same":
            return operands[0]
        if all(type(x) is float for x in operands):
            return op.value(*operands)
        # Twice the same is computed once; not of constants, of which data are made: it would be a gap in a loop.
        key = op, *operands
        found = None if self._as_is or float in map(type, operands) else self._made.get(key)
        if found is None:
            active = tuple(
                type(x) is tuple and passes and (self._varying[x[1]] if x[0] == VALUE else x[0] in self._active)
                for x, passes in zip(operands, op.passes, strict=True)
            )
            found = self._made[key] = VALUE, len(self.rows)
            self.rows.append(Row(op, tuple([self._ref(x) for x in operands]), active))
            self._varying.append(any(active))
        return found

    def _ref(self, x: Any) -> Ref:
        if type(x) is tuple:
            return x
        self.constants.append(x)
        return CONSTANT, len(self.constants) - 1

    def is_active(self, ref: Ref) -> bool:
        return self._varying[ref[1]] if ref[0] == VALUE else ref[0] in self._active
