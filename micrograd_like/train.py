"""Training: `fit` a model to data by stochastic gradient descent, `evaluate` it, `predict` a class.

>>> from micrograd_like.data import xor
>>> from micrograd_like.losses import binary_cross_entropy
>>> from micrograd_like.nn import MLP
>>> X, y = xor(4, noise=0.0)
>>> model = MLP(2, [4, 1], activation="tanh", rng=random.Random(0))
>>> history = fit(model, X, y, binary_cross_entropy, lr=1.0, epochs=100, progress=False)
>>> [(x, predict(model(x))) for x in sorted(X)]
[([0.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([1.0, 1.0], 0)]
"""

import random
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from math import exp, fsum, inf, isfinite, nan
from os import PathLike
from typing import Any

from .data import rows, samples, split
from .losses import squared_error
from .optim import SGD
from .progress import progress as told_progress
from .recording import no_grad

Record = dict[str, Any]  # what is known of one epoch; the keys are the attributes of History


def _column(key: str) -> Any:
    return property(lambda history: [record[key] for record in history.records])


class History:
    """What happened in `fit`: `records`, a dict for each epoch, and each of its keys as a list.

    epoch: counted from 0.  lr: its learning rate.
    loss, accuracy: means over the training samples, each taken before the update of its batch.
    val_loss, val_accuracy: those of the validation samples after the epoch.
    What does not apply (no validation samples; targets that are no classes) is None.

    stopped: why training ended: "epochs" (all were done), "early" (see `patience` of `fit`), "callback" or
        "interrupted".
    """

    epoch = _column("epoch")
    lr = _column("lr")
    loss = _column("loss")
    accuracy = _column("accuracy")
    val_loss = _column("val_loss")
    val_accuracy = _column("val_accuracy")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.stopped = "epochs"

    def __repr__(self) -> str:
        last = _line(self.records[-1]) if self.records else "no epoch"
        return f"<History up to {last}; stopped: {self.stopped}>"


def _text(record: Record, *keys: str) -> str:
    return ", ".join(f"{key} {record[key]:#.4g}" for key in keys if record[key] is not None)


def _line(record: Record) -> str:
    return f"epoch {record['epoch']}, {_text(record, 'lr', 'loss', 'accuracy', 'val_loss', 'val_accuracy')}"


def _short(record: Record) -> str:
    return _text(record, "loss", "accuracy")


def predict(outputs: Any, labels: tuple[int, int] = (0, 1)) -> int:
    """The class that the outputs speak for.

    It is the index of the largest in a list. A single output is a logit (of labels 0 and 1) or a score (of
    labels -1 and 1): its class is the second label if it is positive, else the first.
    """
    if hasattr(outputs, "__len__"):
        return max(range(len(outputs)), key=outputs.__getitem__)
    return labels[1] if outputs > 0.0 else labels[0]


def probabilities(logits: Any) -> list[float]:
    """The probability of each class: the softmax of its logits; of a single logit z, 1 - σ(z) and σ(z)."""
    zs = [float(z) for z in (logits if hasattr(logits, "__len__") else [0.0, logits])]
    largest = max(zs)
    weights = [exp(z - largest) for z in zs]
    total = fsum(weights)
    return [weight / total for weight in weights]


def outputs(model: Any, X: Any) -> list[Any]:
    """What the model gives for each row of X: a float, or a list of floats where it has several outputs.

    With the extra [jit] it runs as native code where that saves more than a second. Raises ValueError for what
    `data.rows` and the model refuse.
    """
    X = rows(X)
    pairs = [(x, 0.0) for x in X]
    with suppress(Exception):  # whatever it is, it runs eagerly then
        sample = _sample(model, pairs, lambda outputs, target: 0.0, 1.0, None)
        if sample is not None:
            computed = sample.outputs(pairs)
            sample.check(pairs, *computed)
            return computed[0]  # type: ignore[no-any-return]
    with no_grad():
        found = [model(x) for x in X]
    return [[float(z) for z in out] if hasattr(out, "__len__") else float(out) for out in found]


def _labels(outputs: Any, y: list[Any], loss: Any) -> Any:
    """The labels of the classes if the targets y are such, else None: then there is no accuracy."""
    if hasattr(outputs, "__len__"):
        candidates: list[Any] = [range(len(outputs))]
    elif loss is squared_error:  # fitted to 0 and 1, the outputs would have to be told apart at 0.5
        candidates = [(-1, 1)]
    else:
        candidates = [(-1, 1), (0, 1)]
    return next((labels for labels in candidates if all(target in labels for target in y)), None)


def _evaluate(model: Any, pairs: list[Any], loss: Any, labels: Any, row: str = "row") -> tuple[float, float | None]:
    total, right = 0.0, 0
    for i, (x, target) in enumerate(pairs):
        try:
            outputs = model(x)
            total += float(loss(outputs, target))
        except ValueError as error:
            raise ValueError(f"{row} {i}: {error}") from error
        right += labels is not None and predict(outputs, labels) == target
    return total / len(pairs), None if labels is None else right / len(pairs)


def _train(model: Any, batches: list[list[Any]], loss: Any, labels: Any, optimizer: SGD) -> tuple[float, float | None]:
    """One epoch: an update for each batch. Raises ValueError if a loss or a gradient is not finite."""
    total, right = 0.0, 0
    for batch in batches:
        optimizer.zero_grad()
        # Sample by sample, so that only the graph of one of them is in memory.
        for x, target in batch:
            outputs = model(x)
            sample_loss = loss(outputs, target)
            total += sample_loss.data
            if not isfinite(total):
                raise ValueError(f"the training loss became {total}")
            (sample_loss * (1.0 / len(batch))).backward()
            right += labels is not None and predict(outputs, labels) == target
        optimizer.step()
    n = sum(map(len, batches))
    return total / n, None if labels is None else right / n


def _sample(model: Any, pairs: list[Any], loss: Any, often: float, compiled: bool | None) -> Any:
    """The model and the loss traced, or None if it is not worth while: they are needed `often` times for each sample.

    Raises ImportError, TypeError or ValueError if it cannot be.
    """
    if compiled is False or (not compiled and len(pairs) * often < 300):
        return None
    from .compiler.training import Sample

    sample = Sample(model, loss, pairs[0])
    seconds = 5e-7 * len(sample.program.rows) * len(pairs) * often  # what it takes eagerly, roughly
    return sample if compiled or seconds > 1.0 else None


def _mean(computed: tuple[list[Any], list[float]], pairs: list[Any], labels: Any) -> tuple[float, float | None]:
    """The mean loss and the accuracy. Raises ValueError if that is not finite."""
    outputs, losses = computed
    total = sum(losses)
    if not isfinite(total):
        raise ValueError(f"the loss became {total}")
    if labels is None:
        return total / len(pairs), None
    right = sum(predict(out, labels) == target for out, (_, target) in zip(outputs, pairs, strict=True))
    return total / len(pairs), right / len(pairs)


def evaluate(model: Any, X: Any, y: Any, loss: Callable[[Any, Any], Any]) -> tuple[float, float | None]:
    """The mean loss, and the share of the samples whose class is predicted right.

    That share is None unless the targets are labels of classes: 0, 1, … for a list of outputs; for a single
    output 0 and 1 or -1 and 1, with squared_error only -1 and 1. Raises ValueError for what `data.samples`,
    the model and the loss refuse. With the extra [jit] it runs as native code where that saves more than a second.
    """
    X, y = samples(X, y)
    pairs, labels = list(zip(X, y, strict=True)), _labels(model(X[0]), y, loss)
    with suppress(Exception):  # whatever it is, it runs eagerly then
        sample = _sample(model, pairs, loss, 1.0, None)
        if sample is not None:
            computed = sample.outputs(pairs)
            sample.check(pairs, *computed)
            return _mean(computed, pairs, labels)
    return _evaluate(model, pairs, loss, labels)


def fit(
    model: Any,
    X: Any,
    y: Any,
    loss: Callable[[Any, Any], Any],
    *,
    lr: float = 0.1,
    optimizer: SGD | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    seed: int = 0,
    validation: float = 0.0,
    patience: int | None = None,
    schedule: Callable[[int], float] | None = None,
    progress: bool = True,
    callback: Callable[[Record], Any] | None = None,
    live: str | PathLike[str] | bool | None = None,
    compiled: bool | None = None,
    resume: str | PathLike[str] | None = None,
) -> History:
    """Train the model on the samples X with targets y: change its parameters to make the mean loss small.

    model: called with a row of X, returns the outputs. loss: (outputs, target) -> Value, as in `losses`.
    lr: of plain SGD over the parameters of the model; not used if another `optimizer` is given.
    epochs: how often to go through the samples, each time in a new order.
    batch_size: samples for each update; None for all of them.
    seed: of the order and of the choice of validation samples. The same seed gives the same bits.
    validation: the share of the samples to measure by and not to train on; `data.split` chooses them.
    patience: stop after so many epochs without a smaller validation loss, and restore the parameters of the
        epoch with the smallest one (also when training ends otherwise, except by an interrupt).
    schedule: from the epoch, counted from 0, to its learning rate.
    progress: tell it on stderr: by a bar if that is a terminal and `rich` is installed, else in ten lines.
    callback: called with the record of each epoch (see `History`); training stops if it returns True.
    live: the path of a picture (.png, .svg, .pdf) of the losses and, for inputs of two numbers and targets that are
        labels, of the decision boundary; True shows it in the notebook, or else in a window. It is drawn anew every
        few seconds, for a twentieth of the time at most, and when training ends. It needs matplotlib.
    compiled: whole epochs as native code, with the extra [jit]; the parameters are then the same but for rounding, and
        the bits depend on the machine. None does so where it can and more than a second is to be saved, and tells it
        where `progress` is told; True raises what is in the way. What Python decides in the model and the loss is
        decided once, before the first epoch.
    resume: the path of a file that the training is kept in (docs/file-format.md): it is written before the first epoch,
        every few seconds, for a twentieth of the time at most, and when training ends, by an interrupt as well. If it
        is there, training goes on where it stands, with the whole history, and ends with the bits that it would have
        had without a break, killed at whatever moment: on the same machine, with native code if it began with it, and
        where model, loss and callback draw no random numbers. More `epochs` than before train on; all else has to be as
        it was. Epochs since the last writing are done again, and `callback` is called for them again; if it ended the
        training, it is asked once more.

    Ctrl-C ends the training without an exception; the parameters are those after the last whole update.

    Before any update, raises ValueError for what `evaluate` refuses, for a loss that is not finite and for
    wrong settings. If later a loss or a gradient is not finite, or an operation is outside its domain, raises
    FloatingPointError and leaves the parameters from the start of the last epoch in which all was well.
    With `live`, raises ImportError if matplotlib is missing, and OSError if the picture cannot be written, before
    any update if that can be told; the parameters are those after the last whole update. With `compiled=True`, raises
    ImportError without the extra, and TypeError or ValueError if the model, loss or optimizer cannot be compiled.
    With `resume`, raises ValueError, before any update and leaving the file as it is, if that is damaged, foreign, from
    a newer version, or of another training (with all that differs); TypeError if an optimizer of one's own has
    attributes that a file cannot hold; OSError if it cannot be read or written.
    """
    if epochs < 1:
        raise ValueError(f"epochs should be 1 or more, got {epochs!r}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size should be 1 or more, or None for all samples, got {batch_size!r}")
    if patience is not None and (patience < 1 or not validation):
        raise ValueError(
            "patience should be 1 or more epochs and needs validation samples, "
            f"got patience={patience!r}, validation={validation!r}"
        )
    X, y = samples(X, y)
    if not callable(loss):
        raise TypeError(f"loss is a function of (outputs, target) as in losses, not {type(loss).__name__} {loss!r:.60}")
    if optimizer is None:
        optimizer = SGD(model.parameters(), lr)
    elif hasattr(model, "parameters") and not set(model.parameters()) & set(optimizer.params):
        raise ValueError("the optimizer has no parameter of this model: it would learn nothing")

    def parameters() -> list[float]:
        return [p.data for p in optimizer.params]

    def restore(numbers: list[float]) -> None:
        for p, x in zip(optimizer.params, numbers, strict=True):
            p.data = x

    history = History()
    start = best = parameters()
    best_loss, best_epoch = inf, -1
    picture = run = None
    try:
        if resume is not None:
            from .resuming import Run

            run = Run(
                resume, model, X, y, loss, optimizer, compiled,
                lr=optimizer.lr if schedule is None else "by the schedule",
                batch_size=batch_size, seed=seed, validation=validation, patience=patience,
            )  # fmt: skip
            compiled = run.compiled
        labels = _labels(model(X[0]), y, loss)
        everything = list(zip(X, y, strict=True))
        sample, obstacle = None, ""
        try:
            sample = _sample(model, everything, loss, 3.0 * epochs, compiled)
            computed = sample.outputs(everything) if sample else None
            loss_before = sum(computed[1]) if computed else nan
            if computed and isfinite(loss_before):
                sample.check(everything, *computed)
        except Exception as error:  # whatever it is, it runs eagerly then
            if compiled:
                raise
            sample, loss_before, obstacle = None, nan, str(error)
        if not isfinite(loss_before):  # eagerly, for the row that is to blame
            loss_before, _ = _evaluate(model, everything, loss, labels)
        if not isfinite(loss_before):
            raise ValueError(f"the loss is {loss_before} before any update")
        if live is not None and live is not False:
            from .show.plots import Live

            picture = Live(live, model, X, y, labels is not None)
        X, y, X_val, y_val = split(X, y, validation, seed) if validation else (X, y, [], [])
        pairs, pairs_val = list(zip(X, y, strict=True)), list(zip(X_val, y_val, strict=True))
        rng = random.Random(seed)
        size = min(batch_size or len(pairs), len(pairs))
        native = None
        if sample is not None:
            from .compiler.training import Epochs

            try:
                native = Epochs(sample, pairs, optimizer, size)
            except Exception as error:
                if compiled:
                    raise
                obstacle = str(error)
        if progress and (native or obstacle):
            rows = len(sample.program.rows) if sample else 0
            told = f"compiled: {rows} operations for each sample" if native else f"not compiled, so slower: {obstacle}"
            print(told, file=sys.stderr)
        order = list(range(len(pairs)))
        stopped: str | None = None
        if run is not None:
            start, best, stopped = run.begin(history, rng, order, schedule, epochs, native is not None)
        for record in history.records:
            if record["val_loss"] is not None and record["val_loss"] < best_loss:
                best_loss, best_epoch = record["val_loss"], record["epoch"]
        done = len(history.records)
        if progress and done:
            print(f"{done} epochs were done before, says {resume}", file=sys.stderr)
        if stopped == "callback" and not (callback is not None and callback(history.records[-1])):
            stopped = None
        bar = told_progress(epochs, done, _short, _line) if progress else nullcontext(lambda record: None)
        with bar as show:
            for epoch in range(done, epochs if stopped is None else done):
                if schedule is not None:
                    optimizer.lr = schedule(epoch)
                # The update that proves too large may have been the last of the epoch before.
                safe, start = start, parameters()
                rng.shuffle(order)
                shuffled = [pairs[i] for i in order]
                try:
                    if native is not None:
                        mean, accuracy = _mean(native.run(order), shuffled, labels)
                    else:
                        batches = [shuffled[i : i + size] for i in range(0, len(pairs), size)]
                        mean, accuracy = _train(model, batches, loss, labels, optimizer)
                    val_loss: float | None
                    if not pairs_val:
                        val_loss, val_accuracy = None, None
                    elif native is not None:
                        val_loss, val_accuracy = _mean(native.sample.outputs(pairs_val), pairs_val, labels)
                    else:
                        val_loss, val_accuracy = _evaluate(model, pairs_val, loss, labels, "validation sample")
                except ValueError as error:
                    restore(safe)
                    raise FloatingPointError(
                        f"epoch {epoch}: {error}. The parameters were set back to the start of epoch "
                        f"{max(epoch - 1, 0)}. Try a learning rate smaller than {optimizer.lr:.4g}"
                    ) from error
                record = {
                    "epoch": epoch,
                    "lr": optimizer.lr,
                    "loss": mean,
                    "accuracy": accuracy,
                    "val_loss": val_loss,
                    "val_accuracy": val_accuracy,
                }
                history.records.append(record)
                show(record)
                if val_loss is not None and val_loss < best_loss:
                    best, best_loss, best_epoch = parameters(), val_loss, epoch
                if picture is not None:
                    picture(history)
                if callback is not None and callback(record):
                    stopped = "callback"
                elif patience is not None and epoch - best_epoch >= patience:
                    stopped = "early"
                if run is not None:
                    run.keep(start, best, stopped)
                if stopped is not None:
                    break
        history.stopped = stopped or "epochs"
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except FloatingPointError:  # what the losses did before tells why
        if picture is not None:
            picture.draw(history)
        raise
    else:
        if patience is not None:
            restore(best)
    finally:
        if run is not None:
            with suppress(KeyboardInterrupt):  # a second Ctrl-C leaves the file that is there
                run.write()
    if picture is not None:
        with suppress(KeyboardInterrupt):  # a second Ctrl-C does without the last picture
            picture.draw(history)
    return history
