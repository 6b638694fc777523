"""What a run tells its caller while it goes: the console, a report, a test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvis_cli.errors import KvisError

if TYPE_CHECKING:
    from kvis_cli.models.targets import Head


class Listener:
    """Hears of everything that happens in a run; every method may be overridden."""

    def stage(self, text: str) -> None:
        """A step that takes a while has begun: starting TensorFlow, opening a model."""

    def note(self, text: str) -> None:
        """A choice that was made on the user's behalf."""

    def warn(self, text: str) -> None:
        """Something to know before believing the result."""

    def predicted(self, image: str, top: list[tuple[str, float]], head: Head) -> None:
        """The model's first classes for an image, with its own outputs."""

    def progress(self, done: int, total: int, unit: str = "images") -> None:
        """`done` of `total` images (or steps …) are finished."""

    def wrote(self, path: Path) -> None:
        """A file is on disk."""

    def failed(self, what: str, error: KvisError) -> None:
        """A model or an image could not be done; the rest goes on."""

    def row(self, row: dict[str, Any]) -> None:
        """A row of the manifest."""
