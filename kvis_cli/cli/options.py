"""Command-line options made from spec fields, so that flags and YAML keys are one definition."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kvis_cli.options.fields import PANELS, Flag, Spec, flag_of, key_of
from kvis_cli.shown import shown


def with_options(
    *specs: type[Spec], job: bool = False, without: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for every field of `specs` to a command.

    Options that only a whole job has are left out unless `job` is set; so are those named in
    `without`, which mean nothing to the command, or which its first spec says itself.

    The command gets them as ``given``: one dict per spec, holding only what the user typed, keys
    as in a job file. What is left out gets its default from the spec itself.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
        hints = typing.get_type_hints(command, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in own]
        fields = [
            (spec, name, field)
            for spec in specs
            for name, field in spec.model_fields.items()
            if (flag := flag_of(name, field)) is not None
            and (job or not flag.job_only)
            and (key_of(name, field) not in without or spec is specs[0])
        ]
        shown = sorted(fields, key=lambda entry: PANELS.index(_flag(*entry).panel))
        extra = [_parameter(*entry) for entry in shown]

        def run(**values: Any) -> None:
            given: dict[type[Spec], dict[str, Any]] = {spec: {} for spec in specs}
            for spec, name, field in fields:
                value = values.pop(_argument(spec, name))
                if value is not None and value != []:
                    given[spec][key_of(name, field)] = value
            command(**values, given=given)

        positional = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        keyword = [p for p in own if p.kind is inspect.Parameter.KEYWORD_ONLY]
        parameters = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*positional, *extra, *keyword)
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__ = command.__name__
        run.__doc__ = command.__doc__
        return run

    return decorate


def _argument(spec: type[Spec], name: str) -> str:
    return f"{spec.__name__}_{name}"


def _flag(spec: type[Spec], name: str, field: FieldInfo) -> Flag:
    flag = flag_of(name, field)
    assert flag is not None
    return flag


def _parameter(spec: type[Spec], name: str, field: FieldInfo) -> inspect.Parameter:
    flag = _flag(spec, name, field)
    kind, choices = _cli_type(field.annotation)
    names = [flag.name, *([flag.short] if flag.short else [])]
    if kind is bool:
        names[0] = f"{flag.name}/--no-{flag.name[2:]}"
    option = typer.Option(
        *names,
        help=_with_default(field),
        rich_help_panel=flag.panel,
        metavar=flag.metavar or "|".join(choices) or None,
        show_default=False,
    )
    annotation = Annotated[list[str] | None if kind is list else (kind | None), option]  # type: ignore[valid-type]
    return inspect.Parameter(
        _argument(spec, name), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _with_default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    text = field.description or ""
    if default in (None, PydanticUndefined, [], "") or default is False:
        return text
    value = ", ".join(default) if isinstance(default, list) else default
    value = "on" if value is True else value
    # A default may be anybody's text, and none of it is markup.
    return f"{text} (default: {shown(str(value)).replace('[', chr(92) + '[')})"


def _cli_type(annotation: Any) -> tuple[Any, list[str]]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _cli_type(get_args(annotation)[0])
    if origin is Literal:
        return str, [str(a) for a in get_args(annotation)]
    if origin in (Union, types.UnionType):
        kinds = [_cli_type(a) for a in get_args(annotation) if a is not type(None)]
        return kinds[0]
    if origin is list:
        return list, []
    return (annotation if annotation in (bool, int, float) else str), []
