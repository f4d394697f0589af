"""`draw`: that the picture shows what the graph holds, that it can be read, and that nothing breaks it."""

import math
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from functools import cache
from itertools import chain, combinations, pairwise
from pathlib import Path

import pytest

import micrograd_like as m
from micrograd_like import Value, losses, nn
from micrograd_like.show import draw, draw_dot, layout
from micrograd_like.walks import topological

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
DETAILS = ("values", "folded", "neurons", "layers")
INF, NAN = math.inf, math.nan


# ---- graphs ------------------------------------------------------------------------------------------------


@cache
def expression(seed):
    """Some expression with all kinds of operations, shared and named nodes, after a backward pass."""
    rng = random.Random(seed)
    pool = [Value(rng.choice([-1, 1]) * rng.uniform(0.5, 3.0), rng.choice(["", f"x{i}"])) for i in range(4)]
    for k in range(rng.randint(3, 16)):
        a, b = rng.choice(pool[-5:]), rng.choice(pool)
        c = rng.choice([-1.0, 2.0, 0.5, -3.0, rng.uniform(-2.0, 2.0)])
        node = rng.choice(_operations(a, b, c))()
        if node.op is not None and not node.name and rng.random() < 0.2:
            node.name = f"n{k}"
        pool.append(node)
    pool[-1].backward()
    return pool[-1]


@cache
def drawn(seed, detail="values"):
    """The picture of an expression, for tests that only look at it."""
    return draw(expression(seed), detail)


def _operations(a, b, c):
    always = [
        lambda: a + b, lambda: a - b, lambda: a * b, lambda: -a, lambda: a * -1, lambda: -1 * a, lambda: a * c,
        lambda: c * a, lambda: a + c, lambda: c - a, lambda: a - c, lambda: a / c, lambda: a**2, lambda: a + b * -1,
        lambda: m.tanh(a), lambda: a - b + c + b, lambda: -(a - b), lambda: -a - b, lambda: m.maximum(a, b),
    ]  # fmt: skip
    if not all(0.2 < abs(x.data) < 50.0 for x in (a, b)):
        return always
    return [
        *always,
        lambda: a / b, lambda: a**-1, lambda: a * b**-1, lambda: a**-1 * b, lambda: c * a**-1, lambda: a**-1 * -1,
        lambda: c / a, lambda: -1 / a, lambda: a**-2.0,
    ]  # fmt: skip


def dense(rng, nin, nout, f, bias=True):
    """A layer as people write it by hand: nobody gives names."""
    w = [[Value(rng.uniform(-1, 1)) for _ in range(nin)] for _ in range(nout)]
    b = [Value(rng.uniform(-1, 1)) for _ in range(nout)] if bias else [0.0] * nout

    def layer(x):
        return [f(sum((wi * xi for wi, xi in zip(row, x, strict=True)), bj)) for row, bj in zip(w, b, strict=True)]

    layer.parameters = [*chain.from_iterable(w), *(b if bias else [])]
    return layer


def linear(z):
    return z


def mlp(*sizes, seed=0, **options):
    return nn.MLP(sizes[0], sizes[1:], rng=random.Random(seed), **{"activation": "tanh", **options})


def outputs(model, x):
    found = model(x)
    return found if isinstance(found, list) else [found]


def squares(values):
    """A loss of them, after a backward pass."""
    loss = sum(((v - 0.25) ** 2 for v in values), Value(0.0))
    loss.backward()
    return loss


def network(detail="neurons", **options):
    return draw(squares(outputs(mlp(2, 3, 1), [Value(0.3, "x1"), Value(-0.8, "x2")])), detail, **options)


# ---- what an SVG shows -------------------------------------------------------------------------------------


def cards(svg):
    """(its element, x, y, width, height) of each card."""
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if "data-id" in group.attrib and "transform" in group.attrib:
            box = group.find(f"{SVG}rect")
            x, y = map(float, re.findall(r"-?[\d.]+", group.get("transform")))
            yield group, x, y, float(box.get("width")), float(box.get("height"))


def numbers(card):
    return [text.text for text in card.findall(f"{SVG}text") if text.get("class") == "number"]


def words(element):
    return "".join(element.itertext())


def shows(text, x, sign=False):
    """Is this text the number, to four digits?"""
    if x == 0.0:
        return text == "0"
    plain = text.replace("−", "-")
    digits = re.sub(r"e.*|^[-+]?[0.]*|\.", "", plain)
    signed = not sign or plain[0] in "+-"
    if x != x:
        return plain.lstrip("+-") == "nan" and signed
    return math.isclose(float(plain), x, rel_tol=5.01e-4) and (len(digits) <= 4 or math.isinf(x)) and signed


@cache
def font(name):
    fonts = pytest.importorskip("PIL.ImageFont")
    path = ROOT / "micrograd_like" / "show" / "fonts" / f"{name}.ttf"
    return fonts.truetype(str(path), 200, layout_engine=fonts.Layout.BASIC)


def extent(text, inherited=11.0):
    """(left, right, y) of a text element, in the fonts that are shipped."""
    size = float(text.get("font-size", inherited))
    mono = text.get("class") == "number"
    pieces = [(text.text or "", "DejaVuSansMono" if mono else "DejaVuSans", 0.0)]
    for span in text:
        bold = span.get("font-weight") == "700"
        pieces.append((span.text or "", "DejaVuSans-Bold" if bold else "DejaVuSans", float(span.get("dx", 0.0))))
    wide = sum(dx + font(name).getlength(piece) * size / 200.0 for piece, name, dx in pieces)
    left = float(text.get("x", 0.0)) - {"end": wide, "middle": wide / 2.0}.get(text.get("text-anchor"), 0.0)
    return left, left + wide, float(text.get("y", 0.0))


def overflowing(svg):
    """What is written over the edge of a card, or over something else in the card."""
    found = []
    for card, _, _, width, _ in cards(svg):
        texts = [(*extent(text), words(text)) for text in card.findall(f"{SVG}text")]
        found += [f"{t!r} to {b:.0f} of {width}" for a, b, _, t in texts if a < 6.4 or b > width - 1.5]
        found += [
            f"{a[3]!r} over {b[3]!r}"
            for a, b in combinations(texts, 2)
            if abs(a[2] - b[2]) < 8.0 and a[0] < b[1] and b[0] < a[1]
        ]
    return found


def labels(svg):
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if "data-label" in group.attrib:
            box = group.find(f"{SVG}rect")
            yield words(group), *(float(box.get(name)) for name in ("x", "y", "width", "height"))


def overlap(a, b, slack=0.0):
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    return ax + slack < bx + bw and bx + slack < ax + aw and ay + slack < by + bh and by + slack < ay + ah


# ---- a value a card ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_every_value_is_a_card_and_every_operand_an_edge(seed):
    root = expression(seed)
    order = topological(root)
    scene = drawn(seed).scene
    by_id = {card.id: card for card in scene.cards}
    assert [card.values for card in scene.cards if card.kind != "constant"] == [[i] for i in range(len(order))]
    assert len(by_id) == len(scene.cards)
    edges = defaultdict(list)
    for edge in scene.edges:
        edges[edge.target].append(edge)
    for i, node in enumerate(order):
        card = by_id[f"n{i}"]
        assert (card.data, card.grad) == (node.data, node.grad)
        assert (card.kind == "output") == (node is root)
        assert [by_id[edge.source].data for edge in edges[card.id]] == [
            x.data if isinstance(x, Value) else x for x in node.operands
        ]
        for edge, x, partial in zip(edges[card.id], node.operands, node.partials(), strict=True):
            if isinstance(x, Value):
                assert by_id[edge.source].values == [order.index(x)]
                assert (edge.partial, edge.flow) == (partial, partial * node.grad)
                assert edge.label == "" if partial == 1.0 else shows(edge.label, partial)
            else:
                assert by_id[edge.source].kind == "constant" and edge.label == "" and edge.flow is None


@pytest.mark.parametrize("detail", ["values", "folded"])
@pytest.mark.parametrize("seed", range(25))
def test_what_flows_back_over_the_edges_of_a_card_is_its_gradient(seed, detail):
    scene = drawn(seed, detail).scene
    back = defaultdict(float)
    for edge in scene.edges:
        back[edge.source] += edge.flow or 0.0
    for card in scene.cards:
        if card.kind not in ("output", "constant"):
            assert math.isclose(back[card.id], card.grad, rel_tol=1e-9, abs_tol=1e-9), card


@pytest.mark.parametrize("seed", range(12))
def test_the_numbers_in_the_picture_are_those_of_the_values(seed):
    drawing = drawn(seed)
    shown = {card.get("data-id"): card for card, *_ in cards(drawing.svg)}
    assert set(shown) == {card.id for card in drawing.scene.cards}
    for card in drawing.scene.cards:
        found = numbers(shown[card.id])
        assert shows(found[0], card.data)
        assert [shows(text, card.grad, sign=True) for text in found[1:]] == [True] * (card.kind != "constant")
    written = {text for text, *_ in labels(drawing.svg)}
    assert written == {edge.label for edge in drawing.scene.edges if edge.label}


def test_x_plus_x_has_two_edges_and_no_label():
    x = Value(3.0, "x")
    drawing = draw(x + x)
    assert [(edge.source, edge.target, edge.partial) for edge in drawing.scene.edges] == [("n0", "n1", 1.0)] * 2
    assert list(labels(drawing.svg)) == []


def test_operands_are_numbered_where_their_order_matters():
    x, y = Value(3.0), Value(5.0)
    for root, places in [
        (x - y, "12"),
        (2 / x, "12"),
        (x**2, "12"),
        (x * y + m.tanh(x), ""),
        (m.where(x, x, y), "123"),
    ]:
        assert "".join(edge.place for edge in draw(root, "values").scene.edges) == places


def test_a_leaf_alone():
    scene = draw(Value(3.0, "x")).scene
    assert [(card.kind, card.name, card.data) for card in scene.cards] == [("output", "x", 3.0)]
    for detail in ("values", "folded"):
        assert len(list(cards(draw(Value(3.0), detail).svg))) == 1


@pytest.mark.parametrize("detail", DETAILS)
def test_before_backward_there_is_no_gradient(detail):
    out = mlp(2, 3, 1)([Value(0.3), Value(0.8)])
    drawing = draw((out - 1) ** 2, detail)
    assert not drawing.scene.known
    assert {card.grad for card in drawing.scene.cards} == {edge.flow for edge in drawing.scene.edges} == {None}
    assert "gradient &gt; 0" not in drawing.svg


def test_a_leaf_before_backward_has_no_gradient():
    x = Value(2.0)
    assert [card.grad for card in draw(x).scene.cards] == [None]
    x.backward()
    assert [card.grad for card in draw(x).scene.cards] == [1.0]


def test_after_backward_twice_the_leaves_have_both():
    x = Value(2.0, "x")
    y = x * x
    y.backward()
    y.backward()
    assert [(card.data, card.grad) for card in draw(y).scene.cards] == [(2.0, 8.0), (4.0, 1.0)]


def test_no_gradient_is_touched():
    root = expression(3)
    before = [(node.data, node.grad, node.name) for node in topological(root)]
    for detail in ("values", "folded"):
        draw(root, detail)
    assert [(node.data, node.grad, node.name) for node in topological(root)] == before


def test_the_parameters_of_a_network_are_told_from_its_inputs():
    model = mlp(2, 3, 1)
    x = [Value(0.3, "height"), Value(0.8, "age")]
    loss = squares([model(x)])
    order = topological(loss)
    kinds = {order[card.values[0]]: card.kind for card in draw(loss, "values").scene.cards if card.values}
    assert {kinds[p] for p in model.parameters()} == {"parameter"}
    assert {kinds[v] for v in x} == {"input"}


NO_NETWORK = (
    "shows a network, and the graph has none: no units f(Σ w x + b) in layers; detail='values' and detail='folded' "
    "show any graph"
)


def test_mistakes_are_told():
    x = Value(1.0) * 2
    for arguments, error, text in [
        ((3.0,), TypeError, "draw draws the graph of a Value, not float 3.0"),
        ((None,), TypeError, "draw draws the graph of a Value, not NoneType None"),
        ((x, "all"), ValueError, "detail is one of 'auto', 'values', 'folded', 'neurons', 'layers', not 'all'"),
        ((x, "auto", "XY"), ValueError, "rankdir is LR, TB, RL or BT, not 'XY'"),
        ((x, "layers"), ValueError, f"detail='layers' {NO_NETWORK}"),
    ]:  # fmt: skip
        with pytest.raises(error) as raised:
            draw(*arguments)
        assert str(raised.value) == text


# ---- where things lie --------------------------------------------------------------------------------------

PROGRAMS = {
    "dot": shutil.which("dot"),
    "graphviz-pure": shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or shutil.which("graphviz-pure"),
}


@pytest.fixture(params=PROGRAMS)
def program(request, monkeypatch):
    """The only layout program there is."""
    path = PROGRAMS[request.param]
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.setattr("shutil.which", lambda name, *_, **__: path if name == request.param else None)
    assert layout.find_program() == Path(path)
    return request.param


def check_geometry(drawing, rankdir="LR"):
    boxes = {card.get("data-id"): box for card, *box in cards(drawing.svg)}
    width, height = map(float, ET.fromstring(drawing.svg).get("viewBox").split()[2:])
    for x, y, w, h in boxes.values():
        assert 0.0 <= x < x + w <= width and 0.0 <= y < y + h <= height
    for a, b in combinations(boxes.values(), 2):
        assert not overlap(a, b)
    assert set(boxes) == {card.id for card in drawing.scene.cards}
    dx, dy = {"LR": (1.0, 0.5), "RL": (0.0, 0.5), "TB": (0.5, 1.0), "BT": (0.5, 0.0)}[rankdir]
    for edge in drawing.scene.edges:
        for (x, y, w, h), (px, py), (fx, fy) in (
            (boxes[edge.source], edge.path[0], (dx, dy)),
            (boxes[edge.target], edge.path[-1], (1.0 - dx, 1.0 - dy)),
        ):
            assert math.hypot(x + fx * w - px, y + fy * h - py) < 1.5, (edge.id, px, py)
        assert len(edge.path) % 3 == 1 and len(edge.path) >= 4
        for x, y in (edge.point(i, t / 8.0) for i in range(edge.curves) for t in range(9)):
            assert 0.0 <= x <= width and 0.0 <= y <= height


@pytest.mark.parametrize("seed", range(12))
def test_cards_lie_apart_and_edges_end_at_them(seed, program):
    for detail in ("values", "folded"):
        check_geometry(draw(expression(seed), detail))
    rankdir = ("TB", "RL", "BT")[seed % 3]
    check_geometry(draw(expression(seed), "values", rankdir), rankdir)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 1), (3, 1, 5, 2), (2, 30, 4), (9, 40, 40, 3)])
@pytest.mark.parametrize("detail", ["neurons", "layers"])
def test_networks_need_no_layout_program(sizes, detail, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    drawing = draw(squares(outputs(mlp(*sizes), [0.5] * sizes[0])), detail)
    check_geometry(drawing)
    assert overflowing(drawing.svg) == []


def test_no_layout_program(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(RuntimeError) as error:
        draw(expression(0))
    assert str(error.value) == (
        "no program to lay out the graph: pip install 'micrograd_like[viz]' brings graphviz-pure; or install Graphviz "
        "itself (apt-get install graphviz, brew install graphviz); meanwhile print_graph(root) shows the graph as text"
    )


READ_ALL = "#!/bin/sh\ncat >/dev/null\n"
BROKEN = {
    "fails": "#!/bin/sh\necho 'Error: no such thing' >&2\nexit 1\n",
    "says nothing": READ_ALL,
    "reads nothing": "#!/bin/sh\nexit 0\n",
    "is killed": "#!/bin/sh\nkill -9 $$\n",
    "prints words": f"{READ_ALL}echo hello\n",
    "prints no UTF-8": f"{READ_ALL}printf '\\377\\376'\n",
    "prints an empty object": f"{READ_ALL}echo '{{}}'\n",
    "prints a list": f"{READ_ALL}echo '[]'\n",
    "prints another object": f'{READ_ALL}echo \'{{"bb": "0,0,9,9"}}\'\n',
    "is no program": "\x7fELF\x01",
    "lacks its interpreter": "#!/no/such/interpreter\n",
}


@pytest.fixture
def put_dot(tmp_path, monkeypatch):
    """Makes a script the `dot` that is found."""

    def put(text):
        script = tmp_path / "dot"
        script.write_text(text)
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return script

    if os.name == "nt":
        pytest.skip("scripts are programs elsewhere")
    return put


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_layout_program_is_named(text, put_dot):
    script = put_dot(text)
    with pytest.raises(RuntimeError, match=re.escape(str(script))):
        draw(expression(0))


def test_what_a_failing_layout_program_says_is_passed_on_as_text(put_dot):
    script = put_dot(BROKEN["fails"])
    with pytest.raises(RuntimeError, match="Error: no such thing") as error:
        draw(expression(0))
    assert str(error.value).startswith(f"{script} failed: ") and "b'" not in str(error.value)


def test_a_layout_program_that_takes_too_long_is_stopped(put_dot, monkeypatch):
    put_dot("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(layout, "SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(RuntimeError) as error:
        draw(Value(1.0) * 2)
    assert time.monotonic() - start < 10
    assert str(error.value) == (
        "dot did not lay out 3 cards within 1 seconds; draw a part of the graph, or the network as detail='neurons' or "
        "detail='layers'"
    )


# ---- that it can be read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", ["values", "folded"])
@pytest.mark.parametrize("seed", range(15))
def test_texts_stay_inside_their_cards(seed, detail):
    assert overflowing(drawn(seed, detail).svg) == []


LONG = [-0.01234567, -0.00012345, 12345678.0, -1.2345e-300, 5e-324, -1e300]


@pytest.mark.parametrize("number", LONG)
def test_constants_fit(number):
    assert overflowing(draw(Value(1.0, "x") * number, "values").svg) == []


@pytest.mark.parametrize("number", LONG)
def test_data_and_gradients_fit(number):
    x = Value(number, "a_long_name_of_an_input")
    y = x * 1.0
    y.backward()
    x.grad = number
    assert overflowing(draw(y, "folded").svg) == []


@pytest.mark.parametrize("number", [0.01, -1.0, *LONG])
def test_titles_with_constants_fit(number):
    x = Value(1.5, "x")
    for root in (m.leaky_relu(x, number), m.maximum(x, number), x * number, x + number, m.tanh(x) * x + x + number):
        root.name = "a_long_name"
        assert overflowing(draw(root, "folded").svg) == []


@pytest.mark.parametrize("detail", ["values", "folded"])
def test_what_a_card_computes_is_not_cut(detail):
    x, y = Value(1.5, "x"), Value(2.5, "y")
    for root in (
        *(m.maximum(x, 0.1), m.leaky_relu(x), m.atan2(2.0, x), m.where(x, 0.25, y), m.logaddexp(x, 0.125)),
        *(x * -0.01234, x**-1.5, 1e-8 + x + y, m.softplus(x), m.hypot(x, y)),
    ):
        root.name = "a_long_name"
        drawing = draw(root, detail)
        (title,) = [card.symbol for card in drawing.scene.cards if card.kind == "output"]
        assert title in [words(span) for span in ET.fromstring(drawing.svg).iter(f"{SVG}tspan")]


NAMES = [
    "weight", "learning_rate", "HIDDEN_LAYER", "bonbondonnnn", "mmmmmmmmm", "wwwwwwwwww", "WWWWWWWWWW", "QQQQQQQQQQ",
    "0123456789012345", "..............", "((((((((((((", "∂Loss/∂w_{ij}^{(1)}", "ΩΩΩΩΩΩΩΩΩ", "ЩЩЩЩЩЩЩЩ",
    "скорость обучения", "щщщщщщщщщщ", "}}}}}}}}}}}}", "&&&&&&&&&&&", "a very long name of a weight indeed",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_cut_to_fit(name):
    x = Value(3.0, name)
    y = x * 2
    y.name = name
    y.backward()
    assert overflowing(draw(y, "values").svg) == []


@pytest.mark.parametrize("name", NAMES)
def test_names_in_networks_are_cut_to_fit(name):
    model = mlp(1, 2, 1)
    x = Value(-0.0012345, name)
    hidden = model.layers[0]([x])
    hidden[0].name = name
    loss = squares(outputs(model.layers[1], hidden))
    loss.name = name
    assert overflowing(draw(loss, "neurons").svg) == []


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_the_legend_is_not_cut(rankdir):
    w, x, b = Value(0.5, "w"), Value(2.0, "x"), Value(1.0, "b")
    root = w * x * 2 + b
    root.backward()
    svg = draw(root, "values", rankdir).svg
    width = float(ET.fromstring(svg).get("viewBox").split()[2])
    (legend,) = [g for g in ET.fromstring(svg).findall(f"{SVG}g") if "font-size" in g.attrib]
    texts = legend.findall(f"{SVG}text")
    assert [words(text) for text in texts[:-1]] == [
        "input", "parameter", "operation", "output", "constant", "gradient > 0", "gradient < 0"
    ]  # fmt: skip
    for text in texts:
        assert 16 + extent(text)[1] <= width, words(text)


@pytest.mark.parametrize("seed", range(15))
def test_labels_of_edges_do_not_cover_cards(seed):
    svg = drawn(seed).svg
    boxes = [box for _, *box in cards(svg)]
    assert [text for text, *label in labels(svg) for box in boxes if overlap(label, box, 1.5)] == []


@pytest.mark.parametrize("partial", [-0.0001234567, 1.2345e-30])
def test_a_long_label_does_not_cover_a_card(partial):
    x = Value(partial, "x")
    svg = draw(m.tanh(x * x), "values").svg
    boxes = [box for _, *box in cards(svg)]
    assert [text for text, *label in labels(svg) for box in boxes if overlap(label, box, 1.5)] == []


def test_labels_of_edges_do_not_cover_one_another():
    x1, x2 = Value(0.3, "x1"), Value(-0.8, "x2")
    loss = squares(outputs(mlp(2, 4, seed=1), [x1, x2]))
    for drawing in (draw(loss, "values"), draw(loss, "folded")):
        boxes = [tuple(label) for _, *label in labels(drawing.svg)]
        assert sum(overlap(a, b, 2.0) for a, b in combinations(boxes, 2)) == 0


def places(svg):
    """(the number of an operand, left, right, top, bottom) of each."""
    for text in ET.fromstring(svg).findall(f"{SVG}text"):
        if text.get("font-size") == "9":
            left, right, y = extent(text)
            yield words(text), left, right, y - 7.0, y


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
@pytest.mark.parametrize(
    "build",
    [
        lambda x, y, z: x - y,
        lambda x, y, z: x**2,
        m.where,
        lambda x, y, z: m.leaky_relu(x) - y**3,
        lambda x, y, z: (x - y) / (z - x),
        lambda x, y, z: m.maximum(x, 0.1) + m.where(x, y, z) - 2.0**y + m.leaky_relu(y) + (x - y) / (z + 0.3),
    ],
    ids=["x - y", "x**2", "where", "leaky_relu", "quotient", "many"],
)
def test_the_numbers_of_operands_can_be_read(build, rankdir):
    drawing = draw(build(Value(0.5, "x"), Value(-1.5, "y"), Value(2.5, "z")), "values", rankdir)
    found = list(places(drawing.svg))
    assert len(found) == sum(edge.place != "" for edge in drawing.scene.edges)
    for (a, left, right, top, bottom), (b, x0, x1, y0, y1) in combinations(found, 2):
        assert not (left < x1 and x0 < right and top < y1 and y0 < bottom), f"{a} over {b}"


def test_one_is_singular():
    shown = {card.name for card in draw(squares(outputs(mlp(1, 1, 1), [0.5])), "layers").scene.cards}
    assert not [name for name in shown if re.match(r"1 (inputs|units)\b", name)]


@pytest.mark.parametrize("detail", ["neurons", "layers"])
def test_no_gradients_are_explained_where_none_are_shown(detail):
    out = mlp(2, 3, 1)([0.3, 0.8])
    assert not any("gradient" in note or "δ" in note for note in draw(out, detail).scene.notes)


def test_pointing_at_an_edge_tells_its_numbers_also_in_large_graphs():
    loss = squares(outputs(mlp(2, 4, 4, 1), [Value(0.3, "x1"), Value(-0.8, "x2")]))
    svg = ET.fromstring(draw(loss, "folded").svg)
    titles = [words(title) for title in svg.iter(f"{SVG}title")]
    assert sum(title.startswith("local ") for title in titles) == len(draw(loss, "folded").scene.edges)


# ---- sums and differences folded ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_a_folded_card_is_the_function_of_its_operands(seed):
    root = expression(seed)
    order = topological(root)
    scene = drawn(seed, "folded").scene
    by_id = {card.id: card for card in scene.cards}
    assert sorted(chain.from_iterable(card.values for card in scene.cards)) == list(range(len(order)))
    assert not any(card.kind == "constant" for card in scene.cards)
    operands = defaultdict(list)
    for edge in scene.edges:
        operands[edge.target].append((order[by_id[edge.source].values[0]], edge))
    for card in scene.cards:
        node = order[card.values[0]]
        assert (card.data, card.grad) == (node.data, node.grad)
        given = {x: x.data for x, _ in operands[card.id]}
        if node.op is None or not given:
            continue
        assert math.isclose(at(node, given), card.data, rel_tol=1e-12, abs_tol=1e-12)
        for x in given:
            h = 1e-6 * max(1.0, abs(x.data))
            slope = (at(node, {**given, x: x.data + h}) - at(node, {**given, x: x.data - h})) / (2.0 * h)
            partial = sum(edge.partial for y, edge in operands[card.id] if y is x)
            assert math.isclose(partial, slope, rel_tol=1e-5, abs_tol=1e-6), card


def at(node, given):
    """What the node is where others have the given numbers."""
    if node in given:
        return given[node]
    return node.op.value(*(at(x, given) if isinstance(x, Value) else x for x in node.operands))


@pytest.mark.parametrize("seed", range(30))
def test_named_and_shared_values_keep_their_cards(seed):
    root = expression(seed)
    order = topological(root)
    shown = {order[card.values[0]] for card in drawn(seed, "folded").scene.cards}
    uses = Counter(x for node in order for x in node.operands if isinstance(x, Value))
    assert {node for node in order if node.name or uses[node] > 1 or node.op is None} <= shown


def read(text):
    return float(text.replace("−", "-"))


def said(title, xs, partials):
    """What a card with this title says it is of its operands."""
    if title.startswith("Σ"):
        sign, constant = {"": (0.0, 0.0)}.get(title[2:], ({"+": 1.0, "−": -1.0}.get(title[2:3], 0.0), title[4:]))
        return sign * read(constant or "0") + sum(p * x for p, x in zip(partials, xs, strict=True))
    two = {"+": lambda a, b: a + b, "−": lambda a, b: a - b, "×": lambda a, b: a * b, "÷": lambda a, b: a / b}
    if len(xs) == 2:
        return {**two, "maximum": max}[title](*xs)
    (x,) = xs
    if title in ("−", "tanh"):
        return -x if title == "−" else math.tanh(x)
    if title.startswith("( )^"):
        return x ** read(title[4:])
    if title.startswith("( )"):
        return x ** int(title[3:].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")))
    first, second = title.split(" ")
    return two[first](x, read(second)) if first in two else two[second](read(first), x)


@pytest.mark.parametrize("seed", range(60))
def test_the_title_of_a_folded_card_says_what_it_computes(seed):
    scene = drawn(seed, "folded").scene
    data = {card.id: card.data for card in scene.cards}
    for card in scene.cards:
        edges = [edge for edge in scene.edges if edge.target == card.id]
        if edges:
            told = said(card.symbol, [data[edge.source] for edge in edges], [edge.partial for edge in edges])
            assert math.isclose(told, card.data, rel_tol=1e-2, abs_tol=1e-2), (card.symbol, told, card.data)


def test_titles():
    x, y, z = Value(0.5, "x"), Value(3.0, "y"), Value(-2.0, "z")
    for root, title in [
        (x + y, "+"), (x - y, "−"), (x + y * -1, "−"), (x + y + z, "Σ"), (x + y - 1, "Σ − 1"), (x + 1, "+ 1"),
        (x - 1, "− 1"), (1 - x, "1 −"), (-x + 3, "3 −"), (-x, "−"), (x * -1, "−"), (-1 * x, "−"), (x * 2, "× 2"),
        (2 * x, "2 ×"), (x * -0.0, "× 0"), (x / 3, "÷ 3"), (3 / x, "3 ÷"), (x * y**-1, "÷"), (3 * x**-1, "3 ÷"),
        (-1 * x**-1, "−1 ÷"), (x**-1 * -1, "−1 ÷"), (x**2, "( )²"), (x**-2, "( )⁻²"), (x**0.5, "( )^0.5"),
        (2**x, "2^"), (m.leaky_relu(x), "leaky_relu 0.01"), (x**INF, "( )^inf"),
    ]:  # fmt: skip
        (card,) = [card for card in draw(root, "folded").scene.cards if card.kind == "output"]
        assert card.symbol == title


@pytest.mark.parametrize("exponent", [INF, -INF, NAN])
def test_an_exponent_that_is_not_finite_can_be_folded(exponent):
    assert len(draw(Value(2.0) ** exponent, "folded").scene.cards) == 2


def test_constants_folded_into_a_title_do_not_hide_which_operand_they_are():
    x, y = Value(0.5, "x"), Value(3.0, "y")
    for a, b in [
        (m.atan2(x, 2.0), m.atan2(2.0, x)),
        (m.where(x, y, 2.0), m.where(x, 2.0, y)),
    ]:
        pictures = [
            [(card.symbol, card.name) for card in scene.cards] + [(e.source, e.place) for e in scene.edges]
            for scene in (draw(a, "folded").scene, draw(b, "folded").scene)
        ]
        assert pictures[0] != pictures[1]


# ---- networks ----------------------------------------------------------------------------------------------


def columns(drawing):
    return [len(group.cards) for group in drawing.scene.groups]


def units(drawing):
    return [card for card in drawing.scene.cards if card.heats]


SIZES = [(1, 1, 1), (2, 3, 1), (3, 4, 2, 2), (2, 64, 1), (64, 3, 2), (1, 16, 16, 16, 3)]


@pytest.mark.parametrize("as_values", [True, False], ids=["Values", "floats"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "sigmoid", "softplus", "linear", "sin"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
def test_an_mlp_is_shown_as_it_is(sizes, activation, as_values):
    model = mlp(*sizes, activation=activation)
    x = [random.Random(7).uniform(-1, 1) for _ in range(sizes[0])]
    given = [Value(v, f"in{i}") for i, v in enumerate(x)] if as_values else x
    loss = squares(outputs(model, given))
    drawing = draw(loss, "neurons")
    assert columns(drawing) == [*sizes, 1]
    assert [card.data for card in drawing.scene.cards[: sizes[0]]] == x
    order = topological(loss)
    neurons = [neuron for layer in model.layers for neuron in layer.neurons]
    back = defaultdict(float)
    for edge in drawing.scene.edges:
        back[edge.source] += edge.flow
    for card, neuron in zip(units(drawing), neurons, strict=True):
        held = [*neuron.w, neuron.b]
        assert card.heats[0].rows == [[p.data for p in held]]
        assert card.heats[1].rows == [[p.grad for p in held]]
        assert card.grad == neuron.b.grad  # δ
        edges = [edge for edge in drawing.scene.edges if edge.target == card.id]
        assert [edge.flow for edge in edges] == [w.data * neuron.b.grad for w in neuron.w]
    for card in drawing.scene.cards:
        if card.kind != "output" and card.values:
            assert math.isclose(back[card.id], order[card.values[0]].grad, rel_tol=1e-9, abs_tol=1e-12)
    assert [len(edge.label) for edge in drawing.scene.edges if edge.label] == []


@pytest.mark.parametrize("output", ["tanh", "sigmoid", "relu", "softplus"])
def test_the_activation_of_the_last_layer_belongs_to_it(output):
    model = mlp(2, 3, 2, output=output)
    drawing = draw(squares(model([0.3, 0.8])), "neurons")
    assert [card.data for card in units(drawing)][-2:] == [v.data for v in model([0.3, 0.8])]


def hand_made(style):
    rng = random.Random(2)
    w = [[Value(rng.uniform(-1, 1)) for _ in range(2)] for _ in range(3)]
    b = [Value(rng.uniform(-1, 1)) for _ in range(3)]
    v, c = [Value(rng.uniform(-1, 1)) for _ in range(3)], Value(0.1)
    x = {"Values": [Value(0.3), Value(-0.8)]}.get(style, [0.3, -0.8])
    hidden = []
    for row, bias in zip(w, b, strict=True):
        if style == "bias first":
            z = bias + row[0] * x[0] + row[1] * x[1]
        elif style == "input first":
            z = x[0] * row[0] + x[1] * row[1] + bias
        elif style == "sum from 0":
            z = sum(wi * xi for wi, xi in zip(row, x, strict=True)) + bias
        elif style == "loop":
            z = Value(0.0) if False else 0.0
            for i in (0, 1):
                z = z + row[i] * x[i]
            z = z + bias
        elif style == "right to left":
            z = row[0] * x[0] + (row[1] * x[1] + bias)
        elif style == "named z":
            z = row[0] * x[0] + row[1] * x[1] + bias
            z.name = f"z{len(hidden)}"
        else:
            z = sum((wi * xi for wi, xi in zip(row, x, strict=True)), bias)
        hidden.append(z.tanh())
    out = sum((vi * hi for vi, hi in zip(v, hidden, strict=True)), c)
    return squares([out])


@pytest.mark.parametrize(
    "style", ["micrograd", "bias first", "input first", "sum from 0", "loop", "right to left", "named z", "Values"]
)
def test_a_network_written_by_hand_is_found(style):
    drawing = draw(hand_made(style), "neurons")
    assert columns(drawing) == [2, 3, 1, 1]
    assert [len(card.heats[0].rows[0]) for card in units(drawing)] == [3, 3, 3, 4]
    assert [card.data for card in drawing.scene.cards[:2]] == [0.3, -0.8]


BATCH = [[0.1 * i - 0.3, 0.5 - 0.2 * i] for i in range(7)]


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("as_values", [True, False], ids=["Values", "floats"])
def test_a_batch_is_shown_by_its_first_sample(as_values, regularised):
    model = mlp(2, 3, 1)
    outs = [model([Value(v) for v in x] if as_values else x) for x in BATCH]
    loss = sum(((out - 1.0) ** 2 for out in outs), Value(0.0)) * (1 / len(BATCH))
    if regularised:
        loss = loss + 0.01 * sum(p * p for p in model.parameters())
    loss.backward()
    drawing = draw(loss, "neurons")
    assert columns(drawing) == [2, 3, 1, 1]
    assert [card.data for card in drawing.scene.cards[:2]] == BATCH[0]
    assert units(drawing)[-1].data == outs[0].data
    (edge,) = [edge for edge in drawing.scene.edges if edge.label]
    assert (edge.label, edge.flow) == ("× 7", outs[0].grad)
    assert "× 7" in [text for text, *_ in labels(drawing.svg)]
    assert drawing.scene.notes[-1] == "One of 7 samples; the gradients of weights are of all of them."
    first = model.layers[0].neurons[0]
    assert units(drawing)[0].heats[1].rows == [[p.grad for p in (*first.w, first.b)]]


PENALTIES = {
    "p * p": lambda parameters: 0.01 * sum(p * p for p in parameters),
    "0.01 * p * p": lambda parameters: sum(0.01 * p * p for p in parameters),
    "p**2": lambda parameters: sum(p**2 for p in parameters) / 100,
    "|p|": lambda parameters: sum(0.01 * abs(p) for p in parameters),
    "norm": lambda parameters: sum(p * p for p in parameters).sqrt(),
    "a Value times p * p": lambda parameters: Value(0.01, "λ") * sum(p * p for p in parameters),
}


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_a_penalty_on_the_weights_does_not_hide_the_network(penalty):
    model = mlp(2, 3, 1)
    loss = sum(((model(x) - 1.0) ** 2 for x in BATCH), Value(0.0)) + penalty(model.parameters())
    loss.backward()
    assert columns(draw(loss, "neurons")) == [2, 3, 1, 1]


@pytest.mark.parametrize("penalty", [False, True])
@pytest.mark.parametrize("samples", [1, 2, 7])
@pytest.mark.parametrize("make", ["dense", "dense without bias", "nn.Layer"])
def test_values_as_inputs_are_told_from_weights_also_where_nobody_gave_names(make, samples, penalty):
    rng = random.Random(0)
    if make != "nn.Layer":
        hidden, last = (dense(rng, *size, make == "dense") for size in ((2, 3, m.tanh), (3, 1, linear)))
        parameters = hidden.parameters + last.parameters
    else:
        hidden, last = nn.Layer(2, 3, activation="tanh", rng=rng), nn.Layer(3, 1, activation=None, rng=rng)
        parameters = hidden.parameters() + last.parameters()
    outs = [outputs(last, hidden([Value(v) for v in x]))[0] for x in BATCH[:samples]]
    loss = squares(outs) + 0.01 * sum(p * p for p in parameters) if penalty else squares(outs)
    loss.backward()
    drawing = draw(loss, "neurons")
    assert columns(drawing) == [2, 3, 1, 1] and [card.data for card in drawing.scene.cards[:2]] == BATCH[0]


@pytest.mark.parametrize("target", [0, 0.25, 1])
@pytest.mark.parametrize("batch", [1, 3])
def test_an_output_is_the_models_whatever_the_loss_does_with_it(target, batch):
    model = mlp(2, 3, 1)
    loss = sum((losses.binary_cross_entropy(model(x), target) for x in BATCH[:batch]), Value(0.0))
    loss.backward()
    drawing = draw(loss, "neurons")
    assert columns(drawing) == [2, 3, 1, 1]
    assert math.isclose(units(drawing)[-1].data, model(BATCH[0]).data)


def test_losses_of_several_outputs():
    model = mlp(2, 3, 3)
    for loss in (losses.cross_entropy(model(BATCH[0]), 1), losses.squared_error(model(BATCH[0]), [1.0, 0.0, 0.0])):
        loss.backward()
        drawing = draw(loss, "neurons")
        assert columns(drawing) == [2, 3, 3, 1]
        assert [card.data for card in units(drawing)[-3:]] == [v.data for v in model(BATCH[0])]


@pytest.mark.parametrize("samples", [1, 5])
def test_a_thumbnail_is_what_the_unit_gives_over_the_plane(samples):
    rng = random.Random(4)
    # The first two units give back the inputs, so that their thumbnails are the coordinates.
    rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], *([rng.uniform(-1, 1) for _ in range(3)] for _ in range(3))]
    first = [[Value(w) for w in row] for row in rows]
    activations = [linear, linear, m.tanh, m.relu, m.sigmoid]
    second = [dense(rng, 5, 1, f) for f in (lambda z: m.leaky_relu(z, 0.1), linear)]

    def model(x):
        hidden = [f(w1 * x[0] + w2 * x[1] + b) for f, (w1, w2, b) in zip(activations, first, strict=True)]
        return [*hidden, *(layer(hidden)[0] for layer in second)]

    given = BATCH[:samples]
    drawing = draw(squares(chain.from_iterable(model(x)[-2:] for x in given)), "neurons")
    assert columns(drawing) == [2, 5, 2, 1]
    squares_ = [card.heats[-1].rows for card in units(drawing)]
    (across, *_), down = squares_[0], [row[0] for row in squares_[1]]
    assert across == sorted(across) and down == sorted(down, reverse=True) and len(across) == len(down) == 12
    step = across[1] - across[0], down[0] - down[1]
    for x, y in given:
        assert across[0] - step[0] <= x <= across[-1] + step[0] and down[-1] - step[1] <= y <= down[0] + step[1]
    for i, y in enumerate(down):
        for j, x in enumerate(across):
            expected = [v.data for v in model([x, y])]
            assert [rows[i][j] for rows in squares_] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_layers_are_matrices_of_their_weights():
    model = mlp(3, 4, 2)
    x = [Value(0.3, "a"), Value(-0.8, "b"), Value(0.1, "c")]
    loss = squares(model(x))
    first, *layers, last = draw(loss, "layers").scene.cards
    assert [heat.rows for heat in first.heats] == [[[v.data] for v in x], [[v.grad] for v in x]]
    assert last.kind == "output" and last.data == loss.data
    for card, layer in zip(layers, model.layers, strict=True):
        held = [[*neuron.w, neuron.b] for neuron in layer.neurons]
        w, dw, f, delta = (heat.rows for heat in card.heats)
        assert w == [[p.data for p in row] for row in held]
        assert dw == [[p.grad for p in row] for row in held]
        assert delta == [[neuron.b.grad for neuron in layer.neurons]]
        assert len(f[0]) == len(layer.neurons)
    assert layers[-1].heats[2].rows == [[v.data for v in model(x)]]


def test_large_matrices_keep_their_strongest_entries():
    model = mlp(100, 70, 1)
    model.layers[0].neurons[33].w[77].data = -50.0
    card = draw(squares(outputs(model, [0.01] * 100)), "layers").scene.cards[1]
    rows = card.heats[0].rows
    assert min(chain.from_iterable(rows)) == -50.0 and max(len(rows), len(rows[0])) <= 48
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("biases", [(True, False), (False, True), (True, False, True), (False, False)])
@pytest.mark.parametrize("detail", ["neurons", "layers"])
def test_units_with_and_without_a_bias_in_one_layer(biases, detail):
    rng = random.Random(0)
    loss = squares(chain.from_iterable(dense(rng, 2, 1, m.tanh, bias)([0.3, -0.8]) for bias in biases))
    drawing = draw(loss, detail)
    shown = sum(len(row) for card in units(drawing) for row in card.heats[0].rows if card.kind != "input")
    assert shown >= 2 * len(biases) + sum(biases)


# Graphs of which a part looks like layers. To refuse them is right, and so is to show all of them.


def residual(rng, x):
    one, two, three = dense(rng, 2, 4, m.tanh), dense(rng, 4, 4, m.tanh), dense(rng, 4, 1, linear)
    hidden = one(x)
    out = three([a + b for a, b in zip(hidden, two(hidden), strict=True)])
    return squares(out), [*one.parameters, *two.parameters, *three.parameters]


def concatenated(rng, x):
    one, two = dense(rng, 2, 4, m.tanh), dense(rng, 6, 1, linear)
    return squares(two(one(x) + x)), one.parameters + two.parameters


def dense_skip(rng, x):
    one, two, three = dense(rng, 2, 4, m.tanh), dense(rng, 4, 4, m.tanh), dense(rng, 8, 1, linear)
    hidden = one(x)
    return squares(three(hidden + two(hidden))), one.parameters + two.parameters + three.parameters


def own_activation(f):
    def build(rng, x):
        one, two = dense(rng, 2, 4, f), dense(rng, 4, 1, linear)
        return squares(two(one(x))), one.parameters + two.parameters

    return build


def dropout(rng, x):
    one, two = dense(rng, 2, 4, m.tanh), dense(rng, 4, 1, linear)
    hidden = [h * mask for h, mask in zip(one(x), [2.0, 0.0, 2.0, 2.0], strict=True)]
    return squares(two(hidden)), one.parameters + two.parameters


def ensemble(rng, x):
    one, two = mlp(2, 3, 1, seed=1), mlp(2, 3, 1, seed=2)
    return squares([one(x) + two(x)]), one.parameters() + two.parameters()


def summed_outputs(rng, x):
    model = mlp(2, 3, 1)
    loss = model(x) + model([0.5, 0.6])
    loss.backward()
    return loss, model.parameters()


def shifted_output(rng, x):
    model = mlp(2, 3, 1)
    loss = (model(x) + -1.0) ** 2
    loss.backward()
    return loss, model.parameters()


def shared_transposed(rng, x):
    w = [[Value(rng.uniform(-1, 1)) for _ in range(2)] for _ in range(3)]
    hidden = [m.tanh(row[0] * x[0] + row[1] * x[1]) for row in w]
    return squares(sum(w[j][i] * hidden[j] for j in range(3)) for i in range(2)), list(chain.from_iterable(w))


def recurrent(rng, x):
    w, u, b = Value(0.5), Value(-0.3), Value(0.1)
    h = 0.0
    for xi in x:
        h = m.tanh(w * xi + u * h + b)
    return squares([h]), [w, u, b]


def hidden_in_loss(rng, x):
    one, two = dense(rng, 2, 3, m.tanh), dense(rng, 3, 1, linear)
    hidden = one(x)
    loss = (two(hidden)[0] - 1.0) ** 2 + 0.1 * (hidden[0] * hidden[1] + hidden[2] ** 2)
    loss.backward()
    return loss, one.parameters + two.parameters


UNUSUAL = {
    "residual": residual,
    "inputs again in layer 2": concatenated,
    "layer 1 again in layer 3": dense_skip,
    "sigmoid by hand": own_activation(lambda z: 1 / (1 + (-z).exp())),
    "swish": own_activation(lambda z: z * m.sigmoid(z)),
    "dropout": dropout,
    "ensemble": ensemble,
    "sum of outputs": summed_outputs,
    "constant added to the output": shifted_output,
    "shared weights": shared_transposed,
    "recurrent": recurrent,
    "hidden units in the loss": hidden_in_loss,
}


@pytest.mark.parametrize("build", UNUSUAL.values(), ids=UNUSUAL)
def test_a_network_is_shown_whole_or_refused(build):
    loss, parameters = build(random.Random(1), [0.3, -0.8])
    try:
        drawing = draw(loss, "neurons")
    except ValueError:
        return
    order = topological(loss)
    shown = Counter(chain.from_iterable(card.heats[0].rows[0] for card in units(drawing)))
    assert set(shown) == {p.data for p in parameters}, "not all parameters are shown"
    assert f" {len(parameters)} parameters" in drawing.scene.text
    back = defaultdict(float)
    for edge in drawing.scene.edges:
        back[edge.source] += edge.flow
    for card in units(drawing):
        if card.kind != "output":
            gradient = order[card.values[0]].grad
            assert math.isclose(back[card.id], gradient, rel_tol=1e-9, abs_tol=1e-12), "gradient from elsewhere"


def a_to_e():
    return [Value(0.3 + i / 5, name) for i, name in enumerate("abcde")]


UNRELATED = {
    "a*b + c": lambda a, b, c, d, e: a * b + c,
    "a*b + c*d": lambda a, b, c, d, e: a * b + c * d,
    "a*b*c": lambda a, b, c, d, e: a * b * c,
    "length": lambda a, b, c, d, e: (a * a + b * b).sqrt(),
    "discriminant": lambda a, b, c, d, e: (b * b + 4 * a * c).sqrt(),
    "polynomial": lambda a, b, c, d, e: ((a * e + b) * e + c) * e + d,
    "softmax": lambda a, b, c, d, e: a.exp() / (a.exp() + b.exp() + c.exp()),
    "continued fraction": lambda a, b, c, d, e: a + 1 / (b + 1 / (c + 1 / d)),
    "two kinds of inputs": lambda a, b, c, d, e: m.tanh(a * b + c) * m.tanh(d * e + a),
    "what is a weight, added": lambda a, b, c, d, e: m.tanh(2 * a + 3 * b) + a,
}


@pytest.mark.parametrize("detail", ["neurons", "layers"])
@pytest.mark.parametrize("build", UNRELATED.values(), ids=UNRELATED)
def test_what_is_no_network_is_not_called_one(build, detail):
    with pytest.raises(ValueError, match=re.escape(NO_NETWORK)):
        draw(build(*a_to_e()), detail)


def test_the_detail_goes_by_size():
    x = [Value(0.1), Value(0.2)]
    chosen = [draw(squares(outputs(mlp(*sizes), x)), "auto").detail for sizes in [(2, 3, 1), (2, 6, 1), (2, 30, 1)]]
    assert chosen == ["values", "folded", "neurons"]
    assert draw(squares(outputs(mlp(2, 41, 1), x))).detail == "layers"
    root = Value(1.0)
    for _ in range(200):
        root = m.tanh(root) + 1.0
    assert draw(root).detail == "folded"


# ---- numbers that are none, or at the end of the range -----------------------------------------------------

EXTREME = [NAN, INF, -INF, 1e300, -1e308, 5e-324, -0.0]


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("number", EXTREME)
@pytest.mark.parametrize("where", ["input", "weight", "gradients"])
def test_any_number_can_be_drawn(number, detail, where):
    model = mlp(2, 3, 1)
    if where == "weight":
        model.parameters()[0].data = number
    loss = (model([Value(number if where == "input" else 0.5, "x1"), Value(0.3, "x2")]) - 1) ** 2
    loss.backward()
    if where == "gradients":
        for node in topological(loss):
            node.grad = number or 1.0
    drawing = draw(loss, detail)
    for element in ET.fromstring(drawing.svg).iter():
        for name, text in element.attrib.items():
            if name not in ("class", "data-id", "data-label"):
                assert not re.search(r"nan|inf", text), (element.tag, name, text)


@pytest.mark.parametrize("number", EXTREME)
def test_any_number_can_be_drawn_alone(number):
    x = Value(number, "x")
    x.grad = number
    (card, *_) = next(cards(draw(x).svg))
    data, grad = numbers(card)
    assert shows(data, number) and (shows(grad, number, sign=True) or number == 0.0)


# ---- names -------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "a\"b'c", "]]>", "</svg>", "</title><script>", "-->", "&amp;&#0;&#x1b;",
    "two\nlines\r\t", "\0\x01\x7f\x9b31m\x1b[31mred\x1b[0m", "🎈👩\u200d👧🇩🇪", "אבג \u202eabc\u202c",
    "\u2066x\u2069\u200e", "\ud800 and \udfff", "e\u0301\u0327x\u0302", "Z" + "\u0301" * 10_000, "x" * 10_000,
    "\u0301" * 30, "\uffff\ufffe", "\u2028\u2029\x85", "%s {0} \\N \\n", "<B>", "\u00a0", " ",
    "a;b -> c {d} | <p0>", "﷽" * 10, "\U000e0041\U000e0001",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ELEMENTS = {"svg", "g", "rect", "path", "text", "tspan", "title", "desc", "style"}


def named(name):
    model = mlp(2, 3, 1)
    for parameter in model.parameters():
        parameter.name = name
    out = model([Value(0.3, name), Value(0.2, name)])
    out.name = name
    loss = (out - Value(1.0, name)) ** 2
    loss.name = name
    loss.backward()
    return loss


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_in_svg(name, detail):
    drawing = draw(named(name), detail)
    root = ET.fromstring(drawing.svg.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= ELEMENTS
    assert not any(name.startswith("on") or "href" in name for element in root.iter() for name in element.attrib)
    assert not CONTROL.search(drawing.svg)
    # a name of which nothing is left is no reason to leave out the card
    assert len(list(cards(drawing.svg))) == len(drawing.scene.cards)
    assert len(repr(drawing)) < 500


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_more_of_a_name_is_drawn_than_fits(name):
    """Marks that take no width of their own pile up, and leave the card at its top."""
    for detail in ("values", "neurons"):
        for card, *_ in cards(draw(named(name), detail).svg):
            assert max(len(words(text)) for text in card.findall(f"{SVG}text")) < 100


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_in_files(name, tmp_path):
    pytest.importorskip("resvg_py")
    drawing = draw(Value(2.0, name) * Value(3.0, name))
    assert drawing.save(tmp_path / "a.png", scale=0.5).read_bytes().startswith(b"\x89PNG")
    assert not CONTROL.search(drawing.save(tmp_path / "a.dot").read_text("utf-8").replace("\t", ""))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_graphviz_makes_well_formed_pictures_of_hostile_names(name):
    pytest.importorskip("graphviz")
    root = Value(2.0, name) * Value(3.0, name)
    root.name = name
    picture = ET.fromstring(draw_dot(root).pipe(format="svg"))
    assert len([e for e in picture.iter() if e.get("class") == "node"]) == 3


@pytest.mark.parametrize(
    "name", ["w", "x\u0302", "e\u0301\u0327", "❤\ufe0f", "👍🏽", "🇩🇪", "ท้", "<script>\0"], ids=ascii
)
def test_names_in_pdf(name):
    pytest.importorskip("vl_convert")
    # In a process of its own: a panic in vl_convert would break every later PDF of this one.
    program = (
        "import pathlib, tempfile\n"
        "from micrograd_like import Value\n"
        "from micrograd_like.show import draw\n"
        f"root = Value(2.0, {name!a}) * 2\n"
        f"root.name = {name!a}\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    print(draw(root).save(pathlib.Path(folder) / 'a.pdf').read_bytes()[:5])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("b'%PDF-'\n", 0), done.stderr[-500:]


# ---- sizes -------------------------------------------------------------------------------------------------


def long_chain(n):
    root = Value(0.5, "x")
    for _ in range(n):
        root = m.tanh(root)
    return root


def refusal(root, detail):
    start = time.monotonic()
    with pytest.raises(ValueError, match="read") as error:
        draw(root, detail)
    assert time.monotonic() - start < 20
    return str(error.value)


CURE = (
    "draw a part of it (one sample instead of a batch, one unit instead of a network), print_graph(root) shows what is "
    "next to the root, force=True draws it all the same"
)


def test_a_chain_of_100_000_is_refused_with_advice():
    root = long_chain(100_000)
    assert refusal(root, "values") == (
        f"detail='values' would be 100001 cards of the graph's 100001 values, and more than 2000 cannot be read; {CURE}"
    )
    assert refusal(root, "auto") == (
        f"detail='folded' would be 100001 cards of the graph's 100001 values, and more than 2000 cannot be read; {CURE}"
    )


def test_a_sum_of_50_000_is_refused_with_advice_and_of_constants_drawn():
    assert refusal(sum((Value(1.0) for _ in range(50_000)), Value(0.0)), "auto").startswith(
        "detail='folded' would be 500"
    )
    root = Value(0.0)
    for _ in range(50_000):
        root = root + 0.5
    scene = draw(root).scene
    assert [card.symbol for card in scene.cards] == ["", "+ 2.5e4"] and len(scene.edges) == 1


def test_a_batch_of_100_samples():
    model = mlp(2, 16, 16, 1)
    rng = random.Random(0)
    loss = squares(model([rng.uniform(-1, 1), rng.uniform(-1, 1)]) for _ in range(100))
    start = time.monotonic()
    drawing = draw(loss)
    assert (drawing.detail, columns(drawing)) == ("neurons", [2, 16, 16, 1, 1]) and len(drawing.svg) < 1_000_000
    assert draw(loss, "layers").detail == "layers" and time.monotonic() - start < 20
    assert "detail='neurons' or detail='layers' shows its network" in refusal(loss, "values")


def test_networks_of_wide_layers():
    rng = random.Random(0)
    loss = losses.cross_entropy(mlp(64, 50, 10)([rng.random() for _ in range(64)]), 3)
    loss.backward()
    assert draw(loss).detail == "layers" and len(draw(loss).svg) < 1_000_000
    assert columns(draw(loss, "neurons")) == [64, 50, 10, 1]
    wide = squares(mlp(2, 3000, output="tanh")([0.5, -0.5]))
    drawing = draw(wide)
    assert drawing.detail == "layers" and len(drawing.svg) < 1_000_000


def test_the_advice_is_not_what_has_just_been_refused():
    text = refusal(squares(mlp(1, 2001, output="tanh")([0.5])), "neurons")
    assert "detail='layers'" in text and "detail='neurons' or" not in text


@pytest.mark.parametrize(
    "build",
    [lambda: squares([mlp(2100, 2, 1)([0.01] * 2100)]), lambda: long_product(1200)],
    ids=["inputs", "constants"],
)
@pytest.mark.parametrize("detail", ["neurons", "values"])
def test_all_cards_are_counted(build, detail):
    try:
        drawing = draw(build(), detail)
    except ValueError:
        return
    assert len(drawing.scene.cards) <= 2000


def long_product(n):
    root = Value(1.0)
    for _ in range(n):
        root = root * 1.0001
    return root


def test_more_edges_than_can_be_read_are_refused_too():
    try:
        drawing = draw(squares(mlp(200, 200)([0.01] * 200)), "neurons")
    except ValueError:
        return
    assert len(drawing.svg) < 5_000_000


def test_force_draws_it_all_the_same():
    assert len(draw(squares(mlp(1, 2001, output="tanh")([0.5])), "neurons", force=True).scene.cards) == 2003


# ---- files -------------------------------------------------------------------------------------------------

STARTS = {".svg": b"<svg ", ".png": b"\x89PNG\r\n", ".pdf": b"%PDF-", ".html": b"<!doctype html", ".dot": b"digraph"}
MODULES = {".png": "resvg_py", ".pdf": "vl_convert", ".dot": "graphviz"}


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("suffix", STARTS)
def test_the_ending_says_how(suffix, upper, tmp_path):
    if suffix in MODULES:
        pytest.importorskip(MODULES[suffix])
    path = tmp_path / f"graph{suffix.upper() if upper else suffix}"
    assert draw(expression(1)).save(str(path)) == path
    assert path.read_bytes().lower().startswith(STARTS[suffix].lower())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["graph.jpg", "graph", "graph.svgz", "graph.", ".svg", "graph.svg "])
def test_other_endings_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="saved as") as error:
        draw(Value(1.0)).save(tmp_path / name)
    assert str(error.value) == f"a drawing is saved as .svg, .png, .pdf, .html, .dot, not as {name!r}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("a file")
    path = tmp_path / folder / "graph.svg"
    with pytest.raises((FileNotFoundError, NotADirectoryError)) as error:
        draw(Value(1.0)).save(path)
    assert error.value.filename in (str(path), str(path.parent))  # and not a file that nobody has heard of
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_place_of_the_file(tmp_path):
    path = tmp_path / "graph.svg"
    path.mkdir()
    with pytest.raises((IsADirectoryError, PermissionError)):
        draw(Value(1.0)).save(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        draw(Value(1.0)).save(tmp_path / "graph.svg")
    tmp_path.chmod(0o700)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "graph.svg"
    path.write_text("x" * 1_000_000)
    drawing = draw(expression(1))
    drawing.save(path)
    assert path.read_text("utf-8") == drawing.svg


@pytest.mark.parametrize("broken", ["os.replace", "os.fdopen"])
def test_a_file_that_cannot_be_written_leaves_the_old_one(broken, tmp_path, monkeypatch):
    path = tmp_path / "graph.svg"
    path.write_text("old")
    drawing = draw(expression(1))

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="No space left"):
        drawing.save(path)
    monkeypatch.undo()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("graph.svg", "old")]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".png", "saving as PNG needs resvg_py: pip install 'micrograd_like[viz]'"),
        (".pdf", "saving as PDF needs vl-convert-python: pip install 'micrograd_like[pdf]'"),
        (".dot", "draw_dot needs graphviz: pip install 'micrograd_like[viz]'"),
    ],
)
def test_a_missing_package_names_the_extra(suffix, text, tmp_path, monkeypatch):
    drawing = draw(Value(1.0) * 2)
    monkeypatch.setitem(sys.modules, MODULES[suffix], None)
    monkeypatch.delitem(sys.modules, "micrograd_like.show._digraph", raising=False)
    with pytest.raises(ImportError) as error:
        drawing.save(tmp_path / f"graph{suffix}")
    assert str(error.value) == text and list(tmp_path.iterdir()) == []
    drawing.save(tmp_path / "graph.svg")


@pytest.mark.parametrize("scale", [0, -1.0, 20.5, NAN, INF])
def test_bad_scales_are_refused(scale, tmp_path):
    with pytest.raises(ValueError, match="scale") as error:
        draw(Value(1.0)).save(tmp_path / "graph.png", scale=scale)
    assert str(error.value) == f"scale should be above 0 and at most 20, got {scale!r}"
    assert list(tmp_path.iterdir()) == []


def test_a_png_of_millions_of_pixels_is_refused_with_advice(tmp_path):
    drawing = draw(sum((Value(1.0) for _ in range(500)), Value(0.0)))
    with pytest.raises(ValueError, match="pixels, which takes long and opens nowhere; choose a scale below 5") as error:
        drawing.save(tmp_path / "a.png", scale=5)
    assert str(error.value).endswith(", or save the picture as .svg") and list(tmp_path.iterdir()) == []


def test_scale_is_pixels_for_each_of_its_own(tmp_path):
    pytest.importorskip("resvg_py")
    images = pytest.importorskip("PIL.Image")
    drawing = draw(Value(1.0))
    width, height = map(float, ET.fromstring(drawing.svg).get("viewBox").split()[2:])
    for scale in (1.0, 2.0, 0.5):
        with images.open(drawing.save(tmp_path / "graph.png", scale=scale)) as image:
            assert image.size == pytest.approx((width * scale, height * scale), abs=1.0)


def test_a_drawing_saved_for_graphviz_keeps_its_direction(tmp_path):
    pytest.importorskip("graphviz")
    assert "rankdir=TB" in draw(expression(1), rankdir="TB").save(tmp_path / "graph.dot").read_text("utf-8")


def test_notebooks_and_people_see_it():
    drawing = draw(expression(1), "values")
    assert drawing._repr_svg_() == drawing.svg
    edges = len(drawing.scene.edges)
    assert repr(drawing) == (
        f"<Drawing of {drawing.scene.title}, detail 'values': {len(drawing.scene.cards)} cards, {edges} edges; "
        '.save("graph.svg") writes it>'
    )
    assert "<script" not in drawing.svg and "http" not in drawing.svg.replace("http://www.w3.org/2000/svg", "")


def test_columns_of_a_network_go_from_left_to_right():
    groups = network().scene.groups
    assert [group.label for group in groups] == ["inputs", "layer 1", "layer 2", ""]
    assert all(a.x + a.width < b.x for a, b in pairwise(groups))
