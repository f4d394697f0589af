"""The plots: what is on the axes, how the picture of a running training is written, what is refused."""

import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from micrograd_like import Value, log
from micrograd_like.data import iris, moons, xor
from micrograd_like.losses import binary_cross_entropy, cross_entropy, hinge, squared_error
from micrograd_like.nn import MLP
from micrograd_like.optim import SGD
from micrograd_like.show import plots
from micrograd_like.show.plots import plot_boundary, plot_loss
from micrograd_like.train import History, fit

matplotlib = pytest.importorskip("matplotlib")
plt = pytest.importorskip("matplotlib.pyplot")
from matplotlib.collections import PathCollection  # noqa: E402  # skipped before this where there is no matplotlib
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

SQUARE = (0.0, 1.0, 0.0, 1.0)
MISSING = "plots need matplotlib: pip install 'micrograd_like[plot]'"


@pytest.fixture(autouse=True)
def agg():
    before = matplotlib.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.fixture
def ax():
    return Figure().subplots()


def history_of(losses, validation=None, stopped="epochs"):
    history = History()
    history.stopped = stopped
    for epoch, (loss, val_loss) in enumerate(zip(losses, validation or [None] * len(losses), strict=True)):
        history.records.append(
            {"epoch": epoch, "lr": 0.1, "loss": loss, "accuracy": None, "val_loss": val_loss, "val_accuracy": None}
        )
    return history


def net(*sizes):
    return MLP(sizes[0], sizes[1:], activation="tanh", rng=random.Random(0))


def numbers(model):
    return [p.data for p in model.parameters()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def drawn(ax):
    """Drawing it all, as a file would: some mistakes show only then."""
    ax.figure.canvas.draw()
    return ax


# ---- losses ------------------------------------------------------------------------------------------------


def test_the_loss_of_each_epoch(ax):
    assert drawn(plot_loss(history_of([3.0, 2.0, 1.5]), ax)) is ax
    (line,) = ax.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0, 1, 2], [3.0, 2.0, 1.5])
    assert (ax.get_xlabel(), ax.get_ylabel(), legend(ax)) == ("epoch", "loss", [])


def test_the_validation_loss_beside_it(ax):
    drawn(plot_loss(history_of([3.0, 2.0, 1.5], [3.5, 2.5, 2.0]), ax))
    training, validation = ax.get_lines()
    assert list(validation.get_ydata()) == [3.5, 2.5, 2.0]
    assert training.get_color() != validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()
    assert legend(ax) == ["training", "validation"]


@pytest.mark.parametrize(("epochs", "lines"), [(50, 1), (51, 2)])
def test_many_epochs_are_smoothed(epochs, lines, ax):
    losses = [2.0 + (-1) ** epoch for epoch in range(epochs)]
    drawn(plot_loss(history_of(losses), ax))
    assert len(ax.get_lines()) == lines
    assert list(ax.get_lines()[0].get_ydata()) == losses
    if lines == 2:
        thin, thick = ax.get_lines()
        assert thin.get_linewidth() < thick.get_linewidth()
        assert thick.get_ydata()[0] == sum(losses[:3]) / 3
        assert thick.get_ydata()[25] == sum(losses[23:28]) / 5
        assert legend(ax) == ["training, smoothed"]


def test_smoothing_very_many_epochs_takes_no_time(ax):
    losses = [1.0 + epoch % 2 for epoch in range(50_000)]
    start = time.perf_counter()
    plot_loss(history_of(losses), ax)
    assert time.perf_counter() - start < 5.0  # a mean for every epoch would take a minute
    thick = ax.get_lines()[1]
    assert len(thick.get_ydata()) == 500
    assert list(thick.get_xdata()[:2]) == [0, 100]
    assert list(thick.get_ydata()) == pytest.approx([1.5] * 500, abs=1e-3)


def test_on_a_logarithmic_axis_the_mean_is_geometric(ax):
    drawn(plot_loss(history_of([10.0**-epoch for epoch in range(60)], [2.0] * 60), ax))
    _, thick, _, validation = ax.get_lines()
    assert ax.get_yscale() == "log"
    assert thick.get_ydata()[30] == pytest.approx(1e-30)
    assert validation.get_ydata()[30] == pytest.approx(2.0)
    assert legend(ax) == ["training, smoothed", "validation, smoothed"]


@pytest.mark.parametrize(
    ("losses", "validation", "scale"),
    [
        ([10.0, 1.0], None, "linear"),
        ([10.1, 1.0], None, "log"),
        ([10.0, 0.0], None, "linear"),
        ([10.0, -1.0], None, "linear"),
        ([2.0, 1.0], [20.0, 1.0], "log"),
        ([2.0, 1.0], [float("inf"), 1.0], "linear"),
        ([20.0, 1.0], [float("nan"), 1.0], "log"),
    ],
)
def test_the_scale_of_the_losses(losses, validation, scale, ax):
    assert drawn(plot_loss(history_of(losses, validation), ax)).get_yscale() == scale


@pytest.mark.parametrize(("stopped", "marks"), [("early", ["best: epoch 2"]), ("epochs", []), ("interrupted", [])])
def test_the_best_epoch_is_marked_where_it_was_restored(stopped, marks, ax):
    drawn(plot_loss(history_of([4.0, 3.0, 2.0, 1.0, 0.5], [float("nan"), 2.0, 1.0, 1.0, 1.5], stopped), ax))
    assert legend(ax) == ["training", "validation", *marks]
    if marks:
        mark = ax.get_lines()[-1]
        assert (list(mark.get_xdata()), list(mark.get_ydata()), mark.get_marker()) == ([2], [1.0], "o")


def test_one_epoch_can_be_seen(ax):
    (line,) = drawn(plot_loss(history_of([3.0]), ax)).get_lines()
    assert line.get_marker() == "."
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_what_plot_loss_refuses(ax):
    with pytest.raises(TypeError, match=r"^plot_loss takes the History that train\.fit returns, not list$"):
        plot_loss([3.0, 2.0], ax)
    with pytest.raises(ValueError, match=r"^there is nothing to plot: the history has no epoch$"):
        plot_loss(History(), ax)


# ---- the boundary ----------------------------------------------------------------------------------------------


def by_row(image):
    return [[tuple(int(c) for c in pixel) for pixel in row] for row in image]


def paths(ax):
    """The lines where the decision changes: lists of points."""
    contours = [c for c in ax.collections if not isinstance(c, PathCollection)]
    assert all(path.vertices.size for contour in contours for path in contour.get_paths())  # else matplotlib warned
    return [path.vertices.tolist() for contour in contours for path in contour.get_paths()]


def scattered(ax):
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def test_the_plane_of_one_output(ax):
    X, y = [[0.2, 0.1], [0.3, 0.9], [0.8, 0.5]], [0, 0, 1]
    assert drawn(plot_boundary(lambda x: 9.0 * (x[0] - 0.5), X, y, ax, SQUARE, resolution=11)) is ax
    (image,) = ax.get_images()
    for row in by_row(image.get_array()):
        assert len(row) == 11
        assert all(red > blue for red, _, blue in row[:5])  # orange
        assert row[5] == (255, 255, 255)
        assert all(red < blue for red, _, blue in row[6:])
        assert row[0][2] < row[4][2]  # the surer the stronger
    (line,) = paths(ax)
    assert all(x1 == pytest.approx(0.5) for x1, _ in line)
    assert {min(x2 for _, x2 in line), max(x2 for _, x2 in line)} == {0.0, 1.0}
    negative, positive = scattered(ax)
    assert (negative.get_offsets().tolist(), positive.get_offsets().tolist()) == (X[:2], X[2:])
    assert [to_hex(c.get_facecolor()[0]) for c in (negative, positive)] == ["#d9480f", "#1971c2"]
    assert all(to_hex(c.get_edgecolor()[0]) == "#ffffff" for c in (negative, positive))
    assert negative.get_paths()[0].vertices.tolist() != positive.get_paths()[0].vertices.tolist()
    assert legend(ax) == ["class 0", "class 1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_1$", "$x_2$")
    assert (*ax.get_xlim(), *ax.get_ylim()) == SQUARE


def test_the_image_is_the_right_way_up(ax):
    drawn(plot_boundary(lambda x: x[1] - 0.25, bounds=SQUARE, ax=ax, resolution=21))
    (image,) = ax.get_images()
    rows = by_row(image.get_array())
    assert image.origin == "lower"
    assert [red > blue for red, _, blue in (row[0] for row in rows)] == [True] * 5 + [False] * 16
    assert image.get_extent() == pytest.approx([-0.025, 1.025, -0.025, 1.025])  # the outer pixels have their centres
    assert all(x2 == pytest.approx(0.25) for _, x2 in paths(ax)[0])


def test_the_plane_of_three_classes(ax):
    X, y = [[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]], [0, 1, 2]
    model = lambda x: [1.0 - 3.0 * x[0], 0.0, 3.0 * x[0] - 2.0]  # noqa: E731
    drawn(plot_boundary(model, X, y, ax, SQUARE, resolution=31))
    places = {round(x1, 6) for line in paths(ax) for x1, _ in line}
    assert places == {round(1 / 3, 6), round(2 / 3, 6)}
    assert len({to_hex(c.get_facecolor()[0]) for c in scattered(ax)}) == 3
    assert len({str(c.get_paths()[0].vertices.tolist()) for c in scattered(ax)}) == 3
    assert legend(ax) == ["class 0", "class 1", "class 2"]


def test_labels_of_minus_one_and_one(ax):
    X, y = moons(20)
    plot_boundary(net(2, 3, 1), X, [2 * label - 1 for label in y], ax, resolution=5)
    assert legend(ax) == ["class -1", "class 1"]


def test_points_without_labels(ax):
    drawn(plot_boundary(lambda x: x[0] - 0.5, [[0.2, 0.1], [0.3, 0.9]], ax=ax, resolution=5))
    (points,) = scattered(ax)
    assert len(points.get_offsets()) == 2
    assert legend(ax) == []


@pytest.mark.parametrize(
    "model",
    [
        lambda x: 1.0,
        lambda x: float("nan"),
        lambda x: float("inf"),
        lambda x: [1.0, 2.0],
        lambda x: [2.0],
        lambda x: log(-1.0 - x[0]),
    ],
)
def test_a_plane_without_a_boundary(model, ax):
    drawn(plot_boundary(model, bounds=SQUARE, ax=ax, resolution=5))
    assert paths(ax) == []


@pytest.mark.parametrize(
    "model", [lambda x: log(x[0]) - x[1], lambda x: [-99.0, log(x[0]), x[1]], lambda x: [-99.0, x[1], log(x[0])]]
)
def test_where_the_model_is_not_defined_it_is_grey(model, ax):
    drawn(plot_boundary(model, bounds=(-3.0, 3.0, -1.0, 1.0), ax=ax, resolution=30))
    (image,) = ax.get_images()
    left, right = by_row(image.get_array())[0][0], by_row(image.get_array())[0][-1]
    assert max(left) - min(left) < 10 < max(right) - min(right)
    assert all(x1 > 0.0 for line in paths(ax) for x1, _ in line) and paths(ax)


@pytest.mark.parametrize(
    ("bounds", "shape", "ratio"),
    [
        ((0, 2, 0, 1), (20, 10), 0.5),
        ((0, 1, 0, 2), (10, 20), 2.0),
        ((0, 1000, 0, 1), (20, 15), 0.75),
    ],
)
def test_it_is_true_to_scale_where_there_is_one(bounds, shape, ratio, ax):
    plot_boundary(lambda x: 1.0, bounds=bounds, ax=ax, resolution=20)
    height, width, _ = ax.get_images()[0].get_array().shape
    assert (width, height) == shape
    assert ax.get_box_aspect() == pytest.approx(ratio)


@pytest.mark.parametrize("resolution", [0, 1, 1001, 10.5, "10"])
def test_resolutions_out_of_range(resolution, ax):
    message = f"resolution should be a whole number from 2 to 1000, got {resolution!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plot_boundary(lambda x: 1.0, bounds=SQUARE, ax=ax, resolution=resolution)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((lambda x: x[0],), "where to draw is not known: give points X, or bounds=(left, right, bottom, top)"),
        ((net(3, 1), [[0.0, 1.0]]),
         "the model should take 2 inputs, the coordinates of a point: MLP takes 3 inputs, got 2"),
        ((net(3, 1), [[0.0, 1.0, 2.0]]), "X should have 2 columns, one for each direction of the plane, got 3"),
    ],
)  # fmt: skip
def test_messages(args, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plot_boundary(*args)
    assert plt.get_fignums() == []  # no figure is made for what cannot be drawn


# ---- figures and imports -------------------------------------------------------------------------------------------


def test_without_axes_there_is_a_new_figure():
    first = plot_loss(history_of([2.0, 1.0]))
    second = plot_boundary(lambda x: x[0], bounds=SQUARE, resolution=5)
    assert first.figure is not second.figure
    assert plt.gcf() is second.figure


@pytest.mark.parametrize(
    "call",
    [
        lambda: plot_loss(history_of([1.0])),
        lambda: plot_boundary(lambda x: x[0], bounds=SQUARE),
        lambda: fit(net(2, 1), [[0.0, 1.0]], [1], hinge, live="a.png"),
    ],
)
def test_missing_matplotlib_names_the_extra(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError) as error:
        call()
    assert str(error.value) == MISSING


def modules_after(program, folder):
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split()) & {"matplotlib", "matplotlib.pyplot", "numpy"}


TRAINING = """
from micrograd_like import data, losses, nn, show, train
import micrograd_like.show.plots, micrograd_like.show.plane
X, y = data.xor(8)
train.fit(nn.MLP(2, [2, 1]), X, y, losses.binary_cross_entropy, epochs=2, progress=False, live=LIVE)
"""


@pytest.mark.parametrize("live", [None, False])
def test_training_without_live_imports_nothing(live, tmp_path):
    assert modules_after(TRAINING.replace("LIVE", repr(live)), tmp_path) == set()


def test_writing_a_file_needs_no_pyplot(tmp_path):
    assert "matplotlib.pyplot" not in modules_after(TRAINING.replace("LIVE", "'a.png'"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


# ---- live: when ------------------------------------------------------------------------------------------------


def train(live, epochs=3, loss=binary_cross_entropy, **settings):
    """Four points, a small network. Returns the history and the model."""
    X, y = xor(12, 0.05, 0)
    model = net(2, 2, 1)
    return fit(model, X, y, loss, epochs=epochs, progress=False, live=live, **settings), model


@pytest.fixture
def shown(monkeypatch):
    """Of each picture drawn, the last epoch that was on it."""
    epochs = []
    draw = plots.Live.draw

    def recording(self, history):
        epochs.append(history.epoch[-1] if history.records else None)
        draw(self, history)

    monkeypatch.setattr(plots.Live, "draw", recording)
    return epochs


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to: clock.now += seconds."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(plots, "perf_counter", lambda: clock.now)
    return clock


def test_pictures_are_drawn_every_second_and_at_the_end(tmp_path, shown, clock):
    def epoch(record):
        clock.now += 0.3

    train(tmp_path / "a.png", epochs=12, callback=epoch)
    assert shown == [4, 8, 11]  # epoch e begins at 0.3 e, and these are the first to end after 1.2, 2.4 and all


def test_slow_pictures_are_drawn_less_often(tmp_path, shown, clock, monkeypatch):
    def epoch(record):
        clock.now += 1.0

    def slow(self, figure, history):
        clock.now += 0.5

    monkeypatch.setattr(plots.Live, "_fill", slow)
    train(tmp_path / "a.png", epochs=20, callback=epoch)
    assert shown == [1, 11, 19]


def interrupt_at(epoch):
    def callback(record):
        if record["epoch"] == epoch:
            signal.raise_signal(signal.SIGINT)

    return callback


@pytest.mark.parametrize(
    ("stopped", "last", "settings"),
    [
        ("epochs", 2, {}),
        ("callback", 1, {"callback": lambda record: record["epoch"] == 1}),
        ("interrupted", 1, {"callback": interrupt_at(1)}),
        ("early", 1, {"validation": 0.5, "patience": 1, "lr": 1e-300}),
    ],
)
def test_the_last_epoch_is_drawn_however_training_ends(stopped, last, settings, tmp_path, shown, clock):
    history, _ = train(tmp_path / "a.png", **settings)
    assert (history.stopped, shown) == (stopped, [last])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_last_picture_of_an_early_stop_has_the_restored_parameters(tmp_path, monkeypatch, clock):
    seen = []

    def boundary(model, *args, **settings):
        seen.append(numbers(model))
        return plot_boundary(model, *args, **settings)

    monkeypatch.setattr(plots, "plot_boundary", boundary)
    history, model = train(tmp_path / "a.svg", 50, lr=1.9, validation=0.25, patience=2, batch_size=1, seed=1)
    assert history.stopped == "early"
    assert seen == [numbers(model)]
    best = history.val_loss.index(min(history.val_loss))
    figure = Figure()
    plots.Live(tmp_path / "b.svg", model, *moons(8), classes=True)._fill(figure, history)
    assert figure.get_suptitle().endswith(f"; parameters of epoch {best}")


def test_the_last_picture_before_it_diverges(tmp_path, shown, clock):
    w = Value(1.0, name="w")
    with pytest.raises(FloatingPointError):
        fit(
            lambda x: w * x[0], [[1.0]], [0.0], squared_error,
            optimizer=SGD([w], lr=1e60), progress=False, live=tmp_path / "a.png",
        )  # fmt: skip
    assert shown == [2]
    assert (tmp_path / "a.png").exists()


def test_before_the_first_epoch_there_is_nothing_to_draw(tmp_path):
    def loss(output, target):
        loss.calls += 1
        if loss.calls > 12:  # the look before training has been taken
            raise KeyboardInterrupt
        return binary_cross_entropy(output, target)

    loss.calls = 0
    history, _ = train(tmp_path / "a.png", loss=loss)
    assert (history.stopped, history.records) == ("interrupted", [])
    assert list(tmp_path.iterdir()) == []


def test_a_second_ctrl_c_does_without_the_last_picture(tmp_path, monkeypatch):
    def interrupted(self, figure, history):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(plots.Live, "_fill", interrupted)
    history, _ = train(tmp_path / "a.png", callback=interrupt_at(1))
    assert (history.stopped, len(history.records)) == ("interrupted", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_real_ctrl_c(tmp_path):
    """Another process trains without end, draws, and is interrupted from the keyboard."""
    program = """
import random
from micrograd_like import data, losses, nn, train
X, y = data.moons(30)
model = nn.MLP(2, [4, 1], activation="tanh", rng=random.Random(0))
history = train.fit(model, X, y, losses.binary_cross_entropy, epochs=10**9, progress=False, live="a.png",
                    callback=lambda record: print("epoch", record["epoch"], flush=True))
print(history.stopped, len(history.records), flush=True)
"""
    if sys.platform == "win32":
        pytest.skip("Windows sends Ctrl-C to all processes of a console")
    picture = tmp_path / "a.png"
    until = time.monotonic() + 60.0
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            epochs = line
            if picture.exists() or time.monotonic() > until:
                break
        first = picture.read_bytes() if picture.exists() else b""
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=60.0)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors and "Warning" not in errors
    last = re.search(r"interrupted (\d+)\n$", output)  # after half a line, if that was being printed
    assert last and int(last[1]) > int(epochs.split()[1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    for png in (first, picture.read_bytes()):
        assert png.startswith(b"\x89PNG") and png.endswith(b"IEND\xaeB`\x82")


# ---- live: what ------------------------------------------------------------------------------------------------


def test_it_changes_nothing_in_the_training(tmp_path, clock):
    def epoch(record):
        clock.now += 2.0

    runs = [train(live, 6, validation=0.25, batch_size=2, callback=epoch) for live in (None, tmp_path / "a.png")]
    assert runs[0][0].records == runs[1][0].records
    assert numbers(runs[0][1]) == numbers(runs[1][1])


def titles(figure):
    return [ax.get_xlabel() for ax in figure.axes]


@pytest.fixture
def figures(monkeypatch):
    """Every figure that was filled."""
    figures = []
    fill = plots.Live._fill

    def recording(self, figure, history):
        fill(self, figure, history)
        figures.append(figure)

    monkeypatch.setattr(plots.Live, "_fill", recording)
    return figures


@pytest.mark.parametrize(
    ("X", "y", "sizes", "loss", "xlabels"),
    [
        (*moons(8), [2, 1], binary_cross_entropy, ["epoch", "$x_1$"]),
        (moons(8)[0], [2 * label - 1 for label in moons(8)[1]], [2, 1], squared_error, ["epoch", "$x_1$"]),
        (*moons(8), [2, 2], cross_entropy, ["epoch", "$x_1$"]),
        (*moons(8), [2, 1], squared_error, ["epoch"]),  # fitted to 0 and 1, there is no boundary at 0
        ([[0.5], [1.0]], [0, 1], [1, 1], binary_cross_entropy, ["epoch"]),
        (iris().X[:4], iris().y[:4], [4, 3], cross_entropy, ["epoch"]),
    ],
)
def test_what_is_on_the_picture(X, y, sizes, loss, xlabels, tmp_path, figures):
    fit(net(*sizes), X, y, loss, epochs=1, lr=0.01, progress=False, live=tmp_path / "a.png")
    assert [titles(figure) for figure in figures] == [xlabels]
    assert figures[0].get_suptitle().startswith("epoch 0, lr 0.01000, loss ")


def test_all_samples_are_on_it_and_no_figure_stays_open(tmp_path, clock, figures):
    def epoch(record):
        clock.now += 2.0

    train(tmp_path / "a.png", 25, validation=0.25, callback=epoch)  # matplotlib would warn of more than 20
    assert len(figures) == 25
    assert plt.get_fignums() == []
    assert [len(points.get_offsets()) for points in scattered(figures[-1].axes[1])] == [6, 6]


# ---- live: files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF-"), ("a.b.PNG", b"\x89PNG")]
)
def test_formats(name, start, tmp_path):
    train(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_file_is_where_the_path_pointed_when_training_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    train("a.png", callback=lambda record: os.chdir(tmp_path / "elsewhere"))
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "elsewhere"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace a file that is open")
def test_who_reads_the_picture_before_it_reads_it_to_its_end(tmp_path):
    (tmp_path / "a.png").write_bytes(b"before")
    with (tmp_path / "a.png").open("rb", buffering=0) as reader:
        assert reader.read(3) == b"bef"
        train(tmp_path / "a.png")
        assert reader.read() == b"ore"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions and asks for rights to link")
def test_permissions_and_links(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.png").symlink_to(tmp_path / "folder" / "b.png")
    train(tmp_path / "a.png")
    assert (tmp_path / "a.png").is_symlink()
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "folder" / "b.png", tmp_path / "plain")}
    assert len(modes) == 1  # what everybody may read, everybody may look at


def test_a_write_that_fails_leaves_the_picture_before_it(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"before")

    class Full(FileIO):
        def write(self, content):
            super().write(content[:100])
            assert picture.read_bytes() == b"before"
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("micrograd_like.files.os.fdopen", Full)
    model = net(2, 2, 1)
    seen = []
    with pytest.raises(OSError, match="No space left on device"):
        fit(
            model, *xor(8), binary_cross_entropy, epochs=2, progress=False, live=picture,
            callback=lambda record: seen.append(numbers(model)),
        )  # fmt: skip
    assert numbers(model) == seen[-1]
    assert picture.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [picture]


def test_while_it_is_written_the_picture_before_it_is_there(tmp_path, monkeypatch, clock):
    """At no moment is there a file that is not a whole picture."""
    picture = tmp_path / "a.png"
    savefig = Figure.savefig
    before = []

    def watched(self, path, **settings):
        savefig(self, path, **settings)
        before.append(picture.read_bytes() if picture.exists() else b"")

    def epoch(record):
        clock.now += 2.0

    monkeypatch.setattr(Figure, "savefig", watched)
    train(picture, 4, callback=epoch)
    assert len(before) == 4 and before[0] == b""
    assert all(png.endswith(b"IEND\xaeB`\x82") for png in [*before[1:], picture.read_bytes()])


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.gif", ValueError, "live takes a path that ends in .png, .svg or .pdf, got 'a.gif'"),
        ("", ValueError, "live takes a path that ends in .png, .svg or .pdf, got ''"),
        ("png", ValueError, "live takes a path that ends in .png, .svg or .pdf, got 'png'"),
        (Path("none/a.png"), FileNotFoundError, "live='none/a.png': there is no folder 'FOLDER/none'"),
        ("folder.png", IsADirectoryError, "live takes the path of a file, 'folder.png' is a folder"),
        (3, TypeError, "live is the path of a picture, or True to see it at once, not 3"),
        (0, TypeError, "live is the path of a picture, or True to see it at once, not 0"),
    ],
)
def test_what_cannot_be_written_is_said_before_training(name, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    model = net(2, 2, 1)
    before = numbers(model)
    with pytest.raises(error, match=f"^{re.escape(message.replace('FOLDER', str(tmp_path.resolve())))}$"):
        fit(model, *xor(8), binary_cross_entropy, progress=False, live=name)
    assert numbers(model) == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        train(tmp_path / "a.png")


# ---- live: notebooks and windows -------------------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch):
    """What IPython shows: a list for each display, of the pictures it had."""
    displays = []

    def display(picture, display_id):
        assert display_id is True
        displays.append([picture])
        return SimpleNamespace(update=displays[-1].append)

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    module.Image, module.display = bytes, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return displays


def test_a_notebook_has_one_display(notebook, clock):
    def epoch(record):
        clock.now += 2.0

    train(True, 4, callback=epoch)
    ((first, *others),) = notebook
    assert len(others) == 3
    assert all(png.startswith(b"\x89PNG") for png in (first, *others))
    assert plt.get_fignums() == []


NOWHERE = "live=True shows the picture in a notebook or a window, and here is neither: give a path, live='fit.png'"


def test_neither_notebook_nor_window():
    with pytest.raises(ValueError, match=f"^{re.escape(NOWHERE)}$"):
        train(True)
    assert plt.get_fignums() == []


def test_ipython_in_a_terminal_is_no_notebook(notebook):
    sys.modules["IPython"].get_ipython = SimpleNamespace
    with pytest.raises(ValueError, match=f"^{re.escape(NOWHERE)}$"):
        train(True)
    sys.modules["IPython"].get_ipython = lambda: None
    with pytest.raises(ValueError, match=f"^{re.escape(NOWHERE)}$"):
        train(True)


def test_a_backend_that_finds_no_display(monkeypatch):
    def headless(**settings):
        raise ImportError("Cannot load backend 'TkAgg' which requires the 'tk' interactive framework")

    monkeypatch.setattr(plt, "figure", headless)
    with pytest.raises(ValueError, match=f"^{re.escape(NOWHERE)}$"):
        train(True)


@pytest.fixture
def window(monkeypatch):
    """Agg in the disguise of an interactive backend. The list gets what is on the figure at each pause."""
    seen = []

    def pause(seconds):
        assert seconds == 0.001
        seen.append([titles(plt.figure(number)) for number in plt.get_fignums()])

    monkeypatch.setattr(type(plt.figure().canvas), "required_interactive_framework", "tk")
    plt.close("all")
    monkeypatch.setattr(plt, "pause", pause)
    return seen


def test_a_window_is_drawn_anew(window, clock):
    def epoch(record):
        clock.now += 2.0

    train(True, 3, callback=epoch)
    assert window == [[["epoch", "$x_1$"]]] * 3
    assert len(plt.get_fignums()) == 1  # it stays to be looked at


def test_a_window_that_the_user_has_closed_stays_closed(window, clock):
    def epoch(record):
        clock.now += 2.0
        if record["epoch"] == 1:
            plt.close("all")

    history, _ = train(True, 5, callback=epoch)
    assert len(window) == 1
    assert len(history.records) == 5
    assert plt.get_fignums() == []
