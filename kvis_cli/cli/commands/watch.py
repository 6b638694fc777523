"""``kvis watch``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Events, Quiet, Traceback, exit_codes
from kvis_cli.options.fields import RUN
from kvis_cli.spec.run import RunSpec


@with_options(RunSpec, job=True)
def watch(
    folder: Annotated[
        Path, typer.Argument(help="Folder that a training run saves into.", metavar="FOLDER")
    ],
    job: Annotated[Path, typer.Argument(help="Job file (YAML).", metavar="JOB.yaml")],
    *,
    given: dict[type, dict[str, Any]],
    every: Annotated[
        float,
        typer.Option(
            "--every", help="Seconds between two looks.", min=0.1, max=86400, rich_help_panel=RUN
        ),
    ] = 5.0,
    idle: Annotated[
        float | None,
        typer.Option(
            "--idle",
            help="End when there was nothing new for this many seconds.",
            metavar="SECONDS",
            min=0,
            rich_help_panel=RUN,
        ),
    ] = None,
    json: Events = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Explain checkpoints as a training run writes them: a job for every new file of a folder.

    The job's models are the folder's .keras and .h5 files and its SavedModels, each once it is
    whole; the first model of the job says how they are read. Results and report grow with every
    checkpoint. Ctrl-C or SIGTERM ends it; what is done is kept.

    Examples:

      kvis watch checkpoints job.yaml

      kvis watch checkpoints job.yaml --every 30 --idle 3600
    """
    with exit_codes(traceback):
        from kvis_cli.cli.job_console import JobConsole
        from kvis_cli.jobs.running.animating import explain_frames
        from kvis_cli.jobs.running.checkpoints import CheckpointFolder, watch_folder, with_models
        from kvis_cli.jobs.running.runner import Options, result_folder, run_job
        from kvis_cli.report import finish_reports
        from kvis_cli.spec.file import read_job

        spec = read_job(job, given[RunSpec])
        watched = CheckpointFolder(folder, spec.models[0])
        told: set[Path] = set()
        ended: list[int] = []

        def explain(paths: list[Path]) -> None:
            listener = JobConsole(quiet=quiet, as_json=json, folder=result_folder(spec, None))
            for path, error in watched.broken.items():
                if path not in told:
                    told.add(path)
                    listener.warn(f"{path}: {error}")
            try:
                options = Options(processes=True, resume=True, growing=True)
                job_now = with_models(spec, paths)
                outcome = run_job(job_now, listener, options)
                if outcome.changed:
                    explain_frames(job_now, outcome.folder, listener, options)
                finish_reports(outcome.folder, spec.report, spec.gif, outcome.changed, listener)
            finally:
                listener.close()
            listener.ended(outcome)
            ended.append(int(outcome.exit_code))

        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            watch_folder(watched, explain, every=every, idle=idle)
        except KeyboardInterrupt:
            # Between two jobs that is how it is meant to end; a job that was cut short can resume.
            if not ended:
                raise
        finally:
            signal.signal(signal.SIGTERM, before)
        if any(ended):
            raise typer.Exit(max(ended))
