"""Classes and functions that the user names, imported."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from kvis_cli.errors import UsageError
from kvis_cli.shown import said


def custom_objects(references: list[str]) -> dict[str, Any]:
    """``package.module:Name`` references as the mapping that Keras takes.

    Parameters
    ----------
    references
        As after ``--custom-objects``.

    Returns
    -------
    dict
        Name -> class or function.

    Raises
    ------
    UsageError
        For a reference that cannot be imported.
    """
    return {
        reference.partition(":")[2]: imported(reference, "custom object")
        for reference in references
    }


def named_in(config: Any) -> dict[str, Any]:
    """Return the classes that a trusted file names by module and that can be imported."""
    found: dict[str, Any] = {}
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        if not isinstance(item, dict):
            continue
        pending.extend(item.values())
        module, name = item.get("module"), item.get("class_name")
        if isinstance(module, str) and isinstance(name, str) and not module.startswith("keras"):
            with contextlib.suppress(UsageError):
                found[item.get("registered_name") or name] = imported(f"{module}:{name}", "class")
    return found


def imported(reference: str, kind: str) -> Any:
    """Return the object that ``package.module:Name`` names; modules of the current folder included.

    Parameters
    ----------
    reference
        ``package.module:Name``.
    kind
        The noun in the message.

    Returns
    -------
    Any
        What has the name.

    Raises
    ------
    UsageError
        When it cannot be imported.
    """
    module, _, name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        # A console script does not see the folder that it is started in.
        sys.path.append(here)
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        # Whatever the user's own module raises on import is the reason.
        raise UsageError(
            f"The {kind} '{reference}' cannot be imported.",
            f"{type(error).__name__}: {said(error)}.",
            "Write package.module:Name, and run kvis where the package can be imported.",
        ) from None
