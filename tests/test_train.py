"""Training: that it learns, that it is the obvious algorithm, how it stops, what it shows and refuses."""

import io
import math
import random
import re
import signal
import subprocess
import sys

import pytest

from micrograd_like import Value, log, sqrt
from micrograd_like.data import iris, moons, split, standardize, xor
from micrograd_like.losses import binary_cross_entropy, cross_entropy, hinge, squared_error
from micrograd_like.nn import MLP
from micrograd_like.optim import SGD, linear
from micrograd_like.train import evaluate, fit, predict


def net(*sizes, seed=0):
    return MLP(sizes[0], sizes[1:], activation="tanh", rng=random.Random(seed))


def numbers(model):
    return [p.data for p in model.parameters()]


def quiet(model, X, y, loss, **settings):
    return fit(model, X, y, loss, progress=False, **settings)


class Line:
    """The model w x. On the sample x = 1, y = 0 an epoch multiplies w by 1 - 2 lr and the loss is w²."""

    def __init__(self, w=1.0):
        self.w = Value(w, name="w")

    def __call__(self, x):
        return self.w * x[0]

    def parameters(self):
        return [self.w]


# ---- learning ------------------------------------------------------------------------------------------


def test_it_learns_iris():
    data = iris()
    X_train, y_train, X_test, y_test = split(data.X, data.y, 0.2, seed=1)
    X_train, X_test = standardize(X_train, X_test)
    model = net(4, 8, 3)
    history = quiet(model, X_train, y_train, cross_entropy, lr=0.1, batch_size=4, epochs=25)
    assert history.loss[-1] < 0.1 < history.loss[0]
    assert evaluate(model, X_train, y_train, cross_entropy)[1] >= 0.95
    assert evaluate(model, X_test, y_test, cross_entropy)[1] >= 0.95


@pytest.mark.parametrize("loss", [binary_cross_entropy, hinge, squared_error])
def test_it_learns_xor_with_each_loss_of_one_output(loss):
    X, y = xor(20, 0.05, 0)
    if loss is not binary_cross_entropy:
        y = [2 * label - 1 for label in y]
    history = quiet(net(2, 4, 1), X, y, loss, lr=0.05, batch_size=1, epochs=60)
    assert history.accuracy[-1] == 1.0


def test_it_fits_a_line():
    X = [[x / 10] for x in range(-10, 11)]
    model = net(1, 1)
    history = quiet(model, X, [3 * x - 1 for (x,) in X], squared_error, lr=0.3, epochs=100)
    assert numbers(model) == pytest.approx([3.0, -1.0], abs=1e-6)
    assert history.accuracy == [None] * 100


# ---- the obvious algorithm -----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 3, 4, 100])
def test_it_is_gradient_descent_on_the_mean_of_the_batch(batch_size):
    """Beside it runs the textbook's loop, which builds the mean loss of each batch as one graph."""
    X, y = moons(10, 0.1, 0)
    ours, theirs = net(2, 3, 1), net(2, 3, 1)
    history = quiet(ours, X, y, binary_cross_entropy, lr=0.2, batch_size=batch_size, epochs=3, seed=5)

    rng = random.Random(5)
    samples = list(zip(X, y, strict=True))
    for epoch in range(3):
        rng.shuffle(samples)
        total = 0.0
        size = batch_size or 10
        for start in range(0, 10, size):
            batch = samples[start : start + size]
            mean = sum(binary_cross_entropy(theirs(x), target) for x, target in batch) / len(batch)
            total += mean.data * len(batch)
            theirs.zero_grad()
            mean.backward()
            for p in theirs.parameters():
                p.data -= 0.2 * p.grad
        assert history.loss[epoch] == pytest.approx(total / 10, rel=1e-12)
    assert numbers(ours) == pytest.approx(numbers(theirs), rel=1e-12)


def test_one_epoch_by_hand():
    """At w = 2 the loss, the mean of (w x - y)², is (4 + 4) / 2; its slope, of 2 (w x - y) x, (4 + 8) / 2."""
    model = Line(2.0)
    history = quiet(model, [[1.0], [2.0]], [0.0, 2.0], squared_error, lr=0.25, epochs=1)
    assert history.records == [
        {"epoch": 0, "lr": 0.25, "loss": 4.0, "accuracy": None, "val_loss": None, "val_accuracy": None}
    ]
    assert model.w.data == 2.0 - 0.25 * 6.0


def test_an_optimizer_and_a_function_as_model():
    """Momentum 0.5: w = 1 → 1 - 0.25 · 2 = 0.5 → 0.5 - 0.25 (0.5 · 2 + 1) = 0; lr stands in the optimizer."""
    w = Value(1.0)
    sgd = SGD([w], lr=0.25, momentum=0.5)
    history = quiet(lambda x: w * x[0], [[1.0]], [0.0], squared_error, lr=99.0, optimizer=sgd, epochs=2)
    assert w.data == 0.0
    assert history.lr == [0.25, 0.25]


def test_only_the_parameters_of_the_optimizer_change():
    model = net(2, 3, 1)
    before = numbers(model)
    last = model.layers[-1].parameters()
    X, y = moons(10, 0.1, 0)
    quiet(model, X, y, binary_cross_entropy, optimizer=SGD(last, lr=0.1), epochs=2)
    after = numbers(model)
    assert after[: -len(last)] == before[: -len(last)]
    assert all(a != b for a, b in zip(after[-len(last) :], before[-len(last) :], strict=True))


def test_a_schedule_sets_the_learning_rate_of_each_epoch():
    model = Line()
    history = quiet(model, [[1.0]], [0.0], squared_error, epochs=4, schedule=linear(0.4, 0.0, 4))
    assert history.lr == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert model.w.data == pytest.approx(0.2 * 0.4 * 0.6 * 0.8)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"batch_size": 7, "validation": 0.3}])
def test_the_same_seed_gives_the_same_bits(settings):
    X, y = moons(30, 0.1, 0)

    def run(seed):
        model = net(2, 4, 1)
        random.seed()  # Python's global generator plays no part
        return quiet(model, X, y, binary_cross_entropy, epochs=4, seed=seed, **settings).records, numbers(model)

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_arrays_are_taken():
    np = pytest.importorskip("numpy")
    X, y = moons(20, 0.1, 0)
    runs = []
    for inputs, targets in ((X, y), (np.array(X), np.array(y)), (np.array(X), np.array(y) == 1)):
        model = net(2, 3, 1)
        history = quiet(model, inputs, targets, binary_cross_entropy, epochs=3, batch_size=4)
        runs.append((history.records, numbers(model)))
        assert type(history.loss[0]) is float
    assert runs[0] == runs[1] == runs[2]


# ---- accuracy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "labels", "label"),
    [
        ([0.1, 0.7, 0.2], (0, 1), 1),
        ([Value(3.0), Value(-1.0)], (0, 1), 0),
        ([1.0, 2.0, 2.0], (0, 1), 1),
        (0.1, (0, 1), 1),
        (-0.1, (0, 1), 0),
        (0.0, (0, 1), 0),
        (Value(0.1), (-1, 1), 1),
        (Value(-0.1), (-1, 1), -1),
    ],
)
def test_predict(outputs, labels, label):
    assert predict(outputs, labels) == label


def test_predict_takes_numpys_numbers():
    np = pytest.importorskip("numpy")
    assert predict(np.float64(0.5)) == 1
    assert predict(np.array([0.5, 1.5, 1.0])) == 1


@pytest.mark.parametrize(
    ("loss", "y", "accuracy"),
    [
        (binary_cross_entropy, [0, 0, 1, 1], 0.75),
        (binary_cross_entropy, [0, 0, 0, 0], 0.75),
        (binary_cross_entropy, [0.0, 0.0, 1.0, 0.0], 0.5),
        (binary_cross_entropy, [0, 0.25, 1, 1], None),  # probabilities, not labels
        (hinge, [-1, -1, 1, 1], 0.75),
        (hinge, [1, 1, 1, 1], 0.25),
        (squared_error, [-1, -1, 1, 1], 0.75),
        (squared_error, [0, 0, 1, 1], None),  # these are not told apart at 0
        (squared_error, [0.5, 2.0, 1.0, 1.0], None),
        (squared_error, [[-1], [-1], [1], [1]], None),
    ],
)
def test_what_is_an_accuracy_for_a_single_output(loss, y, accuracy):
    """The model is x itself, at -1, -2, -3 and 4."""
    X = [[-1.0], [-2.0], [-3.0], [4.0]]
    mean, share = evaluate(lambda x: x[0], X, y, loss)
    assert share == accuracy
    assert mean == pytest.approx(sum(loss(x, target) for (x,), target in zip(X, y, strict=True)) / 4)


def test_what_is_an_accuracy_for_a_list_of_outputs():
    X = [[0.0, 1.0, 2.0], [5.0, 1.0, 2.0]]
    assert evaluate(list, X, [2, 1], cross_entropy)[1] == 0.5
    assert evaluate(list, X, [2, 0], cross_entropy)[1] == 1.0
    assert evaluate(list, X, [[0, 0, 1], [1, 0, 0]], squared_error) == (11.5, None)


def test_the_history_agrees_with_evaluate():
    """Of a full batch the loss is the one before its update; validation is measured after the epoch."""
    X, y = moons(40, 0.1, 0)
    X_train, y_train, X_val, y_val = split(X, y, 0.25, 3)
    model = net(2, 4, 1)
    before = evaluate(model, X_train, y_train, binary_cross_entropy)
    history = quiet(model, X, y, binary_cross_entropy, epochs=1, validation=0.25, seed=3)
    after = evaluate(model, X_val, y_val, binary_cross_entropy)
    assert (history.loss[0], history.accuracy[0]) == pytest.approx(before, rel=1e-12)
    assert (history.val_loss[0], history.val_accuracy[0]) == pytest.approx(after, rel=1e-12)


# ---- ways to stop ----------------------------------------------------------------------------------------

# Of two equal samples one is for validation, with the loss w². An epoch at lr 0.25 halves w, at 1 it changes its
# sign, at 1.125 it makes it -1.25 times as large.
PAIR = {"X": [[1.0], [1.0]], "y": [0.0, 0.0], "loss": squared_error, "validation": 0.5}
BETTER, SAME, WORSE = 0.25, 1.0, 1.125


@pytest.mark.parametrize(
    ("rates", "patience", "epochs", "stopped", "w"),
    [
        ([WORSE] * 9, 3, 4, "early", -1.25),
        ([BETTER] * 9, 3, 9, "epochs", 0.5**9),
        ([BETTER, WORSE, BETTER, BETTER, WORSE, WORSE, BETTER], 2, 6, "early", -0.15625),
        ([BETTER, BETTER, WORSE], 2, 3, "epochs", 0.25),
        ([BETTER, WORSE, WORSE, BETTER], 2, 3, "early", 0.5),
        ([BETTER, SAME, SAME, BETTER], 2, 3, "early", 0.5),
    ],
)
def test_early_stopping_restores_the_best_parameters(rates, patience, epochs, stopped, w):
    model = Line()
    seen = []
    history = quiet(
        model, **PAIR, epochs=len(rates), patience=patience, schedule=lambda epoch: rates[epoch],
        callback=lambda record: seen.append(model.w.data),
    )  # fmt: skip
    assert (len(history.records), history.stopped) == (epochs, stopped)
    assert history.val_loss == [number**2 for number in seen]
    assert model.w.data == w


def test_without_patience_the_last_parameters_stay():
    model = Line()
    history = quiet(model, **PAIR, epochs=3, schedule=lambda epoch: [BETTER, BETTER, WORSE][epoch])
    assert model.w.data == -0.3125
    assert history.stopped == "epochs"


def test_a_callback_sees_each_record_and_stops():
    seen = []

    def callback(record):
        seen.append(record)
        return record["loss"] < 0.1

    history = quiet(Line(), [[1.0]], [0.0], squared_error, lr=0.25, callback=callback)
    assert history.loss == [1.0, 0.25, 0.0625]
    assert history.epoch == [0, 1, 2]
    assert seen == history.records
    assert history.stopped == "callback"


def test_a_callback_that_returns_nothing_stops_nothing():
    history = quiet(Line(), [[1.0]], [0.0], squared_error, epochs=5, callback=lambda record: None)
    assert (len(history.records), history.stopped) == (5, "epochs")


def test_ctrl_c_returns_what_was_learned():
    """A real signal, sent in the third epoch."""
    model = Line()

    def callback(record):
        if record["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    history = quiet(model, [[1.0]], [0.0], squared_error, lr=0.25, callback=callback)
    assert (history.epoch, history.stopped) == ([0, 1, 2], "interrupted")
    assert model.w.data == 0.125


@pytest.mark.parametrize("call", range(1, 25))
def test_ctrl_c_anywhere_leaves_the_last_whole_update(call):
    """The loss is interrupted at its n-th call: in the look before training, in a batch, in validation."""
    X, y = moons(6, 0.1, 0)
    states, calls = [], 0
    model = net(2, 2, 1)

    class Recorder(SGD):
        def step(self):
            super().step()
            states.append(numbers(model))

    def loss(output, target):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return binary_cross_entropy(output, target)

    states.append(numbers(model))
    history = quiet(
        model, X, y, loss, optimizer=Recorder(model.parameters(), lr=0.5), batch_size=2, epochs=10,
        validation=1 / 3, patience=1,
    )  # fmt: skip
    assert history.stopped == "interrupted"
    assert numbers(model) == states[-1]
    assert len(states) == 1 + max(0, call - 7) // 6 * 2 + min(max(0, call - 7) % 6 // 2, 2)
    assert len(history.records) == max(0, call - 7) // 6


# ---- divergence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_parameters(batch_size):
    """At lr 10^60 the loss w² goes 1, 4 · 10^120, 1.6 · 10^241, and then is infinite."""
    model = Line()
    seen = []
    with pytest.raises(FloatingPointError) as caught:
        quiet(
            model, [[1.0]], [0.0], squared_error, lr=1e60, batch_size=batch_size,
            callback=lambda record: seen.append(record["loss"]),
        )  # fmt: skip
    assert str(caught.value) == (
        "epoch 3: the training loss became inf. The parameters were set back to the start of epoch 2. "
        "Try a learning rate smaller than 1e+60"
    )
    assert len(seen) == 3
    assert evaluate(model, [[1.0]], [0.0], squared_error)[0] == seen[-1] < math.inf


def test_divergence_within_the_first_epoch_restores_the_start():
    model = net(2, 3, 1)
    before = numbers(model)
    X, y = moons(40, 0.1, 0)
    with pytest.raises(FloatingPointError, match=r"^epoch 0: the training loss .* the start of epoch 0\."):
        quiet(model, X, [float(label) for label in y], squared_error, lr=1e200, batch_size=1)
    assert numbers(model) == before


@pytest.mark.parametrize(
    ("model", "message"),
    [
        # sqrt has an infinite slope at 0
        (sqrt, "epoch 0: the gradient of w is inf; nothing was updated. The parameters"),
        (
            lambda w: log(1.0 + w),
            "epoch 1: log(-8.0) is not defined: the logarithm needs x ≥ 0. The parameters",
        ),
    ],
)
def test_other_ways_to_leave_the_numbers(model, message):
    w = Value(0.0, name="w")
    with pytest.raises(FloatingPointError, match=f"^{re.escape(message)}"):
        quiet(lambda x: model(w), [[1.0]], [-4.5], lambda f, y: f - y, optimizer=SGD([w], lr=9.0), epochs=3)
    assert w.data == 0.0


def test_a_validation_sample_outside_the_domain_is_named():
    w = Value(1.0, name="w")
    with pytest.raises(FloatingPointError, match=r"^epoch 0: validation sample 0: log\(-1.0\) is not defined"):
        quiet(
            lambda x: w, [[1.0]] * 2, [0.0] * 2, lambda f, y: f + 0.0 * log(1.0 * f),
            optimizer=SGD([w], lr=2.0), validation=0.5,
        )  # fmt: skip


# ---- what is refused before any update ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y", "settings", "message"),
    [
        ([], [], {}, "X is empty"),
        ([[1.0, 2.0]], [0, 1], {}, "X has 1 rows, y has 2 targets"),
        ([[1.0, 2.0], [1.0]], [0, 1], {}, "row 1 of X has 1 columns, row 0 has 2"),
        ([[1.0, 2.0], [1.0, math.nan]], [0, 1], {},
         "row 1, column 1 of X should be a finite number, got nan"),
        ([[1.0, 2.0, 3.0]], [0], {}, "MLP takes 2 inputs, got 3"),
        ([[1.0, 2.0]] * 3, [0, 1, 3], {},
         "row 2: cross_entropy takes a whole label from 0 to 2 for 3 logits, got 3"),
        ([[1.0, 2.0]] * 3, [0, math.nan, 1], {},
         "row 1: cross_entropy takes a whole label from 0 to 2 for 3 logits, got nan"),
        ([[1.0, 2.0]] * 2, [[0.0] * 3, [0.0, math.nan, 0.0]], {"loss": squared_error},
         "row 1: squared_error takes finite targets, got nan"),
        ([[1.0, 2.0]] * 2, [1.0, -1.0], {"loss": lambda outputs, y: log(Value(y))},
         "row 1: log(-1.0) is not defined: the logarithm needs x ≥ 0"),
        ([[1.0, 2.0]] * 2, [1.0, 0.0], {"loss": lambda outputs, y: log(Value(y))},
         "the loss is -inf before any update"),
        ([[1.0, 2.0]], [0], {"epochs": 0}, "epochs should be 1 or more, got 0"),
        ([[1.0, 2.0]], [0], {"batch_size": 0},
         "batch_size should be 1 or more, or None for all samples, got 0"),
        ([[1.0, 2.0]], [0], {"lr": 0.0}, "SGD takes a learning rate lr > 0, got 0.0"),
        ([[1.0, 2.0]], [0], {"patience": 3},
         "patience should be 1 or more epochs and needs validation samples, got patience=3, validation=0.0"),
        ([[1.0, 2.0]] * 2, [0, 1], {"patience": 0, "validation": 0.5},
         "patience should be 1 or more epochs and needs validation samples, got patience=0, validation=0.5"),
        ([[1.0, 2.0]] * 2, [0, 1], {"validation": 1.5}, "fraction should be between 0 and 1, got 1.5"),
        ([[1.0, 2.0]] * 2, [0, 1], {"validation": 0.1},
         "a fraction of 0.1 of 2 samples leaves one part empty"),
    ],
)  # fmt: skip
def test_messages(X, y, settings, message):
    model = net(2, 2, 3)
    before = numbers(model)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quiet(model, X, y, **{"loss": cross_entropy, **settings})
    assert numbers(model) == before


# ---- what is shown -----------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show(epochs, monkeypatch, stderr, **settings):
    monkeypatch.setattr(sys, "stderr", stderr)
    fit(Line(), [[1.0]], [1], binary_cross_entropy, lr=0.25, epochs=epochs, **settings)
    return stderr.getvalue()


@pytest.mark.parametrize(
    ("epochs", "shown"),
    [(1, [0]), (3, [0, 1, 2]), (10, list(range(10))), (25, [2, 4, 7, 9, 12, 14, 17, 19, 22, 24]),
     (100, list(range(9, 100, 10)))],
)  # fmt: skip
def test_plain_lines(epochs, shown, monkeypatch):
    lines = show(epochs, monkeypatch, io.StringIO()).splitlines()
    assert [int(re.match(r"epoch (\d+), ", line)[1]) for line in lines] == shown


def test_a_plain_line(monkeypatch):
    assert show(1, monkeypatch, io.StringIO()) == "epoch 0, lr 0.2500, loss 0.3133, accuracy 1.000\n"


def test_a_bar_in_a_terminal(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = show(20, monkeypatch, Terminal())
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).strip().splitlines()[-1]
    assert re.search(r"^loss 0\.\d{4}, accuracy 1\.000 ━+ 100% 0:00:00", last)
    assert "epoch" not in shown


def test_lines_in_a_terminal_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    hint, *lines = show(20, monkeypatch, Terminal()).splitlines()
    assert hint == "pip install 'micrograd_like[train]' brings a progress bar"
    assert len(lines) == 10


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal])
def test_silence(monkeypatch, stderr, capsys):
    assert show(20, monkeypatch, stderr(), progress=False) == ""
    assert capsys.readouterr().out == ""


def test_progress_goes_to_stderr_alone(monkeypatch, capsys):
    assert show(1, monkeypatch, io.StringIO()) != ""
    assert capsys.readouterr().out == ""


def test_the_repr_of_a_history():
    X, y = [[1.0]] * 4, [1, 1, 1, 1]
    history = quiet(Line(), X, y, binary_cross_entropy, lr=0.25, epochs=3, validation=0.5)
    assert repr(history) == (
        "<History up to epoch 2, lr 0.2500, loss 0.2796, accuracy 1.000, val_loss 0.2651, val_accuracy 1.000; "
        "stopped: epochs>"
    )

    def interrupted(output, target):
        raise KeyboardInterrupt

    assert repr(quiet(Line(), X, y, interrupted)) == "<History up to no epoch; stopped: interrupted>"


def loaded_by(statement):
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(output.split()) & {"rich", "importlib.resources"}


def test_importing_loads_nothing_slow():
    assert loaded_by("from micrograd_like import data, train") == set()
    assert loaded_by("from micrograd_like import data; data.iris()") == {"importlib.resources"}


def test_an_optimizer_of_another_model():
    X, y = moons(10, 0.1, 0)
    model, other = MLP(2, [2, 1]), MLP(2, [2, 1])
    with pytest.raises(ValueError, match="the optimizer has no parameter of this model: it would learn nothing"):
        fit(model, X, y, binary_cross_entropy, optimizer=SGD(other.parameters(), lr=1.0), progress=False)


def test_a_loss_is_a_function():
    X, y = moons(10, 0.1, 0)
    with pytest.raises(TypeError, match=r"loss is a function of \(outputs, target\) as in losses, not str 'bce'"):
        fit(MLP(2, [1]), X, y, "bce", progress=False)
