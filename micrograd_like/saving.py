"""Models in files: `save` writes one, `load` reads it. The format, plain JSON, is in docs/file-format.md.

>>> import random, tempfile
>>> from micrograd_like.nn import MLP
>>> model = MLP(2, [8, 1], activation="tanh", rng=random.Random(0))
>>> with tempfile.TemporaryDirectory() as folder:
...     path = save(model, Path(folder) / "model.json")
...     again = load(path)
>>> print(again)
MLP 2-8-1, tanh linear, 33 parameters
>>> again([0.5, -1.0]).data == model([0.5, -1.0]).data
True
"""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from .engine import Value
from .files import replace
from .nn import MLP
from .ops import FUNCTIONS

VERSION = 1  # of the format; what reads an older one is to be kept when this grows
MODEL, TRAINING, TABLE = "micrograd_like model", "micrograd_like training", "micrograd_like table model"
_USE = {
    MODEL: "a model, for load(path)",
    TRAINING: "the state of a training, for fit(..., resume=path)",
    TABLE: "a model of a table, for micrograd-like predict",
}
MOST = 2**30  # bytes: what is longer is no file of ours, and is not read into memory


def save(model: Any, path: str | PathLike[str]) -> Path:
    """Write a model to a file that `load` reads: its parameters, bit for bit. Returns the path.

    model: a Module. Of an MLP whose activations are names, sizes and activations are written as well, so that `load`
    can make it; for all others, `load` needs `into`. Gradients are not written.

    The file is replaced as a whole or not at all. Raises TypeError if this is no Module, ValueError if a parameter is
    not finite or two have the same path, OSError if the file cannot be written.
    """
    parameters = _parameters(model, "save")
    for name, parameter in parameters.items():
        if not isfinite(parameter.data):
            raise ValueError(
                f"{name} is {parameter.data}, and a file holds finite numbers: train again with a smaller learning rate"
            )
    path = Path(path)
    write(
        path,
        MODEL,
        {
            "model": _described(model, parameters),
            "parameters": {name: parameter.data for name, parameter in parameters.items()},
        },
    )
    return path


def load(path: str | PathLike[str], into: Any = None) -> Any:
    """The model that `save` wrote: an MLP is made; the parameters of another Module are put `into` one like it.

    into: a Module whose parameters have the same paths; it is returned. All of its parameters are set, or none.

    Nothing in a file is ever executed. Raises ValueError if the file is damaged, of another kind or from a newer
    version; if it tells not how to make the model and there is no `into`; if that is another model, with what differs.
    Raises TypeError if `into` is no Module, OSError if the file cannot be read.
    """
    path = Path(path)
    content = read(path, MODEL, {"model", "parameters"})
    made, numbers = content["model"], content["parameters"]
    _check(path, made, numbers)
    model = _make(path, made) if into is None else into
    parameters = _parameters(model, "load")
    found = made if into is None else _described(model, parameters)
    if len(made) == len(found) and made != found and len(made) > 1:
        raise ValueError(f"{path} has an {_shown(made)}, and the model is an {_shown(found)}: make one like the first")
    if numbers.keys() != parameters.keys():
        raise ValueError(
            f"{path} has the parameters of another model: "
            + "; ".join(
                f"only {where} has {_some(names)}"
                for where, names in (
                    ("the file", [name for name in numbers if name not in parameters]),
                    ("the model", [name for name in parameters if name not in numbers]),
                )
                if names
            )
        )
    for name, parameter in parameters.items():
        parameter.data = float(numbers[name])
    return model


def _parameters(model: Any, function: str) -> dict[str, Value]:
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"{function} takes a Module of nn, not {type(model).__name__} {model!r:.60}")
    named = model.named_parameters()
    parameters = dict(named)
    if len(parameters) < len(named):
        twice = next(name for name, parameter in named if parameters[name] is not parameter)
        raise ValueError(f"two parameters have the path {twice!r}: give other keys to the dict that they are in")
    return parameters


def _described(model: Any, parameters: Iterable[str]) -> dict[str, Any]:
    """What `_make` needs; the class alone where that would not be the same model."""
    kind = {"class": type(model).__name__}
    if type(model) is not MLP:
        return kind
    # Not what an MLP is made of: units that were added, or a weight that is in two places.
    if list(parameters) != [name for name, _ in MLP(model.sizes[0], model.sizes[1:], init=_zero).named_parameters()]:
        return kind
    *hidden, last = [{_name(neuron.activation) for neuron in layer.neurons} for layer in model.layers]
    names = set().union(*hidden) or {"linear"}
    if len(names) > 1 or len(last) > 1 or None in names | last:
        return kind
    return {**kind, "sizes": model.sizes, "activation": names.pop(), "output": last.pop()}


def _name(activation: Any) -> str | None:
    """What `nn` makes this activation of; None if it is a function that has no name there."""
    if activation is None:
        return "linear"
    return next((name for name, function in FUNCTIONS.items() if function is activation), None)


def _make(path: Path, made: dict[str, Any]) -> MLP:
    if len(made) == 1:
        raise ValueError(
            f"{path} does not tell how to make this {made['class']:.60}, as it does for an MLP whose activations are "
            "names: make it as it was made then, and load(path, into=model)"
        )
    nin, *nouts = made["sizes"]
    try:
        return MLP(nin, nouts, activation=made["activation"], output=made["output"], init=_zero)
    except ValueError as error:
        raise ValueError(f"{path}: {error}. An operation of your own is to be defined first, by custom()") from error


def _zero(rng: Any, nin: int) -> float:
    return 0.0


def _check(path: Path, made: Any, numbers: Any) -> None:
    """Raises ValueError if that is not what `save` writes."""
    if not (isinstance(made, dict) and made.keys() in ({"class"}, {"class", "sizes", "activation", "output"})):
        damaged(path, f"model should have a class, or a class, sizes, activation and output, is {made!r:.60}")
    for key in made.keys() - {"sizes"}:
        if not isinstance(made[key], str):
            damaged(path, f"{key} should be text, is {made[key]!r:.60}")
    if not isinstance(numbers, dict):
        damaged(path, f"parameters should be numbers by their paths, are {numbers!r:.60}")
    for name, x in numbers.items():
        if not (abs(x) <= 2**53 if type(x) is int else type(x) is float and isfinite(x)):
            damaged(path, f"{name} should be a finite number, is {x!r:.60}")
    if "sizes" in made:
        if made["class"] != "MLP":
            damaged(path, f"sizes are those of an MLP, not of a {made['class']:.60}")
        sizes = made["sizes"]
        if not (isinstance(sizes, list) and len(sizes) > 1 and all(type(n) is int and n > 0 for n in sizes)):
            damaged(path, f"sizes should be two or more whole numbers from 1, are {sizes!r:.60}")
        count = sum((a + 1) * b for a, b in pairwise(sizes))
        if count != len(numbers):  # before an MLP of any size is made
            damaged(path, f"an {_shown(made):.60} has {count} parameters, and there are {len(numbers)}")


def _shown(made: dict[str, Any]) -> str:
    return f"{made['class']} {'-'.join(map(str, made['sizes']))}, {made['activation']} {made['output']}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


# ---- what all files have in common ---------------------------------------------------------------------


def write(path: Path, kind: str, content: dict[str, Any], indent: int | None = 1) -> None:
    """Write the content, of finite numbers, as a file of this kind, as a whole or not at all. Raises OSError."""
    whole = {"format": kind, "version": VERSION, "sha256": checksum(content), **content}
    replace(path, f"{json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=indent)}\n".encode())


def checksum(content: dict[str, Any]) -> str:
    """Of all that is in a file beside format, version and checksum."""
    return sha256(json.dumps(content).encode()).hexdigest()


def read(path: Path, kind: str, keys: set[str]) -> dict[str, Any]:
    """The content of a file of this kind, MODEL, TRAINING or TABLE: these keys and their values.

    Raises ValueError if it is something else, OSError if it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(MOST + 1)
    if not raw:
        damaged(path, "it is empty")
    if len(raw) > MOST:
        damaged(path, f"it is longer than {MOST} bytes")
    try:
        content = json.loads(raw.decode(), parse_constant=_no_number, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        damaged(path, str(error), error)
    if not isinstance(content, dict) or content.get("format") not in [*_USE]:
        damaged(path, f'it does not say "format": "{kind}"')
    if content["format"] != kind:
        raise ValueError(f"{path} holds {_USE[content['format']]}; expected was {_USE[kind]}")
    version = content.get("version")
    if type(version) is not int or version < 1:
        damaged(path, f"version should be a whole number from 1, is {version!r:.60}")
    if version > VERSION:
        raise ValueError(
            f"{path} has version {version} of the format, and this micrograd_like reads {VERSION}: install a newer one"
        )
    found = {key: content[key] for key in content if key not in ("format", "version", "sha256")}
    odd = sorted(found.keys() ^ keys)
    if odd:
        damaged(
            path, "; ".join(f"{key:.60} {'does not belong there' if key in found else 'is missing'}" for key in odd)
        )
    if "sha256" in content and content["sha256"] != checksum(found):
        damaged(path, "its checksum is not that of its content, which was changed after it was written")
    return found


def damaged(path: Path, what: str, error: BaseException | None = None) -> NoReturn:
    """Raise the ValueError for a file that is not what it should be, with the reason."""
    raise ValueError(f"{path} is damaged, or no file of micrograd_like: {what}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} stands where a number belongs")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r:.60} is there twice")
    return content
