"""The plane of a model's two inputs: its outputs, classes and colours, and its picture in a terminal.

>>> print_boundary(lambda x: x[0] - x[1], [[1, 0], [0, 1]], [1, 0], width=20)
 x                 ·
                 ···
               ·····
             ·······
           ·········
         ···········
       ·············
     ···············
   ·················
 ·················o·
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from math import inf, isfinite, nan, tanh
from numbers import Real
from typing import Any, TextIO

from ..data import rows, samples
from ..engine import Value
from ..nn import Module
from ..ops import DomainError
from ..train import _labels, predict
from .output import has_colors

Bounds = tuple[float, float, float, float]  # left, right, bottom, top
Colour = tuple[int, int, int]  # red, green and blue from 0 to 255

# Of the classes, in their order; a single output has the first two, negative and positive. Further classes begin again.
COLOURS = ("#d9480f", "#1971c2", "#2f9e44", "#7048e8", "#e8a900", "#c2255c", "#0c8599", "#5c3d2e")
POINTS = "xo+*#%@&"
FILLS = " ·:-~=,;"
UNDEFINED, UNKNOWN = "#ced4da", "#343a40"  # where the model has no output; a point whose class was not told

WIDEST = 78  # columns, unless more are asked for


class Plane:
    """What there is to draw of a model: the bounds of the plane, the points on it by class, the outputs anywhere.

    model: called with [x1, x2], returns one output or a sequence of them. X: rows of x1, x2, or None.
    y: the labels of the rows as in `train.evaluate`, or None. bounds: left, right, bottom, top; unless given,
    those of X and a margin.

    points: a dict from the class (an index into COLOURS; None if there is no y) to its rows of X.
    names: the label that each class has in y.
    ratio: how high a picture of width 1 should be.

    Raises ValueError for what `data.samples` refuses, if X has not 2 columns or the model does not take 2
    inputs, for y without X or of something else than labels, and for wrong bounds or none where there is no X.
    """

    def __init__(self, model: Any, X: Any, y: Any, bounds: Any):
        if X is None and y is not None:
            raise ValueError("y has labels, but there are no points X that they belong to")
        if X is None and bounds is None:
            raise ValueError("where to draw is not known: give points X, or bounds=(left, right, bottom, top)")
        if y is not None:
            X, y = samples(X, y)
        elif X is not None:
            X = rows(X)
        if X and len(X[0]) != 2:
            raise ValueError(f"X should have 2 columns, one for each direction of the plane, got {len(X[0])}")
        self.bounds = _around(X) if bounds is None else _checked(bounds)
        left, right, bottom, top = self.bounds
        # True to scale, unless the inputs seem to have units of their own: then no scale is the true one.
        ratio = (top - bottom) / (right - left)
        self.ratio = ratio if 0.4 <= ratio <= 2.5 else 0.75

        first = X[0] if X else [(left + right) / 2.0, (bottom + top) / 2.0]
        try:
            outputs = _floats(model(first))
        except (ArithmeticError, DomainError):
            outputs = nan
        except (IndexError, ValueError) as error:
            raise ValueError(f"the model should take 2 inputs, the coordinates of a point: {error}") from error
        self._model = model
        # Without a graph the same code is four times as fast, if it runs on floats at all.
        self._twin = _in_floats(model)
        if self.outputs(first) != outputs:
            self._twin = None

        self.points: dict[int | None, list[list[float]]] = {None: X} if X and y is None else {}
        self.names: Sequence[int] = range(0)
        if y is not None:
            labels = _labels(outputs, y, None)
            if labels is None:
                expected = f"0 to {len(outputs) - 1}" if isinstance(outputs, list) else "0 and 1, or -1 and 1"
                raise ValueError(f"y should be labels of classes, {expected}, got {_other(y, outputs)!r:.60}")
            self.names = labels
            for k, label in enumerate(labels):
                members = [x for x, target in zip(X, y, strict=True) if target == label]
                if members:
                    self.points[k] = members

    def outputs(self, x: list[float]) -> Any:
        """The outputs at the point x: a float, or a list of floats. nan where the model is not defined."""
        if self._twin is not None:
            # Where floats raise, or turn complex, Values have an answer.
            with suppress(ArithmeticError, AttributeError, TypeError, ValueError):
                return _floats(self._twin(x))
        try:
            return _floats(self._model(x))
        except (ArithmeticError, ValueError):  # DomainError, or what Python's own functions raise
            return nan

    def grid(self, x1: Sequence[float], x2: Sequence[float]) -> list[list[Any]]:
        """The outputs at all these coordinates: a row for each x2."""
        return [[self.outputs([a, b]) for a in x1] for b in x2]


def _floats(outputs: Any) -> Any:
    return [float(x) for x in outputs] if hasattr(outputs, "__len__") else float(outputs)


def _in_floats(part: Any) -> Any:
    """A Module, or something in it, with floats in the place of Values; anything else as it is."""
    if isinstance(part, Value):
        return part.data
    if isinstance(part, Module):
        twin = object.__new__(type(part))
        vars(twin).update({name: _in_floats(item) for name, item in vars(part).items()})
        return twin
    if type(part) is dict:
        return {key: _in_floats(item) for key, item in part.items()}
    return type(part)(map(_in_floats, part)) if type(part) in (list, tuple) else part


def _other(y: list[Any], outputs: Any) -> Any:
    known = range(len(outputs)) if isinstance(outputs, list) else (-1, 1) if -1 in y else (0, 1)
    return next(target for target in y if target not in known)


def _around(X: list[list[float]]) -> Bounds:
    bounds: list[float] = []
    for column in zip(*X, strict=True):
        margin = 0.1 * (max(column) - min(column)) or 1.0
        bounds += [min(column) - margin, max(column) + margin]
    left, right, bottom, top = bounds
    return left, right, bottom, top


def _checked(bounds: Any) -> Bounds:
    numbers = list(bounds) if hasattr(bounds, "__len__") else []
    if len(numbers) == 4 and all(isinstance(x, Real) and isfinite(x) for x in numbers):
        left, right, bottom, top = map(float, numbers)
        if left < right and bottom < top:
            return left, right, bottom, top
    raise ValueError(f"bounds should be (left, right, bottom, top), left < right and bottom < top, got {bounds!r:.60}")


# ---- classes and colours --------------------------------------------------------------------------------


def margin(outputs: Any, k: int) -> float:
    """By how much class k is ahead of the others: positive where the model decides for it.

    A single output is the difference of two: class 1 leads by it, class 0 by its opposite.
    """
    if not isinstance(outputs, list):
        return float(outputs if k else -outputs)
    return float(outputs[k] - max((z for i, z in enumerate(outputs) if i != k), default=-inf))


def decide(outputs: Any) -> tuple[int | None, float]:
    """The class by the rule of `train.predict`, and from 0 to 1 how sure it is: tanh of half the margin.

    Of two classes that is the difference of their probabilities. The class is None where the outputs are nan.
    """
    if any(z != z for z in (outputs if isinstance(outputs, list) else [outputs])):
        return None, 1.0
    k = predict(outputs)
    ahead = margin(outputs, k)
    return k, tanh(ahead / 2.0) if ahead == ahead else 0.0  # inf - inf: two are infinitely sure


def rgb(colour: str, share: float = 1.0) -> Colour:
    """Red, green and blue from 0 to 255 of a colour like "#1971c2", mixed with white so that `share` is left of it."""
    red, green, blue = (round(255 - share * (255 - int(colour[i : i + 2], 16))) for i in (1, 3, 5))
    return red, green, blue


def ink(k: int | None) -> Colour:
    """The colour for a sign of class k that is to be read on the plane: darker than any shade of it."""
    red, green, blue = rgb(UNKNOWN if k is None else COLOURS[k % len(COLOURS)])
    return red * 3 // 5, green * 3 // 5, blue * 3 // 5


def shade(outputs: Any) -> Colour:
    """The colour of a point of the plane: that of its class, the stronger the surer, pale enough to draw on."""
    k, sure = decide(outputs)
    return rgb(UNDEFINED if k is None else COLOURS[k % len(COLOURS)], 0.55 * sure)


# ---- in the terminal --------------------------------------------------------------------------------------


def print_boundary(
    model: Any,
    X: Any = None,
    y: Any = None,
    bounds: tuple[float, float, float, float] | None = None,
    width: int | None = None,
    file: TextIO | None = None,
    color: bool | None = None,
) -> None:
    """Print the plane as the model sees it, and on it the points X: x of class 0, o of class 1, and so on.

    model, X, y, bounds: as for `plot_boundary`. The outputs need no y, the points no class.
    width: in columns; unless given, as wide as the terminal lets the whole picture be, 78 at most.
    file: where to print, sys.stdout unless given.
    color: True paints the plane in 24-bit colours, two pixels a character. False prints plain characters: blank
        is class 0, · class 1. Unless given, terminals get colours, other files do not, and of the environment
        NO_COLOR and FORCE_COLOR are heeded.

    Raises ValueError for what `Plane` refuses and for a width that is not from 10 to 1000.
    """
    file = sys.stdout if file is None else file
    plane = Plane(model, X, y, bounds)
    if width is None:
        import shutil  # which takes longer to import than all of this module

        columns, lines = shutil.get_terminal_size()
        # A character is about twice as high as wide.
        width = max(10, min(WIDEST, columns, round(2 * (lines - 2) / plane.ratio)))
    if width not in range(10, 1001):
        raise ValueError(f"width should be from 10 to 1000 columns, got {width!r}")
    height = max(1, round(width * plane.ratio / 2.0))

    points: dict[tuple[int, int], int | None] = {}
    left, right, bottom, top = plane.bounds
    for k, members in plane.points.items():
        for x1, x2 in members:
            if left <= x1 <= right and bottom <= x2 <= top:
                row, column = int((top - x2) / (top - bottom) * height), int((x1 - left) / (right - left) * width)
                points[min(row, height - 1), min(column, width - 1)] = k

    colored = has_colors(file) if color is None else color
    paint = _painted if colored and _can_write(file, "▀") else _plain
    text = "".join(f"{line}\n" for line in paint(plane, points, width, height))
    file.write(text if _can_write(file, text) else text.replace("·", "."))


def _can_write(file: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(file, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _centres(start: float, end: float, n: int) -> list[float]:
    return [start + (end - start) * (i + 0.5) / n for i in range(n)]


def _cells(plane: Plane, width: int, height: int) -> list[list[Any]]:
    left, right, bottom, top = plane.bounds
    return plane.grid(_centres(left, right, width), _centres(top, bottom, height))


def _plain(plane: Plane, points: dict[tuple[int, int], int | None], width: int, height: int) -> list[str]:
    def character(row: int, column: int, outputs: Any) -> str:
        if (row, column) in points:
            return _point(points[row, column])
        k, _ = decide(outputs)
        return "?" if k is None else FILLS[k % len(FILLS)]

    return [
        "".join(character(row, column, outputs) for column, outputs in enumerate(cells)).rstrip()
        for row, cells in enumerate(_cells(plane, width, height))
    ]


def _painted(plane: Plane, points: dict[tuple[int, int], int | None], width: int, height: int) -> list[str]:
    pixels = [[shade(outputs) for outputs in cells] for cells in _cells(plane, width, 2 * height)]
    lines = []
    for row in range(height):
        line = ""
        for column, (upper, lower) in enumerate(zip(*pixels[2 * row : 2 * row + 2], strict=True)):
            if (row, column) in points:
                k = points[row, column]
                line += f"\x1b[1m{_cell(_point(k), ink(k), _mean(upper, lower))}\x1b[22m"
            else:
                line += _cell("▀", upper, lower)
        lines.append(f"{line}\x1b[0m")
    return lines


def _point(k: int | None) -> str:
    return "+" if k is None else POINTS[k % len(POINTS)]


def _mean(a: Colour, b: Colour) -> Colour:
    red, green, blue = ((x + y) // 2 for x, y in zip(a, b, strict=True))
    return red, green, blue


def _cell(character: str, foreground: Colour, background: Colour) -> str:
    codes = ";".join(map(str, (38, 2, *foreground, 48, 2, *background)))
    return f"\x1b[{codes}m{character}"
