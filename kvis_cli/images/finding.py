"""Finding pictures: files, folders and globs as a list of files."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from kvis_cli.errors import UsageError, close_matches
from kvis_cli.paths import natural_key, user_path

SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
    | {".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff"}
    | {".webp", ".xbm", ".xpm"}
)


def find_images(references: Sequence[str]) -> list[Path]:
    """Files, folders and globs as a list of files, each once, in natural order per reference.

    A folder gives the pictures directly inside it and below it. A file that is named outright is
    taken as it is, whatever its suffix; whether it is a picture shows when it is read.

    Parameters
    ----------
    references
        What the user gave; ``~`` is filled in.

    Returns
    -------
    list of pathlib.Path
        Without repetition.

    Raises
    ------
    UsageError
        For a reference that matches nothing.
    """
    found: dict[Path, None] = {}
    for reference in references:
        path = user_path(reference)
        if path.is_dir():
            files = [f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()]
            if not files:
                raise UsageError(
                    f"The folder '{reference}' holds no pictures.",
                    "Looked for " + ", ".join(sorted(SUFFIXES)[:8]) + " …",
                )
        elif path.exists():
            files = [path]
        elif glob.has_magic(reference):
            files = [f for f in expand_glob(reference) if f.is_file()]
            if not files:
                raise UsageError(f"No file matches '{reference}'.")
        else:
            raise _missing(path, reference)
        found.update(dict.fromkeys(sorted(files, key=natural_key)))
    return list(found)


def expand_glob(pattern: str) -> list[Path]:
    """Return the paths that match `pattern` (``~`` and ``**`` included), in natural order."""
    # pathlib's glob is relative to a folder and refuses absolute patterns.
    found = glob.glob(str(user_path(pattern)), recursive=True)  # noqa: PTH207
    return sorted((Path(f) for f in found), key=natural_key)


def _missing(path: Path, reference: str) -> UsageError:
    parent = path.parent
    near = close_matches(path.name, [p.name for p in parent.iterdir()]) if parent.is_dir() else []
    why = (
        "Did you mean " + " or ".join(f"'{parent / n}'" for n in near) + "?"
        if near
        else ("" if parent.is_dir() else f"There is no folder '{parent}'.")
    )
    return UsageError(f"There is no image '{reference}'.", why, "Give a file, a folder or a glob.")
