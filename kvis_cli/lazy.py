"""NumPy and TensorFlow, imported when they are first used.

Modules that describe something beside computing it take them from here, so that help, completion,
``kvis methods``, ``kvis layers`` and most errors come at once.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands for a module that is imported at the first look into it."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

tf: Any = LazyModule("tensorflow")

__all__ = ["LazyModule", "np", "tf"]
