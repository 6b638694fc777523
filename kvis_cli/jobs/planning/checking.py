"""What a job asks of its models, checked by what their files say, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kvis_cli.errors import InputError, KvisError, UsageError
from kvis_cli.images.arrays import is_array
from kvis_cli.jobs.planning.plan import Plan, PlannedModel
from kvis_cli.models.description.cam_layers import cam_layers
from kvis_cli.models.description.evidence.feeding import stated
from kvis_cli.models.description.info import ModelInfo, describe_model
from kvis_cli.models.description.inputs import photo_refusal
from kvis_cli.models.description.labels import imagenet
from kvis_cli.models.description.layer_table import auto_layer
from kvis_cli.models.description.output_regions import (
    example_region,
    refuse_maximized,
    region_of_output,
)
from kvis_cli.models.description.targets import Head, parse_classes
from kvis_cli.models.description.trust import check_code
from kvis_cli.models.graph import autolayer
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.job import TaskSpec
from kvis_cli.spec.maximize import MaximizeSpec
from kvis_cli.spec.saliency import SaliencySpec

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Problem:
    """Something that a run of the job would stumble over; `what` is the model and the task."""

    what: str
    error: KvisError


def check_plan(plan: Plan, known: Mapping[str, ModelInfo] | None = None) -> list[Problem]:
    """Unreadable models and images, unknown layers and classes: all of them.

    What a file does not say (an application's layers, a SavedModel's) is left to the run.

    Parameters
    ----------
    plan
        The job.
    known
        Models whose files have been read, by path.

    Returns
    -------
    list of Problem
        One for each mistake, in the order of images and models; empty where there is none.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for image in plan.images:
        if not image.sha256:
            path = str(image.source.path)
            error = InputError(f"'{path}' cannot be read.", "There is no such file, or no access.")
            problems[path, ""] = Problem(path, error)
    for model in plan.models:
        for what, check in _checks(plan, model, known or {}):
            try:
                check()
            except KvisError as error:
                problems.setdefault((what, str(error)), Problem(what, error))
    return list(problems.values())


def _checks(
    plan: Plan, model: PlannedModel, known: Mapping[str, ModelInfo]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what is checked, each with what it is about; a check raises."""
    path = model.spec.path
    try:
        info = known.get(path) or describe_model(model.spec)
        head = _head(info)
    except KvisError as error:
        yield path, partial(_fail, error)
        return
    yield path, partial(check_code, info)
    yield path, partial(stated, info)
    yield path, partial(refuse_photos, plan, info)
    for number, task in enumerate(plan.job.tasks):
        what = f"{path}, {plan.labels[number]}"
        if info.architecture.is_graph and info.architecture.calls:
            yield from ((what, check) for check in _layer_checks(info, task))
        if head is None:
            continue
        if info.architecture.outputs:
            yield what, partial(_check_output, plan, info, task)
        for text in task.classes():
            yield what, partial(parse_classes, [text], head)
    if head is not None and any(t.needs_images for t in plan.job.tasks):
        # The first image of each class stands for all of them.
        asked = {text: i.source.path for i in reversed(plan.images) for text in i.source.classes}
        for text, image in asked.items():
            yield f"{path}, {image}", partial(parse_classes, [text], head)


def refused_entries(plan: Plan) -> dict[int, UsageError]:
    """Return the entries of the tasks that the only model of a plan refuses as a whole.

    Because it takes no photos, or because its output cannot be asked for so. Unreadable models and
    wrong names are left to the run.
    """
    found: dict[int, UsageError] = {}
    try:
        info = describe_model(plan.models[0].spec)
        for number, task in enumerate(plan.job.tasks):
            try:
                if task.needs_images:
                    refuse_photos(plan, info)
                if info.architecture.outputs:
                    _check_output(plan, info, task)
            except UsageError as error:
                found[number] = error
    except KvisError:
        return found
    return found


def refuse_photos(plan: Plan, info: ModelInfo) -> None:
    """Refuse photos, and nothing but photos, for a model that takes none.

    Where some images are arrays, the others fail one by one when the job is run.

    Parameters
    ----------
    plan
        The job.
    info
        One of its models.

    Raises
    ------
    UsageError
        With a line that makes an input that fits.
    """
    tasks = [task for task in plan.job.tasks if task.needs_images]
    photos = [image.source.path for image in plan.images if not is_array(image.source.path)]
    if not tasks or not photos or len(photos) < len(plan.images):
        return
    form = info.input_form()
    if form is None or form.takes_photos:
        return
    options = ""
    if info.architecture.outputs and not info.output_form().has_classes:
        options = f"--region {example_region(info.output_form())}"
    layer = ""
    if form.kind == "noise":
        layer = info.architecture.outputs[info.output_index()].call.path
    reads_maps = isinstance(tasks[0], CamSpec) and auto_layer(info)[0] is not None
    command = "cam" if reads_maps else "saliency"
    raise UsageError(*photo_refusal(str(photos[0]), info.reference, form, command, options, layer))


def _check_output(plan: Plan, info: ModelInfo, task: TaskSpec) -> None:
    """Refuse what the output of a model cannot be asked for."""
    form = info.output_form()
    if isinstance(task, MaximizeSpec) and not task.layer:
        output = info.architecture.outputs[info.output_index()]
        refuse_maximized(form, info.reference, output.call.path)
    if isinstance(task, CamSpec | SaliencySpec) and task.explains_output:
        photo = str(plan.images[0].source.path) if plan.images else "photo.jpg"
        region_of_output(task.region, form, info.reference, task.kind, photo)


def _fail(error: KvisError) -> None:
    raise error


def _head(info: ModelInfo) -> Head | None:
    """Return the outputs, where they are known before the model is built."""
    if info.application is not None:
        known = info.application.weights in ("imagenet", "random") and not info.spec.labels
        return Head(IMAGENET_CLASSES, imagenet()) if known else None
    return info.head() if info.architecture.outputs else None


def _layer_checks(info: ModelInfo, task: TaskSpec) -> Iterator[Callable[[], Any]]:
    fused = isinstance(task, CamSpec) and not task.filter
    for text in task.layers():
        if fused:
            yield partial(cam_layers, info, text)
        else:
            yield partial(autolayer.resolve, info.architecture, text, model=info.reference)
