"""The explained score of a batch, as a tensor expression with the classes as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from kvis_cli.errors import UsageError
from kvis_cli.models.head import Activation, pre_activation

ScoreKind = Literal["logit", "probability", "log-probability"]


@dataclass(frozen=True)
class Scores:
    """Tensors of one traced forward pass.

    Attributes
    ----------
    scores
        ``(B, T)``: the explained value of each target.
    weights
        ``(B, T, units)``: what each score is made of, ranks resolved.
    outputs
        ``(B, units)``: the model's own output (probabilities where it gives them).
    activation
        What ended the model.
    """

    scores: Any
    weights: Any
    outputs: Any
    activation: Activation


def score_targets(output: Any, weights: Any, ranks: Any, kind: ScoreKind = "logit") -> Scores:
    """Score targets on a model output.

    Parameters
    ----------
    output
        ``(B, units)``, or ``(B, …, units)``: positions are averaged, so the score of a
        segmentation model is the mean score of the class over the picture.
    weights
        float32 ``(B, T, units)``.
    ranks
        int32 ``(B, T)``: where ≥ 0, the unit with that rank in the output joins `weights`.
        With one unit (binary sigmoid) rank 0 is the predicted class: the logit or its negative.
    kind
        ``logit``: the value before the final softmax, sigmoid or tanh. ``probability``: the
        model's own output. ``log-probability``: the logarithm of its softmax or sigmoid.

    Raises
    ------
    UsageError
        For the log-probability of a model that gives no probabilities.
    """
    raw, activation = pre_activation(output)
    before, output = per_unit(raw), per_unit(output)
    units = before.shape[-1]
    order = tf.stop_gradient(before)
    if units == 1:
        side = tf.where(order >= 0, 1.0, -1.0)[:, tf.newaxis, :]
        flip = tf.where(ranks % 2 == 0, 1.0, -1.0)[:, :, tf.newaxis]
        ranked = side * flip
    else:
        # Only the ranks that were asked for: a full sort of 1000 outputs costs more than a CAM.
        top = tf.math.top_k(order, k=tf.maximum(1, tf.reduce_max(ranks) + 1)).indices
        chosen = tf.gather(top, tf.maximum(ranks, 0), batch_dims=1)
        ranked = tf.one_hot(chosen, units)
    weights = weights + tf.where((ranks >= 0)[:, :, tf.newaxis], ranked, 0.0)
    if units == 1 and activation == "sigmoid" and kind != "logit":
        # One sigmoid stands for two classes; the probability of class 0 is sigmoid(-logit).
        logits = before[:, tf.newaxis, :] * tf.sign(weights)
        values = tf.sigmoid(logits) if kind == "probability" else tf.math.log_sigmoid(logits)
        return Scores(tf.reduce_sum(values * abs(weights), -1), weights, output, activation)
    if kind == "log-probability":
        values = per_unit(_log_probability(raw, activation))
    else:
        values = output if kind == "probability" else before
    return Scores(score_units(values, weights), weights, output, activation)


def score_units(values: Any, weights: Any) -> Any:
    """``(B, T)`` weighted sums of the units of ``(B, units)`` or ``(B, …, units)``."""
    return tf.reduce_sum(per_unit(values)[:, tf.newaxis, :] * weights, axis=-1)


def _log_probability(logits: Any, activation: Activation) -> Any:
    if activation == "softmax":
        return tf.nn.log_softmax(tf.cast(logits, tf.float32))
    if activation == "sigmoid":
        return tf.math.log_sigmoid(tf.cast(logits, tf.float32))
    raise UsageError(
        "The model gives no probabilities.",
        "A log-probability is of a softmax or a sigmoid, and its output ends in neither.",
        "Leave --score out.",
    )


def per_unit(tensor: Any) -> Any:
    """A model output as float32 ``(B, units)``, positions averaged."""
    tensor = tf.cast(tensor, tf.float32)
    if tensor.shape.rank == 1:
        return tensor[:, tf.newaxis]
    if tensor.shape.rank > 2:
        return tf.reduce_mean(tensor, axis=list(range(1, tensor.shape.rank - 1)))
    return tensor
