"""`diagnose`: what is wrong with a hand-derived gradient, in a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..engine import Value
from ..ops import Op
from .expression import Expression
from .formula import canonical
from .given import Formulas, Given, evaluate, meant, read
from .graph import Graph
from .points import Point, general
from .slips import RTOL, Index, Network, Numbers, Search, Slip, constant_ratio, same
from .tidy import Part, product

RIGHT, WRONG, UNKNOWN = "right", "wrong", "cannot tell"
POINTS = 4
TYPED = 1e-6  # to which a number is compared with what a slip would give


@dataclass(frozen=True)
class Finding:
    """What is to be said of one gradient.

    name: what it is the derivative by. verdict: "right", "wrong" or "cannot tell" (it is wrong, but not by slips that are
    known here). slips: what is wrong with it. line: the first wrong line of a recurrence, "" for a formula of one line.
    ratios: yours / the derivative, at points in general position. sentence: all that in words.
    """

    name: str
    verdict: str
    sentence: str
    slips: tuple[Slip, ...] = ()
    line: str = ""
    ratios: tuple[float, ...] = ()


class Diagnosis:
    """What `diagnose` returns: `findings`, one for each gradient. True if all are right."""

    def __init__(self, findings: Sequence[Finding]):
        self.findings = list(findings)

    def __bool__(self) -> bool:
        return all(finding.verdict == RIGHT for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(f"{finding.name}: {finding.sentence}" for finding in self.findings)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        items = (f"<li><b>{escape(one.name)}</b>: {escape(one.sentence)}</li>" for one in self.findings)
        return f"<ul>{''.join(items)}</ul>"


def diagnose(loss: Value, formulas: Formulas, seed: int = 0) -> Diagnosis:
    """Say what is wrong with gradients derived by hand: which factor, and where in the chain.

    formulas: as for `compare`. seed: of the points. The recorded graph is run again at several points in general
    position (all named leaves at fresh values), where no factor is saturated, 0 or by accident 1, so that it does not
    matter at which numbers it was recorded, nor how a formula is arranged. A number says something only of the
    point where the graph was recorded. In a recurrence the first wrong line is named, and those that only inherit
    its mistake are not blamed.

    No gradient of the graph is touched. Raises as `compare` does.

    >>> from micrograd_like.lecture import chain
    >>> _, loss = chain([0.8, -1.2, 0.7], 1.5, 0.25)
    >>> print(diagnose(loss, {"w2": "f1 (1 - z2²) w3 (1 - f3²) 2 (f3 - y)", "w3": "f2 (1 - f3²) (f3 - y)"}))
    w2: wrong argument in ∂f2/∂z2 = 1 - f2²: z2 stands where f2 belongs
    w3: constant: the 2 is missing in ∂Loss/∂f3 = 2 (f3 - y)
    """
    graph = Graph(loss, "diagnose")
    return examine(graph, read(graph, formulas, "diagnose"), seed)


def examine(graph: Graph, given: Sequence[Given], seed: int = 0) -> Diagnosis:
    """`diagnose`, for formulas that are read already."""
    points = general(graph, [one.node for one in given], _held(graph, given), POINTS, seed)
    here = Point(graph.numbers, _gradient(graph))
    return Diagnosis([_Case(graph, one, points if one.general else [here]).finding() for one in given])


def _gradient(graph: Graph) -> dict[Value, float]:
    from .replay import gradients

    return gradients(graph.loss, graph.numbers)


def _held(graph: Graph, given: Sequence[Given]) -> set[Value]:
    """The leaves whose number, and not whose name, stands in the formulas: they keep it."""
    written: set[float] = set()
    named: set[str] = set()
    for one in given:
        for _, expression in one.lines:
            named |= set(expression.names()) if isinstance(expression, Expression) else set()
            written |= _constants(expression)
    return {
        node
        for node, name in graph.names.items()
        if node.op is None and name not in named and abs(node.data) in written and node.data not in (0.0, 1.0, -1.0, 2.0)
    }


def _constants(expression: Part) -> set[float]:
    if not isinstance(expression, Expression):
        return {abs(expression)}
    found: set[float] = set()
    expression._fold(lambda name: None, lambda x: found.add(abs(x)), lambda op, operands, results: None)
    return found


class _Case:
    """One gradient at the points."""

    def __init__(self, graph: Graph, given: Given, points: Sequence[Point]):
        self.graph, self.given = graph, given
        self.points: list[Point] = []
        self.environments: list[dict[str, float]] = []
        yours = []
        for point in points:
            environment = {name: point.numbers[node] for name, node in graph.nodes.items()}
            own = given.value(environment)
            if own == own:  # a formula need not be defined everywhere
                self.points.append(point)
                self.environments.append(environment)
                yours.append(own)
        self.yours: Numbers = tuple(yours)
        self.truth = self.gradient(given.node)

    def gradient(self, node: Value) -> Numbers:
        return tuple(point.gradient[node] for point in self.points)

    def finding(self) -> Finding:
        name = self.given.title
        if not self.points:
            return Finding(name, UNKNOWN, "I cannot tell: there is no point at which the graph and your formula have numbers")
        if same(self.yours, self.truth):
            return Finding(name, RIGHT, "right")
        ratios = tuple(a / b if b else float("nan") for a, b in zip(self.yours, self.truth, strict=True))
        slips, line = self._slips()
        if not slips:
            known = ", ".join(f"{ratio:.6g}" for ratio in ratios)
            where = "at several points" if self.given.general else "at this one point"
            return Finding(
                name, UNKNOWN, f"wrong, but I cannot tell why; yours / derivative {where}: {known}", (), line, ratios
            )
        sentence = "; and ".join(str(slip) for slip in slips)
        if not self.given.general:
            sentence = f"at this one point it would fit: {sentence}"
        return Finding(name, WRONG, sentence, slips, line, ratios)

    # ---- which line ----

    def _slips(self) -> tuple[tuple[Slip, ...], str]:
        """What is wrong, and in which line first."""
        lines = self.given.lines
        if len(lines) < 2:
            tree = lines[0][1] if lines else None
            return self.explain(self.given.node, self.yours, self.environments, tree), ""
        reading = _Reading(self)
        found: list[Slip] = []
        first = ""
        for i in reading.wrong:
            target = lines[i][0] or f"d{self.given.title}"
            first = first or target
            slips = reading.explain(i)
            if not slips:
                break
            found += [replace(slip, line=target) for slip in slips]
        if not found:
            tree = reading.inlined(len(lines) - 1, everything=True)
            return self.explain(self.given.node, self.yours, self.environments, tree), first
        return tuple(found), first

    def _recognised(self, tree: Part | None, environments: Sequence[dict[str, float]]) -> Part | None:
        """The formula with the names of the graph for what they stand for: f1 for tanh(w1 x)."""
        if not isinstance(tree, Expression) or len(environments) < 2:
            return tree
        index = Index(RTOL)
        for node, name in self.graph.names.items():
            if node.op is not None:
                index.add(tuple(point.numbers[node] for point in self.points), Expression(name=name))

        def of_op(op: Op, operands: tuple[Any, ...], results: list[tuple[Any, Numbers]]) -> tuple[Any, Numbers]:
            numbers = tuple(op.value(*at) for at in zip(*(own for _, own in results), strict=True))
            known = index.find(numbers)
            return known[0] if known else Expression(op, tuple(part for part, _ in results)), numbers

        recognised: Part = tree._fold(
            lambda name: (Expression(name=name), tuple(environment[name] for environment in environments)),
            lambda x: (x, (x,) * len(environments)),
            of_op,
        )[0]
        return recognised

    def _hidden(self, tree: Part | None) -> set[Value]:
        """The names of mere arithmetic that the formula does without: it may have what they stand for."""
        mentioned = tree.names() if isinstance(tree, Expression) else self.graph.nodes
        units = [node for node in self.graph.order if node.op is not None and node.op.arity == 1]
        kept = {self.given.node, *units, *(x for node in units for x in node.operands)}
        return {
            node for node, name in self.graph.names.items() if node.op is not None and node not in kept and name not in mentioned
        }

    def explain(
        self,
        node: Value,
        yours: Numbers,
        environments: Sequence[dict[str, float]],
        tree: Part | None,
        cut: Mapping[Value, tuple[str, float]] = MappingProxyType({}),
    ) -> tuple[Slip, ...]:
        """The slips that make `yours` of ∂loss/∂node. cut: names of derivatives, and how many times these they are."""
        tree = self._recognised(tree, environments)
        try:
            network = Network(self.graph, node, cut, environments, self._hidden(tree))
        except OverflowError:
            return ()
        rtol = RTOL if self.given.general else TYPED
        return Search(network, [name for name, _ in cut.values()], tree, rtol).explain(yours)


Meaning = tuple[Value, float]  # a node, and how many times ∂loss/∂node it is


class _Reading:
    """The lines of a recurrence, each with what it should be.

    A family of lines (d3, d2, d1) are derivatives by a family of nodes: z, as in the lecture, f or any other, perhaps
    with a common factor (the 1/n of a mean is often put in at the end). Of all that they could be they are what makes
    the fewest lines wrong. wrong: the lines that are wrong even if those before them are put right.
    """

    def __init__(self, case: _Case):
        self.case = case
        self.lines = case.given.lines
        self.nodes: dict[str, list[tuple[str, Value]]] = {}  # by index: (stem, node)
        for name, node in case.graph.nodes.items():
            short = canonical(name)
            self.nodes.setdefault(_index(short), []).append((short[: len(short) - len(_index(short))], node))
        self.fixed: dict[int, Meaning] = {len(self.lines) - 1: (case.given.node, 1.0)}
        families: dict[str, list[int]] = {}
        for i, (target, _) in enumerate(self.lines[:-1]):
            short = canonical(target)
            node = meant(case.graph, target)
            if node is not None:
                self.fixed[i] = node, 1.0
            elif short:
                families.setdefault(short.removesuffix(_index(short)), []).append(i)
        for stem, family in families.items():
            if options := list(self._options(stem, family)):
                self.fixed = min(options, key=lambda option: len(self._read(option)[0]))
        self.wrong, self.yours, self.environments = self._read(self.fixed)

    def _options(self, stem: str, family: list[int]) -> Iterator[dict[int, Meaning]]:
        """What the lines of a family could mean, the likeliest first."""
        indices = [_index(canonical(self.lines[i][0])) for i in family]
        stems = {name: None for name, _ in self.nodes.get(indices[0], ())} if indices[0] or stem in ("δ", "d") else {}
        is_delta = stem in ("δ", "d", "δz", "dz")
        for letter in sorted(stems, key=lambda name: name != "z"):
            meant = [next((node for name, node in self.nodes.get(index, ()) if name == letter), None) for index in indices]
            if None in meant:
                continue
            for scale in self._scales(family, meant):
                option = {**self.fixed, **{i: (node, scale) for i, node in zip(family, meant, strict=True)}}
                wrong = self._read(option)[0]  # type: ignore[arg-type]
                if set(family) - set(wrong) or len(self.lines) - 1 not in wrong or (is_delta and letter == "z"):
                    yield option  # type: ignore[misc]
        if not is_delta:
            yield dict(self.fixed)

    def _scales(self, family: list[int], meant: Sequence[Value | None]) -> list[float]:
        """1, and what the lines have in common with the derivatives but for a factor."""
        option = {**self.fixed, **{i: (node, 1.0) for i, node in zip(family, meant, strict=True)}}
        yours = self._read(option)[1]  # type: ignore[arg-type]
        ratios = [constant_ratio(yours[i], self.case.gradient(node)) for i, node in zip(family, meant, strict=True)]  # type: ignore[arg-type]
        last = constant_ratio(self._read(option)[1][-1], self.case.truth)  # type: ignore[arg-type]
        ratios.append(1.0 / last if last else 0.0)
        scales = dict.fromkeys(float(f"{ratio:.9g}") for ratio in ratios if ratio)
        return [1.0, *sorted(scales, key=lambda scale: (scale < 0.0, not scale.is_integer()))]

    def _read(
        self, meanings: Mapping[int, Meaning]
    ) -> tuple[list[int], list[Numbers], list[dict[str, float]]]:
        """The wrong lines, the numbers of all, and what names stand for when the lines are put right."""
        environments = [dict(environment) for environment in self.case.environments]
        wrong, yours = [], []
        for i, (target, expression) in enumerate(self.lines):
            own = right = tuple(evaluate(expression, environment) for environment in environments)
            if i in meanings:
                node, scale = meanings[i]
                right = tuple(scale * x for x in self.case.gradient(node))
                if not same(own, right):
                    wrong.append(i)
            yours.append(own)
            for environment, number in zip(environments, right, strict=True):
                environment[target] = number
        return wrong, yours, environments

    def inlined(self, i: int, everything: bool = False) -> Part:
        """Line i, with what earlier lines that are no derivatives (or all) stand for."""
        helpers: dict[str, Any] = {}
        for j, (target, expression) in enumerate(self.lines[:i]):
            if everything or j not in self.fixed:
                helpers[target] = expression.replace(helpers) if isinstance(expression, Expression) else expression
        expression = self.lines[i][1]
        return expression.replace(helpers) if isinstance(expression, Expression) else expression

    def explain(self, i: int) -> tuple[Slip, ...]:
        """The slips in line i."""
        node, scale = self.fixed[i]
        cut = {
            other: (self.lines[j][0], times)
            for j, (other, times) in self.fixed.items()
            if j < i and other is not node and self.lines[j][0]
        }
        tree = product([self.inlined(i), 1.0 / scale])
        yours = tuple(x / scale for x in self.yours[i])
        return self.case.explain(node, yours, self.environments, tree, cut) or self.case.explain(
            node, yours, self.environments, tree
        )


def _index(name: str) -> str:
    return name[len(name.rstrip("0123456789")) :]
