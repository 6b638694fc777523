"""Does chunks of work: one model at a time, decoding and PNG encoding beside the computing.

The same code serves a single command in its own process and the worker processes of a job.
"""

from __future__ import annotations

import gc
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from kvis_cli.errors import KvisError, OutputError, ResultError, UsageError
from kvis_cli.events import Listener
from kvis_cli.images.arrays import is_array
from kvis_cli.images.fitting import Placement, fit_photo
from kvis_cli.images.photo import Photo, read_photo
from kvis_cli.jobs.planning.plan import Chunk, ChunkImage, Task
from kvis_cli.jobs.results.made import Place
from kvis_cli.jobs.results.pictures import Cell, Item, PictureWriter, without_channels
from kvis_cli.jobs.results.regions import entropy, region_numbers, region_of
from kvis_cli.jobs.results.store import ResultStore, Row
from kvis_cli.jobs.results.writers import WRITERS
from kvis_cli.jobs.running.decoding import array_input
from kvis_cli.jobs.running.faults import inject
from kvis_cli.models.description.info import ModelCard, read_card
from kvis_cli.render.caption import can_render
from kvis_cli.render.fonts import suggest_package
from kvis_cli.runtime.cores import side_threads
from kvis_cli.runtime.interruption import held
from kvis_cli.runtime.tensorflow import Device
from kvis_cli.shown import said
from kvis_cli.spec.job import JobSpec
from kvis_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from kvis_cli.explanation import Explanation
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.tasks.base import Answer, InputTask, ModelTask

TOP = 5
# Less of a map than this on the padding is no reason to mistrust what is on the photo.
PADDING_SHARE = 0.02
# Compiled tasks kept for an open model: one per entry of the job and set of methods.
MAX_TASKS = 8


class Sink(Protocol):
    """Takes what a worker has finished."""

    def began(self, tasks: Sequence[Task]) -> None:
        """These tasks are being computed now."""

    def made(self, task: Task, row: Row) -> None:
        """One of the pictures of a task that goes on is on disk."""

    def done(self, task: Task, rows: list[Row]) -> None:
        """All pictures of a task are on disk."""

    def failed(self, tasks: Sequence[Task], what: str, error: KvisError) -> None:
        """These tasks cannot be done; `what` is the image or model to blame."""


@dataclass(frozen=True)
class Prepared:
    """A photo and what the model is given of it: its input, without the batch."""

    source: ChunkImage
    photo: Photo
    input: np.ndarray
    placement: Placement
    region: np.ndarray | None


class Worker:
    """Keeps a model open and does chunks with it.

    Parameters
    ----------
    job
        Settings that all chunks share.
    store
        Where results go.
    device
        Where to compute.
    listener
        Hears what happens.
    sink
        Takes what is finished.
    isolate
        Whether an error of any kind fails only its own tasks. Otherwise wrong requests and unknown
        errors are raised.
    cards
        Model files that were read already, by path.
    """

    def __init__(
        self,
        job: JobSpec,
        store: ResultStore,
        device: Device,
        listener: Listener,
        sink: Sink,
        *,
        isolate: bool,
        cards: Mapping[str, ModelCard] | None = None,
    ) -> None:
        self.job = job
        self.store = store
        self.device = device
        self.listener = listener
        self.sink = sink
        self.isolate = isolate
        self.cards = cards or {}
        self._open: tuple[str, OpenModel] | None = None
        self._broken: dict[str, KvisError] = {}
        self._tasks: OrderedDict[tuple[int, str], ModelTask] = OrderedDict()
        self.shown: set[tuple[str, str]] = set()
        self.memory_limit = 1 << 30

    def run(self, chunk: Chunk) -> None:
        """Do a chunk; whatever becomes of it, the sink hears of every one of its tasks."""
        import tensorflow as tf

        path = chunk.model.spec.path
        try:
            with tf.device(self.device.name):
                opened = self._model(chunk)
                if chunk.images:
                    ChunkRun(self, chunk, opened, self._task(chunk, opened)).run()
                else:
                    self._make(chunk, opened)
        except KvisError as error:
            if isinstance(error, UsageError) and not self.isolate:
                raise
            self.sink.failed(chunk.tasks, path, error)
        except Exception as error:
            if not self.isolate:
                raise
            self.sink.failed(chunk.tasks, path, unknown_error(error))

    def _model(self, chunk: Chunk) -> OpenModel:
        from kvis_cli.models.live.open import open_model

        path = chunk.model.spec.path
        if path in self._broken:
            raise self._broken[path]
        if self._open is None or self._open[0] != path:
            self.close()
            self.listener.stage(f"opening {path}")
            top = any(task.needs_head for task in self.job.tasks)
            try:
                card = self.cards.get(path) or read_card(chunk.model.spec)
                opened = open_model(card, top=top, seed=self.job.seed)
            except KvisError as error:
                self._broken[path] = error
                raise
            self._open = path, opened
            self._tell(opened, top)
        return self._open[1]

    def close(self) -> None:
        """Let go of the model and of everything that was compiled for it."""
        if self._open is not None:
            import keras

            self._open = None
            self._tasks.clear()
            with held():
                keras.backend.clear_session()
                gc.collect()

    def _task(self, chunk: Chunk, opened: OpenModel) -> ModelTask:
        # The classes of a table are many, and none of them is compiled in.
        key = chunk.entry, chunk.spec.model_dump_json(exclude={"class_"})
        if key in self._tasks:
            cast("InputTask", self._tasks[key]).retarget(chunk.spec)
        else:
            task = TASKS[chunk.spec.kind](opened, chunk.spec, self.job)
            for note in task.notes:
                self.listener.note(note)
            self._tasks[key] = task
            while len(self._tasks) > MAX_TASKS:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(key)
        return self._tasks[key]

    def _make(self, chunk: Chunk, opened: OpenModel) -> None:
        (task,) = chunk.tasks
        made_for = TASKS[chunk.spec.kind](opened, chunk.spec, self.job)
        for note in made_for.notes:
            self.listener.note(note)
        place = Place(self.store, chunk.folder, opened.card.name, self.listener)
        self.sink.began(chunk.tasks)
        inject([chunk.model.name], 1)
        rows: list[Row] = []
        for made in (
            made
            for answer in made_for.explain(None, self.listener)
            for made in WRITERS[chunk.spec.kind](answer.explanations, chunk.spec, place)
        ):
            rows.append(
                {
                    "task": task.id,
                    "places": [len(rows)],
                    **model_row(chunk, opened),
                    "method": chunk.spec.kind,
                    **made.about,
                    "file": self.store.name(made.path),
                    "warnings": list(made.warnings),
                    "status": "done",
                }
            )
            for warning in made.warnings:
                self.listener.warn(f"{made.path.name}: {warning}")
            self.listener.wrote(made.path)
            self.sink.made(task, rows[-1])
        self.sink.done(task, rows)

    def _tell(self, opened: OpenModel, top: bool) -> None:
        card, architecture = opened.card, opened.card.architecture
        size = opened.image_input
        facts = [f"{architecture.class_name} '{architecture.name}'"]
        if architecture.params:
            facts.append(f"{architecture.params:,} parameters")
        facts.append(f"input {size.describe()}")
        if top:
            facts.append(f"{opened.head.classes} classes, labels: {opened.head.labels.source}")
        self.listener.note(f"model {card.reference}: {', '.join(facts)}")
        for change in card.changes:
            self.listener.note(f"upgraded: {change}")
        for note in opened.notes:
            self.listener.note(note)
        if not size.is_picture:
            return
        choice = opened.preprocessing_choice
        tell = self.listener.note if choice.certain else self.listener.warn
        tell(f"preprocessing {choice.preprocessing.describe()} ({choice.reason})")


class ChunkRun:
    """One pass over the images of a chunk."""

    def __init__(self, worker: Worker, chunk: Chunk, opened: OpenModel, task: ModelTask) -> None:
        self.worker = worker
        self.chunk = chunk
        self.opened = opened
        self.task = task
        self.listener = worker.listener
        self.sink = worker.sink
        self.rows: dict[str, list[Row]] = {}
        self.waiting: dict[str, int] = {}
        self.tasks = {task.id: task for task in chunk.tasks}
        self.told = len(task.notes)
        self.cautioned: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Explain all images and wait until their pictures are on disk."""
        chunk = self.chunk
        threads = side_threads(self.worker.job.workers)
        writer = PictureWriter(self.worker.store, chunk.spec, self._picture_done, threads)
        total, finished = len(chunk.images), 0
        try:
            for batch in self._batches():
                self.sink.began([task for p in batch for task in p.source.tasks])
                finished += len(batch)
                try:
                    self._explain(batch, writer)
                except Exception as error:
                    self._lost([task for p in batch for task in p.source.tasks], batch, error)
                self.listener.progress(finished, total)
            try:
                writer.flush()
            except Exception as error:
                self._lost([self.tasks[task] for task in self.waiting], [], error)
        finally:
            writer.close()

    def _lost(self, tasks: list[Task], batch: list[Prepared], error: Exception) -> None:
        """Go on without `tasks`, where the error is theirs alone."""
        if not self.worker.isolate or isinstance(error, UsageError | OutputError):
            raise error
        known = error if isinstance(error, KvisError) else unknown_error(error)
        what = batch[0].photo.path if len(batch) == 1 else self.chunk.model.spec.path
        self.sink.failed(tasks, str(what), known)

    def _explain(self, batch: list[Prepared], writer: PictureWriter) -> None:
        names = [p.photo.path.name for p in batch]
        for part, answers in self._computed(batch, names):
            # Some things are known only once the model has run.
            for note in self.task.notes[self.told :]:
                self.listener.note(note)
            self.told = len(self.task.notes)
            for prepared, answer in zip(part, answers, strict=False):
                assert answer.output is not None
                top = self._top(answer.output)
                shown = (self.chunk.model.name, str(prepared.photo.path))
                if shown not in self.worker.shown:
                    self.worker.shown.add(shown)
                    self.listener.predicted(prepared.photo.path.name, top, self.opened.head)
                self._take(prepared, answer.explanations, top, writer)

    def _computed(
        self, batch: list[Prepared], names: list[str]
    ) -> Iterator[tuple[list[Prepared], list[Answer]]]:
        """The batch, explained; in halves as long as memory does not suffice."""
        import tensorflow as tf

        size = min(self.chunk.batch, self.worker.memory_limit)
        # A model of any size may be given inputs of several, which no array holds together.
        runs = [list(run) for _, run in groupby(batch, lambda p: p.input.shape)]
        pending = [run[i : i + size] for run in runs for i in range(0, len(run), size)]
        while pending:
            part = pending.pop(0)
            inputs = np.stack([p.input for p in part])
            try:
                inject(names, size)
                full = size if len(runs) == 1 else len(part)
                answers = list(self.task.explain(_padded(inputs, full), self.listener))
                yield part, answers
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                if size == 1:
                    raise ResultError(
                        f"'{part[0].photo.path}' cannot be computed.",
                        "One input alone needs more memory than there is.",
                        "Give a smaller --size, or another device.",
                    ) from error
                size = max(1, size // 2)
                self.worker.memory_limit = size
                self.listener.warn(f"out of memory: going on with batches of {size}")
                pending.insert(0, part)
                pending = [p[i : i + size] for p in pending for i in range(0, len(p), size)]

    def _take(
        self,
        prepared: Prepared,
        explanations: list[Explanation],
        top: list[tuple[str, float]],
        writer: PictureWriter,
    ) -> None:
        # Which picture of its task it is: where top1 is also asked for by name, one is two.
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
                # It holds for every picture of the method: said once, stored with each.
                self.cautioned.add((explanation.method, caution))
                self.listener.warn(f"{explanation.method}: {caution}")
            about = self._about(prepared, explanation, top)
            about |= {"task": task.id, "places": places[_key(explanation)]}
            item = Item(
                explanation,
                prepared.photo.path,
                prepared.placement,
                prepared.source.image.name,
                self.chunk.folder,
                _several_layers(self.chunk.spec),
                about,
            )
            writer.add(item, prepared.photo.pixels)

    def _check_fonts(self, explanation: Explanation) -> None:
        """Say once which font is missing, where labels are drawn."""
        label = explanation.target.label
        if ("fonts", "") in self.cautioned or not getattr(self.chunk.spec, "grid", False):
            return
        if not can_render(label):
            self.cautioned.add(("fonts", ""))
            package = suggest_package(label) or "a font that has them"
            self.listener.warn(
                f"no font here can draw '{label}': captions show class numbers; install {package}"
            )

    def _owner(self, source: ChunkImage, explanation: Explanation) -> Task:
        """The task that a picture belongs to: that of its method."""
        fits = [t for t in source.tasks if explanation.method.startswith(t.method)]
        return max(fits or source.tasks[:1], key=lambda task: len(task.method))

    def _picture_done(self, item: Item, path: Path, cell: Cell | None) -> None:
        row = {
            **item.about,
            "file": self.worker.store.name(path),
            "warnings": list(item.explanation.warnings),
            "status": "done",
        }
        if cell is not None:
            row["limit"] = _finite(cell.limit)
        if self.chunk.spec.raw:
            row["raw"] = self.worker.store.name(item.path(self.worker.store, ".npz"))
        self.listener.wrote(path)
        task = self.tasks[row["task"]]
        self.rows[task.id].append(row)
        self.waiting[task.id] -= 1
        if not self.waiting[task.id]:
            self._finish(task)

    def _finish(self, task: Task) -> None:
        del self.waiting[task.id]
        self.sink.done(task, self.rows.pop(task.id))

    def _batches(self) -> Iterator[list[Prepared]]:
        """Decoded photos in batches; decoding runs ahead on threads."""
        chunk = self.chunk
        prepare = self._preparer()
        sources = iter(chunk.images)
        threads = side_threads(self.worker.job.workers)
        with ThreadPoolExecutor(threads, thread_name_prefix="kvis-photo") as pool:
            ahead: list[tuple[ChunkImage, Future[Prepared]]] = [
                (source, pool.submit(prepare, source))
                for source in islice(sources, 2 * chunk.batch)
            ]
            batch: list[Prepared] = []
            try:
                while ahead:
                    source, future = ahead.pop(0)
                    try:
                        batch.append(future.result())
                    except KvisError as error:
                        self.sink.failed(source.tasks, str(source.image.source.path), error)
                    ahead.extend((s, pool.submit(prepare, s)) for s in islice(sources, 1))
                    if len(batch) == min(chunk.batch, chunk.limit):
                        yield batch
                        batch = []
                if batch:
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)

    def _preparer(self) -> Callable[[ChunkImage], Prepared]:
        size = self.opened.image_input
        fit = self.opened.card.spec.fit

        def prepare(source: ChunkImage) -> Prepared:
            photo = read_photo(source.image.source.path)
            height, width = photo.pixels.shape[:2]
            region = region_of(source.image.source, height, width)
            if is_array(photo.path) or not size.is_picture:
                made, place = array_input(photo.path, self.opened, height, width)
                return Prepared(source, photo, made, place, region)
            array, placement = fit_photo(photo.pixels, size.height, size.width, size.channels, fit)
            made = self.opened.to_inputs(array[np.newaxis])[0]
            return Prepared(source, photo, made, placement, region)

        return prepare

    def _top(self, output: np.ndarray) -> list[tuple[str, float]]:
        head = self.opened.head
        if head.binary:
            p = float(output[0])
            rows = [(head.class_name(1), p), (head.class_name(0), 1 - p)]
            return sorted(rows, key=lambda row: -row[1])
        best = np.argsort(-output, kind="stable")[:TOP]
        return [(head.class_name(int(i)), float(output[i])) for i in best]

    def _about(
        self, prepared: Prepared, explanation: Explanation, top: list[tuple[str, float]]
    ) -> Row:
        opened, source = self.opened, prepared.source.image
        height, width = prepared.photo.pixels.shape[:2]
        numbers: dict[str, float | None] = {}
        if explanation.kind != "image" and explanation.map.ndim == 2:
            numbers["entropy"] = entropy(explanation.map)
            if prepared.region is not None:
                numbers |= region_numbers(
                    explanation.map,
                    prepared.placement,
                    prepared.region,
                    height,
                    width,
                    explanation.grid,
                )
        return {
            **model_row(self.chunk, opened),
            "image": str(source.source.path),
            "image_name": source.name,
            "image_sha256": source.sha256,
            "method": explanation.method,
            "layer": explanation.layer,
            "target": explanation.target.label,
            **({} if can_render(explanation.target.label) else {"drawn": _number(explanation)}),
            "units": [list(unit) for unit in explanation.target.units],
            "score": _finite(explanation.score),
            "probability": _finite(explanation.probability),
            "top": [[label, _finite(value)] for label, value in top],
            "preprocess": opened.preprocessing.to_spec(),
            "max": _finite(float(np.max(explanation.map))),
            "map": explanation.kind,
            **({"variant": explanation.variant} if explanation.variant else {}),
            **({"warnings": list(explanation.warnings)} if explanation.warnings else {}),
            **{name: _finite(value) for name, value in numbers.items()},
            "placed": [
                prepared.placement.left,
                prepared.placement.top,
                prepared.placement.right,
                prepared.placement.bottom,
            ],
            **({"grid": explanation.grid.to_json()} if explanation.grid else {}),
            **explanation.extras,
            **{
                name: value
                for name in ("caution", "channels", "modifier", "percentile")
                if (value := getattr(explanation, name))
            },
        }


def _with_padding_warning(explanation: Explanation, prepared: Prepared) -> Explanation:
    """What is beside the photo cannot be shown: it has to be said."""
    height, width = prepared.photo.pixels.shape[:2]
    if explanation.kind == "image":
        return explanation
    raw = without_channels(explanation)
    share = prepared.placement.share_on_padding(raw, height, width)
    if share < PADDING_SHARE:
        return explanation
    warning = f"{share:.0%} of the heat lies on padding"
    return replace(explanation, warnings=(*explanation.warnings, warning))


def _number(explanation: Explanation) -> str:
    """``class 3``, for a label that no font can draw."""
    name = explanation.target.name
    digits = re.match(r"[-+]?\d+([-+]\d+)*", name)
    return f"class {digits[0]}" if digits else name


def model_row(chunk: Chunk, opened: OpenModel) -> Row:
    """What the manifest says about the model of a result."""
    return {
        "model": opened.card.reference,
        "model_name": chunk.model.name,
        "model_sha256": chunk.model.sha256 if opened.card.file else opened.digest,
        "kind": chunk.spec.kind,
    }


def _several_layers(spec: Any) -> bool:
    """Whether file names need the layer; by the spec alone, so that a rerun names them alike."""
    layers = getattr(spec, "layer", ())
    return len(layers) > 1 or "all-spatial" in layers


def _key(explanation: Explanation) -> tuple[str, ...]:
    e = explanation
    return e.method, e.variant, e.layer, e.target.name


def unknown_error(error: Exception) -> KvisError:
    """Any other error as one that can be recorded."""
    text = said(error)
    return ResultError(
        f"{type(error).__name__}: {text}." if text else f"{type(error).__name__}.",
        "That is a mistake in kvis, or something that it does not know.",
        "A single command with --traceback shows where it comes from.",
    )


def _padded(inputs: np.ndarray, size: int) -> np.ndarray:
    """The last batch filled up with its last input, so that nothing is compiled anew."""
    missing = size - len(inputs)
    return np.concatenate([inputs, np.repeat(inputs[-1:], missing, 0)]) if missing > 0 else inputs


def _finite(value: float | None) -> float | None:
    # Six digits are what a float32 holds with certainty.
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
