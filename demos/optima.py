"""Where training ends depends on where it starts: two tanh units on twelve points that are two hills.

    pip install scipy
    python demos/optima.py

Gradient descent from eight random starts, then Newton's method, which never goes up, to the bottom. A gradient of 0
and a Hessian whose eigenvalues are all positive tell that it is a minimum; the values tell that it is not always the
same one. `micrograd-like study optima` does this a thousand times, with proofs and pictures.
"""

import random
import sys

from micrograd_like import hessian, losses, tanh, value_and_grad

try:
    import numpy as np
    from scipy.optimize import minimize
except ImportError:
    sys.exit("this demo needs scipy: pip install scipy")

HEIGHTS = (0.0, 1.0, 2.0, 2.0, 1.0, 0.0, 0.0, 0.75, 1.5, 1.5, 0.75, 0.0)
POINTS = [(0.375 * (i - 5.5), height) for i, height in enumerate(HEIGHTS)]


def objective(w):
    """The mean of the lecture's loss over the points, and some weight decay, so that no unit gets steeper forever."""

    def output(x):
        return w[4] * tanh(w[0] * x + w[1]) + w[5] * tanh(w[2] * x + w[3]) + w[6]

    return sum(losses.squared_error(output(x), y) for x, y in POINTS) / 12.0 + sum(wi**2 for wi in w) / 1024.0


print("start  objective  |gradient|  smallest eigenvalue of the Hessian")
found = {}
for seed in range(8):
    rng = random.Random(seed)
    w = np.array([rng.gauss(0.0, 1.5) for _ in range(7)])
    for _ in range(1000):
        w = w - 0.15 * value_and_grad(objective)(w)[1]
    end = minimize(
        value_and_grad(objective), w, jac=True, hess=hessian(objective), method="trust-exact", options={"gtol": 1e-9}
    )
    value, slope, w = end.fun, end.jac, end.x
    smallest = np.linalg.eigvalsh(hessian(objective)(w))[0]
    if np.linalg.norm(slope) < 1e-6 and smallest > 0.0:
        found.setdefault(round(value, 6), []).append(seed)
    print(f"{seed:5}  {value:9.6f}  {np.linalg.norm(slope):10.0e}  {smallest:10.5f}")
best = min(found)
print(f"\n{len(found)} different minima; {len(found[best])} of 8 starts found the best of them, {best}")
