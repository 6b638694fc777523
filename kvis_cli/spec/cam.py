"""The ``cam`` task."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.engines.cam.settings import CONTRASTS, CamSettings, Direction
from kvis_cli.options.fields import METHOD, PICTURE, TARGET, Texts, known, option
from kvis_cli.spec.pictures import ExplainSpec


class CamSpec(ExplainSpec):
    """Class activation maps: where does the model look?"""

    results_version: ClassVar[int] = 5

    kind: Literal["cam"] = "cam"
    method: Texts = option(
        lambda: ["gradcam"],
        f"Several give one picture each: {', '.join(CAM_METHODS)}. See `kvis methods`.",
        short="-m",
        panel=METHOD,
        metavar="NAME",
        min_length=1,
    )
    layer: Texts = option(
        lambda: ["auto"],
        "Layer to read: auto, a name, a path through nested models (base/conv5), or an index. "
        "a,b means each, a+b both fused into one map, all-spatial every stage of the network.",
        short="-l",
        panel=TARGET,
        metavar="LAYER",
        min_length=1,
    )
    fuse: Literal["mean", "max"] = option(
        "mean", "How the maps of a+b are fused, each scaled by its maximum first.", panel=TARGET
    )
    filter: Texts = option(
        list,
        "Explain filters instead of classes: LAYER:INDEX, as block3_conv1:12. With --layer auto, "
        "where in the photo they fire.",
        panel=TARGET,
        metavar="LAYER:N",
    )
    direction: Direction = option(
        CamSettings.direction,
        "Show what raises the score, what lowers it (counterfactual), or what it hardly reacts to "
        "(maintain).",
        panel=TARGET,
    )
    aug_smooth: bool = option(
        False,
        "Average maps over mirrored inputs and inputs of "
        f"{' and '.join(f'{c:g}' for c in CONTRASTS if c != 1)} times the contrast "
        f"({2 * len(CONTRASTS)} times the work).",
        panel=METHOD,
    )
    eigen_smooth: bool = option(
        CamSettings.eigen_smooth,
        "Reduce weighted feature maps to their first principal component instead of their sum.",
        panel=METHOD,
    )
    noise_samples: int = option(
        CamSettings.noise_samples,
        "Average gradients over that many noisy copies of each photo (SmoothGrad-CAM++).",
        panel=METHOD,
        metavar="N",
        ge=0,
        le=10_000,
    )
    noise: float = option(
        CamSettings.noise,
        "Standard deviation of that noise, as a share of the photo's own range.",
        panel=METHOD,
        gt=0,
        le=10,
    )
    max_channels: int | None = option(
        CamSettings.max_channels,
        "scorecam, ablationcam: only the channels that vary most over the photo.",
        panel=METHOD,
        metavar="N",
        ge=1,
    )
    registration: Literal["grid", "receptive"] = option(
        "grid",
        "Where the cells of a map are drawn when padding moves what they see: grid (stretched over "
        "the photo) or receptive (where the formula of the layers has them). Without such padding "
        "every cell lies where it belongs.",
        panel=PICTURE,
    )
    view: Literal["overlay", "heatmap", "contour", "mask", "side-by-side"] = option(
        "overlay",
        "How map and photo are combined: overlay, heatmap (alone), contour (a line at --level), "
        "mask (the photo where the map reaches it), side-by-side.",
        panel=PICTURE,
    )

    @model_validator(mode="after")
    def _filters_alone(self) -> Self:
        for name in ("class", "contrast", "region", "score"):
            if self.filter and self.changed({"class": "class_"}.get(name, name)):
                raise ValueError(f"--{name} has no effect with --filter, which explains filters")
        return self

    @model_validator(mode="after")
    def _options_are_read(self) -> Self:
        reads = {name: method.options for name, method in CAM_METHODS.items()}
        self.refuse_idle_options(("noise_samples", "eigen_smooth", "max_channels"), reads)
        return self

    @property
    def drawn_as(self) -> str:
        """The name of the view of map and photo."""
        return self.view

    @property
    def names_layers(self) -> bool:
        """Whether file names need the layer."""
        return len(self.layer) > 1 or "all-spatial" in self.layer

    @property
    def explains_output(self) -> bool:
        """Whether an output is explained, and not units of a layer."""
        return not self.filter

    def method_names(self) -> list[str]:
        """Return the methods as they are given."""
        return self.method

    def layers(self) -> list[str]:
        """Return the layers that are named: those of filters, where filters are explained."""
        if self.filter:
            return [name for text in self.filter if (name := text.rpartition(":")[0])]
        return self.layer

    def classes(self) -> list[str]:
        """Return the classes that are named; none where filters are explained."""
        return [] if self.filter else super().classes()

    def settings(self, **known: Any) -> CamSettings:
        """Return the settings of the engines.

        Parameters
        ----------
        **known
            Fields of `CamSettings` that depend on the model and the job.

        Returns
        -------
        CamSettings
            What the user gave of them, and `known`.
        """
        return CamSettings(
            direction=self.direction,
            eigen_smooth=self.eigen_smooth,
            noise_samples=self.noise_samples,
            noise=self.noise,
            max_channels=self.max_channels,
            **known,
        )

    @model_validator(mode="after")
    def _one_contrast(self) -> Self:
        own = [name for name in self.method if CAM_METHODS[name].contrast]
        if own and self.contrast:
            raise ValueError(
                f"--contrast does not go with {own[0]}, which compares the class with the classes "
                f"nearest to it; drop one of them, or use --method gradcam"
            )
        return self

    @field_validator("method")
    @classmethod
    def _methods_known(cls, value: list[str]) -> list[str]:
        known("CAM method", CAM_METHODS, value, "`kvis methods` describes them.")
        return value
