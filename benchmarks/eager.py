"""Eager speed beside micrograd and xad: build, backward and free an expression of about 100,000 operations.

    python benchmarks/eager.py [--rounds 9]        (needs the extra [bench])

The operations are + * tanh and **2 in equal parts, in two shapes: a sum of 500 terms of 200 operations, as a loss
over samples is, and one chain. All systems are run in turn in one process, five steps each as in a training loop,
with the garbage collector as Python sets it, and ours once more with it off, to show its share; the medians over
the rounds are printed. The gradients are compared first. xad is a C++ tape behind Python; micrograd gets the tanh
of its author's lecture, and a raised recursion limit without which it fails.
"""

import argparse
import gc
import math
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from importlib import metadata

import micrograd_like

SHAPES = {"500 terms of 200": (500, 50), "one chain": (1, 25_000)}  # terms, links in each; a link is 4 operations

STEPS = 5


def expression(x, w, b, tanh, terms, links):
    total = None
    for _ in range(terms):
        term = x
        for _ in range(links):
            z = w * term
            term = tanh(z + b) ** 2
        total = term if total is None else total + term
    return total


def ours():
    def step(terms, links):
        x, w, b = (micrograd_like.Value(number) for number in (0.3, 1.4, -0.2))
        start = time.perf_counter()
        loss = expression(x, w, b, micrograd_like.Value.tanh, terms, links)
        built = time.perf_counter()
        loss.backward()
        swept = time.perf_counter()
        del loss
        return built - start, swept - built, time.perf_counter() - swept, w.grad

    return step


def without_collector(step):
    def step_without(terms, links):
        gc.disable()
        try:
            return step(terms, links)
        finally:
            gc.enable()

    return step_without


def micrograd():
    from micrograd.engine import Value

    sys.setrecursionlimit(1_000_000)

    def tanh(x):
        out = Value(math.tanh(x.data), (x,), "tanh")

        def backward():
            x.grad += (1 - out.data**2) * out.grad

        out._backward = backward
        return out

    def step(terms, links):
        x, w, b = (Value(number) for number in (0.3, 1.4, -0.2))
        start = time.perf_counter()
        loss = expression(x, w, b, tanh, terms, links)
        built = time.perf_counter()
        loss.backward()
        swept = time.perf_counter()
        del loss
        gc.collect()  # its nodes are in cycles: nothing else frees them
        return built - start, swept - built, time.perf_counter() - swept, w.grad

    return step


def xad():
    import xad.math
    from xad.adj_1st import Real, Tape

    def step(terms, links):
        with Tape() as tape:
            x, w, b = (Real(number) for number in (0.3, 1.4, -0.2))
            for leaf in (x, w, b):
                tape.registerInput(leaf)
            tape.newRecording()
            start = time.perf_counter()
            loss = expression(x, w, b, xad.math.tanh, terms, links)
            built = time.perf_counter()
            tape.registerOutput(loss)
            loss.derivative = 1.0
            tape.computeAdjoints()
            swept = time.perf_counter()
            gradient = w.derivative
            del loss
        return built - start, swept - built, time.perf_counter() - swept, gradient

    return step


def compare(rounds):
    systems = {"micrograd_like": ours()}
    for name, make in (("micrograd", micrograd), ("xad", xad)):
        try:
            systems[name] = make()
        except ImportError:
            print(f"{name} is not installed (pip install 'micrograd_like[bench]'): left out")
    systems["ours, gc off"] = without_collector(systems["micrograd_like"])
    for shape, (terms, links) in SHAPES.items():
        gradients = {name: step(terms, links)[3] for name, step in systems.items()}
        reference = gradients["micrograd_like"]
        for name, gradient in gradients.items():
            assert math.isclose(gradient, reference, rel_tol=1e-9), f"{name}: {gradient}, not {reference}"

        nodes = terms * links * 4 + terms - 1
        runs = {name: [] for name in systems}
        for _ in range(rounds):
            for name, step in systems.items():
                steps = [step(terms, links)[:3] for _ in range(STEPS)]
                runs[name].append([statistics.mean(part) for part in zip(*steps, strict=True)])
        print(f"\n{shape}: {nodes:,} operations, ns each, medians of {rounds} rounds")
        print(f"{'':16}{'build':>9}{'backward':>9}{'free':>9}{'total':>9}{'over ours':>11}")
        own = statistics.median(map(sum, runs["micrograd_like"]))
        for name, times in runs.items():
            parts = [statistics.median(part) / nodes * 1e9 for part in zip(*times, strict=True)]
            total = statistics.median(map(sum, times))
            version = metadata.version(name) if not name.startswith("ours") else ""
            cells = "".join(f"{part:9.0f}" for part in (*parts, total / nodes * 1e9))
            print(f"{name:16}{cells}{total / own:10.2f}x   {version}")


def memory():
    terms, links = SHAPES["500 terms of 200"]
    nodes = terms * links * 4 + terms - 1
    x, w, b = (micrograd_like.Value(number) for number in (0.3, 1.4, -0.2))
    tracemalloc.start()
    loss = expression(x, w, b, micrograd_like.Value.tanh, terms, links)
    built, _ = tracemalloc.get_traced_memory()
    loss.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\nmemory: {built / nodes:.0f} bytes a node built, {peak / nodes:.0f} at the peak of backward")


def scaling():
    print("\none chain, ns an operation (a system that is linear has one number here)")
    for nodes in (1_000, 10_000, 100_000, 1_000_000):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            y = x = micrograd_like.Value(0.5)
            for _ in range(nodes):
                y = y + x
            y.backward()
            del y
            times.append(time.perf_counter() - start)
        print(f"{nodes:>10,}{statistics.median(times) / nodes * 1e9:9.0f}")


def import_time():
    def run(statement):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", statement], check=True)
        return time.perf_counter() - start

    pairs = [(run("pass"), run("import micrograd_like")) for _ in range(21)]
    bare, with_us = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nimport micrograd_like: {(with_us - bare) * 1e3:.0f} ms more than the {bare * 1e3:.0f} ms of bare Python")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    compare(rounds)
    memory()
    scaling()
    import_time()
