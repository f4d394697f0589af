"""`Value`: a number that remembers how it was computed, and the backward pass over that memory.

Each operation makes a node that holds its result and its operands, in order. From a loss one can
therefore walk back over everything it depends on, and the chain rule,

    operand.grad += ∂node/∂operand * node.grad        (node.grad is ∂loss/∂node)

applied from the loss back to the leaves, gives the derivative by every node. The local derivatives come
from the table in `ops`; nothing here knows any particular operation.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from . import number as numbers
from .constant import Constant, record
from .number import Number, around, give_operators
from .ops import Op, number
from .walks import reached_from, topological, walking

_new = object.__new__


class Value(Number):
    """A scalar with a gradient: a leaf made by the user, or the result of an operation on others.

    `data` is its number, a float. `grad` is the derivative by it of the value on which `backward` was called, 0.0
    before; on a leaf, the sum of these since it was set to 0. `name` is for people, in pictures and messages.

    Raises TypeError if `data` is not a real number or `name` is not text.

    >>> x = Value(3.0, name="x")
    >>> y = x**2 + 1
    >>> y.backward()
    >>> y.data, x.grad
    (10.0, 6.0)
    """

    # A node is plain data: no closure and no reference cycle, so a graph is freed as soon as its
    # root is dropped. The garbage collector's work grows with the number of containers, so the operands
    # are no tuple if they can do without: (_a, _b) is (Value, None), (Value, Value) or (Value, float),
    # a float being a constant; for any other operation, as those whose partials are read at once, it is
    # (None, tuple of operands), for a leaf (None, None). _mark belongs to `topological`, _flow to
    # `adjoints`. __dict__ takes the name and whatever else users set.
    __slots__ = ("__dict__", "__weakref__", "_a", "_b", "_data", "_flow", "_grad", "_mark", "op")

    op: Op | None  # the row of the table that made this node; None for a leaf
    name: str = ""

    def __init__(self, data: float, name: str = "", *operation: Any, label: str = ""):
        self.data = data
        self._grad = 0.0
        self.op = None
        self._a = None
        self._b = None
        self._mark = None
        if operation or not isinstance(name, str):
            raise TypeError(
                "Value(data, name): a node with operands is made by applying an operation to them; "
                "how to add an operation is in CONTRIBUTING.md"
            )
        if name or label:
            self.name = name or label

    @property
    def data(self) -> float:
        return numbers.asked_for(self) if numbers.asking else self._data

    @data.setter
    def data(self, data: float) -> None:
        self._data = data if type(data) is float else number(data, "Value", "a number")

    @property
    def grad(self) -> float:
        return self._grad

    @grad.setter
    def grad(self, grad: float) -> None:
        self._grad = grad if type(grad) is float else number(grad, "Value.grad", "a number")

    @property
    def operands(self) -> "tuple[Value | float, ...]":
        """What the operation was applied to, in order; a constant is a float. () for a leaf."""
        if self._a is None:
            return self._b or ()
        return (self._a,) if self._b is None else (self._a, self._b)

    def partials(self) -> tuple[float, ...]:
        """∂self/∂operand for each operand, at the data it was recorded with: the numbers on the edges of the graph."""
        if self.op is None:
            return ()
        at = [x._data if isinstance(x, Value) else x for x in self.operands]
        return tuple(self.op.slopes_at((*at, self._data), range(self.op.arity)))

    def backward(self) -> None:
        """Compute ∂self/∂node for every node that `self` was computed from.

        The derivative is *added* to the `grad` of each leaf, so that the gradients of a minibatch
        accumulate until `zero_grad`; on every other node it is *set*, so that calling twice is not wrong.

        The derivative is taken at the data with which the graph was recorded: after changing the data of a node,
        record it anew. Threads may call it on graphs that share leaves; one of them computes at a time.
        """
        part = around.get()
        if part is not None:
            part.check_backward(self)
        adjoints(topological(self), ((self, 1.0),), into_grads=True)

    def _backward(self) -> None:
        """The chain rule at this node alone, as micrograd has it: add to the gradients of its operands."""
        passes = self.op.passes if self.op is not None else ()
        for operand, partial, passing in zip(self.operands, self.partials(), passes, strict=True):
            if passing and isinstance(operand, Value):
                operand._grad += partial * self._grad

    def zero_grad(self) -> None:
        """Set `grad` to 0.0 on this node and on every node it was computed from."""
        with walking:
            for node in topological(self):
                node._grad = 0.0

    @staticmethod
    def _record(op: Op, operands: tuple[Any, ...]) -> Any:
        """The node of `op` applied to Values and numbers, or what else it is here. Raises DomainError and TypeError."""
        return record(op, operands, Value._node)

    @staticmethod
    def _node(op: Op, operands: tuple[Any, ...], data: float) -> "Value":
        node: Value = _new(Value)
        node._data = data
        node._grad = 0.0
        node.op = op
        node._mark = None
        if isinstance(operands[0], Value) and not op.at_once:
            node._a, node._b = operands if op.arity == 2 else (*operands, None)
        else:
            node._a, node._b = None, operands
        return node


def adjoints(
    order: Sequence[Value],
    seeds: Sequence[tuple[Value, float]],
    by: Sequence[Value] = (),
    *,
    into_grads: bool = False,
) -> list[float]:
    """Σ seed · ∂root/∂node for each node in `by`: the chain rule in floats. Touches no `grad` unless told to.

    order: what gradients go back through, operands before results; nodes in `by` that are not there pass nothing on.
    seeds: (root, seed). into_grads: put the derivatives by all nodes into `grad`, as `backward` says.
    """
    with walking:
        # A partial may run a program that sweeps over the same nodes, as that of a checkpoint does.
        kept = [(node, getattr(node, "_flow", 0.0)) for node in (*order, *by)] if _sweeping else []
        _sweeping.append(order)
        try:
            for node in by:
                node._flow = 0.0
            for node in order:
                node._flow = 0.0
            for root, seed in seeds:
                root._flow += seed
            # Operands come before results in `order`, so in reverse every node has received all its
            # contributions by the time it passes them on.
            walks: list[Iterator[Value]] = [reversed(order)]
            for steps in walks:
                for node in steps:
                    op = node.op
                    if op is None:
                        if into_grads:
                            node._grad += node._flow
                        continue
                    a, b, out, flow = node._a, node._b, node._data, node._flow
                    if into_grads:
                        node._grad = flow
                    if b is None:
                        a._flow += op.partials[0](a._data, out) * flow
                    elif type(b) is float:
                        a._flow += op.partials[0](a._data, b, out) * flow
                    elif a is None:
                        if not op.at_once:
                            x, y = b  # a constant and a node
                            y._flow += op.partials[1](x, y._data, out) * flow
                            continue
                        if len(walks) == 1 and any(
                            isinstance(x, Value) and x.op and not op.passes[i] for i, x in enumerate(b)
                        ):
                            # There may be nodes that no gradient comes to; all of those so far were others.
                            reached = reached_from(order, [root for root, _ in seeds])
                            rest = list(steps)
                            walks.append(iter([x for x in rest if x in reached]))
                            for x in rest:
                                if into_grads and x.op is not None and x not in reached:
                                    x._grad = 0.0
                        through = [i for i, x in enumerate(b) if op.passes[i] and isinstance(x, Value)]
                        at = [x._data if isinstance(x, Value) else x for x in b]
                        for i, slope in zip(through, op.slopes_at((*at, out), through), strict=True):
                            b[i]._flow += slope * flow
                    elif op.slopes:
                        slope_a, slope_b = op.slopes
                        a._flow += slope_a * flow
                        b._flow += slope_b * flow
                    else:
                        by_a, by_b = op.partials
                        x, y = a._data, b._data
                        a._flow += by_a(x, y, out) * flow
                        b._flow += by_b(x, y, out) * flow
            return [node._flow for node in by]
        finally:
            _sweeping.pop()
            for node, flow in kept:
                node._flow = flow


_sweeping: list[Sequence[Value]] = []  # the orders of the sweeps that run now, inside of one another


give_operators(Value, Constant)
