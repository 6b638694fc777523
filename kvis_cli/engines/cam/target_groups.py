"""Many targets, explained in groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

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


class PerTargets:
    """A function of TensorFlow that is compiled for every number of targets it is called with.

    TensorFlow alone would compile it a second time for any number, which targets that are
    differentiated one by one do not have.

    Parameters
    ----------
    function
        Takes tensors: inputs ``(B, …)``, weights ``(B, T, …)`` and whatever else.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._compiled: dict[int, Any] = {}

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, *others: np.ndarray) -> Any:
        """Return what the function gives for arrays."""
        count = weights.shape[1]
        if count not in self._compiled:
            # AutoGraph would wrap our own errors into its own.
            self._compiled[count] = tf.function(
                self._function, reduce_retracing=True, autograph=False
            )
        return self._compiled[count](*map(tf.constant, (inputs, weights, *others)))

    @property
    def traces(self) -> int:
        """How often it was compiled."""
        return sum(int(f.experimental_get_tracing_count()) for f in self._compiled.values())
