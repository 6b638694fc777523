"""What is done to a gradient before it becomes a picture or a step.

Each modifier is a function of a tensor ``(B, …)`` that gives one of the same shape, every sample on
its own. It runs eagerly and inside a ``tf.function`` alike, so saliency and activation
maximization share this registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kvis_cli.errors import UnknownNameError
from kvis_cli.lazy import np, tf

Modify = Callable[[Any], Any]

SMALL_QUANTILE = 0.05
"""`invert` and `small_values` divide by at least this quantile of the magnitudes above zero."""


@dataclass(frozen=True)
class GradientModifier:
    """A registered modifier.

    Attributes
    ----------
    name
        What users type.
    says
        What a large value means, for the help.
    modify
        The function.
    unsigned
        Whether the result is never negative.
    caution
        What the user must know before believing a picture of it.
    """

    name: str
    says: str
    modify: Modify
    unsigned: bool
    caution: str = ""


GRADIENT_MODIFIERS: dict[str, GradientModifier] = {}


_FLOORED = (
    f"divides by |g|, but by no less than its {SMALL_QUANTILE:.0%} quantile above zero: it shows "
    "where the score hardly reacts, which is no evidence of what keeps it as it is"
)


def _register(
    name: str, says: str, *, unsigned: bool, caution: str = ""
) -> Callable[[Modify], Modify]:
    def enter(modify: Modify) -> Modify:
        GRADIENT_MODIFIERS[name] = GradientModifier(name, says, modify, unsigned, caution)
        return modify

    return enter


@_register("absolute", "the pixel moves the score, in either direction", unsigned=True)
def absolute(gradient: Any) -> Any:
    """``|g|`` (Simonyan et al. 2013, arXiv:1312.6034)."""
    return tf.abs(gradient)


@_register("relu", "more of the pixel raises the score", unsigned=True)
def relu(gradient: Any) -> Any:
    """``max(g, 0)``."""
    return tf.nn.relu(gradient)


@_register("negate", "more of the pixel lowers the score; signed", unsigned=False)
def negate(gradient: Any) -> Any:
    """``-g``."""
    return -gradient


@_register("relu_negative", "more of the pixel lowers the score", unsigned=True)
def relu_negative(gradient: Any) -> Any:
    """``max(-g, 0)``."""
    return tf.nn.relu(-gradient)


@_register(
    "invert",
    "1/g: a small gradient of either sign is large; signed",
    unsigned=False,
    caution=_FLOORED,
)
def invert(gradient: Any) -> Any:
    """``1/g``, bounded: ``sign(g) / max(|g|, floor)``. Zero stays zero.

    The floor is the `SMALL_QUANTILE` of the sample's magnitudes above zero. keras-vis adds 1e-7
    instead, which gives 1e7 for dead pixels and infinity for a gradient of -1e-7.

    Parameters
    ----------
    gradient
        ``(B, …)``.

    Returns
    -------
    Any
        Of the same shape.

    Examples
    --------
    >>> invert(tf.constant([[-2.0, 0.0, 4.0]])).numpy().tolist()
    [[-0.5, 0.0, 0.25]]
    """
    return tf.sign(gradient) / _floored(tf.abs(gradient))


@_register(
    "small_values",
    "1/|g|: the score hardly reacts to the pixel",
    unsigned=True,
    caution=_FLOORED,
)
def small_values(gradient: Any) -> Any:
    """``1 / max(|g|, floor)``, the floor as in `invert`; all zero where every gradient is zero.

    Parameters
    ----------
    gradient
        ``(B, …)``.

    Returns
    -------
    Any
        Of the same shape, at least 0.

    Examples
    --------
    >>> small_values(tf.constant([[-2.0, 4.0]])).numpy().tolist()
    [[0.5, 0.25]]
    """
    size = tf.abs(gradient)
    alive = tf.reduce_any(size > 0, axis=_rest(size), keepdims=True)
    return tf.where(alive, 1 / _floored(size), tf.zeros_like(size))


@_register("none", "the signed gradient itself", unsigned=False)
def none(gradient: Any) -> Any:
    """``g``."""
    return gradient


def find_modifier(name: str | Modify | None) -> GradientModifier:
    """Return a modifier by name; a callable of one's own; None is ``none``.

    Parameters
    ----------
    name
        A key of `GRADIENT_MODIFIERS`, a function of a tensor ``(B, …)``, or None.

    Returns
    -------
    GradientModifier
        A function of one's own carries its ``__name__``.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.

    Examples
    --------
    >>> find_modifier("absolute").modify(tf.constant([-2.0, 3.0])).numpy().tolist()
    [2.0, 3.0]
    """
    if name is None:
        return GRADIENT_MODIFIERS["none"]
    if callable(name):
        return GradientModifier(
            getattr(name, "__name__", "own"), "", _tolerant(name), unsigned=False
        )
    if name not in GRADIENT_MODIFIERS:
        raise UnknownNameError.of("gradient modifier", name, GRADIENT_MODIFIERS)
    return GRADIENT_MODIFIERS[name]


@lru_cache(maxsize=64)
def _tolerant(function: Modify) -> Modify:
    """Return a function of gradients, written with TensorFlow or, as keras-vis' are, NumPy."""

    def modify(gradient: Any) -> Any:
        try:
            return tf.convert_to_tensor(function(gradient), gradient.dtype)
        except (NotImplementedError, TypeError, AttributeError, ValueError):
            # What NumPy says of a symbolic tensor is one of these.
            pass

        def with_numpy(array: Any) -> Any:
            return np.asarray(function(np.array(array)), array.dtype)

        changed = tf.numpy_function(with_numpy, [gradient], gradient.dtype)
        changed.set_shape(gradient.shape)
        return changed

    return modify


def _floored(size: Any) -> Any:
    """``max(size, floor)`` per sample; ones where there is nothing above zero."""
    flat = tf.sort(tf.reshape(size, [tf.shape(size)[0], -1]), axis=1)
    total = tf.shape(flat)[1]
    zeros = tf.reduce_sum(tf.cast(flat <= 0, tf.int32), axis=1)
    rank = zeros + tf.cast(SMALL_QUANTILE * tf.cast(total - zeros, tf.float32), tf.int32)
    floor = tf.gather(flat, tf.minimum(rank, total - 1), batch_dims=1)
    floor = tf.where(floor > 0, floor, tf.ones_like(floor))
    shape = tf.concat([tf.shape(size)[:1], tf.ones([tf.rank(size) - 1], tf.int32)], axis=0)
    return tf.maximum(size, tf.reshape(floor, shape))


def _rest(tensor: Any) -> list[int]:
    return list(range(1, tensor.shape.rank))
