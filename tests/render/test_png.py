import errno
import io
import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import InputError, OutputError
from kvis_cli.paths import write_bytes_atomic
from kvis_cli.render import png
from kvis_cli.render.png import encode_png, provenance, read_metadata, write_png

RNG = np.random.default_rng(0)


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.mode, np.asarray(image)


@pytest.fixture(params=["ISA-L", "zlib"])
def deflater(request, monkeypatch):
    """Both ways to compress; without a wheel of ISA-L the second is taken."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")
    png._deflater.cache_clear()
    yield
    png._deflater.cache_clear()


@pytest.mark.usefixtures("deflater")
@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        ((1, 1), "L"),
        ((5, 7), "L"),
        ((1, 9, 3), "RGB"),
        ((40, 31, 3), "RGB"),
        ((13, 1, 3), "RGB"),
        ((8, 8, 4), "RGBA"),
    ],
)
def test_pixels_come_back_from_another_decoder(shape, mode):
    noise = RNG.integers(0, 256, shape, dtype=np.uint8)
    ramp = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 5).astype(np.uint8)
    smooth = np.broadcast_to(ramp.reshape(*ramp.shape, *[1] * (len(shape) - 2)), shape)
    for array in (noise, smooth, noise[::-1, ::-1]):
        found_mode, pixels = decode(encode_png(array))
        assert found_mode == mode
        np.testing.assert_array_equal(pixels, array)


@pytest.mark.usefixtures("deflater")
def test_photos_are_as_small_as_pillow_makes_them():
    y, x = np.mgrid[:300, :400] / 100
    smooth = np.stack([np.sin(x + y), np.sin(x * y), np.cos(x * x)], axis=-1)
    grain = RNG.normal(0, 2, smooth.shape)
    array = (128 + 100 * smooth + grain).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    assert len(encode_png(array)) <= 1.05 * len(buffer.getvalue())


def test_same_arguments_same_bytes_whatever_the_order_of_keys():
    array = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    first = encode_png(array, {"kvis": "1", "Title": "x"})
    assert first == encode_png(array.copy(), {"Title": "x", "kvis": "1"})
    assert first != encode_png(array, {"kvis": "2", "Title": "x"})


def test_metadata_round_trip(tmp_path):
    metadata = {
        **provenance({"labels": ["кошка", "猫"], "alpha": 0.5, "method": "gradcam"}),
        "Latin": "naïve",
        "Null": "a\0b",
        "Long": "x" * 100_000,
        "Empty": "",
    }
    path = write_png(tmp_path / "a.png", np.zeros((3, 3), np.uint8), metadata)
    assert read_metadata(path) == metadata
    assert json.loads(read_metadata(path)["kvis"])["labels"] == ["кошка", "猫"]
    assert read_metadata(write_png(tmp_path / "b.png", np.zeros((3, 3), np.uint8))) == {}


@pytest.mark.parametrize("key", ["", "k" * 80, "ключ", "a\0b"])
def test_keys_that_png_does_not_allow(key):
    with pytest.raises(ValueError, match="79 Latin-1"):
        encode_png(np.zeros((2, 2), np.uint8), {key: "x"})


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2)),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_only_uint8_pictures(array):
    with pytest.raises(ValueError, match="PNG"):
        encode_png(array)


def test_read_metadata_of_what_is_no_png(tmp_path):
    (tmp_path / "no.png").write_bytes(b"not a picture")
    for name in ("no.png", "absent.png"):
        with pytest.raises(InputError, match=name):
            read_metadata(tmp_path / name)
    cut = write_png(tmp_path / "cut.png", RNG.integers(0, 255, (50, 50), dtype=np.uint8))
    cut.write_bytes(cut.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"cut\.png"):
        read_metadata(cut)


def test_atomic_write_makes_the_folder_and_replaces_the_old_file(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    assert write_bytes_atomic(path, b"old") == path
    write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_reader_never_sees_a_part(tmp_path):
    path = write_bytes_atomic(tmp_path / "a.bin", b"0" * 200_000)
    seen = set()
    stop = threading.Event()

    def read():
        while not stop.is_set():
            seen.add(len(set(path.read_bytes())) * 1_000_000 + path.stat().st_size)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(100):
        write_bytes_atomic(path, bytes([k]) * 200_000)
    stop.set()
    reader.join()
    assert seen == {1_200_000}


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.ENOSPC, "full"),
        (errno.EROFS, "not writable"),
        (errno.EACCES, "not writable"),
        (errno.EIO, "error"),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, code, word):
    path = write_bytes_atomic(tmp_path / "a.png", b"old")

    def half(self, data):
        with self.open("wb") as file:
            file.write(data[:2])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OutputError, match=r"a\.png") as caught:
        write_bytes_atomic(path, b"new")
    assert word in caught.value.why
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(tmp_path / "a.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_names_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for name, word in (
        ("taken", "folder of that name"),
        ("x" * 300 + ".png", "too long"),
        ("file/a.png", "is a file"),
    ):
        with pytest.raises(OutputError) as caught:
            write_bytes_atomic(tmp_path / name, b"data")
        assert word in caught.value.why, name
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "taken"]
