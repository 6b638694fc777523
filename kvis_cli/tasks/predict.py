"""The ``predict`` task: what a model says about each image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kvis_cli.events import Listener
from kvis_cli.models.live.open import OpenModel
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.predict import PredictSpec
from kvis_cli.tasks.base import Answer
from kvis_cli.tasks.outputs import outputs_of


class PredictTask:
    """Answers with the model's output alone.

    Parameters
    ----------
    opened
        The model.
    task
        Not read.
    job
        Not read.
    """

    def __init__(self, opened: OpenModel, task: PredictSpec, job: JobSpec) -> None:
        del task, job
        self.notes: list[str] = []
        self._outputs = outputs_of(opened)

    def retarget(self, task: PredictSpec) -> None:
        """Do nothing: no class is asked for."""

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """See `kvis_cli.tasks.base.ModelTask`."""
        del listener
        assert inputs is not None
        for output in self._outputs(inputs):
            yield Answer([], output)
