"""One pass over the images of a chunk: explain them, draw them, record them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.errors import KvisError, OutputError, ResultError, UsageError
from kvis_cli.images.drawing import strongest_channels
from kvis_cli.jobs.planning.chunks import Chunk, ChunkImage
from kvis_cli.jobs.planning.plan import Task
from kvis_cli.jobs.results.pictures import Item, PictureWriter
from kvis_cli.jobs.results.regions import region_numbers
from kvis_cli.jobs.results.row import ResultRow, six_digits
from kvis_cli.jobs.running.decoding import Prepared, decoded
from kvis_cli.jobs.running.telling import rival_classes
from kvis_cli.jobs.running.work import Work, unknown_error
from kvis_cli.metrics import entropy
from kvis_cli.render.caption import can_render
from kvis_cli.render.fonts import suggest_package
from kvis_cli.runtime.cores import side_threads
from kvis_cli.spec.pictures import ExplainSpec

if TYPE_CHECKING:
    from kvis_cli.explanation import Explanation
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.tasks.base import Answer, ModelTask


TOP = 5


# Less of a map than this on the padding is no reason to mistrust what is on the photo.
PADDING_SHARE = 0.02


class ChunkRun:
    """One pass over the images of a chunk.

    Parameters
    ----------
    work
        What all chunks of the worker share.
    chunk
        The images and their tasks.
    opened
        The model.
    task
        The compiled task.

    Attributes
    ----------
    top
        How many classes of each image are recorded.
    """

    top = TOP
    writer: PictureWriter

    def __init__(self, work: Work, chunk: Chunk, opened: OpenModel, task: ModelTask) -> None:
        self.work = work
        self.chunk = chunk
        self.opened = opened
        self.task = task
        self.listener = work.listener
        self.sink = work.sink
        self.rows: dict[str, list[ResultRow]] = {}
        self.waiting: dict[str, int] = {}
        self.tasks = {task.id: task for task in chunk.tasks}
        self.told = len(task.notes)
        self.cautioned: set[tuple[str, str]] = set()

    @property
    def spec(self) -> ExplainSpec:
        """What is asked."""
        assert isinstance(self.chunk.spec, ExplainSpec)
        return self.chunk.spec

    def run(self) -> None:
        """Explain all images and wait until their pictures are on disk."""
        threads = side_threads(self.work.job.workers)
        self.writer = PictureWriter(self.work.store, self.spec, self._picture_done, threads)
        try:
            self.explain_all(threads)
            try:
                self.writer.flush()
            except Exception as error:
                self._lost([self.tasks[task] for task in self.waiting], [], error)
        finally:
            self.writer.close()

    def explain_all(self, threads: int) -> None:
        """Explain all images, batch by batch, decoded on `threads`."""
        total, finished = len(self.chunk.images), 0
        for batch in self._decoded(threads):
            self.sink.began([task for p in batch for task in p.source.tasks])
            finished += len(batch)
            try:
                self._explain(batch)
            except Exception as error:
                self._lost([task for p in batch for task in p.source.tasks], batch, error)
            self.listener.progress(finished, total)

    def _decoded(self, threads: int) -> Iterator[list[Prepared]]:
        chunk = self.chunk
        size = min(chunk.batch, chunk.limit)
        batch: list[Prepared] = []
        for source, prepared in decoded(chunk.images, self.opened, 2 * chunk.batch, threads):
            if isinstance(prepared, KvisError):
                self.sink.failed(source.tasks, str(source.image.source.path), prepared)
                continue
            batch.append(prepared)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _lost(self, tasks: list[Task], batch: list[Prepared], error: Exception) -> None:
        """Go on without `tasks`, where the error is theirs alone."""
        if not self.work.isolate or isinstance(error, UsageError | OutputError):
            raise error
        known = error if isinstance(error, KvisError) else unknown_error(error)
        what = batch[0].photo.path if len(batch) == 1 else self.chunk.model.spec.path
        self.sink.failed(tasks, str(what), known)

    def _explain(self, batch: list[Prepared]) -> None:
        for part, answers in self._computed(batch):
            # Some things are known only once the model has run.
            for note in self.task.notes[self.told :]:
                self.listener.note(note)
            self.told = len(self.task.notes)
            for prepared, answer in zip(part, answers, strict=False):
                assert answer.output is not None
                top = self.opened.head.top(answer.output, self.top)
                shown = (self.chunk.model.name, str(prepared.photo.path))
                if shown not in self.work.predicted:
                    self.work.predicted.add(shown)
                    self.listener.predicted(prepared.photo.path.name, top, self.opened.head)
                    self._tell_rival(prepared)
                self.take(prepared, answer, top)

    def _tell_rival(self, prepared: Prepared) -> None:
        """Show once what the first image would be, were the model fed otherwise."""
        rival = self.opened.preprocessing_choice.rival
        known = (self.chunk.model.name, "")
        if rival is None or known in self.work.predicted or not self.opened.image_input.is_picture:
            return
        self.work.predicted.add(known)
        top = rival_classes(self.opened, prepared.photo.pixels, TOP)
        name = f"{prepared.photo.path.name}, were it fed {rival.name}"
        self.listener.predicted(name, top, self.opened.head)

    def _computed(self, batch: list[Prepared]) -> Iterator[tuple[list[Prepared], list[Answer]]]:
        """Yield the batch, explained; in halves as long as memory does not suffice."""
        import tensorflow as tf

        size = min(self.chunk.batch, self.work.memory_limit)
        # A model of any size may be given inputs of several, which no array holds together.
        runs = [list(run) for _, run in groupby(batch, lambda p: p.input.shape)]
        pending = [run[i : i + size] for run in runs for i in range(0, len(run), size)]
        while pending:
            part = pending.pop(0)
            inputs = np.stack([p.input for p in part])
            try:
                full = size if len(runs) == 1 else len(part)
                yield part, self.answers(part, _padded(inputs, full))
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                if size == 1:
                    raise ResultError(
                        f"'{part[0].photo.path}' cannot be computed.",
                        "One input alone needs more memory than there is.",
                        "Give a smaller --size, or another device.",
                    ) from error
                size = max(1, size // 2)
                self.work.memory_limit = size
                self.listener.warn(f"out of memory: going on with batches of {size}")
                pending.insert(0, part)
                pending = [p[i : i + size] for p in pending for i in range(0, len(p), size)]

    def answers(self, part: list[Prepared], inputs: np.ndarray) -> list[Answer]:
        """Explain the inputs of `part`, which are filled up to the size of a batch."""
        del part
        return list(self.task.explain(inputs, self.listener))

    def take(self, prepared: Prepared, answer: Answer, top: list[tuple[str, float]]) -> None:
        """Have the pictures of an answer drawn, written and recorded."""
        explanations = answer.explanations
        # One map may answer two requests: top1 and its label. It has two places then.
        places: dict[tuple[str, ...], list[int]] = {}
        counts: Counter[str] = Counter()
        for e in explanations:
            owner = self._owner(prepared.source, e).id
            places.setdefault(_key(e), []).append(counts[owner])
            counts[owner] += 1
        explanations = list({_key(e): e for e in reversed(explanations)}.values())[::-1]
        owners = [self._owner(prepared.source, e) for e in explanations]
        for task in prepared.source.tasks:
            self.rows[task.id] = []
            self.waiting[task.id] = owners.count(task)
            if not self.waiting[task.id]:
                self._finish(task)
        for explanation, task in zip(explanations, owners, strict=True):
            explanation = _with_padding_warning(explanation, prepared)
            method = explanation.method
            if explanation.variant:
                method += f" ({explanation.variant})"
            for warning in explanation.warnings:
                self.listener.warn(
                    f"{prepared.photo.path.name}: {method} of {explanation.target.label}: {warning}"
                )
            self._check_fonts(explanation)
            caution = explanation.caution
            if caution and (explanation.method, caution) not in self.cautioned:
                # It holds for every picture of the method: shown once, stored with each.
                self.cautioned.add((explanation.method, caution))
                self.listener.warn(f"{explanation.method}: {caution}")
            row = self._row(prepared, explanation, top, task, places[_key(explanation)])
            item = Item(
                explanation,
                prepared.photo.path,
                prepared.placement,
                prepared.source.image.name,
                self.chunk.folder,
                self.spec.names_layers,
                row,
            )
            self.writer.add(item, prepared.photo.pixels)

    def _check_fonts(self, explanation: Explanation) -> None:
        """Say once which font is missing, where labels are drawn."""
        label = explanation.target.label
        if ("fonts", "") in self.cautioned or not self.spec.grid:
            return
        if not can_render(label):
            self.cautioned.add(("fonts", ""))
            package = suggest_package(label) or "a font that has them"
            self.listener.warn(
                f"no font here can draw '{label}': captions show class numbers; install {package}"
            )

    def _owner(self, source: ChunkImage, explanation: Explanation) -> Task:
        """Return the task that a picture belongs to: that of its method."""
        fits = [t for t in source.tasks if explanation.method.startswith(t.method)]
        return max(fits or source.tasks[:1], key=lambda task: len(task.method))

    def _picture_done(self, item: Item, path: Path, limit: float | None) -> None:
        store = self.work.store
        row = replace(
            item.row,
            file=store.name(path),
            raw=store.name(item.path(store, ".npz")) if self.spec.raw else None,
            limit=six_digits(limit),
        )
        self.listener.wrote(path)
        task = self.tasks[row.task]
        self.rows[task.id].append(row)
        self.waiting[task.id] -= 1
        if not self.waiting[task.id]:
            self._finish(task)

    def _finish(self, task: Task) -> None:
        del self.waiting[task.id]
        self.sink.done(task, self.rows.pop(task.id))

    def _row(
        self,
        prepared: Prepared,
        explanation: Explanation,
        top: list[tuple[str, float]],
        task: Task,
        places: list[int],
    ) -> ResultRow:
        place = prepared.placement
        height, width = prepared.photo.pixels.shape[:2]
        numbers: dict[str, Any] = {}
        if explanation.kind != "image" and explanation.map.ndim == 2:
            numbers["entropy"] = six_digits(entropy(explanation.map))
            if prepared.region is not None:
                shares = region_numbers(
                    explanation.map, place, prepared.region, height, width, explanation.grid
                )
                numbers |= {name: six_digits(share) for name, share in shares.items()}
        label = explanation.target.label
        explanation = replace(explanation, warnings=(*explanation.warnings, *self.doubts()))

        kind = self.opened.head.kind if self.spec.explains_output else "classes"
        return ResultRow.from_explanation(
            explanation,
            places=places,
            asked=explanation.target.asked if self.spec.explains_output else "",
            output="" if kind == "classes" else kind,
            region=(self.spec.region or "") if self.spec.explains_output else "",
            drawn="" if can_render(label) else _class_number(explanation),
            placed=[place.left, place.top, place.right, place.bottom],
            **self.about(prepared, task, top),
            **numbers,
        )

    def doubts(self) -> list[str]:
        """Return what holds for every image: that the model may not be fed right."""
        doubt = self.opened.preprocessing_choice.warning
        return [doubt] if doubt and self.opened.image_input.is_picture else []

    def about(self, prepared: Prepared, task: Task, top: list[tuple[str, float]]) -> dict[str, Any]:
        """Return what a `ResultRow` says about the model, the image and the prediction."""
        source = prepared.source.image
        return {
            **about_model(self.chunk, self.opened),
            "task": task.id,
            "image": str(source.source.path),
            "image_name": source.name,
            "image_sha256": source.sha256,
            "top": [[name, six_digits(value)] for name, value in top],
            "preprocess": self.opened.preprocessing.to_spec(),
        }


def _with_padding_warning(explanation: Explanation, prepared: Prepared) -> Explanation:
    """Return an explanation, with a warning where its map lies on padding that is not drawn."""
    height, width = prepared.photo.pixels.shape[:2]
    if explanation.kind == "image":
        return explanation
    raw = strongest_channels(explanation)
    share = prepared.placement.share_on_padding(raw, height, width)
    if share < PADDING_SHARE:
        return explanation
    warning = f"{share:.0%} of the heat lies on padding"
    return replace(explanation, warnings=(*explanation.warnings, warning))


def _class_number(explanation: Explanation) -> str:
    """``class 3``, for a label that no font can draw."""
    name = explanation.target.name
    digits = re.match(r"[-+]?\d+([-+]\d+)*", name)
    return f"class {digits[0]}" if digits else name


def about_model(chunk: Chunk, opened: OpenModel) -> dict[str, Any]:
    """Return what a `ResultRow` says about the model of a result."""
    return {
        "model": opened.info.reference,
        "model_name": chunk.model.name,
        "model_sha256": chunk.model.sha256 if opened.info.file else opened.digest,
        "kind": chunk.spec.kind,
    }


def _key(explanation: Explanation) -> tuple[str, ...]:
    e = explanation
    return e.method, e.variant, e.layer, e.target.name


def _padded(inputs: np.ndarray, size: int) -> np.ndarray:
    """Return the last batch filled up with its last input, so that nothing is compiled again."""
    missing = size - len(inputs)
    return np.concatenate([inputs, np.repeat(inputs[-1:], missing, 0)]) if missing > 0 else inputs
