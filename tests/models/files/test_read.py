"""Model files: kinds by content, versions, and one clear error for everything that is not one."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from kvis_cli.errors import ExitCode, ModelError
from kvis_cli.models.files import archive as archives
from kvis_cli.models.files import probe
from kvis_cli.models.files.read import check_safe, read_model_file, stored_weights

CONFIG = {
    "class_name": "Sequential",
    "config": {
        "name": "tiny",
        "layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 3], "name": "in"}},
            {"class_name": "Flatten", "config": {"name": "flat"}},
        ],
    },
}


def keras_file(path: Path, members: dict[str, bytes] | None = None) -> Path:
    members = members or {
        "config.json": json.dumps(CONFIG).encode(),
        "metadata.json": b'{"keras_version": "3.4.1"}',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def h5_file(path: Path, **attributes: object) -> Path:
    with h5py.File(path, "w") as h5:
        h5.attrs.update(attributes or {"model_config": json.dumps(CONFIG)})
        group = h5.create_group("model_weights/dense")
        group.create_dataset("kernel:0", data=np.ones((3, 2), np.float32))
        h5.create_dataset("optimizer_weights/m", data=np.ones(5))
    return path


def refused(path: Path, *words: str) -> ModelError:
    """The error of reading (or checking) `path`; it must hold `words`."""
    with pytest.raises(ModelError) as caught:
        read_model_file(path)
        check_safe(path)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == ExitCode.NOT_EVALUATED
    return caught.value


def test_keras_archive_gives_config_and_version(tmp_path):
    found = read_model_file(keras_file(tmp_path / "m.keras"))
    assert (found.format, found.config, found.keras_version) == ("keras", CONFIG, "3.4.1")
    assert found.keras_major == 3


@pytest.mark.parametrize("text", [json.dumps(CONFIG), json.dumps(CONFIG).encode()])
def test_h5_config_may_be_text_or_bytes(tmp_path, text):
    found = read_model_file(h5_file(tmp_path / "m.h5", model_config=text, keras_version=b"2.4.0"))
    assert (found.format, found.config, found.keras_version) == ("h5", CONFIG, "2.4.0")


def test_kind_is_decided_by_content(tmp_path):
    assert read_model_file(h5_file(tmp_path / "wrong.keras")).format == "h5"
    assert read_model_file(keras_file(tmp_path / "wrong.h5")).format == "keras"


def test_h5_behind_a_user_block(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", userblock_size=1024) as h5:
        h5.attrs["model_config"] = json.dumps(CONFIG)
    assert read_model_file(path).config == CONFIG


def test_saved_model_folder(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert read_model_file(tmp_path).format == "savedmodel"


def test_weights_only(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as h5:
        h5.attrs["layer_names"] = [b"dense"]
        h5.create_dataset("dense/kernel:0", data=np.ones((3, 2)))
    refused(path, "weights only", "--arch")
    assert read_model_file(path, allow_weights_only=True).format == "weights_h5"


def test_stored_weights_leave_the_optimizer_out(tmp_path):
    (weight,) = stored_weights(h5_file(tmp_path / "m.h5"))
    assert (weight.path, weight.shape, weight.dtype) == ("dense/kernel:0", (3, 2), "float32")


def test_missing_names_the_close_ones(tmp_path):
    keras_file(tmp_path / "mobilenet.keras")
    refused(tmp_path / "mobilnet.keras", "Did you mean", "mobilenet.keras")
    refused(tmp_path / "nowhere" / "m.keras", "no folder")


def test_folder_names_a_model_in_it(tmp_path):
    keras_file(tmp_path / "a.keras")
    refused(tmp_path, "folder", "a.keras")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "PNG"),
        (b"\xff\xd8\xff\xe0" + b"x" * 100, "JPEG"),
        (b"hello there", "text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x80\x04\x95" + b"\x00" * 50, "pickle"),
        (b"\x1c\x00\x00\x00TFL3" + b"\x00" * 50, "TensorFlow Lite"),
        (b'{"class_name": "Sequential"}', "architecture"),
        (bytes(range(128, 256)), "neither"),
        (b"PK\x03\x04", "damaged"),
        (b"\x89HDF\r\n\x1a\n", "damaged"),
    ],
)
def test_what_is_not_a_model_is_called_by_its_name(tmp_path, content, word):
    path = tmp_path / "m.h5"
    path.write_bytes(content)
    refused(path, word)


@pytest.mark.parametrize("make", [keras_file, h5_file])
def test_truncated(tmp_path, make):
    path = make(tmp_path / "m")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    refused(path, "damaged")


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"a.txt": b"a"}, "config.json"),
        ({"archive/data.pkl": b"a"}, "PyTorch"),
        ({"keras_model.h5": b"a"}, "unpack it"),
        ({"config.json": b"{"}, "JSON"),
        ({"config.json": b"[" * 100_000 + b"]" * 100_000}, "JSON"),
        ({"config.json": b'{"a":' * 500 + b"1" + b"}" * 500}, "deep"),
        ({"config.json": b"[1]"}, "not a JSON object"),
        ({"config.json": b"{}"}, "names no model class"),
        ({"config.json": b"{}", "../evil": b""}, "leaves the archive"),
        ({"config.json": b"{}", "/etc/evil": b""}, "leaves the archive"),
        ({"config.json": b"{}", "C:\\evil": b""}, "leaves the archive"),
    ],
)
def test_bad_archives(tmp_path, members, word):
    refused(keras_file(tmp_path / "m.keras", members), word)


def test_zip_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "BOMB_BYTES", 1 << 20)
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(CONFIG))
        archive.writestr("model.weights.h5", bytes(1 << 24))
    refused(path, "unsafe", "unpacks to")


def test_declared_size_of_the_config_is_bounded(tmp_path):
    path = keras_file(tmp_path / "m.keras")
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1 << 31)
    path.write_bytes(bytes(data))
    refused(path, "2,147,483,648")


def test_symbolic_link_and_encryption(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("assets/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    refused(path, "symbolic link")
    data = bytearray(keras_file(tmp_path / "e.keras").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    refused(path, "encrypted")


def _external_link(h5):
    h5["model_weights/x"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(h5):
    h5["model_weights/x"] = h5py.SoftLink("/elsewhere")


def _external_storage(h5):
    h5.create_dataset("x", (10,), "f4", external=[("/etc/passwd", 0, 40)])


def _virtual(h5):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    h5.create_virtual_dataset("x", layout)


def _reference(h5):
    h5.create_dataset("x", (1,), h5py.ref_dtype)


def _reference_attribute(h5):
    h5.attrs["x"] = h5.ref


def _reference_field(h5):
    h5.create_dataset("x", (1,), np.dtype([("a", "f4"), ("b", h5py.ref_dtype)]))


def _reference_list(h5):
    h5.create_dataset("x", (1,), h5py.vlen_dtype(h5py.ref_dtype))


def _absurd_chunk(h5):
    h5.create_dataset("x", (1,), "f4", maxshape=(None,), chunks=(1 << 28,), compression="gzip")


def _absurd(h5):
    h5.create_dataset("x", (1 << 40,), "f4", chunks=(1024,))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_external_link, "link"),
        (_soft_link, "link"),
        (_external_storage, "other files"),
        (_virtual, "other files"),
        (_reference, "object references"),
        (_reference_attribute, "object reference"),
        (_reference_field, "object references"),
        (_reference_list, "object references"),
        (_absurd, "declares"),
        (_absurd_chunk, "declares"),
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_unsafe_hdf5(tmp_path, spoil, word, archived):
    path = h5_file(tmp_path / "m.h5")
    check_safe(path)
    with h5py.File(path, "a") as h5:
        spoil(h5)
    if archived:
        members = {"config.json": json.dumps(CONFIG).encode(), "w.h5": path.read_bytes()}
        path = keras_file(tmp_path / "m.keras", members)
    refused(path, "unsafe", word)


def test_filters_that_hdf5_would_load_a_library_for(tmp_path):
    path = h5_file(tmp_path / "m.h5")
    with h5py.File(path, "a") as h5:
        for name, filters in {"a": [1, 2, 3], "b": [32015]}.items():
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((4,))
            for number in filters:
                # Optional: HDF5 writes without the filter where it has none of that number.
                plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (4,) if number < 3 else ())
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(h5.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plist)
            if name == "a":
                h5.flush()
                check_safe(path)
    refused(path, "unsafe", "library")


def test_weights_in_numpys_format(tmp_path):
    members = {"config.json": json.dumps(CONFIG).encode(), "model.weights.npz": b""}
    refused(keras_file(tmp_path / "m.keras", members), "npz", "HDF5")


def test_hard_link_loops_end(tmp_path):
    path = h5_file(tmp_path / "m.h5")
    with h5py.File(path, "a") as h5:
        h5["model_weights/loop"] = h5["model_weights"]
    check_safe(path)


def test_weights_of_a_compressed_archive(tmp_path):
    path, packed = h5_file(tmp_path / "m.h5"), tmp_path / "m.keras"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(CONFIG))
        archive.write(path, "model.weights.h5")
    check_safe(packed)
    assert "model_weights/dense/kernel:0" in [weight.path for weight in stored_weights(packed)]


def test_a_crash_of_the_library_is_an_error(tmp_path, monkeypatch):
    for way in ("_forked", "_spawned"):
        monkeypatch.setattr(probe, way, lambda reader, path: None)
    refused(h5_file(tmp_path / "m.h5"), "crashes")


def test_real_files(real_data):
    versions = {
        path.name: read_model_file(path).keras_version
        for path in sorted((real_data / "models").iterdir())
        if path.suffix in (".h5", ".keras")
    }
    assert versions == {
        "mobilenet_v1_025_224.h5": "3.15.1",
        "mobilenet_v1_025_224.keras": "3.15.1",
        "person_mobilenet_96_keras24.h5": "2.4.0",
        "resnet8_cifar10_keras24.h5": "2.4.0",
        "squeezenet_v10_227.keras": "3.15.1",
        "steering_keras12.h5": "1.2.1",
        "teachable_machine_waste.h5": "2.4.0",
    }
