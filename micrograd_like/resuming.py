"""A training in a file, for `fit(..., resume=…)`: killed at any moment, it goes on from there, to the same bits.

The format is in docs/file-format.md.
"""

import json
import random
from array import array
from collections.abc import Callable
from copy import copy
from hashlib import sha256
from itertools import chain
from math import isfinite
from numbers import Real
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

from .files import tidy
from .nn import MLP
from .saving import TRAINING, damaged, read, write

PAUSE, PAUSE_PER_SECOND = 3.0, 20.0  # seconds: writing takes a twentieth of the time at most
_STOPPED = (None, "early", "callback")
_RECORD = {"epoch": 0, "lr": 0.0, "loss": 0.0, "accuracy": None, "val_loss": None, "val_accuracy": None}
_ODD = {"inf", "-inf", "nan"}  # how numbers are written that JSON has not

State = dict[str, Any]


class Run:
    """The file of one training.

    path: of the file, which need not be there yet. optimizer: with the parameters to be trained. compiled, and
    settings: those of `fit`. `compiled` is then what the file says, if there is one.

    Raises ValueError if the file is damaged, of another kind or from a newer version, and if it is the training of
    another model, on other data or with other settings, with all that differs; TypeError for what no file can hold.
    OSError if it cannot be read. Nothing is written before `begin`.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        model: Any,
        X: list[list[float]],
        y: list[Any],
        loss: Callable[[Any, Any], Any],
        optimizer: Any,
        compiled: bool | None,
        **settings: Any,
    ):
        if settings["seed"] is None:
            raise ValueError("resume needs a seed, by which the same samples are chosen again: seed=None gives others")
        self.path = Path(path).resolve()  # wherever the current folder will be then
        self.compiled = compiled
        self._optimizer = optimizer
        self._settings = _plain({**_identity(model, X, y, loss, optimizer), **settings}, "a setting")
        self._found: State | None = None
        self._snapshot: State | None = None  # what is to be written next
        self._due = 0.0
        if self.path.exists():
            self._found = self._read()
            self.compiled = self._found["compiled"]

    def _read(self) -> State:
        found = read(self.path, TRAINING, {"run"})["run"]
        keys = {"settings", "compiled", "stopped", "records", *_NUMBERS, "optimizer", "random", "order"}
        if not isinstance(found, dict) or found.keys() != keys or not isinstance(found["settings"], dict):
            damaged(self.path, f"run should have {', '.join(sorted(keys))}")
        if type(found["compiled"]) is not bool or found["stopped"] not in _STOPPED:
            damaged(self.path, "compiled should be true or false, and stopped one of null, early, callback")
        then, now = found["settings"], self._settings
        differences = [
            f"{key} was {then.get(key)!r}, is {now.get(key)!r}"
            for key in dict.fromkeys([*now, *then])
            if key not in then or key not in now or then[key] != now[key]
        ]
        if self.compiled not in (None, found["compiled"]):
            differences.append(f"compiled was {found['compiled']}, is {self.compiled}")
        if differences:
            self._refuse("; ".join(differences))
        return found

    def _refuse(self, difference: str) -> None:
        raise ValueError(
            f"{self.path} is of another training: {difference}. Call fit as it was called then, or name another file"
        )

    def begin(
        self,
        history: Any,
        rng: random.Random,
        order: list[int],
        schedule: Callable[[int], float] | None,
        epochs: int,
        compiled: bool,
    ) -> tuple[list[float], list[float], str | None]:
        """Set all that is given, and the optimizer, to what the file says, if there is one; and write the file.

        Returns `start`, `best` and `stopped` as for `keep`. Raises ValueError, before anything is set, if the file has
        other numbers than belong there, more epochs, or another schedule; OSError if it cannot be written.
        """
        self._history, self._rng, self._order = history, rng, order
        self.compiled = compiled
        now = [p.data for p in self._optimizer.params]
        start, best, stopped = now, now, None
        if self._found is not None:
            found = self._checked(self._found, self._state(now, now, None))
            records = found["records"]
            if len(records) > epochs:
                raise ValueError(
                    f"{self.path} has {len(records)} epochs already, and epochs={epochs} are fewer: ask for as many "
                    "or more, or name another file"
                )
            for record in records if schedule else ():
                if schedule(record["epoch"]) != record["lr"]:  # type: ignore[misc]
                    self._refuse(
                        f"schedule({record['epoch']}) was {record['lr']}, is {schedule(record['epoch'])}"  # type: ignore[misc]
                    )
            history.records[:] = records
            rng.setstate((rng.VERSION, tuple(found["random"]), None))
            order[:] = found["order"]
            for p, x in zip(self._optimizer.params, found["parameters"], strict=True):
                p.data = x
            names = _attributes(self._optimizer)
            vars(self._optimizer).update({names[key]: x for key, x in found["optimizer"].items()})
            start, best, stopped = found["start"], found["best"], found["stopped"]
        tidy(self.path)
        self._snapshot = self._state(start, best, stopped)
        self.write()
        return start, best, stopped

    def keep(self, start: list[float], best: list[float], stopped: str | None) -> None:
        """Remember how things are after an epoch, and write it if the last time is long enough ago.

        start: the parameters at the start of the epoch. best: those of the smallest validation loss. stopped: as in the
        history, None if training goes on. Raises OSError if the file cannot be written.
        """
        self._snapshot = self._state(start, best, stopped)
        if perf_counter() >= self._due:
            self.write()

    def write(self) -> None:
        """Write what was remembered last, if it is not written yet. Raises OSError; the file before it then stays."""
        if self._snapshot is None:
            return
        began = perf_counter()
        records = self._history.records[: self._snapshot["records"]]
        run = {
            **self._snapshot,
            "records": [{key: record[key] for key in _RECORD} for record in records],
            "settings": self._settings,
        }
        write(self.path, TRAINING, {"run": _plain(run, "run")}, indent=None)
        self._snapshot = None
        now = perf_counter()
        self._due = now + max(PAUSE, PAUSE_PER_SECOND * (now - began))

    def _state(self, start: list[float], best: list[float], stopped: str | None) -> State:
        # Copies, since an interrupt comes in the middle of an epoch, and what is written then is its start.
        optimizer = self._optimizer
        return {
            "compiled": self.compiled,
            "stopped": stopped,
            "records": len(self._history.records),
            "parameters": [p.data for p in optimizer.params],
            "start": start,
            "best": best,
            "optimizer": {key: copy(vars(optimizer)[name]) for key, name in _attributes(optimizer).items()},
            "random": list(self._rng.getstate()[1]),
            "order": self._order[:],
        }

    def _checked(self, found: State, wanted: State) -> State:
        """What was found, with the numbers that JSON has not. Raises ValueError if it is not of the shape wanted.

        Where None is wanted, a number may stand as well.
        """
        records = found["records"]
        if not isinstance(records, list):
            damaged(self.path, f"records should be a list, is {records!r:.60}")
        wanted = {**wanted, "records": [{**_RECORD, "epoch": i} for i in range(len(records))]}
        shaped = {
            key: self._shaped(found[key], wanted[key], key) for key in (*_NUMBERS, "records", "optimizer", "random")
        }
        if [record["epoch"] for record in shaped["records"]] != [*range(len(records))] or (
            found["stopped"] and not records
        ):
            damaged(self.path, "records should be those of the epochs 0, 1, …")
        order = found["order"]
        if not isinstance(order, list) or {*map(type, order)} != {int} or sorted(order) != sorted(wanted["order"]):
            damaged(self.path, f"order should be that of {len(wanted['order'])} samples, is {order!r:.60}")
        try:
            random.Random().setstate((random.Random.VERSION, tuple(shaped["random"]), None))
        except (OverflowError, TypeError, ValueError) as error:
            damaged(self.path, f"random is no state of Python's generator: {error}", error)
        return {**found, **shaped}

    def _shaped(self, found: Any, wanted: Any, place: str) -> Any:
        if isinstance(wanted, dict):
            if not isinstance(found, dict) or found.keys() != wanted.keys():
                damaged(self.path, f"{place} should have {', '.join(wanted)}, is {found!r:.60}")
            return {key: self._shaped(found[key], x, f"{place}, {key}") for key, x in wanted.items()}
        if isinstance(wanted, (list, tuple)):
            if not isinstance(found, list) or len(found) != len(wanted):
                size = f"{len(found)} things" if isinstance(found, list) else f"{found!r:.60}"
                damaged(self.path, f"{place} should be a list of {len(wanted)}, is {size}")
            return [
                self._shaped(x, want, f"{place}, {i}") for i, (x, want) in enumerate(zip(found, wanted, strict=True))
            ]
        if wanted is None and found is None:
            return None
        if isinstance(wanted, (bool, str)):
            if type(found) is not type(wanted):
                damaged(self.path, f"{place} should be like {wanted!r:.60}, is {found!r:.60}")
            return found
        if isinstance(found, str) and found in _ODD:
            return float(found)
        if not (type(found) is float or (type(found) is int and abs(found) <= 2**53)):
            damaged(self.path, f"{place} should be a number, is {found!r:.60}")
        return found


_NUMBERS = ("parameters", "start", "best")  # one for each parameter


def _attributes(optimizer: Any) -> dict[str, str]:
    """The attributes of an optimizer that make its state, by the names they have in a file."""
    return {name.lstrip("_"): name for name in vars(optimizer) if name != "params"}


def _plain(x: Any, place: str) -> Any:
    """The same for JSON. Raises TypeError if there is none, with the place."""
    if isinstance(x, dict):
        return {key: _plain(item, f"{place}, {key}") for key, item in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(item, place) for item in x]
    if x is None or isinstance(x, (str, int)):
        return x
    if isinstance(x, Real):
        return float(x) if isfinite(x) else repr(float(x))
    raise TypeError(
        f"{place} is a {type(x).__name__}, {x!r:.60}, which a file cannot hold: use numbers, texts and lists, "
        "or train without resume"
    )


def _identity(
    model: Any, X: list[list[float]], y: list[Any], loss: Callable[[Any, Any], Any], optimizer: Any
) -> dict[str, Any]:
    """What a training is known by: names and numbers that are the same if it is called again, also once it has run."""
    names = {p: name for name, p in model.named_parameters()} if hasattr(model, "named_parameters") else {}
    paths = [names.get(p, p.name) for p in optimizer.params]
    numbers = (name for name in vars(optimizer) if not name.startswith("_") and isinstance(vars(optimizer)[name], Real))
    return {
        "X": f"{len(X)} × {len(X[0])} numbers, sha256 {_digest(array('d', chain.from_iterable(X)).tobytes())}",
        "y": f"{len(y)} targets, sha256 {_digest(json.dumps(_target(y)).encode())}",
        "model": str(model) if type(model) is MLP else _called(model),
        "parameters": f"{len(paths)}, sha256 of their names {_digest(json.dumps(paths).encode())}",
        "loss": _called(loss),
        "computed": _computed(model, X[0], y[0], loss, optimizer.params),
        "optimizer": type(optimizer).__qualname__,
        **{name: vars(optimizer)[name] for name in numbers},
    }


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def _called(x: Any) -> str:
    return str(getattr(x, "__qualname__", type(x).__qualname__))


def _target(y: Any) -> Any:
    """Targets as numbers, whatever kind they are of, or else as text."""
    if isinstance(y, (list, tuple)):
        return [_target(target) for target in y]
    return float(y) if hasattr(y, "__float__") else repr(y)


def _computed(model: Any, x: list[float], target: Any, loss: Callable[[Any, Any], Any], params: list[Any]) -> str:
    """The outputs and the loss of a sample, at numbers for the parameters that are the same each time.

    They tell apart what no name does: activations, parameters that are not trained, functions without a name. Nine
    digits, since the last ones depend on the machine.
    """
    rng = random.Random(0)
    before = [p.data for p in params]
    texts = []
    try:
        for p in params:
            p.data = rng.uniform(-1.0, 1.0)
        for _ in range(2):
            outputs = model(x)
            numbers = [*(outputs if hasattr(outputs, "__len__") else [outputs]), loss(outputs, target)]
            texts.append(" ".join(f"{float(number):.9g}" for number in numbers))
    except (ArithmeticError, TypeError, ValueError):  # outside a domain; what is wrong with a sample, `fit` will say
        return "nothing"
    finally:
        for p, number in zip(params, before, strict=True):
            p.data = number
    return texts[0] if texts[0] == texts[1] else "something random"
