"""A network for a table of one's own: trained, tested, saved with all that its predictions need, and used.

What `micrograd-like train` and `micrograd-like predict` do.
"""

import csv
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from math import fsum, sqrt
from pathlib import Path
from typing import Any

from . import train
from .data import moments, split
from .files import check_place
from .losses import classification, squared_error
from .nn import MLP, xavier
from .optim import SGD, cosine
from .saving import TABLE, damaged, read as read_file, write
from .table import Categories, Column, Numbers, Table, encode, is_numbers, listed, read, understand

FEW = 10  # different whole numbers are classes, more are quantities
CLASSES = 100  # that are told apart
SHOWN = 20  # classes in a table of confusions


@dataclass(frozen=True)
class Target:
    """The column to predict. classes: their names, in order; none for a number, which is scaled by the last two."""

    name: str
    classes: list[str]
    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class Model:
    """A network, what its inputs are made of, and what its output means. ignored: columns that it does not need."""

    target: Target
    columns: list[Column]
    ignored: list[str]
    network: MLP

    def outputs(self, table: Table) -> list[Any]:
        """What the network gives for each row. Raises ValueError if a column is missing, or has text for numbers."""
        return train.outputs(self.network, encode(self.columns, table))

    def numbers(self, outputs: Sequence[float]) -> list[float]:
        """The outputs of a regression in the units of the target."""
        return [self.target.mean + self.target.deviation * out for out in outputs]


# ---- training ----------------------------------------------------------------------------------------------


def learn(
    path: Path,
    target: str,
    out: Path,
    *,
    task: str | None = None,
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    text: Collection[str] = (),
    hidden: Sequence[int] = (16,),
    epochs: int = 100,
    batch: int = 32,
    lr: float = 0.02,
    test: float = 0.2,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> bool:
    """Train a network on the CSV file at `path`, test it on the share `test` of its rows, save it at `out`.

    target: the column to predict. task: "classification" or "regression"; None decides by the target. drop: columns
    not to use; keep: columns to use even if they look like identifiers; text: columns whose numbers are names.
    tell: takes what is found, as text.

    Returns False if Ctrl-C ended the training, with what was learned until then. Raises ValueError for what is no
    table, or cannot be learned from; FloatingPointError if training diverges; OSError.
    """
    check_place(out)  # before hours of training
    table = read(path)
    separated = "" if table.delimiter == "," else f", separated by {table.delimiter!r}"
    tell(f"{table.where}: {len(table.rows)} rows, {len(table.names)} columns{separated}")
    for name in [*drop, *keep, *text]:
        table.column(name)
    known = [i for i, cell in enumerate(table.column(target)) if cell]
    if len(known) < len(table.rows):
        tell(f"{target}: missing in {len(table.rows) - len(known)}, which are left out")
        table = table.at(known)
    if len(table.rows) < 2:
        raise ValueError(
            f"{table.where}: rows that have {target!r}: {len(table.rows)}; one to learn from and one to be tested on "
            "are needed"
        )
    classes, y, note = _targets(table, target, task, as_text=target in text)
    tell(f"{target}: {note}")

    X_train, y_train, X_test, y_test = split([[i] for i in range(len(y))], y, test, seed)  # the places of the rows
    training, testing = ([int(i) for (i,) in part] for part in (X_train, X_test))
    columns, notes = understand(table, training, {target, *drop}, keep, text)
    for line in notes:
        tell(line)
    unlearned = [name for k, name in enumerate(classes) if k not in y_train]
    if unlearned:
        tell(f"{target}: no row to learn from for {listed(unlearned)}; too few have it")
    mean, deviation = (0.0, 1.0) if classes else moments(y_train)
    meaning = Target(target, classes, mean, deviation or 1.0)

    outputs, loss = _objective(classes)
    sizes = [*hidden, outputs]
    network = MLP(sum(c.width for c in columns), sizes, activation="tanh", rng=random.Random(seed), init=xavier)
    used = {column.name for column in columns}
    model = Model(meaning, columns, [name for name in table.names if name not in used], network)
    tell(f"inputs: {listed([column.name for column in columns])}")
    tell(f"{network}; {len(training)} rows to learn from, {len(testing)} to be tested on")
    history = train.fit(
        network,
        encode(columns, table.at(training)),
        y_train if classes else [(value - meaning.mean) / meaning.deviation for value in y_train],
        loss,
        optimizer=SGD(network.parameters(), lr, momentum=0.9, weight_decay=1e-4),
        schedule=cosine(lr, lr / 100, epochs),
        epochs=epochs,
        batch_size=batch,
        seed=seed,
    )
    finished = history.stopped != "interrupted"
    if not finished:
        tell(f"Interrupted after {len(history.records)} of {epochs} epochs; what was learned until then:")
    results = model.outputs(table.at(testing))
    if classes:
        guess = Counter(y_train).most_common(1)[0][0]
        found = [train.predict(out) for out in results]
        right, lucky = (
            sum(a == b for a, b in zip(guesses, y_test, strict=True)) / len(y_test)
            for guesses in (found, [guess] * len(y_test))
        )
        tell(f"test accuracy {right:.1%} of {len(y_test)} rows   (always {classes[guess]:.40}: {lucky:.1%})")
        tell(confusions(classes, y_test, found))
    else:
        for name, numbers in (("test", model.numbers(results)), ("always the mean", [mean] * len(y_test))):
            error, determined = scores(y_test, numbers)
            tell(f"{name}: R² {determined}, RMSE {error:.4g}")
    save(model, out)
    tell(str(out))
    return finished


def _objective(classes: Sequence[str]) -> tuple[int, Callable[[Any, Any], Any]]:
    """How many outputs the network has, and its loss."""
    return classification(len(classes)) if classes else (1, squared_error)


def _targets(table: Table, name: str, task: str | None, *, as_text: bool) -> tuple[list[str], list[Any], str]:
    """The classes (none for a regression), the target of each row, and what is to be told of this choice."""
    numeric = not as_text and is_numbers(table, name)
    y: list[Any] = table.column(name)
    if numeric or task == "regression":
        y = table.numbers(name, ", or choose --task classification")
    counts = Counter(y)
    if len(counts) == 1:
        raise ValueError(f"{table.where}: {name!r} is {y[0]!r:.40} in all rows, so there is nothing to learn")
    few = numeric and all(x.is_integer() for x in counts) and len(counts) <= min(FEW, len(y) / 2)
    if task is None:
        task = "classification" if few or not numeric else "regression"
        why = f"{'few whole' if few else 'many different'} numbers" if numeric else "text"
        other = "regression" if few else "classification"
        note = f"{task}, as it has {why}" + (f" (--task {other} takes it as that)" if numeric else "")
    else:
        note = f"{task}, as asked for"
    if task == "regression":
        return [], y, f"{note}; from {min(y):g} to {max(y):g}"
    if len(counts) > CLASSES:
        raise ValueError(
            f"{table.where}: {name!r} has {len(counts)} different values, and at most {CLASSES} classes are learned; "
            + ("--task regression predicts it as a number" if numeric else "choose another --target")
        )
    kinds = sorted(counts)
    names = [f"{kind:.15g}" for kind in kinds] if numeric else kinds
    found = listed([f"{text:.40} ({counts[kind]})" for text, kind in zip(names, kinds, strict=True)])
    return names, [kinds.index(value) for value in y], f"{note}; {found}"


def scores(y: Sequence[float], numbers: Sequence[float]) -> tuple[float, str]:
    """The root of the mean squared error, and R² as text: it is not defined where all of y is the same."""
    squares = fsum((a - b) ** 2 for a, b in zip(y, numbers, strict=True))
    around = len(y) * moments(y)[1] ** 2
    return sqrt(squares / len(y)), f"{1 - squares / around:.3f}" if around else "not defined (all the same)"


def confusions(classes: Sequence[str], y: Sequence[int], found: Sequence[int]) -> str:
    """How many of each class (a line) were taken for which (a column)."""
    if len(classes) > SHOWN:
        return f"(a table of confusions is shown for {SHOWN} classes at most)"
    counts = Counter(zip(y, found, strict=True))
    names = [name if len(name) <= 16 else f"{name[:15]}…" for name in classes]
    rows = [["is \\ taken for", *names]]
    rows += [[name, *(str(counts[i, j]) for j in range(len(names)))] for i, name in enumerate(names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


# ---- predicting --------------------------------------------------------------------------------------------


def predictions(model: Model, table: Table, tell: Callable[[str], None]) -> str:
    """The predictions for each row as CSV: the class and its probability, or the number.

    tell: takes what is odd about the table. Raises ValueError if a column is missing, or has text for numbers.
    """
    missing = [column.name for column in model.columns if column.name not in table.names]
    if missing:
        raise ValueError(
            f"{table.where} lacks columns that the model needs: {listed(missing)}; add them (an empty cell is a "
            "missing value), or rename those that are meant"
        )
    known = {column.name for column in model.columns} | set(model.ignored)
    more = [name for name in table.names if name not in known]
    if more:
        tell(f"{table.where}: columns that the model does not know are not looked at: {listed(more)}")
    for column in model.columns:
        surprise = column.surprise(table)
        if surprise:
            tell(f"{table.where}, column {column.name!r}: {surprise}")
    outputs = model.outputs(table)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if model.target.classes:
        writer.writerow([model.target.name, "probability"])
        for out in outputs:
            found = train.predict(out)
            writer.writerow([model.target.classes[found], f"{train.probabilities(out)[found]:.4f}"])
    else:
        writer.writerow([model.target.name])
        writer.writerows([f"{x:.6g}"] for x in model.numbers(outputs))
    return text.getvalue()


# ---- files -------------------------------------------------------------------------------------------------


def save(model: Model, path: Path) -> None:
    """Write the model as JSON, as a whole or not at all. Raises OSError."""
    content = {
        "target": asdict(model.target),
        "columns": [asdict(column) for column in model.columns],
        "ignored": model.ignored,
        "sizes": model.network.sizes,
        "parameters": [p.data for p in model.network.parameters()],
    }
    write(path, TABLE, content)


def load(path: Path) -> Model:
    """The model that `save` wrote. Raises ValueError for any other file, OSError if it cannot be read."""
    content = read_file(path, TABLE, {"target", "columns", "ignored", "sizes", "parameters"})
    try:
        return _model(content)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        damaged(path, f"{error!r:.200}", error)


def _model(content: Any) -> Model:
    columns: list[Column] = [
        Categories(**column) if "categories" in column else Numbers(**column) for column in content["columns"]
    ]
    nin, *sizes = content["sizes"]
    network = MLP(nin, sizes, activation="tanh")
    for p, number in zip(network.parameters(), content["parameters"], strict=True):
        p.data = number
    model = Model(Target(**content["target"]), columns, content["ignored"], network)
    if sizes[-1] != _objective(model.target.classes)[0]:
        raise ValueError("its classes are not the outputs of its network")
    # A prediction uses all the rest, and shows what is not as it should be.
    names = [column.name for column in columns]
    predictions(model, Table("a row of zeros", names, [["0"] * len(names)], [1], ","), lambda text: None)
    return model
