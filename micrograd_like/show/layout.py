"""Where cards and edges lie: Graphviz decides, from cards of fixed size; it draws nothing."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from .scene import Edge, Scene

MARGIN = 16.0
SECONDS = 60.0  # for the layout program; what takes longer shows nothing


def find_program() -> Path:
    """Graphviz's `dot` if it is on the PATH, else graphviz-pure beside this Python or on the PATH.

    Raises RuntimeError if neither is there.
    """
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("dot") or shutil.which("graphviz-pure", path=scripts) or shutil.which("graphviz-pure")
    if found is None:
        raise RuntimeError(
            "no program to lay out the graph: pip install 'micrograd_like[viz]' brings graphviz-pure; "
            "or install Graphviz itself (apt-get install graphviz, brew install graphviz); "
            "meanwhile print_graph(root) shows the graph as text"
        )
    return Path(found)


def lay_out(scene: Scene, rankdir: str = "LR") -> None:
    """Give every card and edge of the scene its place.

    Raises RuntimeError if there is no layout program, or it fails, or takes longer than a minute.
    """
    program = find_program()
    try:
        done = subprocess.run(  # noqa: S603 - the program is Graphviz, and the text has only numbers in it
            [program, "-Tjson"],
            input=_source(scene, rankdir).encode(),
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
        _place(scene, json.loads(done.stdout))
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"{program.name} did not lay out {len(scene.cards)} cards within {SECONDS:.0f} seconds; draw a part of the "
            "graph, or the network as detail='neurons' or detail='layers'"
        ) from error
    except (OSError, subprocess.CalledProcessError, KeyError, IndexError, TypeError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        raise RuntimeError(f"{program} failed: {said.decode(errors='replace').strip():.200}") from error
    _place_labels(scene)


def _place(scene: Scene, laid: Any) -> None:
    """What Graphviz says, read into the scene."""
    left, bottom, right, top = map(float, laid["bb"].split(","))
    scene.width, scene.height = right - left + 2 * MARGIN, top - bottom + 2 * MARGIN

    def point(text: str) -> tuple[float, float]:
        x, y = map(float, text.split(",")[-2:])
        return x - left + MARGIN, top - y + MARGIN

    for node in laid.get("objects", []):
        if "pos" in node:
            card = scene.cards[int(node["name"])]
            x, y = point(node["pos"])
            card.x, card.y = x - card.width / 2.0, y - card.height / 2.0
    for drawn in laid.get("edges", []):
        edge = scene.edges[int(drawn["id"])]
        # "e,x,y" is where the tip belongs, after the curve has stopped; arrows are ours, so no tip is asked for
        edge.path = [point(text) for text in drawn["pos"].split(" ")]
    if not all(edge.path for edge in scene.edges):
        raise ValueError("it gave no place to an edge")


def _place_labels(scene: Scene) -> None:
    """Labels in the middle of edges, or as near to it as they cover neither one another nor a card."""
    boxes = [(card.x, card.y, card.x + card.width, card.y + card.height) for card in scene.cards]
    crowd = len(scene.edges) > 400  # then nobody reads them, and looking for places would take long
    for edge in sorted(scene.edges, key=_reach):  # short ones first: they have the least choice
        if not edge.label:
            continue
        half = edge.label_width / 2.0
        edge.at = edge.point(edge.curves // 2, 0.5)
        places = sorted(
            ((curve, t / 12.0) for curve in range(edge.curves) for t in range(2, 11)),
            key=lambda place: abs(sum(place) - edge.curves / 2.0),
        )
        for place in () if crowd else places:
            x, y = edge.point(*place)
            if not any(a < x + half - 1.5 and x - half < c - 1.5 and b < y + 6 and y - 6 < d for a, b, c, d in boxes):
                edge.at = x, y
                break
        boxes.append((edge.at[0] - half, edge.at[1] - 6.0, edge.at[0] + half, edge.at[1] + 6.0))


def _reach(edge: Edge) -> float:
    (x1, y1), (x2, y2) = edge.path[0], edge.path[-1]
    return abs(x2 - x1) + abs(y2 - y1)


def _source(scene: Scene, rankdir: str) -> str:
    """The scene for Graphviz: boxes of the right size, and no text, which would need a font."""
    number = {card.id: i for i, card in enumerate(scene.cards)}
    tail, head = {"LR": ("e", "w"), "RL": ("w", "e"), "TB": ("s", "n"), "BT": ("n", "s")}[rankdir]
    widest = max((edge.label_width for edge in scene.edges if edge.label), default=0.0)
    gap = max(54.0, widest + 12.0) if rankdir in ("LR", "RL") else 40.0
    lines = [
        f"digraph {{ rankdir={rankdir} nodesep=0.22 ranksep={_inches(gap)}",
        'node [shape=box fixedsize=true label=""]',
        f"edge [arrowhead=none tailport={tail} headport={head}]",
        *(f"{i} [width={_inches(card.width)} height={_inches(card.height)}]" for i, card in enumerate(scene.cards)),
        *(f"{number[edge.source]} -> {number[edge.target]} [id={i}]" for i, edge in enumerate(scene.edges)),
    ]
    return "\n".join([*lines, "}"])


def _inches(pixels: float) -> str:
    return f"{pixels / 72.0:.4f}"  # Graphviz counts 72 points to the inch; a point is a pixel here
