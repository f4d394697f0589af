"""A picture of a graph as plain data: cards, edges between them, groups, where all of them lie, and what they show.

The scene is a reading of the graph; everything that is drawn (SVG, the tree in a terminal, the page) reads the scene.
Lengths are pixels, y grows downwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite, log, log1p
from typing import Any

from ..byhand.graph import Graph
from ..engine import Value
from ..ops import ATOM, Op
from ..walks import topological
from .measure import measured

INPUT, PARAMETER, OPERATION, OUTPUT, CONSTANT = "input", "parameter", "operation", "output", "constant"
WIDTH, HEIGHT, LINE = 118.0, 62.0, 20.0  # of a card, and of its rows
LONGEST = 120  # characters of a name that are kept


@dataclass
class Heat:
    """Cells coloured by sign and size, `rows` of them from the top; `strongest` is the size of the full colour.

    caption: what stands at their left, if anything does. cell: the width and height of one.
    """

    caption: str
    rows: list[list[float]]
    strongest: float
    x: float
    y: float
    cell: tuple[float, float]


@dataclass
class Card:
    """One box. symbol: its operation. grad: ∂root/∂it, None where no backward pass has been. text: all of it in words.

    values: the nodes it stands for, as numbers in topological order; the first is the one whose data it shows.
    caption: what is said of grad. compact: data is shown beside the name, not below it.
    """

    id: str
    kind: str
    symbol: str
    name: str
    data: float | None
    grad: float | None
    text: str
    values: list[int] = field(default_factory=list)
    caption: str = "grad"
    compact: bool = False
    heats: list[Heat] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    width: float = WIDTH
    height: float = HEIGHT


@dataclass
class Edge:
    """An operand of a card. id: that of the target and the number of the operand, from 0.

    partial: ∂target/∂source, None if the edge stands for several operations. flow: what comes back over it, partial
    times the gradient of the target. place: its number among the operands, where that matters.
    share: its part of the strongest flow, 0 … 1, by which it is drawn. path: where it runs, points of Bézier curves,
    each of which begins where the one before ends. label: what is written on it; at: the middle of that.
    """

    id: str
    source: str
    target: str
    partial: float | None
    flow: float | None
    place: str
    text: str
    label: str = ""
    share: float = 0.0
    at: tuple[float, float] = (0.0, 0.0)
    path: list[tuple[float, float]] = field(default_factory=list)

    def point(self, curve: int, t: float) -> tuple[float, float]:
        """Where one of its curves is at t, 0 … 1."""
        i = 3 * curve
        weights = ((1.0 - t) ** 3, 3.0 * t * (1.0 - t) ** 2, 3.0 * t**2 * (1.0 - t), t**3)
        return (
            sum(w * x for w, (x, _) in zip(weights, self.path[i : i + 4], strict=True)),
            sum(w * y for w, (_, y) in zip(weights, self.path[i : i + 4], strict=True)),
        )

    @property
    def label_width(self) -> float:
        """Of what is written on it."""
        return 6.1 * len(self.label) + 3.0

    @property
    def curves(self) -> int:
        """How many curves the path has."""
        return (len(self.path) - 1) // 3


@dataclass
class Group:
    """A rectangle behind cards, with a label above them."""

    label: str
    cards: list[str]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


@dataclass
class Scene:
    """All of a picture.

    title, text: in a few words, and in all. strongest: the largest |gradient|, by which colours are scaled; known: are
    there any? notes: what to say below it.
    """

    title: str
    text: str
    cards: list[Card]
    edges: list[Edge]
    groups: list[Group]
    known: bool
    strongest: float
    notes: list[str] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


# ---- numbers and names, as they are shown ------------------------------------------------------------


def short(x: float, sign: bool = False) -> str:
    """Four significant digits with a true minus; 0 has no sign."""
    if x == 0.0:
        return "0"
    mantissa, _, exponent = f"{x:{'+' if sign else ''}.4g}".partition("e")
    return (mantissa + (f"e{int(exponent)}" if exponent else "")).replace("-", "−")


def strength(x: float, strongest: float) -> float:
    """0 … 1, by the logarithm: a linear scale hides small gradients, a plain logarithm has no zero."""
    if not isfinite(x) or strongest == 0.0:
        return 1.0 if x else 0.0
    return min(1.0, log1p(9.0 * abs(x) / strongest) / log(10.0))


def strongest(numbers: Iterable[float]) -> float:
    """The largest of the sizes that are finite."""
    return max((abs(x) for x in numbers if isfinite(x)), default=0.0)


def printable(text: str) -> str:
    """The text on one line, of what XML can have, and of a length that a picture can have."""
    text = "".join(c if c.isprintable() else " " for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def symbol(op: Op) -> str:
    """The operation as a picture shows it."""
    return {"*": "×", "-": "−", "/": "÷", "neg": "−", "**": "pow"}.get(op.symbol, op.symbol)


def raised(x: float) -> str:
    """2 as ², for exponents that are small whole numbers."""
    if abs(x) < 1000 and x == int(x):
        return str(int(x)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return f"^{short(x)}"


# ---- the graph as boxes: one a node, or several nodes folded into one ----------------------------------


@dataclass
class Box:
    """A node with what it is computed from: (operand, ∂node/∂operand). inner: nodes that are folded into it."""

    node: Value
    title: str
    operands: list[tuple[Value | float, float]]
    ordered: bool = False
    inner: list[Value] = field(default_factory=list)


def boxes(order: Sequence[Value]) -> Iterator[Box]:
    """Each node by itself."""
    for node in order:
        op = node.op
        title = symbol(op) if op is not None else ""
        ordered = op is not None and op.arity > 1 and not op.commutative
        yield Box(node, title, list(zip(node.operands, node.partials(), strict=True)), ordered)


def folded(order: Sequence[Value], name_of: Callable[[Value], str]) -> Iterator[Box]:
    """Sums and differences of several terms in one box, x * -1 and x ** -1 as − and ÷, constants in the title.

    A node that has a name, or that several others use, keeps its box.
    """
    used = Counter(x for node in order for x in node.operands if isinstance(x, Value))
    root = order[-1]

    def folds(x: Value | float, into: Callable[[Value], bool]) -> bool:
        return isinstance(x, Value) and x is not root and used[x] == 1 and not name_of(x) and into(x)

    gone: set[Value] = set()
    result: list[Box] = []
    for node in reversed(order):  # outer ones first, so that what they take in is gone when its turn comes
        if node in gone:
            continue
        inner: list[Value] = []
        if _is_sum(node):
            terms = _flat(node, lambda x: folds(x, lambda x: _is_sum(x) or _is_minus(x)), inner)
            box = Box(node, _sum_title(terms), [(x, sign) for x, sign in terms if isinstance(x, Value)])
            box.ordered = box.title == "−"
        else:
            box = _product(node, lambda x: folds(x, _is_inverse), inner)
        gone.update(inner)
        box.inner = inner
        result.append(box)
    return reversed(result)


def _is(node: Value, name: str) -> bool:
    return node.op is not None and node.op.name == name


def _is_sum(node: Value) -> bool:
    return _is(node, "add") or _is(node, "sub")


def _is_minus(node: Value) -> bool:
    return _is(node, "neg") or (_is(node, "mul") and -1.0 in node.operands)


def _is_inverse(node: Value) -> bool:
    return _is(node, "pow") and node.operands[1] == -1.0 and isinstance(node.operands[0], Value)


def _flat(node: Value, folds: Callable[[Any], bool], inner: list[Value]) -> list[tuple[Any, float]]:
    """The terms of a sum with their signs, in order."""
    terms: list[tuple[Any, float]] = []
    stack: list[tuple[Any, float]] = [(node, 1.0)]
    while stack:
        x, sign = stack.pop()
        if x is not node and not folds(x):
            terms.append((x, sign))
            continue
        if x is not node:
            inner.append(x)
        if _is_minus(x):
            stack.append((next(a for a in x.operands if isinstance(a, Value)), -sign))
        else:
            a, b = x.operands
            stack += [(b, -sign if _is(x, "sub") else sign), (a, sign)]
    return terms


def _sum_title(terms: list[tuple[Any, float]]) -> str:
    constant = sum(sign * x for x, sign in terms if isinstance(x, float))
    signs = [sign for x, sign in terms if isinstance(x, Value)]
    if len(signs) == len(terms):
        return "+" if signs == [1.0, 1.0] else "−" if signs == [1.0, -1.0] else "Σ"
    if len(signs) == 1:
        return f"{short(constant)} −" if signs == [-1.0] else f"{'−' if constant < 0 else '+'} {short(abs(constant))}"
    return f"Σ {'−' if constant < 0 else '+'} {short(abs(constant))}"


def _product(node: Value, folds: Callable[[Any], bool], inner: list[Value]) -> Box:
    """A node that is no sum: a / b where it is a * b ** -1, and constants in the title."""
    op = node.op
    operands = list(zip(node.operands, node.partials(), strict=True))
    if op is None:
        return Box(node, "", [])
    title, ordered = symbol(op), op.arity > 1 and not op.commutative
    if _is(node, "mul"):
        inverse = next((x for x in reversed(node.operands) if folds(x)), None)
        if isinstance(inverse, Value):
            inner.append(inverse)
            title, ordered = "÷", True
            (other, by_other), (_, by_inverse) = sorted(operands, key=lambda pair: pair[0] is inverse)
            operands = [(other, by_other), (inverse.operands[0], by_inverse * inverse.partials()[0])]
    constants = [x for x, _ in operands if isinstance(x, float)]
    if constants and op.arity == 2:
        first, c = isinstance(operands[0][0], float), constants[0]
        if _is(node, "pow"):
            title = f"{short(c)}^" if first else f"( ){raised(c)}"
        elif op.precedence < ATOM:
            minus = _is_minus(node) and not inner
            title = "−" if minus else f"{short(c)} {title}" if first else f"{title} {short(c)}"
        else:
            title = _with_constants(title, operands)
    elif constants:
        title = _with_constants(title, operands)
    values: list[tuple[Value | float, float]] = [(x, slope) for x, slope in operands if isinstance(x, Value)]
    return Box(node, title, values, ordered and len(values) > 1, inner)


def _with_constants(title: str, operands: list[tuple[Value | float, float]]) -> str:
    """A function with the constants among its operands: leaky_relu 0.01, or atan2(2, ·) where they do not come last."""
    constants = [x for x, _ in operands if isinstance(x, float)]
    if all(isinstance(x, float) for x, _ in operands[-len(constants) :]):
        return f"{title} {', '.join(map(short, constants))}"
    return f"{title}({', '.join(short(x) if isinstance(x, float) else '·' for x, _ in operands)})"


# ---- boxes as a scene ----------------------------------------------------------------------------------


def names(root: Value) -> Callable[[Value], str]:
    """What each node is called: by its user, or as a formula calls it (z1_2 and f1_2 are of unit 2 in layer 1)."""
    known = Graph(root, "draw", sums=True).names
    return lambda node: printable(known.get(node) or node.name)


def of_boxes(root: Value, order: Sequence[Value], parts: Iterable[Box], parameters: Iterable[Value]) -> Scene:
    """The scene of boxes, not laid out yet. Constants that are operands get cards of their own."""
    name_of = names(root)
    place = {node: i for i, node in enumerate(order)}
    owned = set(parameters)
    strong = strongest(node.grad for node in order)
    known = root.grad != 0.0  # has backward been called?
    cards, edges = [], []
    for box in parts:
        node = box.node
        kind = OUTPUT if node is root else OPERATION if node.op is not None else PARAMETER if node in owned else INPUT
        card = Card(
            f"n{place[node]}", kind, box.title, name_of(node), node.data, node.grad if known else None,
            _words(node, name_of(node), box.title), [place[node], *(place[x] for x in box.inner)],
            width=max(WIDTH, min(measured(box.title, 12.5) + 24.0, 220.0)),
        )  # fmt: skip
        cards.append(card)
        for i, (x, partial) in enumerate(box.operands):
            number = str(i + 1) if box.ordered else ""
            if isinstance(x, Value):
                flow = partial * node.grad
                words = f"local {partial!r} × upstream {node.grad!r} = {flow!r}"
                label = "" if partial == 1.0 else short(partial)
                share = strength(flow, strong) if known else 0.0
                edge = Edge(
                    f"{card.id}.{i}",
                    f"n{place[x]}",
                    card.id,
                    partial,
                    flow if known else None,
                    number,
                    words,
                    label,
                    share,
                )
            else:
                constant = f"{card.id}c{i}"
                words = f"constant {x!r}"
                width = 27.0 + 7.3 * max(len(short(x)), 3)
                cards.append(Card(constant, CONSTANT, "", short(x), x, None, words, width=width, height=26.0))
                edge = Edge(f"{card.id}.{i}", constant, card.id, None, None, number, words)
            edges.append(edge)
    labelled = any(edge.label for edge in edges)
    notes = ["The number on an edge is the local derivative, where it is not 1."] if labelled else []
    title = name_of(root) or "the graph"
    return Scene(title, _description(root, order, known), cards, edges, [], known, strong, notes)


def _words(node: Value, name: str, title: str) -> str:
    what = " ".join(filter(None, (name, title))) or "leaf"
    return f"{what}: data {node.data!r}, grad {node.grad!r}"


def _description(root: Value, order: Sequence[Value], known: bool) -> str:
    leaves = sum(node.op is None for node in order)
    name = printable(root.name) or "the root"
    text = f"The computation of {name} = {root.data!r} by {len(order) - leaves} operations from {leaves} leaves"
    if not known:
        return f"{text}; no gradient has been computed yet."
    named = [node for node in order if node.op is None and node.name][:20]
    gradients = ", ".join(f"{printable(node.name)} {node.grad:.4g}" for node in named)
    return f"{text}." + (f" The gradient by {gradients}." if gradients else "")


def nodes(root: Value, where: str) -> list[Value]:
    """The graph of root in topological order. Raises TypeError if root is no Value."""
    if not isinstance(root, Value):
        raise TypeError(f"{where} draws the graph of a Value, not {type(root).__name__} {root!r:.60}")
    return topological(root)
