"""Explaining live models in Python: what the commands compute, as `Explanation` objects.

Every keyword is a key of the job file and has its default, so a call, a flag and a line of YAML
mean the same. Importing this is instant; TensorFlow is imported by the first call.

Examples
--------
::

    from kvis_cli import explain

    [heat] = explain.cam(model, "cat.jpg", class_="tabby", labels="imagenet")
    heat.map, heat.score, heat.target.label, heat.warnings

    [ouzel] = explain.maximize(model, class_=20, steps=128)
    PIL.Image.fromarray(ouzel.map.round().astype("uint8")).save("ouzel.png")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.errors import InputError, UsageError
from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation, Target
from kvis_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.spec.job import JobSpec
    from kvis_cli.tasks.base import ModelTask

Images = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]
"""A picture, or several: files, or arrays ``(H, W)`` or ``(H, W, C)`` in 0..255 of any size."""

_OF_RUN = ("batch_size", "seed")

# Results are arrays: an option of how they would be shown or stored has nothing to change.
_CHANGES_THE_RESULT = ("size", "smooth", "sort", "stretch")

__all__ = ["Explanation", "Target", "cam", "filters", "maximize", "saliency"]


def cam(model: Any, images: Images, **options: Any) -> list[Explanation]:
    """Class activation maps: where does the model look?

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
    list of Explanation
        Raw maps in their own grid, unscaled: for each image, layer, class and method.

    Raises
    ------
    SpecError
        For options that are not there or have wrong values.
    UsageError
        For unknown classes, layers and methods, and for options of how pictures are shown.
    """
    return _explained("cam", model, images, options)


def saliency(model: Any, images: Images, **options: Any) -> list[Explanation]:
    """Saliency: which pixels move the score?

    Parameters
    ----------
    model, images, **options
        As for `cam`, with the keys of a ``saliency`` task; ``kvis saliency --help`` explains them.

    Returns
    -------
    list of Explanation
        Raw maps of the input's size, unscaled: for each image, class, method and modifier.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.
    """
    return _explained("saliency", model, images, options)


def maximize(model: Any, **options: Any) -> list[Explanation]:
    """Activation maximization: what does a class or a unit look like to the model?

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
    list of Explanation
        For each target and run. ``map`` is the picture, float32 ``(H, W, C)`` in 0..255; rounded
        it is the file that the command writes. ``extras`` has ``inputs``, the picture as a model
        input; ``score_saved``, the score of the rounded picture; ``loss``, the history of every
        term; and ``steps``.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.
    """
    losses = options.pop("losses", ())
    task = _task("maximize", model, options)
    from kvis_cli.engines.activation_maximization.plugin_losses import terms

    task.losses += terms(losses)
    return _pictures(task)


def filters(model: Any = "vgg16", **options: Any) -> list[Explanation]:
    """What does each filter of a layer want to see?

    Parameters
    ----------
    model
        As for `cam`.
    **options
        As for `cam`, with the keys of a ``filters`` task (``layer``, ``filters``, ``size`` …);
        ``kvis filters --help`` explains them.

    Returns
    -------
    list of Explanation
        For each layer and filter, as by `maximize`. With ``weights=True`` the kernels themselves,
        which have no score.

    Raises
    ------
    SpecError, UsageError
        As for `cam`.
    ResultError
        When every filter is dead.
    """
    return _pictures(_task("filters", model, options))


def _explained(kind: str, model: Any, images: Images, options: dict[str, Any]) -> list[Explanation]:
    job, opened = _prepared(kind, model, options)
    task = TASKS[kind](opened, job.tasks[0], job)
    inputs = np.stack([_as_input(opened, job, image) for image in _several(images)])
    found: list[Explanation] = []
    for start in range(0, len(inputs), job.batch_size):
        part = opened.to_inputs(inputs[start : start + job.batch_size])
        for answer in task.explain(part, Listener()):
            found.extend(answer.explanations)
    return found


def _task(kind: str, model: Any, options: dict[str, Any]) -> Any:
    job, opened = _prepared(kind, model, options)
    return TASKS[kind](opened, job.tasks[0], job)


def _pictures(task: ModelTask) -> list[Explanation]:
    return [e for answer in task.explain(None, Listener()) for e in answer.explanations]


def _prepared(kind: str, model: Any, options: dict[str, Any]) -> tuple[JobSpec, OpenModel]:
    from kvis_cli.runtime.tensorflow import import_tensorflow

    import_tensorflow()
    job = _job(kind, model, options)
    return job, _opened(model, job)


def _job(kind: str, model: Any, options: dict[str, Any]) -> JobSpec:
    from kvis_cli.models.request import ModelSpec
    from kvis_cli.spec.build import build_job
    from kvis_cli.spec.job import TASK_KINDS

    given = {key.rstrip("_"): value for key, value in options.items()}
    path = str(model) if isinstance(model, str | Path) else getattr(model, "name", "model")
    # A size is that of the picture where the task has one, else that of the model's input.
    own = TASK_KINDS[kind].model_fields
    of_model = {k: given.pop(k) for k in list(given) if k in ModelSpec.model_fields.keys() - own}
    of_run: dict[str, Any] = {key: given.pop(key) for key in _OF_RUN if key in given}
    for key, value in given.items():
        _check_result(kind, key)
        if key in ("class", "unit"):
            given[key] = _as_text(value)
    return build_job({"models": [{**of_model, "path": path}], "tasks": [{kind: given}], **of_run})


def _as_text(value: Any) -> Any:
    """Integers of any kind as the texts that a spec takes."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return str(value)
    return [str(entry) for entry in value]


def _check_result(kind: str, key: str) -> None:
    from kvis_cli.options.fields import PICTURE, flag_of
    from kvis_cli.spec.job import TASK_KINDS

    field = TASK_KINDS[kind].model_fields.get(key)
    flag = flag_of(key, field) if field is not None else None
    shown = flag is not None and flag.panel == PICTURE and key not in _CHANGES_THE_RESULT
    if shown or key in ("strict", "verbose"):
        raise UsageError(
            f"'{key}' is about pictures on disk.",
            f"explain.{kind} gives arrays.",
            f"Leave it out, or use `kvis {kind}`.",
        )


def _opened(model: Any, job: JobSpec) -> OpenModel:
    import keras

    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_live, open_model

    if isinstance(model, str | Path):
        top = job.tasks[0].needs_head
        return open_model(describe_model(job.models[0]), top=top, seed=job.seed)
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"A Keras model or the name of a file is needed, not {type(model).__name__}."
        )
    return open_live(model, job.models[0])


def _several(images: Images) -> list[str | Path | np.ndarray]:
    if isinstance(images, str | Path):
        return [images]
    if isinstance(images, np.ndarray):
        # A batch of pictures has four axes; what else may be a batch cannot be told apart.
        return list(images) if images.ndim == 4 else [images]
    found = list(images)
    if not found:
        raise UsageError("There are no images to explain.")
    return found


def _as_input(opened: OpenModel, job: JobSpec, image: str | Path | np.ndarray) -> np.ndarray:
    """An image at the input's size, in 0..255; an input as it is where it is no picture."""
    from kvis_cli.images.fitting import fit_photo
    from kvis_cli.images.photo import read_photo
    from kvis_cli.render.display import to_rgb

    size = opened.image_input
    if not size.is_picture:
        if isinstance(image, str | Path):
            from kvis_cli.images.arrays import load_array

            return np.asarray(load_array(Path(image)))
        return np.asarray(image)
    if isinstance(image, str | Path):
        pixels = read_photo(Path(image)).pixels
    else:
        if image.size and not 0 <= image.min() <= image.max() <= 255:
            raise InputError(
                f"The values of an image are {image.min():g} to {image.max():g}.",
                "Pixels are 0 to 255; the model's preprocessing is applied to them.",
            )
        whole = np.rint(image).astype(np.uint8)
        pixels = to_rgb(whole)
    return fit_photo(pixels, size.height, size.width, size.channels, job.models[0].fit)[0]
