"""What a job asks for, worked out without TensorFlow: which models, which pictures."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from kvis_cli.errors import UsageError
from kvis_cli.jobs.photos import expand_glob, find_images
from kvis_cli.models.applications import parse_reference
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.model import ModelSpec


@dataclass(frozen=True)
class Plan:
    """A job, expanded.

    Attributes
    ----------
    job
        The spec.
    models
        One spec per model: globs resolved, in natural order.
    images
        Picture files in the order of the spec.
    """

    job: JobSpec
    models: list[ModelSpec]
    images: list[Path]


def make_plan(job: JobSpec) -> Plan:
    """Expand globs and folders.

    Raises
    ------
    UsageError
        For a glob or a folder that gives nothing.
    """
    models: dict[str, ModelSpec] = {}
    for spec in job.models:
        for path in _expand(spec.path):
            models.setdefault(path, spec.model_copy(update={"path": path}))
    return Plan(job, list(models.values()), find_images(job.images))


def _expand(text: str) -> list[str]:
    if not glob.has_magic(text) or Path(text).exists() or parse_reference(text):
        return [text]
    found = expand_glob(text)
    # Sidecars and label files lie beside checkpoints.
    files = [str(p) for p in found if p.suffix.lower() in (".keras", ".h5", ".hdf5") or p.is_dir()]
    if not files:
        raise UsageError(f"No model matches '{text}'.", "", "Check the path and the glob.")
    return files
