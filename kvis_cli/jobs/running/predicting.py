"""One pass over the images of a chunk that asks for predictions alone."""

from __future__ import annotations

from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.running.chunk import ChunkRun
from kvis_cli.jobs.running.decoding import Prepared
from kvis_cli.runtime.cores import side_threads
from kvis_cli.spec.predict import PredictSpec
from kvis_cli.tasks.base import Answer


class PredictionRun(ChunkRun):
    """Records what the model says about each image; there is nothing to draw."""

    @property
    def top(self) -> int:  # type: ignore[override]
        """How many classes of each image are recorded."""
        assert isinstance(self.chunk.spec, PredictSpec)
        return self.chunk.spec.top

    def run(self) -> None:
        """Predict all images."""
        self.explain_all(side_threads(self.work.job.workers))

    def take(self, prepared: Prepared, answer: Answer, top: list[tuple[str, float]]) -> None:
        """Record a prediction."""
        for task in prepared.source.tasks:
            row = ResultRow(**self.about(prepared, task, top), places=[0], warnings=self.doubts())
            self.sink.done(task, [row])
