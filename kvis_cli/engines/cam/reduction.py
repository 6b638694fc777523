"""From weighted feature maps ``(B, T, *space, K)`` to maps ``(B, T, *space)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from kvis_cli.lazy import tf


def channel_sum(weighted: Any) -> Any:
    """``ReLU(Σ_k W_k)``."""
    return tf.nn.relu(signed_sum(weighted))


def signed_sum(weighted: Any) -> Any:
    """``Σ_k W_k``, with its negative values."""
    return tf.reduce_sum(weighted, axis=-1)


def contribution_component(weighted: Any) -> Any:
    """``ReLU(W v₁)`` of channels that were weighted by what they do to a score.

    Their sum has a sign that means something, so the component gets the sign that agrees with it.
    """
    component = _principal_component(weighted)
    agreement = _over_positions(component * tf.reduce_sum(weighted, axis=-1))
    return tf.nn.relu(tf.where(agreement < 0.0, -component, component))


def response_component(features: Any) -> Any:
    """``ReLU(A v₁)`` of feature maps as they are.

    The sign of a value says nothing here: in maps without a rectifier the strongest response may
    well be negative in most channels. So the component gets the sign under which most of its
    energy is positive, and is zero nowhere but where all maps are. For maps without negative
    values the rule changes nothing: no entry of the component is negative then.
    """
    component = _principal_component(features)
    tilt = _over_positions(component * tf.abs(component))
    return tf.nn.relu(tf.where(tilt < 0.0, -component, component))


def _over_positions(maps: Any) -> Any:
    return tf.reduce_sum(maps, axis=list(range(2, maps.shape.rank)), keepdims=True)


def _principal_component(weighted: Any) -> Any:
    """``W v₁``, of either sign, ``v₁`` the first right singular vector of positions × channels.

    It is found from the smaller of the two Gram matrices.
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
    return tf.reshape(component * largest[..., 0], shape[:-1])


REDUCTIONS: dict[Reduction, Callable[[Any], Any]] = {
    "sum": channel_sum,
    "signed": signed_sum,
    "eigen": contribution_component,
    "response": response_component,
}


Reduction = Literal["sum", "signed", "eigen", "response"]
