"""The kernels of a layer that reads the picture itself, as pictures."""

from __future__ import annotations

import numpy as np

from kvis_cli.errors import UsageError
from kvis_cli.models.live.open import OpenModel


def kernel_pictures(opened: OpenModel, path: str) -> np.ndarray:
    """Return the kernels of a convolution as uint8 pictures ``(filters, h, w, 3)``.

    Zero is mid grey; each kernel is scaled by its own largest weight. Colours are those of the
    picture, also where the model takes blue first.

    Parameters
    ----------
    opened
        The model.
    path
        Of the layer.

    Returns
    -------
    numpy.ndarray
        uint8 ``(filters, h, w, 3)``.

    Raises
    ------
    UsageError
        For a layer that has no kernels over 1 or 3 channels.
    """
    layer = opened.reader.operation(path)
    kernel = np.asarray(getattr(layer, "kernel", np.zeros(0)), np.float32)
    if kernel.ndim != 4 or kernel.shape[2] not in (1, 3):
        shape = tuple(kernel.shape) if kernel.size else "none"
        raise UsageError(
            f"The kernels of layer '{path}' cannot be shown as pictures.",
            f"A picture has 1 or 3 channels; the kernel's shape (h, w, in, out) is {shape}.",
            "Use --weights with the first convolution.",
        )
    kernels = np.moveaxis(kernel, -1, 0)
    if opened.preprocessing.color == "bgr" and kernels.shape[-1] == 3:
        kernels = kernels[..., ::-1]
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    shown = 127.5 + 127.5 * kernels / np.where(largest > 0, largest, 1)
    pictures = np.rint(shown).astype(np.uint8)
    return np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures
