"""stdout is for results, stderr is for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kvis_cli.cli.output import print_path
from kvis_cli.errors import JobFileError, KvisError
from kvis_cli.events import Listener
from kvis_cli.shown import shown, shown_lines, true_stream

if TYPE_CHECKING:
    from rich.progress import Progress

    from kvis_cli.models.description.targets import Head

# Lines per image are useful for a few and a flood for thousands.
MAX_PREDICTIONS = 50


class ShownConsole(Console):
    """Rich's console, of which only Rich's own control codes reach the terminal.

    Texts should be `shown` before they come here, so that they are measured as they are drawn;
    what was forgotten is replaced here.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(shown_lines(segment.text), segment.style)

    @property
    def file(self) -> IO[str]:
        return true_stream(super().file)

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def told(*parts: str | tuple[str, str]) -> Text:
    """A line for a person: texts, or texts and their styles, none of them markup."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((shown(text), style) for text, style in pairs))


def make_console(*, stderr: bool) -> Console:
    """A console that breaks no lines where nobody reads them: in pipes and CI logs."""
    stream = sys.stderr if stderr else sys.stdout
    interactive = stream.isatty()
    return ShownConsole(
        stderr=stderr, highlight=False, soft_wrap=not interactive, emoji=False, markup=False
    )


def print_error(error: KvisError, what: str = "") -> None:
    """The three parts of an error on stderr."""
    console = make_console(stderr=True)
    text = told(("error: ", "bold red"), f"{what}: " if what and what not in error.what else "")
    # Only there the line breaks are kvis' own.
    show = shown_lines if isinstance(error, JobFileError) else shown
    text.append(show(error.what))
    if error.why:
        text.append(f" {shown(error.why)}")
    console.print(text)
    if error.hint:
        console.print(told(("  hint: ", "bold cyan"), error.hint))


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
            self._status = self.console.status(told(f"{text} …"))
            self._status.start()
        else:
            self.console.print(told(f"{text} …"))

    def starting(self) -> None:
        from kvis_cli.runtime.cold_start import cold_start_note

        if not self.quiet and (note := cold_start_note()):
            self.note(note)
        super().starting()

    def note(self, text: str) -> None:
        if not self.quiet:
            self._end_status()
            self.console.print(told((text, "dim" if self.console.is_terminal else "")))

    def warn(self, text: str) -> None:
        if not self.quiet:
            self._end_status()
            self.console.print(told(("warning: ", "bold yellow"), text))

    def predicted(self, image: str, top: list[tuple[str, float]], head: Head) -> None:
        self._predictions += 1
        if self.quiet or self._predictions > MAX_PREDICTIONS:
            return
        self._end_status()
        classes = ", ".join(f"{label} {value:.3f}" for label, value in top)
        self.console.print(told((image, "bold"), f": {classes}"))
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
        if not self.as_json:
            print_path(path)

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
