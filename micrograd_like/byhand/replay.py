"""A recorded graph at other numbers: its values, and its gradients as a map, the graph left as it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..engine import Value
from ..ops import Op
from ..transforms import sweep
from ..walks import topological


def values(
    loss: Value | Sequence[Value],
    changed: Mapping[Value, Any] | None = None,
    rule: Callable[[Op], Callable[..., Any]] = lambda op: op.value,
) -> dict[Value, Any]:
    """The number of every node `loss`, one or several, depends on, if the nodes in `changed` had those numbers.

    A changed node need not be a leaf: what it was computed from then has no say. Outside a domain it is nan.
    rule: how an operation is computed, for other numbers than floats; as the table says unless given.
    """
    changed = changed or {}
    numbers: dict[Value, Any] = {}
    for node in topological(*([loss] if isinstance(loss, Value) else loss)):
        if node in changed:
            numbers[node] = changed[node]
        elif node.op is None:
            numbers[node] = node.data
        else:
            numbers[node] = rule(node.op)(*_operands(node, numbers))
    return numbers


def gradients(loss: Value, numbers: Mapping[Value, float]) -> dict[Value, float]:
    """∂loss/∂node for every node, at the numbers that `values` gave."""
    order = topological(loss)
    found = {loss: 1.0}
    sweep(order, found, lambda node: (*_operands(node, numbers), numbers[node]), numbers)
    if isinstance(numbers[loss], Value):
        return {node: found.get(node, 0.0) for node in order}
    return {node: found.get(node, 0.0) + 0.0 for node in order}  # none is -0.0, as in `backward`


def rounding(numbers: Mapping[Value, float], gradient: Mapping[Value, float]) -> float:
    """How far off rounding may have put the value of `loss`, whose gradients these are.

    Each node is rounded, to the four units in the last place that the table promises, and that shows in the loss in
    proportion to the derivative by it.
    """
    errors = (4.0 * abs(slope) * math.ulp(numbers[node]) for node, slope in gradient.items())
    return sum(filter(math.isfinite, errors))


def _operands(node: Value, numbers: Mapping[Value, float]) -> list[Any]:
    return [numbers[x] if isinstance(x, Value) else x for x in node.operands]
