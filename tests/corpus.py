r"""Wrong gradients with known slips, the test of `diagnose`: python tests/corpus.py [--seed 1] [--failures]

Formulas are trees of textbook factors, made without the engine's graph, so that an error of `diagnose` is not an error
here too: a slip is an edit of a tree, and a tree is written down in one of very many ways. Whether a written formula
is wrong, and which other slip would have made it, is settled by numbers, at three points.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, combinations_with_replacement, permutations

from micrograd_like import Value
from micrograd_like.byhand.formula import FormulaError, canonical, parse
from micrograd_like.byhand.replay import gradients, values
from micrograd_like.walks import topological

KINDS = (
    "dropped factor",
    "extra factor",
    "wrong argument",
    "wrong index",
    "sign",
    "constant",
    "dropped path",
    "wrong delta",
    "derivative of the output",
)
FORMS = ("unrolled", "sum over paths", "recurrence", "whole recurrence", "recurrence of ∂L/∂f", "partly unrolled")
POINTS = 3
OF_F = {  # the derivative of the activation by the unit's output; the first is the usual one
    "tanh": ("1 - {0}^2", "(1 - {0}) * (1 + {0})", "(1 + {0}) * (1 - {0})", "-({0}^2 - 1)"),
    "sigmoid": ("{0} * (1 - {0})", "(1 - {0}) * {0}", "{0} - {0}^2"),
}
OF_Z = {
    "tanh": ("1 - tanh({0})^2", "1/cosh({0})^2", r"\frac{{1}}{{cosh({0})^2}}"),
    "sigmoid": ("sigmoid({0}) * (1 - sigmoid({0}))", "exp(-{0})/(1 + exp(-{0}))^2"),
}
DIVISORS = {"2": "0.5", "4": "0.25", "1/2": "2", "1/3": "3"}  # to divide by instead of multiplying
PLUS = {"tanh": ("1 + {0}^2",), "sigmoid": ("{0} * (1 + {0})", "{0} + {0}^2")}  # one of its two signs is wrong
NEGATIVE = {"tanh": ("-(1 + {0}^2)",), "sigmoid": ("-({0} + {0}^2)",)}  # the other is

Numbers = tuple[float, ...]  # one for each point


def same(a: Numbers, b: Numbers) -> bool:
    return all(abs(p - q) <= 1e-9 * max(abs(p), abs(q)) for p, q in zip(a, b, strict=True))


def _opposite(a: Numbers, b: Numbers) -> bool:
    return same(a, tuple(-number for number in b))


def _key(numbers: Numbers) -> tuple[str, ...]:
    return tuple(f"{number:.7e}" for number in numbers)


# Formulas


@dataclass(frozen=True)
class Step:
    """The local derivatives ∂above/∂below in which a factor lies, by all the names they could be given with."""

    above: frozenset[str]
    below: frozenset[str]

    def named(self, place: str) -> bool:
        above, _, below = place.lstrip("∂").partition("/∂")
        return bool(_names(below)) and _names(below) <= self.below and _names(above) <= self.above


def _names(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", text))


@dataclass(frozen=True)
class Factor:
    """spellings: equal texts, the usual one first. at: where it stands, as (layer, unit …)."""

    kind: str
    spellings: tuple[str, ...]
    at: tuple[int, ...] = ()
    step: Step | None = None

    @property
    def text(self) -> str:
        return self.spellings[0]


@dataclass(frozen=True)
class Sum:
    kind = "sum"
    terms: tuple["Product", ...]


@dataclass(frozen=True)
class Product:
    kind = "product"
    parts: tuple[Factor | Sum, ...]

    def everything(self, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], "Product | Sum | Factor"]]:
        """All that stands in it, each with its path: the places for slips."""
        yield path, self
        for i, part in enumerate(self.parts):
            yield (*path, i), part
            if isinstance(part, Sum):
                for k, term in enumerate(part.terms):
                    yield from term.everything((*path, i, k))

    def factors(self) -> list[Factor]:
        return [part for _, part in self.everything(()) if isinstance(part, Factor)]

    def edited(self, edits: "Edits", path: tuple[int, ...]) -> "Product":
        parts = list(edits.get((*path, -1), ()))
        for i, part in enumerate(self.parts):
            here = (*path, i)
            if here in edits:
                parts += edits[here]
            elif isinstance(part, Sum):
                terms = enumerate(part.terms)
                parts += total([t.edited(edits, (*here, k)) for k, t in terms if (*here, k) not in edits])
            else:
                parts.append(part)
        return Product(tuple(parts))

    def paths(self) -> list["Product"]:
        """The terms when everything is multiplied out."""
        terms: list[tuple[Factor, ...]] = [()]
        for part in self.parts:
            options = [p.parts for t in part.terms for p in t.paths()] if isinstance(part, Sum) else [(part,)]
            terms = [a + b for a in terms for b in options]
        return [Product(term) for term in terms]


Edits = dict[tuple[int, ...], tuple[Factor | Sum, ...]]  # by path: what stands there instead; -1 is a product's front
Lines = list[tuple[str, Product]]  # the target of the last is ""

MINUS = Factor("constant", ("-1",))


def total(terms: list[Product]) -> tuple[Factor | Sum, ...]:
    return terms[0].parts if len(terms) == 1 else (Sum(tuple(terms)),)


def edited(lines: Lines, edits: Edits) -> Lines:
    return [(target, product.edited(edits, (n,))) for n, (target, product) in enumerate(lines)]


def inlined(lines: Lines, which: set[str]) -> Lines:
    """The lines without those of the δ in `which`, which are put where they are used."""
    definitions: dict[str, tuple[Factor | Sum, ...]] = {}
    result = []
    for target, product in lines:
        everything = product.everything(())
        edits = {p: definitions[f.text] for p, f in everything if isinstance(f, Factor) and f.text in definitions}
        whole = product.edited(edits, ())
        if target in which:
            definitions[target] = whole.parts
        else:
            result.append((target, whole))
    return result


# Networks


@dataclass(frozen=True)
class Network:
    """Units as in the lecture, Loss = Σ (y_j - f_j)²; one unit in every layer makes its chain, without offsets.

    samples: so many go through one chain, and Loss is the mean; a sample is counted as a unit is.
    thorough: products, partial sums and errors have names too.
    """

    sizes: tuple[int, ...]
    activation: str = "tanh"
    samples: int = 0
    thorough: bool = False
    seed: int = 0

    @property
    def depth(self) -> int:
        return len(self.sizes) - 1

    @property
    def chain(self) -> bool:
        return set(self.sizes) == {1}

    def units(self, layer: int) -> range:
        return range(1, (self.samples or self.sizes[layer]) + 1)

    def linked(self, layer: int, j: int) -> Iterable[int]:
        """The units of this layer that are linked with unit j of the next or of the one before."""
        return [j] if self.chain else self.units(layer)

    def name(self, letter: str, layer: int, j: int) -> str:
        unit = "" if self.chain and not self.samples else str(j)
        if letter == "y" or (letter == "f" and layer == 0):
            return ("x" if letter == "f" else "y") + unit
        return f"{letter}{layer}" + (unit and f"_{unit}")

    def weight(self, layer: int, i: int, j: int) -> str:
        return f"w{layer}" if self.chain else f"w{layer}_{i}_{j}"

    @cached_property
    def loss(self) -> Value:
        rng = random.Random(repr(self))
        leaves: dict[str, Value] = {}

        def leaf(name: str) -> Value:
            return leaves.setdefault(name, Value(_drawn(rng), name))

        def named(value: Value, name: str) -> Value:
            value.name = name if self.thorough else ""
            return value

        f = [leaf(self.name("f", 0, j)) for j in self.units(0)]
        for layer in range(1, self.depth + 1):
            before, f = f, []
            for j in self.units(layer):
                z = None
                for i in self.linked(layer - 1, j):
                    product = named(leaf(self.weight(layer, i, j)) * before[i - 1], f"p{layer}_{i}_{j}")
                    z = product if z is None else named(z + product, f"s{layer}_{i}_{j}")
                z = z if self.chain else z + leaf(self.name("b", layer, j))
                z.name = self.name("z", layer, j)
                f.append(getattr(z, self.activation)())
                f[-1].name = self.name("f", layer, j)
        loss = None
        for j in self.units(self.depth):
            error = named(leaf(self.name("y", self.depth, j)) - f[j - 1], f"e{j}")
            square = named(error**2, f"q{j}")
            loss = square if loss is None else named(loss + square, f"t{j}")
        loss = loss / self.samples if self.samples else loss
        loss.name = "Loss"
        return loss

    @cached_property
    def names(self) -> list[str]:
        return [node.name for node in topological(self.loss) if node.name]

    @cached_property
    def points(self) -> list[tuple[dict[str, float], dict[str, float]]]:
        """The numbers and the gradients by name, at points in general position. Numbers include the right δ and γ,
        ∂Loss/∂z and ∂Loss/∂f; of one sample's loss where there are samples."""
        points = []
        nodes = topological(self.loss)
        for seed in range(POINTS):
            rng = random.Random(seed)
            numbers = values(self.loss, {node: _drawn(rng) for node in nodes if node.op is None})
            gradient = gradients(self.loss, numbers)
            by_name = {node.name: numbers[node] for node in nodes if node.name}
            for node in nodes:
                if node.name[:1] in ("z", "f"):
                    by_name["δγ"["zf".index(node.name[0])] + node.name[1:]] = gradient[node] * max(self.samples, 1)
            points.append((by_name, {node.name: gradient[node] for node in nodes if node.name}))
        return points

    def right(self, target: str) -> Numbers:
        return tuple(gradient[target] for _, gradient in self.points)

    @cached_property
    def targets(self) -> list[str]:
        return [name for name in self.names if name[0] in "wbx"]

    # Factors

    def _into(self, layer: int, j: int, below: str) -> Step:
        """In z_j^l, to `below`."""
        above = {self.name("z", layer, j)} | (set() if self.chain else {self.name("b", layer, j)})
        for i in self.linked(layer - 1, j):
            above |= {self.weight(layer, i, j), self.name("f", layer - 1, i), f"p{layer}_{i}_{j}", f"s{layer}_{i}_{j}"}
        return Step(frozenset(above), frozenset({below}))

    def input(self, layer: int, i: int, j: int) -> Factor:
        step = self._into(layer, j, self.weight(layer, i, j))
        return Factor("input", (self.name("f", layer - 1, i),), (layer - 1, i), step)

    def weighted(self, layer: int, i: int, j: int) -> Factor:
        step = self._into(layer, j, self.name("f", layer - 1, i))
        return Factor("weight", (self.weight(layer, i, j),), (layer, i, j), step)

    def slope(self, layer: int, j: int) -> Factor:
        f, z = self.name("f", layer, j), self.name("z", layer, j)
        spellings = [text.format(f) for text in OF_F[self.activation]]
        spellings += [text.format(z) for text in OF_Z[self.activation]]
        return Factor("slope", tuple(spellings), (layer, j), Step(frozenset({f, z}), frozenset({z})))

    def _error(self, j: int) -> Step:
        f, y = self.name("f", self.depth, j), self.name("y", self.depth, j)
        return Step(frozenset([*self.names, "t", "q"]), frozenset({f, y, f"e{j}", f"q{j}"}))

    def gap(self, j: int, f: str = "", y: str = "", sign: int = 1) -> Factor:
        f, y = f or self.name("f", self.depth, j), y or self.name("y", self.depth, j)
        a, b = (f, y) if sign > 0 else (y, f)
        return Factor("gap", (f"{a} - {b}", f"-({b} - {a})"), (self.depth, j), self._error(j))

    def two(self, j: int) -> Factor:
        return Factor("constant", ("2",), (self.depth, j), self._error(j))

    def delta(self, letter: str, layer: int, j: int) -> Factor:
        return Factor("delta", (self.name(letter, layer, j),), (layer, j))

    # Right formulas

    def _from(self, letter: str, layer: int, j: int) -> tuple[Factor, ...]:
        """∂Loss/∂z_j^l by the δ or by the γ of this unit."""
        delta = self.delta(letter, layer, j)
        return (delta,) if letter == "δ" else (self.slope(layer, j), delta)

    def _onward(self, letter: str, layer: int, i: int) -> tuple[Factor | Sum, ...]:
        """∂Loss/∂f_i^l by the next layer."""
        if layer == self.depth:
            return (self.two(i), self.gap(i))
        sinks = self.linked(layer + 1, i)
        return total([Product((self.weighted(layer + 1, i, k), *self._from(letter, layer + 1, k))) for k in sinks])

    def recurrence(self, letter: str, target: str, *, whole: bool = False) -> Lines:
        """The recurrence of δ = ∂Loss/∂z or of γ = ∂Loss/∂f, as far down as needed or whole, then the gradient."""
        terms = []
        for layer in range(1, self.depth + 1):
            for j in self.units(layer):
                sources = [i for i in self.linked(layer - 1, j) if self.weight(layer, i, j) == target]
                terms += [Product((self.input(layer, i, j), *self._from(letter, layer, j))) for i in sources]
                if target == self.name("b", layer, j):
                    terms.append(Product(self._from(letter, layer, j)))
        for i in self.units(0):
            if target == self.name("f", 0, i):
                terms.append(Product(self._onward(letter, 0, i)))
        last = Product(total(terms))
        if self.samples:
            n = str(self.samples)
            names = frozenset(self.names)
            mean = Factor("constant", (f"1/{n}", rf"\frac{{1}}{{{n}}}"), (), Step(names, names))
            last = Product((mean, *last.parts))
        needed = {factor.text for factor in last.factors()}
        lines = [("", last)]
        for layer in range(1, self.depth + 1):
            for j in self.units(layer):
                onward = self._onward(letter, layer, j)
                line = Product((self.slope(layer, j), *onward) if letter == "δ" else onward)
                name = self.name(letter, layer, j)
                if whole or name in needed:
                    needed |= {factor.text for factor in line.factors()}
                    lines.insert(0, (name, line))
        return lines

    def formula(self, target: str, form: str, rng: random.Random) -> Lines:
        letter = "γ" if "∂f" in form or (form == "partly unrolled" and rng.random() < 0.5) else "δ"
        lines = self.recurrence(letter, target, whole=form == "whole recurrence")
        deltas = [name for name, _ in lines[:-1]]
        if form == "partly unrolled":
            lines = inlined(lines, {name for name in deltas if rng.random() < 0.5})
        elif "recurrence" not in form:
            lines = inlined(lines, set(deltas))
        return [(name, Product(total(line.paths()))) for name, line in lines] if form == "sum over paths" else lines


def _drawn(rng: random.Random) -> float:
    return rng.choice((-1, 1)) * rng.uniform(0.4, 1.4)


@cache
def at(network: Network, text: str) -> Numbers:
    """The right value of a text in the names of the graph and of the δ and γ, at the points."""
    ((_, expression),) = parse(text, _names(text) & network.points[0][0].keys())
    return tuple(_number(expression, numbers) for numbers, _ in network.points)


def _number(expression, numbers):
    return expression if isinstance(expression, float) else expression.evaluate(numbers)


def value(network: Network, lines: Lines) -> list[Numbers]:
    """What each line comes to at the points; a δ is what its line says, and the right one if it has no line."""
    found: dict[str, Numbers] = {}

    def of(product: Product) -> Numbers:
        result = (1.0,) * POINTS
        for part in product.parts:
            if isinstance(part, Sum):
                numbers = tuple(map(sum, zip(*map(of, part.terms), strict=True)))
            else:
                numbers = found.get(part.text) or at(network, part.text)
            result = tuple(a * b for a, b in zip(result, numbers, strict=True))
        return result

    for target, product in lines:
        found[target] = of(product)
    return list(found.values())


# Slips


@dataclass(frozen=True)
class Slip:
    """accepted: the right thing, as numbers, in all the ways one may name it. steps: where it lies, if anywhere.
    shared: the same factor stands at other places too, so that it alone does not tell the place."""

    kind: str
    factor: str
    instead: str
    accepted: tuple[Numbers, ...]
    steps: tuple[Step, ...] = ()
    shared: bool = False

    def placed(self, place: str) -> bool:
        return any(step.named(place) for step in self.steps)


@dataclass(frozen=True)
class Slips:
    """All slips that a formula can have."""

    network: Network
    target: str
    lines: Lines

    def __iter__(self) -> Iterator[tuple[Edits, Slip]]:
        for n, (_, line) in enumerate(self.lines):
            for path, part in line.everything((n,)):
                yield from getattr(self, f"_in_{part.kind}", self._in_factor)(path, part)

    def becomes(self, edits: Edits) -> Numbers:
        """What is then called the gradient."""
        return value(self.network, edited(self.lines, edits))[-1]

    def harmless(self, edits: Edits) -> bool:
        return same(self.becomes(edits), self.network.right(self.target))

    @cached_property
    def _standing(self) -> dict[str, set[Step]]:
        """Where a factor stands."""
        found: dict[str, set[Step]] = {}
        for factor in chain.from_iterable(line.factors() for _, line in self.lines):
            found.setdefault(factor.text, set()).update([factor.step] if factor.step else [])
        return found

    def _slip(self, edits, kind, part, right, instead="", also=()):
        """A slip at one factor. right: what should be there; also: other texts that say it."""
        accepted = tuple(at(self.network, text) for text in (right, *also))
        steps = (part.step,) if part.step and not self._reversed(kind, edits) else ()
        return edits, Slip(kind, right, instead, accepted, steps, len(self._standing[part.text]) > 1)

    def _reversed(self, kind: str, edits: Edits) -> bool:
        """A sign before all of it lies nowhere in particular."""
        return kind == "sign" and _opposite(self.becomes(edits), self.network.right(self.target))

    def _in_product(self, path, product):
        edits = {(*path, -1): (MINUS,)}
        steps = () if self._reversed("sign", edits) else tuple(f.step for f in product.factors() if f.step)
        yield edits, Slip("sign", "-1", "", (), steps)
        for extra in self._extras(product):
            yield {(*path, -1): (extra,)}, Slip("extra factor", extra.text, "", (at(self.network, extra.text),))
        for i, part in enumerate(product.parts):
            if part.kind == "gap":  # the 2 stands before it
                edits, right = {(*path, i - 1): (), (*path, i): ()}, f"({part.text})"
                yield self._slip(edits, "derivative of the output", part, f"2 {right}", "", self._mean(right))

    def _mean(self, text: str = "1") -> list[str]:
        """The 2 of the square together with the 1/n of the mean."""
        return [f"2/{self.network.samples} * {text}"] if self.network.samples else []

    def _extras(self, product: Product) -> Iterator[Factor]:
        """Factors of its own once more, and others of the same kinds."""
        network = self.network
        kinds = {part.kind for part in product.parts}
        if "slope" in kinds:
            yield from self._slopes
        if "weight" in kinds:
            yield from (Factor("weight", (name,)) for name in self._weights)
        if "input" in kinds:
            yield from (Factor("input", (network.name("f", *unit),)) for unit in self._units)
        yield from (part for part in product.parts if part.kind == "gap")

    @cached_property
    def _units(self) -> list[tuple[int, int]]:
        """(layer, unit), inputs being layer 0."""
        return [(layer, j) for layer in range(self.network.depth + 1) for j in self.network.units(layer)]

    @cached_property
    def _slopes(self) -> list[Factor]:
        return [self.network.slope(*unit) for unit in self._units if unit[0]]

    @cached_property
    def _weights(self) -> list[str]:
        return [name for name in self.network.names if name[0] == "w"]

    def _in_sum(self, path, part):
        for k, term in enumerate(part.terms):
            edits = {(*path, k): ()}
            others = {factor.text for other in part.terms if other != term for factor in other.factors()}
            own = [factor for factor in term.factors() if factor.text not in others]
            lost = tuple(a - b for a, b in zip(self.network.right(self.target), self.becomes(edits), strict=True))
            accepted = (lost, *value(self.network, [("", term)]), *(at(self.network, f.text) for f in own))
            steps = tuple(factor.step for factor in own if factor.step)
            text = " ".join(f"({f.text})" for f in term.factors())
            yield edits, Slip("dropped path", text, "", accepted, steps)

    def _in_factor(self, path, part):
        for instead, *slip in getattr(self, f"_of_{part.kind}")(part, path):
            yield self._slip({path: instead}, slip[0], part, *slip[1:])
        if part.kind not in ("constant", "delta"):
            yield self._slip({path: ()}, "dropped factor", part, part.text)

    def _of_constant(self, part, _):
        for other in ("", "4", "1/2") if part.text == "2" else ("", str(self.network.samples)):
            instead = (Factor("constant", (other,)),) if other else ()
            yield instead, "constant", part.text, other, self._mean()

    def _of_input(self, part, _):
        for unit in self._units:
            if unit != part.at:
                yield self._instead(part, self.network.name("f", *unit), "wrong index")
        if part.at[0]:
            yield self._instead(part, self.network.name("z", *part.at), "wrong argument")

    def _of_weight(self, part, _):
        for name in self._weights:
            if name != part.text:
                yield self._instead(part, name, "wrong index")

    @staticmethod
    def _instead(part, name, kind):
        return (Factor(part.kind, (name,), part.at, part.step),), kind, part.text, name

    def _of_slope(self, part, _):
        network, of_f, of_z = self.network, OF_F[self.network.activation], OF_Z[self.network.activation]
        f, z = network.name("f", *part.at), network.name("z", *part.at)

        def written(texts, name):
            return (Factor("slope", tuple(text.format(name) for text in texts), part.at, part.step),)

        yield written(of_f, z), "wrong argument", f, z, [part.text]
        yield written(of_z, f), "wrong argument", z, f, [part.text]
        for texts in (PLUS, NEGATIVE):
            yield written(texts[network.activation], f), "sign", "-1"
        for unit in self._units:
            if unit[0] and unit != part.at:
                yield (network.slope(*unit),), "wrong index", f, network.name("f", *unit), [z, part.text]

    def _of_gap(self, part, _):
        network, (layer, j) = self.network, part.at
        f, y = network.name("f", layer, j), network.name("y", layer, j)
        yield (network.gap(j, sign=-1),), "sign", "-1"
        z = network.name("z", layer, j)
        yield (network.gap(j, f=z),), "wrong argument", f, z, [part.text]
        for unit in self._units:
            if unit[0] >= layer - 1 and unit != part.at:
                other = network.name("f", *unit)
                yield (network.gap(j, f=other),), "wrong index", f, other, [part.text]
        for k in network.units(layer):
            if k != j:
                other = network.name("y", layer, k)
                yield (network.gap(j, y=other),), "wrong index", y, other, [part.text]

    def _of_delta(self, part, path):
        for name, _ in self.lines[: path[0]]:
            if name != part.text:
                yield (Factor("delta", (name,)),), "wrong delta", part.text, name


@cache
def known(network: Network, target: str) -> dict[tuple[str, ...], list[tuple[Numbers, Slip]]]:
    """What single slips make of a gradient, in any form of it: the same function counts as all slips that make it."""
    found: dict[tuple[str, ...], list[tuple[Numbers, Slip]]] = {}
    for form in ("unrolled", "sum over paths", "whole recurrence", "recurrence of ∂L/∂f"):
        if form == "sum over paths" and network.chain and not network.samples:
            continue  # there is but one
        slips = Slips(network, target, network.formula(target, form, random.Random(0)))
        for edits, slip in slips:
            becomes = slips.becomes(edits)
            if not same(becomes, network.right(target)):
                found.setdefault(_key(becomes), []).append((becomes, slip))
    return found


def answers(network: Network, target: str, becomes: Numbers, planted: tuple[Slip, ...]) -> list[tuple[Slip, ...]]:
    """All that explains this wrong gradient: single slips, and if two were planted, pairs of slips that act together
    by multiplication or, in different terms, by addition."""
    singles = known(network, target)
    found = [planted, *((slip,) for _, slip in singles.get(_key(becomes), ()))]
    if len(planted) > 1:
        right = network.right(target)
        for same_first in singles.values():
            first = same_first[0][0]
            if all(first):
                multiplied = tuple(b * r / a for a, b, r in zip(first, becomes, right, strict=True))
                added = tuple(b + r - a for a, b, r in zip(first, becomes, right, strict=True))
                for second in {_key(multiplied), _key(added)}:
                    found += [(a, b) for _, a in same_first for _, b in singles.get(second, ())]
    return found


# Writing a formula down


class Style:
    """How names and signs are spelled, drawn once for a formula."""

    def __init__(self, rng: random.Random, letters: dict[str, str]):
        self.letters = letters
        self.index = rng.choice(("{}{}", "{}{}", "{}_{}", "{}_{{{}}}", "unicode"))
        self.square = rng.choice(("^2", "**2", "²", "^{2}"))
        self.times = rng.choice((" ", " ", " * ", " · ", r" \cdot "))
        self.latex = rng.random() < 0.3

    def name(self, letter: str, index: str) -> str:
        letter = self.letters.get(letter, letter)
        if letter.startswith("\\"):
            return f"{letter}_{{{index.replace('_', ',')}}}"
        if self.index == "unicode":
            return letter + index.replace("_", "").translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
        return self.index.format(letter, index.replace("_", "," if "{{" in self.index else "_"))

    def __call__(self, text: str) -> str:
        text = re.sub(r"([a-zδγ]+)(\d+(?:_\d+)*)", lambda match: self.name(*match.groups()), text)
        text = text.replace("^2", self.square).replace(" * ", self.times)
        if self.latex:
            text = re.sub(r"\b(tanh|cosh|exp)\(", r"\\\1(", text.replace("sigmoid(", r"\sigma("))
            text = text.replace("(", r"\left(").replace(")", r"\right)")
        return text


def _loose(text: str) -> bool:
    """Whether it needs parentheses as a factor."""
    return len(_terms(text)) > 1


def _terms(text: str) -> list[str]:
    """It, cut at its + and - outside parentheses: [a, "+", b, "-", c]."""
    found, depth = [""], 0
    for piece in re.split(r"([(){}]| [-+] )", text):
        depth += (piece in ("(", "{")) - (piece in (")", "}")) if piece else 0
        if depth == 0 and piece in (" + ", " - "):
            found += [piece.strip(), ""]
        else:
            found[-1] += piece
    return found


class Writer:
    """Writes trees as text, in one of very many ways; every random number is drawn from rng."""

    def __init__(self, rng: random.Random, network: Network):
        self.rng = rng
        self.network = network
        self.variety = rng.choice((0, 0.3, 0.8))  # how often a factor is spelled in another way than usual
        self.shuffled = rng.random() < 0.7
        self.expanded = rng.choice((0, 0, 0, 0.3))
        self.leaves = rng.choice((0, 0, 0, 0, 0, 0.2, 1)) if sum(network.sizes) < 6 else 0
        self.helping = rng.choice((0, 0, 0, 0, 0.3))
        self.helpers: list[tuple[str, str]] = []

    def shuffle(self, things: Iterable) -> list:
        things = list(things)
        if self.shuffled:
            self.rng.shuffle(things)
        return things

    def chance(self, how_often: float) -> bool:
        return self.rng.random() < how_often

    def product(self, product: Product) -> str:
        """Its text; a - at its front belongs to all of it."""
        if self.chance(self.expanded):
            product = Product(total(product.paths()))
        negative, texts, divisors = False, [], ""
        for part in self.shuffle(product.parts):
            text = self.part(part)
            if text.startswith("-") and not _loose(text):
                negative, text = not negative, text[1:]
            if part.kind == "constant" and part.text in DIVISORS and self.chance(self.variety / 2):
                divisors += f" / {DIVISORS[part.text]}"
            elif text != "1":
                texts.append(text)
        texts = self.multiplied_out(texts)
        if len(texts) > 1 or divisors or negative:
            texts = [f"({text})" if _loose(text) else text for text in texts]
        return "-" * negative + (" * ".join(texts) or "1") + divisors

    def part(self, part: Factor | Sum) -> str:
        if isinstance(part, Sum):
            text, *texts = (self.product(term) for term in self.shuffle(part.terms))
            for term in texts:
                text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
        else:
            text = self.rng.choice(part.spellings) if self.chance(self.variety) else part.text
            text = self.from_leaves(text)
        if _loose(text) and len(self.helpers) < 4 and self.chance(self.helping):
            self.helpers.append(("ackuv"[len(self.helpers)], text))
            return self.helpers[-1][0]
        return text

    def from_leaves(self, text: str) -> str:
        """f as tanh(z), z as w f, some or all the way down."""

        def replaced(match: re.Match[str]) -> str:
            letter, index = match.groups()
            if not self.chance(self.leaves):
                return match.group()
            if letter == "f":
                inner = self.from_leaves(f"z{index}").removeprefix("(").removesuffix(")")
                return f"{self.network.activation}({inner})"
            layer, j = (*map(int, index.split("_")), 1)[:2]
            sources = self.network.linked(layer - 1, j)
            terms = [
                f"{self.network.weight(layer, i, j)} * {self.network.name('f', layer - 1, i)}" for i in sources
            ] + ([] if self.network.chain else [self.network.name("b", layer, j)])
            return f"({self.from_leaves(' + '.join(self.shuffle(terms)))})"

        return re.sub(r"\b([zf])(\d+(?:_\d+)*)\b", replaced, text) if self.leaves else text

    def multiplied_out(self, texts: list[str]) -> list[str]:
        """x (1 - f²) as x - x f², of one pair of factors."""
        loose = [text for text in texts if len(_terms(text)) == 3 and text[0] != "-"]
        atoms = [text for text in texts if not _loose(text) and "/" not in text]
        if loose and atoms and self.chance(self.expanded):
            pair, atom = self.rng.choice(loose), self.rng.choice(atoms)
            texts.remove(pair)
            texts.remove(atom)
            a, sign, b = _terms(pair)
            texts.insert(0, f"{atom if a == '1' else f'{atom} * {a}'} {sign} {atom} * {b}")
        return texts


@dataclass(frozen=True)
class Planted:
    """A formula and what is true of it.

    formulas: what `diagnose` gets beside the loss. kinds: of the planted slips, () if it is right. answers: the sets
    of slips any of which explains it. lines: what may be called its first wrong line. turned: that line has the wrong
    sign and no other fault, so that the line tells the place. names: its own δ.
    """

    network: Network
    target: str
    form: str
    formulas: str | dict[str, str]
    slips: tuple[Slip, ...]
    answers: tuple[tuple[Slip, ...], ...]
    lines: frozenset[str]
    turned: bool
    names: dict[str, str]

    @property
    def text(self) -> str:
        return self.formulas if isinstance(self.formulas, str) else self.formulas[self.target]

    @property
    def kind(self) -> str:
        return " + ".join(sorted(slip.kind for slip in self.slips)) or "right"

    def numbers(self, text: str) -> Numbers | None:
        """The right value of a text in the names of the graph and of this formula; None if it cannot be read."""
        right = self.network.points
        own = [numbers | {name: numbers[delta] for name, delta in self.names.items()} for numbers, _ in right]
        taken = {canonical(name) for name in self.names}
        names = [name for name in own[0] if name in self.names or canonical(name) not in taken]
        try:
            ((_, expression),) = parse(text, names)
        except FormulaError:
            return None
        return tuple(_number(expression, numbers) for numbers in own)

    def written(self) -> Numbers:
        """The gradient that the formula as text gives at the points."""
        results = []
        for numbers, _ in self.network.points:
            known_now = {name: numbers[name] for name in self.network.names}
            for name, expression in parse(self.text, self.network.names):
                known_now[name] = _number(expression, known_now)
            results.append(known_now[name])
        return tuple(results)

    def __str__(self) -> str:
        wanted = "; ".join(f"{s.kind} {s.factor}" + (f", not {s.instead}" if s.instead else "") for s in self.slips)
        return f"{self.network}, {self.form}, ∂Loss/∂{self.target}: {wanted or 'right'}\n{self.formulas!r}"


# The corpus

TITLES = ("d{}", "∂L/∂{}", "dLoss/d{}", r"\frac{{\partial L}}{{\partial {}}}", "{}.grad")
LETTERS = {"δ": ("d", "δ", "delta", r"\delta", "dz"), "γ": ("g", "γ", "df", "d", r"\delta")}
EXPLICIT = ("dz", "df")  # say of what they are the derivative, which the δ of one sample's loss is not
CHAINS = [(1,) * (depth + 1) for depth in range(1, 7)]
NETWORKS = [
    Network(sizes, activation, samples, thorough=bool(seed), seed=seed)
    for sizes, samples in [
        *((sizes, 0) for sizes in (*CHAINS, (2, 2, 1), (2, 3, 1), (1, 2, 2, 1), (2, 2, 2))),
        *((sizes, 3) for sizes in CHAINS[:2]),
    ]
    for activation in OF_F
    for seed in (0, 1)
]


def rearrange(rng: random.Random, network: Network, target: str, form: str) -> Planted:
    """A right formula, in one of very many ways."""
    return _written(rng, network, target, form, network.formula(target, form, rng), {}, ())


def plant(rng: random.Random, kinds: tuple[str, ...]) -> Planted:
    """A formula with one slip of each of these kinds, at different places."""
    while True:
        network, form = rng.choice(NETWORKS), rng.choice(FORMS)
        target = rng.choice(network.targets)
        lines = network.formula(target, form, rng)
        slips = Slips(network, target, lines)
        options = list(slips)
        edits: Edits = {}
        planted = []
        for kind in kinds:
            fitting = [o for o in options if o[1].kind == kind and not any(_clash(p, q) for p in edits for q in o[0])]
            edit, slip = rng.choice(fitting) if fitting else ({}, None)
            if slip and not slips.harmless(edit):
                edits |= edit
                planted.append(slip)
        if len(planted) == len(kinds):
            return _written(rng, network, target, form, lines, edits, tuple(planted))


def leave(rng: random.Random) -> Planted:
    """A slip that leaves the gradient as it is, in a line that it does not need."""
    while True:
        network = rng.choice(NETWORKS)
        target = rng.choice(network.targets)
        lines = network.formula(target, "whole recurrence", rng)
        slips = Slips(network, target, lines)
        edits, _ = rng.choice(list(slips))
        if slips.harmless(edits):
            return _written(rng, network, target, "whole recurrence", lines, edits, ())


def _clash(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[: len(b)] == b[: len(a)]


def _written(rng, network, target, form, lines, edits, planted) -> Planted:
    unedited = value(network, lines)
    lines = edited(lines, edits)
    becomes = value(network, lines)
    titled = rng.random() < 0.3  # all as one text, whose title says of what it is the gradient
    kind = lines[0][0][:1] or "δ"
    letters = [letter for letter in LETTERS[kind] if not (network.samples and letter in EXPLICIT)]
    letter = rng.choice(letters)
    style, writer = Style(rng, {kind: letter}), Writer(rng, network)
    texts, called = [], []
    for delta, product in lines:
        before = len(writer.helpers)
        text = writer.product(product)
        helpers = writer.helpers[before:]
        title = style(delta)
        if not delta and (titled or rng.random() < 0.15):
            title = rng.choice(TITLES).format(style(target))
        texts += [f"{name} = {style(helper)}" for name, helper in helpers]
        texts.append(f"{title} = {style(text)}" if title else style(text))
        called.append({canonical(title), *(name for name, _ in helpers)})
    called[-1].add(f"d{canonical(target)}")  # what a line without a title may be called
    if len(lines) == 1:
        called[0].add("")
    wrong = {path[0] for path in edits}
    turned = len(lines) > 1 and all(_opposite(becomes[n], unedited[n]) for n in sorted(wrong)[:1])
    if letter not in EXPLICIT:
        wrong |= {other for n in wrong for other in _blamed(network, lines, n, unedited, becomes)}
    if _opposite(becomes[-1], unedited[-1]):
        wrong = set(range(len(lines)))
    text = rng.choice(("\n", "\n", "; ")).join(texts)
    right = same(becomes[-1], network.right(target))
    return Planted(
        network,
        target,
        form,
        text if titled else {target: text},
        () if right else planted,
        () if right else tuple(dict.fromkeys(answers(network, target, becomes[-1], planted))),
        frozenset(name for n in wrong for name in called[n]),
        turned,
        {style(delta): delta for delta, _ in lines[:-1]},
    )


def _blamed(network, lines, n, unedited, becomes) -> Iterator[int]:
    """Lines that have the fault of line n if the δ means something else, the derivative by another node."""

    def meant(numbers: Numbers) -> bool:
        mean = tuple(number / max(network.samples, 1) for number in numbers)
        return any(same(mean, network.right(node)) for node in network.names)

    used = [{factor.text for factor in line.factors()} for _, line in lines]
    if meant(becomes[n]):  # then those that use it
        yield from (m for m in range(n, len(lines)) if lines[n][0] in used[m])
    for k in range(n):  # or one it uses, if that were right with what is missing here
        corrected = tuple(a * b / c for a, b, c in zip(becomes[k], unedited[n], becomes[n], strict=True))
        if lines[k][0] in used[n] and meant(corrected):
            yield k


def corpus(seed: int, singles: int, doubles: int = 0, rights: int = 0) -> list[Planted]:
    """So many formulas with one slip, with two and with none; every kind of slip as often as any other."""
    rng = random.Random(seed)
    made = [plant(rng, (KINDS[i % len(KINDS)],)) for i in range(singles)]
    pairs = [pair for pair in combinations_with_replacement(KINDS, 2) if pair != ("dropped path", "dropped path")]
    made += [plant(rng, pairs[i % len(pairs)]) for i in range(doubles)]
    for i in range(rights):
        network = rng.choice(NETWORKS)
        right = rearrange(rng, network, rng.choice(network.targets), FORMS[i % len(FORMS)])
        made.append(leave(rng) if i % 20 == 19 else right)
    return made


# Judging an answer


def judge(finding, planted: Planted) -> str:
    """ "kind and place", "kind", "wrong kind", "cannot tell" or "called right"."""
    if finding.verdict != "wrong":
        return "called right" if finding.verdict == "right" else "cannot tell"
    best = max((_told(finding.slips, answer, planted) for answer in planted.answers), default=0)
    if best == 2 and canonical(finding.line) not in planted.lines:
        best = 1
    return ("wrong kind", "kind", "kind and place")[best]


def _told(found, answer: tuple[Slip, ...], planted: Planted) -> int:
    """2 if the slips found are these, 1 if their kinds are."""
    if sorted(slip.kind for slip in found) != sorted(slip.kind for slip in answer):
        return 0
    orders = permutations(answer)
    return 1 + any(all(_is(a, b, planted) for a, b in zip(found, order, strict=True)) for order in orders)


def _is(found, slip: Slip, planted: Planted) -> bool:
    if found.kind != slip.kind:
        return False
    placed = slip.placed(found.place)
    if slip.kind == "sign":
        return placed or not slip.steps or (planted.turned and not found.place)
    numbers = planted.numbers(found.factor)
    if numbers is None:
        return placed
    turned = slip.kind == "dropped path"  # a term may be named with either sign
    told = any(same(numbers, a) or (turned and _opposite(numbers, a)) for a in slip.accepted)
    return told and (placed or not slip.shared)


def answered(finding) -> str:
    if finding.verdict != "wrong":
        return finding.verdict
    return finding.slips[0].kind if len(finding.slips) == 1 else "several slips"


def diagnosed(planted: Planted):
    """The finding of `diagnose` for the gradient with the planted slip."""
    from micrograd_like.byhand import diagnose

    try:
        found = diagnose(planted.network.loss, planted.formulas).findings
    except Exception as error:
        error.add_note(str(planted))
        raise
    return next(finding for finding in found if finding.name == planted.target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    for what, number in (("singles", 500), ("doubles", 200), ("rights", 200)):
        parser.add_argument(f"--{what}", type=int, default=number)
    parser.add_argument("--failures", action="store_true", help="list them")
    options = parser.parse_args()
    made = corpus(options.seed, options.singles, options.doubles, options.rights)
    table: Counter[tuple[str, str]] = Counter()
    judged: Counter[tuple[int, str]] = Counter()
    for i, planted in enumerate(made, 1):
        finding = diagnosed(planted)
        verdict = judge(finding, planted)
        judged[len(planted.slips), verdict] += 1
        table[planted.kind if len(planted.slips) < 2 else "two slips", answered(finding)] += 1
        if options.failures and verdict != ("kind and place" if planted.slips else "called right"):
            sys.stdout.write(f"{verdict}: {planted}\n  answer: {finding.verdict} {finding.line} {finding.slips}\n\n")
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{i} of {len(made)} diagnosed" + "\n" * (i == len(made)))
    columns = [*KINDS, "several slips", "cannot tell", "right"]
    heads = [" ".join(word[:4] for word in column.split())[:9] for column in columns]
    rows = [["planted, answered", *heads]]
    rows += [[row, *(str(table[row, column] or "") for column in columns)] for row in (*KINDS, "two slips", "right")]
    for first, *cells in rows:
        sys.stdout.write((f"{first:24}" + "".join(f"{cell:>10}" for cell in cells)).rstrip() + "\n")
    for slips_in, name in enumerate(("right formulas", "one slip", "two slips")):
        counts = {verdict: count for (n, verdict), count in judged.items() if n == slips_in}
        rates = ", ".join(f"{verdict} {count / sum(counts.values()):.1%}" for verdict, count in counts.items())
        sys.stdout.write(f"{name}: {sum(counts.values())}; {rates}\n")


if __name__ == "__main__":
    main()
