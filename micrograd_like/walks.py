"""Walks over the graph: the order of its nodes, and which of them hang together. No walk recurses.

Operands are nodes, or floats where they are constants.
"""

from _thread import RLock
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, TypeVar

Node = TypeVar("Node")


def reached_from(order: Sequence[Any], roots: Iterable[Any]) -> set[Any]:
    """The nodes that gradients come to: they do not pass where a partial is always 0."""
    reached = set(roots)
    for node in reversed(order):
        if node.op is not None and node in reached:
            operands = zip(node.operands, node.op.passes, strict=True)
            reached.update(x for x, passes in operands if passes and type(x) is not float)
    return reached


def topological(*roots: Node, without: Iterable[Any] = ()) -> list[Node]:
    """Every node the roots were computed from and the roots, once each, operands before results.

    without: nodes that are left out, with what only they were computed from. The order is the same in every run: first
    operands first. Linear in the number of edges, no recursion.
    """
    order: list[Any] = []
    path: list[Any] = []  # from a root down to where the walk is
    rest: list[tuple[tuple[Any, ...], Iterator[Any]]] = []  # of long tuples on the path: what is not looked at yet
    seen = object()  # put on the nodes themselves: a set of them would cost more than the rest of the walk
    with walking:
        for left_out in without:
            left_out._mark = seen
        for root in roots:
            node: Any = root
            while True:
                while node is not None and node._mark is not seen:
                    node._mark = seen
                    path.append(node)
                    node = node._a
                if not path:
                    break
                b = path[-1]._b
                if type(b) is tuple:
                    if len(b) > 3:  # go on where the last look ended: there may be thousands
                        if not rest or rest[-1][0] is not b:
                            rest.append((b, iter(b)))
                        b = next((x for x in rest[-1][1] if type(x) is not float and x._mark is not seen), None)
                        if b is None:
                            rest.pop()
                    else:
                        b = next((x for x in b if type(x) is not float and x._mark is not seen), None)
                if b is None or type(b) is float or b._mark is seen:
                    order.append(path.pop())
                    node = None
                else:
                    node = b
    return order


def depends(node: Any, on: Container[Any]) -> bool:
    """Was the node computed from one of these leaves, which are newer than any node that was found not to be?

    A node that is not is marked as such, so that asking for each step of a loop is not quadratic.
    """
    with walking:
        walked: list[Any] = []
        path = [node]
        while path:
            x = path.pop()
            if x._mark is _CONSTANT:
                continue
            if x in on:
                for other in walked:
                    other._mark = None
                return True
            x._mark = _CONSTANT
            walked.append(x)
            path += (operand for operand in x.operands if type(operand) is not float)
        return False


_CONSTANT: Any = object()  # the mark of nodes that do not depend on what is differentiated by
walking = RLock()  # one thread at a time marks nodes and adds to gradients
