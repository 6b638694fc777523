"""Results on stdout. Rich is imported only for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kvis_cli.shown import json_text, shown, true_stream

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

# The variables that Rich reads when its output is not a terminal.
_AS_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
# A text, or a text and its style.
Cell = str | tuple[str, str]


@dataclass(frozen=True)
class Column:
    """A column: one that `folds` gives way where the terminal is too narrow."""

    header: str
    justify: Literal["left", "center", "right"] = "left"
    folds: bool = False


@dataclass
class Table:
    """A table; every row has a cell per column."""

    columns: Sequence[Column]
    title: str = ""
    rows: list[Sequence[Cell]] = field(default_factory=list)


def print_table(table: Table) -> None:
    """Print a table, as wide as its content; a terminal gets it folded into its width."""
    table = _shown(table)
    rows = _aligned(table)
    lines = ["  ".join(text for text, _ in row).rstrip() for row in rows]
    if _is_plain():
        sys.stdout.write("\n".join([table.title, *lines] if table.title else lines) + "\n")
        return

    from rich.cells import cell_len
    from rich.text import Text

    console = _console()
    if max(map(cell_len, lines)) > console.width:
        console.print(_as_rich(table))
        return
    texts = [Text("  ").join(Text(*cell) for cell in row) for row in rows]
    console.print(Text("\n").join([Text(table.title, "italic"), *texts] if table.title else texts))


def print_json(document: Any) -> None:
    """Print a JSON document."""
    sys.stdout.write(json_text(document, indent=2) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Print a line; a terminal gets it folded between words."""
    text = shown(text)
    if _is_plain():
        sys.stdout.write(f"{text}\n")
    else:
        _console().print(text)


def print_path(path: Path) -> None:
    """Print a path: its very bytes for a program, text without controls for a terminal."""
    stream = true_stream(sys.stdout)
    buffer = getattr(stream, "buffer", None)
    if buffer is None or stream.isatty():
        stream.write(f"{shown(path) if stream.isatty() else path}\n")
        return
    stream.flush()
    buffer.write(os.fsencode(path) + b"\n")


def _shown(table: Table) -> Table:
    columns = [replace(column, header=shown(column.header)) for column in table.columns]
    made = Table(columns, shown(table.title))
    made.rows = [[(shown(t), style) for t, style in map(_styled, row)] for row in table.rows]
    return made


def _is_plain() -> bool:
    """Whether stdout is neither a terminal nor told to behave like one by the environment."""
    return not (sys.stdout.isatty() or any(os.environ.get(name) for name in _AS_TERMINAL))


def _console() -> Console:
    from kvis_cli.cli.terminal import make_console

    return make_console(stderr=False)


def _aligned(table: Table) -> list[list[tuple[str, str]]]:
    """Rows of equally wide cells: ten times as fast as Rich, which can fold."""
    from rich.cells import cell_len

    columns = []
    for index, column in enumerate(table.columns):
        cells = [(column.header, "bold"), *(_styled(row[index]) for row in table.rows)]
        sizes = [cell_len(text) for text, _ in cells]
        width = max(sizes)
        columns.append(
            [
                (_padded(text, width - size, column.justify), style)
                for (text, style), size in zip(cells, sizes, strict=True)
            ]
        )
    return [list(row) for row in zip(*columns, strict=True)]


def _styled(cell: Cell) -> tuple[str, str]:
    return (cell, "") if isinstance(cell, str) else cell


def _padded(text: str, room: int, justify: str) -> str:
    left = {"left": 0, "center": room // 2, "right": room}[justify]
    return " " * left + text + " " * (room - left)


def _as_rich(table: Table) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(
        title=table.title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for column in table.columns:
        made.add_column(
            column.header,
            justify=column.justify,
            overflow="fold" if column.folds else "ellipsis",
            no_wrap=not column.folds,
        )
    for row in table.rows:
        made.add_row(*(Text(*_styled(cell)) for cell in row))
    return made
