"""The main job: the lecture from its chain of units to a network trained by SGD."""

import math
import random
from pathlib import Path

from . import byhand, data, losses, nn, optim, train
from .engine import Value

DRAWN = 20  # units; the picture of a longer chain is a thread nobody can read


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


def lecture(depth: int, seed: int, out: str, force: bool) -> int:
    """Print the comparison, draw the graph into the folder `out`, train; return 0, or 1 if gradients differ."""
    rng = random.Random(seed)
    w = [round(rng.uniform(-1.5, 1.5), 2) for _ in range(depth)]
    x, y = round(rng.uniform(0.5, 1.5), 2), round(rng.uniform(-1, 1), 2)
    weights, loss = chain(w, x, y)
    loss.backward()
    agreed = _compare(weights, loss, w, x, y)
    _draw(loss, depth, Path(out), force)
    _train(seed)
    return 0 if agreed else 1


def _compare(weights: list[Value], loss: Value, w: list[float], x: float, y: float) -> bool:
    units = "1 unit" if len(w) == 1 else f"{len(w)} units"
    print(f"The lecture's chain of {units}: z_i = w_i f_(i-1), f_i = tanh(z_i), f_0 = x = {x}, y = {y}")
    print(f"Loss = (y - f_{len(w)})² = {loss.data:.12g}\n")
    print("∂Loss/∂w, four ways, and the largest difference of the first three in ulp (units in the last place):\n")
    columns = (("engine", 24), ("recurrence", 24), ("unrolled product", 24), ("central difference", 20), ("ulp", 5))
    print(f"weight {'value':>6}" + "".join(f"{title:>{width}}" for title, width in columns))
    recurrence = byhand.chain_gradients(w, x, y)
    unrolled = byhand.unrolled_gradients(w, x, y)
    most_ulp = most_off = 0.0
    for i, weight in enumerate(weights):
        difference = byhand.central_difference(lambda at: chain(at, x, y)[1].data, w, i)
        exact = (weight.grad, recurrence[i], unrolled[i])
        ulp = (max(exact) - min(exact)) / math.ulp(max(map(abs, exact)))
        most_ulp, most_off = max(most_ulp, ulp), max(most_off, abs(difference - weight.grad))
        numbers = "".join(f"{number:>24.16g}" for number in exact)
        print(f"{weight.name:6} {w[i]:>6}{numbers}{difference:>20.11g}{ulp:>5.0f}")
    # Each factor of the product may round once, so the last bits may differ, by more the longer the chain.
    agreed = most_ulp <= 8 + 4 * len(w) and most_off < 1e-9
    verdict = "agree" if agreed else "DO NOT AGREE"
    print(
        f"\nThe engine and the two hand-derived forms {verdict}: within {most_ulp:.0f} ulp."
        f"\nThe central difference, which knows no calculus, is within {most_off:.1g} of them.\n"
    )
    return agreed


def _draw(loss: Value, depth: int, out: Path, force: bool) -> None:
    from .show import draw_dot

    if depth > DRAWN:
        print(f"No picture: a chain of {depth} units is too long to be read; up to --depth {DRAWN} is drawn.\n")
        return
    try:
        graph = draw_dot(loss)
    except ImportError as error:
        print(f"No picture: {error}\n")
        return
    try:
        path, content = out / "graph.svg", graph.pipe(format="svg", encoding="utf-8")
    except RuntimeError as error:
        print(f"No picture, only its text for Graphviz: {error}")
        path, content = out / "graph.dot", graph.source
    if path.exists() and not force:
        print(f"The graph: {path} is there already and was kept; --force replaces it.\n")
        return
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    print(f"The graph, with ∂Loss/∂node on every node: {path}\n")


def _train(seed: int) -> None:
    iris = data.iris()
    X_train, y_train, X_test, y_test = data.split(iris.X, iris.y, 1 / 3, seed=seed)
    X_train, X_test = data.standardize(X_train, X_test)
    model = nn.MLP(4, [8, 3], activation="tanh", rng=random.Random(seed))
    print(f"SGD on Fisher's Iris, {len(y_train)} flowers to learn from and {len(y_test)} to be tested on: {model}")
    train.fit(
        model,
        X_train,
        y_train,
        losses.cross_entropy,
        optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3),
        epochs=30,
        batch_size=16,
        seed=seed,
    )
    most_common = max(set(y_train), key=y_train.count)
    for name, X, y in (("train", X_train, y_train), ("test", X_test, y_test)):
        _, accuracy = train.evaluate(model, X, y, losses.cross_entropy)
        baseline = y.count(most_common) / len(y)
        print(f"{name:5} accuracy {accuracy:6.1%}   (always guessing {iris.target_names[most_common]}: {baseline:.1%})")
