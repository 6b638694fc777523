"""Steps on a batch of pictures, each by itself: no statistic crosses from one to another."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kvis_cli.errors import UnknownNameError

Slots = tuple[Any, ...]
RELATIVE = 1e-3


class Optimizer(Protocol):
    """One update rule. Learning rates are in units of the parameters' range."""

    def slots(self, parameters: Any) -> Slots:
        """Return what is remembered between steps, at the start."""
        ...

    def step(self, parameters: Any, gradient: Any, slots: Slots, number: Any) -> tuple[Any, Slots]:
        """Parameters and slots after step `number`, counted from 1."""
        ...


def _floored(root: Any, epsilon: float) -> Any:
    """`root` plus a part of its own root mean square over each picture; never zero."""
    axes = list(range(1, root.shape.rank))
    whole = tf.sqrt(tf.reduce_mean(tf.square(root), axis=axes, keepdims=True))
    return root + epsilon * whole + 1e-20


class Sgd:
    """Gradient descent with the gradient divided by its root mean square, picture by picture.

    ``g / (rms(g) + ε)``, as in "Deep Learning with Python" and keras-vis 0.4.1. Steps are as
    large for a weak filter as for a strong one.

    Parameters
    ----------
    rate
        Root mean square of the change of a step.
    normalize
        Off for the plain gradient.
    epsilon
        Added to the root mean square.
    """

    def __init__(self, rate: float, *, normalize: bool = True, epsilon: float = 1e-5) -> None:
        self.rate, self.normalize, self.epsilon = rate, normalize, epsilon

    def slots(self, parameters: Any) -> Slots:
        """Return what is kept between steps."""
        return ()

    def step(self, parameters: Any, gradient: Any, slots: Slots, number: Any) -> tuple[Any, Slots]:
        """Take step `number`, counted from 1."""
        if self.normalize:
            axes = list(range(1, gradient.shape.rank))
            rms = tf.sqrt(tf.reduce_mean(tf.square(gradient), axis=axes, keepdims=True))
            gradient = gradient / (rms + self.epsilon)
        return parameters - self.rate * gradient, slots


def unit_length(gradient: Any) -> Any:
    """Gradients ``(B, …)``, each scaled to length 1."""
    axes = list(range(1, gradient.shape.rank))
    return tf.math.l2_normalize(gradient, axis=axes, epsilon=1e-30)


class RmsProp:
    """``x ← x - rate · g / (√v + ε)`` with v the decaying mean of g² (Tieleman and Hinton 2012).

    Parameters
    ----------
    rate
        About the size of one step.
    decay
        Of the mean.
    correct
        Divide the mean by ``1 - decay^t``, so that the first steps are not larger than the rest.
    epsilon
        Of the picture's own root mean square, see `Adam`.
    absolute
        Added under the root, as keras-vis does.
    """

    def __init__(
        self,
        rate: float,
        *,
        decay: float = 0.95,
        correct: bool = True,
        epsilon: float = RELATIVE,
        absolute: float = 0.0,
    ) -> None:
        self.rate, self.decay, self.correct = rate, decay, correct
        self.epsilon, self.absolute = epsilon, absolute

    def slots(self, parameters: Any) -> Slots:
        """Return what is kept between steps."""
        return (tf.zeros_like(parameters),)

    def step(self, parameters: Any, gradient: Any, slots: Slots, number: Any) -> tuple[Any, Slots]:
        """Take step `number`, counted from 1."""
        mean = self.decay * slots[0] + (1 - self.decay) * tf.square(gradient)
        seen = mean / (1 - self.decay ** tf.cast(number, tf.float32)) if self.correct else mean
        root = _floored(tf.sqrt(seen + self.absolute), self.epsilon)
        return parameters - self.rate * gradient / root, (mean,)


class Adam:
    """Adam (Kingma and Ba 2015) that is free of the gradient's scale.

    Parameters
    ----------
    rate
        About the size of one step.
    beta_1
        Decay of the mean of the gradient.
    beta_2
        Decay of the mean of its square.
    epsilon
        Relative to the root mean square over the picture: parameters that the score does not
        depend on, whose gradient is rounding, stay where they are.
    """

    def __init__(
        self,
        rate: float,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        epsilon: float = RELATIVE,
    ) -> None:
        self.rate, self.beta_1, self.beta_2 = rate, beta_1, beta_2
        self.epsilon = epsilon

    def slots(self, parameters: Any) -> Slots:
        """Return what is kept between steps."""
        return tf.zeros_like(parameters), tf.zeros_like(parameters)

    def step(self, parameters: Any, gradient: Any, slots: Slots, number: Any) -> tuple[Any, Slots]:
        """Take step `number`, counted from 1."""
        t = tf.cast(number, tf.float32)
        first = self.beta_1 * slots[0] + (1 - self.beta_1) * gradient
        second = self.beta_2 * slots[1] + (1 - self.beta_2) * tf.square(gradient)
        mean = first / (1 - self.beta_1**t)
        root = tf.sqrt(second / (1 - self.beta_2**t))
        return parameters - self.rate * mean / _floored(root, self.epsilon), (first, second)


class KerasOptimizer:
    """Any optimizer of Keras. Each picture is a variable of its own, so none feels the others.

    Parameters
    ----------
    name
        As Keras knows it: ``nadam``, ``lion``, ``sgd``.
    rate
        Its learning rate.
    **options
        Passed to the optimizer's class, such as ``momentum=0.9``.

    Raises
    ------
    UnknownNameError
        For a name that Keras does not know.
    """

    def __init__(self, name: str, rate: float, **options: Any) -> None:
        import keras

        known = {
            n.lower(): value
            for n, value in vars(keras.optimizers).items()
            if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
        }
        known = {n: v for n, v in known.items() if n not in ("optimizer", "lossscaleoptimizer")}
        if name.lower() not in known:
            raise UnknownNameError.of("optimizer", name, [*OPTIMIZERS, *known])
        self.optimizer = known[name.lower()](learning_rate=rate, **options)
        self.variables: list[Any] = []

    def slots(self, parameters: Any) -> Slots:
        """Return what is kept between steps."""
        if len(self.variables) != parameters.shape[0]:
            if self.variables:
                self.optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
            self.variables = [tf.Variable(p) for p in parameters]
            self.optimizer.build(self.variables)
            self.start = [np.asarray(v) for v in self.optimizer.variables]
        for variable, value in zip(self.optimizer.variables, self.start, strict=True):
            variable.assign(value)
        return ()

    def step(self, parameters: Any, gradient: Any, slots: Slots, number: Any) -> tuple[Any, Slots]:
        """Take step `number`, counted from 1."""
        for variable, value in zip(self.variables, tf.unstack(parameters), strict=True):
            variable.assign(value)
        self.optimizer.apply(tf.unstack(gradient), self.variables)
        return tf.stack([tf.convert_to_tensor(v) for v in self.variables]), slots


OPTIMIZERS = {"sgd": Sgd, "rmsprop": RmsProp, "adam": Adam}
"""kvis' own, free of the gradient's scale."""


def make_optimizer(name: str, rate: float) -> Optimizer:
    """Return an optimizer by name: one of `OPTIMIZERS`, or Keras' (``keras:sgd``, ``nadam``).

    Parameters
    ----------
    name
        Case does not matter.
    rate
        About the size of one step, as that optimizer defines it.

    Returns
    -------
    Optimizer
        With the defaults of its class.

    Raises
    ------
    UnknownNameError
        For an unknown name.

    Examples
    --------
    >>> type(make_optimizer("adam", 0.05)).__name__
    'Adam'
    """
    key = name.strip().lower()
    if key in OPTIMIZERS:
        return OPTIMIZERS[key](rate)
    return KerasOptimizer(key.removeprefix("keras:"), rate)
