"""stdout is for results, stderr is for people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from kvis_cli.errors import KvisError
from kvis_cli.jobs.events import Listener

if TYPE_CHECKING:
    from rich.progress import Progress

    from kvis_cli.models.targets import Head

# Lines per image are useful for a few and a flood for thousands.
MAX_PREDICTIONS = 50


def make_console(*, stderr: bool) -> Console:
    """A console that breaks no lines where nobody reads them: in pipes and CI logs."""
    stream = sys.stderr if stderr else sys.stdout
    interactive = stream.isatty()
    return Console(
        stderr=stderr, highlight=False, soft_wrap=not interactive, emoji=False, markup=False
    )


def print_error(error: KvisError, what: str = "") -> None:
    """The three parts of an error on stderr."""
    console = make_console(stderr=True)
    text = Text()
    text.append("error: ", style="bold red")
    if what and what not in error.what:
        text.append(f"{what}: ")
    text.append(error.what)
    if error.why:
        text.append(f" {error.why}")
    console.print(text)
    if error.hint:
        console.print(Text.assemble(("  hint: ", "bold cyan"), error.hint))


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
        if self.quiet:
            return
        if self.console.is_terminal:
            self._end_status()
            self._status = self.console.status(f"{text} …")
            self._status.start()
        else:
            self.console.print(f"{text} …")

    def note(self, text: str) -> None:
        if not self.quiet:
            self._end_status()
            self.console.print(Text(text, style="dim" if self.console.is_terminal else ""))

    def warn(self, text: str) -> None:
        if not self.quiet:
            self._end_status()
            self.console.print(Text.assemble(("warning: ", "bold yellow"), text))

    def predicted(self, image: str, top: list[tuple[str, float]], head: Head) -> None:
        self._predictions += 1
        if self.quiet or self._predictions > MAX_PREDICTIONS:
            return
        self._end_status()
        shown = ", ".join(f"{label} {value:.3f}" for label, value in top)
        self.console.print(Text.assemble((image, "bold"), f": {shown}"))
        if self._predictions == MAX_PREDICTIONS:
            self.console.print("(the predictions of further images are in the manifest)")

    def progress(self, done: int, total: int, unit: str = "images") -> None:
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
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeRemainingColumn(),
                    console=self.console,
                    transient=True,
                )
                self._task = self._progress.add_task(unit, total=total)
                self._progress.start()
            self._progress.update(self._task, completed=done)
            if done >= total:
                self._end_progress()
        elif done == total or done - self._reported >= max(50, total // 20):
            self._reported = done
            self.console.print(f"{done} of {total} {unit}")

    def wrote(self, path: Path) -> None:
        if not self.as_json:
            sys.stdout.write(f"{path}\n")

    def failed(self, what: str, error: KvisError) -> None:
        self._end_status()
        print_error(error, what)

    def row(self, row: dict[str, Any]) -> None:
        if self.as_json:
            self.rows.append(row)

    def close(self) -> None:
        """End whatever moves on the terminal."""
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
