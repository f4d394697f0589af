"""Terminals, with or without colours."""

import os
from typing import TextIO


def has_colors(file: TextIO) -> bool:
    """Is it a terminal, and does nobody ask for no colours (https://no-color.org)? FORCE_COLOR asks for them anyway."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (file.isatty() and os.environ.get("TERM") != "dumb")
