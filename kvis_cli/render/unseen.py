"""Marks the part of a photo that a model was not given: absent is not the same as no evidence."""

from __future__ import annotations

import numpy as np

from kvis_cli.render.resize import Size

_DIM = 0.45
_HATCH = 0.75
_FRAME = (255, 255, 255)


def mark_unseen(picture: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Dim and hatch what the model did not see, and frame what it saw.

    Parameters
    ----------
    picture
        uint8 RGB ``(H, W, 3)``; not changed.
    unseen
        bool ``(H, W)``.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, the picture's shape; what was seen is as it was, but for the frame around it.

    Examples
    --------
    >>> picture = np.full((40, 40, 3), 200, np.uint8)
    >>> unseen = np.zeros((40, 40), bool)
    >>> unseen[:, :20] = True
    >>> marked = mark_unseen(picture, unseen)
    >>> bool((marked[:, 30:] == 200).all()), bool((marked[:, :10] == 200).any())
    (True, False)
    """
    grey = picture.mean(axis=-1, keepdims=True)
    dimmed = (0.3 * picture + 0.7 * grey) * _DIM
    hatch = _hatching(unseen.shape)[..., None]
    dimmed = np.where(hatch, dimmed * (1 - _HATCH) + 190 * _HATCH * 0.6, dimmed)
    result = np.where(unseen[..., None], dimmed, picture).astype(np.uint8)
    result[_frame(unseen)] = _FRAME
    return result


def _hatching(size: Size) -> np.ndarray:
    """Diagonal lines, as far apart as the picture is large."""
    gap = max(6, min(size) // 28)
    rows, columns = np.indices(size, sparse=True)
    return (rows + columns) % gap < max(1, gap // 6)


def _frame(unseen: np.ndarray) -> np.ndarray:
    """Return the unseen pixels beside the seen ones, a thin line wide."""
    wide = max(1, min(unseen.shape) // 300)
    seen = ~unseen
    near = seen.copy()
    for axis in (0, 1):
        for step in range(1, wide + 1):
            near |= np.roll(seen, step, axis) | np.roll(seen, -step, axis)
    return near & unseen
