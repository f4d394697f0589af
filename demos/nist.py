"""Nonlinear regression with exact derivatives, beside certified answers: all 27 problems of NIST, from both starts.

For each problem NIST gives the data, the model as text, two starts, of which the first is far off, and the answer to 11
digits (nist_strd.json). All are fitted in the same way, which knows nothing of the answers:

* scipy's `least_squares`, by its trust region method, with `jacobian` of the residuals, until a step changes little;
* then Newton's method on half their sum of squares, with `value_and_grad` and `hessian`, until it changes nothing.

The models are read from their text, which is never executed. A digit is one of the worst parameter that agrees with
NIST's: -log10 of the relative error, 11 at most. The standard deviations come from the jacobian. Of Lanczos1 they
have three digits, as has the sum of squares: its residuals are 1e-13, differences of floats near 1.

Needs scipy. `python nist.py Misra1a Rat43` fits these two; all take half a minute.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy
from scipy.optimize import least_squares

from micrograd_like import DomainError, hessian, jacobian, value_and_grad
from micrograd_like.byhand.expression import Expression
from micrograd_like.byhand.formula import parse
from micrograd_like.ops import apply

LEVELS = ("Lower", "Average", "Higher")
CERTIFIED = json.loads(Path(__file__).with_name("nist_strd.json").read_text(encoding="utf-8"))
NAMES = sorted(CERTIFIED, key=lambda name: (LEVELS.index(CERTIFIED[name]["level"]), name))


def at(formula, numbers):
    """A formula that was read, with numbers or Values for its names; a formula, if there are other names in it."""
    if not isinstance(formula, Expression):
        return formula
    if formula.op is None:
        return numbers.get(formula.name, formula)
    return apply(formula.op, tuple(at(operand, numbers) for operand in formula.operands))


class Problem:
    """One of NIST's problems. starts: the two points to search from. The answers stay in `certified`."""

    def __init__(self, name):
        self.name = name
        self.certified = given = CERTIFIED[name]
        self.starts = numpy.array([given["start1"], given["start2"]])
        inputs = ["x"] if len(given["data"][0]) == 2 else ["x1", "x2"]
        self.parameters = [f"b{i + 1}" for i in range(len(given["start1"]))]
        [(_, model)] = parse(given["rhs"], self.parameters + inputs)
        [(_, observed)] = parse(given["lhs"], ["y"])
        self.observed = [at(observed, {"y": y}) for y, *_ in given["data"]]
        self.models = [at(model, dict(zip(inputs, xs, strict=True))) for _, *xs in given["data"]]

    def residuals(self, b):
        """Model - observation for each observation. b: an array of numbers or of Values."""
        named = dict(zip(self.parameters, b.tolist(), strict=True))
        return numpy.array([at(model, named) - y for model, y in zip(self.models, self.observed, strict=True)])

    def loss(self, b):
        """Half the sum of squares of the residuals."""
        return numpy.sum(self.residuals(b) ** 2) / 2

    def residuals_or_inf(self, b):
        """The residuals of a step that may have left the domain of the model, which then is no step to take."""
        try:
            return self.residuals(b)
        except DomainError:
            return numpy.full(len(self.observed), math.inf)


def newton(problem, b):
    """Newton's method for the loss, from b until its steps get no smaller. Returns where that is, and the steps."""
    slope, curvature = value_and_grad(problem.loss), hessian(problem.loss)
    last = math.inf
    for steps in range(10):
        loss, g = slope(b)
        h = curvature(b)
        unit = 1 / numpy.sqrt(abs(numpy.diag(h)))  # of the parameters, whose sizes differ by up to 1e9
        values, axes = numpy.linalg.eigh(h * numpy.outer(unit, unit))
        step = -unit * (axes @ (axes.T @ (unit * g) / abs(values)))  # downhill where the loss is no bowl, too
        size = max(abs(step / b))
        if not size < last / 2 or size < 1e-13:
            return b, steps
        while not numpy.sum(problem.residuals_or_inf(b + step) ** 2) / 2 <= loss * (1 + 1e-9):
            step = step / 2
        b, last = b + step, size
    return b, 10


def fit(problem, start):
    """From a start: what scipy finds, what Newton makes of it, how often scipy asked, and the steps of Newton."""
    with numpy.errstate(all="ignore"):  # a step that is too long may overflow
        found = least_squares(
            problem.residuals_or_inf, start, jacobian(problem.residuals), method="trf", x_scale=1.0,
            ftol=None, gtol=None, xtol=1e-8, max_nfev=2000,
        )  # fmt: skip
        b, steps = newton(problem, found.x)
    return found.x, b, found.nfev, steps


def digits(found, certified):
    """How many digits of the worst of the numbers are certified ones."""
    error = max(abs(numpy.asarray(found) - certified) / abs(numpy.asarray(certified)))
    return min(-math.log10(max(error, 1e-300)), 11.0)


def residual_deviation(problem, b):
    """The standard deviation of the residuals."""
    return math.sqrt(2 * problem.loss(b) / (len(problem.observed) - len(b)))


def standard_deviations(problem, b, residual):
    """Those of the parameters, from the slopes of the residuals at the answer and the deviation of the residuals."""
    j = jacobian(problem.residuals)(b)
    size = numpy.linalg.norm(j, axis=0)
    inverse = numpy.linalg.inv(numpy.linalg.qr(j / size)[1])
    return residual * numpy.linalg.norm(inverse, axis=1) / size


def show(names):
    print("                                        certified digits reached, of the")
    print("                       para-  obser-       parameters     standard  sum of  evalua-  steps of")
    print("problem    level      meters vations start scipy Newton  deviations squares   tions    Newton")
    began = time.monotonic()
    worst = {}
    for name in names:
        problem = Problem(name)
        right = problem.certified
        for number, start in enumerate(problem.starts, 1):
            near, b, evaluations, steps = fit(problem, start)
            reached = digits(b, right["certified"])
            deviations = standard_deviations(problem, b, residual_deviation(problem, b))
            worst[name] = min(worst.get(name, 11.0), reached)
            print(
                f"{name:9}  {right['level']:10}{len(b):7}{len(problem.observed):8}{number:6}"
                f"{digits(near, right['certified']):6.1f}{reached:7.1f}"
                f"{digits(deviations, right['sd']):12.1f}{digits([2 * problem.loss(b)], [right['rss']]):8.1f}"
                f"{evaluations:8}{steps:10}",
                flush=True,
            )
    name = min(worst, key=worst.get)
    seconds = time.monotonic() - began
    print(f"\n{len(worst)} problems, 2 starts: {worst[name]:.1f} digits or more ({name}), in {seconds:.0f} s")


if __name__ == "__main__":
    show(sys.argv[1:] or NAMES)
