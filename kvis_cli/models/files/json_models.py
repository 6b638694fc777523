"""Models that begin with a JSON file: of TensorFlow.js, or an architecture with weights beside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kvis_cli.errors import ModelError
from kvis_cli.models.files.errors import as_model_error, unsafe
from kvis_cli.models.files.json import model_config, parse_json
from kvis_cli.models.files.kinds import HDF5_MAGIC, ModelFile
from kvis_cli.models.files.limits import MAX_JSON_BYTES
from kvis_cli.models.files.tfjs import groups, is_tfjs, topology
from kvis_cli.paths import user_path

_HDF5 = (".weights.h5", ".h5", ".hdf5")
# What stands between the name of a model and that of its other half: model_weights.h5.
_JOINTS = ("", "_weights", "-weights", ".weights", "_weight")
_ARCHITECTURES = ("_architecture", "_arch", "_config", "_structure", "_json", "_model")


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON file whose size is limited."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise unsafe(path, f"It is larger than {MAX_JSON_BYTES:,} bytes.")
    return parse_json(path, path.read_bytes(), "content")


def read_json_model(path: Path, weights: Path | None = None) -> ModelFile:
    """Read the architecture of a JSON file and find the files that hold its weights.

    Parameters
    ----------
    path
        ``model.json`` of TensorFlow.js, or what ``model.to_json()`` gave.
    weights
        The HDF5 file with the weights, where it is known; else it is looked for beside `path`.

    Returns
    -------
    ModelFile
        Of the format ``tfjs`` or ``json``.

    Raises
    ------
    ModelError
        When it is no model, or its weights are not there.
    """
    document = read_document(path)
    if is_tfjs(document):
        config, version, backend = topology(path, document)
        shards = [shard for group in groups(path, document) for shard in group.shards]
        found = model_config(path, config)
        return ModelFile(path, "tfjs", found, version, backend, tuple(shards))
    if not isinstance(document.get("class_name"), str):
        raise ModelError(
            f"'{path}' is not a Keras model.",
            "It is JSON, but neither a model of TensorFlow.js nor the architecture of a Keras one.",
            "kvis opens .keras, .h5, SavedModels, and model.json with its weights beside it.",
        )
    version, backend = (document.get(key, "") for key in ("keras_version", "backend"))
    return ModelFile(
        path,
        "json",
        model_config(path, document),
        version if isinstance(version, str) else "",
        backend if isinstance(backend, str) else "",
        (weights or _weights_beside(path),),
    )


def with_architecture(file: ModelFile, arch: str | None) -> ModelFile:
    """Return a file of weights together with the JSON file that is its architecture.

    Parameters
    ----------
    file
        Of the format ``weights_h5``; anything else comes back as it is.
    arch
        What the user says it belongs to; a JSON file, or something else that is none of ours. None
        for a JSON file of its name beside it, if there is one.

    Returns
    -------
    ModelFile
        `file` itself where there is no architecture for it.
    """
    if file.format != "weights_h5":
        return file
    found = architecture_beside(file.path) if arch is None else None
    if arch is not None and arch.lower().endswith(".json"):
        found = user_path(arch)
        if not found.is_file():
            raise ModelError(f"No architecture '{found}'.", "The file does not exist.")
    if found is None:
        return file
    with as_model_error(found):
        joined = read_json_model(found, file.path)
    if joined.format != "json":
        raise ModelError(f"'{found}' is no architecture.", "It is a model with weights of its own.")
    version, backend = (file.keras_version or joined.keras_version, file.backend or joined.backend)
    return replace(joined, path=file.path, keras_version=version, backend=backend)


def is_architecture(path: Path) -> bool:
    """Whether a JSON file is the architecture of a Keras model; for files of a plain size."""
    try:
        document = read_document(path)
    except (ModelError, OSError):
        return False
    return isinstance(document.get("class_name"), str) and "config" in document


def architecture_beside(weights: Path) -> Path | None:
    """Return the JSON file that belongs to a file of weights by its name; None without one."""
    stem = _stem(weights)
    bare = stem
    for joint in _JOINTS[1:]:
        bare = bare.removesuffix(joint)
    names = [f"{name}{joint}.json" for name in (stem, bare) for joint in ("", *_ARCHITECTURES)]
    for name in dict.fromkeys(names):
        path = weights.with_name(name)
        if path.is_file() and is_architecture(path):
            return path
    return None


def _weights_beside(path: Path) -> Path:
    stems = [path.stem]
    for joint in _ARCHITECTURES:
        stems.append(path.stem.removesuffix(joint))
    names = [
        f"{stem}{joint}{suffix}"
        for stem in dict.fromkeys(stems)
        for joint in _JOINTS
        for suffix in _HDF5
    ]
    for name in dict.fromkeys(names):
        if _is_hdf5(path.with_name(name)):
            return path.with_name(name)
    others = sorted(p for p in path.parent.iterdir() if p.name.endswith(_HDF5) and _is_hdf5(p))
    if len(others) == 1:
        return others[0]
    if others:
        raise ModelError(
            f"'{path}' is an architecture, and which weights belong to it is not clear.",
            f"Beside it lie {len(others)} HDF5 files, such as '{others[0].name}'.",
            f"Name the weights, and this as what they belong to: {others[0]} --arch {path}",
        )
    raise ModelError(
        f"'{path}' is the architecture of a model, without weights.",
        f"There is no HDF5 file such as '{path.stem}.weights.h5' beside it.",
        "Put the file of `model.save_weights` into the same folder.",
    )


def _stem(path: Path) -> str:
    for suffix in _HDF5:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.stem


def _is_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(HDF5_MAGIC)) == HDF5_MAGIC
