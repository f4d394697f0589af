"""Pictures of a graph."""

from .dot import draw_dot

__all__ = ["draw_dot"]
