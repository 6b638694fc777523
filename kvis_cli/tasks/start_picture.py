"""The picture or array that an optimisation starts from, as a user gives it."""

from __future__ import annotations

import numpy as np

from kvis_cli.errors import InputError, UsageError
from kvis_cli.images.fitting import fit_photo
from kvis_cli.images.photo import read_photo
from kvis_cli.models.live.open import OpenModel
from kvis_cli.paths import user_path
from kvis_cli.render.arrays import is_plain


def start_picture(opened: OpenModel, shape: tuple[int, ...], text: str) -> np.ndarray:
    """Read the picture or array that an optimisation starts from.

    Parameters
    ----------
    opened
        The model, whose preprocessing a picture goes through.
    shape
        ``(…, C)`` of the picture that is optimised.
    text
        Path of a picture, of an ``.npy`` of model inputs, or of an ``.npz`` that kvis wrote.

    Returns
    -------
    numpy.ndarray
        float32 of `shape`: a channels-last model input.

    Raises
    ------
    InputError
        For a file that cannot be read.
    UsageError
        For one that does not fit.
    """
    path = user_path(text)
    if path.suffix.lower() not in (".npy", ".npz"):
        if not is_plain(shape):
            raise UsageError(
                f"'{path.name}' cannot be a start picture.",
                f"The model's input has the shape {shape}.",
                "Give an array: .npz or .npy.",
            )
        height, width, channels = shape
        photo = read_photo(path).pixels
        pixels, _ = fit_photo(photo, height, width, channels, opened.info.spec.fit)
        return opened.preprocessing.apply(pixels)
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded["inputs"] if path.suffix.lower() == ".npz" else loaded
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The array '{path}' cannot be read.",
            f"{error}.",
            "Give a .npz that kvis wrote with --raw, or a .npy of model inputs.",
        ) from None
    array = np.asarray(array, np.float32)
    if array.shape == (1, *shape):
        array = array[0]
    if array.shape != shape:
        raise UsageError(
            f"The array '{path.name}' does not fit.",
            f"Its shape is {array.shape}; the picture's is {shape}.",
            "Use the --size of the run that wrote it.",
        )
    return array
