"""Runs a job: models × images × tasks. One failure never loses the rest."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvis_cli import __version__
from kvis_cli.errors import ExitCode, KvisError, OutputError, UsageError
from kvis_cli.events import Listener
from kvis_cli.jobs.planning.chunks import make_chunks
from kvis_cli.jobs.planning.digests import Digests
from kvis_cli.jobs.planning.plan import Plan, Shard, Task, make_plan
from kvis_cli.jobs.results.journal import Journal
from kvis_cli.jobs.results.resume import read_finished
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import RUN, ResultStore
from kvis_cli.jobs.running.work import without_refused
from kvis_cli.paths import user_path
from kvis_cli.runtime.packages import version_of
from kvis_cli.runtime.tensorflow import check_device, start
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.pictures import PictureSpec

if TYPE_CHECKING:
    from kvis_cli.models.description.info import ModelInfo

PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
# Images that a worker gets at once: few enough to share out, many enough to overlap well.
CHUNK_BATCHES = 8
# What judges finished maps, and how a run is carried out, does not belong into its pictures.
_JUDGED = {"baseline", "checks", "pass_"}
_NOT_ORIGIN = _JUDGED | {
    "images", "output", "device", "workers", "retries", "timeout", "fail_fast", "report", "gif"
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How a job is carried out, as opposed to what it is.

    Attributes
    ----------
    processes
        Compute in worker processes, which may crash; never import TensorFlow here.
    resume
        Leave out what is done already.
    clean_stale
        Remove results in the folder that the job does not ask for.
    shard
        Do only this part.
    growing
        More models will join: each gets a folder of its own from the first on.
    """

    processes: bool = False
    resume: bool = False
    clean_stale: bool = False
    shard: Shard | None = None
    growing: bool = False


@dataclass
class Outcome:
    """How a run ended.

    Attributes
    ----------
    written
        Result files, in the order of writing; the manifest is not among them.
    failures
        What could not be done: what it was, and the error.
    rows
        What was done: rows of the manifest.
    skipped
        How many tasks had been done before.
    distrusted
        Results with a warning, of tasks that are strict about it.
    folder
        Where the results are.
    changed
        Whether there was anything to do.
    """

    written: list[Path] = field(default_factory=list)
    failures: list[tuple[str, KvisError]] = field(default_factory=list)
    rows: list[ResultRow] = field(default_factory=list)
    skipped: int = 0
    distrusted: int = 0
    folder: Path = Path()
    changed: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """0 when all is done; the error's own code when nothing is; 1 in between."""
        if not self.failures:
            return ExitCode.FAILED if self.distrusted else ExitCode.OK
        codes = {error.exit_code for _, error in self.failures}
        nothing = not self.rows and not self.skipped
        return codes.pop() if len(codes) == 1 and nothing else ExitCode.FAILED


def run_job(
    job: JobSpec, listener: Listener | None = None, options: Options | None = None
) -> Outcome:
    """Do everything that a job asks for.

    Parameters
    ----------
    job
        The validated spec.
    listener
        Called for everything that happens.
    options
        Without them: everything, in this process.

    Returns
    -------
    Outcome
        Rows, failures, and the exit code of the command.

    Raises
    ------
    UsageError
        For a wrong request: no image, an unknown device; in this process also a layer or class.
    KvisError
        When nothing at all could be begun: no device, no writable folder.
    """
    check_device(job.device)
    options = options or Options()
    digests = Digests(result_folder(job, options.shard))
    plan = make_plan(job, shard=options.shard, growing=options.growing, digests=digests)
    return Run(plan, listener or Listener(), options).run()


def result_folder(job: JobSpec, shard: Shard | None) -> Path:
    """Where a job, or a shard of it, puts its results."""
    folder = user_path(job.output)
    return folder / f"shard-{shard.index}-of-{shard.count}" if shard else folder


class Run:
    """The state of one run. It is the sink of its workers."""

    def __init__(self, plan: Plan, listener: Listener, options: Options) -> None:
        self.plan = plan
        self.job = plan.job
        self.listener = listener
        self.options = options
        self.outcome = Outcome()
        self.ids = {task.id: task for task in plan.tasks}
        self.done_rows: dict[str, list[ResultRow]] = {}
        self.parts: dict[str, dict[str, ResultRow]] = {}
        self.failed_rows: dict[str, ResultRow] = {}
        self.before: dict[str, list[ResultRow]] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.device = ""
        self._said: set[tuple[str, str]] = set()
        self._disk_error: KvisError | None = None

    def run(self) -> Outcome:
        """Run, and write the manifest whatever happens."""
        began = time.monotonic()
        infos = {} if self.options.processes else self._infos()
        keep = all(t.metadata for t in self.job.tasks if isinstance(t, PictureSpec))
        # Tried before TensorFlow starts: a read-only folder is reported at once, not after 10 s.
        folder = result_folder(self.job, self.options.shard)
        self.store = ResultStore(folder, self._origin(), metadata=keep)
        self.outcome.folder = folder
        self.journal = Journal(folder)
        unfinished = self.journal.path.exists()
        others, todo = self._resume()
        self.outcome.changed = bool(todo) or unfinished or self.options.clean_stale
        left = Counter(self.plan.models[self.ids[i].model].spec.path for i in todo)
        self.outcome.skipped = len(self.ids) - len(todo)
        self.listener.planned(left, self.outcome.skipped)
        try:
            if todo:
                self._compute(todo, infos)
        finally:
            self.outcome.distrusted = self._distrusted()
            rows = self.done_rows or self.failed_rows or self.before or self.parts or others
            # A shard may have nothing to do; it is joined to the others all the same.
            if rows or (self.options.shard is not None and not self.ids):
                if self.outcome.changed or not rows:
                    self._finish(others, todo, time.monotonic() - began)
            else:
                self.journal.remove()
        if self._disk_error is not None:
            raise self._disk_error
        return self.outcome

    def _infos(self) -> dict[str, ModelInfo]:
        """Return the models' files, read before TensorFlow starts; an only model has to be good."""
        from kvis_cli.jobs.planning.checking import check_plan
        from kvis_cli.models.description.info import describe_model
        from kvis_cli.models.description.trust import check_file

        infos = {}
        for model in self.plan.models:
            try:
                info = infos[model.spec.path] = describe_model(model.spec)
                # Again on opening, at no cost; the first time is cheaper without TensorFlow.
                check_file(info)
            except KvisError as error:
                if isinstance(error, UsageError) or len(self.plan.models) == 1:
                    raise
        # A wrong layer or class is reported at once, not after TensorFlow has started.
        for problem in check_plan(self.plan, infos):
            if isinstance(problem.error, UsageError):
                raise problem.error
        return infos

    def _resume(self) -> tuple[list[ResultRow], list[str]]:
        """Return what stays of earlier runs, and the ids of what is to do."""
        finished = read_finished(self.store.folder)
        if self.options.resume:
            self.done_rows = finished.take(self.ids)
        todo = self._with_shared_scales([i for i in self.ids if i not in self.done_rows])
        self.before = finished.take(todo)
        for i in todo:
            if i in self.done_rows:
                self.before[i] = self.done_rows.pop(i)
        others = [row for rows in finished.rows.values() for row in rows]
        if self.options.clean_stale:
            self._clean(others)
            others = []
        if todo:
            self.journal.begin({self.plan.prefix(self.ids[i]) for i in todo})
        return others, todo

    def _with_shared_scales(self, todo: list[str]) -> list[str]:
        """With a shared scale, all pictures of an entry are made again or none."""
        entries = {(self.ids[i].model, self.ids[i].entry) for i in todo}
        shared = {(m, e) for m, e in entries if self.job.tasks[e].shares_scale}
        if not shared:
            return todo
        wanted = set(todo)
        return [i for i, t in self.ids.items() if i in wanted or (t.model, t.entry) in shared]

    def _clean(self, stale: Sequence[ResultRow]) -> None:
        kept = {row.file for rows in self.done_rows.values() for row in rows}
        for row in stale:
            for name in filter(None, (row.file, row.raw)):
                if name not in kept:
                    (self.store.folder / name).unlink(missing_ok=True)

    def _compute(self, todo: list[str], infos: dict[str, ModelInfo]) -> None:
        if self.options.processes:
            from kvis_cli.jobs.running.pool import Pool

            todo = without_refused(self.plan, todo, self)
            if not todo:
                return
            batches = CHUNK_BATCHES if self.job.workers == 1 else max(2, CHUNK_BATCHES // 2)
            chunks = make_chunks(self.plan, todo, batches * self.job.batch_size)
            pool = Pool(self.job, self.store, self.listener, self, self._stopped)
            try:
                pool.run(chunks)
            finally:
                self.device, self.seconds = pool.device, pool.seconds
            return
        from kvis_cli.jobs.running.worker import Worker

        self.listener.starting()
        device = start(self.job.device)
        self.device = self.store.origin["device"] = device.label
        worker = Worker(
            self.job, self.store, device, self.listener, self, isolate=False, infos=infos
        )
        for chunk in make_chunks(self.plan, todo, None):
            began = time.monotonic()
            worker.run(chunk)
            self.seconds[chunk.model.spec.path] += time.monotonic() - began
            if self._stopped():
                return

    def _stopped(self) -> bool:
        if self._disk_error is not None:
            return True
        return self.job.fail_fast and bool(self.outcome.failures)

    def _distrusted(self) -> int:
        """Results with a warning, those of earlier runs too: a rerun makes nothing better."""
        strict = {i for i, task in self.ids.items() if self.job.tasks[task.entry].strict}
        rows = (row for i in strict for row in self.done_rows.get(i, ()))
        return sum(bool(row.warnings or row.caution) for row in rows)

    # What workers say.

    def began(self, tasks: Sequence[Task]) -> None:
        """Nothing to record: a task that never ends is done again."""

    def made(self, task: Task, row: ResultRow) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        # Without `of` a task does not count as done, and a rerun makes it whole.
        row = replace(row, of=None, entry=self.plan.labels[task.entry])
        self.parts.setdefault(task.id, {})[str(row.file)] = row

    def done(self, task: Task, rows: list[ResultRow]) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        if task.id in self.done_rows:
            return
        entry = self.plan.labels[task.entry]
        rows = [replace(row, of=len(rows), entry=entry) for row in rows]
        try:
            self.journal.add(task.id, rows)
        except OutputError as error:
            self._disk_error = self._disk_error or error
            return
        self.failed_rows.pop(task.id, None)
        self.done_rows[task.id] = rows
        self.outcome.rows.extend(rows)
        for row in rows:
            self.outcome.written += [self.store.folder / row.file] if row.file else []
            self.listener.row(row)
        self.listener.task(self.plan.describe(task), True)

    def failed(self, tasks: Sequence[Task], what: str, error: KvisError) -> None:
        """See `kvis_cli.jobs.running.work.Sink`."""
        new = [t for t in tasks if t.id not in self.done_rows and t.id not in self.failed_rows]
        for task in new:
            about = self.plan.describe(task)
            self.failed_rows[task.id] = ResultRow(
                **about,
                status="failed",
                error={"kind": type(error).__name__, "what": error.what, "why": error.why},
                hint=error.hint,
            )
            self.listener.task(about, False)
        said = (what, str(error))
        if new and said not in self._said:
            self._said.add(said)
            self.outcome.failures.append((what, error))
            self.listener.failed(what, error)
        if isinstance(error, OutputError) and self.options.processes:
            # Whatever comes next would fail alike.
            self._disk_error = self._disk_error or error

    # The end.

    def _finish(self, others: list[ResultRow], todo: list[str], seconds: float) -> None:
        # What was to be done again and was not, because the run ended early, is as good as before.
        for i, rows in self.before.items():
            if i not in self.failed_rows:
                self.done_rows.setdefault(i, rows)
        rows = [row for rows in self.done_rows.values() for row in rows]
        for i, parts in self.parts.items():
            if i not in self.done_rows:
                rows += parts.values()
        ours = {row.file for row in rows if row.file}
        rows += [row for row in others if row.file not in ours]
        self.store.write_manifest(rows + list(self.failed_rows.values()))
        self.store.write_json(RUN, self._summary(seconds))
        self.journal.remove()
        self.plan.digests.remember(self.store.folder)
        from kvis_cli.jobs.results.joint import write_joint

        for path in write_joint(self.plan, self.store, self.done_rows, set(todo)):
            self.outcome.written.append(path)
            self.listener.wrote(path)

    def _origin(self) -> dict[str, Any]:
        spec = self.job.given(_NOT_ORIGIN)
        for task, entry in zip(self.job.tasks, spec["tasks"], strict=True):
            entry["kind"] = task.kind
        versions = {name: version_of(name) for name in PACKAGES}
        return {"kvis": __version__, "spec": spec, "versions": versions}

    def _summary(self, seconds: float) -> dict[str, Any]:
        done = sum(i in self.done_rows for i in self.ids)
        failed = sum(i in self.failed_rows for i in self.ids)
        return {
            "kvis": __version__,
            "versions": self.store.origin["versions"],
            "device": self.device,
            "spec": self.job.given(_JUDGED)
            | {"tasks": [t.model_dump(mode="json", by_alias=True) for t in self.job.tasks]},
            "shard": str(self.options.shard) if self.options.shard else None,
            "models": [
                {"path": m.spec.path, "name": m.name, "sha256": m.sha256} for m in self.plan.models
            ],
            "images": [
                {"path": str(i.source.path), "name": i.name, "sha256": i.sha256}
                for i in self.plan.images
            ],
            "tasks": {"all": len(self.ids), "done": done, "failed": failed},
            "distrusted": self.outcome.distrusted,
            "seconds": round(seconds, 3),
            "seconds_by_model": {path: round(s, 3) for path, s in sorted(self.seconds.items())},
            "failures": [
                {"what": what, "error": str(error), "kind": type(error).__name__}
                for what, error in self.outcome.failures
            ],
        }
