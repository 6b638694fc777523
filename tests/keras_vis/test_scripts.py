"""What scripts written for keras-vis do: they lower outputs, pass models, catch ValueErrors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest


@pytest.fixture(scope="module")
def model(tf):
    import keras

    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal"),
            keras.layers.Conv2D(5, 3, activation="tanh"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, name="values"),
        ]
    )


def value(model, picture, unit=2):
    return float(np.asarray(model(picture[np.newaxis]))[0, unit])


@pytest.mark.parametrize("preset", [None, "keras-vis", "quality"])
def test_negate_lowers_the_activation(model, preset):
    from kvis_cli.keras_vis import grad_modifiers
    from kvis_cli.keras_vis.visualization import visualize_activation

    start = np.random.default_rng(1).uniform(0.3, 0.7, (12, 12, 3)).astype(np.float32)
    settings = {"input_range": (0.0, 1.0), "max_iter": 30, "preset": preset}
    if preset != "quality":
        settings |= {"seed_input": start, "tv_weight": 0, "lp_norm_weight": 0}
    raised = visualize_activation(model, -1, 2, **settings)
    for modifier in ("negate", grad_modifiers.negate):
        lowered = visualize_activation(model, -1, 2, grad_modifier=modifier, **settings)
        assert value(model, lowered) < value(model, raised)
        if preset is None:
            assert value(model, lowered) < value(model, start) < value(model, raised)


def test_negate_leaves_the_regularizers_as_they_are(model):
    """With weights so large that they decide: the picture becomes smooth, not rough."""
    from kvis_cli.keras_vis.visualization import visualize_activation

    start = np.random.default_rng(1).uniform(0.2, 0.8, (12, 12, 3)).astype(np.float32)
    found = visualize_activation(
        model, -1, 2, seed_input=start, input_range=(0.0, 1.0), grad_modifier="negate",
        max_iter=40, tv_weight=1000,
    )  # fmt: skip
    assert np.abs(np.diff(found, axis=0)).mean() < 0.5 * np.abs(np.diff(start, axis=0)).mean()


def test_a_picture_that_is_its_start_is_a_warning(model, kvis, tmp_path):
    from kvis_cli.keras_vis.visualization import visualize_activation

    start = np.full((12, 12, 3), 0.5, np.float32)
    with pytest.warns(UserWarning, match="is the one it started from"):
        found = visualize_activation(
            model, -1, 2, seed_input=start, input_range=(0.0, 1.0), max_iter=4,
            grad_modifier=lambda gradient: gradient * 0,
        )  # fmt: skip
    np.testing.assert_array_equal(found, start)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        visualize_activation(model, -1, 2, seed_input=start, input_range=(0.0, 1.0), max_iter=4)


def test_negate_on_the_command_line(model, kvis, tmp_path):
    from tests.helpers.rows import json_rows

    path = tmp_path / "model.keras"
    model.save(path)
    scores = {}
    for modifier in ("none", "negate"):
        out = tmp_path / modifier
        ran = kvis(
            "maximize", path, "--class", "2", "--preprocess", "unit", "--steps", "30",
            "--grad-modifier", modifier, "-o", out,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert "started from" not in ran.err
        (row,) = json_rows(out / "manifest.jsonl")
        from PIL import Image

        pixels = np.asarray(Image.open(out / row["file"]).convert("RGB"), np.float32) / 255
        scores[modifier] = value(model, pixels)
    assert scores["negate"] < scores["none"] - 0.01


def test_the_model_itself_is_an_input_tensor(model):
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation
    from kvis_cli.keras_vis.visualization import (
        visualize_activation_with_losses,
        visualize_cam_with_losses,
        visualize_saliency_with_losses,
    )

    image = np.random.default_rng(2).uniform(0, 255, (12, 12, 3)).astype(np.float32)
    losses = [(ActivationMaximization(model.layers[-1], 1), 1)]
    for given in (model, model.inputs[0]):
        maps = [
            visualize_saliency_with_losses(given, losses, image),
            visualize_cam_with_losses(given, losses, image, model.layers[1]),
        ]
        if given is model:
            first = maps
    for one, other in zip(first, maps, strict=True):
        np.testing.assert_array_equal(one, other)
    both = [*losses, (LPNorm(model), 10), (TotalVariation(model), 10)]
    visualize_activation_with_losses(model, both, max_iter=2)


def test_losses_that_are_all_regularizers_are_minimised(model):
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation
    from kvis_cli.keras_vis.visualization import visualize_activation_with_losses

    start = np.random.default_rng(2).uniform(0, 255, (12, 12, 3)).astype(np.float32)
    found = visualize_activation_with_losses(
        model, [(TotalVariation(model), 1), (LPNorm(model), 1)], seed_input=start, max_iter=30
    )
    assert np.abs(np.diff(np.float32(found), axis=0)).mean() < np.abs(np.diff(start, axis=0)).mean()


@pytest.mark.parametrize("p", [1, 6, np.inf])
def test_the_optimizer_gives_the_gradient_that_its_losses_state(tf, model, p):
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.optimizer import Optimizer
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    image = np.random.default_rng(3).uniform(20, 240, (12, 12, 3)).astype(np.float32)
    losses = [
        (ActivationMaximization(model.layers[-1], 1), 1),
        (TotalVariation(model), 10),
        (LPNorm(model, p), 10),
    ]

    @tf.function(autograph=False)
    def literal(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            count = float(np.prod(x.shape[1:]))
            size = tf.abs(x)
            norm = tf.reduce_max(size) if np.isinf(p) else tf.reduce_sum(size**p) ** (1 / p)
            dy = x[:, 1:, :-1] - x[:, :-1, :-1]
            dx = x[:, :-1, 1:] - x[:, :-1, :-1]
            tv = tf.reduce_sum(dy**2 + dx**2)
            total = -tf.reduce_mean(model(x)[:, 1]) + 10 * norm / count + 10 * tv / count
        return total, tape.gradient(total, x)

    total, wanted = literal(tf.constant(image[None]))
    told = []

    class Keep:
        def callback(self, i, named, overall, grads, value):
            told.append((named, overall))

        def on_end(self):
            pass

    optimizer = Optimizer(model, losses, norm_grads=False)
    assert optimizer.wrt_tensor is model.inputs[0]
    assert optimizer.wrt_tensor_is_input_tensor
    _, grads, _ = optimizer.minimize(image, max_iter=1, callbacks=[Keep()], verbose=False)
    np.testing.assert_allclose(grads, wanted, atol=1e-4 * np.abs(wanted).max())
    named, overall = told[0]
    assert overall == pytest.approx(float(total), rel=1e-4)
    assert [name for name, _ in named] == [
        "ActivationMax Loss", f"L-{p} Norm Loss", "TV(2.0) Loss",
    ]  # fmt: skip


def test_the_largest_magnitude_as_a_norm(model):
    from kvis_cli.keras_vis.regularizers import LPNorm
    from kvis_cli.keras_vis.visualization import (
        visualize_activation_with_losses,
        visualize_saliency_with_losses,
    )

    image = np.zeros((12, 12, 3), np.float32)
    image[4, 7, 1] = 9
    found = visualize_saliency_with_losses(model, [(LPNorm(model, np.inf), 1)], image)
    assert np.argwhere(found == found.max()).tolist() == [[4, 7]]
    picture = visualize_activation_with_losses(
        model, [(LPNorm(model, np.inf), 1)], seed_input=image, max_iter=3, preset="keras-vis"
    )
    assert np.isfinite(picture).all()


def test_errors_are_value_errors(model):
    from kvis_cli.keras_vis.input_modifiers import Jitter
    from kvis_cli.keras_vis.regularizers import LPNorm
    from kvis_cli.keras_vis.utils.utils import find_layer_idx
    from kvis_cli.keras_vis.visualization import visualize_saliency

    image = np.zeros((12, 12, 3))
    for wrong in (
        lambda: find_layer_idx(model, "nowhere"),
        lambda: LPNorm(model, 0.5),
        lambda: Jitter(-0.1),
        lambda: visualize_saliency(model, -1, 0, image, grad_modifier="nothing"),
        lambda: visualize_saliency(model, -1, 9, image),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_helpers_follow_the_data_format_of_keras(tf):
    import keras

    from kvis_cli.keras_vis.utils import utils

    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        assert utils.get_img_shape(array) == (2, 3, 4, 5)
        np.testing.assert_array_equal(array[utils.slicer[:, 1]], array[:, 1])
        keras.config.set_image_data_format("channels_last")
        assert utils.get_img_shape(array) == (2, 5, 3, 4)
        np.testing.assert_array_equal(array[utils.slicer[:, 1, :, :]], array[..., 1])
    finally:
        keras.config.set_image_data_format(before)


def test_a_font_that_is_not_there_is_a_warning():
    from kvis_cli.keras_vis.utils import utils

    with pytest.warns(UserWarning, match=r"FreeSans-none.ttf"):
        drawn = utils.draw_text(
            np.full((40, 90, 3), 255, np.uint8), "cat", font="FreeSans-none.ttf"
        )
    assert (drawn < 128).any()


def test_modules_under_their_old_names(model):
    from kvis_cli.keras_vis.backend import modify_model_backprop
    from kvis_cli.keras_vis.visualization.activation_maximization import visualize_activation
    from kvis_cli.keras_vis.visualization.saliency import visualize_saliency

    assert visualize_activation
    image = np.random.default_rng(4).normal(0, 1, (12, 12, 3)).astype(np.float32)
    guided = modify_model_backprop(model, "guided")
    wanted = visualize_saliency(model, -1, 2, image, backprop_modifier="guided", grad_modifier=None)
    import tensorflow as tf

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = guided(x)[:, 2]
        return tape.gradient(score, x)

    found = gradient(tf.constant(image[None])).numpy()[0]
    assert np.abs(found).max() > 0
    # The strongest channel of each pixel, as the function shows it.
    strongest = np.take_along_axis(found, np.abs(found).argmax(-1)[..., None], -1)[..., 0]
    shown = strongest / np.abs(strongest).max() / 2 + 0.5
    assert np.corrcoef(shown.ravel(), np.asarray(wanted).ravel())[0, 1] > 0.9999
