"""Results on stdout: drawn line by line where they fit, by Rich where they must be folded."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from kvis_cli.cli.output import Column, Table, print_line, print_table

ROWS = [("1", "base/conv5_block3_out", ("★", "bold")), ("100", "熊", "")]


@pytest.fixture
def table():
    columns = [Column("#", "right"), Column("path", folds=True), Column("cam", "center")]
    return Table(columns, title="熊 and others", rows=list(ROWS))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rendered(width: int) -> str:
    """The same table by Rich."""
    made = RichTable(title="熊 and others", title_justify="left", box=None, pad_edge=False)
    made.add_column("#", justify="right", no_wrap=True)
    made.add_column("path", overflow="fold")
    made.add_column("cam", justify="center", no_wrap=True)
    for number, path, mark in ROWS:
        made.add_row(number, path, Text(*mark) if isinstance(mark, tuple) else mark)
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(made)
    return stream.getvalue()


def trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()]


def test_a_table_in_a_pipe_is_as_wide_as_its_content(table, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stdout", stream := io.StringIO())
    print_table(table)
    assert trimmed(stream.getvalue()) == trimmed(rendered(200))


@pytest.mark.parametrize("width", [80, 20])
def test_a_table_on_a_terminal_fits_into_it(table, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    print_table(table)
    assert trimmed(stream.getvalue()) == trimmed(rendered(width))


def test_cells_keep_their_colours(table, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    print_table(table)
    assert "\x1b[1m" in stream.getvalue()


def test_a_pipe_gets_colours_only_when_asked(table, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", plain := io.StringIO())
    print_table(table)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", coloured := io.StringIO())
    print_table(table)
    assert "\x1b" not in plain.getvalue() and "\x1b[1m" in coloured.getvalue()
    assert trimmed(plain.getvalue()) == trimmed(coloured.getvalue())


def test_a_line_is_folded_only_on_a_terminal(monkeypatch):
    text = "one [bold]line[/] of many words :smile:"
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    print_line(text)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_line(text)
    assert pipe.getvalue() == text + "\n"
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 20 and " ".join(line.rstrip() for line in lines) == text
