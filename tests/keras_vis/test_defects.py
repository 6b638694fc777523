"""Mistakes of keras-vis' that its functions here do not make, by the numbers that showed them."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import UsageError


@pytest.fixture(scope="module")
def keras(tf):
    import keras

    return keras


@pytest.fixture(scope="module")
def vis(tf):
    import kvis_cli.keras_vis.visualization

    return kvis_cli.keras_vis.visualization


@pytest.fixture(scope="module")
def cells(keras):
    """224×224 in, the mean of each of 7×7 cells as a map, its mean out: all is known by hand."""
    x = keras.Input((224, 224, 1))
    y = keras.layers.AveragePooling2D(32)(x)
    y = keras.layers.Conv2D(1, 1, activation="relu", name="maps")(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), np.array([[1.0, -1.0]]), np.zeros(2)])
    return model


@pytest.mark.parametrize(("row", "column"), [(1, 5), (3, 3), (0, 6)])
def test_heat_lies_on_its_cell_and_the_background_is_zero(vis, cells, row, column):
    """It was up to 8.5 pixels off, over a background of 0.12."""
    image = np.zeros((224, 224, 1), np.float32)
    image[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 1
    heat = vis.visualize_cam(cells, -1, 0, image)
    # Bilinear with half-pixel centres: a tent over each centre, flat beyond the outermost ones.
    at = (np.arange(224) + 0.5) / 32 - 0.5
    tents = [np.maximum(0, 1 - np.abs(np.clip(at, 0, 6) - i)) for i in (row, column)]
    expected = np.outer(*tents)
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    hottest = np.argwhere(heat == heat.max()).mean(0)
    if row > 0 and column < 6:
        np.testing.assert_allclose(hottest, [32 * row + 15.5, 32 * column + 15.5], atol=0.5)
    assert (heat[expected == 0] == 0).all()


def test_negative_gradients_are_no_evidence(vis, cells):
    """Divided by their largest they turned round, and drew the opposite."""
    image = np.random.default_rng(0).random((224, 224, 1)).astype(np.float32)
    with pytest.warns(UserWarning, match="blank"):
        heat = vis.visualize_cam(cells, -1, 1, image)
    assert not heat.any()
    lowering = vis.visualize_cam(cells, -1, 1, image, grad_modifier="negate")
    np.testing.assert_allclose(lowering, vis.visualize_cam(cells, -1, 0, image), atol=1e-6)


@pytest.fixture(scope="module")
def small(keras):
    keras.utils.set_random_seed(12)
    x = keras.Input((12, 12, 3))
    y = keras.layers.Conv2D(6, 3, activation="relu", name="a")(x)
    y = keras.layers.Conv2D(8, 3, activation="relu", name="b")(y)
    y = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(y))
    return keras.Model(x, y)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(4).random((12, 12, 3)).astype(np.float32)


def copied(keras, model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


@pytest.mark.parametrize("modifier", ["absolute", None])
def test_small_gradients_are_as_visible_as_large_ones(keras, vis, small, image, modifier):
    """An epsilon of 1e-7 left nothing of gradients of 1e-9."""
    weak = copied(keras, small)
    kernel, bias = weak.layers[-1].get_weights()
    weak.layers[-1].set_weights([kernel * 1e-7, bias])
    for see, more in (
        (vis.visualize_saliency, {"grad_modifier": modifier}),
        (vis.visualize_cam, {}),
    ):
        np.testing.assert_allclose(
            see(weak, -1, 2, image, **more), see(small, -1, 2, image, **more), atol=1e-4
        )


def test_modifiers_that_divide_are_finite(tf):
    """1 / (g + 1e-7) is infinite for g = -1e-7, and 1e7 for every dead pixel."""
    from kvis_cli.keras_vis import grad_modifiers

    gradient = tf.constant([[0.0, -1e-7, 1e-7, 0.5, -2.0, 1.0]])
    for modify in (grad_modifiers.small_values, grad_modifiers.invert):
        found = modify(gradient).numpy()
        assert np.isfinite(found).all()
        # The dead pixel does not outshine all that is alive.
        assert abs(found[0, 0]) <= np.abs(found[0, 1:]).max()
    np.testing.assert_array_equal(gradient.numpy()[0, 1], np.float32(-1e-7))


def test_the_picture_that_comes_back_is_the_one_that_was_optimised(vis, small):
    """Stretched to mean 0.5 and deviation 0.1 it scored a hundredth of it."""
    from kvis_cli.keras_vis.callbacks import OptimizerCallback

    class Last(OptimizerCallback):
        def on_step(self, step):
            self.score = -dict(step.named_losses)["ActivationMax Loss"]

    last = Last()
    found = vis.visualize_activation(
        small, -1, 1, max_iter=40, callbacks=[last], tv_weight=0, lp_norm_weight=0
    )
    assert found.dtype == np.uint8
    from kvis_cli.keras_vis.utils import utils

    bare = copied_without_softmax(small)
    score = float(bare(found[np.newaxis].astype(np.float32))[0, 1])
    assert score >= 0.9 * last.score
    stretched = utils.deprocess_input(found)[np.newaxis].astype(np.float32)
    assert float(bare(stretched)[0, 1]) < 0.7 * score


def copied_without_softmax(model):
    import keras

    from kvis_cli.keras_vis.utils import utils

    copy = copied(keras, model)
    copy.layers[-1].activation = keras.activations.linear
    return utils.apply_modifications(copy)


def test_weights_and_steps_mean_the_same_in_every_range(keras, vis, small):
    """A step was one pixel unit, and total variation 65 000 times as heavy on 0..255 as on 0..1."""
    pictures = []
    for low, high in ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)):
        x = keras.Input((12, 12, 3))
        scale = 1 / (high - low)
        model = keras.Model(x, small(keras.layers.Rescaling(scale, -low * scale)(x)))
        found = vis.visualize_activation(
            model, -1, 3, input_range=(low, high), max_iter=25, tv_weight=0.3, lp_norm_weight=0.3
        )
        pictures.append((found - low) / (high - low))
    for other in pictures[1:]:
        np.testing.assert_allclose(other, pictures[0], atol=5e-3)
    assert pictures[0].std() > 0.05


def test_rectifiers_of_all_kinds_are_guided_and_smooth_ones_refused(keras, vis, image):
    """Only `relu` was; for ReLU6 "guided" was the plain gradient."""
    for activation in ("relu6", "leaky_relu", "silu"):
        keras.utils.set_random_seed(3)
        x = keras.Input((12, 12, 3))
        y = keras.layers.Conv2D(6, 3, activation=activation)(x)
        y = keras.layers.Conv2D(6, 3, activation=activation)(y)
        model = keras.Model(x, keras.layers.Dense(3)(keras.layers.Flatten()(y)))
        plain = vis.visualize_saliency(model, -1, 0, image)
        if activation == "silu":
            with pytest.raises(UsageError, match="no rectifier"):
                vis.visualize_saliency(model, -1, 0, image, backprop_modifier="guided")
        else:
            guided = vis.visualize_saliency(model, -1, 0, image, backprop_modifier="guided")
            assert np.abs(guided - plain).max() > 0.05


def test_inputs_of_open_size(keras, vis):
    """Sizes were read from static shapes: None * int."""
    keras.utils.set_random_seed(5)
    x = keras.Input((None, None, 3))
    y = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(y)))
    for size in ((20, 31), (33, 18)):
        picture = np.random.default_rng(1).random((*size, 3)).astype(np.float32)
        heat = vis.visualize_cam(model, -1, 0, picture)
        assert heat.shape == vis.visualize_saliency(model, -1, 0, picture).shape == size
        assert heat.max() > 0.5
    found = vis.visualize_activation(model, -1, 0, seed_input=picture * 255, max_iter=2)
    assert found.shape == (33, 18, 3)


def test_gradients_of_regularizers_are_finite_where_pictures_are_flat(keras, tf, vis):
    """NaN for exponents below 2, and for the norm of a black picture."""
    from kvis_cli.keras_vis.callbacks import OptimizerCallback
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    class Finite(OptimizerCallback):
        def on_step(self, step):
            assert np.isfinite(step.grads).all()
            assert np.isfinite(step.overall_loss)

    keras.utils.set_random_seed(1)
    x = keras.Input((6, 6, 1))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    for preset in (None, "keras-vis"):
        for beta in (1, 1.5, 2, 3):
            losses = [
                (ActivationMaximization(model.layers[-1], 0), 1),
                (TotalVariation(x, beta), 10),
                (LPNorm(x, 6), 10),
            ]
            found = vis.visualize_activation_with_losses(
                x, losses, seed_input=np.zeros((6, 6, 1)), input_range=(0.0, 1.0), max_iter=3,
                callbacks=[Finite()], preset=preset,
            )  # fmt: skip
            assert np.isfinite(found).all()
