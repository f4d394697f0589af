"""Networks as estimators of scikit-learn, for its pipelines, searches and scores. Needs the extra [sklearn].

>>> from micrograd_like.data import moons
>>> X, y = moons(100)
>>> MLPClassifier(activation="tanh", random_state=0).fit(X, y).score(X, y) > 0.95
True

With the extra [jit] as well, training and predictions run as native code where that saves more than a second.
"""

import random
from math import inf
from typing import Any

try:
    import numpy
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as missing:
    raise ImportError("micrograd_like.sklearn needs scikit-learn: pip install 'micrograd_like[sklearn]'") from missing

from . import train
from .data import moments
from .losses import classification, squared_error
from .nn import MLP, xavier
from .optim import SGD

__all__ = ["MLPClassifier", "MLPRegressor"]

_NAMES = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's names of activations, and the table's


_SHARED = """

    hidden_layer_sizes: units of each hidden layer. activation: of these, by its name in the table of operations, or
        by scikit-learn's.
    learning_rate_init, momentum: of SGD, as for `optim.SGD`; the rate stays.
    alpha: the weight decay times the samples of a batch, as scikit-learn has it; but biases decay as well.
    max_iter: epochs at most. batch_size: samples for each update, or all if there are fewer.
    random_state: an int, a RandomState or None; of the start, the order of the samples, and the choice of those for
        validation.
    early_stopping: measure by the share `validation_fraction` of the samples, and keep the best epoch's parameters.
    n_iter_no_change, tol: training ends after so many epochs in which the loss (with early_stopping, that of the
        validation samples) fell by less than tol.
    verbose: tell the progress on stderr.

    Once fitted: model_, the `nn.MLP`; history_, the `train.History`; loss_curve_, the mean loss of each epoch (without
    weight decay); n_iter_, how many these are; n_features_in_.
    """


class _Estimator(BaseEstimator):
    """What classifier and regressor share."""

    def __init__(
        self,
        hidden_layer_sizes: Any = (16,),
        activation: Any = "relu",
        *,
        learning_rate_init: float = 0.02,
        momentum: float = 0.9,
        alpha: float = 0.0001,
        max_iter: int = 200,
        batch_size: int = 32,
        random_state: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0001,
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.alpha = alpha
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.verbose = verbose

    def _fit(self, X: Any, y: list[Any], outputs: int, loss: Any) -> None:
        """Train a new network on the validated samples."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        sizes = [int(size) for size in numpy.atleast_1d(self.hidden_layer_sizes)]
        self.model_ = MLP(
            X.shape[1],
            [*sizes, outputs],
            activation=_NAMES.get(self.activation, self.activation),
            rng=random.Random(seed),
            init=xavier,
        )
        if self.batch_size < 1:
            raise ValueError(f"batch_size should be 1 or more, got {self.batch_size!r}")
        batch = min(self.batch_size, len(y))
        optimizer = SGD(self.model_.parameters(), self.learning_rate_init, self.momentum, self.alpha / batch)
        smallest, since = inf, 0

        def settled(record: dict[str, Any]) -> bool:
            nonlocal smallest, since
            now = record["val_loss" if self.early_stopping else "loss"]
            since = since + 1 if now > smallest - self.tol else 0
            smallest = min(smallest, now)
            return since >= self.n_iter_no_change

        self.history_ = train.fit(
            self.model_,
            X,
            y,
            loss,
            optimizer=optimizer,
            epochs=self.max_iter,
            batch_size=batch,
            seed=seed,
            validation=self.validation_fraction if self.early_stopping else 0.0,
            patience=self.n_iter_no_change if self.early_stopping else None,  # restores the best epoch
            progress=self.verbose,
            callback=settled,
        )
        self.loss_curve_ = self.history_.loss
        self.n_iter_ = len(self.loss_curve_)

    def _outputs(self, X: Any) -> list[Any]:
        check_is_fitted(self)
        return train.outputs(self.model_, validate_data(self, X, dtype=numpy.float64, reset=False))


class MLPClassifier(ClassifierMixin, _Estimator):
    __doc__ = "A network that tells classes apart: cross-entropy by SGD. classes_: the classes, in order." + _SHARED

    def fit(self, X: Any, y: Any) -> "MLPClassifier":
        """Train on samples X, (n, features), of the classes y, (n,).

        Raises ValueError for what scikit-learn and `train.fit` refuse, and for a single class; FloatingPointError if
        training diverges.
        """
        X, y = validate_data(self, X, y, dtype=numpy.float64)
        check_classification_targets(y)
        self.classes_, labels = numpy.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            (only,) = self.classes_.tolist()
            raise ValueError(f"MLPClassifier needs samples of 2 classes or more; y has 1 class, {only!r}")
        self._fit(X, labels.tolist(), *classification(len(self.classes_)))
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, (n, classes), in the order of classes_."""
        return numpy.array([train.probabilities(out) for out in self._outputs(X)])

    def predict(self, X: Any) -> Any:
        """The likeliest class of each sample, (n,)."""
        found = [train.predict(out) for out in self._outputs(X)]
        return self.classes_[found]


class MLPRegressor(RegressorMixin, _Estimator):
    __doc__ = (
        "A network that predicts a number: squared error by SGD. For that the targets are scaled to mean 0 and\n"
        "    deviation 1; loss_curve_ is in these units." + _SHARED
    )

    def fit(self, X: Any, y: Any) -> "MLPRegressor":
        """Train on samples X, (n, features), with the targets y, (n,).

        Raises ValueError for what scikit-learn and `train.fit` refuse; FloatingPointError if training diverges.
        """
        X, y = validate_data(self, X, y, dtype=numpy.float64, y_numeric=True)
        y = y.astype(numpy.float64)
        self.mean_, deviation = moments(y.tolist())
        self.deviation_ = deviation or 1.0
        self._fit(X, ((y - self.mean_) / self.deviation_).tolist(), 1, squared_error)
        return self

    def predict(self, X: Any) -> Any:
        """The number for each sample, (n,)."""
        scaled = numpy.array(self._outputs(X))
        return self.mean_ + self.deviation_ * scaled
