"""What is said of wrong formulas: published mistakes, every kind of slip once, recurrences, and what cannot be told.

How often the right thing is said, over hundreds of formulas, is in test_corpus.py.
"""

import math
import random

import pytest

from micrograd_like import Value, exp, gradcheck, log, losses, nn, relu, sigmoid, tanh, where
from micrograd_like.byhand import GradcheckError, compare, diagnose
from micrograd_like.byhand.slips import (
    ARGUMENT,
    CONSTANT,
    DROPPED,
    EXTRA,
    INDEX,
    OUTPUT,
    PATH,
    SIGN,
    VARIABLE,
)
from micrograd_like.lecture import chain
from micrograd_like.ops import TABLE


def named(node, name):
    node.name = name
    return node


def unit(activation, w, x, i):
    """z_i = w x, f_i = activation(z_i), with their names."""
    return named(activation(named(w * x, f"z{i}")), f"f{i}")


def two_units(activation, loss):
    w1, w2, x, y = (Value(v, name) for v, name in ((0.7, "w1"), (-1.1, "w2"), (0.9, "x"), (0.3, "y")))
    return named(loss(unit(activation, w2, unit(activation, w1, x, 1), 2), y), "Loss")


def squared(f, y):
    return (y - f) ** 2


def cross_entropy(f, y):
    return -(y * log(f) + (1 - y) * log(1 - f))


def difference():
    a, b = Value(1.4, "a"), Value(0.6, "b")
    return named((a - b) ** 2, "Loss")


def quotient():
    a, b = Value(1.4, "a"), Value(0.6, "b")
    return named(a / b, "q")


def exponential():
    x = Value(0.4, "x")
    return named(named(exp(x), "e") * 3, "Loss")


def mean():
    w = Value(0.7, "w")
    total = sum(named(w * x, f"f{i}") * 0 + (w * x - y) ** 2 for i, (x, y) in enumerate([(1.5, 0.2), (0.4, 0.9)], 1))
    return named(total / 2, "Loss")


# The graph, by what, the formula, and what is wrong: kinds, () for nothing. demand.md's gallery of published mistakes.
GALLERY = {
    "PyTorch forum 187917: 1 - a² at the pre-activation": (
        two_units(tanh, squared), "w1", "x (1 - z1²) w2 (1 - f2²) 2 (f2 - y)", (ARGUMENT,),
    ),
    "Sudo-Productivity #3: sigmoid' of the output as if of the input": (
        two_units(sigmoid, squared), "w2", "f1 σ(f2) (1 - σ(f2)) 2 (f2 - y)", (ARGUMENT,),
    ),
    "SimpleMultilayerPerceptron #2: x (1 - x) of the input as if of the output": (
        two_units(sigmoid, squared), "w2", "f1 z2 (1 - z2) 2 (f2 - y)", (ARGUMENT,),
    ),
    "neural-networks-and-deep-learning #45: no sigmoid' with the squared error": (
        two_units(sigmoid, squared), "w2", "f1 2 (f2 - y)", (DROPPED,),
    ),
    "the same with cross-entropy, where it cancels": (two_units(sigmoid, cross_entropy), "w2", "f1 (f2 - y)", ()),
    "and cross-entropy with a sigmoid' left in": (
        two_units(sigmoid, cross_entropy), "w2", "f1 f2 (1 - f2) (f2 - y)", (EXTRA,),
    ),
    "fast.ai 107030: the mask of ReLU left out": (
        two_units(relu, squared), "w1", "x step(z1) w2 2 (f2 - y)", (DROPPED,),
    ),
    "the mask that makes no difference, for z2 is 0 where z1 is not positive": (
        two_units(relu, squared), "w1", "x w2 step(z2) 2 (f2 - y)", (),
    ),
    "Is my back propagation math correct?: weights further on left out": (
        two_units(tanh, squared), "w1", "x (1 - f1²) (1 - f2²) 2 (f2 - y)", (DROPPED,),
    ),
    "stats.SE 188678: the output differentiated, not the loss": (
        two_units(tanh, squared), "w1", "x (1 - f1²) w2 (1 - f2²)", (OUTPUT,),
    ),
    "AI-For-Beginners #730: a factor too many": (
        two_units(tanh, squared), "w2", "f1 (1 - f2²) (1 - f2²) 2 (f2 - y)", (EXTRA,),
    ),
    "micrograd_c #1: the minus of a difference's second operand": (difference(), "b", "2 (a - b)", (SIGN,)),
    "nn-zero-to-hero #52: exp's derivative taken for its input": (exponential(), "x", "3 x", (ARGUMENT,)),
    "neuromancer #289: the operands of a quotient swapped": (quotient(), "a", "-a / b²", (VARIABLE,)),
    "summed where the loss is a mean": (
        mean(), "w", "1.5·2 (1.5 w - 0.2) + 0.4·2 (0.4 w - 0.9)", (CONSTANT,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GALLERY)
def test_published_mistakes(name):
    loss, by, formula, kinds = GALLERY[name]
    diagnosis = diagnose(loss, {by: formula})
    (finding,) = diagnosis.findings
    assert finding.name == by
    assert tuple(slip.kind for slip in finding.slips) == kinds, finding.sentence
    assert finding.verdict == ("wrong" if kinds else "right")
    assert bool(diagnosis) == (not kinds)


def test_the_numbers_of_a_forum_post():
    """187917 had numbers: the factor 1 - a² at the pre-activation, seen at one point only."""
    loss = two_units(tanh, squared)
    at = {node.name: node.data for node in (loss, *_all(loss))}
    wrong = at["x"] * (1 - at["z1"] ** 2) * at["w2"] * (1 - at["f2"] ** 2) * 2 * (at["f2"] - at["y"])
    (finding,) = diagnose(loss, {"w1": wrong}).findings
    assert finding.sentence == (
        "at this one point it would fit: wrong argument in ∂f1/∂z1 = 1 - f1²: z1 stands where f1 belongs"
    )
    right = compare(loss, {"w1": "x (1 - f1²) w2 (1 - f2²) 2 (f2 - y)"}).rows[0].yours
    assert diagnose(loss, {"w1": right})


def _all(loss):
    from micrograd_like import topological

    return topological(loss)


@pytest.fixture
def loss():
    return chain([0.8, -1.2, 0.7], 1.5, 0.25)[1]


# A formula for ∂Loss/∂w2 of three units, and the whole sentence.
SENTENCES = {
    "f1 (1 - f2²) w3 (1 - f3²) 2 (f3 - y)": "right",
    "-2 (y - f3) (1 - f3) (1 + f3) f1 w3 / cosh(z2)²": "right",
    "f1 (1 - f2²) (1 - f3²) 2 (f3 - y)": "dropped factor w3: it is ∂z3/∂f2",
    "f1 w3 (1 - f3²) 2 (f3 - y)": "dropped factor 1 - f2²: it is ∂f2/∂z2",
    "f1 (1 - f2²) w3 (1 - f3²) 2": "dropped factor f3 - y: it belongs in ∂Loss/∂f3 = 2 (f3 - y)",
    "f1 (1 - f2²) w3 (1 - f3²) 2 (f3 - y) w2": "extra factor w2: it does not belong there",
    "f1 (1 - f2²) w3 (1 - z3²) 2 (f3 - y)": "wrong argument in ∂f3/∂z3 = 1 - f3²: z3 stands where f3 belongs",
    "f1 (1 - f2²) w3 (1 - tanh(f3)²) 2 (f3 - y)": "wrong argument in ∂f3/∂z3 = 1 - f3²: f3 stands where z3 belongs",
    "f1 (1 - f2²) w2 (1 - f3²) 2 (f3 - y)": "wrong index in ∂z3/∂f2 = w3: w2 stands where w3 belongs",
    "x (1 - f2²) w3 (1 - f3²) 2 (f3 - y)": "wrong index in ∂z2/∂w2 = f1: x stands where f1 belongs",
    "f1 (1 - f2²) w3 (1 - f3²) 2 (y - f3)": "sign: a minus is missing or too many",
    "f1 (1 + f2²) w3 (1 - f3²) 2 (f3 - y)": "sign: a minus is missing or too many in ∂f2/∂z2 = 1 - f2²",
    "f1 (1 - f2²) w3 (1 - f3²) (f3 - y)": "constant: the 2 is missing in ∂Loss/∂f3 = 2 (f3 - y)",
    "f1 (1 - f2²) w3 (1 - f3²) 3 (f3 - y)": "constant: 3 stands where 2 belongs in ∂Loss/∂f3 = 2 (f3 - y)",
    "f1 (1 - f2²) w3 (1 - f3²)": "derivative of the output f3, not the loss: ∂Loss/∂f3 = 2 (f3 - y) is missing",
    "f1 (1 - f2) w3 (1 - f3²) 2 (f3 - y)": "wrong power in ∂f2/∂z2 = 1 - f2²: f2 stands where f2² belongs",
    "f1 f2 (1 - f2) w3 (1 - f3²) 2 (f3 - y)": (
        "wrong derivative in ∂f2/∂z2 = 1 - f2²: f2 (1 - f2) stands where 1 - f2² belongs"
    ),
    "f1 w3 (1 - f3²) (f3 - y)": (
        "dropped factor 1 - f2²: it is ∂f2/∂z2 and constant: the 2 is missing in ∂Loss/∂f3 = 2 (f3 - y)"
    ),
    "x f3": "wrong, but I cannot tell why; yours / derivative at several points: ",
    r"\delta_3 = 2 (f_3 - y) (1 - f_3^2) \\ \delta_2 = (1 - f_2^2) w_3 \delta_3 \\ f_1 \delta_2": "right",
    "d3 = 2 (f3 - y) (1 - f3²); d2 = (1 - f2²) w2 d3; f1 d2": (
        "in the line d2: wrong index in ∂z3/∂f2 = w3: w2 stands where w3 belongs"
    ),
    "d3 = 2 (f3 - y)(1 - f3²); d2 = (1 - f2²) w3 d3; f1 d3": "in the line dw2: wrong delta: d3 stands where d2 belongs",
    "d3 = (f3 - y) (1 - f3²); d2 = w3 d3; f1 d2": (
        "in the line d3: constant: the 2 is missing in ∂Loss/∂f3 = 2 (f3 - y); "
        "in the line d2: dropped factor 1 - f2²: it is ∂f2/∂z2"
    ),
    "g3 = 2 (f3 - y); g2 = (1 - f3²) w3 g3; f1 (1 - f2²) g2": "right",
    "d3 = (f3 - y) (1 - f3²); d2 = (1 - f2²) w3 d3; 2 f1 d2": "right",
}


@pytest.mark.parametrize("formula", SENTENCES)
def test_sentences(formula, loss):
    (finding,) = diagnose(loss, {"w2": formula}).findings
    assert finding.sentence.startswith(SENTENCES[formula])
    assert (finding.sentence == "right") == (finding.verdict == "right")


def test_every_kind_is_told_of_a_layered_network():
    model = nn.MLP(2, [2, 1], activation="tanh")
    x = [Value(0.3, "x1"), Value(-0.8, "x2")]
    loss = losses.squared_error(model(x), Value(0.5, "y"))
    right = "x1 (1 - f1_1²) w2_1_1 2 (z2_1 - y)"
    assert diagnose(loss, {"w1_1_1": right})
    both = "w1_1_1 (1 - f1_1²) w2_1_1 2 (z2_1 - y) + w1_1_2 (1 - f1_2²) w2_2_1 2 (z2_1 - y)"
    assert diagnose(loss, {"x1": both})
    for formula, kind, place in (
        ("w1_1_1 (1 - f1_1²) w2_1_1 2 (z2_1 - y)", PATH, "∂z1_2/∂x1"),
        (both.replace("w1_1_1", "w1_2_1"), INDEX, "∂z1_1/∂x1"),
        (both.replace("+", "-"), SIGN, "∂z1_2/∂x1"),
        (both.replace("(1 - f1_1²)", "").replace("(1 - f1_2²)", ""), DROPPED, "∂f1_1/∂z1_1"),
    ):
        (finding,) = diagnose(loss, {"x1": formula}).findings
        assert [slip.kind for slip in finding.slips] == [kind], finding
        assert finding.slips[0].place.partition("/")[2] == place.partition("/")[2] or kind == SIGN


def test_it_does_not_matter_where_the_graph_was_recorded():
    for weights in ([1.0, 1.0, 1.0], [0.0, 0.5, 2.0], [40.0, 1.0, 1.0]):
        loss = chain(weights, 1.0, 0.0)[1]
        assert diagnose(loss, {"w2": "f1 (1 - f2²) w3 (1 - f3²) 2 (f3 - y)"})
        (finding,) = diagnose(loss, {"w2": "f1 (1 - f2²) (1 - f3²) 2 (f3 - y)"}).findings
        assert finding.slips[0].kind == DROPPED


def test_a_formula_that_is_right_at_one_point_only():
    loss = chain([0.5, 1.0], 1.5, 0.25)[1]
    comparison = compare(loss, {"w1": "x (1 - f1²) (1 - f2²) 2 (f2 - y)"})
    assert not comparison
    assert comparison.rows[0].verdict == "AGREES ONLY HERE"
    assert comparison.rows[0].sentence == (
        "at this point it has the right number, but in general it is wrong: dropped factor w2: it is ∂z2/∂f1"
    )


def test_numbers_in_place_of_names_are_taken_as_such():
    loss = chain([0.8, -1.2], 1.5, 0.25)[1]
    assert compare(loss, {"w1": "1.5 (1 - f1²) (-1.2) (1 - f2²) 2 (f2 - 0.25)"})


def test_functions(loss):
    def right(f1, f2, f3, w3, y):
        return f1 * (1 - f2**2) * w3 * (1 - f3**2) * 2 * (f3 - y)

    assert diagnose(loss, {"w2": right})
    (finding,) = diagnose(loss, {"w2": lambda f1, f3, w3, y: f1 * w3 * (1 - f3**2) * 2 * (f3 - y)}).findings
    assert finding.sentence == "dropped factor 1 - f2²: it is ∂f2/∂z2"
    (finding,) = diagnose(loss, {"w2": lambda f1, z2, f3, w3, y: f1 / math.cosh(z2) * w3 * (1 - f3**2)}).findings
    assert finding.verdict == "cannot tell"


def test_the_graph_is_left_alone(loss):
    loss.backward()
    before = [(node.data, node.grad) for node in _all(loss)]
    diagnose(loss, {"w1": "x f1", "w2": 3.0})
    assert [(node.data, node.grad) for node in _all(loss)] == before


def test_how_it_is_shown(loss):
    diagnosis = diagnose(loss, {"w3": "f2 (1 - f3²) 2 (f3 - y)", "w2": "f1"})
    assert str(diagnosis).splitlines()[0] == "w3: right"
    assert str(diagnosis).splitlines()[1].startswith("w2: wrong, but I cannot tell why")
    assert diagnosis._repr_html_().count("<li>") == 2
    recurrence = "d3 = 2 (f3 - y)(1 - f3²); d2 = (1 - f2²) w3 d3; dw1 = x (1 - f1²) w2 d2; dw2 = d3 f1"
    assert str(diagnose(loss, recurrence)) == (
        "w1: right\nw2: in the line dw2: wrong delta: d3 stands where d2 belongs"
    )


def test_a_wrong_rule_is_told_from_a_wrong_formula(loss, monkeypatch):
    """A checker without teeth (udacity, SmallPebble, cs249r in the gallery) would pass both."""
    monkeypatch.setattr(TABLE["tanh"], "partials", (lambda a, out: 1.0 - out,))
    comparison = compare(loss, {"w3": "f2 (1 - f3²) 2 (f3 - y)"})
    assert comparison.rows[0].verdict == "engine and difference disagree"
    assert "the partial of f3 = tanh" in comparison.rows[0].sentence or "tanh" in comparison.rows[0].sentence
    with pytest.raises(GradcheckError, match="tanh"):
        gradcheck(lambda x: x.tanh(), 0.4)


def test_numbers_that_are_all_off_by_one_factor():
    w, x = Value(0.7, "w"), Value(1.5, "x")
    loss = named((tanh(w * x) + tanh(w * 0.3)) / 2, "Loss")
    loss.backward()
    assert str(diagnose(loss, {w: 2 * w.grad, x: 2 * x.grad})) == (
        "w: yours is 2 times the derivative, as are all 2\nx: yours is 2 times the derivative, as are all 2"
    )
    (finding,) = diagnose(loss, {w: float(f"{w.grad:.4g}")}).findings
    assert finding.sentence == "it agrees with the derivative to its 4 digits"
    (finding,) = diagnose(loss, {w: 0.3}).findings
    assert "cannot tell" in finding.sentence


def test_a_number_for_another():
    w, x = Value(0.7, "w"), Value(1.5, "x")
    f = named(tanh(w * x), "f")
    loss = named((f - 0.25) ** 2, "Loss")
    assert str(diagnose(loss, {w: "x (1 - f²) 2 (f - 0.3)"})) == "w: constant: 3/10 stands where 1/4 belongs"


def test_a_missing_term():
    z = [Value(v, f"z{i}") for i, v in enumerate([0.1, 0.5, -0.3], 1)]
    loss = losses.cross_entropy(z, 1)
    p = "exp(z2)/(exp(z1)+exp(z2)+exp(z3))"
    assert diagnose(loss, {"z2": f"{p} - 1"})
    assert str(diagnose(loss, {"z2": p})) == "z2: missing term: -1 has to be added"


def test_the_same_slip_in_all_layers():
    w, x = [Value(v, f"w{i}") for i, v in enumerate([0.4, -0.8, 1.1], 1)], Value(0.6, "x")
    f = x
    for i, weight in enumerate(w, 1):
        f = unit(sigmoid, weight, f, i)
    loss = named((f - Value(0.2, "y")) ** 2, "Loss")
    wrong = "x f1' w2 f2' w3 f3' 2 (f3 - y)"
    for slip in (lambda i: f"σ(f{i})(1 - σ(f{i}))", lambda i: f"z{i} (1 - z{i})"):
        formula = wrong
        for i in (1, 2, 3):
            formula = formula.replace(f"f{i}'", slip(i))
        (finding,) = diagnose(loss, {"w1": formula}).findings
        assert [one.kind for one in finding.slips] == [ARGUMENT]
        assert finding.sentence.endswith("belongs, and likewise in ∂f2/∂z2, ∂f3/∂z3")


def test_a_line_is_blamed_for_what_it_is_used_for(loss):
    text = "d3 = 2 (f3-y)(1-f3²); dw3 = f1 d3; d2 = (1-f2²) w3 d3; dw2 = x d2"
    assert str(diagnose(loss, text)).splitlines() == [
        "w3: in the line dw3: wrong index in ∂z3/∂w3 = f2: f1 stands where f2 belongs",
        "w2: in the line dw2: wrong index in ∂z2/∂w2 = f1: x stands where f1 belongs",
    ]
    fractions = "∂L/∂z3 = 2 (f3-y)(1-f3²)\ndL/dz2 = ∂L/∂z3 w3 (1-f2²)\ndL/dw2 = f1 dL/dz2"
    assert diagnose(loss, fractions)


@pytest.mark.parametrize("text", ["x/(x-x)", "exp(1e6)", "1/0"])
def test_infinite_formulas_are_wrong(text, loss):
    assert not compare(loss, {"w2": text})


def test_targets_may_be_put_in_as_numbers():
    w, x, y = Value(0.4, "w"), Value(1.5, "x"), Value(1.0, "y")
    p = named(sigmoid(w * x), "p")
    comparison = compare(named(cross_entropy(p, y), "L"), {"w": "(p - 1) x"})
    assert comparison
    assert comparison.rows[0].finding is None
    assert str(diagnose(cross_entropy(p, y), {"w": "(p - 1) x"})) == "w: right for y = 1"


def test_a_missing_absolute_value():
    w, x, t = Value(0.5, "w"), Value(1.2, "x"), Value(0.1, "t")
    e = named(w * x - t, "e")
    assert not compare(named(abs(e), "L"), {"w": "x"})
    assert compare(named(abs(e), "L"), {"w": "x sign(e)"})


def test_what_is_no_gradient_of_the_loss_is_a_helper():
    loss = chain([0.8, -1.2], 1.5, 0.25)[1]
    text = "df1/dz1 = 1 - f1²; dz2/df1 = w2; ∂Loss/∂w1 = x (1 - f1²) w2 (1 - f2²) 2 (f2 - y)"
    assert [finding.name for finding in diagnose(loss, text).findings] == ["w1"]
    backward = "f2.grad = 2 (f2 - y); z2.grad = f2.grad (1 - f2²); dLoss_df1 = z2.grad w2; grad_w2 = z2.grad f1"
    assert diagnose(loss, backward)
    assert len(diagnose(loss, backward).findings) == 4


def random_formula(rng, depth=0):
    def part():
        return random_formula(rng, depth + 1)

    kind = rng.random() if depth < 4 else 0.0
    if kind < 0.3:
        return rng.choice(["x", "y", "w1", "w2", "w3", "z2", "f1", "f2", "f3", "2", "0", "1/3"])
    if kind < 0.6:
        return f"({part()} {rng.choice('*+-/')} {part()})"
    if kind < 0.7:
        return f"{rng.choice(['tanh', 'exp', 'log', 'sqrt', 'relu', 'abs', 'step'])}({part()})"
    if kind < 0.8:
        return f"({part()})^{rng.choice(['2', '-1', '0.5', '(1 - f1)'])}"
    return f"(1 - {rng.choice(['f1²', 'f2²', 'z1²'])}) {part()}"


def test_any_formula_gets_an_answer(loss):
    rng = random.Random(0)
    for _ in range(100):
        line = f"d3 = {random_formula(rng)}; " if rng.random() < 0.3 else ""
        comparison = compare(loss, {"w1": line + random_formula(rng)})
        assert comparison.text.count("\n") == 1 + len(comparison.sentences)
        assert bool(comparison) == (comparison.rows[0].verdict == "agrees") == (not comparison.sentences)


def test_kinks_are_nobodys_fault():
    x = Value(0.0, "x")
    comparison = compare(named(relu(x), "r") * 2, {"x": 1.0})
    assert not comparison
    assert comparison.rows[0].sentence == (
        "the graph has a kink at this point (r), so that no difference can tell the derivative"
    )


# ---- branches --------------------------------------------------------------------------------------------------------

MASKS = {  # what a unit is the activation of, its formula without the mask, and with it
    "relu": (relu, "x 2 (f - y)", "x step(w x + b) 2 (f - y)"),
    "leaky relu": (lambda z: z.leaky_relu(), "x 2 (f - y)", "x (step(z) + 0.01 (1 - step(z))) 2 (f - y)"),
    "abs": (abs, "x 2 (f - y)", "x sign(w x + b) 2 (f - y)"),
    "maximum": (lambda z: z.maximum(0.5), "x 2 (f - y)", "x step(w x + b - 0.5) 2 (f - y)"),
    "minimum": (lambda z: z.minimum(0.5), "x 2 (f - y)", "x step(0.5 - w x - b) 2 (f - y)"),
    "where": (lambda z: where(relu(z), z, 0.0), "x 2 (f - y)", "x step(w x + b) 2 (f - y)"),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("w", [0.8, -0.8])
@pytest.mark.parametrize("case", MASKS)
def test_a_mask_is_missed_whether_the_unit_is_active_or_not(case, w, seed):
    activation, without, mask = MASKS[case]
    w, x, b, y = (Value(v, name) for v, name in ((w, "w"), (1.2, "x"), (0.3, "b"), (0.1, "y")))
    loss = named((named(activation(named(w * x + b, "z")), "f") - y) ** 2, "Loss")
    assert diagnose(loss, {"w": mask}, seed)
    assert not diagnose(loss, {"w": without}, seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("first", [0.8, -0.8])
def test_each_mask_of_two_units(first, seed):
    """That of the second is seen only where the first is active, that of the first where the second is."""
    w1, b1, w2, b2, x, y = (
        Value(v, name) for v, name in ((first, "w1"), (0.1, "b1"), (0.9, "w2"), (0.2, "b2"), (1.5, "x"), (0.3, "y"))
    )
    f1 = named(relu(w1 * x + b1), "f1")
    loss = named((named(relu(w2 * f1 + b2), "f2") - y) ** 2, "Loss")
    assert diagnose(loss, {"w1": "x w2 step(z1) step(z2) 2 (f2 - y)"}, seed)
    for mask, missing in (("step(z1)", "step(z2)"), ("step(z2)", "step(z1)")):
        finding = diagnose(loss, {"w1": f"x w2 {mask} 2 (f2 - y)"}, seed).findings[0]
        assert finding.verdict == "wrong" and finding.slips[0].factor == missing
