"""A finished run as reports see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kvis_cli.errors import InputError, UsageError
from kvis_cli.jobs.results.resume import read_finished
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.sound import parse, sound_run
from kvis_cli.jobs.results.store import MANIFEST, RUN, read_rows
from kvis_cli.paths import natural_key

Group = tuple[str, str, str, str, str, int]


@dataclass(frozen=True)
class FinishedRun:
    """The contents of a result folder.

    Attributes
    ----------
    folder
        The folder.
    about
        ``run.json``; empty where a run was cut short before it was written.
    rows
        Pictures that are there, by model, image and method.
    failures
        Tasks that failed.
    predictions
        What models said about images, which has no picture.
    """

    folder: Path
    about: dict[str, Any]
    rows: list[ResultRow]
    failures: list[ResultRow]
    predictions: list[ResultRow] = field(default_factory=list)

    @cached_property
    def models(self) -> list[str]:
        """Model names: in the job's order, then the others in natural order."""
        named = [str(m.get("name")) for m in self.about.get("models") or []]
        seen = {model_of(row) for row in (*self.rows, *self.failures, *self.predictions)}
        rest = sorted(seen - set(named), key=lambda name: natural_key(Path(name)))
        return [name for name in named if name in seen] + rest

    @cached_property
    def images(self) -> dict[str, str]:
        """Image name -> path, in the job's order, then the others."""
        rows = [row for row in (*self.rows, *self.failures) if row.image_name]
        seen = {row.image_name: row.image for row in rows}
        named = [str(i.get("name")) for i in self.about.get("images") or []]
        order = [n for n in named if n in seen] + sorted(set(seen) - set(named))
        return {name: seen[name] for name in order}

    @cached_property
    def groups(self) -> dict[Group, dict[str, ResultRow]]:
        """The same question asked of every model: group -> model name -> row."""
        found: dict[Group, dict[str, ResultRow]] = {}
        for row in self.rows:
            for place in row.places or [0]:
                key = (
                    row.image_name,
                    row.kind,
                    row.method,
                    row.variant,
                    # Models of one job may call their layers differently.
                    row.entry,
                    int(place),
                )
                found.setdefault(key, {})[model_of(row)] = row
        return found

    @property
    def warned(self) -> list[ResultRow]:
        """Pictures to be believed only with care."""
        return [row for row in self.rows if row.warnings]


def model_of(row: ResultRow) -> str:
    """Return the model's name within its run."""
    return row.model_name or Path(row.model).stem


def load_run(folder: Path) -> FinishedRun:
    """Read a result folder.

    Parameters
    ----------
    folder
        With ``manifest.jsonl``, or the journal of a run that has not ended.

    Returns
    -------
    FinishedRun
        Pictures and failures, by model, image and method.

    Raises
    ------
    UsageError
        When it is not there.
    InputError
        When it holds no results.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder '{folder}'.", "", "Give the --out folder of a run of kvis."
        )
    finished = read_finished(folder)
    manifest = read_rows(folder / MANIFEST)
    if not manifest and not finished.rows:
        raise InputError(
            f"'{folder}' holds no results.", f"There is no {MANIFEST} in it.", "Run a job first."
        )
    try:
        about = parse((folder / RUN).read_bytes())
    except (OSError, ValueError):
        about = {}
    found = [row for rows in finished.rows.values() for row in rows]
    rows = [row for row in found if row.file]
    failed = [r for r in manifest if r.status == "failed"]
    failed = [r for r in failed if r.task not in finished.rows]
    said = [row for row in found if not row.file]
    run = FinishedRun(folder, about if sound_run(about) else {}, rows, failed, said)
    models = {name: i for i, name in enumerate(run.models)}
    images = {name: i for i, name in enumerate(run.images)}

    def place(row: ResultRow) -> tuple[int, int, str, list[int]]:
        return (
            images.get(row.image_name, -1),
            models[model_of(row)],
            row.method,
            list(row.places or [0]),
        )

    return FinishedRun(
        folder,
        run.about,
        sorted(rows, key=place),
        sorted(failed, key=place),
        sorted(said, key=place),
    )
