"""Where cards and edges lie: Graphviz decides, from cards of fixed size; it draws nothing."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

from .scene import Scene

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
        laid = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"{program.name} did not lay out {len(scene.cards)} cards within {SECONDS:.0f} seconds; draw a part of the "
            "graph, or the network as detail='neurons' or detail='layers'"
        ) from error
    except (subprocess.CalledProcessError, BrokenPipeError, ValueError) as error:
        raise RuntimeError(f"{program} failed: {getattr(error, 'stderr', b'')!r:.200}") from error
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


def _source(scene: Scene, rankdir: str) -> str:
    """The scene for Graphviz: boxes of the right size, and no text, which would need a font."""
    number = {card.id: i for i, card in enumerate(scene.cards)}
    tail, head = {"LR": ("e", "w"), "RL": ("w", "e"), "TB": ("s", "n"), "BT": ("n", "s")}[rankdir]
    lines = [
        f"digraph {{ rankdir={rankdir} nodesep=0.22 ranksep={0.75 if rankdir in ('LR', 'RL') else 0.5}",
        'node [shape=box fixedsize=true label=""]',
        f"edge [arrowhead=none tailport={tail} headport={head}]",
        *(f"{i} [width={_inches(card.width)} height={_inches(card.height)}]" for i, card in enumerate(scene.cards)),
        *(f"{number[edge.source]} -> {number[edge.target]} [id={i}]" for i, edge in enumerate(scene.edges)),
    ]
    return "\n".join([*lines, "}"])


def _inches(pixels: float) -> str:
    return f"{pixels / 72.0:.4f}"  # Graphviz counts 72 points to the inch; a point is a pixel here
