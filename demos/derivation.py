"""A derivation that is wrong in three places, put right by one sentence of the diagnosis after the other."""

from micrograd_like import compare, derive
from micrograd_like.lecture import chain

weights, loss = chain([0.8, -1.2, 0.5], x=1.5, y=0.25)

attempts = [
    # Everything at once: a mask at the wrong argument, a δ too far on, and the loss never differentiated.
    """
    d3 = 1 - f3²
    d2 = (1 - z2²) w3 d3
    d1 = (1 - f1²) w2 d3
    dw1 = x d1
    """,
    # "derivative of the output": the factor 2 (f3 - y) was missing.
    """
    d3 = 2 (f3 - y)(1 - f3²)
    d2 = (1 - z2²) w3 d3
    d1 = (1 - f1²) w2 d3
    dw1 = x d1
    """,
    # "wrong argument": tanh' is 1 - f², of what the unit gives out.
    """
    d3 = 2 (f3 - y)(1 - f3²)
    d2 = (1 - f2²) w3 d3
    d1 = (1 - f1²) w2 d3
    dw1 = x d1
    """,
    # "wrong delta": each δ is made from the next.
    """
    d3 = 2 (f3 - y)(1 - f3²)
    d2 = (1 - f2²) w3 d3
    d1 = (1 - f1²) w2 d2
    dw1 = x d1
    """,
]
for number, attempt in enumerate(attempts, 1):
    comparison = compare(loss, attempt)
    print(f"attempt {number}\n{comparison}\n")
assert comparison

print("What the graph itself says:")
print(derive(loss, "w1", through="z"))
