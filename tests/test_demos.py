"""The demos run, and show what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMOS = Path(__file__).parent.parent / "demos"
SHOWS = {
    "chain.py": "dw1     +0.122695    +0.122695",
    "derivation.py": "w1: in the line d1: wrong delta: d3 stands where d2 belongs",
    "digits.py": "digits that were not trained on",
    "moons.py": "accuracy 100%",
    "nist.py": "2 problems, 2 starts: 10.",
    "optima.py": "3 different minima; 3 of 8 starts found the best of them, 0.205816",
    "order.py": "loss -> a -> b -> x      a.grad =   15   x.grad =   24",
    "scipy_fit.py": "trust-ncg, grad and hvp",
    "training.py": "training.png shows the last state",
}
ARGUMENTS = {"nist.py": ["Eckerle4", "MGH09"]}  # all of its problems take long
NEEDS = {"digits.py": "sklearn", "nist.py": "scipy", "optima.py": "scipy", "scipy_fit.py": "scipy"}


def test_every_demo_is_here():
    assert {path.name for path in DEMOS.iterdir() if path.suffix == ".py"} == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_demo(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    command = [sys.executable, str(DEMOS / name), *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert SHOWS[name] in done.stdout
    if name == "digits.py":
        assert float(done.stdout.split("test accuracy ")[1].split("%")[0]) > 97.0
