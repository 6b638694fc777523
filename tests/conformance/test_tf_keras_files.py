"""Files by tf-keras, through the door that every command goes: equal predictions, and a map."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.models.description.info import describe_model
from kvis_cli.models.files.read import check_safe
from kvis_cli.models.request import ModelSpec
from tests.conformance.test_old_files import KINDS, fill, flat, nested, sequential_on_base

pytestmark = [pytest.mark.slow, pytest.mark.conformance]


@pytest.fixture(scope="module")
def keras2(tf):
    return pytest.importorskip("tf_keras")


def opened(path):
    from kvis_cli.models.live.open import open_model

    check_safe(path)
    return open_model(describe_model(ModelSpec(path=str(path))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_predicts_as_under_tf_keras(keras2, kind, suffix, tmp_path):
    rng = np.random.default_rng(0)
    model = kind(keras2)
    fill(model, rng)
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    inputs = [
        rng.uniform(0, 1, (2, *(n or 16 for n in tensor.shape[1:]))).astype("float32")
        if tensor.dtype.is_floating
        else rng.integers(0, 5, (2, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    given = inputs if len(inputs) > 1 else inputs[0]
    found = opened(path)
    # Opened by tf-keras again: only then does a Normalization use what it was given.
    wanted = keras2.models.load_model(path, compile=False)(given, training=False)
    got = found.model(given, training=False)
    wanted, got = ([v] if not isinstance(v, list | tuple) else v for v in (wanted, got))
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=1e-5)


def test_a_saved_model_predicts_as_under_tf_keras(keras2, tmp_path):
    rng = np.random.default_rng(0)
    model = flat(keras2)
    fill(model, rng)
    model.save(tmp_path / "saved", save_format="tf")
    pixels = rng.uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    wanted = np.asarray(model(pixels, training=False))
    got = np.asarray(opened(tmp_path / "saved").model(pixels, training=False))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", [flat, nested, sequential_on_base], ids=lambda k: k.__name__)
def test_kvis_explains_and_converts_it(kvis, keras2, kind, picture, tmp_path):
    model = kind(keras2)
    fill(model, np.random.default_rng(1))
    maps = {}
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    ran = kvis("convert", tmp_path / "m.h5", tmp_path / "new.keras")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(tmp_path / "new.keras")
    assert kvis("layers", tmp_path / "new.keras").code == 0
    # Keras 3 by itself opens what was written.
    import keras

    keras.saving.load_model(tmp_path / "new.keras", compile=False)
    for name in ("m.h5", "m.keras", "new.keras"):
        out = tmp_path / f"out-{name}"
        ran = kvis("cam", tmp_path / name, picture, "-c", "0", "--raw", "-o", out)
        assert ran.code == 0, ran.err
        maps[name] = np.load(next(out.glob("*.npz")))["map"]
    for raw in maps.values():
        np.testing.assert_allclose(raw, maps["m.h5"], atol=1e-6 * max(1, raw.max()))
    refused = kvis("convert", tmp_path / "m.h5", tmp_path / "new.keras")
    assert refused.code == 2
    assert "--force" in refused.err
    assert kvis("convert", tmp_path / "m.h5", tmp_path / "new.h5").code == 2
