"""Losses of one sample: how far the outputs of a model are from their target.

Each function takes what a model returned (Values or numbers) and the target, and returns a Value, or a
float if no Value is involved. The loss of a batch is the mean over its samples. A target given as a number
is checked; one given as a Value is an operand like any other.
"""

from collections.abc import Callable, Sequence
from math import inf, isfinite
from numbers import Real
from typing import Any

from .ops import logaddexp, pow_, relu, softplus, where


def _target(target: Any, loss: str, expected: str, possible: Callable[[Any], bool]) -> Any:
    if hasattr(target, "_record"):  # a Value, or a variable of a function that is being traced
        return target
    y = target.item() if hasattr(target, "item") else target  # numpy's scalars; its bool is no Real
    if not isinstance(y, Real) or not possible(y):
        raise ValueError(f"{loss} takes {expected}, got {target!r}")
    return y


def _check_single(output: Any, loss: str) -> None:
    if hasattr(output, "__len__"):
        raise ValueError(f"{loss} takes a single output, got a sequence of {len(output)}")


def squared_error(outputs: Any, targets: Any) -> Any:
    """Σ (f - y)² over outputs f and targets y: a number or Value each, or two sequences of equal length.

    Of one output this is the lecture's Loss(y, f) = (y - f)². Raises ValueError if the lengths differ or
    are 0, and for a target that is not a finite number.
    """
    fs, ys = (x if hasattr(x, "__len__") else [x] for x in (outputs, targets))
    if len(fs) != len(ys) or len(fs) == 0:
        raise ValueError(f"squared_error takes one target for each output, got {len(fs)} outputs and {len(ys)} targets")
    ys = [_target(y, "squared_error", "finite targets", isfinite) for y in ys]
    first, *rest = [pow_(f - y, 2.0) for f, y in zip(fs, ys, strict=True)]
    return sum(rest, first)


def hinge(output: Any, target: Any) -> Any:
    """max(0, 1 - y s) of a score s and its target y, -1 or +1: the loss of support vector machines.

    Raises ValueError for another target and for a sequence of outputs.
    """
    _check_single(output, "hinge")
    y = _target(target, "hinge", "a target of -1 or +1", lambda y: y in (-1, 1))
    return relu(1.0 - output * y)


def binary_cross_entropy(logit: Any, target: Any) -> Any:
    """-y log σ(z) - (1 - y) log(1 - σ(z)) of a logit z and the probability y, in [0, 1], of class 1.

    It is computed from softplus(-z) = -log σ(z) and softplus(z) = -log(1 - σ(z)), which neither overflow nor
    cancel. Raises ValueError for a target outside [0, 1] and for a sequence of logits.
    """
    _check_single(logit, "binary_cross_entropy")
    y = _target(target, "binary_cross_entropy", "a target from 0 to 1", lambda y: 0 <= y <= 1)
    if hasattr(y, "_record"):
        return y * softplus(-logit) + (1.0 - y) * softplus(logit)
    if y == 1:
        return softplus(-logit)
    if y == 0:
        return softplus(logit)
    return y * softplus(-logit) + (1.0 - y) * softplus(logit)


def cross_entropy(logits: Sequence[Any], label: Any) -> Any:
    """-log softmax(z)_label of the logits z, one for each class, and the index of the right class.

    It is computed as log(1 + Σ_{k≠label} e^(z_k - z_label)), which does not overflow and keeps its digits
    when it is tiny, where log Σ_k e^(z_k) - z_label would cancel. Raises ValueError for fewer than two
    logits and for a label that is not one of 0, 1, …, len(logits) - 1.
    """
    if not hasattr(logits, "__len__") or len(logits) < 2:
        raise ValueError(
            f"cross_entropy takes the logits of two or more classes, got {logits!r:.60}; "
            "for a single logit there is binary_cross_entropy"
        )
    if hasattr(label, "_record"):  # not known yet: the others are chosen by what it is then
        right = [where(label >= k, where(label <= k, 1.0, 0.0), 0.0) for k in range(len(logits))]
        own = sum(is_it * z for is_it, z in zip(right, logits, strict=True))
        margin, *rest = [where(is_it, -inf, z - own) for is_it, z in zip(right, logits, strict=True)]
        for other in rest:
            margin = logaddexp(margin, other)
        return softplus(margin)
    if label not in range(len(logits)):
        raise ValueError(
            f"cross_entropy takes a whole label from 0 to {len(logits) - 1} for {len(logits)} logits, got {label!r:.60}"
        )
    margin, *rest = [z - logits[int(label)] for k, z in enumerate(logits) if k != label]
    for other in rest:
        margin = logaddexp(margin, other)
    return softplus(margin)


def classification(classes: int) -> tuple[int, Callable[[Any, Any], Any]]:
    """How many outputs tell so many classes apart, and their loss: one logit for two classes, else one for each."""
    return (1, binary_cross_entropy) if classes == 2 else (classes, cross_entropy)
