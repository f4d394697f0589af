"""`diagnose`: what is wrong with a hand-derived gradient, in a sentence."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..engine import Value
from ..ops import Op
from .derivation import TooLongError
from .expression import Expression
from .formula import canonical
from .given import Formulas, Given, evaluate, meant, read
from .graph import Graph, unit_operand
from .network import Network
from .points import RTOL, Index, Numbers, Point, close, constant_ratio, general, same
from .replay import gradients
from .search import Search
from .slips import CONSTANT, Slip, fraction, weight
from .tidy import Part, product

RIGHT, WRONG, UNKNOWN = "right", "wrong", "cannot tell"
POINTS = 4
FEWEST = 3  # points; fewer could agree by accident
_MOST_READINGS = 6
_INLINE = 30  # symbols
TYPED = 1e-6  # to which a number is compared with what a slip would give


@dataclass(frozen=True)
class Finding:
    """What is to be said of one gradient.

    name: what it is the derivative by. verdict: "right", "wrong" or "cannot tell" (it is wrong, but not by slips that
    are known here). slips: what is wrong with it. line: the first wrong line of a recurrence, "" for a formula of one
    line. ratios: yours / the derivative, at points in general position. sentence: all that in words.
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
    graph = Graph(loss, "diagnose", sums=True)
    return examine(graph, read(graph, formulas, "diagnose"), seed)


def examine(graph: Graph, given: Sequence[Given], seed: int = 0, rtol: float = RTOL) -> Diagnosis:
    """`diagnose`, for formulas that are read already. rtol: the relative error up to which one is right."""
    here = [Point(graph.numbers, gradients(graph.loss, graph.numbers))]
    targets = [one.node for one in given]
    points: list[Point] = []
    if any(one.general for one in given):
        points = general(graph, targets, _held(graph, given), POINTS, seed)
    findings = []
    explained: dict[tuple[int, Value, float], tuple[Slip, ...]] = {}
    for one in given:
        case = _Case(graph, one, points if one.general and points else here, rtol, explained)
        held: dict[Value, None] = {}
        if one.general and not case.right and _Case(graph, one, here, rtol).right:
            held = _perhaps_held(graph, one)
        if held and _Case(graph, one, general(graph, targets, held, POINTS, seed) or here, rtol).right:
            shown = ", ".join(f"{graph.title(node)} = {node.data:g}" for node in held)
            findings.append(Finding(one.title, RIGHT, f"right for {shown}"))
        else:
            findings.append(case.finding())
    return Diagnosis(findings if any(one.general for one in given) else _together(findings))


def _together(findings: list[Finding]) -> list[Finding]:
    """Numbers, each of which is only one point, that are all off by the same factor: together they say more."""
    ratios = [finding.ratios[0] for finding in findings if finding.verdict != RIGHT and finding.ratios]
    if len(ratios) < max(len(findings), 2) or not same(ratios, ratios[:1] * len(ratios), TYPED):
        return findings
    slip = Slip(CONSTANT, "1", fraction(ratios[0]))
    sentence = f"yours is {slip.instead} times the derivative, as are all {len(findings)}"
    return [replace(finding, verdict=WRONG, sentence=sentence, slips=(slip,)) for finding in findings]


def _held(graph: Graph, given: Sequence[Given]) -> set[Value]:
    """The leaves whose number, and not whose name, stands in the formulas: they keep it."""
    written: set[float] = set()
    named: set[str] = set()
    for one in given:
        named |= one.mentioned
        for _, expression in one.lines:
            written |= _constants(expression)
    return {
        node
        for node, name in graph.names.items()
        if node.op is None and name not in named and abs(node.data) in written and abs(node.data) not in (0.0, 1.0, 2.0)
    }


def _perhaps_held(graph: Graph, given: Given) -> dict[Value, None]:
    """Leaves that a formula may take at their number, if it is right there: with y = 0, f - y is f.

    Targets, as they need no name; what a function has no parameter for; what times 2, say, stands in the formula.
    """
    multiples = {n * x for _, expression in given.lines for x in _constants(expression) for n in (0.25, 0.5, 2.0)}
    return {
        node: None
        for node, name in graph.names.items()
        if node.op is None
        and (
            node in graph.targets
            or (given.function and name not in given.mentioned)
            or (name not in given.mentioned and abs(node.data) in multiples - {0.0, 1.0, 2.0, 4.0, 0.5})
        )
    }


def _constants(expression: Part) -> set[float]:
    if not isinstance(expression, Expression):
        return {abs(expression)}
    found: set[float] = set()
    expression._fold(lambda name: None, lambda x: found.add(abs(x)), lambda op, operands, results: None)
    return found


def _digits(x: float) -> int:
    """With how many digits a number was written, if that is few but not so few that anything agrees; else 99."""
    digits = len(repr(abs(x)).partition("e")[0].replace(".", "").strip("0"))
    return digits if 3 <= digits <= 8 else 99


def _sentence(slips: Sequence[Slip]) -> str:
    """All slips, by line."""
    lines: dict[str, list[str]] = {}
    for slip in slips:
        lines.setdefault(slip.line, []).append(str(slip))
    return "; ".join((f"in the line {line}: " if line else "") + " and ".join(texts) for line, texts in lines.items())


class _Case:
    """One gradient at the points."""

    def __init__(
        self,
        graph: Graph,
        given: Given,
        points: Sequence[Point],
        rtol: float,
        explained: dict[tuple[int, Value, float], tuple[Slip, ...]] | None = None,
    ):
        self.graph, self.given = graph, given
        self.explained = {} if explained is None else explained  # lines that several gradients use
        self.points: list[Point] = []
        self.environments: list[dict[str, float]] = []
        yours = []
        for point in points:
            environment = {name: point.numbers[node] for name, node in graph.nodes.items()}
            own = given.elsewhere(environment)
            if own == own:  # a formula need not be defined everywhere
                self.points.append(point)
                self.environments.append(environment)
                yours.append(own)
        self.yours: Numbers = tuple(yours)
        self.truth = self.gradient(given.node)
        self.right = bool(self.points) and same(self.yours, self.truth, rtol)

    def gradient(self, node: Value) -> Numbers:
        return tuple(point.gradient[node] for point in self.points)

    def finding(self) -> Finding:
        name = self.given.title
        if not self.points:
            return Finding(
                name, UNKNOWN, "I cannot tell: there is no point at which the graph and your formula have numbers"
            )
        if self.right:
            return Finding(name, RIGHT, "right")
        ratios = tuple(a / b if b else float("nan") for a, b in zip(self.yours, self.truth, strict=True))
        digits = _digits(self.yours[0])
        if not self.given.general and close(self.yours[0], self.truth[0], 0.6 * 10.0 ** (1 - digits)):
            return Finding(name, UNKNOWN, f"it agrees with the derivative to its {digits} digits", ratios=ratios)
        slips, line = self._slips()
        if not slips or (self.given.general and len(self.points) < FEWEST):
            known = ", ".join(f"{ratio:.6g}" for ratio in ratios)
            where = "at several points" if self.given.general else "at this one point"
            return Finding(
                name, UNKNOWN, f"wrong, but I cannot tell why; yours / derivative {where}: {known}", (), line, ratios
            )
        sentence = _sentence(slips)
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
        explained = [(reading.explain(), reading) for reading in _readings(self)]
        found = [one for one in explained if all(one[0].values())]
        if found:
            slips, reading = min(found, key=lambda one: one[1].unlikely + sum(map(weight, one[0].values())))
            named = [replace(slip, line=reading.called(i)) for i, part in slips.items() for slip in part]
            return tuple(named), named[0].line if named else ""
        reading = explained[0][1]
        line = reading.called(reading.wrong[0]) if reading.wrong else ""
        tree = reading.inlined(len(lines) - 1, everything=True)
        return self.explain(self.given.node, self.yours, self.environments, tree), line

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
        mentioned = tree.names() if isinstance(tree, Expression) else self.given.mentioned or self.graph.nodes
        units = {node: unit_operand(node) for node in self.graph.order}
        kept = {self.given.node, *units.values(), *(node for node, operand in units.items() if operand is not None)}
        hidden: set[Value] = set()
        sizes: dict[Value, int] = {}  # of what would stand for a node; a long sum is better called by its name
        for node in self.graph.order:
            name = self.graph.names.get(node)
            size = 1 + sum(sizes[x] if isinstance(x, Value) else 1 for x in node.operands)
            sizes[node] = 1 if name else size
            if name and node.op is not None and node not in kept and name not in mentioned and size <= _INLINE:
                hidden.add(node)
                sizes[node] = size
        return hidden

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
        except TooLongError:
            return ()
        others = {}
        if node is self.given.node and not cut:
            others = {name: self.gradient(x) for x, name in self.graph.names.items() if x.op is None and x is not node}
        rtol = RTOL if self.given.general else TYPED
        deltas = [name for name, _ in cut.values()]
        return Search(network, deltas, tree, self.given.mentioned, others, rtol).explain(yours)


Meaning = tuple[Value, float]  # a node, and how many times ∂loss/∂node it is


def _readings(case: _Case) -> list["_Reading"]:
    """What the lines of a recurrence may mean, the likeliest first.

    A family of lines (d3, d2, d1) are derivatives by a family of nodes: z, as in the lecture, f or any other, perhaps
    with a common factor (the 1/n of a mean is often put in at the end). Likely is what makes few lines wrong.
    """
    graph, lines = case.graph, case.given.lines
    fixed: dict[int, Meaning] = {len(lines) - 1: (case.given.node, 1.0)}
    families: dict[str, list[int]] = {}
    for i, (target, _) in enumerate(lines[:-1]):
        short = canonical(target)
        node = meant(graph, target)
        own = [x for name, x in graph.nodes.items() if short[:1] == "δ" and canonical(name) == short[1:]]
        if node is not None or own:
            fixed[i] = node if node is not None else own[0], 1.0
        elif short:
            families.setdefault(short.removesuffix(_index(short)), []).append(i)
    readings = [_Reading(case, fixed)]
    for stem, family in families.items():
        options = [option for reading in readings for option in _options(reading, stem, family)]
        if options:
            options.sort(key=lambda one: len(one.wrong))
            readings = [one for one in options if len(one.wrong) <= len(options[0].wrong) + 1][:_MOST_READINGS]
    return readings


def _options(reading: "_Reading", stem: str, family: list[int]) -> Iterator["_Reading"]:
    """What the lines of a family could mean, the likeliest first."""
    case, lines = reading.case, reading.lines
    is_delta = stem in ("δ", "d", "δz", "dz")
    indices = [_index(canonical(lines[i][0])) for i in family]
    by_stem: dict[str, dict[str, Value]] = {}
    for name, node in case.graph.nodes.items():
        short = canonical(name)
        by_stem.setdefault(short.removesuffix(_index(short)), {})[_index(short)] = node
    for letter in sorted(by_stem, key=lambda name: name != "z"):
        nodes = [by_stem[letter].get(index) for index in indices if index or is_delta]
        if None in nodes or not nodes:
            continue
        meanings = [(i, node) for i, node in zip(family, nodes, strict=True) if node is not None]
        plain = _Reading(case, {**reading.meanings, **{i: (node, 1.0) for i, node in meanings}})
        for scale in (1.0, *_scales(plain, meanings)):
            option = _Reading(case, {**reading.meanings, **{i: (node, scale) for i, node in meanings}})
            right = set(family) - set(option.wrong) or len(lines) - 1 not in option.wrong
            if right or (is_delta and letter == "z" and scale == 1.0):
                yield option
    if not is_delta:
        yield reading  # helpers, that are no derivatives


def _scales(plain: "_Reading", meanings: list[tuple[int, Value]]) -> list[float]:
    """Factors that derivatives may have: several lines or the last one show it, or it is the n of a mean."""
    ratios = Counter(_rounded(constant_ratio(plain.yours[i], plain.case.gradient(node))) for i, node in meanings)
    scales = [ratio for ratio, times in ratios.items() if ratio and times > 1]
    scales += map(_rounded, plain.case.graph.means)
    last = constant_ratio(plain.yours[-1], plain.case.truth)
    return list(dict.fromkeys([*scales, _rounded(1.0 / last)] if last else scales))


def _rounded(x: float) -> float:
    return float(f"{x:.9g}")


class _Reading:
    """The lines of a recurrence with what they should be.

    meanings: by the number of the line; a line without one is a helper. wrong: the lines that are wrong even if those
    before them are put right; the others at most inherit. yours, environments: the numbers of all lines, and what
    names stand for, when the lines are put right.
    """

    def __init__(self, case: _Case, meanings: Mapping[int, Meaning]):
        self.case, self.meanings = case, meanings
        self.lines = case.given.lines
        self.environments = [dict(environment) for environment in case.environments]
        self.wrong: list[int] = []
        self.yours: list[Numbers] = []
        for i, (target, expression) in enumerate(self.lines):
            own = right = tuple(evaluate(expression, environment) for environment in self.environments)
            if i in meanings:
                node, scale = meanings[i]
                right = tuple(scale * x for x in case.gradient(node))
                if i in case.given.needed and not same(own, right):
                    self.wrong.append(i)
            self.yours.append(own)
            for environment, number in zip(self.environments, right, strict=True):
                environment[target] = number

    @property
    def unlikely(self) -> float:
        """How unlikely it is that derivatives are meant with a factor, or that numbered lines are none."""
        scaled = any(scale != 1.0 for _, scale in self.meanings.values())
        helpers = any(i not in self.meanings and _index(canonical(target)) for i, (target, _) in enumerate(self.lines))
        return 0.3 * scaled + 0.2 * helpers

    def called(self, i: int) -> str:
        """What to call line i."""
        return self.lines[i][0] or f"d{self.case.given.title}"

    def inlined(self, i: int, everything: bool = False) -> Part:
        """Line i, with what earlier lines that are no derivatives (or all) stand for."""
        helpers: dict[str, Any] = {}
        for j, (target, expression) in enumerate(self.lines[:i]):
            if everything or j not in self.meanings:
                helpers[target] = expression.replace(helpers) if isinstance(expression, Expression) else expression
        expression = self.lines[i][1]
        return expression.replace(helpers) if isinstance(expression, Expression) else expression

    def explain(self) -> dict[int, tuple[Slip, ...]]:
        """The slips in each wrong line."""
        known = self.case.explained
        for i in self.wrong:
            key = (id(self.lines[i][1]), *self.meanings[i])
            known[key] = known[key] if key in known else self._explain(i)
        return {i: known[id(self.lines[i][1]), *self.meanings[i]] for i in self.wrong}

    def _explain(self, i: int) -> tuple[Slip, ...]:
        node, scale = self.meanings[i]
        cut = {
            other: (self.lines[j][0], times)
            for j, (other, times) in self.meanings.items()
            if j < i and other is not node and self.lines[j][0]
        }
        tree = self.inlined(i)
        if scale != 1.0:
            tree = product([tree, 1.0 / scale])
        yours = tuple(x / scale for x in self.yours[i])
        return self.case.explain(node, yours, self.environments, tree, cut) or self.case.explain(
            node, yours, self.environments, tree
        )


def _index(name: str) -> str:
    return name[len(name.rstrip("0123456789")) :]
