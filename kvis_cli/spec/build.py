"""From plain values to a validated `JobSpec`, with errors that name the flag or the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kvis_cli.errors import SpecError, close_matches
from kvis_cli.spec.fields import key_of
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
    try:
        return JobSpec.model_validate(dict(values))
    except ValidationError as error:
        problems = [describe(e, as_flags) for e in error.errors()]
        raise SpecError("; ".join(problems) + ".", "", "") from None


def describe(error: ErrorDetails, as_flags: bool) -> str:
    """One validation error in words."""
    location = [str(part) for part in error["loc"] if not isinstance(part, int)]
    name = location[-1] if location else "job"
    shown = "--" + name.replace("_", "-").rstrip("-") if as_flags else f"'{'.'.join(location)}'"
    given = error.get("input")
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key '{name}'"
    if kind == "missing":
        return f"{shown} is missing"
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        near = close_matches(str(given), [c.strip() for c in choices.split(",")], n=1)
        ask = f"; did you mean '{near[0]}'?" if near else ""
        return f"{shown} cannot be '{given}': it is one of {choices}{ask}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{shown} cannot be '{given}': {message[:1].lower()}{message[1:]}"


__all__ = ["build_job", "describe", "key_of"]
