"""How alike two maps of one question are.

Maps of different grids are compared on their `kvis_cli.metrics.grids.common_grid`; maps with a
sign are compared with it. No measure depends on the scale of either map.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kvis_cli.metrics.grids import meet
from kvis_cli.metrics.undefined import Measured, Undefined

SSIM_GRID = 16
_SIGMA, _RADIUS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2
_EVEN = 1e-12


def pearson(first: np.ndarray, second: np.ndarray) -> Measured:
    """Return the correlation of two maps' values, -1 to 1.

    Parameters
    ----------
    first
        ``(H, W)``, any real values.
    second
        ``(H, W)``, any real values.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is blank, constant or not finite.
    """
    a, b = meet(first, second)
    undefined = _undefined(a, b)
    return _correlation(a, b) if undefined is None else undefined


def spearman(first: np.ndarray, second: np.ndarray) -> Measured:
    """Return the correlation of two maps' ranks, -1 to 1; equal values share their mean rank.

    Spearman 1904; Adebayo et al. 2018, arXiv:1810.03292, compare maps by it. It asks in which
    order the cells come and not how much hotter one is, so the many cold cells weigh as much as the
    few hot ones.

    Parameters
    ----------
    first
        ``(H, W)``, any real values.
    second
        ``(H, W)``, any real values.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is blank, constant or not finite.

    Examples
    --------
    >>> one, other = np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([[0.0, 0.1], [0.5, 0.2]])
    >>> round(spearman(one, other), 3), spearman(one, one**3)
    (0.8, 1.0)
    >>> str(spearman(one, np.zeros((2, 2))))
    'blank map'
    """
    a, b = meet(first, second)
    undefined = _undefined(a, b)
    return _correlation(_ranks(a), _ranks(b)) if undefined is None else undefined


def top_overlap(first: np.ndarray, second: np.ndarray, share: float = 0.1) -> Measured:
    """Return the intersection over union of the hottest parts of two maps, 0 to 1.

    Cells of equal heat at the edge of the hottest part share what is left of it: with ``w`` the
    weight of a cell, 1 above the edge, 0 below it, it is ``Σ min(w₁, w₂) / Σ max(w₁, w₂)``.

    Parameters
    ----------
    first
        ``(H, W)``, any real values; the largest are the hottest.
    second
        ``(H, W)``, any real values; the largest are the hottest.
    share
        How much of the area counts as hottest, above 0 and below 1.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is blank, constant or not finite.
    """
    if not 0 < share < 1:
        raise ValueError(f"The share {share} is not between 0 and 1.")
    a, b = meet(first, second)
    undefined = _undefined(a, b)
    if undefined is not None:
        return undefined
    wa, wb = _hottest(a, share), _hottest(b, share)
    return float(np.minimum(wa, wb).sum() / np.maximum(wa, wb).sum())


def ssim(first: np.ndarray, second: np.ndarray) -> Measured:
    """Return the structural similarity of two maps, -1 to 1, each divided by its largest magnitude.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861: windows of 11×11 cells under a Gaussian of
    σ 1.5, K 0.01 and 0.03, a data range of 1, the mean over all windows that lie in the map.

    Parameters
    ----------
    first
        ``(H, W)``, any real values.
    second
        ``(H, W)``, any real values.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is blank, constant or not finite, and where the grid has fewer
        than 16 cells along an axis: of windows there would be next to none.
    """
    a, b = meet(first, second)
    undefined = _undefined(a, b)
    if undefined is not None:
        return undefined
    if min(a.shape) < SSIM_GRID:
        return Undefined.SMALL_GRID
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a * mean_a
    var_b = _blurred(b * b) - mean_b * mean_b
    cov = _blurred(a * b) - mean_a * mean_b
    like = (2 * mean_a * mean_b + _C1) * (2 * cov + _C2)
    unlike = (mean_a * mean_a + mean_b * mean_b + _C1) * (var_a + var_b + _C2)
    return float((like / unlike).mean())


def centroid_shift(first: np.ndarray, second: np.ndarray) -> Measured:
    """Return how far the centre of a map's positive values moves, as a share of the diagonal.

    0 where both have the same centre; less than 1.

    Parameters
    ----------
    first
        ``(H, W)``; negative values have no weight.
    second
        ``(H, W)``; negative values have no weight.

    Returns
    -------
    float or Undefined
        `Undefined` for a map that is not finite or has no positive value.
    """
    a, b = meet(first, second)
    centres = []
    for values in (a, b):
        if not np.isfinite(values).all():
            return Undefined.NOT_FINITE
        heat = np.maximum(values, 0)
        if not heat.any():
            return Undefined.BLANK
        heat = heat / heat.max()
        rows, columns = np.arange(heat.shape[0]), np.arange(heat.shape[1])
        total = heat.sum()
        centres.append((heat.sum(1) @ rows / total, heat.sum(0) @ columns / total))
    (y0, x0), (y1, x1) = centres
    return float(np.hypot(y1 - y0, x1 - x0) / np.hypot(*a.shape))


Measure = Callable[[np.ndarray, np.ndarray], Measured]

MEASURES: dict[str, Measure] = {
    "spearman": spearman,
    "pearson": pearson,
    "ssim": ssim,
    "iou": top_overlap,
    "centroid": centroid_shift,
}
"""Name -> measure of two maps. `iou` is `top_overlap` of the hottest tenth. Of a map with itself
they are 1, `centroid` is 0."""


def compare_maps(first: np.ndarray, second: np.ndarray) -> dict[str, Measured]:
    """Return all `MEASURES` of two maps.

    Parameters
    ----------
    first
        ``(H, W)``, any real values.
    second
        ``(H, W)``, any real values.

    Returns
    -------
    dict of str to float or Undefined
    """
    a, b = meet(first, second)
    return {name: measure(a, b) for name, measure in MEASURES.items()}


def _undefined(a: np.ndarray, b: np.ndarray) -> Undefined | None:
    for values in (a, b):
        if not np.isfinite(values).all():
            return Undefined.NOT_FINITE
    for values in (a, b):
        if not values.any():
            return Undefined.BLANK
    # Less than this is what averaging a constant leaves of rounding.
    if any(np.ptp(values) <= _EVEN * np.abs(values).max() for values in (a, b)):
        return Undefined.CONSTANT
    return None


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.array_equal(a, b):
        return 1.0
    # By its largest magnitude first: squares of a gradient of 1e-200 would be zero.
    a, b = (v / np.abs(v).max() for v in (a, b))
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1, 1))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values have the mean of their ranks."""
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def _hottest(values: np.ndarray, share: float) -> np.ndarray:
    """Weigh each cell by how much of it is in the hottest part, in all `share` of the cells."""
    flat = values.ravel()
    wanted = share * flat.size
    edge = np.sort(flat)[::-1][int(np.ceil(wanted)) - 1]
    above, tied = flat > edge, flat == edge
    return np.asarray(np.where(above, 1.0, np.where(tied, (wanted - above.sum()) / tied.sum(), 0)))


def _blurred(values: np.ndarray) -> np.ndarray:
    """Return the Gaussian mean of every window that lies in the map."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(values, 2 * _RADIUS + 1, axis)
        values = windows @ weights
    return values
