"""Explaining live models in Python: what the commands compute, as `Explanation` objects.

Every keyword is a key of the job file and has its default, so a call, a flag and a line of YAML
mean the same. Importing this is instant; TensorFlow is imported by the first call.

Examples
--------
>>> from kvis_cli import explain
>>> [heat] = explain.cam(
...     "sample_models/shapes.keras",
...     "sample_models/images/house.png",
...     class_="house",
...     labels="sample_models/labels.txt",
... )
>>> heat.map.shape, heat.target.label, round(heat.probability, 2), heat.warnings
((12, 12), 'house', 1.0, ())
"""

from __future__ import annotations

from typing import Any

from kvis_cli.explain.comparing import Compared, compare
from kvis_cli.explain.explainer import Explainer, Images, split_options
from kvis_cli.explain.shown import Explanations, ShownExplanation
from kvis_cli.explanation import Explanation, Target

__all__ = [
    "Compared",
    "Explainer",
    "Explanation",
    "Explanations",
    "ShownExplanation",
    "Target",
    "cam",
    "compare",
    "filters",
    "maximize",
    "saliency",
]


def cam(model: Any, images: Images, **options: Any) -> Explanations:
    """Show where the model looks: class activation maps.

    Parameters
    ----------
    model
        A live Keras model, or whatever ``kvis cam`` takes: a file, an application's name.
    images
        Files or arrays. An array for a model that takes no pictures is its input as it is.
    **options
        The keys of a ``cam`` task (``class_``, ``method``, ``layer``, ``score`` …), of a model
        (``preprocess``, ``labels``, ``size``, ``output`` …), ``batch_size`` and ``seed``;
        ``kvis cam --help`` explains them.

    Returns
    -------
    Explanations
        Raw maps in their own grid, unscaled: for each image, layer, class and method.

    Raises
    ------
    SpecError
        For options that are not there or have wrong values.
    UsageError
        For unknown classes, layers and methods, and for options of how pictures are shown.

    Examples
    --------
    >>> import keras
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> [heat] = cam(model, "sample_models/images/house.png", class_=3)
    >>> heat.map.shape, heat.map.dtype, heat.target.units
    ((12, 12), dtype('float32'), ((3, 1.0),))
    """
    return _one_shot("cam", model, options).cam(images, **options)


def saliency(model: Any, images: Images, **options: Any) -> Explanations:
    """Show which pixels move the score: saliency.

    Parameters
    ----------
    model
        A live Keras model, a file, or an application's name.
    images
        Files or arrays, as for `cam`.
    **options
        As for `cam`, with the keys of a ``saliency`` task; ``kvis saliency --help`` explains them.

    Returns
    -------
    Explanations
        Raw maps of the input's size, unscaled: for each image, class, method and modifier.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.

    Examples
    --------
    >>> [heat] = saliency("sample_models/shapes.keras", "sample_models/images/house.png", class_=3)
    >>> heat.map.shape, heat.method, heat.modifier
    ((96, 96), 'gradient', 'absolute')
    """
    return _one_shot("saliency", model, options).saliency(images, **options)


def maximize(model: Any, **options: Any) -> Explanations:
    """Show what a class or a unit looks like to the model: activation maximization.

    Parameters
    ----------
    model
        As for `cam`.
    **options
        As for `cam`, with the keys of a ``maximize`` task (``class_``, or ``layer`` and ``unit``,
        ``preset``, ``steps`` …); ``kvis maximize --help`` explains them. ``losses`` is a list of
        terms beside them: names of registered losses, ``"name:weight"``, or
        `kvis_cli.engines.activation_maximization.losses.Loss` objects and functions of its `View`,
        alone or as ``(loss, weight)``.

    Returns
    -------
    Explanations
        For each target and run. ``map`` is the picture, float32 ``(H, W, C)`` in 0..255; rounded
        it is the file that the command writes. ``extras`` has ``inputs``, the picture as a model
        input; ``score_saved``, the score of the rounded picture; ``loss``, the history of every
        term; and ``steps``.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.

    Examples
    --------
    >>> [picture] = maximize("sample_models/shapes.keras", class_=3, steps=4)
    >>> picture.map.shape, picture.kind, picture.optimized.steps
    ((96, 96, 3), 'image', (4,))
    """
    return _one_shot("maximize", model, options).maximize(**options)


def filters(model: Any = "vgg16", **options: Any) -> Explanations:
    """Show what each filter of a layer responds to.

    Parameters
    ----------
    model
        As for `cam`.
    **options
        As for `cam`, with the keys of a ``filters`` task (``layer``, ``filters``, ``size`` …);
        ``kvis filters --help`` explains them.

    Returns
    -------
    Explanations
        For each layer and filter, as by `maximize`. With ``weights=True`` the kernels themselves,
        which have no score.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.
    ResultError
        When every filter is dead.

    Examples
    --------
    >>> pictures = filters("sample_models/shapes.keras", layer="conv6", filters="0-1", steps=4)
    >>> [picture.target.label for picture in pictures]
    ['conv6 · filter 0', 'conv6 · filter 1']
    """
    return _one_shot("filters", model, options).filters(**options)


def _one_shot(kind: str, model: Any, options: dict[str, Any]) -> Explainer:
    """Make an explainer of the options of the model, which are taken out of `options`."""
    of_model, of_task = split_options(kind, options)
    options.clear()
    options.update(of_task)
    return Explainer(model, **of_model)
