"""About how wide texts are, in whichever of the usual fonts they will be: rather too wide than too narrow."""

from unicodedata import combining, east_asian_width

# The characters from the space to ~ in DejaVu Sans Bold, the widest of the usual fonts, in hundredths of its size.
_ASCII = """
    35 46 52 84 70 100 87 31 46 46 52 84 38 42 38 37 70 70 70 70 70 70 70 70 70 70 40 40 84 84 84 58 100 77
    76 73 83 68 68 82 84 37 37 77 64 100 84 85 73 85 77 72 68 81 77 110 77 72 73 46 37 46 84 50 50 67 72 59
    72 68 44 72 71 34 34 67 34 104 71 69 72 72 49 60 48 71 65 92 65 65 58 71 37 71 84
"""
_WIDTHS = {chr(32 + i): int(width) / 100.0 for i, width in enumerate(_ASCII.split())}
_WIDTHS |= (
    dict.fromkeys("ЩШЖЮЉЊ", 1.34) | dict.fromkeys("щшжюфФМЫыЪЦДљњœæŒÆŴĦ©®¼½¾ΜΉΏΎ—…⋯", 1.18) | dict.fromkeys("іїјĳ", 0.4)
)


def measured(text: str, size: float) -> float:
    """About how wide the text is."""
    return size * sum(_width(c) for c in text)


def _width(c: str) -> float:
    if combining(c):
        return 0.0
    return _WIDTHS.get(c) or (1.25 if east_asian_width(c) in "WF" else 0.74 if c.islower() else 0.88)


def fitted(text: str, size: float, room: float) -> str:
    """The text, cut with an ellipsis to what fits into `room` pixels."""
    used, marks, end = 0.0, 0, 0
    for i, c in enumerate(text):
        used += size * _width(c)
        marks = marks + 1 if combining(c) else 0
        if used <= room - size * _WIDTHS["…"]:
            end = i + 1
        if used > room or marks > 4:  # a pile of marks leaves the card at its top
            return f"{text[:end]}…"
    return text
