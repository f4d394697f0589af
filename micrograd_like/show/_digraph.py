"""A `graphviz.Digraph` that finds the program. Apart from `dot` because it needs graphviz to be installed."""

import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import graphviz
from graphviz.backend import dot_command


def find_program() -> Path:
    """Graphviz's `dot` if it is on the PATH, else graphviz-pure beside this Python or on the PATH.

    Raises RuntimeError if neither is there.
    """
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("dot") or shutil.which("graphviz-pure", path=scripts) or shutil.which("graphviz-pure")
    if found is None:
        raise RuntimeError(
            "no program to lay out the graph: pip install 'micrograd_like[viz]' brings graphviz-pure; "
            "or install Graphviz itself (apt-get install graphviz, brew install graphviz); "
            "the graph's text is in .source meanwhile"
        )
    return Path(found)


@contextmanager
def _program() -> Iterator[None]:
    before = dot_command.DOT_BINARY
    dot_command.DOT_BINARY = find_program()
    try:
        yield
    except graphviz.CalledProcessError as error:
        raise RuntimeError(f"{dot_command.DOT_BINARY} failed: {(error.stderr or b'')!r:.200}") from error
    finally:
        dot_command.DOT_BINARY = before


class Drawing(graphviz.Digraph):  # type: ignore[misc]  # graphviz ships no types
    """`graphviz.Digraph` with `pipe` and `render` working wherever either program is."""

    def pipe(self, *args: Any, **options: Any) -> Any:
        with _program():
            return super().pipe(*args, **options)

    def render(self, *args: Any, **options: Any) -> Any:
        with _program():
            return super().render(*args, **options)
