"""Files that are written as a whole or not at all."""

import os
import tempfile
from errno import EISDIR, ENOENT, ENOTDIR
from pathlib import Path
from zlib import crc32


def check_place(path: Path) -> None:
    """Raise OSError if no file can be at this path: a folder is there, or the folder around it is missing."""
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if not path.parent.is_dir():  # or the error would name a file that nobody has heard of
        kind, code = (NotADirectoryError, ENOTDIR) if path.parent.exists() else (FileNotFoundError, ENOENT)
        raise kind(code, os.strerror(code), str(path.parent))


def replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it. Raises OSError, and then leaves the file that was there."""
    check_place(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or the name may survive a power cut, and the content not
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's are readable by their owner alone
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def tidy(path: Path) -> None:
    """Remove what a process left beside the file that was killed while it wrote it. Raises OSError."""
    if path.parent.is_dir():
        for left in path.parent.iterdir():
            if left.name.startswith(_prefix(path)):
                left.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """How the names of its temporary files begin, and of no other's: names are cut, so a checksum tells them apart."""
    return f".{path.name[:40]}.{crc32(os.fsencode(path.name)):08x}."
