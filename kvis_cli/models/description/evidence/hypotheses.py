"""The preprocessings that a model may have been trained with, and photos under each of them."""

from __future__ import annotations

from kvis_cli.lazy import np
from kvis_cli.models.description.preprocessing import PRESETS, Preprocessing

COLOUR = ("none", "unit", "signed", "caffe", "torch", "standardize")
# Means per colour say nothing about grey pictures.
GREY = ("none", "unit", "signed", "standardize")
_LUMINANCE = (0.299, 0.587, 0.114)


def hypotheses(channels: int) -> list[Preprocessing]:
    """Return what a model of 1 or 3 channels may have been trained with; none for others."""
    names = {1: GREY, 3: COLOUR}.get(channels, ())
    return [PRESETS[name] for name in names]


def as_grey(photos: np.ndarray) -> np.ndarray:
    """Return uint8 RGB photos ``(N, H, W, 3)`` as luminance ``(N, H, W, 1)``."""
    return np.asarray(np.round(photos @ np.asarray(_LUMINANCE)), np.uint8)[..., np.newaxis]


def central(photos: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the middle of photos ``(N, H, W, C)``, at most `height` × `width`."""
    top, left = (
        (size - part) // 2 for size, part in zip(photos.shape[1:3], (height, width), strict=True)
    )
    return photos[:, max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
