"""Messages and progress on stderr; results are on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvis_cli.cli.output import print_path
from kvis_cli.cli.terminal import make_console, print_error, told
from kvis_cli.errors import KvisError
from kvis_cli.events import Listener
from kvis_cli.shown import shown

if TYPE_CHECKING:
    from rich.progress import Progress

    from kvis_cli.models.description.targets import Head

# Lines per image are useful for a few and a flood for thousands.
MAX_PREDICTIONS = 50


class ConsoleListener(Listener):
    """Shows a run: a progress bar on a terminal, plain lines elsewhere.

    Parameters
    ----------
    quiet
        Only errors on stderr.
    as_json
        Paths are printed at the end as one JSON document instead of as lines.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self.console = make_console(stderr=True)
        self.rows: list[dict[str, Any]] = []
        self._predictions = 0
        self._status: Any = None
        self._progress: Progress | None = None
        self._reported = 0

    def stage(self, text: str) -> None:
        """See `Listener`."""
        if self.quiet:
            return
        if self.console.is_terminal:
            self._end_status()
            self._status = self.console.status(told(f"{text} …"))
            self._status.start()
        else:
            self.console.print(told(f"{text} …"))

    def starting(self) -> None:
        """See `Listener`."""
        from kvis_cli.runtime.cold_start import cold_start_note

        if not self.quiet and (note := cold_start_note()):
            self.note(note)
        super().starting()

    def note(self, text: str) -> None:
        """See `Listener`."""
        if not self.quiet:
            self._end_status()
            self.console.print(told((text, "dim" if self.console.is_terminal else "")))

    def warn(self, text: str) -> None:
        """See `Listener`."""
        if not self.quiet:
            self._end_status()
            self.console.print(told(("warning: ", "bold yellow"), text))

    def predicted(self, image: str, top: list[tuple[str, float]], head: Head) -> None:
        """See `Listener`."""
        self._predictions += 1
        if self.quiet or self._predictions > MAX_PREDICTIONS:
            return
        self._end_status()
        classes = ", ".join(f"{label} {value:.3f}" for label, value in top)
        self.console.print(told((image, "bold"), f": {classes}"))
        if self._predictions == MAX_PREDICTIONS:
            self.console.print("(the predictions of further images are in the manifest)")

    def progress(self, done: int, total: int, unit: str = "images") -> None:
        """See `Listener`."""
        if self.quiet or total < 2:
            return
        if self.console.is_terminal:
            if self._progress is None:
                from rich.progress import (
                    BarColumn,
                    MofNCompleteColumn,
                    Progress,
                    TextColumn,
                    TimeRemainingColumn,
                )

                self._progress = Progress(
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeRemainingColumn(),
                    console=self.console,
                    transient=True,
                )
                self._task = self._progress.add_task(shown(unit), total=total)
                self._progress.start()
            self._progress.update(self._task, completed=done)
            if done >= total:
                self._end_progress()
        elif done == total or done - self._reported >= max(50, total // 20):
            self._reported = done
            self.console.print(told(f"{done} of {total} {unit}"))

    def wrote(self, path: Path) -> None:
        """See `Listener`."""
        if not self.as_json:
            print_path(path)

    def failed(self, what: str, error: KvisError) -> None:
        """See `Listener`."""
        self._end_status()
        print_error(error, what)

    def row(self, row: Any) -> None:
        """See `Listener`."""
        if self.as_json:
            self.rows.append(row.to_json())

    def close(self) -> None:
        """End progress bars and status lines."""
        self._end_status()
        self._end_progress()
        sys.stdout.flush()

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
