"""Targets as the tensors that engines take."""

from __future__ import annotations

import numpy as np


def targets(count: int, units: int, *wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The `wanted` classes for each of `count` inputs, or each input's top class.

    Returns
    -------
    weights, ranks
        ``(count, T, units)`` and ``(count, T)``.
    """
    weights = np.zeros((count, max(1, len(wanted)), units), np.float32)
    ranks = np.full(weights.shape[:2], -1 if wanted else 0, np.int32)
    for t, unit in enumerate(wanted):
        weights[:, t, unit] = 1
    return weights, ranks
