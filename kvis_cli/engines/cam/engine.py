"""Class activation maps from gradients: one forward pass, one backward pass, many maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.backprop_modifiers import backprop_modifier
from kvis_cli.engines.cam.layers import CamLayer, check_maps
from kvis_cli.engines.cam.reduction import REDUCTIONS
from kvis_cli.engines.cam.registry import CAM_METHODS, CamMethod, Readings
from kvis_cli.engines.cam.settings import CamBatch, CamSettings
from kvis_cli.engines.cam.target_groups import PerTargets, in_groups
from kvis_cli.engines.scores import Scores
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader

# Finer-CAM: how many similar classes, and how much of their score is subtracted.
SIMILAR_CLASSES = 3
SIMILAR_SHARE = 0.6


class CamEngine:
    """Maps of layers for any targets, compiled once per batch shape and number of targets.

    Parameters
    ----------
    reader
        The model.
    layers
        The layer calls whose feature maps are weighted; all are read in the same pass.
    methods
        Names of `CAM_METHODS` that are functions of the feature maps and their gradient, all
        computed from the same two passes.
    settings
        See `CamSettings`.

    Examples
    --------
    >>> import keras
    >>> from kvis_cli.models.live.reader import Tap
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> photo = keras.utils.load_img("sample_models/images/house.png", target_size=(96, 96))
    >>> photo = keras.utils.img_to_array(photo)
    >>> engine = CamEngine(ModelReader(model), [CamLayer(Tap("conv6_relu"))], ["gradcam"])
    >>> weights = np.eye(6, dtype=np.float32)[np.newaxis, 3:4]
    >>> found = engine(photo[np.newaxis], weights, np.full((1, 1), -1, np.int32))
    >>> found.maps["conv6_relu", "gradcam"].shape, found.scores.shape
    ((1, 1, 12, 12), (1, 1))
    """

    def __init__(
        self,
        reader: ModelReader,
        layers: Sequence[CamLayer],
        methods: Sequence[str] = ("gradcam",),
        settings: CamSettings | None = None,
    ) -> None:
        self.reader = reader
        self.notes: list[str] = []
        self.layers = list(layers)
        self.methods: dict[str, CamMethod] = {name: CAM_METHODS[name] for name in methods}
        self.settings = settings or CamSettings()
        self._compiled = PerTargets(self._explain)

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        return self._compiled.traces

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch.

        Parameters
        ----------
        inputs
            Preprocessed inputs ``(B, …)``.
        weights
            ``(B, T, units)`` as from `kvis_cli.models.description.targets.encode`.
        ranks
            ``(B, T)`` as from there.

        Returns
        -------
        CamBatch
            A raw map per layer and method, ``(B, T, …)`` in the layer's own grid, with the scores.

        Raises
        ------
        UsageError
            When the score does not depend on a layer, or a layer has no spatial maps.
        """
        return in_groups(self._batch, inputs, weights, ranks)

    def _batch(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        maps, scores, units, outputs = self._compiled(inputs, weights, ranks)
        return CamBatch(
            {
                (str(layer), name): value.numpy()
                for layer, of_layer in zip(self.layers, maps, strict=True)
                for name, value in of_layer.items()
            },
            scores.numpy(),
            units.numpy(),
            outputs.numpy(),
        )

    def _explain(self, inputs: Any, weights: Any, ranks: Any) -> Any:
        features, scored, gradients, contrasts = self._gradients(inputs, weights, ranks)
        moments = [(gradient, None, None) for gradient in gradients + contrasts]
        if self.settings.noise_samples:
            moments = self._noisy(inputs, scored, gradients + contrasts)
        readings = [
            Readings(features[i % len(features)], *of_layer) for i, of_layer in enumerate(moments)
        ]
        plain, finer = readings[: len(features)], readings[len(features) :]
        maps = [
            {
                name: self._map(method, finer[i] if method.contrast else plain[i])
                for name, method in self.methods.items()
            }
            for i in range(len(self.layers))
        ]
        return maps, scored.scores, scored.weights, scored.outputs

    def _map(self, method: CamMethod, readings: Readings) -> Any:
        assert method.weighted is not None
        reduction = method.reduction
        if self.settings.eigen_smooth and reduction == "sum":
            reduction = "eigen"
        return REDUCTIONS[reduction](method.weighted(readings))

    def _gradients(
        self, inputs: Any, weights: Any, ranks: Any
    ) -> tuple[list[Any], Scores, list[Any], list[Any]]:
        """Feature maps ``(B, 1, *space, K)``, scores, their gradients ``(B, T, *space, K)``.

        Last the gradients of the contrasts with similar classes, where a method wants them.
        """
        with backprop_modifier(self.settings.backprop) as rectifiers:
            found = self._plain_gradients(inputs, weights, ranks)
        if self.settings.backprop is not None:
            rectifiers.finish(found[1].scores)
        return found

    def _plain_gradients(
        self, inputs: Any, weights: Any, ranks: Any
    ) -> tuple[list[Any], Scores, list[Any], list[Any]]:
        objective = self.settings.objective
        taps = [layer.tap for layer in self.layers]
        contrast = any(method.contrast for method in self.methods.values())
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            forward = self.reader.forward(inputs, [*taps, *objective.taps], watch=tape.watch)
            scored = objective(forward, weights, ranks)
            targets = tf.unstack(scored.scores, axis=1)
            finer = tf.unstack(against_similar(scored), axis=1) if contrast else []
        read = forward.taps[: len(taps)]
        for layer, tensor in zip(self.layers, read, strict=True):
            check_maps(layer, tensor)
        features = [
            layer.channels_last(tensor)[:, tf.newaxis]
            for layer, tensor in zip(self.layers, read, strict=True)
        ]
        gradients = self._differentiate(tape, targets, read)
        contrasts = self._differentiate(tape, finer, read) if contrast else []
        return features, scored, gradients, contrasts

    def _differentiate(self, tape: Any, targets: list[Any], read: list[Any]) -> list[Any]:
        # The gradient goes no further down than the layers, so each target costs little.
        per_target = [tape.gradient(target, read) for target in targets]
        found = []
        for i, layer in enumerate(self.layers):
            gradients = [of_target[i] for of_target in per_target]
            if any(gradient is None for gradient in gradients):
                raise UsageError(
                    f"What is explained does not depend on layer '{layer}'.",
                    "There is no path from the layer to it.",
                    "Choose another --layer or --output.",
                )
            last = [layer.channels_last(gradient) for gradient in gradients]
            if self.settings.gradient_modifier is not None:
                last = [self.settings.gradient_modifier(gradient) for gradient in last]
            found.append(self.settings.directed(tf.stack(last, axis=1)))
        return found

    def _noisy(
        self, inputs: Any, scored: Scores, gradients: list[Any]
    ) -> list[tuple[Any, Any, Any]]:
        """Return the means of ``G``, ``G²`` and ``G³`` over noise; `gradients` have none."""
        settings = self.settings
        count = settings.noise_samples
        if not inputs.dtype.is_floating:
            raise UsageError(
                f"Noise cannot be added to inputs of whole numbers ({inputs.dtype.name}).",
                "",
                "Leave --noise-samples out.",
            )
        axes = list(range(1, inputs.shape.rank))
        low = tf.reduce_min(inputs, axis=axes, keepdims=True)
        deviation = settings.noise * (tf.reduce_max(inputs, axis=axes, keepdims=True) - low)
        resolved = tf.fill(tf.shape(scored.weights)[:2], -1)

        def sample(number: Any, moments: Any) -> Any:
            # The same noise for every input, so that a map does not depend on its batch.
            seed = tf.stack([tf.constant(settings.seed), number])
            noise = tf.random.stateless_normal(tf.shape(inputs)[1:], seed, dtype=inputs.dtype)
            noisy = inputs + deviation * noise
            _, _, plain, contrasts = self._gradients(noisy, scored.weights, resolved)
            added = tuple(
                (first + g / count, second + g**2 / count, third + g**3 / count)
                for (first, second, third), g in zip(moments, plain + contrasts, strict=True)
            )
            return number + 1, added

        zeros = tuple((tf.zeros_like(g), tf.zeros_like(g), tf.zeros_like(g)) for g in gradients)
        _, moments = tf.while_loop(
            lambda number, _: number < count, sample, (tf.constant(0), zeros), parallel_iterations=1
        )
        return list(moments)


def against_similar(scored: Scores) -> Any:
    """``(B, T)``: each score minus a share of the mean of the scores nearest to it.

    A group of classes is compared by its mean and loses the share once per class, so that a
    constant added to all logits, which changes no probability, changes no map.
    """
    units = scored.values.shape[-1]
    values = tf.broadcast_to(scored.values, tf.shape(scored.weights))
    size = tf.reduce_sum(scored.weights, axis=-1)
    distance = tf.abs(values - (scored.scores / size)[..., tf.newaxis])
    distance = tf.where(scored.weights != 0.0, np.inf, tf.stop_gradient(distance))
    nearest = tf.math.top_k(-distance, k=min(SIMILAR_CLASSES, units - 1)).indices
    similar = tf.gather(values, nearest, batch_dims=2)
    return scored.scores - SIMILAR_SHARE * size * tf.reduce_mean(similar, axis=-1)
