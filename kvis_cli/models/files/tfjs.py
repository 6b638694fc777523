"""Layers models of TensorFlow.js: ``model.json`` and the shards of weights beside it.

The JSON holds a Keras model's configuration and a manifest: which weights, of what shape and type,
lie one after the other in which files. Nothing outside of the folder is read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kvis_cli.errors import ModelError
from kvis_cli.models.files.errors import damaged, one_line, unsafe
from kvis_cli.models.files.kinds import StoredWeight
from kvis_cli.models.files.limits import MAX_OBJECTS, MAX_SHARDS

if TYPE_CHECKING:
    import numpy as np

_BYTES = {"bool": 1, "float16": 2, "float32": 4, "int32": 4, "uint8": 1, "uint16": 2}
_STORED = ("bool", "float32", "int32", "uint8")
_QUANTIZED = ("float16", "uint16", "uint8")
_MOST_AXES = 16


@dataclass(frozen=True)
class Weight:
    """One array of the manifest.

    Attributes
    ----------
    name
        ``conv1/kernel``.
    shape
        Of the array.
    dtype
        Of the weights, when they are read.
    stored
        Of the numbers in the shards; another one where they are quantised.
    scale, minimum
        A quantised number q stands for ``scale * q + minimum``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored: str
    scale: float = 1.0
    minimum: float = 0.0

    @property
    def size(self) -> int:
        """Bytes in the shards."""
        return math.prod(self.shape) * _BYTES[self.stored]


@dataclass(frozen=True)
class Group:
    """Weights that lie one after the other, and the files that they are cut into."""

    weights: tuple[Weight, ...]
    shards: tuple[Path, ...]


def is_tfjs(document: dict[str, Any]) -> bool:
    """Whether a JSON document is a model of TensorFlow.js."""
    return "modelTopology" in document or document.get("format") in ("layers-model", "graph-model")


def topology(path: Path, document: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """Return a model's configuration, the version that wrote it, and its backend.

    Parameters
    ----------
    path
        The file, for messages.
    document
        Its content.

    Returns
    -------
    config, version, backend
        Empty texts where the file does not say.

    Raises
    ------
    ModelError
        For a graph of TensorFlow operations, which has no layers.
    """
    found = document.get("modelTopology")
    if document.get("format") == "graph-model" or (isinstance(found, dict) and "node" in found):
        raise ModelError(
            f"'{path}' is a graph model of TensorFlow.js.",
            "It holds TensorFlow operations, and no layers of Keras.",
            "Use the Keras model that it was converted from.",
        )
    if not isinstance(found, dict):
        raise damaged(path, "It has no modelTopology.")
    config = found.get("model_config", found)
    if not isinstance(config, dict):
        raise damaged(path, "Its modelTopology has no usable model_config.")
    version, backend = (found.get(key, "") for key in ("keras_version", "backend"))
    kept = {key: value for key, value in config.items() if key in ("class_name", "config", "module",
            "registered_name")}  # fmt: skip
    return kept, version if isinstance(version, str) else "", str(backend)[:40]


def groups(path: Path, document: dict[str, Any]) -> tuple[Group, ...]:
    """Read the manifest, and find its shards in the folder of the model.

    Parameters
    ----------
    path
        The file; its shards lie in its folder.
    document
        Its content.

    Returns
    -------
    tuple
        In the order of the manifest.

    Raises
    ------
    ModelError
        For a shard that is missing or outside of the folder, a type that is not read, and shards
        that hold less than the manifest says.
    """
    manifest = document.get("weightsManifest", [])
    if not isinstance(manifest, list):
        raise damaged(path, "Its weightsManifest is no list.")
    found = []
    shards = weights = 0
    for entry in manifest:
        if not isinstance(entry, dict):
            raise damaged(path, "Its weightsManifest has an entry that is no group.")
        names, listed = entry.get("paths"), entry.get("weights")
        if not isinstance(names, list) or not isinstance(listed, list):
            raise damaged(path, "A group of its weightsManifest has no paths or no weights.")
        shards, weights = shards + len(names), weights + len(listed)
        if shards > MAX_SHARDS or weights > MAX_OBJECTS:
            raise unsafe(path, "Its weightsManifest is absurdly long.")
        group = Group(
            tuple(_weight(path, weight) for weight in listed),
            tuple(_shard(path, name) for name in names),
        )
        need = sum(weight.size for weight in group.weights)
        have = sum(shard.stat().st_size for shard in group.shards)
        if have < need:
            raise damaged(
                path,
                f"Its weights need {need:,} bytes, and {len(group.shards)} files beside it hold "
                f"{have:,}.",
            )
        found.append(group)
    return tuple(found)


def _weight(path: Path, entry: Any) -> Weight:
    if not isinstance(entry, dict):
        raise damaged(path, "Its weightsManifest has a weight that is none.")
    name, shape, dtype = (entry.get(key) for key in ("name", "shape", "dtype"))
    if not isinstance(name, str):
        raise damaged(path, "Its weightsManifest has a weight without a name.")
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_AXES
        or not all(type(size) is int and 0 <= size < 1 << 40 for size in shape)
    ):
        raise damaged(path, f"Its weight '{one_line(name)}' has no usable shape.")
    quantized = entry.get("quantization")
    if quantized is None:
        if dtype not in _STORED:
            raise _unread(path, name, dtype)
        return Weight(name, tuple(shape), dtype, dtype)
    if not isinstance(quantized, dict) or dtype not in ("float32", "int32"):
        raise damaged(path, f"Its weight '{one_line(name)}' has no usable quantisation.")
    stored = quantized.get("dtype")
    if stored not in _QUANTIZED:
        raise _unread(path, name, stored)
    scale, minimum = quantized.get("scale", 1.0), quantized.get("min", 0.0)
    if not all(type(n) in (int, float) and math.isfinite(n) for n in (scale, minimum)):
        raise damaged(path, f"The quantisation of '{one_line(name)}' has no usable scale.")
    return Weight(name, tuple(shape), dtype, stored, float(scale), float(minimum))


def _unread(path: Path, name: str, dtype: Any) -> ModelError:
    return ModelError(
        f"'{path}' has weights of the type '{one_line(str(dtype), 40)}': '{one_line(name)}'.",
        f"kvis reads {', '.join(_STORED)}, and quantisation to {', '.join(_QUANTIZED)}.",
        "Convert the Keras model again without it.",
    )


def _shard(path: Path, name: Any) -> Path:
    """Return a file of the model's folder; anything that leads out of it is refused."""
    if not isinstance(name, str):
        raise damaged(path, "Its weightsManifest names a file that is no text.")
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith("/")
        or ".." in parts
        or any(sign in name for sign in ("\\", ":", "\0"))
    ):
        raise unsafe(path, f"Its file of weights '{one_line(name)}' is not in its folder.")
    shard = path.parent.joinpath(*parts)
    folder = Path(os.path.realpath(path.parent))
    if not Path(os.path.realpath(shard)).is_relative_to(folder):
        raise unsafe(path, f"Its file of weights '{one_line(name)}' is a link out of its folder.")
    if not shard.is_file():
        raise ModelError(
            f"'{path}' is not complete: there is no '{one_line(name)}' beside it.",
            "The weights of a model of TensorFlow.js are in files of their own.",
            "Copy them into the same folder.",
        )
    return shard


def listed_weights(found: tuple[Group, ...]) -> tuple[StoredWeight, ...]:
    """List the arrays of a model, in the order of the manifest."""
    return tuple(
        StoredWeight(weight.name, weight.shape, weight.dtype)
        for group in found
        for weight in group.weights
    )


def read_arrays(found: tuple[Group, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the array of every weight, quantised ones as what they stand for."""
    import numpy as np

    for group in found:
        source = _Chain(group.shards)
        for weight in group.weights:
            data = source.read(weight.size)
            # Shards are little-endian on every machine.
            kind = np.dtype(weight.stored).newbyteorder("<")
            array = np.frombuffer(data, kind).reshape(weight.shape)
            if weight.stored != weight.dtype and weight.stored != "float16":
                values = array.astype(np.float64) * weight.scale + weight.minimum
                array = np.round(values) if weight.dtype == "int32" else values
            with np.errstate(over="ignore", invalid="ignore"):
                # What is not finite is refused by name when the model has it.
                array = array.astype(weight.dtype)
            yield weight.name, array


class _Chain:
    """Files read one after the other, as if they were one."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._pending = list(paths)
        self._data = memoryview(b"")

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            if not self._data:
                if not self._pending:
                    raise ValueError("its files of weights have become shorter")
                self._data = memoryview(self._pending.pop(0).read_bytes())
                continue
            parts.append(bytes(self._data[:size]))
            self._data = self._data[size:]
            size -= len(parts[-1])
        return b"".join(parts)
