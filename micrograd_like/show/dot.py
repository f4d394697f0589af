"""The graph as a `graphviz.Digraph`, for those who go on with it in Graphviz: a card a node, partials on the edges."""

from typing import Any

from ..engine import Value
from . import network, scene

BARS = {
    scene.INPUT: "#2f9e44", scene.PARAMETER: "#f59f00", scene.OPERATION: "#4dabf7", scene.OUTPUT: "#7048e8",
    scene.CONSTANT: "#868e96",
}  # fmt: skip
POSITIVE, NEGATIVE, NEUTRAL = "#1971c2", "#d9480f", "#adb5bd"  # told apart by the colour-blind too


def draw_dot(root: Value, rankdir: str = "LR", limit: int = 2000) -> Any:
    """A `graphviz.Digraph` of everything `root` was computed from, as micrograd's function of that name.

    What it shows is what `draw(root, detail="values")` shows, in Graphviz's own drawing, which can be changed and
    rendered by Graphviz's means. `x + x` has two edges. Ids count the nodes in topological order, so the same program
    gives the same text.

    `.source` needs only the Python package graphviz; `.render()`, `.pipe()` and the picture in a notebook need
    Graphviz's program `dot` or graphviz-pure, and raise RuntimeError with what to install if neither is there.

    Raises ImportError if graphviz is missing (the extra [viz] brings it and graphviz-pure), TypeError if root
    is not a Value, ValueError for a rankdir that is not LR, TB, RL or BT and for a graph of more nodes than `limit`,
    whose picture would take minutes and show nothing.
    """
    order = scene.nodes(root, "draw_dot")
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir is LR, TB, RL or BT, not {rankdir!r}")
    try:
        from ._digraph import Digraph
    except ImportError as error:
        raise ImportError("draw_dot needs graphviz: pip install 'micrograd_like[viz]'") from error
    if len(order) > limit:
        raise ValueError(
            f"the graph has {len(order)} nodes, more than the limit of {limit} up to which a picture can be read; "
            "draw a part of it (one sample instead of a batch, one neuron instead of a network), set limit=, or use "
            "draw(), which shows networks by their units and layers"
        )
    drawn = scene.of_boxes(root, order, scene.boxes(order), network.parameters(order, network.find(order)))
    graph = Digraph(
        format="svg",
        graph_attr={"rankdir": rankdir, "nodesep": "0.25", "ranksep": "0.6", "bgcolor": "white"},
        node_attr={"shape": "plain", "fontname": "Helvetica", "fontsize": "12"},
        edge_attr={
            "fontname": "Courier",
            "fontsize": "10",
            "fontcolor": "#495057",
            "arrowsize": "0.7",
            "labeldistance": "1.8",
        },
    )
    for card in drawn.cards:
        graph.node(card.id, _card(card, drawn.strongest), tooltip=_tooltip(card.text))
    for edge in drawn.edges:
        graph.edge(
            edge.source,
            edge.target,
            label=f" {_ascii(edge.label)} " if edge.label else "",
            color=_colour(edge.flow or 0.0),
            headlabel=edge.place,
            penwidth=f"{0.8 + 2.2 * edge.share:.2f}",
            tooltip=_tooltip(edge.text),
        )
    return graph


def _tooltip(text: str) -> str:
    import graphviz

    return str(graphviz.escape(text.replace("&", "&amp;")))  # Graphviz reads entities, also in plain text


def _colour(x: float) -> str:
    return POSITIVE if x > 0.0 else NEGATIVE if x < 0.0 else NEUTRAL


def _tint(x: float, strongest: float) -> str:
    """The colour of x's sign, mixed with white so that text on it stays readable."""
    share = 0.6 * scene.strength(x, strongest)
    channels = (int(_colour(x)[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - channel)):02x}" for channel in channels)


def _ascii(text: str) -> str:
    """Signs whose width Graphviz knows without a font."""
    return text.replace("−", "-").replace("×", "*").replace("÷", "/")


def _label(text: str, longest: int = 24) -> str:
    """A user's text inside an HTML label: escaped, cut to what fits a card."""
    from html import escape

    return escape(text if len(text) <= longest else f"{text[: longest - 3]}...")


def _row(caption: str, number: str, background: str = "white") -> str:
    return (
        f'<TR><TD ALIGN="LEFT" BGCOLOR="{background}"><FONT POINT-SIZE="9" COLOR="#495057">{caption}</FONT></TD>'
        f'<TD ALIGN="RIGHT" BGCOLOR="{background}"><FONT FACE="Courier">{_ascii(number)}</FONT></TD></TR>'
    )


def _card(card: scene.Card, strongest: float) -> str:
    name, body, rows = _label(card.name), "", 1
    if card.kind == scene.CONSTANT:
        title = f'<FONT FACE="Courier">{_ascii(name)}</FONT>'
    elif card.symbol:
        grey = f'    <FONT COLOR="#868e96">{name}</FONT>' if name else ""
        title = f"<B>{_label(_ascii(card.symbol))}</B>{grey}"
    else:
        title = f"<B>{name or 'leaf'}</B>"
    if card.data is not None and card.kind != scene.CONSTANT:
        known = card.grad is not None
        grad = scene.short(card.grad, sign=True) if card.grad is not None else "none yet"
        tint = _tint(card.grad, strongest) if known and card.grad else "white"
        body, rows = _row("data", scene.short(card.data)) + _row("grad", grad, tint), 3
    return (
        '<<TABLE BORDER="1" COLOR="#ced4da" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" BGCOLOR="white">'
        f'<TR><TD ROWSPAN="{rows}" WIDTH="5" BGCOLOR="{BARS[card.kind]}"></TD>'
        f'<TD COLSPAN="2" ALIGN="LEFT">{title}</TD></TR>{body}</TABLE>>'
    )
