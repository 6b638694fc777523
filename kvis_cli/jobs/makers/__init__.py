"""Tasks that make pictures from a model alone: atlases, activation maximization."""

from __future__ import annotations

from collections.abc import Callable

from kvis_cli.jobs.makers.base import Maker

MAKERS: dict[str, Callable[..., Maker]] = {}
"""Kind of task -> factory ``(opened, task, job) -> Maker``. Filled without importing TensorFlow."""
