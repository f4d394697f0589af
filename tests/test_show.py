"""The graph as text for Graphviz, and the picture made of it."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from micrograd_like import Value, draw_dot, tanh

graphviz = pytest.importorskip("graphviz")


def example():
    x, w, b = Value(2.0, name="x"), Value(-3.0, name="w"), Value(6.5, name="b")
    n = x * w + b
    n.name = "n"
    o = tanh(n)
    o.name = "o"
    loss = (o - 1) ** 2 + o
    loss.backward()
    return loss


def edges(source):
    return re.findall(r"^\t(\w+) -> (\w+)", source, re.MULTILINE)


def test_nodes_and_edges():
    source = draw_dot(example()).source
    assert len(re.findall(r"^\tn\d+ \[label", source, re.MULTILINE)) == 9  # x w x*w b n o - ** +
    assert len(re.findall(r"^\tn\d+c\d+ \[label", source, re.MULTILINE)) == 2  # the constants 1 and 2
    assert len(edges(source)) == 11
    for text in ("<B>x</B>", "<B>tanh</B>", ">o</FONT>", ">-3</FONT>", 'label=" 0.7864 "'):
        assert text in source, text


def test_x_plus_x_has_two_edges():
    x = Value(1.0)
    assert edges(draw_dot(x + x).source) == [("n0", "n1"), ("n0", "n1")]


def test_the_local_partial_is_on_the_edge_unless_it_is_1():
    x, y = Value(3.0), Value(5.0)
    assert re.findall(r'label=" (\S+) "', draw_dot(x * y).source) == ["5", "3"]
    assert re.findall(r'-> \w+ \[label="([^"]*)"', draw_dot(x - y).source) == ["", " -1 "]


def test_operands_are_numbered_where_their_order_matters():
    x, y = Value(3.0), Value(5.0)
    assert re.findall(r'headlabel="?(\w*)', draw_dot(x - y).source) == ["1", "2"]
    assert re.findall(r'headlabel="?(\w*)', draw_dot(2 / x).source) == ["1", "2"]
    assert re.findall(r'headlabel="?(\w*)', draw_dot(x * y + tanh(x)).source) == [""] * 5


def test_too_many_nodes_are_refused_with_advice():
    x = Value(1.0)
    y = x
    for _ in range(2000):
        y = y * 1.5
    with pytest.raises(ValueError, match="the graph has 2001 nodes, more than the limit of 2000 up to which"):
        draw_dot(y)
    assert draw_dot(y, limit=3000).source


def test_before_backward_there_is_no_gradient_to_show():
    source = draw_dot(Value(1.0) * 2).source
    assert source.count("none yet") == 2
    assert "none yet" not in draw_dot(example()).source


HOSTILE = [
    "<script>alert(1)</script>", 'a"b', "a\\b\\N\\n", "&amp; ]]> --> &", "two\nlines\r\t\0\x1b", "Ωmega δ₁ 🎈", "אבג",
    "<B>", "x" * 10_000, "a;b -> c {d} | <p0>", "%s {0}",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(name):
    loss = Value(2.0, name=name) * Value(3.0, name="w")
    loss.name = name
    loss.backward()
    svg = draw_dot(loss).pipe(format="svg", encoding="utf-8")
    root = ET.fromstring(svg)
    kinds = {element.tag.split("}")[1] for element in root.iter()}
    assert "script" not in kinds
    nodes = [e for e in root.iter() if e.get("class") == "node"]
    assert len(nodes) == 3


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e300, 5e-324, -0.0])
def test_any_number_can_be_drawn(number):
    loss = Value(number) * Value(2.0) + 1
    loss.backward()
    ET.fromstring(draw_dot(loss).pipe(format="svg", encoding="utf-8"))


def test_render_writes_a_file(tmp_path):
    path = draw_dot(example()).render(tmp_path / "graph", cleanup=True)
    assert path == str(tmp_path / "graph.svg")
    ET.parse(path)
    assert [file.name for file in tmp_path.iterdir()] == ["graph.svg"]


def test_a_missing_program_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *args, **options: None)
    graph = draw_dot(example())
    assert "digraph" in graph.source
    with pytest.raises(RuntimeError) as error:
        graph.pipe(format="svg")
    assert str(error.value) == (
        "no program to lay out the graph: pip install 'micrograd_like[viz]' brings graphviz-pure; or install Graphviz "
        "itself (apt-get install graphviz, brew install graphviz); meanwhile print_graph(root) shows the graph as text"
    )


def test_missing_graphviz_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.delitem(sys.modules, "micrograd_like.show._digraph", raising=False)
    with pytest.raises(ImportError) as error:
        draw_dot(Value(1.0))
    assert str(error.value) == "draw_dot needs graphviz: pip install 'micrograd_like[viz]'"


def test_other_mistakes():
    with pytest.raises(TypeError) as error:
        draw_dot(3.0)
    assert str(error.value) == "draw_dot draws the graph of a Value, not float 3.0"
    with pytest.raises(ValueError, match="rankdir is LR, TB, RL or BT, not 'XY'"):
        draw_dot(Value(1.0), rankdir="XY")
