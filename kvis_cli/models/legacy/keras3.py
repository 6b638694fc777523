"""Configs of Keras 3.0 to 3.14 (and of keras-core) that the newest Keras does not take.

Keras 3.0 named its classes by the files that they were in, some of which have moved. Later versions
dropped settings: what today's layers take is in ``data/keras_settings.json``, written by
``tools/keras_settings.py``.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from kvis_cli.models.graph.config import Config
from kvis_cli.models.legacy.changes import ChangeLog
from kvis_cli.models.legacy.fixes import RESIZED, resize_in_use
from kvis_cli.models.legacy.tables import MODULES

CENTRED = "Made RandomCrop, which cut at random even in use, a cut from the centre"
# Versions 3.x whose RandomCrop resized in use, and cut: a later one leaves its input alone.
_LAST_RESIZING, _LAST_CROPPING = 5, 7
# The roots of modules whose classes are exported from a package of today's Keras.
_OLD_ROOTS = ("keras.src.", "keras_core.src.", "keras_core.")
# Layers that change nothing when a model is used: whatever was set of them may be left out.
_TRAINING_LAYERS = ("AugMix", "CutMix", "MixUp", "RandAugment", "Random")


def upgrade_keras3(config: Config, log: ChangeLog, version: str = "") -> Config:
    """Return a config of Keras 3 as today's Keras takes it; the same object where nothing changes.

    Parameters
    ----------
    config
        Of a model; it is not modified.
    log
        Gets a sentence for each kind of change.
    version
        Of the Keras that wrote it, where that is known.

    Returns
    -------
    Config
        `config` itself, or a changed copy.
    """
    crop = _crop_of(version)
    if not any(
        _public(part) or _gone(part) or (crop and part["class_name"] == "RandomCrop")
        for part in _objects(config)
    ):
        return config
    new = copy.deepcopy(config)
    for part in _objects(new):
        module = _public(part)
        if module:
            part["module"] = module
            part["registered_name"] = None
            log.add("Named Keras' classes by the packages that they are in today", _name(part))
        for key in _gone(part):
            del part["config"][key]
            log.add(f"Dropped {part['class_name']}'s '{key}'", _name(part))
        if crop and part["class_name"] == "RandomCrop" and isinstance(part.get("config"), dict):
            resize_in_use(part["config"])
            if crop == "CenterCrop":
                del part["config"]["crop_to_aspect_ratio"]
            part["class_name"] = crop
            log.add(RESIZED if crop == "Resizing" else CENTRED, _name(part))
    return new


def _crop_of(version: str) -> str:
    """Return the layer that a RandomCrop of a version of Keras was in use; empty for none."""
    match = re.match(r"3\.(\d+)", version)
    if match is None or int(match[1]) > _LAST_CROPPING:
        return ""
    return "Resizing" if int(match[1]) <= _LAST_RESIZING else "CenterCrop"


def _objects(config: Config) -> Iterator[Config]:
    """Every part of a config that names a class, the outermost first."""
    pending: list[Any] = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item
            pending.extend(
                value for key, value in reversed(item.items()) if key != "compile_config"
            )


def _name(part: Config) -> str:
    config = part.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return name if isinstance(name, str) else ""


def _public(part: Config) -> str:
    """Return the package that exports a class that is named by its file; empty for other names."""
    module = part.get("module")
    if not isinstance(module, str):
        return ""
    root = next((root for root in _OLD_ROOTS if module.startswith(root)), "")
    rest = module[len(root) :].split(".")
    if not root:
        return "keras" if module == "keras_core" else ""
    if rest[0] in MODULES or rest[0] == "dtype_policies":
        return f"keras.{rest[0]}"
    if rest[0] == "models" and part["class_name"] == "Sequential":
        return "keras"
    if root != "keras.src." and rest[0] in ("models", "ops"):
        return f"keras.src.{'.'.join(rest)}"
    return ""


def _gone(part: Config) -> list[str]:
    """Return the settings of a layer that today's class does not take and that say nothing."""
    config, class_name = part.get("config"), part["class_name"]
    known = _settings().get(class_name)
    module = part.get("module")
    exported = module == "keras.layers" or bool(_public(part))
    if known is None or not isinstance(config, dict) or not exported:
        return []
    idle = class_name.startswith(_TRAINING_LAYERS)
    return [
        key
        for key, value in config.items()
        if key not in known and (idle or value is None or value is False)
    ]


@cache
def _settings() -> dict[str, frozenset[str]]:
    text = resources.files("kvis_cli").joinpath("data/keras_settings.json").read_text("utf-8")
    table = json.loads(text)
    return {name: frozenset((*keys, *table["every"])) for name, keys in table["layers"].items()}
