"""What all chunks of a worker share, and who takes what they finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kvis_cli.errors import KvisError, ResultError
from kvis_cli.events import Listener
from kvis_cli.jobs.planning.checking import refused_entries
from kvis_cli.jobs.planning.plan import Plan, Task
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.shown import said
from kvis_cli.spec.job import JobSpec


class Sink(Protocol):
    """Takes what a worker has finished."""

    def began(self, tasks: Sequence[Task]) -> None:
        """Take note of the tasks that are being computed now."""

    def made(self, task: Task, row: ResultRow) -> None:
        """Take one of the pictures of a task that goes on."""

    def done(self, task: Task, rows: list[ResultRow]) -> None:
        """Take all pictures of a task, which are on disk."""

    def failed(self, tasks: Sequence[Task], what: str, error: KvisError) -> None:
        """Take note of tasks that cannot be done; `what` is the image or model to blame."""


@dataclass
class Work:
    """The circumstances of a worker.

    Attributes
    ----------
    job
        Settings that all chunks share.
    store
        Where results go.
    listener
        Called for everything that happens.
    sink
        Takes what is finished.
    isolate
        Whether an error of any kind fails only its own tasks. Otherwise wrong requests and unknown
        errors are raised.
    predicted
        Pairs of model and image whose first classes have been shown.
    memory_limit
        Most inputs at once, as far as memory is known to suffice.
    """

    job: JobSpec
    store: ResultStore
    listener: Listener
    sink: Sink
    isolate: bool
    predicted: set[tuple[str, str]] = field(default_factory=set)
    memory_limit: int = 1 << 30


def without_refused(plan: Plan, todo: list[str], sink: Sink) -> list[str]:
    """Let tasks fail that the model's files refuse; return the ids of the rest.

    Of a job with one model, so that it need not start TensorFlow to hear it. Reading the files of
    many models would keep their workers waiting.
    """
    if len(plan.models) > 1:
        return todo
    refused = refused_entries(plan)
    tasks = {task.id: task for task in plan.tasks}
    for entry, error in refused.items():
        failed = [tasks[i] for i in todo if tasks[i].entry == entry]
        if failed:
            sink.failed(failed, plan.models[0].spec.path, error)
    return [i for i in todo if tasks[i].entry not in refused]


def unknown_error(error: Exception) -> KvisError:
    """Any other error as one that can be recorded."""
    text = said(error)
    return ResultError(
        f"{type(error).__name__}: {text}." if text else f"{type(error).__name__}.",
        "This is a bug in kvis, or a case that it does not handle.",
        "A single command with --traceback shows where it comes from.",
    )
