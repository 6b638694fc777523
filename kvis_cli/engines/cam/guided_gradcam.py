"""Guided Grad-CAM: the lines of guided backpropagation, where Grad-CAM is warm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.backprop_modifiers import Rectifiers, backprop_modifier
from kvis_cli.engines.cam.engine import CamEngine
from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.settings import CamBatch, CamSettings
from kvis_cli.engines.cam.target_groups import PerTargets, in_groups
from kvis_cli.engines.resampling import enlarged
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader


class GuidedGradCam:
    """Selvaraju et al. 2016, section 3.4; see `kvis_cli.engines.cam.engine_methods.guided_gradcam`.

    Parameters
    ----------
    reader
        The model.
    layers
        Where Grad-CAM is taken.
    settings
        Parameters of Grad-CAM and the explained score.

    Attributes
    ----------
    rectifiers
        What the guided rule reached, once a batch was explained.
    """

    def __init__(
        self, reader: ModelReader, layers: Sequence[CamLayer], settings: CamSettings
    ) -> None:
        self.reader = reader
        self.notes: list[str] = []
        self.settings = settings
        self.layers = list(layers)
        self.rectifiers: Rectifiers | None = None
        self._gradcam = CamEngine(reader, layers, ["gradcam"], settings)
        self._compiled = PerTargets(self._guided)

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        return self._compiled.traces

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch; arguments as for `kvis_cli.engines.cam.engine.CamEngine`."""
        return in_groups(self._batch, inputs, weights, ranks)

    def _batch(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        cams = self._gradcam(inputs, weights, ranks)
        lines = self._compiled(inputs, cams.weights)
        if self.rectifiers is not None:
            self.notes = [self.rectifiers.describe()]
        maps = {}
        for layer in self.layers:
            raw = cams.maps[str(layer), "gradcam"]
            flat = tf.constant(raw.reshape(-1, *raw.shape[2:]))
            heat = enlarged(flat, tf.shape(lines)[2:]).numpy().reshape(lines.shape)
            maps[str(layer), "guided_gradcam"] = lines.numpy() * heat
        return CamBatch(maps, cams.scores, cams.weights, cams.outputs)

    def _guided(self, inputs: Any, weights: Any) -> Any:
        """``(B, T, *space)``: the largest magnitude of the guided gradient over the channels."""
        objective = self.settings.objective
        sign = -1.0 if self.settings.direction == "decrease" else 1.0
        with backprop_modifier("guided") as rectifiers:
            with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                forward = self.reader.forward(inputs, objective.taps)
                scored = objective(forward, weights, tf.fill(tf.shape(weights)[:2], -1))
                targets = tf.unstack(sign * scored.scores, axis=1)
            gradients = [tape.gradient(target, inputs) for target in targets]
        if any(gradient is None for gradient in gradients):
            raise UsageError(
                "There is no gradient with respect to the input.",
                "The score does not depend on it, or only through whole numbers.",
                "Use a method that stops at a layer: --method gradcam.",
            )
        rectifiers.finish(targets[0])
        self.rectifiers = rectifiers
        axis = 2 if self.settings.channel_axis == 1 else -1
        return tf.reduce_max(tf.abs(tf.stack(gradients, axis=1)), axis=axis)
