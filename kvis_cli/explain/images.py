"""The images of a question in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kvis_cli.errors import UsageError

Images = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
"""A picture, or several: files, or arrays ``(H, W)`` or ``(H, W, C)`` in 0..255 of any size."""


def several(images: Images) -> list[str | Path | np.ndarray]:
    """Return the images of an argument that may be one of them.

    Parameters
    ----------
    images
        One or several; a batch of pictures has four axes.

    Returns
    -------
    list
        At least one.

    Raises
    ------
    UsageError
        For none.
    """
    if isinstance(images, str | Path):
        return [images]
    if isinstance(images, np.ndarray):
        # A batch of pictures has four axes; what else may be a batch cannot be told apart.
        return list(images) if images.ndim == 4 else [images]
    found = list(images)
    if not found:
        raise UsageError("There are no images to explain.")
    return found
