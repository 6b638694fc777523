"""What two models are asked by ``kvis compare``."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.engines.saliency import SALIENCY_METHODS
from kvis_cli.options.fields import METHOD, TARGET, Spec, Texts, known, option


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
