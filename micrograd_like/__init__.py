"""A scalar autodiff engine: build an expression, call backward, look at every gradient.

Every operation of the table is a function here, of numbers and of Values alike.

>>> from micrograd_like import Value, tanh
>>> w, x = Value(0.5, name="w"), Value(2.0, name="x")
>>> loss = (tanh(w * x) - 1) ** 2
>>> loss.backward()
>>> print(f"{loss.data:.4f} {w.grad:.4f}")
0.0568 -0.4005
"""

from typing import TYPE_CHECKING

from . import byhand, data, losses, nn, optim, show, train
from .engine import Value
from .lazy import later
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
from .walks import topological

if TYPE_CHECKING:
    from .byhand import compare, derive, diagnose, gradcheck
    from .capacity import diagnose_capacity
    from .checkpointing import checkpoint
    from .compiler import compile
    from .extend import custom, stop_gradient
    from .recording import detect_anomaly, no_grad
    from .saving import load, save
    from .show import draw, draw_dot, explore, plot_boundary, plot_loss, print_boundary, print_graph
    from .transforms import derivative, grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

_LATER = {
    **dict.fromkeys(("compare", "derive", "diagnose", "gradcheck"), "byhand"),
    **dict.fromkeys(
        ("draw", "draw_dot", "explore", "plot_boundary", "plot_loss", "print_boundary", "print_graph"), "show"
    ),
    **dict.fromkeys(
        ("derivative", "grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"), "transforms"
    ),
    **dict.fromkeys(("detect_anomaly", "no_grad"), "recording"),
    **dict.fromkeys(("custom", "stop_gradient"), "extend"),
    "checkpoint": "checkpointing",
    "diagnose_capacity": "capacity",
    "compile": "compiler",
    **dict.fromkeys(("load", "save"), "saving"),
}

__getattr__ = later(__name__, _LATER)

# Not abs, compile and pow: `from micrograd_like import *` must not replace Python's own.
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
    "checkpoint",
    "compare",
    "cos",
    "cosh",
    "custom",
    "data",
    "derivative",
    "derive",
    "detect_anomaly",
    "diagnose",
    "diagnose_capacity",
    "div",
    "draw",
    "draw_dot",
    "erf",
    "exp",
    "exp2",
    "explore",
    "expm1",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "hypot",
    "jacobian",
    "jvp",
    "leaky_relu",
    "load",
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
    "no_grad",
    "optim",
    "plot_boundary",
    "plot_loss",
    "print_boundary",
    "print_graph",
    "relu",
    "save",
    "show",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "stop_gradient",
    "sub",
    "tan",
    "tanh",
    "topological",
    "train",
    "value_and_grad",
    "vjp",
    "where",
]
