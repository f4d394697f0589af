"""What derivatives of functions cost: hvp and Hessians in gradients, jets by order, no_grad, checkpoints.

    python benchmarks/transforms.py [--rounds 9] [--steps 100000]

Each ratio is of two things run in turn in one process, first the one, then the other; the median of the rounds is
printed, and what they give is compared first. The functions are the loss of a network by its 369 parameters,
Rosenbrock's in 100 variables, and one of many transcendental operations. A jet is `derivative(f, n)` less
`derivative(f, 1)` for a chain of one operation, so that the graph is not in it; the exponent of the order is fitted to
the times.
"""

import argparse
import functools
import gc
import math
import platform
import random
import statistics
import threading
import time
import timeit
import tracemalloc
from itertools import pairwise

from micrograd_like import (
    Value,
    atan,
    atan2,
    checkpoint,
    cosh,
    derivative,
    detect_anomaly,
    erf,
    exp,
    grad,
    hessian,
    hvp,
    hypot,
    jvp,
    log1p,
    logaddexp,
    nn,
    no_grad,
    sigmoid,
    sin,
    sqrt,
    tanh,
)
from micrograd_like.nn import MLP

ORDERS = (10, 20, 40, 80)
LINKS = 10  # operations in the chain that a jet goes through

# ---- the functions -------------------------------------------------------------------------------

SIZES = (4, 16, 16, 1)


def network():
    """The loss of a network on 8 samples, by its parameters."""
    rng = random.Random(0)
    samples = [([rng.uniform(-1, 1) for _ in range(SIZES[0])], rng.uniform(-1, 1)) for _ in range(8)]
    count = sum((a + 1) * b for a, b in pairwise(SIZES))

    def loss(parameters):
        total = 0.0
        for x, y in samples:
            parameter = iter(parameters)
            layer = x
            for a, b in pairwise(SIZES):
                units = []
                for _ in range(b):
                    z = next(parameter)
                    for _, f in zip(range(a), layer, strict=True):
                        z = z + next(parameter) * f
                    units.append(tanh(z) if b > 1 else z)
                layer = units
            total = total + (layer[0] - y) ** 2
        return total

    return loss, [rng.uniform(-0.5, 0.5) for _ in range(count)]


def rosenbrock(x):
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))


def transcendental(x):
    total = 0.0
    for a, b in pairwise(x):
        total = total + sin(a) * exp(-b * b) + log1p(a * a) * atan(b) + hypot(a, b) * sigmoid(a - b)
        total = total + sqrt(1.0 + a * a) ** 1.5 + erf(a * b) / cosh(b) + logaddexp(a, b) * atan2(a, 2.0 + b * b)
    return total


def functions():
    rng = random.Random(1)
    yield "network, 369 parameters", *network()
    yield "Rosenbrock, 100 variables", rosenbrock, [rng.uniform(-1, 1) for _ in range(100)]
    yield "transcendental, 40 variables", transcendental, [rng.uniform(-1, 1) for _ in range(40)]


# ---- measuring -------------------------------------------------------------------------------------


def seconds(f):
    """Of the processor, since other programs run as well."""
    gc.collect()
    start = time.process_time()
    f()
    return time.process_time() - start


def in_turn(rounds, *runs):
    """The medians of the times of each, and of the ratio of each to the first of the same round."""
    times = [[seconds(run) for run in runs] for _ in range(rounds)]
    ratios = [[t / row[0] for t in row] for row in times]
    return [
        (statistics.median(column), statistics.median(ratio))
        for column, ratio in zip(zip(*times, strict=True), zip(*ratios, strict=True), strict=True)
    ]


# ---- what is off costs nothing ------------------------------------------------------------------------

OPERATIONS = {"a * b": 1.1, "a + 2.0": 1.1, "2.0 * a": 1.1, "a ** 2": 1.1, "tanh(a)": 1.1, "a.tanh()": 1.1}


def nanoseconds(statement, number=20_000):
    names = {"a": Value(1.1), "b": Value(0.3), "tanh": tanh}
    return min(timeit.repeat(statement, globals=names, number=number, repeat=15)) / number * 1e9


def off(rounds):
    """Has to run before anything else: it measures operations before any use of what is switched on."""
    names = ["before", "after", "other thread", "no_grad", "anomaly"]
    table = {statement: {"before": nanoseconds(statement)} for statement in OPERATIONS}
    with no_grad(), detect_anomaly():
        pass
    for statement, row in table.items():
        row["after"] = nanoseconds(statement)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with no_grad():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    for statement, row in table.items():
        row["other thread"] = nanoseconds(statement)
    leave.set()
    thread.join()
    for statement, row in table.items():
        with no_grad():
            row["no_grad"] = nanoseconds(statement)
        with detect_anomaly():
            row["anomaly"] = nanoseconds(statement, 2_000)
    print("one operation, ns, the best of 15: before no_grad was ever used, after, while another thread is in it,")
    print("in it, and in detect_anomaly")
    print(f"{'':12}" + "".join(f"{name:>14}" for name in names))
    for statement, row in table.items():
        print(f"{statement:12}" + "".join(f"{row[name]:14.0f}" for name in names))
    loss, x = network()
    values = [Value(number) for number in x]

    def recording():
        for _ in range(5):
            loss(values)

    def plain():
        with no_grad():
            recording()

    def floats():
        for _ in range(5):
            loss(x)

    _, (_, ratio), (_, bare) = in_turn(rounds, recording, plain, floats)
    print(f"the network of 369 parameters: in no_grad {ratio:.2f} times recording it; with floats {bare:.2f} times")
    model, rows = MLP(4, [16, 16, 1], rng=random.Random(0)), [[0.1 * i, 0.5, -1.0, 0.2] for i in range(40)]

    def record_all():
        for row in rows:
            model(row)

    def evaluate_all():
        with no_grad():
            record_all()

    _, (_, ratio) = in_turn(rounds, record_all, evaluate_all)
    print(f"an nn.MLP of that size: in no_grad {ratio:.2f} times recording it")


# ---- costs in gradients ---------------------------------------------------------------------------------


def costs(rounds):
    print("\nmedians of the ratios; f records a graph, backward does and calls its backward()")
    names = "backward/f  grad/f  jvp/grad  hvp/grad  hvp/backward  hessian/(n hvp)"
    print(f"{'':30}{'f, ms':>8}  {names}")
    for name, f, x in functions():
        rng = random.Random(2)
        direction = [rng.uniform(-1, 1) for _ in x]
        product = hvp(f, (x,), (direction,))
        _, other = jvp(grad(f), (x,), (direction,))
        size = max(map(abs, other))
        assert all(abs(a - b) <= 1e-10 * size for a, b in zip(product, other, strict=True)), name

        def record(f=f, x=x):
            f([Value(number) for number in x])

        def back(f=f, x=x):
            f([Value(number) for number in x]).backward()

        def gradient(f=f, x=x):
            grad(f)(x)

        def product_(f=f, x=x, direction=direction):
            hvp(f, (x,), (direction,))

        def tangent(f=f, x=x, direction=direction):
            jvp(f, (x,), (direction,))

        def second(f=f, x=x):
            hessian(f)(x)

        _, (_, of_jvp), (_, of_hvp) = in_turn(rounds, gradient, tangent, product_)
        (own, _), (_, of_back), (_, of_grad) = in_turn(rounds, record, back, gradient)
        _, (_, of_engine) = in_turn(rounds, back, product_)
        _, (_, of_hessian) = in_turn(3 if len(x) > 100 else rounds, product_, second)
        numbers = (of_back, of_grad, of_jvp, of_hvp, of_engine, of_hessian / len(x))
        cells = [f"{number:{len(title)}.2f}" for number, title in zip(numbers, names.split("  "), strict=True)]
        print(f"{name:30}{own * 1e3:8.2f}  {'  '.join(cells)}")


# ---- jets -------------------------------------------------------------------------------------------------

JETS = {
    "add": lambda x: x + 1.0,
    "mul": lambda x: x * x,
    "div": lambda x: 1.5 / x,
    "pow": lambda x: x**1.3,
    "exp": lambda x: exp(x - 1.0),
    "log1p": log1p,
    "sqrt": sqrt,
    "sin": sin,
    "atan": atan,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "hypot": lambda x: hypot(x, 0.5),
    "atan2": lambda x: atan2(x, 1.5),
    "logaddexp": lambda x: logaddexp(x, 0.5),
}


def exponent(times):
    """The slope of log time over log order, by least squares."""
    xs, ys = [math.log(n) for n in ORDERS], [math.log(t) for t in times]
    x, y = statistics.mean(xs), statistics.mean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def jets(rounds):
    print(f"\njets, µs for each operation, medians of {rounds} rounds, and the exponent of the order")
    print(f"{'order':12}" + "".join(f"{n:>10}" for n in ORDERS) + f"{'exponent':>12}")
    for name, link in JETS.items():

        def chain(x, link=link):
            return functools.reduce(lambda y, _: link(y), range(LINKS), x)

        runs = [lambda n=n, chain=chain: derivative(chain, n)(0.9) for n in (1, *ORDERS)]
        (base, _), *rows = in_turn(rounds, *runs)
        times = [max(t - base, 1e-9) / LINKS * 1e6 for t, _ in rows]
        print(f"{name:12}" + "".join(f"{t:10.1f}" for t in times) + f"{exponent(times):12.2f}")


# ---- checkpoints --------------------------------------------------------------------------------------------


def recurrence(steps, every):
    """(time, peak of memory, gradient) of a recurrence, with a checkpoint after so many steps or with none."""
    w = Value(0.5)

    def some(x, count):
        for _ in range(int(count)):
            x = sin(w * x) + 0.5
        return x

    light = checkpoint(some)

    def run():
        x = Value(0.1)
        if every:
            for start in range(0, steps, every):
                x = light(x, min(every, steps - start))
        else:
            x = some(x, steps)
        x.backward()
        return w.grad

    w.grad = 0.0
    start = time.perf_counter()
    gradient = run()
    took = time.perf_counter() - start
    tracemalloc.start()
    w.grad = 0.0
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return took, peak, gradient


def checkpoints(steps):
    every = math.isqrt(steps)
    print(f"\na recurrence of {steps:,} steps, 3 operations each, forward and back")
    (plain, plain_peak, reference), (light, light_peak, gradient) = recurrence(steps, 0), recurrence(steps, every)
    assert math.isclose(gradient, reference, rel_tol=1e-9), (gradient, reference)
    print(f"recorded                         {plain:8.2f} s{plain_peak / 2**20:10.2f} MiB at the peak")
    print(f"a checkpoint each {every:6,} steps   {light:8.2f} s{light_peak / 2**20:10.2f} MiB at the peak")
    print(f"{light / plain:.2f} times the time, 1/{plain_peak / light_peak:.0f} of the memory")


def weights(rounds):
    print("\na checkpoint over the loss of a network 16-40-32-1 on 4 samples, by its 2,025 weights, forward and back")
    rng = random.Random(0)
    model = nn.MLP(16, [40, 32, 1], activation="tanh", rng=rng)
    samples = [[rng.uniform(-1, 1) for _ in range(16)] for _ in range(4)]

    def loss():
        return sum((model(x) - 0.5) ** 2 for x in samples)

    def gradient(f):
        model.zero_grad()
        f().backward()
        return [w.grad for w in model.parameters()]

    light = checkpoint(loss)
    assert all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(gradient(loss), gradient(light), strict=True))
    (plain, _), (_, ratio) = in_turn(rounds, lambda: gradient(loss), lambda: gradient(light))
    print(f"recorded {plain * 1e3:.1f} ms; with the checkpoint {ratio:.2f} times that")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100_000)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    off(arguments.rounds)
    costs(arguments.rounds)
    jets(arguments.rounds)
    checkpoints(arguments.steps)
    weights(arguments.rounds)
