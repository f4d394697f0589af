"""Lines of a derivation that differ only in their indices, written once: Σ_k w_jk δ_k for every unit j."""

import re
from collections.abc import Sequence
from itertools import product as grid
from typing import Any

from ..engine import Value
from ..ops import Op
from .expression import Expression
from .tidy import Part, terms
from .writing import Ranges, index

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


def fold(lines: Sequence[Line]) -> list[Line]:
    """The lines, those of one family written once if they are alike for all values of their indices."""
    families: dict[tuple[Any, ...], list[Line]] = {}
    run, previous = 0, ("", "")
    for line in lines:
        stem, indices = _split(line.name)
        # What uses a δ stands below it: the δ of a family can be written once only where they stand together.
        run += line.kind != "gradient" and (line.kind, stem) != previous
        previous = line.kind, stem
        place = run if line.kind == "delta" else 0 if line.kind == "gradient" and indices else line.name
        families.setdefault((line.kind, stem, place, *indices[:-1][:1]), []).append(line)
    folded: dict[Line, Line | None] = {}  # what stands in the place of a line; None where it is in another's
    for family in families.values():
        parts: dict[tuple[str, ...], list[Line]] = {}  # perhaps for each input by itself
        for line in family:
            parts.setdefault(_split(line.name)[1][:2], []).append(line)
        for group in [family] if _regular(family) else parts.values():
            regular = _regular(group)
            folded |= dict.fromkeys(group) if regular else {line: _shortened(line) for line in group}
            folded[group[0]] = regular or _shortened(group[0])
    return [line for line in map(folded.__getitem__, lines) if line]


def _shortened(line: Line) -> Line:
    ranges: list[tuple[str, int, int]] = []
    expression = _with_series(line.expression, EXPLICIT, ranges)
    return Line(line.kind, line.node, line.name, expression, line.of, ranges) if ranges else line


def _regular(family: list[Line]) -> Line | None:
    """One line for the whole family, or None."""
    if len(family) < 2:
        return None
    places = [tuple(map(int, _split(line.name)[1])) for line in family]
    columns = list(zip(*places, strict=True))
    letters = {
        c: letter
        for c, letter in enumerate(_LETTERS.get(len(columns), ""))
        if letter != " " and len(set(columns[c])) > 1
    }
    full = list(grid(*(range(min(column), max(column) + 1) for column in columns)))
    if not letters or sorted(places) != full:
        return None
    ranges: list[tuple[str, int, int]] = [(letter, min(columns[c]), max(columns[c])) for c, letter in letters.items()]
    variables = {letter: list(map(str, columns[c])) for c, letter in letters.items()}
    found: list[tuple[str, int, int]] = []
    rows = [_with_series(line.expression, 1, found) for line in family]
    expression = _alike(rows, variables)
    if not isinstance(expression, Expression) or len(set(found)) > 1:
        return None
    first = family[0]
    indices = [letters.get(c, str(column[0])) for c, column in enumerate(columns)]
    name, of = (index(_split(text)[0], indices) if text else "" for text in (first.name, first.of))
    return Line(first.kind, first.node, name, expression, of, [*ranges, *sorted(set(found))])


def _with_series(part: Part, explicit: int, ranges: list[tuple[str, int, int]]) -> Part:
    """The expression with Σ_k for sums of more than `explicit` terms that differ in one index; notes its range."""
    if not isinstance(part, Expression) or part.op is None:
        return part
    if part.op.name in ("add", "sub"):
        summands = terms([part])
        if len(summands) > explicit and (series := _series(summands, ranges)):
            return series
        return part
    return Expression(part.op, tuple(_with_series(x, explicit, ranges) for x in part.operands))


def _series(summands: list[Part], ranges: list[tuple[str, int, int]]) -> Expression | None:
    first, *others = (_names(summand) for summand in summands)
    for position, name in enumerate(first):
        for place in range(len(_split(name)[1])):
            column = [
                _split(names[position])[1][place : place + 1] for names in (first, *others) if position < len(names)
            ]
            values = [int(value) for one in column for value in one if value.isdigit()]
            if len(values) < len(summands) or values != list(range(values[0], values[0] + len(summands))):
                continue
            body = _alike(summands, {"k": list(map(str, values))})
            if isinstance(body, Expression):
                ranges.append(("k", values[0], values[-1]))
                return Expression(SERIES, (body,))
    return None


SERIES = Op("series", lambda x: x, (1.0,), text="Σ_k {0}", latex=r"\sum_{{k}} {0}")


def _alike(rows: Sequence[Part], variables: dict[str, list[str]]) -> Part | None:
    """One expression for all rows, a letter where an index is the variable of that letter; None if there is none."""
    if len({_skeleton(row) for row in rows}) > 1:
        return None
    first = rows[0]
    if not isinstance(first, Expression):
        return first
    new = []
    for column in zip(*(_names(row) for row in rows), strict=True):
        stem, indices = _split(column[0])
        written = []
        for values in zip(*(_split(name)[1] for name in column), strict=True):
            letter = next((letter for letter, own in variables.items() if own == list(values)), "")
            if not letter and len(set(values)) > 1:
                return None
            written.append(letter or values[0])
        new.append(column[0] if tuple(written) == indices else index(stem, written))
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
    match = re.fullmatch(r"([^\W\d_]+)(?:_?(\d+(?:_\d+)*)|\[(.*)\])", name)
    return (match[1], tuple(re.split("[_,]", match[2] or match[3]))) if match else (name, ())
