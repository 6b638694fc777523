"""Typer's help in colour, without the parts of Rich that take most of its time to import."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

# typer.rich_utils imports both at its top, for Markdown help and for pretty tracebacks. kvis asks
# for neither, and they bring Pygments and a Markdown parser: half of the time of `kvis --help`.
_UNUSED = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}


def import_rich_help() -> None:
    """Import `typer.rich_utils` with empty stand-ins for what kvis never uses of it."""
    if "typer.rich_utils" in sys.modules:
        return
    stand_ins = {}
    for module, name in _UNUSED.items():
        if module not in sys.modules:
            stand_ins[module] = ModuleType(module)
            setattr(stand_ins[module], name, type(name, (), {}))
    sys.modules.update(stand_ins)
    try:
        drawing: Any = import_module("typer.rich_utils")
    finally:
        for module in stand_ins:
            del sys.modules[module]
    # Typer draws what was typed wrong as it was typed.
    from kvis_cli.cli.terminal import ShownConsole

    drawing.Console = ShownConsole
