"""The part of a job spec that says which model, and how to read its inputs and outputs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from kvis_cli.spec.fields import MODEL, Spec, Texts, option


class ModelSpec(Spec):
    """A model and how its inputs and outputs are to be read."""

    path: str = Field(
        description="Model file (.keras, .h5, .hdf5) or the name of a keras.applications model."
    )
    preprocess: str | dict[str, Any] = option(
        "auto",
        "Preprocessing: auto, none, unit (0..1), signed (-1..1), caffe, torch, or values such as "
        "'color=bgr;mean=104,117,123;std=1'.",
        panel=MODEL,
        metavar="NAME",
    )
    labels: str | None = option(
        None,
        "Class labels: a text file (a label a line), a JSON file, or imagenet. Without it: the "
        "sidecar, labels.txt beside the model, ImageNet for 1000 outputs.",
        panel=MODEL,
        metavar="FILE",
    )
    size: str | None = option(
        None,
        "Input size where the model leaves it open: 224 or 320x240 (width x height).",
        panel=MODEL,
        metavar="WxH",
    )
    fit: Literal["resize", "crop", "pad"] = option(
        "resize",
        "How a photo meets the input size: resize (stretch), crop (centre) or pad.",
        panel=MODEL,
    )
    output: str | None = option(
        None,
        "Which output of a model with several: its name or index.",
        panel=MODEL,
        metavar="NAME",
    )
    custom_objects: Texts = option(
        list,
        "Register a class or function that the model needs: package.module:Name.",
        panel=MODEL,
        metavar="MODULE:NAME",
    )
    trust: bool = option(
        False,
        "Let code that is stored in the model file run. Only for files that you trust.",
        panel=MODEL,
    )

    @field_validator("size", mode="before")
    @classmethod
    def _size_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("size")
    @classmethod
    def _size_valid(cls, value: str | None) -> str | None:
        if value is not None:
            parse_size(value)
        return value


def parse_size(text: str) -> tuple[int, int]:
    """``"320x240"`` or ``"224"`` as (height, width) in pixels."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(p.strip().isdigit() and 0 < int(p) <= 16384 for p in parts):
        raise ValueError(f"'{text}' is not a size such as 224 or 320x240")
    width, height = int(parts[0]), int(parts[-1])
    return height, width
