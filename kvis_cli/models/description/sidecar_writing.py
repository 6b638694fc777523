"""Writing a model's sidecar: what the user said, else what kvis would choose and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from kvis_cli.errors import KvisError, OutputError, UsageError
from kvis_cli.models.description.evidence.feeding import choose
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.labels import read_labels
from kvis_cli.models.description.sidecar import sidecar_path
from kvis_cli.models.description.trust import check_code
from kvis_cli.paths import user_path
from kvis_cli.shown import shown


def write_sidecar(info: ModelInfo, *, force: bool = False, reason: str = "") -> Path:
    """Write the sidecar of a model file beside it.

    Parameters
    ----------
    info
        The model. What its request says is written down.
    force
        Replace a sidecar that is there.
    reason
        Why the preprocessing is what it is; without it, what the choice itself says.

    Returns
    -------
    pathlib.Path
        The sidecar's file.

    Raises
    ------
    UsageError
        For a model that is not a file, or a sidecar that is there and not to be replaced.
    OutputError
        When it cannot be written.
    """
    if info.file is None:
        raise UsageError(
            f"{info.reference} is not a file.", "A sidecar lies beside the file of a model."
        )
    path = sidecar_path(info.file.path)
    if path.exists() and not force:
        raise UsageError(f"'{path}' exists.", "", "Edit it, or add --force to replace it.")
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(sidecar_text(info, path.parent, reason), "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written.", f"{error.strerror}.") from error
    return path


def sidecar_text(info: ModelInfo, folder: Path, reason: str = "") -> str:
    """Return the sidecar as YAML with a comment for every choice."""
    lines = [f"# What kvis knows about {shown(Path(info.reference).name)} beyond its file."]
    choice = choose(info)
    reason = shown(reason or choice.reason)
    lines += [f"# {reason}"] if choice.certain else [f"# A guess: {reason}"]
    lines.append(_entry("preprocess", choice.preprocessing.to_spec()))
    lines += _labels(info, folder)
    lines += _layer(info)
    if info.spec.size:
        lines.append(_entry("size", info.spec.size))
    elif any(i.shape is not None and None in i.shape[1:] for i in info.architecture.inputs):
        lines += ["# The model leaves its input size open.", "# size: 224"]
    lines += _replacements(info)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> str:
    return yaml.safe_dump({key: value}, allow_unicode=True, sort_keys=False).rstrip()


def _labels(info: ModelInfo, folder: Path) -> list[str]:
    if info.spec.labels:
        if info.spec.labels.lower() == "imagenet":
            return [_entry("labels", "imagenet")]
        file = user_path(info.spec.labels).resolve()
        read_labels(file)
        # Relative to the sidecar, so that both can be moved together.
        return [_entry("labels", os.path.relpath(file, folder.resolve()))]
    try:
        head = info.head()
    except KvisError:
        return []
    if head.labels.names and len(head.labels.names) <= 100:
        return [f"# from {shown(head.labels.source)}", _entry("labels", list(head.labels.names))]
    if head.labels.names:
        return [_entry("labels", "imagenet")]
    return [f"# {head.classes} classes, whose names are not known.", "# labels: labels.txt"]


def _layer(info: ModelInfo) -> list[str]:
    try:
        call, reason = info.cam_layer("auto")
    except KvisError:
        return []
    return [f"# {shown(reason)}", _entry("layer", call.path)]


def _replacements(info: ModelInfo) -> list[str]:
    if info.replacements:
        pairs = (text.partition("=") for text in info.replacements)
        return [_entry("replace_layer", {name.strip(): layer for name, _, layer in pairs})]
    try:
        check_code(info)
    except KvisError:
        names = info.upgraded.lambdas if info.upgraded else []
        if not names:
            return []
        lines = ["# What the layers with code compute; kvis never runs the code itself."]
        lines.append("# replace_layer:")
        lines += [f"#   {shown(name)}: rescaling:scale=1/127.5,offset=-1" for name in names]
        return lines
    return []
