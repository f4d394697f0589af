"""Small data sets to train on, and what is done to data before training: splitting and standardizing."""

import random
from collections.abc import Callable, Sequence
from math import cos, fsum, hypot, inf, isfinite, pi, sin, sqrt
from numbers import Real
from operator import index
from typing import Any

Points = tuple[list[list[float]], list[int]]  # X, a list of [x1, x2], and y, their labels


def _points(
    n: int, noise: float, seed: int, classes: int, point: Callable[[int, int, int], tuple[float, float]]
) -> Points:
    """n points in equal shares, shuffled: point(label, i, how many of this label), plus normal noise."""
    n = index(n)  # a numpy integer would make numpy's floats
    if n < classes:
        raise ValueError(f"n should be at least {classes}, one point for each class, got {n}")
    if not 0.0 <= noise < inf:
        raise ValueError(f"noise, a standard deviation, should be 0 or more, got {noise!r}")
    rng = random.Random(seed)
    points = []
    for label in range(classes):
        size = n // classes + (label < n % classes)
        for i in range(size):
            x1, x2 = point(label, i, size)
            points.append(([rng.gauss(x1, noise), rng.gauss(x2, noise)], label))
    rng.shuffle(points)
    return [x for x, _ in points], [label for _, label in points]


def moons(n: int = 100, noise: float = 0.1, seed: int = 0) -> Points:
    """Two interleaved half circles of radius 1, as scikit-learn's make_moons: 0 is the upper, 1 the lower.

    Here and below: `n` points in all, `noise` the standard deviation added to each coordinate. Returns X, a
    list of [x1, x2], and y, a list of labels. Raises ValueError for n below the number of classes or
    negative noise.
    """

    def point(label: int, i: int, size: int) -> tuple[float, float]:
        t = pi * i / max(size - 1, 1)
        return (1.0 - cos(t), 0.5 - sin(t)) if label else (cos(t), sin(t))

    return _points(n, noise, seed, 2, point)


def circles(n: int = 100, noise: float = 0.1, seed: int = 0) -> Points:
    """Two circles around the origin: 0 has radius 1, 1 has radius 0.5."""

    def point(label: int, i: int, size: int) -> tuple[float, float]:
        t = 2.0 * pi * i / size
        radius = 0.5 if label else 1.0
        return radius * cos(t), radius * sin(t)

    return _points(n, noise, seed, 2, point)


def spirals(n: int = 100, noise: float = 0.02, seed: int = 0, classes: int = 2, turns: float = 1.0) -> Points:
    """One arm for each class, winding `turns` times around the origin while its radius grows to 1."""
    if classes < 2:
        raise ValueError(f"spirals takes 2 or more classes, got {classes!r}")

    def point(label: int, i: int, size: int) -> tuple[float, float]:
        radius = (i + 1) / size  # not from 0, where the arms meet
        t = 2.0 * pi * (turns * radius + label / classes)
        return radius * cos(t), radius * sin(t)

    return _points(n, noise, seed, classes, point)


def xor(n: int = 100, noise: float = 0.1, seed: int = 0) -> Points:
    """The corners of the unit square: 1 where one coordinate is 1 alone. `xor(4, 0.0)` is the truth table."""
    return _points(n, noise, seed, 2, lambda label, i, size: (float(i % 2), float((i + label) % 2)))


class Dataset:
    """Samples with names: X, a list of rows; y, the index in `target_names` of each row's class."""

    def __init__(self, X: list[list[float]], y: list[int], feature_names: list[str], target_names: list[str]):
        self.X = X
        self.y = y
        self.feature_names = feature_names
        self.target_names = target_names

    def __repr__(self) -> str:
        return (
            f"Dataset of {len(self.X)} samples; features: {', '.join(self.feature_names)}; "
            f"classes: {', '.join(self.target_names)}"
        )


def iris() -> Dataset:
    """Fisher's 150 irises: four lengths in cm, three species. `datasets/README.md` gives the source."""
    from importlib.resources import files

    text = files(__package__).joinpath("datasets", "iris.csv").read_text(encoding="utf-8")
    header, *lines = [line.split(",") for line in text.splitlines()]
    species = list(dict.fromkeys(line[-1] for line in lines))
    X = [[float(x) for x in line[:-1]] for line in lines]
    return Dataset(X, [species.index(line[-1]) for line in lines], header[:-1], species)


def rows(X: Any, name: str = "X") -> list[list[float]]:
    """X, a sequence of sequences of numbers or a numpy array, as equally long lists of floats.

    Raises ValueError, with the row and the column, if X is empty, its rows differ in length, or something in
    it is not a finite number.
    """
    X = X.tolist() if hasattr(X, "tolist") else list(X)
    if len(X) == 0:
        raise ValueError(f"{name} is empty")
    for i, row in enumerate(X):
        if not hasattr(row, "__len__"):
            raise ValueError(f"row {i} of {name} should be a sequence of numbers, got {row!r:.60}")
        if len(row) != len(X[0]):
            raise ValueError(f"row {i} of {name} has {len(row)} columns, row 0 has {len(X[0])}")
        for j, x in enumerate(row):
            if not isinstance(x, Real) or not isfinite(x):
                raise ValueError(f"row {i}, column {j} of {name} should be a finite number, got {x!r:.60}")
    return [[float(x) for x in row] for row in X]


def samples(X: Any, y: Any) -> tuple[list[list[float]], list[Any]]:
    """X as `rows` gives it, and y as a list. Raises ValueError for what `rows` refuses or unequal lengths."""
    X = rows(X)
    y = y.tolist() if hasattr(y, "tolist") else list(y)
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows, y has {len(y)} targets")
    return X, y


def split(
    X: Any, y: Any, fraction: float = 0.25, seed: int = 0
) -> tuple[list[list[float]], list[Any], list[list[float]], list[Any]]:
    """Shuffle, and set the share `fraction` of the samples apart: X_train, y_train, X_test, y_test.

    Each class keeps its share, to within one sample. (Targets that are no classes are spread in the same
    way: both parts have small and large ones.) Raises ValueError for what `samples` refuses, for a fraction
    outside (0, 1), and if one of the parts would be empty.
    """
    X, y = samples(X, y)
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction should be between 0 and 1, got {fraction!r}")
    rng = random.Random(seed)
    order = list(range(len(X)))
    rng.shuffle(order)
    order.sort(key=lambda i: y[i])
    # Where the class is sorted, taking every so many-th sample takes the same share of each class.
    train: list[int] = []
    test: list[int] = []
    for position, i in enumerate(order):
        is_test = int((position + 1) * fraction + 0.5) > int(position * fraction + 0.5)
        (test if is_test else train).append(i)
    if not train or not test:
        raise ValueError(f"a fraction of {fraction!r} of {len(X)} samples leaves one part empty")
    rng.shuffle(train)
    rng.shuffle(test)
    return [X[i] for i in train], [y[i] for i in train], [X[i] for i in test], [y[i] for i in test]


def moments(numbers: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation of one or more numbers; the deviation is 0 only if they are all the same."""
    mean = fsum(numbers) / len(numbers)
    # The rounded mean of equal numbers may differ from them, so a deviation of 0 is not to be relied on.
    constant = min(numbers) == max(numbers)
    return mean, 0.0 if constant else hypot(*(x - mean for x in numbers)) / sqrt(len(numbers))


def standardize(X_train: Any, *others: Any) -> Any:
    """Shift and scale the columns so that in X_train they have mean 0 and standard deviation 1.

    The others (test data) go through the same map, so nothing is learned from them. A column that is constant
    in X_train tells nothing and becomes 0. Returns a list of rows for each argument; given only one, the
    list itself. Raises ValueError for what `rows` refuses and for a differing number of columns.
    """
    tables = [rows(X_train, "X_train"), *(rows(X, f"others[{i}]") for i, X in enumerate(others))]
    for i, table in enumerate(tables[1:]):
        if len(table[0]) != len(tables[0][0]):
            raise ValueError(f"others[{i}] has {len(table[0])} columns, X_train has {len(tables[0][0])}")
    columns = [moments(column) for column in zip(*tables[0], strict=True)]
    scaled = tuple(
        [
            [(x - mean) / deviation if deviation else 0.0 for x, (mean, deviation) in zip(row, columns, strict=True)]
            for row in table
        ]
        for table in tables
    )
    return scaled if others else scaled[0]
