"""Tables of text: a CSV file is read, its columns are understood, and its rows become numbers for a network.

A cell is text without the spaces around it; what stands for a missing value (see `MISSING`) is the empty text.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from pathlib import Path

from .check import read as read_text
from .data import moments

LONGEST = 50_000_000  # characters of a file
LARGEST = 1e150  # of a number: squares, and sums of them, stay finite
MOST = 50  # categories of a column that are told apart
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Table:
    """The content of a CSV file.

    where: what messages call it. names: of its columns. rows: lists of as many cells. lines: where each row ends in
    the file. delimiter: between the cells.
    """

    where: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str

    def column(self, name: str) -> list[str]:
        """The cells of a column. Raises ValueError if there is none of this name."""
        if name not in self.names:
            raise ValueError(f"{self.where} has no column {name!r}; it has {listed(self.names)}")
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def numbers(self, name: str, cure: str = "") -> list[float | None]:
        """The numbers of a column, None where one is missing. cure: what to do about text, beside the usual.

        Raises ValueError, with the line, for a cell that is no number.
        """
        numbers = []
        for cell, line in zip(self.column(name), self.lines, strict=True):
            numbers.append(number(cell))
            if cell and numbers[-1] is None:
                raise ValueError(
                    f"{self.where}, line {line}, column {name!r}: {cell!r:.40} is not a number below {LARGEST:g} in "
                    f"size; correct it, or leave it empty if it is missing{cure}"
                )
        return numbers

    def at(self, places: Sequence[int]) -> "Table":
        """The same with the rows of these places alone."""
        return replace(self, rows=[self.rows[i] for i in places], lines=[self.lines[i] for i in places])


def read(path: Path) -> Table:
    """The table in a CSV file whose first line names the columns; cells are separated by commas, semicolons or tabs.

    Raises ValueError for what is no such table, OSError if the file cannot be read.
    """
    where = str(path)
    with path.open("rb") as file:
        text = read_text(file, where, LONGEST)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{where}, line {line}: a NUL byte, which no text has; save the table as CSV in UTF-8")
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    rows, lines = [], []
    try:
        for cells in reader:
            if not cells:  # an empty line
                continue
            if not names:
                names = [name.strip() for name in cells]
                twice = next((name for name, count in Counter(names).items() if count > 1), None)
                if twice is not None:
                    raise ValueError(f"{where}, line {reader.line_num}: two columns are called {twice!r}; rename one")
                continue
            if len(cells) != len(names):
                raise ValueError(
                    f"{where}, line {reader.line_num}: {len(cells)} cells, and line 1 names {len(names)} columns; "
                    f"a cell that contains {delimiter!r} needs quotes around it"
                )
            rows.append([_cell(cell) for cell in cells])
            lines.append(reader.line_num)
    except csv.Error as error:
        too_long = "field larger" in str(error)
        reason = (
            f"a cell has more than {csv.field_size_limit():,} characters; is a quote left open?" if too_long else error
        )
        raise ValueError(f"{where}, line {reader.line_num}: {reason}") from None
    if not names:
        raise ValueError(f"{where} is empty; its first line should name the columns")
    if not rows:
        raise ValueError(f"{where} names {len(names)} columns and has no rows; add some below its first line")
    return Table(where, names, rows, lines, delimiter)


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in MISSING else text


def number(cell: str) -> float | None:
    """The number that a cell is, if it is one."""
    try:
        x = float(cell)
    except ValueError:
        return None
    return x if isfinite(x) and abs(x) < LARGEST and "_" not in cell else None


def is_numbers(table: Table, name: str) -> bool:
    """Is more than half of what the column has numbers? Raises ValueError if it then has text as well."""
    cells = [cell for cell in table.column(name) if cell]
    if 2 * sum(number(cell) is not None for cell in cells) <= len(cells):
        return False
    table.numbers(name, f", or take the column as text with --text {name!r}")
    return True


# ---- columns as numbers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: shifted and scaled. missing: whether a second number says if the first is missing."""

    name: str
    mean: float
    deviation: float
    missing: bool

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return 1 + self.missing

    def encode(self, table: Table) -> list[list[float]]:
        """`width` numbers for each row; a missing one is at the mean. Raises ValueError for text."""
        return [
            [0.0 if x is None else (x - self.mean) / self.deviation, *([float(x is None)] * self.missing)]
            for x in table.numbers(self.name)
        ]

    def surprise(self, table: Table) -> str:
        """What the rows have that the training part had not, if anything."""
        count = table.column(self.name).count("")
        if not count or self.missing:
            return ""
        return f"{count} missing, as none was in training; the mean {self.mean:.4g} is taken"


@dataclass(frozen=True)
class Categories:
    """A column of text: a number for each of its categories, 1 if it is the one, else 0. The missing value is "".

    What is not among them, because it is rare or was never seen, is 0 everywhere.
    """

    name: str
    categories: list[str]

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return len(self.categories)

    def encode(self, table: Table) -> list[list[float]]:
        """`width` numbers for each row."""
        return [[float(cell == category) for category in self.categories] for cell in table.column(self.name)]

    def surprise(self, table: Table) -> str:
        """What the rows have that is none of the categories, if anything."""
        other = Counter(cell for cell in table.column(self.name) if cell not in self.categories)
        if not other:
            return ""
        named = listed([repr(cell) if cell else "missing" for cell in other])
        return f"{other.total()} rows are none of the categories of training, and taken as such: {named}"


Column = Numbers | Categories


def understand(
    table: Table, training: Sequence[int], skip: Collection[str], keep: Collection[str], text: Collection[str]
) -> tuple[list[Column], list[str]]:
    """The columns to learn from, and what is to be told of them: those with missing values, and those left out.

    training: the places of the rows from which means, deviations and categories are taken. skip: columns that are
    not asked for. keep: columns that stay although they look like identifiers. text: columns whose numbers are names.

    Raises ValueError if a column of numbers has text, or none is left.
    """
    part = table.at(training)
    columns: list[Column] = []
    notes = []
    for name in table.names:
        if name in skip:
            continue
        column, note = _understand(table, part, name, as_text=name in text)
        if column is None:
            note = f"left out: {note}"
        elif name not in keep and (reason := _identifier(table, column)):
            note = f"left out: {reason}; --keep {name!r} keeps it"
        else:
            columns.append(column)
        if note:
            notes.append(f"{name}: {note}")
    if not columns:
        raise ValueError(
            f"{table.where} has no column to learn from. {'; '.join(notes) or 'Add some beside the target'}"
        )
    return columns, notes


def _understand(table: Table, part: Table, name: str, *, as_text: bool) -> tuple[Column | None, str]:
    """The column, or None if it is constant in the training part, and what is to be told of it."""
    cells = part.column(name)
    counts = Counter(cells)
    if len(counts) == 1:
        return None, "always missing" if "" in counts else f"always {cells[0]!r:.40}"
    if as_text or not is_numbers(table, name):
        kept = [cell for cell, _ in counts.most_common(MOST)]
        notes = [f"missing in {counts['']}, which is a category"] if "" in counts else []
        if len(counts) > MOST:
            notes.append(f"{len(counts)} categories, of which the {MOST} most frequent are told apart")
        return Categories(name, sorted(kept)), "; ".join(notes)
    numbers = [x for x in part.numbers(name) if x is not None]
    mean, deviation = moments(numbers)
    if "" not in counts:
        return (Numbers(name, mean, deviation, missing=False), "") if deviation else (None, f"always {mean:g}")
    note = f"missing in {counts['']}: the mean {mean:.4g} instead, and a column that says so"
    return Numbers(name, mean, deviation or 1.0, missing=True), note


def _identifier(table: Table, column: Column) -> str:
    """Why a column looks as if it named its rows, and told nothing of others; empty if it does not."""
    cells = [cell for cell in table.column(column.name) if cell]
    different = len(set(cells))
    if isinstance(column, Categories):
        many = different == len(cells) or different > max(10, len(cells) / 2)
        return f"like an identifier, {different} different texts in {len(cells)} rows" if many else ""
    numbers = [x for x in table.numbers(column.name) if x is not None]
    if different < len(numbers) or not all(x.is_integer() for x in numbers):
        return ""
    named = re.fullmatch(r"|(?i:(.*[\W_])?(id|index|key))|.*[a-z](Id|ID)", column.name)
    # numbers of rows stand in front; a column x = 1, 2, 3 of a table x, y does as well, and is all there is
    counted = column.name == table.names[0] and len(table.names) > 2 and all(b - a == 1 for a, b in pairwise(numbers))
    return "like an identifier, whole numbers that are all different" if named or counted else ""


def encode(columns: Sequence[Column], table: Table) -> list[list[float]]:
    """A row of numbers for each row of the table. Raises ValueError if a column is missing, or has text for numbers."""
    parts = [column.encode(table) for column in columns]
    return [[x for part in row for x in part] for row in zip(*parts, strict=True)]


def listed(names: Sequence[str]) -> str:
    """The names, or the first ten of them and how many more there are."""
    more = f", … ({len(names) - 10} more)" if len(names) > 10 else ""
    return ", ".join(f"{name:.40}" for name in names[:10]) + more
