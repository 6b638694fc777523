"""keras-vis' losses on symbolic tensors of a Keras model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import numpy as np

from kvis_cli.errors import UsageError


def input_of(given: Any) -> Any:
    """Return the symbolic input of a model; a symbolic tensor as it is."""
    import keras

    return given.inputs[0] if isinstance(given, keras.Model) else given


class Loss:
    """A term of an objective, to be minimised. Subclass it and write `build_loss`.

    Attributes
    ----------
    name
        How callbacks call it.

    Examples
    --------
    >>> import keras
    >>> class Brightness(Loss):
    ...     def __init__(self, img_input):
    ...         super().__init__()
    ...         self.name = "brightness"
    ...         self.img_input = img_input
    ...
    ...     def build_loss(self):
    ...         return keras.ops.mean(self.img_input)
    >>> str(Brightness(keras.Input((8, 8, 3))))
    'brightness'
    """

    def __init__(self) -> None:
        self.name = "Unnamed Loss"

    def __str__(self) -> str:
        return self.name

    def build_loss(self) -> Any:
        """Return the loss as one symbolic number (``keras.ops`` on ``layer.output``)."""
        raise NotImplementedError


class ActivationMaximization(Loss):
    """``Σ_idx -mean(output[..., idx])``: minus the activation of a layer's units.

    Parameters
    ----------
    layer
        A layer of a functional or Sequential model.
    filter_indices
        One index, any sequence of them, or None for the mean of all.
    score
        ``logit`` leaves a final softmax, sigmoid or tanh out; ``probability`` keeps it, as
        keras-vis does.

    Examples
    --------
    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> ActivationMaximization(model.layers[-1], 2).build_loss().shape
    ()
    """

    def __init__(
        self,
        layer: Any,
        filter_indices: SupportsIndex | Sequence[int] | np.ndarray | None,
        *,
        score: str = "logit",
    ) -> None:
        super().__init__()
        if score not in ("logit", "probability"):
            raise UsageError(f"The score '{score}' is not logit or probability.")
        self.name = "ActivationMax Loss"
        self.layer = layer
        self.filter_indices = filter_indices
        self.score = score

    def build_loss(self) -> Any:
        """Return the symbolic loss."""
        import keras

        from kvis_cli.keras_vis.symbolic import before_activation

        tensor = self.layer.output
        if self.score == "logit":
            tensor = before_activation(tensor)
        rank = len(tensor.shape)
        first = getattr(self.layer, "data_format", "channels_last") == "channels_first"
        axis = 1 if rank > 2 and first else rank - 1
        if self.filter_indices is None:
            return -keras.ops.mean(tensor)
        count = tensor.shape[axis]
        total: Any = 0.0
        for index in np.atleast_1d(np.asarray(self.filter_indices)):
            if not -count <= index < count:
                raise UsageError(
                    f"Unit {index} is not in layer '{self.layer.name}'.",
                    f"It has {count}, counted from 0.",
                )
            total = total - keras.ops.mean(keras.ops.take(tensor, int(index) % count, axis=axis))
        return total


AnyLoss = Loss | Callable[[Any], Any]
"""A `Loss`, or a function from the symbolic input to a symbolic number."""
