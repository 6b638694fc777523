"""Reads what a saved model's file says about itself, without TensorFlow or Keras.

The kind of file is decided by its content, never by its name. Nothing in a file is executed:
JSON, zip directories and HDF5 headers are parsed, sizes are checked before anything is read, and
whatever is wrong with a file becomes a `ModelError`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from kvis_cli.errors import ModelError
from kvis_cli.models.files.archive import (
    NUMPY_MEMBER,
    WEIGHTS_MEMBER,
    check_members,
    open_member,
    read_keras,
)
from kvis_cli.models.files.errors import as_model_error
from kvis_cli.models.files.hdf5 import check_hdf5, read_h5, weights_group, weights_of
from kvis_cli.models.files.json_models import read_document, read_json_model
from kvis_cli.models.files.kinds import ModelFile, StoredWeight, kind_of
from kvis_cli.models.files.probe import survive
from kvis_cli.models.files.tfjs import groups, is_tfjs, listed_weights


def read_model_file(path: str | Path, *, allow_weights_only: bool = False) -> ModelFile:
    """Read the architecture and versions of the model at `path`.

    Parameters
    ----------
    path
        A ``.keras`` archive, an HDF5 file of any Keras, a SavedModel folder, or a JSON file with
        its weights beside it (TensorFlow.js, or ``model.to_json()``).
    allow_weights_only
        Return a file without architecture as format ``"weights_h5"`` instead of refusing it.

    Returns
    -------
    ModelFile
        Format, config and versions; no weights.

    Raises
    ------
    ModelError
        The file is missing, not a model, damaged, or unsafe to read.
    """
    path = Path(path)
    with as_model_error(path):
        kind = kind_of(path)
        if kind == "savedmodel":
            return ModelFile(path, "savedmodel", {})
        if kind == "json":
            return read_json_model(path)
        if kind == "zip":
            return read_keras(path)
        survive(path, read_h5)
        found = read_h5(path)
        if found.format == "weights_h5" and not allow_weights_only:
            raise ModelError(
                f"'{path}' holds weights only, no architecture.",
                "It was written by `save_weights`, which leaves the layers out.",
                "Say what they belong to: `--arch module:function`, or an application's name.",
            )
        return found


def check_safe(path: str | Path) -> None:
    """Refuse a file that must not be handed to Keras.

    Refused are zip members that leave the archive, archives and arrays that unpack to absurd
    sizes, and HDF5 links, external storage, virtual datasets and object references, all of which
    make a reader touch other files or other objects. Reads headers only, no weights.

    Parameters
    ----------
    path
        As for `read_model_file`.

    Raises
    ------
    ModelError
        The file is unsafe, damaged or not a model.
    """
    path = Path(path)
    with as_model_error(path):
        kind = kind_of(path)
        if kind == "json":
            for weights in _hdf5_beside(path):
                check_safe(weights)
        elif kind != "savedmodel":
            survive(path, try_all)
            _check(path)


def try_all(path: Path) -> None:
    """All that opening reads of a file: tried once, and before TensorFlow starts at little cost."""
    _check(path)
    _stored_weights(path)


def _check(path: Path) -> None:
    import h5py

    with as_model_error(path):
        kind = kind_of(path)
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                check_members(path, archive)
                if WEIGHTS_MEMBER not in archive.namelist() and NUMPY_MEMBER in archive.namelist():
                    raise ModelError(
                        f"'{path}' keeps its weights in {NUMPY_MEMBER}.",
                        "kvis reads HDF5, whose sizes are known before anything is unpacked.",
                        "Save the model again with `model.save()`, which writes HDF5.",
                    )
                for info in archive.infolist():
                    if info.filename.endswith(".h5"):
                        with (
                            open_member(path, archive, info) as stream,
                            h5py.File(stream, "r") as h5,
                        ):
                            check_hdf5(path, h5, info.file_size)
        elif kind == "hdf5":
            with h5py.File(path, "r") as h5:
                check_hdf5(path, h5, path.stat().st_size)


def stored_weights(path: str | Path) -> tuple[StoredWeight, ...]:
    """List the weight arrays of the model at `path`, in file order, without reading them.

    Optimizer state is left out. A SavedModel gives an empty list.
    """
    path = Path(path)
    with as_model_error(path):
        kind = kind_of(path)
        if kind == "savedmodel":
            return ()
        if kind == "json":
            document = read_document(path)
            if is_tfjs(document):
                return listed_weights(groups(path, document))
            return tuple(w for beside in _hdf5_beside(path) for w in stored_weights(beside))
        survive(path, try_all)
        return _stored_weights(path)


def _hdf5_beside(path: Path) -> tuple[Path, ...]:
    """Return the HDF5 file that an architecture as JSON has its weights in."""
    found = read_json_model(path)
    return found.beside if found.format == "json" else ()


def _stored_weights(path: Path) -> tuple[StoredWeight, ...]:
    import h5py

    with as_model_error(path):
        kind = kind_of(path)
        if kind == "hdf5":
            with h5py.File(path, "r") as h5:
                return weights_of(weights_group(h5))
        with zipfile.ZipFile(path) as archive:
            check_members(path, archive)
            if WEIGHTS_MEMBER not in archive.namelist():
                return ()
            info = archive.getinfo(WEIGHTS_MEMBER)
            with open_member(path, archive, info) as stream, h5py.File(stream, "r") as h5:
                return weights_of(h5)
