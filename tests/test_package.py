"""The package as a whole: what importing it does, what it exports, that its files agree."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

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
