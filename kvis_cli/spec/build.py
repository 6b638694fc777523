"""From plain values to a validated `JobSpec`, with errors that name the flag or the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from kvis_cli.errors import SpecError
from kvis_cli.models.request import ModelSpec
from kvis_cli.options.fields import Spec
from kvis_cli.options.mistakes import Suggest, describe, keys_of, near_key, sentence
from kvis_cli.spec.images import CsvSpec, ImageSpec

# `kvis layers` checks a model's options without the specs of all tasks.
if TYPE_CHECKING:
    from kvis_cli.spec.job import JobSpec


def build_job(values: Mapping[str, Any], *, as_flags: bool = False) -> JobSpec:
    """Validate `values` as a job.

    Parameters
    ----------
    values
        The job as nested mappings and lists, keys as in a job file.
    as_flags
        Whether messages name flags (``--class``) rather than job file keys.

    Returns
    -------
    JobSpec
        Validated, with all defaults.

    Raises
    ------
    SpecError
        With every mistake in one message.
    """
    from kvis_cli.spec.job import JobSpec

    try:
        return JobSpec.model_validate(dict(values))
    except ValidationError as error:
        problems = [describe(e, as_flags, suggester(values)) for e in error.errors()]
        raise SpecError(sentence(problems)) from None


def suggester(job: Mapping[str, Any]) -> Suggest:
    """Return what proposes a key for one that is unknown at a location of `job`."""
    from kvis_cli.spec.job import TASK_KINDS

    def suggest(location: tuple[Any, ...]) -> str:
        key = str(location[-1])
        spec = _spec_at(location, job)
        specs = list(TASK_KINDS.values()) if spec is None else [spec]
        ask = near_key(key, {k for s in specs for k in keys_of(s)})
        of = [kind for kind, other in TASK_KINDS.items() if key in keys_of(other)]
        if location[0] == "tasks" and of:
            return f", which is a key of {' and '.join(of)}{ask}"
        return ask

    return suggest


def _spec_at(location: tuple[Any, ...], job: Mapping[str, Any]) -> type[Spec] | None:
    """Return the spec whose keys stand at the place of an error in a job, or None."""
    from kvis_cli.spec.gate import CHECK_KINDS, PassSpec
    from kvis_cli.spec.job import TASK_KINDS, JobSpec

    match location:
        case (_,):
            return JobSpec
        case ("models", int(), *_):
            return ModelSpec
        case ("images", int(), "csv", *_):
            return CsvSpec
        case ("images", int(), *_):
            return ImageSpec
        case ("tasks", int(number), *_) if job:
            task = job["tasks"][number]
            return TASK_KINDS[task["kind"] if "kind" in task else next(iter(task))]
        case ("checks", int(number), *_) if job:
            check = job["checks"][number]
            return CHECK_KINDS[check["kind"] if "kind" in check else next(iter(check))]
        case ("pass", *_):
            return PassSpec
    return None
