"""What makes two tasks the same: the contents that went in and the settings, never the names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kvis_cli.errors import KvisError
from kvis_cli.jobs.planning.digests import Digests
from kvis_cli.models.description.applications import parse_reference
from kvis_cli.models.description.sidecar import sidecar_path
from kvis_cli.models.files.read import read_model_file
from kvis_cli.models.request import ModelSpec
from kvis_cli.paths import user_path

ID_LENGTH = 32


def hash_of(*parts: Any) -> str:
    """Return a short hash of plain JSON values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def content_digest(path: Path, digests: Digests) -> str:
    """SHA-256 of a file's bytes, of all files of a folder; empty where it cannot be read."""
    try:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            return hash_of([(p.relative_to(path).as_posix(), digests.file(p)) for p in files])
        if path.suffix.lower() == ".json":
            # Its weights are in files beside it.
            parts = [path, *read_model_file(path, allow_weights_only=True).beside]
            return hash_of([(p.name, digests.file(p)) for p in parts])
    except (KvisError, OSError):
        return ""
    return digests.file(path)


def model_digest(spec: ModelSpec, seed: int, digests: Digests) -> str:
    """Return a hash of a model's content; an application's is of its name and its weights."""
    path = user_path(spec.path)
    if path.exists():
        return content_digest(path, digests)
    reference = parse_reference(spec.path)
    if reference is None:
        return ""
    if reference.weights == "random":
        return hash_of(reference.name, "random", seed)
    if reference.weights == "imagenet":
        return hash_of(reference.name, "imagenet")
    return hash_of(reference.name, digests.file(user_path(reference.weights)))


def model_settings(spec: ModelSpec, digests: Digests) -> dict[str, Any]:
    """Everything besides the model itself that changes its inputs, outputs or captions."""
    settings: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude={"path"})
    path = user_path(spec.path)
    beside = [
        sidecar_path(path),
        path.with_name("model.kvis.yaml"),
        path.with_name(f"{path.stem}.labels.txt"),
        path.with_name("labels.txt"),
    ]
    if spec.arch and spec.arch.lower().endswith(".json"):
        beside.append(user_path(spec.arch))
    if spec.labels:
        beside.append(user_path(spec.labels))
    settings["files"] = [digests.file(p) for p in beside if p.is_file()]
    return settings
