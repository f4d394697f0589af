"""Pictures of a graph: `draw`, `draw_dot`, `print_graph` and the page of `explore`; of training: plots.

They are imported when they are first used: who only computes does not wait for them.
"""

from typing import TYPE_CHECKING

from ..lazy import later

if TYPE_CHECKING:
    from .dot import draw_dot
    from .drawing import Drawing, draw
    from .explorer import Page, explore
    from .plane import print_boundary
    from .plots import plot_boundary, plot_loss
    from .tree import print_graph

_MODULES = {
    "Drawing": "drawing",
    "Page": "explorer",
    "draw": "drawing",
    "draw_dot": "dot",
    "explore": "explorer",
    "plot_boundary": "plots",
    "plot_loss": "plots",
    "print_boundary": "plane",
    "print_graph": "tree",
}

__getattr__ = later(__name__, _MODULES)

__all__ = [
    "Drawing",
    "Page",
    "draw",
    "draw_dot",
    "explore",
    "plot_boundary",
    "plot_loss",
    "print_boundary",
    "print_graph",
]
