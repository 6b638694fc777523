"""The job spec: everything that a run depends on. Flags and YAML files both become this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.fields import RUN, Spec, option
from kvis_cli.spec.model import ModelSpec

# A new task joins the union and the table; nothing else needs to know its fields.
TaskSpec = CamSpec
TASK_KINDS: dict[str, type[Spec]] = {"cam": CamSpec}


class JobSpec(Spec):
    """Models × images × tasks, and where the results go."""

    version: Literal[1] = 1
    models: list[ModelSpec] = Field(min_length=1)
    images: list[str] = Field(default_factory=list)
    tasks: list[TaskSpec] = Field(min_length=1)
    output: str = option(
        "kvis-out", "Folder for the results.", key="out", short="-o", panel=RUN, metavar="DIR"
    )
    device: str = option(
        "auto", "Where to compute: auto, cpu, gpu or gpu:N.", panel=RUN, metavar="NAME"
    )
    batch_size: int = option(
        16, "Inputs computed at once; less needs less memory.", panel=RUN, ge=1, le=4096
    )
    seed: int = option(0, "Seed of everything random.", panel=RUN, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _task_keys(cls, value: Any) -> Any:
        """``- cam: {…}`` is the task ``{kind: cam, …}``; ``output:`` is ``out:``."""
        if not isinstance(value, dict):
            return value
        if "output" in value:
            value = {**value, "out": value["output"]}
            del value["output"]
        if not isinstance(value.get("tasks"), list):
            return value
        tasks = [
            {"kind": next(iter(t)), **(next(iter(t.values())) or {})}
            if isinstance(t, dict) and len(t) == 1 and next(iter(t)) in TASK_KINDS
            else t
            for t in value["tasks"]
        ]
        return {**value, "tasks": tasks}
