"""The lecture's network of three units, node by node, with ∂Loss/∂w_1 beside the formula derived by hand."""

from micrograd_like import Value, tanh

x, y = 1.5, 0.25
w1, w2, w3 = Value(0.8, name="w1"), Value(-1.2, name="w2"), Value(0.5, name="w3")

z1 = w1 * x
f1 = tanh(z1)
z2 = w2 * f1
f2 = tanh(z2)
z3 = w3 * f2
f3 = tanh(z3)
loss = (y - f3) ** 2

loss.backward()

# The lecture's recurrence, with the numbers of this graph.
F1, F2, F3 = f1.data, f2.data, f3.data
delta3 = 2 * (F3 - y) * (1 - F3**2)
delta2 = (1 - F2**2) * w3.data * delta3
delta1 = (1 - F1**2) * w2.data * delta2

print("        engine       by hand")
for name, node, by_hand in (("delta3", z3, delta3), ("delta2", z2, delta2), ("delta1", z1, delta1)):
    print(f"{name}  {node.grad:+.6f}    {by_hand:+.6f}")
for weight, by_hand in ((w3, F2 * delta3), (w2, F1 * delta2), (w1, x * delta1)):
    print(f"d{weight.name}     {weight.grad:+.6f}    {by_hand:+.6f}")
    assert abs(weight.grad - by_hand) < 1e-14
