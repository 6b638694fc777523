"""One model, opened once, explained as often as wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.errors import InputError, UsageError
from kvis_cli.events import Listener
from kvis_cli.explain.images import Images, several
from kvis_cli.explain.shown import Explanations, ShownExplanation
from kvis_cli.explanation import Explanation
from kvis_cli.tasks.cache import compiled_task
from kvis_cli.tasks.outputs import outputs_of
from kvis_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from kvis_cli.images.fitting import Placement
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.models.live.session import LiveModel
    from kvis_cli.spec.job import JobSpec

_OF_RUN = ("batch_size", "seed")

# Results are arrays: an option of how they would be shown or stored has nothing to change.
_CHANGES_THE_RESULT = ("size", "smooth", "sort", "stretch")


class Explainer:
    """Explains one model; what was compiled for a question is kept for the next.

    A thousand calls compile once per method, layer and shape, whatever the classes. At most
    `kvis_cli.models.live.open.MOST_ENGINES` compiled engines are kept, the least recently used go
    first; with a live model they are kept with the model, and go when it goes. Weights that are
    trained on are seen by the next call; so is a layer that was replaced.

    Parameters
    ----------
    model
        A live Keras model, or whatever ``kvis cam`` takes: a file, an application's name.
    **options
        The keys of a model in a job file (``preprocess``, ``labels``, ``size``, ``output``,
        ``trust`` …), ``batch_size`` and ``seed``.

    Raises
    ------
    SpecError
        For options that are not there or have wrong values.
    ModelError
        For a file that cannot be opened.

    Examples
    --------
    >>> explainer = Explainer("sample_models/shapes.keras", labels="sample_models/labels.txt")
    >>> [heat] = explainer.cam("sample_models/images/house.png", class_="house")
    >>> heat.map.shape, heat.layer, heat.save("heat.png").name
    ((12, 12), 'conv6_relu', 'heat.png')
    >>> [[(label, probability)]] = explainer.predict("sample_models/images/house.png", top=1)
    >>> label, round(probability, 2)
    ('house', 1.0)
    """

    def __init__(self, model: Any, **options: Any) -> None:
        from kvis_cli.runtime.tensorflow import import_tensorflow

        import_tensorflow()
        self.model = model
        self.options = dict(options)
        # Wrong options are reported now, not with the first question.
        self._job("cam", {})
        self._files: dict[bool, OpenModel] = {}
        if not isinstance(model, str | Path):
            _live(model)

    def cam(self, images: Images, **options: Any) -> Explanations:
        """Show where the model looks: class activation maps.

        Parameters
        ----------
        images
            Files or arrays. An array for a model that takes no pictures is its input as it is.
        **options
            The keys of a ``cam`` task: ``class_``, ``method``, ``layer``, ``score`` …;
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
        >>> explainer = Explainer("sample_models/shapes.keras", labels="sample_models/labels.txt")
        >>> maps = explainer.cam("sample_models/images/house.png", method=["gradcam", "layercam"])
        >>> [(heat.method, heat.target.label) for heat in maps]
        [('gradcam', 'house'), ('layercam', 'house')]
        """
        return self._explained("cam", images, options)

    def saliency(self, images: Images, **options: Any) -> Explanations:
        """Show which pixels move the score: saliency.

        Parameters
        ----------
        images
            Files or arrays, as for `cam`.
        **options
            The keys of a ``saliency`` task.

        Returns
        -------
        Explanations
            Raw maps of the input's size, unscaled: for each image, class, method and modifier.

        Raises
        ------
        SpecError, UsageError
            As for `cam`.
        """
        return self._explained("saliency", images, options)

    def maximize(self, **options: Any) -> Explanations:
        """Show what a class or a unit looks like to the model: activation maximization.

        Parameters
        ----------
        **options
            The keys of a ``maximize`` task; ``losses`` is a list of terms beside them: names of
            registered losses, ``"name:weight"``, or
            `kvis_cli.engines.activation_maximization.losses.Loss` objects and functions of its
            `View`, alone or as ``(loss, weight)``.

        Returns
        -------
        Explanations
            For each target and run; ``map`` is the picture, float32 ``(H, W, C)`` in 0..255.

        Raises
        ------
        SpecError, UsageError
            As for `cam`.
        """
        from kvis_cli.engines.activation_maximization.plugin_losses import terms

        losses = options.pop("losses", ())
        job, opened = self._prepared("maximize", options)
        task: Any = TASKS["maximize"](opened, job.tasks[0], job)
        task.losses += terms(losses)
        return self._pictures(task, opened)

    def filters(self, **options: Any) -> Explanations:
        """Show what each filter of a layer responds to.

        Parameters
        ----------
        **options
            The keys of a ``filters`` task: ``layer``, ``filters``, ``size`` ….

        Returns
        -------
        Explanations
            For each layer and filter. With ``weights=True`` the kernels themselves, which have no
            score.

        Raises
        ------
        SpecError, UsageError
            As for `cam`.
        ResultError
            When every filter is dead.
        """
        job, opened = self._prepared("filters", options)
        return self._pictures(TASKS["filters"](opened, job.tasks[0], job), opened)

    def layers(self) -> list[dict[str, Any]]:
        """Describe the layers, as ``kvis layers --json`` does.

        Returns
        -------
        list of dict
            See `kvis_cli.models.description.layer_table.layer_rows`.
        """
        from kvis_cli.models.description.layer_table import layer_rows

        return layer_rows(self._opened(self._job("cam", {}), top=True).info)

    def predict(self, images: Images, top: int = 5) -> list[list[tuple[str, float]]]:
        """Return the model's first classes.

        Parameters
        ----------
        images
            As for `cam`.
        top
            How many classes.

        Returns
        -------
        list of list of (str, float)
            For each image pairs of label and the model's own output, the largest first.
        """
        job, opened = self._prepared("cam", {}, images)
        prepared = [self._input(opened, job, image) for image in several(images)]
        inputs = np.stack([made for made, _, _ in prepared])
        run = outputs_of(opened)
        outputs = [
            run(inputs[start : start + job.batch_size])
            for start in range(0, len(inputs), job.batch_size)
        ]
        return [opened.head.top(row, top) for row in np.concatenate(outputs)]

    @property
    def notes(self) -> list[str]:
        """Choices made on the user's behalf when the model was opened."""
        opened = self._opened(self._job("cam", {}), top=True)
        choice = opened.preprocessing_choice
        return [*opened.notes, f"preprocessing {choice.preprocessing.describe()} ({choice.reason})"]

    def _explained(self, kind: str, images: Images, options: dict[str, Any]) -> Explanations:
        job, opened = self._prepared(kind, options, images)
        task = compiled_task(opened, job.tasks[0], job)
        prepared = [self._input(opened, job, image) for image in several(images)]
        inputs = np.stack([made for made, _, _ in prepared])
        found = Explanations()
        for start in range(0, len(inputs), job.batch_size):
            answers = task.explain(inputs[start : start + job.batch_size], Listener())
            for (_, photo, placement), answer in zip(prepared[start:], answers, strict=False):
                found.extend(
                    ShownExplanation.of(e, model=opened.info.name, photo=photo, placement=placement)
                    for e in answer.explanations
                )
        return found

    def _pictures(self, task: Any, opened: OpenModel) -> Explanations:
        return Explanations(
            ShownExplanation.of(e, model=opened.info.name)
            for answer in task.explain(None, Listener())
            for e in answer.explanations
        )

    def _prepared(
        self, kind: str, options: dict[str, Any], images: Images | None = None
    ) -> tuple[JobSpec, OpenModel]:
        from kvis_cli.models.live.photo_input import as_given

        job = self._job(kind, options)
        opened = self._opened(job, top=job.tasks[0].needs_head)
        return job, opened if images is None else as_given(opened, several(images))

    def _job(self, kind: str, options: dict[str, Any]) -> JobSpec:
        from kvis_cli.spec.build import build_job

        given = {key.rstrip("_"): value for key, value in options.items()}
        for key, value in given.items():
            _check_result(kind, key)
            if key in ("class", "unit"):
                given[key] = _as_text(value)
        model = self.model
        path = str(model) if isinstance(model, str | Path) else getattr(model, "name", "model")
        of_run = {key: value for key, value in self.options.items() if key in _OF_RUN}
        of_model = {key: v for key, v in self.options.items() if key not in _OF_RUN}
        return build_job(
            {"models": [{**of_model, "path": path}], "tasks": [{kind: given}], **of_run}
        )

    def _opened(self, job: JobSpec, *, top: bool) -> OpenModel:
        from kvis_cli.models.description.info import describe_model
        from kvis_cli.models.live.open import open_live, open_model

        spec = job.models[0]
        if not isinstance(self.model, str | Path):
            key = spec.model_dump_json()
            opened: OpenModel = _live(self.model).opened.get(
                key, lambda: open_live(self.model, spec)
            )
            return opened
        if not self._files:
            self._files[top] = open_model(describe_model(spec), top=top, seed=job.seed)
        # Only an application has a body without its classifier.
        if top not in self._files and next(iter(self._files.values())).info.application:
            self._files[top] = open_model(describe_model(spec), top=top, seed=job.seed)
        return self._files.get(top) or next(iter(self._files.values()))

    def _input(
        self, opened: OpenModel, job: JobSpec, image: str | Path | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Placement]:
        """Return the model's input, the photo, and where the input lies on it."""
        from kvis_cli.images.arrays import is_array, load_array
        from kvis_cli.images.photo import read_photo
        from kvis_cli.models.live.photo_input import (
            input_of_array,
            input_of_photo,
            is_photo,
            refuse_photo,
        )
        from kvis_cli.render.arrays import picture_of
        from kvis_cli.render.display import to_rgb

        path = Path(image) if isinstance(image, str | Path) else Path("array")
        if isinstance(image, str | Path) and not is_array(path):
            refuse_photo(opened, path)
        takes_arrays = not opened.image_input.is_picture
        if takes_arrays or (opened.fold and not is_photo(opened, image)):
            array = load_array(path) if isinstance(image, str | Path) else np.asarray(image)
            made, placement, photo = input_of_array(opened, array, path, picture_of(array))
            return made, photo, placement
        if isinstance(image, str | Path):
            photo = read_photo(Path(image)).pixels
        else:
            pixels: np.ndarray = image
            if pixels.dtype != np.uint8:
                if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 255:
                    raise InputError(
                        f"The values of an image are {pixels.min():g} to {pixels.max():g}.",
                        "Pixels are 0 to 255; the model's preprocessing is applied to them.",
                    )
                pixels = np.rint(pixels).astype(np.uint8)
            photo = to_rgb(pixels)
        made, placement = input_of_photo(opened, photo)
        return made, photo, placement


def split_options(kind: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the options of a model and a run from those of a task.

    A size is that of the picture where the task has one, else that of the model's input.
    """
    from kvis_cli.models.request import ModelSpec
    from kvis_cli.spec.job import TASK_KINDS

    own = TASK_KINDS[kind].model_fields
    names = {*ModelSpec.model_fields, *_OF_RUN} - own.keys()
    of_model = {key: value for key, value in options.items() if key in names}
    return of_model, {key: value for key, value in options.items() if key not in names}


def _live(model: Any) -> LiveModel:
    from kvis_cli.models.live.session import live_model

    return live_model(model)


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


__all__ = ["Explainer", "Explanation", "Images", "split_options"]
