"""The lecture's side: gradients derived by hand, in plain floats, as the witness against the engine.

`derive` writes them, `compare` and `diagnose` check those of others, `gradcheck` checks the engine's own. These are
imported when they are first used: who only trains a network does not wait for them.
"""

from typing import TYPE_CHECKING

from ..lazy import later
from .differences import central_difference
from .lecture import ACTIVATIONS, chain_deltas, chain_gradients, layered_gradients, unrolled_gradients

if TYPE_CHECKING:
    from .checking import GradcheckError, gradcheck
    from .comparison import Comparison, compare
    from .derivation import Derivation, derive
    from .diagnosis import Diagnosis, Finding, diagnose
    from .slips import Slip

_MODULES = {
    "Comparison": "comparison",
    "Derivation": "derivation",
    "Diagnosis": "diagnosis",
    "Finding": "diagnosis",
    "GradcheckError": "checking",
    "Slip": "slips",
    "compare": "comparison",
    "derive": "derivation",
    "diagnose": "diagnosis",
    "gradcheck": "checking",
}

__getattr__ = later(__name__, _MODULES)

__all__ = [
    "ACTIVATIONS",
    "Comparison",
    "Derivation",
    "Diagnosis",
    "Finding",
    "GradcheckError",
    "Slip",
    "central_difference",
    "chain_deltas",
    "chain_gradients",
    "compare",
    "derive",
    "diagnose",
    "gradcheck",
    "layered_gradients",
    "unrolled_gradients",
]
