"""What was changed in a config, in sentences."""

from __future__ import annotations


class ChangeLog:
    """Collects what was changed: one sentence for each kind, with the layers it happened to."""

    def __init__(self) -> None:
        self._changes: dict[str, list[str]] = {}
        self.unsupported: list[str] = []

    def add(self, what: str, layer: str) -> None:
        """Record a change of a layer."""
        names = self._changes.setdefault(what, [])
        if layer and layer not in names:
            names.append(layer)

    def sentences(self) -> list[str]:
        """Return one sentence per kind of change."""
        found = []
        for what, names in self._changes.items():
            if not names:
                found.append(f"{what}.")
            elif len(names) == 1:
                found.append(f"{what} in '{names[0]}'.")
            else:
                found.append(f"{what} in {len(names)} layers ('{names[0]}' …).")
        return found
