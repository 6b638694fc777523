"""Models with re-initialised layers: which weights change, and how."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import ModelSpec


@pytest.fixture(scope="module")
def written(tf, tiny_model, tmp_path_factory):
    from kvis_cli.gate.calibration.randomized import write_randomized

    tiny_model.with_name("tiny.kvis.yaml").write_text("preprocess: none\nlabels: [a, b, c]\n")
    info = describe_model(ModelSpec(path=str(tiny_model)))
    return write_randomized(info, tmp_path_factory.mktemp("control"), most=2, seed=1)


def test_layers_change_from_the_top_one_after_the_other(tf, tiny_model, written):
    import keras

    before = keras.models.load_model(tiny_model)
    names = [path.stem for path in written]
    assert names == ["top-1-classes", "top-2-hidden", "all-4-layers"]
    expected = [{"classes"}, {"classes", "hidden"}, {"classes", "hidden", "first", "second"}]
    for path, layers in zip(written, expected, strict=True):
        after = keras.models.load_model(path)
        changed = {
            layer.name
            for layer in before.layers
            if any(
                not np.array_equal(old, new)
                for old, new in zip(
                    layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True
                )
            )
        }
        assert changed == layers
        info = describe_model(ModelSpec(path=str(path)))
        assert info.head().labels.names == ("a", "b", "c")


def test_kernels_keep_their_deviation_and_normalisation_its_statistics(tf):
    import keras

    from kvis_cli.gate.calibration.randomized import randomize, with_kernels

    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(64, 5, name="inner")])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)), inner, keras.layers.BatchNormalization(name="bn"),
            keras.layers.Flatten(), keras.layers.Dense(40, name="outer"),
        ]
    )  # fmt: skip
    assert [layer.name for layer in with_kernels(model)] == ["inner", "outer"]
    dense, bn = model.get_layer("outer"), model.get_layer("bn")
    bias = np.linspace(0, 1, 40)
    kernel = 0.3 * np.random.default_rng(0).normal(size=dense.get_weights()[0].shape)
    dense.set_weights([kernel, bias])
    statistics = bn.get_weights()
    for layer in (dense, bn):
        randomize(layer, np.random.default_rng(1))
    new, moved = dense.get_weights()
    assert new.std() == pytest.approx(kernel.std(), rel=0.02)
    assert abs(np.corrcoef(new.ravel(), kernel.ravel())[0, 1]) < 0.02
    assert np.abs(new).max() <= 2 * kernel.std() / 0.8796 + 1e-6
    assert sorted(moved) == pytest.approx(sorted(bias)) and not np.array_equal(moved, bias)
    assert all(np.array_equal(a, b) for a, b in zip(statistics, bn.get_weights(), strict=True))


def test_a_model_without_weights_has_nothing_to_randomize(tf, tmp_path):
    import keras

    from kvis_cli.gate.calibration.randomized import write_randomized

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
    model.save(tmp_path / "bare.keras")
    info = describe_model(ModelSpec(path=str(tmp_path / "bare.keras")))
    with pytest.raises(ModelError, match="no weights"):
        write_randomized(info, tmp_path / "control")
