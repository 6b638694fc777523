"""How a whole job is shown: a live table on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.output import print_path
from kvis_cli.cli.terminal import told
from kvis_cli.errors import KvisError
from kvis_cli.shown import json_text, shown

if TYPE_CHECKING:
    from kvis_cli.jobs.running.runner import Outcome

# Lines of progress that a log gets.
LOG_LINES = 20
# Models that the live table shows: those at work, failed or next.
TABLE_ROWS = 12


class JobConsole(ConsoleListener):
    """Shows a job.

    Parameters
    ----------
    quiet
        Only errors on stderr.
    as_json
        Events as JSON lines on stdout, instead of paths.
    folder
        Where the results go.
    """

    def __init__(self, *, quiet: bool, as_json: bool, folder: Path) -> None:
        super().__init__(quiet=quiet, as_json=as_json)
        self.folder = folder
        self.total: Counter[str] = Counter()
        self.ok: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self._began = self._first = time.monotonic()
        self._notes: set[str] = set()
        self._stage_text = ""
        self._live: Live | None = None
        self._next_line = 0

    def planned(self, left: Mapping[str, int], finished: int) -> None:
        """See `Listener`."""
        self.total.update(left)
        todo = sum(left.values())
        self._event("planned", left=dict(left), todo=todo, finished=finished)
        if self.quiet:
            return
        before = f", {finished} done before" if finished else ""
        self.console.print(told(f"{todo} tasks of {len(left)} models to do{before}"))
        if self.console.is_terminal and todo:
            self._live = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=4
            )
            self._live.start()

    def stage(self, text: str) -> None:
        """See `Listener`."""
        self._stage_text = text
        if not self.quiet and self._live is None:
            self.console.print(told(f"{text} …"))

    def note(self, text: str) -> None:
        """See `Listener`."""
        # Every worker that opens a model says the same about it.
        if text not in self._notes:
            self._notes.add(text)
            super().note(text)

    def warn(self, text: str) -> None:
        """See `Listener`."""
        self._event("warning", text=text)
        super().warn(text)

    def progress(self, done: int, total: int, unit: str = "images") -> None:
        """Tasks are counted instead."""

    def wrote(self, path: Path) -> None:
        """See `Listener`."""
        self._event("wrote", file=str(path))
        # Paths are for programs; a person at a terminal has the table.
        if not self.as_json and not sys.stdout.isatty():
            print_path(path)

    def task(self, about: Mapping[str, Any], ok: bool) -> None:
        """See `Listener`."""
        if not self.ok and not self.bad:
            self._first = time.monotonic()
        (self.ok if ok else self.bad)[about["model"]] += 1
        self._event("task", ok=ok, **about)
        if self._live is None and not self.quiet:
            self._line()

    def failed(self, what: str, error: KvisError) -> None:
        """See `Listener`."""
        self._event("failed", what=what, error=str(error), kind=type(error).__name__)
        super().failed(what, error)

    def row(self, row: Any) -> None:
        """Rows are in the manifest; events say which files there are."""

    def ended(self, outcome: Outcome) -> None:
        """Say how it all went."""
        seconds = time.monotonic() - self._began
        done, bad = sum(self.ok.values()), sum(self.bad.values())
        self._event(
            "end",
            exit_code=int(outcome.exit_code),
            done=done,
            failed=bad,
            finished_before=outcome.skipped,
            seconds=round(seconds, 3),
            folder=str(outcome.folder),
        )
        if not self.quiet:
            failed = f", {bad} failed" if bad else ""
            before = f", {outcome.skipped} done before" if outcome.skipped else ""
            self.console.print(
                told(f"{done} tasks done{failed}{before} in {seconds:.1f} s: {outcome.folder}")
            )

    def close(self) -> None:
        """End the live table."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        super().close()

    def _event(self, name: str, **values: Any) -> None:
        if self.as_json:
            sys.stdout.write(json_text({"event": name, **values}) + "\n")
            sys.stdout.flush()

    def _line(self) -> None:
        finished = sum(self.ok.values()) + sum(self.bad.values())
        total = sum(self.total.values())
        if finished >= self._next_line or finished == total:
            self._next_line = finished + max(1, total // LOG_LINES)
            bad = sum(self.bad.values())
            failed = f", {bad} failed" if bad else ""
            line = f"{finished} of {total} tasks{failed}{self._left(finished, total)}"
            self.console.print(told(line))

    def _left(self, finished: int, total: int) -> str:
        """Return the time that is left, by the pace since the first task was done."""
        pace = (time.monotonic() - self._first) / (finished - 1) if finished > 1 else 0.0
        seconds = round(pace * (total - finished))
        if not seconds:
            return ""
        minutes, seconds = divmod(seconds, 60)
        return f", about {minutes}:{seconds:02d} left"

    def _render(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("model", overflow="ellipsis", no_wrap=True)
        for name in ("done", "failed", "left"):
            table.add_column(name, justify="right")
        names = [Path(model).name for model in self.total]
        left = {m: n - self.ok[m] - self.bad[m] for m, n in self.total.items()}
        at_work = [m for m in left if left[m] < self.total[m] or self.bad[m]]
        drawn = [m for m in at_work if left[m] or self.bad[m]][-TABLE_ROWS:]
        drawn += [m for m in left if m not in at_work][: TABLE_ROWS - len(drawn)]
        for model in [m for m in left if m in drawn]:
            name = Path(model).name if names.count(Path(model).name) == 1 else model
            bad = Text(str(self.bad[model] or ""), style="bold red")
            table.add_row(shown(name), str(self.ok[model]), bad, str(left[model] or ""))
        finished, total = sum(self.ok.values()) + sum(self.bad.values()), sum(self.total.values())
        summary = f"{finished} of {total} tasks{self._left(finished, total)}"
        stage = f"  ({self._stage_text} …)" if self._stage_text and not finished else ""
        return Group(table, told((summary + stage, "bold")))
