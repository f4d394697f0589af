"""The slips that people make in a derivative, each as an edit of an expression."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..ops import TABLE
from .expression import Expression
from .tidy import Part
from .writing import Text

DROPPED, EXTRA, ARGUMENT, INDEX = "dropped factor", "extra factor", "wrong argument", "wrong index"
SIGN, CONSTANT, PATH, DELTA = "sign", "constant", "dropped path", "wrong delta"
OUTPUT, POWER, RULE = "derivative of the output", "wrong power", "wrong derivative"
NAME, TERM, VARIABLE, MISSING = "wrong name", "wrong term", "wrong variable", "missing term"

_CONSTANTS = (2.0, 0.5, 3.0, 1 / 3, 4.0, 0.25)


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
    line: the line of a recurrence that has it. also: other places with the same slip.
    """

    kind: str
    factor: str
    instead: str = ""
    place: str = ""
    whole: str = ""
    line: str = ""
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self._text() + (f", and likewise in {', '.join(self.also)}" if self.also else "")

    def _text(self) -> str:
        inside = f" in {self.place} = {self.whole}" if self.place and self.whole else ""
        what = f"{self.instead} stands where {self.factor} belongs"
        dropped = "it is missing"
        if inside:
            dropped = f"it is {self.place}" if self.factor == self.whole else f"it belongs{inside}"
        known = f" ({self.place})" if self.place else ""
        texts = {
            DROPPED: f"dropped factor {self.factor}: {dropped}",
            EXTRA: f"extra factor {self.factor}: it does not belong there{known}",
            SIGN: f"sign: a minus is missing or too many{inside}",
            CONSTANT: f"constant: {what if self.instead else f'the {self.factor} is missing'}{inside}",
            PATH: f"dropped path: the way through {self.place} is missing, and with it {self.factor}"
            if inside
            else f"dropped path: the term {self.factor} is missing",
            OUTPUT: f"derivative of the output {self.instead}, not the loss: {self.place} = {self.factor} is missing",
            DELTA: f"wrong delta: {what}",
            MISSING: f"missing term: {self.factor} has to be added",
            VARIABLE: f"wrong variable: this is the derivative by {self.instead}, not by {self.factor}",
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
    """Every slip that can be made once in the expression.

    kind_of(right, wrong) says what it is to take one name for another.
    """
    everywhere = expression.names() if isinstance(expression, Expression) else {}
    for right in everywhere:
        for wrong in names:
            if wrong != right and everywhere[right] > 1:
                slip = Slip(kind_of(right, wrong), right, wrong)
                yield Edit(slip, expression.replace({right: Expression(name=wrong)}), f"all {right}")  # type: ignore[union-attr]
    for part, rebuild, is_factor, inverted, where in places(expression):
        text = _inverse(part) if inverted else AS_NAMED.write(part)
        if isinstance(part, float):
            if is_factor and abs(part) != 1.0:
                yield Edit(Slip(CONSTANT, text), rebuild(1.0), f"{where} 1")
            for c in _CONSTANTS if not is_factor or abs(part) != 1.0 else ():
                wrong = _inverse(part * c) if inverted else fraction(part * c)
                yield Edit(Slip(CONSTANT, text, wrong), rebuild(part * c), f"{where} *{c}")
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
                for n in (exponent + 1.0, exponent - 1.0):
                    result = Expression(part.op, (base, n))
                    yield Edit(Slip(POWER, text, AS_NAMED.write(result)), rebuild(result), f"{where} ^{n}")
        elif part.op.name in ("add", "sub"):
            for kept in part.operands:
                yield Edit(Slip(TERM, text, AS_NAMED.write(kept)), rebuild(kept), f"{where} one")
        elif part.op.arity == 1 and part.op.name != "neg":
            inner = part.operands[0]
            yield Edit(Slip(RULE, text, AS_NAMED.write(inner)), rebuild(inner), f"{where} inner")


def _inverse(part: Part) -> str:
    return AS_NAMED.write(Expression(TABLE["div"], (1.0, part)))


def fraction(x: float) -> str:
    """1/3 rather than 0.3333333333333333."""
    near = Fraction(x).limit_denominator(1000)
    return str(near) if near and abs(float(near) / x - 1.0) < 1e-8 else AS_NAMED.write(x)


def places(expression: Part) -> Iterator[tuple[Part, Callable[[Part], Part], bool, bool, str]]:
    """Every part of the expression, how to put another in its place, if it is a factor, if it divides, its place."""
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


_WEIGHTS = {
    SIGN: 1.0, CONSTANT: 1.0, OUTPUT: 0.8, DELTA: 0.9, ARGUMENT: 1.2, INDEX: 1.3, DROPPED: 1.0, PATH: 1.5, EXTRA: 1.6,
    POWER: 1.8, RULE: 2.0, NAME: 2.5, VARIABLE: 1.0, MISSING: 1.0, TERM: 2.5,
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
