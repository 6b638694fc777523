"""Finished maps as answers to questions: which image, which class, with which settings."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kvis_cli.errors import InputError
from kvis_cli.explanation import MapGrid
from kvis_cli.gate.baseline import Question, image_key, settings_key
from kvis_cli.images.fitting import Placement
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.lazy import np
from kvis_cli.metrics import compare_maps
from kvis_cli.metrics.undefined import Measured
from kvis_cli.options.fields import PICTURE, RUN, flag_of, key_of
from kvis_cli.spec.images import ImageSpec
from kvis_cli.spec.pictures import ExplainSpec

ROUNDING = 1e-5
# Longest side on which maps of different places are compared.
MAX_SIDE = 256
MAX_MAP_BYTES = 512 * 1024 * 1024
# Options of pictures that change the map, too.
_CHANGES_THE_MAP = ("smooth",)
# What is asked stands in the question itself.
_NOT_SETTINGS = ("class", "method", "kind", "metadata")


@dataclass(frozen=True)
class MapAnswer:
    """A model's map for a question.

    Attributes
    ----------
    row
        What the manifest says of it.
    folder
        The result folder.
    settings
        How it was made, whichever model and image.
    known
        Whether the job says of which class the image is, not the model.
    """

    row: ResultRow
    folder: Path
    settings: Mapping[str, Any]
    known: bool = True

    @property
    def question(self) -> Question:
        """What was asked, as a baseline names it."""
        asked = self.row.asked or self.row.target or ""
        return (
            image_key(self.row.image_sha256 or ""),
            settings_key(self.settings),
            quote(asked, safe="+") or "-",
        )

    @property
    def first(self) -> str:
        """Label of the model's first class for the image; empty where it has none."""
        return str(self.row.top[0][0]) if self.row.top else ""

    @property
    def method(self) -> str:
        """Method and variant, for people."""
        return " ".join(part for part in (self.row.method, self.row.variant) if part)

    @property
    def placement(self) -> Placement:
        """Where the model's input lies on the photo."""
        return Placement(*(int(edge) for edge in self.row.placed or (0, 0, 0, 0)))

    def grid(self, shape: tuple[int, ...]) -> MapGrid | None:
        """Return where the cells of the map lie; None where they are stretched over the input."""
        try:
            found = MapGrid.from_json(self.row.grid, shape) if self.row.grid else None
        except (KeyError, TypeError, ValueError):
            return None
        return found if found is not None and found.applied else None

    def map(self) -> np.ndarray:
        """Return the raw map, ``(H, W)``; of a signal ``(1, N)``.

        Returns
        -------
        numpy.ndarray
            The map, unscaled.

        Raises
        ------
        InputError
            For a file that is missing, is no map of kvis, or a map of more axes.
        """
        raw = read_map(self.folder / str(self.row.raw))
        if raw.ndim == 3 and self.row.more.get("channels") == "keep":
            strongest = np.abs(raw).argmax(-1)[..., np.newaxis]
            raw = np.take_along_axis(raw, strongest, -1)[..., 0]
        if raw.ndim == 1:
            raw = raw[np.newaxis]
        if raw.ndim != 2 or not raw.size:
            raise InputError(
                f"'{self.row.raw}' cannot be compared.", f"Its map has the shape {raw.shape}."
            )
        return raw


def answers_of(
    task: ExplainSpec, rows: Iterable[ResultRow], folder: Path, common: Mapping[str, Any]
) -> Iterator[MapAnswer]:
    """Yield what rows of a task answer.

    Parameters
    ----------
    task
        The task.
    rows
        Of maps.
    folder
        The result folder.
    common
        From `common_settings`.

    Yields
    ------
    MapAnswer
        One per row that has a map.
    """
    for row in rows:
        if row.map in ("heatmap", "signed") and row.raw and row.image:
            yield MapAnswer(row, folder, {**common, **_own(task, row)})


def common_settings(task: ExplainSpec, seed: int) -> dict[str, Any]:
    """Return the settings of a task that change its maps, those that are not as by default.

    Parameters
    ----------
    task
        The task.
    seed
        Of the job.

    Returns
    -------
    dict
        Plain JSON values.
    """
    found: dict[str, Any] = {"kind": str(getattr(task, "kind", "")), "seed": seed}
    found["version"] = task.results_version
    values = task.model_dump(mode="json", by_alias=True)
    for name, field in type(task).model_fields.items():
        key, flag = key_of(name, field), flag_of(name, field)
        panel = flag.panel if flag else ""
        drawn = panel in (PICTURE, RUN) and name not in _CHANGES_THE_MAP
        if not drawn and key not in _NOT_SETTINGS and task.changed(name):
            found[key] = values[key]
    return found


def _own(task: ExplainSpec, row: ResultRow) -> dict[str, Any]:
    own = {"method": row.method, "variant": row.variant}
    own["layer"] = str(row.layer) if task.names_layers else ""
    return {key: value for key, value in own.items() if value}


def read_map(path: Path) -> np.ndarray:
    """Return the array ``map`` of an ``.npz`` file, which nobody need have checked.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    numpy.ndarray
        Of floating point, of any shape.

    Raises
    ------
    InputError
        For a file that is missing or damaged, is of pickles, or is larger than 512 MiB unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("map.npy").file_size > MAX_MAP_BYTES:
                raise InputError(f"'{path}' is too large.", "", "It holds more than 512 MiB.")
            with archive.open("map.npy") as stream:
                raw = np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"'{path}' is missing.", "", "Run the job again.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
        raise InputError(f"'{path}' is no map of kvis.", "", "Run the job again.") from None
    if raw.dtype.kind != "f":
        raise InputError(f"'{path}' is no map of kvis.", f"It holds {raw.dtype}.")
    return np.asarray(raw)


def comparable(first: MapAnswer, second: MapAnswer) -> tuple[np.ndarray, np.ndarray, Placement]:
    """Return the maps of two answers to a question over the same area, and where that lies.

    Each is the map as it is where both inputs lie on the photo alike; else both are laid over what
    both models saw of it.

    Parameters
    ----------
    first
        An answer.
    second
        Another model's.

    Returns
    -------
    first, second, placement
        Both maps, and where they lie on the photo.

    Raises
    ------
    InputError
        When a map cannot be read.
    """
    maps = first.map(), second.map()
    grids = [answer.grid(raw.shape) for answer, raw in zip((first, second), maps, strict=True)]
    places = first.placement, second.placement
    if places[0] == places[1] and grids[0] == grids[1]:
        return (*maps, places[0])
    left, top = max(p.left for p in places), max(p.top for p in places)
    right, bottom = min(p.right for p in places), min(p.bottom for p in places)
    laid = []
    for raw, place, grid in zip(maps, places, grids, strict=True):
        moved = Placement(
            place.left - left, place.top - top, place.right - left, place.bottom - top
        )
        laid.append(moved.to_photo(raw, max(1, bottom - top), max(1, right - left), grid))
    return laid[0], laid[1], Placement(left, top, max(right, left + 1), max(bottom, top + 1))


def likeness(first: MapAnswer, second: MapAnswer) -> dict[str, Measured]:
    """Return all measures of the maps of two answers.

    Cells that differ by less than a hundred-thousandth of the largest magnitude are the same: so
    much is rounding, of float32 in a batch of another size.

    Parameters
    ----------
    first
        An answer.
    second
        Another model's.

    Returns
    -------
    dict of str to float or Undefined
        By the names of `kvis_cli.metrics.MEASURES`.

    Raises
    ------
    InputError
        When a map cannot be read.
    """
    one, other, _ = comparable(first, second)
    if one.shape == other.shape and np.isfinite(one).all() and np.isfinite(other).all():
        one, other = (raw / (np.abs(raw).max() or 1.0) for raw in (one.astype(float), other))
        other = np.where(np.abs(one - other) <= ROUNDING, one, other)
    return compare_maps(one, other)


def pinned(sources: Sequence[Source], classes: Mapping[Path, Sequence[str]]) -> list[ImageSpec]:
    """Return the images of a job with the classes that are to be explained of each.

    Parameters
    ----------
    sources
        The images.
    classes
        Path -> classes; an image without any keeps its own.

    Returns
    -------
    list of ImageSpec
        An entry per image, with its box and mask.
    """
    return [
        ImageSpec.model_validate(
            {
                "path": str(source.path),
                "class": list(classes.get(source.path, source.classes)),
                "box": source.box,
                "mask": None if source.mask is None else str(source.mask),
            }
        )
        for source in sources
    ]
