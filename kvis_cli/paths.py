"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from kvis_cli.errors import UsageError


def user_path(text: str) -> Path:
    """The path that `text` means, ``~`` and ``~name`` filled in where there is such a home.

    Raises
    ------
    UsageError
        For a text that no file system takes as a path.
    """
    if "\0" in text:
        raise UsageError(f"'{text}' is no path.", "It holds a NUL character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        # A file may be called so, and where there is none, the message names it.
        return Path(text)
