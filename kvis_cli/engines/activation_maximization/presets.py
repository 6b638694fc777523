"""Presets: everything that makes a picture, as one value. Importing this needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
    from kvis_cli.engines.activation_maximization.input_modifiers import InputModifier
    from kvis_cli.engines.activation_maximization.input_space import InputSpace
    from kvis_cli.engines.activation_maximization.losses import Loss
    from kvis_cli.engines.activation_maximization.optimizers import Optimizer
    from kvis_cli.models.live.reader import ModelReader


@dataclass(frozen=True)
class Recipe:
    """How pictures are optimised.

    Attributes
    ----------
    steps
        How many, the warm-up included.
    warm_up
        How many of the first steps are plain gradient ascent on slightly blurred pixels. It finds
        the colours and large shapes that Fourier coefficients, each with a pace of its own, can
        miss: a rectified filter is blind where it does not respond at all.
    optimizer, rate
        Name and learning rate, relative to the range of the parameters.
    parametrization
        ``pixel`` or ``fourier``.
    decay
        Of the fourier parametrization.
    bound
        What keeps pixels in their range.
    start
        A kind of `kvis_cli.engines.activation_maximization.seeds.seed_image`.
    act, tv, lp, l1, l2, grain
        Weights of the activation and of the regularizers: total variation, the Lp norm, the mean
        absolute and the mean squared distance from grey, what a blur takes away.
    sure
        For classes: weight of the log-probability beside the logit, so that a class wins against
        its neighbours, too.
    tv_beta, lp_p
        Exponents.
    jitter, pad, rotate, rescale, flip, blur
        Input modifiers; None or False for without.
    keep
        Which picture, see `kvis_cli.engines.activation_maximization.engine.ActivationMaximizer`.
    patience
        Steps without progress before a picture comes to rest; 0 for never.
    as_coded
        Work on model inputs, with the losses of the library that the preset is named after.
    unit_gradient
        Scale each picture's gradient to length 1 before anything is done to it.
    stretch
        Show pictures with mean 0.5 and deviation 0.1.
    """

    steps: int = 128
    warm_up: int = 0
    optimizer: str = "adam"
    rate: float = 0.05
    parametrization: Literal["pixel", "fourier"] = "fourier"
    decay: float = 1.0
    bound: Literal["clip", "sigmoid", "none"] = "clip"
    start: str = "noise"
    act: float = 1.0
    sure: float = 0.0
    tv: float = 0.0
    lp: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    grain: float = 0.0
    tv_beta: float = 2.0
    lp_p: float = 6.0
    jitter: str | None = None
    pad: str | None = None
    rotate: float | None = None
    rescale: tuple[float, float] | None = None
    flip: bool = False
    blur: float | None = None
    keep: Literal["best", "after-best", "last"] = "best"
    patience: int = 0
    as_coded: bool = False
    unit_gradient: bool = False
    stretch: bool = False


PRESETS: dict[str, Recipe] = {
    "quality": Recipe(
        steps=256,
        rate=0.03,
        decay=1.2,
        sure=5.0,
        jitter="7%",
        rescale=(0.9, 1.1),
        rotate=10.0,
        patience=96,
    ),
    "atlas": Recipe(steps=40, warm_up=10, rate=0.1, decay=1.3, jitter="2%"),
    "chollet": Recipe(
        steps=40,
        optimizer="sgd",
        rate=1.0,
        parametrization="pixel",
        bound="none",
        start="book",
        keep="last",
        as_coded=True,
        stretch=True,
    ),
    "keras-vis": Recipe(
        steps=200,
        optimizer="keras-vis",
        rate=1.0,
        parametrization="pixel",
        bound="none",
        start="keras-vis",
        tv=10.0,
        lp=10.0,
        keep="after-best",
        as_coded=True,
        unit_gradient=True,
    ),
}
"""By the values of ``--preset``."""


def phases(recipe: Recipe) -> list[Recipe]:
    """Return a recipe as recipes without warm-up.

    Each of which starts from the pictures of the last.

    Parameters
    ----------
    recipe
        Its `warm_up` steps come first.

    Returns
    -------
    list of Recipe
        One or two, of `steps` together.

    Examples
    --------
    >>> [phase.steps for phase in phases(PRESETS["atlas"])]
    [10, 30]
    """
    warm = min(recipe.warm_up, recipe.steps)
    if not warm or recipe.parametrization == "pixel":
        return [replace(recipe, warm_up=0)]
    first = replace(
        recipe,
        steps=warm,
        warm_up=0,
        optimizer="sgd",
        rate=0.05,
        parametrization="pixel",
        bound="clip",
        blur=1.0,
        patience=0,
    )
    rest = replace(recipe, steps=recipe.steps - warm, warm_up=0)
    return [first, rest] if rest.steps else [first]


def make_maximizer(
    recipe: Recipe,
    reader: ModelReader,
    aims: list[tuple[Loss, float]],
    shape: tuple[int, ...],
    space: InputSpace,
    *,
    more: Sequence[tuple[Loss, float]] = (),
    bgr: bool = False,
    gradient_modifier: Any = None,
    backprop_modifier: Any = None,
) -> ActivationMaximizer:
    """Put the parts of a recipe together.

    Parameters
    ----------
    recipe
        What to do.
    reader
        The model.
    aims
        What pictures are for, with weights; the recipe's `act` multiplies them.
    shape
        ``(…, C)`` of a picture, channels last.
    space
        From the unit range to model inputs. Recipes that work on model inputs ignore its range.
    more
        Further losses, with weights.
    bgr
        Whether the channels are blue, green, red.
    gradient_modifier
        See `ActivationMaximizer`.
    backprop_modifier
        Name of a rule of `kvis_cli.engines.backprop_modifiers`, or a rule.

    Returns
    -------
    ActivationMaximizer
        For pictures of `shape`, with the losses, modifiers and optimizer of the recipe.
    """
    import numpy as np

    from kvis_cli.engines.activation_maximization import published, regularizers
    from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
    from kvis_cli.engines.activation_maximization.input_space import InputSpace
    from kvis_cli.engines.activation_maximization.parametrizations import Fourier, Pixel

    assert np.ndim(space.low) <= 1
    plain: list[tuple[Loss, float]] = [
        (regularizers.L1(), recipe.l1),
        (regularizers.L2(), recipe.l2),
        (regularizers.Blur(), recipe.grain),
    ]
    tv: Loss
    lp: Loss
    if recipe.as_coded:
        tv = published.KerasVisTotalVariation(recipe.tv_beta)
        lp = published.KerasVisLPNorm(recipe.lp_p)
        plain = [(regularizers.InUnitRange(loss, space), weight) for loss, weight in plain]
        space = InputSpace(channels_first=space.channels_first)
    else:
        tv = regularizers.TotalVariation(recipe.tv_beta)
        lp = regularizers.LPNorm(recipe.lp_p)
    if recipe.parametrization == "fourier":
        parametrization: Any = Fourier(tuple(shape), bgr=bgr, decay=recipe.decay)
    else:
        parametrization = Pixel(recipe.bound)
    aimed = [(loss, weight * recipe.act) for loss, weight in aims]
    return ActivationMaximizer(
        reader,
        [*aimed, (tv, recipe.tv), (lp, recipe.lp), *plain, *more],
        shape,
        space=space,
        parametrization=parametrization,
        optimizer=_optimizer(recipe),
        modifiers=modifiers(recipe),
        gradient_modifier=_of_unit_length(gradient_modifier)
        if recipe.unit_gradient
        else gradient_modifier,
        keep=recipe.keep,
        patience=recipe.patience,
        backprop_modifier=backprop_modifier,
    )


def _of_unit_length(modify: Any) -> Any:
    """`modify`, given gradients of length 1 per picture."""
    from kvis_cli.engines.activation_maximization.optimizers import unit_length

    if modify is None:
        return unit_length
    return lambda gradient: modify(unit_length(gradient))


def modifiers(recipe: Recipe) -> list[InputModifier]:
    """Return the recipe's input modifiers, in the order in which they are applied."""
    from kvis_cli.engines.activation_maximization import input_modifiers as known

    found: list[InputModifier] = []
    if recipe.pad is not None:
        found.append(known.Pad(recipe.pad))
    if recipe.jitter is not None:
        found.append(known.Jitter(recipe.jitter))
    if recipe.rescale is not None:
        found.append(known.Scale(*recipe.rescale))
    if recipe.rotate is not None:
        found.append(known.Rotate(recipe.rotate))
    if recipe.flip:
        found.append(known.Flip())
    if recipe.blur is not None:
        found.append(known.BlurInput(recipe.blur))
    return found


def _optimizer(recipe: Recipe) -> Optimizer:
    from kvis_cli.engines.activation_maximization.optimizers import RmsProp, make_optimizer

    if recipe.optimizer == "keras-vis":
        return RmsProp(recipe.rate, correct=False, epsilon=0.0, absolute=1e-7)
    return make_optimizer(recipe.optimizer, recipe.rate)
