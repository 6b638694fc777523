"""The layers that a file of weights knows: names, and the shapes of their arrays, in order."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvis_cli.models.files.archive import WEIGHTS_MEMBER, check_members, open_member
from kvis_cli.models.files.errors import as_model_error, damaged
from kvis_cli.models.files.hdf5 import check_hdf5, weights_group, weights_of
from kvis_cli.models.files.kinds import kind_of
from kvis_cli.models.files.limits import MAX_OBJECTS
from kvis_cli.models.files.probe import survive

Shape = tuple[int, ...]
Array = tuple[str, Shape]

_COUNTED = re.compile(r"_\d+$")


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one layer.

    Attributes
    ----------
    name
        Of the layer, with those of the models around it; in files by Keras 3 its class and number.
    arrays
        ``(name, shape)`` in the order of the file; a name of Keras 3 is a number.
    class_name
        In snake case, where the file says it (``conv2d``), else empty.
    """

    name: str
    arrays: tuple[Array, ...]
    class_name: str = ""

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the arrays."""
        return tuple(shape for _, shape in self.arrays)


def weight_layers(path: str | Path) -> tuple[tuple[StoredLayer, ...], bool]:
    """List the layers of an HDF5 file, or of the one in a ``.keras`` archive.

    Parameters
    ----------
    path
        An HDF5 file or a ``.keras`` archive.

    Returns
    -------
    layers, ordered
        `ordered` is False where the file keeps the order within each class alone (Keras 3).

    Raises
    ------
    ModelError
        The file is damaged.
    """
    path = Path(path)
    with as_model_error(path):
        survive(path, _read)
        return _read(path)


def _read(path: Path) -> tuple[tuple[StoredLayer, ...], bool]:
    import h5py

    if kind_of(path) == "zip":
        with zipfile.ZipFile(path) as archive:
            check_members(path, archive)
            if WEIGHTS_MEMBER not in archive.namelist():
                return (), False
            info = archive.getinfo(WEIGHTS_MEMBER)
            with open_member(path, archive, info) as stream, h5py.File(stream, "r") as h5:
                return _listed(path, h5, info.file_size)
    with h5py.File(path, "r") as h5:
        return _listed(path, h5, path.stat().st_size)


def _listed(path: Path, h5: Any, size: int) -> tuple[tuple[StoredLayer, ...], bool]:
    # Names lead to no other file.
    check_hdf5(path, h5, size)
    group = weights_group(h5)
    if _holds(group, "layer_names"):
        return tuple(_named(path, group)), True
    found: dict[str, list[Array]] = {}
    for weight in sorted(weights_of(group), key=lambda w: natural(w.path)):
        place, _, name = weight.path.replace("\\", "/").rpartition("/")
        place = place.removesuffix("vars").rstrip("/")
        found.setdefault(place, []).append((name, weight.shape))
    layers = [
        StoredLayer(name, tuple(arrays), _COUNTED.sub("", _last_named(name)))
        for name, arrays in found.items()
    ]
    return tuple(layers), False


def _named(path: Path, group: Any) -> Iterator[StoredLayer]:
    """Layers of a file by Keras 1 and 2, which lists them."""
    import h5py

    for name in listed_names(group, "layer_names"):
        inner = group[name]
        if not isinstance(inner, h5py.Group):
            raise damaged(path, "It lists a layer that is none.")
        parts: dict[str, list[Array]] = {}
        for key in listed_names(inner, "weight_names"):
            shape = tuple(int(n) for n in inner[key].shape)
            layer, _, array = key.rpartition("/")
            parts.setdefault(layer, []).append((array.partition(":")[0], shape))
        for layer, arrays in parts.items():
            # A model within the model has all its layers in one group.
            inside = len(parts) > 1 and layer
            yield StoredLayer(f"{name}/{layer}" if inside else name, tuple(arrays))


def _last_named(name: str) -> str:
    """Return the last part of a path that names a class: not that of a cell within a layer."""
    parts = [p for p in name.split("/") if p not in ("cell", "layers")]
    return parts[-1] if parts else name


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts ``conv2d_9`` before ``conv2d_10``."""
    parts = re.split(r"(\d+)", text)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def _holds(group: Any, key: str) -> bool:
    return key in group.attrs or f"{key}0" in group.attrs


def listed_names(group: Any, key: str) -> list[str]:
    """Return a list of names among a group's attributes; a long one is cut into pieces."""
    parts = [key] if key in group.attrs else []
    while parts[:1] != [key] and f"{key}{len(parts)}" in group.attrs:
        parts.append(f"{key}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    if len(values) > MAX_OBJECTS or not all(isinstance(v, bytes | str) for v in values):
        raise ValueError(f"'{group.name}' lists names that are not text")
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]
