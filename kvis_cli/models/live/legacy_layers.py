"""Convolutions that share no weights: Keras 2 had them, Keras 3 does not."""

from __future__ import annotations

import math
from typing import Any

import keras


class _LocallyConnected(keras.layers.Layer):
    """A kernel of its own for every position of the output, without padding.

    The weights are those of Keras 1 and 2 (``implementation=1``): a kernel ``(P, F, filters)`` for
    P positions, row by row, and F inputs of a window, in the order of the input's axes; a bias
    ``(…, filters)`` for every position.
    """

    axes: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if padding != "valid":
            raise ValueError("it has no padding but 'valid'")
        self.filters = filters
        self.kernel_size = self._each(kernel_size)
        self.strides = self._each(strides)
        self.padding = padding
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias

    def _each(self, value: Any) -> tuple[int, ...]:
        return tuple(value) if isinstance(value, list | tuple) else (value,) * self.axes

    @property
    def _first(self) -> bool:
        return bool(self.data_format == "channels_first")

    def _positions(self, shape: Any) -> tuple[int, ...]:
        space = shape[2:] if self._first else shape[1:-1]
        return tuple(
            (size - window) // step + 1
            for size, window, step in zip(space, self.kernel_size, self.strides, strict=True)
        )

    def build(self, input_shape: Any) -> None:
        positions = self._positions(input_shape)
        channels = input_shape[1] if self._first else input_shape[-1]
        count, window = math.prod(positions), math.prod(self.kernel_size) * channels
        self.kernel = self.add_weight(shape=(count, window, self.filters), name="kernel")
        self.bias = None
        if self.use_bias:
            shape = (*positions, self.filters)
            self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        ops = keras.ops
        x = inputs
        if self._first:
            x = ops.transpose(x, (0, *range(2, self.axes + 2), 1))
        positions = self._positions(inputs.shape)
        size, steps = self.kernel_size, self.strides
        if self.axes == 1:
            x, size, steps = x[:, :, None], (*size, 1), (*steps, 1)
        channels = x.shape[-1]
        windows = ops.image.extract_patches(x, size, strides=steps, padding="valid")
        windows = ops.reshape(windows, (-1, math.prod(positions), math.prod(size), channels))
        if self._first:
            # Windows then run over the channels first, too.
            windows = ops.transpose(windows, (0, 1, 3, 2))
        windows = ops.reshape(windows, (-1, math.prod(positions), math.prod(size) * channels))
        x = ops.einsum("npf,pfo->npo", windows, self.kernel)
        x = ops.reshape(x, (-1, *positions, self.filters))
        if self._first:
            x = ops.transpose(x, (0, self.axes + 1, *range(1, self.axes + 1)))
        if self.bias is not None:
            # Channels first, Keras 2 read the bias in the other order without turning it.
            x = x + ops.reshape(self.bias, x.shape[1:])
        return self.activation(x)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        positions = self._positions(input_shape)
        if self._first:
            return (input_shape[0], self.filters, *positions)
        return (input_shape[0], *positions, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="kvis")
class LocallyConnected1D(_LocallyConnected):
    """`_LocallyConnected` on ``(B, steps, channels)``."""

    axes = 1


@keras.saving.register_keras_serializable(package="kvis")
class LocallyConnected2D(_LocallyConnected):
    """`_LocallyConnected` on ``(B, rows, columns, channels)``, or channels first."""

    axes = 2
