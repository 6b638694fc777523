"""keras-vis' saliency functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvis_cli.engines.gradient_modifiers import Modify
from kvis_cli.engines.saliency.engine import SaliencyEngine
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.engines.scores import ScoreKind
from kvis_cli.keras_vis.visualization.composed import WeightedLosses, checked, loss_model
from kvis_cli.keras_vis.visualization.maps import shown
from kvis_cli.keras_vis.visualization.subject import (
    Indices,
    Subject,
    as_batch,
    input_channels_first,
    subject_of,
)
from kvis_cli.models.live.reader import Tap
from kvis_cli.models.live.session import Address, LiveModel, live_model


def visualize_saliency(
    model: Any,
    layer_idx: Address,
    filter_indices: Indices,
    seed_input: Any,
    wrt_tensor: Address = None,
    backprop_modifier: Any = None,
    grad_modifier: str | Modify | None = "absolute",
    keepdims: bool = False,
    *,
    score: ScoreKind = "logit",
) -> np.ndarray:
    """Which parts of an input move the activation of a layer's units.

    Simonyan et al. 2013, arXiv:1312.6034; with ``backprop_modifier="guided"`` Springenberg et al.
    2014, arXiv:1412.6806, with ``"deconv"`` Zeiler and Fergus 2013, arXiv:1311.2901.

    Parameters
    ----------
    model
        A Keras model of one input; it stays as it is.
    layer_idx
        The explained layer: its number in ``model.layers``, its name, or a path through nested
        models (``base/conv5``).
    filter_indices
        A unit or channel, any sequence of them (the sum is explained), or None for the mean of all.
    seed_input
        One input, with or without a batch axis, or a batch. The model gets it as it is.
    wrt_tensor
        Differentiate with respect to this layer's output instead of the input: the symbolic
        tensor, the layer, or its address.
    backprop_modifier
        ``guided``, ``relu``, ``rectified``, ``deconv``, or a rule ``(local, g) -> g``.
    grad_modifier
        ``absolute``, ``relu``, ``negate``, ``invert``, ``small_values``, another name that
        ``kvis saliency --help`` lists, a function of a tensor ``(B, …)``, or None.
    keepdims
        Keep the channels; without it the strongest of each pixel is shown.
    score
        For the model's output: ``logit`` (before a softmax, sigmoid or tanh), ``probability`` or
        ``log-probability``.

    Returns
    -------
    numpy.ndarray
        float32 in 0..1, the shape of one input without its channels; with a batch axis where
        `seed_input` holds several. 0 is no influence; where both signs have a meaning
        (`grad_modifier` None, ``negate``, ``invert``), 0.5 is.

    Raises
    ------
    UsageError
        For units, layers or modifiers that are not there, and for a `backprop_modifier` that
        would change nothing.

    Examples
    --------
    >>> import keras
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> photo = keras.utils.load_img("sample_models/images/house.png", target_size=(96, 96))
    >>> photo = keras.utils.img_to_array(photo)
    >>> heat = visualize_saliency(model, -1, filter_indices=3, seed_input=photo)
    >>> heat.shape, float(heat.max())
    ((96, 96), 1.0)
    """
    live = live_model(model)
    wrt = None
    if wrt_tensor is not None and not _is_input(live, wrt_tensor):
        call = live.call(wrt_tensor)
        wrt = Tap(call.layer_path, call.call) if call else Tap.of(live.address(wrt_tensor))
    subject = subject_of(live, layer_idx)
    inputs, single = as_batch(live, seed_input)
    weights, ranks = subject.weights(filter_indices, len(inputs))
    engine = _engine(live, subject, wrt, backprop_modifier, grad_modifier, keepdims, score)
    return _shown(engine, inputs, weights, ranks, single)


def visualize_saliency_with_losses(
    input_tensor: Any,
    losses: WeightedLosses,
    seed_input: Any,
    wrt_tensor: Address = None,
    grad_modifier: str | Modify | None = "absolute",
    keepdims: bool = False,
) -> np.ndarray:
    """As `visualize_saliency`, for any weighted sum of losses.

    Parameters
    ----------
    input_tensor
        The model's symbolic input, e.g. ``model.input``.
    losses
        ``(loss, weight)`` pairs; ``(ActivationMaximization(layer, i), -1)`` is what
        `visualize_saliency` explains. A loss may also be a function from the symbolic input to a
        symbolic number.
    seed_input
        One input, with or without a batch axis, or a batch. The model gets it as it is.
    wrt_tensor
        Differentiate with respect to this layer's output instead of the input.
    grad_modifier
        Applied to the gradient, as for `visualize_saliency`.
    keepdims
        Keep the channels; without it the strongest of each pixel is shown.

    Returns
    -------
    numpy.ndarray
        See `visualize_saliency`.
    """
    kept = checked(losses)
    live = loss_model(input_tensor, [loss for loss, _ in kept])
    wrt = None
    if wrt_tensor is not None and not _is_input(live, wrt_tensor):
        wrt = Tap.of(live.address(wrt_tensor))
    inputs, single = as_batch(live, seed_input)
    engine = _engine(live, Subject(None, 0, len(kept)), wrt, None, grad_modifier, keepdims, "logit")
    weights = np.array([[[weight for _, weight in kept]]], np.float32)
    # A symbolic loss is one number for its whole batch, so inputs go through one by one.
    maps = [
        _shown(engine, one[np.newaxis], weights, np.full((1, 1), -1, np.int32), True)
        for one in inputs
    ]
    return maps[0] if single else np.stack(maps)


def _engine(
    live: LiveModel,
    subject: Subject,
    wrt: Tap | None,
    backprop: Any,
    modifier: str | Modify | None,
    keepdims: bool,
    score: ScoreKind,
) -> SaliencyEngine:
    first = input_channels_first(live)
    shape = live.input_shape
    # The one axis of a table is no colour.
    axis = (1 if first else -1) if shape is None or len(shape) > 2 or wrt is not None else None
    key = ("saliency", subject, wrt, backprop, modifier, keepdims, score)
    engine: SaliencyEngine = live.engine(
        key,
        lambda: SaliencyEngine(
            live.reader,
            ["gradient"],
            modifiers=["none" if modifier is None else modifier],
            channels="keep" if keepdims else "max",
            backprop=backprop,
            settings=SaliencySettings(channel_axis=axis),
            score=score,
            output=subject.output,
            layer=subject.layer,
            channels_first=subject.channels_first,
            wrt=wrt,
        ),
    )
    return engine


def _shown(
    engine: SaliencyEngine, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray, single: bool
) -> np.ndarray:
    found = engine(inputs, weights, ranks).maps[0]
    return shown(found.values[:, 0], "signed" if found.signed else "heatmap", single)


def _is_input(live: LiveModel, tensor: Any) -> bool:
    inputs = getattr(live.model, "inputs", None) or []
    return any(tensor is one for one in inputs)
