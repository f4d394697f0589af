"""The demos run, and show what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMOS = Path(__file__).parent.parent / "demos"
SHOWS = {
    "chain.py": "dw1     +0.122695    +0.122695",
    "derivation.py": "w1: in the line d1: wrong delta: d3 stands where d2 belongs",
    "moons.py": "accuracy 100%",
    "order.py": "loss -> a -> b -> x      a.grad =   15   x.grad =   24",
    "training.py": "training.png shows the last state",
}


def test_every_demo_is_here():
    assert {path.name for path in DEMOS.iterdir() if path.suffix == ".py"} == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_demo(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(DEMOS / name)], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    assert SHOWS[name] in done.stdout
