"""The lecture's side: gradients derived by hand, in plain floats, as the witness against the engine."""

from .differences import central_difference
from .lecture import ACTIVATIONS, chain_deltas, chain_gradients, layered_gradients, unrolled_gradients

__all__ = [
    "ACTIVATIONS",
    "central_difference",
    "chain_deltas",
    "chain_gradients",
    "layered_gradients",
    "unrolled_gradients",
]
