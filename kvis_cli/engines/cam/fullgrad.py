"""FullGrad: the score as a sum of contributions of the input and of every bias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.settings import CamBatch, CamSettings
from kvis_cli.engines.cam.target_groups import PerTargets, in_groups
from kvis_cli.engines.resampling import enlarged
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader, walk, wrapped_call


class FullGrad:
    """Srinivas & Fleuret 2019, arXiv:1905.00780; see `engine_methods.fullgrad`.

    Biases are those of convolutions and Dense layers, what batch normalisation adds, and what
    Rescaling and Normalization layers add. Contributions of layers without space (Dense) belong to
    the sum, not to the map. ``accounted`` in the extras is that sum over the score: 1 for networks
    of piecewise linear activations without other offsets.
    """

    def __init__(
        self, reader: ModelReader, layers: Sequence[CamLayer], settings: CamSettings
    ) -> None:
        del layers
        self.reader = reader
        self.notes: list[str] = []
        self.settings = settings
        self._compiled = PerTargets(self._explain)

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        return self._compiled.traces

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch; arguments as for `kvis_cli.engines.cam.engine.CamEngine`."""
        return in_groups(self._batch, inputs, weights, ranks)

    def _batch(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        maps, accounted, scores, units, outputs = self._compiled(inputs, weights, ranks)
        key = ("", "fullgrad")
        return CamBatch(
            {key: maps.numpy()},
            scores.numpy(),
            units.numpy(),
            outputs.numpy(),
            {key: {"accounted": accounted.numpy()}},
        )

    def _explain(self, inputs: Any, weights: Any, ranks: Any) -> Any:
        objective = self.settings.objective
        biases: list[_Bias] = []
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            with _recorded_biases(self.reader.model, biases):
                forward = self.reader.forward(inputs, objective.taps)
            scored = objective(forward, weights, ranks)
            targets = tf.unstack(scored.scores, axis=1)
        maps, totals = [], []
        for target in targets:
            of_input, *of_biases = tape.gradient(target, [inputs, *(b.output for b in biases)])
            if of_input is None:
                raise UsageError(
                    "There is no gradient with respect to the input.",
                    "The score does not depend on it, or only through whole numbers.",
                    "Use a method that stops at a layer: --method gradcam.",
                )
            found, total = self._assemble(inputs, of_input, biases, of_biases)
            maps.append(found)
            totals.append(total)
        accounted = tf.stack(totals, axis=1) / tf.where(scored.scores == 0, 1.0, scored.scores)
        return tf.stack(maps, axis=1), accounted, scored.scores, scored.weights, scored.outputs

    def _assemble(
        self, inputs: Any, of_input: Any, biases: list[_Bias], of_biases: list[Any]
    ) -> tuple[Any, Any]:
        """One target's maps ``(B, *space)`` and the sum of all contributions ``(B,)``."""
        first = self.settings.channel_axis == 1
        parts = [(inputs * of_input, first)]
        parts += [
            (gradient * bias.value, bias.channels_first)
            for bias, gradient in zip(biases, of_biases, strict=True)
            if gradient is not None
        ]
        size = tf.shape(inputs)[2:] if first else tf.shape(inputs)[1:-1]
        space = inputs.shape.rank - 2
        total, maps = 0.0, None
        for part, channels_first in parts:
            part = tf.cast(part, tf.float32)
            total += tf.reduce_sum(part, axis=list(range(1, part.shape.rank)))
            if part.shape.rank == space + 2:
                strength = tf.reduce_sum(_scaled(part), axis=1 if channels_first else -1)
                large = enlarged(strength, size)
                maps = large if maps is None else maps + large
        return maps, total


class _Bias:
    """What a layer adds: ``value`` broadcasts against its ``output``."""

    def __init__(self, value: Any, output: Any, channels_first: bool) -> None:
        self.output = output
        self.channels_first = channels_first
        if channels_first and value.shape.rank == 1:
            value = tf.reshape(value, [-1, *[1] * (output.shape.rank - 2)])
        self.value = tf.cast(value, output.dtype)


def _scaled(part: Any) -> Any:
    """Magnitudes, per sample from 0 to 1."""
    axes = list(range(1, part.shape.rank))
    strength = tf.abs(part)
    strength -= tf.reduce_min(strength, axis=axes, keepdims=True)
    largest = tf.reduce_max(strength, axis=axes, keepdims=True)
    return strength / tf.where(largest == 0.0, 1.0, largest)


@contextmanager
def _recorded_biases(model: keras.Model, found: list[_Bias]) -> Iterator[None]:
    """While open, every call of a layer that adds something appends to `found`."""
    with ExitStack() as stack:
        for layer in walk(model):
            value = _added(layer)
            if value is None:
                continue
            first = getattr(layer, "data_format", None) == "channels_first"
            if isinstance(layer, keras.layers.BatchNormalization):
                first = layer.axis == 1

            def record(output: Any, value: Any = value, first: bool = first) -> None:
                found.append(_Bias(value(), output, first))

            if getattr(layer, "activation", None) is not None:
                stack.enter_context(_recorded_activation(layer, record))
            else:
                hook = _on_output(record)
                stack.enter_context(wrapped_call(layer, hook))
        yield


def _on_output(record: Callable[[Any], None]) -> Callable[[int, Any], None]:
    return lambda _, output: record(output)


@contextmanager
def _recorded_activation(layer: Any, record: Callable[[Any], None]) -> Iterator[None]:
    """While open, `record` gets what the layer's activation is applied to."""
    original = layer.activation

    def activation(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        record(tensor)
        return original(tensor, *args, **kwargs)

    object.__setattr__(layer, "activation", activation)
    try:
        yield
    finally:
        object.__setattr__(layer, "activation", original)


def _added(layer: Any) -> Callable[[], Any] | None:
    """Return what gives what `layer` adds to something linear in its input; None if nothing."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return lambda: _of_normalisation(layer)
    if isinstance(layer, keras.layers.Rescaling):
        return lambda: tf.convert_to_tensor(layer.offset, tf.float32)
    if isinstance(layer, keras.layers.Normalization):
        return lambda: (
            -tf.convert_to_tensor(layer.mean)
            / tf.maximum(tf.sqrt(tf.convert_to_tensor(layer.variance)), keras.config.epsilon())
        )
    convolution = hasattr(layer, "kernel_size") or isinstance(layer, keras.layers.Dense)
    if convolution and getattr(layer, "bias", None) is not None:
        return lambda: tf.convert_to_tensor(layer.bias)
    return None


def _of_normalisation(layer: Any) -> Any:
    scale = tf.math.rsqrt(tf.convert_to_tensor(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale *= tf.convert_to_tensor(layer.gamma)
    offset = -tf.convert_to_tensor(layer.moving_mean) * scale
    return offset + tf.convert_to_tensor(layer.beta) if layer.center else offset
