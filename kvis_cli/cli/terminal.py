"""Rich consoles on which nothing of a file is a control character."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from kvis_cli.errors import JobFileError, KvisError
from kvis_cli.shown import shown, shown_lines, true_stream


class ShownConsole(Console):
    """Rich's console, of which only Rich's own control codes reach the terminal.

    Texts should be `shown` before they come here, so that they are measured as they are drawn;
    what was forgotten is replaced here.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render without control characters."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(shown_lines(segment.text), segment.style)

    @property
    def file(self) -> IO[str]:
        """Return the stream that is written to."""
        return true_stream(super().file)

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file


def told(*parts: str | tuple[str, str]) -> Text:
    """Return a line for the terminal: texts, or texts and their styles, none of them markup."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((shown(text), style) for text, style in pairs))


def make_console(*, stderr: bool) -> Console:
    """Return a console that breaks no lines where nobody reads them: in pipes and CI logs."""
    stream = sys.stderr if stderr else sys.stdout
    interactive = stream.isatty()
    return ShownConsole(
        stderr=stderr, highlight=False, soft_wrap=not interactive, emoji=False, markup=False
    )


def print_error(error: KvisError, what: str = "") -> None:
    """Print the three parts of an error on stderr."""
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
