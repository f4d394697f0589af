"""Products and sums put together as a person writes them: no `1 *`, one sign, powers, common factors.

No factor is cancelled, and nothing is multiplied out: what comes out is what went in, for every finite number.
"""

import math
from collections.abc import Iterable, Sequence

from ..ops import TABLE
from .expression import Expression

Part = Expression | float
_NEG, _MUL, _DIV, _SUB, _ADD, _POW = (TABLE[name] for name in ("neg", "mul", "div", "sub", "add", "pow"))


def product(parts: Iterable[Part]) -> Part:
    """The product of the parts, in their order; a number stands before the factor it came with."""
    return _Product(parts).written()


def total(summands: Iterable[Part]) -> Part:
    """The sum of these: like terms are counted, factors that all terms begin or end with are taken out."""
    number = 0.0
    found: dict[tuple[str, ...], _Product] = {}
    for term in terms(summands):
        one = _Product([term])
        if not one.above and not one.below:
            number += one.coefficient / one.divisor
        elif one.key in found:
            found[one.key].coefficient += one.coefficient
        else:
            found[one.key] = one
    products = [one for one in found.values() if one.coefficient]
    if number or not products:
        products.append(_Product([number]))
    if len(products) == 1:
        return products[0].written()
    before = _shared([one.above for one in products])
    for one in products:
        del one.above[: len(before)]
    after = _shared([one.above[::-1] for one in products])[::-1]
    for one in products:
        del one.above[len(one.above) - len(after) :]
        one.at = min(max(one.at - len(before), 0), len(one.above))
    common = abs(products[0].coefficient)
    if any(abs(one.coefficient) != common for one in products):
        common = 1.0
    for one in products:
        one.coefficient /= common
    if not any(one.coefficient > 0.0 for one in products):
        common = -common
        for one in products:
            one.coefficient = -one.coefficient
    products.sort(key=lambda one: one.coefficient < 0.0)  # a sum begins with what has no minus before it
    result = products[0].written()
    for one in products[1:]:
        negative = one.coefficient < 0.0
        one.coefficient = abs(one.coefficient)
        result = Expression(_SUB if negative else _ADD, (result, one.written()))
    return product([*before, common, result, *after])


def terms(summands: Iterable[Part]) -> list[Part]:
    """The terms of a sum, sums among them taken apart."""
    found: list[Part] = []
    stack: list[tuple[Part, bool]] = [(term, False) for term in summands][::-1]
    while stack:
        term, negative = stack.pop()
        op = term.op if isinstance(term, Expression) else None
        if op is _ADD or op is _SUB:
            left, right = term.operands  # type: ignore[union-attr]
            stack += [(right, negative ^ (op is _SUB)), (left, negative)]
        elif op is _NEG:
            stack.append((term.operands[0], not negative))  # type: ignore[union-attr]
        else:
            found.append(product([-1.0, term]) if negative else term)
    return found


def _shared(rows: list[list[Expression]]) -> list[Expression]:
    """What all rows begin with."""
    common = []
    for column in zip(*rows, strict=False):
        if any(str(part) != str(column[0]) for part in column):
            break
        common.append(column[0])
    return common


class _Product:
    """coefficient · above / (divisor · below); the coefficient stands before above[at]."""

    def __init__(self, parts: Iterable[Part]):
        self.at = 0
        self.above: list[Expression] = []
        self.below: list[Expression] = []
        numbers, divisors = [1.0], [1.0]
        stack: list[tuple[Part, bool]] = [(part, False) for part in parts][::-1]
        while stack:
            part, inverted = stack.pop()
            if not isinstance(part, Expression):
                (divisors if inverted else numbers).append(part)
                if not inverted and abs(part) != 1.0:
                    self.at = len(self.above)
            elif part.op is _NEG:
                numbers.append(-1.0)
                stack.append((part.operands[0], inverted))
            elif part.op is _MUL or part.op is _DIV:
                left, right = part.operands
                stack += [(right, inverted ^ (part.op is _DIV)), (left, inverted)]
            else:
                (self.below if inverted else self.above).append(part)
        self.coefficient, self.divisor = _simplest(numbers, divisors)

    @property
    def key(self) -> tuple[str, ...]:
        return (*sorted(map(str, self.above)), "/", str(self.divisor), *sorted(map(str, self.below)))

    def written(self) -> Part:
        if not self.coefficient:
            return 0.0
        above, below = _powers(self.above), _powers(self.below)
        if self.coefficient < 0.0:
            self._absorb_sign(above) or self._absorb_sign(below)
        size = abs(self.coefficient)
        factors: list[Part] = list(above)
        if size != 1.0 or not factors:
            # A number comes first, but it stays with a sum that it came with: x · 2 (f - y).
            beside = above[self.at] if self.at < len(above) and len(above) == len(self.above) else None
            factors.insert(self.at if beside and beside.op in (_ADD, _SUB) else 0, size)
        if self.divisor != 1.0:
            below = [self.divisor, *below]  # type: ignore[list-item]
        result = _chain(factors)
        if below:
            result = Expression(_DIV, (result, _chain(below)))
        if self.coefficient > 0.0:
            return result
        return Expression(_NEG, (result,)) if isinstance(result, Expression) else -result

    def _absorb_sign(self, factors: list[Expression]) -> bool:
        """-(y - f) is (f - y), and -(0.3 - f) is (f - 0.3); but 1 - f² stays as it is."""
        for i in reversed(range(len(factors))):
            part = factors[i]
            if part.op is _SUB and (
                isinstance(part.operands[0], Expression) or (part.operands[1].op is None and part.operands[0] != 1.0)
            ):
                factors[i] = Expression(_SUB, part.operands[::-1])
                self.coefficient = -self.coefficient
                return True
        return False


def _powers(factors: list[Expression]) -> list[Expression]:
    """x x² is x³: factors that stand there again are counted, at their first place."""
    bases: dict[str, tuple[Expression, float]] = {}
    if len(factors) < 2:
        return factors
    for part in factors:
        base, exponent = part, 1.0
        if part.op is _POW and isinstance(part.operands[0], Expression) and part.operands[1] in (2.0, 3.0, 4.0):
            base, exponent = part.operands
        key = base.name or str(base)
        _, so_far = bases.get(key, (base, 0.0))
        bases[key] = base, so_far + exponent
    return [base if n == 1.0 else Expression(_POW, (base, n)) for base, n in bases.values()]


def _chain(factors: Sequence[Part]) -> Part:
    result = factors[0]
    for factor in factors[1:]:
        result = Expression(_MUL, (result, factor))
    return result


def _simplest(numbers: list[float], divisors: list[float]) -> tuple[float, float]:
    """coefficient / divisor with as few digits as there are: / 3, not 0.3333333333333333."""
    coefficient, divisor = _multiplied(numbers), _multiplied(divisors)
    if not 1e-300 < abs(divisor) < 1e300:  # together they may still be an ordinary number
        coefficient, divisor = _multiplied([*numbers, *(1.0 / x if x else math.inf for x in divisors)]), 1.0
    if divisor < 0.0:
        coefficient, divisor = -coefficient, -divisor
    if coefficient in (0.0, 1.0, -1.0) or not math.isfinite(coefficient):
        return coefficient, divisor
    if coefficient % divisor == 0.0:
        return coefficient / divisor, 1.0
    if divisor % coefficient == 0.0:
        return math.copysign(1.0, coefficient), divisor / abs(coefficient)
    inverse = 1.0 / coefficient
    if divisor == 1.0 and math.isfinite(inverse) and len(repr(inverse)) + 4 < len(repr(coefficient)):
        return math.copysign(1.0, coefficient), abs(inverse)
    return coefficient, divisor


def _multiplied(numbers: list[float]) -> float:
    """Their product, where a product of some of them may be out of the range of floats."""
    mantissa, exponent = 1.0, 0
    for number in numbers:
        part, power = math.frexp(number)
        mantissa, more = math.frexp(mantissa * part)
        exponent += power + more
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.copysign(math.inf, mantissa)
