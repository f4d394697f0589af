"""`micrograd-like check`, as a user runs it."""

import io
import os
import re
import subprocess
import sys

import pytest

from micrograd_like.__main__ import main
from micrograd_like.byhand.formula import LONGEST
from micrograd_like.check import Network, chain_text
from micrograd_like.lecture import chain
from micrograd_like.walks import topological

PRODUCT = "x (1 - f1²) w2 (1 - f2²) 2 (f2 - y)"
NET = """
z = w x + b   # a unit
p = sigmoid(z)
t = 1
Loss = -log(p) t - log(1 - p) (1 - t)
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """What the command exits with, prints and complains of; `net` is the content of the file net.txt."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, net=None):
        if net is not None:
            (tmp_path / "net.txt").write_text(net, encoding="utf-8")
            arguments = ("--net", "net.txt", *arguments)
        try:
            status = main(["check", *arguments])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def compared(out):
    """{node: verdict}"""
    return dict(re.findall(r"^(\S+) .* (agrees|DIFFERS)$", out, re.MULTILINE))


RIGHT = [
    ("--depth", "2", f"dw1 = {PRODUCT}"),
    ("--depth", "2", "--of", "w1", PRODUCT),
    ("--depth", "2", "--of", "w_1", PRODUCT),
    ("--depth", "2", "--of", "w1", "d2 = 2 (f2-y) (1-f2²); d1 = (1-f1²) w2 d2; x d1"),
    ("--depth", "2", r"\frac{\partial Loss}{\partial w_1} = x \left(1-f_1^2\right) w_2 (1-f_2^2) \cdot 2 (f_2-y)"),
    ("--depth", "2", "w1.grad = " + PRODUCT, "--at", "w1=0.8", "x = 1.5", "--at", "w_2=−1.2", "--seed", "3"),
    ("δ₃ = 2 (f3-y) (1-f3²)\nδ₂ = (1-f2²) w3 δ₃\nδ₁ = (1-f1²) w2 δ₂\n∂Loss/∂w₁ = x δ₁",),
    ("d3 = 2 (f3-y) (1-f3²)", "d2 = (1-f2²) w3 d3; d1 = (1-f1²) w2 d2", "dw1 = x d1"),
    ("--of", "y", "-2 (f3 - y)"),
    ("--of", "y", "--", "-2(f3-y)"),
]


@pytest.mark.parametrize("arguments", RIGHT, ids=[" ".join(arguments)[:50] for arguments in RIGHT])
def test_right_formulas(arguments, run):
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    assert list(compared(out).values()) == ["agrees"]


WRONG = [
    ("--depth", "2", "dw1 = (1 - f1²) w2 (1 - f2²) 2 (f2 - y)"),
    ("--depth", "2", "--of", "w1", PRODUCT.replace("f1", "z1")),
    ("--of", "w1", PRODUCT),
    ("dy = 0",),
    ("dy = log(-1)",),
]


@pytest.mark.parametrize("arguments", WRONG, ids=[" ".join(arguments)[:50] for arguments in WRONG])
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_wrong_formulas(arguments, seed, run):
    status, out, err = run(*arguments, "--seed", seed)
    assert (status, err) == (1, "")
    assert list(compared(out).values()) == ["DIFFERS"]


def test_one_wrong_among_right_ones(run):
    status, out, _ = run("d3 = 2 (f3-y) (1-f3²); dw3 = f2 d3; dw2 = f1 d3; dy = -2 (f3-y)")
    assert status == 1
    assert compared(out) == {"w3": "agrees", "w2": "DIFFERS", "y": "agrees"}


def test_what_is_printed(run):
    _, out, _ = run("dz = p - t; dw = x dz; db = dz", "--at", "w=0.8", "x=1.5", net=NET)
    network, table = out.split("\n\n")
    assert network.splitlines()[:-1] == [
        "Loss of net.txt:",
        "    z = w x + b",
        "    p = sigmoid(z)",
        "    Loss = -log(p) t - log(1 - p) (1 - t)",
    ]
    assert re.fullmatch(r"at  w=0\.8 x=1\.5 b=-?[01]\.\d+ t=1\.0", network.splitlines()[-1])
    assert table.startswith("∂Loss/∂")
    assert compared(out) == {"z": "agrees", "w": "agrees", "b": "agrees"}


def test_the_printed_point_can_be_given_again(run):
    first = run("dw1 = 2")[1]
    [point] = re.findall(r"^at  (.*)$", first, re.MULTILINE)
    assert run("dw1 = 2", "--seed", "9")[1] != first
    assert run("dw1 = 2", "--seed", "9", "--at", *point.split())[1] == first


def test_giving_one_leaf_a_number_moves_no_other(run):
    points = [dict(re.findall(r"(\w+)=(\S+)", run("dw1 = 2", *at)[1])) for at in ((), ("--at", "x=2.5"))]
    assert {name for name in points[0] if points[0][name] != points[1][name]} == {"x"}


def test_random_leaves_are_in_general_position():
    for seed in range(50):
        leaves = [node.data for node in topological(Network(chain_text(90), "", {}, seed).loss) if not node.operands]
        assert len(leaves) == len(set(map(abs, leaves))) == 92
        assert all(0.5 <= abs(x) <= 1.5 and abs(x) != 1 and x == round(x, 2) for x in leaves)
        assert min(leaves) < 0 < max(leaves)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_the_chain_is_the_lectures(depth):
    numbers = {"x": 1.5, "y": 0.25} | {f"w{i}": 0.5 + i / 10 for i in range(1, depth + 1)}
    _, loss = chain([numbers[f"w{i}"] for i in range(1, depth + 1)], numbers["x"], numbers["y"])
    network = Network(chain_text(depth), "", numbers, 0)

    def described(root):
        order = topological(root)
        place = {node: i for i, node in enumerate(order)}
        return [(n.name, n.op, n.data, [place.get(x, x) for x in n.operands]) for n in order]

    assert described(network.loss) == described(loss)


NETS = [
    ("f0 = x\nz = w f0\nLoss = (z - y)²", "dz = 2 (z-y); df0 = w dz; dx = df0; dw = x dz"),  # f0 only renames
    ("Loss = x", "dx = 1"),
    ("c = 1/2\nLoss = c (y - x)²", "dx = 2 c (x - y); dc = (y-x)²"),
    ("e = y - x; Loss = e²", "de = 2e; dx = -de"),  # a name that elsewhere is a number
    ("Loss = e^x + π x", "dx = e^x + π"),
    ("λ = 0.1\nLoss = λ (w1 + w2)", "dλ = w1 + w2"),
    (r"Loss = \frac{1}{2} \left(\sigma(w_1 x) - \delta_2\right)^2", r"d\delta_2 = δ2 - σ(w1 x)"),
    ("a = w_1 + w_{2}\nLoss = a w1 w₂", r"\frac{d Loss}{d w_1} = w2 w1 + a w2"),
    ("\ufeffz = w x\r\nLoss = z²\r\n", "dw = 2 z x"),  # as Windows' editors save it
    (r"z &= w x \\ Loss &= z^2 \\", "dw = 2 z x"),
    ("a = w x\nb = relu(a)\nc = max(a, b)\nLoss = logaddexp(c, x) tanh b", "dc = e^c/(e^c + e^x) tanh(b)"),
]


@pytest.mark.parametrize(("net", "formula"), NETS, ids=[net[:40] for net, _ in NETS])
def test_nets(net, formula, run):
    status, out, err = run(formula, net=net)
    assert (status, err) == (0, "")
    assert set(compared(out).values()) == {"agrees"}


def test_indices_of_two_digits(run):
    assert " w_{1,12}=" in run("da = b", net="a = w_{1,12} + w_{11,2}\nb = x y\nLoss = a b")[1]
    assert " w_{11,2}=" in run("da = b", net="a = w_{1,12} + w_{11,2}\nb = x y\nLoss = a b")[1]


def test_the_numbers_of_at_go_before_those_in_the_file(run):
    assert " t=0.25" in run("dz = p - t", "--at", "t=0.25", net=NET)[1]
    assert run("de = 1", "--at", "e=2", net="Loss = e + x")[0] == 0
    assert run("dλ = w1 + w2", "--at", "λ=2", net="Loss = λ (w1 + w2)")[0] == 0


@pytest.fixture
def stdin(monkeypatch):
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_formulas_from_stdin(run, stdin):
    stdin("δ₃ = 2 (f3-y) (1-f3²)\r\n".encode())
    status, out, _ = run("-", "dw3 = f2 δ3")
    assert status == 0 and compared(out) == {"w3": "agrees"}


MISTAKES_IN_NETS = [
    ("z = w x\nLoss = z +* 2", "net.txt, line 2: did not expect '*' here\n    Loss = z +* 2\n              ^"),
    (
        "z = w x\n\nf = tahn(z)",
        "net.txt, line 3: there is no function 'tahn'; the product of a leaf is written tahn * (…)",
    ),
    (
        "z = w x\nf = tanh(z_l)\nLoss = f²",
        "net.txt, line 1: Loss, the last line, does not depend on z; use it below or",
    ),
    ("z = w x\nz_ = 2 x\nLoss = z²", "net.txt, line 2: z_ is defined already, on line 1; choose another name"),
    ("x = 1\nx = 2\nLoss = x²", "net.txt, line 2: x is defined already, on line 1; choose another name"),
    (
        "a = b\nb = 2 a\nLoss = b²",
        "net.txt, line 2: b is used above the line that defines it; move this line up, or break",
    ),
    ("a = a + 1\nLoss = a²", "net.txt, line 1: a is computed from itself; choose another name before '='"),
    ("w x", "net.txt, line 1: there is no name before '='; a line is name = expression"),
    ("= w x", "net.txt, line 1: a name should stand before '='"),
    ("dL/dx = w x", "net.txt, line 1: 'dL/dx' cannot be the name of a node; a line is name = expression"),
    ("tanh = w x", "net.txt, line 1: 'tanh' cannot be the name of a node"),
    ("2 = w x", "net.txt, line 1: '2' cannot be the name of a node"),
    ("a b = w x", "net.txt, line 1: 'a b' cannot be the name of a node"),
    (r"Loss = \foo x", r"net.txt, line 1: unknown name '\\foo'; there are x"),
    ("w = __import__('os').system('ls')", "net.txt, line 1: cannot read '_'"),
    ("x = 2\nLoss = 3", "net.txt: the last line, Loss, is the loss and has to be computed"),
    ("# nothing", "net.txt has no line: write name = expression, and the loss last"),
    ("", "net.txt has no line: write name = expression, and the loss last"),
    (
        "x = -1\nz = log(x)\nLoss = z²",
        "net.txt, line 2: log(x = -1.0) is not defined: the logarithm needs x ≥ 0; choose",
    ),
    ("x = 800\nz = exp(x)\nLoss = z²", "net.txt, line 2: z is inf here; choose another point with --at or --seed"),
    ("x = 1/0\nLoss = x²", "net.txt, line 1: x is inf here; choose another point"),
    ("w = 2 w_{1,12} w_{11,2}\nLoss = w w112", "net.txt, line 2: 'w112' could be w_{1,12} or w_{11,2}"),
    (
        "z = x\n" * (LONGEST // 6 + 1),
        f"net.txt has more than {LONGEST} characters, which is all that is read; shorten it",
    ),
    ("é" * 3 * LONGEST, f"net.txt has more than {LONGEST} characters"),
]


@pytest.mark.parametrize(("net", "message"), MISTAKES_IN_NETS, ids=[net[:30] for net, _ in MISTAKES_IN_NETS])
def test_mistakes_in_nets(net, message, run):
    status, out, err = run("dx = 1", net=net)
    assert (status, out) == (2, "")
    assert err.startswith(f"micrograd-like: {message}")


MISTAKES = [
    (["dw1 = x (f1"], "the formula: expected ')' here\n    dw1 = x (f1\n               ^"),
    (["d3 = 2 f3", "dw3 = f9 d3"], "formula 2: unknown name 'f9'; there are w1, x, z1, f1, w2,"),
    (["  # ?"], "the formula: the formula is empty"),
    (["dw3 = " + " 1 +" * LONGEST], "the formula: the formula has"),
    (["x f1"], "the formula: a line does not say what it is: begin it with dw = for the gradient by w"),
    (
        ["dw9 = x f1"],
        "the formula: no line uses 'dw9'; as a gradient it has an unknown name 'dw9'; there are w1, x, z1,",
    ),
    (["dw1 = x", "dw2 = f1; d4 = 2"], "formula 2: no line uses 'd4'; as a gradient it has an unknown name"),
    (["dw1 = 2", "∂Loss/∂w_1 = 3"], "formula 2: '∂Loss/∂w_1' and 'dw1' are one gradient; check one at a time"),
    (["--of", "w9", "x f1"], "--of w9: unknown name 'w9'; there are w1, x, z1, f1, w2"),
    (["--of", "w1", "dw1 = x"], "the formula: with --of w1 the last line has no '=', but it begins 'dw1'"),
    (["--of", "w1", "x; f1"], "the formula: a line does not say what it is"),
    (["--of", "w1", "dw2 = x; f1"], "the formula: no line uses 'dw2'; use it or remove it"),
    (["dw1 = 2", "--at", "q=1"], "--at q: unknown name 'q'; there are w1, x, w2, w3, y"),
    (["dw1 = 2", "--at", "f1=1"], "--at f1: it is computed, and only leaves are given numbers"),
    (["dw1 = 2", "--at", "y=1e200"], "the lecture's chain, --depth 3, line 7: Loss is inf here; choose another point"),
    (["dw1 = 2", "--net", "no.txt"], "no.txt: No such file or directory"),
    (["dw1 = 2", "--net", "."], ".: "),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[message[:50] for _, message in MISTAKES])
def test_mistakes(arguments, message, run):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"micrograd-like: {message}")


def test_what_is_no_text(run, tmp_path, stdin):
    (tmp_path / "latin.txt").write_bytes("z = x\nδ = 2 z²".encode("iso-8859-7"))
    status, _, err = run("dx = 1", "--net", "latin.txt")
    assert (status, err) == (2, "micrograd-like: latin.txt, line 2: not UTF-8 text; save it as UTF-8\n")
    stdin(b"dy = \xff")
    assert run("-")[::2] == (2, "micrograd-like: stdin, line 1: not UTF-8 text; save it as UTF-8\n")


USAGE = [
    ([], "the following arguments are required: FORMULA"),
    (["dy = 2", "--depth", "2", "--net", "net.txt"], "argument --net: not allowed with argument --depth"),
    (["dy = 2", "--depth", "0"], "argument --depth: '0' is not a whole number from 1 to 100"),
    (["dy = 2", "--at", "x"], "argument --at: 'x' is not NAME=NUMBER (formulas stand before --at)"),
    (["dy = 2", "--at", "=1"], "argument --at: '=1' is not NAME=NUMBER"),
    (["dy = 2", "--at", "x=nan"], "argument --at: 'x=nan' is not NAME=NUMBER"),
    (["--at", "x=1", "dy = 2 (f3 - y)"], "argument --at: 'dy = 2 (f3 - y)' is not NAME=NUMBER (formulas stand before"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[message[:50] for _, message in USAGE])
def test_usage(arguments, message, run):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err and "usage: micrograd-like check FORMULA [FORMULA ...]" in err


def test_the_examples_of_help_are_right(run, tmp_path):
    status, out, _ = run("--help")
    assert status == 0 and max(map(len, out.splitlines())) <= 100
    first, second = re.findall(r"^ +micrograd-like check --(.*)$", out, re.MULTILINE)
    net = "\n".join(line for line in out.splitlines() if line.startswith("    ") and re.match(r" +\w+ = ", line))
    (tmp_path / "net.txt").write_text(net, encoding="utf-8")
    assert "Loss" in net
    for example in (first, second):
        options, formula, at = re.fullmatch(r'(.*) "(.*)"(.*)', "--" + example).groups()
        status, out, err = run(*options.split(), formula, *at.split())
        assert status == 0, err


@pytest.mark.parametrize(("formula", "status"), [("dy = -2 (f1 - y)", 0), ("dy = 2 (f1 - y)", 1), ("dy = ∂", 2)])
def test_as_a_program_in_a_terminal_that_knows_no_greek(formula, status):
    done = subprocess.run(
        [sys.executable, "-m", "micrograd_like", "check", "--depth", "1", formula],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert (b"?Loss/?" in done.stdout) == (status < 2) == (done.stderr == b"")
