"""Models and trainings in files: bit for bit, killed at any moment, and what is said of bad files."""

import hashlib
import json
import math
import os
import random
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd_like
from micrograd_like import Value, custom, load, save, tanh
from micrograd_like.data import moons
from micrograd_like.losses import binary_cross_entropy, hinge, squared_error
from micrograd_like.nn import MLP, Module
from micrograd_like.optim import SGD, cosine, linear
from micrograd_like.train import fit


def net(*sizes, seed=0, **options):
    return MLP(sizes[0], sizes[1:], rng=random.Random(seed), **{"activation": "tanh", **options})


def numbers(model):
    return [struct.pack("d", p.data) for p in model.parameters()]


class Scaled(Module):
    """Parameters in an attribute, a dict and a Module; one of them in two places."""

    def __init__(self, seed=0):
        self.inner = net(2, 2, 1, seed=seed)
        self.more = {"scale": Value(2.0), "again": self.inner.layers[0].neurons[0].b}

    def __call__(self, x):
        return self.more["scale"] * self.inner(x) + self.more["again"]


# ---- models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [net(2, 3, 1), net(1, 1), net(3, 4, 5, 2, activation="relu", output="sigmoid"), net(2, 2, 2, activation=None),
     net(2, 2, activation="leaky_relu"), net(2, 2, 2, activation=tanh, output=micrograd_like.softplus)],
    ids=str,
)  # fmt: skip
def test_an_mlp_comes_back(model, tmp_path):
    path = save(model, tmp_path / "model.json")
    assert path == tmp_path / "model.json"
    state = random.getstate()
    again = load(str(path))
    assert random.getstate() == state
    assert type(again) is MLP and again.sizes == model.sizes
    assert numbers(again) == numbers(model)
    assert [p.name for p in again.parameters()] == [p.name for p in model.parameters()]
    assert repr(again) == repr(model)
    assert save(again, tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_numbers_come_back_bit_for_bit(tmp_path):
    odd = [
        -0.0,
        0.0,
        5e-324,
        -2.2250738585072009e-308,
        sys.float_info.max,
        -sys.float_info.max,
        0.1,
        1 / 3,
        1e22,
        2**60,
    ]
    rng = random.Random(0)
    while len(odd) < 500:
        (x,) = struct.unpack("d", rng.randbytes(8))
        odd += [x] if math.isfinite(x) else []
    model = net(4, 100)
    for p, x in zip(model.parameters(), odd, strict=True):
        p.data = x
    assert numbers(load(save(model, tmp_path / "a"))) == [struct.pack("d", x) for x in odd]


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_not_saved(x, tmp_path):
    model = net(2, 1)
    save(model, tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    model.layers[0].neurons[0].w[1].data = x
    message = (
        f"layers.0.neurons.0.w.1 is {x}, and a file holds finite numbers: train again with a smaller learning rate"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        save(model, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


def swapped(model):
    model.layers[0].neurons[1].activation = None
    return model


def shared(model):
    model.layers[0].neurons[1].w[0] = model.layers[0].neurons[0].w[0]
    return model


class Own(MLP):
    pass


@pytest.mark.parametrize(
    "make",
    [Scaled, lambda seed: net(2, 2, 1, seed=seed, activation=lambda z: tanh(z) * 2),
     lambda seed: net(2, 2, 1, seed=seed, output=lambda z: z), lambda seed: swapped(net(2, 2, 1, seed=seed)),
     lambda seed: shared(net(2, 2, 1, seed=seed)), lambda seed: Own(2, [2, 1], rng=random.Random(seed)),
     lambda seed: net(2, 2, 1, seed=seed).layers[0]],
    ids=["Scaled", "function", "output", "mixed", "shared", "Own", "Layer"],
)  # fmt: skip
def test_what_a_file_does_not_tell_how_to_make(make, tmp_path):
    model, other = make(0), make(1)
    path = save(model, tmp_path / "model.json")
    message = (
        f"{path} does not tell how to make this {type(model).__name__}, as it does for an MLP whose activations are "
        "names: make it as it was made then, and load(path, into=model)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(path)
    assert numbers(other) != numbers(model)
    assert load(path, into=other) is other
    assert numbers(other) == numbers(model)
    assert str(other([0.5, -1.0])) == str(model([0.5, -1.0]))


def test_an_activation_of_ones_own(tmp_path):
    model = net(2, 2, 1, activation=custom(lambda x: x**3, lambda x, out: 3 * x**2, name="cubed"))
    path = save(model, tmp_path / "a")
    assert load(path)([1.0, 2.0]).data == model([1.0, 2.0]).data
    del micrograd_like.ops.FUNCTIONS["cubed"]
    with pytest.raises(ValueError, match=r"activation 'cubed' is not known; .* is to be defined first, by custom\(\)$"):
        load(path)


INNER = "inner.layers.0.neurons.0.w.0, inner.layers.0.neurons.0.w.1, inner.layers.0.neurons.0.b and 7 more"
MANY = (
    "{} has the parameters of another model: only the file has layers.0.neurons.0.w.0, layers.0.neurons.0.w.1, "
    "layers.0.neurons.0.b and 10 more; only the model has "
)


@pytest.mark.parametrize(
    ("into", "message"),
    [
        (net(2, 4, 1),
         "{} has an MLP 2-3-1, tanh linear, and the model is an MLP 2-4-1, tanh linear: make one like the first"),
        (net(2, 3, 1, activation="relu"),
         "{} has an MLP 2-3-1, tanh linear, and the model is an MLP 2-3-1, relu linear: make one like the first"),
        (Scaled(), MANY + INNER),
        (net(2, 3, 1).layers[0], MANY + "neurons.0.w.0, neurons.0.w.1, neurons.0.b and 6 more"),
    ],
)  # fmt: skip
def test_into_another_model(into, message, tmp_path):
    path = save(net(2, 3, 1), tmp_path / "a")
    before = numbers(into)
    with pytest.raises(ValueError, match=f"^{re.escape(message.format(path))}$"):
        load(path, into=into)
    assert numbers(into) == before


def test_what_is_no_module(tmp_path):
    with pytest.raises(TypeError, match=r"^save takes a Module of nn, not int 5$"):
        save(5, tmp_path / "a")
    with pytest.raises(TypeError, match=r"^load takes a Module of nn, not list \[\]$"):
        load(save(net(1, 1), tmp_path / "a"), into=[])


def test_two_parameters_of_one_path(tmp_path):
    model = Scaled()
    model.more = {1: Value(1.0), "1": Value(2.0)}
    with pytest.raises(ValueError, match=r"^two parameters have the path 'more\.1': give other keys to the dict that"):
        save(model, tmp_path / "a")


GOOD = {
    "format": "micrograd_like model",
    "version": 1,
    "model": {"class": "MLP", "sizes": [1, 1], "activation": "linear", "output": "linear"},
    "parameters": {"layers.0.neurons.0.w.0": 0.5, "layers.0.neurons.0.b": -1.0},
}


def changed(**parts):
    return json.dumps({**GOOD, **parts})


def made(**parts):
    return changed(model={**GOOD["model"], **parts})


DAMAGED = "PATH is damaged, or no file of micrograd_like: "
BAD_NUMBER = DAMAGED + "layers.0.neurons.0.w.0 should be a finite number, is "
BAD_MODELS = {
    "empty": ("", DAMAGED + "it is empty"),
    "text": ("hello", DAMAGED + "Expecting value: line 1 column 1 (char 0)"),
    "a picture": (b"\x89PNG\r\n", DAMAGED + "'utf-8' codec can't decode byte 0x89 in position 0: invalid start byte"),
    "a number": ("5", DAMAGED + 'it does not say "format": "micrograd_like model"'),
    "a list": ("[]", DAMAGED + 'it does not say "format": "micrograd_like model"'),
    "other JSON": ('{"format": ["x"]}', DAMAGED + 'it does not say "format": "micrograd_like model"'),
    "nested": ("[" * 100_000, DAMAGED + "maximum recursion depth exceeded"),
    "huge number": (changed().replace("0.5", "9" * 400), DAMAGED + "layers.0.neurons.0.w.0 should be a finite number"),
    "huger number": (changed().replace("0.5", "9" * 5000), DAMAGED + "Exceeds the limit (4300 digits) for integer"),
    "twice": (changed().replace('"version"', '"format"'), DAMAGED + "'format' is there twice"),
    "newer": (changed(version=2), "PATH has version 2 of the format, and this micrograd_like reads 1: install a"),
    "no version": (changed(version=None), DAMAGED + "version should be a whole number from 1, is None"),
    "version 0": (changed(version=0), DAMAGED + "version should be a whole number from 1, is 0"),
    "version true": (changed(version=True), DAMAGED + "version should be a whole number from 1, is True"),
    "a training": (changed(format="micrograd_like training"), "PATH holds the state of a training, for fit("),
    "missing": (json.dumps({k: v for k, v in GOOD.items() if k != "parameters"}), DAMAGED + "parameters is missing"),
    "more": (changed(code="import os"), DAMAGED + "code does not belong there"),
    "no model": (changed(model=None), DAMAGED + "model should have a class, or a class, sizes, activation and output"),
    "no class": (changed(model={}), DAMAGED + "model should have a class, or a class, sizes, activation and output"),
    "class 5": (changed(model={"class": 5}), DAMAGED + "class should be text, is 5"),
    "sizes of others": (made(**{"class": "CNN"}), DAMAGED + "sizes are those of an MLP, not of a CNN"),
    "activation 5": (made(activation=5), DAMAGED + "activation should be text, is 5"),
    "code": (made(output="__import__('os')"),
             """PATH: activation "__import__('os')" is not known; choose"""),
    "of two": (made(output="hypot"), "PATH: activation 'hypot' is not known; choose"),
    "no sizes": (made(sizes=[]), DAMAGED + "sizes should be two or more whole numbers from 1"),
    "size 0": (made(sizes=[1, 0]), DAMAGED + "sizes should be two or more whole numbers from 1"),
    "size true": (made(sizes=[1, True]), DAMAGED + "sizes should be two or more whole"),
    "other sizes": (made(sizes=[2, 1]),
                    DAMAGED + "an MLP 2-1, linear linear has 3 parameters, and there are 2"),
    "huge sizes": (made(sizes=[10**9, 10**9]),
                   DAMAGED + "an MLP 1000000000-1000000000, linear linear has 1000000001000000000 parameters"),
    "parameters": (changed(parameters=[1.0]), DAMAGED + "parameters should be numbers by their paths, are [1.0]"),
    "other names": (changed(parameters={"a": 1.0, "b": 2.0}), "PATH has the parameters of another model: only the"),
    **{
        f"parameter {text}": (changed().replace("0.5", text), BAD_NUMBER + str(x))
        for text, x in {"null": None, "true": True, '"0.5"': "'0.5'", "[]": [], "1e999": "inf"}.items()
    },
    **{
        f"parameter {text}": (changed().replace("0.5", text), DAMAGED + f"{text} stands where a number belongs")
        for text in ("NaN", "Infinity", "-Infinity")
    },
}  # fmt: skip


@pytest.mark.parametrize("which", BAD_MODELS)
def test_bad_models(which, tmp_path):
    content, message = BAD_MODELS[which]
    path = tmp_path / "model.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=f"^{re.escape(message.replace('PATH', str(path)))}"):
        load(path)
    model = net(1, 1, activation=None)
    before = numbers(model)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} "):
        load(path, into=model)
    assert numbers(model) == before


def test_a_digit_that_was_changed_is_noticed(tmp_path):
    path = save(net(2, 3, 1), tmp_path / "model.json")
    text = path.read_text()
    digits = [i for i, c in enumerate(text) if c in "123456789" and i > text.index('"parameters"')]
    for i in digits[::5]:
        path.write_text(f"{text[:i]}{int(text[i]) % 9 + 1}{text[i + 1 :]}")
        with pytest.raises(
            ValueError, match=r"its checksum is not that of its content, which was changed after it was"
        ):
            load(path)
    path.write_text("".join(line for line in text.splitlines(keepends=True) if "sha256" not in line))
    assert numbers(load(path)) == numbers(net(2, 3, 1))  # from a program that does not write one


def test_that_table_can_fail(tmp_path):
    (tmp_path / "a").write_text(changed(parameters={**GOOD["parameters"], "layers.0.neurons.0.b": 3}), encoding="utf-8")
    assert [p.data for p in load(tmp_path / "a").parameters()] == [0.5, 3.0]


def test_a_model_cut_off_anywhere(tmp_path):
    whole = save(net(1, 2, 1), tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut"
    for length in range(len(whole) - 1):  # without the newline it is whole
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"^{re.escape(str(cut))} is damaged, or no file of micrograd_like: "):
            load(cut)


def test_a_file_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("micrograd_like.saving.MOST", 100)
    with pytest.raises(ValueError, match=r"it is longer than 100 bytes$"):
        load(save(net(1, 1), tmp_path / "a"))


# ---- places ----------------------------------------------------------------------------------------------


def test_places_where_no_file_can_be(tmp_path):
    (tmp_path / "file").touch()
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "nowhere" / "a", FileNotFoundError),
        (tmp_path / "file" / "a", NotADirectoryError),
        (Path("/proc/a"), OSError),  # read-only for root as well
    ):
        with pytest.raises(error):
            save(net(1, 1), path)
        with pytest.raises(error):
            load(path)
        model = net(2, 2, 1)
        before = numbers(model)
        with pytest.raises(error):
            train(model, resume=path)
        assert numbers(model) == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    path = save(net(2, 2, 1), tmp_path / "a")
    tmp_path.chmod(0o500)
    for write in (lambda: save(net(1, 1), path), lambda: train(net(2, 2, 1), resume=tmp_path / "b")):
        with pytest.raises(PermissionError):
            write()
    assert numbers(load(path)) == numbers(net(2, 2, 1))
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("step", ["fdopen", "fsync", "umask"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_file_before_it(step, error, tmp_path, monkeypatch):
    path = save(net(1, 1), tmp_path / "a")
    before = path.read_bytes()

    def fail(*args):
        assert path.read_bytes() == before
        raise error

    monkeypatch.setattr(f"micrograd_like.files.os.{step}", fail)
    with pytest.raises(type(error)):
        save(net(2, 1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ---- trainings ---------------------------------------------------------------------------------------------

X, Y = moons(12, 0.1, 0)


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr("micrograd_like.resuming.PAUSE", 0.0)
    monkeypatch.setattr("micrograd_like.resuming.PAUSE_PER_SECOND", 0.0)


def train(model, resume=None, sgd=None, X=X, y=Y, loss=binary_cross_entropy, **settings):
    settings = {"epochs": 6, "batch_size": 5, "progress": False, **settings}
    if sgd is not None:
        settings["optimizer"] = SGD(model.parameters(), **sgd)
    return fit(model, X, y, loss, resume=resume, **settings)


class Killed(BaseException):
    """Ends a training as nothing in it expects."""


def killed_after(epoch, then=None):
    def callback(record):
        if record["epoch"] == epoch:
            raise Killed
        return then is not None and then(record)

    return callback


SETTINGS = {
    "plain": {"lr": 0.3},
    "momentum": {"sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}},
    "schedule": {"schedule": cosine(0.5, 0.01, 6)},
    "validation": {"validation": 0.3, "lr": 0.5},
    "patience": {"validation": 0.3, "patience": 2, "lr": 8.0, "epochs": 9},
    "all samples": {"batch_size": None, "lr": 1},
}


@pytest.mark.parametrize("which", SETTINGS)
@pytest.mark.parametrize("compiled", [False, True])
def test_it_ends_with_the_same_bits(which, compiled, tmp_path):
    """Broken off in one epoch after the other, in one life after the other, each of them from another start."""
    if compiled:
        pytest.importorskip("llvmlite")
    settings = {**SETTINGS[which], "compiled": compiled}
    model = net(2, 3, 1)
    wanted = train(model, **settings)
    path = tmp_path / "run.json"
    for epoch in range(0, len(wanted.records), 4 if compiled else 1):
        with pytest.raises(Killed):
            train(net(2, 3, 1, seed=epoch), path, callback=killed_after(epoch), **settings)
    for _ in range(2):  # what has ended stays as it is
        again = net(2, 3, 1, seed=99)
        history = train(again, path, **settings)
        assert history.records == wanted.records
        assert history.stopped == wanted.stopped
        assert numbers(again) == numbers(model)
    assert (history.stopped == "early") == (which == "patience")
    assert list(tmp_path.iterdir()) == [path]


def test_training_on(tmp_path):
    model, again = net(2, 3, 1), net(2, 3, 1)
    wanted = train(model, epochs=9)
    for epochs in (2, 2, 7, 9):
        history = train(again, tmp_path / "a", epochs=epochs)
        assert len(history.records) == epochs
    assert (history.records, numbers(again)) == (wanted.records, numbers(model))


@pytest.mark.parametrize("call", range(1, 60, 3))
def test_ctrl_c_anywhere(call, tmp_path):
    """The loss is interrupted at its n-th call; what is in the file is the last whole epoch."""
    calls = 0

    def loss(output, target):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return binary_cross_entropy(output, target)

    model, again = net(2, 3, 1), net(2, 3, 1)
    wanted = train(model, epochs=5)
    assert train(again, tmp_path / "a", epochs=5, loss=loss).stopped == "interrupted"
    history = train(again, tmp_path / "a", epochs=5, loss=loss)
    assert (history.records, history.stopped, numbers(again)) == (wanted.records, "epochs", numbers(model))


def test_an_interrupt_writes_what_was_not_written_yet(tmp_path, monkeypatch):
    monkeypatch.setattr("micrograd_like.resuming.PAUSE", 1e9)

    def callback(record):
        if record["epoch"] == 3:
            signal.raise_signal(signal.SIGINT)

    assert train(net(2, 3, 1), tmp_path / "a", callback=callback).stopped == "interrupted"
    assert len(json.loads((tmp_path / "a").read_text(encoding="utf-8"))["run"]["records"]) == 3


def test_it_is_written_every_few_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr("micrograd_like.resuming.PAUSE", 3.0)
    now, seen = 0.0, []

    def clock():
        nonlocal now
        now += 0.5
        return now

    monkeypatch.setattr("micrograd_like.resuming.perf_counter", clock)
    path = tmp_path / "a"

    def callback(record):
        seen.append(len(json.loads(path.read_text(encoding="utf-8"))["run"]["records"]))

    train(net(2, 3, 1), path, epochs=20, callback=callback)
    assert seen[0] == 0 and seen[-1] < 19 and 3 <= len(set(seen)) <= 5
    train(net(2, 3, 1), path, epochs=20)
    assert len(json.loads(path.read_text(encoding="utf-8"))["run"]["records"]) == 20


def test_a_divergence_restores_the_same_parameters(tmp_path):
    """Those of the start of the epoch before are in the file as well, for one that is the first in its life."""
    ends = []
    for lives in ([9], [1, 2, 3, 9]):
        path = tmp_path / f"{len(lives)}"
        settings = {"loss": squared_error, "lr": 1e60, "X": [[1.0]], "y": [0.0], "batch_size": None}
        for epochs in lives[:-1]:
            train(net(1, 1, activation=None), path, epochs=epochs, **settings)
        model = net(1, 1, activation=None)
        with pytest.raises(FloatingPointError, match=r"^epoch 3: ") as caught:
            train(model, path, epochs=lives[-1], **settings)
        ends.append((str(caught.value), numbers(model)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan, -0.0, 5e-324])
def test_numbers_that_json_has_not(x, tmp_path):
    """A validation loss may become infinite, and training goes on."""

    def inject(record):
        record["val_loss"] = x

    for callback in (inject, None):
        history = train(net(2, 3, 1), tmp_path / "a", validation=0.3, callback=callback)
    assert [struct.pack("d", loss) for loss in history.val_loss] == [struct.pack("d", x)] * 6


def test_a_callback_that_ended_it_is_asked_again(tmp_path):
    wanted, model = net(2, 3, 1), net(2, 3, 1)
    enough = lambda record: record["epoch"] >= 2  # noqa: E731
    history = train(wanted, tmp_path / "a", callback=enough)
    again = train(model, tmp_path / "a", callback=enough)
    assert history.stopped == again.stopped == "callback"
    assert (again.records, numbers(model)) == (history.records, numbers(wanted))
    later = train(model, tmp_path / "a", callback=lambda record: record["epoch"] >= 4)
    assert (later.stopped, len(later.records)) == ("callback", 5)
    assert train(model, tmp_path / "a").stopped == "epochs"


def test_what_a_callback_changes_is_kept(tmp_path):
    ends = []
    for breaks in ([], [1, 3]):
        path = tmp_path / f"{len(breaks)}"
        for epoch in [*breaks, None]:
            model = net(2, 3, 1)
            sgd = SGD(model.parameters(), 0.5)

            def halve(record, model=model, sgd=sgd):
                sgd.lr *= 0.75
                model.parameters()[0].data *= 0.5

            callback = halve if epoch is None else killed_after(epoch, halve)
            try:
                history = fit(
                    model, X, Y, hinge_of, optimizer=sgd, epochs=6, progress=False, resume=path, callback=callback
                )
            except Killed:
                continue
        ends.append((history.lr, numbers(model)))
    assert ends[0] == ends[1]
    assert ends[0][0][-1] == 0.5 * 0.75**5


def hinge_of(output, label):
    return hinge(output, 2 * label - 1)


class Counting(SGD):
    """Has state of its own: the rate falls with each step."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self._steps = 0
        self._seen = [0.0] * len(self.params)

    def step(self):
        self._steps += 1
        self._seen = [seen + abs(p.grad) for seen, p in zip(self._seen, self.params, strict=True)]
        self.lr = 0.5 / self._steps / (1 + sum(self._seen))
        super().step()


def test_an_optimizer_of_ones_own(tmp_path):
    ends = []
    for breaks in ([], [0, 3]):
        path = tmp_path / f"{len(breaks)}"
        for epoch in [*breaks, 99]:
            model = net(2, 3, 1)
            try:
                train(model, path, optimizer=Counting(model.parameters(), 0.5), callback=killed_after(epoch))
            except Killed:
                continue
        ends.append(numbers(model))
    assert ends[0] == ends[1]

    sgd = SGD(model.parameters(), 0.5)
    sgd.hook = len
    message = (
        "optimizer, hook is a builtin_function_or_method, .*, which a file cannot hold: use numbers, texts and lists"
    )
    with pytest.raises(TypeError, match=message):
        train(model, tmp_path / "c", optimizer=sgd)
    assert not (tmp_path / "c").exists()


def test_native_code_is_gone_on_with(tmp_path, capsys):
    """Which of both it is stands in the file, however many epochs are left."""
    pytest.importorskip("llvmlite")
    for compiled in (True, False):
        path = tmp_path / str(compiled)
        model = net(2, 3, 1)
        train(model, path, epochs=3, compiled=compiled)
        train(model, path, epochs=8, progress=True)
        told = capsys.readouterr().err
        assert ("compiled: " in told) == compiled
        assert f"3 epochs were done before, says {path}" in told and "epoch 7, " in told and "epoch 2, " not in told
        wanted = net(2, 3, 1)
        train(wanted, epochs=8, compiled=compiled)
        assert numbers(model) == numbers(wanted)


class Doubled(MLP):
    def __call__(self, x):
        return super().__call__(x) * 2


class Noisy(MLP):
    def __call__(self, x):
        return super().__call__(x) * random.random()


def frozen(seed):
    model = net(2, 3, 1)
    model.layers[0].neurons[0].w[0].data = float(seed)
    return model, {"optimizer": SGD(model.layers[1].parameters(), 0.1)}


OTHERS = {
    "more data": (
        {"X": [*X, [0.0, 0.0]], "y": [*Y, 1]},
        r"X was '12 × 2 numbers, .*', is '13 × 2 numbers, .*'; y was ",
    ),
    "other data": ({"X": [*X[:-1], [0.0, 0.0]]}, "X was '12 × 2 numbers, sha256 .*', is '12 × 2 numbers, sha256 .*'"),
    "other targets": ({"y": [1 - y for y in Y]}, "y was '12 targets, .*', is '12 targets, .*'; computed was "),
    "loss": ({"loss": hinge_of}, "loss was 'binary_cross_entropy', is 'hinge_of'; computed was .* is "),
    "a function": (
        {"loss": lambda f, y: binary_cross_entropy(2 * f, y)},
        r"loss was .*, is '.*<lambda>'; computed was ",
    ),
    "lr": ({"lr": 0.2}, r"lr was 0\.1, is 0\.2"),
    "schedule": ({"schedule": linear(0.1, 0.01, 5)}, r"lr was 0\.1, is 'by the schedule'"),
    "batch_size": ({"batch_size": 6}, "batch_size was 5, is 6"),
    "seed": ({"seed": 1}, "seed was 0, is 1"),
    "validation": ({"validation": 0.2}, r"validation was 0\.0, is 0\.2"),
    "patience": ({"validation": 0.2, "patience": 3}, r"validation was 0\.0, is 0\.2; patience was None, is 3"),
    "momentum": ({"sgd": {"lr": 0.1, "momentum": 0.5}}, r"momentum was 0\.0, is 0\.5"),
    "sizes": (
        {"model": net(2, 4, 1)},
        "model was 'MLP 2-3-1, tanh linear, 13 parameters', is 'MLP 2-4-1, .*; parameters",
    ),
    "activation": (
        {"model": net(2, 3, 1, activation="relu")},
        "model was 'MLP 2-3-1, tanh .* is 'MLP 2-3-1, relu .*; comp",
    ),
    "class": ({"model": Doubled(2, [3, 1], activation="tanh")}, "model was 'MLP .* is 'Doubled'; computed was .* is "),
    "noise": (
        {"model": Noisy(2, [3, 1], activation="tanh")},
        "model was .* is 'Noisy'; computed was .*is 'something ran",
    ),
    "compiled": ({"compiled": True}, "compiled was False, is True"),
}


@pytest.mark.parametrize("which", OTHERS)
def test_another_training_is_refused(which, tmp_path):
    settings, difference = OTHERS[which]
    path = tmp_path / "run.json"
    train(net(2, 3, 1), path)
    content = path.read_bytes()
    model = settings.get("model", net(2, 3, 1))
    before = numbers(model)
    with pytest.raises(ValueError, match=r"^\S+run\.json is of another training: ") as caught:
        train(**{"model": model, "resume": path, **settings})
    message = str(caught.value)
    assert message.endswith(". Call fit as it was called then, or name another file")
    assert re.match(difference, message.split("training: ")[1])
    assert (path.read_bytes(), numbers(model)) == (content, before)


def test_parameters_that_are_not_trained_are_told_apart(tmp_path):
    model, settings = frozen(1)
    train(model, tmp_path / "a", **settings)
    model, settings = frozen(1)
    train(model, tmp_path / "a", **settings)
    model, settings = frozen(2)
    with pytest.raises(ValueError, match=r"of another training: computed was '.*', is '.*'\. Call"):
        train(model, tmp_path / "a", **settings)


def test_another_schedule_and_fewer_epochs_are_refused(tmp_path):
    model, path = net(2, 3, 1), tmp_path / "a"
    train(model, path, schedule=linear(0.1, 0.0, 10))
    content, before = path.read_bytes(), numbers(model)
    with pytest.raises(ValueError, match=r"of another training: schedule\(1\) was 0\.09\d*, is 0\.095\. Call"):
        train(model, path, schedule=linear(0.1, 0.0, 20))
    with pytest.raises(
        ValueError, match=r"a has 6 epochs already, and epochs=5 are fewer: ask for as many or more, or"
    ):
        train(model, path, schedule=linear(0.1, 0.0, 10), epochs=5)
    with pytest.raises(
        ValueError, match=r"^resume needs a seed, by which the same samples are chosen again: seed=None"
    ):
        train(model, path, seed=None)
    assert (path.read_bytes(), numbers(model)) == (content, before)


def test_what_is_wrong_with_the_samples_is_said_as_without_a_file(tmp_path):
    for path in (None, tmp_path / "a"):
        with pytest.raises(ValueError, match=r"^row 0: binary_cross_entropy takes a target from 0 to 1, got 5$"):
            train(net(2, 3, 1), path, y=[5, *Y[1:]])
    assert not list(tmp_path.iterdir())


def forged(content, change):
    """The file with something else in it, and the right checksum."""
    file = json.loads(content)
    change(file["run"])
    file["sha256"] = hashlib.sha256(json.dumps({"run": file["run"]}).encode()).hexdigest()
    return json.dumps(file)


def setting(*keys):
    *path, last, x = keys

    def change(run):
        for key in path:
            run = run[key]
        run[last] = x

    return change


BAD_RUNS = {
    "empty": (lambda content: "", DAMAGED + "it is empty"),
    "a model": (lambda content: changed(), "PATH holds a model, for load(path); expected was the state"),
    "newer": (lambda content: content.replace('"version": 1', '"version": 7'), "PATH has version 7 of"),
    "one digit": (lambda content: re.sub(r'("loss": 0\.\d*)\d', r"\g<1>x", content, count=1).replace("x", ""),
                  DAMAGED + "its checksum is not that of its content"),
    "no sum": (lambda content: content.replace('"sha256"', '"md5"', 1), DAMAGED + "md5 does not belong there"),
    "nan": (lambda content: content.replace('"lr": 0.1', '"lr": NaN', 1), DAMAGED + "NaN stands where a number"),
    **{
        name: (lambda content, change=change: forged(content, change), DAMAGED + message)
        for name, (change, message) in {
            "missing": (lambda run: run.pop("best"), "run should have best, compiled, "),
            "settings": (setting("settings", 5), "run should have best, compiled, "),
            "compiled": (setting("compiled", 1), "compiled should be true or false"),
            "stopped": (setting("stopped", "late"), "compiled should be true or false, and stopped one of null"),
            "stopped at once": (lambda run: run.update(stopped="callback", records=[]), "records should be those of"),
            "fewer": (lambda run: run["parameters"].pop(), "parameters should be a list of 13, is 12 things"),
            "start": (setting("start", None), "start should be a list of 13, is None"),
            "null": (setting("parameters", 3, None), "parameters, 3 should be a number, is None"),
            "true": (setting("best", 3, True), "best, 3 should be a number, is True"),
            "text": (setting("best", 3, "0.5"), "best, 3 should be a number, is '0.5'"),
            "huge": (setting("parameters", 0, 10**400), "parameters, 0 should be a number, is 1000"),
            "optimizer": (lambda run: run["optimizer"].pop("buffers"), "optimizer should have lr, "),
            "buffers": (setting("optimizer", "buffers", [0.0]), "optimizer, buffers should be a list of 13, is 1"),
            "rate": (setting("optimizer", "lr", []), "optimizer, lr should be a number, is []"),
            "random": (lambda run: run["random"].pop(), "random should be a list of 625, is 624 things"),
            "random -1": (setting("random", 0, -1), "random is no state of Python's generator: "),
            "random 0.5": (setting("random", 0, 0.5), "random is no state of Python's generator: "),
            "order": (setting("order", 0, 99), "order should be that of 12 samples, is [99, "),
            "order true": (setting("order", [True]), "order should be that of 12 samples, is [True]"),
            "records": (setting("records", {}), "records should be a list, is {}"),
            "record": (setting("records", 1, 5), "records, 1 should have epoch, lr, loss, accuracy, val_loss, val_acc"),
            "epochs": (setting("records", 1, "epoch", 5), "records should be those of the epochs 0, 1, …"),
            "no loss": (setting("records", 1, "loss", None), "records, 1, loss should be a number, is None"),
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("which", BAD_RUNS)
def test_bad_trainings(which, tmp_path):
    spoil, message = BAD_RUNS[which]
    path = tmp_path / "run.json"
    train(net(2, 3, 1), path)
    content = spoil(path.read_text(encoding="utf-8"))
    path.write_text(content, encoding="utf-8")
    model = net(2, 3, 1)
    before = numbers(model)
    with pytest.raises(ValueError, match=f"^{re.escape(message.replace('PATH', str(path)))}"):
        train(model, path, epochs=9)
    assert (path.read_text(encoding="utf-8"), numbers(model)) == (content, before)


def test_a_training_cut_off_anywhere(tmp_path):
    path = tmp_path / "run.json"
    train(net(2, 3, 1), path)
    whole = path.read_bytes()
    model = net(2, 3, 1)
    for length in {*range(0, 300, 7), *range(300, len(whole) - 2, 997), len(whole) - 2}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged, or no file of micrograd_like: "):
            train(model, path)
        assert path.read_bytes() == whole[:length]


# ---- killed ------------------------------------------------------------------------------------------------

LIVES = """
import os, random, signal, sys, time
from micrograd_like import data, losses, nn, optim, resuming, save, train
resuming.PAUSE = resuming.PAUSE_PER_SECOND = 0.0
path, out, seed = sys.argv[1:]
X, y = data.moons(10)

def live():
    model = nn.MLP(2, [3, 1], activation="tanh", rng=random.Random(0))
    sgd = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    history = train.fit(
        model, X, y, losses.binary_cross_entropy, optimizer=sgd, epochs=200, batch_size=3, validation=0.3,
        patience=200, progress=False, resume=path or None, compiled=False,
    )
    save(model, out)
    print(history.records, flush=True)

rng = random.Random(seed)
while True:
    life = os.fork()
    if life == 0:
        live()
        os._exit(0)
    if path:
        time.sleep(rng.uniform(0.0, 0.04))
        os.kill(life, signal.SIGKILL)
    _, status = os.waitpid(life, 0)
    if status == 0:
        break
    assert status == signal.SIGKILL, status
    print("killed", any(name.startswith(".run") for name in os.listdir(os.path.dirname(path))), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path):
    """SIGKILL at random moments until it has ended, and that until there were 100; some in the middle of writing."""

    def run(*arguments):
        command = [sys.executable, "-c", LIVES, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    wanted, whole = run("", tmp_path / "whole", 0)[-1], tmp_path / "whole"
    before: list[str] = []
    seed = 0
    while len(before) < 100:
        seed += 1
        folder = tmp_path / str(seed)
        folder.mkdir()
        *lives, found = run(folder / "run.json", folder / "model.json", seed)
        before += lives
        assert found == wanted
        assert (folder / "model.json").read_bytes() == whole.read_bytes()
        assert [path.name for path in folder.iterdir() if "run" in path.name] == ["run.json"]
    assert "killed True" in before and "killed False" in before
