"""From a photo or an array to a model's input, and where that lies on the photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kvis_cli.errors import InputError
from kvis_cli.images.arrays import as_input, is_array
from kvis_cli.images.fitting import ArrayPlacement, Placement, fit_photo
from kvis_cli.models.description.inputs import photo_refusal
from kvis_cli.models.live.open import OpenModel
from kvis_cli.render.arrays import picture_of


def is_photo(opened: OpenModel, image: str | Path | np.ndarray) -> bool:
    """Whether an image is one, in a file or in memory, and not the very input of the model."""
    if isinstance(image, str | Path):
        return not is_array(Path(image))
    shape = opened.info.image_input().shape
    return image.dtype == np.uint8 and image.ndim > 1 and image.shape != shape


def as_given(opened: OpenModel, images: Sequence[str | Path | np.ndarray]) -> OpenModel:
    """Return a model as it takes the images: as photos where there is one, else as they are."""
    folded = opened.for_photos
    photos = folded is not opened and any(is_photo(opened, image) for image in images)
    return folded if photos else opened


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


def refuse_photo(opened: OpenModel, path: Path) -> None:
    """Refuse a photo where the model takes none.

    Parameters
    ----------
    opened
        The model.
    path
        The photo, for the message.

    Raises
    ------
    InputError
        With a line that makes an input that fits.
    """
    form = opened.info.input_form()
    if form is not None and not opened.image_input.is_picture:
        raise InputError(*photo_refusal(str(path), opened.info.reference, form))


def input_of_array(
    opened: OpenModel, array: np.ndarray, path: Path, photo: np.ndarray
) -> tuple[np.ndarray, Placement, np.ndarray]:
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
        The picture that stands for it, uint8 ``(H, W, 3)``.

    Returns
    -------
    input, placement, photo
        The model's input without the batch; where it lies on the photo; the photo, drawn anew where
        the numbers are those of a picture.

    Returns
    -------
    input, placement
        The array with the axes of the input, and its place: all of the picture.

    Raises
    ------
    InputError
        For an array of another shape.
    """
    if opened.fold is None:
        made = as_input(array, opened.image_input.shape, path)
    else:
        made = as_input(array, opened.info.image_input().shape, path).reshape(opened.fold)
        photo = picture_of(made)
    height, width = photo.shape[:2]
    return made, ArrayPlacement(0, 0, width, height, made.shape), photo
