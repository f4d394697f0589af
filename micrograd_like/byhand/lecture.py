"""The recurrences of the lecture, written out by hand.

Everything here is plain floats and Python's math: nothing of the engine or its table is used, so that agreement
with the engine means something. Symbols are the lecture's: z is what enters a unit, f what leaves it,
δ = ∂Loss/∂z. Python counts from 0 and the lecture from 1: w[0] is its w_1.
"""

import math
from collections.abc import Callable, Sequence


def _slope_of_tanh(z: float) -> float:
    # f' = 1 - f². Near f = ±1 that difference keeps few digits, so it is taken in its other form, 1/cosh².
    return (1.0 / math.cosh(z)) ** 2 if abs(z) < 350.0 else 0.0


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0.0 else math.exp(z) / (1.0 + math.exp(z))


# f and f', by the names the table of operations has for f. Textbook formulas.
ACTIVATIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "linear": (lambda z: z, lambda z: 1.0),
    "abs": (abs, lambda z: 1.0 if z > 0.0 else -1.0 if z < 0.0 else 0.0),
    "acos": (math.acos, lambda z: -1.0 / math.sqrt(1.0 - z * z)),
    "acosh": (math.acosh, lambda z: 1.0 / math.sqrt(z * z - 1.0)),
    "asin": (math.asin, lambda z: 1.0 / math.sqrt(1.0 - z * z)),
    "asinh": (math.asinh, lambda z: 1.0 / math.sqrt(1.0 + z * z)),
    "atan": (math.atan, lambda z: 1.0 / (1.0 + z * z)),
    "atanh": (math.atanh, lambda z: 1.0 / (1.0 - z * z)),
    "cbrt": (math.cbrt, lambda z: 1.0 / (3.0 * math.cbrt(z) ** 2)),
    "cos": (math.cos, lambda z: -math.sin(z)),
    "cosh": (math.cosh, math.sinh),
    "erf": (math.erf, lambda z: 2.0 / math.sqrt(math.pi) * math.exp(-z * z)),
    "exp": (math.exp, math.exp),
    "exp2": (math.exp2, lambda z: math.log(2.0) * math.exp2(z)),
    "expm1": (math.expm1, math.exp),
    "leaky_relu": (lambda z: z if z > 0.0 else 0.01 * z, lambda z: 1.0 if z > 0.0 else 0.01),
    "log": (math.log, lambda z: 1.0 / z),
    "log10": (math.log10, lambda z: 1.0 / (z * math.log(10.0))),
    "log1p": (math.log1p, lambda z: 1.0 / (1.0 + z)),
    "log2": (math.log2, lambda z: 1.0 / (z * math.log(2.0))),
    "neg": (lambda z: -z, lambda z: -1.0),
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0.0 else 0.0),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "sin": (math.sin, math.cos),
    "sinh": (math.sinh, math.cosh),
    "softplus": (lambda z: max(z, 0.0) + math.log1p(math.exp(-abs(z))), _sigmoid),
    "sqrt": (math.sqrt, lambda z: 0.5 / math.sqrt(z)),
    "tan": (math.tan, lambda z: 1.0 + math.tan(z) ** 2),
    "tanh": (math.tanh, _slope_of_tanh),
}


# ---- one unit per layer: z_1 = w_1 x, z_i = w_i f_{i-1}, f_i = tanh(z_i), Loss = (y - f_L)² ----------


def _chain_forward(w: Sequence[float], x: float) -> tuple[list[float], list[float]]:
    if not w:
        raise ValueError("the chain needs at least one weight")
    z, f = [], []
    into = x
    for w_i in w:
        z.append(w_i * into)
        f.append(math.tanh(z[-1]))
        into = f[-1]
    return z, f


def chain_deltas(w: Sequence[float], x: float, y: float) -> list[float]:
    """[δ_1, …, δ_L], δ_i = ∂Loss/∂z_i, by the recurrence from the last unit back:

    δ_L = 2 (f_L - y)(1 - f_L²),    δ_i = (1 - f_i²) w_{i+1} δ_{i+1}.

    Raises ValueError if there is no weight.
    """
    z, f = _chain_forward(w, x)
    last = len(w) - 1
    delta = [0.0] * len(w)
    delta[last] = 2.0 * (f[last] - y) * _slope_of_tanh(z[last])
    for i in reversed(range(last)):
        delta[i] = _slope_of_tanh(z[i]) * w[i + 1] * delta[i + 1]
    return delta


def chain_gradients(w: Sequence[float], x: float, y: float) -> list[float]:
    """[∂Loss/∂w_1, …, ∂Loss/∂w_L]: ∂Loss/∂w_1 = x δ_1 and ∂Loss/∂w_i = f_{i-1} δ_i."""
    _, f = _chain_forward(w, x)
    delta = chain_deltas(w, x, y)
    return [into * delta_i for into, delta_i in zip([x, *f[:-1]], delta, strict=True)]


def unrolled_gradients(w: Sequence[float], x: float, y: float) -> list[float]:
    """The same without δ, each product written out from the weight to the loss:

    ∂Loss/∂w_1 = x (1 - f_1²) w_2 (1 - f_2²) w_3 … w_L (1 - f_L²) · 2 (f_L - y),

    and for w_i the product from f_{i-1} on.
    """
    z, f = _chain_forward(w, x)
    gradients = []
    for i in range(len(w)):
        product = x if i == 0 else f[i - 1]
        product *= _slope_of_tanh(z[i])
        for k in range(i + 1, len(w)):
            product *= w[k] * _slope_of_tanh(z[k])
        gradients.append(product * 2.0 * (f[-1] - y))
    return gradients


# ---- the general network: z_j^l = Σ_i w_ij^l f_i^{l-1} + b_j^l, f_j^l = f(z_j^l) ----------------------


def layered_gradients(
    w: Sequence[Sequence[Sequence[float]]],
    b: Sequence[Sequence[float]],
    x: Sequence[float],
    y: Sequence[float],
    activations: Sequence[str],
) -> tuple[list[list[list[float]]], list[list[float]]]:
    """The gradients of Loss = Σ_j (y_j - f_j^L)² by every weight and offset of a layered network.

    w[l][i][j] links unit i of one layer (input i for l = 0) to unit j of the next, b[l][j] is that unit's
    offset, activations[l] names its f in `ACTIVATIONS`. Returns them in the shapes of w and b:

        δ_j^l = f'(z_j^l) Σ_k w_jk^{l+1} δ_k^{l+1},    ∂Loss/∂w_ij^l = f_i^{l-1} δ_j^l,    ∂Loss/∂b_j^l = δ_j^l.

    Raises ValueError if the shapes do not fit together, KeyError for an unknown activation.
    """
    width = len(x)
    for depth, (weights, offsets) in enumerate(zip(w, b, strict=True), 1):
        if len(weights) != width or any(len(row) != len(offsets) for row in weights):
            raise ValueError(f"the weights of layer {depth} should be {width} rows of {len(offsets)}")
        width = len(offsets)
    if len(y) != width:
        raise ValueError(f"the last layer has {width} units, but there are {len(y)} targets")

    f: list[list[float]] = [list(x)]
    slopes: list[list[float]] = []
    for weights, offsets, name in zip(w, b, activations, strict=True):
        activation, slope = ACTIVATIONS[name]
        z = [b_j + sum(w_i[j] * f_i for w_i, f_i in zip(weights, f[-1], strict=True)) for j, b_j in enumerate(offsets)]
        f.append([activation(z_j) for z_j in z])
        slopes.append([slope(z_j) for z_j in z])

    downstream = [2.0 * (f_j - y_j) for f_j, y_j in zip(f[-1], y, strict=True)]  # ∂Loss/∂f_j of the layer at hand
    by_w: list[list[list[float]]] = []
    by_b: list[list[float]] = []
    for depth in reversed(range(len(w))):
        delta = [slope * d for slope, d in zip(slopes[depth], downstream, strict=True)]
        by_b.insert(0, delta)
        by_w.insert(0, [[f_i * delta_j for delta_j in delta] for f_i in f[depth]])
        downstream = [sum(w_jk * delta_k for w_jk, delta_k in zip(row, delta, strict=True)) for row in w[depth]]
    return by_w, by_b
