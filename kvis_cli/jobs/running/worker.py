"""Does chunks of work: one model at a time, decoding and PNG encoding beside the computing.

The same code serves a single command in its own process and the worker processes of a job.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kvis_cli.errors import KvisError, UsageError
from kvis_cli.events import Listener
from kvis_cli.jobs.planning.chunks import Chunk
from kvis_cli.jobs.results.made import Place
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.jobs.results.writers import WRITERS
from kvis_cli.jobs.running.chunk import ChunkRun, about_model
from kvis_cli.jobs.running.predicting import PredictionRun
from kvis_cli.jobs.running.telling import tell_model, tell_preprocessing
from kvis_cli.jobs.running.work import Sink, Work, unknown_error
from kvis_cli.models.description.info import ModelInfo, describe_model
from kvis_cli.runtime.interruption import held
from kvis_cli.runtime.tensorflow import Device
from kvis_cli.spec.job import JobSpec
from kvis_cli.tasks.cache import compiled_task
from kvis_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


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
        Called for everything that happens.
    sink
        Takes what is finished.
    isolate
        Whether an error of any kind fails only its own tasks. Otherwise wrong requests and unknown
        errors are raised.
    infos
        Model files that were read already, by path.
    """

    # What does the images of a chunk.
    chunk_run = ChunkRun

    def __init__(
        self,
        job: JobSpec,
        store: ResultStore,
        device: Device,
        listener: Listener,
        sink: Sink,
        *,
        isolate: bool,
        infos: Mapping[str, ModelInfo] | None = None,
    ) -> None:
        self.work = Work(job, store, listener, sink, isolate)
        self.job = job
        self.device = device
        self.listener = listener
        self.sink = sink
        self.isolate = isolate
        self.infos = infos or {}
        self._open: tuple[str, OpenModel] | None = None
        self._broken: dict[str, KvisError] = {}
        self._told_fold = ""

    def run(self, chunk: Chunk) -> None:
        """Do a chunk; whatever becomes of it, the sink is called for each of its tasks."""
        import tensorflow as tf

        path = chunk.model.spec.path
        try:
            with tf.device(self.device.name):
                opened = self._model(chunk)
                if chunk.images:
                    opened = self._for(chunk, opened)
                    task = compiled_task(
                        opened, chunk.spec, self.job, chunk.entry, self.listener.note
                    )
                    run = PredictionRun if chunk.spec.kind == "predict" else self.chunk_run
                    run(self.work, chunk, opened, task).run()
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
                info = self.infos.get(path) or describe_model(chunk.model.spec)
                info.photos = chunk.model.photos
                opened = open_model(info, top=top, seed=self.job.seed)
            except KvisError as error:
                self._broken[path] = error
                raise
            self._open = path, opened
            tell_model(opened, self.listener, top=top)
        return self._open[1]

    def _for(self, chunk: Chunk, opened: OpenModel) -> OpenModel:
        """Return the model as it takes the images of a chunk: photos, or arrays as they are."""
        from kvis_cli.models.live.photo_input import as_given

        found = as_given(opened, [image.image.source.path for image in chunk.images])
        if found is not opened and self._told_fold != opened.info.reference:
            self._told_fold = opened.info.reference
            for note in found.notes:
                self.listener.note(note)
            tell_preprocessing(found, self.listener)
        return found

    def close(self) -> None:
        """Let go of the model and of everything that was compiled for it."""
        if self._open is not None:
            import keras

            # Engines hold the model, too.
            self._open[1].engines.clear()
            self._open = None
            with held():
                keras.backend.clear_session()
                gc.collect()

    def _make(self, chunk: Chunk, opened: OpenModel) -> None:
        (task,) = chunk.tasks
        model_task = TASKS[chunk.spec.kind](opened, chunk.spec, self.job)
        for note in model_task.notes:
            self.listener.note(note)
        place = Place(self.work.store, chunk.folder, opened.info.name, self.listener)
        self.sink.began(chunk.tasks)
        rows: list[ResultRow] = []
        write = WRITERS[chunk.spec.kind]
        for answer in model_task.explain(None, self.listener):
            for made in write(answer.explanations, chunk.spec, place):
                about = {"method": chunk.spec.kind, **made.about}
                row = ResultRow.from_json({**about_model(chunk, opened), **about})
                row = replace(
                    row,
                    task=task.id,
                    places=[len(rows)],
                    file=self.work.store.name(made.path),
                    warnings=list(made.warnings),
                )
                rows.append(row)
                for warning in made.warnings:
                    self.listener.warn(f"{made.path.name}: {warning}")
                self.listener.wrote(made.path)
                self.sink.made(task, row)
        self.sink.done(task, rows)
