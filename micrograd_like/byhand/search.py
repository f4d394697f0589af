"""Which slip makes the derivative of a graph into the numbers that somebody's formula gives?

Every slip is tried on every place of every step of the derivative, and what then comes out is compared with the
numbers of the formula, at several points. The formula itself is not looked at, so it may be arranged in any way;
where that finds nothing, the same slips are tried the other way round: what change to the formula makes it right?
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from ..ops import TABLE
from .derivation import SCREEN
from .expression import Expression
from .graph import unit_operand
from .network import Network, Step
from .points import Index, Numbers, close, constant_ratio, over, same, usable
from .slips import (
    ARGUMENT,
    AS_NAMED,
    CONSTANT,
    DELTA,
    DROPPED,
    EXTRA,
    INDEX,
    MISSING,
    NAME,
    OUTPUT,
    PATH,
    RULE,
    SIGN,
    VARIABLE,
    Edit,
    Slip,
    edits,
    fraction,
    places,
    weight,
)
from .tidy import Part, product

_DERIVATIVES = ("tanh", "sigmoid", "relu", "exp", "sin")  # whose rule may have been taken for another's


@dataclass(frozen=True)
class Guess:
    """Slips that might have been made, and what the derivative would then be.

    step, local: which step they changed, if it is one only, and its numbers then.
    """

    slips: tuple[Slip, ...]
    value: Numbers
    step: int = -1
    local: Numbers = ()


class Search:
    """All single slips in the derivative that a network is, ready to be compared with what somebody has.

    deltas: the names of derivatives that may be used. tree: the formula, if there is one; mentioned: the names it has.
    others: the derivatives by other leaves. rtol: how exact the formula is.
    """

    def __init__(
        self,
        network: Network,
        deltas: Sequence[str],
        tree: Part | None,
        mentioned: Collection[str],
        others: Mapping[str, Numbers],
        rtol: float,
    ):
        self.network, self.tree, self.others, self.rtol = network, tree, others, rtol
        self.deltas = set(deltas)
        graph = network.graph
        known = [*graph.nodes, *deltas]
        if isinstance(tree, Expression):
            mentioned = tree.names()
        self.names = [name for name in known if name in (mentioned or known)]  # a wrong name is one that it has
        self.named = {name: network.numbers(Expression(name=name)) for name in known}
        self.tried = cache(self._tried)
        self.factors = self._known_factors()
        self.singles = list(self._of_whole())
        whole = Index(rtol, ((one.value, one) for one in self.singles))
        for i in range(len(network.steps)):
            for guess in self._in_step(i):
                same_slip = [one for one in whole.find(guess.value) if one.slips[0].kind == guess.slips[0].kind]
                # A minus, or a factor too many, is of the whole if the whole has it.
                moved = same_slip and guess.slips[0].kind in (SIGN, EXTRA)
                self.singles.append(replace(guess, slips=same_slip[0].slips) if moved else guess)
        self.singles += [*self._of_layers(), *self._of_output()]
        self.singles += list(self._of_ways([one for one in self.singles if one.step >= 0]))
        self.singles = [one for one in self.singles if usable(one.value) and not same(one.value, network.value)]
        self.by_value = Index(rtol, ((one.value, one) for one in self.singles))

    def explain(self, yours: Numbers) -> tuple[Slip, ...]:
        """The likeliest slip that gives these numbers; if there is none, the likeliest two; else ()."""
        stages: list[list[Callable[[Numbers], Iterable[Guess]]]] = [
            [self.by_value.find, self.by_constant],
            [self._repairs, self._other_number],
            [self._of_other_leaf, self._missing_term],
            [self._pairs_of_whole, self._pairs_of_steps, self._pairs_in_step, self._pairs_with_repair],
            [self._repairs_everywhere],
        ]
        if len(yours) == 1:
            del stages[2:]  # one point tells no more
        found: list[Guess] = []
        for stage in stages:
            found = [guess for way in stage for guess in way(yours)]
            if found:
                break
        return min((one.slips for one in found if not self._says_nothing(one.slips)), key=weight, default=())

    def _says_nothing(self, slips: tuple[Slip, ...]) -> bool:
        """All of the derivative is missing, and all of the formula is too many."""
        whole = AS_NAMED.write(self.network.rest(self.network.target))
        return any(s.kind == EXTRA for s in slips) and any(
            s.kind in (DROPPED, OUTPUT) and s.factor == whole for s in slips
        )

    def by_constant(self, yours: Numbers) -> list[Guess]:
        """One number between yours and the derivative, at all points."""
        c = constant_ratio(yours, self.network.value)
        return [self._constant_guess(c)] if c else []

    def _constant_guess(self, c: float) -> Guess:
        slips: tuple[Slip, ...] = (Slip(SIGN, "-1"),) if c < 0 else ()
        c = abs(float(f"{c:.9g}"))
        if c != 1.0:
            slips += (self._constant_slip(c),)
        return Guess(slips, tuple(c * x for x in self.network.value))

    def _constant_slip(self, c: float) -> Slip:
        """c times too much: of a number in the derivative, if there is one that is not in one of several ways only."""
        found = Slip(CONSTANT, "1", fraction(c))
        for step in self.network.steps:
            ways = sum(other.end is step.end for other in self.network.steps)
            for part, _, is_factor, below, _ in places(step.expression):
                if is_factor and isinstance(part, float) and abs(part) != 1.0 and ways == 1:
                    right, wrong = (1.0 / part, c / part) if below else (part, part * c)
                    if not below or not found.place:
                        instead = "" if close(wrong, 1.0) else fraction(wrong)
                        found = Slip(CONSTANT, fraction(right), instead, step.place, AS_NAMED.write(step.expression))
        return found

    def kind_of(self, right: str, wrong: str) -> str:
        """What it is to take one name for another."""
        if right in self.deltas and wrong in self.deltas:
            return DELTA
        a, b = (self.network.graph.nodes.get(name) for name in (right, wrong))
        if a is None or b is None:
            return NAME
        if unit_operand(a) is b or unit_operand(b) is a:
            return ARGUMENT
        if _stem(right) == _stem(wrong):
            return INDEX
        inputs = self.network.graph.inputs
        return INDEX if (a in inputs) + (b in inputs) == 1 and any(x.op and x.op.arity == 1 for x in (a, b)) else NAME

    def _known_factors(self) -> list[tuple[Slip, Numbers]]:
        """What could be a factor too many: names, and local derivatives of anything with a name."""
        symbols, graph = self.network.symbols, self.network.graph
        parts: dict[str, tuple[Part, str]] = {
            name: (Expression(name=name), "") for name in [*graph.nodes, *self.deltas]
        }
        for step in self.network.steps:
            for part, _, is_factor, inverted, _ in places(step.expression):
                if is_factor and not inverted and isinstance(part, Expression):
                    parts[AS_NAMED.write(part)] = part, step.place
        for node in self.network.names:
            if node.op is not None and not node.op.slopes and node.op.arity == 1:
                part = symbols.local(node, node.operands[0])  # type: ignore[arg-type]
                place = f"∂{graph.title(node)}/∂{graph.title(node.operands[0])}"  # type: ignore[arg-type]
                parts.setdefault(AS_NAMED.write(part), (part, place))
        return [(Slip(EXTRA, text, place=place), self.network.numbers(part)) for text, (part, place) in parts.items()]

    def _in_step(self, i: int) -> Iterator[Guess]:
        network, step = self.network, self.network.steps[i]
        whole = AS_NAMED.write(step.expression)
        inside = "" if len(network.steps) == 1 else whole  # what is all of the derivative is no place in it
        for edit, numbers in self.tried(i):
            slip = replace(edit.slip, place=step.place, whole=inside)
            yield self._changed(i, (slip,), numbers)
            if slip.kind == DROPPED:  # y - f is dropped as f - y, with the minus that the chain rule has before it
                other = tuple(-x for x in numbers)
                yield self._changed(i, (replace(slip, factor=self._negative(edit.dropped)),), other)
        for slip, numbers in self.factors:
            local = tuple(a * b for a, b in zip(step.numbers, numbers, strict=True))
            yield self._changed(i, (replace(slip, place=step.place),), local)
        inside = whole if step.start is not network.target or step.end is not network.graph.loss else ""
        dropped = self._changed(i, (Slip(PATH, whole, place=step.place, whole=inside),), (0.0,) * len(step.numbers))
        if any(abs(a) > 1e-9 * abs(b) for a, b in zip(dropped.value, network.value, strict=True)):
            yield dropped

    def _tried(self, i: int) -> list[tuple[Edit, Numbers]]:
        """The slips that step i can have, and its numbers with each."""
        return [(edit, self.network.numbers(edit.result)) for edit in self._edits(self.network.steps[i])]

    def _edits(self, step: Step) -> Iterator[Edit]:
        yield from edits(step.expression, self.names, self.kind_of)
        start, end = step.start, step.end
        names = self.network.names
        if end is None or end.op is None or end.op.arity != 1 or unit_operand(end) is not start:
            return
        if start not in names or end not in names:
            return
        u, v = Expression(name=names[start]), Expression(name=names[end])
        text = AS_NAMED.write(step.expression)
        for name in self.names:  # the derivative taken at another argument: 1 - tanh(f)² for 1 - tanh(z)²
            at = Expression(name=name)
            if at.name != u.name and at.name not in self.deltas:
                kind = ARGUMENT if at.name == v.name else self.kind_of(u.name, at.name)
                wrong = end.op.written[0](at, Expression(end.op, (at,)))
                yield Edit(Slip(kind, u.name, at.name), wrong, f"at {name}")
        for rule in _DERIVATIVES:
            if rule != end.op.name:
                wrong = TABLE[rule].written[0](u, v)
                yield Edit(Slip(RULE, text, AS_NAMED.write(wrong)), wrong, f"rule {rule}")

    def _changed(self, i: int, slips: tuple[Slip, ...], local: Numbers) -> Guess:
        network, step = self.network, self.network.steps[i]
        changes = ((a - b) * effect for a, b, effect in zip(local, step.numbers, network.effect(i), strict=True))
        return Guess(slips, tuple(a + b for a, b in zip(network.value, changes, strict=True)), i, local)

    def _of_whole(self) -> Iterator[Guess]:
        value = self.network.value
        yield Guess((Slip(SIGN, "-1"),), tuple(-x for x in value))
        for slip, numbers in self.factors:
            yield Guess((slip,), tuple(a * b for a, b in zip(value, numbers, strict=True)))
            yield Guess((replace(slip, kind=DROPPED),), tuple(map(over, value, numbers)))

    def _of_layers(self) -> Iterator[Guess]:
        """The same slip in all units of a layer, or in all layers."""
        network = self.network
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, step in enumerate(network.steps):
            if step.end is not None:
                text = AS_NAMED.write(step.expression)
                groups.setdefault((_family(step.place), _family(text)), []).append(i)
                groups.setdefault((step.end.op, re.sub(r"[^\W\d]\w*", "#", text)), []).append(i)
        for group in {tuple(group) for group in groups.values() if len(group) > 1}:
            made: dict[tuple[str, str], list[tuple[int, Slip, Numbers]]] = {}
            for i in group:
                step = network.steps[i]
                ends = ((step.start, "start"), (step.end, "end"))
                roles = {network.names[node]: role for node, role in ends if node in network.names}
                for edit, numbers in self.tried(i):
                    where = " ".join(roles.get(word, _family(word)) for word in edit.where.split(" "))
                    made.setdefault((edit.slip.kind, where), []).append((i, edit.slip, numbers))
            for units in made.values():
                if [i for i, _, _ in units] == list(group):
                    changed = list(network.base)
                    for i, _, numbers in units:
                        changed[i] = numbers
                    first, *rest = (network.steps[i] for i in group)
                    slip = replace(
                        units[0][1],
                        place=first.place,
                        whole=AS_NAMED.write(first.expression),
                        also=tuple(step.place for step in rest),
                    )
                    yield Guess((slip,), network.derivative(changed))

    def _of_ways(self, singles: Sequence[Guess]) -> Iterator[Guess]:
        """A slip made only in those terms of a sum that come through one of several steps."""
        network = self.network
        starts = Counter(step.start for step in network.steps)
        branches = [i for i, step in enumerate(network.steps) if starts[step.start] > 1]
        if len(branches) * len(singles) > _MOST:
            return
        for one in singles:
            step = network.steps[one.step]
            for i in branches:
                through = network.through(i, one.step)
                if through is not None:
                    value = tuple(
                        network.value[k] + through[k] * (one.local[k] - step.numbers[k]) for k in network.points
                    )
                    yield Guess(one.slips, value)

    def _of_output(self) -> Iterator[Guess]:
        """The derivative of what the network gives out, or its mean over samples, for that of the loss."""
        network, loss = self.network, self.network.graph.loss
        last: dict[Any, bool] = {loss: True}  # does only the loss function come behind it?
        for step in reversed(network.steps):
            end = step.end
            unit = end is None or end.op is None or (end.op.arity == 1 and end.op.name != "neg") or end.op.name == "mul"
            last[step.start] = last.get(step.start, True) and not unit and last.get(end, False)
        ends = [step.end for step in network.steps if last.get(step.end) and not last.get(step.start)]
        if last[network.target] and network.target.op is not None:
            ends = [network.target]
        outputs = [node for node in dict.fromkeys(ends) if node is not None and node is not loss]
        if not outputs:
            return
        tangents = network.tangents(network.target)
        behind = [step for step in network.steps if last[step.start]]
        divisors = {part for step in behind for part, _, _, below, _ in places(step.expression) if below}
        for n in {1.0, *(part for part in divisors if isinstance(part, float))}:
            slips = []
            for node in outputs:
                place = f"∂{network.graph.title(loss)}/∂{network.graph.title(node)}"
                factor = AS_NAMED.write(product([network.rest(node), n]))
                slips.append(Slip(OUTPUT, factor, network.graph.title(node), place, factor))
                steps = [i for i, step in enumerate(network.steps) if step.start is node]
                if len(steps) == 1 and network.steps[steps[0]].end is loss:
                    yield self._changed(steps[0], (slips[-1],), (1.0 / n,) * len(network.points))
            yield Guess((slips[0],), tuple(sum(tangents[k][node] for node in outputs) / n for k in network.points))

    def _negative(self, part: Part) -> str:
        """-part as a formula; of a name for a difference, that difference turned round."""
        node = self.network.graph.nodes.get(part.name) if isinstance(part, Expression) and part.op is None else None
        if node is not None and node.op is TABLE["sub"]:
            part = self.network.symbols.computed(node)
        return AS_NAMED.write(product([-1.0, part]))

    def _of_other_leaf(self, yours: Numbers) -> Iterator[Guess]:
        """The derivative by another leaf, as when the operands of a quotient are confused."""
        target = self.network.graph.title(self.network.target)
        for name, numbers in self.others.items():
            if self._same(yours, numbers):
                yield Guess((Slip(VARIABLE, target, name),), yours)

    def _missing_term(self, yours: Numbers) -> Iterator[Guess]:
        """A name or 1 that is not there, as the -y of p - y."""
        missing = tuple(a - b for a, b in zip(self.network.value, yours, strict=True))
        parts: list[tuple[Part, Numbers]] = [(1.0, (1.0,) * len(missing))]
        parts += [(Expression(name=name), own) for name, own in self.named.items()]
        for part, numbers in parts:
            for sign in (1.0, -1.0):
                if self._same(missing, tuple(sign * x for x in numbers)):
                    yield Guess((Slip(MISSING, AS_NAMED.write(product([sign, part]))),), yours)

    # ---- in the formula itself ----

    def _repairs(self, yours: Numbers) -> Iterator[Guess]:
        """Slips that, undone in the formula, make it right."""
        for slip, numbers, everywhere in self._undone:
            if not everywhere and self._same(numbers, self.network.value):
                yield Guess((slip,), yours)

    def _other_number(self, yours: Numbers) -> Iterator[Guess]:
        """A number in the formula for another, found as if the formula were linear in it, and tried."""
        value = self.network.value
        for part, rebuild, *_ in places(self.tree) if isinstance(self.tree, Expression) and len(yours) > 1 else ():
            if isinstance(part, float):
                moved = self.network.numbers(rebuild(part + 1.0))
                rises = zip(value, yours, moved, strict=True)
                needed = tuple(part + over(right - own, there - own) for right, own, there in rises)
                if usable(needed) and not close(needed[0], part) and self._same(needed, needed[:1] * len(needed)):
                    right = float(f"{needed[0]:.9g}")
                    if self._same(self.network.numbers(rebuild(right)), value):
                        yield Guess((Slip(CONSTANT, fraction(right), fraction(part)),), yours)

    def _repairs_everywhere(self, yours: Numbers) -> Iterator[Guess]:
        """A name that stands for another in all places."""
        for slip, numbers, everywhere in self._undone:
            if everywhere and self._same(numbers, self.network.value):
                yield Guess((slip,), yours)

    @cached_property
    def _undone(self) -> list[tuple[Slip, Numbers, bool]]:
        """The formula with one slip undone, in every way there is; and whether that is in several places at once."""
        if not isinstance(self.tree, Expression) or self.tree.size > SCREEN:
            return []
        graph = self.network.graph
        found = []
        for edit in edits(self.tree, [*graph.nodes, *self.deltas], lambda yours, right: self.kind_of(right, yours)):
            slip, kind = edit.slip, edit.slip.kind
            if kind in (DROPPED, EXTRA) and not edit.where.split(" ")[0]:
                continue  # all of the formula too many, or missing
            if kind == DROPPED:  # the formula without it is right
                slip = replace(slip, kind=EXTRA)
            elif kind == EXTRA:
                slip = replace(slip, kind=DROPPED)
            elif kind == CONSTANT and not slip.instead:
                slip = Slip(CONSTANT, "1", slip.factor)
            elif slip.instead:
                slip = replace(slip, factor=slip.instead, instead=slip.factor)
            found.append((slip, self.network.numbers(edit.result), edit.where.startswith("all")))
        return found

    def _same(self, a: Sequence[float], b: Sequence[float]) -> bool:
        return all(close(x, y, self.rtol) for x, y in zip(a, b, strict=True))

    # ---- two slips ----

    def _pairs_with_repair(self, yours: Numbers) -> Iterator[Guess]:
        for slip, numbers, _ in self._undone:
            for one in self.by_value.find(numbers):
                yield Guess((*one.slips, slip), yours)

    def _pairs_of_whole(self, yours: Numbers) -> Iterator[Guess]:
        for slip, numbers in self.factors:
            for one in self.by_value.find(tuple(over(a, b) for a, b in zip(yours, numbers, strict=True))):
                yield Guess((*one.slips, slip), yours)
        for one in self.singles:
            if c := constant_ratio(yours, one.value):
                yield Guess((*one.slips, *self._constant_guess(c).slips), yours)

    def _pairs_of_steps(self, yours: Numbers) -> Iterator[Guess]:
        network = self.network
        indices = [Index(self.rtol) for _ in network.steps]
        local = [one for one in self.singles if one.step >= 0]
        for one in local:
            indices[one.step].add(one.local, one)
        if len(local) * len(network.steps) > _MOST:
            return
        for one in local:
            first = network.steps[one.step]
            for j in range(one.step + 1, len(network.steps)):
                second = network.steps[j]
                both = network.both(one.step, j)
                needed = []
                for k in network.points:
                    alone = network.effect(j)[k]
                    effect = alone + (one.local[k] - first.numbers[k]) * both[k]
                    if abs(effect) < 1e-9 * abs(alone):
                        effect = 0.0  # rounding, where the first slip leaves nothing for the second to change
                    needed.append(second.numbers[k] + over(yours[k] - one.value[k], effect))
                for other in indices[j].find(tuple(needed)):
                    yield Guess((*one.slips, *other.slips), yours)

    def _pairs_in_step(self, yours: Numbers) -> Iterator[Guess]:
        network = self.network
        for i, step in enumerate(network.steps):
            if not isinstance(step.expression, Expression) or step.expression.size > _SHORT:
                continue
            effect = network.effect(i)
            needed = [step.numbers[k] + over(yours[k] - network.value[k], effect[k]) for k in network.points]
            if not usable(needed):
                continue
            whole = AS_NAMED.write(step.expression)
            first_point = network.environments[0]
            for first in self._edits(step):
                for second in edits(first.result, self.names, self.kind_of):
                    result = second.result
                    at_first = result.evaluate(first_point) if isinstance(result, Expression) else result
                    if close(at_first, needed[0]) and same(network.numbers(result), tuple(needed)):
                        slips = (replace(one.slip, place=step.place, whole=whole) for one in (first, second))
                        yield Guess(tuple(slips), yours)


_MOST = 100_000  # guesses of one kind
_SHORT = 14  # symbols of a step in which two slips at once are looked for


def _stem(name: str) -> str:
    return name.rstrip("0123456789_")


def _family(text: str) -> str:
    """The text without its indices."""
    return re.sub(r"\d+", "#", text)
