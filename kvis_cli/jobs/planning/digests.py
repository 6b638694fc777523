"""Hashes of files, remembered for as long as the files are as they were."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from kvis_cli.errors import OutputError
from kvis_cli.paths import write_bytes_atomic

# Beside the results. It may be removed at any time.
NAME = ".hashes.json"

# A file that was changed so shortly before it was read may change again without its times
# showing it: clocks of file systems tick coarsely.
SETTLED_NS = 2_000_000_000

Stamp = list[int]


class Digests:
    """SHA-256 of files by path; a file whose size, times and inode are unchanged is not rehashed.

    The content's hash alone says what a file is. Size, inode and both times (`ctime` changes with
    every change of a file, whoever sets its `mtime`) only tell whether it has to be computed.

    Parameters
    ----------
    folder
        A result folder, in which the last run has remembered hashes; None for no memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._known: dict[str, tuple[Stamp, str]] = {}
        self._found: dict[str, tuple[Stamp, str]] = {}
        try:
            known = json.loads((folder / NAME).read_text("utf-8")) if folder else None
        except (OSError, ValueError):
            return
        for path, entry in known.items() if isinstance(known, dict) else ():
            match entry:
                case [list(stamp), str(digest)]:
                    self._known[path] = stamp, digest

    def file(self, path: Path) -> str:
        """Return the hash of a file's bytes; empty where it cannot be read."""
        name = str(path.absolute())
        try:
            stamp = _stamp(path)
            if name in self._known and self._known[name][0] == stamp:
                digest = self._known[name][1]
            else:
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                if _stamp(path) != stamp:
                    return digest
        except OSError:
            return ""
        if time.time_ns() - max(stamp[1:3]) > SETTLED_NS:
            self._found[name] = stamp, digest
        return digest

    def remember(self, folder: Path) -> None:
        """Write what was asked for into a result folder; without room for it, do not."""
        text = json.dumps(dict(sorted(self._found.items())))
        with suppress(OutputError):
            write_bytes_atomic(folder / NAME, text.encode())


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]
