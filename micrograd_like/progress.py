"""Long work tells on stderr how far it is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(
    total: int, done: int, short: Callable[[Any], str], line: Callable[[Any], str]
) -> Iterator[Callable[[Any], None]]:
    """The function to call with each part that is done: it shows a bar in a terminal if rich is there, else ten lines.

    total, done: how many parts there are, and were done before. short, line: what to write of a part beside the bar,
    and on a line.
    """
    if sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ImportError:
            print("pip install 'micrograd_like[train]' brings a progress bar", file=sys.stderr)
        else:
            with Progress(console=Console(stderr=True)) as bar:
                task = bar.add_task("", total=total, completed=done)
                yield lambda part: bar.update(task, advance=1, description=short(part))
            return

    def show(part: Any) -> None:
        nonlocal done
        done += 1
        if done * 10 // total > (done - 1) * 10 // total:
            print(line(part), file=sys.stderr, flush=True)

    yield show
