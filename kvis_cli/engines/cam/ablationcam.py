"""Ablation-CAM: how far the score falls when a channel is silenced."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.perturbation import PerturbationCam
from kvis_cli.models.live.reader import wrapped_call


class AblationCam(PerturbationCam):
    """Desai & Ramaswamy 2020; see `kvis_cli.engines.cam.engine_methods.ablationcam`.

    The model runs on one image up to the layer and on one copy per channel from there on, where
    everything passes through the layer; where a branch goes past it, the whole model runs on
    copies.
    """

    name = "ablationcam"

    def _weights_function(self, layer: CamLayer) -> Any:
        operation = self.reader.operation(layer.tap.path)
        copies_from_layer = True

        def ablated(image: Any, channels: Any, units: Any) -> Any:
            def silence(call: int, output: Any) -> Any:
                if call != layer.tap.call:
                    return None
                kept = 1.0 - tf.one_hot(channels, output.shape[1 if layer.channels_first else -1])
                between = [1] * (output.shape.rank - 2)
                shape = [-1, kept.shape[1], *between]
                if not layer.channels_first:
                    shape = [-1, *between, kept.shape[1]]
                return output * tf.cast(tf.reshape(kept, shape), output.dtype)

            inputs = image[tf.newaxis]
            if not copies_from_layer:
                inputs = tf.repeat(inputs, channels.shape[0], axis=0)
            with wrapped_call(operation, silence):
                return self._scored(inputs, units, channels.shape[0]).scores

        def ask(image: Any, maps: Any, channels: Any, scores: Any, units: Any) -> Any:
            nonlocal copies_from_layer
            try:
                without = ablated(image, channels, units)
            except (ValueError, tf.errors.InvalidArgumentError):
                if not copies_from_layer:
                    raise
                copies_from_layer = False
                without = ablated(image, channels, units)
            below = tf.where(scores == 0.0, 1.0, tf.abs(scores))
            return (scores - without) / below

        return ask

    def _compile(self, function: Any) -> Any:
        # Static shapes: a batch that does not fit shows while the function is traced.
        return tf.function(function, autograph=False)
