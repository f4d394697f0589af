"""`compare`: gradients derived by hand beside the engine's, with differences of function values as a witness."""

import math
from collections.abc import Callable, Mapping

from ..engine import Value, topological
from ..ops import number
from .differences import central_difference
from .formula import canonical, parse
from .replay import gradients, values

AGREES, DIFFERS, UNSETTLED = "agrees", "DIFFERS", "engine and difference disagree"


class Row:
    """One compared gradient, ∂loss/∂name.

    engine, yours, difference: what the engine, the hand-derived formula and the central difference have for it.
    relative: |yours - engine| / |engine| (the absolute error where the engine has 0). ulp: the same in units in
    the last place of the engine's number. verdict: "agrees", "DIFFERS" or "engine and difference disagree".
    """

    __slots__ = ("difference", "engine", "name", "relative", "ulp", "verdict", "yours")

    def __init__(self, name: str, engine: float, yours: float, difference: float, rtol: float):
        self.name, self.engine, self.yours, self.difference = name, engine, yours, difference
        off = abs(yours - engine)
        self.relative = off / abs(engine) if engine else off
        self.ulp = off / math.ulp(engine)
        # Ten digits of the difference are good, of a gradient that is not much smaller than the others.
        settled = abs(difference - engine) <= 1e-6 * max(1.0, abs(engine))
        agrees = self.relative <= rtol or off <= 1e-300
        self.verdict = AGREES if agrees and settled else DIFFERS if settled else UNSETTLED


class Comparison:
    """What `compare` returns: `rows`, one for each gradient. True if all agree, so that it can be asserted."""

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

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i in (0, 6) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in cells
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        head, *body = self._cells()
        rows = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
        rows += ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in body]
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def latex(self) -> str:
        """The table as a LaTeX array."""
        escapes = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"})
        lines = [" & ".join(rf"\text{{{cell.translate(escapes)}}}" for cell in line) for line in self._cells()]
        return r"\begin{array}{lrrrrrl}" + "\n" + "".join(rf"{line} \\" + "\n" for line in lines) + r"\end{array}"


Formula = float | str | Callable[..., float]


def compare(loss: Value, formulas: str | Mapping[Value | str, Formula], rtol: float = 1e-9) -> Comparison:
    """Set gradients derived by hand beside the engine's and beside central differences.

    formulas: for each node of the graph (a Value, or its name) what you have for ∂loss/∂node: a number; a formula as
    text in the names of the graph, read by `formula.parse`, of one line or of several with a name before `=` (the
    last line is the gradient); or a function whose parameters have names of the graph. Or one text whose
    targets say of what they are the gradient: `dw1 = …`, `∂L/∂w1 = …` or `w1.grad = …`.
    rtol: the relative error up to which yours agrees.

    No gradient of the graph is touched. Raises FormulaError for a formula that cannot be read, ValueError for a node
    that is not in the graph or a name that several nodes have, TypeError for a wrong kind of argument.

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
    """
    if not isinstance(loss, Value):
        raise TypeError(f"compare reads the graph of a Value, not {type(loss).__name__} {loss!r:.60}")
    graph = _Graph(loss)
    if isinstance(formulas, str):
        yours = graph.targets(formulas)
    elif isinstance(formulas, Mapping):
        yours = {graph.node(key): graph.number(formula) for key, formula in formulas.items()}
    else:
        raise TypeError(f"the formulas are a text or a dict by node, not {type(formulas).__name__} {formulas!r:.60}")
    engine = gradients(loss, graph.numbers)
    rows = []
    for node, own in yours.items():
        difference = central_difference(
            lambda at, node=node: values(loss, {node: at[0]})[loss],  # type: ignore[misc]
            [graph.numbers[node]],
            0,
        )
        rows.append(Row(node.name or f"node {graph.order.index(node)}", engine[node], own, difference, rtol))
    return Comparison(loss.name or "loss", rows)


class _Graph:
    """The names of a graph and their numbers."""

    def __init__(self, loss: Value):
        self.order = topological(loss)
        self.numbers = values(loss)
        self.named: dict[str, list[Value]] = {}
        for node in self.order:
            if node.name:
                self.named.setdefault(node.name, []).append(node)
        self.by_name = {name: self.numbers[nodes[0]] for name, nodes in self.named.items() if len(nodes) == 1}

    def node(self, key: Value | str) -> Value:
        if isinstance(key, Value):
            if key not in self.numbers:
                raise ValueError(f"{key.name or repr(key)} is not in the graph; {self._names()}")
            return key
        nodes = self.named.get(key, [])
        if len(nodes) != 1:
            problem = f"{len(nodes)} nodes have the name {key!r}" if nodes else f"no node has the name {key!r}"
            raise ValueError(f"{problem}; {self._names()}")
        return nodes[0]

    def _names(self) -> str:
        return f"the names of the graph are {', '.join(self.named) or 'none: give the nodes names'}"

    def number(self, formula: Formula) -> float:
        if isinstance(formula, str):
            return self._evaluate(formula)[-1][1]
        if callable(formula):
            from inspect import signature

            wanted = list(signature(formula).parameters)
            unknown = [name for name in wanted if name not in self.by_name]
            if unknown:
                raise ValueError(f"the function's parameter {unknown[0]!r} is no name of the graph; {self._names()}")
            formula = formula(*(self.by_name[name] for name in wanted))
        return number(formula, "compare")

    def _evaluate(self, text: str) -> list[tuple[str, float]]:
        numbers = dict(self.by_name)
        results = []
        for target, expression in parse(text, self.by_name):
            result = expression.evaluate(numbers) if not isinstance(expression, float) else expression
            if target:
                numbers[target] = result
            results.append((target, result))
        return results

    def targets(self, text: str) -> dict[Value, float]:
        found = {}
        for target, result in self._evaluate(text):
            name = _of(target)
            matches = [n for n in self.named if canonical(n) == name] if name else []
            if len(matches) == 1:
                found[self.node(matches[0])] = result
        if not found:
            raise ValueError(f"no line gives a gradient: write a line dw = … for the node w; {self._names()}")
        return found


def _of(target: str) -> str:
    """The name by which `target` is a gradient, in its one spelling: w1 of dw1, ∂L/∂w_1, dL/dw1, w1.grad; or ""."""
    import re

    target = target.strip()
    latex = re.fullmatch(r"\\frac\s*\{.*\}\s*\{\s*(?:\\partial|∂|d)\s*(.+)\}", target)
    plain = re.fullmatch(r"(?:(?:∂|\\partial\s*|d)\w+\s*/\s*)?(?:∂|\\partial\s*|d)_?(.+)", target)
    suffixed = re.fullmatch(r"(.+)\.grad", target)
    match = latex or suffixed or plain
    return canonical(match.group(1)) if match else ""
