"""Job files: read, checked as a whole, their paths made absolute or relative to where we are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from kvis_cli.errors import JobFileError, SpecError
from kvis_cli.models.description.applications import parse_reference
from kvis_cli.models.request import ModelSpec
from kvis_cli.options.fields import Spec, flag_of
from kvis_cli.options.mistakes import describe
from kvis_cli.options.yaml import Document, Place, load_document
from kvis_cli.paths import user_path
from kvis_cli.shown import shown
from kvis_cli.spec.build import suggester
from kvis_cli.spec.gate import CHECK_KINDS
from kvis_cli.spec.images import CsvSpec, ImageEntry, ImageSpec
from kvis_cli.spec.job import TASK_KINDS, JobSpec

AnySpec = TypeVar("AnySpec", bound=Spec)


def read_job(path: Path, overrides: Mapping[str, Any] | None = None) -> JobSpec:
    """Read a job file.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to its folder.
    overrides
        Top-level keys from the command line, which win; their paths are relative to where we are.

    Returns
    -------
    JobSpec
        Validated, with absolute paths and all defaults.

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
        (document.place((key,)), f"the key '{key}' is not text")
        for key in document.value
        if not isinstance(key, str)
    ]
    try:
        job = None if problems else JobSpec.model_validate(document.value)
    except ValidationError as error:
        suggest = suggester(document.value)
        problems = [
            (_place(document, e["loc"]), describe(e, False, suggest)) for e in error.errors()
        ]
    if problems or job is None:
        problems = sorted(set(problems))
        lines = [shown(f"{path}:{line}:{column}: {text}") for (line, column), text in problems]
        count = len(lines)
        raise JobFileError(
            "\n".join(([f"{count} mistakes in {shown(path)}:"] if count > 1 else []) + lines),
            "",
            "`kvis schema` prints what a job file may say." if count > 1 else "",
        )
    job = _resolved(job, path.parent)
    if job.checks:
        job = job.with_maps()
    if not overrides:
        return job
    values = {name: getattr(job, name) for name in JobSpec.model_fields if name != "output"}
    try:
        return JobSpec.model_validate({**values, "out": job.output, **overrides})
    except ValidationError as error:
        raise SpecError("; ".join(describe(e, True) for e in error.errors()) + ".") from None


def _place(document: Document, location: tuple[Any, ...]) -> Place:
    """Where an error stands."""
    return document.places.get(_written(document, (), location), (1, 1))


def _written(
    document: Document, found: tuple[Any, ...], location: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Return the longest path in the file that an error's location means.

    A location has steps that the file has not (which form of an image it is), and the file has
    one that a location has not (the task's kind in ``- cam: {…}``).
    """
    if not location:
        return found
    step, rest = location[0], location[1:]
    candidates = [_written(document, found, rest)]
    if (*found, step) in document.places:
        candidates.append(_written(document, (*found, step), rest))
    elif len(found) == 2 and found[0] in ("tasks", "checks"):
        inner = [(*found, kind, step) for kind in (*TASK_KINDS, *CHECK_KINDS)]
        candidates += [_written(document, p, rest) for p in inner if p in document.places]
    # The last step is what the error is about.
    return max(candidates, key=lambda path: (path[-1:] == location[-1:], len(path)))


def _resolved(job: JobSpec, folder: Path) -> JobSpec:
    return job.model_copy(
        update={
            "models": [_resolved_model(model, folder) for model in job.models],
            "images": [_resolved_image(image, folder) for image in job.images],
            "tasks": [_resolved_spec(task, folder) for task in job.tasks],
            "output": _join(folder, job.output),
            "baseline": None if job.baseline is None else _join(folder, job.baseline),
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
    updates: dict[str, Any] = {}
    for name, field in type(spec).model_fields.items():
        flag = flag_of(name, field)
        value = getattr(spec, name)
        if flag and flag.metavar == "FILE" and isinstance(value, str) and value != "imagenet":
            updates[name] = _join(folder, value)
        elif flag and flag.metavar == "FILES":
            updates[name] = [_join(folder, one) for one in value]
    return spec.model_copy(update=updates)


def _join(folder: Path, path: str) -> str:
    # Not resolved: a link stays what its name says, and what is short stays short.
    return os.path.normpath(folder / user_path(path))
