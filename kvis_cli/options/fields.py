"""One definition per option: its default, its help, its flag and its YAML key.

`option` makes a pydantic field that also knows how the command line shows it. The YAML key is
the field's alias (or name) and the flag is that key with dashes, so the two never drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from kvis_cli.errors import UnknownNameError

# Panels of the help, in the order in which they are shown.
TARGET = "What to explain"
METHOD = "Method"
OPTIMIZATION = "Optimisation"
PICTURE = "Picture"
MODEL = "Model"
RUN = "Run"
PANELS = (TARGET, METHOD, OPTIMIZATION, PICTURE, MODEL, RUN)


@dataclass(frozen=True)
class Flag:
    """How an option looks on the command line.

    Attributes
    ----------
    name
        Long flag, e.g. ``--class``.
    short
        Short flag, e.g. ``-o``, or empty.
    panel
        Heading of the help panel.
    metavar
        Placeholder in the help, or empty for the type's own.
    job_only
        Whether only `kvis run` has it.
    """

    name: str
    short: str = ""
    panel: str = "Options"
    metavar: str = ""
    job_only: bool = False


def option(
    default: Any,
    help: str,
    *,
    key: str | None = None,
    short: str = "",
    panel: str = "Options",
    metavar: str = "",
    job_only: bool = False,
    **constraints: Any,
) -> Any:
    """Make a spec field that is also a command-line option.

    Parameters
    ----------
    default
        The value when neither the flag nor the key is given.
    help
        One sentence, shown in ``--help`` and in the JSON Schema.
    key
        YAML key where it is not the field's name (``class`` is a Python keyword).
    short
        Short flag, e.g. ``-o``, or empty.
    panel
        Heading of the help panel.
    metavar
        Placeholder in the help, or empty for the type's own. ``FILE`` says that a relative path in
        a job file is relative to it.
    job_only
        Whether only `kvis run` has it.
    constraints
        Passed to pydantic: ``ge=0, le=1, min_length=1``.

    Returns
    -------
    pydantic.fields.FieldInfo
        To be assigned to the field.
    """
    flag = {"short": short, "panel": panel, "metavar": metavar, "job_only": job_only}
    extra: dict[str, Any] = {"flag": flag}
    if callable(default):
        constraints["default_factory"] = default
    else:
        constraints["default"] = default
    return Field(alias=key, description=help, json_schema_extra=extra, **constraints)


def flag_of(name: str, field: FieldInfo) -> Flag | None:
    """Return the `Flag` of a spec field, or None for a field that only the job file has."""
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or "flag" not in extra:
        return None
    settings: Any = extra["flag"]
    return Flag(
        name="--" + key_of(name, field).replace("_", "-"),
        short=settings["short"],
        panel=settings["panel"],
        metavar=settings["metavar"],
        job_only=settings["job_only"],
    )


def key_of(name: str, field: FieldInfo) -> str:
    """Return the YAML key of a spec field."""
    return field.alias or name


class Spec(BaseModel):
    """Base of every part of a job spec: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", populate_by_name=True, frozen=True, validate_default=True
    )


def as_list(value: Any) -> Any:
    """One value or a comma-separated text where a list is meant: ``22,23`` is two entries."""
    if value is None or isinstance(value, list | tuple):
        items: list[Any] = []
        for entry in value or []:
            items.extend(as_list(entry) if isinstance(entry, str) else [entry])
        return [str(i) if _is_number(i) else i for i in items]
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(value)] if _is_number(value) else value


def known(kind: str, names: Iterable[str], chosen: Iterable[str], hint: str = "") -> None:
    """Check names against a registry.

    Parameters
    ----------
    kind
        The noun in the message, such as ``method``.
    names
        What is registered.
    chosen
        What the user gave.
    hint
        Added to the message.

    Raises
    ------
    PydanticCustomError
        ``unknown_name``, with close matches; pydantic collects these into one message.
    """
    names = list(names)
    for name in chosen:
        if name not in names:
            text = str(UnknownNameError.of(kind, name, names, hint=hint))
            # The message is a template, in which braces would be fields.
            raise PydanticCustomError("unknown_name", text.replace("{", "(").replace("}", ")"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Texts = Annotated[list[str], BeforeValidator(as_list)]
"""A list of texts; in YAML also one value, on the command line also comma-separated."""
