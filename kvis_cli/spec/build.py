"""From plain values to a validated `JobSpec`, with errors that name the flag or the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kvis_cli.errors import SpecError, close_matches
from kvis_cli.models.request import ModelSpec
from kvis_cli.options.fields import Spec, key_of
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

    Raises
    ------
    SpecError
        With every mistake in one message.
    """
    from kvis_cli.spec.job import JobSpec

    try:
        return JobSpec.model_validate(dict(values))
    except ValidationError as error:
        problems = [describe(e, as_flags, values) for e in error.errors()]
        raise SpecError(_sentence(problems)) from None


def build_model_spec(values: Mapping[str, Any]) -> ModelSpec:
    """Validate the options of one model, given as flags.

    Raises
    ------
    SpecError
        With every mistake in one message.
    """
    try:
        return ModelSpec.model_validate(dict(values))
    except ValidationError as error:
        raise SpecError(_sentence([describe(e, True) for e in error.errors()])) from None


_NUMBERS = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
}


def _sentence(problems: list[str]) -> str:
    *others, last = (text if text.endswith((".", "?")) else f"{text}." for text in problems)
    return " ".join([*(text.removesuffix(".") + ";" for text in others), last])


def describe(error: ErrorDetails, as_flags: bool, job: Mapping[str, Any] | None = None) -> str:
    """One validation error in words.

    Parameters
    ----------
    error
        Of pydantic.
    as_flags
        Whether it speaks of flags rather than of keys.
    job
        The job that was validated, which says the kind of the task that an error stands in.
    """
    location = [str(part) for part in error["loc"] if not isinstance(part, int)]
    name = location[-1] if location else "job"
    shown = "--" + name.replace("_", "-").rstrip("-") if as_flags else f"'{name}'"
    given = error.get("input")
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{_suggestion(error['loc'], job or {})}"
    if kind == "missing":
        if error["loc"] and isinstance(error["loc"][-1], int):
            return f"{shown} holds too few values"
        return f"{shown} is missing"
    if kind == "unknown_name":
        return f"{shown}: {error['msg']}"
    if kind in ("unknown_task", "task_shape"):
        return error["msg"]
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        near = close_matches(str(given), [c.strip() for c in choices.split(",")], n=1)
        ask = f"; did you mean '{near[0]}'?" if near else ""
        return f"{shown} cannot be '{_short(given)}': it is one of {choices}{ask}"
    if kind == "too_short":
        return f"{shown} is empty"
    if kind in _NUMBERS:
        return f"{shown} cannot be '{_short(given)}': it should be {_NUMBERS[kind]}"
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(given, Mapping):
        # Options that do not go together: what all of them are says nothing.
        return message
    message = message.replace("Input should be", "it should be").replace("dictionary", "mapping")
    return f"{shown} cannot be '{_short(given)}': {message[:1].lower()}{message[1:]}"


def spec_at(location: tuple[Any, ...], job: Mapping[str, Any]) -> type[Spec] | None:
    """The spec whose keys stand at the place of an error in a job, or None."""
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
    return None


def _suggestion(location: tuple[Any, ...], job: Mapping[str, Any]) -> str:
    from kvis_cli.spec.job import TASK_KINDS

    key = str(location[-1])
    spec = spec_at(location, job)
    specs = list(TASK_KINDS.values()) if spec is None else [spec]
    near = close_matches(key, sorted({k for s in specs for k in _keys(s)}), n=1)
    ask = f", did you mean '{near[0]}'?" if near else ""
    of = [kind for kind, other in TASK_KINDS.items() if key in _keys(other)]
    if location[0] == "tasks" and of:
        return f", which is a key of {' and '.join(of)}{ask}"
    return ask


def _keys(spec: type[Spec]) -> set[str]:
    return {key_of(name, field) for name, field in spec.model_fields.items() if name != "kind"}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


__all__ = ["build_job", "describe", "key_of", "spec_at"]
