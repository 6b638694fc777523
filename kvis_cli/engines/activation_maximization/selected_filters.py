"""Computing only the filters that pictures are optimised for.

Every picture of a batch wants one filter of the target layer. A convolution computes all of them,
and its input gradient goes through all of them, too: with 256 filters that is a sixth of the work
of an atlas of VGG16's ``block3_conv1``. Here each picture meets the kernel of its own filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

# Activations that mix channels need all of them.
_MIXING = {"softmax", "log_softmax", "glu", "sparsemax"}


def can_select(layer: Any) -> bool:
    """Whether single filters of `layer` can be computed: a plain, float, channels-last Conv2D."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.compute_dtype == "float32"
        and not getattr(layer, "quantization_mode", None)
        and not getattr(layer, "lora_enabled", False)
        and getattr(layer.activation, "__name__", "?") not in _MIXING
    )


@contextmanager
def only_filters(layer: Any, filters: Any) -> Iterator[None]:
    """While open, `layer` computes one filter per picture: ``(B, h, w, 1)``.

    Parameters
    ----------
    layer
        One for which `can_select` holds.
    filters
        int32 ``(B,)``.
    """

    def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return convolve_own_filter(layer, inputs, filters)

    before = layer.__dict__.get("call")
    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(layer, "call")
        else:
            object.__setattr__(layer, "call", before)


def convolve_own_filter(layer: Any, inputs: Any, filters: Any) -> Any:
    """Return the output of filter ``filters[b]`` on ``inputs[b]``, with bias and activation.

    One matrix product per picture gives the response to each tap of the kernel at each place; the
    taps are then shifted into place and added.
    """
    kernel = tf.gather(tf.transpose(tf.convert_to_tensor(layer.kernel), [3, 2, 0, 1]), filters)
    high, wide = layer.kernel_size
    channels = inputs.shape[-1]
    size = tf.shape(inputs)
    batch, height, width = size[0], size[1], size[2]
    flat = tf.reshape(inputs, [batch, height * width, channels])
    taps = tf.matmul(flat, tf.reshape(kernel, [batch, channels, high * wide]))
    taps = tf.reshape(taps, [batch, height, width, high * wide])
    (top, bottom, rows), (left, right, columns) = (
        _extent(n, k, s, d, layer.padding)
        for n, k, s, d in zip(
            (height, width), layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
        )
    )
    taps = tf.pad(taps, [[0, 0], [top, bottom], [left, right], [0, 0]])
    total = None
    for y in range(high):
        for x in range(wide):
            part = taps[
                :,
                y * layer.dilation_rate[0] :: layer.strides[0],
                x * layer.dilation_rate[1] :: layer.strides[1],
                y * wide + x,
            ][:, :rows, :columns]
            total = part if total is None else total + part
    assert total is not None
    if layer.use_bias:
        total += tf.gather(tf.convert_to_tensor(layer.bias), filters)[:, tf.newaxis, tf.newaxis]
    return layer.activation(total[..., tf.newaxis])


def _extent(size: Any, kernel: int, stride: int, dilation: int, padding: str) -> tuple[Any, ...]:
    """Return the padding before and after, and the output's size, as TensorFlow defines them."""
    reach = (kernel - 1) * dilation + 1
    if padding != "same":
        return 0, 0, (size - reach) // stride + 1
    out = -(-size // stride)
    missing = tf.maximum(0, (out - 1) * stride + reach - size)
    return missing // 2, missing - missing // 2, out
