"""The weights of single layers out of a model's file, without Keras."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kvis_cli.lazy import np
from kvis_cli.models.description.evidence.forward import Arrays, NotKnown
from kvis_cli.models.files.archive import WEIGHTS_MEMBER, open_member
from kvis_cli.models.files.errors import as_model_error
from kvis_cli.models.files.hdf5 import weights_group
from kvis_cli.models.files.kinds import ModelFile
from kvis_cli.models.files.read import check_safe
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.config import Config, is_model, name_of
from kvis_cli.models.legacy.weights import convert_arrays

# Larger arrays are not in front of a normalisation, and take long to read.
MAX_BYTES = 64 << 20

ReadWeights = Callable[[LayerCall], Arrays]


@contextmanager
def open_weights(file: ModelFile, config: Config, generation: int) -> Iterator[ReadWeights]:
    """Open the weights of a model file.

    Parameters
    ----------
    file
        An archive of Keras 3 or a whole-model HDF5 file.
    config
        Its upgraded config.
    generation
        The generation of Keras that wrote it.

    Yields
    ------
    read
        From a layer's call to its arrays, float32, in the order and layout of Keras 3; empty for
        a layer without weights. It raises `NotKnown` where they cannot be found.

    Raises
    ------
    ModelError
        For a file that is unsafe or damaged.
    NotKnown
        For a file of another format.
    """
    import h5py

    if file.format not in ("keras", "h5"):
        raise NotKnown(file.format)
    check_safe(file.path)
    with ExitStack() as stack:
        with as_model_error(file.path):
            if file.format == "h5":
                h5 = stack.enter_context(h5py.File(file.path, "r"))
                read: ReadWeights = _LegacyReader(weights_group(h5), file.backend, generation)
            else:
                archive = stack.enter_context(zipfile.ZipFile(file.path))
                if WEIGHTS_MEMBER not in archive.namelist():
                    raise NotKnown(WEIGHTS_MEMBER)
                member = archive.getinfo(WEIGHTS_MEMBER)
                stream = stack.enter_context(open_member(file.path, archive, member))
                read = _ArchiveReader(stack.enter_context(h5py.File(stream, "r")), config)
        yield read


class _ArchiveReader:
    """Layers of an archive, whose groups are called by class and number."""

    def __init__(self, h5: Any, config: Config) -> None:
        self._h5 = h5
        self._groups = dict(_groups(config, "", "layers"))

    def __call__(self, call: LayerCall) -> Arrays:
        group = self._h5.get(f"{self._groups.get(call.layer_path, '?')}/vars")
        if group is None:
            if call.params:
                raise NotKnown(call.layer_path)
            return []
        names = sorted(group, key=lambda name: (len(name), name))
        return [_array(group[name]) for name in names]


def _groups(config: Config, prefix: str, inside: str) -> Iterator[tuple[str, str]]:
    """Yield each layer's path and its group, which Keras names by class and order."""
    inner = config.get("config")
    inner = {"layers": inner} if isinstance(inner, list) else inner
    if not isinstance(inner, dict) or not is_model(inner):
        return
    used: dict[str, int] = {}
    for layer in inner["layers"]:
        if not isinstance(layer, dict):
            continue
        base = _snake_case(str(layer.get("class_name", "")))
        number = used.get(base, 0)
        used[base] = number + 1
        group = f"{inside}/{base}" + (f"_{number}" if number else "")
        path = prefix + name_of(layer)
        yield path, group
        yield from _groups(layer, f"{path}/", f"{group}/layers")


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class _LegacyReader:
    """Layers of a whole-model HDF5 file, whose groups have the names of the outermost layers."""

    def __init__(self, group: Any, backend: str, generation: int) -> None:
        self._group, self._backend, self._generation = group, backend, generation

    def __call__(self, call: LayerCall) -> Arrays:
        outer, *inner = call.layer_path.split("/")
        if outer not in self._group:
            if call.params:
                raise NotKnown(call.layer_path)
            return []
        group = self._group[outer]
        names = [_text(name) for name in group.attrs.get("weight_names", ())]
        if inner:
            names = [name for name in names if name.split("/")[-2:-1] == [call.name]]
        if call.params and not names:
            raise NotKnown(call.layer_path)
        return convert_arrays(
            call.class_name,
            call.config,
            [_array(group[name]) for name in names],
            generation=self._generation,
            backend=self._backend,
        )


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _array(dataset: Any) -> np.ndarray:
    size = getattr(dataset, "nbytes", MAX_BYTES + 1)
    if size > MAX_BYTES or dataset.dtype.kind != "f":
        raise NotKnown(str(dataset.name))
    return np.asarray(dataset, np.float32)
