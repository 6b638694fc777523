"""Errors about model files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kvis_cli.errors import KvisError, ModelError
from kvis_cli.shown import shown

SAVE_AGAIN = "Save it again with `model.save('model.keras')`, or copy the file again."


@contextmanager
def as_model_error(path: Path) -> Iterator[None]:
    """Whatever a parser raises on a broken file becomes a `ModelError`."""
    try:
        yield
    except KvisError:
        raise
    except PermissionError as error:
        raise ModelError(f"'{path}' cannot be read.", "Permission denied.") from error
    except MemoryError as error:
        raise damaged(path, "A size in it is absurd.") from error
    except Exception as error:
        # h5py, zipfile, zlib and struct have no common base, and each raises several.
        raise damaged(path, f"{one_line(str(error)) or type(error).__name__}.") from error


def damaged(path: Path, why: str) -> ModelError:
    """Return the error for a damaged file."""
    return ModelError(f"'{path}' is damaged or incomplete.", why, SAVE_AGAIN)


def unsafe(path: Path, why: str) -> ModelError:
    """Return the error for a file that must not be read."""
    return ModelError(
        f"'{path}' is refused as unsafe.",
        why,
        "Keras writes no such files: ask its author for a plain `model.save()`.",
    )


def one_line(text: str, limit: int = 160) -> str:
    """`text` for a message: one line, printable, not too long."""
    line = shown(" ".join(text.split())).rstrip(".")
    return line if len(line) <= limit else line[: limit - 1] + "…"
