"""The model's own outputs for inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel

Outputs = Callable[["np.ndarray"], "np.ndarray"]
"""Model inputs ``(B, …)`` to float32 outputs ``(B, units)``."""


def outputs_of(opened: OpenModel) -> Outputs:
    """Return what computes the explained output of a model, compiled once and kept with it.

    Parameters
    ----------
    opened
        The model.

    Returns
    -------
    Outputs
        From model inputs ``(B, …)`` to outputs.
    """
    kept: Outputs = opened.engines.get("outputs", lambda: _compiled(opened))
    return kept


def _compiled(opened: OpenModel) -> Outputs:
    from kvis_cli.engines.scores import per_unit

    output = opened.info.output_index()
    forward = tf.function(
        lambda x: per_unit(opened.reader.forward(x).outputs[output]),
        autograph=False,
        reduce_retracing=True,
    )
    return lambda inputs: np.asarray(forward(tf.constant(inputs)))
