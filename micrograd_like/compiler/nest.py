"""The folded program, laid out for code: who reads whom, what stays in registers, what has to be stored."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import product
from operator import attrgetter
from typing import Any

from ..ops import Op
from .loops import Term
from .trace import CONSTANT, VALUE, Program, calculate, undecided

CHUNK = 400  # operations and loops written down in one function: LLVM's time for longer ones grows faster than they


class Access:
    """Where something is read: number `base`, and `steps` further for each turn of the loops around."""

    __slots__ = ("base", "fixed", "how", "space", "steps", "target")

    def __init__(self, space: int, base: int, steps: tuple[int, ...]):
        self.space, self.base, self.steps = space, base, steps
        self.how = "memory"  # or from the statement `target`: "here", in the same turn; "before", of the turn before;
        self.target: Any = None  # "after", of the last turn of a loop that is over
        self.fixed: float | None = None  # the number, if it is the same constant in every turn

    @property
    def key(self) -> tuple[Any, ...]:
        return self.space, self.base, self.steps

    def outer(self) -> "Access":
        """The same, seen from around the innermost loop, in whose turns it does not move."""
        access = Access(self.space, self.base, self.steps[:-1])
        access.how, access.target = self.how, self.target
        return access


class Statement:
    """One operation in its loops. path: the loops around it, from the outside, of which the first is the chunk."""

    __slots__ = ("active", "adjoint", "base", "needs", "op", "path", "reads", "steps", "stored")

    def __init__(self, op: Op, active: tuple[bool, ...], base: int, steps: tuple[int, ...], path: "tuple[Loop, ...]"):
        self.op, self.active, self.base, self.steps, self.path = op, active, base, steps, path
        self.reads: list[Access] = []
        self.stored = ""  # in memory: "" never, "last" after the last turn, "always"
        self.adjoint = ""  # the same, of its derivative
        self.needs: tuple[list[int], bool] = ([], False)  # which operands its partials read, and do they the result?

    @property
    def place(self) -> Access:
        return Access(VALUE, self.base, self.steps)


class Loop:
    """count turns of what is in it. carried: the statements in it whose value the next turn reads."""

    __slots__ = ("base", "carried", "copies", "count", "items", "path", "size")

    def __init__(self, count: int, base: int, size: int, path: "tuple[Loop, ...]"):
        self.count, self.base, self.size, self.path = count, base, size, path
        self.items: list[Statement | Loop] = []
        self.carried: dict[Statement, Access] = {}  # with where its value before the first turn is
        self.copies = 1  # how many turns are written side by side

    def statements(self) -> Iterator[Statement]:
        for item in self.items:
            if isinstance(item, Statement):
                yield item
            else:
                yield from item.statements()


_base = attrgetter("base")


class Nest:
    """The whole: chunks, which are loops of one turn."""

    def __init__(self, program: Program, terms: Sequence[Term], *, gradient: bool, strict: bool, lanes: int):
        self.program = program
        self.size = len(program.rows)
        self.chunks: list[Loop] = []
        self.strict = strict
        number = 0
        weight = CHUNK
        for term in terms:
            more = _weight(term)
            if weight + more > CHUNK and weight:
                self.chunks.append(Loop(1, number, 0, ()))
                weight = 0
            weight += more
            chunk = self.chunks[-1]
            chunk.items.append(_item(term, term.numbers, [[0] for _ in term.numbers], number, (0,), (chunk,)))
            number += term.size
            chunk.size = number - chunk.base
        self._starts = [chunk.base for chunk in self.chunks]
        for statement in self.statements():
            for read in statement.reads:
                if read.space == CONSTANT:
                    read.fixed = self._constant(read, statement.path)
                elif not strict:  # or each number goes through memory, and sums are in the order of `backward`
                    self.link(read, statement.path)
        self._mark(gradient=gradient)
        if lanes > 1 and not strict:
            for chunk in self.chunks:
                for item in chunk.items:
                    self._write_side_by_side(item)

    def statements(self) -> Iterator[Statement]:
        for chunk in self.chunks:
            yield from chunk.statements()

    def find(self, number: int) -> Statement:
        """The statement that computes the number."""
        at: Statement | Loop = self.chunks[bisect_right(self._starts, number) - 1]
        while isinstance(at, Loop):
            number = at.base + (number - at.base) % at.size  # of its first turn
            at = at.items[bisect_right(at.items, number, key=_base) - 1]
        return at

    def link(self, access: Access, path: tuple[Loop, ...]) -> Access:
        """Find out how a reader inside of the loops `path` gets its number."""
        if access.space != VALUE:
            return access
        for depth in range(len(path) - 1, 0, -1):  # of the turn before, of a loop around?
            if any(access.steps[depth + 1 :]):
                break
            loop = path[depth]
            target = self.find(access.base + access.steps[depth])
            if (
                len(target.path) == depth + 1
                and target.path[depth] is loop
                and target.steps == access.steps[: depth + 1]
                and access.base == target.base - loop.size
            ):
                access.how, access.target = "before", target
                first = Access(VALUE, access.base, access.steps[:depth])
                loop.carried[target] = self.link(first, path[:depth])
                return access
        target = self.find(access.base)
        depth = len(target.path)
        if (
            target.path == path[:depth]
            and target.steps == access.steps[:depth]
            and not any(access.steps[depth:])
            and access.base == target.base
        ):
            access.how, access.target = "here", target
        elif (
            1 < depth <= len(path) + 1
            and target.path[:-1] == path[: depth - 1]
            and target.path[-1] not in path
            and target.steps[:-1] == access.steps[: depth - 1]
            and not any(access.steps[depth - 1 :])
            and access.base == target.base + target.steps[-1] * (target.path[-1].count - 1)
        ):
            access.how, access.target = "after", target
        return access

    def _constant(self, access: Access, path: tuple[Loop, ...]) -> float | None:
        numbers = self.program.constants
        first = numbers[access.base]
        if any(numbers[n] is not first and (numbers[n] != first or not first) for n in _all(access, path)):
            return None
        return first

    def _mark(self, *, gradient: bool) -> None:
        """Decide what is stored."""
        values, adjoints = bytearray(self.size), bytearray(self.size)
        outs = self.program.outs
        values[self.size - outs :] = adjoints[self.size - outs :] = b"\1" * outs
        for chunk in self.chunks:
            for loop in _loops(chunk):
                for target, first in loop.carried.items():
                    if first.how == "memory" and first.space == VALUE:
                        for n in _all(first, loop.path):
                            values[n] = 1
                            adjoints[n] = any(target.active)
        for statement in self.statements():
            for read, active in zip(statement.reads, statement.active, strict=True):
                if read.space == VALUE and read.how == "memory":
                    for n in _all(read, statement.path):
                        values[n] = 1
                        adjoints[n] |= active
            if gradient and any(statement.active):
                statement.needs = operands, out = self._needs(statement)
                for i in operands:
                    read = statement.reads[i]
                    if read.space == VALUE:
                        for n in _all(read, statement.path):
                            values[n] = 1
                if out:
                    for n in _all(statement.place, statement.path):
                        values[n] = 1
        inward = {loop: self._reads_itself(loop) for chunk in self.chunks for loop in _loops(chunk)}
        for statement in self.statements():
            always = inward[statement.path[-1]]
            statement.stored = _kept(statement, values, always=always)
            if gradient and any(statement.active):
                statement.adjoint = _kept(statement, adjoints, always=always)

    def partials(self, statement: Statement) -> tuple[Any, ...]:
        """Those of the row; where it is as good but for a rounding, in the form that needs the result only."""
        op = statement.op
        return op.written if not self.strict and op.name in {"tanh", "sigmoid"} else op.partials

    def _needs(self, statement: Statement) -> tuple[list[int], bool]:
        """Which operands its partials read, and do they read the result?"""
        used: set[int] = set()
        count = len(statement.reads)
        probes: list[Any] = []
        for i, read in enumerate(statement.reads):
            probes.append(_Probe(frozenset([i])) if read.fixed is None else read.fixed)
        probes.append(_Probe(frozenset([count])))
        for partial, active in zip(self.partials(statement), statement.active, strict=True):
            if active:
                slope = partial(*probes)
                used |= slope.uses if isinstance(slope, _Probe) else set()
        return [i for i in sorted(used) if i < count], count in used

    def _write_side_by_side(self, item: Any) -> None:
        """Of a loop whose turns do not read one another, with a loop inside, several turns are computed at once.

        What they have in common, as the inputs of the neurons of a layer, is then read once for all.
        """
        if not isinstance(item, Loop):
            return
        inner = [x for x in item.items if isinstance(x, Loop)]
        if (
            inner
            and not any(isinstance(y, Loop) for x in inner for y in x.items)
            and not item.carried
            and not self._reads_itself(item)
        ):
            item.copies = next((n for n in (4, 5, 3) if item.count % n == 0), 4 if item.count > 4 else 1)
            return
        for x in inner:
            self._write_side_by_side(x)

    def _reads_itself(self, loop: Loop) -> bool:
        """Does a turn read from memory what another computes, or the same?"""
        reads = [(read, statement.path) for statement in loop.statements() for read in statement.reads]
        reads += [(read, inner.path) for inner in _loops(loop) for read in inner.carried.values()]
        return any(self.meets(read, path, loop) for read, path in reads)

    def meets(self, read: Access, path: Sequence[Loop], loop: Loop) -> bool:
        """May what is read from memory be what the loop computes, in the same turn of the loops around it?"""
        if read.space != VALUE or read.how != "memory":
            return False
        depth = len(loop.path)
        low, high = loop.base, loop.base + loop.size * loop.count - 1
        moving = list(zip(path, read.steps, strict=True))
        if all(step == around.size for around, step in moving[1:depth]):
            moving = moving[depth:]  # it moves on with the loop itself
        else:
            high += sum((around.count - 1) * around.size for around in loop.path[1:])
        spans = [(around.count - 1) * step for around, step in moving]
        least, most = (read.base + sum(f(span, 0) for span in spans) for f in (min, max))
        return most >= low and least <= high


class _Probe:
    """Stands for a number, to see what a formula reads."""

    __slots__ = ("uses",)

    def __init__(self, uses: frozenset[int]):
        self.uses = uses

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> "_Probe":
        return _Probe(frozenset().union(*(x.uses for x in operands if isinstance(x, _Probe))))


calculate(_Probe, undecided)


def _weight(term: Term) -> int:
    return 1 + sum(map(_weight, term.body))


def _item(
    term: Term,
    numbers: Sequence[int],
    steps: list[list[int]],
    base: int,
    own: tuple[int, ...],
    path: tuple[Loop, ...],
) -> Statement | Loop:
    if not term.body:
        row: Any = term.row
        statement = Statement(row.op, row.active, base, own, path)
        statement.reads = [
            Access(space, n, tuple(step)) for (space, _), n, step in zip(row.refs, numbers, steps, strict=True)
        ]
        return statement
    size = term.size // term.count
    loop = Loop(term.count, base, size, path)
    deeper = [[*outer, step] for outer, step in zip(steps, term.steps, strict=True)]
    at = 0
    for part in term.body:
        end = at + len(part.numbers)
        loop.items.append(_item(part, numbers[at:end], deeper[at:end], base, (*own, size), (*path, loop)))
        at = end
        base += part.size
    return loop


def _loops(loop: Loop) -> Iterator[Loop]:
    yield loop
    for item in loop.items:
        if isinstance(item, Loop):
            yield from _loops(item)


def _all(access: Access, path: Sequence[Loop]) -> Iterator[int]:
    """Every number that is read, some perhaps more than once."""
    turning = [(loop.count, step) for loop, step in zip(path, access.steps, strict=True) if step]
    if not turning:
        return iter((access.base,))
    *outer, (count, step) = turning
    return (
        n
        for turns in product(*(range(c) for c, _ in outer))
        for start in (access.base + sum(i * s for i, (_, s) in zip(turns, outer, strict=True)),)
        for n in range(start, start + count * step, step)
    )


def _kept(statement: Statement, marks: bytearray, *, always: bool) -> str:
    """Is any of its numbers marked, or only those of the last turns of its loop? always: is that no difference?"""
    count = statement.path[-1].count
    found = ""
    turns = 0
    for n in _all(statement.place, statement.path):
        turns = turns % count + 1
        if marks[n]:
            if always or turns < count:
                return "always"
            found = "last"
    return "always" if found and count == 1 else found
