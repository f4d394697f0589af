"""Accuracy beside scikit-learn's MLP, on data that neither has seen.

    python benchmarks/accuracy.py [--splits 10] [--starts 5] [--seed 0]        (needs the extras [sklearn] and [jit])

Both get the same architecture, activation, batches, learning rate, momentum (not Nesterov's, which ours has not),
weight decay and number of epochs, and the same splits: four fifths to learn from, which also give means and
deviations, and one fifth to be tested on. Starts and orders are each one's own, and the mean over several of them is
taken, so that luck with one is not held for a difference. The mean over the splits is printed with its standard error,
and whether ours is within one standard error of theirs, or better. That is the standard error of the difference, split
by split, since both are measured on the same samples.

Two methods that are equally good fail this once in six times. More splits, and other ones (--seed), tell luck from a
difference.
"""

import argparse
import statistics
import sys
import warnings
from importlib import metadata

from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from micrograd_like.sklearn import MLPClassifier as Ours

DATA = {  # units of the hidden layers, epochs
    "digits": (load_digits, (32,), 40),
    "breast cancer": (load_breast_cancer, (16,), 40),
    "wine": (load_wine, (16,), 40),
}
SHARED = {
    "activation": "relu",
    "learning_rate_init": 0.02,
    "momentum": 0.9,
    "alpha": 1e-4,
    "batch_size": 32,
    "tol": 0.0,
}


def error(numbers):
    return statistics.stdev(numbers) / len(numbers) ** 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=10, metavar="N", help="of each data set, 2 or more (10)")
    parser.add_argument("--starts", type=int, default=5, metavar="N", help="of each network on each split (5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the splits (0)")
    arguments = parser.parse_args()
    splits = arguments.splits
    print(
        f"test accuracy in %, mean ± standard error of {splits} splits, {arguments.starts} starts each; "
        f"scikit-learn {metadata.version('scikit-learn')}"
    )
    print(
        f"{'':14}{'network':>9}{'ours':>16}{'scikit-learn':>16}{'difference':>16}   within one standard error or better"
    )
    held = True
    for name, (load, hidden, epochs) in DATA.items():
        X, y = load(return_X_y=True)
        ours, theirs = [], []
        for seed, (train, test) in enumerate(
            StratifiedShuffleSplit(splits, test_size=0.2, random_state=arguments.seed).split(X, y)
        ):
            for scores, kind, settings in (
                (ours, Ours, {}),
                (theirs, Theirs, {"solver": "sgd", "nesterovs_momentum": False}),
            ):
                found = []
                for start in range(arguments.starts):
                    network = kind(
                        **SHARED, **settings, hidden_layer_sizes=hidden, max_iter=epochs, n_iter_no_change=epochs + 1,
                        random_state=arguments.starts * seed + start,
                    )  # fmt: skip
                    model = make_pipeline(StandardScaler(), network)
                    with warnings.catch_warnings():  # that all epochs were used is what was asked for
                        warnings.simplefilter("ignore", ConvergenceWarning)
                        model.fit(X[train], y[train])
                    assert network.n_iter_ == epochs
                    found.append(100 * model.score(X[test], y[test]))
                scores.append(statistics.mean(found))
        differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        columns = [
            f"{statistics.mean(numbers):{sign}.2f} ± {error(numbers):.2f}"
            for sign, numbers in (("", ours), ("", theirs), ("+", differences))
        ]
        holds = statistics.mean(differences) >= -error(differences)
        held = held and holds
        shape = "-".join(map(str, (X.shape[1], *hidden, len(set(y)))))
        print(
            f"{name:14}{shape:>9}" + "".join(f"{column:>16}" for column in columns) + f"   {'yes' if holds else 'NO'}"
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
