"""The data sets, splitting and standardizing."""

import math
import random
import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest

from micrograd_like.data import circles, iris, moons, rows, samples, spirals, split, standardize, xor

GENERATORS = [(moons, 2), (circles, 2), (xor, 2), (spirals, 2), (lambda *args: spirals(*args, classes=3), 3)]


# ---- points made by a generator -------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "classes"), GENERATORS)
@pytest.mark.parametrize("n", [3, 4, 101])
def test_points_are_balanced_floats(make, classes, n):
    X, y = make(n, 0.1, 0)
    assert len(X) == len(y) == n
    assert all(type(x) is list and [type(number) for number in x] == [float, float] for x in X)
    assert {type(label) for label in y} == {int}
    counts = Counter(y)
    assert sorted(counts) == list(range(classes))
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(("make", "classes"), GENERATORS)
def test_points_depend_on_the_seed_alone(make, classes):
    random.seed(1)
    before = random.getstate()
    first = make(50, 0.1, 7)
    assert random.getstate() == before
    random.seed(2)
    assert make(50, 0.1, 7) == first
    assert make(50, 0.1, 8) != first


@pytest.mark.parametrize(("make", "classes"), GENERATORS)
def test_points_are_shuffled(make, classes):
    _, y = make(60, 0.1, 0)
    changes = sum(a != b for a, b in pairwise(y))
    assert changes > 15  # in order there would be one or two


@pytest.mark.parametrize(("make", "classes"), GENERATORS)
def test_noise_is_a_standard_deviation(make, classes):
    """The noise is drawn in the order of the points, so those without noise show what was added."""
    n = 2000
    noisy, clean = make(n, 0.25, 0)[0], make(n, 0.0, 0)[0]
    added = [a - b for p, q in zip(noisy, clean, strict=True) for a, b in zip(p, q, strict=True)]
    assert math.fsum(added) / len(added) == pytest.approx(0.0, abs=0.02)
    assert math.hypot(*added) / math.sqrt(len(added)) == pytest.approx(0.25, rel=0.05)


def test_moons_are_two_half_circles():
    for (x1, x2), label in zip(*moons(51, 0.0, 0), strict=True):
        if label == 0:
            assert math.hypot(x1, x2) == pytest.approx(1.0) and x2 > -1e-9
        else:
            assert math.hypot(x1 - 1.0, x2 - 0.5) == pytest.approx(1.0) and x2 < 0.5 + 1e-9


def test_circles_have_two_radii():
    for (x1, x2), label in zip(*circles(51, 0.0, 0), strict=True):
        assert math.hypot(x1, x2) == pytest.approx((1.0, 0.5)[label])


@pytest.mark.parametrize(("classes", "turns"), [(2, 1.0), (3, 0.5), (5, 2.0)])
def test_spirals_wind(classes, turns):
    """Turned back by its radius, each arm is a ray, and the rays of the classes are evenly spread."""
    X, y = spirals(20 * classes, 0.0, 0, classes=classes, turns=turns)
    for (x1, x2), label in zip(X, y, strict=True):
        radius = math.hypot(x1, x2)
        angle = math.atan2(x2, x1) / (2.0 * math.pi) - turns * radius - label / classes
        assert angle == pytest.approx(round(angle), abs=1e-9)
    assert sorted({round(20 * math.hypot(*x), 6) for x in X}) == list(range(1, 21))


def test_xor_is_the_truth_table():
    X, y = xor(4, 0.0, 0)
    table = sorted(zip(X, y, strict=True))
    assert table == [([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]


def test_scikit_learn_makes_the_same_moons():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.make_moons(40, shuffle=False)
    theirs = sorted((label, *x) for x, label in zip(X.tolist(), y.tolist(), strict=True))
    ours = sorted((label, *x) for x, label in zip(*moons(40, 0.0), strict=True))
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, abs=1e-12)


def test_numpys_integers_give_pythons_floats():
    np = pytest.importorskip("numpy")
    X, _ = spirals(np.int64(10), 0.1)
    assert {type(x) for row in X for x in row} == {float}
    assert spirals(np.int64(10), 0.1) == spirals(10, 0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: moons(1, 0.1, 0), "n should be at least 2, one point for each class, got 1"),
        (lambda: spirals(2, 0.1, 0, classes=3), "n should be at least 3, one point for each class, got 2"),
        (lambda: circles(10, -0.1, 0), "noise, a standard deviation, should be 0 or more, got -0.1"),
        (lambda: xor(10, math.nan, 0), "noise, a standard deviation, should be 0 or more, got nan"),
        (lambda: spirals(10, classes=1), "spirals takes 2 or more classes, got 1"),
    ],
)
def test_messages_of_the_generators(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


# ---- iris ---------------------------------------------------------------------------------------------


def test_iris_has_the_means_of_fishers_article():
    """Table II of the article. The variant of the UCI repository has 3.418, 1.464 and 0.244 for setosa."""
    data = iris()
    assert data.feature_names == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert data.target_names == ["setosa", "versicolor", "virginica"]
    assert Counter(data.y) == {0: 50, 1: 50, 2: 50}
    for label, means in enumerate(
        [(5.006, 3.428, 1.462, 0.246), (5.936, 2.770, 4.260, 1.326), (6.588, 2.974, 5.552, 2.026)]
    ):
        columns = zip(*(x for x, k in zip(data.X, data.y, strict=True) if k == label), strict=True)
        assert [round(math.fsum(column) / 50, 3) for column in columns] == list(means)


def test_iris_is_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_iris()
    data = iris()
    assert (data.X, data.y) == (theirs.data.tolist(), theirs.target.tolist())
    assert data.target_names == theirs.target_names.tolist()


def test_the_repr_of_a_data_set_is_short():
    assert repr(iris()) == (
        "Dataset of 150 samples; features: sepal_length, sepal_width, petal_length, petal_width; "
        "classes: setosa, versicolor, virginica"
    )


# ---- split ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("sizes", [(50, 50, 50), (90, 9, 1), (7, 5), (10,), (1, 1, 1, 1)])
def test_split_keeps_samples_together_and_shares(fraction, sizes):
    y = [label for label, size in enumerate(sizes) for _ in range(size)]
    X = [[float(i), float(label)] for i, label in enumerate(y)]
    if round(fraction * len(y)) in (0, len(y)):
        with pytest.raises(ValueError, match="leaves one part empty"):
            split(X, y, fraction, 0)
        return
    X_train, y_train, X_test, y_test = split(X, y, fraction, 0)
    assert sorted(X_train + X_test) == X
    assert [x[1] for x in X_train] == y_train and [x[1] for x in X_test] == y_test
    assert abs(len(y_test) - fraction * len(y)) <= 0.5 + 1e-9
    for label, size in enumerate(sizes):
        assert abs(y_test.count(label) - fraction * size) < 1.0


def test_split_depends_on_the_seed_alone_and_shuffles():
    data = iris()
    first = split(data.X, data.y, 0.2, 3)
    assert split(data.X, data.y, 0.2, 3) == first
    assert split(data.X, data.y, 0.2, 4) != first
    for y in (first[1], first[3]):
        assert y != sorted(y)
    ids = [[float(i)] for i in range(150)]
    assert sorted(split(ids, data.y, 0.2, 3)[2]) != sorted(split(ids, data.y, 0.2, 4)[2])


def test_each_sample_is_as_likely_as_any_other_to_be_tested():
    ids, y = [[float(i)] for i in range(12)], [0] * 7 + [1] * 5
    counts = Counter(i for seed in range(2000) for (i,) in split(ids, y, 0.25, seed)[2])
    for i in range(12):
        # 3 of the 12 are tested: of the seven it would be 1.75, which come out as 2, and one of the five
        assert counts[i] / 2000 == pytest.approx(2 / 7 if i < 7 else 1 / 5, abs=0.04)


def test_split_spreads_targets_that_are_no_classes():
    y = [x * x for x in range(40)]
    _, _, _, y_test = split([[float(x)] for x in range(40)], y, 0.25, 0)
    tenths = Counter(min(int(math.sqrt(target)) // 10, 3) for target in y_test)
    assert all(2 <= tenths[i] <= 3 for i in range(4))


def test_split_takes_arrays_labels_of_any_kind_and_leaves_its_arguments():
    X, y = [[1], [2], [Fraction(1, 2)], [4]], ["a", "b", "a", "b"]
    parts = split(X, y, 0.5)
    assert [[1], [2], [Fraction(1, 2)], [4]] == X and y == ["a", "b", "a", "b"]
    assert sorted(parts[1]) == sorted(parts[3]) == ["a", "b"]
    np = pytest.importorskip("numpy")
    assert split(np.array([[1.0], [2.0], [0.5], [4.0]]), np.array(y), 0.5) == parts
    assert type(split(np.eye(4), np.arange(4), 0.5)[1][0]) is int


# ---- standardize ------------------------------------------------------------------------------------------


def test_standardize_by_hand():
    train, test = standardize([[1.0, 10.0], [3.0, 30.0]], [[5.0, 20.0]])
    assert train == [[-1.0, -1.0], [1.0, 1.0]]
    assert test == [[3.0, 0.0]]
    assert standardize([[1.0], [3.0]]) == [[-1.0], [1.0]]


def test_standardized_columns_have_mean_0_and_deviation_1():
    for column in zip(*standardize(iris().X), strict=True):
        assert math.fsum(column) / 150 == pytest.approx(0.0, abs=1e-14)
        assert math.hypot(*column) / math.sqrt(150) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("number", [0.1, 0.0, 1e300, -1e-300])
def test_a_constant_column_becomes_0(number):
    """The rounded mean of 0.1, 0.1, 0.1 is another number: the deviation from it is tiny but not 0."""
    train, test = standardize([[number, 1.0], [number, 2.0], [number, 4.0]], [[7.0, 3.0]])
    assert [row[0] for row in train] == [0.0, 0.0, 0.0]
    assert test[0][0] == 0.0
    assert train[0][1] < 0.0 < train[2][1]


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_of_large_and_small_numbers_do_no_harm(scale):
    (a,), (b,), (c,) = standardize([[1.0 * scale], [2.0 * scale], [3.0 * scale]])
    assert (a, b, c) == pytest.approx((-math.sqrt(1.5), 0.0, math.sqrt(1.5)), rel=1e-14, abs=1e-14)


# ---- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows([]), "X is empty"),
        (lambda: standardize([]), "X_train is empty"),
        (lambda: split([], []), "X is empty"),
        (lambda: rows([1.0, 2.0]), "row 0 of X should be a sequence of numbers, got 1.0"),
        (lambda: rows([[1.0, 2.0], [1.0]]), "row 1 of X has 1 columns, row 0 has 2"),
        (lambda: rows([[1.0], [math.nan]]), "row 1, column 0 of X should be a finite number, got nan"),
        (lambda: rows([[1.0, -math.inf]]), "row 0, column 1 of X should be a finite number, got -inf"),
        (lambda: rows([[1.0, "2"]]), "row 0, column 1 of X should be a finite number, got '2'"),
        (lambda: rows([[None]]), "row 0, column 0 of X should be a finite number, got None"),
        (lambda: rows(["ab"]), "row 0, column 0 of X should be a finite number, got 'a'"),
        (lambda: samples([[1.0], [2.0]], [0]), "X has 2 rows, y has 1 targets"),
        (lambda: split([[1.0], [2.0]], [0, 1, 1]), "X has 2 rows, y has 3 targets"),
        (lambda: split([[1.0], [2.0]], [0, 1], 0.0), "fraction should be between 0 and 1, got 0.0"),
        (lambda: split([[1.0], [2.0]], [0, 1], 1), "fraction should be between 0 and 1, got 1"),
        (lambda: split([[1.0], [2.0]], [0, 1], math.nan), "fraction should be between 0 and 1, got nan"),
        (lambda: split([[1.0]], [0], 0.5), "a fraction of 0.5 of 1 samples leaves one part empty"),
        (lambda: split([[1.0]] * 3, [0] * 3, 0.1), "a fraction of 0.1 of 3 samples leaves one part empty"),
        (lambda: standardize([[1.0], [2.0]], [[1.0, 2.0]]), "others[0] has 2 columns, X_train has 1"),
        (lambda: standardize([[1.0]], [[1.0]], []), "others[1] is empty"),
        (lambda: standardize([[1.0]], [[math.nan]]),
         "row 0, column 0 of others[0] should be a finite number, got nan"),
    ],
)  # fmt: skip
def test_messages(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
