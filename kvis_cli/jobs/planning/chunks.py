"""The work of a plan, cut into pieces for workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kvis_cli.jobs.planning.plan import Plan, PlannedImage, PlannedModel, Task
from kvis_cli.spec.job import TaskSpec
from kvis_cli.spec.pictures import ExplainSpec


@dataclass(frozen=True)
class ChunkImage:
    """An image of a chunk, and which of its methods are wanted under which task id."""

    image: PlannedImage
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Chunk:
    """Work for one worker: one model, one entry of the tasks, some images.

    Attributes
    ----------
    model
        The model.
    entry
        Index of the task spec in the job.
    spec
        The task, with only the methods (and classes) that are wanted of these images.
    folder
        Subfolder of the results.
    images
        Empty for a task without images.
    tasks
        All tasks that are done when the chunk is.
    batch
        Inputs computed at once. All batches are filled up to it, so that neither the number of
        workers nor an interruption changes the shape of anything, and so no result.
    limit
        At most so many of them are different images; less than `batch` after a crash.
    attempt
        How often it was tried before.
    """

    model: PlannedModel
    entry: int
    spec: TaskSpec
    folder: str
    images: tuple[ChunkImage, ...]
    tasks: tuple[Task, ...]
    batch: int
    limit: int
    attempt: int = 0

    def only(self, images: tuple[ChunkImage, ...], limit: int, attempt: int) -> Chunk:
        """Return the same chunk for some of its images."""
        return replace(
            self,
            images=images,
            tasks=tuple(task for image in images for task in image.tasks),
            limit=limit,
            attempt=attempt,
        )


def make_chunks(plan: Plan, todo: Iterable[str], size: int | None) -> list[Chunk]:
    """Cut what is to do into chunks of at most `size` images (None: uncut)."""
    job, left = plan.job, set(todo)
    wanted: dict[tuple[int, int], dict[int | None, list[Task]]] = {}
    for task in plan.tasks:
        if task.id in left:
            by_image = wanted.setdefault((task.model, task.entry), {})
            by_image.setdefault(task.image, []).append(task)
    chunks = []
    for (m, e), by_image in wanted.items():
        model, spec, folder = plan.models[m], job.tasks[e], plan.folder(m, e)
        groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[ChunkImage]] = {}
        for index, tasks in by_image.items():
            if index is None:
                chunks.append(Chunk(model, e, spec, folder, (), tuple(tasks), 1, 1))
                continue
            image = plan.images[index]
            key = (tuple(task.method for task in tasks), image.source.classes)
            groups.setdefault(key, []).append(ChunkImage(image, tuple(tasks)))
        for (methods, classes), images in groups.items():
            update: dict[str, Any] = {}
            if methods != ("",) and list(methods) != spec.methods():
                update["method"] = list(methods)
            if classes and isinstance(spec, ExplainSpec):
                update["class_"] = list(classes)
            reduced = spec.model_copy(update=update) if update else spec
            batch = _batch_size(plan, classes)
            step = len(images) if size is None or spec.shares_scale else size
            for start in range(0, len(images), step):
                part = tuple(images[start : start + step])
                tasks_of_part = tuple(task for image in part for task in image.tasks)
                chunks.append(Chunk(model, e, reduced, folder, part, tasks_of_part, batch, batch))
    return chunks


def _batch_size(plan: Plan, classes: tuple[str, ...]) -> int:
    """How many inputs go together, out of all images of the job that are asked the same.

    It depends on what is planned and not on what is left, so that a rerun computes in the same
    shapes.
    """
    count = sum(image.source.classes == classes for image in plan.images)
    if classes:
        # Few shapes to compile for the many groups of a table.
        return min(plan.job.batch_size, 1 << (count - 1).bit_length())
    # Batches of equal size: no mostly empty last one.
    return -(-count // -(-count // plan.job.batch_size))
