"""The plane of two inputs: its outputs, classes and colours, and how a terminal shows it."""

import io
import math
import random
import re

import pytest

from micrograd_like import Value, log
from micrograd_like.data import moons
from micrograd_like.nn import MLP, Module
from micrograd_like.show.plane import COLOURS, Plane, decide, margin, print_boundary, rgb, shade
from micrograd_like.train import predict

SQUARE = (0.0, 1.0, 0.0, 1.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def difference(x):
    return x[0] - x[1]


def thirds(x):
    """Class 0 is left, 1 in the middle, 2 right; the margins are 1 at the walls."""
    return [1.0 - 3.0 * x[0], 0.0, 3.0 * x[0] - 2.0]


def printed(*args, file=None, **settings):
    file = io.StringIO() if file is None else file
    print_boundary(*args, file=file, **settings)
    return file.getvalue()


def pixels(text):
    """Each line of a painted picture as its characters, their colours and what is behind them."""
    cell = r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(.)"
    lines = []
    for line in text.splitlines():
        assert re.fullmatch(rf"(?:(?:\x1b\[1m)?{cell}(?:\x1b\[22m)?)+\x1b\[0m", line)
        lines.append([(found[6], tuple(map(int, found[:3])), tuple(map(int, found[3:6]))) for found in
                      re.findall(cell, line)])  # fmt: skip
    return lines


# ---- the plain picture -----------------------------------------------------------------------------------


def test_two_classes():
    text = printed(difference, [[0.05, 0.9], [0.95, 0.1], [0.5, 0.2]], [0, 1, 0], bounds=SQUARE, width=10)
    assert text.splitlines() == ["x        ·", "       ···", "     ·····", "   ·······", " ····x···o"]


def test_labels_of_minus_one_and_one():
    text = printed(difference, [[0.05, 0.9], [0.95, 0.1]], [-1, 1], bounds=SQUARE, width=10)
    assert text.splitlines()[::4] == ["x        ·", " ········o"]


def test_three_classes():
    X = [[x1, 0.5] for x1 in (0.15, 0.25, 0.45, 0.55, 0.95)]
    text = printed(thirds, X, [0, 1, 1, 2, 2], bounds=SQUARE, width=10)
    assert text.splitlines() == [*["   ····:::"] * 2, " xo·o+·::+", *["   ····:::"] * 2]


def test_points_without_a_class_and_no_points():
    assert printed(difference, [[0.05, 0.9]], bounds=SQUARE, width=10).splitlines()[0] == "+        ·"
    assert printed(difference, bounds=SQUARE, width=10).splitlines()[0] == "         ·"


def test_where_the_model_is_not_defined():
    assert printed(lambda x: log(x[0]) + 9.0, bounds=(-1, 1, -1, 1), width=10) == "?????·····\n" * 5
    assert printed(lambda x: [log(x[0]), -99.0], bounds=(-1, 1, -1, 1), width=10) == "?????\n" * 5


def test_points_outside_the_bounds_are_left_out():
    X = [[-0.01, 0.5], [1.01, 0.5], [0.5, 1.01], [0.5, -0.01], [-9.0, -9.0]]
    assert "x" not in printed(difference, X, [0] * 5, bounds=SQUARE, width=10)
    text = printed(difference, [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0] * 4, bounds=SQUARE, width=10)
    assert [line[0] + line[-1] for line in text.splitlines()[::4]] == ["xx", "xx"]


# ---- the painted one ---------------------------------------------------------------------------------------


def test_two_pixels_a_character():
    lines = pixels(printed(difference, bounds=SQUARE, width=20, color=True))
    assert [len(line) for line in lines] == [20] * 10
    for row, line in enumerate(lines):
        for column, (character, *colours) in enumerate(line):
            assert character == "▀"
            for half, colour in enumerate(colours):
                x1, x2 = (column + 0.5) / 20, 1.0 - (2 * row + half + 0.5) / 20
                assert colour == shade(x1 - x2)


def test_points_are_signs_on_the_colours_of_their_place():
    lines = pixels(printed(difference, [[0.025, 0.95], [0.975, 0.05]], [1, 0], bounds=SQUARE, width=20, color=True))
    (upper_left, ink, behind), (lower_right, *_) = lines[0][0], lines[-1][-1]
    assert (upper_left, lower_right) == ("o", "x")
    assert ink[2] > ink[0]  # blue, for the class of the point
    assert behind[0] > behind[2]  # orange, for the class of the place
    assert sum(character != "▀" for line in lines for character, *_ in line) == 2


@pytest.mark.parametrize(
    ("environment", "terminal", "color", "painted"),
    [
        ({}, True, None, True),
        ({}, False, None, False),
        ({"TERM": "dumb"}, True, None, False),
        ({"NO_COLOR": "1"}, True, None, False),
        ({"NO_COLOR": ""}, True, None, True),  # no-color.org: "when present and not an empty string"
        ({"FORCE_COLOR": "1"}, False, None, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, None, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, None, False),
        ({"NO_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": "1"}, True, False, False),
    ],
)
def test_when_it_is_painted(environment, terminal, color, painted, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = printed(difference, bounds=SQUARE, width=10, file=Terminal() if terminal else None, color=color)
    assert ("\x1b" in text, "▀" in text) == (painted, painted)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "▀"), ("cp437", "▀"), ("cp1252", "·"), ("ascii", "."), ("no such", "▀")]
)
def test_an_encoding_without_the_characters(encoding, shown, monkeypatch):
    file = Terminal()
    monkeypatch.setattr(Terminal, "encoding", encoding, raising=False)
    if encoding == "no such":
        with pytest.raises(LookupError):
            "".encode(encoding)
        shown = "."
    text = printed(difference, bounds=SQUARE, width=10, file=file)
    assert set(re.sub(r"\x1b\[[\d;]*m|\s", "", text)) == {shown}


def test_it_goes_to_stdout(capsys):
    print_boundary(difference, bounds=SQUARE, width=10)
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 5 and captured.err == ""


# ---- its size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "lines", "bounds", "size"),
    [
        (80, 24, (0, 2, 0, 1), (78, 20)),
        (200, 60, (0, 2, 0, 1), (78, 20)),
        (60, 24, (0, 2, 0, 1), (60, 15)),
        (80, 24, SQUARE, (44, 22)),  # the whole picture is to be seen at once
        (80, 60, SQUARE, (78, 39)),
        (80, 60, (0, 1000, 0, 1), (78, 29)),  # inputs of different units: 4 to 3
        (3, 2, SQUARE, (10, 5)),
    ],
)
def test_it_fits_the_terminal(columns, lines, bounds, size, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    text = printed(lambda x: 1.0, bounds=bounds)
    assert (max(map(len, text.splitlines())), text.count("\n")) == size


@pytest.mark.parametrize(
    ("X", "bounds"),
    [
        ([[0.0, 0.0], [10.0, 20.0]], (-1.0, 11.0, -2.0, 22.0)),
        ([[3.0, 5.0]], (2.0, 4.0, 4.0, 6.0)),
        ([[3.0, 5.0], [3.0, 6.0]], (2.0, 4.0, 4.9, 6.1)),
    ],
)
def test_bounds_are_those_of_the_points_and_a_margin(X, bounds):
    assert Plane(difference, X, None, None).bounds == pytest.approx(bounds)


# ---- outputs, classes, colours -----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "sigmoid", "cbrt"])
@pytest.mark.parametrize("sizes", [[3, 1], [4, 3], [1, 1], [2, 2, 2]])
def test_the_outputs_are_those_of_the_model(activation, sizes):
    model = MLP(2, sizes, activation=activation, rng=random.Random(0))
    before = [(p, p.data, p.grad) for p in model.parameters()]
    X, _ = moons(20)
    for row in Plane(model, X, None, None).grid([-1.0, 0.0, 0.5], [2.0, 1.0]):
        for outputs in row:
            assert all(type(x) is float for x in (outputs if isinstance(outputs, list) else [outputs]))
    for x in X:
        outputs = model(x)
        expected = [z.data for z in outputs] if isinstance(outputs, list) else outputs.data
        assert Plane(model, X, None, None).outputs(x) == expected
    assert [(p, p.data, p.grad) for p in model.parameters()] == before


def test_a_network_is_asked_without_a_graph(monkeypatch):
    plane = Plane(MLP(2, [3, 1], activation="tanh"), [[0.0, 1.0]], None, None)
    monkeypatch.setattr(Value, "_record", None)
    monkeypatch.setattr(Value, "__add__", None)
    assert type(plane.outputs([1.0, 2.0])) is float


class Unit(Module):
    """A module that does to its parameter, and to the inputs, what the test gives it."""

    def __init__(self, function):
        self.parts = {"w": (Value(2.0), "text")}
        self.function = function

    def __call__(self, x):
        return self.function(self.parts["w"][0], *x)


@pytest.mark.parametrize(
    ("function", "at_minus_1", "at_0"),
    [
        (lambda w, a, b: (w * a).tanh(), math.tanh(-2.0), 0.0),  # a float has no tanh
        (lambda w, a, b: w / a, -2.0, math.inf),  # Python's 1.0 / 0.0 raises
        (lambda w, a, b: (w * a) ** 0.5, math.nan, 0.0),  # Python's (-2.0) ** 0.5 is complex
        (lambda w, a, b: 1 if w * a > 0 else Value(-1.0), -1.0, -1.0),
        (lambda w, a, b: w * math.log(a + 1.0), math.nan, 0.0),
        (lambda w, a, b: [w * a, math.exp(-800.0 * a)], math.nan, [0.0, 1.0]),
    ],
)
def test_what_floats_cannot_do_the_model_itself_does(function, at_minus_1, at_0):
    plane = Plane(Unit(function), [[0.5, 0.0]], None, None)
    (at_minus_1_, at_0_), = plane.grid([-1.0, 0.0], [0.0])  # fmt: skip
    assert at_minus_1_ == pytest.approx(at_minus_1, nan_ok=True)
    assert at_0_ == at_0


def test_a_model_that_treats_floats_in_another_way():
    plane = Plane(Unit(lambda w, a, b: w * a if isinstance(w, Value) else -1.0), [[0.5, 0.0]], None, None)
    assert plane.outputs([3.0, 0.0]) == 6.0


@pytest.mark.parametrize(
    ("outputs", "k", "sure"),
    [
        (3.0, 1, math.tanh(1.5)),
        (-3.0, 0, math.tanh(1.5)),
        (0.0, 0, 0.0),
        (math.inf, 1, 1.0),
        (math.nan, None, 1.0),
        ([1.0, 4.0], 1, math.tanh(1.5)),
        ([4.0, 1.0], 0, math.tanh(1.5)),
        ([1.0, 2.0, 4.0], 2, math.tanh(1.0)),
        ([1.0, math.nan], None, 1.0),
        ([math.inf, math.inf], 0, 0.0),
        ([5.0], 0, 1.0),
    ],
)
def test_the_class_and_how_sure_it_is(outputs, k, sure):
    assert decide(outputs) == (k, pytest.approx(sure))
    if k is not None:
        assert predict(outputs) == k
        assert not margin(outputs, k) < 0.0
    paper = (255, 255, 255)
    assert (shade(outputs) == paper) == (sure == 0.0)


def test_colours():
    assert rgb("#1971c2") == (25, 113, 194)
    assert rgb("#1971c2", 0.0) == (255, 255, 255)
    assert len(set(COLOURS)) == len(COLOURS) == 8


# ---- what is refused -------------------------------------------------------------------------------------------

POINTS = [[0.0, 1.0], [1.0, 0.0]]
MISTAKES = [
    ((difference,), {}, "where to draw is not known: give points X, or bounds=(left, right, bottom, top)"),
    ((difference, None, [0, 1]), {"bounds": SQUARE}, "y has labels, but there are no points X that they belong to"),
    ((difference, []), {}, "X is empty"),
    ((difference, POINTS, [0]), {}, "X has 2 rows, y has 1 targets"),
    ((difference, [[1.0, 2.0, 3.0]]), {}, "X should have 2 columns, one for each direction of the plane, got 3"),
    ((MLP(3, [1]), POINTS), {},
     "the model should take 2 inputs, the coordinates of a point: MLP takes 3 inputs, got 2"),
    ((lambda x: x[2], POINTS), {},
     "the model should take 2 inputs, the coordinates of a point: list index out of range"),
    ((difference, POINTS, [0, 2]), {}, "y should be labels of classes, 0 and 1, or -1 and 1, got 2"),
    ((difference, POINTS, [-1, 0]), {}, "y should be labels of classes, 0 and 1, or -1 and 1, got 0"),
    ((thirds, POINTS, [0, 3]), {}, "y should be labels of classes, 0 to 2, got 3"),
    ((thirds, POINTS, [0.5, 1]), {}, "y should be labels of classes, 0 to 2, got 0.5"),
    *(
        ((difference,), {"bounds": bounds},
         f"bounds should be (left, right, bottom, top), left < right and bottom < top, got {bounds!r}")
        for bounds in ((0, 1), (1, 0, 0, 1), (0, 1, 0, 0), (0, 1, 0, math.inf), (0, 1, 0, "1"), 3)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("args", "settings", "message"), MISTAKES)
def test_messages(args, settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        printed(*args, **settings)


@pytest.mark.parametrize("width", [9, 1001, 0, -5, 20.5])
def test_widths_out_of_range(width):
    with pytest.raises(ValueError, match=f"^width should be from 10 to 1000 columns, got {width}$"):
        printed(difference, POINTS, width=width)


def test_arrays_are_taken():
    np = pytest.importorskip("numpy")
    text = printed(difference, POINTS, [0, 1], width=10)
    assert printed(difference, np.array(POINTS), np.array([0, 1]), width=10) == text
    assert printed(lambda x: np.array([x[1], x[0]]), POINTS, [False, True], width=10) == text
