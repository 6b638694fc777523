"""What an animation over models is made of: one class per image, from every model, as raw maps.

``top1`` is another class for every checkpoint of a run, and each picture has a scale of its own, so
the pictures of a job are no frames of one film. Its images are explained once more, for the classes
that the last model gives them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from kvis_cli.events import Listener
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import FRAMES, MANIFEST, RUN, read_rows
from kvis_cli.jobs.running.runner import Options, run_job
from kvis_cli.spec.images import ImageSpec
from kvis_cli.spec.job import JobSpec


def explain_frames(job: JobSpec, folder: Path, listener: Listener, options: Options) -> None:
    """Explain what an animation over the models of a finished job needs, below its folder.

    Nothing is done for a job that asks for no animation or has one model.

    Parameters
    ----------
    job
        The finished job.
    folder
        Its result folder.
    listener
        Called with a note that there is more to do.
    options
        Those of the job.

    Raises
    ------
    KvisError
        As `kvis_cli.jobs.running.runner.run_job`.
    """
    frames = frames_job(job, folder)
    if frames is None:
        return
    listener.note("animation: the classes of the last model, explained for every model")
    run_job(frames, Listener(), replace(options, shard=None))


def frames_job(job: JobSpec, folder: Path) -> JobSpec | None:
    """Return the job that makes the frames; None where there is nothing to animate."""
    tasks = [task for task in job.tasks if task.needs_images]
    if not (job.gif and tasks):
        return None
    try:
        models = json.loads((folder / RUN).read_text("utf-8")).get("models", [])
    except (OSError, ValueError):
        return None
    if len(models) < 2:
        return None
    rows = [r for r in read_rows(folder / MANIFEST) if r.status == "done"]
    last = [r for r in rows if r.model_name == models[-1].get("name")]
    images = _classes(last)
    if not images:
        return None
    return job.model_copy(
        update={
            "images": [
                ImageSpec.model_validate({"path": path, "class": list(classes)})
                for path, classes in images.items()
            ],
            "tasks": [t.model_copy(update={"raw": True, "grid": False}) for t in tasks],
            "output": str(folder / FRAMES),
            "gif": False,
            "report": [],
        }
    )


def _classes(rows: list[ResultRow]) -> dict[str, dict[str, None]]:
    """Image -> the classes that were explained; without what is no class or group of classes."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        units = row.units or []
        if row.image and units and all(weight == 1 for _, weight in units):
            name = "+".join(str(index) for index, _ in units)
            found.setdefault(row.image, {})[name] = None
    return found
