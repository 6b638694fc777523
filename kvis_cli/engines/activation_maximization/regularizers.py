"""Regularizers: what every picture should look like, whatever its target.

All of them see pictures in the unit range and give a mean over the picture, so a weight means the
same for every input range and size. Gradients are finite everywhere, flat and black pictures
included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from kvis_cli.engines.activation_maximization.input_space import InputSpace
from kvis_cli.engines.activation_maximization.losses import Loss, View
from kvis_cli.errors import UsageError

_TINY = 1e-12


class LPNorm(Loss):
    """Keeps pixels from the ends of their range: mean over pixels of ``(Σ_c x²)^(p/2)``.

    Mahendran and Vedaldi 2016 (arXiv 1512.02017), eq. 4: ``x`` is the picture minus its mid grey,
    divided by half the range, so ±1 are black and white.

    Parameters
    ----------
    p
        The exponent, at least 1; ``inf`` is the largest absolute value.

    Examples
    --------
    >>> grey, black = (View(tf.fill((1, 8, 8, 1), v), None, [], {}) for v in (0.5, 0.0))
    >>> [float(LPNorm()(view, {}).numpy()[0].round(6)) for view in (grey, black)]
    [0.0, 1.0]
    """

    def __init__(self, p: float = 6.0) -> None:
        if not p >= 1:
            raise UsageError(f"The p of an Lp norm cannot be {p:g}.", "It is at least 1.")
        self.p = float(p)
        self.name = f"lp({self.p:g})"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        centred = 2 * view.images - 1
        square = tf.reduce_sum(tf.square(centred), axis=-1)
        if self.p == float("inf"):
            return tf.sqrt(tf.reduce_max(_flat(square), axis=1) + _TINY)
        return tf.reduce_mean(_flat((square + _TINY) ** (self.p / 2)), axis=1)


class TotalVariation(Loss):
    """Smoothness: mean over pixels of ``(dx² + dy²)^(β/2) / V^β``, summed over channels.

    Mahendran and Vedaldi 2016, eq. 5, with their V, a 6.5th of the range. In 1-D and 3-D the
    differences run along one and three directions.

    Parameters
    ----------
    beta
        The exponent; 1 keeps edges, 2 smooths them.

    Examples
    --------
    >>> flat = View(tf.fill((1, 8, 8, 3), 0.5), None, [], {})
    >>> TotalVariation()(flat, {}).numpy().round(6).tolist()
    [0.0]
    """

    def __init__(self, beta: float = 2.0) -> None:
        if not beta > 0:
            raise UsageError(f"The beta of total variation cannot be {beta:g}.", "It is positive.")
        self.beta = float(beta)
        self.name = f"tv({self.beta:g})"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        square = squared_differences(view.images)
        scaled = (square * 6.5**2 + _TINY) ** (self.beta / 2)
        return tf.reduce_mean(_flat(tf.reduce_sum(scaled, axis=-1)), axis=1)


class L1(Loss):
    """Mean absolute distance from mid grey, in the unit range."""

    name = "l1"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        return tf.reduce_mean(_flat(tf.abs(view.images - 0.5)), axis=1)


class L2(Loss):
    """Mean squared distance from mid grey, in the unit range."""

    name = "l2"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        return tf.reduce_mean(_flat(tf.square(view.images - 0.5)), axis=1)


class Blur(Loss):
    """Mean squared difference between a picture and itself, blurred by a pixel: its fine grain."""

    name = "blur"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        from kvis_cli.engines.activation_maximization.input_modifiers import blurred

        return tf.reduce_mean(_flat(tf.square(view.images - blurred(view.images, 1.0))), axis=1)


class InUnitRange(Loss):
    """A regularizer of pictures that are optimised as model inputs.

    Parameters
    ----------
    loss
        One of this module.
    space
        The way from the unit range to those inputs.
    """

    def __init__(self, loss: Loss, space: InputSpace) -> None:
        self.loss, self.space, self.name = loss, space, loss.name

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        low, high = self.space.low, self.space.high
        return self.loss(replace(view, images=(view.images - low) / (high - low)), arguments)


def squared_differences(images: Any) -> Any:
    """``Σ_d (x[i + e_d] - x[i])²`` of ``(B, …, C)``, every direction short of its last place."""
    rank = images.shape.rank
    total = None
    for axis in range(1, rank - 1):
        ahead = [slice(None)] + [slice(None, -1)] * (rank - 2) + [slice(None)]
        here = list(ahead)
        ahead[axis] = slice(1, None)
        part = tf.square(images[tuple(ahead)] - images[tuple(here)])
        total = part if total is None else total + part
    if total is None:
        raise UsageError("Total variation is for inputs with a spatial extent.")
    return total


def _flat(values: Any) -> Any:
    return tf.reshape(values, [tf.shape(values)[0], -1])
