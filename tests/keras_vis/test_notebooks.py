"""What keras-vis' example notebooks do, cell by cell, with random weights and small pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("birds")
    rng = np.random.default_rng(0)
    for name, size in (("ouzel1.jpg", (75, 52)), ("ouzel2.jpg", (75, 56))):
        Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8)).save(folder / name)
    return folder


def linear(model):
    """The cell that swaps the softmax for a linear activation."""
    import keras

    from kvis_cli.keras_vis.utils import utils

    layer_idx = utils.find_layer_idx(model, "predictions")
    model.layers[layer_idx].activation = keras.activations.linear
    return utils.apply_modifications(model), layer_idx


def attention(model, layer_idx, birds, size, penultimate=None):
    """The attention notebooks: saliency and Grad-CAM, plain, guided and deconv, over the photo."""
    from kvis_cli.keras_vis.utils import utils
    from kvis_cli.keras_vis.visualization import overlay, visualize_cam, visualize_saliency
    from kvis_cli.render.colormaps import colorize

    found = {}
    for name in ("ouzel1.jpg", "ouzel2.jpg"):
        img = utils.load_img(birds / name, target_size=(size, size))
        for modifier in (None, "guided", "relu"):
            grads = visualize_saliency(
                model, layer_idx, filter_indices=20, seed_input=img, backprop_modifier=modifier
            )
            cam = visualize_cam(
                model, layer_idx, filter_indices=20, seed_input=img,
                penultimate_layer_idx=penultimate, backprop_modifier=modifier,
            )  # fmt: skip
            for heat in (grads, cam):
                assert heat.shape == (size, size)
                assert 0 <= heat.min() <= heat.max() <= 1
            picture = overlay(colorize(cam, "jet"), img)
            assert picture.dtype == np.uint8
            found[name, modifier] = grads, cam
    return found


def test_vgg_attention_and_activation(tf, birds, tmp_path):
    import keras

    from kvis_cli.keras_vis.callbacks import GifGenerator, Print
    from kvis_cli.keras_vis.input_modifiers import Jitter
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation
    from kvis_cli.keras_vis.utils import utils
    from kvis_cli.keras_vis.visualization import (
        get_num_filters,
        visualize_activation,
        visualize_activation_with_losses,
    )

    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, input_shape=(48, 48, 3), classes=100)
    model, layer_idx = linear(model)
    penultimate = utils.find_layer_idx(model, "block5_pool")
    with _quiet():
        found = attention(model, layer_idx, birds, 48, penultimate - 1)
    assert not np.allclose(found["ouzel1.jpg", None][0], found["ouzel1.jpg", "guided"][0])
    assert not np.allclose(found["ouzel1.jpg", "relu"][0], found["ouzel1.jpg", "guided"][0])

    # Dense visualisations: class 20, with jitter, some random classes on one sheet.
    img = visualize_activation(
        model, layer_idx, filter_indices=20, max_iter=4, input_modifiers=[Jitter(16)]
    )
    assert img.shape == (48, 48, 3)
    assert img.dtype == np.uint8
    pictures = []
    for index in np.random.default_rng(0).permutation(100)[:3]:
        picture = visualize_activation(model, layer_idx, filter_indices=index, max_iter=2)
        pictures.append(utils.draw_text(picture, f"class {index}"))
    assert utils.stitch_images(pictures, cols=2).shape == (101, 101, 3)

    # Filters of a convolution, then again from the first result, with less regularisation.
    layer = utils.find_layer_idx(model, "block2_conv2")
    assert get_num_filters(model.layers[layer]) == 128
    first = visualize_activation(
        model, layer, filter_indices=67, tv_weight=0.0, input_modifiers=[Jitter(0.05)], max_iter=3
    )
    second = visualize_activation(
        model, layer, filter_indices=67, seed_input=first, tv_weight=1.0, max_iter=3
    )
    assert not np.array_equal(first, second)

    # The optimisation as an animation.
    losses = [
        (ActivationMaximization(model.layers[layer_idx], 20), 2),
        (LPNorm(model.input), 10),
        (TotalVariation(model.input), 10),
    ]
    visualize_activation_with_losses(
        model.input, losses, max_iter=3, input_modifiers=[Jitter()],
        callbacks=[Print(), GifGenerator(tmp_path / "opt_progress")],
    )  # fmt: skip
    with Image.open(tmp_path / "opt_progress.gif") as movie:
        assert movie.n_frames == 3


def test_mnist_activation_and_attention(tf, capsys):
    """The digits' notebook with random digits: M1 to M12 of the page of scenarios."""
    import keras

    from kvis_cli.keras_vis.utils import utils
    from kvis_cli.keras_vis.visualization import (
        overlay,
        visualize_activation,
        visualize_cam,
        visualize_saliency,
    )

    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Conv2D(12, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax", name="preds"),
        ]
    )
    kept = keras.models.clone_model(model)
    kept.set_weights(model.get_weights())
    layer_idx = utils.find_layer_idx(model, "preds")
    model.layers[layer_idx].activation = keras.activations.linear
    model = utils.apply_modifications(model)

    # The default range is that of bytes; digits are 0 to 1.
    assert visualize_activation(model, layer_idx, filter_indices=0, max_iter=3).max() > 1
    img = visualize_activation(
        model, layer_idx, filter_indices=0, input_range=(0.0, 1.0), verbose=True, max_iter=3
    )
    assert img.shape == (28, 28, 1)
    assert 0 <= img.min() <= img.max() <= 1
    assert len(capsys.readouterr().out.splitlines()) == 3

    # Without regularizers, then with more and more total variation.
    def variation(picture):
        return float((np.diff(picture, axis=0) ** 2).sum() + (np.diff(picture, axis=1) ** 2).sum())

    found = [
        variation(
            visualize_activation(
                model,
                layer_idx,
                filter_indices=0,
                input_range=(0.0, 1.0),
                tv_weight=tv_weight,
                lp_norm_weight=0.0,
                max_iter=40,
            )
        )
        for tv_weight in (0.0, 1e-1, 10, 1000)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < found[0] / 10

    # All classes on one sheet; two at once; with the softmax.
    pictures = [
        visualize_activation(model, layer_idx, filter_indices=i, input_range=(0.0, 1.0), max_iter=2)
        for i in range(10)
    ]
    assert utils.stitch_images(pictures, cols=5).shape == (61, 160, 1)
    assert len({p.tobytes() for p in pictures}) == 10
    both = visualize_activation(
        model, layer_idx, filter_indices=[1, 7], input_range=(0.0, 1.0), max_iter=2
    )
    assert not np.array_equal(both, pictures[1])
    soft = visualize_activation(
        kept, layer_idx, filter_indices=0, input_range=(0.0, 1.0), max_iter=2, score="probability"
    )
    assert not np.array_equal(soft, pictures[0])

    # Attention, for a picture of each class.
    digits = np.random.default_rng(2).random((10, 28, 28, 1)).astype(np.float32)
    with _quiet():
        for class_idx, digit in enumerate(digits[:3]):
            seen = {}
            for modifier in (None, "guided", "relu"):
                grads = visualize_saliency(
                    model, layer_idx, filter_indices=class_idx, seed_input=digit,
                    backprop_modifier=modifier,
                )  # fmt: skip
                cam = visualize_cam(
                    model, layer_idx, filter_indices=class_idx, seed_input=digit,
                    backprop_modifier=modifier,
                )  # fmt: skip
                assert grads.shape == cam.shape == (28, 28)
                seen[modifier] = grads
            assert not np.allclose(seen[None], seen["guided"])
            assert overlay(seen[None], digit[..., 0]).shape == (28, 28)
        guided = {
            modify: visualize_saliency(
                model, layer_idx, filter_indices=0, seed_input=digits[0],
                backprop_modifier="guided", grad_modifier=modify,
            )
            for modify in ("negate", None, "absolute")
        }  # fmt: skip
        # What speaks against the class is what speaks for it with the other sign.
        np.testing.assert_allclose(guided["negate"], 1 - guided[None], atol=1e-6)
        np.testing.assert_allclose(guided["absolute"], np.abs(2 * guided[None] - 1), atol=1e-5)
        soft = visualize_saliency(
            kept, layer_idx, filter_indices=0, seed_input=digits[0],
            backprop_modifier="guided", score="probability",
        )  # fmt: skip
        assert not np.allclose(soft, guided["absolute"], atol=1e-3)


def test_resnet_attention_takes_the_added_and_rectified_maps(tf, birds):
    import keras

    from kvis_cli.keras_vis.visualization.cam import _penultimate
    from kvis_cli.keras_vis.visualization.subject import subject_of
    from kvis_cli.models.live.session import live_model

    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=100)
    with _quiet():
        attention(model, "predictions", birds, 64)
    live = live_model(model)
    chosen, _ = _penultimate(live, subject_of(live, "predictions"), None)
    # keras-vis takes conv5_block3_3_conv, before the normalisation and the addition.
    assert str(chosen) == "conv5_block3_out"


def test_self_driving_regression(tf):
    import keras

    from kvis_cli.keras_vis.visualization import visualize_cam, visualize_saliency

    keras.utils.set_random_seed(2)
    layers = keras.layers
    model = keras.Sequential([keras.Input((70, 180, 3))])
    for filters in (8, 16, 32):
        model.add(layers.Conv2D(filters, 5, activation="relu"))
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(1, "tanh")):
        model.add(layer)
    road = np.random.default_rng(1).integers(0, 256, (70, 180, 3)).astype(np.float32)
    with _quiet():
        for see in (visualize_saliency, visualize_cam):
            maps = [see(model, -1, 0, road, grad_modifier=m) for m in ("relu", "negate")]
            maintain = see(model, -1, 0, road, grad_modifier="small_values")
            for heat in (*maps, maintain):
                assert heat.shape == (70, 180)
                assert np.isfinite(heat).all()
            assert not np.allclose(maps[0], maps[1])


def _quiet():
    """Blank maps and modifiers without effect are told as warnings; random weights have them."""
    import warnings

    class Quiet(warnings.catch_warnings):
        def __enter__(self):
            entered = super().__enter__()
            warnings.simplefilter("ignore")
            return entered

    return Quiet()
