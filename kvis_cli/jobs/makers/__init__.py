"""Tasks that make pictures from a model alone: atlases, activation maximization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.jobs.makers.base import Maker


def _filters(opened: Any, task: Any, job: Any) -> Maker:
    from kvis_cli.tasks.filters import FiltersMaker

    return FiltersMaker(opened, task, job)


def _maximize(opened: Any, task: Any, job: Any) -> Maker:
    from kvis_cli.tasks.maximize import MaximizeMaker

    return MaximizeMaker(opened, task, job)


MAKERS: dict[str, Callable[..., Maker]] = {"filters": _filters, "maximize": _maximize}
"""Kind of task -> factory ``(opened, task, job) -> Maker``. Filled without importing TensorFlow."""
