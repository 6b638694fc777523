"""From one value per channel to one per pixel."""

from __future__ import annotations

from typing import Any

from kvis_cli.lazy import tf

CHANNELS: dict[str, str] = {
    "max": "the strongest channel, with its sign",
    "mean": "the mean",
    "sum": "the sum: what integrated gradients add up by",
    "norm": "the Euclidean norm",
    "keep": "no reduction; pictures show the strongest, raw maps hold all",
}


def reduce_channels(values: Any, how: str, axis: int | None) -> Any:
    """Reduce the channel axis.

    Parameters
    ----------
    values
        ``(B, T, …)``.
    how
        A key of `CHANNELS`. ``max`` is the value of the largest magnitude: the plain maximum of
        values without a sign, and no bias to the positive ones of those with.
    axis
        The channel axis of an input with its batch axis, or None where there are no channels.

    Returns
    -------
    tf.Tensor
        ``(B, T, …)`` without the channel axis; as it was for ``keep`` or without channels.

    Examples
    --------
    >>> values = tf.constant([[[[1.0, -3.0, 2.0]]]])
    >>> reduce_channels(values, "max", -1).numpy().ravel().tolist()
    [-3.0]
    """
    if axis is None or how == "keep":
        return values
    axis = axis + 1 if axis > 0 else axis
    if how == "mean":
        return tf.reduce_mean(values, axis)
    if how == "sum":
        return tf.reduce_sum(values, axis)
    if how == "norm":
        return tf.norm(values, axis=axis)
    high, low = tf.reduce_max(values, axis), tf.reduce_min(values, axis)
    return tf.where(high >= -low, high, low)
