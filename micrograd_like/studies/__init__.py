"""What the lecture says about learning, as experiments: many runs, counted and drawn.

`study(name)` does one of them, `micrograd-like study NAME` the same from the command line; the extra [study] has what
they need. Each is a module here, with the functions that `runs.Study` names.
"""

from ..lazy import later

TITLES = {
    "optima": "Local optima: where training ends depends on where it starts",
    "width": "Larger is easier: how often training succeeds, by the number of hidden units",
    "capacity": "Overcapacity: what a network learns, and what it only remembers",
    "depth": "Depth, and the product of (1 - f²) w",
}
NAMES = tuple(TITLES)

__getattr__ = later(__name__, {"study": "runs"})

__all__ = ["NAMES", "TITLES", "study"]
