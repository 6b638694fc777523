"""How a job is carried out, and where its results go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator

from kvis_cli.options.fields import RUN, Spec, as_list, option
from kvis_cli.spec.formats import REPORTS

if TYPE_CHECKING:
    ReportFormat = str
else:
    ReportFormat = Literal[tuple(REPORTS)]


class RunSpec(Spec):
    """What every command and every job says about its run."""

    output: str = option(
        "kvis-out", "Folder for the results.", key="out", short="-o", panel=RUN, metavar="DIR"
    )
    device: str = option(
        "auto", "Where to compute: auto, cpu, gpu or gpu:N.", panel=RUN, metavar="NAME"
    )
    batch_size: int = option(
        16, "Inputs computed at once; less needs less memory.", panel=RUN, ge=1, le=4096
    )
    seed: int = option(0, "Seed of everything random.", panel=RUN, ge=0)
    workers: int = option(
        1, "Processes that compute, each with TensorFlow.", panel=RUN, job_only=True, ge=1, le=256
    )
    retries: int = option(
        1,
        "How often a task is tried again after its worker died or took too long.",
        panel=RUN,
        job_only=True,
        ge=0,
        le=100,
    )
    timeout: float | None = option(
        None,
        "Seconds that one task may take; a batch may take as much as its tasks together.",
        panel=RUN,
        job_only=True,
        gt=0,
    )
    fail_fast: bool = option(False, "Stop at the first failure.", panel=RUN, job_only=True)
    report: Annotated[list[ReportFormat], BeforeValidator(as_list)] = option(
        list,
        f"Reports to write at the end: {', '.join(REPORTS)}.",
        panel=RUN,
        metavar="FORMAT",
        job_only=True,
    )
    gif: bool = option(
        False,
        "Also make an animation over the models (the checkpoints of a run) for every image.",
        panel=RUN,
        job_only=True,
    )
