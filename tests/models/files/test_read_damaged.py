"""Damaged files and configs: always an answer or one clear error, soon, and never a crash.

The damage is done in a process of its own, without TensorFlow, with bounded memory and time.
"""

from __future__ import annotations

import copy
import io
import json
import random
import time
import zipfile
from pathlib import Path

import pytest

from tests.helpers.processes import answer

SECONDS_EACH = 5
MEMORY = 4 << 30

RELU = {"class_name": "Activation", "config": {"name": "r", "activation": "relu"}}
KERAS1 = {
    "class_name": "Sequential",
    "config": [
        {
            "class_name": "Convolution2D",
            "config": {
                "name": "c", "nb_filter": 2, "nb_row": 3, "nb_col": 3, "subsample": [1, 1],
                "border_mode": "same", "dim_ordering": "tf", "batch_input_shape": [None, 8, 8, 3],
            },
        },
        RELU,
        {"class_name": "Flatten", "config": {"name": "f"}},
        {"class_name": "Dense", "config": {"name": "d", "output_dim": 2, "init": "one"}},
    ],
}  # fmt: skip


def _keras2():
    def layer(class_name, name, nodes, **config):
        config = {"name": name, **config}
        return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes}

    def model(name, layers, output, nodes=()):
        config = {"layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [output]}
        return layer("Functional", name, list(nodes), **config)

    image = layer("InputLayer", "i", [], batch_input_shape=[None, 8, 8, 3], dtype="float32")
    conv = layer(
        "DepthwiseConv2D", "c", [[["i", 0, 0, {}]]], kernel_size=[3, 3], groups=1, padding="same"
    )
    base = model("base", [copy.deepcopy(image), conv], ["c", 0, 0], [[["s", 0, 0, {}]]])
    scale = layer("TFOpLambda", "s", [["i", 0, 0, {"y": 127.5}]], function="math.truediv")
    pool = layer("GlobalAveragePooling2D", "g", [[["base", 1, 0, {}]]])
    return model("m", [image, scale, base, pool], ["g", 0, 0])


CONFIGS = [KERAS1, _keras2()]
VALUES = [
    None, -1, 0, 1, "x", [], {}, [1, 2], 10**15, 1e308, True, [[]], ["i", 0, 0], float("nan"),
    {"class_name": "Dense", "config": {}}, {"class_name": 3}, "channels_first", "Lambda",
]  # fmt: skip


def _h5(config) -> bytes:
    import h5py
    import numpy as np

    stream = io.BytesIO()
    with h5py.File(stream, "w") as h5:
        h5.attrs["model_config"] = json.dumps(config)
        h5.attrs["keras_version"] = "2.4.0"
        h5.create_dataset("model_weights/c/c/kernel:0", data=np.ones((3, 3, 3, 1), "f4"))
        h5.create_dataset("model_weights/d/kernel", data=np.ones((40, 20)), compression="gzip")
        h5["model_weights"].attrs["layer_names"] = [b"c", b"d"]
    return stream.getvalue()


def _keras(config) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", '{"keras_version": "2.13.1"}')
        archive.writestr("model.weights.h5", _h5({}))
    return stream.getvalue()


def _damaged(data: bytes, rng: random.Random) -> bytes:
    data = bytearray(data)
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(rng.choice([1, 3, 20])):
        # Headers are where damage hurts: the beginning, and the end of an archive.
        place = rng.randrange(min(len(data), rng.choice([200, 4000, len(data)])))
        place = len(data) - 1 - place if kind == 1 else place
        if kind == 2:
            data[place : place + 8] = rng.randbytes(8)
        else:
            data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def _slots(value, found):
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(item, (dict, list)):
            _slots(item, found)
    return found


def _swapped(config, rng: random.Random):
    """The config with values of wrong kinds, missing keys and parts in each other's place."""
    config = copy.deepcopy(config)
    slots = _slots(config, [])
    for _ in range(rng.choice([1, 1, 2, 5])):
        (holder, key), (other, at) = rng.choice(slots), rng.choice(slots)
        try:
            if rng.random() < 0.25:
                holder[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(holder[key])
            elif rng.random() < 0.2 and isinstance(holder, dict):
                del holder[key]
            else:
                holder[key] = copy.deepcopy(rng.choice(VALUES))
        except (KeyError, IndexError):
            continue
    return config


def run(seed: int, count: int, folder: str, extra: list[str]) -> None:
    """Damage `count` files, in this process; prints how they ended as JSON."""
    import resource

    from kvis_cli.errors import KvisError
    from kvis_cli.models.files.read import check_safe, read_model_file, stored_weights
    from kvis_cli.models.graph.autolayer import cam_candidates, choose_cam_layer
    from kvis_cli.models.graph.from_config import read_architecture
    from kvis_cli.models.legacy.upgrade import upgrade

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rng = random.Random(seed)
    sound = [make(config) for make in (_h5, _keras) for config in CONFIGS]
    sound += [Path(name).read_bytes() for name in extra]
    path = Path(folder) / "model"
    ends: dict[str, int] = {}
    for _ in range(count):
        if rng.random() < 0.5:
            path.write_bytes(_damaged(rng.choice(sound), rng))
        else:
            path.write_bytes(rng.choice((_h5, _keras))(_swapped(rng.choice(CONFIGS), rng)))
        start = time.process_time()
        try:
            file = read_model_file(path)
            check_safe(path)
            stored_weights(path)
            config = upgrade(file.config, keras_version=file.keras_version).config
            architecture = read_architecture(config)
            cam_candidates(architecture)
            choose_cam_layer(architecture)
            end = "opened"
        except KvisError as error:
            assert error.what
            assert "\n" not in str(error)
            end = type(error).__name__
        assert time.process_time() - start < SECONDS_EACH
        ends[end] = ends.get(end, 0) + 1
    print(json.dumps(ends))


def fuzz(seed, count, folder, extra=()):
    ends = answer(
        "tests.models.files.test_read_damaged",
        seed,
        count,
        str(folder),
        [str(p) for p in extra],
        timeout=60 + count,
    )
    assert sum(ends.values()) == count
    # Some damage is harmless, most is not.
    assert 0 < ends.get("opened", 0) < count
    assert ends["ModelError"] > 0


def test_damage_is_one_error(tmp_path):
    fuzz(0, 40, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_more_damage(tmp_path, real_data, seed):
    real = ["steering_keras12.h5", "mobilenet_v1_025_224.keras"]
    fuzz(seed, 300, tmp_path, [real_data / "models" / name for name in real])
