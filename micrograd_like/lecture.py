"""The main job: the lecture from its chain of units to a network trained by SGD."""

import math
import random
from pathlib import Path

from . import byhand, data, losses, nn, optim, train
from .engine import Value
from .show import draw

DRAWN = 20  # units; the picture of a longer chain is a thread nobody can read
SMALLEST = 1e-8  # gradients that a central difference can still tell from the rounding of the loss


def chain(w: list[float], x: float, y: float) -> tuple[list[Value], Value]:
    """The lecture's network, node by node: z_i = w_i f_{i-1}, f_i = tanh(z_i), Loss = (y - f_L)².

    Returns the weights and the loss.
    """
    weights = [Value(w_i, name=f"w{i}") for i, w_i in enumerate(w, 1)]
    f = Value(x, name="x")
    for i, weight in enumerate(weights, 1):
        z = weight * f
        z.name = f"z{i}"
        f = z.tanh()
        f.name = f"f{i}"
    loss = (Value(y, name="y") - f) ** 2
    loss.name = "Loss"
    return weights, loss


def sample(sizes: list[int], seed: int) -> Value:
    """The loss of an MLP with tanh units on one random sample: the squared error, summed over its outputs."""
    rng = random.Random(seed)
    model = nn.MLP(sizes[0], sizes[1:], activation="tanh", rng=rng, init=nn.xavier)
    outputs = model([Value(round(rng.uniform(-1.0, 1.0), 2), name=f"x{i}") for i in range(1, sizes[0] + 1)])
    loss = Value(0.0)
    for i, f in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        error = (f - rng.choice((-1.0, 1.0))) ** 2
        loss = loss + error if i else error
    loss.name = "Loss"
    return loss


def lecture(depth: int, seed: int, out: str, force: bool) -> int:
    """Print the comparison, draw the graph into the folder `out`, train.

    Returns 0; 1 if gradients differ; 130 if the training was interrupted. Raises OSError if out is no folder or
    cannot be made one.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    w = [round(rng.uniform(-1.5, 1.5), 2) for _ in range(depth)]
    x, y = round(rng.uniform(0.5, 1.5), 2), round(rng.uniform(-1, 1), 2)
    weights, loss = chain(w, x, y)
    loss.backward()
    agreed = _compare(weights, loss, w, x, y)
    _draw(loss, depth, folder / f"chain-{depth}-seed-{seed}", force)
    finished = _train(seed)
    return 1 if not agreed else 0 if finished else 130


def _compare(weights: list[Value], loss: Value, w: list[float], x: float, y: float) -> bool:
    units = "1 unit" if len(w) == 1 else f"{len(w)} units"
    print(f"The lecture's chain of {units}: z_i = w_i f_(i-1), f_i = tanh(z_i)")
    print(f"f_0 = x = {x}, y = {y}, Loss = (y - f_{len(w)})² = {loss.data:.9g}\n")
    print("∂Loss/∂w by the engine, by the recurrence and the unrolled product derived by hand,")
    print("by central differences. ulp: units in the last place between the first three.\n")
    print(f"{'weight':6}{'':7}{'engine':>15}{'recurrence':>16}{'product':>16}{'difference':>15}{'ulp':>5}")
    recurrence = byhand.chain_gradients(w, x, y)
    unrolled = byhand.unrolled_gradients(w, x, y)
    most_ulp = most_off = 0.0
    too_small = 0
    for i, weight in enumerate(weights):
        exact = (weight.grad, recurrence[i], unrolled[i])
        ulp = (max(exact) - min(exact)) / math.ulp(max(map(abs, exact)))
        most_ulp = max(most_ulp, ulp)
        difference = byhand.central_difference(lambda at: chain(at, x, y)[1].data, w, i)
        if abs(weight.grad) < SMALLEST:
            too_small += 1
            by_difference = "too small"
        else:
            most_off = max(most_off, abs(difference / weight.grad - 1.0))
            by_difference = f"{difference:.8g}"
        numbers = "".join(f"{number:>{width}.8g}" for number, width in zip(exact, (15, 16, 16), strict=True))
        print(f"{weight.name:5}{w[i]:>8}{numbers}{by_difference:>15}{ulp:>5.0f}")
    # Each factor of the product may round once, so the last bits may differ, by more the longer the chain.
    finite = all(math.isfinite(weight.grad) for weight in weights)  # max() would pass over nan
    agreed = finite and most_ulp <= 8 + 4 * len(w) and most_off < 1e-3
    print(
        f"\nThe engine and the two hand-derived forms {'agree' if agreed else 'DO NOT AGREE'}: "
        f"they are {most_ulp:.0f} ulp apart at most."
    )
    if too_small < len(w):
        print(f"The central difference, which knows no calculus, is off by {most_off:.0e} of them at most.")
    if too_small:
        print(f"Differences say nothing of {too_small} gradients: below {SMALLEST:g}, rounding hides what they do.")
    print()
    return agreed


def _draw(loss: Value, depth: int, path: Path, force: bool) -> None:
    if depth > DRAWN:
        print(f"No picture: a chain of {depth} units is too long to be read; up to --depth {DRAWN} is drawn.\n")
        return
    path = path.with_suffix(".svg")
    if path.exists() and not force:
        print(f"The graph: {path} is there already and was kept; --force replaces it.\n")
        return
    try:
        draw(loss, detail="values").save(path)
    except RuntimeError as error:
        print(f"No picture: {error}\n")
        return
    print(f"The graph, with ∂Loss/∂node on every node: {path}\n")


def _train(seed: int) -> bool:
    """Train on Iris and print the accuracies; False if Ctrl-C ended it early."""
    iris = data.iris()
    X_train, y_train, X_test, y_test = data.split(iris.X, iris.y, 1 / 3, seed=seed)
    X_train, X_test = data.standardize(X_train, X_test)
    model = nn.MLP(4, [8, 3], activation="tanh", rng=random.Random(seed))
    print(f"SGD on Fisher's Iris, {len(y_train)} flowers to learn from and {len(y_test)} to be tested on:")
    print(model, flush=True)
    history = train.fit(
        model,
        X_train,
        y_train,
        losses.cross_entropy,
        optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3),
        epochs=30,
        batch_size=16,
        seed=seed,
    )
    if history.stopped == "interrupted":
        print(f"Interrupted after {len(history.records)} of 30 epochs; what was learned until then:")
    most_common = max(set(y_train), key=y_train.count)
    for name, X, y in (("train", X_train, y_train), ("test", X_test, y_test)):
        _, accuracy = train.evaluate(model, X, y, losses.cross_entropy)
        baseline = y.count(most_common) / len(y)
        print(f"{name:5} accuracy {accuracy:6.1%}   (always guessing {iris.target_names[most_common]}: {baseline:.1%})")
    return history.stopped != "interrupted"
