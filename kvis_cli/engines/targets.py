"""The explained score of a batch, as a tensor expression with the classes as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from kvis_cli.models.head import Activation, pre_activation

ScoreKind = Literal["logit", "probability"]


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
        int32 ``(B, T)``: where ≥ 0, the unit with that rank in the output replaces `weights`.
        With one unit (binary sigmoid) rank 0 is the predicted class: the logit or its negative.
    kind
        Whether scores are taken before the final softmax or sigmoid.
    """
    before, activation = pre_activation(output)
    before, output = _per_unit(before), _per_unit(output)
    values = output if kind == "probability" else before
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
    weights = tf.where((ranks >= 0)[:, :, tf.newaxis], ranked, weights)
    scores = tf.reduce_sum(values[:, tf.newaxis, :] * weights, axis=-1)
    return Scores(scores, weights, output, activation)


def _per_unit(tensor: Any) -> Any:
    tensor = tf.cast(tensor, tf.float32)
    if tensor.shape.rank == 1:
        return tensor[:, tf.newaxis]
    if tensor.shape.rank > 2:
        return tf.reduce_mean(tensor, axis=list(range(1, tensor.shape.rank - 1)))
    return tensor
