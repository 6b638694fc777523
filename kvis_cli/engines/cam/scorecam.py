"""Score-CAM: what the model says of the image seen through each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.cam.perturbation import PerturbationCam
from kvis_cli.engines.cam.settings import CamLayer

_PROBABILITIES = ("softmax", "sigmoid")


class ScoreCam(PerturbationCam):
    """Wang et al. 2019, arXiv:1910.01279; see `kvis_cli.engines.cam.methods.scorecam`.

    A channel is enlarged to the input bilinearly with half-pixel centres and scaled to 0…1 by its
    own minimum and maximum; a constant channel hides everything. What is hidden becomes 0 in the
    model's own input range, as in the paper.
    """

    name = "scorecam"
    # Known once the model was traced: whether weights are rises of the score above a blank input.
    _rises = False
    _blank: Any = None

    def _weights_function(self, layer: CamLayer) -> Any:
        def ask(image: Any, maps: Any, channels: Any, scores: Any, units: Any) -> Any:
            masks = self._masks(tf.gather(maps, channels, axis=-1), image)
            inputs = image[tf.newaxis] * tf.cast(masks, image.dtype)
            scored = self._scored(inputs, units)
            self._rises = scored.activation not in _PROBABILITIES or self.settings.decrease
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
        return found - self.settings.sign * blank

    def _probabilities(self, outputs: Any, units: Any) -> Any:
        """``(C, T)`` weighted sums of the model's own outputs; of a sigmoid either side."""
        if outputs.shape[-1] == 1:
            return tf.where(units[:, 0] > 0, outputs, 1.0 - outputs)
        return tf.matmul(outputs, units, transpose_b=True)

    def _masks(self, maps: Any, image: Any) -> Any:
        """``(C, *input space, 1)`` of feature maps ``(*space, C)``, for a broadcast product."""
        axes = list(range(maps.shape.rank - 1))
        low = tf.reduce_min(maps, axis=axes, keepdims=True)
        extent = tf.reduce_max(maps, axis=axes, keepdims=True) - low
        scaled = tf.where(extent > 0.0, (maps - low) / tf.where(extent > 0.0, extent, 1.0), 0.0)
        first = self.settings.channel_axis == 1
        size = tf.shape(image)[1:] if first else tf.shape(image)[:-1]
        large = enlarged(tf.transpose(scaled, [len(axes), *axes]), size)
        return large[:, tf.newaxis] if first else large[..., tf.newaxis]


def enlarged(maps: Any, size: Any) -> Any:
    """Maps ``(C, *space)`` at another size, linear with half-pixel centres."""
    rank = maps.shape.rank - 1
    if rank == 2:
        return tf.image.resize(maps[..., tf.newaxis], size)[..., 0]
    # One axis after the other: a sequence, or a volume slice by slice.
    for axis in range(1, rank + 1):
        last = tf.experimental.numpy.moveaxis(maps, axis, -1)
        shape = tf.shape(last)
        rows = tf.reshape(last, [1, -1, shape[-1], 1])
        wide = tf.image.resize(rows, tf.stack([tf.shape(rows)[1], size[axis - 1]]))
        last = tf.reshape(wide, tf.concat([shape[:-1], size[axis - 1 : axis]], axis=0))
        maps = tf.experimental.numpy.moveaxis(last, -1, axis)
    return maps
