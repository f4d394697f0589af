"""Names of a package that are imported when they are used: who only computes does not wait for the others."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def later(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package. modules: the names, and in which of its modules each of them is."""

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{modules[name]}", package), name)

    return load


def need(who: str, extra: str, *packages: str) -> None:
    """Raise ImportError if one of these is not installed. who: as "studies need"; extra: what brings it."""
    for name in packages:
        if find_spec(name) is None:
            raise ImportError(f"{who} {name}: pip install 'micrograd_like[{extra}]'")
