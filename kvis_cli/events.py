"""Events of a run, for its caller: a console, a report, a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvis_cli.errors import KvisError


class Listener:
    """Called for everything that happens in a run; every method may be overridden."""

    def planned(self, left: Mapping[str, int], finished: int) -> None:
        """Work begins: how many tasks each model has left, how many were done before."""

    def stage(self, text: str) -> None:
        """Take note of a step that takes a while: TensorFlow starts, a model is opened."""

    def starting(self) -> None:
        """TensorFlow is about to be imported, here or in workers."""
        self.stage("starting TensorFlow")

    def note(self, text: str) -> None:
        """Take note of a choice that was made on the user's behalf."""

    def warn(self, text: str) -> None:
        """Something to know before believing the result."""

    def predicted(self, image: str, top: list[tuple[str, float]], head: Any) -> None:
        """Take note of the model's first classes for an image; `head` is its `Head`."""

    def progress(self, done: int, total: int, unit: str = "images") -> None:
        """`done` of `total` images (or steps …) of the task at hand are finished."""

    def wrote(self, path: Path) -> None:
        """Take note of a file that is on disk."""

    def task(self, about: Mapping[str, Any], ok: bool) -> None:
        """Take note of a task that is done or has failed; see `Plan.describe`."""

    def failed(self, what: str, error: KvisError) -> None:
        """Take note of a model or an image that could not be done; the rest goes on."""

    def row(self, row: Any) -> None:
        """Take note of a `kvis_cli.jobs.results.row.ResultRow` that is on disk."""
