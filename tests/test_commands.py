"""The commands `draw` and `explore`: what they write and say, where, and with which exit status."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from micrograd_like.show import draw, layout

COMMANDS = ("draw", "explore")
DEFAULT = {"draw": "graph.svg", "explore": "explore.html"}


pytestmark = pytest.mark.usefixtures("folder")


def refused(result, text=None):
    """Refused are what ends with 2, prints nothing, and says why on stderr, in one line."""
    status, out, err = result
    assert (status, out) == (2, "")
    assert "Traceback" not in err and err.startswith("micrograd-like: ") and err.count("\n") == 1
    assert text is None or err == f"micrograd-like: {text}\n"
    return err


def in_a_process(*arguments, **options):
    command = [sys.executable, "-m", "micrograd_like", *arguments]
    return subprocess.run(command, check=False, text=True, encoding="utf-8", **{"stderr": subprocess.PIPE, **options})


# ---- what is written ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_written_and_its_name_printed(command, run, folder):
    assert run(command) == (0, f"{DEFAULT[command]}\n", "")
    assert [file.name for file in folder.iterdir()] == [DEFAULT[command]]
    text = (folder / DEFAULT[command]).read_text(encoding="utf-8")
    assert text.lower().startswith({"draw": "<svg ", "explore": "<!doctype html>"}[command])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_there_is_kept_unless_forced(command, run, folder):
    path = folder / DEFAULT[command]
    path.write_text("mine")
    refused(run(command), f"{path.name} is there already and was kept; --force replaces it")
    assert path.read_text() == "mine"
    assert run(command, "--force") == (0, f"{path.name}\n", "")
    assert path.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("name", "start", "module"),
    [
        ("a.svg", b"<svg ", ""), ("a.SVG", b"<svg ", ""), ("a.png", b"\x89PNG", "resvg_py"),
        ("a.pdf", b"%PDF-", "vl_convert"), ("a.html", b"<!doctype html", ""), ("a.dot", b"digraph", "graphviz"),
    ],
)  # fmt: skip
def test_the_ending_of_out_says_how(name, start, module, run, folder):
    if module:
        pytest.importorskip(module)
    assert run("draw", "--out", name, "--depth", "2") == (0, f"{name}\n", "")
    assert (folder / name).read_bytes()[:100].replace(b"DOCTYPE", b"doctype").startswith(start)


def test_the_graph_that_is_meant(run, folder):
    (folder / "net.txt").write_text("z = w x + b\nL = (z - 1)²\n", encoding="utf-8")
    for arguments, names in [
        (["--depth", "2"], {"w1", "w2", "x", "y", "z2", "f2", "Loss"}),
        (["--depth", "1"], {"w1", "x", "y", "z1", "f1", "Loss"}),
        (["--net", "net.txt"], {"w", "x", "b", "z", "L"}),
        (["--mlp", "2-3-1", "--detail", "neurons"], {"unit 1", "unit 3"}),
    ]:
        assert run("draw", "--force", *arguments)[0] == 0
        shown = {"".join(text.itertext()) for text in ET.parse("graph.svg").iter("{http://www.w3.org/2000/svg}tspan")}
        assert names <= shown


def test_numbers_and_seeds(run, folder):
    def written(*arguments):
        assert run("draw", "--force", *arguments)[0] == 0
        return (folder / "graph.svg").read_text(encoding="utf-8")

    assert ">0.875<" in written("--at", "w1=0.875", "x=−1.25") and ">−1.25<" in written(
        "--at", "x=-1.25", "--at", "y=2"
    )
    assert written("--seed", "1") == written("--seed", "1") != written("--seed", "2")
    assert written("--mlp", "2-3-1", "--seed", "1") != written("--mlp", "2-3-1", "--seed", "2")


@pytest.mark.parametrize("detail", ["values", "folded", "neurons", "layers"])
def test_the_detail_is_heeded(detail, run, folder):
    assert run("draw", "--mlp", "2-3-1", "--detail", detail)[0] == 0
    ids = re.findall(r'<g data-id="([^".]*)" transform', (folder / "graph.svg").read_text(encoding="utf-8"))
    assert ("layer1" in ids) == (detail == "layers")
    assert len(ids) == {"values": 40, "folded": 33, "neurons": 7, "layers": 4}[detail]


def test_as_text(run, folder):
    status, out, err = run("draw", "--text", "--depth", "1")
    assert (status, err) == (0, "") and list(folder.iterdir()) == []
    assert [line.lstrip("├─└│ ").split("  ")[0] for line in out.splitlines()] == [
        "pow Loss", "−", "y", "tanh f1", "× z1", "w1", "x", "2"
    ]  # fmt: skip


def test_as_text_in_the_detail_asked_for(run):
    values, folded = (run("draw", "--text", "--detail", detail)[1] for detail in ("values", "folded"))
    assert values.startswith("pow Loss") and folded.startswith("( )² Loss")


@pytest.mark.parametrize("detail", ["neurons", "layers"])
def test_as_text_there_are_no_networks_and_that_is_said(detail, run):
    refused(run("draw", "--text", "--mlp", "2-3-1", "--detail", detail))


# ---- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "sizes", ["", "2", "2-", "-3", "2--3", "0-1", "1-0", "1001-1", "2-a", "²-1", "2-3.5", "2 - 3", "2,3", "2-16-16-1e3"]
)
def test_bad_sizes(sizes, command, run, folder):
    status, out, err = run(command, f"--mlp={sizes}")
    assert (status, out) == (2, "") and list(folder.iterdir()) == []
    assert err.endswith(f"error: argument --mlp: {sizes!r} is not sizes of layers, as 2-16-16-1\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--depth", "0"], "argument --depth: '0' is not a whole number from 1 to 100"),
        (["--depth", "101"], "argument --depth: '101' is not a whole number from 1 to 100"),
        (["--mlp", "2-3", "--depth", "2"], "argument --depth: not allowed with argument --mlp"),
        (["--net", "a", "--mlp", "2-3"], "argument --mlp: not allowed with argument --net"),
        (["--at", "w1"], "argument --at: 'w1' is not NAME=NUMBER (formulas stand before --at)"),
        (["--at", "w1=inf"], "argument --at: 'w1=inf' is not NAME=NUMBER (formulas stand before --at)"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_bad_arguments(arguments, text, command, run, folder):
    status, out, err = run(command, *arguments)
    assert (status, out) == (2, "") and list(folder.iterdir()) == []
    assert err.startswith(f"usage: micrograd-like {command} ") and err.endswith(f"error: {text}\n")


OUTSIDE = "is not defined: the logarithm needs x ≥ 0; choose another point with --at or --seed"


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_that_cannot_be_read_or_computed(command, run, folder):
    (folder / "empty.txt").write_text("")
    (folder / "nameless.txt").write_text("a*b + c\n")
    (folder / "log.txt").write_text("L = log(x)\n")
    for arguments, text in [
        (["--net", "missing.txt"], "missing.txt: No such file or directory"),
        (["--net", "empty.txt"], "empty.txt has no line: write name = expression, and the loss last"),
        (["--net", "nameless.txt"],
         "nameless.txt, line 1: there is no name before '='; a line is name = expression"),
        (["--net", "log.txt", "--at", "x=-1"],
         f"log.txt, line 1: log(x = -1.0) {OUTSIDE}"),
        (["--at", "zz=1"], "--at zz: unknown name 'zz'; there are w1, x, w2, w3, y (did you mean y?)"),
        (["--mlp", "2-3", "--at", "x=1"],
         "--at gives numbers to the leaves of --depth and --net; those of --mlp follow --seed"),
    ]:  # fmt: skip
        refused(run(command, *arguments), text)
    assert not list(folder.glob("*.svg")) + list(folder.glob("*.html"))


@pytest.mark.parametrize("name", ["graph.jpg", "graph", "graph.svg.gz"])
def test_other_endings(name, run, folder):
    refused(run("draw", "--out", name), f"a drawing is saved as .svg, .png, .pdf, .html, .dot, not as {name!r}")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["page.svg", "page.png", "page"])
def test_a_page_is_not_written_into_what_is_none(name, run, folder):
    refused(run("explore", "--out", name))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_is_missing_is_named_as_it_was_given(command, run, folder):
    name = str(Path("missing", DEFAULT[command]))
    assert re.match(rf"micrograd-like: ({re.escape(name)}|missing)\b", refused(run(command, "--out", name)))
    (folder / "file").write_text("")
    name = str(Path("file", DEFAULT[command]))
    assert re.match(rf"micrograd-like: ({re.escape(name)}|file)\b", refused(run(command, "--out", name)))
    assert [file.name for file in folder.iterdir()] == ["file"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_a_folder_is_no_file(force, command, run, folder):
    (folder / DEFAULT[command]).mkdir()
    err = refused(run(command, *force))
    assert DEFAULT[command] in err and f".{DEFAULT[command]}" not in err
    assert "--force replaces it" not in err  # it does not
    assert [file.name for file in folder.iterdir()] == [DEFAULT[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_at_all(command, run, folder):
    assert "there already" not in refused(run(command, "--out", ""))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(command, run, folder):
    folder.chmod(0o500)
    assert "Permission denied" in refused(run(command))
    folder.chmod(0o700)


def test_graphs_without_a_network(run, folder):
    (folder / "net.txt").write_text("L = x + y + z\n")
    err = refused(run("draw", "--net", "net.txt", "--detail", "neurons"))
    assert err.startswith("micrograd-like: --detail neurons shows a network, and the graph has none: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_too_large_a_graph(command, run, folder):
    arguments = ["--detail", "values"] if command == "draw" else []
    err = refused(run(command, "--mlp", "64-50-10", *arguments))
    assert "11303 values" in err and re.search(r"\b2000\b", err)
    # what helps is something that can be typed here
    assert not re.search(r"force=True|\(root\)", err)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_layout_program(command, run, folder, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert "no program to lay out the graph: pip install 'micrograd_like[viz]'" in refused(run(command))
    assert list(folder.iterdir()) == []
    assert run("draw", "--text")[0] == run("draw", "--detail", "neurons")[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="scripts are programs elsewhere")
@pytest.mark.parametrize(
    "script", ["#!/bin/sh\nexit 3\n", "\x7fELF", "#!/no/such/interpreter\n", "#!/bin/sh\ncat >/dev/null\necho '{}'\n"]
)
def test_with_a_broken_layout_program(script, run, folder, monkeypatch, tmp_path_factory):
    programs = tmp_path_factory.mktemp("programs")
    (programs / "dot").write_text(script)
    (programs / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert layout.find_program() == programs / "dot"
    assert str(programs / "dot") in refused(run("draw"))
    assert list(folder.iterdir()) == []


def test_a_missing_package_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    refused(run("draw", "--out", "a.png"), "saving as PNG needs resvg_py: pip install 'micrograd_like[viz]'")


# ---- processes ---------------------------------------------------------------------------------------------


def test_the_status_of_the_process():
    done = in_a_process("draw", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "graph.svg\n", "")
    done = in_a_process("draw", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "micrograd-like: graph.svg is there already and was kept; --force replaces it\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell is needed")
@pytest.mark.parametrize("arguments", [["draw"], ["draw", "--text"], ["explore"]], ids=" ".join)
def test_stdout_may_be_closed(arguments):
    """Where there is no stdout, nothing can be printed, and that is no mistake of ours to be told of in a traceback."""
    shell = 'exec "$@" >&-'
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "micrograd_like", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and done.returncode in (0, 1)


@pytest.mark.skipif(os.name == "nt", reason="pipes are other things there")
@pytest.mark.parametrize("arguments", [["draw"], ["draw", "--text", "--depth", "30"]], ids=" ".join)
def test_whoever_reads_may_stop(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = in_a_process(*arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["draw"], ["draw", "--text"], ["explore"]], ids=" ".join)
def test_a_full_disk_under_stdout(arguments):
    with Path("/dev/full").open("w") as full:
        done = in_a_process(*arguments, stdout=full)
    assert (done.returncode, done.stderr) == (2, "micrograd-like: writing the output: No space left on device\n")


def test_a_terminal_that_knows_no_unicode():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = in_a_process("draw", "--text", stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.isascii() and "pow Loss  " in done.stdout


def test_no_colours_where_there_is_no_terminal():
    environment = {name: text for name, text in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    assert "\x1b" not in in_a_process("draw", "--text", stdout=subprocess.PIPE, env=environment).stdout
    environment["FORCE_COLOR"] = "1"
    assert "\x1b[1m" in in_a_process("draw", "--text", stdout=subprocess.PIPE, env=environment).stdout


def test_what_the_commands_write_is_what_the_functions_give(run, folder):
    from micrograd_like.lecture import sample

    assert run("draw", "--mlp", "3-4-2", "--seed", "5", "--detail", "neurons")[0] == 0
    loss = sample([3, 4, 2], 5)
    loss.backward()
    assert (folder / "graph.svg").read_text(encoding="utf-8") == draw(loss, "neurons").svg
