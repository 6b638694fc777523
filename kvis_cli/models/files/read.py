"""Reads what a saved model's file says about itself, without TensorFlow or Keras.

The kind of file is decided by its content, never by its name. Nothing in a file is executed:
JSON, zip directories and HDF5 headers are parsed, sizes are checked before anything is read, and
whatever is wrong with a file becomes a `ModelError`.
"""

from __future__ import annotations

import io
import json
import math
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal

from kvis_cli.errors import KvisError, ModelError, close_matches
from kvis_cli.models.files.probe import survives
from kvis_cli.shown import shown

if TYPE_CHECKING:
    import numpy as np

# h5py (and numpy with it) is imported where HDF5 is read: a .keras archive is answered without.
Format = Literal["keras", "h5", "weights_h5", "savedmodel"]

ZIP_MAGIC = b"PK\x03\x04"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# HDF5 allows a user block in front; the signature then stands at 512, 1024, 2048 ...
HDF5_OFFSETS = (0, 512, 1024, 2048, 4096)

CONFIG_MEMBER = "config.json"
METADATA_MEMBER = "metadata.json"
WEIGHTS_MEMBER = "model.weights.h5"
NUMPY_MEMBER = "model.weights.npz"

MIB = 1 << 20
# The largest application of Keras has a config of 3 MB; its nesting is below 20.
MAX_JSON_BYTES = 128 * MIB
MAX_JSON_DEPTH = 200
MAX_JSON_VALUES = 5_000_000
MAX_MEMBERS = 20_000
MAX_OBJECTS = 500_000
MAX_GROUP_DEPTH = 64
# Deflate cannot exceed 1032:1, and weights do not come near: a member that unpacks to more than
# this, both absolutely and relative to the file, is a bomb.
BOMB_BYTES = 256 * MIB
BOMB_RATIO = 100
# gzip, shuffle, fletcher32, szip, nbit, scaleoffset and lzf: what HDF5 and h5py bring along. For
# any other, HDF5 loads a library from a folder.
FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")

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
_SAVE_AGAIN = "Save it again with `model.save('model.keras')`, or copy the file again."


@dataclass(frozen=True)
class ModelFile:
    """What a model file says about itself.

    Attributes
    ----------
    path
        The file, or the folder of a SavedModel.
    format
        ``"keras"`` (zip archive), ``"h5"`` (whole model), ``"weights_h5"`` (no architecture) or
        ``"savedmodel"``.
    config
        The architecture as ``{"class_name": ..., "config": {...}}``; empty where there is none.
    keras_version
        The version that wrote the file, such as ``"2.4.0"``; empty when the file does not say.
    backend
        ``"tensorflow"``, ``"theano"`` ...; empty when the file does not say.
    """

    path: Path
    format: Format
    config: dict[str, Any] = field(repr=False)
    keras_version: str = ""
    backend: str = ""

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


def read_model_file(path: str | Path, *, allow_weights_only: bool = False) -> ModelFile:
    """Read the architecture and versions of the model at `path`.

    Parameters
    ----------
    path
        A ``.keras`` archive, an HDF5 file of any Keras, or a SavedModel folder.
    allow_weights_only
        Return a file without architecture as format ``"weights_h5"`` instead of refusing it.

    Raises
    ------
    ModelError
        The file is missing, not a model, damaged, or unsafe to read.
    """
    path = Path(path)
    with as_model_error(path):
        kind = _kind(path)
        if kind == "savedmodel":
            return ModelFile(path, "savedmodel", {})
        if kind == "zip":
            return _read_keras(path)
        _survive(path, _read_h5)
        found = _read_h5(path)
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

    Raises
    ------
    ModelError
        The file is unsafe, damaged or not a model.
    """
    path = Path(path)
    with as_model_error(path):
        if _kind(path) != "savedmodel":
            _survive(path, _try)
            _check(path)


def _try(path: Path) -> None:
    """All that opening reads of a file: tried once, and before TensorFlow starts at little cost."""
    _check(path)
    _stored_weights(path)


def _check(path: Path) -> None:
    import h5py

    with as_model_error(path):
        kind = _kind(path)
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                _check_members(path, archive)
                if WEIGHTS_MEMBER not in archive.namelist() and NUMPY_MEMBER in archive.namelist():
                    raise ModelError(
                        f"'{path}' keeps its weights in {NUMPY_MEMBER}.",
                        "kvis reads HDF5, whose sizes are known before anything is unpacked.",
                        "Save the model again with `model.save()`, which writes HDF5.",
                    )
                for info in archive.infolist():
                    if info.filename.endswith(".h5"):
                        with _member(path, archive, info) as stream, h5py.File(stream, "r") as h5:
                            _check_hdf5(path, h5, info.file_size)
        elif kind == "hdf5":
            with h5py.File(path, "r") as h5:
                _check_hdf5(path, h5, path.stat().st_size)


def stored_weights(path: str | Path) -> tuple[StoredWeight, ...]:
    """List the weight arrays of the model at `path`, in file order, without reading them.

    Optimizer state is left out. A SavedModel gives an empty list.
    """
    path = Path(path)
    with as_model_error(path):
        if _kind(path) == "savedmodel":
            return ()
        _survive(path, _try)
        return _stored_weights(path)


def _stored_weights(path: Path) -> tuple[StoredWeight, ...]:
    import h5py

    with as_model_error(path):
        kind = _kind(path)
        if kind == "hdf5":
            with h5py.File(path, "r") as h5:
                return _weights_of(weights_group(h5))
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            if WEIGHTS_MEMBER not in archive.namelist():
                return ()
            info = archive.getinfo(WEIGHTS_MEMBER)
            with _member(path, archive, info) as stream, h5py.File(stream, "r") as h5:
                return _weights_of(h5)


# --- kinds -------------------------------------------------------------------------------------


def _kind(path: Path) -> Literal["zip", "hdf5", "savedmodel"]:
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        models = [p for p in sorted(path.iterdir()) if p.suffix in MODEL_SUFFIXES]
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
        raise ModelError(f"'{path}' is empty.", "It has 0 bytes.", _SAVE_AGAIN)
    with path.open("rb") as stream:
        head = stream.read(512)
        if head.startswith(ZIP_MAGIC):
            return "zip"
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
    if text.startswith(b"{") and b'"class_name"' in head:
        return ModelError(
            what,
            "It is the architecture as JSON, without weights.",
            "Build the model from it, load the weights and save it with `model.save()`.",
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


# --- .keras ------------------------------------------------------------------------------------


def _read_keras(path: Path) -> ModelFile:
    with zipfile.ZipFile(path) as archive:
        _check_members(path, archive)
        names = archive.namelist()
        if CONFIG_MEMBER not in names:
            raise _not_keras(path, names)
        config = _parse_json(path, _member_bytes(path, archive, CONFIG_MEMBER), CONFIG_MEMBER)
        metadata: dict[str, Any] = {}
        if METADATA_MEMBER in names:
            raw = _member_bytes(path, archive, METADATA_MEMBER)
            metadata = _parse_json(path, raw, METADATA_MEMBER)
    version = metadata.get("keras_version", "")
    return ModelFile(
        path,
        "keras",
        _model_config(path, config),
        version if isinstance(version, str) else "",
    )


def _not_keras(path: Path, names: list[str]) -> ModelError:
    why, hint = "It is a zip archive without config.json.", ""
    inside = [name for name in names if name.endswith(MODEL_SUFFIXES)]
    if any(name.endswith("data.pkl") for name in names):
        why, hint = "It is a PyTorch checkpoint.", "kvis explains Keras models only."
    elif any(name.startswith(("word/", "xl/")) for name in names):
        why = "It is an office document."
    elif any(name.endswith("saved_model.pb") for name in names):
        hint = "It holds a SavedModel: unpack it and name the folder."
    elif inside:
        hint = f"It holds '{inside[0]}': unpack it and name that file."
    return ModelError(f"'{path}' is not a Keras model.", why, hint)


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    size = path.stat().st_size
    if len(members) > MAX_MEMBERS:
        raise _unsafe(path, f"The archive has {len(members)} members.")
    names = [info.filename for info in members]
    if len(set(names)) != len(names):
        raise _unsafe(path, "The archive has two members of the same name.")
    for info in members:
        name = info.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
            raise _unsafe(path, f"Its member '{_shown(info.filename)}' leaves the archive.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _unsafe(path, f"Its member '{_shown(info.filename)}' is a symbolic link.")
        if info.flag_bits & 0x1:
            raise ModelError(
                f"'{path}' cannot be read.", f"Its member '{_shown(info.filename)}' is encrypted."
            )
        if info.file_size > BOMB_BYTES and info.file_size > BOMB_RATIO * max(info.compress_size, 1):
            raise _unsafe(path, f"'{_shown(info.filename)}' unpacks to {info.file_size:,} bytes.")
    packed = sum(info.compress_size for info in members)
    if packed > size:
        raise _unsafe(path, "Its members overlap: together they are larger than the file.")
    unpacked = sum(info.file_size for info in members)
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * size:
        raise _unsafe(path, f"It unpacks to {unpacked:,} bytes.")


def _member_bytes(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > MAX_JSON_BYTES:
        raise _unsafe(path, f"Its {name} declares {info.file_size:,} bytes.")
    with archive.open(info) as stream:
        # The declared size is not to be trusted: never read past it.
        return stream.read(info.file_size)


@contextmanager
def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """A seekable view of one member; a stored one is read in place."""
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as stream:
            stream.seek(info.header_offset)
            header = stream.read(30)
            if len(header) < 30 or not header.startswith(ZIP_MAGIC):
                raise _damaged(path, f"The archive's entry '{_shown(info.filename)}' is broken.")
            start = info.header_offset + 30
            start += int.from_bytes(header[26:28], "little")
            start += int.from_bytes(header[28:30], "little")
            with io.BufferedReader(_Slice(stream, start, info.file_size)) as view:
                yield view
        return
    with tempfile.TemporaryFile() as copy, archive.open(info) as packed:
        left = info.file_size
        while left > 0 and (block := packed.read(min(MIB, left))):
            copy.write(block)
            left -= len(block)
        copy.seek(0)
        yield copy


class _Slice(io.RawIOBase):
    """Bytes ``start … start + size`` of a stream, as a file of their own."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        want = max(0, min(len(buffer), self._size - self._at))
        self._stream.seek(self._start + self._at)
        data = self._stream.read(want)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


# --- HDF5 --------------------------------------------------------------------------------------


def _read_h5(path: Path) -> ModelFile:
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
                    raise _unsafe(path, f"'/{mark}' is a link to somewhere else.")
            is_keras = "layer_names" in h5.attrs or bool(found)
            if not is_keras and holder is h5:
                raise ModelError(
                    f"'{path}' is not a Keras model.",
                    "It is an HDF5 file without a model_config and without Keras' weights.",
                )
            return ModelFile(path, "weights_h5", {}, version, backend)
    config = _parse_json(path, text.encode("utf-8", "surrogatepass"), "model_config")
    return ModelFile(path, "h5", _model_config(path, config), version, backend)


def weights_group(h5: Any) -> Any:
    """The group with the weights; the root in a weights-only file."""
    import h5py

    if isinstance(h5.get("model_weights", getlink=True), h5py.HardLink):
        return h5["model_weights"]
    return h5


def _text_attribute(path: Path, holder: Any, name: str) -> str | None:
    if name not in holder.attrs:
        return None
    identifier = holder.attrs.get_id(name)
    if _declared_bytes(identifier.shape, identifier.dtype) > MAX_JSON_BYTES:
        raise _unsafe(path, f"Its attribute '{name}' is larger than {MAX_JSON_BYTES:,} bytes.")
    if _is_reference(identifier.dtype):
        raise _unsafe(path, f"Its attribute '{name}' is an object reference.")
    value = holder.attrs[name]
    if getattr(value, "size", 0) == 1 and hasattr(value, "reshape"):
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise _damaged(path, f"Its attribute '{name}' is not text.")


def _check_hdf5(path: Path, h5: Any, file_size: int) -> None:
    import h5py

    total = 0
    for name, item in _walk(path, h5):
        for key in item.attrs:
            attribute = item.attrs.get_id(key)
            if _is_reference(attribute.dtype):
                raise _unsafe(path, f"'{_shown(name)}' has an object reference as attribute.")
            if _declared_bytes(attribute.shape, attribute.dtype) > MAX_JSON_BYTES:
                raise _unsafe(path, f"An attribute of '{_shown(name)}' is absurdly large.")
        if not isinstance(item, h5py.Dataset):
            continue
        if _is_reference(item.dtype):
            raise _unsafe(path, f"'{_shown(name)}' holds object references.")
        creation = item.id.get_create_plist()
        if item.is_virtual or creation.get_external_count():
            raise _unsafe(path, f"'{_shown(name)}' keeps its data in other files.")
        for number in range(creation.get_nfilters()):
            if creation.get_filter(number)[0] not in FILTERS:
                raise _unsafe(path, f"'{_shown(name)}' is read through a library to be loaded.")
        # A chunk is unpacked in whole, however little of it is in the array.
        size = max(_declared_bytes(shape, item.dtype) for shape in (item.shape, item.chunks))
        total += size
        if size > BOMB_BYTES and size > BOMB_RATIO * file_size:
            raise _unsafe(path, f"'{_shown(name)}' declares {size:,} bytes.")
    if total > BOMB_BYTES and total > BOMB_RATIO * file_size:
        raise _unsafe(path, f"Its arrays declare {total:,} bytes in all.")


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
            raise _unsafe(path, "It has absurdly many or deep groups.")
        yield name, item
        if isinstance(item, h5py.Group):
            for key in reversed(list(item)):
                inner = f"{name.rstrip('/')}/{key}"
                if not isinstance(item.get(key, getlink=True), h5py.HardLink):
                    raise _unsafe(path, f"'{_shown(inner)}' is a link to somewhere else.")
                pending.append((inner, item[key], depth + 1))


def _weights_of(group: Any) -> tuple[StoredWeight, ...]:
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


# --- JSON --------------------------------------------------------------------------------------


def _parse_json(path: Path, raw: bytes, what: str) -> dict[str, Any]:
    if len(raw) > MAX_JSON_BYTES:
        raise _unsafe(path, f"Its {what} is larger than {MAX_JSON_BYTES:,} bytes.")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"Its {what} is not valid JSON ({_shown(str(error))}).") from error
    _check_depth(path, value, what)
    if not isinstance(value, dict):
        raise _damaged(path, f"Its {what} is not a JSON object.")
    return value


def _check_depth(path: Path, value: Any, what: str) -> None:
    """Bound nesting and size, so that everything after may recurse."""
    pending = [(value, 1)]
    count = 0
    while pending:
        item, depth = pending.pop()
        if depth > MAX_JSON_DEPTH:
            raise _unsafe(path, f"Its {what} is nested more than {MAX_JSON_DEPTH} deep.")
        children: Any = ()
        if isinstance(item, dict):
            children = item.values()
        elif isinstance(item, list):
            children = item
        count += len(children)
        if count > MAX_JSON_VALUES:
            raise _unsafe(path, f"Its {what} has more than {MAX_JSON_VALUES:,} values.")
        pending.extend((child, depth + 1) for child in children if isinstance(child, (dict, list)))


def _model_config(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(config.get("class_name"), str):
        raise _damaged(path, "Its architecture names no model class.")
    if not isinstance(config.get("config", {}), (dict, list)):
        raise _damaged(path, "Its architecture has no usable config.")
    return {"config": {}, **config}


# --- errors ------------------------------------------------------------------------------------


@contextmanager
def as_model_error(path: Path) -> Iterator[None]:
    """Whatever a parser raises on a broken file becomes a `ModelError`."""
    try:
        yield
    except KvisError:
        raise
    except PermissionError as error:
        raise ModelError(f"'{path}' cannot be read.", "Permission denied.") from error
    except MemoryError as error:
        raise _damaged(path, "A size in it is absurd.") from error
    except Exception as error:
        # h5py, zipfile, zlib and struct have no common base, and each raises several.
        raise _damaged(path, f"{_shown(str(error)) or type(error).__name__}.") from error


def _survive(path: Path, reader: Callable[[Path], object]) -> None:
    import h5py  # noqa: F401  (before the fork, so that the child finds it imported)

    if not survives(reader, path):
        raise _damaged(path, "The HDF5 library crashes on it.")


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"'{path}' is damaged or incomplete.", why, _SAVE_AGAIN)


def _unsafe(path: Path, why: str) -> ModelError:
    return ModelError(
        f"'{path}' is refused as unsafe.",
        why,
        "Keras writes no such files: ask its author for a plain `model.save()`.",
    )


def _shown(text: str, limit: int = 160) -> str:
    """`text` for a message: one line, printable, not too long."""
    line = shown(" ".join(text.split())).rstrip(".")
    return line if len(line) <= limit else line[: limit - 1] + "…"
