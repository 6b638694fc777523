"""Validation errors in words that name the flag or the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from kvis_cli.errors import close_matches
from kvis_cli.options.fields import Spec, key_of

Suggest = Callable[[tuple[Any, ...]], str]
_NUMBERS = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
}


def sentence(problems: list[str]) -> str:
    """Return the problems as one sentence, parted by semicolons."""
    *others, last = (text if text.endswith((".", "?")) else f"{text}." for text in problems)
    return " ".join([*(text.removesuffix(".") + ";" for text in others), last])


def near_key(name: str, keys: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"``, or nothing where no key is near."""
    near = close_matches(name, sorted(keys), n=1)
    return f", did you mean '{near[0]}'?" if near else ""


def keys_of(spec: type[Spec]) -> set[str]:
    """Return the keys of a spec as a file has them."""
    return {key_of(name, field) for name, field in spec.model_fields.items() if name != "kind"}


def describe(error: ErrorDetails, as_flags: bool, suggest: Suggest = lambda location: "") -> str:
    """One validation error in words.

    Parameters
    ----------
    error
        Of pydantic.
    as_flags
        Whether it speaks of flags rather than of keys.
    suggest
        What to add to an unknown key, by its location: see `near_key`.

    Returns
    -------
    str
        Lower case, without a full stop: ``'--steps' cannot be 'x': it should be a whole number``.
    """
    location = [str(part) for part in error["loc"] if not isinstance(part, int)]
    name = location[-1] if location else "job"
    shown = "--" + name.replace("_", "-").rstrip("-") if as_flags else f"'{name}'"
    given = error.get("input")
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key '{name}'{suggest(error['loc'])}"
    if kind == "missing":
        if error["loc"] and isinstance(error["loc"][-1], int):
            return f"{shown} holds too few values"
        return f"{shown} is missing"
    if kind == "unknown_name":
        return f"{shown}: {error['msg']}"
    if kind in ("unknown_task", "task_shape", "unknown_check", "check_shape"):
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


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
