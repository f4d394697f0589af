"""The nest read as equations: a value that one place reads is written there, and a running sum is a Σ.

A statement's results are numbered; a reader's numbers are affine in its turns. Those that are read through one index
have one name, with the indices of the loops that made them.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import signature
from itertools import chain, count, product as grid
from math import gcd
from typing import Any

from ...byhand.derivation import formulas
from ...byhand.expression import Expression
from ...byhand.tidy import Part, terms
from ...engine import Value
from ..nest import Loop, Nest, Statement
from ..trace import ARGUMENT, CONSTANT, PARAMETER, VALUE
from .equations import (
    Affine,
    Equation,
    For,
    Index,
    Item,
    Name,
    _applied,
    _extended,
    _has_series,
    _is,
    _leaf,
    _names,
    _op,
    _rebuilt,
    _series,
    _size,
    _sum,
    put,
)
from .plain import _Join, _numbered, _plain_items

LINE = 40  # symbols; what would be longer gets a name


SHORT = 7  # symbols of arithmetic that may be written once more, in a derivative


UNROLLED = 4  # turns of a recurrence up to which it is written turn by turn


def named_places(
    structure: Any, index: tuple[int, ...] = (), stem: str = ""
) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """(number, stem, indices) for each number of a nested structure; keys of dicts belong to the stem."""
    if hasattr(structure, "tolist"):
        structure = structure.tolist()
    if isinstance(structure, dict):
        for key, item in structure.items():
            yield from named_places(item, index, f"{stem}_{key}")
    elif isinstance(structure, (list, tuple)):
        for i, item in enumerate(structure, 1):
            yield from named_places(item, (*index, i), stem)
    else:
        yield structure, stem, index


class Inputs:
    """Names for the numbers of parameters, constants and arguments.

    places: by the space, and the number there, the stem and the indices.
    """

    def __init__(self, f: Any, parameters: Sequence[Value], shapes: Sequence[Any]):
        self.places: dict[int, list[tuple[str, tuple[int, ...]]]] = {}
        for i, (shape, name) in enumerate(zip(shapes, _argument_names(f, len(shapes)), strict=True)):
            self.places[ARGUMENT + i] = [(name + stem, index) for _, stem, index in named_places(shape)]
        taken = {stem for places in self.places.values() for stem, _ in places}
        names = [_parted(p.name) for p in parameters]
        times = Counter(names)
        flat = next(
            stem for stem in chain("p", (f"p{i}" for i in count())) if stem not in taken | {s for s, _ in names}
        )
        self.flat = flat
        others = taken | {s for s, _ in names} | {flat}
        self.constant = next(stem for stem in chain("c", (f"c{i}" for i in count())) if stem not in others)
        self.places[PARAMETER] = [
            name if times[name] == 1 and name[0].isidentifier() and name[0] not in taken else (flat, (i,))
            for i, name in enumerate(names, 1)
        ]
        for space in self.places:
            self._drop_fixed(space)

    def stems(self) -> set[str]:
        return {stem for places in self.places.values() for stem, _ in places} | {self.constant}

    def _drop_fixed(self, space: int) -> None:
        """An index that is always the same says nothing: w3[i], not w3[i,1]."""
        groups: dict[str, list[tuple[int, ...]]] = {}
        for stem, index in self.places[space]:
            groups.setdefault(stem, []).append(index)
        kept: dict[str, list[int]] = {}
        for stem, rows in groups.items():
            if len({len(row) for row in rows}) > 1 or len(set(rows)) < len(rows):
                self.flatten(space, stem)
                self._drop_fixed(space)
                return
            columns = list(zip(*rows, strict=True))
            kept[stem] = [c for c, column in enumerate(columns) if len(set(column)) > 1]
            if space != PARAMETER and not kept[stem]:
                kept[stem] = list(range(len(columns)))
        self.places[space] = [
            (stem, tuple(index[c] for c in kept[stem]) if stem in kept else index) for stem, index in self.places[space]
        ]

    def flatten(self, space: int, stem: str) -> None:
        """Give up the indices of a stem: its numbers are counted."""
        own = [i for i, place in enumerate(self.places[space]) if place[0] == stem]
        for n, i in enumerate(own, 1):
            self.places[space][i] = (self.flat, (i + 1,)) if space == PARAMETER else (stem, (n,))

    def name(self, space: int, number: Affine) -> Name:
        """What is read there. Stems whose indices do not move regularly are flattened, and LookupError is raised."""
        places = self.places[space]
        base = number.put({v: Affine(v.first) for v, _ in number.steps})
        stem, start = places[base.constant]
        index = [Affine(x) for x in start]
        for v, step in number.steps:
            other, moved = places[base.constant + step]
            if other == stem and len(moved) == len(start):
                index = [
                    a.plus(Affine(-v.first * (y - x), ((v, y - x),))) if y != x else a
                    for a, x, y in zip(index, start, moved, strict=True)
                ]
        for turns in grid(*(range(v.first, v.last + 1) for v, _ in number.steps)):
            at = {v: Affine(t) for (v, _), t in zip(number.steps, turns, strict=True)}
            n = number.constant + sum(s * t for (_, s), t in zip(number.steps, turns, strict=True))
            if places[n] != (stem, tuple(a.put(at).constant for a in index)):
                numbers = grid(*(range(v.first, v.last + 1) for v, _ in number.steps))
                touched = {
                    places[number.constant + sum(s * t for (_, s), t in zip(number.steps, turns, strict=True))][0]
                    for turns in numbers
                }
                for stem in touched:
                    self.flatten(space, stem)
                raise LookupError(stem)
        return Name(stem, index)


def _argument_names(f: Any, many: int) -> list[str]:
    try:
        parameters = list(signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:many]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return names + [f"{rest}{i}" for i in range(1, many - len(names) + 1)]


def _parted(name: str) -> tuple[str, tuple[int, ...]]:
    """w2_3_5 is w2 with indices 3, 5."""
    match = re.fullmatch(r"(.*?[^\W_]\d*?)((?:_\d+)+)", name)
    return (match[1], tuple(map(int, match[2][1:].split("_")))) if match else (name, ())


_CELL = "\0"  # the stem of a result that has no name yet; its index is its number in the program


class _Line:
    """A statement, perhaps with some of the loops around it written turn by turn.

    number: where its result is. tree: what it computes. group, index: whose name it has.
    """

    __slots__ = ("active", "group", "index", "number", "path", "stem", "tree")

    def __init__(self, number: Affine, tree: Part, path: tuple[Index, ...], *, active: bool):
        self.number, self.tree, self.path, self.active = number, tree, path, active
        self.group: _Line = self
        self.stem = ""
        self.index: tuple[Affine, ...] = ()

    @property
    def name(self) -> Name:
        return Name(_CELL, (self.number,))

    def before(self) -> Name:
        """Its name in the turn before."""
        over = self.path[-1]
        return Name(_CELL, (self.number.put({over: Affine(-1, ((over, 1),))}),))


class _Reading:
    """Somebody reads a result.

    last: always that of the last turn. where: the indices of its turn in those of the reader, if it is always of one
    line.
    """

    __slots__ = ("last", "name", "reader", "where")

    def __init__(self, reader: _Line, name: Name, where: dict[Index, Affine] | None, *, last: bool):
        self.reader, self.name, self.where, self.last = reader, name, where, last


class _Forward:
    """Reads a nest."""

    def __init__(self, nest: Nest, inputs: Inputs, *, gradient: bool):
        self.nest, self.inputs, self.gradient = nest, inputs, gradient
        self.lines: list[_Line] = []
        self.of: dict[tuple[Statement, tuple[int, ...]], _Line] = {}
        self.constants: dict[int, float] = {}

    def items(self) -> list[Item]:
        while True:
            self.lines.clear()
            self.of.clear()
            try:
                for chunk in self.nest.chunks:
                    self._read(chunk, {chunk: Affine(0)}, ())
                break
            except LookupError:
                continue  # with fewer names
        while self._put_together():
            pass
        for line in self.lines:
            line.tree = _extended(line.tree)
        self._name()
        return _plain_items(_numbered(_Join(self._nested()).items, self.inputs.stems()))

    # ---- from statements to lines

    def _read(self, loop: Loop, turns: dict[Loop, Affine], path: tuple[Index, ...]) -> None:
        for item in loop.items:
            if isinstance(item, Statement):
                self._line(item, turns, path)
            elif _is_unrolled(item):
                for turn in range(item.count):
                    self._read(item, {**turns, item: Affine(turn)}, path)
            else:
                over = Index(1, item.count, "jkmn"[min(len(path), 3)])
                self._read(item, {**turns, item: Affine(-1, ((over, 1),))}, (*path, over))

    def _line(self, statement: Statement, turns: dict[Loop, Affine], path: tuple[Index, ...]) -> None:
        def number(base: int, steps: tuple[int, ...]) -> Affine:
            found = Affine(base)
            for loop, step in zip(statement.path, steps, strict=True):
                found = found.plus(turns[loop], step)
            return found

        operands: list[Part] = []
        for read in statement.reads:
            at = number(read.base, read.steps)
            if read.fixed is not None:
                operands.append(read.fixed)
            elif read.space == VALUE:
                operands.append(Expression(name=Name(_CELL, (at,))))
            elif read.space == CONSTANT:
                operands.append(self._constant(at))
            else:
                operands.append(_leaf(self.inputs.name(read.space, at)))
        line = _Line(
            number(statement.base, statement.steps), _applied(statement.op, operands), path,
            active=any(statement.active),
        )  # fmt: skip
        self.lines.append(line)
        fixed = tuple(turns[loop].constant for loop in statement.path if not turns[loop].steps)
        self.of[statement, fixed] = line

    def _constant(self, at: Affine) -> Part:
        """A constant that is another one in each turn: by its index, if it is that itself."""
        numbers = self.nest.program.constants
        start = at.put({v: Affine(v.first) for v, _ in at.steps}).constant
        by_turn = {}
        for v, step in at.steps:
            by_turn[v] = numbers[start + step] - numbers[start]
        found = {}
        whole = all(x == x // 1 for x in (numbers[start], *by_turn.values()))
        index = Affine(0)
        if whole:
            index = Affine.of(0, {v: int(x) for v, x in by_turn.items()})
            index = index.plus(Affine(int(numbers[start]) - index.put({v: Affine(v.first) for v in by_turn}).constant))
        for turns in grid(*(range(v.first, v.last + 1) for v, _ in at.steps)):
            here = {v: Affine(t) for (v, _), t in zip(at.steps, turns, strict=True)}
            n = at.put(here).constant
            found[n + 1] = numbers[n]
            whole = whole and numbers[n] == index.put(here).constant
        if whole or len(set(found.values())) == 1:
            return _leaf(Name("", (index,))) if whole else numbers[start]
        self.constants |= found
        return Expression(name=Name(self.inputs.constant, (at.plus(Affine(1)),)))

    # ---- who reads what

    def find(self, number: int) -> tuple[_Line, tuple[int, ...]]:
        """The line that has this result, and the turns of its loops."""
        statement = self.nest.find(number)
        rest = number - statement.base
        turns = [0]
        for step in statement.steps[1:]:
            turns.append(rest // step)
            rest %= step
        line = self.of.get((statement, (0,)))
        if line is None:
            unrolled = [_is_unrolled(loop) for loop in statement.path]
            fixed = (0, *(t for t, u in zip(turns[1:], unrolled[1:], strict=True) if u))
            line = self.of[statement, fixed]
            turns = [0, *(t for t, u in zip(turns[1:], unrolled[1:], strict=True) if not u)]
        return line, tuple(t + 1 for t in turns[1 : len(line.path) + 1])

    def _readings(self) -> dict[_Line, list[_Reading]]:
        found: dict[_Line, list[_Reading]] = {line: [] for line in self.lines}
        for line in self.lines:
            for name in _names(line.tree):
                if name.stem == _CELL:
                    (number,) = name.at
                    target, _ = self.find(number.put({v: Affine(v.first) for v, _ in number.steps}).constant)
                    where = _solved(number, target)
                    if where is not None:
                        last = bool(target.path) and where[target.path[-1]] == Affine(target.path[-1].last)
                        found[target].append(_Reading(line, name, where, last=last))
                        continue
                    touched: dict[_Line, bool] = {}
                    for turns in grid(*(range(v.first, v.last + 1) for v, _ in number.steps)):
                        n = number.constant + sum(s * t for (_, s), t in zip(number.steps, turns, strict=True))
                        target, at = self.find(n)
                        touched[target] = touched.get(target, True) and at[-1:] == tuple(
                            v.last for v in target.path[-1:]
                        )
                    for target, last in touched.items():
                        found[target].append(_Reading(line, name, None, last=last))
        return found

    # ---- from lines to equations as a person writes them

    def _put_together(self) -> bool:
        """Write values in the place that reads them, or else running sums as sums. Returns whether there were some."""
        readings = self._readings()
        inside: dict[Name, Part] = {}
        kept = []
        for line in self.lines:  # operands stand before what reads them
            line.tree = _rebuilt(line.tree, lambda name: inside[name] if name in inside else Expression(name=name))
            own = readings[line]
            if _op(line.tree) == "" and own and all(r.where is not None for r in own):  # another name of something
                for reading in own:
                    inside[reading.name] = put(line.tree, reading.where or {})
                continue
            same_turn = len(own) == 1 and own[0].reader.path == line.path and own[0].name == line.name
            if same_turn and self._may_stand_in(line, own[0].reader):
                inside[line.name] = line.tree
                continue
            kept.append(line)
        if inside:
            self.lines = kept
            return True
        sums = [line for line in self.lines if _is_sum(line, readings[line])]
        for line in sums:
            over = line.path[-1]
            before, first = line.before(), line.number.put({over: Affine(over.first - 1)})
            summands = [x for x in terms([line.tree]) if not _is(x, before)]
            line.path, line.number = line.path[:-1], line.number.put({over: Affine(over.last)})
            line.tree = _sum([Expression(name=Name(_CELL, (first,))), _series(over, _sum(summands))])
            place = self.lines.index(line)
            del self.lines[place]  # it is read after the loop
            self.lines.insert(max((i + 1 for i, x in enumerate(self.lines) if over in x.path), default=place), line)
        return bool(sums)

    def _may_stand_in(self, line: _Line, reader: _Line) -> bool:
        tree = line.tree
        around = _around(reader.tree, line.name)
        if around is None or around.op.name == "same":
            return True
        if _size(tree) + _size(reader.tree) > LINE:
            return False
        if _has_series(tree):
            scaled = around.op.name in ("sub", "mul", "div") and float in map(type, around.operands)
            return scaled or around.op.name in ("add", "neg")
        if not (self.gradient and line.active):
            return True
        if around.op.arity == 1 and not around.op.slopes and (_size(tree) > SHORT - 2 or _op(tree) == "div"):
            return False  # what a function is taken of: the derivative by it is used for all that it is made of
        operand, _ = _mentions(around, line.name)
        _, result = _mentions(tree, None)
        return _size(tree) <= (SHORT - 2 if result else SHORT) or not (operand or result)

    # ---- names

    def _name(self) -> None:
        """Give names to the lines: to those that are read through one index, the same."""
        readings = self._readings()
        by_reading: dict[tuple[_Line, Name], list[_Line]] = {}
        for target, own in readings.items():
            for reading in own:
                by_reading.setdefault((reading.reader, reading.name), []).append(target)
        for targets in [*by_reading.values(), self._outs()]:
            for other in targets[1:]:
                a, b = _root(targets[0]), _root(other)
                if a is not b:
                    b.group = a
        groups: dict[_Line, list[_Line]] = {}
        for line in self.lines:
            groups.setdefault(_root(line), []).append(line)
        stems = self._stems(groups, readings)
        indices: dict[tuple[str, Name], tuple[Affine, ...]] = {}
        for root, members in groups.items():
            names = {line.name for line in members}
            for line in members:
                names |= {reading.name for reading in readings[line]}
            found = _indices(members, names)
            for line in members:
                line.group, line.index = root, found[line.name]
            for name, index in found.items():
                indices[stems[root], name] = index
        where = {(reading.reader, reading.name): stems[line.group] for line, own in readings.items() for reading in own}
        for line in self.lines:

            def named(name: Name, line: _Line = line) -> Part:
                if name.stem != _CELL:
                    return Expression(name=name)
                stem = where[line, name]
                return Expression(name=Name(stem, indices[stem, name]))

            line.tree = _rebuilt(line.tree, named)
            line.stem = stems[line.group]

    def _outs(self) -> list[_Line]:
        return [line for line in self.lines if line.number.span()[1] >= self.nest.size - self.nest.program.outs]

    def _stems(self, groups: dict[_Line, list[_Line]], readings: dict[_Line, list[_Reading]]) -> dict[_Line, str]:
        """z for sums and what a function is taken of, f for what that gives; u for what a loop carries on."""
        outs = set(self._outs())
        taken = self.inputs.stems()
        letters: dict[_Line, str] = {}
        for root, members in groups.items():
            functions = {
                around.op.name
                for line in members
                for reading in readings[line]
                if (around := _around(reading.reader.tree, reading.name)) is not None and around.op.arity == 1
            } - {"neg", "same", "series"}
            carried = any(r.reader is line and r.name != line.name for line in members for r in readings[line])
            if outs.intersection(members):
                letter = "L" if self.nest.program.outs == 1 else "y"
            elif carried:
                letter = "u"
            elif functions or _has_series(members[-1].tree):
                letter = "z"
            else:
                tree = members[-1].tree
                letter = "f" if isinstance(tree, Expression) and tree.op and tree.op.arity == 1 else "v"
            letters[root] = letter
        stems: dict[_Line, str] = {}
        numbers: dict[str, Iterator[int]] = {}
        for root, letter in letters.items():
            names = (f"{letter}{i}" for i in numbers.setdefault(letter, count(1)))
            stems[root] = next(name for name in chain(letter if letter in "Ly" else "", names) if name not in taken)
            taken.add(stems[root])
        return stems

    def _nested(self) -> list[Item]:
        """The equations in their loops."""
        top: list[Item] = []
        opened: list[tuple[Index, list[Item]]] = []
        for line in self.lines:
            common = 0
            while common < min(len(opened), len(line.path)) and opened[common][0] is line.path[common]:
                common += 1
            del opened[common:]
            for over in line.path[common:]:
                loop = For(over, [])
                (opened[-1][1] if opened else top).append(loop)
                opened.append((over, loop.items))
            equation = Equation(Name(line.stem, line.index), line.tree, line.path, active=line.active)
            (opened[-1][1] if opened else top).append(equation)
        return top


def _is_unrolled(loop: Loop) -> bool:
    """Is it a short recurrence, and no sum?"""
    return loop.count <= UNROLLED and any(x.op.name not in ("add", "sub") for x in loop.carried)


def _root(line: _Line) -> _Line:
    while line.group is not line:
        line.group = line.group.group
        line = line.group
    return line


def _is_sum(line: _Line, own: list[_Reading]) -> bool:
    """Does it add something to itself of the turn before, and does nobody else read it before its last turn?"""
    if not line.path or not isinstance(line.tree, Expression) or line.tree.op is None:
        return False
    before = line.before()
    return (
        _names(line.tree).count(before) == 1
        and any(_is(x, before) for x in terms([line.tree]))
        and all(r.last or (r.reader is line and r.name == before) for r in own)
    )


def _around(tree: Part, name: Name) -> Any:
    """The operation whose operand it is, where it stands first."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, Expression):
            if any(_is(x, name) for x in part.operands):
                return part
            stack += reversed(part.operands)
    return None


def _mentions(part: Part, name: Name | None) -> tuple[bool, bool]:
    """Do the partials of the operation, as they are written, mention this operand, and do they mention the result?"""
    if not isinstance(part, Expression) or part.op is None or part.op.slopes or part.op.name == "series":
        return False, False
    probes = [x if isinstance(x, float) else Expression(name=str(i)) for i, x in enumerate(part.operands)]
    found: Counter[str] = Counter()
    for written, probe in zip(formulas(part.op), probes, strict=True):
        slope = written(*probes, Expression(name="out")) if isinstance(probe, Expression) else 0.0
        found.update(slope.names() if isinstance(slope, Expression) else ())
    mine = [str(i) for i, x in enumerate(part.operands) if name is not None and _is(x, name)]
    return any(found[i] for i in mine), bool(found["out"])


def _solved(number: Affine, target: _Line, *, beyond: int = 0) -> dict[Index, Affine] | None:
    """The indices of the target's turn at which its number is this one, if there are such for all of the reader's.

    beyond: how many turns there may be before the first and after the last.
    """
    steps = dict(target.number.steps)
    rest = number.plus(target.number.put({v: Affine(v.first) for v in steps}), -1)
    found: dict[Index, Affine] = {}
    for place, v in enumerate(target.path):
        size = steps[v]
        parts = {}
        left = {}
        for reader, step in rest.steps:
            whole = step // size if step >= 0 else -(-step // size)
            parts[reader], left[reader] = whole, step - whole * size
        inner = target.path[place + 1 :]
        base = rest.constant
        # Where the reader begins, its own indices counted from their first.
        moved = base + sum(reader.first * step for reader, step in left.items())
        if not inner and moved % size:
            return None
        whole = moved // size
        if inner and beyond:
            room = (inner[0].last - inner[0].first + 1 + beyond) * steps[inner[0]]
            if moved % size >= room and moved % size >= size - beyond * steps[inner[0]]:
                whole += 1
        found[v] = Affine.of(whole + v.first, parts)
        rest = Affine.of(base - whole * size, left)
    if rest.constant or rest.steps:
        return None
    for place, (v, at) in enumerate(found.items()):
        low, high = at.span()
        if (place or not beyond) and (low < v.first - beyond or high > v.last + beyond):
            return None
    return found


def _indices(members: list[_Line], names: set[Name]) -> dict[Name, tuple[Affine, ...]]:
    """Indices for numbers of the program: by the loops of one of the members, else one that counts them."""
    main = max(members, key=lambda line: (len(line.path), line.path[-1].last if line.path else 0))
    found: dict[Name, tuple[Affine, ...]] = {}
    for name in names:
        where = _solved(name.at[0], main, beyond=1)
        if where is None:
            break
        found[name] = tuple(where.values())
    else:
        firsts = [min(line_index[d].span()[0] for line_index in found.values()) for d in range(len(main.path))]
        return {n: tuple(a.plus(Affine(1 - f)) for a, f in zip(x, firsts, strict=True)) for n, x in found.items()}
    numbers = [name.at[0] for name in names]
    first = min(number.span()[0] for number in numbers)
    unit = gcd(*(n.put({v: Affine(v.first) for v, _ in n.steps}).constant - first for n in numbers),
               *(s for n in numbers for _, s in n.steps)) or 1  # fmt: skip
    return {
        name: (Affine((n.constant - first) // unit + 1, tuple((v, s // unit) for v, s in n.steps)),)
        for name, n in zip(names, numbers, strict=True)
    }
