"""The lecture's side: gradients derived by hand, in plain floats, as the witness against the engine."""

from .compare import Comparison, compare
from .differences import central_difference
from .lecture import ACTIVATIONS, chain_deltas, chain_gradients, layered_gradients, unrolled_gradients

__all__ = [
    "ACTIVATIONS",
    "Comparison",
    "central_difference",
    "chain_deltas",
    "chain_gradients",
    "compare",
    "layered_gradients",
    "unrolled_gradients",
]
