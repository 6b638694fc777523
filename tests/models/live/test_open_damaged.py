"""Damaged HDF5 models, opened all the way: a model or one clear error, soon, in bounded memory.

The damage is done in a process of its own, so that a crash, too, would be seen.
"""

from __future__ import annotations

import copy
import io
import json
import random
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.helpers.processes import answer

SECONDS_EACH = 60
EXTRA_MEMORY = 6 << 30


def _weights(h5):
    found = []
    h5["model_weights"].visititems(lambda name, item: found.append(f"model_weights/{name}"))
    return [name for name in found if isinstance(h5[name], h5py.Dataset)]


def _swap_weight(h5, rng, make):
    name = rng.choice(_weights(h5))
    shape = h5[name].shape
    del h5[name]
    make(h5, name, shape)


def _virtual(h5, name, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape)
    h5.create_virtual_dataset(name, layout)


# What may stand in the place of an array of weights.
WEIGHTS = {
    "external link": lambda h5, name, shape: h5.__setitem__(name, h5py.ExternalLink("/etc/x", "/")),
    "soft link": lambda h5, name, shape: h5.__setitem__(name, h5py.SoftLink("/model_weights")),
    "loop": lambda h5, name, shape: h5.__setitem__(name, h5["model_weights"]),
    "external storage": lambda h5, name, shape: h5.create_dataset(
        name, shape, "f4", external=[("/etc/passwd", 0, 4 * int(np.prod(shape)))]
    ),
    "virtual": _virtual,
    "references": lambda h5, name, shape: h5.create_dataset(name, shape, h5py.ref_dtype),
    "oversized": lambda h5, name, shape: h5.create_dataset(
        name, (1 << 20, *shape), "f4", chunks=True
    ),
    "absurd": lambda h5, name, shape: h5.create_dataset(name, (1 << 50,), "f4", chunks=(64,)),
    "texts": lambda h5, name, shape: h5.create_dataset(name, shape, h5py.string_dtype()),
    "records": lambda h5, name, shape: h5.create_dataset(name, shape, [("a", "f4"), ("b", "i4")]),
    "complex": lambda h5, name, shape: h5.create_dataset(name, shape, "c16"),
    "no number": lambda h5, name, shape: h5.create_dataset(name, data=np.full(shape, np.nan)),
    "transposed": lambda h5, name, shape: h5.create_dataset(name, (*shape[::-1], 2), "f4"),
    "scalar": lambda h5, name, shape: h5.create_dataset(name, data=1.0),
    "nothing": lambda h5, name, shape: None,
    "empty": lambda h5, name, shape: h5.create_dataset(name, data=h5py.Empty("f4")),
}
# What may stand in the place of the lists of names.
NAMES = {
    "no such layer": [b"nobody", b"c1"],
    "numbers": [1, 2, 3],
    "not a list": 7,
    "one text": b"c1",
    "other way round": None,
    "of itself": [b".", b"/", b".."],
    "not utf-8": [b"\xff\xfe"],
    "none": np.zeros(0, "S1"),
}


def _spoil_names(h5, rng, value):
    holder = h5["model_weights"]
    key = "layer_names"
    if rng.random() < 0.5:
        holder, key = holder[rng.choice([n for n in holder if len(holder[n])])], "weight_names"
    if value is None:
        value = list(holder.attrs[key])[::-1]
    holder.attrs[key] = value


def _spoiled(data: bytes, change) -> bytes:
    stream = io.BytesIO(data)
    with h5py.File(stream, "a") as h5:
        change(h5)
    return stream.getvalue()


def _versions(h5, rng):
    for key in ("keras_version", "backend"):
        h5.attrs[key] = rng.choice([b"1.0", b"2.4.0", b"\xff", b"9" * 5000, 3, b"", b"theano"])


def spoiled(data: bytes, rng: random.Random, kind: int) -> tuple[str, bytes]:
    """One kind of damage after the other, each in a random place."""
    from tests.models.files.test_read_damaged import _damaged, _swapped

    number = kind // 2
    if kind % 2 == 0:
        choices = [*WEIGHTS, *NAMES]
        name = choices[number % len(choices)]
        if name in WEIGHTS:
            return name, _spoiled(data, lambda h5: _swap_weight(h5, rng, WEIGHTS[name]))
        return name, _spoiled(data, lambda h5: _spoil_names(h5, rng, NAMES[name]))
    if number % 4 == 0:
        return "bytes", _damaged(data, rng)
    if number % 4 == 3:
        return "version", _spoiled(data, lambda h5: _versions(h5, rng))

    def config(h5):
        made = _swapped(json.loads(h5.attrs["model_config"]), rng)
        h5.attrs["model_config"] = json.dumps(made)

    return "config", _spoiled(data, config)


def run(seed: int, count: int, folder: str, sound: list[str]) -> None:
    """Damage and open `count` files, in this process; prints how each ended as JSON."""
    import resource

    from kvis_cli.runtime.tensorflow import import_tensorflow

    import_tensorflow()
    from kvis_cli.errors import KvisError
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.request import ModelSpec

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + EXTRA_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    rng = random.Random(seed)
    files = [Path(name).read_bytes() for name in sound]
    path = Path(folder) / "model.h5"
    ends = []
    for number in range(count):
        name, data = spoiled(rng.choice(files), rng, number + seed * count)
        path.write_bytes(data)
        start = time.monotonic()
        try:
            open_model(describe_model(ModelSpec(path=str(path))))
            end = "opened"
        except KvisError as error:
            assert error.what and "\n" not in str(error)
            end = type(error).__name__
        assert time.monotonic() - start < SECONDS_EACH, name
        ends.append((name, end))
    assert (Path(folder) / "model.h5").read_bytes() == data
    print(json.dumps(ends))


def fuzz(seed, count, folder, sound):
    ends = answer(
        "tests.models.live.test_open_damaged",
        seed,
        count,
        str(folder),
        [str(p) for p in sound],
        timeout=120 + 20 * count,
    )
    assert len(ends) == count
    return ends


@pytest.fixture(scope="module")
def sound(tf, tmp_path_factory):
    """A small file as Keras 3 writes it, and the same in the words of Keras 1."""
    import keras

    folder = tmp_path_factory.mktemp("sound")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="c1"),
            keras.layers.Flatten(name="f"),
            keras.layers.Dense(2, name="d"),
        ]
    )
    new, old = folder / "new.h5", folder / "old.h5"
    model.save(new)
    with h5py.File(new) as source, h5py.File(old, "w") as h5:
        source.copy("model_weights", h5)
        h5.attrs["keras_version"] = b"1.2.1"
        conv = {
            "name": "c1", "nb_filter": 4, "nb_row": 3, "nb_col": 3, "dim_ordering": "tf",
            "activation": "relu", "batch_input_shape": [None, 8, 8, 3],
        }  # fmt: skip
        layers = [("Convolution2D", conv), ("Flatten", {"name": "f"}),
                  ("Dense", {"name": "d", "output_dim": 2})]  # fmt: skip
        layers = [{"class_name": name, "config": copy.deepcopy(inner)} for name, inner in layers]
        config = {"class_name": "Sequential", "config": layers}
        h5.attrs["model_config"] = json.dumps(config)
    return [new, old]


def test_the_sound_files_open(tf, sound):
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.request import ModelSpec

    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    one, other = (open_model(describe_model(ModelSpec(path=str(p)))).model(pixels) for p in sound)
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_damaged_hdf5_is_one_error(sound, tmp_path, seed):
    ends = fuzz(seed, 64, tmp_path, sound)
    for name in WEIGHTS:
        # Whatever stands in the place of weights, a model without them is never explained.
        assert {end for kind, end in ends if kind == name} <= {"ModelError", "WeightsError"}, name
    assert sum(end == "opened" for _, end in ends) < len(ends) / 3


@pytest.mark.slow
def test_damaged_real_files_are_one_error(real_data, tmp_path):
    names = ["resnet8_cifar10_keras24.h5", "person_mobilenet_96_keras24.h5"]
    fuzz(7, 32, tmp_path, [real_data / "models" / name for name in names])
