"""The functions of keras-vis under their own names: ``import kvis_cli.keras_vis as vis``.

Importing it is instant: a module is imported at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "backend",
    "backprop_modifiers",
    "callbacks",
    "grad_modifiers",
    "input_modifiers",
    "losses",
    "optimizer",
    "regularizers",
    "utils",
    "visualization",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
