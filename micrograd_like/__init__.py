"""A scalar autodiff engine: build an expression, call backward, look at every gradient.

Every operation of the table is a function here, of numbers and of Values alike.

>>> from micrograd_like import Value, tanh
>>> w, x = Value(0.5, name="w"), Value(2.0, name="x")
>>> loss = (tanh(w * x) - 1) ** 2
>>> loss.backward()
>>> print(f"{loss.data:.4f} {w.grad:.4f}")
0.0568 -0.4005
"""

from typing import TYPE_CHECKING, Any

from . import byhand, data, losses, nn, optim, show, train
from .engine import Value, topological
from .ops import (
    DomainError,
    abs_ as abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    div,
    erf,
    exp,
    exp2,
    expm1,
    hypot,
    leaky_relu,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    maximum,
    minimum,
    mul,
    neg,
    pow_ as pow,
    relu,
    sigmoid,
    sin,
    sinh,
    softplus,
    sqrt,
    sub,
    tan,
    tanh,
    where,
)

if TYPE_CHECKING:
    from .byhand import compare, derive, diagnose, gradcheck
    from .show import draw, draw_dot, explore, plot_boundary, plot_loss, print_boundary, print_graph

__version__ = "0.1.0"


_BYHAND = ("compare", "derive", "diagnose", "gradcheck")
_SHOW = ("draw", "draw_dot", "explore", "plot_boundary", "plot_loss", "print_boundary", "print_graph")


def __getattr__(name: str) -> Any:
    if name not in _BYHAND + _SHOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(byhand if name in _BYHAND else show, name)  # which import them when they are used


# Not abs and pow: `from micrograd_like import *` must not replace Python's own.
__all__ = [
    "DomainError",
    "Value",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "byhand",
    "cbrt",
    "compare",
    "cos",
    "cosh",
    "data",
    "derive",
    "diagnose",
    "div",
    "draw",
    "draw_dot",
    "erf",
    "exp",
    "exp2",
    "explore",
    "expm1",
    "gradcheck",
    "hypot",
    "leaky_relu",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "losses",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "nn",
    "optim",
    "plot_boundary",
    "plot_loss",
    "print_boundary",
    "print_graph",
    "relu",
    "show",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "sub",
    "tan",
    "tanh",
    "topological",
    "train",
    "where",
]
