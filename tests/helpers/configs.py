"""Configs of models, changed."""

from __future__ import annotations

from typing import Any


def without_stored_shapes(value: Any) -> Any:
    """Return a copy of a config of Keras 3 that says no shape of a tensor or of a built layer."""
    if isinstance(value, dict):
        drop = {"shape"} if "keras_history" in value else {"build_config"}
        return {k: without_stored_shapes(v) for k, v in value.items() if k not in drop}
    return [without_stored_shapes(v) for v in value] if isinstance(value, list) else value
