"""What the lecture says about learning, as experiments: many runs, counted and drawn.

`study(name)` does one of them, `micrograd-like study NAME` the same from the command line; the extra [study] has what
they need. Each is a module here, with the functions that `runs.Study` names.
"""

from ..lazy import later

NAMES = ("optima", "width", "capacity", "depth")

__getattr__ = later(__name__, {"study": "runs"})

__all__ = ["NAMES", "study"]
