"""Errors of Keras on opening, in words that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kvis_cli.errors import ModelError, UntrustedError, UsageError, WeightsError
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.trust import missing_class
from kvis_cli.models.live.imports import named_in
from kvis_cli.shown import said


@contextlib.contextmanager
def explained(info: ModelInfo) -> Iterator[None]:
    """Keras' own errors in words that say what to do."""
    try:
        yield
    except (ModelError, UsageError, WeightsError):
        raise
    except Exception as error:
        raise _explanation(info, error) from error


def _explanation(info: ModelInfo, error: Exception) -> ModelError:
    text = said(error, 2000)
    # ("unsafe" alone is also what NumPy says of a cast.)
    if any(words in text for words in ("safe_mode", "unsafe_deserial", "arbitrary code")):
        return UntrustedError(
            f"{info.reference} holds code that would run on opening.",
            f"{text[:240]}.",
            "If you trust the file, add --trust.",
        )
    found = named_in(info.config) if info.spec.trust else {}
    unknown = missing_class(info, [name.rpartition(">")[2] for name in found])
    if unknown is not None:
        return unknown
    missing = ("Could not locate", "Unknown layer", "is not registered", "cannot be imported")
    if any(words in text for words in missing):
        return ModelError(
            f"{info.reference} needs a class that is not part of Keras.",
            text[:240],
            "Give it with --custom-objects package.module:Name.",
        )
    return ModelError(
        f"Keras cannot open {info.reference}.",
        f"{type(error).__name__}: {text[:400]}",
        "" if info.native else "`kvis layers` shows its layers and what would be upgraded.",
    )
