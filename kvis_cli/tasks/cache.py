"""Compiled tasks on inputs, kept with their model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from kvis_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.spec.job import JobSpec, TaskSpec
    from kvis_cli.tasks.base import InputTask, ModelTask


def compiled_task(
    opened: OpenModel,
    spec: TaskSpec,
    job: JobSpec,
    entry: int = 0,
    note: Callable[[str], None] = lambda text: None,
) -> ModelTask:
    """Return the task of a spec on a model, compiled once whatever its classes are.

    Parameters
    ----------
    opened
        The model, with which the task is kept.
    spec
        A task that explains inputs.
    job
        Batch size and seed.
    entry
        Tells tasks of equal settings apart.
    note
        Called with the choices that were made for a new task.

    Returns
    -------
    ModelTask
        The kept one where all but the classes are equal.

    Raises
    ------
    UsageError
        For classes, layers and options that the model does not have.
    """
    # The classes of a table are many, and none of them is compiled in.
    settings = spec.model_dump_json(exclude={"class_"})
    key = ("task", entry, settings, job.batch_size, job.seed)
    known = key in opened.engines
    task: ModelTask = opened.engines.get(key, lambda: TASKS[spec.kind](opened, spec, job))
    if known:
        cast("InputTask", task).retarget(spec)
    else:
        for text in task.notes:
            note(text)
    return task
