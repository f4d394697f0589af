"""The lecture's side: gradients derived by hand, in plain floats, as the witness against the engine."""

from .checking import GradcheckError, gradcheck
from .compare import Comparison, compare
from .derivation import Derivation, derive
from .diagnosis import Diagnosis, Finding, diagnose
from .differences import central_difference
from .lecture import ACTIVATIONS, chain_deltas, chain_gradients, layered_gradients, unrolled_gradients
from .slips import Slip

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
