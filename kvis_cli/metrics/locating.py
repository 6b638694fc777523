"""How much of a map lies where it should."""

from __future__ import annotations

import numpy as np

from kvis_cli.metrics.undefined import Measured, Undefined


def pointing_game(raw: np.ndarray, mask: np.ndarray, tolerance: float = 0) -> Measured:
    """Return whether the map's largest value lies in the mask: 1 or 0, between them by chance.

    Zhang et al. 2016, arXiv:1608.00507. Where several cells share the largest value it is the share
    of them that lies inside: what drawing one of them at random gives on average.

    Parameters
    ----------
    raw
        ``(H, W)``.
    mask
        bool ``(H, W)``, or the share 0..1 of each cell that lies inside.
    tolerance
        A largest value as near as this to the mask, in cells, is a hit; the paper and TorchRay
        allow 15 pixels of 224.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is not finite or has no positive value, and for an empty mask.
    """
    inside = np.asarray(mask, np.float64)
    undefined = _undefined(raw, inside)
    if undefined is not None:
        return undefined
    if tolerance > 0:
        inside = _grown(inside, tolerance)
    return float(inside[np.asarray(raw) == np.max(raw)].mean())


def energy_in_mask(raw: np.ndarray, mask: np.ndarray) -> Measured:
    """Return the share, 0 to 1, of the map's positive values that lies in the mask.

    Wang et al. 2019 (Score-CAM), arXiv:1910.01279, section 4.3. Of a forbidden region it is the
    share of the heat that should not be there.

    Parameters
    ----------
    raw
        ``(H, W)``; negative values do not count.
    mask
        bool ``(H, W)``, or the share 0..1 of each cell that lies inside.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is not finite or has no positive value, and for an empty mask.

    Examples
    --------
    >>> energy_in_mask(np.array([[1.0, 3.0], [-5.0, 0.0]]), np.array([[0, 1], [1, 0]]))
    0.75
    >>> energy_in_mask(np.zeros((2, 2)), np.array([[0, 1], [1, 0]]))
    <Undefined.BLANK: 'blank map'>
    """
    inside = np.asarray(mask, np.float64)
    undefined = _undefined(raw, inside)
    if undefined is not None:
        return undefined
    positive = np.maximum(np.asarray(raw, np.float64), 0)
    positive /= positive.max()
    return float((positive * inside).sum() / positive.sum())


def enrichment(raw: np.ndarray, mask: np.ndarray) -> Measured:
    """Return `energy_in_mask` over the mask's share of the area: 1 for a map that knows nothing.

    Parameters
    ----------
    raw
        As for `energy_in_mask`.
    mask
        As for `energy_in_mask`.

    Returns
    -------
    float or Undefined
        0 to one over the mask's share; `Undefined` as for `energy_in_mask`, and for a mask that
        covers everything, in which every map lies.

    Examples
    --------
    >>> enrichment(np.array([[1.0, 3.0], [-5.0, 0.0]]), np.array([[0, 1], [1, 0]]))
    1.5
    """
    energy = energy_in_mask(raw, mask)
    if isinstance(energy, Undefined):
        return energy
    share = float(np.mean(mask, dtype=np.float64))
    return Undefined.FULL_REGION if share == 1 else energy / share


def _undefined(raw: np.ndarray, inside: np.ndarray) -> Undefined | None:
    values = np.asarray(raw)
    if values.shape != inside.shape:
        raise ValueError(f"A map of {values.shape} and a mask of {inside.shape} do not fit.")
    if not np.isfinite(values).all():
        return Undefined.NOT_FINITE
    if not (values > 0).any():
        return Undefined.BLANK
    return None if inside.any() else Undefined.EMPTY_REGION


def _grown(inside: np.ndarray, radius: float) -> np.ndarray:
    """Each cell's largest share among the cells not further than `radius` from it."""
    reach = int(radius)
    padded = np.pad(inside, reach)
    height, width = inside.shape
    grown = np.zeros_like(inside)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= radius * radius:
                top, left = reach + dy, reach + dx
                near = padded[top : top + height, left : left + width]
                np.maximum(grown, near, out=grown)
    return grown
