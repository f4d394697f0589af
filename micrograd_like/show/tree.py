"""`print_graph`: the scene of a graph as a tree of text, from the root down to the leaves."""

import sys
from collections.abc import Iterator
from typing import TextIO

from ..engine import Value
from . import network, scene
from .drawing import VALUES
from .output import has_colors

DEPTH, LINES = 12, 200
_BLUE, _ORANGE, _FAINT, _BOLD, _GREEN, _AMBER = "38;5;32", "38;5;166", "2", "1", "38;5;71", "38;5;178"


def print_graph(
    root: Value,
    detail: str = "auto",
    depth: int = DEPTH,
    file: TextIO | None = None,
    color: bool | None = None,
) -> None:
    """Print the graph as a tree: `root`, and below each value its operands.

    A line has the operation and the name, the value, ∇ the gradient, and ∂ the local derivative of the line above it by
    this one. What is used several times is written out once, and marked with ↑ where it comes again.

    detail: "values", "folded" (sums in one line), or "auto": folded above 60 values. depth: so many levels, and 200
    lines at most; what is left out is counted.
    file: where to print, stdout unless given. color: whether to colour; by default if that is a terminal and the
    environment has no NO_COLOR; FORCE_COLOR is heeded too.

    Raises TypeError if root is no Value, ValueError for another detail or a depth below 1.
    """
    order = scene.nodes(root, "print_graph")
    if detail not in ("auto", "values", "folded"):
        raise ValueError(f"detail is 'auto', 'values' or 'folded', not {detail!r}")
    if depth < 1:
        raise ValueError(f"depth should be 1 or more, got {depth!r}")
    if detail == "auto":
        detail = "folded" if len(order) > VALUES else "values"
    parts = scene.boxes(order) if detail == "values" else scene.folded(order, scene.names(root))
    drawn = scene.of_boxes(root, order, parts, network.parameters(order, network.find(order)))
    out = file if file is not None else sys.stdout
    if out is None:
        return  # a program without a terminal may have none
    if color is None:
        color = has_colors(out)
    for line in _lines(drawn, depth, color):
        print(line, file=out)


def _lines(drawn: scene.Scene, depth: int, color: bool) -> Iterator[str]:
    cards = {card.id: card for card in drawn.cards}
    operands: dict[str, list[scene.Edge]] = {}
    for operand in drawn.edges:
        operands.setdefault(operand.target, []).append(operand)
    root = drawn.cards[-1].id if not drawn.edges else next(c.id for c in drawn.cards if c.kind == scene.OUTPUT)
    shown: set[str] = set()
    left_out, lines = False, 0
    # (edge over which it was reached, the card, what stands before it, what stands before its operands, level)
    stack: list[tuple[scene.Edge | None, str, str, str, int]] = [(None, root, "", "", 1)]
    while stack:
        edge, identity, before, below, level = stack.pop()
        card = cards[identity]
        again = identity in shown
        children = [] if again else operands.get(identity, [])
        if lines == LINES:
            left_out = True
            break
        cut = len(children) if level == depth else 0
        yield _style(before, _FAINT, color) + _line(card, edge, again, cut, color)
        lines += 1
        if cut:
            continue  # it may come again where there is room for its operands
        shown.add(identity)
        for i in reversed(range(len(children))):
            last = i == len(children) - 1
            branch, space = ("└── ", "    ") if last else ("├── ", "│   ")
            stack.append((children[i], children[i].source, below + branch, below + space, level + 1))
    if left_out:
        missing = len(drawn.cards) - len(shown)
        yield f"… and more: {missing} of {len(drawn.cards)} are not shown" if missing else "… and more of the same"


def _line(card: scene.Card, edge: scene.Edge | None, again: bool, cut: int, color: bool) -> str:
    tint = {scene.INPUT: _GREEN, scene.PARAMETER: _AMBER}.get(card.kind, _BOLD)
    name = card.name if len(card.name) <= 40 else f"{card.name[:39]}…"
    if card.kind == scene.CONSTANT:
        return _style(name, _FAINT, color)
    title = " ".join(filter(None, (card.symbol, name))) or "leaf"
    parts = [_style(title, tint, color), scene.short(card.data or 0.0)]
    if card.grad is not None:
        hue = _BLUE if card.grad > 0.0 else _ORANGE if card.grad < 0.0 else _FAINT
        parts.append(_style(f"∇ {scene.short(card.grad, sign=True)}", hue, color))
    if edge is not None and edge.partial is not None:
        parts.append(_style(f"∂ {scene.short(edge.partial)}", _FAINT, color))
    if again:
        parts.append(_style("↑ as above", _FAINT, color))
    if cut:
        parts.append(_style(f"… {cut} {'operand' if cut == 1 else 'operands'}, deeper than shown", _FAINT, color))
    return "  ".join(parts)


def _style(text: str, code: str, color: bool) -> str:
    return f"\033[{code}m{text}\033[0m" if color and text else text
