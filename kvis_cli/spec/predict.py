"""The ``predict`` task."""

from __future__ import annotations

from typing import ClassVar, Literal

from kvis_cli.options.fields import TARGET, option
from kvis_cli.spec.task import TaskBase

TOP = 5


class PredictSpec(TaskBase):
    """What does the model say? Its first classes for every image, as a table."""

    results_version: ClassVar[int] = 1

    kind: Literal["predict"] = "predict"
    top: int = option(TOP, "How many classes of each image.", panel=TARGET, ge=1, le=1000)
