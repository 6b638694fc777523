"""Hundreds of targets are computed group by group, and give what all at once give."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.engines.saliency import SALIENCY_METHODS, SaliencySettings

CLASSES, TARGETS = 12, 10


@pytest.fixture(scope="module")
def model(tf):
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def asked():
    inputs = np.random.default_rng(0).uniform(size=(2, 10, 10, 3)).astype(np.float32)
    weights = np.zeros((2, TARGETS, CLASSES), np.float32)
    weights[:, 3, 5] = -1
    ranks = np.tile(np.arange(TARGETS, dtype=np.int32), (2, 1))
    return inputs, weights, ranks


@pytest.fixture
def at_once(monkeypatch):
    """Sets how many targets are computed at once."""
    from kvis_cli.engines import scores

    return lambda count: monkeypatch.setattr(scores, "MAX_TARGETS", count)


def test_groups_are_of_one_size_and_hold_every_target(at_once):
    from kvis_cli.engines.scores import target_groups

    at_once(4)
    assert [group.tolist() for group in target_groups(10)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 9, 9],
    ]
    assert [group.tolist() for group in target_groups(3)] == [[0, 1, 2]]


@pytest.mark.parametrize("name", ["gradcam", "finercam", "guided_gradcam", "fullgrad"])
def test_cam(model, asked, at_once, name):
    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    def explain(count):
        at_once(count)
        layers, make = [CamLayer(Tap("conv"))], CAM_METHODS[name].make
        if make is None:
            engine = CamEngine(ModelReader(model), layers, [name])
        else:
            engine = make(ModelReader(model), layers, CamSettings())
        return engine(*asked), engine.traces

    (groups, traces), (whole, _) = explain(4), explain(100)
    assert traces == 1
    np.testing.assert_allclose(groups.scores, whole.scores, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(groups.weights, whole.weights)
    for key, maps in whole.maps.items():
        assert maps.shape[:2] == (2, TARGETS)
        np.testing.assert_allclose(groups.maps[key], maps, rtol=1e-4, atol=1e-6 * maps.max())
        for extra, values in whole.extras.get(key, {}).items():
            np.testing.assert_allclose(groups.extras[key][extra], values, rtol=1e-4)


def test_saliency(model, asked, at_once):
    from kvis_cli.engines.saliency.engine import SaliencyEngine
    from kvis_cli.models.live.reader import ModelReader

    def explain(count):
        at_once(count)
        settings = SaliencySettings(low=0.0, high=1.0, samples=4, steps=4)
        return SaliencyEngine(ModelReader(model), list(SALIENCY_METHODS), settings=settings)(*asked)

    groups, whole = explain(4), explain(100)
    np.testing.assert_allclose(groups.scores, whole.scores, rtol=1e-5, atol=1e-7)
    for mine, other in zip(groups.maps, whole.maps, strict=True):
        scale = np.abs(other.values).max()
        assert other.values.shape == (2, TARGETS, 10, 10) and mine.signed == other.signed
        np.testing.assert_allclose(mine.values, other.values, rtol=1e-4, atol=1e-5 * scale)
        assert mine.extras.keys() == other.extras.keys()
        for name, values in other.extras.items():
            np.testing.assert_allclose(mine.extras[name], values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["gradcam", "guided_gradcam", "fullgrad", "scorecam", "ablationcam"]
)
def test_one_engine_is_asked_about_any_number_of_targets(model, asked, name):
    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    reader, layers = ModelReader(model), [CamLayer(Tap("conv"))]
    make = CAM_METHODS[name].make
    engine = make(reader, layers, CamSettings()) if make else CamEngine(reader, layers, [name])
    inputs, weights, ranks = asked
    whole = None
    for count in (3, 1, 2, 3):
        found = engine(inputs, weights[:, :count], ranks[:, :count])
        [maps] = found.maps.values()
        assert maps.shape[1] == count
        whole = maps if whole is None else whole
        np.testing.assert_allclose(maps, whole[:, :count], atol=1e-6)
