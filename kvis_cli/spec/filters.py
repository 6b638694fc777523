"""The ``filters`` task."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import field_validator

from kvis_cli.options.fields import OPTIMIZATION, PICTURE, TARGET, Texts, option
from kvis_cli.spec.maximize import OptimizationSpec, Preset, Text


class FiltersSpec(OptimizationSpec):
    """Atlases: what does each filter of a layer want to see?"""

    needs_head: ClassVar[bool] = False

    kind: Literal["filters"] = "filters"
    layer: Texts = option(
        list, "Layers; each gives an atlas.", short="-l", panel=TARGET, metavar="LAYER"
    )
    filters: Text | None = option(
        None,
        "Filters to show: 0-63, 3,7,12, all or random:16 (default: as many as fit).",
        panel=TARGET,
        metavar="FILTERS",
    )
    grid: Text = option("8x8", "Columns x rows of an atlas.", panel=PICTURE, metavar="WxH")  # type: ignore[assignment]
    size: int = option(64, "Side of a picture, in pixels.", panel=PICTURE, ge=1, le=4096)
    margin: int = option(5, "Pixels between the pictures.", panel=PICTURE, ge=0, le=256)
    captions: bool = option(False, "Write the number of the filter on it.", panel=PICTURE)
    sort: Literal["index", "activation"] = option("index", "Order of the pictures.", panel=PICTURE)
    weights: bool = option(
        False, "Show the kernels of the first layer themselves, nothing optimised.", panel=TARGET
    )
    images: Texts = option(
        list,
        "Pictures to start from, too, where a filter is silent for all others: files, folders, "
        "globs.",
        panel=OPTIMIZATION,
        metavar="FILES",
    )
    preset: Preset = option(
        "atlas",
        "All settings by one name; the options below change single ones.",
        panel=OPTIMIZATION,
    )

    def layers(self) -> list[str]:
        """Return the layers, each with an atlas."""
        return self.layer

    def start_images(self) -> list[str]:
        """Pictures that silent filters start from."""
        return self.images

    @field_validator("layer")
    @classmethod
    def _some_layer(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("name at least one layer; `kvis layers MODEL` lists them")
        return value

    @field_validator("grid")
    @classmethod
    def _grid_valid(cls, value: str) -> str:
        parse_grid(value)
        return value


def parse_grid(text: str) -> tuple[int, int]:
    """``"8x4"`` as (rows, columns): 4 rows of 8."""
    match = re.fullmatch(r"\s*(\d{1,3})\s*[x×*]\s*(\d{1,3})\s*", text.lower())
    if not match or not int(match[1]) or not int(match[2]):
        raise ValueError(f"'{text}' is not a grid such as 8x8")
    return int(match[2]), int(match[1])
