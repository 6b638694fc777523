"""Archives of Keras 3 (``.keras``)."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from kvis_cli.errors import ModelError
from kvis_cli.models.files.errors import damaged, one_line, unsafe
from kvis_cli.models.files.json import model_config, parse_json
from kvis_cli.models.files.kinds import ZIP_MAGIC, ModelFile
from kvis_cli.models.files.limits import BOMB_BYTES, BOMB_RATIO, MAX_JSON_BYTES, MAX_MEMBERS, MIB
from kvis_cli.paths import MODEL_SUFFIXES

CONFIG_MEMBER = "config.json"


METADATA_MEMBER = "metadata.json"


WEIGHTS_MEMBER = "model.weights.h5"


NUMPY_MEMBER = "model.weights.npz"


def read_keras(path: Path) -> ModelFile:
    """Read the config and versions of an archive."""
    with zipfile.ZipFile(path) as archive:
        check_members(path, archive)
        names = archive.namelist()
        if CONFIG_MEMBER not in names:
            raise _not_keras(path, names)
        config = parse_json(path, _member_bytes(path, archive, CONFIG_MEMBER), CONFIG_MEMBER)
        metadata: dict[str, Any] = {}
        if METADATA_MEMBER in names:
            raw = _member_bytes(path, archive, METADATA_MEMBER)
            metadata = parse_json(path, raw, METADATA_MEMBER)
    version = metadata.get("keras_version", "")
    return ModelFile(
        path,
        "keras",
        model_config(path, config),
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


def check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse members that leave the archive, overlap or unpack to absurd sizes."""
    members = archive.infolist()
    size = path.stat().st_size
    if len(members) > MAX_MEMBERS:
        raise unsafe(path, f"The archive has {len(members)} members.")
    names = [info.filename for info in members]
    if len(set(names)) != len(names):
        raise unsafe(path, "The archive has two members of the same name.")
    for info in members:
        name = info.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
            raise unsafe(path, f"Its member '{one_line(info.filename)}' leaves the archive.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise unsafe(path, f"Its member '{one_line(info.filename)}' is a symbolic link.")
        if info.flag_bits & 0x1:
            raise ModelError(
                f"'{path}' cannot be read.", f"Its member '{one_line(info.filename)}' is encrypted."
            )
        if info.file_size > BOMB_BYTES and info.file_size > BOMB_RATIO * max(info.compress_size, 1):
            raise unsafe(path, f"'{one_line(info.filename)}' unpacks to {info.file_size:,} bytes.")
    packed = sum(info.compress_size for info in members)
    if packed > size:
        raise unsafe(path, "Its members overlap: together they are larger than the file.")
    unpacked = sum(info.file_size for info in members)
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * size:
        raise unsafe(path, f"It unpacks to {unpacked:,} bytes.")


def _member_bytes(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > MAX_JSON_BYTES:
        raise unsafe(path, f"Its {name} declares {info.file_size:,} bytes.")
    with archive.open(info) as stream:
        # The declared size is not to be trusted: never read past it.
        return stream.read(info.file_size)


@contextmanager
def open_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open a seekable view of one member; a stored one is read in place."""
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as stream:
            stream.seek(info.header_offset)
            header = stream.read(30)
            if len(header) < 30 or not header.startswith(ZIP_MAGIC):
                raise damaged(path, f"The archive's entry '{one_line(info.filename)}' is broken.")
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
