"""TensorFlow, imported when it is first used.

Modules that describe methods beside computing them take it from here, so that help, completion
and ``kvis methods`` can list them at once.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stands for a module that is imported at the first look into it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


tf: Any = LazyModule("tensorflow")
