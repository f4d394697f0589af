"""`draw`: the picture of a graph, in the detail that its size allows, as SVG, PNG, PDF, page or text for Graphviz."""

import os
from collections.abc import Sequence
from pathlib import Path
from unicodedata import category, normalize

from ..engine import Value
from ..files import replace
from . import grids, network, scene, svg
from .layout import lay_out

DETAILS = ("auto", "values", "folded", "neurons", "layers")
VALUES, FOLDED = 60, 150  # values, up to which a graph is drawn with all of them; a network, with sums folded
MOST, MOST_EDGES = 2000, 10_000  # cards and edges; of more the layout takes minutes, and nobody can read them
PIXELS = 60_000_000  # of a PNG
RANKDIRS = ("LR", "TB", "RL", "BT")


class Drawing:
    """What `draw` returns. A notebook shows it; `svg` is its text; `save` writes it to a file.

    scene: the picture as plain data. detail: the one that was chosen.
    """

    def __init__(self, root: Value, scene: scene.Scene, detail: str, rankdir: str = "LR"):
        self._root, self._rankdir = root, rankdir
        self.scene = scene
        self.detail = detail
        self.svg = svg.write(scene)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return (
            f"<Drawing of {self.scene.title}, detail {self.detail!r}: {len(self.scene.cards)} cards, "
            f'{len(self.scene.edges)} edges; .save("graph.svg") writes it>'
        )

    def save(self, path: str | os.PathLike[str], scale: float = 2.0) -> Path:
        """Write the picture to a file; its name's ending says how. Returns the path.

        .svg: the picture itself. .png: `scale` pixels for each of its own; needs resvg_py, of the extra [viz].
        .pdf: needs vl-convert-python, the extra [pdf]. .html: the page of `explore`. .dot: the text of `draw_dot`.

        The file is replaced as a whole or not at all. Raises ValueError for another ending, ImportError where a
        package is missing, OSError where the file cannot be written.
        """
        path = Path(path)
        writers = {".svg": self._svg, ".png": self._png, ".pdf": self._pdf, ".html": self._html, ".dot": self._dot}
        writer = writers.get(path.suffix.lower())
        if writer is None:
            raise ValueError(f"a drawing is saved as {', '.join(writers)}, not as {path.name!r}")
        replace(path, writer(scale))
        return path

    def _svg(self, scale: float) -> bytes:
        return self.svg.encode()

    def _png(self, scale: float) -> bytes:
        if not 0.0 < scale <= 20.0:
            raise ValueError(f"scale should be above 0 and at most 20, got {scale!r}")
        try:
            import resvg_py
        except ImportError as error:
            raise ImportError("saving as PNG needs resvg_py: pip install 'micrograd_like[viz]'") from error
        width, height = (round(size * scale) for size in svg.size(self.scene))
        if width * height > PIXELS:
            raise ValueError(
                f"the PNG would have {width} × {height} pixels, which takes long and opens nowhere; choose a scale "
                f"below {scale:g}, or save the picture as .svg"
            )
        fonts = [str(path) for path in sorted(FONTS.glob("*.ttf"))]
        return bytes(resvg_py.svg_to_bytes(svg_string=self.svg, zoom=scale, font_files=fonts))

    def _pdf(self, scale: float) -> bytes:
        try:
            import vl_convert
        except ImportError as error:
            raise ImportError("saving as PDF needs vl-convert-python: pip install 'micrograd_like[pdf]'") from error
        vl_convert.register_font_directory(str(FONTS))
        # It fails at marks that stand on other characters, and at emoji of several.
        plain = "".join(c for c in normalize("NFC", self.svg) if category(c) not in ("Mn", "Me", "Mc", "Cf"))
        plain = "".join(c if ord(c) < 0x10000 else "□" for c in plain)
        return bytes(vl_convert.svg_to_pdf(plain))

    def _html(self, scale: float) -> bytes:
        from .explorer import explore

        return explore(self._root).html.encode()

    def _dot(self, scale: float) -> bytes:
        from .dot import draw_dot

        return str(draw_dot(self._root, self._rankdir, limit=10**9).source).encode()


FONTS = Path(__file__).parent / "fonts"


def draw(root: Value, detail: str = "auto", rankdir: str = "LR", force: bool = False) -> Drawing:
    """The picture of everything `root` was computed from.

    detail: what one card stands for.
        "values": a value; its operation, name, data and gradient, and on each edge the local derivative, where it is
        not 1. "folded": the same, with sums of several terms, x * -1 and x ** -1 in one card and constants inside.
        "neurons": a unit of a network, with its weights, their gradients, δ, and for two inputs its output over their
        plane; a batch of samples is shown by its first. "layers": a layer, its weights and their gradients as matrices.
        "auto": the first of these that can be read, by size.
    rankdir: the direction of the graph, LR, TB, RL or BT; networks go from left to right.
    force: draw even more cards than can be read.

    Colours and widths tell the gradient: blue is positive, orange negative, and the number has its sign. A green bar is
    an input, an amber one a parameter, light blue an operation, violet the root. Pointing at something shows all its
    digits. The same program gives the same bytes. No gradient is touched; before `backward()` there are none to show.

    Raises TypeError if root is no Value, ValueError for an unknown detail or direction, a graph that has no network
    where one is asked for, and more cards than can be read; RuntimeError where the layout program is missing, fails or
    takes longer than a minute. "neurons" and "layers" need no such program.
    """
    order = scene.nodes(root, "draw")
    if detail not in DETAILS:
        raise ValueError(f"detail is one of {', '.join(map(repr, DETAILS))}, not {detail!r}")
    if rankdir not in RANKDIRS:
        raise ValueError(f"rankdir is LR, TB, RL or BT, not {rankdir!r}")
    net = network.find(order)
    if detail in ("neurons", "layers") and net is None:
        raise ValueError(
            f"detail={detail!r} shows a network, and the graph has none: no units f(Σ w x + b) in layers; "
            "detail='values' and detail='folded' show any graph"
        )
    parts: list[scene.Box] = []
    if detail == "auto":
        detail, parts = _readable(root, order, net)
    elif detail in ("values", "folded"):
        parts = _boxes(root, order, detail)
    cards, edges = _counted(detail, parts, net)
    if not force and (cards > MOST or edges > MOST_EDGES):
        raise ValueError(_too_many(detail, cards, edges, len(order), net))
    if detail in ("neurons", "layers") and net is not None:
        view = grids.neurons if detail == "neurons" else grids.layers
        return Drawing(root, view(root, order, net), detail)
    drawn = scene.of_boxes(root, order, parts, network.parameters(order, net))
    lay_out(drawn, rankdir)
    return Drawing(root, drawn, detail, rankdir)


def _readable(root: Value, order: Sequence[Value], net: network.Network | None) -> tuple[str, list[scene.Box]]:
    """The first detail in which the graph can be read, and its boxes."""
    if len(order) <= VALUES:
        return "values", _boxes(root, order, "values")
    if len(order) <= FOLDED or net is None:
        return "folded", _boxes(root, order, "folded")
    return ("neurons" if max(len(net.inputs), *map(len, net.layers)) <= grids.TALLEST else "layers"), []


def _boxes(root: Value, order: Sequence[Value], detail: str) -> list[scene.Box]:
    if detail == "values":
        return list(scene.boxes(order))
    return list(scene.folded(order, scene.names(root)))


def _counted(detail: str, parts: Sequence[scene.Box], net: network.Network | None) -> tuple[int, int]:
    """How many cards and edges the picture would have."""
    if net is not None and detail in ("neurons", "layers"):
        if detail == "layers":
            return len(net.layers) + 2, len(net.layers) + 1
        units = [unit for layer in net.layers for unit in layer]
        return len(net.inputs) + len(units) + 1, sum(len(unit.weights) for unit in units)
    constants = sum(isinstance(x, float) for box in parts for x, _ in box.operands)
    return len(parts) + constants, sum(len(box.operands) for box in parts)


def _too_many(detail: str, cards: int, edges: int, values: int, net: network.Network | None) -> str:
    cure = "draw a part of it (one sample instead of a batch, one unit instead of a network)"
    if net is not None:
        cure = "detail='layers' shows its network"
        if detail != "neurons":
            cure = "detail='neurons' or detail='layers' shows its network"
    most = f"{cards} cards" if cards > MOST else f"{edges} edges between cards"
    return (
        f"detail={detail!r} would be {most} of the graph's {values} values, and more than "
        f"{MOST if cards > MOST else MOST_EDGES} cannot be read; {cure}, print_graph(root) shows what is next to the "
        "root, force=True draws it all the same"
    )
