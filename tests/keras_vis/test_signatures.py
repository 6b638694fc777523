"""Every public name of keras-vis 0.5.0 with its parameters, in their order, and its defaults."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import numpy as np
import pytest

from kvis_cli.errors import UsageError

# As a call would be written; a parameter without a default has to be given.
SIGNATURES = {
    "visualization": """
        visualize_activation(model, layer_idx, filter_indices=None, wrt_tensor=None,
            seed_input=None, input_range=(0, 255), backprop_modifier=None, grad_modifier=None,
            act_max_weight=1, lp_norm_weight=10, tv_weight=10)
        visualize_activation_with_losses(input_tensor, losses, wrt_tensor=None, seed_input=None,
            input_range=(0, 255))
        visualize_saliency(model, layer_idx, filter_indices, seed_input, wrt_tensor=None,
            backprop_modifier=None, grad_modifier='absolute', keepdims=False)
        visualize_saliency_with_losses(input_tensor, losses, seed_input, wrt_tensor=None,
            grad_modifier='absolute', keepdims=False)
        visualize_cam(model, layer_idx, filter_indices, seed_input, penultimate_layer_idx=None,
            backprop_modifier=None, grad_modifier=None)
        visualize_cam_with_losses(input_tensor, losses, seed_input, penultimate_layer,
            grad_modifier=None)
        get_num_filters(layer)
        overlay(array1, array2, alpha=0.5)
        generate_pattern(layer_name, filter_index, size=150)
    """,
    "losses": """
        Loss()
        ActivationMaximization(layer, filter_indices)
    """,
    "regularizers": """
        normalize(input_tensor, output_tensor)
        LPNorm(img_input, p=6.0)
        TotalVariation(img_input, beta=2.0)
    """,
    "optimizer": """
        Optimizer(input_tensor, losses, input_range=(0, 255), wrt_tensor=None, norm_grads=True)
        Optimizer.minimize(self, seed_input=None, max_iter=200, input_modifiers=None,
            grad_modifier=None, callbacks=None, verbose=True)
    """,
    "grad_modifiers": """
        negate(grads)
        absolute(grads)
        invert(grads)
        relu(grads)
        small_values(grads)
        get(identifier)
    """,
    "backprop_modifiers": """
        guided(model)
        rectified(model)
        relu(model)
        deconv(model)
        get(identifier)
    """,
    "input_modifiers": """
        InputModifier()
        Jitter(jitter=0.05)
    """,
    "callbacks": """
        OptimizerCallback()
        OptimizerCallback.callback(self, i, named_losses, overall_loss, grads, wrt_value)
        OptimizerCallback.on_end(self)
        Print()
        GifGenerator(path, input_range=(0, 255))
    """,
    "utils.utils": """
        set_random_seed(seed_value=1337)
        reverse_enumerate(iterable)
        listify(value)
        add_defaults_to_kwargs(defaults, **kwargs)
        get_identifier(identifier, module_globals, module_name)
        apply_modifications(model, custom_objects=None)
        random_array(shape, mean=128.0, std=20.0)
        find_layer_idx(model, layer_name)
        deprocess_input(input_array, input_range=(0, 255))
        stitch_images(images, margin=5, cols=5)
        get_img_shape(img)
        load_img(path, grayscale=False, target_size=None)
        lookup_imagenet_labels(indices)
        draw_text(img, text, position=(10, 10), font='FreeSans.ttf', font_size=14, color=(0, 0, 0))
        bgr2rgb(img)
        normalize(array, min_value=0.0, max_value=1.0)
    """,
}
# Told of in the page "Moving from keras-vis": (name, parameter) -> why. Backprop modifiers are
# rules for the backward pass there, not functions that copy a model.
DIFFERENT = {
    ("get_identifier", "module_globals"): "a table of what is meant, not a module's globals",
    ("get_identifier", "module_name"): "the noun of the message",
    ("draw_text", "font"): "None finds the best font that is there",
    # Only ever passed by position.
    ("negate", "grads"): "named gradient",
    ("absolute", "grads"): "named gradient",
    ("invert", "grads"): "named gradient",
    ("relu", "grads"): "named gradient",
    ("small_values", "grads"): "named gradient",
}


def signatures():
    found = []
    for module, text in SIGNATURES.items():
        # A line that is indented further goes on with the call before it.
        for call in re.split(r"\n        (?=\S)", text.rstrip())[1:]:
            name, _, parameters = " ".join(call.split()).partition("(")
            found.append(pytest.param(module, name, parameters[:-1], id=f"{module}.{name}"))
    return found


@pytest.mark.parametrize(("module", "name", "parameters"), signatures())
def test_signature(tf, module, name, parameters):
    found = import_module(f"kvis_cli.keras_vis.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    namespace: dict = {}
    exec(f"def wanted({parameters}): pass", namespace)
    wanted = list(inspect.signature(namespace["wanted"]).parameters.values())
    own = list(inspect.signature(found).parameters.values())
    short = name.split(".")[-1]
    if (module, wanted[0].name if wanted else "") == ("backprop_modifiers", "model"):
        assert [p.name for p in own] == ["local", "gradient"]
        return
    for theirs, ours in zip(wanted, own, strict=False):
        if (short, theirs.name) in DIFFERENT:
            continue
        assert ours.name == theirs.name
        assert ours.kind == theirs.kind
        assert ours.default == theirs.default
    # What is new comes behind, by name only, and can be left out.
    assert len(own) >= len(wanted)
    for more in own[len(wanted) :]:
        assert more.default is not inspect.Parameter.empty
        new = more.kind == inspect.Parameter.KEYWORD_ONLY
        assert new or (short, more.name) == ("get_img_shape", "data_format")


def test_names_of_losses_are_those_that_callbacks_of_keras_vis_look_for(tf):
    import keras

    from kvis_cli.keras_vis.losses import ActivationMaximization, Loss
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    x = keras.Input((4, 4, 3))
    assert Loss().name == "Unnamed Loss"
    assert ActivationMaximization(None, 0).name == "ActivationMax Loss"
    assert LPNorm(x).name == "L-6.0 Norm Loss"
    assert TotalVariation(x).name == "TV(2.0) Loss"


@pytest.fixture(scope="module")
def model(tf):
    import keras

    keras.utils.set_random_seed(9)
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(4, 3, activation="relu")(x)
    y = keras.layers.Dense(3)(keras.layers.Flatten()(y))
    return keras.Model(x, y)


def test_optimizer_hands_out_the_gradient_of_the_loss(tf, model):
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.optimizer import Optimizer
    from kvis_cli.keras_vis.visualization import visualize_activation_with_losses

    image = np.random.default_rng(1).uniform(60, 200, (8, 8, 3)).astype(np.float32)
    losses = [(ActivationMaximization(model.layers[-1], 2), 3)]

    @tf.function(autograph=False)
    def literal(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = -3 * model(x)[:, 2]
        return tape.gradient(loss, x)

    expected = literal(tf.constant(image[None])).numpy()
    picture, grads, value = Optimizer(model.inputs[0], losses, norm_grads=False).minimize(
        image, max_iter=1, verbose=False
    )
    np.testing.assert_allclose(grads, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(value, image[None], rtol=1e-5)
    again = visualize_activation_with_losses(
        model, losses, seed_input=image, max_iter=1, preset="keras-vis"
    )
    assert picture.dtype == np.float32
    picture, _, _ = Optimizer(model, losses).minimize(image, max_iter=1, verbose=False)
    np.testing.assert_array_equal(np.clip(picture, 0, 255).astype(np.uint8), again)
    _, normed, _ = Optimizer(model.inputs[0], losses).minimize(
        image, max_iter=1, grad_modifier="negate", verbose=False
    )
    direction = -expected / np.linalg.norm(expected)
    np.testing.assert_allclose(normed, direction, rtol=1e-3, atol=1e-5)


def test_input_modifiers_are_functions_or_subclasses(tf, model):
    from kvis_cli.keras_vis.input_modifiers import InputModifier, Jitter
    from kvis_cli.keras_vis.visualization import visualize_activation

    class Mirror(InputModifier):
        def apply(self, images):
            return images[:, :, ::-1]

    settings = {"max_iter": 3, "input_range": (0.0, 1.0)}
    plain = visualize_activation(model, -1, 1, **settings)
    mirrored = visualize_activation(model, -1, 1, input_modifiers=[Mirror()], **settings)
    assert not np.allclose(plain, mirrored)
    for own in (lambda images: images[:, :, ::-1], Mirror):
        found = visualize_activation(model, -1, 1, input_modifiers=[own], **settings)
        np.testing.assert_array_equal(found, mirrored)

    jittered = visualize_activation(model, -1, 1, input_modifiers=[Jitter(0.3)], **settings)
    assert not np.array_equal(jittered, plain)
    again = visualize_activation(model, -1, 1, input_modifiers=[Jitter("30%")], **settings)
    np.testing.assert_array_equal(jittered, again)

    class Old(InputModifier):
        def pre(self, img):
            return img

    with pytest.raises(UsageError, match="`pre` and `post` are not called"):
        visualize_activation(model, -1, 1, input_modifiers=[Old()], **settings)
    with pytest.raises(UsageError, match="not an input modifier"):
        visualize_activation(model, -1, 1, input_modifiers=[0.05], **settings)


def test_filters_of_one_layer_add_up(tf, model):
    """Each alone is computed for its filter alone; together the layer is read whole."""
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.optimizer import Optimizer

    image = np.random.default_rng(1).uniform(60, 200, (8, 8, 3)).astype(np.float32)
    layer = model.layers[1]
    made = []
    for losses in ([(0, 1)], [(2, 3)], [(0, 1), (2, 3)]):
        named = [(ActivationMaximization(layer, index), weight) for index, weight in losses]
        _, grads, _ = Optimizer(model, named, norm_grads=False).minimize(
            image, max_iter=1, verbose=False
        )
        made.append(grads)
    assert np.abs(made[0]).max() > 0 and np.abs(made[1]).max() > 0
    np.testing.assert_allclose(made[2], made[0] + made[1], rtol=1e-4, atol=1e-6)
