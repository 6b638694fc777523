"""Kinds of tasks and what computes them. Importable without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel
    from kvis_cli.spec.job import JobSpec
    from kvis_cli.tasks.base import ModelTask

MakeTask = Callable[["OpenModel", Any, "JobSpec"], "ModelTask"]


def _at_first_use(name: str) -> MakeTask:
    module, _, class_name = name.partition(":")

    def make(opened: OpenModel, spec: Any, job: JobSpec) -> ModelTask:
        task: ModelTask = getattr(import_module(module), class_name)(opened, spec, job)
        return task

    return make


TASKS: dict[str, MakeTask] = {
    "cam": _at_first_use("kvis_cli.tasks.cam:CamTask"),
    "filters": _at_first_use("kvis_cli.tasks.filters:FiltersTask"),
    "maximize": _at_first_use("kvis_cli.tasks.maximize:MaximizeTask"),
    "predict": _at_first_use("kvis_cli.tasks.predict:PredictTask"),
    "saliency": _at_first_use("kvis_cli.tasks.saliency:SaliencyTask"),
}
"""Kind -> what makes a `ModelTask` of an open model, the task's spec and its job."""
