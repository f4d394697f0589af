"""The graph as a `graphviz.Digraph`: one card a node, the local partial derivative on each edge."""

from math import isfinite, log, log1p
from typing import Any

from ..engine import Value, topological

LEAF, CONSTANT, OPERATION, ROOT = "#2f9e44", "#868e96", "#4dabf7", "#7048e8"
POSITIVE, NEGATIVE, NEUTRAL = "#1971c2", "#d9480f", "#adb5bd"  # told apart by the colour-blind too


def draw_dot(root: Value, rankdir: str = "LR", limit: int = 2000) -> Any:
    """A `graphviz.Digraph` of everything `root` was computed from.

    Each node shows its operation, name, data and grad; each edge the derivative of the node it leads to by
    the one it comes from, left out where it is 1. An edge's colour and width tell the sign and size of
    what flows back over it (that derivative times the gradient of its node): blue positive, orange negative. The
    bar of a card tells a leaf (green), an operation (light blue), the root (violet) and a constant (grey). Where
    the order of operands matters, as for -, they are numbered. `x + x` has two edges. Ids count the nodes in
    topological order, so the same program gives the same text.

    `.source` needs only the Python package graphviz; `.render()`, `.pipe()` and the picture in a notebook need
    Graphviz's program `dot` or graphviz-pure, and raise RuntimeError with what to install if neither is there.

    Raises ImportError if graphviz is missing (the extra [viz] brings it and graphviz-pure), TypeError if root
    is not a Value, ValueError for a rankdir that is not LR, TB, RL or BT and for a graph of more nodes than `limit`,
    whose picture would take minutes and show nothing.
    """
    if not isinstance(root, Value):
        raise TypeError(f"draw_dot draws the graph of a Value, not {type(root).__name__} {root!r:.60}")
    if rankdir not in ("LR", "TB", "RL", "BT"):
        raise ValueError(f"rankdir is LR, TB, RL or BT, not {rankdir!r}")
    try:
        from ._digraph import Drawing
    except ImportError as error:
        raise ImportError("drawing needs graphviz: pip install 'micrograd_like[viz]'") from error

    order = topological(root)
    if len(order) > limit:
        raise ValueError(
            f"the graph has {len(order)} nodes, more than the limit of {limit} up to which a picture can be read; "
            "draw a part of it (one sample instead of a batch, one neuron instead of a network) or set limit="
        )
    ids = {node: f"n{i}" for i, node in enumerate(order)}
    known = root.op is None or root.grad != 0.0  # has backward been called?
    strongest = max((abs(node.grad) for node in order if isfinite(node.grad)), default=0.0)

    graph = Drawing(
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
    for node in order:
        ordered = node.op is not None and node.op.arity > 1 and not node.op.commutative
        kind = ROOT if node is root else LEAF if node.op is None else OPERATION
        graph.node(ids[node], _card(node, kind, known, strongest), tooltip=_tooltip(node))
        for i, (operand, partial) in enumerate(zip(node.operands, node.partials(), strict=True)):
            place = str(i + 1) if ordered else ""
            if isinstance(operand, Value):
                flow = partial * node.grad
                graph.edge(
                    ids[operand],
                    ids[node],
                    label="" if partial == 1.0 else f" {_short(partial)} ",
                    color=_colour(flow) if known else NEUTRAL,
                    headlabel=place,
                    penwidth=f"{0.8 + 2.2 * _strength(flow, strongest):.2f}",
                    tooltip=f"local {partial!r} × upstream {node.grad!r} = {flow!r}",
                )
            else:
                constant = f"{ids[node]}c{i}"
                graph.node(constant, _constant(operand), tooltip=f"constant {operand!r}")
                graph.edge(constant, ids[node], color=NEUTRAL, headlabel=place, penwidth="0.80")
    return graph


def _short(x: float) -> str:
    return f"{x:.4g}"


def _strength(x: float, strongest: float) -> float:
    """0 … 1, by the logarithm: a linear scale hides small gradients, a plain logarithm has no zero."""
    if not isfinite(x) or strongest == 0.0:
        return 1.0 if x else 0.0
    return min(1.0, log1p(9.0 * abs(x) / strongest) / log(10.0))


def _colour(x: float) -> str:
    return POSITIVE if x > 0.0 else NEGATIVE if x < 0.0 else NEUTRAL


def _tint(x: float, strongest: float) -> str:
    """The colour of x's sign, mixed with white so that text on it stays readable."""
    share = 0.6 * _strength(x, strongest)
    channels = (int(_colour(x)[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - channel)):02x}" for channel in channels)


def _label(text: str, longest: int = 24) -> str:
    """A user's text inside an HTML label: printable, escaped, cut to what fits a card."""
    from html import escape

    text = "".join(c if c.isprintable() else " " for c in text)
    return escape(text if len(text) <= longest else f"{text[: longest - 3]}...")


def _tooltip(node: Value) -> str:
    import graphviz

    name = "".join(c if c.isprintable() else " " for c in node.name)
    what = " ".join(filter(None, (name, node._op))) or "leaf"
    return str(graphviz.escape(f"{what}: data {node.data!r}, grad {node.grad!r}"))


def _row(caption: str, number: str, background: str = "white") -> str:
    return (
        f'<TR><TD ALIGN="LEFT" BGCOLOR="{background}"><FONT POINT-SIZE="9" COLOR="#495057">{caption}</FONT></TD>'
        f'<TD ALIGN="RIGHT" BGCOLOR="{background}"><FONT FACE="Courier">{number}</FONT></TD></TR>'
    )


def _table(bar: str, rows: int, title: str, body: str) -> str:
    return (
        '<<TABLE BORDER="1" COLOR="#ced4da" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" BGCOLOR="white">'
        f'<TR><TD ROWSPAN="{rows}" WIDTH="5" BGCOLOR="{bar}"></TD>'
        f'<TD COLSPAN="2" ALIGN="LEFT">{title}</TD></TR>{body}</TABLE>>'
    )


def _card(node: Value, kind: str, known: bool, strongest: float) -> str:
    name = _label(node.name)
    if node.op is None:
        title = f"<B>{name or 'leaf'}</B>"
    else:
        title = f"<B>{_label(node._op)}</B>" + (f'    <FONT COLOR="#868e96">{name}</FONT>' if name else "")
    if known:
        grad = _row("grad", f"{node.grad:+.4g}" if node.grad else "0", _tint(node.grad, strongest))
    else:
        grad = _row("grad", "none yet")
    return _table(kind, 3, title, _row("data", _short(node.data)) + grad)


def _constant(x: float) -> str:
    return _table(CONSTANT, 1, f'<FONT FACE="Courier">{_short(x)}</FONT>', "")
