"""What models are asked by ``kvis compare``, and ``checks:``, by which finished maps are judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.engines.saliency import SALIENCY_METHODS
from kvis_cli.errors import close_matches
from kvis_cli.options.fields import METHOD, TARGET, Spec, Texts, known, option

DRIFT = ("spearman", "pearson", "ssim", "iou", "centroid")
"""Measures of two maps; of `centroid` small is good."""
# The same weights in another file or precision: what differs there is rounding.
CONVERSION = {"spearman": 0.99, "iou": 0.95}


class DriftCheck(Spec):
    """How alike a map is to the one that was accepted."""

    kind: Literal["drift"] = "drift"
    metric: Literal["spearman", "pearson", "ssim", "iou", "centroid"] = Field(
        "spearman", description="Measure of the two maps; see docs/gate.md."
    )
    min: float | Literal["calibrated"] | None = Field(
        None, description="The least that passes: a number, or calibrated."
    )
    max: float | Literal["calibrated"] | None = Field(
        None, description="The most that passes, of centroid: a number, or calibrated."
    )
    of: Literal["conversion", "finetune", "retrain"] | None = Field(
        None,
        description="What separates the models: conversion (the same weights in another file, "
        "TensorFlow or precision), finetune (neighbouring epochs), retrain (other seeds). "
        "conversion needs no threshold; the thresholds of the others are calibrated.",
    )
    method: Texts = Field(
        default_factory=list, description="Only maps of these methods; all by default."
    )

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        wrong, right = ("min", "max") if self.metric == "centroid" else ("max", "min")
        if getattr(self, wrong) is not None:
            raise ValueError(f"{self.metric} passes by '{right}', not by '{wrong}'")
        given = getattr(self, right)
        if self.of == "conversion":
            if given is not None or "metric" in self.model_fields_set:
                raise ValueError("'of: conversion' has thresholds of its own: give nothing else")
        elif self.of == "retrain" and given not in (None, "calibrated"):
            raise ValueError(
                f"'of: retrain' is {right}: calibrated, for between seeds a number is a guess"
            )
        elif self.of is None and given in (None, "calibrated"):
            raise ValueError(
                f"drift needs '{right}', or 'of': conversion, finetune or retrain"
                if given is None
                else f"'{right}: calibrated' needs 'of': finetune or retrain"
            )
        return self

    @property
    def limit(self) -> float | str:
        """The threshold: a number, or ``calibrated``."""
        given = self.max if self.metric == "centroid" else self.min
        return "calibrated" if given is None else given


class RegionCheck(Spec):
    """How much of a map lies in the image's own box or mask."""

    kind: Literal["region"] = "region"
    metric: Literal["enrichment", "energy", "pointing"] = Field(
        "enrichment", description="Measure of the map and the region; see docs/gate.md."
    )
    min: float | Literal["calibrated"] = Field(
        description="The least that passes: a number, or calibrated."
    )
    of: Literal["finetune", "retrain"] = Field(
        "retrain",
        description="What separates the models that `min: calibrated` was calibrated with.",
    )
    tolerance: float = Field(
        0.0, description="pointing: a hit this near to the region counts, in shares of the width.",
        ge=0, le=0.5,
    )  # fmt: skip
    method: Texts = Field(
        default_factory=list, description="Only maps of these methods; all by default."
    )

    @model_validator(mode="after")
    def _tolerance_is_read(self) -> Self:
        if self.tolerance and self.metric != "pointing":
            raise ValueError(f"'tolerance' is for pointing, not for {self.metric}")
        if self.min == "calibrated" and self.metric == "pointing":
            raise ValueError("pointing is 0 or 1 for each image: 'min' has to be a number")
        if self.min != "calibrated" and "of" in self.model_fields_set:
            raise ValueError("'of' belongs to 'min: calibrated'")
        if isinstance(self.min, float):
            if self.min < 0:
                raise ValueError("'min' is at least 0")
            if self.metric != "enrichment" and self.min > 1:
                raise ValueError(f"{self.metric} is a share: at most 1")
        return self

    @property
    def limit(self) -> float | str:
        """The threshold: a number, or ``calibrated``."""
        return self.min


class AvoidCheck(Spec):
    """How much of a map lies where none should: on a watermark, a corner mark."""

    kind: Literal["avoid"] = "avoid"
    box: tuple[float, float, float, float] = Field(
        description="Left, top, right, bottom in shares of the photo, 0 to 1."
    )
    max: float = Field(description="The largest share of the heat that passes.", ge=0, le=1)
    method: Texts = Field(
        default_factory=list, description="Only maps of these methods; all by default."
    )

    @model_validator(mode="after")
    def _box_is_one(self) -> Self:
        left, top, right, bottom = self.box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError("'box' is left, top, right, bottom in shares of the photo, 0 to 1")
        return self


class PredictionCheck(Spec):
    """What became of the predictions since the baseline."""

    kind: Literal["prediction"] = "prediction"
    flips: float | None = Field(
        None, description="The share of images whose first class may be another.", ge=0, lt=1
    )
    drop: float | None = Field(
        None, description="How much the probability of the class may fall, as a difference.",
        ge=0, le=1,
    )  # fmt: skip

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.flips is None and self.drop is None:
            raise ValueError("prediction needs 'flips' or 'drop'")
        return self


class BlankCheck(Spec):
    """How many maps may be blank."""

    kind: Literal["blank"] = "blank"
    share: float = Field(0.0, description="The share of maps that may be blank.", ge=0, lt=1)


Check = DriftCheck | RegionCheck | AvoidCheck | PredictionCheck | BlankCheck
CHECK_KINDS: dict[str, type[Spec]] = {
    "drift": DriftCheck,
    "region": RegionCheck,
    "avoid": AvoidCheck,
    "prediction": PredictionCheck,
    "blank": BlankCheck,
}


def read_check(value: Any) -> Any:
    """``drift: {…}`` is the check ``{kind: drift, …}``; ``blank: 0`` is a share."""
    if isinstance(value, tuple(CHECK_KINDS.values())):
        return value
    kind, settings = value, None
    if isinstance(value, Mapping):
        if "kind" in value:
            kind, settings = value["kind"], {k: v for k, v in value.items() if k != "kind"}
        elif len(value) == 1:
            kind, settings = next(iter(value.items()))
        else:
            raise PydanticCustomError(
                "check_shape", "a check is one key and its settings: 'blank: 0'"
            )
    if not isinstance(kind, str) or kind not in CHECK_KINDS:
        near = close_matches(str(kind), CHECK_KINDS, n=1)
        ask = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(CHECK_KINDS)}"
        # The message is a template, in which braces would be fields.
        shown = str(kind)[:60].replace("{", "(").replace("}", ")")
        raise PydanticCustomError("unknown_check", f"unknown check '{shown}', {ask}")
    if kind == "blank" and isinstance(settings, int | float) and not isinstance(settings, bool):
        settings = {"share": settings}
    if settings is not None and not isinstance(settings, Mapping):
        raise PydanticCustomError("check_shape", "the settings of a check are a mapping")
    return CHECK_KINDS[kind].model_validate(settings or {})


class PassSpec(Spec):
    """How many images have to pass a check."""

    share: float = Field(
        0.95, description="The share of the images, per check, class and model.", gt=0, le=1
    )
    any: bool = Field(
        False, description="Every single image has to pass: any that fails is a failure."
    )
    per: Literal["class", "model"] = Field(
        "class",
        description="Judge every class alone, the worst decides; or all images of a model at "
        "once. Images whose class is only predicted are judged together.",
    )

    @property
    def wanted(self) -> float:
        """The share that has to pass."""
        return 1.0 if self.any else self.share


Checks = list[Annotated[Check, BeforeValidator(read_check)]]


class CompareSpec(Spec):
    """The questions that are put to all models."""

    method: Texts = option(
        lambda: ["gradcam"],
        "Class activation maps and saliency methods, one comparison each; `kvis methods` lists "
        "them.",
        short="-m",
        panel=METHOD,
        metavar="NAME",
        min_length=1,
    )
    class_: Texts = option(
        lambda: ["top1"],
        "Class index, label, top1, top3. A rank is that of the first model, and all others are "
        "asked about the same class.",
        key="class",
        short="-c",
        panel=TARGET,
        metavar="CLASS",
        min_length=1,
    )
    layer: Texts = option(
        lambda: ["auto"],
        "Layer of class activation maps, in every model; auto is each model's own.",
        short="-l",
        panel=TARGET,
        metavar="LAYER",
        min_length=1,
    )
    score: Literal["logit", "probability", "log-probability"] = option(
        "logit",
        "Explain the value before the final softmax or sigmoid, the probability, or its logarithm.",
        panel=TARGET,
    )

    @model_validator(mode="after")
    def _methods_known(self) -> Self:
        known("method", [*CAM_METHODS, *SALIENCY_METHODS], self.method, "`kvis methods` has all.")
        cams = [name for name in self.method if name in CAM_METHODS]
        if not cams and self.layer != ["auto"]:
            raise ValueError(f"--layer is for class activation maps, not for {self.method[0]}")
        return self

    def tasks(self) -> list[dict[str, Any]]:
        """Return the tasks of a job that asks it, raw maps kept."""
        common = {"class": self.class_, "score": self.score, "raw": True}
        cams = [name for name in self.method if name in CAM_METHODS]
        others = [name for name in self.method if name not in CAM_METHODS]
        tasks: list[dict[str, Any]] = []
        if cams:
            tasks.append({"cam": {**common, "method": cams, "layer": self.layer}})
        if others:
            tasks.append({"saliency": {**common, "method": others}})
        return tasks
