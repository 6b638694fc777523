"""Saliency against tf-keras-vis, where that agrees with independent closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.engines.saliency import SaliencySettings

pytest.importorskip("tf_keras_vis", reason="the peer is not installed (extra `dev`)")


@pytest.fixture(scope="module")
def flat(tf):
    """Fused rectifiers, flat, ends in logits: what the peer handles without error."""
    import keras

    keras.utils.set_random_seed(3)
    x = keras.Input((16, 14, 3))
    y = keras.layers.Conv2D(6, 3, activation="relu")(x)
    y = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, keras.layers.Dense(5)(y))


@pytest.fixture(scope="module")
def nested(flat):
    """The same network and weights, its convolutions inside an inner model."""
    import keras

    inner = keras.Sequential([keras.Input((16, 14, 3)), *flat.layers[1:3]])
    return keras.Sequential([keras.Input((16, 14, 3)), inner, *flat.layers[3:]])


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).normal(size=(2, 16, 14, 3)).astype(np.float32)


def ours(model, inputs, method, classes, **settings):
    from kvis_cli.engines.saliency.engine import SaliencyEngine
    from kvis_cli.models.live.reader import ModelReader

    engine = SaliencyEngine(
        ModelReader(model),
        [method],
        modifiers=["none"],
        channels="keep",
        settings=SaliencySettings(**settings),
    )
    weights = np.zeros((len(inputs), 1, 5), np.float32)
    weights[np.arange(len(inputs)), 0, classes] = 1
    return engine(inputs, weights, np.full((len(inputs), 1), -1, np.int32)).maps[0].values[:, 0]


def theirs(model, inputs, classes, **options):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    modifier = options.pop("model_modifier", None)
    return Saliency(model, model_modifier=modifier, clone=True)(
        CategoricalScore(classes),
        inputs,
        gradient_modifier=None,
        normalize_map=False,
        keepdims=True,
        **options,
    )


@pytest.fixture
def unoptimised(tf):
    """Graphs run as they were traced, in the order of the eager operations."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


def test_the_gradient_is_theirs_to_the_bit(unoptimised, flat, inputs):
    np.testing.assert_array_equal(
        ours(flat, inputs, "gradient", [1, 4]), theirs(flat, inputs, [1, 4])
    )


def test_the_gradient_of_the_optimised_graph_differs_by_rounding_only(flat, inputs):
    expected = theirs(flat, inputs, [1, 4])
    found = ours(flat, inputs, "gradient", [1, 4])
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_smoothgrad_with_their_noise(tf, flat, inputs):
    from kvis_cli.engines.saliency.batch import Batch
    from kvis_cli.engines.saliency.score import ScoreFunction
    from kvis_cli.engines.saliency.smoothgrad import NoisyGradients
    from kvis_cli.models.live.reader import ModelReader

    x = inputs[:1]
    np.random.seed(11)  # noqa: NPY002 - the peer draws from the global generator
    expected = theirs(flat, x, [2], smooth_samples=6, smooth_noise=0.2)
    np.random.seed(11)  # noqa: NPY002
    sigma = np.float32(0.2) * (x.max() - x.min())
    noise = np.random.normal(0.0, sigma, (6, *x.shape[1:]))  # noqa: NPY002
    weights = np.zeros((1, 1, 5), np.float32)
    weights[0, 0, 2] = 1
    noisy = NoisyGradients(ScoreFunction(ModelReader(flat)), SaliencySettings(batch_size=4))
    batch = Batch(tf.constant(x), tf.constant(weights), None)
    found = noisy.moments(batch, noise.astype(np.float32)).mean.numpy()[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max() + 1e-9)


def test_guided_on_a_nested_model_is_theirs_on_its_flat_twin(flat, nested, inputs):
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation

    expected = theirs(flat, inputs, [0, 3], model_modifier=GuidedBackpropagation())
    found = ours(nested, inputs, "guided_backprop", [0, 3])
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    # On the nested model the peer changes nothing, without a word.
    plain = ours(nested, inputs, "gradient", [0, 3])
    assert np.abs(found - plain).max() > 1e-3 * np.abs(plain).max()
