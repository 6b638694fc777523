"""Job files: read, checked as a whole, their paths made absolute or relative to where we are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from kvis_cli.errors import SpecError
from kvis_cli.models.applications import parse_reference
from kvis_cli.spec.build import describe
from kvis_cli.spec.fields import Spec, flag_of
from kvis_cli.spec.images import CsvSpec, ImageEntry, ImageSpec
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.model import ModelSpec
from kvis_cli.spec.yaml import Document, load_document

AnySpec = TypeVar("AnySpec", bound=Spec)


def read_job(path: Path, overrides: Mapping[str, Any] | None = None) -> JobSpec:
    """Read a job file.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to its folder.
    overrides
        Top-level keys from the command line, which win; their paths are relative to where we are.

    Raises
    ------
    SpecError
        With every mistake in the file, one a line: ``job.yaml:14:9: unknown key 'methd' …``.
    """
    document = load_document(path)
    if not isinstance(document.value, dict):
        raise SpecError(
            f"{path}:1:1: a job file is a mapping with the keys models, images and tasks.",
            "",
            "`kvis init` writes one to start from.",
        )
    problems = [
        (document.place((key,)), f"the key '{key}' is no text")
        for key in document.value
        if not isinstance(key, str)
    ]
    try:
        job = None if problems else JobSpec.model_validate(document.value)
    except ValidationError as error:
        problems = [(_place(document, e["loc"]), describe(e, False)) for e in error.errors()]
    if problems or job is None:
        problems = sorted(set(problems))
        lines = [f"{path}:{line}:{column}: {text}" for (line, column), text in problems]
        count = len(lines)
        raise SpecError(
            "\n".join(([f"{count} mistakes in {path}:"] if count > 1 else []) + lines),
            "",
            "`kvis schema` prints what a job file may say." if count > 1 else "",
        )
    job = _resolved(job, path.parent)
    if not overrides:
        return job
    values = {name: getattr(job, name) for name in JobSpec.model_fields if name != "output"}
    try:
        return JobSpec.model_validate({**values, "out": job.output, **overrides})
    except ValidationError as error:
        raise SpecError("; ".join(describe(e, True) for e in error.errors()) + ".") from None


def _place(document: Document, location: tuple[Any, ...]) -> tuple[int, int]:
    """Where an error stands: its location has steps that the file has not, and the reverse."""
    found: tuple[Any, ...] = ()
    for step in location:
        if (*found, step) in document.places:
            found = (*found, step)
            continue
        # `- cam: {…}`: the task's kind is a key in the file and not in the location.
        inner = [
            p for p in document.places if len(p) == len(found) + 2 and p[: len(found)] == found
        ]
        below = [p for p in inner if p[-1] == step]
        if len(below) == 1:
            found = below[0]
    return document.places.get(found, (1, 1))


def _resolved(job: JobSpec, folder: Path) -> JobSpec:
    return job.model_copy(
        update={
            "models": [_resolved_model(model, folder) for model in job.models],
            "images": [_resolved_image(image, folder) for image in job.images],
            "tasks": [_resolved_spec(task, folder) for task in job.tasks],
            "output": _join(folder, job.output),
        }
    )


def _resolved_model(model: ModelSpec, folder: Path) -> ModelSpec:
    path = model.path
    reference = None if (folder / path).exists() else parse_reference(path)
    if reference is None:
        path = _join(folder, path)
    elif reference.weights not in ("imagenet", "random"):
        path = f"{path.partition(':')[0]}:{_join(folder, reference.weights)}"
    return _resolved_spec(model, folder).model_copy(update={"path": path})


def _resolved_image(image: ImageEntry, folder: Path) -> ImageEntry:
    match image:
        case CsvSpec():
            return image.model_copy(update={"csv": _join(folder, image.csv)})
        case ImageSpec():
            mask = _join(folder, image.mask) if image.mask else None
            return image.model_copy(update={"path": _join(folder, image.path), "mask": mask})
    return _join(folder, image)


def _resolved_spec(spec: AnySpec, folder: Path) -> AnySpec:
    """`spec` with its file options joined to `folder`. Label sets that are no file stay."""
    updates = {}
    for name, field in type(spec).model_fields.items():
        flag = flag_of(name, field)
        value = getattr(spec, name)
        if flag and flag.metavar == "FILE" and isinstance(value, str) and value != "imagenet":
            updates[name] = _join(folder, value)
    return spec.model_copy(update=updates)


def _join(folder: Path, path: str) -> str:
    # Not resolved: a link stays what its name says, and what is short stays short.
    return os.path.normpath(folder / Path(path).expanduser())
