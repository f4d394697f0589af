"""Studies as such: killed, they go on, and end with the same bytes; wherever they run. Of depth, see below."""

import csv
import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from micrograd_like import lazy, studies
from micrograd_like.studies import depth, intervals

FILES = ["depth.csv", "depth.json", "depth.png", "depth.runs.jsonl", "depth.svg"]

# A small part of a study, in whatever process and with whatever workers.
SMALL = """
import json, os, random, signal, sys, time
from micrograd_like import studies
from micrograd_like.studies import depth, runs
whole = depth.tasks

def small(*, full, seed):
    kept = whole(full=full, seed=seed)
    chains, learn = kept[:3], [task for task in kept if task["part"] == "learn" and task["depth"] < 3]
    networks = [{**task, "seeds": [seed, seed + 2]} for task in kept if task["part"] == "network"][::4]
    return chains + networks + [{**task, "seeds": [seed, seed + 3]} for task in learn]

depth.tasks = small
"""


def python(script, *arguments, **settings):
    command = [sys.executable, "-W", "ignore", "-c", SMALL + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of the small study, done in one process and in one go."""
    folder = tmp_path_factory.mktemp("whole")
    python("studies.study('depth', sys.argv[1], jobs=1, progress=False)", folder)
    assert list(contents(folder)) == FILES
    return contents(folder)


LIVES = """
def live():
    studies.study("depth", sys.argv[1], jobs=1, progress=False)

import matplotlib.backends.backend_svg, scipy.stats, sklearn, joblib  # so that a life is short
rng = random.Random(int(sys.argv[2]))
for lives in range(1000):
    life = os.fork()
    if life == 0:
        live()
        os._exit(0)
    time.sleep(rng.uniform(0.0, 0.1 + 0.02 * lives))  # longer and longer, as a task that is killed begins anew
    os.kill(life, signal.SIGKILL)
    _, status = os.waitpid(life, 0)
    if status == 0:
        break
    assert status == signal.SIGKILL, status
    path = f"{sys.argv[1]}/depth.runs.jsonl"
    print(open(path).read().count(chr(10)) - 1 if os.path.exists(path) else -1, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path, whole):
    lives = [int(line) for line in python(LIVES, tmp_path, 0).splitlines()]
    assert contents(tmp_path) == whole
    assert len(lives) > 5 and len(set(lives)) > 3, lives


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_the_same_bytes_from_all_kinds_of_workers(tmp_path, whole, backend):
    """Multiprocessing, like Ray, gives no result before all of a call are there. Threads share their networks."""
    script = """
import joblib
if __name__ == "__main__":
    with joblib.parallel_config(sys.argv[2], n_jobs=2):
        studies.study("depth", sys.argv[1], progress=False)
"""
    python(script, tmp_path, backend)
    assert contents(tmp_path) == whole


DASK = """
import joblib
from dask.distributed import Client, LocalCluster

def compiled():
    from micrograd_like.studies import depth
    return depth._learner.cache_info().misses

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        with joblib.parallel_config("dask"):
            studies.study("depth", sys.argv[1], progress=False)
        print(sum(client.run(compiled).values()), compiled())
"""


def test_on_a_cluster_of_dask(tmp_path, whole):
    pytest.importorskip("distributed")
    there, here = map(int, python(DASK, tmp_path).split())
    assert there > 0 and here == 0  # it was done by the workers
    assert contents(tmp_path) == whole


# ---- what is there already, and what is wrong ------------------------------------------------------


@pytest.fixture
def chains(monkeypatch):
    """A study of a moment: of nothing but the chains."""
    monkeypatch.setattr(
        depth, "tasks", lambda *, full, seed: [{"part": "chain", "size": s, "seed": seed} for s in (1, 2)]
    )
    monkeypatch.setattr(depth, "conclude", lambda records: {"claims": {"there are two": len(records) == 2}})
    monkeypatch.setattr(depth, "report", lambda summary: "the report")
    monkeypatch.setattr(depth, "table", lambda records, summary: [{"size": r["size"]} for r in records])
    monkeypatch.setattr(depth, "draw", lambda figure, records, summary: depth._draw_chain(figure.subplots(), records))


def test_the_command(folder, run, chains, monkeypatch):
    status, out, err = run("study", "depth", "--jobs", "1")
    assert status == 0, err
    title = studies.TITLES["depth"]
    assert out.startswith(f"{title}\nthe lecture: {depth.LECTURE}\n\nthe report\n\nholds: there are two\n")
    assert out.splitlines()[-5:] == [f"studies/depth.{kind}" for kind in ("runs.jsonl", "csv", "json", "svg", "png")]
    assert err.splitlines()[-1] == f"{title}: 2 of 2"
    before = contents(folder / "studies")
    assert list(before) == FILES
    assert [row["size"] for row in csv.DictReader((folder / "studies/depth.csv").read_text().splitlines())] == [
        "1",
        "2",
    ]
    found = json.loads(before["depth.json"])
    assert found["study"] == "depth" and found["seed"] == 0 and found["summary"]["claims"] == {"there are two": True}

    status, out, err = run("study", "depth", "--jobs", "1")  # it was done before
    assert status == 0 and err == "2 of 2 runs were done before, says studies/depth.runs.jsonl\n"
    assert contents(folder / "studies") == before

    status, out, err = run("study", "depth", "--jobs", "1", "--seed", "1")
    assert (status, out) == (2, "")
    assert err == (
        "micrograd-like: studies/depth.runs.jsonl has the runs of another study (seed 0 there, 1 here); it was kept: "
        "take another folder, or --force begins anew\n"
    )
    assert contents(folder / "studies") == before
    monkeypatch.setattr(depth, "conclude", lambda records: {"claims": {"there are three": len(records) == 3}})
    status, out, err = run("study", "depth", "--jobs", "1", "--seed", "1", "--force")
    assert status == 1 and "DOES NOT HOLD: there are three\n" in out


def test_a_torn_line_is_done_again(tmp_path, chains):
    first = studies.study("depth", tmp_path, jobs=1, progress=False)
    assert first.holds
    before = contents(tmp_path)
    path = tmp_path / "depth.runs.jsonl"
    size = len(before[path.name])
    for cut in (1, 30, len(before[path.name].splitlines()[-1]) + 1, size - 40, size):
        path.write_bytes(before[path.name][:-cut])
        studies.study("depth", tmp_path, jobs=1, progress=False)
        assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    [
        b"{}\n",
        b"[1]\n",
        b"3\n",
        b"\xff\n",
        b'{"format": "micrograd_like model"}\n',
        b'{"format": "micrograd_like study", "version": 2',
    ],
)
def test_a_file_that_is_no_study_is_kept(tmp_path, chains, content):
    path = tmp_path / "depth.runs.jsonl"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"depth.runs.jsonl is damaged, or not the runs of a study; it was kept; force"
    ):
        studies.study("depth", tmp_path, progress=False)
    assert path.read_bytes() == content and list(contents(tmp_path)) == [path.name]


def test_other_tasks_are_told(tmp_path, chains, monkeypatch):
    studies.study("depth", tmp_path, jobs=1, progress=False)
    monkeypatch.setattr(depth, "tasks", lambda *, full, seed: [{"part": "chain", "size": 3, "seed": seed}] * 2)
    with pytest.raises(ValueError, match=r"has the runs of another study \(its tasks are others\); it was kept"):
        studies.study("depth", tmp_path, jobs=1, progress=False)


def test_other_files_are_kept(tmp_path, chains):
    (tmp_path / "depth.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"depth.png is there already and was kept; force=True replaces it"):
        studies.study("depth", tmp_path, progress=False)
    assert contents(tmp_path) == {"depth.png": b"mine"}
    studies.study("depth", tmp_path, jobs=1, progress=False, force=True)
    assert list(contents(tmp_path)) == FILES


def test_a_damaged_result_is_told(tmp_path, chains):
    studies.study("depth", tmp_path, jobs=1, progress=False)
    path = tmp_path / "depth.runs.jsonl"
    header, first, last = path.read_bytes().splitlines(keepends=True)
    for damaged in (header + b"?" + first + last, header + first + last + last):
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=r"depth.runs.jsonl (is damaged|has more runs than there are tasks).*force=True"
        ):
            studies.study("depth", tmp_path, jobs=1, progress=False)
        assert path.read_bytes() == damaged


def test_wrong_names(tmp_path):
    with pytest.raises(ValueError, match="there is no study 'width '; choose one of optima, width, capacity, depth"):
        studies.study("width ", tmp_path)
    with pytest.raises(TypeError, match="noise"):
        studies.study("depth", tmp_path, noise=0.5)
    assert not contents(tmp_path)


def test_the_folder_is_a_file(folder, run):
    (folder / "studies").write_text("")
    assert run("study", "depth") == (2, "", "micrograd-like: --out studies is a file, not a folder\n")


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "find_spec", lambda name: None if name == "scipy" else name)
    with pytest.raises(ImportError, match=r"studies need scipy: pip install 'micrograd_like\[study\]'"):
        studies.study("depth", tmp_path)


def test_one_process_at_a_time(tmp_path, chains):
    pytest.importorskip("fcntl")
    studies.study("depth", tmp_path, jobs=1, progress=False)
    before = contents(tmp_path)
    script = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", script, str(tmp_path / "depth.runs.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match=r"runs.jsonl is in use by another process: wait for it, or take another"):
            studies.study("depth", tmp_path, progress=False, force=True)
        assert contents(tmp_path) == before
        other.communicate(b"\n")
    studies.study("depth", tmp_path, jobs=1, progress=False, force=True)


def test_an_error_in_a_task_loses_nothing(tmp_path, chains, monkeypatch):
    def fails(task):
        if task["size"] == 2:
            raise FloatingPointError("as planted")
        return depth._chain(task)

    with monkeypatch.context() as planted:
        planted.setattr(depth, "run", fails)
        with pytest.raises(FloatingPointError, match="as planted"):
            studies.study("depth", tmp_path, jobs=1, progress=False)
    assert len((tmp_path / "depth.runs.jsonl").read_bytes().splitlines()) == 2
    assert studies.study("depth", tmp_path, jobs=1, progress=False).holds


# ---- intervals -------------------------------------------------------------------------------------


def test_wilson():
    """Wilson's for 0 and 8 of 10: the roots of |p - k/n| = 1.96 sqrt(p (1 - p) / n)."""
    for k, n in ((0, 10), (8, 10), (10, 10), (137, 200)):
        for p in intervals.wilson(k, n):
            assert abs((p - k / n) ** 2 - 1.959963984540054**2 * p * (1 - p) / n) < 1e-12
    assert intervals.wilson(0, 10)[0] == 0.0 and intervals.wilson(10, 10)[1] == 1.0


def test_mean():
    """The textbook's: the 97.5 % quantile of t with 4 degrees of freedom is 2.776445."""
    centre, low, high = intervals.mean([1.0, 2.0, 3.0, 4.0, 5.0])
    assert centre == 3.0 and high - 3.0 == pytest.approx(2.776445 * (2.5 / 5) ** 0.5, rel=1e-6) == 3.0 - low
