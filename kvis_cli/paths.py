"""File names and paths, and atomic writing."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from kvis_cli.errors import OutputError, UsageError, first_line


def user_path(text: str) -> Path:
    """Return the path that `text` means, ``~`` and ``~name`` filled in where there is such a home.

    Parameters
    ----------
    text
        What the user typed.

    Returns
    -------
    pathlib.Path
        Not resolved: relative paths stay relative.

    Raises
    ------
    UsageError
        For a text that no file system takes as a path.
    """
    if "\0" in text:
        raise UsageError(f"'{text}' is not a path.", "It holds a NUL character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        # A file may be called so, and where there is none, the message names it.
        return Path(text)


def write_bytes_atomic(path: str | Path, data: bytes) -> Path:
    """Write a file under a temporary name beside `path`, then rename it.

    A reader sees the old file or the new one, never a part; a failure leaves nothing behind. The
    folder is made where it is missing.

    Parameters
    ----------
    path
        The file.
    data
        All that it is to hold.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    OutputError
        Read-only folder, full disk, a folder of that name, a name that is too long ...
    """
    path = Path(path)
    temporary = path.parent / f".kvis-{os.getpid()}-{secrets.token_hex(6)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"Cannot write '{path}'.", *_advice(error, path)) from error
    return path


def _advice(error: OSError, path: Path) -> tuple[str, str]:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "The disk is full.", "Free some space or choose another folder."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"The folder '{path.parent}' is not writable.", "Choose another folder."
        case errno.EISDIR:
            return "A folder of that name exists.", "Remove it or choose another name."
        case errno.ENAMETOOLONG:
            return "The name is too long for the file system.", "Choose a shorter name."
        case errno.ENOTDIR | errno.EEXIST:
            return f"A part of '{path.parent}' is a file, not a folder.", "Choose another folder."
    return f"{error.strerror or first_line(error)}.", "Choose another folder."


def safe_name(text: str) -> str:
    """`text` as part of a file name: letters, digits and ``._+-`` only, not empty, not hidden.

    Parameters
    ----------
    text
        Such as a class label.

    Returns
    -------
    str
        At most 80 characters.

    Examples
    --------
    >>> safe_name("water ouzel, dipper"), safe_name("../..")
    ('water-ouzel-dipper', 'unnamed')
    """
    name = re.sub(r"[^\w.+-]+", "-", text).strip("-.")
    return name[:80] or "unnamed"


def unique_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a short file name for each path: its stem, with parent folders where stems repeat.

    Parameters
    ----------
    paths
        Different paths.

    Returns
    -------
    dict
        Path -> name.

    Examples
    --------
    >>> sorted(unique_names([Path("a/model.h5"), Path("b/model.h5"), Path("other.h5")]).values())
    ['a-model', 'b-model', 'other']
    """
    names: dict[Path, str] = {}
    pending, depth = list(paths), 1
    while pending:
        by_name: dict[str, list[Path]] = {}
        for path in pending:
            parts = [*path.resolve().parts[:-1][-(depth - 1) :], path.stem] if depth > 1 else []
            by_name.setdefault(safe_name("-".join(parts) or path.stem), []).append(path)
        pending = []
        for name, same in by_name.items():
            taken = name in names.values()
            if len(same) == 1 and not taken:
                names[same[0]] = name
            elif depth > 4:
                for number, path in enumerate(same, 1):
                    names[path] = f"{name}-{number}{path.suffix.replace('.', '-')}"
            else:
                pending.extend(same)
        depth += 1
    return names


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts ``epoch-9`` before ``epoch-10``.

    Parameters
    ----------
    path
        Any path.

    Returns
    -------
    list of tuple
        Numbers before texts, part by part.

    Examples
    --------
    >>> [p.name for p in sorted([Path("epoch-10"), Path("epoch-9")], key=natural_key)]
    ['epoch-9', 'epoch-10']
    """
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in parts]


MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
