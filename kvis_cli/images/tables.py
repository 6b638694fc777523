"""CSV tables about images."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvis_cli.errors import SpecError, UnknownNameError

MAX_CSV = 64 * 1024 * 1024


@dataclass(frozen=True)
class CsvRow:
    """One row of a table.

    Attributes
    ----------
    cells
        Column to text, without blanks around it.
    line
        Its last line in the file, from 1, for messages.
    """

    cells: dict[str, str]
    line: int


@dataclass(frozen=True)
class CsvTable:
    """A table that was read: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[CsvRow]


def read_csv(path: Path, needed: Sequence[str] = ()) -> CsvTable:
    """Read a CSV file whose first line names the columns; the delimiter is ``,``, ``;`` or a tab.

    Parameters
    ----------
    path
        The file, UTF-8.
    needed
        Columns that have to be there.

    Returns
    -------
    Table
        The columns, and a row per line of the file.

    Raises
    ------
    SpecError
        For a file that is missing, too large, not UTF-8 or empty, or a broken row.
    UnknownNameError
        For a column that is not there.
    """
    try:
        if path.stat().st_size > MAX_CSV:
            raise SpecError(f"'{path}' is larger than {MAX_CSV // 2**20} MiB.")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SpecError(f"Cannot read '{path}'.", f"{error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SpecError(f"'{path}' is not UTF-8 text.", "", "Save it as UTF-8.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [name for name in reader.fieldnames or [] if name]
    if not columns:
        raise SpecError(f"'{path}' is empty.", "", "Its first line names the columns.")
    for column in needed:
        if column not in columns:
            hint = f"It has the columns {', '.join(columns[:20])}."
            raise UnknownNameError.of("column", column, columns, where=f"in {path}", hint=hint)
    try:
        return CsvTable(
            columns,
            [
                CsvRow({name: (row.get(name) or "").strip() for name in columns}, reader.line_num)
                for row in reader
            ],
        )
    except csv.Error as error:
        raise SpecError(f"{path}:{reader.line_num}: {error}.") from None
