"""keras-vis' functions against tf-keras-vis, on raw maps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf_keras_vis", reason="the peer is not installed (extra `dev`)")
pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def model(tf):
    import keras

    keras.utils.set_random_seed(8)
    x = keras.Input((18, 16, 3))
    y = keras.layers.Conv2D(6, 3, activation="relu")(x)
    y = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="last")(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    y = keras.layers.Dense(12, activation="relu")(y)
    return keras.Model(x, keras.layers.Dense(5)(y))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).normal(size=(4, 18, 16, 3)).astype(np.float32)


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("guided", [False, True])
def test_saliency(model, images, index, guided):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation
    from tf_keras_vis.utils.scores import CategoricalScore

    from kvis_cli.keras_vis.visualization import visualize_saliency

    modifier = GuidedBackpropagation() if guided else None
    raw = Saliency(model, model_modifier=modifier, clone=True)(
        CategoricalScore(index), images, normalize_map=False
    )
    found = visualize_saliency(
        model, -1, index, images, backprop_modifier="guided" if guided else None
    )
    assert raw.any()
    limits = raw.max((1, 2), keepdims=True)
    np.testing.assert_allclose(found, raw / np.where(limits, limits, 1), atol=1e-5)


def test_grad_cam(model, images):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    from kvis_cli.images.fitting import placed_map
    from kvis_cli.keras_vis.visualization import visualize_cam
    from kvis_cli.models.graph.geometry import map_grid
    from kvis_cli.models.live.session import live_model

    # The peer stretches its maps over the input; here the raw ones are placed where the layer saw.
    architecture = live_model(model).architecture
    last = [call for call in architecture.calls if call.spatial_shape == (7, 6)][-1]
    grid = map_grid(last)
    assert grid.exact
    compared = 0
    for index in range(5):
        raw = Gradcam(model, clone=True)(
            CategoricalScore(index), images, penultimate_layer="last",
            normalize_cam=False, expand_cam=False,
        )  # fmt: skip
        assert raw.shape[1:] == (7, 6)
        for image, cam in zip(images, np.maximum(raw, 0), strict=True):
            if cam.any():
                found = visualize_cam(model, -1, index, image)
                expected = placed_map(cam / cam.max(), (18, 16), grid)
                np.testing.assert_allclose(found, expected, atol=1e-5)
                compared += 1
    assert compared > 5
