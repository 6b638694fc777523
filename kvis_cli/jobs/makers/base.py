"""What the runner asks of a task that makes pictures without input images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation
from kvis_cli.jobs.results.store import ResultStore


@dataclass(frozen=True)
class Made:
    """A picture that is on disk.

    Attributes
    ----------
    path
        Its file, below the store's folder.
    about
        Its row in the manifest: target, layer, scores; plain JSON values.
    warnings
        What a person must know before believing it.
    """

    path: Path
    about: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Maker(Protocol):
    """Makes the pictures of one task of one model.

    Attributes
    ----------
    notes
        What was chosen on the user's behalf, for people.
    """

    notes: list[str]

    def __call__(self, store: ResultStore, listener: Listener, folder: str) -> Iterator[Made]:
        """Make and write the pictures, one by one; `listener.progress` hears of the steps."""
        ...

    def explanations(self) -> list[Explanation]:
        """Make the pictures and write nothing."""
        ...
