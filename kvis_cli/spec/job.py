"""The job spec: everything that a run depends on. Flags and YAML files both become this."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kvis_cli.errors import close_matches
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.filters import FiltersSpec
from kvis_cli.spec.gate import Checks, PassSpec
from kvis_cli.spec.images import ImageEntry
from kvis_cli.spec.maximize import MaximizeSpec
from kvis_cli.spec.predict import PredictSpec
from kvis_cli.spec.run import RunSpec
from kvis_cli.spec.saliency import SaliencySpec
from kvis_cli.spec.task import TaskBase

# A new task joins the union and the table; nothing else needs to know its fields.
TaskSpec = CamSpec | SaliencySpec | FiltersSpec | MaximizeSpec | PredictSpec
TASK_KINDS: dict[str, type[TaskBase]] = {
    "cam": CamSpec,
    "saliency": SaliencySpec,
    "filters": FiltersSpec,
    "maximize": MaximizeSpec,
    "predict": PredictSpec,
}


def read_task(value: Any) -> Any:
    """``cam: {…}``, ``cam:`` and ``cam`` are the task ``{kind: cam, …}``."""
    if isinstance(value, TaskBase):
        return value
    kind, settings = value, None
    if isinstance(value, dict):
        if "kind" in value:
            kind, settings = value["kind"], {k: v for k, v in value.items() if k != "kind"}
        elif len(value) == 1:
            kind, settings = next(iter(value.items()))
        else:
            raise PydanticCustomError("task_shape", "a task is one key and its settings: 'cam: {}'")
    if not isinstance(kind, str) or kind not in TASK_KINDS:
        near = close_matches(str(kind), TASK_KINDS, n=1)
        ask = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(TASK_KINDS)}"
        # The message is a template, in which braces would be fields.
        shown = str(kind)[:60].replace("{", "(").replace("}", ")")
        raise PydanticCustomError("unknown_task", f"unknown task '{shown}', {ask}")
    if settings is not None and not isinstance(settings, dict):
        raise PydanticCustomError("task_shape", "the settings of a task are a mapping")
    return TASK_KINDS[kind].model_validate(settings or {})


def read_model(value: Any) -> Any:
    """Return a model that is only named is ``{path: name}``."""
    return {"path": value} if isinstance(value, str) else value


class JobSpec(RunSpec):
    """Models × images × tasks, and where the results go."""

    version: Literal[1] = Field(1, description="Version of the job file's language.")
    models: list[Annotated[ModelSpec, BeforeValidator(read_model)]] = Field(
        min_length=1, description="Model files, globs, or names of keras.applications models."
    )
    images: list[ImageEntry] = Field(
        default_factory=list, description="What is explained: files, folders, globs, tables."
    )
    tasks: list[Annotated[TaskSpec, BeforeValidator(read_task)]] = Field(
        min_length=1, description="What to do with every model and image."
    )
    baseline: str | None = Field(
        None, description="Folder of the accepted maps, which `kvis check` compares with."
    )
    checks: Checks = Field(
        default_factory=list, description="What `kvis check` judges the finished maps by."
    )
    pass_: PassSpec = Field(
        default_factory=lambda: PassSpec.model_validate({}),
        alias="pass",
        description="How many images have to pass a check.",
    )

    @model_validator(mode="after")
    def _checks_have_maps(self) -> Self:
        if self.checks and not any(task.needs_images for task in self.tasks):
            raise ValueError("'checks' judge maps, and no task of the job makes one")
        for check in self.checks:
            if check.kind in ("drift", "prediction") and self.baseline is None:
                raise ValueError(
                    f"'{check.kind}' needs a 'baseline': the folder of the accepted maps"
                )
        return self

    def given(self, without: set[str]) -> dict[str, Any]:
        """Return what is not as by default as plain JSON values, `without` some fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=without)

    def with_maps(self) -> JobSpec:
        """Return the job that also keeps its raw maps, which checks are about."""
        return self.model_copy(
            update={
                "tasks": [
                    task.model_copy(update={"raw": True}) if task.needs_images else task
                    for task in self.tasks
                ]
            }
        )

    @model_validator(mode="before")
    @classmethod
    def _output_key(cls, value: Any) -> Any:
        """``output:`` is ``out:``."""
        if isinstance(value, dict) and "output" in value and "out" not in value:
            value = {**value, "out": value["output"]}
            del value["output"]
        return value
