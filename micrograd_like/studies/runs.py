"""Studies: many runs, in parallel, kept in a file as they end; and what follows from them, in tables and pictures."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from hashlib import sha256
from importlib import import_module
from inspect import signature
from os import PathLike
from pathlib import Path
from textwrap import fill
from threading import Lock
from typing import Any, Protocol, Self

from .. import __version__
from ..files import check_place, replace, tidy
from ..lazy import need
from ..progress import progress as told_progress
from .learner import native

FORMAT, VERSION = "micrograd_like study", 1
Json = dict[str, Any]


class Study(Protocol):
    """What the module of a study has."""

    LECTURE: str  # what the lecture says of it
    SIZE: tuple[float, float]  # of the picture, in inches

    def tasks(self, *, full: bool, seed: int) -> list[Json]:
        """The parts of the work, each by its settings. Options of a study are further arguments, with defaults."""

    def run(self, task: Json) -> Json:
        """What came out of one, in whatever process; a pure function. Some seconds long at most."""

    def conclude(self, records: list[Json]) -> Json:
        """What follows from the records: each task with its result, in one dict.

        Its key "claims" is a dict from a sentence to whether that holds.
        """

    def report(self, summary: Json) -> str:
        """That as text, without the claims."""

    def table(self, records: list[Json], summary: Json) -> list[Json]:
        """That as rows of a CSV file."""

    def draw(self, figure: Any, records: list[Json], summary: Json) -> None:
        """That as a picture, on a figure of matplotlib."""


class Finished:
    """A study that was done. Printed, it is the report.

    title: of the study. records: each task with its result, in a dict. summary: what was concluded. files: what was
    written.
    """

    def __init__(self, title: str, study: Study, records: list[Json], summary: Json, files: list[Path]):
        self.title, self.records, self.summary, self.files = title, records, summary, files
        self._study = study

    @property
    def holds(self) -> bool:
        """Whether all that is claimed holds in these runs."""
        return all(self.summary["claims"].values())

    def __str__(self) -> str:
        claims = (
            f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}" for claim, holds in self.summary["claims"].items()
        )
        lines = [
            self.title, fill(f"the lecture: {self._study.LECTURE}", 100), "", self._study.report(self.summary),
            "", *(fill(claim, 100, subsequent_indent="    ") for claim in claims), "", *map(str, self.files),
        ]  # fmt: skip
        return "\n".join(lines)


def study(
    name: str,
    out: str | PathLike[str] = "studies",
    *,
    full: bool = False,
    seed: int = 0,
    jobs: int | None = None,
    force: bool = False,
    progress: bool = True,
    **options: Any,
) -> Finished:
    """Do a study, or go on with it, and write what came out.

    name: one of `studies.NAMES`. out: the folder for the files, made if it is not there: NAME.runs.jsonl, NAME.csv,
    NAME.json, NAME.svg and NAME.png.
    full: many more runs, hours instead of a minute or two. seed: of all random numbers.
    jobs: processes at a time; None for all cores, or for what `joblib.parallel_config` says, which can also be a
    cluster.
    force: begin anew where there are runs of another study, or other files of these names.
    progress: tell on stderr how far it is.
    options: those of this study, as `noise` of capacity.

    Each run is kept in NAME.runs.jsonl when it ends, in the order of the tasks: killed at any moment and called again,
    a study goes on where it was, and ends with the bytes that all files would have had without a break, on the same
    machine and with the same versions of what draws.

    Raises ValueError for another name, if the file is damaged or holds runs of another study and `force` is not given;
    TypeError for options that the study has not; ImportError without the extra [study]; OSError if a file cannot be
    written.
    """
    from . import NAMES, TITLES

    if name not in NAMES:
        raise ValueError(f"there is no study {name!r}; choose one of {', '.join(NAMES)}")
    need("studies need", "study", "joblib", "matplotlib", "mpmath", "numpy", "scipy", "sklearn")
    module: Any = import_module(f".{name}", __package__)
    given = signature(module.tasks).bind(full=full, seed=seed, **options)
    given.apply_defaults()
    tasks = module.tasks(**given.kwargs)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    digest = sha256(json.dumps(tasks).encode()).hexdigest()
    header = {
        "format": FORMAT, "version": VERSION, "study": name, "micrograd_like": __version__, **given.kwargs,
        "compiled": native(), "tasks": f"{len(tasks)}, sha256 {digest}",
    }  # fmt: skip
    path = folder / f"{name}.runs.jsonl"
    places = [folder / f"{name}{ending}" for ending in (".csv", ".json", ".svg", ".png")]
    for place in (path, *places):
        check_place(place)
        tidy(place)
        if place.exists() and not path.exists() and not force:
            raise ValueError(f"{place} is there already and was kept; force=True replaces it")
    with Runs(path, header, tasks, force=force) as runs:
        if progress and not header["compiled"] and len(runs.results) < len(tasks):
            print("not compiled, so many times slower: pip install 'micrograd_like[jit]'", file=sys.stderr)
        runs.collect(module.run, jobs, TITLES[name] if progress else None)
    records = [{**task, **result} for task, result in zip(tasks, runs.results, strict=True)]
    summary = module.conclude(records)
    rows = module.table(records, summary)
    contents = [
        _csv(rows),
        f"{json.dumps({**header, 'summary': summary}, indent=1, ensure_ascii=False)}\n".encode(),
        *_pictures(module, records, summary),
    ]
    for place, content in zip(places, contents, strict=True):
        replace(place, content)
    return Finished(TITLES[name], module, records, summary, [path, *places])


class Runs:
    """The results of the tasks so far, in a file of JSON lines: a header, then one for each task, in their order.

    header: what has to be the same for the results to belong together. While it is open, no other process can open it.
    Raises ValueError if one has, if the header is another, or if the file is no such file, unless force.
    """

    def __init__(self, path: Path, header: Json, tasks: Sequence[Json], *, force: bool = False):
        self.path, self.tasks = path, tasks
        first = json.dumps(header)
        self._file = path.open("a+b")
        try:
            self._lock()
            self._file.seek(0)
            content = b"" if force else self._file.read()
            # A process that was killed may have left half a line, even of the first one.
            whole = content[: content.rfind(b"\n") + 1]
            self.results = (
                self._read(whole, json.loads(first)) if whole or not first.encode().startswith(content) else []
            )
            self._file.truncate(len(whole))
            if not whole:
                self._write(first)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows has none
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{self.path} is in use by another process: wait for it, or take another folder") from None

    def _read(self, content: bytes, header: Json) -> list[Json]:
        try:
            found, *results = map(json.loads, content.splitlines())
            known = found["format"] == FORMAT
        except (ValueError, TypeError, KeyError):
            known = False
        if not known:
            raise ValueError(f"{self.path} is damaged, or not the runs of a study; it was kept; force=True replaces it")
        differing = [key for key in {**found, **header} if found.get(key) != header.get(key)]
        if differing:  # the tasks follow from the rest
            told = [f"{key} {found.get(key)!r} there, {header.get(key)!r} here" for key in differing if key != "tasks"]
            raise ValueError(
                f"{self.path} has the runs of another study ({'; '.join(told) or 'its tasks are others'}); it was "
                "kept: take another folder, or force=True begins anew"
            )
        if len(results) > len(self.tasks):
            raise ValueError(f"{self.path} has more runs than there are tasks; force=True begins anew")
        return results

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n".encode())
        self._file.flush()

    def collect(self, run: Callable[[Json], Json], jobs: int | None, title: str | None = None) -> None:
        """Do the tasks that are not done yet, and keep each result. title: of the progress, None for silence."""
        done, total = len(self.results), len(self.tasks)

        def short(result: Any) -> str:
            return f"{len(self.results)} of {total}"

        def line(result: Any) -> str:
            return f"{title}: {short(result)}"

        if title is not None and done:
            print(f"{done} of {total} runs were done before, says {self.path}", file=sys.stderr)
        bar: Any = nullcontext(lambda result: None) if title is None else told_progress(total, done, short, line)
        with bar as show:
            for result in parallel(run, self.tasks[done:], jobs):
                text = json.dumps(result, allow_nan=False)
                self._write(text)
                self.results.append(json.loads(text))
                show(result)


def parallel(run: Callable[[Json], Json], tasks: Sequence[Json], jobs: int | None) -> Iterator[Json]:
    """The results of the tasks in their order, each as soon as it and those before it are there."""
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    if not tasks:
        return
    backend, configured = get_active_backend()
    if jobs is None:
        jobs = configured if configured not in (None, 1) else -1
    streaming = backend.supports_return_generator
    # Else, as with Ray's, all results come at once, and would be lost with this process: so only a few at a time.
    size = len(tasks) if streaming else 4 * backend.effective_n_jobs(jobs)
    with Parallel(n_jobs=jobs, return_as="generator" if streaming else "list") as workers:
        for first in range(0, len(tasks), size):
            yield from workers(delayed(_alone)(run, task) for task in tasks[first : first + size])


_lock = Lock()


def _alone(run: Callable[[Json], Json], task: Json) -> Json:
    """One task at a time in each process: where workers are threads, as a cluster's can be, they share its networks."""
    with _lock:
        return run(task)


def _csv(rows: list[Json]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _pictures(module: Any, records: list[Json], summary: Json) -> list[bytes]:
    """As SVG and PNG, the same bytes each time."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=module.SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        module.draw(figure, records, summary)
        made = []
        for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
            made.append(content.getvalue())
    return made


STYLE: Any = {
    "svg.hashsalt": FORMAT,
    "svg.fonttype": "path",
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e9ecef",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
}
