"""The parts of a task that say how pictures look and what is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import field_validator, model_validator

from kvis_cli.options.fields import PICTURE, TARGET, Spec, Texts, known, option
from kvis_cli.paths import user_path
from kvis_cli.render import colormaps
from kvis_cli.render.defaults import ALPHA, LEVEL
from kvis_cli.spec.task import TaskBase

Options = tuple[str, ...] | None


class HeatmapSpec(Spec):
    """How maps are drawn over photos."""

    overlay: float = option(
        ALPHA, "Strength of the heat over the photo, 0 to 1.", panel=PICTURE, ge=0, le=1
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

    @field_validator("colormap")
    @classmethod
    def _colormap_known(cls, value: str | None) -> str | None:
        if value is not None:
            known("colormap", colormaps.names(), [value])
        return value


class PictureSpec(TaskBase):
    """What the pictures of a task have in common."""

    grid: bool = option(
        False, "Also put all pictures of the run on one captioned sheet.", panel=PICTURE
    )
    raw: bool = option(False, "Also write the raw float32 maps (.npz).", panel=PICTURE)
    metadata: bool = option(
        True, "Store the spec, versions and hashes in the PNG files.", panel=PICTURE
    )


class ExplainSpec(PictureSpec, HeatmapSpec):
    """What all methods that explain an image share: the target, its score, and the heat map."""

    class_: Texts = option(
        lambda: ["top1"],
        "Class index, label, top1, top3; 22,23 means each, 22+23 both at once.",
        key="class",
        short="-c",
        panel=TARGET,
        metavar="CLASS",
        min_length=1,
    )
    score: Literal["auto", "logit", "probability", "log-probability"] = option(
        "auto",
        "Explain the value before the final softmax or sigmoid (logit), the output itself "
        "(probability), or its logarithm. auto: logit; of a mask or an image the output itself.",
        panel=TARGET,
    )
    region: str | None = option(
        None,
        "Where the output is a map: explain its mean over predicted (where the model says the "
        "class), all, a box LEFT,TOP,RIGHT,BOTTOM in shares of the picture (FROM,TO of a "
        "sequence), or the white of a mask picture. A mask or an image needs it.",
        panel=TARGET,
        metavar="REGION",
    )
    contrast: Texts = option(
        list,
        "Explain a difference: 282 means each --class minus 282; 281,282 means 281 minus 282.",
        panel=TARGET,
        metavar="CLASS",
        max_length=2,
    )
    level: float = option(
        LEVEL,
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

    @property
    def shares_scale(self) -> bool:
        """Whether the look of each picture depends on all the others."""
        return self.scale == "shared"

    @property
    def explains_output(self) -> bool:
        """Whether an output is explained, and not units of a layer."""
        return True

    def start_images(self) -> list[str]:
        """Return the mask picture of the region, whose content is part of what is asked."""
        return [self.region] if self.region and user_path(self.region).is_file() else []

    @property
    def drawn_as(self) -> str:
        """The name of the view of map and photo."""
        raise NotImplementedError

    @property
    def palette_end(self) -> float | None:
        """The percentile at which the palette ends; None where the method says it."""
        return None

    @property
    def names_layers(self) -> bool:
        """Whether file names need the layer; by the spec alone: a rerun names them alike."""
        return False

    def methods(self) -> list[str]:
        """Return the methods, each a task of its own."""
        return list(dict.fromkeys(self.method_names()))

    def method_names(self) -> list[str]:
        """Return the methods as they are given."""
        raise NotImplementedError

    def classes(self) -> list[str]:
        """Return the classes that are named, also in contrasts."""
        return [*self.class_, *self.contrast]

    def refuse_idle_options(self, names: Iterable[str], options: Mapping[str, Options]) -> None:
        """Refuse an option that none of the methods reads: it is a misunderstanding.

        Parameters
        ----------
        names
            Fields that not all methods read.
        options
            Registered method -> the fields that it reads; None: perhaps all of them.

        Raises
        ------
        ValueError
            With the methods that the option is for.
        """
        chosen = self.methods()
        for name in names:
            if self.changed(name) and not any(
                options[m] is None or name in (options[m] or ()) for m in chosen
            ):
                takers = ", ".join(m for m, reads in options.items() if reads and name in reads)
                flag = name.replace("_", "-")
                raise ValueError(
                    f"--{flag} changes nothing in {', '.join(chosen)}: it is for {takers}"
                )

    @model_validator(mode="after")
    def _bar_has_colours(self) -> Self:
        if self.colorbar and self.drawn_as in ("contour", "mask"):
            raise ValueError(f"--colorbar explains colours, and --view {self.drawn_as} has none")
        return self
