"""A worker process: it imports TensorFlow, so that the process that started it need not."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from kvis_cli.errors import KvisError
from kvis_cli.events import Listener
from kvis_cli.jobs.planning.chunks import Chunk
from kvis_cli.jobs.planning.plan import Task
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.models.description.info import ModelInfo, describe_model
from kvis_cli.models.files.read import check_safe
from kvis_cli.runtime.cores import share_cores
from kvis_cli.runtime.memory import claim_process, keep_freed_memory
from kvis_cli.spec.job import JobSpec


class Link(Listener):
    """Listener and sink of a worker: passes everything on to the parent process."""

    def __init__(self, connection: Connection) -> None:
        self.send = connection.send

    def stage(self, text: str) -> None:
        """See `Listener`."""
        self.send(("stage", text))

    def note(self, text: str) -> None:
        """See `Listener`."""
        self.send(("note", text))

    def warn(self, text: str) -> None:
        """See `Listener`."""
        self.send(("warn", text))

    def wrote(self, path: Path) -> None:
        """See `Listener`."""
        self.send(("wrote", path))

    def began(self, tasks: Sequence[Task]) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        self.send(("began", [task.id for task in tasks]))

    def made(self, task: Task, row: ResultRow) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        self.send(("made", task, row))

    def done(self, task: Task, rows: list[ResultRow]) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        self.send(("done", task, rows))

    # The sink's word, with the tasks that have failed; the listener's has none.
    def failed(self, tasks: Any, what: Any, error: Any = None) -> None:  # type: ignore[override]
        """See `kvis_cli.jobs.running.work.Sink`."""
        self.send(("failed", list(tasks), what, error))


def main(
    connection: Connection,
    job: JobSpec,
    folder: Path,
    origin: dict[str, Any],
    metadata: bool,
    log: str,
) -> None:
    """Do chunks until the parent sends None or is gone.

    Parameters
    ----------
    connection
        Chunks come in, ``(name, …)`` messages go out.
    job
        The job without its images.
    folder
        Of the results; see `ResultStore`.
    origin
        What made them: versions, device.
    metadata
        Whether pictures carry their provenance.
    log
        File for what native code writes to stderr: its last words explain a crash.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    sys.stdout.flush()
    with Path(log).open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    faulthandler.enable()
    claim_process()
    keep_freed_memory()
    share_cores(job.workers)
    chunk: Chunk | None = connection.recv()
    infos = _first_info(chunk)
    try:
        from kvis_cli.jobs.running.worker import Worker
        from kvis_cli.runtime.tensorflow import start

        device = start(job.device)
    except KvisError as error:
        connection.send(("fatal", error))
        return
    link = Link(connection)
    store = ResultStore(folder, origin | {"device": device.label}, metadata=metadata)
    worker = Worker(job, store, device, link, link, isolate=True, infos=infos)
    connection.send(("ready", device.label))
    while chunk is not None:
        worker.run(chunk)
        connection.send(("idle",))
        chunk = connection.recv()
    connection.close()
    # Taking TensorFlow apart object by object costs nearly a second, and all files are closed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _first_info(chunk: Chunk | None) -> dict[str, ModelInfo]:
    """Return the file of the first model, tried in a fork while that is cheap.

    With TensorFlow, every try of a file that could crash its reader takes a whole new process.
    """
    if chunk is None:
        return {}
    try:
        info = describe_model(chunk.model.spec)
        if info.file is not None:
            check_safe(info.file.path)
    except KvisError:
        # It is reported when the model is opened.
        return {}
    return {chunk.model.spec.path: info}


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
