"""From weighted feature maps ``(B, T, *space, K)`` to maps ``(B, T, *space)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.engines.cam.methods import Reduction
from kvis_cli.lazy import tf


def channel_sum(weighted: Any) -> Any:
    """``ReLU(Σ_k W_k)``."""
    return tf.nn.relu(signed_sum(weighted))


def signed_sum(weighted: Any) -> Any:
    """``Σ_k W_k``, with its negative values."""
    return tf.reduce_sum(weighted, axis=-1)


def principal_component(weighted: Any) -> Any:
    """``ReLU(W v₁)`` with ``v₁`` the first right singular vector of ``W`` (positions × channels).

    A singular vector has no sign of its own; it gets the one for which the map agrees with the
    sum of the channels. The vector is found from the smaller of the two Gram matrices.
    """
    shape = tf.shape(weighted)
    channels = weighted.shape[-1]
    flat = tf.reshape(weighted, [shape[0], shape[1], -1, channels])
    # Scaled, so that no square leaves the range of float32.
    largest = tf.reduce_max(tf.abs(flat), axis=[2, 3], keepdims=True)
    unit = flat / tf.where(largest == 0.0, 1.0, largest)
    positions = flat.shape[2]
    if positions is not None and positions < channels:
        values, vectors = tf.linalg.eigh(tf.matmul(unit, unit, transpose_b=True))
        # W v₁ = σ₁ u₁
        component = vectors[..., -1] * tf.sqrt(tf.maximum(values[..., -1:], 0.0))
    else:
        _, vectors = tf.linalg.eigh(tf.matmul(unit, unit, transpose_a=True))
        component = tf.linalg.matvec(unit, vectors[..., -1])
    total = tf.reduce_sum(unit, axis=-1)
    agreement = tf.reduce_sum(component * total, axis=-1, keepdims=True)
    component *= tf.where(agreement < 0.0, -1.0, 1.0) * largest[..., 0]
    return tf.nn.relu(tf.reshape(component, shape[:-1]))


REDUCTIONS: dict[Reduction, Callable[[Any], Any]] = {
    "sum": channel_sum,
    "signed": signed_sum,
    "eigen": principal_component,
}
