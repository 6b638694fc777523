"""Worker processes that outlive their chunks and may die without taking the job with them."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from kvis_cli.errors import KvisError, NotEvaluatedError, ResultError
from kvis_cli.events import Listener
from kvis_cli.jobs.planning.chunks import Chunk
from kvis_cli.jobs.planning.plan import Task
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.jobs.running.process import main
from kvis_cli.jobs.running.worker import Sink
from kvis_cli.runtime.memory import memory_kills
from kvis_cli.spec.job import JobSpec

# Give up on a model and task after this many crashes without a result between them.
MAX_STRIKES = 3
GRACE_SECONDS = 5.0


@dataclass
class _Process:
    """One worker as its parent sees it."""

    process: Any
    connection: Connection
    log: Path
    chunk: Chunk | None = None
    left: dict[str, Task] = field(default_factory=dict)
    current: list[str] = field(default_factory=list)
    since: float = 0.0
    started: float = 0.0
    ready: bool = False
    model: str = ""
    finished: int = 0
    verdict: str = ""
    memory_kills: int | None = field(default_factory=memory_kills)


class Pool:
    """Does chunks with worker processes.

    Parameters
    ----------
    job
        The job; its images are not passed on.
    store
        Where results go.
    listener
        Called with starts, crashes and progress, in this process and this thread.
    sink
        Gets the rows of every finished task, likewise.
    stop
        Asked between messages: whether to do nothing more.
    """

    def __init__(
        self,
        job: JobSpec,
        store: ResultStore,
        listener: Listener,
        sink: Sink,
        stop: Callable[[], bool],
    ) -> None:
        self.job = job.model_copy(update={"images": []})
        self.store = store
        self.listener = listener
        self.sink = sink
        self.stop = stop
        self.device = ""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._context = multiprocessing.get_context("spawn")
        self._queue: list[Chunk] = []
        self._workers: list[_Process] = []
        self._strikes: Counter[tuple[str, int]] = Counter()
        self._failed_starts = 0

    def run(self, chunks: Sequence[Chunk]) -> None:
        """Do all chunks; the sink is called for every task.

        Parameters
        ----------
        chunks
            In the order in which they are begun.

        Raises
        ------
        KvisError
            When workers cannot start at all: no such device, no TensorFlow.
        """
        self._queue = list(chunks)
        with tempfile.TemporaryDirectory(prefix="kvis-") as logs:
            self._logs = Path(logs)
            try:
                self.listener.starting()
                while not self.stop() and (self._queue or any(w.chunk for w in self._workers)):
                    self._dispatch()
                    self._wait()
            finally:
                self._close()

    def _dispatch(self) -> None:
        busy = sum(w.chunk is not None for w in self._workers)
        for _ in range(min(self.job.workers, busy + len(self._queue)) - len(self._workers)):
            self._workers.append(self._start())
        for worker in self._workers:
            if worker.chunk is None and self._queue:
                chunk = self._next(worker)
                self._queue.remove(chunk)
                worker.chunk, worker.finished, worker.current = chunk, 0, []
                worker.left = {task.id: task for task in chunk.tasks}
                worker.since = worker.started = time.monotonic()
                worker.model = chunk.model.spec.path
                self._send(worker, chunk)

    def _next(self, worker: _Process) -> Chunk:
        """Its own model if there is more of it, else one that nobody has open, else any."""
        taken = {w.model for w in self._workers if w is not worker and w.chunk is not None}
        mine = [c for c in self._queue if c.model.spec.path == worker.model]
        free = [c for c in self._queue if c.model.spec.path not in taken]
        return (mine or free or self._queue)[0]

    def _start(self) -> _Process:
        ours, theirs = self._context.Pipe()
        log = self._logs / f"worker-{time.monotonic_ns()}.log"
        arguments = (
            theirs,
            self.job,
            self.store.folder,
            self.store.origin,
            self.store.metadata,
            str(log),
        )
        process = self._context.Process(target=main, args=arguments, daemon=True)
        with _without_interruption():
            process.start()
        theirs.close()
        return _Process(process, ours, log)

    def _send(self, worker: _Process, message: Any) -> None:
        try:
            worker.connection.send(message)
        except (BrokenPipeError, ConnectionError):
            # It has just died; its sentinel says so in the next round.
            return

    def _wait(self) -> None:
        waited: list[Any] = [w.connection for w in self._workers]
        ready = wait(waited, timeout=self._patience())
        for worker in list(self._workers):
            if worker.connection in ready:
                self._receive(worker)
            elif self._overdue(worker):
                limit = self.job.timeout
                worker.verdict = f"It took longer than {limit:g} s."
                worker.process.kill()

    def _patience(self) -> float | None:
        return None if self.job.timeout is None else min(1.0, self.job.timeout / 4)

    def _overdue(self, worker: _Process) -> bool:
        if self.job.timeout is None or worker.chunk is None or not worker.ready:
            return False
        count = len(worker.current or worker.left)
        return time.monotonic() - worker.since > self.job.timeout * max(1, count)

    def _receive(self, worker: _Process) -> None:
        """All messages that are there; the end of the stream is the end of the worker."""
        try:
            while worker.connection.poll():
                self._handle(worker, *worker.connection.recv())
        except (EOFError, ConnectionError):
            self._buried(worker)

    def _handle(self, worker: _Process, name: str, *arguments: Any) -> None:
        match name:
            case "made":
                self.sink.made(*arguments)
            case "done":
                task, rows = arguments
                worker.finished += 1
                worker.left.pop(task.id, None)
                self._strikes.clear()
                self.sink.done(task, rows)
            case "failed":
                tasks, what, error = arguments
                for task in tasks:
                    worker.left.pop(task.id, None)
                self.sink.failed(tasks, what, error)
            case "began":
                worker.current = arguments[0]
                worker.since = time.monotonic()
                self.sink.began([t for i, t in worker.left.items() if i in arguments[0]])
            case "idle":
                assert worker.chunk is not None
                if worker.left:
                    lost = KvisError("kvis lost track of a task.", "", "Run the job again.")
                    self.sink.failed(list(worker.left.values()), worker.model, lost)
                self.seconds[worker.model] += time.monotonic() - worker.started
                worker.chunk = None
            case "ready":
                worker.ready = True
                worker.since = worker.started = time.monotonic()
                self._failed_starts = 0
                self.device = arguments[0]
            case "fatal":
                raise arguments[0]
            case _:
                getattr(self.listener, name)(*arguments)

    def _buried(self, worker: _Process) -> None:
        """Find out why a worker died, and put back what it had left."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(GRACE_SECONDS)
        code = worker.process.exitcode
        for_memory = not worker.verdict and killed_for_memory(code, worker.memory_kills)
        reason = worker.verdict or _reason(code, for_memory)
        words = _last_words(worker.log)
        chunk = worker.chunk
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts > self.job.retries:
                raise NotEvaluatedError(
                    "A worker process died while it started TensorFlow.",
                    " ".join(filter(None, (reason, words))),
                    "`kvis doctor` shows what is installed.",
                )
            if chunk is not None:
                self._queue.insert(0, chunk)
            return
        if chunk is None:
            return
        self.seconds[worker.model] += time.monotonic() - worker.started
        if for_memory:
            chunk = replace(chunk, batch=max(1, chunk.batch // 2))
        verb = "hung" if worker.verdict else "crashed"
        error = ResultError(
            f"The worker {verb} while it computed this.",
            " ".join(filter(None, (reason, words))),
            "The rest goes on with a fresh worker.",
        )
        self._again(worker, chunk, error)

    def _again(self, worker: _Process, chunk: Chunk, error: KvisError) -> None:
        """Put back what a dead worker has left, the suspects one by one."""
        left = list(worker.left.values())
        key = chunk.model.spec.path, chunk.entry
        if not worker.finished:
            self._strikes[key] += 1
        if self._strikes[key] > MAX_STRIKES + self.job.retries:
            same = [c for c in self._queue if (c.model.spec.path, c.entry) == key]
            self._queue = [c for c in self._queue if c not in same]
            left += [task for c in same for task in c.tasks]
            self.sink.failed(left, chunk.model.spec.path, error)
            return
        whole = not chunk.images or chunk.spec.shares_scale or not worker.current
        if whole:
            if chunk.attempt >= self.job.retries:
                self.sink.failed(left, chunk.model.spec.path, error)
            else:
                self._queue.insert(0, replace(chunk, attempt=chunk.attempt + 1))
            return
        images = [i for i in chunk.images if any(t.id in worker.left for t in i.tasks)]
        suspects = [i for i in images if any(t.id in worker.current for t in i.tasks)]
        others = [i for i in images if i not in suspects]
        again = []
        if len(suspects) > 1:
            # Which of them it was shows when each is alone. That is no second attempt yet.
            again.append(chunk.only(tuple(suspects), 1, chunk.attempt))
        elif suspects and chunk.attempt < self.job.retries:
            again.append(chunk.only(tuple(suspects), 1, chunk.attempt + 1))
        elif suspects:
            path = suspects[0].image.source.path
            self.sink.failed([t for t in left if t.id in worker.current], str(path), error)
        if others:
            limit = 1 if len(suspects) == 1 and chunk.limit == 1 else chunk.limit
            again.append(chunk.only(tuple(others), limit, chunk.attempt))
        self._queue = again + self._queue

    def _close(self) -> None:
        for worker in self._workers:
            if worker.chunk is None:
                self._send(worker, None)
            else:
                worker.process.kill()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers = []


@contextmanager
def _without_interruption() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, which goes to all those of a terminal.

    The parent ends its workers itself, when what they have done is safe.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def killed_for_memory(code: int | None, kills_before: int | None) -> bool:
    """Whether the system may have killed a process because memory ran out.

    Only then is it done again in smaller batches, whose results differ by rounding.
    """
    return code == -signal.SIGKILL and (kills_before is None or memory_kills() != kills_before)


def _reason(code: int | None, for_memory: bool) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        texts = {
            "SIGSEGV": "Segmentation fault in native code (SIGSEGV).",
            "SIGABRT": "Native code gave up (SIGABRT).",
            "SIGKILL": "It was killed (SIGKILL), as happens when memory runs out."
            if for_memory
            else "It was killed from outside (SIGKILL), and not because memory ran out.",
        }
        return texts.get(name, f"It was ended by {name}.")
    return f"Its process ended with code {code}."


def _last_words(log: Path) -> str:
    """Return what native code said before it died; Python's own stack is left out."""
    try:
        text = log.read_text("utf-8", "replace")
    except OSError:
        return ""
    words = text.split("Fatal Python error")[0].strip().splitlines()
    return f"Its last words: {words[-1].strip()[:200]}" if words else ""
