"""Methods that run the model again: which channels, in which portions, with which weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.cam.layers import CamLayer, check_maps
from kvis_cli.engines.cam.reduction import REDUCTIONS
from kvis_cli.engines.cam.settings import CamBatch, CamSettings
from kvis_cli.engines.scores import Scores
from kvis_cli.models.live.reader import ModelReader


class PerturbationCam:
    """Maps whose channel weights come from asking the model again, once per channel.

    Channels are asked about in portions of at most ``batch_size`` forward passes, one image after
    the other, so memory does not grow with the number of channels or images.

    Parameters
    ----------
    reader
        The model.
    layers
        The layer calls whose feature maps are weighted.
    settings
        See `CamSettings`.
    """

    name = ""

    def __init__(
        self, reader: ModelReader, layers: Sequence[CamLayer], settings: CamSettings
    ) -> None:
        self.reader = reader
        self.notes: list[str] = []
        self.layers = list(layers)
        self.settings = settings
        self._read = self._compile(self._features)
        self._ask = [self._compile(self._weights_function(layer)) for layer in layers]
        self._combine = self._compile(self._combined)

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        compiled = (self._read, self._combine, *self._ask)
        return sum(int(f.experimental_get_tracing_count()) for f in compiled)

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch; arguments as for `kvis_cli.engines.cam.engine.CamEngine`."""
        features, scores, units, outputs, chosen = self._read(
            tf.constant(inputs), tf.constant(weights), tf.constant(ranks)
        )
        maps = {}
        for number, layer in enumerate(self.layers):
            of_layer = []
            for i in range(len(inputs)):
                found = self._channel_weights(
                    number, inputs[i], features[number][i], chosen[number][i], scores[i], units[i]
                )
                directed = self.settings.directed(tf.transpose(found)[tf.newaxis])[0]
                of_layer.append(self._combine(features[number][i], chosen[number][i], directed))
            maps[str(layer), self.name] = np.stack(of_layer)
        return CamBatch(maps, scores.numpy(), units.numpy(), outputs.numpy())

    def _weights_function(self, layer: CamLayer) -> Any:
        """``(input, feature maps, channels, scores, units) -> (C, T)`` channel weights."""
        raise NotImplementedError

    def _compile(self, function: Any) -> Any:
        return tf.function(function, reduce_retracing=True, autograph=False)

    def _features(self, inputs: Any, weights: Any, ranks: Any) -> Any:
        objective = self.settings.objective
        taps = [layer.tap for layer in self.layers]
        forward = self.reader.forward(inputs, [*taps, *objective.taps])
        scored = objective(forward, weights, ranks)
        features, chosen = [], []
        for layer, tensor in zip(self.layers, forward.taps, strict=False):
            check_maps(layer, tensor)
            maps = layer.channels_last(tensor)
            features.append(maps)
            chosen.append(self._channels(maps))
        return features, scored.scores, scored.weights, scored.outputs, chosen

    def _channels(self, maps: Any) -> Any:
        """``(B, C)``: the channels that are asked about, per image."""
        channels = maps.shape[-1]
        wanted = min(self.settings.max_channels or channels, channels)
        if wanted == channels:
            return tf.tile(tf.range(channels)[tf.newaxis], [tf.shape(maps)[0], 1])
        spread = tf.math.reduce_std(maps, axis=list(range(1, maps.shape.rank - 1)))
        return tf.math.top_k(spread, k=wanted).indices

    def _channel_weights(
        self, number: int, image: np.ndarray, maps: Any, chosen: Any, scores: Any, units: Any
    ) -> Any:
        """``(C, T)`` for one image, a portion of channels after the other."""
        parts = []
        for portion, missing in self._portions(chosen):
            found = self._ask[number](tf.constant(image), maps, portion, scores, units)
            parts.append(found[: len(portion) - missing])
        return tf.concat(parts, axis=0)

    def _portions(self, chosen: Any) -> Iterator[tuple[Any, int]]:
        """Portions of equal size, the last filled up so that nothing is compiled again."""
        count = int(chosen.shape[0])
        parts = -(-count // self.settings.batch_size)
        size = -(-count // parts)
        for start in range(0, count, size):
            portion = chosen[start : start + size]
            missing = size - len(portion)
            if missing:
                portion = tf.concat([portion, tf.repeat(portion[-1:], missing)], axis=0)
            yield portion, missing

    def _combined(self, maps: Any, chosen: Any, weights: Any) -> Any:
        """``(T, *space)`` of one image; weights ``(T, C)``."""
        selected = tf.gather(maps, chosen, axis=-1)[tf.newaxis, tf.newaxis]
        shape = tf.stack([1, tf.shape(weights)[0], *[1] * (maps.shape.rank - 1), -1])
        weighted = selected * tf.reshape(weights, shape)
        return REDUCTIONS["eigen" if self.settings.eigen_smooth else "sum"](weighted)[0]

    def _scored(self, inputs: Any, units: Any, count: Any = None) -> Scores:
        """Scores ``(C, T)`` of `count` (by default all) inputs for the units of one image."""
        objective = self.settings.objective
        forward = self.reader.forward(inputs, objective.taps)
        count = tf.shape(inputs)[0] if count is None else count
        weights = tf.repeat(units[tf.newaxis], count, axis=0)
        return objective(forward, weights, tf.fill(tf.stack([count, tf.shape(units)[0]]), -1))
