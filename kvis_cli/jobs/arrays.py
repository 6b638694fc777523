"""``.npy`` files among the images: what goes into the model, and where its map is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import InputError
from kvis_cli.explanation import MapGrid
from kvis_cli.images.arrays import as_input, load_array
from kvis_cli.images.fitting import Placement
from kvis_cli.render.arrays import map_over

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


@dataclass(frozen=True)
class ArrayPlacement(Placement):
    """Where an array lies in its own picture: everywhere.

    Attributes
    ----------
    shape
        Of the array, without the batch.
    """

    shape: tuple[int, ...] = ()

    def to_photo(
        self, raw: np.ndarray, height: int, width: int, grid: MapGrid | None = None
    ) -> np.ndarray:
        """A map over the array at the size of its picture."""
        del grid
        return map_over(raw, self.shape, height, width)


def is_array(path: Path) -> bool:
    """Whether a file is an array rather than a picture."""
    return path.suffix.lower() == ".npy"


def array_input(
    path: Path, opened: OpenModel, height: int, width: int
) -> tuple[np.ndarray, ArrayPlacement]:
    """The input in an ``.npy`` file, as it is, and its place on a picture of ``height × width``.

    Raises
    ------
    InputError
        For a picture where arrays are needed, or an array of another shape.
    """
    size = opened.image_input
    if not is_array(path):
        raise InputError(
            f"'{path}' is a picture, and {opened.card.reference} takes none.",
            f"Its input is {size.describe()} numbers.",
            "Save such an input with `numpy.save('input.npy', array)` and give that file.",
        )
    array = as_input(load_array(path), size.shape, path)
    return array, ArrayPlacement(0, 0, width, height, array.shape)
