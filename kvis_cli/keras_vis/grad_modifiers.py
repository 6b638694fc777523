"""keras-vis' gradient modifiers, as functions and by name.

They are those of `kvis_cli.engines.gradient_modifiers`; a function of your own takes a tensor
``(B, …)`` and gives one of the same shape.
"""

from kvis_cli.engines.gradient_modifiers import (
    Modify,
    absolute,
    find_modifier,
    invert,
    negate,
    relu,
    small_values,
)

__all__ = ["absolute", "get", "invert", "negate", "relu", "small_values"]


def get(identifier: str | Modify | None) -> Modify:
    """Return the function called `identifier`; a function is itself, None changes nothing.

    Parameters
    ----------
    identifier
        A name such as ``absolute``, a function of a tensor ``(B, …)``, or None.

    Returns
    -------
    Modify
        From a tensor to one of the same shape.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.
    """
    return find_modifier(identifier).modify
