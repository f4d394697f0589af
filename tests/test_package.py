"""The package as a whole: what importing it does, what it exports, that its files agree."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd_like
from micrograd_like.ops import FUNCTIONS

ROOT = Path(__file__).parent.parent


def modules_after(statement):
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in output.split()}


def test_importing_loads_the_standard_library_alone():
    foreign = modules_after("import micrograd_like") - set(sys.stdlib_module_names)
    assert foreign == {"micrograd_like"}


def test_that_test_can_fail():
    assert modules_after("import pytest") - set(sys.stdlib_module_names) - {"micrograd_like"}


def test_public_names():
    assert micrograd_like.__all__ == sorted(micrograd_like.__all__)
    assert set(FUNCTIONS) - {"abs", "pow"} <= set(micrograd_like.__all__)
    for name, function in FUNCTIONS.items():
        assert getattr(micrograd_like, name) is function
    for name in micrograd_like.__all__:
        assert getattr(micrograd_like, name).__doc__, name


def test_star_import_keeps_pythons_own_functions():
    namespace: dict[str, object] = {}
    exec("from micrograd_like import *", namespace)
    assert "abs" not in namespace and "pow" not in namespace and "Value" in namespace


GRADIENTS = """
import random
from micrograd_like import Value, tanh
r = random.Random(1)
v = [Value(r.uniform(-1, 1)) for _ in range(9)]
for _ in range(400):
    v.append(tanh(r.choice(v) * r.choice(v) + r.choice(v)))
loss = sum(v)
loss.backward()
print([x.grad.hex() for x in v[:9]], loss.data.hex())
"""
PICTURES = """
import test_draw as t
for d in t.DETAILS:
    print(t.network(d).svg)
for s in range(3):
    print(t.draw(t.expression(s), 'folded', 'TB').svg, t.draw_dot(t.expression(s)).source)
"""
DIGRAPH = "import test_show as t; print(t.draw_dot(t.example()).source)"
TREES = "import test_tree as t; print(t.printed(t.example()), t.printed(t.example(), 'folded', color=True))"
SAME_IN_EVERY_PROCESS = {  # programs, and what their output has
    "gradients": (GRADIENTS, "0x"),
    "pictures": (PICTURES, "</svg>"),
    "a digraph": (DIGRAPH, "digraph"),
    "trees": (TREES, "tanh"),
}


@pytest.mark.parametrize("what", SAME_IN_EVERY_PROCESS)
def test_the_same_in_every_process(what):
    program, text = SAME_IN_EVERY_PROCESS[what]
    if "draw_dot" in program:
        pytest.importorskip("graphviz")
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1 and text in outputs.pop()


def test_the_changelog_and_the_citation_name_this_version():
    version = micrograd_like.__version__
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_nothing_is_required_to_run():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert not config["options"].get("install_requires", "").strip()


def test_type_checkers_know_every_method():
    source = (ROOT / "micrograd_like" / "number.py").read_text(encoding="utf-8")
    declared = source.split("if TYPE_CHECKING:")[1].split("def __repr__")[0]
    names = set(re.findall(r"\w+", declared))
    assert set(FUNCTIONS) <= names, "name these under TYPE_CHECKING in number.py"
