"""``.npy`` files among the images: what goes into the model, and where its map is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import InputError
from kvis_cli.images.arrays import as_input, is_array, load_array
from kvis_cli.images.fitting import ArrayPlacement

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


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
