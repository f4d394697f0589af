"""`explore`: a graph as a page in which one sees the backward pass happen. One file that needs nothing else."""

import json
import os
from collections.abc import Sequence
from functools import cache
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from ..byhand.catalogue import catalogue
from ..byhand.graph import Graph
from ..engine import Value
from ..files import replace
from ..ops import ATOM
from . import javascript, network, scene, svg
from .drawing import MOST
from .layout import lay_out

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("math.js", "graph.js", "formula.js", "training.js", "explorer.js", "trainer.js", "main.js")
LONGEST = 24  # characters of what a node without a name is called
TOLD_APART = 40  # nodes: in larger graphs the slips of a formula would be more than the rest of the page


class Page:
    """What `explore` returns. A notebook shows it in a frame of its own; `html` is its text; `save` writes it."""

    def __init__(self, html: str, title: str):
        self.html = html
        self.title = title

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, as a whole or not at all. Returns the path.

        Raises ValueError for a name that does not end in .html, OSError where the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a page is saved as .html, not as {path.name!r}")
        replace(path, self.html.encode())
        return path

    def _repr_html_(self) -> str:
        # A frame keeps styles and keys apart; the sandbox lets scripts run and nothing else.
        return (
            f'<iframe sandbox="allow-scripts" title="{escape(self.title)}" srcdoc="{escape(self.html)}" '
            'style="width:100%;height:720px;border:1px solid #ced4da;border-radius:6px"></iframe>'
        )

    def __repr__(self) -> str:
        return f'<Page of {self.title}, {len(self.html) // 1000} kB; .save("page.html") writes it>'


def explore(root: Value | None = None) -> Page:
    """A page in which one steps through the computation of `root` and back, changes numbers, and trains networks.

    Step by step, the values appear, and then ∂root/∂node accumulates, one edge at a time, with a sentence in numbers.
    Drag a leaf, and all is computed anew, by the rules of this package. Type a formula for a gradient, and see it
    beside the engine's; what is wrong with it is said for graphs of up to 40 values. On its other side the page trains
    a small network on points of the plane; without `root` it has that side only.

    The page is one file, makes no request, runs nothing that is typed or that names contain, and works in the sandboxed
    frame of a notebook. No gradient is touched. What the page computes is the graph's own: ∂root/∂node of a single
    backward pass.

    Raises TypeError if root is no Value, ValueError for a graph of more than 2,000 values, RuntimeError as `draw` does.
    """
    if root is None:
        return Page(_page("training", "", {}), "a training")
    order = scene.nodes(root, "explore")
    if len(order) > MOST:
        raise ValueError(
            f"the graph has {len(order)} values, and nobody can step through more than {MOST}; explore a part of it "
            "(one sample instead of a batch), or draw(root) shows its network"
        )
    drawn = scene.of_boxes(root, order, scene.boxes(order), network.parameters(order, network.find(order)))
    lay_out(drawn)
    drawn.known = True  # to the page, which takes the gradients itself
    return Page(_page(drawn.title, svg.write(drawn), _data(root, order, drawn)), drawn.title)


def _data(root: Value, order: Sequence[Value], drawn: scene.Scene) -> dict[str, Any]:
    """The graph for the page's scripts."""
    graph = Graph(root, "explore", sums=True)
    labels = _labels(graph)
    place = graph.place
    known = javascript.rows()
    nodes: list[dict[str, Any]] = [
        {
            "op": node.op.name if node.op is not None else None,
            "operands": [[place[x]] if isinstance(x, Value) else _json(x) for x in node.operands],
            "data": _json(node.data),
            "label": labels[node],
            "loose": node not in graph.names and not node.name and _is_loose(node),
            "key": graph.names.get(node, ""),
            "text": _text(node, [f"{{{i}}}" for i in range(len(node.operands))]),
        }
        for node in order
    ]
    for node, written in zip(order, nodes, strict=True):
        if node.op is not None and node.op.name not in known:
            written["partials"] = [_json(slope) for slope in node.partials()]
            written["passes"] = list(node.op.passes)
    leaves = [node for node in order if node.op is None and node in graph.names]
    found = catalogue(graph, leaves, TOLD_APART)
    slips = {
        place[leaf]: {
            "value": _rounded(found.value[leaf]),
            "slips": [[_rounded(numbers), sentence] for numbers, sentence in found.slips.get(leaf, ())],
        }
        for leaf in leaves
        if found.points
    }
    return {"nodes": nodes, "width": round(drawn.width), "points": found.points, "slips": slips}


def _labels(graph: Graph) -> dict[Value, str]:
    """What each node is called: its name, or what it is computed from if that is short."""
    labels: dict[Value, str] = {}

    def label(x: Value | float) -> str:
        if not isinstance(x, Value):
            return scene.short(x)
        return f"({labels[x]})" if x not in named and _is_loose(x) else labels[x]

    named = set()
    name_of = scene.names(graph.loss)
    for i, node in enumerate(graph.order):
        if name := name_of(node):
            named.add(node)
            labels[node] = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        else:
            written = _text(node, [label(x) for x in node.operands])
            labels[node] = written if 0 < len(written) <= LONGEST else f"#{i}"
    return labels


def _is_loose(node: Value) -> bool:
    """Does what it is computed from need parentheses where something stands beside it?"""
    return node.op is not None and node.op.precedence < ATOM


def _text(node: Value, operands: list[str]) -> str:
    return node.op.text.replace(" * ", " × ").replace("-", "−").format(*operands) if node.op is not None else ""


def _json(x: float) -> float | str:
    """JSON has no word for what is not finite."""
    return x if isfinite(x) else {"inf": "Infinity", "-inf": "-Infinity"}.get(repr(x), "NaN")


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [float(f"{x:.9g}") for x in numbers]


@cache
def _script() -> str:
    parts = [(PAGE / name).read_text(encoding="utf-8").replace('"use strict";\n', "") for name in SCRIPTS]
    return "\n".join(['"use strict";', parts[0], javascript.table(), *parts[1:]])


def _page(title: str, picture: str, data: dict[str, Any]) -> str:
    # In JSON, < can only be inside a string: so written, nothing in it can end the script element.
    fills = {
        "TITLE": escape(title),
        "STYLE": (PAGE / "page.css").read_text(encoding="utf-8"),
        "PICTURE": picture,
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "SCRIPT": _script(),
    }
    before, *rest = (PAGE / "page.html").read_text(encoding="utf-8").split("<!--{")
    return before + "".join(fills[name] + after for name, after in (part.split("}-->", 1) for part in rest))
