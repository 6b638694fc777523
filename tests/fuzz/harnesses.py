"""Every reader of bytes that kvis did not write, as a function of these bytes.

A harness takes any bytes and a folder of its own. It ends, soon and in bounded memory, or raises a
`KvisError`; every other exception is a finding. `campaign.py` feeds them bytes guided by coverage,
`test_fuzz.py` feeds them the corpora and what was once found.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kvis_cli.errors import KvisError

Harness = Callable[[bytes, Path], None]


@dataclass(frozen=True)
class Reader:
    """A reader and how it is fuzzed.

    Attributes
    ----------
    run
        The harness.
    syntax
        What its bytes are made of: ``bytes``, ``json`` or ``text``. JSON is also mutated value by
        value, so that what comes after the parser is reached.
    words
        Tokens for the mutation.
    native
        Whether it leaves the process: few executions per second, and no coverage of the child.
    """

    run: Harness
    syntax: str = "bytes"
    words: tuple[str, ...] = ()
    native: bool = False


READERS: dict[str, Reader] = {}


def reader(syntax: str = "bytes", words: str = "", native: bool = False):
    """Enter a harness into `READERS`."""

    def enter(run: Harness) -> Harness:
        READERS[run.__name__] = Reader(run, syntax, tuple(words.split()), native)
        return run

    return enter


def execute(name: str, data: bytes, folder: Path) -> None:
    """One execution; refusals are answers, as long as their three parts can be said."""
    try:
        READERS[name].run(data, folder)
    except KvisError as error:
        assert error.what
        str(error)


# --- model files ---------------------------------------------------------------------------------


@reader()
def model_kind(data: bytes, folder: Path) -> None:
    """Any file under a model's name; HDF5 is `hdf5_file`'s."""
    from kvis_cli.models.files.kinds import kind_of

    path = folder / "model.keras"
    path.write_bytes(data)
    kind_of(path)


@reader()
def keras_archive(data: bytes, folder: Path) -> None:
    """The raw bytes of a .keras archive."""
    from kvis_cli.models.files.archive import read_keras
    from kvis_cli.models.files.errors import as_model_error

    path = folder / "model.keras"
    path.write_bytes(data)
    with as_model_error(path):
        read_keras(path)


@reader(
    "json",
    "class_name config layers name inbound_nodes input_layers output_layers batch_shape "
    "Sequential Functional Model Lambda Dense Conv2D InputLayer function module registered_name "
    "TFOpLambda border_mode nb_filter data_format activation dtype keras_history",
)
def architecture(data: bytes, folder: Path) -> None:
    """A model's JSON, of a file of Keras 1, 2 or 3 by its first byte, up to what is said of it."""
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.description.trust import check_code
    from kvis_cli.models.graph.autolayer import cam_candidates
    from kvis_cli.models.request import ModelSpec

    version = ("3.4.1", "2.4.0", "1.2.2", "")[data[0] % 4] if data else ""
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", data[1:])
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
    info = describe_model(ModelSpec(path=str(path)))
    for question in (
        lambda: cam_candidates(info.architecture),
        lambda: info.cam_layer("auto"),
        info.head,
        info.image_input,
        info.preprocessing,
        info.final_activation,
        info.input_form,
        info.describe_output,
    ):
        with suppress(KvisError):
            question()
    check_code(info)


@reader(
    "json",
    "modelTopology model_config weightsManifest paths weights name shape dtype quantization scale "
    "min float32 uint8 uint16 float16 int32 bool w.bin ../w.bin format layers-model class_name",
)
def json_model(data: bytes, folder: Path) -> None:
    """A model.json with one file of weights beside it, up to its arrays."""
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.files.errors import as_model_error
    from kvis_cli.models.files.json_models import read_document
    from kvis_cli.models.files.read import check_safe, stored_weights
    from kvis_cli.models.files.tfjs import groups, read_arrays
    from kvis_cli.models.request import ModelSpec

    path = folder / "model.json"
    path.write_bytes(data)
    (folder / "w.bin").write_bytes(bytes(range(64)))
    with as_model_error(path):
        for _ in read_arrays(groups(path, read_document(path))):
            pass
    check_safe(path)
    stored_weights(path)
    describe_model(ModelSpec(path=str(path)))


@reader("json", "model_config keras_version backend layer_names weight_names")
def hdf5_attributes(data: bytes, folder: Path) -> None:
    """The attributes of an HDF5 model, read in this process: config, versions, names, dtypes."""
    import h5py
    import numpy as np

    from kvis_cli.models.files.errors import as_model_error
    from kvis_cli.models.files.hdf5 import read_h5
    from kvis_cli.models.files.read import try_all
    from kvis_cli.models.legacy.upgrade import upgrade

    path = folder / "model.h5"
    kind, size, text = (data[0], data[1], data[2:]) if len(data) > 2 else (0, 0, data)
    with h5py.File(path, "w", libver="latest") as h5:
        holder = h5.create_group("model_weights") if kind & 1 else h5
        match kind >> 1 & 3:
            case 0:
                h5.attrs["model_config"] = np.void(text) if text else ""
            case 1:
                h5.attrs["model_config"] = text.decode("utf-8", "replace").replace("\0", "")
            case 2:
                h5.attrs["model_config"] = np.frombuffer(text, np.uint8)
            case 3:
                h5.attrs["model_config"] = np.array([text[:4000]] * (size % 3), "S")
        holder.attrs["keras_version"] = np.bytes_(text[:8].replace(b"\0", b""))
        name = text[:20].decode("latin-1").replace("\0", "").strip("./") or "layer"
        dtype = ("f4", "S3", "?", "c8", [("a", "i2"), ("b", "f8")])[size % 5]
        with suppress(ValueError):
            holder.create_dataset(name, shape=(size % 4, kind % 3), dtype=dtype)
    with as_model_error(path):
        try_all(path)
        found = read_h5(path)
        upgrade(found.config, keras_version=found.keras_version)


@reader(native=True)
def hdf5_file(data: bytes, folder: Path) -> None:
    """The raw bytes of an HDF5 model, by way of the child that kvis tries it in."""
    from kvis_cli.models.files.read import check_safe, read_model_file, stored_weights

    path = folder / "model.h5"
    path.write_bytes(data)
    read_model_file(path, allow_weights_only=True)
    check_safe(path)
    stored_weights(path)


@reader()
def saved_model(data: bytes, folder: Path) -> None:
    """``saved_model.pb`` of a SavedModel: all that is read of it without TensorFlow."""
    from kvis_cli.models.files.read import check_safe, read_model_file
    from kvis_cli.models.files.savedmodel import check_savedmodel

    (folder / "saved").mkdir(exist_ok=True)
    (folder / "saved" / "saved_model.pb").write_bytes(data)
    read_model_file(folder / "saved")
    check_safe(folder / "saved")
    check_savedmodel(folder / "saved")


@reader()
def bytecode(data: bytes, folder: Path) -> None:
    """A Lambda's code: its decoding, and the walk over instructions of a code object."""
    from kvis_cli.models.legacy.bytecode import _decoded, _has_own_caches

    _decoded(data.decode("utf-8", "replace"))
    _has_own_caches(data)


@reader(native=True)
def bytecode_child(data: bytes, folder: Path) -> None:
    """A Lambda's code, by way of the child that unmarshals it."""
    import base64

    from kvis_cli.models.legacy.bytecode import check_bytecode

    code = {"config": {"code": base64.b64encode(data).decode()}}
    check_bytecode("model", "layer", code, "")


# --- what lies beside a model --------------------------------------------------------------------


@reader("text", "preprocess: labels: layer: size: replace_layer: mean: std: color: &a *a << !!")
def sidecar(data: bytes, folder: Path) -> None:
    """model.kvis.yaml."""
    from kvis_cli.models.description import preprocessing
    from kvis_cli.models.description.sidecar import read_sidecar

    (folder / "model.kvis.yaml").write_bytes(data)
    found = read_sidecar(folder / "model.keras")
    if found and found[0].preprocess not in (None, "auto"):
        preprocessing.parse(found[0].preprocess)


@reader(
    "text",
    "version: models: path: images: tasks: cam: saliency: filters: maximize: method: class: "
    "output: box: mask: csv: report: &a *a << !! top1 22+23",
)
def job_file(data: bytes, folder: Path) -> None:
    """A job file."""
    from kvis_cli.spec.file import read_job

    (folder / "job.yaml").write_bytes(data)
    read_job(folder / "job.yaml")


@reader("text")
def labels_text(data: bytes, folder: Path) -> None:
    """labels.txt, and a search in it."""
    from kvis_cli.models.description.labels import read_labels

    (folder / "labels.txt").write_bytes(data)
    found = read_labels(folder / "labels.txt")
    found.index(found.name(len(data) % 7))


@reader("json")
def labels_json(data: bytes, folder: Path) -> None:
    """labels.json."""
    from kvis_cli.models.description.labels import read_labels

    (folder / "labels.json").write_bytes(data)
    found = read_labels(folder / "labels.json")
    found.index(found.name(0))


# --- images, arrays, regions ---------------------------------------------------------------------


@reader()
def picture(data: bytes, folder: Path) -> None:
    """A photo of any format that Pillow has."""
    from kvis_cli.images.photo import read_photo

    (folder / "photo.jpg").write_bytes(data)
    pixels = read_photo(folder / "photo.jpg").pixels
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == "uint8"


@reader()
def array(data: bytes, folder: Path) -> None:
    """An .npy file (and whatever has its name), as an input and as a picture."""
    from kvis_cli.images.arrays import as_input, load_array
    from kvis_cli.images.photo import read_photo

    (folder / "input.npy").write_bytes(data)
    found = load_array(folder / "input.npy")
    with suppress(KvisError):
        as_input(found, (None, 2), folder / "input.npy")
    if found.size < 1_000_000:
        read_photo(folder / "input.npy")


@reader("text", "file class box mask . ../ 0,0,1,1 nan inf 1e999")
def table(data: bytes, folder: Path) -> None:
    """A CSV table of images with classes, boxes and masks, and the regions that they say."""
    from kvis_cli.jobs.planning.sources import find_sources
    from kvis_cli.jobs.results.regions import region_of
    from kvis_cli.spec.images import CsvSpec

    (folder / "table.csv").write_bytes(data)
    columns = {"image": "file", "class": "class", "box": "box", "mask": None}
    for source in find_sources([CsvSpec(csv=str(folder / "table.csv"), **columns)])[:20]:
        with suppress(KvisError):
            region_of(source, 30, 40)


@reader()
def mask(data: bytes, folder: Path) -> None:
    """A mask picture as a region of interest."""
    from kvis_cli.jobs.planning.sources import Source
    from kvis_cli.jobs.results.regions import region_of

    (folder / "mask.png").write_bytes(data)
    region = region_of(Source(folder / "a.png", mask=folder / "mask.png"), 30, 40)
    assert region is not None and 0 <= region.min() <= region.max() <= 1


@reader()
def png_metadata(data: bytes, folder: Path) -> None:
    """The text chunks of a PNG."""
    from kvis_cli.render.png import read_metadata

    (folder / "a.png").write_bytes(data)
    read_metadata(folder / "a.png")


# --- a finished run ------------------------------------------------------------------------------


@reader(
    "json",
    "task status failed file raw model image image_name method variant target score warnings of "
    "places error what why rows begins models name spec versions seconds",
)
def finished_run(data: bytes, folder: Path) -> None:
    """manifest.jsonl, journal.jsonl, run.json and the hashes of a folder, and reports of them."""
    from kvis_cli.jobs.planning.digests import Digests
    from kvis_cli.report import write as _  # noqa: F401  (enters the formats)
    from kvis_cli.report.animations import write_animations
    from kvis_cli.report.data import load_run
    from kvis_cli.report.registry import WRITERS

    # One JSON list: what is a line of the manifest, a line of the journal, and run.json.
    manifest, journal, about = _three(data)
    (folder / "manifest.jsonl").write_bytes(manifest)
    (folder / "journal.jsonl").write_bytes(journal)
    (folder / "run.json").write_bytes(about)
    (folder / ".hashes.json").write_bytes(about)
    (folder / "a.png").touch()
    Digests(folder)
    run = load_run(folder)
    for write in WRITERS.values():
        write(run).encode()
    write_animations(folder)


# --- a gate --------------------------------------------------------------------------------------


@reader("text", "kvis-baseline end i m s q - 3x3h 28x28s %2D null <<<<<<< nan 1e999 {} []")
def baseline(data: bytes, folder: Path) -> None:
    """baseline.txt as it is, and with checksums that fit, so that what they guard is reached."""
    from kvis_cli.gate.baseline import NAME, read_baseline, to_text
    from kvis_cli.gate.cells import settled

    lines = data.decode("utf-8", "replace").split("\n")
    bodies = [line.rpartition(" ")[0] for line in lines[1:-2]]
    mended = [f"{b} {hashlib.sha256(b.encode()).hexdigest()[:8]}" for b in bodies]
    for text in (data, "\n".join([*lines[:1], *mended, *lines[-2:]]).encode()):
        (folder / NAME).write_bytes(text)
        with suppress(KvisError):
            found = read_baseline(folder)
            to_text(found)
            for kept in found.kept[:10]:
                settled(kept.cells, found.kept[0].cells)
    read_baseline(folder)


@reader("json", "schema thresholds of metric method class limit retrain spearman null 1e999")
def thresholds(data: bytes, folder: Path) -> None:
    """thresholds.json of a baseline folder."""
    from kvis_cli.gate.thresholds import NAME, read_thresholds

    (folder / NAME).write_bytes(data)
    read_thresholds(folder)


@reader()
def raw_map(data: bytes, folder: Path) -> None:
    """The .npz of a raw map in a result folder."""
    from kvis_cli.gate.answers import read_map
    from kvis_cli.gate.cells import to_cells

    (folder / "a.npz").write_bytes(data)
    raw = read_map(folder / "a.npz")
    if raw.ndim == 2 and 0 < raw.size < 1_000_000:
        to_cells(raw, True)


def _three(data: bytes) -> tuple[bytes, bytes, bytes]:
    try:
        parts = json.loads(data)
        manifest, journal, about = parts
        lines = [
            "\n".join(json.dumps(row) for row in rows) if isinstance(rows, list) else str(rows)
            for rows in (manifest, journal)
        ]
        return lines[0].encode(), lines[1].encode(), json.dumps(about).encode()
    except (ValueError, TypeError, RecursionError):
        return data, b"", data


@reader("json")
def shards(data: bytes, folder: Path) -> None:
    """run.json and manifest.jsonl of a shard that is joined."""
    from kvis_cli.jobs.results.merge import merge_shards

    shard = folder / "shard"
    shard.mkdir(exist_ok=True)
    manifest, _, about = _three(data)
    (shard / "manifest.jsonl").write_bytes(manifest)
    (shard / "run.json").write_bytes(about)
    merge_shards(folder / "joined", [shard])


def archive_of(config: bytes, weights: bytes = b"") -> bytes:
    """A .keras archive of a config."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", '{"keras_version": "3.4.1"}')
        if weights:
            archive.writestr("model.weights.h5", weights)
    return stream.getvalue()
