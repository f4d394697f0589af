"""Loops found again in a flat program.

What people write as loops, Python unrolls: samples, layers, neurons, inputs, time steps. In the order in which it was
recorded the program repeats, with operand numbers in arithmetic progression. One pass folds it: whenever the last three
blocks of terms are alike, they become a loop of three; whenever the last block is the next turn of the loop before it,
the loop counts on. A loop is a term like any other, so that nests come out, from the inside. What does not repeat
stays as it is. (Ketterlin and Clauss, Prediction and trace compression of data access addresses through nested loop
recognition, CGO 2008.)
"""

from collections.abc import Sequence
from typing import Any

from .trace import Program, Row

_TRIES = 24  # earlier places that are looked at for the start of a repetition


class Term:
    """An operation, or a loop of terms.

    numbers: those of its operands, in its first turn, the terms inside it one after the other. steps: what each turn of
    a loop adds to them. kind: terms of equal kind differ in numbers only. size: how many operations it stands for.
    """

    __slots__ = ("body", "count", "kind", "numbers", "row", "shape", "size", "steps")

    def __init__(self, kind: int, numbers: list[int], size: int, row: Row | None = None):
        self.kind, self.numbers, self.size, self.row = kind, numbers, size, row
        self.body: list[Term] = []
        self.steps: list[int] = []
        self.count = 1
        self.shape = -1  # the kind of a loop but for its count


class _Folder:
    def __init__(self) -> None:
        self.stack: list[Term] = []
        self.kinds: dict[Any, int] = {}
        self.seen: dict[Any, list[int]] = {}  # the last kinds -> where in the stack they ended
        self.loops: list[int] = []  # where in the stack loops are

    def kind(self, key: Any) -> int:
        return self.kinds.setdefault(key, len(self.kinds))

    def push(self, term: Term) -> None:
        self.stack.append(term)
        while self.grow() or self.fold():
            pass
        stack = self.stack
        if len(stack) > 3:  # the context is that at the time; folding makes others
            where = self.seen.setdefault((stack[-1].kind, stack[-2].kind, stack[-3].kind, stack[-4].kind), [])
            while where and where[-1] >= len(stack) - 1:
                where.pop()
            where.append(len(stack) - 1)

    def grow(self) -> bool:
        """Are the last terms the next turn of a loop?"""
        stack, loops = self.stack, self.loops
        while loops and loops[-1] >= len(stack):
            loops.pop()
        top = len(stack) - 1
        for place in loops[: -_TRIES - 1 : -1]:
            loop = stack[place]
            length = top - place
            if length == len(loop.body) and length:
                if not all(a.kind == b.kind for a, b in zip(stack[place + 1 :], loop.body, strict=True)):
                    continue
                numbers = [n for term in stack[place + 1 :] for n in term.numbers]
                count = loop.count
                if all(
                    n == first + count * step for n, first, step in zip(numbers, loop.numbers, loop.steps, strict=True)
                ):
                    loop.count += 1
                    loop.size += loop.size // count
                    loop.kind = self.kind((loop.shape, loop.count))
                    del stack[place + 1 :]
                    return True
        return False

    def fold(self) -> bool:
        """Are the last three blocks of some length alike?"""
        stack = self.stack
        top = len(stack) - 1
        if top < 2:
            return False
        for length in (1, 2, 3):
            if self.repeats(length):
                return True
        if top < 11:
            return False
        where = self.seen.get((stack[-1].kind, stack[-2].kind, stack[-3].kind, stack[-4].kind))
        if where:
            while where and where[-1] >= top:
                where.pop()
            for place in where[: -_TRIES - 1 : -1]:
                if self.repeats(top - place):
                    return True
        return False

    def repeats(self, length: int) -> bool:
        stack = self.stack
        top = len(stack) - 1
        if top + 1 < 3 * length:
            return False
        a, b, c = stack[top - 2 * length], stack[top - length], stack[top]
        if not a.kind == b.kind == c.kind or any(
            x - y != y - z for x, y, z in zip(a.numbers, b.numbers, c.numbers, strict=True)
        ):
            return False
        thirds = [stack[top + 1 - k * length : top + 1 - (k - 1) * length] for k in (3, 2, 1)]
        if any(not x.kind == y.kind == z.kind for x, y, z in zip(*thirds, strict=True)):
            return False
        first, second, third = ([n for term in block for n in term.numbers] for block in thirds)
        if any(x - y != y - z for x, y, z in zip(first, second, third, strict=True)):
            return False
        steps = [y - x for x, y in zip(first, second, strict=True)]
        shape = self.kind((tuple([term.kind for term in thirds[0]]), tuple(steps)))
        loop = Term(self.kind((shape, 3)), first, 3 * sum(term.size for term in thirds[0]))
        loop.body, loop.steps, loop.count, loop.shape = thirds[0], steps, 3, shape
        place = top + 1 - 3 * length
        del stack[place:]
        stack.append(loop)
        while self.loops and self.loops[-1] >= place:
            self.loops.pop()
        self.loops.append(place)
        return True


def folded(program: Program) -> list[Term]:
    """The program as terms, in order."""
    folder = _Folder()
    kind, push = folder.kind, folder.push
    for row in program.rows:
        spaces = tuple([space for space, _ in row.refs])
        push(Term(kind((row.op, spaces, row.active)), [n for _, n in row.refs], 1, row))
    return folder.stack


def count_terms(terms: Sequence[Term]) -> int:
    """How many operations and loops are written down."""
    return sum(1 + count_terms(term.body) for term in terms)
