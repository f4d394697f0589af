"""`print_graph`: the graph as a tree of text."""

import io
import itertools
import math
import re
import time

import pytest

import micrograd_like as m
from micrograd_like import Value
from micrograd_like.show import draw, print_graph

ESCAPE = re.compile(r"\x1b\[[\d;]*m")


def printed(root, *arguments, **options):
    file = io.StringIO()
    print_graph(root, *arguments, file=file, **options)
    return file.getvalue()


def lines(root, *arguments, **options):
    return printed(root, *arguments, **options).splitlines()


def plain(line):
    """(level, the rest) of a line."""
    branches = re.match(r"(?:│   |    )*(?:[├└]── )?", line).group()
    return len(branches) // 4 + 1, line[len(branches) :]


def example():
    x, w, b = Value(2.0, "x"), Value(-3.0, "w"), Value(6.5, "b")
    n = x * w + b
    n.name = "n"
    loss = (m.tanh(n) - 1) ** 2
    loss.backward()
    return loss


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


# ---- what is printed ---------------------------------------------------------------------------------------


def test_a_tree(capsys):
    print_graph(example())
    assert capsys.readouterr().out == (
        "pow  0.2893  ∇ +1\n"
        "├── −  −0.5379  ∇ −1.076  ∂ −1.076\n"
        "│   ├── tanh  0.4621  ∇ −1.076  ∂ 1\n"
        "│   │   └── + n  0.5  ∇ −0.846  ∂ 0.7864\n"
        "│   │       ├── ×  −6  ∇ −0.846  ∂ 1\n"
        "│   │       │   ├── x  2  ∇ +2.538  ∂ −3\n"
        "│   │       │   └── w  −3  ∇ −1.692  ∂ 2\n"
        "│   │       └── b  6.5  ∇ −0.846  ∂ 1\n"
        "│   └── 1\n"
        "└── 2\n"
    )


def test_folded():
    assert printed(example(), "folded") == (
        "( )²  0.2893  ∇ +1\n"
        "└── − 1  −0.5379  ∇ −1.076  ∂ −1.076\n"
        "    └── tanh  0.4621  ∇ −1.076  ∂ 1\n"
        "        └── + n  0.5  ∇ −0.846  ∂ 0.7864\n"
        "            ├── ×  −6  ∇ −0.846  ∂ 1\n"
        "            │   ├── x  2  ∇ +2.538  ∂ −3\n"
        "            │   └── w  −3  ∇ −1.692  ∂ 2\n"
        "            └── b  6.5  ∇ −0.846  ∂ 1\n"
    )


def test_before_backward_there_is_no_gradient():
    x = Value(2.0, "x")
    assert printed(x * 3) == "×  6\n├── x  2  ∂ 3\n└── 3\n"
    assert printed(x) == "x  2\n"


def test_a_leaf_alone():
    x = Value(2.0)
    x.backward()
    assert printed(x) == "leaf  2  ∇ +1\n"


@pytest.mark.parametrize("detail", ["values", "folded"])
def test_the_tree_has_the_cards_of_the_picture(detail):
    root = example()
    scene = draw(root, detail).scene
    shown = sorted(rest.split("  ")[0] for _, rest in map(plain, lines(root, detail)))
    assert shown == sorted(" ".join(filter(None, (card.symbol, card.name))) for card in scene.cards)


def test_what_is_used_again_is_written_out_once_and_marked():
    x, y = Value(2.0, "x"), Value(3.0, "y")
    s = x * y
    s.name = "s"
    root = m.tanh(s) + s * s
    root.backward()
    tree = printed(root)
    assert tree.count("× s  ") == 3 and tree.count("↑") == 2
    assert tree.count("y  3") == 1
    assert tree.splitlines()[2].startswith("│   └── × s  6") and "↑" not in tree.splitlines()[2]


def test_a_leaf_that_is_used_again_is_marked_too():
    x = Value(3.0)
    root = x + x
    root.backward()
    assert [("↑" in line) for line in lines(root)] == [False, False, True]


# ---- what is left out --------------------------------------------------------------------------------------


def chain(n):
    root = Value(0.5, "x")
    for _ in range(n):
        root = m.tanh(root)
    return root


@pytest.mark.parametrize("depth", [1, 2, 5, 12])
def test_no_deeper_than_asked_for(depth):
    tree = [plain(line) for line in lines(chain(50), depth=depth)]
    assert [level for level, _ in tree] == list(range(1, depth + 1))
    assert tree[-1][1].endswith("… 1 operand, deeper than shown")
    assert not any("…" in rest for _, rest in tree[:-1])


def test_the_usual_depth_is_12_and_what_is_cut_is_counted():
    assert len(lines(chain(50))) == 12
    x, y, c = Value(1.0), Value(2.0), Value(3.0)
    assert lines(m.where(c, x, y), depth=1) == ["where  1  … 3 operands, deeper than shown"]
    assert len(lines(chain(11))) == 12 and "…" not in printed(chain(11))


def test_what_was_cut_is_written_out_where_it_comes_again_less_deep():
    a, b = Value(2.0, "a"), Value(3.0, "b")
    s = a * b
    s.name = "s"
    root = m.tanh(m.tanh(s)) + s
    tree = printed(root, depth=4)
    assert "deeper than shown" in tree
    # nothing is "as above" of which nothing stands above
    assert "↑" not in tree and "a  2" in tree and "b  3" in tree


def test_no_more_than_200_lines():
    root = sum((Value(i / 7, f"v{i}") for i in range(500)), Value(0.0, "zero"))
    root.backward()
    for detail in ("auto", "values", "folded"):
        tree = lines(root, detail, depth=1000)
        assert len(tree) == 201 and tree[-1].startswith("… and more: ")
    # the sum and 199 of its operands are there
    assert lines(root)[-1] == "… and more: 302 of 502 are not shown"
    exact = sum((Value(i / 7, f"v{i}") for i in range(198)), Value(0.0, "zero"))
    assert len(lines(exact, "folded")) == 200 and "more" not in printed(exact, "folded")


def test_what_is_left_out_is_not_said_to_be_nothing():
    x = Value(1.0, "x")
    root = sum([x] * 300, Value(0.0))
    assert " 0 of " not in lines(root, "folded")[-1]


def test_the_detail_goes_by_size():
    assert printed(chain(59)) == printed(chain(59), "values")
    wide = sum((Value(float(i)) for i in range(40)), Value(0.0))
    assert printed(wide) == printed(wide, "folded") != printed(wide, "values")


@pytest.mark.parametrize("detail", ["values", "folded"])
def test_large_graphs_take_seconds(detail):
    start = time.monotonic()
    assert len(lines(chain(20_000), detail)) == 12
    assert len(lines(sum((Value(1.0) for _ in range(10_000)), Value(0.0)), detail, depth=100_000)) == 201
    assert time.monotonic() - start < 20


def test_depth_is_no_matter_of_recursion():
    tree = lines(chain(5000), "values", depth=10_000)
    assert len(tree) == 201 and max(level for level, _ in map(plain, tree[:-1])) == 200


# ---- numbers and names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "−inf"), (1e300, "1e300"), (5e-324, "4.941e−324"),
        (-1.2345e-7, "−1.235e−7"), (-0.0, "0"), (0.30000000000000004, "0.3"), (123456.0, "1.235e5"),
    ],
)  # fmt: skip
def test_any_number(number, text):
    x = Value(number, "x")
    x.grad = number
    signed = text if text == "0" or text[0] == "−" else f"+{text}"
    root = x * 1.0
    root.grad = 1.0
    assert lines(root)[1] == f"├── x  {text}  ∇ {signed}  ∂ 1"


HOSTILE = [
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\0\x01\x08\x7f", "two\nlines\r\n", "\u2028\u2029\x85\x0b\x0c",
    "\u202eabc\u202c", "\u2066x\u2069\u200f", "\ud800", "\uffff", "אבג", "🎈👩\u200d👧", "e\u0301", "x" * 10_000,
    "Z" + "\u0301" * 10_000, "├── fake  1  ∇ +1", "\ufeff", "\U000e0041",
]  # fmt: skip
UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")


@pytest.mark.parametrize("detail", ["values", "folded"])
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(name, detail):
    root = Value(2.0, name) * Value(3.0, "w")
    root.name = name
    tree = printed(root, detail)
    assert not UNSAFE.search(tree)
    tree.encode()
    assert len(tree.splitlines()) == 3 and max(map(len, tree.splitlines())) < 100
    colored = printed(root, detail, color=True)
    assert ESCAPE.sub("", colored) == tree


# ---- colours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "variables", "colored"),
    [
        (io.StringIO, {}, False),
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),  # https://no-color.org: present and not empty
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (Terminal, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals(file, variables, colored, monkeypatch):
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    out = file()
    print_graph(example(), file=out)
    assert ("\x1b[" in out.getvalue()) == colored
    for color, ever in itertools.product((True, False), (file, io.StringIO)):
        out = ever()
        print_graph(example(), file=out, color=color)
        assert ("\x1b[" in out.getvalue()) == color


def test_colours_change_nothing_else_and_end():
    for detail in ("values", "folded"):
        colored = printed(example(), detail, color=True)
        assert ESCAPE.sub("", colored) == printed(example(), detail)
        assert all(
            line.endswith("\x1b[0m") or "\x1b" not in line.rsplit("\x1b[0m", 1)[1] for line in colored.split("\n")[:-1]
        )
        starts = len(re.findall(r"\x1b\[(?!0m)", colored))
        assert starts == colored.count("\x1b[0m") > 10


def test_gradients_have_the_colours_of_their_sign():
    x = Value(1.0, "x")
    for factor, code in ((2.0, "38;5;32"), (-2.0, "38;5;166"), (0.0, "2")):
        root = x * factor
        x.grad = 0.0
        root.backward()
        assert f"\x1b[{code}m∇ " in printed(root, color=True).splitlines()[1]


# ---- the rest ----------------------------------------------------------------------------------------------


def test_mistakes_are_told():
    x = Value(1.0) * 2
    for arguments, error, text in [
        ((3.0,), TypeError, "print_graph draws the graph of a Value, not float 3.0"),
        (([x],), TypeError, "print_graph draws the graph of a Value, not list [Value(data=2.0, grad=0.0)]"),
        ((x, "neurons"), ValueError, "detail is 'auto', 'values' or 'folded', not 'neurons'"),
        ((x, "auto", 0), ValueError, "depth should be 1 or more, got 0"),
        ((x, "auto", -3), ValueError, "depth should be 1 or more, got -3"),
    ]:
        with pytest.raises(error) as raised:
            print_graph(*arguments, file=io.StringIO())
        assert str(raised.value) == text


def test_no_gradient_is_touched_and_no_program_needed(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    root = example()
    before = [x.grad for x in (root, *root.operands[:1])]
    assert printed(root) == printed(root)
    assert [x.grad for x in (root, *root.operands[:1])] == before
