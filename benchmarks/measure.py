"""Timing, and tables of ratios with the bars that they have to meet."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The median wall time of `work`."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def alternating(first: Callable[[], object], second: Callable[[], object], repeats: int = 3):
    """Median wall times of two works, measured in turns so that both see the same machine."""
    a, b = [], []
    for _ in range(repeats):
        a.append(seconds(first, 1))
        b.append(seconds(second, 1))
    return statistics.median(a), statistics.median(b)


@dataclass
class Report:
    """A table of measurements; a row may have a bar."""

    title: str
    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def add(self, what: str, value: str, bar: str = "", ok: bool | None = None) -> None:
        """Enter a measurement."""
        self.rows.append((what, value, bar, ok))

    def at_most(self, what: str, value: float, bar: float, unit: str = "×") -> None:
        """Enter a value that must not exceed its bar."""
        self.add(what, f"{value:.2f} {unit}", f"≤ {bar:g} {unit}", value <= bar)

    def at_least(self, what: str, value: float, bar: float, unit: str = "×") -> None:
        """Enter a value that must reach its bar."""
        self.add(what, f"{value:.2f} {unit}", f"≥ {bar:g} {unit}", value >= bar)

    def show(self) -> int:
        """Print the table; 1 when a bar was missed."""
        table = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        for name in ("what", "measured", "bar", ""):
            table.add_column(name)
        for what, value, bar, ok in self.rows:
            table.add_row(what, value, bar, "" if ok is None else "✓" if ok else "✗ missed")
        Console(width=120).print(table)
        return int(any(ok is False for *_, ok in self.rows))
