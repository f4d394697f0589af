"""The reverse sweep over equations with indices: what backward does with numbers.

Each equation gives, by the partials of the table, what flows to each place that it reads. To gather what flows to a
place, the index at which it is read is solved for: f[i] in the equation of z[j] flows to f[k] at i = k, for all j.
"""

from collections.abc import Iterator, Mapping

from ...byhand.derivation import formulas
from ...byhand.expression import Expression
from ...byhand.tidy import Part, product, total
from ...ops import TABLE
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
    _names,
    _op,
    _put_item,
    _size,
    put,
)
from .plain import _ended

LIMIT = 80  # places that one equation may gather from


Box = dict[Index, tuple[int, int]]  # the part of each index' range


class _Flow:
    """What an equation gives to the derivative by a place that it reads.

    factors: of a product, which is summed over those indices of path that the place leaves open.
    """

    __slots__ = ("equation", "factors", "name", "path")

    def __init__(self, equation: Equation, name: Name, factors: list[Part], path: tuple[Index, ...]):
        self.equation, self.name, self.factors, self.path = equation, name, factors, path

    def into(self, place: tuple[Affine, ...]) -> tuple[Box, Part] | bool | None:
        """What it gives to the derivative by `place`, and where. None if nothing, False if it cannot be solved for."""
        fresh = {v: Index(v.first, v.last, v.wish) for v in self.path}
        by = {v: Affine(0, ((own, 1),)) for v, own in fresh.items()}
        open_ = dict.fromkeys(fresh.values())
        box: Box = {}
        solved: dict[Index, Affine] = {}
        for mine, wanted in zip((a.put(by) for a in self.name.at), place, strict=True):
            rest = mine.put(solved).plus(wanted, -1)  # is to be 0
            unknown = [(v, s) for v, s in rest.steps if v in open_]
            if len(unknown) > 1 or any(abs(s) != 1 for _, s in unknown):
                return False
            for v, s in unknown:
                value = Affine(0).plus(rest.plus(Affine(0, ((v, s),)), -1), -s)
                solved[v] = value
                del open_[v]
                if not _within(value, v.first, v.last, box):
                    return None if not value.steps else False
            if not unknown and rest.steps:
                if len(rest.steps) > 1 or abs(rest.steps[0][1]) != 1:
                    return False
                ((v, s),) = rest.steps
                if not _cut(box, v, -rest.constant * s, -rest.constant * s):
                    return None
            elif not unknown and rest.constant:
                return None
        by = {v: a.put(solved) for v, a in by.items()}
        result = product(put(x, by) for x in self.factors)
        for v in reversed(open_):
            result = _series_over(v, result)
        return None if any(a > b for a, b in box.values()) else (box, result)


def _within(value: Affine, first: int, last: int, box: Box) -> bool:
    """Narrow the box to where the value is from first to last. False if it never is, or if that is no box."""
    if not value.steps:
        return first <= value.constant <= last
    if len(value.steps) > 1 or abs(value.steps[0][1]) != 1:
        low, high = value.span()
        return first <= low and high <= last
    ((v, s),) = value.steps
    ends = sorted(((first - value.constant) * s, (last - value.constant) * s))
    return _cut(box, v, *ends) or True


def _cut(box: Box, v: Index, first: int, last: int) -> bool:
    low, high = box.get(v, (v.first, v.last))
    box[v] = max(low, first), min(high, last)
    return box[v][0] <= box[v][1]


def _series_over(v: Index, term: Part) -> Part:
    """Σ over v, with what does not depend on it before it."""
    if term == 0.0:
        return 0.0
    if isinstance(term, Expression) and _op(term) == "neg":
        return product([-1.0, _series_over(v, term.operands[0])])
    factors = _factors(term)
    inside = [x for x in factors if any(v in name.indices() for name in _names(x))]
    outside = [x for x in factors if x not in inside]
    return product([*outside, _applied(Series(v), [product(inside)])])


def _factors(part: Part) -> list[Part]:
    if isinstance(part, Expression) and part.op is TABLE["mul"]:
        return [*_factors(part.operands[0]), part.operands[1]]
    return [part]


class _Reverse:
    """The reverse sweep over equations: what backward does with numbers."""

    def __init__(self, items: list[Item], leaves: Mapping[str, tuple[tuple[int, int], ...]]):
        self.items = items
        self.added: set[str] = set()  # stems whose derivative is added up
        equations = list(_equations(items))
        self.active = {e.name.stem for e in equations if e.active} | set(leaves)
        carried = _carried(equations)
        before = -1
        while len(self.added) > before:  # what is added up in one place is so everywhere
            before = len(self.added)
            self.flows: dict[str, list[_Flow]] = {}
            named = [e for e in reversed(equations) if e.active and self._pass_on(e, e is equations[-1], e in carried)]
            parts = {e: self._gathered(e.name.stem, e.name.at) for e in named}
            # the derivative by what an equation gives, if it has a name
            self.written = {e: part for e, part in parts.items() if part is not None}
            self.leaves = {}
            for stem, ranges in leaves.items():
                over = [Index(a, b, wish) for (a, b), wish in zip(ranges, _wishes(len(ranges)), strict=True)]
                name = Name(stem, [Affine(0, ((v, 1),)) for v in over])
                self.leaves[name] = over, self._gathered(stem, name.at)
        self.adding: dict[Equation, list[_Flow]] = {}
        for stem in sorted(self.added):
            for flow in self.flows.get(stem, []):
                self.adding.setdefault(flow.equation, []).append(flow)

    def _pass_on(self, equation: Equation, root: bool, carried: bool) -> bool:
        """Register what it gives to what it reads. Returns whether the derivative by what it makes needs a name."""
        occurrences = [x for x in self._slopes(equation) if x[0].stem in self.active]
        adjoint: Part = Expression(name=_derivative(equation.name))
        needed = not root
        if root:
            adjoint = 1.0
        elif not carried:
            parts = self._gathered(equation.name.stem, equation.name.at)
            if parts is not None and not any(box[v] != (v.first, v.last) for box, _ in parts for v in box):
                summed = total(x for _, x in parts) if parts else 0.0
                if len(occurrences) == 1 or _size(summed) == 1:
                    adjoint, needed = summed, False
        for name, factors, over in occurrences if adjoint != 0.0 else ():
            flow = _Flow(equation, name, [*factors, adjoint], (*equation.path, *over))
            self.flows.setdefault(name.stem, []).append(flow)
        return needed

    def _gathered(self, stem: str, place: tuple[Affine, ...]) -> list[tuple[Box, Part]] | None:
        """What flows to the derivative by a place, and where; None if it has to be added up."""
        if stem not in self.added:
            found = [flow.into(place) for flow in self.flows.get(stem, [])]
            if False not in found and len(found) <= LIMIT:
                return [x for x in found if isinstance(x, tuple)]
            self.added.add(stem)
        return None

    def _slopes(self, equation: Equation) -> Iterator[tuple[Name, list[Part], tuple[Index, ...]]]:
        """Each name that an equation reads, the factors of the derivative by it, and the sums around it."""
        stack: list[tuple[Part, list[Part], tuple[Index, ...]]] = [(equation.expression, [], ())]
        while stack:
            part, factors, over = stack.pop()
            if not isinstance(part, Expression):
                continue
            if part.op is None:
                yield part.name, factors, over  # type: ignore[misc]
            elif isinstance(part.op, Series):
                # The sum may be in a factor as well: here its index is another.
                own = Index(part.op.over.first, part.op.over.last, part.op.over.wish)
                stack.append((put(part.operands[0], {part.op.over: Affine(0, ((own, 1),))}), factors, (*over, own)))
            else:
                out = Expression(name=equation.name) if part is equation.expression else part
                for x, written in zip(part.operands, formulas(part.op), strict=True):
                    if isinstance(x, Expression):
                        slope = written(*part.operands, out)
                        if slope != 0.0:
                            stack.append((x, factors if slope == 1.0 else [slope, *factors], over))

    # ---- the equations

    def written_out(self) -> list[Item]:
        items = self._down(self.items, {})
        for name, (over, parts) in self.leaves.items():
            items += [] if parts is None else self._leaf(name, over, parts, {})
        return _ended(items)

    def _leaf(
        self, name: Name, over: list[Index], parts: list[tuple[Box, Part]], by: dict[Index, Affine]
    ) -> list[Item]:
        if not over:
            return [_sum_equation(name, parts, {}, by)]
        first, *rest = over
        items: list[Item] = []
        for low, high in _pieces(first, [box for box, _ in parts]):
            inside = [(box, x) for box, x in parts if first not in box or box[first][0] <= low <= high <= box[first][1]]
            if low == high:
                items += self._leaf(name, rest, inside, {**by, first: Affine(low)})
            else:
                own = Index(low, high, first.wish)
                items.append(For(own, self._leaf(name, rest, inside, {**by, first: Affine(0, ((own, 1),))})))
        return items

    def _down(self, items: list[Item], at: Box) -> list[Item]:
        found: list[Item] = []
        for item in reversed(items):
            if isinstance(item, Equation):
                found += self._of(item, at)
                continue
            pieces = self._cuts(item, item.items)
            head = [x for x in reversed(item.items) if isinstance(x, Equation) and len(self._cuts(item, [x])) > 1]
            tail = [x for x in item.items if x not in head]
            first, last = item.over.first, item.over.last
            in_order = item.items == [*tail, *reversed(head)] and len(self._cuts(item, tail)) == 1
            if in_order and pieces == [(first, last - 1), (last, last)]:
                # The derivatives by what is carried on are those of the turn before, but for the last turn.
                found += self._turn([*reversed(head)], item, at, pieces[1], Affine(last))
                own = Index(first + 1, last, item.over.wish)
                turn, earlier = Affine(0, ((own, 1),)), Affine(-1, ((own, 1),))
                inside = self._turn(tail, item, at, (first, last), turn)
                inside += self._turn([*reversed(head)], item, at, pieces[0], earlier)
                found.append(For(own, inside, down=True))
                found += self._turn(tail, item, at, (first, last), Affine(first))
                continue
            for low, high in reversed(pieces):
                own = Index(low, high, item.over.wish)
                inside = self._turn(
                    item.items, item, at, (low, high), Affine(low) if low == high else Affine(0, ((own, 1),))
                )
                found += inside if low == high else [For(own, inside, down=True)] if inside else []
        return found

    def _cuts(self, loop: For, items: list[Item]) -> list[tuple[int, int]]:
        return _pieces(loop.over, [box for e in _equations(items) for box, _ in self.written.get(e, ())])

    def _turn(self, items: list[Item], loop: For, at: Box, ends: tuple[int, int], turn: Affine) -> list[Item]:
        """The turn of a loop, somewhere in a part of its range."""
        return [_put_item(x, {loop.over: turn}) for x in self._down(items, {**at, loop.over: ends})]

    def _of(self, equation: Equation, at: Box) -> list[Item]:
        found: list[Item] = []
        if equation in self.written:
            found.append(_sum_equation(equation.name, self.written[equation], at, {}))
        for flow in self.adding.get(equation, ()):
            item: Item = Equation(_derivative(flow.name), product(flow.factors), (), active=True, adds=True)
            for v in reversed(flow.path[len(equation.path) :]):
                own = Index(v.first, v.last, v.wish)
                item = For(own, [_put_item(item, {v: Affine(0, ((own, 1),))})])
            found.append(item)
        return found


def _derivative(name: Name) -> Name:
    return Name(f"∂{name.stem}", name.at)


def _wishes(many: int) -> str:
    return "j" if many == 1 else "ijkmnpq"[:many]


def _sum_equation(name: Name, parts: list[tuple[Box, Part]], at: Box, by: dict[Index, Affine]) -> Equation:
    """The derivative by a place, in a part of its range."""
    inside = [
        x for box, x in parts if all(v not in at or (box[v][0] <= at[v][0] and at[v][1] <= box[v][1]) for v in box)
    ]
    return Equation(_derivative(name).put(by), total(put(x, by) for x in inside), (), active=True)


def _pieces(over: Index, boxes: list[Box]) -> list[tuple[int, int]]:
    """The range, cut where one of the boxes begins or ends."""
    starts = {over.first}
    for box in boxes:
        if over in box:
            low, high = box[over]
            starts |= {x for x in (low, high + 1) if over.first < x <= over.last}
    ordered = sorted(starts)
    return [(a, b - 1) for a, b in zip(ordered, [*ordered[1:], over.last + 1], strict=True)]
