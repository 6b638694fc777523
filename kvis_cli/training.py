"""Explaining a model while it trains."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from PIL import Image

from kvis_cli.errors import KvisError, UsageError
from kvis_cli.events import Listener
from kvis_cli.jobs.running.animating import explain_frames
from kvis_cli.jobs.running.checkpoints import with_models
from kvis_cli.jobs.running.runner import Options, Outcome, run_job
from kvis_cli.paths import user_path
from kvis_cli.spec.build import build_job
from kvis_cli.spec.file import read_job
from kvis_cli.spec.job import JobSpec


class KvisCallback(keras.callbacks.Callback):
    """Runs a job on the model at the ends of epochs, into the same folder and report as `kvis run`.

    Each time the model is saved as ``OUTPUT/checkpoints/epoch-003.keras``, so that every picture
    can be made again. A job that fails is a warning: it never ends the training.

    Parameters
    ----------
    job
        A job file, or what stands in one as a mapping. Its ``models`` may be left out in a
        mapping; of a file the first one says how the model is read.
    every
        Explain after every so many epochs, and after the last.
    tensorboard
        A folder for image summaries, which TensorBoard shows under "Images"; None for none.

    Raises
    ------
    SpecError
        For a job that is not one.

    Examples
    --------
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> job = {"images": ["sample_models/images/house.png"], "tasks": [{"cam": {"class": "top1"}}]}
    >>> callback = KvisCallback({**job, "output": "attention"}, every=5)
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> history = model.fit(
    ...     np.zeros((1, 96, 96, 3)), np.zeros(1), epochs=1, verbose=0, callbacks=[callback]
    ... )
    >>> sorted(path.name for path in callback.checkpoints.iterdir())
    ['epoch-001.keras']
    """

    def __init__(
        self,
        job: str | Path | Mapping[str, Any] | JobSpec,
        every: int = 1,
        *,
        tensorboard: str | Path | None = None,
    ) -> None:
        super().__init__()
        if every < 1:
            raise UsageError(f"A job cannot be run every {every} epochs.", "", "Use 1 or more.")
        if isinstance(job, JobSpec):
            self.job = job
        elif isinstance(job, Mapping):
            self.job = build_job({"models": [{"path": "model"}], **job})
        else:
            self.job = read_job(Path(job))
        self.every = every
        self.tensorboard = None if tensorboard is None else Path(tensorboard)
        self.outcome: Outcome | None = None
        self._explained = -1
        self._epoch = -1

    @property
    def checkpoints(self) -> Path:
        """Where the explained models are saved."""
        return user_path(self.job.output) / "checkpoints"

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Explain after every so many epochs."""
        del logs
        self._epoch = epoch
        if (epoch + 1) % self.every == 0:
            self._explain(epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """Explain the last epoch, where that was not done."""
        del logs
        if self._epoch >= 0 and self._explained != self._epoch:
            self._explain(self._epoch)

    def _explain(self, epoch: int) -> None:
        self._explained = epoch
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            path = self.checkpoints / f"epoch-{epoch + 1:03d}.keras"
            self.model.save(path)
            saved = sorted(self.checkpoints.glob("epoch-*.keras"))
            # Epochs that an earlier training left behind are not this one's.
            mine = [p for p in saved if p <= path]
            job = with_models(self.job, mine)
            options = Options(resume=True, growing=True)
            self.outcome = run_job(job, options=options)
            if self.outcome.changed:
                explain_frames(job, self.outcome.folder, Listener(), options)
            self._report(self.outcome)
        except (KvisError, OSError) as error:
            warnings.warn(f"kvis could not explain epoch {epoch + 1}: {error}", stacklevel=2)
            return
        for what, failure in self.outcome.failures:
            warnings.warn(f"kvis, epoch {epoch + 1}, {what}: {failure}", stacklevel=2)
        if self.tensorboard is not None:
            self._summarise(self.outcome, path, epoch)

    def _report(self, outcome: Outcome) -> None:
        from kvis_cli.report import finish_reports

        finish_reports(outcome.folder, self.job.report, self.job.gif, outcome.changed, Listener())

    def _summarise(self, outcome: Outcome, model: Path, epoch: int) -> None:
        metadata = tf.compat.v1.SummaryMetadata()
        # The tag and the three strings are what TensorBoard's image plugin reads.
        metadata.plugin_data.plugin_name = "images"
        writer = tf.summary.create_file_writer(str(self.tensorboard))
        with writer.as_default():
            for row in outcome.rows:
                path = outcome.folder / str(row.file)
                if path.suffix != ".png" or model.stem not in row.model:
                    continue
                with Image.open(path) as image:
                    size = [str(n).encode() for n in image.size]
                value = tf.constant([*size, path.read_bytes()])
                name = path.stem.removeprefix(f"{model.stem}_")
                tf.summary.write(f"kvis/{name}", value, step=epoch + 1, metadata=metadata)
        writer.close()
