"""Class activation maps: one forward pass, one backward pass to the layer, many maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.cam.methods import CAM_METHODS, CamMethod
from kvis_cli.engines.targets import ScoreKind, score_targets
from kvis_cli.errors import UsageError
from kvis_cli.models.reading import ModelReader, Tap


@dataclass(frozen=True)
class CamBatch:
    """Raw maps of a batch.

    Attributes
    ----------
    maps
        Per method: float32 ``(B, T, h, w)``, the layer's own grid, unscaled.
    scores
        float32 ``(B, T)``.
    weights
        float32 ``(B, T, units)``: the units of each score, ranks resolved.
    outputs
        float32 ``(B, units)``: the model's output.
    """

    maps: dict[str, np.ndarray]
    scores: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray


class CamEngine:
    """Maps of a layer for any targets, compiled once per batch shape and number of targets.

    Parameters
    ----------
    reader
        The model.
    layer
        The layer call whose feature maps are weighted.
    methods
        Registry names, all computed from the same two passes.
    score
        ``logit`` or ``probability``.
    output
        Which of the model's outputs is explained.
    channels_first
        Whether the layer's feature maps are ``(B, K, h, w)``.
    """

    def __init__(
        self,
        reader: ModelReader,
        layer: Tap,
        methods: Sequence[str] = ("gradcam",),
        *,
        score: ScoreKind = "logit",
        output: int = 0,
        channels_first: bool = False,
    ) -> None:
        self.reader = reader
        self.layer = layer
        self.methods: dict[str, CamMethod] = {name: CAM_METHODS[name] for name in methods}
        self.score = score
        self.output = output
        self.channels_first = channels_first
        # AutoGraph would wrap our own errors into its own.
        self._compiled = tf.function(self._passes, reduce_retracing=True, autograph=False)

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        return int(self._compiled.experimental_get_tracing_count())

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch.

        Parameters
        ----------
        inputs
            Preprocessed inputs ``(B, …)``.
        weights, ranks
            ``(B, T, units)`` and ``(B, T)`` as from `kvis_cli.models.targets.encode`.

        Raises
        ------
        UsageError
            When the output does not depend on the layer, or the layer has no spatial maps.
        """
        maps, scores, units, outputs = self._compiled(
            tf.constant(inputs), tf.constant(weights), tf.constant(ranks)
        )
        return CamBatch(
            {name: value.numpy() for name, value in maps.items()},
            scores.numpy(),
            units.numpy(),
            outputs.numpy(),
        )

    def _passes(self, inputs: Any, weights: Any, ranks: Any) -> Any:
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            forward = self.reader.forward(inputs, [self.layer], watch=tape.watch)
            scored = score_targets(forward.outputs[self.output], weights, ranks, self.score)
            targets = tf.unstack(scored.scores, axis=1)
        features = forward.taps[0]
        if features.shape.rank != 4:
            raise UsageError(
                f"Layer '{self.layer}' has no feature maps.",
                f"Its output has the shape {tuple(features.shape)}.",
                "Choose a layer that `kvis layers` marks as a CAM target.",
            )
        # The gradient goes no further down than the layer, so each target costs little.
        gradients = [tape.gradient(score, features) for score in targets]
        if any(g is None for g in gradients):
            raise UsageError(
                f"The explained output does not depend on layer '{self.layer}'.",
                "There is no path from the layer to that output.",
                "Choose another --layer or --output.",
            )
        gradient = tf.cast(tf.stack(gradients, axis=1), tf.float32)
        features = tf.cast(features, tf.float32)
        if self.channels_first:
            features = tf.transpose(features, [0, 2, 3, 1])
            gradient = tf.transpose(gradient, [0, 1, 3, 4, 2])
        features = features[:, tf.newaxis]
        maps = {name: method.maps(features, gradient) for name, method in self.methods.items()}
        return maps, scored.scores, scored.weights, scored.outputs
