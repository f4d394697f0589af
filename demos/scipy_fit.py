"""scipy, by differences of function values and by exact derivatives: what it asks of the function, what it gets."""

import numpy
from scipy.optimize import minimize, root

from micrograd_like import hvp, jacobian, value_and_grad


def rosenbrock(x):
    """A valley that bends, in ten dimensions; its lowest point is 1, 1, …"""
    return numpy.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def chain(x):
    """Broyden's tridiagonal equations."""
    left, right = numpy.append(0, x[:-1]), numpy.append(x[1:], 0)
    return (3 - 2 * x) * x - left - 2 * right + 1


start = numpy.full(10, -1.2)
by_differences = minimize(rosenbrock, start, method="BFGS")
bfgs = minimize(value_and_grad(rosenbrock), start, jac=True, method="BFGS")
newton = minimize(
    value_and_grad(rosenbrock), start, jac=True, hessp=lambda x, p: hvp(rosenbrock, (x,), (p,)), method="trust-ncg",
    options={"gtol": 1e-10},
)  # fmt: skip
print("the lowest point of a bent valley     evaluations    error")
for name, found in (("BFGS, differences", by_differences), ("BFGS, grad", bfgs), ("trust-ncg, grad and hvp", newton)):
    print(f"    {name:30} {found.nfev:14} {abs(found.x - 1).max():8.0e}")

print("equations in ten unknowns             evaluations residual")
for name, jac in (("differences", None), ("jacobian", jacobian(chain))):
    found = root(chain, -numpy.ones(10), jac=jac)
    print(f"    {name:30} {found.nfev:14} {abs(found.fun).max():8.0e}")
assert abs(newton.x - 1).max() < 1e-9
