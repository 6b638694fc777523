"""Where pictures are optimised: a unit range, whatever range the model's inputs have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class InputSpace:
    """The affine way from the range in which pictures are optimised to model inputs.

    Everything that has a unit (learning rate, regularizers, jitter of colours) is stated in the
    unit range, so one setting means the same for models that take (0, 1), (0, 255) or (-1, 1).

    Attributes
    ----------
    low, high
        The model inputs that 0 and 1 become: a scalar, or one value per channel, in the model's
        own channel order. ``InputSpace()`` optimises the model inputs themselves.
    channels_first
        Whether the model takes ``(B, C, …)``; pictures are always channels last.
    """

    low: np.ndarray = field(default_factory=lambda: np.zeros((), np.float32))
    high: np.ndarray = field(default_factory=lambda: np.ones((), np.float32))
    channels_first: bool = False

    def to_inputs(self, images: Any) -> Any:
        """Pictures ``(B, …, C)`` as model inputs; tensors and arrays alike."""
        inputs = images * (self.high - self.low) + self.low
        if not self.channels_first:
            return inputs
        import tensorflow as tf

        rank = len(inputs.shape)
        return tf.transpose(inputs, [0, rank - 1, *range(1, rank - 1)])

    def to_unit(self, inputs: np.ndarray) -> np.ndarray:
        """Channels-last model inputs in the unit range."""
        return np.asarray((inputs - self.low) / (self.high - self.low), np.float32)
