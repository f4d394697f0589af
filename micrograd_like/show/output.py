"""Where pictures go: files, which are written as a whole or not at all, and terminals, with or without colours."""

import os
import tempfile
from errno import EISDIR, ENOENT, ENOTDIR
from pathlib import Path
from typing import TextIO


def replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it. Raises OSError, and then leaves the file that was there."""
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if not path.parent.is_dir():  # or the error would name a file that nobody has heard of
        kind, code = (NotADirectoryError, ENOTDIR) if path.parent.exists() else (FileNotFoundError, ENOENT)
        raise kind(code, os.strerror(code), str(path.parent))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's are readable by their owner alone
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def has_colors(file: TextIO) -> bool:
    """Is it a terminal, and does nobody ask for no colours (https://no-color.org)? FORCE_COLOR asks for them anyway."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (file.isatty() and os.environ.get("TERM") != "dumb")
