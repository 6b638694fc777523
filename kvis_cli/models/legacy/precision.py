"""Mixed and low precision, turned into float32."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from kvis_cli.models.graph.config import Config
from kvis_cli.models.graph.editing import INNER_LAYERS, iterate_layers
from kvis_cli.models.legacy.changes import ChangeLog

_LOW_PRECISION = ("float16", "bfloat16")


def to_float32(config: Config, log: ChangeLog, *, copied: bool) -> Config:
    """Return the config with mixed and half precision replaced by float32."""
    everything = [("", config), *iterate_layers(config)]
    low = [(path, part) for path, layer in everything for part in _wrapped(layer) if _is_low(part)]
    if not low:
        return config
    if not copied:
        return to_float32(copy.deepcopy(config), log, copied=True)
    for path, layer in low:
        log.add("Turned low precision into float32", path)
        _raise_precision(layer["config"])
    return config


def _wrapped(layer: Config) -> Iterator[Config]:
    """Yield a serialised layer and those inside it.

    Such are the layers of ``TimeDistributed``, cells, whole models.
    """
    yield layer
    config = layer.get("config")
    if not isinstance(config, dict):
        return
    for key in INNER_LAYERS:
        value = config.get(key)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and "class_name" in part:
                yield from _wrapped(part)
                for _, inner in iterate_layers(part):
                    yield from _wrapped(inner)


def _is_low(layer: Config) -> bool:
    config = layer.get("config")
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name", inner.get("source_name")) if isinstance(inner, dict) else None
    return isinstance(dtype, str) and (dtype.startswith("mixed_") or dtype in _LOW_PRECISION)


def _raise_precision(config: Config) -> None:
    dtype = config["dtype"]
    if isinstance(dtype, dict) and "source_name" in dtype["config"]:
        # Quantised weights stay what they are; what is computed from them is float32.
        dtype["config"]["source_name"] = "float32"
    else:
        config["dtype"] = "float32"
