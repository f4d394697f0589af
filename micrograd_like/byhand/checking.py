"""`gradcheck`: the engine's first and second derivatives of any function beside differences of the function itself."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from ..engine import Value
from ..ops import TABLE, DomainError, number
from ..recording import part
from ..walks import topological
from .differences import Difference, difference
from .replay import gradients, rounding

RTOL = 1e-9  # beside the error that a difference states itself, which is 1e-11 or so where nothing is special


class GradcheckError(AssertionError):
    """A derivative by the engine is not what differences of the function say, or these cannot say anything."""


# ---- one operation at a time ------------------------------------------------------------------------


class WrongPartial(NamedTuple):
    """A rule that does not fit the value of its operation.

    ∂node/∂operand is wrong, where operands count from 0 (from 1 in the text): `partial` is what the rule says at the
    numbers `at` of the operands, `difference` what differences of the value say. With `by`, the partial is right as a
    number but not as a graph, and the two are its derivative by that operand.
    """

    node: Value
    operand: int
    partial: float
    difference: float
    at: tuple[float, ...]
    by: int | None = None

    def __str__(self) -> str:
        rule = f"the partial of {_name(self.node)} by operand {self.operand + 1} is wrong"
        at = ", ".join(f"{x:.12g}" for x in self.at)
        says = f"{self.partial:.12g}, differences of"
        if self.by is None:
            return f"{rule} (or its value is): at {at} it says {says} the value say {self.difference:.12g}"
        by = f"its derivative by operand {self.by + 1} is"
        return f"{rule} as a graph: at {at} {by} {says} the partial say {self.difference:.12g}"


def wrong_partials(loss: Value, numbers: Mapping[Value, float], rtol: float = RTOL) -> list[WrongPartial]:
    """The partials in the graph of `loss` that differences of `op.value`, at the node's own numbers, exclude.

    Operands come before results; of an operation at the same numbers only the first. Kinks exclude nothing.
    """
    wrong = []
    for node, op, at, variable in _operations(loss, numbers):
        for i in variable:
            partial = op.partials[i](*at, numbers[node])
            found = _difference(op.value, at, i)
            if found.excludes(partial, rtol):
                wrong.append(WrongPartial(node, i, partial, found.slope, at))
    return wrong


def kinks(loss: Value, numbers: Mapping[Value, float]) -> list[Value]:
    """The nodes where the slopes of the operation from the left and from the right differ, or its value jumps.

    There the partial is a convention (that of relu at 0 is 0), which no difference can confirm.
    """
    return [
        node
        for node, op, at, variable in _operations(loss, numbers)
        if any(_difference(op.value, at, i).kink for i in variable)
    ]


def _wrong_graphs(loss: Value, numbers: Mapping[Value, float], rtol: float) -> list[WrongPartial]:
    """The partials whose graph has another derivative than their numbers: one that loses sight of an operand."""
    wrong = []
    for node, op, at, variable in _operations(loss, numbers):
        leaves: Any = tuple(Value(x) if i in variable else x for i, x in enumerate(at))
        for i in variable:
            rule = op.partials[i]
            graph = rule(*leaves, Value._record(op, leaves))
            slopes = gradients(graph, _data(graph)) if isinstance(graph, Value) else {}
            for j in variable:
                slope = slopes.get(leaves[j], 0.0)
                found = _difference(lambda *x, rule=rule, op=op: rule(*x, op.value(*x)), at, j)
                if found.excludes(slope, rtol):
                    wrong.append(WrongPartial(node, i, slope, found.slope, at, j))
    return wrong


def _operations(
    loss: Value, numbers: Mapping[Value, float]
) -> Iterator[tuple[Value, Any, tuple[float, ...], tuple[int, ...]]]:
    """Each node with finite numbers, its operation, the numbers of the operands, and which are no constants.

    Not `stop_gradient`: its slope is 0 because it is meant to be, and differences of its value have no say.
    """
    seen = set()
    for node in topological(loss):
        at = tuple(numbers[x] if isinstance(x, Value) else x for x in node.operands)
        variable = tuple(i for i, x in enumerate(node.operands) if isinstance(x, Value))
        if node.op in (None, TABLE["stop_gradient"]) or (node.op, at, variable) in seen:
            continue
        if all(map(math.isfinite, (*at, numbers[node]))):
            seen.add((node.op, at, variable))
            yield node, node.op, at, variable


def _difference(f: Callable[..., float], at: tuple[float, ...], i: int) -> Difference:
    def along(x: float) -> float:
        try:
            return f(*at[:i], x, *at[i + 1 :])
        except DomainError:
            return math.nan

    return difference(along, at[i])


def _data(loss: Value) -> dict[Value, float]:
    return {node: node.data for node in topological(loss)}


# ---- a function of one's own --------------------------------------------------------------------------


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    atol: float = 0.0,
    rtol: float = RTOL,
    points: int = 3,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Whether the engine's derivatives of f, all first and all second ones, are those that differences have.

    inputs: numbers, Values, or lists of them, nested as f takes them: f(*inputs) is called with fresh Values of the
    same names, and returns a Value or a list of them. It is run anew at each point, so it may branch on values.
    atol, rtol: how far apart the two may be beside the error that a difference states itself.
    points: how many more points are checked, around the inputs and drawn with `seed`; nearer where f is undefined.

    The rule of every operation in the graph is checked by itself too. A point on a kink, like relu at 0, is passed
    over, for differences are no witness there; but each derivative has to be confirmed at some point. What
    `stop_gradient` gave is held where differences are taken, for it is meant to be a constant.

    Raises GradcheckError, unless `raise_exception` is False, which tells the derivative that is wrong and the operation
    whose rule is to blame; TypeError if f returns no Value; ValueError if f is undefined at the inputs or random.

    >>> x, y = Value(0.5, name="x"), Value(-1.2, name="y")
    >>> gradcheck(lambda x, y: (x * y).tanh(), (x, y))
    True
    >>> gradcheck(lambda x: x * x.data, x)
    Traceback (most recent call last):
    micrograd_like.byhand.checking.GradcheckError: ∂f/∂x is wrong at x = 0.5
      engine      0.5
      difference  1 ± 2e-13, off by 5.0e-01 relative
      the rule of each operation is right, so the graph misses something: does f use .data or float() of a Value?
    """
    try:
        _Check(f, inputs, atol, rtol).run(points, random.Random(seed))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _holding(held: list[float]) -> AbstractContextManager[None]:
    """A part of the program in which the calls of `stop_gradient` give these numbers in turn; more calls add theirs."""
    calls = count()

    def hold(node: Value) -> None:
        if node.op is TABLE["stop_gradient"]:
            i = next(calls)
            held[i:] = held[i:] or [node.data]
            node.data = held[i]

    return part(watch=hold)


class _Quantity(NamedTuple):
    """An output of f, or the engine's derivative of one by an input: what is differentiated (once more)."""

    output: str
    by: tuple[str, ...]  # the input by which it is a derivative already, if it is
    node: Value
    leaves: list[Value]  # the inputs
    slopes: list[float]  # the engine's derivative of it by each input
    rounding: float  # how far off rounding may have put it

    def derivative(self, name: str) -> str:
        if not self.by:
            return f"∂{self.output}/∂{name}"
        return f"∂²{self.output}/∂{name}²" if self.by == (name,) else f"∂²{self.output}/∂{self.by[0]}∂{name}"


class _Check:
    """f as a function of one flat tuple of numbers, and what is known of its derivatives so far."""

    def __init__(self, f: Callable[..., Any], inputs: Any, atol: float, rtol: float):
        self.f, self.atol, self.rtol = f, atol, rtol
        self.shape = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        leaves = list(_leaves(self.shape, "inputs"))
        self.names = [getattr(x, "name", "") or path for path, x in leaves]
        takes = "numbers, Values and lists of them"
        self.start = tuple(x.data if isinstance(x, Value) else number(x, "gradcheck", takes) for _, x in leaves)
        self.count = self.outputs_at_start()
        self.agreed: set[tuple[int, int]] = set()  # (index of the quantity, index of the input)
        self.doubts: dict[tuple[int, int], str] = {}

    def outputs_at_start(self) -> int:
        """How many numbers f returns. Raises TypeError and ValueError if these cannot be checked."""
        where = self.shown(self.start)
        if not self.start or not all(map(math.isfinite, self.start)):
            raise ValueError(f"gradcheck differentiates by finite inputs, got {where or 'none'}")
        try:
            outputs, repeated = self.call(self.start, [])[1], self.call(self.start, [])[1]
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"f is undefined at {where}: {error}") from error
        plain = [out for _, out in outputs if not isinstance(out, Value)] if outputs else [[]]
        if plain:
            raise TypeError(
                "gradcheck takes functions that return a Value or a list of them, f returned "
                f"{type(plain[0]).__name__} {plain[0]!r:.60} (math.* and float() make plain numbers of Values)"
            )
        for name, out in outputs:
            if not math.isfinite(out):
                raise ValueError(f"f is undefined at {where}: {name} is {out.data}")
        once, again = ([float(out) for _, out in found] for found in (outputs, repeated))
        if once != again:
            raise ValueError(f"f is random: at {where} it gave {once!r:.60}, then {again!r:.60}")
        return len(outputs)

    def call(self, at: tuple[float, ...], held: list[float]) -> tuple[list[Value], list[tuple[str, Any]]]:
        """The Values that f is given, and what it returns with a name for each. held: as for `_holding`."""
        leaves = [Value(x, name) for x, name in zip(at, self.names, strict=True)]
        with _holding(held):
            result = self.f(*_filled(self.shape, iter(leaves)))
        outputs = [(getattr(out, "name", "") or path, out) for path, out in _leaves(result, "f")]
        return leaves, outputs

    def run(self, points: int, rng: random.Random) -> None:
        around = [self.near(self.start, 0.25, rng) for _ in range(points)]
        for at in (self.start, *around):
            self.examine(at, self.near(at, 2.0**-8, rng))
        for entry, doubt in self.doubts.items():
            if entry not in self.agreed:
                raise GradcheckError(f"{doubt}, where differences are no witness, and no other point tried is better")

    def near(self, at: tuple[float, ...], reach: float, rng: random.Random) -> tuple[float, ...]:
        """A point around `at` where f is defined, the nearer the harder it is to find; `at` itself if there is none."""
        for _ in range(20):
            point = tuple(x + reach * max(1.0, abs(x)) * rng.uniform(-1.0, 1.0) for x in at)
            if all(map(math.isfinite, self.sample(point, [])[: self.count])):
                return point
            reach /= 4.0
        return at

    def sample(self, at: tuple[float, ...], held: list[float]) -> list[float]:
        """The numbers that f returns, then the engine's gradient of each; nan where f is undefined."""
        try:
            leaves, outputs = self.call(at, held)
        except (ValueError, ArithmeticError):
            outputs = []
        if len(outputs) != self.count:
            return [math.nan] * self.count * (1 + len(at))
        numbers = [float(out) for _, out in outputs]
        for _, out in outputs:
            gradient = gradients(out, _data(out)) if isinstance(out, Value) else {}
            numbers += [gradient.get(leaf, 0.0) for leaf in leaves]
        return numbers

    def quantities(self, at: tuple[float, ...], held: list[float]) -> list[_Quantity]:
        """The same as nodes, in the same order, with the engine's derivatives of each."""
        leaves, outputs = self.call(at, held)
        nodes: list[tuple[str, tuple[str, ...], Any]] = [(name, (), out) for name, out in outputs]
        for name, out in outputs:
            # Where the numbers of the nodes are the nodes themselves, the gradient is a graph.
            itself: Any = {node: node for node in topological(out)} if isinstance(out, Value) else {}
            gradient = gradients(out, itself) if itself else {}
            nodes += [(name, (leaf.name,), gradient.get(leaf, 0.0)) for leaf in leaves]
        quantities = []
        for name, by, x in nodes:
            node = x if isinstance(x, Value) else Value(x)  # a gradient that is constant is a float
            gradient = gradients(node, _data(node))
            slopes = [gradient.get(leaf, 0.0) for leaf in leaves]
            quantities.append(_Quantity(name, by, node, leaves, slopes, rounding(_data(node), gradient)))
        return quantities

    def examine(self, at: tuple[float, ...], nearby: tuple[float, ...]) -> None:
        """Check everything at one point. Rounding is looked up `nearby` too: a node that is 0 here seems exact."""
        held: list[float] = []
        quantities = self.quantities(at, held)
        roundings = [max(q.rounding, r.rounding) for q, r in zip(quantities, self.quantities(nearby, []), strict=True)]
        wrong = self.wrong_rules(quantities)
        lines = [cache(lambda x, i=i: self.sample((*at[:i], x, *at[i + 1 :]), held)) for i in range(len(at))]
        corners = cache(lambda k: kinks(quantities[k].node, _data(quantities[k].node)))
        for k, (q, rounded) in enumerate(zip(quantities, roundings, strict=True)):
            for i, line in enumerate(lines):
                found = difference(lambda x, line=line, k=k: line(x)[k], at[i], rounded)  # type: ignore[misc]
                excluded = found.excludes(q.slopes[i], self.rtol, self.atol)
                if excluded:
                    unsure = _rounding_of_slope(q.node, q.leaves[i])
                    excluded = found.excludes(q.slopes[i], self.rtol, self.atol + unsure)
                if excluded and (wrong or not corners(k)):
                    raise GradcheckError(self.report(at, q, i, found, wrong))
                if found.error < math.inf and math.isfinite(q.slopes[i]) and not excluded:
                    self.agreed.add((k, i))
                elif (k, i) not in self.doubts:
                    kink = _shown(corners(k)) or ("f itself" if found.kink else "")
                    where = f"on a kink of {kink}" if kink else "on a point without a slope that settles"
                    self.doubts[k, i] = f"{q.derivative(self.names[i])} cannot be checked: {self.shown(at)} is {where}"
        if wrong:
            raise GradcheckError(f"a rule is wrong, though f shows nothing at {self.shown(at)}{_listed(wrong)}")

    def wrong_rules(self, quantities: list[_Quantity]) -> list[WrongPartial]:
        """The rules that are wrong: of the operations in f and its gradient, and then as graphs, of those in f."""
        everything: Value = sum((q.node for q in quantities), Value(0.0))
        outputs: Value = sum((q.node for q in quantities if not q.by), Value(0.0))
        return wrong_partials(everything, _data(everything), self.rtol) or _wrong_graphs(
            outputs, _data(outputs), self.rtol
        )

    def report(self, at: tuple[float, ...], q: _Quantity, i: int, found: Difference, wrong: list[WrongPartial]) -> str:
        off = abs(q.slopes[i] - found.slope)
        relative = f"{off / abs(found.slope):.1e} relative" if found.slope else f"{off:.1e}"
        infinite = [node for node in topological(q.node) if not all(map(math.isfinite, node.partials()))]
        if wrong:
            why = _listed(wrong)
        elif infinite:
            why = f"\n  the partials of {_shown(infinite)} are not finite"
        else:
            why = "\n  the rule of each operation is right, so the graph misses something: "
            why += "does f use .data or float() of a Value?"
        return (
            f"{q.derivative(self.names[i])} is wrong at {self.shown(at)}\n"
            f"  engine      {q.slopes[i]:.12g}\n"
            f"  difference  {found.slope:.12g} ± {found.error:.0e}, off by {relative}{why}"
        )

    def shown(self, at: tuple[float, ...]) -> str:
        parts = [f"{name} = {x!r}" for name, x in zip(self.names, at, strict=True)]
        return ", ".join(parts if len(parts) <= 8 else [*parts[:8], f"… ({len(parts) - 8} more)"])


def _rounding_of_slope(node: Value, leaf: Value) -> float:
    """How far off rounding may have put the engine's ∂node/∂leaf, where large terms cancel in its sums.

    It does so in the sum of the terms at each inner node, and from there the error spreads like the gradient itself.
    """
    gradient = gradients(node, _data(node))
    terms = dict.fromkeys(gradient, 0.0)  # the sum of the absolute terms of which the gradient is the sum
    spread = dict.fromkeys(gradient, 0.0) | {leaf: 1.0}  # ∂inner/∂leaf, forward
    for inner in gradient:
        for operand, partial in zip(inner.operands, inner.partials(), strict=True):
            if isinstance(operand, Value):
                terms[operand] += abs(partial * gradient[inner])
                spread[inner] += partial * spread[operand]
    errors = [8.0 * math.ulp(1.0) * terms[inner] * abs(spread[inner]) for inner in gradient]
    return sum(filter(math.isfinite, errors))


def _listed(wrong: list[WrongPartial]) -> str:
    """A line for each operation: the first that is wrong of it."""
    lines: dict[str, str] = {}
    for w in wrong:
        lines.setdefault(_name(w.node), f"\n  {w}")
    return "".join(lines.values())


def _shown(nodes: list[Value]) -> str:
    """The first of each operation, with its numbers: relu at 0.0 and maximum at 1.0, 1.0."""
    texts: dict[str, str] = {}
    for node in nodes:
        texts.setdefault(_name(node), f"{_name(node)} at {', '.join(str(float(x)) for x in node.operands)}")
    return " and ".join(texts.values())


def _name(node: Value) -> str:
    return node.op.name if node.op else node.name


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What is not a list or tuple in nested ones, with where it is."""
    if isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            yield from _leaves(part, f"{path}[{i}]")
    else:
        yield path, tree


def _filled(tree: Any, leaves: Iterator[Value]) -> Any:
    """The same nested lists and tuples, of these leaves."""
    if isinstance(tree, (tuple, list)):
        parts = [_filled(part, leaves) for part in tree]
        return parts if isinstance(tree, list) else tuple(parts)
    return next(leaves)
