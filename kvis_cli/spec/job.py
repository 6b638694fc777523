"""The job spec: everything that a run depends on. Flags and YAML files both become this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from kvis_cli.spec.fields import Spec, as_list, option

Texts = Annotated[list[str], BeforeValidator(as_list)]

MODEL = "Model"
TARGET = "What to explain"
PICTURE = "Picture"
RUN = "Run"


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


class PictureSpec(Spec):
    """How maps become pictures."""

    overlay: float = option(
        0.5, "Strength of the heat over the photo, 0 to 1.", panel=PICTURE, ge=0, le=1
    )
    colormap: str | None = option(
        None, "Palette of the heat (kvis cam --help lists them).", panel=PICTURE, metavar="NAME"
    )
    scale: Literal["per-image", "shared"] = option(
        "per-image",
        "Scale each map by its own maximum, or all by one shared maximum.",
        panel=PICTURE,
    )
    grid: bool = option(
        False, "Also put all pictures of the run on one captioned sheet.", panel=PICTURE
    )
    raw: bool = option(False, "Also write the raw float32 maps (.npz).", panel=PICTURE)
    metadata: bool = option(
        True, "Store the spec, versions and hashes in the PNG files.", panel=PICTURE
    )


class ExplainSpec(PictureSpec):
    """What all methods that explain an image share: the target and its score."""

    class_: Texts = option(
        lambda: ["top1"],
        "Class index, label, top1, top3; 22,23 means each, 22+23 both at once.",
        key="class",
        short="-c",
        panel=TARGET,
        metavar="CLASS",
        min_length=1,
    )
    score: Literal["logit", "probability"] = option(
        "logit",
        "Explain the value before the final softmax or sigmoid, or the probability.",
        panel=TARGET,
    )


class CamSpec(ExplainSpec):
    """Class activation maps: where does the model look?"""

    kind: Literal["cam"] = "cam"
    method: Texts = option(
        lambda: ["gradcam"],
        "CAM method; several give one picture each.",
        short="-m",
        panel=TARGET,
        metavar="NAME",
        min_length=1,
    )
    layer: Texts = option(
        lambda: ["auto"],
        "Layer to read: auto, a name, a path through nested models (base/conv5), or an index.",
        short="-l",
        panel=TARGET,
        metavar="LAYER",
        min_length=1,
    )


TaskSpec = Annotated[CamSpec, Field(discriminator=None)]
TASK_KINDS: dict[str, type[Spec]] = {"cam": CamSpec}


class JobSpec(Spec):
    """Models × images × tasks, and where the results go."""

    version: Literal[1] = 1
    models: list[ModelSpec] = Field(min_length=1)
    images: list[str] = Field(default_factory=list)
    tasks: list[TaskSpec] = Field(min_length=1)
    output: str = option(
        "kvis-out", "Folder for the results.", key="out", short="-o", panel=RUN, metavar="DIR"
    )
    device: str = option(
        "auto", "Where to compute: auto, cpu, gpu or gpu:N.", panel=RUN, metavar="NAME"
    )
    batch_size: int = option(
        16, "Inputs computed at once; less needs less memory.", panel=RUN, ge=1, le=4096
    )
    seed: int = option(0, "Seed of everything random.", panel=RUN, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _task_keys(cls, value: Any) -> Any:
        """``- cam: {…}`` is the task ``{kind: cam, …}``."""
        if not isinstance(value, dict) or not isinstance(value.get("tasks"), list):
            return value
        tasks = [
            {"kind": next(iter(t)), **(next(iter(t.values())) or {})}
            if isinstance(t, dict) and len(t) == 1 and next(iter(t)) in TASK_KINDS
            else t
            for t in value["tasks"]
        ]
        return {**value, "tasks": tasks}
