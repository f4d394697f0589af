"""Which slip makes the derivative of a graph into the numbers that somebody's formula gives?

The derivative is taken apart into steps, ∂v/∂u between neighbouring nodes with names, each an expression in names. Every
slip is tried on every place of every step, and what then comes out is compared with the formula's numbers, at
several points. The formula itself is not looked at, so it may be arranged in any way; where that finds
nothing, the same slips are tried the other way round: what change to the formula would make it right?
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from ..engine import Value
from ..ops import TABLE
from .derivation import SCREEN, Symbols
from .expression import Expression
from .graph import Graph
from .tidy import Part, product, total
from .writing import Text

DROPPED, EXTRA, ARGUMENT, INDEX = "dropped factor", "extra factor", "wrong argument", "wrong index"
SIGN, CONSTANT, PATH, DELTA = "sign", "constant", "dropped path", "wrong delta"
OUTPUT, POWER, RULE, NAME, TERM = (
    "derivative of the output",
    "wrong power",
    "wrong derivative",
    "wrong name",
    "wrong term",
)

RTOL = 1e-8
_CONSTANTS = (2.0, 0.5, 3.0, 1 / 3, 4.0, 0.25)
_DERIVATIVES = ("tanh", "sigmoid", "relu", "exp", "sin")  # whose rule may have been taken for another's

Numbers = tuple[float, ...]  # one for each point


class _AsNamed(Text):
    """Text with the names as the graph has them."""

    def name(self, name: str) -> str:
        return name


AS_NAMED = _AsNamed()


@dataclass(frozen=True)
class Slip:
    """One slip in a hand-derived formula.

    kind: one of the constants of this module. factor: the right thing that it concerns, as a formula: the factor that
    is missing or too many, the name or number that should stand there. instead: what stands there, or "". place: the
    local derivative in which it lies, "∂z2/∂f1", or "" where it is of the whole. whole: that derivative, as a formula.
    line: the line of a recurrence that has it.
    """

    kind: str
    factor: str
    instead: str = ""
    place: str = ""
    whole: str = ""
    line: str = ""

    def __str__(self) -> str:
        inside = f" in {self.place} = {self.whole}" if self.place and self.whole else ""
        what = f"{self.instead} stands where {self.factor} belongs"
        texts = {
            DROPPED: f"dropped factor {self.factor}: "
            + (
                f"it is {self.place}"
                if self.factor == self.whole
                else f"it belongs{inside}"
                if inside
                else "it is missing"
            ),
            EXTRA: f"extra factor {self.factor}: it does not belong there" + (f" ({self.place})" if self.place else ""),
            SIGN: f"sign: a minus is missing or too many{inside}",
            CONSTANT: f"constant: {what if self.instead else f'the {self.factor} is missing'}{inside}",
            PATH: f"dropped path: the way through {self.place} is missing, and with it {self.factor}",
            OUTPUT: f"derivative of the output {self.instead} instead of the loss: the factor {self.place} = {self.factor} "
            "is missing",
            DELTA: f"wrong delta: {what}",
        }
        return texts.get(self.kind, f"{self.kind}{inside}: {what}")


# ---- slips in one expression ----------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """A slip in an expression, and what the expression becomes. where: its place, alike in alike expressions."""

    slip: Slip
    result: Part
    where: str
    dropped: Part = 1.0


def edits(expression: Part, names: Sequence[str], kind_of: Callable[[str, str], str]) -> Iterator[Edit]:
    """Every slip that can be made once in the expression. kind_of(right, wrong) names the taking of a name for another."""
    everywhere = expression.names() if isinstance(expression, Expression) else {}
    for right in everywhere:
        for wrong in names:
            if wrong != right and everywhere[right] > 1:
                slip = Slip(kind_of(right, wrong), right, wrong)
                yield Edit(slip, expression.replace({right: Expression(name=wrong)}), f"all {right}")  # type: ignore[union-attr]
    for part, rebuild, is_factor, inverted, where in _places(expression):
        text = f"1 / {AS_NAMED.write(part)}" if inverted else AS_NAMED.write(part)
        if isinstance(part, float):
            if is_factor and abs(part) != 1.0:
                yield Edit(Slip(CONSTANT, text), rebuild(1.0), f"{where} 1")
            for c in _CONSTANTS if not is_factor or abs(part) != 1.0 else ():
                other = f"1 / {AS_NAMED.write(part * c)}" if inverted else AS_NAMED.write(part * c)
                yield Edit(Slip(CONSTANT, text, other), rebuild(part * c), f"{where} *{c}")
            yield Edit(Slip(SIGN, "-1"), rebuild(-part), f"{where} -")
            continue
        if is_factor and (not where or part.op is None or part.op.name not in ("mul", "div", "neg")):
            yield Edit(Slip(DROPPED, text), rebuild(1.0), f"{where} dropped", part)
            yield Edit(Slip(EXTRA, text), rebuild(Expression(TABLE["pow"], (part, 2.0))), f"{where} twice")
        yield Edit(Slip(SIGN, "-1"), rebuild(Expression(TABLE["neg"], (part,))), f"{where} -")
        if part.op is None:
            for wrong in names:
                if wrong != part.name:
                    slip = Slip(kind_of(part.name, wrong), part.name, wrong)
                    yield Edit(slip, rebuild(Expression(name=wrong)), f"{where} {wrong}")
        elif part.op.name == "pow":
            base, exponent = part.operands
            yield Edit(Slip(POWER, text, AS_NAMED.write(base)), rebuild(base), f"{where} base")
            if isinstance(exponent, float):
                for other in (exponent + 1.0, exponent - 1.0):
                    result = Expression(part.op, (base, other))
                    yield Edit(Slip(POWER, text, AS_NAMED.write(result)), rebuild(result), f"{where} ^{other}")
        elif part.op.name in ("add", "sub"):
            for kept in part.operands:
                yield Edit(Slip(TERM, text, AS_NAMED.write(kept)), rebuild(kept), f"{where} one")
        elif part.op.arity == 1 and part.op.name != "neg":
            inner = part.operands[0]
            yield Edit(Slip(RULE, text, AS_NAMED.write(inner)), rebuild(inner), f"{where} inner")


def _places(expression: Part) -> Iterator[tuple[Part, Callable[[Part], Part], bool, bool, str]]:
    """Every part of the expression; how to put another in its place; if it is a factor of the whole, or divides it; where."""
    stack: list[tuple[Part, Callable[[Part], Part], bool, bool, str]] = [(expression, lambda new: new, True, False, "")]
    while stack:
        part, rebuild, is_factor, inverted, where = stack.pop()
        yield part, rebuild, is_factor, inverted, where
        if not isinstance(part, Expression) or part.op is None:
            continue
        inside = is_factor and part.op.name in ("mul", "div", "neg")
        for i, operand in enumerate(part.operands):
            if part.op.name == "pow" and i == 1 and isinstance(operand, float):
                continue  # a wrong exponent is a slip of its own

            def put(new: Part, part: Expression = part, i: int = i, rebuild: Any = rebuild) -> Part:
                operands = (*part.operands[:i], new, *part.operands[i + 1 :])
                return rebuild(Expression(part.op, operands))  # type: ignore[no-any-return]

            below = inside and inverted ^ (part.op.name == "div" and i == 1)
            stack.append((operand, put, inside, below, f"{where}.{i}"))


# ---- the derivative, taken apart ------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """∂end/∂start, by all the ways between the two that lead over no other node with a name."""

    start: Value
    end: Value | None  # None behind a cut: there the whole rest is called δ
    expression: Part
    place: str
    numbers: Numbers
    neighbours: frozenset[Value]


class Network:
    """The nodes with names on the way from `target` to the loss, and the steps between them.

    cut: nodes whose derivative has a name of its own (a δ), where the ways end, and how many times the derivative that
    name stands for. environments: what all names stand for,
    one dict for each point. hidden: names that are not to be used.

    Raises OverflowError where a step is too long to be looked into.
    """

    def __init__(
        self,
        graph: Graph,
        target: Value,
        cut: Mapping[Value, tuple[str, float]],
        environments: Sequence[dict[str, float]],
        hidden: Collection[Value] = (),
    ):
        self.graph, self.target, self.environments = graph, target, environments
        cut = {node: name for node, name in cut.items() if node is not target}
        reached = {target}
        for node in graph.order:
            if any(x in reached and x not in cut for x in node.operands):
                reached.add(node)
        order = [node for node in graph.order if node in reached]
        self.names = {node: name for node, name in graph.names.items() if node not in hidden}
        self.visible = [node for node in order if node in self.names or node in cut or node in (target, graph.loss)]
        self.symbols = symbols = Symbols(graph, self.names)
        visible = set(self.visible)
        reach: dict[Value, dict[Value, Part]] = {}
        consumers: dict[Value, list[Value]] = {node: [] for node in order}
        for node in order:
            for operand in dict.fromkeys(node.operands):
                if operand in consumers and operand not in cut:
                    consumers[operand].append(node)  # type: ignore[index]
        self.steps: list[Step] = []
        for node in reversed(order):
            ways: dict[Value, list[Part]] = {}
            for consumer in consumers[node]:
                local = symbols.local(consumer, node)
                if consumer in visible:
                    ways.setdefault(consumer, []).append(local)
                else:
                    for end, rest in reach[consumer].items():
                        ways.setdefault(end, []).append(product([local, rest]))
            reach[node] = {end: total(found) if len(found) > 1 else found[0] for end, found in ways.items()}
            if any(isinstance(part, Expression) and part.size > SCREEN for part in reach[node].values()):
                raise OverflowError
            if node in visible:
                for end, part in reach[node].items():
                    unit = end.op is not None and end.op.arity == 1 and end.operands[0] is node
                    self._add(node, end, part, frozenset((node, end)) if unit else frozenset())
            if node in cut:
                name, times = cut[node]
                self._add(node, None, product([Expression(name=name), 1.0 / times]), frozenset())
        self.steps.reverse()
        self.base = [step.numbers for step in self.steps]
        self.points = range(len(environments))
        self.after = [self._behind(self.base, k) for k in self.points]
        self.value = tuple(after[target] for after in self.after)

    def _add(self, start: Value, end: Value | None, part: Part, neighbours: frozenset[Value]) -> None:
        top = self.graph.title(end or self.graph.loss)
        place = f"∂{top}/∂{self.graph.title(start)}"
        self.steps.append(Step(start, end, part, place, self.numbers(part), neighbours))

    def numbers(self, part: Part) -> Numbers:
        """What an expression is at the points."""
        if isinstance(part, float):
            return (part,) * len(self.environments)
        return tuple(part.evaluate(environment) for environment in self.environments)

    def rest(self, start: Value) -> Part:
        """∂loss/∂start in symbols."""
        ways = [
            product([step.expression, self.rest(step.end)]) for step in self.steps if step.start is start and step.end
        ]
        return total(ways) if ways else 1.0

    def derivative(self, local: Sequence[Numbers]) -> Numbers:
        """∂loss/∂target from the steps' numbers: the chain rule, over all ways."""
        return tuple(self._behind(local, k)[self.target] for k in self.points)

    @cache  # noqa: B019  # a network lives as long as one search
    def effect(self, i: int) -> Numbers:
        """By how much the derivative changes with step i: what comes before it times what comes behind it."""
        step = self.steps[i]
        return tuple(self.tangents(self.target)[k].get(step.start, 0.0) * self.after[k][step.end] for k in self.points)

    @cache  # noqa: B019
    def both(self, i: int, j: int) -> Numbers:
        """The same for steps i and j at once, i before j: of the ways through both."""
        first, second = self.steps[i], self.steps[j]
        if first.end is None:
            return (0.0,) * len(self.points)
        return tuple(
            self.tangents(self.target)[k].get(first.start, 0.0)
            * self.tangents(first.end)[k].get(second.start, 0.0)
            * self.after[k][second.end]
            for k in self.points
        )

    def through(self, i: int, j: int) -> Numbers | None:
        """By how much the derivative changes with step j, of the ways through step i; None if there are none."""
        if i == j:
            return None
        both = self.both(min(i, j), max(i, j))
        found = tuple(self.steps[i].numbers[k] * both[k] for k in self.points)
        return found if any(found) else None

    def _behind(self, local: Sequence[Numbers], k: int) -> dict[Value | None, float]:
        """∂loss/∂node at point k for the visible nodes."""
        behind: dict[Value | None, float] = dict.fromkeys(self.visible, 0.0)
        behind[None] = 1.0
        if self.graph.loss in behind:
            behind[self.graph.loss] = 1.0
        for step, numbers in zip(reversed(self.steps), reversed(local), strict=True):
            behind[step.start] += numbers[k] * behind[step.end]
        return behind

    @cache  # noqa: B019
    def tangents(self, start: Value) -> list[dict[Value | None, float]]:
        """∂node/∂start at each point, for the visible nodes behind start."""
        found = []
        for k in self.points:
            tangent: dict[Value | None, float] = {start: 1.0}
            for step, numbers in zip(self.steps, self.base, strict=True):
                if step.start in tangent:
                    tangent[step.end] = tangent.get(step.end, 0.0) + numbers[k] * tangent[step.start]
            found.append(tangent)
        return found


# ---- the search -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guess:
    """Slips that might have been made, and what the derivative would then be. local: the numbers of one step, changed."""

    slips: tuple[Slip, ...]
    value: Numbers
    step: int = -1
    local: Numbers = ()


class Search:
    """All single slips in the derivative that a network is, ready to be compared with what somebody has.

    deltas: the names of derivatives that may be used. tree: the formula, if there is one. rtol: how exact its numbers are.
    """

    def __init__(self, network: Network, deltas: Sequence[str], tree: Part | None, rtol: float = RTOL):
        self.network, self.tree, self.rtol = network, tree, rtol
        self.deltas = set(deltas)
        graph = network.graph
        known = [*graph.nodes, *deltas]
        mentioned = tree.names() if isinstance(tree, Expression) else known
        self.names = [name for name in known if name in mentioned]  # a wrong name is one that the formula has
        self.factors = self._known_factors(graph)
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
        ways: tuple[Callable[[Numbers], Iterable[Guess]], ...] = (
            self.by_value.find, self.by_constant, self._repairs, self._pairs_of_whole, self._pairs_of_steps,
            self._pairs_in_step, self._pairs_with_repair, self._repairs_everywhere,
        )  # fmt: skip
        found: list[Guess] = []
        for stage in (ways[:2], ways[2:3], ways[3:-1] if len(yours) > 1 else (), ways[-1:]):
            found = [guess for way in stage for guess in way(yours)]
            if found:
                break
        return min((one.slips for one in found), key=weight, default=())

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
        found = Slip(CONSTANT, "1", _fraction(c))
        for step in self.network.steps:
            ways = sum(other.end is step.end for other in self.network.steps)
            for part, _, is_factor, below, _ in _places(step.expression):
                if is_factor and isinstance(part, float) and abs(part) != 1.0 and ways == 1:
                    right, wrong = (1.0 / part, c / part) if below else (part, part * c)
                    if not below or not found.place:
                        instead = "" if close(wrong, 1.0) else _fraction(wrong)
                        found = Slip(CONSTANT, _fraction(right), instead, step.place, AS_NAMED.write(step.expression))
        return found

    def kind_of(self, right: str, wrong: str) -> str:
        """What it is to take one name for another."""
        if right in self.deltas and wrong in self.deltas:
            return DELTA
        a, b = (self.network.graph.nodes.get(name) for name in (right, wrong))
        if a is None or b is None:
            return NAME
        if any(x.op is not None and x.op.arity == 1 and x.operands[0] is y for x, y in ((a, b), (b, a))):
            return ARGUMENT
        if _stem(right) == _stem(wrong):
            return INDEX
        inputs = self.network.graph.inputs
        return INDEX if (a in inputs) + (b in inputs) == 1 and any(x.op and x.op.arity == 1 for x in (a, b)) else NAME

    def _known_factors(self, graph: Graph) -> list[tuple[Slip, Numbers]]:
        """What could be a factor too many: names, and local derivatives of anything with a name."""
        symbols = self.network.symbols
        parts: dict[str, tuple[Part, str]] = {
            name: (Expression(name=name), "") for name in [*graph.nodes, *self.deltas]
        }
        for step in self.network.steps:
            for part, _, is_factor, inverted, _ in _places(step.expression):
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
        for edit in self._edits(step):
            slip = replace(edit.slip, place=step.place, whole=whole)
            yield self._changed(i, (slip,), network.numbers(edit.result))
            if slip.kind == DROPPED:  # y - f is dropped as f - y, with the minus that the chain rule has before it
                other = tuple(-x for x in network.numbers(edit.result))
                yield self._changed(i, (replace(slip, factor=self._negative(edit.dropped)),), other)
        for slip, numbers in self.factors:
            local = tuple(a * b for a, b in zip(step.numbers, numbers, strict=True))
            yield self._changed(i, (replace(slip, place=step.place),), local)
        dropped = self._changed(i, (Slip(PATH, whole, place=step.place, whole=whole),), (0.0,) * len(step.numbers))
        if any(abs(a) > 1e-9 * abs(b) for a, b in zip(dropped.value, network.value, strict=True)):
            yield dropped

    def _edits(self, step: Step) -> Iterator[Edit]:
        yield from edits(step.expression, self.names, self.kind_of)
        start, end = step.start, step.end
        names = self.network.names
        if end is None or end.op is None or end.op.arity != 1 or end.operands[0] is not start:
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
        changed = list(self.network.base)
        changed[i] = local
        return Guess(slips, self.network.derivative(changed), i, local)

    def _of_whole(self) -> Iterator[Guess]:
        value = self.network.value
        yield Guess((Slip(SIGN, "-1"),), tuple(-x for x in value))
        for slip, numbers in self.factors:
            yield Guess((slip,), tuple(a * b for a, b in zip(value, numbers, strict=True)))
            yield Guess((replace(slip, kind=DROPPED),), tuple(map(_over, value, numbers)))

    def _of_layers(self) -> Iterator[Guess]:
        """The same slip in all units of a layer."""
        layers: dict[tuple[str, str], list[int]] = {}
        for i, step in enumerate(self.network.steps):
            if step.end is not None:
                layers.setdefault((_family(step.place), _family(AS_NAMED.write(step.expression))), []).append(i)
        for layer in layers.values():
            if len(layer) == 1:
                continue
            made: dict[tuple[str, str], list[tuple[int, Slip, Numbers]]] = {}
            for i in layer:
                step = self.network.steps[i]
                for edit in self._edits(step):
                    numbers = self.network.numbers(edit.result)
                    made.setdefault((edit.slip.kind, _family(edit.where)), []).append((i, edit.slip, numbers))
            for (kind, where), units in made.items():
                if len(units) == len(layer) and [i for i, _, _ in units] == layer:
                    changed = list(self.network.base)
                    for i, _, numbers in units:
                        changed[i] = numbers
                    first = self.network.steps[layer[0]]
                    slip = replace(units[0][1], place=first.place, whole=AS_NAMED.write(first.expression))
                    yield Guess((slip,), self.network.derivative(changed))

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
        last: dict[Value | None, bool] = {loss: True}  # does only the loss function come behind it?
        for step in reversed(network.steps):
            end = step.end
            unit = end is None or end.op is None or (end.op.arity == 1 and end.op.name != "neg") or end.op.name == "mul"
            last[step.start] = last.get(step.start, True) and not unit and last.get(end, False)
        ends = [step.end for step in network.steps if last.get(step.end) and not last.get(step.start)]
        ends = [network.target] if last[network.target] else ends
        outputs = [node for node in dict.fromkeys(ends) if node is not None and node is not loss]
        if not outputs:
            return
        tangents = network.tangents(network.target)
        behind = [step for step in network.steps if last[step.start]]
        divisors = {part for step in behind for part, _, _, below, _ in _places(step.expression) if below}
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

    # ---- in the formula itself ----

    def _repairs(self, yours: Numbers) -> Iterator[Guess]:
        """Slips that, undone in the formula, make it right."""
        for slip, numbers, everywhere in self._undone:
            if not everywhere and self._same(numbers, self.network.value):
                yield Guess((slip,), yours)

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
            for one in self.by_value.find(tuple(_over(a, b) for a, b in zip(yours, numbers, strict=True))):
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
                    needed.append(second.numbers[k] + _over(yours[k] - one.value[k], effect))
                for other in indices[j].find(tuple(needed)):
                    yield Guess((*one.slips, *other.slips), yours)

    def _pairs_in_step(self, yours: Numbers) -> Iterator[Guess]:
        network = self.network
        for i, step in enumerate(network.steps):
            if not isinstance(step.expression, Expression) or step.expression.size > _SHORT:
                continue
            effect = network.effect(i)
            needed = [step.numbers[k] + _over(yours[k] - network.value[k], effect[k]) for k in network.points]
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
_WEIGHTS = {
    SIGN: 1.0, CONSTANT: 1.0, OUTPUT: 0.8, DELTA: 0.9, ARGUMENT: 1.2, INDEX: 1.3, DROPPED: 1.0, PATH: 1.5, EXTRA: 1.6,
    POWER: 1.8, RULE: 2.0, NAME: 2.5, TERM: 2.5,
}  # fmt: skip


def weight(slips: Sequence[Slip]) -> float:
    """How unlikely slips are beside others that would make the same formula."""
    # what can be said to lie somewhere is said to; a minus is the same wherever it stands
    return sum(
        _WEIGHTS[slip.kind]
        + (0.1 if not slip.whole and slip.kind != SIGN else 0.0)
        + (0.05 if slip.kind == CONSTANT and slip.instead else 0.0)
        + (0.02 if slip.kind == CONSTANT and slip.factor.startswith("1 /") else 0.0)
        + (0.15 if slip.factor.startswith("-") and slip.kind != SIGN else 0.0)
        for slip in slips
    )


class Index:
    """Things by the numbers they have at the points, found again in spite of rounding."""

    def __init__(self, rtol: float, items: Iterable[tuple[Numbers, Any]] = ()):
        self.rtol = rtol
        self._at: dict[int, list[tuple[Numbers, Any]]] = {}
        for numbers, item in items:
            self.add(numbers, item)

    def add(self, numbers: Numbers, item: Any) -> None:
        if math.isfinite(numbers[0]):
            self._at.setdefault(_bin(numbers[0]), []).append((numbers, item))

    def find(self, numbers: Numbers) -> list[Any]:
        if not numbers or not all(map(math.isfinite, numbers)):
            return []
        middle = _bin(numbers[0])
        near = (pair for i in (middle - 1, middle, middle + 1) for pair in self._at.get(i, ()))
        return [item for own, item in near if all(close(a, b, self.rtol) for a, b in zip(own, numbers, strict=True))]


def _bin(x: float) -> int:
    """Numbers that differ by a millionth at most are in the same bin or in neighbouring ones."""
    return round(math.copysign(math.log(max(abs(x), 1e-300)) + 1000.0, x) * 5e5)


def close(a: float, b: float, rtol: float = RTOL) -> bool:
    """Equal but for rounding."""
    return abs(a - b) <= rtol * max(abs(a), abs(b)) + 1e-290


def same(a: Sequence[float], b: Sequence[float], rtol: float = RTOL) -> bool:
    """Equal but for rounding, at every point."""
    return all(close(x, y, rtol) for x, y in zip(a, b, strict=True))


def usable(numbers: Sequence[float]) -> bool:
    return all(map(math.isfinite, numbers))


def _over(a: float, b: float) -> float:
    return a / b if b else 0.0 if not a else math.inf


def constant_ratio(yours: Numbers, derivative: Numbers) -> float:
    """c, if yours = c · derivative at all points and c is not 1; else 0. One point says nothing."""
    ratios = [_over(a, b) for a, b in zip(yours, derivative, strict=True) if a or b]
    if len(ratios) < 2 or not usable(ratios) or not ratios[0] or close(ratios[0], 1.0):
        return 0.0
    return ratios[0] if all(close(ratio, ratios[0]) for ratio in ratios) else 0.0


def _fraction(x: float) -> str:
    """1/3 rather than 0.333333."""
    from fractions import Fraction

    near = Fraction(x).limit_denominator(1000)
    return str(near) if near and close(float(near), x) else AS_NAMED.write(x)


def _stem(name: str) -> str:
    return name.rstrip("0123456789_")


def _family(text: str) -> str:
    """The text without its indices."""
    import re

    return re.sub(r"\d+", "#", text)
