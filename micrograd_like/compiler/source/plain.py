"""Equations as a person would write them: first turns in their loops, indices that begin where they should."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from ...byhand.expression import Expression
from ...byhand.tidy import Part, product, terms
from ...ops import Op
from .equations import (
    Affine,
    Equation,
    For,
    Index,
    Item,
    Name,
    Series,
    _applied,
    _carried,
    _equations,
    _key,
    _leaf_name,
    _moved,
    _names,
    _op,
    _overs,
    _put_item,
    _rebuilt,
    _sum,
    put,
)


class _Join:
    """Takes first turns that stand before their loop into it: x[1] = f(a) is that of x[t] = f(x[t-1]) with x[0] = a."""

    def __init__(self, items: list[Item]):
        self.made = [e.name for e in _equations(items)]
        self.times = Counter(name.stem for name in self.made)
        self.renamed: dict[str, tuple[Name, Name]] = {}  # by its stem: what stood alone, what it is called in the loop
        joined = self.joined(items)
        self.items = [_renamed(item, self.renamed) for item in joined] if self.renamed else joined

    def joined(self, items: list[Item]) -> list[Item]:
        found: list[Item] = []
        for item in items:
            loop = item
            if isinstance(loop, For):
                loop = For(loop.over, self.joined(loop.items))
                while (turn := self._turn(found[-len(loop.items) :], loop)) is not None:
                    found[-len(loop.items) :] = turn
                    loop = _moved(loop, Index(loop.over.first - 1, loop.over.last, loop.over.wish), 0)
            found.append(loop)
        return found

    def _turn(self, earlier: list[Item], loop: For) -> list[Item] | None:
        """If these are the items of the turn before the first: the equations of what that reads from before it."""
        self.own = {e.name.stem: e.active for e in loop.equations()}
        self.before: dict[Name, Part] = {}
        self.now: dict[str, tuple[Name, Name]] = {}
        if len(earlier) < len(loop.items) or not self._alike(
            earlier, loop.items, {loop.over: Affine(loop.over.first - 1)}
        ):
            return None
        self.renamed |= self.now
        self.made += [*(name for _, name in self.now.values()), *self.before]
        starts: list[Item] = []
        order = list(self.own)
        for name, part in sorted(self.before.items(), key=lambda item: order.index(item[0].stem)):
            start: Item = Equation(name, part, (), active=self.own[name.stem])
            for v in {v: 0 for a in name.at for v, _ in a.steps if any(v in _overs(x) for x in earlier)}:
                inner = Index(v.first, v.last, v.wish)
                start = For(inner, [_put_item(start, {v: Affine(0, ((inner, 1),))})])
            starts.append(start)
        return starts

    def _alike(self, found: list[Item], wanted: list[Item], by: dict[Index, Affine]) -> bool:
        for a, b in zip(found, wanted, strict=True):
            if isinstance(a, For) and isinstance(b, For):
                if (a.over.first, a.over.last, len(a.items)) != (b.over.first, b.over.last, len(b.items)):
                    return False
                if not self._alike(a.items, b.items, {**by, b.over: Affine(0, ((a.over, 1),))}):
                    return False
            elif isinstance(a, Equation) and isinstance(b, Equation):
                name = b.name.put(by)
                if not self._same(a.expression, put(b.expression, by)):
                    return False
                if a.name != name:
                    plain = all(len(x.steps) == 1 and x.steps[0][1] == 1 for x in a.name.at)
                    if not plain or self.times[a.name.stem] > 1 or self._is_made(name):
                        return False
                    self.now[a.name.stem] = a.name, name
            else:
                return False
        return True

    def _same(self, a: Part, b: Part) -> bool:
        stack = [(a, b)]
        while stack:
            a, b = stack.pop()
            one, other = _leaf_name(a), _leaf_name(b)
            if other is not None:
                if one is not None and _again(one, self.now) == other:
                    continue
                start = other.stem in self.own and not self._is_made(other)
                others = [*(name for _, name in self.now.values()), *(self.before.keys() - {other})]
                start = start and not any(_may_be(other, name) for name in others)
                if not start or _op(a) or str(self.before.setdefault(other, a)) != str(a):
                    return False
            elif not isinstance(b, Expression) or not isinstance(a, Expression) or one is not None:
                if a != b:
                    return False
            elif isinstance(a.op, Series) and isinstance(b.op, Series):
                if (a.op.over.first, a.op.over.last) != (b.op.over.first, b.op.over.last):
                    return False
                stack.append((a.operands[0], put(b.operands[0], {b.op.over: Affine(0, ((a.op.over, 1),))})))
            elif a.op is not b.op:
                return False
            else:
                stack += zip(a.operands, b.operands, strict=True)
        return True

    def _is_made(self, name: Name) -> bool:
        return any(_may_be(name, other) for other in self.made)


def _again(name: Name, names: Mapping[str, tuple[Name, Name]]) -> Name:
    """What something that stood alone is called in the loop."""
    if name.stem not in names:
        return name
    old, new = names[name.stem]
    by = {x.steps[0][0]: at.plus(Affine(-x.constant)) for x, at in zip(old.at, name.at, strict=True)}
    return new.put(by)


def _renamed(item: Item, names: Mapping[str, tuple[Name, Name]]) -> Item:
    if isinstance(item, For):
        return For(item.over, [_renamed(x, names) for x in item.items], down=item.down)
    expression = _rebuilt(item.expression, lambda name: Expression(name=_again(name, names)))
    return Equation(_again(item.name, names), expression, item.path, active=item.active, adds=item.adds)


def _numbered(items: list[Item], taken: set[str]) -> list[Item]:
    """The stems counted anew, where some are no more; and the indices from 1, but for what is before a first turn."""
    stems: dict[str, str] = {}
    least: dict[str, list[tuple[int, bool]]] = {}
    numbers: dict[str, Iterator[int]] = {}
    for equation in _equations(items):
        stem = equation.name.stem
        letter = stem.rstrip("0123456789")
        if stem not in stems:
            names = (f"{letter}{i}" for i in numbers.setdefault(letter, count(1)))
            stems[stem] = stem if letter == stem else next(name for name in names if name not in taken)
        own = [(a.span()[0], bool(a.steps)) for a in equation.name.at]
        least[stem] = [min(pair) for pair in zip(own, least.get(stem, own), strict=True)]

    def again(name: Name) -> Name:
        if name.stem not in stems:
            return name
        moved = [a.plus(Affine(1 - n)) if runs else a for a, (n, runs) in zip(name.at, least[name.stem], strict=True)]
        return Name(stems[name.stem], moved)

    def renamed(item: Item) -> Item:
        if isinstance(item, For):
            return For(item.over, [renamed(x) for x in item.items], down=item.down)
        expression = _rebuilt(item.expression, lambda name: Expression(name=again(name)))
        return Equation(again(item.name), expression, item.path, active=item.active, adds=item.adds)

    return [renamed(item) for item in items]


def _may_be(a: Name, b: Name) -> bool:
    """Are there indices with which they are the same number?"""
    spans = [(x.span(), y.span()) for x, y in zip(a.at, b.at, strict=False)]
    return a.stem == b.stem and all(low <= other[1] and other[0] <= high for (low, high), other in spans)


def _ended(items: list[Item]) -> list[Item]:
    """Loops that run down, with the turn that stands behind them alone."""
    found: list[Item] = []
    loop: Item | None = None  # the last one
    place = 0
    for item in items:
        found.append(item)
        if isinstance(item, For):
            loop, place = item, len(found)
        elif isinstance(loop, For) and len(loop.items) == len(found) - place:
            before = {loop.over: Affine(loop.over.first - 1)}
            if _same_turn(found[place:], loop.items, before):
                loop = _moved(loop, Index(loop.over.first - 1, loop.over.last, loop.over.wish), 0)
                found[place - 1 :] = [loop]
    return found


def _same_turn(found: list[Item], wanted: list[Item], by: dict[Index, Affine]) -> bool:
    return all(
        isinstance(a, Equation)
        and isinstance(b, Equation)
        and a.name == b.name.put(by)
        and _key(a.expression) == _key(put(b.expression, by))
        for a, b in zip(found, wanted, strict=True)
    )


def _shift(over: Index, names: Iterable[Name]) -> int:
    """By how much an index is to be larger, so that most names have it as it is."""
    times = Counter(a.constant for name in names for a in name.at if len(a.steps) == 1 and a.steps[0] == (over, 1))
    return times.most_common(1)[0][0] if times else 0


def _plain(part: Part) -> Part:
    """Sums over i of w[i], not of w[i+1]."""
    if not isinstance(part, Expression):
        return part

    def rebuilt(op: Op, _: Any, operands: list[Part]) -> Part:
        if isinstance(op, Series) and (by := _shift(op.over, _names(operands[0]))):
            over = Index(op.over.first + by, op.over.last + by, op.over.wish)
            return Expression(Series(over), (put(operands[0], {op.over: Affine(-by, ((over, 1),))}),))
        whole = _applied(op, operands)
        if op.name in ("add", "sub"):
            return _sum(terms([whole]))
        return product([whole]) if op.name in ("mul", "div", "neg") else whole

    result: Part = part._fold(lambda name: Expression(name=name), float, rebuilt)
    return result


def _plain_items(items: list[Item], path: tuple[Index, ...] = ()) -> list[Item]:
    """The same for loops. Each equation learns its path."""
    found: list[Item] = []
    for item in items:
        if isinstance(item, Equation):
            found.append(Equation(item.name, _plain(item.expression), path, active=item.active, adds=item.adds))
        else:
            equations = list(item.equations())
            by = _shift(item.over, [e.name for e in equations])
            wish = "t" if _carried(equations) else item.over.wish
            over = Index(item.over.first + by, item.over.last + by, wish)
            moved = _moved(item, over, by)
            found.append(For(over, _plain_items(moved.items, (*path, over)), down=item.down))
    return found
