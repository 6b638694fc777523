"""JSON in model files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kvis_cli.models.files.errors import damaged, one_line, unsafe
from kvis_cli.models.files.limits import MAX_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_VALUES


def parse_json(path: Path, raw: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object whose size, depth and number of values are limited."""
    if len(raw) > MAX_JSON_BYTES:
        raise unsafe(path, f"Its {what} is larger than {MAX_JSON_BYTES:,} bytes.")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"Its {what} is not valid JSON ({one_line(str(error))}).") from error
    _check_depth(path, value, what)
    if not isinstance(value, dict):
        raise damaged(path, f"Its {what} is not a JSON object.")
    return value


def _check_depth(path: Path, value: Any, what: str) -> None:
    """Bound nesting and size, so that everything after may recurse."""
    pending = [(value, 1)]
    count = 0
    while pending:
        item, depth = pending.pop()
        if depth > MAX_JSON_DEPTH:
            raise unsafe(path, f"Its {what} is nested more than {MAX_JSON_DEPTH} deep.")
        children: Any = ()
        if isinstance(item, dict):
            children = item.values()
        elif isinstance(item, list):
            children = item
        count += len(children)
        if count > MAX_JSON_VALUES:
            raise unsafe(path, f"Its {what} has more than {MAX_JSON_VALUES:,} values.")
        pending.extend((child, depth + 1) for child in children if isinstance(child, (dict, list)))


def model_config(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a model; ModelError for anything else."""
    if not isinstance(config.get("class_name"), str):
        raise damaged(path, "Its architecture names no model class.")
    if not isinstance(config.get("config", {}), (dict, list)):
        raise damaged(path, "Its architecture has no usable config.")
    return {"config": {}, **config}
