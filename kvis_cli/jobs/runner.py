"""Runs a job: models × images × tasks. One failure never loses the rest."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli import __version__
from kvis_cli.errors import ExitCode, KvisError, UsageError
from kvis_cli.jobs.events import Listener
from kvis_cli.jobs.photos import Photo, read_photo
from kvis_cli.jobs.pictures import Cell, Item, PictureWriter
from kvis_cli.jobs.plan import Plan, make_plan
from kvis_cli.jobs.sheets import SheetMaker
from kvis_cli.jobs.store import ResultStore, safe_name, unique_names
from kvis_cli.jobs.tensorflow import Device, check_device, start
from kvis_cli.models.card import ModelCard, read_card
from kvis_cli.models.files import check_safe
from kvis_cli.models.fitting import Placement, fit_photo
from kvis_cli.models.trust import check_code
from kvis_cli.spec.job import JobSpec, TaskSpec
from kvis_cli.spec.pictures import ExplainSpec

if TYPE_CHECKING:
    from kvis_cli.explanation import Explanation
    from kvis_cli.jobs.explainers import Explainer
    from kvis_cli.jobs.makers import Maker
    from kvis_cli.models.opening import OpenModel

TOP = 5


@dataclass
class Outcome:
    """How a run ended.

    Attributes
    ----------
    written
        Result files, in the order of writing; the manifest is not among them.
    failures
        What could not be done: what it was, and the error.
    distrusted
        Results with a warning, of tasks that are strict about it.
    """

    written: list[Path] = field(default_factory=list)
    failures: list[tuple[str, KvisError]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    distrusted: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """0 when all is done; the error's own code when nothing is; 1 in between."""
        if not self.failures:
            return ExitCode.FAILED if self.distrusted else ExitCode.OK
        codes = {error.exit_code for _, error in self.failures}
        return codes.pop() if len(codes) == 1 and not self.written else ExitCode.FAILED


@dataclass(frozen=True)
class Prepared:
    """A photo at the model's input size."""

    photo: Photo
    input: np.ndarray
    placement: Placement


def run_job(job: JobSpec, listener: Listener | None = None) -> Outcome:
    """Do everything that a job asks for.

    Parameters
    ----------
    job
        The validated spec.
    listener
        Hears what happens.

    Raises
    ------
    UsageError
        When the request itself is wrong: an unknown layer, a class beyond the outputs.
    KvisError
        When nothing at all could be begun: no device, no writable folder.
    """
    return Runner(make_plan(job), listener or Listener()).run()


class Runner:
    """The state of one run."""

    def __init__(self, plan: Plan, listener: Listener) -> None:
        self.plan = plan
        self.job = plan.job
        self.listener = listener
        self.outcome = Outcome()
        self.names = unique_names(plan.images)
        self._done = 0

    def run(self) -> Outcome:
        """Run, and write the manifest whatever happens."""
        began = time.monotonic()
        check_device(self.job.device)
        if not self.plan.images and any(task.needs_images for task in self.job.tasks):
            raise UsageError("There is no image to explain.", "", "Give files, folders or globs.")
        cards = list(self._cards())
        if not cards:
            return self.outcome
        # The folder is tried before TensorFlow is: nobody waits 10 s to hear that it is read-only.
        origin = self._origin()
        metadata = all(task.metadata for task in self.job.tasks)
        self.store = ResultStore(Path(self.job.output).expanduser(), origin, metadata=metadata)
        self.listener.stage("starting TensorFlow")
        self.device = start(self.job.device)
        origin.update(self._platform(self.device))
        try:
            for card in cards:
                try:
                    self._run_model(card, len(cards) > 1)
                except UsageError:
                    raise
                except KvisError as error:
                    self._fail(card.reference, error)
        finally:
            if self.outcome.rows or self.outcome.failures:
                self.store.finish(self._summary(time.monotonic() - began))
        return self.outcome

    def _cards(self) -> Iterator[ModelCard]:
        for spec in self.plan.models:
            try:
                card = read_card(spec)
                if card.file is not None:
                    # Again on opening, at no cost; the first time is cheaper without TensorFlow.
                    check_safe(card.file.path)
                check_code(card)
                yield card
            except UsageError:
                raise
            except KvisError as error:
                if len(self.plan.models) == 1:
                    raise
                self._fail(spec.path, error)

    def _run_model(self, card: ModelCard, several: bool) -> None:
        import tensorflow as tf

        from kvis_cli.jobs.explainers import EXPLAINERS
        from kvis_cli.jobs.makers import MAKERS
        from kvis_cli.models.opening import open_model

        self.listener.stage(f"opening {card.reference}")
        with tf.device(self.device.name):
            top = any(task.needs_head for task in self.job.tasks)
            opened = open_model(card, top=top, seed=self.job.seed)
            self._tell(opened, top)
            folder = safe_name(card.name) if several else ""
            for task in self.job.tasks:
                if task.needs_images:
                    explainer = EXPLAINERS[task.kind](opened, task, self.job)
                    self._notes(explainer.notes)
                    self._run_task(opened, task, explainer, folder)
                else:
                    maker = MAKERS[task.kind](opened, task, self.job)
                    self._notes(maker.notes)
                    self._make(maker, task, opened, folder)

    def _notes(self, notes: list[str]) -> None:
        for note in notes:
            self.listener.note(note)

    def _make(self, maker: Maker, task: TaskSpec, opened: OpenModel, folder: str) -> None:
        for made in maker(self.store, self.listener, folder):
            row = {
                "model": opened.card.reference,
                "model_sha256": opened.digest,
                "method": task.kind,
                **made.about,
                "file": made.path.relative_to(self.store.folder).as_posix(),
                "warnings": list(made.warnings),
            }
            for warning in made.warnings:
                self.listener.warn(f"{made.path.name}: {warning}")
            self.outcome.distrusted += bool(task.strict and made.warnings)
            self.store.add(row)
            self.outcome.rows.append(row)
            self.listener.row(row)
            self._wrote(made.path)

    def _tell(self, opened: OpenModel, top: bool) -> None:
        card, architecture = opened.card, opened.card.architecture
        params = architecture.params
        size = opened.image_input
        facts = [f"{architecture.class_name} '{architecture.name}'"]
        if params:
            facts.append(f"{params:,} parameters")
        facts.append(f"input {size.width}×{size.height}×{size.channels}")
        if top:
            facts.append(f"{opened.head.classes} classes, labels: {opened.head.labels.source}")
        self.listener.note(f"model {card.reference}: {', '.join(facts)}")
        for change in card.changes:
            self.listener.note(f"upgraded: {change}")
        choice = opened.preprocessing_choice
        tell = self.listener.note if choice.certain else self.listener.warn
        tell(f"preprocessing {choice.preprocessing.describe()} ({choice.reason})")

    def _run_task(
        self, opened: OpenModel, task: ExplainSpec, explainer: Explainer, folder: str
    ) -> None:
        writer = PictureWriter(self.store, task, self._picture_done)
        self._sheet: SheetMaker | None = None
        total, self._done = len(self.plan.images), 0
        told, self._cautioned = len(explainer.notes), set[tuple[str, str]]()
        try:
            for batch in self._batches(opened):
                count = len(batch)
                inputs = np.stack([p.input for p in batch])
                padded = _padded(inputs, self._batch_size())
                explained = explainer(opened.to_inputs(padded))
                # Some things are known only once the model has run.
                self._notes(explainer.notes[told:])
                told = len(explainer.notes)
                for i, prepared in enumerate(batch):
                    self._predicted(opened, prepared.photo, explained.outputs[i])
                    self._take(opened, task, writer, prepared, explained.explanations[i], folder)
                    self._done += 1
                    self.listener.progress(self._done, total)
                del count
            writer.flush()
            if self._sheet:
                self._sheet.write()
                for path in self._sheet.written:
                    self._wrote(path)
        finally:
            writer.close()

    def _take(
        self,
        opened: OpenModel,
        task: ExplainSpec,
        writer: PictureWriter,
        prepared: Prepared,
        explanations: list[Explanation],
        folder: str,
    ) -> None:
        name = self.names[prepared.photo.path]
        if task.grid:
            if self._sheet is None:
                self._sheet = SheetMaker(
                    self.store,
                    _columns(explanations, task),
                    opened.card.name,
                    writer.style(explanations[0]),
                    shared=task.scale == "shared" and len({e.method for e in explanations}) == 1,
                    folder=folder,
                )
            self._sheet.add_photo(name, prepared.photo.pixels, prepared.photo.path.name)
        for explanation in explanations:
            for warning in explanation.warnings:
                self.listener.warn(
                    f"{prepared.photo.path.name}: {explanation.method} of "
                    f"{explanation.target.label}: {warning}"
                )
            caution = explanation.extras.get("caution", "")
            if caution and (explanation.method, caution) not in self._cautioned:
                # It holds for every picture of the method: said once, stored with each.
                self._cautioned.add((explanation.method, caution))
                self.listener.warn(f"{explanation.method}: {caution}")
            self.outcome.distrusted += bool(task.strict and (explanation.warnings or caution))
            about = self._about(opened, prepared.photo, explanation)
            item = Item(
                explanation,
                prepared.photo.path,
                prepared.placement,
                name,
                folder,
                len(getattr(task, "layer", ())) > 1,
                about,
            )
            writer.add(item, prepared.photo.pixels)

    def _picture_done(self, item: Item, path: Path, cell: Cell | None) -> None:
        row = {
            **item.about,
            "file": path.relative_to(self.store.folder).as_posix(),
            "warnings": list(item.explanation.warnings),
        }
        raw = item.path(self.store, ".npz")
        if raw.is_file():
            row["raw"] = raw.relative_to(self.store.folder).as_posix()
        self.store.add(row)
        self.outcome.rows.append(row)
        self.listener.row(row)
        self._wrote(path)
        if cell is not None and self._sheet is not None:
            self._sheet.add(item.name, cell)

    def _wrote(self, path: Path) -> None:
        self.outcome.written.append(path)
        self.listener.wrote(path)

    def _fail(self, what: str, error: KvisError) -> None:
        self.outcome.failures.append((what, error))
        self.listener.failed(what, error)

    def _batch_size(self) -> int:
        # Batches of equal size: one compiled shape, and no mostly empty last one.
        count = max(1, len(self.plan.images))
        batches = -(-count // self.job.batch_size)
        return -(-count // batches)

    def _batches(self, opened: OpenModel) -> Iterator[list[Prepared]]:
        """Decoded photos in batches; decoding runs ahead on threads."""
        size = opened.image_input
        fit = opened.card.spec.fit

        def prepare(path: Path) -> Prepared:
            photo = read_photo(path)
            array, placement = fit_photo(photo.pixels, size.height, size.width, size.channels, fit)
            return Prepared(photo, array, placement)

        batch_size = self._batch_size()
        paths = iter(self.plan.images)
        with ThreadPoolExecutor(2, thread_name_prefix="kvis-photo") as pool:
            ahead: list[tuple[Path, Future[Prepared]]] = [
                (path, pool.submit(prepare, path)) for path in islice(paths, 2 * batch_size)
            ]
            batch: list[Prepared] = []
            try:
                while ahead:
                    path, future = ahead.pop(0)
                    try:
                        batch.append(future.result())
                    except KvisError as error:
                        self._fail(str(path), error)
                    ahead.extend((p, pool.submit(prepare, p)) for p in islice(paths, 1))
                    if len(batch) == batch_size:
                        yield batch
                        batch = []
                if batch:
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)

    def _predicted(self, opened: OpenModel, photo: Photo, output: np.ndarray) -> None:
        head = opened.head
        if head.binary:
            p = float(output[0])
            rows = [(head.class_name(1), p), (head.class_name(0), 1 - p)]
            rows.sort(key=lambda row: -row[1])
        else:
            best = np.argsort(-output, kind="stable")[:TOP]
            rows = [(head.class_name(int(i)), float(output[i])) for i in best]
        self.listener.predicted(photo.path.name, rows, head)

    def _about(self, opened: OpenModel, photo: Photo, explanation: Explanation) -> dict[str, Any]:
        return {
            "model": opened.card.reference,
            "model_sha256": opened.digest,
            "image": str(photo.path),
            "method": explanation.method,
            "layer": explanation.layer,
            "target": explanation.target.label,
            "units": [list(unit) for unit in explanation.target.units],
            "score": _finite(explanation.score),
            "probability": _finite(explanation.probability),
            "preprocess": opened.preprocessing.to_spec(),
            "max": _finite(float(np.max(explanation.map))),
            **({"variant": explanation.variant} if explanation.variant else {}),
            **({"warnings": list(explanation.warnings)} if explanation.warnings else {}),
            **explanation.extras,
        }

    def _origin(self) -> dict[str, Any]:
        return {
            "kvis": __version__,
            "spec": self.job.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        }

    def _platform(self, device: Device) -> dict[str, Any]:
        import keras
        import tensorflow as tf

        return {
            "versions": {
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
            },
            "device": device.label,
        }

    def _summary(self, seconds: float) -> dict[str, Any]:
        return {
            "seconds": round(seconds, 3),
            "pictures": len(self.outcome.rows),
            "failures": [
                {"what": what, "error": str(error), "kind": type(error).__name__}
                for what, error in self.outcome.failures
            ],
        }


def _padded(inputs: np.ndarray, size: int) -> np.ndarray:
    """The last batch filled up with its last input, so that nothing is compiled anew."""
    missing = size - len(inputs)
    return np.concatenate([inputs, np.repeat(inputs[-1:], missing, 0)]) if missing else inputs


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _columns(explanations: list[Explanation], task: ExplainSpec) -> list[str]:
    """What tells the columns apart: the method, the layer, the class, whichever vary."""
    methods = len({e.method for e in explanations}) > 1
    layers = len({e.layer for e in explanations if e.layer}) > 1
    ranked = [c for c in task.class_ if c.lower().startswith("top")]
    columns = []
    for e in explanations:
        parts = [e.method] if methods else []
        parts += [e.variant] if e.variant else []
        parts += [e.layer] if layers and e.layer else []
        if not ranked and len({x.target.name for x in explanations}) > 1:
            parts.append(e.target.label)
        columns.append(" · ".join(parts) or e.method)
    return columns
