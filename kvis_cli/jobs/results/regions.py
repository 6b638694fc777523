"""Numbers that say how a map spreads: its entropy, and its share in a region of interest."""

from __future__ import annotations

import numpy as np
from PIL import Image

from kvis_cli.errors import InputError
from kvis_cli.explanation import MapGrid
from kvis_cli.images.fitting import Placement
from kvis_cli.images.photo import read_photo
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.render.resize import resize_map

# Longest side of the grid on which a region is compared with a map.
GRID = 256


def region_of(source: Source, height: int, width: int) -> np.ndarray | None:
    """Return the region of interest of an image.

    Float32 0..1 on a grid of its proportions, or None.

    Parameters
    ----------
    source
        The image with its mask or box.
    height
        Of the photo, in pixels.
    width
        Of the photo, in pixels.

    Returns
    -------
    numpy.ndarray or None
        float32 in 0..1: how much of each cell lies inside. None where the image has no region.

    Raises
    ------
    InputError
        For a mask that cannot be read, or a region that holds nothing of the image.
    """
    scale = min(1.0, GRID / max(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    if source.mask is not None:
        bright = Image.fromarray(read_photo(source.mask).pixels).convert("L")
        fitted = bright.resize((shape[1], shape[0]), Image.Resampling.BOX)
        region = (np.asarray(fitted) >= 128).astype(np.float32)
        where = f"The mask '{source.mask}'"
    elif source.box is not None:
        left, top, right, bottom = source.box
        # The exact share of each cell that the box covers.
        rows = _covered(top * shape[0] / height, bottom * shape[0] / height, shape[0])
        columns = _covered(left * shape[1] / width, right * shape[1] / width, shape[1])
        region = np.outer(rows, columns).astype(np.float32)
        where = f"The box {source.box}"
    else:
        return None
    if not region.any():
        raise InputError(
            f"{where} holds nothing of '{source.path}' ({height}×{width}, height × width)."
        )
    return region


def _covered(low: float, high: float, cells: int) -> np.ndarray:
    edges = np.arange(cells)
    return np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0, 1)


def region_numbers(
    raw: np.ndarray,
    placement: Placement,
    region: np.ndarray,
    height: int,
    width: int,
    grid: MapGrid | None = None,
) -> dict[str, float]:
    """How much of a map lies in a region.

    Parameters
    ----------
    raw
        A map of the model's input; absolute values count.
    placement
        Where the input lies on the photo.
    region
        From `region_of`.
    height
        Of the photo, in pixels.
    width
        Of the photo, in pixels.
    grid
        Where the map's cells lie on the input.

    Returns
    -------
    ``in_region``
        The share of the map inside, 0..1.
    ``enrichment``
        That share over the region's share of the area: 1 is what an even map has.
    """
    whole = placement.to_photo(np.abs(raw), height, width, grid)
    spread = resize_map(whole, region.shape[:2]) if whole.shape != region.shape else whole
    total = float(spread.sum(dtype=np.float64))
    if total <= 0 or not np.isfinite(total):
        return {}
    inside = float((spread * region).sum(dtype=np.float64)) / total
    return {"in_region": inside, "enrichment": inside / float(region.mean(dtype=np.float64))}
