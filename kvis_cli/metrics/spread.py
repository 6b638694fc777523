"""How a map spreads."""

from __future__ import annotations

import numpy as np


def entropy(raw: np.ndarray) -> float | None:
    """Spread of a map: 0 when all of it is in one cell, 1 when it is everywhere the same.

    Shannon entropy of ``|raw| / Σ|raw|`` over the logarithm of the number of cells; None for a
    blank map or one of a single cell.

    Parameters
    ----------
    raw
        Any shape; magnitudes count.

    Returns
    -------
    float or None
        0..1.

    Examples
    --------
    >>> entropy(np.array([[1.0, 1.0], [0.0, 0.0]])), entropy(np.ones((2, 2)))
    (0.5, 1.0)
    >>> entropy(np.zeros((2, 2))) is None
    True
    """
    values = np.abs(raw.astype(np.float64)).ravel()
    total = values.sum()
    if values.size < 2 or not np.isfinite(total) or total <= 0:
        return None
    share = values[values > 0] / total
    return float(-(share * np.log(share)).sum() / np.log(values.size))
