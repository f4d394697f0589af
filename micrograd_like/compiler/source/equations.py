"""Equations with indices: names whose indices run, trees with Σ, and what is repeated for an index."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, Self

from ...byhand.expression import Expression
from ...byhand.tidy import Part, product, terms
from ...ops import TABLE, Op

_ids = count()


class Index:
    """A letter that runs from first to last. wish: the letter, if it is free."""

    __slots__ = ("first", "last", "number", "wish")

    def __init__(self, first: int, last: int, wish: str):
        self.first, self.last, self.wish = first, last, wish
        self.number = next(_ids)


class Affine(NamedTuple):
    """A whole number that depends on indices: constant + Σ step · index."""

    constant: int
    steps: tuple[tuple[Index, int], ...] = ()

    @classmethod
    def of(cls, constant: int, steps: Mapping[Index, int]) -> "Affine":
        return cls(constant, tuple(sorted(((v, s) for v, s in steps.items() if s), key=lambda item: item[0].number)))

    def plus(self, other: "Affine", times: int = 1) -> "Affine":
        steps = dict(self.steps)
        for v, s in other.steps:
            steps[v] = steps.get(v, 0) + times * s
        return Affine.of(self.constant + times * other.constant, steps)

    def put(self, by: "Mapping[Index, Affine]") -> "Affine":
        if not any(v in by for v, _ in self.steps):
            return self
        found = Affine(self.constant)
        for v, s in self.steps:
            found = found.plus(by[v] if v in by else Affine(0, ((v, 1),)), s)
        return found

    def span(self) -> tuple[int, int]:
        """The least and the largest that it gets."""
        ends = [sorted((v.first * s, v.last * s)) for v, s in self.steps]
        return self.constant + sum(a for a, _ in ends), self.constant + sum(b for _, b in ends)

    def write(self, letter: Callable[[Index], str]) -> str:
        parts = [(letter(v), s) for v, s in self.steps]
        parts.sort(key=lambda part: part[1] < 0)
        text = "".join(
            f" {'-' if s < 0 else '+'} {'' if abs(s) == 1 else f'{abs(s)}*'}{name}" for name, s in parts
        ).removeprefix(" + ")
        if self.constant and text[:2] == " -":
            return f"{self.constant}{text}"
        text = f"-{text[3:]}" if text[:2] == " -" else text
        rest = self.constant
        return (f"{text} {'-' if rest < 0 else '+'} {abs(rest)}" if rest else text) if text else str(rest)


class Name(str):
    """The name of a number: a stem with indices. It is equal to another if it is always the same number.

    A stem "δ…" or "∂…" is of the derivative of the result by what the rest names; "" is of the index itself.
    """

    __slots__ = ("at", "stem")
    stem: str
    at: tuple[Affine, ...]

    def __new__(cls, stem: str, index: Iterable[Affine] = ()) -> Self:
        index = tuple(index)
        self = super().__new__(cls, _indexed(stem, index, lambda v: f"v{v.number}"))
        self.stem, self.at = stem, index
        return self

    def indices(self) -> Iterator[Index]:
        return (v for a in self.at for v, _ in a.steps)

    def put(self, by: Mapping[Index, Affine]) -> "Name":
        return Name(self.stem, [a.put(by) for a in self.at])


def _indexed(stem: str, index: tuple[Affine, ...], letter: Callable[[Index], str]) -> str:
    inside = [a.write(letter) for a in index]
    if not stem:
        return f"({inside[0]})"
    return f"{stem}[{','.join(text.replace(' ', '') for text in inside)}]" if inside else stem


class Series(Op):
    """The sum over an index, as an operation on its term."""

    __slots__ = ("over",)

    def __init__(self, over: Index):
        super().__init__("series", lambda x: x, (1.0,), text="Σ {0}")
        self.over = over


def _leaf(name: Name) -> Part:
    if not name.stem and not name.at[0].steps:
        return float(name.at[0].constant)
    return Expression(name=name)


def _applied(op: Op, operands: Sequence[Part]) -> Part:
    """An operation of what is written; Python's sum() begins with 0 +."""
    if op.name == "add" and 0.0 in operands:
        return operands[operands[0] == 0.0]
    if op.name == "same":
        return operands[0]
    if isinstance(op, Series) and not any(op.over in name.indices() for name in _names(operands[0])):
        return product([float(op.over.last - op.over.first + 1), operands[0]])  # as often the same
    if all(type(x) is float for x in operands):
        return op.value(*operands)
    return Expression(op, tuple(operands))


def _rebuilt(part: Part, leaf: Callable[[Any], Part]) -> Part:
    """The tree with other leaves."""
    if not isinstance(part, Expression):
        return part
    result: Part = part._fold(leaf, float, lambda op, _, operands: _applied(op, operands))
    return result


def put(part: Part, by: Mapping[Index, Affine]) -> Part:
    """The tree with something else in the place of indices."""
    return _rebuilt(part, lambda name: _leaf(name.put(by))) if by else part


def _names(part: Part) -> list[Name]:
    found: list[Any] = []
    if isinstance(part, Expression):
        part._fold(found.append, float, lambda op, operands, results: None)
    return found


def _leaf_name(part: Part) -> Name | None:
    return part.name if isinstance(part, Expression) and part.op is None else None  # type: ignore[return-value]


def _is(part: Part, name: Name) -> bool:
    return isinstance(part, Expression) and part.op is None and part.name == name


def _op(part: Part) -> str:
    return part.op.name if isinstance(part, Expression) and part.op is not None else ""


def _size(part: Part) -> int:
    return part.size if isinstance(part, Expression) else 1


def _has_series(part: Part) -> bool:
    def seen(op: Op, _: Any, results: list[bool]) -> bool:
        return op.name == "series" or any(results)

    return isinstance(part, Expression) and bool(part._fold(lambda _: False, lambda _: False, seen))


class Equation:
    """name = expression, or += if several of them make the number.

    path: the indices that it is repeated for, from the outside.
    """

    __slots__ = ("active", "adds", "expression", "name", "path")

    def __init__(self, name: Name, expression: Part, path: tuple[Index, ...], *, active: bool, adds: bool = False):
        self.name, self.expression, self.path = name, expression, path
        self.active, self.adds = active, adds


class For:
    """What is repeated for an index, which runs down in reverse."""

    __slots__ = ("down", "items", "over")

    def __init__(self, over: Index, items: "list[Item]", *, down: bool = False):
        self.over, self.items, self.down = over, items, down

    def equations(self) -> Iterator[Equation]:
        return _equations(self.items)


Item = Equation | For


def _equations(items: "Sequence[Item]") -> Iterator[Equation]:
    for item in items:
        if isinstance(item, Equation):
            yield item
        else:
            yield from item.equations()


def _overs(item: Item) -> set[Index]:
    """The indices that are bound inside."""
    if isinstance(item, For):
        return {item.over}.union(*map(_overs, item.items))
    found: set[Index] = set()

    def seen(op: Op, *_: Any) -> None:
        found.update([op.over] if isinstance(op, Series) else [])

    if isinstance(item.expression, Expression):
        item.expression._fold(lambda _: None, lambda _: None, seen)
    return found


def _put_item(item: Item, by: dict[Index, Affine]) -> Item:
    if isinstance(item, Equation):
        return Equation(item.name.put(by), put(item.expression, by), item.path, active=item.active, adds=item.adds)
    return For(item.over, [_put_item(x, by) for x in item.items], down=item.down)


def _moved(item: For, over: Index, by: int) -> For:
    """The loop over another index, which is larger by `by`."""
    return For(over, [_put_item(x, {item.over: Affine(-by, ((over, 1),))}) for x in item.items], down=item.down)


def _carried(equations: list[Equation]) -> set[Equation]:
    """Those that make what is read by themselves or by one before them, in a later turn."""
    last: dict[str, int] = {}
    for i, equation in enumerate(equations):
        last[equation.name.stem] = i
    carried = {
        name.stem for i, e in enumerate(equations) for name in _names(e.expression) if last.get(name.stem, -1) >= i
    }
    return {e for e in equations if e.name.stem in carried}


def _series(over: Index, term: Part) -> Part:
    """The sum of a term, over an index of its own."""
    own = Index(over.first, over.last, "i")
    return Expression(Series(own), (put(term, {over: Affine(0, ((own, 1),))}),))


def _sum(summands: Sequence[Part]) -> Part:
    """The terms with their signs between them."""
    result: Part = 0.0
    for x in summands:
        if isinstance(x, Expression) and x.op is TABLE["neg"] and result != 0.0:
            result = Expression(TABLE["sub"], (result, x.operands[0]))
        else:
            result = _applied(TABLE["add"], (result, x))
    return result


_BOUND = [Index(0, 0, "") for _ in range(9)]  # by how many sums there are inside


def _key(part: Part) -> str:
    """The same text for trees that differ only in the indices of their sums."""
    ranges: list[str] = []

    def rebuilt(op: Op, _: Any, operands: list[tuple[Part, int]]) -> tuple[Part, int]:
        height = max(h for _, h in operands)
        parts = tuple(x for x, _ in operands)
        if isinstance(op, Series):
            ranges.append(f"{op.over.last - op.over.first}")
            bound = _BOUND[height]  # it begins at 0
            return Expression(op, (put(parts[0], {op.over: Affine(op.over.first, ((bound, 1),))}),)), height + 1
        return Expression(op, parts), height

    if isinstance(part, Expression):
        part = part._fold(lambda name: (Expression(name=name), 0), lambda x: (x, 0), rebuilt)[0]
    return f"{part} {' '.join(ranges)}"


def _extended(tree: Part) -> Part:
    """Terms beside a sum that are its next or its last ones, taken into it."""
    if not isinstance(tree, Expression):
        return tree

    def rebuilt(op: Op, _: Any, operands: list[Part]) -> Part:
        part = _applied(op, operands)
        return _taken_in(part) if op.name in ("add", "sub") and _has_series(part) else part

    result: Part = tree._fold(lambda name: Expression(name=name), float, rebuilt)
    return result


def _taken_in(tree: Part) -> Part:
    summands = terms([tree])
    keys = list(map(_key, summands))
    for part in summands:
        if not isinstance(part, Expression) or not isinstance(part.op, Series):
            continue
        over, (body,) = part.op.over, part.operands
        rest = Counter(keys)
        first, last = over.first, over.last
        while (term := _turn_keys(body, over, first - 1)) <= rest:
            first -= 1
            rest -= term
        while (term := _turn_keys(body, over, last + 1)) <= rest:
            last += 1
            rest -= term
        if (first, last) != (over.first, over.last):
            own = Index(first, last, over.wish)
            whole = Expression(Series(own), (put(body, {over: Affine(0, ((own, 1),))}),))
            kept: list[Part] = []
            for x, key in zip(summands, keys, strict=True):
                if rest[key]:
                    kept.append(whole if x is part else x)
                    rest[key] -= 1
            return _taken_in(_sum(kept))
    return tree


def _turn_keys(body: Part, over: Index, turn: int) -> Counter[str]:
    """The terms of a sum's turn; what is 0 there is no term, and is found in no sum."""
    return Counter(_key(x) for x in terms([put(body, {over: Affine(turn)})]))
