"""The part of a job spec that says which model, and how to read its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from kvis_cli.errors import SpecError
from kvis_cli.options.fields import MODEL, Spec, Texts, option
from kvis_cli.options.mistakes import describe, sentence


def _as_assignments(value: Any) -> Any:
    if isinstance(value, Mapping):
        return [f"{name}={entry}" for name, entry in value.items()]
    return [value] if isinstance(value, str) else value


Assignments = Annotated[list[str], BeforeValidator(_as_assignments)]
"""``NAME=VALUE`` texts; in YAML also a mapping. Commas belong to the value."""


class ModelSpec(Spec):
    """A model and how its inputs and outputs are to be read."""

    path: str = Field(
        description="Model file (.keras, .h5, .hdf5, model.json with its weights beside it), "
        "SavedModel folder, or the name of a keras.applications model."
    )
    preprocess: str | dict[str, Any] = option(
        "auto",
        "Preprocessing: auto, none, unit (0..1), signed (-1..1), caffe, torch, standardize (each "
        "picture by its own mean and deviation), or values such as "
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
        "How a photo is fitted to the input size: resize (stretch), crop (centre) or pad.",
        panel=MODEL,
    )
    output: str | None = option(
        None,
        "Which output of a model with several: its name or index.",
        panel=MODEL,
        metavar="NAME",
    )
    input: Assignments = option(
        list,
        "What goes into an input of a model with several: NAME=FILE.npy, NAME=0.5, or NAME=image "
        "for the one that takes the pictures. The rest is zeros.",
        panel=MODEL,
        metavar="NAME=VALUE",
    )
    custom_objects: Texts = option(
        list,
        "Register a class or function that the model needs: package.module:Name.",
        panel=MODEL,
        metavar="MODULE:NAME",
    )
    replace_layer: Assignments = option(
        list,
        "Put another layer in the place of one, without running its code: "
        "lambda_1=rescaling:scale=1/127.5,offset=-1, x=activation:relu, y=identity.",
        panel=MODEL,
        metavar="NAME=LAYER",
    )
    arch: str | None = option(
        None,
        "What a file of weights alone belongs to: a function that builds the model, "
        "package.module:function, a keras.applications model, app:mobilenet_v2, or its "
        "architecture, model.json.",
        panel=MODEL,
        metavar="ARCH",
    )
    input_shape: str | None = option(
        None,
        "Shape of the input where the file leaves it open, without the batch: 224,224,3.",
        panel=MODEL,
        metavar="SHAPE",
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

    @field_validator("input_shape")
    @classmethod
    def _shape_valid(cls, value: str | None) -> str | None:
        if value is not None:
            parse_shape(value)
        return value


def parse_shape(text: str) -> tuple[int | None, ...]:
    """``"224,224,3"`` or ``"?,3"`` as a shape without the batch; ``?`` is an open size."""
    parts = [p.strip() for p in text.lower().replace("x", ",").replace("×", ",").split(",")]
    if not all(p == "?" or (p.isdigit() and 0 < int(p) <= 1 << 24) for p in parts):
        raise ValueError(f"'{text}' is not a shape such as 224,224,3")
    return tuple(None if p == "?" else int(p) for p in parts)


def parse_size(text: str) -> tuple[int, int]:
    """``"320x240"`` or ``"224"`` as (height, width) in pixels."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) > 2 or not all(p.strip().isdigit() and 0 < int(p) <= 16384 for p in parts):
        raise ValueError(f"'{text}' is not a size such as 224 or 320x240")
    width, height = int(parts[0]), int(parts[-1])
    return height, width


def build_model_spec(values: Mapping[str, Any]) -> ModelSpec:
    """Validate the options of one model, given as flags.

    Parameters
    ----------
    values
        Option names, as in a job file, -> values.

    Returns
    -------
    ModelSpec
        Validated.

    Raises
    ------
    SpecError
        With every mistake in one message.
    """
    try:
        return ModelSpec.model_validate(dict(values))
    except ValidationError as error:
        raise SpecError(sentence([describe(e, True) for e in error.errors()])) from None
