"""HDF5 files: whole models, weights, the weights in an archive."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvis_cli.errors import ModelError
from kvis_cli.models.files.errors import damaged, one_line, unsafe
from kvis_cli.models.files.json import model_config, parse_json
from kvis_cli.models.files.kinds import ModelFile, StoredWeight
from kvis_cli.models.files.limits import (
    BOMB_BYTES,
    BOMB_RATIO,
    FILTERS,
    MAX_GROUP_DEPTH,
    MAX_JSON_BYTES,
    MAX_OBJECTS,
)

if TYPE_CHECKING:
    import numpy as np


def read_h5(path: Path) -> ModelFile:
    """Read the config and versions of an HDF5 file."""
    import h5py

    with h5py.File(path, "r") as h5:
        text = _text_attribute(path, h5, "model_config")
        holder = weights_group(h5)
        version, backend = (
            _text_attribute(path, h5, key) or _text_attribute(path, holder, key) or ""
            for key in ("keras_version", "backend")
        )
        if text is None:
            marks = ("layers", "_layer_checkpoint_dependencies")
            # Not `mark in h5`, which follows a link into another file.
            found = [mark for mark in marks if mark in list(h5)]
            for mark in found:
                if not isinstance(h5.get(mark, getlink=True), h5py.HardLink):
                    raise unsafe(path, f"'/{mark}' is a link to somewhere else.")
            is_keras = "layer_names" in h5.attrs or bool(found)
            if not is_keras and holder is h5:
                raise ModelError(
                    f"'{path}' is not a Keras model.",
                    "It is an HDF5 file without a model_config and without Keras' weights.",
                )
            return ModelFile(path, "weights_h5", {}, version, backend)
    config = parse_json(path, text.encode("utf-8", "surrogatepass"), "model_config")
    return ModelFile(path, "h5", model_config(path, config), version, backend)


def weights_group(h5: Any) -> Any:
    """Return the group with the weights; the root in a weights-only file."""
    import h5py

    if isinstance(h5.get("model_weights", getlink=True), h5py.HardLink):
        return h5["model_weights"]
    return h5


def _text_attribute(path: Path, holder: Any, name: str) -> str | None:
    if name not in holder.attrs:
        return None
    identifier = holder.attrs.get_id(name)
    if _declared_bytes(identifier.shape, identifier.dtype) > MAX_JSON_BYTES:
        raise unsafe(path, f"Its attribute '{name}' is larger than {MAX_JSON_BYTES:,} bytes.")
    if _is_reference(identifier.dtype):
        raise unsafe(path, f"Its attribute '{name}' is an object reference.")
    value = holder.attrs[name]
    if getattr(value, "size", 0) == 1 and hasattr(value, "reshape"):
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise damaged(path, f"Its attribute '{name}' is not text.")


def check_hdf5(path: Path, h5: Any, file_size: int) -> None:
    """Refuse links, external storage, foreign filters and absurd sizes."""
    import h5py

    total = 0
    for name, item in _walk(path, h5):
        for key in item.attrs:
            attribute = item.attrs.get_id(key)
            if _is_reference(attribute.dtype):
                raise unsafe(path, f"'{one_line(name)}' has an object reference as attribute.")
            if _declared_bytes(attribute.shape, attribute.dtype) > MAX_JSON_BYTES:
                raise unsafe(path, f"An attribute of '{one_line(name)}' is absurdly large.")
        if not isinstance(item, h5py.Dataset):
            continue
        if _is_reference(item.dtype):
            raise unsafe(path, f"'{one_line(name)}' holds object references.")
        creation = item.id.get_create_plist()
        if item.is_virtual or creation.get_external_count():
            raise unsafe(path, f"'{one_line(name)}' keeps its data in other files.")
        for number in range(creation.get_nfilters()):
            if creation.get_filter(number)[0] not in FILTERS:
                raise unsafe(path, f"'{one_line(name)}' is read through a library to be loaded.")
        # A chunk is unpacked in whole, however little of it is in the array.
        size = max(_declared_bytes(shape, item.dtype) for shape in (item.shape, item.chunks))
        total += size
        if size > BOMB_BYTES and size > BOMB_RATIO * file_size:
            raise unsafe(path, f"'{one_line(name)}' declares {size:,} bytes.")
    if total > BOMB_BYTES and total > BOMB_RATIO * file_size:
        raise unsafe(path, f"Its arrays declare {total:,} bytes in all.")


def _walk(path: Path, root: Any) -> Iterator[tuple[str, Any]]:
    """Every group and dataset below `root` once, following hard links only."""
    import h5py

    pending: list[tuple[str, Any, int]] = [("/", root, 0)]
    seen: set[Any] = set()
    while pending:
        name, item, depth = pending.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > MAX_OBJECTS or depth > MAX_GROUP_DEPTH:
            raise unsafe(path, "It has absurdly many or deep groups.")
        yield name, item
        if isinstance(item, h5py.Group):
            for key in reversed(list(item)):
                inner = f"{name.rstrip('/')}/{key}"
                if not isinstance(item.get(key, getlink=True), h5py.HardLink):
                    raise unsafe(path, f"'{one_line(inner)}' is a link to somewhere else.")
                pending.append((inner, item[key], depth + 1))


def weights_of(group: Any) -> tuple[StoredWeight, ...]:
    """List the arrays of a group."""
    import h5py

    found = []
    for name, item in _walk(Path(group.file.filename), group):
        if isinstance(item, h5py.Dataset) and not name.startswith("/optimizer"):
            shape = tuple(int(n) for n in item.shape or ())
            found.append(StoredWeight(name.lstrip("/"), shape, str(item.dtype)))
    return tuple(found)


def _declared_bytes(shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> int:
    return math.prod(int(n) for n in shape or ()) * dtype.itemsize


def _is_reference(dtype: np.dtype[Any]) -> bool:
    import h5py

    inner = h5py.check_vlen_dtype(dtype)
    parts = [field[0] for field in (dtype.fields or {}).values()]
    # Two lists of different things are equal as dtypes.
    others = (part for part in (inner, dtype.base) if part is not dtype)
    parts += [part for part in others if hasattr(part, "itemsize")]
    return h5py.check_ref_dtype(dtype) is not None or any(_is_reference(part) for part in parts)
