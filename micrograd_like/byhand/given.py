"""What somebody gives as gradients: numbers, formulas of one or several lines, functions; each with its node."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from inspect import signature
from typing import Any

from ..engine import Value
from ..ops import Op, number
from .derivation import Derivation
from .expression import Expression
from .formula import canonical, parse
from .graph import Graph
from .tidy import Part

Formula = float | str | Callable[..., float]
Formulas = str | Mapping[Value | str, Formula]


class Given:
    """One gradient that somebody derived.

    formula: a text, a function or a number; or lines that are read already. node: what it is the derivative by.
    lines: (target, expression), the last of which is the gradient; empty for a number or a function.
    """

    def __init__(self, graph: Graph, node: Value, where: str, formula: Any = None, lines: Sequence[Any] = ()):
        self.node = node
        self.title = graph.title(node)
        self.lines: list[tuple[str, Part]] = list(lines)
        self.function: Callable[[Mapping[str, float]], float] | None = None
        self.number = 0.0
        self.parameters: list[str] = []
        if isinstance(formula, str):
            self.lines = parse(formula, graph.nodes)  # type: ignore[assignment]
        elif callable(formula) and not isinstance(formula, Value):
            wanted = list(signature(formula).parameters)
            unknown = [name for name in wanted if name not in graph.nodes]
            if unknown:
                raise ValueError(f"the function's parameter {unknown[0]!r} is no name of the graph; {graph.listing()}")
            self.parameters = wanted
            self.function = lambda numbers: number(formula(*(numbers[name] for name in wanted)), where)
        elif not lines:
            self.number = number(formula, where, f"a text, a function or a number for {self.title}")

    @property
    def general(self) -> bool:
        """Does it say anything at other points? One that mentions no node is a number."""
        return bool(self.mentioned)

    @property
    def mentioned(self) -> set[str]:
        """The names of the graph, and of lines, that it has."""
        names = {
            name for _, expression in self.lines if isinstance(expression, Expression) for name in expression.names()
        }
        targets = {target for target, _ in self.lines}
        return {*self.parameters, *(names - targets)}

    @cached_property
    def needed(self) -> set[int]:
        """The last line and those that it is computed from: what is wrong elsewhere is no fault of it."""
        names: set[str] = set()
        needed = set()
        for i in reversed(range(len(self.lines))):
            target, expression = self.lines[i]
            if target in names or i == len(self.lines) - 1:
                needed.add(i)
                names |= set(expression.names()) if isinstance(expression, Expression) else set()
        return needed

    def elsewhere(self, numbers: Mapping[str, float]) -> float:
        """The gradient at a point that nobody asked for: nan where a function fails there."""
        try:
            return self.value(numbers)
        except (ArithmeticError, ValueError):
            return math.nan

    def value(self, numbers: Mapping[str, float]) -> float:
        """The gradient when the names of the graph stand for these numbers."""
        if self.function:
            return self.function(numbers)
        return self.values(numbers)[-1] if self.lines else self.number

    def value_and_rounding(self, numbers: Mapping[str, float]) -> tuple[float, float]:
        """The gradient, and how far off the rounding of the formula's own operations may have put it."""
        known = {name: (number, 0.0) for name, number in numbers.items()}
        if not self.lines:
            return self.value(numbers), 0.0
        for target, expression in self.lines:
            last = _rounded(expression, known) if isinstance(expression, Expression) else (expression, 0.0)
            known[target] = last
        return last

    def values(self, numbers: Mapping[str, float]) -> list[float]:
        """The number of each line, by those before it."""
        known = dict(numbers)
        found = []
        for target, expression in self.lines:
            found.append(evaluate(expression, known))
            if target:
                known[target] = found[-1]
        return found


def _rounded(expression: Expression, numbers: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """The number of an expression and how far off it may be, when the names stand for numbers that may be off."""

    def of_op(op: Op, operands: Any, results: list[tuple[float, float]]) -> tuple[float, float]:
        at = [x for x, _ in results]
        out = op.value(*at)
        if out != out:
            return out, 0.0  # outside its domain an operation has no partials either
        pairs = zip(op.partials, results, strict=True)
        carried = sum(abs(partial(*at, out)) * error for partial, (_, error) in pairs if error)
        return out, carried + 4.0 * math.ulp(out)  # what the table promises of each operation

    result: tuple[float, float] = expression._fold(numbers.__getitem__, lambda x: (x, 0.0), of_op)
    return result


def evaluate(expression: Part, numbers: Mapping[str, float]) -> float:
    """The number of an expression or of a number."""
    return expression.evaluate(numbers) if isinstance(expression, Expression) else expression


def read(graph: Graph, formulas: Formulas, where: str) -> list[Given]:
    """The gradients given for nodes of the graph, as `compare` takes them. Raises as `compare` does."""
    if isinstance(formulas, Derivation):
        formulas = formulas.python
    if isinstance(formulas, Mapping) and not formulas:
        raise ValueError(f"there is no formula; {graph.listing()}")
    if isinstance(formulas, Mapping):
        return [Given(graph, graph.node(key), where, formula) for key, formula in formulas.items()]
    if not isinstance(formulas, str):
        raise TypeError(f"the formulas are a text or a dict by node, not {type(formulas).__name__} {formulas!r:.60}")
    lines: list[Any] = parse(formulas, graph.nodes)
    found = []
    for i, (target, _) in enumerate(lines):
        node = meant(graph, target)
        if node is not None:
            found.append(Given(graph, node, where, lines=lines[: i + 1]))
    if not found:
        raise ValueError(f"no line gives a gradient: write a line dw = … for the node w; {graph.listing()}")
    return found


def meant(graph: Graph, target: str) -> Value | None:
    """The node by which `target` is the gradient of the loss; None if it is none."""
    name = gradient_by(target, graph.nodes, graph.loss.name)
    matches = [node for own, node in graph.nodes.items() if canonical(own) == name] if name else []
    return matches[0] if len(matches) == 1 else None


def gradient_by(target: str, nodes: Iterable[str], loss: str) -> str:
    """The name by which `target` is a gradient: w1 of dw1, ∂L/∂w_1, dL/dw1, dL_dw1, grad_w1, w1.grad; "" if it is none.

    What is differentiated is the loss, by any name but that of another node: ∂f1/∂z1 is no gradient.
    """
    target = target.strip()
    fraction = re.fullmatch(rf"\\frac\s*\{{\s*{_D}?\s*(.*?)\s*\}}\s*\{{\s*{_D}\s*(.+)\}}", target)
    plain = re.fullmatch(rf"{_D}\s*([^/]*?)\s*(?:/\s*|_){_D}\s*_?(.+)", target)
    short = re.fullmatch(rf"()(?:{_D}|grad)\s*_?(.+)", target)
    suffixed = re.fullmatch(r"()(.+)\.grad", target)
    match = fraction or suffixed or plain or short
    if match is None:
        return ""
    others = {canonical(name) for name in nodes} - {canonical(loss)}
    return "" if canonical(match[1]) in others else canonical(match[2])


_D = r"(?:\\partial|∂|d)"
