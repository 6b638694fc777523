"""A picture of a task without images, as it is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation
from kvis_cli.jobs.results.store import ResultStore

if TYPE_CHECKING:
    from kvis_cli.spec.job import TaskSpec


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
        What the user must know before believing it.
    """

    path: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where the pictures of a task go.

    Attributes
    ----------
    store
        The result folder.
    folder
        Subfolder of it, empty for none.
    title
        The model's name, for a sheet.
    listener
        Called with the scores.
    """

    store: ResultStore
    folder: str
    title: str
    listener: Listener


class Writer(Protocol):
    """Writes the explanations of an answer of a task without images."""

    def __call__(
        self, explanations: list[Explanation], spec: TaskSpec, place: Place
    ) -> Iterator[Made]:
        """Write and yield the pictures, one by one."""
        ...


def number(value: Any) -> float | None:
    """Return a float for JSON, which knows neither NaN nor infinity."""
    return float(value) if np.isfinite(value) else None
