"""Tables on stdout: drawn line by line where they fit, by Rich where they must be folded."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvis_cli.cli.console import print_table


@pytest.fixture
def table():
    made = Table(title="熊 and others", title_justify="left", box=None, pad_edge=False)
    made.add_column("#", justify="right", no_wrap=True)
    made.add_column("path", overflow="fold")
    made.add_column("cam", justify="center")
    made.add_row("1", "base/conv5_block3_out", Text("★", style="bold"))
    made.add_row("100", "熊", "")
    return made


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rendered(table: Table, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(table)
    return stream.getvalue()


def trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()]


def test_a_table_in_a_pipe_is_as_wide_as_its_content(table, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stdout", stream := io.StringIO())
    print_table(table)
    assert trimmed(stream.getvalue()) == trimmed(rendered(table, 200))


@pytest.mark.parametrize("width", [80, 20])
def test_a_table_on_a_terminal_fits_into_it(table, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    print_table(table)
    assert trimmed(stream.getvalue()) == trimmed(rendered(table, width))


def test_cells_keep_their_colours(table, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", stream := Terminal())
    print_table(table)
    assert "\x1b[1m" in stream.getvalue()
