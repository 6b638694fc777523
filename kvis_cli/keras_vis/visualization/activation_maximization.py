"""keras-vis' activation maximization."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
from kvis_cli.engines.activation_maximization.history import UNCHANGED
from kvis_cli.engines.activation_maximization.losses import Loss as EngineLoss
from kvis_cli.engines.activation_maximization.losses import UserLoss, Weighted
from kvis_cli.engines.activation_maximization.objectives import (
    ActivationMaximization,
    Goal,
    as_goals,
)
from kvis_cli.engines.activation_maximization.presets import (
    Recipe,
    make_maximizer,
    phases,
)
from kvis_cli.engines.activation_maximization.seeds import generator
from kvis_cli.engines.gradient_modifiers import Modify, find_modifier
from kvis_cli.engines.scores import ScoreKind
from kvis_cli.errors import UsageError
from kvis_cli.keras_vis.callbacks import OptimizerCallback, Print
from kvis_cli.keras_vis.input_modifiers import InputModifier, get
from kvis_cli.keras_vis.losses import Loss, input_of
from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation
from kvis_cli.keras_vis.visualization.composed import (
    WeightedLosses,
    checked,
    loss_model,
    name_of,
    named_losses,
)
from kvis_cli.keras_vis.visualization.recipes import recipe_for
from kvis_cli.keras_vis.visualization.setting import InputSetting, Range
from kvis_cli.keras_vis.visualization.subject import (
    Indices,
    Subject,
    subject_of,
)
from kvis_cli.models.live.session import Address, live_model


def visualize_activation(
    model: Any,
    layer_idx: Address,
    filter_indices: Indices = None,
    wrt_tensor: Any = None,
    seed_input: Any = None,
    input_range: Range = (0, 255),
    backprop_modifier: str | None = None,
    grad_modifier: str | Modify | None = None,
    act_max_weight: float = 1,
    lp_norm_weight: float = 10,
    tv_weight: float = 10,
    *,
    max_iter: int | None = None,
    input_modifiers: Sequence[InputModifier | Callable[[Any], Any]] | None = None,
    callbacks: Sequence[OptimizerCallback | type[OptimizerCallback]] | None = None,
    verbose: bool = False,
    score: ScoreKind = "logit",
    preset: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Return the picture that a layer's units respond to most.

    Erhan et al. 2009; Simonyan et al. 2013, arXiv:1312.6034; the regularizers after Mahendran and
    Vedaldi 2016, arXiv:1512.02017.

    Parameters
    ----------
    model
        A Keras model of one input; it stays as it is.
    layer_idx
        The layer: its number in ``model.layers``, its name, or a path through nested models.
    filter_indices
        A unit or channel, any sequence of them (their sum), or None for the mean of all.
    wrt_tensor
        The model's input, or None.
    seed_input
        Where to start, as a model input; None for noise around the middle of the range.
    input_range
        Lowest and highest model input. Pixels stay inside.
    backprop_modifier
        ``guided``, ``relu``, ``rectified``, ``deconv``, or a rule ``(local, g) -> g``.
    grad_modifier
        Applied to the gradient of the loss: a name or function as for `visualize_saliency`.
    act_max_weight
        Of the activation; 0 or None leaves the term out, and likewise below.
    lp_norm_weight
        Of the norm, `kvis_cli.engines.activation_maximization.regularizers.LPNorm`.
    tv_weight
        Of the total variation.
    max_iter
        Steps; None for 200, or for those of the preset.
    input_modifiers
        Random changes before the model, e.g. ``[Jitter(0.05)]``: `InputModifier` objects, or
        functions of pictures ``(1, …, C)`` in 0..1.
    callbacks
        Called after every step.
    verbose
        Print all losses of every step.
    score
        For the model's output: ``logit``, ``probability`` or ``log-probability``.
    preset
        None for the above. ``keras-vis``: its own losses, optimizer and display, as coded.
        ``quality``, ``atlas``, ``chollet``: as ``--preset``; the weights are then the preset's.
    seed
        Of everything random.

    Returns
    -------
    numpy.ndarray
        One picture, channels last, in `input_range`: uint8 where that is whole numbers within
        0..255 and more than 1 apart, else float32. It is the picture that was optimised; only the
        presets ``keras-vis`` and ``chollet`` stretch its contrast.

    Raises
    ------
    UsageError
        For units or layers that are not there, a `wrt_tensor` that is not the input, weights that
        are all zero.

    Warns
    -----
    UserWarning
        When the picture is the one it started from.

    Examples
    --------
    >>> import keras
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> picture = visualize_activation(model, -1, filter_indices=3, max_iter=2)
    >>> picture.shape, picture.dtype
    ((96, 96, 3), dtype('uint8'))
    """
    live = live_model(model)
    _check_wrt(wrt_tensor, live.model.inputs if hasattr(live.model, "inputs") else [])
    subject = subject_of(live, layer_idx)
    pairs = subject.pairs(filter_indices)
    setting = InputSetting.of(live, input_range, seed_input, subject.layer is not None)
    modify, sign = _modifier(grad_modifier)
    recipe = recipe_for(preset, act_max_weight, lp_norm_weight, tv_weight, max_iter)
    recipe = replace(recipe, act=sign * recipe.act, sure=recipe.sure if sign > 0 else 0.0)
    moves = [get(m) for m in input_modifiers or []]

    def maximizer(phase: Recipe) -> ActivationMaximizer:
        key = (
            "activation", subject, score, setting.shape, setting.range, replace(phase, steps=1),
            backprop_modifier, modify, tuple(m.key for m in moves),
        )  # fmt: skip

        def make() -> tuple[list[Any], ActivationMaximizer]:
            aims = _aims(subject, score, phase.sure if live.gives_probabilities else 0.0)
            engine = make_maximizer(
                phase, live.reader, aims, setting.shape, setting.space,
                gradient_modifier=modify, backprop_modifier=backprop_modifier,
            )  # fmt: skip
            engine.modifiers += [m.engine for m in moves]
            return [aim for aim, _ in aims], engine

        aims, engine = live.engine(key, make)
        for aim in aims:
            aim.goals = as_goals([Goal(pairs)])
            aim.bind(subject.tensor_shape)
        return engine

    # The numbers by which the commands choose the noise of a picture.
    numbers = (0, *(index for index, _ in pairs))
    return _run(maximizer, recipe, setting, callbacks, verbose, seed, numbers)


def visualize_activation_with_losses(
    input_tensor: Any,
    losses: WeightedLosses,
    wrt_tensor: Any = None,
    seed_input: Any = None,
    input_range: Range = (0, 255),
    *,
    grad_modifier: str | Modify | None = None,
    max_iter: int | None = None,
    input_modifiers: Sequence[InputModifier | Callable[[Any], Any]] | None = None,
    callbacks: Sequence[OptimizerCallback | type[OptimizerCallback]] | None = None,
    verbose: bool = False,
    preset: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """As `visualize_activation`, for any weighted sum of losses.

    Parameters
    ----------
    input_tensor
        The model, or its symbolic input ``model.inputs[0]``.
    losses
        ``(loss, weight)`` pairs: `ActivationMaximization`, `LPNorm`, `TotalVariation`, subclasses
        of `Loss`, or functions from the symbolic input to a symbolic number. The two regularizers
        are means over pixels in the unit range; with ``preset="keras-vis"`` they are as coded.
    wrt_tensor
        The model's input, or None.
    seed_input
        Where to start, as a model input; None for noise around the middle of the range.
    input_range
        Lowest and highest model input. Pixels stay inside.
    grad_modifier
        Applied to the gradient of the sum.
    max_iter
        Steps; None for 200.
    input_modifiers
        Random changes before the model, as for `visualize_activation`.
    callbacks
        Called after every step.
    verbose
        Print all losses of every step.
    preset
        None or ``keras-vis``.
    seed
        Of everything random.

    Returns
    -------
    numpy.ndarray
        See `visualize_activation`.
    """
    if preset not in (None, "keras-vis"):
        raise UsageError(f"The preset '{preset}' brings its own losses.", "", "Use keras-vis.")
    modify, sign = _modifier(grad_modifier)
    return minimised(
        input_tensor,
        losses,
        recipe_for(preset, 1.0, 0.0, 0.0, max_iter),
        wrt_tensor=wrt_tensor,
        seed_input=seed_input,
        input_range=input_range,
        modify=modify,
        sign=sign,
        input_modifiers=input_modifiers,
        callbacks=callbacks,
        verbose=verbose,
        seed=seed,
    )


def minimised(
    input_tensor: Any,
    losses: WeightedLosses,
    recipe: Recipe,
    *,
    wrt_tensor: Any,
    seed_input: Any,
    input_range: Range,
    modify: Modify | None,
    sign: float = 1.0,
    input_modifiers: Sequence[InputModifier | Callable[[Any], Any]] | None = None,
    callbacks: Sequence[OptimizerCallback | type[OptimizerCallback]] | None = None,
    verbose: bool = False,
    seed: int = 0,
    as_floats: bool = False,
) -> np.ndarray:
    """Return the picture of a recipe; arguments as for `visualize_activation_with_losses`."""
    # `modify` gets the gradient of the sum. `sign` multiplies the losses that are no regularizers:
    # -1 lowers what they raise. `as_floats` leaves the picture in float32, whatever the range.
    input_tensor = input_of(input_tensor)
    _check_wrt(input_of(wrt_tensor), [input_tensor])
    kept = checked(losses)
    own = [loss for loss, _ in kept if not isinstance(loss, LPNorm | TotalVariation)]
    # Regularizers alone have no model of their own: the first is computed as a loss of the input.
    own = own or [kept[0][0]]
    live = loss_model(input_tensor, own)
    setting = InputSetting.of(live, input_range, seed_input, False)
    if as_floats:
        setting = replace(setting, whole=False)
    terms: list[tuple[EngineLoss, float]] = []
    for loss, weight in kept:
        if isinstance(loss, LPNorm | TotalVariation) and loss not in own:
            terms.append((loss.as_coded() if recipe.as_coded else loss.mended(), weight))
        else:
            terms.append((_column(loss, own.index(loss)), sign * weight))

    def maximizer(phase: Recipe) -> ActivationMaximizer:
        engine = make_maximizer(
            phase, live.reader, terms, setting.shape, setting.space, gradient_modifier=modify
        )
        engine.modifiers += [get(m).engine for m in input_modifiers or []]
        return engine

    return _run(maximizer, recipe, setting, callbacks, verbose, seed, ())


def _run(
    maximizer: Callable[[Recipe], ActivationMaximizer],
    recipe: Recipe,
    setting: InputSetting,
    callbacks: Sequence[Any] | None,
    verbose: bool,
    seed: int,
    numbers: tuple[int, ...],
) -> np.ndarray:
    # The caller's own list stays as it is.
    listening = [c() if isinstance(c, type) else c for c in callbacks or []]
    if verbose and not any(isinstance(c, Print) for c in listening):
        listening.append(Print())
    for callback in listening:
        # keras-vis' own callbacks, of which any object will do, know nothing of it.
        getattr(callback, "on_start", _ignored)(setting.range)
    images, before, unchanged = setting.seeds(recipe, seed, numbers), 0, True
    for number, phase in enumerate(phases(recipe)):
        engine = maximizer(phase)

        def watch(
            step: int,
            seen: np.ndarray,
            images: np.ndarray,
            gradient: np.ndarray,
            terms: list[Weighted] = engine.losses,
            before: int = before,
        ) -> None:
            values = [float(v) * t.weight for v, t in zip(seen[0, 1:], terms, strict=True)]
            named = named_losses(terms, values)
            picture = setting.inputs(images[:1], recipe)
            grads = setting.gradient(gradient[:1], recipe)
            for callback in listening:
                callback.callback(before + step, named, sum(values), grads, picture)

        found = engine(
            images,
            [generator(seed, 1 + number, *numbers)],
            phase.steps,
            batch_size=1,
            watch=watch if listening else None,
        )
        images = found.images
        unchanged = unchanged and bool(found.unchanged[0])
        before += phase.steps
    if unchanged:
        warnings.warn(f"{UNCHANGED[0].upper()}{UNCHANGED[1:]}.", stacklevel=3)
    for callback in listening:
        callback.on_end()
    return setting.shown(images[0], recipe)


def _ignored(input_range: Range) -> None:
    pass


def _modifier(given: str | Modify | None) -> tuple[Modify | None, float]:
    """Return what is done to the gradient, and the sign of the activation's weight.

    To negate the gradient of the whole loss would raise the regularizers' share, too, and leave no
    step that lowers the loss.
    """
    from kvis_cli.keras_vis import grad_modifiers

    if given is None:
        return None, 1.0
    if given in ("negate", grad_modifiers.negate):
        return None, -1.0
    return find_modifier(given).modify, 1.0


def _aims(subject: Subject, score: ScoreKind, sure: float) -> list[tuple[EngineLoss, float]]:
    """Return the activation; with `sure` also the probability of a class, so that it wins."""
    aim = ActivationMaximization(
        subject.layer, 0, score=score, output=subject.output, channels_first=subject.channels_first
    )
    aim.name = "ActivationMax Loss"
    if not sure or subject.layer is not None or score != "logit":
        return [(aim, 1.0)]
    second = ActivationMaximization(None, 0, score="log-probability", output=subject.output)
    second.name, second.is_objective = "log-probability", False
    return [(aim, 1.0), (second, sure)]


def _column(loss: Any, column: int) -> UserLoss:
    """One column of the loss model's output as an engine's loss."""

    def read(view: Any) -> Any:
        return view.outputs[0][:, column]

    term = UserLoss(read, name=name_of(loss), needs_outputs=True)
    term.is_objective = not isinstance(loss, Loss) or hasattr(loss, "filter_indices")
    return term


def _check_wrt(tensor: Any, inputs: Sequence[Any]) -> None:
    if tensor is not None and not any(tensor is one for one in inputs):
        raise UsageError(
            "wrt_tensor is not the model's input.",
            "Only the input is optimised.",
            "Leave wrt_tensor out, or cut the model at that tensor.",
        )
