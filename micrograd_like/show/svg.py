"""A scene as SVG: one file without scripts, fonts or links, light or dark as the reader's system is."""

from collections.abc import Iterator
from html import escape
from math import hypot

from .measure import fitted, measured
from .scene import CONSTANT, INPUT, LINE, OPERATION, OUTPUT, PARAMETER, Card, Edge, Group, Heat, Scene, short, strength

LEGEND = 17.0  # the height of a line of it
STEPS = 8  # shades of a heat map: cells of one shade are one path
CROWD = 100  # edges; among more the strong ones are to be seen, and no arrow's head

KINDS = (INPUT, PARAMETER, OPERATION, OUTPUT, CONSTANT)

LIGHT = {
    "ink": "#212529", "faint": "#6c757d", "paper": "#fff", "card": "#fff", "line": "#ced4da", "shade": "#f1f3f5",
    "pos": "#1971c2", "neg": "#d9480f", "zero": "#adb5bd",
}  # fmt: skip
DARK = {
    "ink": "#e9ecef", "faint": "#adb5bd", "paper": "#16191d", "card": "#212529", "line": "#495057", "shade": "#2b3035",
    "pos": "#74c0fc", "neg": "#ff922b", "zero": "#868e96",
}  # fmt: skip


def _colours(of: dict[str, str]) -> str:
    # Inside .mgl, since a notebook puts the style sheets of all pictures into one page; no variables, which
    # programs that turn SVG into PNG or PDF do not know.
    return (
        f".mgl text{{fill:{of['ink']}}}.mgl .faint{{fill:{of['faint']}}}.mgl .paper{{fill:{of['paper']}}}"
        f".mgl .card{{fill:{of['card']};stroke:{of['line']}}}.mgl .shade{{fill:{of['shade']}}}"
        f".mgl .edge{{fill:none;stroke:{of['zero']}}}"
        + "".join(
            f".mgl .{sign}{{fill:{of[sign]}}}.mgl .edge.{sign}{{fill:none;stroke:{of[sign]}}}"
            for sign in ("pos", "neg", "zero")
        )
    )


STYLE = (
    '.mgl{font-family:"DejaVu Sans",Verdana,Helvetica,Arial,sans-serif}'
    '.mgl .number{font-family:"DejaVu Sans Mono",Menlo,Consolas,monospace}'
    ".mgl .hit{fill:none;stroke:#000;stroke-opacity:0;stroke-width:9px}"
    ".mgl .input{fill:#2f9e44}.mgl .parameter{fill:#f59f00}.mgl .operation{fill:#4dabf7}.mgl .output{fill:#7048e8}"
    f".mgl .constant{{fill:#868e96}}{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"
)


def write(scene: Scene) -> str:
    """The scene as the text of an SVG file. Cards and edges have their ids as data-id, by which a script finds them."""
    legend = list(_legend(scene))
    width, height = size(scene)
    crowd = len(scene.edges) > CROWD
    box = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mgl" role="img" {box}>',
        f"<title>{_text(scene.title)}</title><desc>{_text(scene.text)}</desc>",
        f'<style>{STYLE}</style><rect class="paper" width="100%" height="100%"/>',
        *(_group(group) for group in scene.groups),
        *(_edge(edge, crowd) for edge in sorted(scene.edges, key=lambda edge: edge.share)),
        *(_card(card, scene.strongest) for card in scene.cards),
        *(_label(edge) for edge in scene.edges if edge.label),
        *(_place(edge) for edge in scene.edges if edge.place),
        f'<g transform="translate(16,{_n(scene.height)})" font-size="11">{"".join(legend)}</g>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def size(scene: Scene) -> tuple[float, float]:
    """The width and height of the picture, which has the legend below the scene."""
    legend = [sum(_entry(label) for _, label in _entries(scene)), *(measured(note, 11.0) for note in scene.notes)]
    return max(scene.width, 32.0 + max(legend)), scene.height + LEGEND * (1 + len(scene.notes)) + 8.0


def _n(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))


def _sign(x: float | None) -> str:
    """The class of what is coloured by the sign of x."""
    return "zero" if not x or x != x else "pos" if x > 0.0 else "neg"


def _card(card: Card, strongest: float) -> str:
    width, height = card.width, card.height
    right = width - 8.0
    bar = f"M6 .5A6.5 6.5 0 0 0 .5 7V{_n(height - 7)}A6.5 6.5 0 0 0 6 {_n(height - 0.5)}z"
    parts = [
        f'<rect class="card" width="{_n(width)}" height="{_n(height)}" rx="7"/>',
        f'<path class="{card.kind}" d="{bar}"/>',
    ]
    if card.kind == CONSTANT:
        parts.append(_number(card.name, right, 17.0))
    else:
        shown = "" if card.data is None else short(card.data)
        room = right - 13.0 - (7.3 * min(len(shown), 9) + 4.0 if card.compact else 0.0)
        symbol = fitted(card.symbol, 12.5, room)
        title = f'<tspan font-weight="700">{_text(symbol)}</tspan>' if symbol else ""
        room -= measured(symbol, 12.5) + 6.0 if symbol else 0.0
        name = fitted(card.name, 12.5, room) if room > 20.0 else ""
        if name:
            weight = ' class="faint" dx="6"' if symbol else ' font-weight="700"'
            title += f"<tspan{weight}>{_text(name)}</tspan>"
        parts.append(f'<text x="13" y="16" font-size="12.5">{title or "leaf"}</text>')
        parts.append(_number(shown, right, 16.0) if card.compact else _row("data", shown, 13.0, right, 34.0))
        if card.grad is not None or not card.compact:
            parts.append(_grad(card, strongest, right))
    parts += [_heat(heat) for heat in card.heats]
    place = f"translate({_n(card.x)},{_n(card.y)})"
    return f'<g data-id="{card.id}" transform="{place}"><title>{_text(card.text)}</title>{"".join(parts)}</g>'


def _grad(card: Card, strongest: float, right: float) -> str:
    """The last row, tinted; beside a picture that reaches down to it."""
    top = card.height - LINE
    pictures = [heat.x + heat.cell[0] * len(heat.rows[0]) for heat in card.heats if heat.y + _high(heat) > top]
    left = max(pictures, default=2.5) + 3.5
    shape = f"M{_n(left)} {_n(top)}H{_n(card.width - 0.5)}V{_n(card.height - 7)}a6.5 6.5 0 0 1-6.5 6.5H{_n(left)}z"
    opacity = 0.08 + 0.5 * strength(card.grad, strongest) if card.grad else 0.0
    number = "·" if card.grad is None else short(card.grad, sign=True)
    tint = f'<path class="{_sign(card.grad)}" fill-opacity="{opacity:.2f}" d="{shape}"/>'
    return tint + _row(card.caption, number, left + 7.0, right, card.height - 6.0)


def _row(caption: str, number: str, left: float, right: float, y: float) -> str:
    return f'<text class="faint" x="{_n(left)}" y="{_n(y)}" font-size="9.5">{caption}</text>{_number(number, right, y)}'


def _number(number: str, right: float, y: float) -> str:
    size = 12.0 * min(1.0, 9.0 / max(len(number), 1))  # nine characters fit; −1.234e−300 has to be smaller
    return f'<text class="number" x="{_n(right)}" y="{_n(y)}" text-anchor="end" font-size="{_n(size)}">{number}</text>'


def _heat(heat: Heat) -> str:
    """Cells of one colour in one path, neighbours in a row in one piece."""
    wide, high = heat.cell
    shades: dict[tuple[str, int], list[str]] = {}
    for i, row in enumerate(heat.rows):
        colours = [(_sign(x), round(STEPS * strength(x, heat.strongest))) for x in row]
        start = 0
        for j in range(1, len(row) + 1):
            if j == len(row) or colours[j] != colours[start]:
                piece = (
                    f"M{_n(start * wide)} {i * high:.2f}h{(j - start) * wide:.2f}v{high:.2f}h{(start - j) * wide:.2f}z"
                )
                shades.setdefault(colours[start], []).append(piece)
                start = j
    box = f'<rect class="shade" width="{_n(wide * len(heat.rows[0]))}" height="{_n(_high(heat))}"/>'
    cells = "".join(
        f'<path class="{sign}" fill-opacity="{step / STEPS:.2f}" d="{"".join(pieces)}"/>'
        for (sign, step), pieces in sorted(shades.items())
        if step
    )
    caption = f'<text class="faint" x="-5" y="8" text-anchor="end" font-size="9">{heat.caption}</text>'
    return f'<g transform="translate({_n(heat.x)},{_n(heat.y)})">{caption if heat.caption else ""}{box}{cells}</g>'


def _high(heat: Heat) -> float:
    return heat.cell[1] * len(heat.rows)


def _edge(edge: Edge, crowd: bool) -> str:
    sign, path = _sign(edge.flow), _path(edge.path)
    width = 0.7 + 2.3 * edge.share
    if crowd:
        opacity = 0.1 + 0.8 * edge.share
        style = f'stroke-width="{width:.1f}" stroke-opacity="{opacity:.2f}"'
        title = f"<title>{_text(edge.text)}</title>"
        return f'<path data-id="{edge.id}" class="edge {sign}" {style} d="{path}">{title}</path>'
    line = f'<path class="edge {sign}" stroke-width="{width:.1f}" d="{path}"/>'
    title = f"<title>{_text(edge.text)}</title>"
    return f'<g data-id="{edge.id}">{title}<path class="hit" d="{path}"/>{line}{_tip(edge, sign, width)}</g>'


def _path(points: list[tuple[float, float]]) -> str:
    (x, y), *rest = points
    return f"M{_n(x)} {_n(y)}C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in rest)


def _tip(edge: Edge, sign: str, width: float) -> str:
    """The arrow's head, in the direction in which the path ends."""
    (x1, y1), (x2, y2) = edge.path[-2:]
    length = hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    long, half = 5.0 + 1.5 * width, 2.0 + 0.9 * width
    ax, ay = x2 - long * ux, y2 - long * uy
    corners = ((x2, y2), (ax - half * uy, ay + half * ux), (ax + half * uy, ay - half * ux))
    return f'<path class="{sign}" d="M{"L".join(f"{_n(x)} {_n(y)}" for x, y in corners)}z"/>'


def _label(edge: Edge) -> str:
    """What stands in the middle of the edge, on a small piece of paper."""
    (x, y), wide = edge.at, edge.label_width
    return (
        f'<g data-label="{edge.id}"><rect class="paper" x="{_n(x - wide / 2)}" y="{_n(y - 6)}" width="{_n(wide)}" '
        f'height="12" rx="3"/><text class="number" x="{_n(x)}" y="{_n(y + 3.5)}" text-anchor="middle" '
        f'font-size="10">{_text(edge.label)}</text></g>'
    )


def _place(edge: Edge) -> str:
    """The number of the operand beside the arrow's head, on the side from which the edge comes."""
    (x0, y0), (x1, y1), (x2, y2) = edge.path[0], *edge.path[-2:]
    length = hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    side = 8.0 if (y0 - y2) * ux - (x0 - x2) * uy > 0.0 else -8.0
    back = 13.0 + 9.0 * (int(edge.place) - 1)  # one behind the other, for all end at one point
    x, y = x2 - back * ux - side * uy, y2 - back * uy + side * ux
    return f'<text class="faint" x="{_n(x)}" y="{_n(y + 3.0)}" text-anchor="middle" font-size="9">{edge.place}</text>'


def _group(group: Group) -> str:
    return (
        f'<text class="faint" x="{_n(group.x + group.width / 2)}" y="{_n(group.y - 8)}" text-anchor="middle" '
        f'font-size="11">{_text(group.label)}</text>'
    )


def _entries(scene: Scene) -> list[tuple[str, str]]:
    kinds = {card.kind for card in scene.cards}
    gradients = [("pos", "gradient > 0"), ("neg", "gradient < 0")] if scene.known else []
    if scene.groups:  # where weights and outputs have these colours too
        gradients = [("pos", "above 0"), ("neg", "below 0")]
    return [(kind, kind) for kind in KINDS if kind in kinds] + gradients


def _entry(label: str) -> float:
    """How wide an entry of the legend is."""
    return 28.0 + measured(label, 11.0)


def _legend(scene: Scene) -> Iterator[str]:
    """What the colours mean, as far as they are there, and the notes, each on a line."""
    x = 0.0
    for colour, label in _entries(scene):
        yield f'<rect class="{colour}" x="{_n(x)}" width="10" height="10" rx="2"/>'
        yield f'<text class="faint" x="{_n(x + 14)}" y="9">{_text(label)}</text>'
        x += _entry(label)
    for i, note in enumerate(scene.notes, 1):
        yield f'<text class="faint" y="{_n(9 + i * LEGEND)}">{_text(note)}</text>'
