"""The parts of a task that say how pictures look and what is explained."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from kvis_cli.options.fields import PICTURE, RUN, TARGET, Spec, Texts, known, option
from kvis_cli.render import colormaps


class PictureSpec(Spec):
    """How maps become pictures.

    Attributes
    ----------
    needs_images
        Whether the task explains input images, or makes pictures from the model alone.
    needs_head
        Whether the task is about the model's outputs; an application without weights for its
        classifier can still be opened for one that is not.
    results_version
        Raised whenever the same settings give another picture, so that a rerun of an old job makes
        it anew.
    """

    needs_images: ClassVar[bool] = True
    needs_head: ClassVar[bool] = True
    results_version: ClassVar[int] = 2

    overlay: float = option(
        0.5, "Strength of the heat over the photo, 0 to 1.", panel=PICTURE, ge=0, le=1
    )
    colormap: str | None = option(
        None,
        f"Palette: {', '.join(colormaps.names())}. (default: {colormaps.DEFAULT_SEQUENTIAL}; for "
        f"maps with a sign {colormaps.DEFAULT_DIVERGING})",
        panel=PICTURE,
        metavar="NAME",
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
    strict: bool = option(
        False, "Leave with exit code 1 when a result comes with a warning.", panel=RUN
    )
    metadata: bool = option(
        True, "Store the spec, versions and hashes in the PNG files.", panel=PICTURE
    )

    # Tasks without heat maps have no such field.
    @field_validator("colormap", check_fields=False)
    @classmethod
    def _colormap_known(cls, value: str | None) -> str | None:
        if value is not None:
            known("colormap", colormaps.names(), [value])
        return value


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
    score: Literal["logit", "probability", "log-probability"] = option(
        "logit",
        "Explain the value before the final softmax or sigmoid, the probability, or its logarithm.",
        panel=TARGET,
    )
    contrast: Texts = option(
        list,
        "Explain a difference: 282 means each --class minus 282; 281,282 means 281 minus 282.",
        panel=TARGET,
        metavar="CLASS",
        max_length=2,
    )
    level: float = option(
        0.5,
        "Share of the map's limit where contour, mask and --box draw the line.",
        panel=PICTURE,
        gt=0,
        lt=1,
    )
    box: bool = option(
        False,
        "Draw a box around the hottest region, with its pixels in the manifest.",
        panel=PICTURE,
    )
    colorbar: bool = option(
        False,
        "Add a colour bar with the raw values of its ends, beside the photo.",
        panel=PICTURE,
    )

    def changed(self, name: str) -> bool:
        """Whether a field is not what it is by default."""
        field = type(self).model_fields[name]
        return bool(getattr(self, name) != field.get_default(call_default_factory=True))

    @model_validator(mode="after")
    def _bar_has_colours(self) -> Self:
        view = getattr(self, "view", "")
        if self.colorbar and view in ("contour", "mask"):
            raise ValueError(f"--colorbar explains colours, and --view {view} has none")
        return self
