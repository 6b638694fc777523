"""What kind of model file a path is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kvis_cli.errors import ModelError, close_matches
from kvis_cli.models.files.errors import SAVE_AGAIN
from kvis_cli.paths import MODEL_SUFFIXES

# h5py (and numpy with it) is imported where HDF5 is read: a .keras archive is answered without.
Format = Literal["keras", "h5", "weights_h5", "savedmodel", "tfjs", "json"]


ZIP_MAGIC = b"PK\x03\x04"


HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


# HDF5 allows a user block in front; the signature then stands at 512, 1024, 2048 ...
HDF5_OFFSETS = (0, 512, 1024, 2048, 4096)


_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself with `git lfs pull`."),
    (b"\x89PNG", "a PNG image", ""),
    (b"\xff\xd8\xff", "a JPEG image", ""),
    (b"GIF8", "a GIF image", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"\x80\x02", "a Python pickle", "kvis never unpickles: save the model with `model.save()`."),
    (b"\x80\x03", "a Python pickle", "kvis never unpickles: save the model with `model.save()`."),
    (b"\x80\x04", "a Python pickle", "kvis never unpickles: save the model with `model.save()`."),
    (b"\x80\x05", "a Python pickle", "kvis never unpickles: save the model with `model.save()`."),
    (b"\x93NUMPY", "a NumPy array", ""),
)


@dataclass(frozen=True)
class ModelFile:
    """What a model file says about itself.

    Attributes
    ----------
    path
        The file, or the folder of a SavedModel.
    format
        ``"keras"`` (zip archive), ``"h5"`` (whole model), ``"weights_h5"`` (no architecture),
        ``"savedmodel"``, ``"tfjs"`` (``model.json`` of TensorFlow.js) or ``"json"`` (an
        architecture as JSON, its weights in an HDF5 file beside it).
    config
        The architecture as ``{"class_name": ..., "config": {...}}``; empty where there is none.
    keras_version
        The version that wrote the file, such as ``"2.4.0"``; empty when the file does not say.
    backend
        ``"tensorflow"``, ``"theano"`` ...; empty when the file does not say.
    beside
        The files that hold the weights, where `path` does not.
    """

    path: Path
    format: Format
    config: dict[str, Any] = field(repr=False)
    keras_version: str = ""
    backend: str = ""
    beside: tuple[Path, ...] = ()

    @property
    def weights_path(self) -> Path:
        """The file with the weights; of a model of TensorFlow.js, which has several, `path`."""
        return self.beside[0] if self.format == "json" else self.path

    @property
    def keras_major(self) -> int | None:
        """The major version of the Keras that wrote the file, None when it does not say."""
        head = self.keras_version.split(".")[0]
        return int(head) if head.isdecimal() else None


@dataclass(frozen=True)
class StoredWeight:
    """One array of weights in a file: its HDF5 path, shape and dtype."""

    path: str
    shape: tuple[int, ...]
    dtype: str


def kind_of(path: Path) -> Literal["zip", "hdf5", "savedmodel", "json"]:
    """Tell the kind of a model file by its first bytes."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        models = [p for p in sorted(path.iterdir()) if p.suffix in MODEL_SUFFIXES]
        models += [p for p in (path / "model.json",) if p.is_file()]
        raise ModelError(
            f"'{path}' is a folder, not a model.",
            "It holds no saved_model.pb.",
            f"Name one of the models in it, such as '{models[0]}'." if models else "",
        )
    if not path.exists():
        raise _missing(path)
    if not path.is_file():
        raise ModelError(f"'{path}' is not a regular file.")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(f"'{path}' is empty.", "It has 0 bytes.", SAVE_AGAIN)
    with path.open("rb") as stream:
        head = stream.read(512)
        if head.startswith(ZIP_MAGIC):
            return "zip"
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return "json"
        for offset in HDF5_OFFSETS:
            stream.seek(offset)
            if stream.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                return "hdf5"
    raise _foreign(path, head)


def _missing(path: Path) -> ModelError:
    folder = path.parent
    if not folder.is_dir():
        return ModelError(f"No model file '{path}'.", f"There is no folder '{folder}'.")
    names = [p.name for p in folder.iterdir() if p.suffix in MODEL_SUFFIXES or p.is_dir()]
    close = close_matches(path.name, names)
    if close:
        hint = "Did you mean " + " or ".join(f"'{folder / name}'" for name in close) + "?"
    else:
        models = sorted(name for name in names if name.endswith(MODEL_SUFFIXES))[:5]
        hint = f"Models in that folder: {', '.join(models)}." if models else ""
    return ModelError(f"No model file '{path}'.", "The file does not exist.", hint)


def _foreign(path: Path, head: bytes) -> ModelError:
    what = f"'{path}' is not a Keras model."
    for magic, kind, hint in _FOREIGN:
        if head.startswith(magic):
            return ModelError(what, f"Its content is {kind}.", hint)
    if head[4:8] == b"TFL3":
        return ModelError(
            what,
            "It is a TensorFlow Lite model, which has no gradients.",
            "Use the Keras model that it was converted from.",
        )
    if head.startswith(b"RIFF"):
        return ModelError(what, "Its content is a RIFF file (WebP, WAV or AVI).")
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html")):
        return ModelError(
            what,
            "Its content is a web page, so the download gave the page in place of the file.",
            "Download the file itself (on GitHub: the 'Raw' link).",
        )
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return ModelError(
            what,
            "Its content is neither a zip archive (.keras) nor HDF5 (.h5).",
            "kvis opens .keras, .h5/.hdf5 and SavedModel folders.",
        )
    return ModelError(what, "Its content is text.", "kvis opens .keras, .h5 and SavedModels.")
