"""The main job, as a user runs it."""

import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from micrograd_like import __version__
from micrograd_like.__main__ import main
from micrograd_like.lecture import chain

pytest.importorskip("graphviz")
README = Path(__file__).parent.parent / "README.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What `python -m micrograd_like lecture` prints and writes in an empty folder."""
    folder = tmp_path_factory.mktemp("lecture")
    done = subprocess.run(
        [sys.executable, "-m", "micrograd_like", "lecture"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done, folder


def table(text):
    """{weight: [value, engine, recurrence, product, difference, ulp]}"""
    rows = re.findall(r"^(w\d+) +(.*)$", text, re.MULTILINE)
    return {name: [float(number) for number in numbers.split()] for name, numbers in rows}


def test_the_table(run):
    rows = table(run[0].stdout)
    assert list(rows) == ["w1", "w2", "w3"]
    for _, engine, recurrence, product, difference, ulp in rows.values():
        assert engine == recurrence == product  # to the digits shown
        assert engine == pytest.approx(difference, rel=1e-7)
        assert 0 <= ulp <= 8
    assert "The engine and the two hand-derived forms agree" in run[0].stdout


def test_the_picture(run):
    assert [file.name for file in (run[1] / "lecture").iterdir()] == ["chain-3-seed-0.svg"]
    text = (run[1] / "lecture" / "chain-3-seed-0.svg").read_text(encoding="utf-8")
    ET.fromstring(text)
    for name in ("Loss", "w1", "z1", "f1", "tanh"):
        assert f">{name}<" in text


def test_the_training(run):
    accuracies = dict(re.findall(r"^(train|test) +accuracy +([\d.]+)%", run[0].stdout, re.MULTILINE))
    assert float(accuracies["train"]) >= 95 and float(accuracies["test"]) >= 90
    assert run[0].stdout.count("always guessing") == 2
    assert len(re.findall(r"^epoch \d+", run[0].stderr, re.MULTILINE)) == 10


def test_readme_shows_this_run(run):
    shown = table(README.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0])
    assert shown.keys() == table(run[0].stdout).keys()
    for name, numbers in table(run[0].stdout).items():
        assert shown[name][:5] == pytest.approx(numbers[:5], rel=1e-7)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("micrograd_like.lecture._train", lambda seed: True)


@pytest.mark.parametrize("depth", [1, 2, 7, 20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_depths_and_seeds(depth, seed, quick, tmp_path, capsys):
    assert main(["lecture", "--depth", str(depth), "--seed", str(seed), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert len(table(out)) == depth
    assert max(map(len, out.splitlines()[:9])) <= 83
    assert (tmp_path / f"chain-{depth}-seed-{seed}.svg").exists()


def test_a_long_chain_is_compared_but_not_drawn(quick, tmp_path, capsys):
    assert main(["lecture", "--depth", "100", "--out", str(tmp_path)]) == 0
    assert "No picture: a chain of 100 units is too long" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_being_asked(quick, tmp_path, capsys):
    picture = tmp_path / "chain-3-seed-0.svg"
    picture.write_text("mine")
    assert main(["lecture", "--out", str(tmp_path)]) == 0
    assert picture.read_text() == "mine"
    assert f"{picture} is there already and was kept; --force replaces it" in capsys.readouterr().out
    assert main(["lecture", "--out", str(tmp_path), "--force"]) == 0
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_a_missing_program_does_not_stop_it(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda *args, **options: None)
    assert main(["lecture", "--out", str(tmp_path)]) == 0
    assert "No picture: no program to lay out the graph" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_broken_program_does_not_stop_it(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda *args, **options: "/bin/false")
    assert main(["lecture", "--out", str(tmp_path)]) == 0
    assert "No picture: /bin/false failed" in capsys.readouterr().out


def test_a_wrong_rule_is_told_and_sets_the_exit_status(quick, tmp_path, monkeypatch, capsys):
    from micrograd_like.ops import TABLE

    for wrong in (lambda a, out: 1.0 - a * a, lambda a, out: math.nan):  # taken at z instead of f; undefined
        monkeypatch.setattr(TABLE["tanh"], "partials", (wrong,))
        assert main(["lecture", "--out", str(tmp_path)]) == 1
        assert "DO NOT AGREE" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made(quick, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["lecture", "--out", str(tmp_path / "file" / "below")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert main(["lecture", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"micrograd-like: --out {tmp_path / 'file'} is a file, not a folder\n"


def test_interrupted_training_says_so(tmp_path, monkeypatch, capsys):
    from micrograd_like import losses

    calls = []

    def interrupted(outputs, label):
        calls.append(label)
        if len(calls) > 1050:  # 100 in each epoch, and before the first; some to see if it is worth compiling
            monkeypatch.undo()
            raise KeyboardInterrupt
        return right(outputs, label)

    right = losses.cross_entropy
    monkeypatch.setattr(losses, "cross_entropy", interrupted)
    assert main(["lecture", "--out", str(tmp_path)]) == 130
    assert "Interrupted after 9 of 30 epochs; what was learned until then:" in capsys.readouterr().out


def test_output_that_nobody_reads(tmp_path):
    command = f"{sys.executable} -m micrograd_like lecture --out {tmp_path} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.startswith("The lecture's chain") and "Traceback" not in done.stderr


def test_a_terminal_that_knows_no_greek(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "micrograd_like", "lecture", "--out", str(tmp_path)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert b"?Loss/?w" in done.stdout


@pytest.mark.parametrize("depth", ["0", "101", "-1", "2.5", "three"])
def test_depths_that_are_none(depth, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["lecture", "--depth", depth])
    assert stop.value.code == 2
    assert f"argument --depth: {depth!r} is not a whole number from 1 to 100" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"micrograd-like {__version__}\n"


def test_the_chain_has_the_lectures_names():
    weights, loss = chain([0.5, -0.5], 2.0, 1.0)
    assert [w.name for w in weights] == ["w1", "w2"]
    assert loss.name == "Loss" and loss.operands[0].operands[1].name == "f2"
