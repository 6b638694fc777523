"""keras-vis' class activation maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kvis_cli.engines.cam.engine import CamEngine
from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.objective import Objective
from kvis_cli.engines.cam.settings import CamBatch, CamSettings
from kvis_cli.engines.gradient_modifiers import Modify, find_modifier
from kvis_cli.engines.scores import ScoreKind
from kvis_cli.errors import UsageError
from kvis_cli.explanation import MapGrid
from kvis_cli.keras_vis.visualization.composed import WeightedLosses, checked, loss_model
from kvis_cli.keras_vis.visualization.maps import resized, shown
from kvis_cli.keras_vis.visualization.subject import (
    Indices,
    Subject,
    as_batch,
    input_channels_first,
    subject_of,
)
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.geometry import map_grid
from kvis_cli.models.live.open import live_architecture
from kvis_cli.models.live.reader import Tap
from kvis_cli.models.live.session import Address, LiveModel, live_model


def visualize_cam(
    model: Any,
    layer_idx: Address,
    filter_indices: Indices,
    seed_input: Any,
    penultimate_layer_idx: Address | None = None,
    backprop_modifier: Any = None,
    grad_modifier: str | Modify | None = None,
    *,
    score: ScoreKind = "logit",
) -> np.ndarray:
    """Grad-CAM: where the feature maps raise the activation of a layer's units.

    Selvaraju et al. 2016, arXiv:1610.02391.

    Parameters
    ----------
    model
        A Keras model of one input; it stays as it is.
    layer_idx
        The explained layer: its number in ``model.layers``, its name, or a path.
    filter_indices
        A unit, any sequence of them (the sum is explained), or None for the mean of all.
    seed_input
        One input, with or without a batch axis, or a batch. The model gets it as it is.
    penultimate_layer_idx
        The layer whose feature maps are weighted. None takes the last spatial feature map that
        everything passes through, after its activation.
    backprop_modifier
        As for `visualize_saliency`, applied between that layer and the score. The result is not
        Guided Grad-CAM; that is ``kvis_cli.explain.cam(…, method="guided_gradcam")``.
    grad_modifier
        Applied to the gradient before the channels' weights are taken. ``negate`` shows what
        lowers the score (the paper's counterfactual); any other makes a method that no paper knows.
    score
        For the model's output: ``logit``, ``probability`` or ``log-probability``.

    Returns
    -------
    numpy.ndarray
        float32 in 0..1, the input's spatial shape; with a batch axis where `seed_input` holds
        several. 0 is no evidence.

    Raises
    ------
    UsageError
        For a layer without feature maps, or one that the score does not depend on.

    Examples
    --------
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> photo = keras.utils.load_img("sample_models/images/house.png", target_size=(96, 96))
    >>> photo = keras.utils.img_to_array(photo)
    >>> heat = visualize_cam(model, -1, filter_indices=3, seed_input=photo)
    >>> heat.shape, float(heat.max())
    ((96, 96), 0.9861063957214355)
    """
    live = live_model(model)
    subject = subject_of(live, layer_idx)
    layer, grid = _penultimate(live, subject, penultimate_layer_idx)
    inputs, single = as_batch(live, seed_input)
    weights, ranks = subject.weights(filter_indices, len(inputs))
    objective = Objective(
        score, subject.output, filter_layer=subject.layer, channels_first=subject.channels_first
    )
    found = _run(
        live, layer, objective, backprop_modifier, grad_modifier,
        lambda engine: engine(inputs, weights, ranks),
    )  # fmt: skip
    return _shown(live, found, inputs, single, grid)


def visualize_cam_with_losses(
    input_tensor: Any,
    losses: WeightedLosses,
    seed_input: Any,
    penultimate_layer: Any,
    grad_modifier: str | Modify | None = None,
) -> np.ndarray:
    """As `visualize_cam`, for any weighted sum of losses.

    Parameters
    ----------
    input_tensor
        The model's symbolic input, e.g. ``model.input``.
    losses
        ``(loss, weight)`` pairs, as for `visualize_saliency_with_losses`.
    seed_input
        One input, with or without a batch axis, or a batch.
    penultimate_layer
        The layer whose feature maps are weighted: itself or its name.
    grad_modifier
        Applied to the gradient before the channels' weights are taken.

    Returns
    -------
    numpy.ndarray
        See `visualize_cam`.
    """
    kept = checked(losses)
    live = loss_model(input_tensor, [loss for loss, _ in kept])
    first = getattr(penultimate_layer, "data_format", "channels_last") == "channels_first"
    layer = CamLayer(Tap.of(live.address(penultimate_layer)), first)
    grid = _exact_grid(live.call(penultimate_layer))
    inputs, single = as_batch(live, seed_input)
    weights = np.array([[[weight for _, weight in kept]]], np.float32)
    ranks = np.full((1, 1), -1, np.int32)
    # A symbolic loss is one number for its whole batch, so inputs go through one by one.
    maps = []
    for one in np.split(inputs, len(inputs)):

        def explain(engine: CamEngine, one: np.ndarray = one) -> CamBatch:
            return engine(one, weights, ranks)

        found = _run(live, layer, Objective(), None, grad_modifier, explain)
        maps.append(_shown(live, found, one, True, grid))
    return maps[0] if single else np.stack(maps)


def _penultimate(
    live: LiveModel, subject: Subject, address: Address | None
) -> tuple[CamLayer, MapGrid | None]:
    """Return the layer, and where its cells lie on the input where the graph says that for sure."""
    if address is not None:
        call = live.call(address)
        if call is None:
            return CamLayer(Tap.of(live.address(address))), None
    elif subject.layer is None:
        call = autolayer.choose_cam_layer(live.architecture, subject.output).call
    else:
        call = live.engine(("penultimate", subject), lambda: _before(live, subject))
    assert call is not None
    return CamLayer(Tap(call.layer_path, call.call), call.channels_first), _exact_grid(call)


def _exact_grid(call: LayerCall | None) -> MapGrid | None:
    grid = None if call is None else map_grid(call)
    return replace(grid, applied=True) if grid is not None and grid.exact else None


def _before(live: LiveModel, subject: Subject) -> Any:
    """Return the layer that `auto` means for the model up to a layer inside it."""
    assert subject.layer is not None
    try:
        layer = live.model.get_layer(subject.layer.path)
        part = keras.Model(live.model.inputs, layer.output)
    except (ValueError, AttributeError) as error:
        raise UsageError(
            f"No layer can be chosen for layer '{subject.layer}'.",
            "It is inside a nested model." if "/" in subject.layer.path else str(error),
            "Name one as penultimate_layer_idx.",
        ) from error
    return autolayer.choose_cam_layer(live_architecture(part)).call


def _run(
    live: LiveModel,
    layer: CamLayer,
    objective: Objective,
    backprop: Any,
    modifier: str | Modify | None,
    explain: Callable[[CamEngine], CamBatch],
) -> np.ndarray:
    """Return the raw maps ``(B, *space)``."""
    key = ("cam", layer, objective, backprop, modifier)

    def make(rule: Any = backprop) -> CamEngine:
        modify = None if modifier is None else find_modifier(modifier).modify
        settings = CamSettings(objective, gradient_modifier=modify, backprop=rule)
        return CamEngine(live.reader, [layer], ["gradcam"], settings)

    plain = live.engine((*key, "no rectifier"), list)
    if plain:
        return next(iter(explain(plain[0]).maps.values()))[:, 0]
    try:
        batch = explain(live.engine(key, make))
    except UsageError as error:
        if backprop is None or "no rectifier" not in error.what:
            raise
        warnings.warn(
            f"The backprop modifier changes nothing here: there is no rectifier between layer "
            f"'{layer}' and the score, so this is plain Grad-CAM.",
            stacklevel=4,
        )
        plain.append(make(None))
        batch = explain(plain[0])
    return next(iter(batch.maps.values()))[:, 0]


def _shown(
    live: LiveModel, maps: np.ndarray, inputs: np.ndarray, single: bool, grid: MapGrid | None
) -> np.ndarray:
    size = inputs.shape[2:] if input_channels_first(live) else inputs.shape[1:-1]
    # Scaled in its own grid first, as the commands' pictures are.
    scaled = shown(maps, "heatmap", single)
    if single:
        return resized(scaled, size, grid)
    return np.stack([resized(one, size, grid) for one in scaled])
