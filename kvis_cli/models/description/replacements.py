"""``NAME=rescaling:scale=1/127.5,offset=-1``: another layer in the place of one that holds code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.graph.editing import replace_layer
from kvis_cli.models.graph.layers import known_classes
from kvis_cli.models.legacy.upgrade import Config

# The setting that a value without a name stands for: ``activation:relu``.
_FIRST = {
    "Activation": "activation",
    "Dropout": "rate",
    "LeakyReLU": "negative_slope",
    "Permute": "dims",
    "Rescaling": "scale",
    "Reshape": "target_shape",
}
_WORDS = {"true": True, "false": False, "none": None, "null": None}
_EXAMPLE = "rescaling:scale=1/127.5,offset=-1"


def parse_replacement(text: str) -> Config:
    """``rescaling:scale=1/127.5,offset=-1`` as a serialised layer.

    Parameters
    ----------
    text
        A Keras layer's class name in any spelling (``rescaling``, ``LeakyReLU``, ``leaky_relu``),
        then its settings. A value is a number, a fraction, true, false, none, a list in brackets,
        or a word; nothing is evaluated.

    Returns
    -------
    dict
        ``{"class_name": ..., "config": {...}}``.

    Raises
    ------
    UnknownNameError
        For a class that is not one of Keras' layers.
    UsageError
        For settings that cannot be read.
    """
    name, _, rest = text.strip().partition(":")
    class_name = _class_name(name.strip())
    config: Config = {}
    for part in _split(rest):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = _FIRST.get(class_name, ""), part
        key = key.strip()
        if not key.isidentifier():
            raise UsageError(
                f"'{part}' in the replacement '{text}' is not a setting.",
                "",
                f"Write setting=value, as in {_EXAMPLE}.",
            )
        config[key] = parse_value(value)
    return {"class_name": class_name, "config": config}


def apply_replacements(config: Config, assignments: Sequence[str]) -> tuple[Config, list[str]]:
    """Replace the layers that ``NAME=LAYER`` texts name.

    Parameters
    ----------
    config
        The upgraded config; it is not modified.
    assignments
        ``NAME=LAYER`` texts, such as ``lambda_1=rescaling:scale=1/255``.

    Returns
    -------
    config, changes
        The new config, and one sentence for each replacement.

    Raises
    ------
    UsageError
        For a text of another form, or a layer that is not there.
    """
    changes = []
    for text in assignments:
        name, equals, layer = text.partition("=")
        if not equals or not layer.strip():
            raise UsageError(
                f"'{text}' does not say what to replace a layer with.",
                "",
                f"Write NAME=LAYER, as in lambda_1={_EXAMPLE}.",
            )
        new = parse_replacement(layer)
        config = replace_layer(config, name.strip(), new)
        settings = ", ".join(f"{k}={_shown(v)}" for k, v in new["config"].items())
        changes.append(f"Replaced '{name.strip()}' by {new['class_name']}({settings}), as asked.")
    return config, changes


def parse_value(text: str) -> Any:
    """Return a number, fraction, true, false, none, bracketed list or word.

    Nothing is evaluated.
    """
    text = text.strip()
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        return [parse_value(part) for part in _split(text[1:-1])]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    try:
        if "/" in text:
            above, _, below = text.partition("/")
            return float(Fraction(above.strip()) / Fraction(below.strip()))
        return float(text)
    except ZeroDivisionError:
        raise UsageError(f"'{text}' divides by zero.") from None
    except ValueError:
        return text.strip("'\"")


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _split(text: str) -> list[str]:
    """`text` at its commas, those in brackets left alone."""
    parts, depth, part = [], 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    return [p.strip() for p in (*parts, part) if p.strip()]


def _class_name(name: str) -> str:
    plain = {_plain(known): known for known in known_classes() if known != "Lambda"}
    found = plain.get(_plain(name))
    if found is None:
        raise UnknownNameError.of(
            "layer type",
            name,
            sorted(plain.values()),
            where="to put in the place of a layer",
            hint=f"Name a Keras layer, as in {_EXAMPLE}, activation:relu or identity.",
        )
    return found


def _plain(name: str) -> str:
    return re.sub(r"[_\s-]", "", name).lower()
