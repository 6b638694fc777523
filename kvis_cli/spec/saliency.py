"""The ``saliency`` task."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from kvis_cli.engines.gradient_modifiers import GRADIENT_MODIFIERS
from kvis_cli.engines.saliency import SALIENCY_METHODS
from kvis_cli.engines.saliency.baselines import BASELINES
from kvis_cli.engines.saliency.channels import CHANNELS
from kvis_cli.engines.saliency.rise import MASKS
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.engines.saliency.smoothgrad import SAMPLES
from kvis_cli.options.fields import METHOD, PICTURE, TARGET, Texts, known, option
from kvis_cli.spec.pictures import ExplainSpec

DIRECTIONS = {"increase": "relu", "decrease": "relu_negative", "maintain": "small_values"}


class SaliencySpec(ExplainSpec):
    """Saliency: which pixels move the score?"""

    kind: Literal["saliency"] = "saliency"
    method: Texts = option(
        lambda: ["gradient"],
        f"Several give one picture each: {', '.join(SALIENCY_METHODS)}. See `kvis methods`.",
        short="-m",
        panel=METHOD,
        metavar="NAME",
        min_length=1,
    )
    modifier: Texts = option(
        list,
        "What the map shows of the gradient; several give one picture each: "
        + "; ".join(f"{m.name}: {m.says}" for m in GRADIENT_MODIFIERS.values())
        + ". Default: absolute; none for occlusion and rise.",
        panel=METHOD,
        metavar="NAME",
    )
    backprop: Literal["guided", "relu", "rectified", "deconv"] | None = option(
        None,
        "Change the backward rule of every rectifier; for all methods made of gradients.",
        panel=METHOD,
    )
    channels: Literal["max", "mean", "sum", "norm", "keep"] = option(
        "max",
        "From channels to one map. " + "; ".join(f"{k}: {v}" for k, v in CHANNELS.items()) + ".",
        panel=METHOD,
    )
    samples: int | None = option(
        None,
        f"Noisy copies of each photo (default: {SAMPLES}), or masks of rise (default: {MASKS}).",
        panel=METHOD,
        metavar="N",
        ge=1,
        le=1_000_000,
    )
    noise: float = option(
        SaliencySettings.noise,
        "Standard deviation of the noise, as a share of the input's range.",
        panel=METHOD,
        gt=0,
        le=10,
    )
    steps: int = option(
        SaliencySettings.steps,
        "Points on the path of integrated_gradients and blur_ig.",
        panel=METHOD,
        ge=1,
        le=100_000,
    )
    baseline: str = option(
        "auto",
        "The input that counts as absent, in integrated_gradients (auto: black), occlusion and "
        "rise (auto: grey): " + "; ".join(f"{k}: {v}" for k, v in BASELINES.items()) + ".",
        panel=METHOD,
        metavar="NAME",
    )
    patch: int | None = option(
        None,
        "Side of the occluding patch in input pixels (default: an eighth of the shorter side).",
        panel=METHOD,
        metavar="PIXELS",
        ge=1,
    )
    stride: int | None = option(
        None,
        "Step of the occluding patch (default: half of it).",
        panel=METHOD,
        metavar="PIXELS",
        ge=1,
    )
    explained_layer: str | None = option(
        None,
        "Explain units of this layer instead of an output: what in the photo moves them?",
        key="layer",
        short="-l",
        panel=TARGET,
        metavar="LAYER",
    )
    unit: Texts = option(
        list,
        "Filters or units of --layer; 3,5 means each.",
        short="-u",
        panel=TARGET,
        metavar="N",
    )
    wrt: str | None = option(
        None,
        "Take the gradient with respect to this layer's output instead of the input.",
        panel=TARGET,
        metavar="LAYER",
    )
    direction: Literal["increase", "decrease", "maintain"] | None = option(
        None,
        "For regression: where more of a pixel increases or decreases the output, or where the "
        "output hardly reacts (maintain). Short for --modifier "
        + ", ".join(DIRECTIONS.values())
        + ".",
        panel=TARGET,
    )
    view: Literal["glow", "overlay", "heatmap", "contour", "mask", "side-by-side"] = option(
        "glow",
        "How map and photo are combined: glow (over a dimmed grey photo), overlay, heatmap "
        "(alone), contour, mask, side-by-side.",
        panel=PICTURE,
    )
    percentile: float = option(
        99.0,
        "The palette ends at this percentile of the values above zero; 100 is the largest.",
        panel=PICTURE,
        gt=0,
        le=100,
    )
    smooth: float = option(
        0.0,
        "Smooth maps by a Gaussian of this many input pixels.",
        panel=PICTURE,
        metavar="SIGMA",
        ge=0,
        le=1000,
    )

    @field_validator("method")
    @classmethod
    def _methods_known(cls, value: list[str]) -> list[str]:
        known("saliency method", SALIENCY_METHODS, value)
        return list(dict.fromkeys(value))

    @field_validator("modifier")
    @classmethod
    def _modifiers_known(cls, value: list[str]) -> list[str]:
        known("gradient modifier", GRADIENT_MODIFIERS, value)
        return list(dict.fromkeys(value))

    @field_validator("baseline")
    @classmethod
    def _baseline_known(cls, value: str) -> str:
        known("baseline", ["auto", *BASELINES], [value])
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> SaliencySpec:
        if self.direction and self.modifier:
            raise ValueError("--direction chooses the modifier: give one of the two")
        if self.direction:
            for name in self.method:
                if SALIENCY_METHODS[name].unsigned:
                    raise ValueError(f"--direction needs a sign, and '{name}' has none")
        if self.unit and not self.explained_layer:
            raise ValueError("--unit needs the --layer that it is a unit of")
        if self.explained_layer and not self.unit:
            raise ValueError("--layer needs a --unit, such as --unit 12")
        if self.explained_layer and self.contrast:
            raise ValueError("--contrast is between classes, and --layer explains none")
        if self.explained_layer and self.changed("class_"):
            raise ValueError("--class has no effect with --layer, which explains its --unit")
        if self.explained_layer and self.changed("score"):
            raise ValueError("--score is of classes, and --layer explains none")
        if self.explained_layer and self.region:
            raise ValueError("--region is of an output, and --layer explains none")
        reads = {name: method.options for name, method in SALIENCY_METHODS.items()}
        names = ("samples", "noise", "steps", "baseline", "patch", "stride")
        self.refuse_idle_options(names, reads)
        methods = [SALIENCY_METHODS[name] for name in self.method]
        if self.backprop and not any(m.gradient and not m.backprop for m in methods):
            raise ValueError(
                f"--backprop changes nothing in {', '.join(self.method)}: it is for methods made "
                "of gradients that bring no rule of their own"
            )
        return self

    @property
    def drawn_as(self) -> str:
        """The name of the view of map and photo."""
        return self.view

    @property
    def palette_end(self) -> float | None:
        """The percentile at which the palette ends."""
        return self.percentile

    @property
    def explains_output(self) -> bool:
        """Whether an output is explained, and not units of a layer."""
        return not self.unit

    def method_names(self) -> list[str]:
        """Return the methods as they are given."""
        return self.method

    def layers(self) -> list[str]:
        """Return the layers that are named."""
        return [name for name in (self.explained_layer, self.wrt) if name]

    def classes(self) -> list[str]:
        """Return the classes that are named; none where units are explained."""
        return [] if self.unit else super().classes()

    def settings(self, **known: Any) -> SaliencySettings:
        """Return the settings of the engine.

        Parameters
        ----------
        **known
            Fields of `SaliencySettings` that depend on the model and the job.

        Returns
        -------
        SaliencySettings
            What the user gave of them, and `known`.
        """
        return SaliencySettings(
            samples=self.samples,
            noise=self.noise,
            steps=self.steps,
            baseline=self.baseline,
            patch=self.patch,
            stride=self.stride,
            **known,
        )

    def modifiers(self) -> list[str]:
        """Return the modifiers asked for; empty for each method's own."""
        return [DIRECTIONS[self.direction]] if self.direction else list(self.modifier)
