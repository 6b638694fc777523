"""From a photo or an array to a model's input, and where that lies on the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kvis_cli.images.arrays import as_input
from kvis_cli.images.fitting import ArrayPlacement, Placement, fit_photo
from kvis_cli.models.live.open import OpenModel


def input_of_photo(opened: OpenModel, photo: np.ndarray) -> tuple[np.ndarray, Placement]:
    """Fit a photo to the model's input size and preprocess it.

    Parameters
    ----------
    opened
        A model that takes pictures.
    photo
        uint8 ``(H, W, 3)``.

    Returns
    -------
    input, placement
        The model's input without the batch; where it lies on the photo.
    """
    size = opened.image_input
    fit = opened.info.spec.fit
    array, placement = fit_photo(photo, size.height, size.width, size.channels, fit)
    return opened.to_inputs(array[np.newaxis])[0], placement


def input_of_array(
    opened: OpenModel, array: np.ndarray, path: Path, photo: np.ndarray
) -> tuple[np.ndarray, Placement]:
    """Take an array as the model's input as it is.

    Parameters
    ----------
    opened
        The model.
    array
        One example of its input.
    path
        Where it is from, for messages.
    photo
        The picture that stands for it.

    Returns
    -------
    input, placement
        The array with the axes of the input, and its place: all of the picture.

    Raises
    ------
    InputError
        For an array of another shape.
    """
    made = as_input(array, opened.image_input.shape, path)
    height, width = photo.shape[:2]
    return made, ArrayPlacement(0, 0, width, height, made.shape)
