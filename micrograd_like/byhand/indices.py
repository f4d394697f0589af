"""Lines of a derivation that differ only in their indices, written once: Σ_k w_jk δ_k for every unit j."""

import re
from collections.abc import Collection, Sequence
from itertools import product as grid
from typing import Any, NamedTuple

from ..engine import Value
from ..ops import Op
from .expression import Expression
from .formula import spelled
from .tidy import Part, terms
from .writing import TEXT, Ranges, index

_LETTERS = {1: "i", 2: " j", 3: " ij"}  # of the indices of a name, by how many it has; a space is the layer
EXPLICIT = 3  # terms of a sum that are still written out where only one line has it


class Line:
    """One line of a derivation: `name` = `expression`.

    kind: "value" for a number of the graph that gets a name because it is used often, "delta" for a derivative that
    other lines use, "gradient" for a derivative that was asked for. node: what it is the value of, or the derivative
    by. name: what other lines, and Python, call it. of: the name of the node, for a gradient. ranges: letter, first and
    last of the indices, for a line that stands for several.
    """

    __slots__ = ("expression", "kind", "name", "node", "of", "ranges")

    def __init__(self, kind: str, node: Value, name: str, expression: Part, of: str = "", ranges: Ranges = ()):
        self.kind, self.node, self.name, self.expression = kind, node, name, expression
        self.of, self.ranges = of, ranges


class _Free(NamedTuple):
    """Letters for the indices of sums, and the spellings that names with indices may not have."""

    letters: Sequence[str]
    taken: Collection[str]

    def may_have(self, name: str) -> bool:
        """Is this name of something with indices that of nothing else?"""
        return spelled(TEXT.name(name)) not in self.taken


def fold(lines: Sequence[Line], taken: Collection[str] = ()) -> list[Line]:
    """The lines, those of one family written once if they are alike for all values of their indices.

    taken: spellings of the names of the graph, which nothing with an index may have.
    """
    if {"i", "j"} & set(taken):
        return list(lines)
    free = _Free([letter for letter in "kmnpq" if letter not in taken], taken)
    families: dict[tuple[Any, ...], list[Line]] = {}
    run, previous = 0, ("", "")
    for line in lines:
        stem, indices = _split(line.name)
        # What uses a δ stands below it: the δ of a family can be written once only where they stand together.
        run += line.kind != "gradient" and (line.kind, stem) != previous
        previous = line.kind, stem
        place = run if line.kind == "delta" else 0 if line.kind == "gradient" and indices else line.name
        families.setdefault((line.kind, stem, place, len(indices), *indices[:-1][:1]), []).append(line)
    folded: dict[Line, Line | None] = {}  # what stands in the place of a line; None where it is in another's
    for family in families.values():
        parts: dict[tuple[str, ...], list[Line]] = {}  # perhaps for each input by itself
        for line in family:
            parts.setdefault(_split(line.name)[1][:2], []).append(line)
        whole = _regular(family, free)
        for group in [family] if whole else parts.values():
            regular = whole or _regular(group, free)
            folded |= dict.fromkeys(group) if regular else {line: _shortened(line, free) for line in group}
            if regular:
                folded[group[0]] = regular
    return [line for line in map(folded.__getitem__, lines) if line]


def _shortened(line: Line, free: _Free) -> Line:
    series = _Series(free, EXPLICIT)
    expression = series.put(line.expression)
    return Line(line.kind, line.node, line.name, expression, line.of, series.ranges) if series.ranges else line


def _regular(family: list[Line], free: _Free) -> Line | None:
    """One line for the whole family, or None."""
    if len(family) < 2:
        return None
    places = [tuple(map(int, _split(line.name)[1])) for line in family]
    columns = list(zip(*places, strict=True))
    running = {
        c: letter
        for c, letter in enumerate(_LETTERS.get(len(columns), ""))
        if letter != " " and len(set(columns[c])) > 1
    }
    full = list(grid(*(range(min(column), max(column) + 1) for column in columns)))
    if not running or sorted(places) != full:
        return None
    ranges: list[tuple[str, int, int]] = [(letter, min(columns[c]), max(columns[c])) for c, letter in running.items()]
    variables = {letter: list(map(str, columns[c])) for c, letter in running.items()}
    found, rows = [], []
    for line in family:
        series = _Series(free, 1)
        rows.append(series.put(line.expression))
        found.append(series.ranges)
    expression = _alike(rows, variables, free)
    if not isinstance(expression, Expression) or any(other != found[0] for other in found):
        return None
    first = family[0]
    indices = [running.get(c, str(column[0])) for c, column in enumerate(columns)]
    name, of = (index(_split(text)[0], indices) if text else "" for text in (first.name, first.of))
    if not free.may_have(of or name):
        return None
    return Line(first.kind, first.node, name, expression, of, [*ranges, *found[0]])


class _Series:
    """Puts Σ_k in the place of sums of more than `explicit` terms that differ in one index.

    ranges: of the letters that were used. Sums over the same range have the same letter.
    """

    def __init__(self, free: _Free, explicit: int):
        self.free, self.explicit = free, explicit
        self.ranges: list[tuple[str, int, int]] = []

    def put(self, part: Part) -> Part:
        """The expression with its sums written shorter."""
        if not isinstance(part, Expression) or part.op is None:
            return part
        if part.op.name in ("add", "sub"):
            summands = terms([part])
            return (self._series(summands) if len(summands) > self.explicit else None) or part
        return Expression(part.op, tuple(map(self.put, part.operands)))

    def _series(self, summands: list[Part]) -> Expression | None:
        rows = [_names(summand) for summand in summands]
        for position, name in enumerate(rows[0]):
            for place in range(len(_split(name)[1])):
                columns = [_split(names[position])[1][place:][:1] for names in rows if position < len(names)]
                values = [int(value) for column in columns for value in column if value.isdigit()]
                letter = self._letter(values) if len(values) == len(summands) else ""
                if not letter:
                    continue
                body = _alike(summands, {letter: list(map(str, values))}, self.free)
                if isinstance(body, Expression):
                    if (letter, values[0], values[-1]) not in self.ranges:
                        self.ranges.append((letter, values[0], values[-1]))
                    return Expression(series(letter), (body,))
        return None

    def _letter(self, values: list[int]) -> str:
        """The letter for an index that runs through these values; "" if they do not run, or no letter is left."""
        if values != list(range(values[0], values[0] + len(values))):
            return ""
        known = {(first, last): letter for letter, first, last in self.ranges}
        left = [letter for letter in self.free.letters if letter not in known.values()]
        return known.get((values[0], values[-1])) or (left[0] if left else "")


def series(letter: str) -> Op:
    """The sum over an index, as an operation on its term."""
    return Op("series", lambda x: x, (1.0,), text=f"Σ_{letter} {{0}}", latex=rf"\sum_{{{{{letter}}}}} {{0}}")


def _alike(rows: Sequence[Part], variables: dict[str, list[str]], free: _Free) -> Part | None:
    """One expression for all rows, a letter where an index is the variable of that letter; None if there is none."""
    if len({_skeleton(row) for row in rows}) > 1:
        return None
    first = rows[0]
    if not isinstance(first, Expression):
        return first
    new = []
    for column in zip(*(_names(row) for row in rows), strict=True):
        stem, indices = _split(column[0])
        if (not indices and len(set(column)) > 1) or re.fullmatch(r".+[_\d][ijkmnpq]+", column[0]):
            return None  # no index is seen in the one, and in the other, a name like w_i, one that is none
        written = []
        for values in zip(*(_split(name)[1] for name in column), strict=True):
            letter = next((letter for letter, own in variables.items() if own == list(values)), "")
            if not letter and len(set(values)) > 1:
                return None
            written.append(letter or values[0])
        new.append(column[0] if tuple(written) == indices else index(stem, written))
        if new[-1] != column[0] and not free.may_have(new[-1]):
            return None
    rest = iter(new)
    renamed: Expression = first._fold(
        lambda name: Expression(name=next(rest)), float, lambda op, operands, results: Expression(op, tuple(results))
    )
    return renamed


def _names(part: Part) -> list[str]:
    """The names of an expression, in their order."""
    names: list[str] = []
    if isinstance(part, Expression):
        part._fold(names.append, float, lambda op, operands, results: None)
    return names


def _skeleton(part: Part) -> str:
    """The expression without the numbers in its indices."""
    if not isinstance(part, Expression):
        return repr(part)
    text: str = part._fold(
        lambda name: re.sub(r"\d+", "#", name), repr, lambda op, operands, results: f"{op.name}({','.join(results)})"
    )
    return text


def _split(name: str) -> tuple[str, tuple[str, ...]]:
    """w2_1_3 is w with indices 2, 1, 3; so is w[2,1,3], where letters are possible."""
    match = re.fullmatch(r"(.*[^\W\d_])(?:_?(\d+(?:_\d+)*)|\[(.*)\])", name)
    return (match[1], tuple(re.split("[_,]", match[2] or match[3]))) if match else (name, ())
