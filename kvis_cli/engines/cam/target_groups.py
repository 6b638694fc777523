"""Many targets, explained in groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kvis_cli.engines.cam.settings import CamBatch
from kvis_cli.engines.scores import join_groups, target_groups

Explain = Callable[[np.ndarray, np.ndarray, np.ndarray], CamBatch]


def in_groups(
    explain: Explain, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray
) -> CamBatch:
    """Return what `explain` gives for all targets, computed for a group of them at a time."""
    total = weights.shape[1]
    parts = [explain(inputs, weights[:, g], ranks[:, g]) for g in target_groups(total)]
    first = parts[0]
    if len(parts) == 1:
        return first

    return CamBatch(
        {key: join_groups([part.maps[key] for part in parts], total) for key in first.maps},
        join_groups([part.scores for part in parts], total),
        join_groups([part.weights for part in parts], total),
        first.outputs,
        {
            key: {
                name: join_groups([part.extras[key][name] for part in parts], total)
                for name in numbers
            }
            for key, numbers in first.extras.items()
        },
    )
