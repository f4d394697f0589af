"""Why the backward pass takes the nodes in topological order: the smallest graph that fails in another.

    a = x * 2        b = a + x        loss = a * b

`a` is used twice, by b and by loss. Its gradient is complete only when both have passed theirs on; whoever
visits `a` before `b` hands an unfinished gradient to x, as the naive recursion "visit my operands as
soon as I am visited, each node once" does.
"""

from micrograd_like import Value


def graph():
    x = Value(3.0, name="x")
    a = x * 2
    a.name = "a"
    b = a + x
    b.name = "b"
    loss = a * b
    loss.name = "loss"
    return x, a, b, loss


def backward_in(order):
    """The chain rule at each node, in the order given."""
    for node in order:
        node.grad = 0.0
    order[0].grad = 1.0
    for node in order:
        for operand, partial in zip(node.operands, node.partials(), strict=True):
            if isinstance(operand, Value):
                operand.grad += partial * node.grad


x, a, b, loss = graph()
for order in ([loss, a, b, x], [loss, b, a, x]):
    backward_in(order)
    print(f"{' -> '.join(node.name for node in order):24} a.grad = {a.grad:4g}   x.grad = {x.grad:4g}")
# By hand: loss = 2x (2x + x) = 6x², so ∂loss/∂x = 12x = 36.
assert x.grad == 36.0

x, a, b, loss = graph()
loss.backward()
print(f"{'loss.backward()':24} a.grad = {a.grad:4g}   x.grad = {x.grad:4g}   (by hand: 12 x = 36)")
assert x.grad == 36.0
