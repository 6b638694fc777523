"""The images of a job, with what is known about each: its class, its region of interest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvis_cli.errors import SpecError
from kvis_cli.images.finding import find_images
from kvis_cli.images.tables import CsvRow, read_csv
from kvis_cli.options.fields import as_list
from kvis_cli.paths import user_path
from kvis_cli.spec.images import CsvSpec, ImageEntry, ImageSpec

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Source:
    """An image of a job.

    Attributes
    ----------
    path
        Its file.
    classes
        What to explain instead of the tasks' own classes; empty for these.
    box
        Region of interest in pixels: left, top, right, bottom.
    mask
        A picture whose bright half is the region of interest.
    """

    path: Path
    classes: tuple[str, ...] = ()
    box: Box | None = None
    mask: Path | None = None


def find_sources(entries: Sequence[ImageEntry]) -> list[Source]:
    """All images of a job, each file once, in the order of the entries.

    Parameters
    ----------
    entries
        Paths, globs, tables and images with their classes, as in a job.

    Returns
    -------
    list of Source
        A file that is named twice has the classes of both entries.

    Raises
    ------
    UsageError
        For a reference that matches nothing.
    SpecError
        For a table that cannot be read or misses a column.
    """
    found: dict[Path, Source] = {}
    for entry in entries:
        for source in _expand(entry):
            known = found.get(source.path)
            if known is not None:
                classes = tuple(dict.fromkeys((*known.classes, *source.classes)))
                source = replace(
                    source,
                    classes=classes,
                    box=source.box or known.box,
                    mask=source.mask or known.mask,
                )
            found[source.path] = source
    return list(found.values())


def _expand(entry: ImageEntry) -> list[Source]:
    if isinstance(entry, CsvSpec):
        return read_table(entry)
    if isinstance(entry, ImageSpec):
        return [
            Source(
                path,
                tuple(entry.class_),
                entry.box,
                Path(entry.mask.replace("{stem}", path.stem)) if entry.mask else None,
            )
            for path in find_images([entry.path])
        ]
    return [Source(path) for path in find_images([entry])]


def read_table(spec: CsvSpec) -> list[Source]:
    """Return the rows of a CSV file; relative paths in it are relative to it.

    Parameters
    ----------
    spec
        The file and the names of its columns.

    Returns
    -------
    list of Source
        One for each row that names an image.

    Raises
    ------
    SpecError
        For a file that is missing, too large, not UTF-8 or empty, or a broken row.
    UnknownNameError
        For a column that is not there.
    """
    path = Path(spec.csv)
    needed = [c for c in (spec.image, spec.class_, spec.box, spec.mask) if c is not None]
    table = read_csv(path, needed)
    return [_row(spec, row, path) for row in table.rows if row.cells[spec.image]]


def _row(spec: CsvSpec, row: CsvRow, path: Path) -> Source:
    def cell(column: str | None) -> str:
        return row.cells.get(column, "") if column else ""

    mask = cell(spec.mask)
    return Source(
        path.parent / user_path(cell(spec.image)),
        tuple(as_list(cell(spec.class_))),
        _box(cell(spec.box), f"{path}:{row.line}"),
        path.parent / user_path(mask) if mask else None,
    )


def _box(text: str, where: str) -> Box | None:
    if not text:
        return None
    try:
        left, top, right, bottom = (float(v) for v in text.replace(",", " ").split())
    except ValueError:
        raise SpecError(
            f"{where}: '{text[:60]}' is not a box.", "", "Write 'left top right bottom' in pixels."
        ) from None
    return left, top, right, bottom
