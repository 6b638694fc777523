"""keras-vis' backprop modifiers: rules for the backward pass of rectifiers.

A rule of your own is a function ``(local, g) -> what is handed down``, where ``local(g)`` is the
rectifier's own gradient. It is passed as ``backprop_modifier=``; no copy of the model is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvis_cli.engines.backprop_modifiers import Rule, deconv, guided

    rectified = relu = deconv

__all__ = ["deconv", "get", "guided", "rectified", "relu"]


def get(identifier: str | Rule) -> Rule:
    """Return the rule called `identifier`; a rule is itself.

    Parameters
    ----------
    identifier
        ``guided``, ``relu``, ``rectified``, ``deconv``, or a rule.

    Returns
    -------
    Rule
        A function ``(local, g) -> g``; `local` applies the rectifier's own derivative to a
        gradient.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.
    """
    from kvis_cli.engines.backprop_modifiers import find_rule

    return find_rule(identifier)


def __getattr__(name: str) -> Rule:
    if name in ("deconv", "guided", "rectified", "relu"):
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
