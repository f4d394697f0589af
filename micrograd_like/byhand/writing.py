"""Expressions as text: as a person types them, in LaTeX, in Python. All three can be read by `formula.parse`."""

import re
from collections.abc import Sequence
from typing import Any

from ..ops import ATOM, TABLE, Op
from .expression import Expression
from .formula import GREEK, spelled

# How tightly what is written binds, and what an operand needs to stand without parentheses. Finer than the table's
# precedence: a / b c would be read as a / (b c) by a person and as (a / b) c by Python, so neither is written.
_SUM, _SIGN, _SERIES, _QUOTIENT, _PRODUCT, _POWER = 1.0, 1.2, 1.3, 1.5, 2.0, 4.0
_BINDS = {"add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _QUOTIENT, "neg": _SIGN, "pow": _POWER, "series": _SERIES}
_NEEDS = {
    "add": (_SUM, _QUOTIENT), "sub": (_SUM, _QUOTIENT), "mul": (_PRODUCT, _POWER), "div": (_QUOTIENT, _POWER),
    "neg": (_QUOTIENT,), "pow": (ATOM, ATOM),
}  # fmt: skip
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_NAME = re.compile(r"([^\W\d_]+)_?(\d+(?:_\d+)*)|([α-ω])_?(\w+)")
_COMMANDS = {letter: f"\\{word}" for word, letter in GREEK.items()}

Written = tuple[str, float]  # a text, and how tightly it binds
Ranges = Sequence[tuple[str, int, int]]  # of indices: letter, first, last


def index(stem: str, indices: Sequence[str]) -> str:
    """The name of stem with indices that may be letters: w[2,j,k] is w_jk of layer 2."""
    return f"{stem}[{','.join(indices)}]"


def _indexed(name: str) -> tuple[str, str, str] | None:
    """stem, layer and indices of a name made by `index`; the layer is what stands first, if it is a number."""
    stem, bracket, inside = name.rstrip("]").partition("[")
    if not bracket:
        return None
    indices = inside.split(",")
    layer = indices.pop(0) if len(indices) > 1 and indices[0].isdigit() else ""
    return _greek(stem), layer, ("," if any(map(str.isdigit, indices)) else "").join(indices)


class Style:
    """One way of writing: of a name, of a number, of an operation on what is written already."""

    def name(self, name: str) -> str:
        return name

    def number(self, x: float) -> str:
        return repr(x).removesuffix(".0")

    def template(self, op: Op) -> str:
        """How the operation is written, {0} and {1} for its operands."""
        return op.text

    def operation(self, op: Op, texts: list[str], operands: tuple[Any, ...]) -> str:
        text = self.template(op).format(*texts)
        return text.replace(" - 0)", ")") if op.name == "compare" else text  # sign(x), not sign(x - 0)

    def parentheses(self, text: str) -> str:
        return f"({text})"

    def binds(self, op: Op) -> float:
        return _BINDS.get(op.name, ATOM)

    def derivative(self, of: str, by: str) -> str:
        """∂of/∂by"""
        return f"∂{self.name(of)}/∂{self.name(by)}"

    def ranges(self, ranges: Ranges) -> str:
        """What the indices of a line run through."""
        return f"   ({', '.join(f'{i} = {first}…{last}' for i, first, last in ranges)})" if ranges else ""

    def write(self, expression: Expression | float) -> str:
        """The expression as text."""
        if not isinstance(expression, Expression):
            return self._number(expression)[0]
        text: str = expression._fold(self._name, self._number, self._operation)[0]
        return text

    def _name(self, name: str) -> Written:
        return self.name(name), ATOM

    def _number(self, x: float) -> Written:
        return self.number(x), (_SIGN if x < 0.0 else ATOM)

    def _operation(self, op: Op, operands: tuple[Any, ...], parts: list[Written]) -> Written:
        if op.name in ("add", "sub") and isinstance(operands[1], float) and operands[1] < 0.0:
            op = TABLE["sub" if op.name == "add" else "add"]  # x - 2, not x + -2
            operands = operands[0], -operands[1]
            parts = [parts[0], self._number(operands[1])]
        template = self.template(op)
        texts = []
        for i, (text, binds) in enumerate(parts):
            leading = i == 0 and binds == _SIGN and op.name in ("add", "sub", "mul", "div")
            trailing = i == 1 and binds == _SERIES and op.name == "mul"
            stands = leading or trailing or binds >= _needed(op, template, i)
            texts.append(text if stands else self.parentheses(text))
        binds = _SERIES if op.name == "mul" and parts[1][1] == _SERIES else self.binds(op)
        return self.operation(op, texts, operands), binds


def _needed(op: Op, template: str, i: int) -> float:
    """How tightly operand i has to bind to stand in its place without parentheses."""
    before, after = (side.replace(" ", "") for side in template.split(f"{{{i}}}"))
    if before[-1:] in {"(", "{", ",", "|"} and after[:1] in {")", "}", ",", "\\"}:
        return 0.0
    if op.name in _NEEDS:
        return _NEEDS[op.name][i]
    if op.name == "series":
        return _SERIES
    return ATOM if after[:1] == "^" else _QUOTIENT if before[-1:] == "-" else _SUM


class Python(Style):
    """An expression of Python, in the names of the graph; its functions are those of `micrograd_like.ops`."""

    def name(self, name: str) -> str:
        known = (name.isidentifier() and name.isascii()) or name[0] == "\0"
        return name if known else spelled(name).replace(",", "_")

    def template(self, op: Op) -> str:
        if op.name in _NEEDS:
            return op.text
        return f"{op.name}({', '.join(f'{{{i}}}' for i in range(op.arity))})"


class Text(Style):
    """Unicode text: x (1 - f_1²) w_2 δ_2."""

    def name(self, name: str) -> str:
        if indexed := _indexed(name):
            stem, layer, indices = indexed
            return f"{stem.replace('δ_', 'δ') if layer else stem}{layer}_{indices}"
        name = _greek(name)
        match = _NAME.fullmatch(name)
        if not match:
            return name
        stem, suffix = match[1] or match[3], match[2] or match[4]
        return stem + ("" if "_" in suffix else "_") + suffix

    def binds(self, op: Op) -> float:
        return _POWER if op.text.endswith("²") else super().binds(op)

    def operation(self, op: Op, texts: list[str], operands: tuple[Any, ...]) -> str:
        if op.name == "mul":
            left, right = texts
            between = " · " if right[0].isdigit() or right[0] == "." else "" if left[-1] + right[0] == ")(" else " "
            return left + between + right
        if op.name == "pow":
            exponent = operands[1]
            if isinstance(exponent, float) and abs(exponent) < 100 and exponent == int(exponent):
                return texts[0] + str(int(exponent)).translate(_RAISED)
            return f"{texts[0]}^{texts[1]}"
        return super().operation(op, texts, operands)


class Latex(Style):
    """LaTeX, for mathematics mode."""

    def name(self, name: str) -> str:
        if "{" in name:
            name = re.sub(r"_*[{},\s]+", "_", name).rstrip("_")
        match = _NAME.fullmatch(_greek(name))
        stem, indices = filter(None, match.groups()) if match else (_greek(name), "")
        layer = ""
        if indexed := _indexed(name):
            stem, layer, indices = indexed
            if stem.startswith("δ_"):
                return rf"\delta_{{{self.name('delta_'.join(name.split('delta_')[1:]))}}}"
        elif re.fullmatch(r"[^\W\d_]+\d+(?:_\d+)+", _greek(name)):  # w1_2_3 is of layer 1
            layer, _, indices = indices.partition("_")
        if len(stem) > 1:
            stem = rf"\mathrm{{{stem.replace('_', chr(92) + '_')}}}"
        stem = _COMMANDS.get(stem, stem)
        return stem + (f"^{{({layer})}}" if layer else "") + (f"_{{{indices.replace('_', ',')}}}" if indices else "")

    def derivative(self, of: str, by: str) -> str:
        return rf"\frac{{\partial {self.name(of)}}}{{\partial {self.name(by)}}}"

    def ranges(self, ranges: Ranges) -> str:
        shown = [rf"{i} = {first}, \dots, {last}" for i, first, last in ranges]
        return r" \qquad " + r"; \quad ".join(shown) if shown else ""

    def _name(self, name: str) -> Written:
        text = self.name(name)
        return text, (_POWER if "^" in text else ATOM)

    def number(self, x: float) -> str:
        mantissa, _, exponent = super().number(x).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa

    def _number(self, x: float) -> Written:
        text, binds = super()._number(x)
        return text, min(binds, _PRODUCT if "cdot" in text else ATOM)

    def template(self, op: Op) -> str:
        return op.latex

    def parentheses(self, text: str) -> str:
        return rf"\left({text}\right)" if "\\frac" in text else f"({text})"

    def binds(self, op: Op) -> float:
        return _POWER if op.name in ("div", "exp", "exp2", "gauss", "sech2") else super().binds(op)

    def operation(self, op: Op, texts: list[str], operands: tuple[Any, ...]) -> str:
        if op.name == "mul" and texts[1][0].isdigit():
            return rf"{texts[0]} \cdot {texts[1]}"
        return super().operation(op, texts, operands)


def _greek(name: str) -> str:
    """delta_1 is δ_1."""
    match = re.fullmatch(r"([a-zA-Z]+)([_\d].*)?", name)
    return GREEK.get(match[1], match[1]) + (match[2] or "") if match else name


TEXT, LATEX, PYTHON = Text(), Latex(), Python()
