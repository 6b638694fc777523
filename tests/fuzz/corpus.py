"""The seeds of the campaigns: small sound inputs for each reader, made when they are needed."""

from __future__ import annotations

import csv
import io
import json
import marshal
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.fuzz.harnesses import archive_of
from tests.models.files.test_read_damaged import CONFIGS

HERE = Path(__file__).parent


SAMPLES = HERE.parents[1] / "sample_models"


def small_config() -> bytes:
    """Three layers of a sample model's own JSON."""
    config = json.loads(zipfile.ZipFile(SAMPLES / "shapes.keras").read("config.json"))
    inner = config["config"]
    inner["layers"] = inner["layers"][:3]
    inner["output_layers"] = [[inner["layers"][2]["name"], 0, 0]]
    config.pop("compile_config", None)
    return json.dumps(config).encode()


def lambda_config() -> bytes:
    """A Lambda as Keras 3 writes it."""
    code = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None}}
    return json.dumps(
        {
            "class_name": "Sequential",
            "config": {
                "layers": [
                    {"class_name": "InputLayer", "config": {"batch_shape": [None, 4, 4, 1]}},
                    {"class_name": "Lambda", "config": {"name": "l", "function": code}},
                ]
            },
        }
    ).encode()


def hdf5(config: bytes) -> bytes:
    """A small HDF5 model."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as h5:
        h5.attrs["model_config"] = config.decode()
        h5.attrs["keras_version"] = "2.4.0"
        h5.create_dataset("model_weights/c/c/kernel:0", data=np.ones((3, 3, 1, 1), "f4"))
        h5["model_weights"].attrs["layer_names"] = [b"c"]
    return stream.getvalue()


def image(mode: str, suffix: str, **options: object) -> bytes:
    """A picture of 8×6 pixels."""
    shape = (6, 8) if mode in ("L", "1", "P", "I;16", "F") else (6, 8, len(mode))
    values = np.random.default_rng(1).integers(0, 256, shape)
    kind = {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    made = Image.fromarray(values.astype(kind))
    made = made.convert(mode) if mode in ("1", "P") else made
    stream = io.BytesIO()
    made.save(stream, suffix, **options)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    """An array's file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """Arrays' file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def run() -> bytes:
    """Rows of a manifest, of a journal, and run.json, as one list."""
    row = {
        "task": "t1", "of": 1, "file": "a.png", "model": "m.keras", "model_name": "m", "of_": 1,
        "image": "p.png", "image_name": "p", "kind": "cam", "method": "gradcam", "target": "cat",
        "score": 1.5, "probability": 0.5, "warnings": ["blank"], "places": [0], "top": [],
    }  # fmt: skip
    failed = {
        "task": "t2", "status": "failed", "model": "n.keras", "error": {"what": "no", "why": ""},
    }  # fmt: skip
    other = {**row, "model": "n.keras", "model_name": "n", "task": "t3"}
    about = {
        "kvis": "0.1.0", "versions": {"keras": "3"}, "models": [{"name": "m"}], "seconds": 1.0,
        "images": [{"name": "p"}], "seconds_by_model": {"m.keras": 1.0}, "device": "cpu",
    }  # fmt: skip
    journal = [{"begins": ["b"]}, {"task": "t3", "rows": [other]}]
    return json.dumps([[row, failed], journal, about]).encode()


def shard() -> bytes:
    """A shard's manifest and run.json."""
    row = {"task": "t1", "of": 1, "file": "a.png", "model": "m.keras"}
    spec = {"models": [{"path": "m.keras"}], "images": [], "tasks": [{"cam": {}}]}
    about = {
        "kvis": "0.1.0", "versions": {}, "shard": "0/1", "spec": spec, "models": [],
        "images": [], "device": "cpu", "distrusted": 0,
        "tasks": {"all": 1, "done": 1, "failed": 0}, "seconds": 1.0, "seconds_by_model": {},
        "failures": [],
    }  # fmt: skip
    return json.dumps([[row], [], about]).encode()


def table() -> bytes:
    """A CSV table."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows([["file", "class", "box"], ["a.png", "cat", "0 0 10 10"], ["b.png", "1", ""]])
    return stream.getvalue().encode()


def varint(field: int, value: bytes) -> bytes:
    """A field of a protocol buffer."""
    return bytes([field << 3 | 2, len(value)]) + value


def graph() -> bytes:
    """A MetaGraphDef with a node that calls a function, a saver, a signature and an object."""
    node = varint(1, b"y") + varint(2, b"Identity") + varint(3, b"x:0")
    called = varint(1, b"f") + varint(2, varint(10, varint(1, b"f")))
    call = varint(1, b"c") + varint(2, b"PartitionedCall") + varint(3, b"^y") + varint(5, called)
    function = varint(1, varint(1, b"f")) + varint(3, node)
    saver = varint(1, b"saver_filename:0") + varint(3, b"restore")
    output = varint(1, b"out") + varint(2, varint(1, b"c:0"))
    signature = varint(1, b"serve") + varint(2, varint(2, output))
    collection = varint(1, b"saved_model_main_op") + varint(2, varint(1, varint(1, b"y")))
    return (
        varint(2, varint(1, node) + varint(1, call) + varint(2, varint(1, function)))
        + varint(3, saver)
        + varint(4, collection)
        + varint(5, signature)
        + varint(7, varint(2, varint(1, b"f")))
    )


def accepted() -> bytes:
    """A baseline of two maps."""
    from kvis_cli.gate.baseline import Baseline, Kept, settings_key, to_text
    from kvis_cli.gate.cells import to_cells

    settings = {"kind": "cam", "method": "gradcam", "version": 4}
    kept = [
        Kept(("0" * 16, settings_key(settings), asked), "m", 1.5, 0.5, "cat", to_cells(raw, signed))
        for asked, raw, signed in (("1", np.eye(3), False), ("2", -np.eye(4), True))
    ]
    found = Baseline({"0" * 16: "a b.png"}, {"m": ""}, {settings_key(settings): settings}, kept)
    return to_text(found).encode()


def javascript(entry: dict[str, object]) -> bytes:
    """A model of TensorFlow.js with two weights in ``w.bin``."""
    weights = [
        {"name": "d/kernel", "shape": [2, 3], "dtype": "float32", **entry},
        {"name": "d/bias", "shape": [3], "dtype": "int32"},
    ]
    return json.dumps(
        {
            "modelTopology": {"model_config": json.loads(small_config()), "backend": "tensorflow"},
            "weightsManifest": [{"paths": ["w.bin"], "weights": weights}],
        }
    ).encode()


def seeds() -> dict[str, list[bytes]]:
    """Reader -> its seeds."""
    configs = [json.dumps(c, separators=(",", ":")).encode() for c in CONFIGS]
    configs += [small_config(), lambda_config()]
    png = image("RGB", "PNG")
    pictures = [
        png, image("RGBA", "PNG"), image("I;16", "PNG"), image("P", "GIF"), image("RGB", "BMP"),
        image("RGB", "JPEG", quality=20), image("L", "JPEG", quality=20), image("RGB", "WEBP"),
        image("RGB", "TIFF"), image("F", "TIFF"), image("1", "PPM"), image("RGB", "TGA"),
        image("RGB", "ICO"), image("RGB", "PCX"), image("RGB", "JPEG2000"), image("L", "SGI"),
    ]  # fmt: skip
    text = b"tEXtkvis\0abc"
    meta = struct.pack(">L", 8) + text + struct.pack(">L", zlib.crc32(text))
    code = marshal.dumps(compile("lambda x: x + 1", "m", "eval").co_consts[0])
    job = b"version: 1\nmodels:\n  - path: m.keras\n    preprocess: {mean: [1], color: bgr}\n"
    job += b"images: [a.png, {path: b.png, class: cat, box: [0, 0, 1, 1]}, {csv: t.csv}]\n"
    job += b"tasks:\n  - cam: {method: [gradcam], class: [top1, 22+23]}\n  - maximize: {class: 1}\n"
    job += b"output: &a out\nreport: [html]\n"
    return {
        "model_kind": [archive_of(configs[0]), hdf5(configs[0])[:600], png, b"<!doctype html>"],
        "keras_archive": [archive_of(c) for c in configs],
        "architecture": [bytes([n]) + c for n, c in zip((2, 1, 0, 0), configs, strict=True)],
        "json_model": [
            javascript({}), javascript({"quantization": {"dtype": "uint8", "scale": 2, "min": -1}})
        ],
        "hdf5_attributes": [bytes([n, n]) + c for n, c in enumerate(configs)],
        "hdf5_file": [hdf5(c) for c in configs[:2]],
        "saved_model": [
            b"\x08\x01" + varint(2, varint(1, varint(4, b"serve"))),
            b"\x08\x01" + varint(2, varint(2, varint(1, varint(1, b"x") + varint(2, b"PyFunc")))),
            b"\x08\x01" + varint(2, graph()),
        ],
        "bytecode": [code, b"4wEAAAA="],
        "bytecode_child": [code],
        "sidecar": [
            b"preprocess: signed\nlabels: [cat, dog]\nlayer: conv\nsize: 224\n",
            b"preprocess: {mean: [1, 2, 3], std: 2, color: bgr}\nreplace_layer: {l: identity}\n",
        ],
        "job_file": [job, b"tasks: &a [*a]\n"],
        "labels_text": [b"cat\ndog\n", b"0 cat\n1 dog\n", "\ufeff熊\r\nb\n".encode()],
        "labels_json": [b'["cat","dog"]', b'{"0":"cat","1":"dog"}', b'{"0":["n01","cat"]}'],
        "picture": pictures,
        "array": [
            npy(np.arange(6, dtype="f4").reshape(3, 2)), npy(np.arange(4, dtype="u1")),
            npy(np.zeros((2, 3, 3, 1), "f8")), npz(a=np.ones(3, "f4")),
        ],
        "table": [table(), b"file;class;box\na.png;x;1,2,3,4\n"],
        "mask": [image("L", "PNG"), image("1", "PPM")],
        "png_metadata": [png[:33] + meta + png[33:], image("RGB", "PNG")],
        "baseline": [accepted()],
        "thresholds": [
            b'{"schema":1,"thresholds":[{"of":"retrain","metric":"spearman","method":"gradcam",'
            b'"class":null,"limit":0.5}]}'
        ],
        "raw_map": [npz(map=np.ones((3, 4), "f4")), npz(map=np.arange(3)), npz(a=np.ones(3, "f4"))],
        "finished_run": [run()],
        "shards": [shard()],
    }  # fmt: skip
