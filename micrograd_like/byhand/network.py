"""The derivative that a graph implies, taken apart into steps between the nodes that have names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ..engine import Value
from .derivation import SCREEN, Symbols, TooLongError
from .expression import Expression
from .graph import Graph
from .points import Numbers
from .tidy import Part, product, total


@dataclass(frozen=True)
class Step:
    """∂end/∂start, by all the ways between the two that lead over no other node with a name."""

    start: Value
    end: Value | None  # None behind a cut: there the whole rest is called δ
    expression: Part
    place: str
    numbers: Numbers


class Network:
    """The nodes with names on the way from `target` to the loss, and the steps between them.

    cut: nodes whose derivative has a name of its own (a δ), where the ways end, and how many times the derivative that
    name stands for. environments: what all names stand for, one dict for each point. hidden: nodes to be taken for
    what they are computed from.

    value: ∂loss/∂target at the points. steps: in topological order. tangents(node): ∂other/∂node for the visible nodes,
    at each point. effect(i): by how much the derivative changes with step i. both(i, j): with steps i and j at once.

    Raises TooLongError where a step is too long to be looked into.
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
                    consumers[operand].append(node)
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
                raise TooLongError
            if node in visible:
                for end, part in reach[node].items():
                    self._add(node, end, part)
            if node in cut:
                name, times = cut[node]
                self._add(node, None, product([Expression(name=name), 1.0 / times]))
        self.steps.reverse()
        self.base = [step.numbers for step in self.steps]
        self.points = range(len(environments))
        self.tangents, self.effect, self.both = cache(self._tangents), cache(self._effect), cache(self._both)
        self.after = [self._behind(self.base, k) for k in self.points]
        self.value = tuple(after[target] for after in self.after)

    def _add(self, start: Value, end: Value | None, part: Part) -> None:
        top = self.graph.title(self.graph.loss if end is None else end)
        place = f"∂{top}/∂{self.graph.title(start)}"
        self.steps.append(Step(start, end, part, place, self.numbers(part)))

    def numbers(self, part: Part) -> Numbers:
        """What an expression is at the points."""
        if isinstance(part, float):
            return (part,) * len(self.environments)
        return tuple(part.evaluate(environment) for environment in self.environments)

    def rest(self, start: Value) -> Part:
        """∂loss/∂start in symbols."""
        ways = [
            product([step.expression, self.rest(step.end)])
            for step in self.steps
            if step.start is start and step.end is not None
        ]
        return total(ways) if ways else 1.0

    def derivative(self, local: Sequence[Numbers]) -> Numbers:
        """∂loss/∂target from the steps' numbers: the chain rule, over all ways."""
        return tuple(self._behind(local, k)[self.target] for k in self.points)

    def _effect(self, i: int) -> Numbers:
        """By how much the derivative changes with step i: what comes before it times what comes behind it."""
        step = self.steps[i]
        return tuple(self.tangents(self.target)[k].get(step.start, 0.0) * self.after[k][step.end] for k in self.points)

    def _both(self, i: int, j: int) -> Numbers:
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

    def _tangents(self, start: Value) -> list[dict[Value | None, float]]:
        """∂node/∂start at each point, for the visible nodes behind start."""
        found = []
        for k in self.points:
            tangent: dict[Value | None, float] = {start: 1.0}
            for step, numbers in zip(self.steps, self.base, strict=True):
                if step.start in tangent:
                    tangent[step.end] = tangent.get(step.end, 0.0) + numbers[k] * tangent[step.start]
            found.append(tangent)
        return found
