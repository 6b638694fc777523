"""Score-CAM: what the model says of the image seen through each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.perturbation import PerturbationCam
from kvis_cli.engines.resampling import enlarged
from kvis_cli.errors import UsageError

_PROBABILITIES = ("softmax", "sigmoid")


class ScoreCam(PerturbationCam):
    """Wang et al. 2019, arXiv:1910.01279; see `kvis_cli.engines.cam.engine_methods.scorecam`.

    A channel is enlarged to the input bilinearly with half-pixel centres, then scaled to 0…1 by the
    minimum and maximum of what came out; a constant channel hides everything. What is hidden
    becomes 0 in the model's own input range, as in the paper.
    """

    name = "scorecam"
    # Known once the model was traced: whether weights are rises of the score above a blank input.
    _rises = False
    _blank: Any = None

    def _weights_function(self, layer: CamLayer) -> Any:
        rising = self.settings.direction == "increase"

        def ask(image: Any, maps: Any, channels: Any, scores: Any, units: Any) -> Any:
            if not image.dtype.is_floating:
                raise UsageError(
                    f"Score-CAM cannot hide parts of whole numbers ({image.dtype.name}).",
                    "It multiplies the input by masks between 0 and 1.",
                    "Use --method ablationcam, which hides channels instead.",
                )
            masks = self._masks(tf.gather(maps, channels, axis=-1), image)
            scored = self._scored(image[tf.newaxis] * tf.cast(masks, image.dtype), units)
            self._rises = scored.activation not in _PROBABILITIES or not rising
            return scored.scores if self._rises else self._probabilities(scored.outputs, units)

        return ask

    def _channel_weights(
        self, number: int, image: np.ndarray, maps: Any, chosen: Any, scores: Any, units: Any
    ) -> Any:
        found = super()._channel_weights(number, image, maps, chosen, scores, units)
        if not self._rises:
            return found
        if self._blank is None:
            self._blank = self._compile(lambda blank, units: self._scored(blank, units).scores)
        blank = self._blank(tf.zeros_like(image)[tf.newaxis], units)
        return found - blank

    def _probabilities(self, outputs: Any, units: Any) -> Any:
        """``(C, T)`` weighted sums of the model's own outputs; of a sigmoid either side."""
        if outputs.shape[-1] == 1:
            return tf.where(units[:, 0] > 0, outputs, 1.0 - outputs)
        return tf.matmul(outputs, units, transpose_b=True)

    def _masks(self, maps: Any, image: Any) -> Any:
        """Of feature maps ``(*space, C)``, masks ``(C, …)`` that broadcast against the image.

        The extremes are those of the enlarged channel, whose values reach them: half-pixel
        enlarging may stay below the peak of the channel itself.
        """
        axes = list(range(maps.shape.rank - 1))
        maps = tf.transpose(maps, [len(axes), *axes])
        first = self.settings.channel_axis == 1
        size = tf.shape(image)[1:] if first else tf.shape(image)[:-1]
        large = enlarged(maps, size)
        space = [axis + 1 for axis in axes]
        low = tf.reduce_min(large, axis=space, keepdims=True)
        extent = tf.reduce_max(large, axis=space, keepdims=True) - low
        if first:
            return _unit(large, low, extent)[:, tf.newaxis]
        # Channels as part of the last axis: a product that repeats an inner axis is slow. Scaling
        # and enlarging commute, so the small maps are scaled.
        large = enlarged(_unit(maps, low, extent), size, image.shape[-1])
        return tf.reshape(large, tf.concat([[-1], tf.shape(image)], axis=0))


def _unit(maps: Any, low: Any, extent: Any) -> Any:
    return tf.where(extent > 0.0, (maps - low) / tf.where(extent > 0.0, extent, 1.0), 0.0)
