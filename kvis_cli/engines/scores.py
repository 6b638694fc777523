"""The explained score of a batch, as a tensor expression with the classes as arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from kvis_cli.errors import UsageError
from kvis_cli.models.live.pre_activation import Activation, pre_activation

ScoreKind = Literal["logit", "probability", "log-probability"]
Region = np.ndarray | Callable[[tuple[int, ...]], np.ndarray] | Literal["predicted"] | None


# Every target has a backward pass of its own in the graph: with so many of them it stays small.
MAX_TARGETS = 16


def target_groups(total: int) -> list[np.ndarray]:
    """Numbers of the targets that are explained at once, in groups of one size.

    The last group is filled up with the last target, so that nothing is compiled again.

    Parameters
    ----------
    total
        How many targets there are.

    Returns
    -------
    list of numpy.ndarray
        int arrays; together every number from 0 to ``total - 1``.

    Examples
    --------
    >>> [len(group) for group in target_groups(20)]
    [16, 16]
    """
    if total <= MAX_TARGETS:
        return [np.arange(total)]
    return [
        np.minimum(np.arange(start, start + MAX_TARGETS), total - 1)
        for start in range(0, total, MAX_TARGETS)
    ]


def join_groups(parts: Sequence[np.ndarray], total: int) -> np.ndarray:
    """Arrays ``(B, T, …)`` of the groups of `target_groups` as one of all `total` targets.

    Parameters
    ----------
    parts
        Of each group, all of one shape.
    total
        How many targets there are.

    Returns
    -------
    numpy.ndarray
        Without what the last group was filled up with.

    Examples
    --------
    >>> join_groups([np.zeros((1, 16, 7, 7)), np.ones((1, 16, 7, 7))], 20).shape
    (1, 20, 7, 7)
    """
    return np.concatenate(parts, axis=1)[:, :total]


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
    values
        ``(B, 1 or T, units)``: what the weights are applied to.
    activation
        What ended the model.
    """

    scores: Any
    weights: Any
    outputs: Any
    values: Any
    activation: Activation


def score_targets(
    output: Any, weights: Any, ranks: Any, kind: ScoreKind = "logit", region: Region = None
) -> Scores:
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
    region
        Of an output with positions: where the mean is taken instead. Weights ``(…)`` at the
        output's size, or what makes them from it, or ``predicted``: where the model says that
        class. The mean over no position is 0.

    Returns
    -------
    Scores
        The scores ``(B, T)``, the weights with resolved ranks, the outputs per unit, and the values
        that were summed.

    Raises
    ------
    UsageError
        For the log-probability of a model that gives no probabilities, and for a region of an
        output without positions.

    Examples
    --------
    >>> def score(logits):
    ...     weights, ranks = tf.constant([[[0.0, 1.0]]]), tf.constant([[-1]])
    ...     return score_targets(tf.nn.softmax(logits), weights, ranks).scores
    >>> tf.function(score, autograph=False)(tf.constant([[1.0, 3.0]])).numpy().tolist()
    [[3.0]]
    """
    before, activation = pre_activation(output)
    before, output = (_with_units(tf.cast(t, tf.float32)) for t in (before, output))
    weights = weights + _ranked(per_unit(before), ranks)
    if output.shape[-1] == 1 and activation == "sigmoid" and kind != "logit":
        # One sigmoid stands for two classes; the probability of class 0 is sigmoid(-logit).
        logits = _per_target(before, tf.sign(weights))
        values = tf.sigmoid(logits) if kind == "probability" else tf.math.log_sigmoid(logits)
        applied = tf.abs(weights)
    else:
        values = {"logit": before, "probability": output}.get(kind)
        values = _log_probability(before, activation) if values is None else values
        values, applied = values[:, tf.newaxis], weights
    positions = list(range(2, values.shape.rank - 1))
    if region is not None:
        if not positions:
            raise UsageError(
                "A region needs a model whose output is a map.",
                f"This output has the shape {tuple(output.shape)}.",
                "Leave --region out.",
            )
        mask = _mask(output, weights, region)
        area = tf.reduce_sum(mask, axis=positions)
        values = tf.math.divide_no_nan(tf.reduce_sum(values * mask, axis=positions), area)
    elif positions:
        values = tf.reduce_mean(values, axis=positions)
    scores = tf.reduce_sum(values * applied, axis=-1)
    return Scores(scores, weights, per_unit(output), values, activation)


def score_units(tensor: Any, weights: Any) -> Scores:
    """Score the channels of a layer's output ``(B, units)`` or ``(B, …, units)``."""
    values = per_unit(tensor)
    scores = tf.reduce_sum(values[:, tf.newaxis] * weights, axis=-1)
    return Scores(scores, weights, values, values[:, tf.newaxis], "none")


def per_unit(tensor: Any) -> Any:
    """Return a model output as float32 ``(B, units)``, positions averaged."""
    tensor = _with_units(tf.cast(tensor, tf.float32))
    positions = list(range(1, tensor.shape.rank - 1))
    return tf.reduce_mean(tensor, axis=positions) if positions else tensor


def _with_units(tensor: Any) -> Any:
    return tensor[:, tf.newaxis] if tensor.shape.rank == 1 else tensor


def _ranked(values: Any, ranks: Any) -> Any:
    """``(B, T, units)`` weights of the units that have the wanted ranks; zero where none is."""
    order = tf.stop_gradient(values)
    units = values.shape[-1]
    if units == 1:
        side = tf.where(order >= 0, 1.0, -1.0)[:, tf.newaxis, :]
        found = side * tf.where(ranks % 2 == 0, 1.0, -1.0)[:, :, tf.newaxis]
    else:
        # Only the ranks that were asked for: a full sort of 1000 outputs costs more than a CAM.
        top = tf.math.top_k(order, k=tf.maximum(1, tf.reduce_max(ranks) + 1)).indices
        found = tf.one_hot(tf.gather(top, tf.maximum(ranks, 0), batch_dims=1), units)
    return tf.where((ranks >= 0)[:, :, tf.newaxis], found, 0.0)


def _per_target(tensor: Any, weights: Any) -> Any:
    """``(B, T, …, units)``: what stands at each position, times each target's weights."""
    shape = tf.shape(weights)
    between = [1] * (tensor.shape.rank - 2)
    weights = tf.reshape(weights, tf.concat([shape[:2], between, shape[2:]], axis=0))
    return tensor[:, tf.newaxis] * weights


def _mask(output: Any, weights: Any, region: Any) -> Any:
    """``(B or 1, T or 1, …, 1)``: how much of each position belongs to the region."""
    if callable(region):
        region = region(tuple(output.shape[1:-1]))
    if isinstance(region, np.ndarray):
        return tf.constant(region, tf.float32)[tf.newaxis, tf.newaxis, ..., tf.newaxis]
    if output.shape[-1] == 1:
        said = _per_target(tf.where(output > 0.5, 1.0, -1.0), tf.sign(weights))
    else:
        winner = tf.one_hot(tf.argmax(output, axis=-1), output.shape[-1])
        said = _per_target(winner, tf.cast(weights > 0, tf.float32))
    return tf.cast(tf.reduce_any(said > 0, axis=-1, keepdims=True), tf.float32)


def _log_probability(logits: Any, activation: Activation) -> Any:
    if activation == "softmax":
        return tf.nn.log_softmax(logits)
    if activation == "sigmoid":
        return tf.math.log_sigmoid(logits)
    raise UsageError(
        "The model gives no probabilities.",
        "A log-probability is of a softmax or a sigmoid, and its output ends in neither.",
        "Leave --score out.",
    )
