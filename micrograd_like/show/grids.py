"""The scenes of networks: a card a unit, or a card a layer, in columns. They are grids and need no layout program."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

from ..engine import Value
from .network import Network, Source, Unit
from .scene import INPUT, LINE, OPERATION, OUTPUT, Card, Edge, Group, Heat, Scene, printable, strongest

TALLEST = 40  # units in a column that can still be told apart
PLANE = 12  # cells of a thumbnail, each way
FINEST = 48  # cells of a heat map, each way; of larger matrices a cell shows the largest of several
GAP, MARGIN = 8.0, 16.0


def neurons(root: Value, order: Sequence[Value], network: Network) -> Scene:
    """A card for each unit: its output, its weights and their gradients as strips, δ = ∂root/∂z.

    For a network of two inputs also the unit's output over the plane of these, as a thumbnail.
    """
    known = root.grad != 0.0
    units = list(chain.from_iterable(network.layers))
    parameters = network.parameters
    heaviest = strongest(p.data for p in parameters)
    steepest = strongest(p.grad for p in parameters)
    planes = _planes(network, order) if len(network.inputs) == 2 else {}
    place = {node: i for i, node in enumerate(order)}
    columns: list[list[Card]] = [_inputs(network, known, place)]
    for layer in network.layers:
        widest = max(len(unit.weights) + 1 for unit in layer)
        cell = max(2.5, min(9.0, 150.0 / widest))
        left = 12.0 + (44.0 if planes else 0.0)
        width = max(150.0, left + widest * cell + 10.0)
        cards = []
        for j, unit in enumerate(layer, 1):
            name = printable(unit.output.name or f"unit {j}")
            held = [*unit.weights, unit.bias] if unit.bias is not None else unit.weights
            card = Card(
                f"n{place[unit.output]}", OUTPUT if unit.output is root else OPERATION, "", name, unit.output.data,
                unit.total.grad if known else None, _unit_text(name, unit, held),
                [place[unit.output], place[unit.total]], caption="δ", compact=True, width=width, height=66.0,
            )  # fmt: skip
            card.heats.append(Heat("", [[p.data for p in held]], heaviest, left, 23.0, (cell, 8.0)))
            if known:
                card.heats.append(Heat("", [[p.grad for p in held]], steepest, left, 33.0, (cell, 8.0)))
            if planes:
                rows = planes[unit.output]
                size = strongest(chain.from_iterable(rows))
                card.heats.append(Heat("", rows, size, 11.0, 23.0, (38.0 / PLANE, 38.0 / PLANE)))
            cards.append(card)
        columns.append(cards)
    edges = []
    for unit in units:
        first = unit.inputs == network.inputs
        for i, (weight, x) in enumerate(zip(unit.weights, unit.inputs, strict=True)):
            source = columns[0][i].id if first else f"n{place[x]}"  # type: ignore[index]
            flow = weight.data * unit.total.grad
            words = f"weight {weight.data!r} × δ {unit.total.grad!r} = {flow!r}"
            target = f"n{place[unit.output]}"
            edges.append(Edge(f"{target}.{i}", source, target, weight.data, flow if known else None, "", words))
    notes = ["Number: the output; strip: weights and bias."]
    if known:
        notes = ["Number: the output; strips: weights and bias, below them their gradients; δ: ∂/∂z of the root."]
    if planes:
        notes.append("Square: the output over the plane of the two inputs.")
    return _scene(root, order, network, columns, edges, known, place, notes)


def layers(root: Value, order: Sequence[Value], network: Network) -> Scene:
    """A card for each layer: its weights as a matrix, a row for each unit, the bias last; the same of the gradients."""
    known = root.grad != 0.0
    place = {node: i for i, node in enumerate(order)}
    columns: list[list[Card]] = [[]]
    inputs = [x.data if isinstance(x, Value) else x for x in network.inputs]
    slopes = [x.grad for x in network.inputs if isinstance(x, Value)]
    card = Card("inputs", INPUT, "", _count(len(inputs), "input"), None, None, f"inputs {inputs!r:.400}", compact=True)
    columns[0].append(_stacked(card, [("x", _column(inputs))] + ([("∂", _column(slopes))] if known and slopes else [])))
    for i, layer in enumerate(network.layers, 1):
        held = [[*unit.weights, *([unit.bias] if unit.bias is not None else [])] for unit in layer]
        widest = max(map(len, held))  # where some have no bias, that is 0
        maps = [("W", [[p.data for p in row] + [0.0] * (widest - len(row)) for row in held])]
        if known:
            maps.append(("∂W", [[p.grad for p in row] + [0.0] * (widest - len(row)) for row in held]))
        maps.append(("f", [[unit.output.data for unit in layer]]))
        if known:
            maps.append(("δ", [[unit.total.grad for unit in layer]]))
        size = sum(map(len, held))
        words = f"layer {i}: {len(layer)} units of {len(layer[0].weights)} inputs, {size} parameters"
        card = Card(
            f"layer{i}", OPERATION, "", f"{_count(len(layer), 'unit')} of {len(layer[0].weights)}", None, None, words,
            [place[unit.output] for unit in layer], compact=True,
        )  # fmt: skip
        columns.append([_stacked(card, maps)])
    edges = [Edge(f"{b.id}.0", a.id, b.id, None, None, "", f"{a.text} to {b.text}") for (a,), (b,) in pairwise(columns)]
    below = "the gradients, the outputs f, and δ: ∂/∂z of the root" if known else "the outputs f"
    notes = [f"A row is a unit, its bias last. Below W {below}. Each has colours by its own largest number."]
    return _scene(root, order, network, columns, edges, known, place, notes)


def _stacked(card: Card, maps: list[tuple[str, list[list[float]]]]) -> Card:
    """The card with heat maps below one another, and as large as they need."""
    y = 26.0
    card.width = 118.0
    for caption, matrix in maps:
        rows = _pooled(matrix)
        cell = max(3.0, min(10.0, 160.0 / max(len(rows), len(rows[0]))))
        high = cell if len(rows) > 1 else 9.0
        card.heats.append(Heat(caption, rows, strongest(chain.from_iterable(rows)), 34.0, y, (cell, high)))
        card.width = max(card.width, 34.0 + cell * len(rows[0]) + 10.0)
        y += high * len(rows) + GAP
    card.height = y
    return card


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _column(numbers: list[float]) -> list[list[float]]:
    return [[x] for x in numbers]


def _pooled(matrix: list[list[float]]) -> list[list[float]]:
    """At most FINEST rows and columns: each cell the number of the largest size of those it stands for."""

    def slices(n: int) -> list[slice]:
        parts = min(n, FINEST)
        return [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]

    return [
        [max(chain.from_iterable(row[across] for row in matrix[down]), key=abs) for across in slices(len(matrix[0]))]
        for down in slices(len(matrix))
    ]


def _inputs(network: Network, known: bool, place: dict[Value, int]) -> list[Card]:
    cards = []
    for i, x in enumerate(network.inputs, 1):
        if isinstance(x, Value):
            name = printable(x.name or f"x{i}")
            text = f"{name}: data {x.data!r}, grad {x.grad!r}"
            card = Card(f"n{place[x]}", INPUT, "", name, x.data, x.grad if known else None, text, [place[x]])
            card.height = 46.0
        else:
            card = Card(f"x{i}", INPUT, "", f"x{i}", x, None, f"x{i} = {x!r}, a constant", height=26.0)
        card.compact = True
        cards.append(card)
    return cards


def _unit_text(name: str, unit: Unit, held: list[Value]) -> str:
    weights = ", ".join(f"{p.name or 'w'} {p.data:.4g} (grad {p.grad:.4g})" for p in held[:20])
    more = f", … {len(held) - 20} more" if len(held) > 20 else ""
    return (
        f"{name}: output {unit.output.data!r} (grad {unit.output.grad!r}), "
        f"sum {unit.total.data!r} (δ {unit.total.grad!r}); {printable(weights)}{more}"
    )


def _scene(
    root: Value,
    order: Sequence[Value],
    network: Network,
    columns: list[list[Card]],
    edges: list[Edge],
    known: bool,
    place: dict[Value, int],
    notes: list[str],
) -> Scene:
    """Columns of cards from left to right, and the loss behind them if it is not what the network gives out."""
    last = network.layers[-1]
    if root is not last[-1].output:
        text = f"{root.name or 'root'}: data {root.data!r}, grad {root.grad!r}"
        name = printable(root.name or "loss")
        grad = root.grad if known else None
        card = Card(f"n{place[root]}", OUTPUT, "", name, root.data, grad, printable(text), [place[root]], compact=True)
        card.height = 46.0
        columns.append([card])
        for i, source in enumerate(columns[-2]):
            flows = [unit.output.grad for unit in last if f"n{place[unit.output]}" == source.id]
            flow = flows[0] if flows and known else None
            words = f"∂{name}/∂{source.name} = {flow!r}" if flow is not None else f"{source.name} to {name}"
            label = f"× {len(network.samples)}" if len(network.samples) > 1 else ""
            edges.append(Edge(f"{card.id}.{i}", source.id, card.id, None, flow, "", words, label))
    headings = ["inputs", *(f"layer {i}" for i in range(1, len(network.layers) + 1)), ""]
    groups = []
    tallest = max(sum(card.height + GAP for card in column) - GAP for column in columns)
    crowd = max(map(len, columns))
    between = max(60.0, min(170.0, 40.0 + 8.0 * crowd))
    x = MARGIN
    for column, heading in zip(columns, headings, strict=False):
        width = max(card.width for card in column)
        height = sum(card.height + GAP for card in column) - GAP
        y = MARGIN + LINE + (tallest - height) / 2.0
        groups.append(Group(heading, [card.id for card in column], x, y, width, height))
        for card in column:
            card.x, card.y, card.width = x, y, width
            y += card.height + GAP
        x += width + between
    cards = list(chain.from_iterable(columns))
    by_id = {card.id: card for card in cards}
    largest: dict[float, float] = {}  # by where the column is from which edges go
    for edge in edges:
        edge.path = curve(by_id[edge.source], by_id[edge.target])
        edge.at = edge.point(0, 0.5)
        largest[edge.path[0][0]] = max(largest.get(edge.path[0][0], 0.0), strongest([edge.flow or 0.0]))
    for edge in edges:
        share = abs(edge.flow or 0.0) / (largest[edge.path[0][0]] or 1.0)
        edge.share = share if share <= 1.0 else 1.0  # also nan
    sizes = "-".join(str(len(layer)) for layer in network.layers)
    batch = f"One of {len(network.samples)} samples; the gradients of weights are of all of them."
    many = [batch] if len(network.samples) > 1 else []
    text = (
        f"A network of {len(network.inputs)} inputs and layers of {sizes} units, {len(network.parameters)} parameters, "
        f"{len(order)} values; {printable(root.name) or 'its root'} is {root.data!r}."
    )
    grads = [card.grad for card in cards if card.grad is not None and card.kind != OUTPUT]
    return Scene(
        printable(root.name) or "the network", " ".join([text, *many]), cards, edges, groups, known, strongest(grads),
        [*notes, *many], x - between + MARGIN, tallest + LINE + 2 * MARGIN,
    )  # fmt: skip


def curve(a: Card, b: Card) -> list[tuple[float, float]]:
    """From the right middle of one card to the left middle of another, as one Bézier curve."""
    x1, y1, x2, y2 = a.x + a.width, a.y + a.height / 2.0, b.x, b.y + b.height / 2.0
    bend = (x2 - x1) * 0.45
    return [(x1, y1), (x1 + bend, y1), (x2 - bend, y2), (x2, y2)]


def _planes(network: Network, order: Sequence[Value]) -> dict[Value, list[list[float]]]:
    """The output of each unit over the plane of the two inputs, rows from the top."""
    (left, right), (bottom, top) = (_range(column) for column in zip(*network.samples, strict=True))
    rows: dict[Value, list[list[float]]] = {
        unit.output: [[] for _ in range(PLANE)] for layer in network.layers for unit in layer
    }
    for i in range(PLANE):
        y = top - (top - bottom) * (i + 0.5) / PLANE
        for j in range(PLANE):
            given = [left + (right - left) * (j + 0.5) / PLANE, y]
            outputs: dict[Any, float] = {}
            for depth, layer in enumerate(network.layers):
                for unit in layer:
                    out = _output(unit, [outputs[x] for x in unit.inputs] if depth else given)
                    outputs[unit.output] = out
                    rows[unit.output][i].append(out)
    return rows


def _range(column: Sequence[Source]) -> tuple[float, float]:
    """Where the numbers of an input are, and a margin; around 0 where one sample tells no more."""
    numbers = [x.data if isinstance(x, Value) else x for x in column]
    low, high = min(numbers), max(numbers)
    if len(numbers) == 1:
        low, high = min(low, -1.25), max(high, 1.25)
    margin = 0.1 * (high - low) or 1.0
    return low - margin, high + margin


def _output(unit: Unit, given: Sequence[float]) -> float:
    """What the unit gives out when these numbers enter it."""
    z = sum(w.data * x for w, x in zip(unit.weights, given, strict=True))
    z += unit.bias.data if unit.bias is not None else 0.0
    activation = unit.output.op
    if unit.output is unit.total or activation is None:
        return z
    return activation.value(*(z if x is unit.total else x for x in unit.output.operands))
