"""A folder that a training run writes its checkpoints into."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kvis_cli.errors import KvisError, UsageError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.files.read import check_safe
from kvis_cli.models.request import ModelSpec
from kvis_cli.paths import MODEL_SUFFIXES, natural_key
from kvis_cli.spec.job import JobSpec

Stamp = tuple[int, int]


@dataclass
class CheckpointFolder:
    """Finds checkpoints that are whole: files, and the folders of SavedModels.

    One counts once its size and time have stayed the same between two looks, and it can be read as
    a model: a training run may be writing it.

    Attributes
    ----------
    folder
        Where the run saves.
    spec
        How its models are to be read.
    broken
        Files that stand still and cannot be read, and why.
    """

    folder: Path
    spec: ModelSpec
    broken: dict[Path, KvisError] = field(default_factory=dict)
    _seen: dict[Path, Stamp] = field(default_factory=dict)
    _whole: dict[Path, Stamp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UsageError(
                f"There is no folder '{self.folder}'.",
                "",
                "Name the folder that the training run saves its checkpoints in.",
            )

    def look(self) -> list[Path]:
        """Return the whole checkpoints, in natural order."""
        found = [p for p in self.folder.iterdir() if _is_checkpoint(p)]
        stamps = {path: stamp for path in found if (stamp := _stamp(path))}
        for path, stamp in stamps.items():
            if self._seen.get(path) != stamp or self._whole.get(path) == stamp:
                continue
            try:
                describe_model(self.spec.model_copy(update={"path": str(path)}))
                check_safe(path)
            except KvisError as error:
                self.broken[path] = error
            else:
                self.broken.pop(path, None)
                self._whole[path] = stamp
        self._seen = stamps
        whole = [path for path, stamp in stamps.items() if self._whole.get(path) == stamp]
        return sorted(whole, key=natural_key)

    def stamps(self) -> dict[Path, Stamp]:
        """Size and time of the checkpoints that are whole."""
        return {path: self._whole[path] for path in self._seen if path in self._whole}


def with_models(job: JobSpec, paths: Sequence[Path]) -> JobSpec:
    """`job` for these model files, each read as the job's first model."""
    first = job.models[0]
    models = [first.model_copy(update={"path": str(path)}) for path in paths]
    return job.model_copy(update={"models": models})


def watch_folder(
    folder: CheckpointFolder,
    found: Callable[[list[Path]], None],
    *,
    every: float,
    idle: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Call `found` with all whole checkpoints whenever one is new or another.

    Parameters
    ----------
    folder
        What is watched.
    found
        Does something with the checkpoints.
    every
        Seconds between two looks.
    idle
        Return when nothing was new for so many seconds; None for never.
    sleep
        Waits.
    """
    done: dict[Path, Stamp] = {}
    quiet = 0.0
    while True:
        paths = folder.look()
        stamps = folder.stamps()
        if paths and any(done.get(path) != stamps[path] for path in paths):
            found(paths)
            done = {path: stamps[path] for path in paths}
            quiet = 0.0
        elif idle is not None and quiet >= idle:
            return
        sleep(every)
        quiet += every


def _is_checkpoint(path: Path) -> bool:
    return path.suffix.lower() in MODEL_SUFFIXES or (path / "saved_model.pb").is_file()


def _stamp(path: Path) -> Stamp | None:
    """Size and time, of a folder those of all that is in it."""
    try:
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        stats = [p.stat() for p in files]
    except OSError:
        # Renamed or removed since the folder was listed.
        return None
    if not stats:
        return None
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
