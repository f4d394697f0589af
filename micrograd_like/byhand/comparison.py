"""`compare`: gradients derived by hand beside the engine's, with differences of function values as a witness."""

import math

from ..engine import Value
from .checking import kinks, wrong_partials
from .diagnosis import RIGHT, Finding, examine
from .differences import Difference, difference
from .given import Formulas, Given, read
from .graph import Graph
from .replay import gradients, rounding, values
from .writing import LATEX

AGREES, DIFFERS, ONLY_HERE = "agrees", "DIFFERS", "AGREES ONLY HERE"
UNSETTLED = "engine and difference disagree"


class Row:
    """One compared gradient, ∂loss/∂name.

    engine, yours, difference: what the engine, the hand-derived formula and the central difference have for it.
    relative: |yours - engine| / |engine| (the absolute error where the engine has 0). ulp: the same in units in
    the last place of the engine's number. verdict: "agrees", "DIFFERS", "AGREES ONLY HERE" for a formula that is wrong
    at other points, or "engine and difference disagree". finding: what `diagnose` says of it; None if yours agrees.
    sentence: why it does not agree, or "".
    """

    __slots__ = ("difference", "engine", "finding", "name", "relative", "sentence", "ulp", "verdict", "yours")

    def __init__(self, name: str, engine: float, yours: float, difference: float):
        self.name, self.engine, self.yours, self.difference = name, engine, yours, difference
        off = abs(yours - engine)
        self.relative = off / abs(engine) if engine else off
        self.ulp = off / math.ulp(engine)
        self.verdict, self.sentence = AGREES, ""
        self.finding: Finding | None = None


class Comparison:
    """What `compare` returns: `rows`, one for each gradient. True if all agree, so that it can be asserted.

    text, latex: the table, with a sentence for each gradient that does not agree; a notebook shows it as HTML.
    """

    def __init__(self, loss: str, rows: list[Row]):
        self.loss = loss
        self.rows = rows

    def __bool__(self) -> bool:
        return all(row.verdict == AGREES for row in self.rows)

    def _cells(self) -> list[list[str]]:
        head = [f"∂{self.loss}/∂", "engine", "yours", "difference", "relative", "ulp", "verdict"]
        return [head] + [
            [
                row.name,
                f"{row.engine:.12g}",
                f"{row.yours:.12g}",
                f"{row.difference:.9g}",
                f"{row.relative:.1e}" if row.relative else "0",
                f"{row.ulp:.3g}",
                row.verdict,
            ]
            for row in self.rows
        ]

    @property
    def sentences(self) -> list[str]:
        """Why gradients do not agree, one sentence each."""
        return [f"{row.name}: {row.sentence}" for row in self.rows if row.sentence]

    @property
    def text(self) -> str:
        cells = self._cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, 6) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in cells
        ]
        return "\n".join(lines + self.sentences)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        head, *body = self._cells()
        rows = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
        rows += ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in body]
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>{sentences}"

    @property
    def latex(self) -> str:
        """The table as a LaTeX array, for mathematics mode."""
        (_, *head), *body = self._cells()
        lines = [[rf"\partial {LATEX.name(self.loss)} / \partial", *head]]
        lines += [[LATEX.name(name), *rest] for name, *rest in body]
        written = [" & ".join([first, *(rf"\text{{{cell}}}" for cell in rest)]) for first, *rest in lines]
        return r"\begin{array}{lrrrrrl}" + "\n" + "".join(rf"{line} \\" + "\n" for line in written) + r"\end{array}"


def compare(loss: Value, formulas: Formulas, rtol: float = 1e-9) -> Comparison:
    """Set gradients derived by hand beside the engine's and beside central differences, and say what is wrong.

    formulas: for each node of the graph (a Value, or its name) what you have for ∂loss/∂node: a number; a formula as
    text in the names of the graph, read by `formula.parse`, of one line or of several with a name before `=` (the
    last line is the gradient); or a function whose parameters have names of the graph. Or one text whose
    targets say of what they are the gradient: `dw1 = …`, `∂L/∂w1 = …` or `w1.grad = …`.
    rtol: the relative error up to which yours agrees; what the rounding of a formula explains agrees too.

    A formula has to be right in general: it is tried at other points as well, by `diagnose`, which says what is wrong
    with one that is not. No gradient of the graph is touched.

    Raises FormulaError for a formula that cannot be read, ValueError for a node that is not in the graph or a name
    that several nodes have, TypeError for a wrong kind of argument.

    >>> x, w = Value(2.0, name="x"), Value(0.5, name="w")
    >>> f = (w * x).tanh()
    >>> f.name = "f"
    >>> loss = (f - 1) ** 2
    >>> loss.name = "Loss"
    >>> comparison = compare(loss, {w: "x (1 - f²) 2 (f - 1)", x: "w (1 - f) 2 (f - 1)"})
    >>> for row in comparison.rows:
    ...     print(row.name, f"{row.engine:.6f} {row.yours:.6f} {row.difference:.6f}", row.verdict)
    w -0.400497 -0.400497 -0.400497 agrees
    x -0.100124 -0.056837 -0.100124 DIFFERS
    >>> print(comparison.rows[1].sentence)
    wrong power in ∂f/∂x = w (1 - f²): f stands where f² belongs
    """
    graph = Graph(loss, "compare", sums=True)
    given = read(graph, formulas, "compare")
    findings = examine(graph, given, rtol=max(rtol, 1e-8)).findings
    engine = gradients(loss, graph.numbers)
    noise = rounding(graph.numbers, engine)
    rows = []
    for own, finding in zip(given, findings, strict=True):
        seen = difference(
            lambda x, own=own: values(loss, {own.node: x})[loss],  # type: ignore[misc]
            graph.numbers[own.node],
            noise,
        )
        rows.append(_row(graph, own, finding, engine[own.node], seen, rtol))
    return Comparison(loss.name or "loss", rows)


def _row(graph: Graph, given: Given, finding: Finding, engine: float, seen: Difference, rtol: float) -> Row:
    yours, rounded = given.value_and_rounding(graph.by_name)
    row = Row(given.title, engine, yours, seen.slope)
    here = yours == engine or (math.isfinite(yours) and abs(yours - engine) <= max(rtol * abs(engine), rounded, 1e-300))
    corners = kinks(graph.loss, graph.numbers) if seen.kink else []
    if corners or seen.excludes(engine, 1e-6):
        row.verdict, row.sentence = UNSETTLED, _why_unsettled(graph, engine, seen, corners)
    elif not here:
        row.verdict, row.finding, row.sentence = DIFFERS, finding, finding.sentence
        if finding.verdict == RIGHT:
            row.sentence = "right at other points, but not at this one, where the graph may have a kink or a pole"
    elif given.general and finding.verdict != RIGHT:
        row.verdict, row.finding = ONLY_HERE, finding
        row.sentence = f"at this point it has the right number, but in general it is wrong: {finding.sentence}"
    return row


def _why_unsettled(graph: Graph, engine: float, seen: Difference, corners: list[Value]) -> str:
    """What to say when the two witnesses contradict each other, which is no fault of the formula."""
    if corners:
        shown = ", ".join(graph.title(node) for node in corners[:5])
        return f"the graph has a kink at this point ({shown}), so that no difference can tell the derivative"
    if wrong := wrong_partials(graph.loss, graph.numbers):
        return f"do not trust the engine here: {'; '.join(map(str, wrong[:3]))}"
    return f"the engine says {engine!r}, differences say {seen.slope:.9g} ± {seen.error:.1g}; do not trust either here"
