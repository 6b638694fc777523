"""What other packages add to kvis, by entry points.

================  ===========================================================================
group             what an entry names
================  ===========================================================================
``kvis.methods``  a module that enters CAM or saliency methods into the registries
``kvis.losses``   a loss for activation maximization: a class or an object of
                  `kvis_cli.engines.activation_maximization.losses.Loss`, or a function of its
                  `View`; the entry's name is the loss's
``kvis.palettes`` 256 colours ``(256, 3)`` in 0..255, or a function that gives them; the entry's
                  name is the palette's
================  ===========================================================================
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

METHODS = "kvis.methods"
LOSSES = "kvis.losses"
PALETTES = "kvis.palettes"

_loaded: set[str] = set()


def load_methods() -> None:
    """Import every module that enters methods, once. The registries call this when they are whole.

    Warns
    -----
    UserWarning
        For a package that cannot be imported; the others are there all the same.
    """
    for name, entry in _entries(METHODS).items():
        if name in _loaded:
            continue
        _loaded.add(name)
        _load(entry)


def loss_names() -> list[str]:
    """Return the losses that other packages bring."""
    return sorted(_entries(LOSSES))


def loss(name: str) -> Any:
    """Return what one of `loss_names` names; None where there is nothing of the name.

    Parameters
    ----------
    name
        Of an entry point of the group ``kvis.losses``.

    Returns
    -------
    object
        A loss, its class, or a function; None where it cannot be imported either.

    Warns
    -----
    UserWarning
        For one that cannot be imported.
    """
    entry = _entries(LOSSES).get(name)
    return None if entry is None else _load(entry)


def palette_names() -> list[str]:
    """Return the palettes that other packages bring."""
    return sorted(_entries(PALETTES))


def palette(name: str) -> np.ndarray | None:
    """Return the colours ``(256, 3)`` of one of `palette_names`.

    None where there is nothing of the name.

    Parameters
    ----------
    name
        Of an entry point of the group ``kvis.palettes``.

    Returns
    -------
    numpy.ndarray or None
        ``(256, 3)``, in the range of the package; None where there is none.

    Warns
    -----
    UserWarning
        For one that cannot be imported, or is not a palette.
    """
    entry = _entries(PALETTES).get(name)
    found = _load(entry) if entry is not None else None
    if found is None:
        return None
    # Help and spec errors list methods by way of this module and need no arrays.
    import numpy as np

    colours = np.asarray(found() if callable(found) else found)
    if colours.shape != (256, 3):
        warnings.warn(
            f"The palette '{name}' has the shape {colours.shape}, not (256, 3).", stacklevel=2
        )
        return None
    return colours


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def _load(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        warnings.warn(
            f"The entry point '{entry.name}' of {entry.group} ({entry.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}.",
            stacklevel=2,
        )
        return None
