"""A `graphviz.Digraph` that finds the program. Apart from `dot` because it needs graphviz to be installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import graphviz
from graphviz.backend import dot_command

from .layout import find_program


@contextmanager
def _program() -> Iterator[None]:
    before = dot_command.DOT_BINARY
    dot_command.DOT_BINARY = find_program()
    try:
        yield
    except (graphviz.CalledProcessError, BrokenPipeError) as error:  # the latter if it ends before it has read all
        raise RuntimeError(f"{dot_command.DOT_BINARY} failed: {getattr(error, 'stderr', b'')!r:.200}") from error
    finally:
        dot_command.DOT_BINARY = before


class Digraph(graphviz.Digraph):  # type: ignore[misc]  # graphviz ships no types
    """`graphviz.Digraph` with `pipe` and `render` working wherever either program is."""

    def pipe(self, *args: Any, **options: Any) -> Any:
        with _program():
            return super().pipe(*args, **options)

    def render(self, *args: Any, **options: Any) -> Any:
        with _program():
            return super().render(*args, **options)
