"""The ``maximize`` task, and what it shares with ``filters``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, field_validator

from kvis_cli.options.fields import OPTIMIZATION, PICTURE, TARGET, Texts, option
from kvis_cli.spec.pictures import PictureSpec

Preset = Literal["quality", "atlas", "chollet", "keras-vis"]
# A number in YAML is a text on the command line.
Text = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)]


class OptimizationSpec(PictureSpec):
    """How pictures are optimised: a preset, and what is changed of it."""

    needs_images: ClassVar[bool] = False

    steps: int | None = option(
        None, "Optimisation steps (default: the preset's).", panel=OPTIMIZATION, ge=1, le=100_000
    )
    optimizer: str | None = option(
        None,
        "sgd (gradient divided by its RMS), rmsprop, adam, or any of Keras: keras:nadam.",
        panel=OPTIMIZATION,
        metavar="NAME",
    )
    lr: float | None = option(
        None, "Learning rate, relative to the range of the input.", panel=OPTIMIZATION, gt=0
    )
    parametrization: Literal["pixel", "fourier"] | None = option(
        None, "Move pixels, or the spectrum of decorrelated colours.", panel=OPTIMIZATION
    )
    start: Literal["noise", "grey", "spectrum"] | None = option(
        None, "Start picture: noise, grey, or noise with the spectrum of photos.",
        panel=OPTIMIZATION,
    )  # fmt: skip
    tv: float | None = option(
        None, "Weight of total variation: smoothness.", panel=OPTIMIZATION, ge=0
    )
    lp: float | None = option(
        None, "Weight of the Lp norm: no extreme pixels.", panel=OPTIMIZATION, ge=0
    )
    l1: float | None = option(
        None, "Weight of the mean absolute distance from grey.", panel=OPTIMIZATION, ge=0
    )
    l2: float | None = option(
        None, "Weight of the mean squared distance from grey.", panel=OPTIMIZATION, ge=0
    )
    grain: float | None = option(
        None, "Weight of high frequencies: of what a blur of one pixel removes.",
        panel=OPTIMIZATION, ge=0,
    )  # fmt: skip
    jitter: Text | None = option(
        None, "Shift at random each step: 16px or 5%.", panel=OPTIMIZATION, metavar="AMOUNT"
    )
    pad: Text | None = option(
        None,
        "Shift at random with a grey border coming in: 12px or 5%.",
        panel=OPTIMIZATION,
        metavar="AMOUNT",
    )
    rotate: float | None = option(
        None,
        "Rotate at random each step, up to this many degrees.",
        panel=OPTIMIZATION,
        ge=0,
        le=180,
    )
    rescale: Text | None = option(
        None,
        "Enlarge or shrink at random each step: 10%, or a range such as 0.9,1.2.",
        panel=OPTIMIZATION,
        metavar="RANGE",
    )
    flip: bool | None = option(None, "Mirror left to right every other time.", panel=OPTIMIZATION)
    blur: float | None = option(
        None, "Blur before the model, deviation in pixels.", panel=OPTIMIZATION, ge=0, le=64
    )
    patience: int | None = option(
        None,
        "Steps without progress before a picture is done; 0 for never.",
        panel=OPTIMIZATION,
        ge=0,
    )
    backprop: str | None = option(
        None,
        "Backward rule of rectifiers: guided, deconv, relu.",
        panel=OPTIMIZATION,
        metavar="NAME",
    )
    grad_modifier: str | None = option(
        None,
        "What is done to the gradient before each step: absolute, relu, negate, invert, "
        "small_values.",
        panel=OPTIMIZATION,
        metavar="NAME",
    )
    stretch: bool | None = option(
        None,
        "Show pictures with mean 0.5 and deviation 0.1: clear, but no longer what was optimised.",
        panel=PICTURE,
    )

    @field_validator("rescale")
    @classmethod
    def _rescale_valid(cls, value: str | None) -> str | None:
        if value is not None:
            parse_rescale(value)
        return value


class MaximizeSpec(OptimizationSpec):
    """Activation maximization: what does a class or a unit look like to the model?"""

    kind: Literal["maximize"] = "maximize"
    preset: Preset = option(
        "quality",
        "All settings by one name; the options below change single ones.",
        panel=OPTIMIZATION,
    )
    class_: Texts = option(
        list,
        "Class index or label; 20,281 means each, 20+71 both at once, random:10 any ten.",
        key="class",
        short="-c",
        panel=TARGET,
        metavar="CLASS",
    )
    layer: str | None = option(
        None, "Layer instead of classes.", short="-l", panel=TARGET, metavar="LAYER"
    )
    unit: Texts = option(
        list,
        "Channels of the layer: 3, 0-7, 5+6 both at once, random:4, all.",
        short="-u",
        panel=TARGET,
        metavar="UNIT",
    )
    at: Text | None = option(
        None, "Position in the layer's map, row,column, instead of its mean.",
        panel=TARGET, metavar="Y,X",
    )  # fmt: skip
    direction: Literal["increase", "decrease"] = option(
        "increase", "Whether the value is to grow or to fall (regression).", panel=TARGET
    )
    score: Literal["logit", "probability", "log-probability"] = option(
        "logit", "The score of a class that is maximised.", panel=TARGET
    )
    size: Text | None = option(
        None, "Size of the picture for a layer: 224 or 320x240.", panel=TARGET, metavar="WxH"
    )
    act: float | None = option(None, "Weight of the activation.", panel=OPTIMIZATION)
    loss: Texts = option(
        list,
        "More terms to minimise, from packages that add some: NAME or NAME:WEIGHT.",
        panel=OPTIMIZATION,
        metavar="NAME",
    )
    seed_image: str | None = option(
        None,
        "Start from a picture, or from the raw array of an earlier run (.npz, .npy).",
        panel=OPTIMIZATION,
        metavar="FILE",
    )
    stages: str | None = option(
        None,
        "Several stages, each from the raw result of the one before: 'tv=0,jitter=5%;tv=10'.",
        panel=OPTIMIZATION,
        metavar="STAGES",
    )
    runs: int = option(
        1, "Pictures per target, from different start pictures.", panel=OPTIMIZATION, ge=1, le=1000
    )
    verbose: bool = option(False, "Print every term of the loss.", panel=OPTIMIZATION)
    gif: str | None = option(
        None,
        "Also an animation, a .gif, .png or .webp of this name in the output folder.",
        panel=PICTURE,
        metavar="NAME",
    )
    gif_every: int = option(5, "Steps between the frames.", panel=PICTURE, ge=1)

    def layers(self) -> list[str]:
        """Return the layer, where one is named."""
        return [self.layer] if self.layer else []

    def classes(self) -> list[str]:
        """Return the classes that are named; ``random:10`` names none."""
        named = [] if self.unit else self.class_
        return [text for text in named if not text.lower().startswith("random:")]

    @field_validator("stages")
    @classmethod
    def _stages_valid(cls, value: str | None) -> str | None:
        if value is not None:
            parse_stages(value)
        return value


_STAGE_KEYS = (
    "steps", "optimizer", "lr", "tv", "lp", "l1", "l2", "grain", "jitter", "pad", "rotate",
    "rescale", "flip", "blur", "patience", "act",
)  # fmt: skip


def parse_stages(text: str) -> list[dict[str, str]]:
    """``"tv=0,jitter=5%;tv=10"`` as one mapping per stage.

    Parameters
    ----------
    text
        Stages are separated by ``;``, options of a stage by ``,``; ``/`` stands for a comma in a
        value.

    Returns
    -------
    list of dict
        Option -> value as text, per stage.

    Raises
    ------
    ValueError
        For a part that is not ``option=value``, or an option that cannot change between stages.
    """
    stages = []
    for part in text.split(";"):
        settings: dict[str, str] = {}
        for entry in filter(None, (e.strip() for e in part.split(","))):
            key, equals, value = entry.partition("=")
            key = key.strip().replace("-", "_")
            if not equals or key not in _STAGE_KEYS:
                raise ValueError(f"'{entry}' is not one of {', '.join(_STAGE_KEYS)} with a value")
            settings[key] = value.strip().replace("/", ",")
        OptimizationSpec.model_validate({k: v for k, v in settings.items() if k != "act"})
        if "act" in settings:
            float(settings["act"])
        stages.append(settings)
    return stages


def parse_rescale(text: str) -> tuple[float, float]:
    """``10%`` or ``0.9,1.2`` as a range of factors."""
    try:
        if text.endswith("%"):
            part = float(text[:-1]) / 100
            low, high = 1 / (1 + part), 1 + part
        else:
            first, _, second = text.replace("x", ",").partition(",")
            low, high = float(first), float(second or first)
    except ValueError:
        low = high = 0.0
    if not 0 < low <= high:
        raise ValueError(f"'{text}' is not a range of factors such as 10% or 0.9,1.2")
    return low, high
