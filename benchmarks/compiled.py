"""Compiled code beside jax, PyTorch, numpy by hand, CasADi and micrograd: training steps, scalar programs, cold starts.

    python benchmarks/compiled.py [--only NAME] [--rounds 7] [--markdown]        (needs the extra [bench])

Double precision, one thread. All systems of a workload first compute the gradient at the same place, and it has to be
the same to 1e-9; then they run in turn, round by round, and the medians of processor time are printed, of single times
and of the ratios within a round. Each workload has its own process, for jax is slower the more was run before.

Each peer is written as its users are told to: jax jitted, with arrays on the device, donated buffers, its own loops,
and without its queue, which is slower for programs as short as these; PyTorch with nothing around `autograd.grad` and
`_foreach_add_`; CasADi's C compiled by gcc and called through its buffers. A peer that is not installed is named.
Targets are printed with what was reached.
"""

import argparse
import contextlib
import dataclasses
import functools
import importlib.util
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import metadata
from itertools import pairwise
from pathlib import Path

os.environ |= {  # before any of them is imported
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_imported = time.perf_counter()
import numpy  # noqa: E402

from micrograd_like import compile, data, exp, log, maximum, tanh, value_and_grad  # noqa: A004, E402

IMPORT = time.perf_counter() - _imported  # seconds
OURS = "micrograd_like"
SLICE = 0.04  # seconds that a system runs in a round
STEPS = 100  # in a call, where many steps are one
RATE = 0.01  # of learning


def told(text):
    print(text, file=sys.stderr, flush=True)


# ---- what is measured ----------------------------------------------------------------------------------------


@dataclass
class System:
    """run: one call. gradient: at the place where all begin, flat, in our order. prepared: seconds of the first call.

    finish: wait for what `run` returned last. jax computes while Python goes on; it may, until a round is over.
    """

    gradient: object
    run: object
    finish: object = None
    prepared: float = 0.0


@dataclass
class Target:
    """A ratio to a peer, or with `of` something else that is measured in seconds, that may be at most `limit`."""

    peer: str
    limit: float
    of: str = ""


@dataclass
class Result:
    """What is printed of a workload."""

    workload: str
    times: dict = field(default_factory=dict)  # system -> seconds a call
    ratios: dict = field(default_factory=dict)  # peer -> our time over its
    prepared: dict = field(default_factory=dict)  # system -> seconds
    targets: list = field(default_factory=list)  # (what, reached, limit)
    notes: list = field(default_factory=list)


MISSING = set()


def present(name):
    if importlib.util.find_spec(name) is None:
        MISSING.add(name)
        return False
    return True


def jax_module():
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a queue beside Python costs up to twice as much here
    return jax


def torch_module():
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    return torch


def warm_up():
    """What the first use of a library costs is no matter of the first workload; the cold starts tell ours."""
    if present("jax"):
        jax_module().numpy.zeros(1).block_until_ready()
    if present("torch"):
        torch = torch_module()
        x = torch.ones(1, requires_grad=True)
        torch.autograd.grad((x * x).sum(), [x])
    compile(value_and_grad(lambda x: x * x))(1.0)


def seconds(system, times):
    """Of the processor, a call, since other programs run as well."""
    run, last = system.run, None
    start = time.process_time()
    for _ in range(times):
        last = run()
    if system.finish:
        system.finish(last)
    return (time.process_time() - start) / times


def agree(workload, systems, tolerance=1e-9):
    """Have all the same gradient? What it takes to compute the first is what it takes to prepare a system."""
    reference = None
    for name, system in systems.items():
        told(f"{workload}: preparing {name}")
        start = time.perf_counter()
        found = numpy.array(system.gradient(), float).ravel()
        system.prepared = time.perf_counter() - start
        if reference is None:
            reference = found
        error = numpy.abs(found - reference).max() / numpy.abs(reference).max()
        assert error < tolerance, f"{workload}: the gradient of {name} differs from {OURS}'s by {error:.1e}"


def measured(workload, systems, rounds, targets, notes=()):
    result = Result(workload, notes=list(notes))
    agree(workload, systems)
    calls = {}
    for name, system in systems.items():
        seconds(system, 1)
        calls[name] = max(1, round(SLICE / max(seconds(system, 10), 1e-6)))
    times = {name: [] for name in systems}
    for i in range(rounds):
        told(f"{workload}: round {i + 1} of {rounds}")
        for name, system in systems.items():
            times[name].append(seconds(system, calls[name]))
    for name, column in times.items():
        result.times[name] = statistics.median(column)
        result.prepared[name] = systems[name].prepared
        if name != OURS:
            result.ratios[name] = statistics.median(a / b for a, b in zip(times[OURS], column, strict=True))
    for target in targets:
        if target.of:
            result.targets.append((target.of, result.prepared[OURS], target.limit))
        elif target.peer in result.ratios:
            result.targets.append((target.peer, result.ratios[target.peer], target.limit))
    return result


# ---- networks: a gradient of the mean loss, and a step ----------------------------------------------------------


@dataclass
class Net:
    """A network with tanh inside. loss: "squared" with one unit at the end, or "softmax" with targets one-hot."""

    sizes: tuple
    loss: str
    X: object
    Y: object
    p: object = None  # all parameters: for each unit its weights and then its bias

    def __post_init__(self):
        rng = numpy.random.default_rng(1)
        units = [numpy.append(rng.normal(size=n) / n**0.5, 0.1) for n, m in pairwise(self.sizes) for _ in range(m)]
        self.p = numpy.concatenate(units)

    def layers(self):
        """[(weights of each unit, biases), …]"""
        found, at = [], 0
        for n, m in pairwise(self.sizes):
            rows = self.p[at : at + (n + 1) * m].reshape(m, n + 1)
            found.append((rows[:, :-1].copy(), rows[:, -1].copy()))
            at += (n + 1) * m
        return found

    @staticmethod
    def flat(layers):
        """The other way round."""
        return numpy.concatenate([numpy.column_stack([numpy.asarray(w), numpy.asarray(b)]).ravel() for w, b in layers])

    def of_sample(self):
        """The loss of one sample as somebody writes it with Values, a number at a time."""
        sizes = self.sizes

        def outputs(p, x):
            at, layer = 0, x
            for depth, (n, m) in enumerate(pairwise(sizes), 2):
                units = []
                for _ in range(m):
                    z = p[at + n]
                    for w, f in zip(p[at : at + n], layer, strict=True):
                        z = z + w * f
                    units.append(tanh(z) if depth < len(sizes) else z)
                    at += n + 1
                layer = units
            return layer

        def squared(p, x, y):
            return (outputs(p, x)[0] - y) ** 2

        def softmax(p, x, y):
            z = outputs(p, x)
            top = functools.reduce(maximum, z)
            right = sum(a * b for a, b in zip(z, y, strict=True))
            return log(sum(exp(a - top) for a in z)) + top - right

        return squared if self.loss == "squared" else softmax


def net_ours(net, steps=1):
    k = compile(value_and_grad(net.of_sample()), batched=(1, 2), threads=1)
    p, X, Y = net.p.copy(), net.X, net.Y
    return System(lambda: k(net.p, X, Y)[1], lambda: k.descend(p, X, Y, lr=RATE, steps=steps))


def net_jax(net, steps=1):
    jax = jax_module()
    jnp = jax.numpy
    shapes = list(pairwise(net.sizes))
    X, Y = jnp.array(net.X), jnp.array(net.Y)
    # Small layers are quicker as one vector, which is one argument of the call; large ones as they are.
    as_vector = len(net.p) < 1000

    def join(layers):
        return jnp.concatenate([x.ravel() for layer in layers for x in layer]) if as_vector else layers

    def split(p):
        if not as_vector:
            return p
        layers, at = [], 0
        for n, m in shapes:
            layers.append((p[at : at + n * m].reshape(n, m), p[at + n * m : at + n * m + m]))
            at += n * m + m
        return layers

    def loss(p, X, Y):
        layer = X
        layers = split(p)
        for w, b in layers[:-1]:
            layer = jnp.tanh(layer @ w + b)
        z = layer @ layers[-1][0] + layers[-1][1]
        if net.loss == "squared":
            return jnp.mean((z[:, 0] - Y) ** 2)
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.sum(z * Y, axis=1))

    def one(p, X, Y):
        return jax.tree.map(lambda x, g: x - RATE * g, p, jax.grad(loss)(p, X, Y))

    def many(p, X, Y):
        return jax.lax.fori_loop(0, steps, lambda _, p: one(p, X, Y), p)

    step = jax.jit(one if steps == 1 else many, donate_argnums=0)
    start = [(jnp.array(w.T), jnp.array(b)) for w, b in net.layers()]
    p = join(jax.tree.map(jnp.copy, start))

    def run():
        nonlocal p
        p = step(p, X, Y)
        return p

    gradient = jax.jit(jax.grad(loss))

    def first():
        return net.flat([(w.T, b) for w, b in split(gradient(join(start), X, Y))])

    return System(first, run, jax.block_until_ready)


def net_torch(net, steps=1):
    torch = torch_module()
    functional = torch.nn.functional
    X, Y = torch.tensor(net.X), torch.tensor(net.Y)
    classes = Y.argmax(1) if net.loss == "softmax" else None
    p = [torch.tensor(x).requires_grad_() for layer in net.layers() for x in layer]  # w and b in turn

    def gradients():
        layer = X
        for i in range(0, len(p) - 2, 2):
            layer = functional.linear(layer, p[i], p[i + 1]).tanh()
        z = functional.linear(layer, p[-2], p[-1])
        loss = functional.cross_entropy(z, classes) if classes is not None else functional.mse_loss(z[:, 0], Y)
        return torch.autograd.grad(loss, p)

    def run():
        for _ in range(steps):
            g = gradients()
            with torch.no_grad():
                torch._foreach_add_(p, g, alpha=-RATE)

    def gradient():
        g = gradients()
        return net.flat(zip(g[::2], g[1::2], strict=True))

    return System(gradient, run)


def net_numpy(net):
    X, Y, n = net.X, net.Y, len(net.X)
    layers = net.layers()

    def gradients():
        inputs = [X]
        for w, b in layers[:-1]:
            z = inputs[-1] @ w.T
            z += b
            inputs.append(numpy.tanh(z, out=z))
        z = inputs[-1] @ layers[-1][0].T
        z += layers[-1][1]
        if net.loss == "squared":
            d = z - Y[:, None]
            d *= 2.0 / n
        else:
            z -= z.max(1, keepdims=True)
            d = numpy.exp(z, out=z)
            d /= d.sum(1, keepdims=True)
            d -= Y
            d /= n
        found = []
        for (w, _), layer in zip(reversed(layers), reversed(inputs), strict=True):
            found.append((d.T @ layer, d.sum(0)))
            if layer is not X:
                slope = layer * layer
                numpy.subtract(1.0, slope, out=slope)
                d = d @ w
                d *= slope
        return found[::-1]

    def run():
        for layer, slopes in zip(layers, gradients(), strict=True):
            for x, g in zip(layer, slopes, strict=True):
                numpy.multiply(g, RATE, out=g)
                numpy.subtract(x, g, out=x)

    return System(lambda: net.flat(gradients()), run)


def net_micrograd(net):
    """One step as its demo has it, of Values; tanh is that of its author's lecture. The step is run as shipped."""
    from micrograd.engine import Value

    def tanh_of(x):
        out = Value(math.tanh(x.data), (x,), "tanh")

        def backward():
            x.grad += (1 - out.data**2) * out.grad

        out._backward = backward
        return out

    p = [Value(float(x)) for x in net.p]
    samples = list(zip(net.X.tolist(), net.Y.tolist(), strict=True))

    def outputs(x):
        at, layer = 0, x
        for depth, (n, m) in enumerate(pairwise(net.sizes), 2):
            units = []
            for _ in range(m):
                z = sum((w * f for w, f in zip(p[at : at + n], layer, strict=True)), p[at + n])
                units.append(tanh_of(z) if depth < len(net.sizes) else z)
                at += n + 1
            layer = units
        return layer

    def backward():
        loss = sum((outputs(x)[0] - y) ** 2 for x, y in samples) * (1.0 / len(samples))
        for x in p:
            x.grad = 0.0
        loss.backward()
        return [x.grad for x in p]

    def run():
        backward()
        for x in p:
            x.data -= RATE * x.grad

    return System(backward, run)


def moons():
    X, y = data.moons(100)
    return Net((2, 16, 16, 1), "squared", numpy.array(X), numpy.array(y) * 2.0 - 1.0)


def digits(n):
    if present("sklearn"):
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
    else:
        told("scikit-learn is not installed: the digits are random numbers")
        rng = numpy.random.default_rng(0)
        X, y = rng.uniform(0, 16, (1797, 64)), rng.integers(10, size=1797)
    return Net((64, 32, 10), "softmax", numpy.ascontiguousarray(X[:n] / 16.0), numpy.eye(10)[y[:n]])


def wide():
    rng = numpy.random.default_rng(0)
    return Net((784, 128, 10), "softmax", rng.uniform(size=(32, 784)), numpy.eye(10)[rng.integers(10, size=32)])


def peers(net, *names, steps=1):
    """Those that are installed."""
    systems = {OURS: net_ours(net, steps)}
    if "jax" in names and present("jax"):
        systems["jax"] = net_jax(net, steps)
    if "PyTorch" in names and present("torch"):
        systems["PyTorch"] = net_torch(net, steps)
    if "numpy" in names:
        systems["numpy"] = net_numpy(net)
    return systems


def run_moons(rounds):
    net = moons()
    result = measured(
        "moons, step", peers(net, "jax", "PyTorch", "numpy"), rounds, [Target("jax", 0.45), Target("PyTorch", 0.15)]
    )
    if present("micrograd"):
        told("moons, step: micrograd")
        system = net_micrograd(net)
        agree("moons, step", {OURS: net_ours(net), "micrograd": system})
        result.times["micrograd"] = statistics.median(seconds(system, 1) for _ in range(2))
        result.ratios["micrograd"] = result.times[OURS] / result.times["micrograd"]
        result.targets.append(("micrograd", result.ratios["micrograd"], 1 / 75_000))
    yield result


def run_moons_loop(rounds):
    systems = peers(moons(), "jax", "PyTorch", steps=STEPS)
    yield measured(f"moons, {STEPS} steps a call", systems, rounds, [Target("jax", 0.9)])


def run_digits(rounds):
    targets = [Target("jax", 0.65), Target("numpy", 0.65), Target("PyTorch", 0.3)]
    yield measured("digits, minibatch 32", peers(digits(32), "jax", "PyTorch", "numpy"), rounds, targets)


def run_digits_full(rounds):
    targets = [Target("jax", 1.5), Target("PyTorch", 1.0), Target("numpy", 1.0)]
    yield measured("digits, all 1,797", peers(digits(1797), "jax", "PyTorch", "numpy"), rounds, targets)


def run_wide(rounds):
    targets = [Target("PyTorch", 1.5), Target("", 5.0, "first gradient, s")]
    yield measured("784-128-10, minibatch 32", peers(wide(), "jax", "PyTorch", "numpy"), rounds, targets)


# ---- scalar programs ---------------------------------------------------------------------------------------------


def rosenbrock(x):
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def casadi_system(f, x):
    """jit: gcc -O1 compiles the C; without, its interpreter. Called through buffers: nothing is converted."""
    import casadi

    def prepared(options):
        symbols = casadi.SX.sym("x", len(x))
        value = f([symbols[i] for i in range(len(x))])
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it leaves what gcc made
            function = casadi.Function("f", [symbols], [value, casadi.gradient(value, symbols)], options)
        room = numpy.empty(1), numpy.empty(len(x))
        buffer, run = function.buffer()
        buffer.set_arg(0, memoryview(x))
        buffer.set_res(0, memoryview(room[0]))
        buffer.set_res(1, memoryview(room[1]))
        kept.extend([buffer, function, room])  # it holds bare pointers to them
        return run, room

    def system(options):
        def gradient():
            made.run, room = prepared(options)
            made.run()
            return room[1].copy()

        made = System(gradient, None)
        return made

    kept = []
    options = {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O1"], "compiler": "gcc"}}
    return system(options), system({})


def ours_system(f, x):
    k = compile(value_and_grad(f), threads=1)
    return System(lambda: k(x)[1], lambda: k(x))


def run_rosenbrock(rounds):
    x = numpy.random.default_rng(0).normal(size=1000)
    systems = {OURS: ours_system(rosenbrock, x)}
    if present("casadi"):
        systems["CasADi, gcc"], systems["CasADi"] = casadi_system(rosenbrock, x)
    if present("jax"):
        jax = jax_module()
        jnp = jax.numpy

        def rewritten(x):
            return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

        k, at = jax.jit(jax.value_and_grad(rewritten)), jnp.array(x)
        systems["jax, rewritten"] = System(lambda: k(at)[1], lambda: k(at), jax.block_until_ready)
    targets = [Target("CasADi, gcc", 1.0), Target("", 0.3, "prepared, s")]
    yield measured("Rosenbrock, n = 1,000", systems, rounds, targets)


H = 0.01  # a step in time


def runge_kutta(p, state):
    """One step of Lotka and Volterra's equations."""
    a, b, c, d = p

    def slope(x, y):
        return a * x - b * x * y, c * x * y - d * y

    x, y = state
    x1, y1 = slope(x, y)
    x2, y2 = slope(x + H / 2 * x1, y + H / 2 * y1)
    x3, y3 = slope(x + H / 2 * x2, y + H / 2 * y2)
    x4, y4 = slope(x + H * x3, y + H * y3)
    return x + H / 6 * (x1 + 2 * x2 + 2 * x3 + x4), y + H / 6 * (y1 + 2 * y2 + 2 * y3 + y4)


def lotka_volterra(p):
    state = 10.0, 5.0
    for _ in range(1000):
        state = runge_kutta(p, state)
    return state[0] + state[1]


def run_ode(rounds):
    p = numpy.array([1.1, 0.4, 0.1, 0.4])
    systems = {OURS: ours_system(lotka_volterra, p)}
    if present("jax"):
        jax = jax_module()
        jnp = jax.numpy
        at = [jnp.array(x) for x in p]  # four numbers: slices of a vector are slower there

        def scanned(step):
            def end(*p):
                start = jnp.array(10.0), jnp.array(5.0)
                (x, y), _ = jax.lax.scan(lambda state, _: (step(p, state), None), start, length=1000)
                return x + y

            k = jax.jit(jax.value_and_grad(end, argnums=(0, 1, 2, 3)))
            return System(lambda: k(*at)[1], lambda: k(*at), jax.block_until_ready)

        systems["jax, lax.scan"] = scanned(runge_kutta)
        # What a step computes on its way is not kept but computed again: far quicker on this processor.
        systems["jax, scan, checkpoint"] = scanned(jax.checkpoint(runge_kutta))
    targets = [
        Target("jax, lax.scan", 1.0),
        Target("jax, scan, checkpoint", 1.0),
        Target("", 1.0, "prepared, s"),
    ]
    yield measured("Lotka-Volterra, 1,000 RK4 steps", systems, rounds, targets)


def irregular(size):
    """A program of + − × and some tanh, at random, of the last 50 values; a value that would be lost is read.

    What follows + or − is halved, and what leaves 0.01 … 1.5 is tried again: values and derivatives stay in bounds.
    """
    rng = random.Random(0)
    values, read = [rng.uniform(-1, 1) for _ in range(50)], [False] * 50
    start, program = values[:], []

    def put(op, i, j, x):
        program.append((op, i, j))
        read[i] = read[j] = True
        values.append(x)
        read.append(False)

    while len(program) < size:
        n, kind = len(values), rng.random()
        i = next((k for k in (n - 50, n - 49) if not read[k]), n - 50 + rng.randrange(50))
        j = n - 50 + rng.randrange(50)
        if kind < 0.05:
            put("tanh", i, i, math.tanh(values[i]))
            continue
        op = "*" if kind < 0.35 else "+" if kind < 0.67 else "-"
        x = values[i] * values[j] if op == "*" else values[i] + values[j] if op == "+" else values[i] - values[j]
        if 0.01 < abs(x) < 1.5:
            put(op, i, j, x)
            if op != "*":
                put("half", n, n, x * 0.5)

    def f(x, tanh=tanh):
        values = list(x)
        for op, i, j in program:
            a, b = values[i], values[j]
            values.append(
                a + b
                if op == "+"
                else a - b
                if op == "-"
                else a * b
                if op == "*"
                else a * 0.5
                if op == "half"
                else tanh(a)
            )
        return sum(values[-50:])

    return f, numpy.array(start), len(program) + 49


def run_irregular(rounds):
    for size in (25_000, 50_000, 100_000):
        f, x, count = irregular(size)
        systems = {OURS: ours_system(f, x)}
        if present("casadi"):
            import casadi

            systems["CasADi"] = casadi_system(functools.partial(f, tanh=casadi.tanh), x)[1]
        result = measured(f"irregular, {size:,} operations", systems, rounds, [])
        each = result.times[OURS] / count * 1e9
        result.targets.append(("ns an operation", each, 3.0))
        if size == 100_000:
            result.targets.append(("prepared, s", result.prepared[OURS], 10.0))
        yield result


# ---- the time to the first gradient, each in a fresh process -----------------------------------------------------


def whole_batch(net):
    """The loss of all samples in one function, as the demo of micrograd has it; the data are floats in it."""
    loss, samples = net.of_sample(), list(zip(net.X.tolist(), net.Y.tolist(), strict=True))

    def total(p):
        return sum(loss(p, x, y) for x, y in samples) * (1.0 / len(samples))

    return total


def cold(name, system):
    """Measured here, printed for the process that started this one."""
    net = moons() if name != "digits" else digits(32)
    imported = IMPORT
    start = time.perf_counter()
    if system == "jax":
        jax = jax_module()
        jax.numpy.zeros(1)
        imported += time.perf_counter() - start
        start = time.perf_counter()
        net_jax(net).gradient()
    elif name == "whole batch":
        ours_system(whole_batch(net), net.p).gradient()
    else:
        net_ours(net).gradient()
    print(json.dumps([imported, time.perf_counter() - start]))


def run_cold(rounds):
    for name, limit in (("moons", 0.4), ("digits", 0.6), ("whole batch", 1.5)):
        systems = [OURS] + (["jax"] if name != "whole batch" and present("jax") else [])
        runs = {system: [] for system in systems}
        for _ in range(max(3, rounds // 2)):
            for system in systems:
                told(f"first gradient, {name}: {system}")
                done = subprocess.run(
                    [sys.executable, __file__, "--cold", name, system], check=True, capture_output=True, text=True
                )
                runs[system].append(json.loads(done.stdout.splitlines()[-1]))
        result = Result(f"first gradient, {name}")
        for system, times in runs.items():
            imported, first = (statistics.median(column) for column in zip(*times, strict=True))
            result.times[system] = first
            result.notes.append(f"{system}: import {imported:.2f} s more")
        if "jax" in result.times:
            result.ratios["jax"] = statistics.median(a[1] / b[1] for a, b in zip(runs[OURS], runs["jax"], strict=True))
        result.targets.append(("cold, s", result.times[OURS], limit))
        yield result


WORKLOADS = {
    "moons": run_moons,
    "moons-loop": run_moons_loop,
    "digits": run_digits,
    "digits-full": run_digits_full,
    "wide": run_wide,
    "rosenbrock": run_rosenbrock,
    "ode": run_ode,
    "irregular": run_irregular,
    "cold": run_cold,
}


# ---- what is printed ---------------------------------------------------------------------------------------------


def readable(x):
    """Seconds."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if x >= size or unit == "µs":
            digits = 0 if x / size >= 100 else 1 if x / size >= 10 else 2
            return f"{x / size:.{digits}f} {unit}"
    raise AssertionError


def judged(what, reached, limit):
    met = "met" if reached <= limit else "MISSED"
    if reached < 1e-3:
        return f"{what}: {1 / reached:,.0f} × faster, target {1 / limit:,.0f}: {met}"
    return f"{what}: {reached:.2f}, target {limit:g}: {met}"


def show(result):
    print(f"\n{result.workload}")
    for name, taken in result.times.items():
        ratio = result.ratios.get(name)
        beside = "" if ratio is None else f"{1 / ratio:,.0f} × ours" if ratio < 0.01 else f"{1 / ratio:.2f} × ours"
        prepared = f"prepared in {readable(result.prepared[name])}" if name in result.prepared else ""
        print(f"  {name:24}{readable(taken):>10}{beside:>18}   {prepared}")
    for target in result.targets:
        print(f"    {judged(*target)}")
    for note in result.notes:
        print(f"    {note}")
    sys.stdout.flush()


def markdown(results):
    names = list(dict.fromkeys(name.split(",")[0] for result in results for name in result.times))
    print(f"\n| | {' | '.join(names)} | target: reached |\n|{' --- |' * (len(names) + 2)}")
    for result in results:
        cells = []
        for name in names:
            found = [
                readable(taken) + (f" ({','.join(full.split(',')[1:]).strip()})" if "," in full else "")
                for full, taken in result.times.items()
                if full.split(",")[0] == name
            ]
            cells.append("; ".join(found) or "–")
        targets = "; ".join(judged(*target) for target in result.targets)
        print(f"| {result.workload} | {' | '.join(cells)} | {targets} |")


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions():
    found = [f"Python {platform.python_version()}"]
    names = ("llvmlite", "numpy", "jax", "torch", "casadi", "micrograd", "scikit-learn")
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            MISSING.add(name)
    return f"{processor()}, {os.cpu_count()} cores, one used; {', '.join(found)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=WORKLOADS, action="append", help="one workload (may be said more than once)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--markdown", action="store_true", help="print the table for README as well")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("--cold", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cold:
        cold(*given.cold)
        return
    if given.here:
        warm_up()
        for result in WORKLOADS[given.here](given.rounds):
            print(json.dumps(dataclasses.asdict(result)))
        return
    print(versions())
    results = []
    for name in given.only or WORKLOADS:
        command = [sys.executable, __file__, "--here", name, "--rounds", str(given.rounds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        for line in done.stdout.splitlines():
            results.append(Result(**json.loads(line)))
            show(results[-1])
    if given.markdown:
        markdown(results)
    if MISSING:
        print(f"\nnot installed, and so left out: {', '.join(sorted(MISSING))} (pip install 'micrograd_like[bench]')")
    missed = [result.workload for result in results for _, reached, limit in result.targets if reached > limit]
    print(f"\ntargets missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
