"""The estimators of `micrograd_like.sklearn`: scikit-learn's own checks, and what goes beyond them."""

import pickle
import subprocess
import sys

import pytest

pytest.importorskip("sklearn")

import numpy
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from micrograd_like import losses, train
from micrograd_like.nn import MLP
from micrograd_like.sklearn import MLPClassifier, MLPRegressor


@parametrize_with_checks([MLPClassifier(max_iter=60), MLPRegressor(max_iter=60)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("load", "network", "least"),
    [
        (load_breast_cancer, MLPClassifier(max_iter=30, random_state=0), 0.94),
        (load_wine, MLPClassifier((8,), "tanh", random_state=0), 0.94),
        (load_diabetes, MLPRegressor((4,), "tanh", max_iter=40, random_state=0), 0.2),  # scikit-learn's Ridge: 0.36
    ],
)
def test_in_a_pipeline(load, network, least):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    assert make_pipeline(StandardScaler(), network).fit(X, y).score(X_test, y_test) > least


def test_in_a_search():
    X, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=15, random_state=0))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_layer_sizes": [(1,), (8,)]}, cv=3).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__hidden_layer_sizes": (8,)} and search.best_score_ > 0.9
    assert cross_val_score(search.best_estimator_, X, y, cv=3).mean() == search.best_score_


def blobs(n=90, classes=3, seed=0):
    rng = numpy.random.default_rng(seed)
    y = numpy.arange(n) % classes
    return rng.normal(size=(n, 2)) + 3 * numpy.stack([y == 1, y == 2], axis=1), y


def test_it_is_fit_with_these_settings():
    """The estimator adds nothing to `train.fit`, and its parameters mean what scikit-learn's do."""
    X, y = blobs()
    found = MLPClassifier((5,), "logistic", alpha=0.6, batch_size=20, max_iter=7, random_state=3).fit(X, y)
    assert str(found.model_) == "MLP 2-5-3, sigmoid linear, 33 parameters"
    assert (found.n_iter_, len(found.loss_curve_), found.n_features_in_) == (7, 7, 2)
    assert found.history_.loss == found.loss_curve_ and found.history_.lr == [0.02] * 7
    logits = [[z.data for z in found.model_(x)] for x in X.tolist()]
    assert found.predict_proba(X) == pytest.approx(numpy.array([train.probabilities(z) for z in logits]))
    assert found.predict(X).tolist() == [train.predict(z) for z in logits]
    for settings, shape in (({}, [16]), ({"hidden_layer_sizes": 3}, [3]), ({"hidden_layer_sizes": ()}, [])):
        model = MLPClassifier(**settings, max_iter=1).fit(X, y).model_
        assert isinstance(model, MLP) and model.sizes == [2, *shape, 3]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_alpha_is_scikit_learns():
    """Where no bias is needed, which decays here and not there, both find the same probabilities."""
    X = numpy.random.default_rng(0).normal(size=(45, 2)) + 1
    X, y = numpy.vstack([X, -X]), numpy.repeat([1, 0], 45)
    settings = {"hidden_layer_sizes": (1,), "activation": "identity", "batch_size": 90, "random_state": 0}
    shared = {**settings, "learning_rate_init": 0.2, "max_iter": 400, "tol": 0.0, "n_iter_no_change": 400}
    theirs = Theirs(solver="sgd", nesterovs_momentum=False, alpha=3.0, **shared).fit(X, y).predict_proba(X)
    assert MLPClassifier(alpha=3.0, **shared).fit(X, y).predict_proba(X) == pytest.approx(theirs, abs=1e-7)
    assert MLPClassifier(alpha=6.0, **shared).fit(X, y).predict_proba(X) != pytest.approx(theirs, abs=0.03)


def test_classes_keep_their_names():
    X, y = blobs()
    names = numpy.array(["oak", "ash", "elm"])[y]
    found = MLPClassifier(max_iter=30, random_state=0).fit(X, names)
    assert found.classes_.tolist() == ["ash", "elm", "oak"] and found.score(X, names) > 0.8
    assert (found.predict(X) == found.classes_[found.predict_proba(X).argmax(axis=1)]).all()


def test_when_training_ends():
    X, y = blobs()
    settled = MLPClassifier(tol=0.05, n_iter_no_change=3, random_state=0).fit(X, y)
    assert settled.n_iter_ < 200 and settled.history_.stopped == "callback"
    curve = settled.loss_curve_
    fell = [curve[i] <= min(curve[:i]) - 0.05 for i in range(1, len(curve))]
    assert fell[-4:] == [True, False, False, False] and not any(
        fell[i : i + 3] == [False] * 3 for i in range(len(fell) - 3)
    )
    early = MLPClassifier(early_stopping=True, validation_fraction=0.3, tol=0.0, random_state=0).fit(X, y)
    assert early.n_iter_ < 200 and None not in early.history_.val_loss
    # the parameters are those of the best epoch
    X, y = train.samples(X, y)
    seed = int(numpy.random.RandomState(0).randint(2**31 - 1))
    *_, X_val, y_val = train.split(X, y, 0.3, seed)
    loss = train.evaluate(early.model_, X_val, y_val, losses.cross_entropy)[0]
    assert loss == pytest.approx(min(early.history_.val_loss))


def test_targets_of_any_size():
    X, y = load_diabetes(return_X_y=True)
    shared = {"max_iter": 10, "random_state": 0}
    a, b = (MLPRegressor(**shared).fit(X, scale * y + 5).predict(X) for scale in (1.0, 1e6))
    assert (b - 5) / 1e6 == pytest.approx(a - 5, rel=1e-6)


def test_the_same_seed_and_copies():
    X, y = blobs()
    found = MLPClassifier(max_iter=3, random_state=1).fit(X, y)
    again = clone(found).fit(X, y)
    assert found.loss_curve_ == again.loss_curve_ != clone(found).set_params(random_state=2).fit(X, y).loss_curve_
    assert (pickle.loads(pickle.dumps(found)).predict_proba(X) == found.predict_proba(X)).all()


def test_native_code_where_it_saves_time(capsys):
    pytest.importorskip("llvmlite")
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    MLPClassifier(max_iter=5, verbose=True).fit(X, y)
    assert "compiled: " in capsys.readouterr().err
    MLPClassifier(max_iter=5).fit(X, y)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swash"}, "activation 'swash' is not known"),
        ({"hidden_layer_sizes": (3, 0)}, "layer sizes, all 1 or more"),
        ({"learning_rate_init": 0}, "learning rate lr > 0, got 0"),
        ({"momentum": 1.0}, "0 <= momentum < 1, got 1.0"),
        ({"alpha": -1}, "weight_decay >= 0"),
        ({"max_iter": 0}, "epochs should be 1 or more, got 0"),
        ({"batch_size": 0}, "batch_size should be 1 or more, got 0"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "patience should be 1 or more"),
        ({"early_stopping": True, "validation_fraction": 1.5}, "fraction should be between 0 and 1, got 1.5"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**settings).fit(*blobs())


def test_other_refusals():
    X, y = blobs()
    with pytest.raises(ValueError, match="MLPClassifier needs samples of 2 classes or more; y has 1 class, 0"):
        MLPClassifier().fit(X, 0 * y)
    with pytest.raises(NotFittedError):
        MLPClassifier().predict_proba(X)
    with pytest.raises(FloatingPointError, match="Try a learning rate smaller than"):
        MLPRegressor(learning_rate_init=1e6).fit(X, y)


@pytest.mark.parametrize("missing", ["sklearn", "numpy"])
def test_without_the_extra(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; import micrograd_like.sklearn"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.endswith(
        "ImportError: micrograd_like.sklearn needs scikit-learn: pip install 'micrograd_like[sklearn]'\n"
    )
