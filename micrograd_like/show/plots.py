"""Plots by matplotlib: the losses of a training, the decision boundary of a model, and both while it trains."""

import os
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from math import exp, inf, isfinite, log
from pathlib import Path
from time import perf_counter
from typing import Any

from ..files import replace
from ..train import History, _line
from .plane import COLOURS, Plane, margin, shade

MARKERS = "osD^vPX*"  # of the classes, beside their colours
TRAINING, VALIDATION, LINE = "#1971c2", "#d9480f", "#212529"
FORMATS = (".png", ".svg", ".pdf")

# Of `Live`: how many points of the plane it asks the model for along the longer side, and how many seconds of
# training it lets pass, at least, and for each second that the last picture took.
LIVE_RESOLUTION = 60
PAUSE, PAUSE_PER_SECOND = 1.0, 20.0


def plot_loss(history: History, ax: Any = None) -> Any:
    """Draw the training loss of each epoch, and the validation loss if there is one. Returns the axes.

    history: what `train.fit` returned. ax: matplotlib's axes to draw on; those of a new figure unless given.

    Of more than 50 epochs, a loss is a thin line and its mean over the neighbouring epochs a thick one. Losses that
    span more than a factor of ten have a logarithmic axis. Where training stopped early, the epoch whose
    parameters were restored is marked.

    Raises ImportError if matplotlib is missing, TypeError if history is none, ValueError if it has no epoch.
    """
    if not isinstance(history, History):
        raise TypeError(f"plot_loss takes the History that train.fit returns, not {type(history).__name__}")
    if not history.records:
        raise ValueError("there is nothing to plot: the history has no epoch")
    ax = _axes(ax)
    from matplotlib.ticker import MaxNLocator

    epochs = history.epoch
    lines = [("training", TRAINING, "-", history.loss)]
    if history.val_loss[0] is not None:
        lines.append(("validation", VALIDATION, "--", history.val_loss))
    numbers = [x for line in lines for x in line[-1] if isfinite(x)]
    logarithmic = min(numbers) > 0.0 and max(numbers) > 10.0 * min(numbers)
    for name, colour, style, losses in lines:
        if len(epochs) > 50:
            ax.plot(epochs, losses, color=colour, linewidth=0.8, alpha=0.45)
            smooth = _smooth(epochs, losses, logarithmic)
            ax.plot(*smooth, color=colour, linestyle=style, linewidth=2.0, label=f"{name}, smoothed")
        else:
            dot = "." if len(epochs) == 1 else ""  # a line through one point is invisible
            ax.plot(epochs, losses, color=colour, linestyle=style, marker=dot, label=name)
    if history.stopped == "early":
        best, epoch = _best(history)
        ax.plot(epoch, best, "o", color=VALIDATION, markeredgecolor="white", label=f"best: epoch {epoch}")
    if logarithmic:
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    if len(ax.get_lines()) > 1:
        ax.legend()
    return ax


def plot_boundary(
    model: Any,
    X: Any = None,
    y: Any = None,
    ax: Any = None,
    bounds: tuple[float, float, float, float] | None = None,
    resolution: int = 100,
) -> Any:
    """Colour the plane of a model's two inputs by the class it decides for. Returns the axes.

    model: called with [x1, x2], returns one output (its sign tells the class) or a list of them (the largest
        does). The colour is the stronger the surer the model is; a line is where the decision changes.
    X: points to draw, rows of x1, x2. y: their labels, as in `train.evaluate`; each class has its colour and marker.
    ax: matplotlib's axes to draw on; those of a new figure unless given.
    bounds: (left, right, bottom, top) of the plane; unless given, those of X and a margin.
    resolution: how many points the model is asked for along the longer side, from 2 to 1000.

    Where the model is not defined (see `DomainError`) the plane is grey.

    Raises ImportError if matplotlib is missing, and ValueError if X has not two columns or the model does not
    take two inputs, for y without X or of something else than labels, for what `data.samples` refuses, for wrong
    bounds or none without X, and for a resolution out of range.
    """
    if resolution not in range(2, 1001):
        raise ValueError(f"resolution should be a whole number from 2 to 1000, got {resolution!r}")
    plane = Plane(model, X, y, bounds)
    ax = _axes(ax)
    left, right, bottom, top = plane.bounds
    x1 = _steps(left, right, resolution * min(1.0, 1.0 / plane.ratio))
    x2 = _steps(bottom, top, resolution * min(1.0, plane.ratio))
    outputs = plane.grid(x1, x2)

    # The points of the grid are the centres of the pixels, so the outer ones are half over the edge.
    beside, above = (right - left) / (len(x1) - 1) / 2.0, (top - bottom) / (len(x2) - 1) / 2.0
    ax.imshow(
        [[shade(point) for point in row] for row in outputs],
        extent=(left - beside, right + beside, bottom - above, top + above),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        zorder=0,
    )
    # Of a single output one line says all; and where there is a list of them, some points may have nan instead.
    classes = max(len(point) if isinstance(point, list) else 1 for row in outputs for point in row)
    for leader in range(classes):
        ahead = [[margin(point, leader) for point in row] for row in outputs]
        numbers = [x for row in ahead for x in row if isfinite(x)]
        if numbers and min(numbers) < 0.0 < max(numbers):  # else matplotlib before 3.11 warns
            ax.contour(x1, x2, ahead, levels=[0.0], colors=[LINE], linewidths=1.2, zorder=1)
    for k, members in plane.points.items():
        ax.scatter(
            *zip(*members, strict=True),
            s=34,
            color=LINE if k is None else COLOURS[k % len(COLOURS)],
            marker="o" if k is None else MARKERS[k % len(MARKERS)],
            edgecolors="white",
            linewidths=0.7,
            label=None if k is None else f"class {plane.names[k]}",
            zorder=2,
        )
    if y is not None:
        ax.legend()
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="$x_1$", ylabel="$x_2$")
    ax.set_box_aspect(plane.ratio)
    return ax


def _axes(ax: Any) -> Any:
    _need_matplotlib()
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots()
    return ax


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'micrograd_like[plot]'") from error


def _best(history: History) -> tuple[float, int]:
    """The smallest validation loss and its epoch, the first of equal ones."""
    pairs = zip(history.val_loss, history.epoch, strict=True)
    return min(pairs, key=lambda pair: pair[0] if pair[0] == pair[0] else inf)


def _smooth(epochs: list[int], losses: list[float], logarithmic: bool) -> tuple[list[int], list[float]]:
    """The mean of each loss and a twentieth of all on either side; the geometric mean for a logarithmic axis.

    Returns epochs and means: all of them, or some hundreds, which is as many as can be seen.
    """
    reach, step = len(losses) // 20, max(1, len(losses) // 500)
    numbers = [log(x) for x in losses] if logarithmic else losses
    near = [numbers[max(i - reach, 0) : i + reach + 1] for i in range(0, len(numbers), step)]
    smooth = [sum(part) / len(part) for part in near]
    return epochs[::step], [exp(x) for x in smooth] if logarithmic else smooth


def _steps(start: float, end: float, n: float) -> list[float]:
    last = max(round(n), 2) - 1
    return [start + (end - start) * i / last for i in range(last + 1)]


# ---- while training ---------------------------------------------------------------------------------------


class Live:
    """The picture that `train.fit` keeps up to date: the losses, and beside them the boundary if there is one.

    target: a path to write it to, or True for a notebook or a window.
    model, X, y: of the training. There is a boundary if X has two columns and classes is true: y are labels.

    Called with the history, it draws if the last time is long enough ago that pictures take a twentieth of the
    time at most. `draw` draws in any case.

    Raises, before anything is drawn, ImportError if matplotlib is missing; TypeError if target is neither; ValueError
    if it is a path of another format, or True and there is neither notebook nor window; OSError if no file can be
    written in its folder. When drawing, raises OSError if the file cannot be written; the one before stays.
    """

    def __init__(self, target: Any, model: Any, X: list[list[float]], y: list[Any], classes: bool):
        _need_matplotlib()
        if target is True:
            self._show = _notebook() or _window()
        elif isinstance(target, (str, os.PathLike)):
            self._show = _file(os.fspath(target))
        else:
            raise TypeError(f"live is the path of a picture, or True to see it at once, not {target!r:.60}")
        self._model, self._X, self._y = model, X, y
        self._plane = classes and len(X[0]) == 2
        self._due = perf_counter() + PAUSE

    def __call__(self, history: History) -> None:
        if perf_counter() >= self._due:
            self.draw(history)

    def draw(self, history: History) -> None:
        """Draw what has been learned until now; nothing before the end of the first epoch."""
        if history.records:
            start = perf_counter()
            self._show(lambda figure: self._fill(figure, history))
            end = perf_counter()
            self._due = end + max(PAUSE, PAUSE_PER_SECOND * (end - start))

    def _fill(self, figure: Any, history: History) -> None:
        left, *right = figure.subplots(1, 2 if self._plane else 1, squeeze=False)[0]
        plot_loss(history, left)
        for ax in right:
            plot_boundary(self._model, self._X, self._y, ax, resolution=LIVE_RESOLUTION)
        restored = f"; parameters of epoch {_best(history)[1]}" if history.stopped == "early" else ""
        figure.suptitle(_line(history.records[-1]) + restored, fontsize="medium")


Show = Callable[[Callable[[Any], None]], None]  # shows the figure that the function given to it has filled


def _figure() -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(10.0, 4.2), layout="constrained")


def _file(name: str) -> Show:
    """Write to the file `name`; whoever looks at it never sees half a picture."""
    path = Path(name).resolve()  # wherever the current folder will be then
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"live takes a path that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"live={name!r}: there is no folder {str(path.parent)!r}")
    if path.is_dir():
        raise IsADirectoryError(f"live takes the path of a file, {name!r} is a folder")
    with tempfile.TemporaryFile(dir=path.parent):
        pass  # better to fail now than after an hour of training

    def show(fill: Callable[[Any], None]) -> None:
        figure, picture = _figure(), BytesIO()
        fill(figure)
        figure.savefig(picture, format=path.suffix[1:].lower())
        replace(path, picture.getvalue())

    return show


def _notebook() -> Show | None:
    """Update one output of the notebook's cell; None if this is no notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):  # IPython in a terminal has a shell but no pictures
        return None
    # By name, so that type checkers need not have it.
    ipython = import_module("IPython.display")
    handle: Any = None

    def show(fill: Callable[[Any], None]) -> None:
        nonlocal handle
        figure, png = _figure(), BytesIO()
        fill(figure)
        figure.savefig(png, format="png")
        picture = ipython.Image(png.getvalue())
        if handle is None:
            handle = ipython.display(picture, display_id=True)
        else:
            handle.update(picture)

    return show


def _window() -> Show:
    """Draw in a window of pyplot, until the user closes it."""
    import matplotlib.pyplot as plt

    nowhere = "live=True shows the picture in a notebook or a window, and here is neither: give a path, live='fit.png'"
    try:
        figure = plt.figure(figsize=(10.0, 4.2), layout="constrained")
    except ImportError as error:  # the chosen backend needs a display, and there is none
        raise ValueError(nowhere) from error
    if figure.canvas.required_interactive_framework is None:
        plt.close(figure)
        raise ValueError(nowhere)

    def show(fill: Callable[[Any], None]) -> None:
        if plt.fignum_exists(figure.number):
            figure.clear()
            fill(figure)
            plt.pause(0.001)

    return show
