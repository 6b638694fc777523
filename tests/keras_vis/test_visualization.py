"""keras-vis' functions: against formulae, against the commands, and as its notebooks use them."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import InputError, KvisError, UnknownNameError, UsageError


@pytest.fixture(scope="module")
def keras(tf):
    import keras

    return keras


@pytest.fixture(scope="module")
def digits(keras):
    """A network of the shape of keras-vis' MNIST example, with smaller layers."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 3, activation="relu", name="conv1"),
            layers.Conv2D(8, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(24, activation="relu", name="hidden"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax", name="preds"),
        ]
    )


@pytest.fixture(scope="module")
def digit():
    return np.random.default_rng(3).random((28, 28, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def vis(tf):
    import kvis_cli.keras_vis.visualization

    return kvis_cli.keras_vis.visualization


def logits_of(model):
    """The same network without its softmax, as keras-vis' users had to make it."""
    import keras

    from kvis_cli.keras_vis.utils import utils

    before = model.layers[-1].activation
    model.layers[-1].activation = keras.activations.linear
    try:
        return utils.apply_modifications(model)
    finally:
        model.layers[-1].activation = before


def gradient(tf, model, inputs, score, wrt=None):
    """``∂score(output)/∂input`` of a literal graph."""

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = score(model(x, training=False))
        return tape.gradient(value, x)

    return run(tf.constant(inputs)).numpy()


def test_saliency_is_the_gradient_of_the_logit_scaled_by_its_maximum(tf, vis, digits, digit):
    found = vis.visualize_saliency(digits, -1, 4, digit)
    expected = np.abs(gradient(tf, logits_of(digits), digit[None], lambda y: y[:, 4]))[0, ..., 0]
    assert found.shape == (28, 28)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


def test_softmax_can_be_kept_as_keras_vis_has_it(tf, vis, digits, digit):
    found = vis.visualize_saliency(digits, -1, 4, digit, score="probability")
    expected = np.abs(gradient(tf, digits, digit[None], lambda y: y[:, 4]))[0, ..., 0]
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)
    logit = vis.visualize_saliency(digits, -1, 4, digit)
    assert np.abs(found - logit).max() > 0.05


def test_an_activation_that_is_changed_in_place_counts_at_once(keras, vis, digits, digit):
    copy = keras.models.clone_model(digits)
    copy.set_weights(digits.get_weights())
    before = vis.visualize_saliency(copy, "hidden", 8, digit)
    copy.get_layer("hidden").activation = keras.activations.linear
    after = vis.visualize_saliency(copy, "hidden", 8, digit)
    # The unit is on, so its own rectifier changes nothing.
    assert after.any()
    np.testing.assert_allclose(before, after, atol=1e-6)
    copy.get_layer("conv2").activation = keras.activations.tanh
    assert not np.allclose(vis.visualize_saliency(copy, "hidden", 8, digit), after)


@pytest.mark.parametrize("layer", [5, -3, "hidden", np.int64(5)])
def test_layers_by_number_and_name_are_the_same(vis, digits, digit, layer):
    expected = vis.visualize_saliency(digits, "hidden", [1, 5], digit)
    np.testing.assert_array_equal(vis.visualize_saliency(digits, layer, [1, 5], digit), expected)


@pytest.mark.parametrize("indices", [(2, 3), [2, 3], np.array([2, 3]), range(2, 4), [-8, 3]])
def test_any_integer_sequence_is_the_sum_of_its_units(tf, vis, digits, digit, indices):
    found = vis.visualize_saliency(digits, -1, indices, digit)
    model = logits_of(digits)
    expected = np.abs(gradient(tf, model, digit[None], lambda y: y[:, 2] + y[:, 3]))[0, ..., 0]
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


def test_none_is_the_mean_of_all_units(tf, vis, digits, digit):
    found = vis.visualize_saliency(digits, -1, None, digit)
    model = logits_of(digits)
    expected = np.abs(gradient(tf, model, digit[None], tf.reduce_mean))[0, ..., 0]
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def test_signed_maps_are_centred_on_one_half(tf, vis, digits, digit):
    plain = vis.visualize_saliency(digits, -1, 4, digit, grad_modifier=None)
    negated = vis.visualize_saliency(digits, -1, 4, digit, grad_modifier="negate")
    expected = gradient(tf, logits_of(digits), digit[None], lambda y: y[:, 4])[0, ..., 0]
    np.testing.assert_allclose(plain, 0.5 + expected / np.abs(expected).max() / 2, atol=1e-6)
    np.testing.assert_allclose(negated, 1 - plain, atol=1e-6)


def test_a_batch_is_explained_one_by_one(vis, digits):
    batch = np.random.default_rng(1).random((3, 28, 28, 1)).astype(np.float32)
    together = vis.visualize_saliency(digits, -1, 2, batch)
    assert together.shape == (3, 28, 28)
    for one, found in zip(batch, together, strict=True):
        np.testing.assert_allclose(found, vis.visualize_saliency(digits, -1, 2, one), atol=1e-5)
    cams = vis.visualize_cam(digits, -1, 2, batch)
    for one, found in zip(batch, cams, strict=True):
        np.testing.assert_allclose(found, vis.visualize_cam(digits, -1, 2, one[None]), atol=1e-5)


def test_keepdims_and_a_table_of_numbers(keras, tf, vis, digits, digit):
    assert vis.visualize_saliency(digits, -1, 2, digit, keepdims=True).shape == (28, 28, 1)
    keras.utils.set_random_seed(1)
    table = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(2)]
    )
    row = np.linspace(0, 1, 5, dtype=np.float32)
    found = vis.visualize_saliency(table, -1, 1, row)
    expected = np.abs(gradient(tf, table, row[None], lambda y: y[:, 1]))[0]
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-6)


def test_saliency_with_respect_to_a_layer(tf, vis, digits, digit):
    import keras

    front = keras.Model(digits.inputs[0], digits.get_layer("pool").output)
    features = front(digit[None]).numpy()
    x = keras.Input(features.shape[1:])
    y = x
    for layer in digits.layers[3:]:
        y = layer(y)
    rest = logits_of(keras.Model(x, y))
    expected = np.abs(gradient(tf, rest, features, lambda y: y[:, 6]))[0].max(-1)
    for wrt in (digits.get_layer("pool").output, "pool", 2, digits.get_layer("pool")):
        found = vis.visualize_saliency(digits, -1, 6, digit, wrt_tensor=wrt)
        np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def test_guided_backprop_of_the_two_neuron_net(keras, vis):
    """keras-vis' own test: only positive gradients pass through active units."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2, activation="relu", use_bias=False)]
    )
    model.set_weights([np.array([[1.0, 1.0], [1.0, 1.0]])])
    pair = keras.Sequential([*model.layers, keras.layers.Dense(1, use_bias=False)])
    pair.build((None, 2))
    pair.layers[-1].set_weights([np.array([[1.0], [-1.0]])])
    with pytest.warns(UserWarning, match="blank"):
        plain = vis.visualize_saliency(pair, -1, 0, np.array([1.0, 1.0]), keepdims=True)
    guided = vis.visualize_saliency(
        pair, -1, 0, np.array([1.0, 1.0]), backprop_modifier="guided", keepdims=True
    )
    # The two paths cancel; the guided rule lets only the first one pass.
    np.testing.assert_allclose(plain, [0, 0])
    np.testing.assert_allclose(guided, [1, 1])


def test_custom_modifiers_are_functions(tf, vis, digits, digit):
    squared = vis.visualize_saliency(digits, -1, 4, digit, grad_modifier=lambda g: g * g)
    plain = vis.visualize_saliency(digits, -1, 4, digit)
    np.testing.assert_allclose(squared, plain**2, atol=1e-5)
    rule = vis.visualize_saliency(
        digits, -1, 4, digit, backprop_modifier=lambda local, g: local(tf.nn.relu(g))
    )
    guided = vis.visualize_saliency(digits, -1, 4, digit, backprop_modifier="guided")
    np.testing.assert_allclose(rule, guided, atol=1e-6)


def test_grad_cam_is_the_papers(tf, vis, digits, digit):
    import keras

    found = vis.visualize_cam(digits, -1, 4, digit)
    model = logits_of(digits)
    both = keras.Model(model.inputs, [model.get_layer("conv2").output, model.outputs[0]])

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            features, logits = both(x, training=False)
            value = logits[:, 4]
        return features, tape.gradient(value, features)

    features, gradients = (t.numpy()[0] for t in run(tf.constant(digit[None])))
    cam = np.maximum((gradients.mean((0, 1)) * features).sum(-1), 0)
    # Two 3×3 convolutions without padding: a cell lies on the middle of the 5×5 pixels it sees.
    np.testing.assert_allclose(found, np.pad(cam / cam.max(), 2, mode="edge"), atol=1e-5)
    assert found.min() >= 0


def test_grad_cam_of_a_named_layer_and_what_lowers_the_score(vis, digits, digit):
    raising = vis.visualize_cam(digits, -1, 4, digit, penultimate_layer_idx="pool")
    number = vis.visualize_cam(digits, -1, 4, digit, penultimate_layer_idx=2)
    np.testing.assert_array_equal(raising, number)
    lowering = vis.visualize_cam(digits, -1, 4, digit, "pool", grad_modifier="negate")
    assert np.abs(raising - lowering).max() > 0.1
    with pytest.raises(UsageError, match="does not depend"):
        vis.visualize_cam(digits, "conv1", 0, digit, penultimate_layer_idx="conv2")


def test_grad_cam_says_where_a_backprop_modifier_changes_nothing(keras, vis):
    keras.utils.set_random_seed(2)
    x = keras.Input((12, 12, 3))
    y = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(x)
    y = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(y))
    model = keras.Model(x, y)
    image = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
    with pytest.warns(UserWarning, match="no rectifier"):
        guided = vis.visualize_cam(model, -1, 0, image, backprop_modifier="guided")
    assert guided.any()
    np.testing.assert_array_equal(guided, vis.visualize_cam(model, -1, 0, image))
    with pytest.raises(UsageError, match="no rectifier"):
        linear = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        vis.visualize_saliency(linear, -1, 0, np.ones(4), backprop_modifier="guided")


def test_maps_agree_with_the_functions_of_losses(vis, digits, digit):
    from kvis_cli.keras_vis.losses import ActivationMaximization

    layer = digits.layers[-1]
    losses = [(ActivationMaximization(layer, 4), -1)]
    found = vis.visualize_saliency_with_losses(digits.inputs[0], losses, digit)
    np.testing.assert_allclose(found, vis.visualize_saliency(digits, -1, 4, digit), atol=1e-5)
    found = vis.visualize_cam_with_losses(
        digits.inputs[0], losses, digit, digits.get_layer("conv2")
    )
    np.testing.assert_allclose(found, vis.visualize_cam(digits, -1, 4, digit), atol=1e-5)


def test_losses_of_ones_own(tf, keras, vis, digits, digit):
    from kvis_cli.keras_vis.losses import Loss

    class Share(Loss):
        def __init__(self, layer):
            super().__init__()
            self.name = "share"
            self.layer = layer

        def build_loss(self):
            return keras.ops.sum(self.layer.output[:, 3] ** 2)

    layer = digits.layers[-1]
    found = vis.visualize_saliency_with_losses(digits.inputs[0], [(Share(layer), 1)], digit)
    expected = np.abs(gradient(tf, digits, digit[None], lambda y: tf.reduce_sum(y[:, 3] ** 2)))
    np.testing.assert_allclose(found, expected[0, ..., 0] / expected.max(), atol=1e-5)

    def share(x):
        return keras.ops.sum(digits(x)[:, 3] ** 2)

    again = vis.visualize_saliency_with_losses(digits.inputs[0], [(share, 2.0)], digit)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_regularizers_by_keras_vis_formulae(tf, keras, digit):
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    image = np.random.default_rng(4).normal(120, 40, (1, 9, 7, 3)).astype(np.float32)
    x = keras.Input((9, 7, 3))
    terms = [LPNorm(x), LPNorm(x, 3), TotalVariation(x), TotalVariation(x, 1.5)]
    model = keras.Model(x, [term.build_loss() for term in terms])
    found = [float(v) for v in tf.function(model)(image)]
    flat = np.abs(image.astype(np.float64))
    dy = image[:, 1:, :-1].astype(np.float64) - image[:, :-1, :-1]
    dx = image[:, :-1, 1:].astype(np.float64) - image[:, :-1, :-1]
    square = dx**2 + dy**2
    expected = [
        (flat**6).sum() ** (1 / 6) / image.size,
        (flat**3).sum() ** (1 / 3) / image.size,
        square.sum() / image.size,
        (square**0.75).sum() / image.size,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert terms[0].name == "L-6.0 Norm Loss"
    assert terms[2].name == "TV(2.0) Loss"
    with pytest.raises(UsageError):
        LPNorm(x, 0.5)


class Recorder:
    """Keeps what callbacks are told."""

    def __init__(self):
        self.steps = []
        self.ended = 0

    def callback(self, i, named_losses, overall_loss, grads, wrt_value):
        self.steps.append((i, dict(named_losses), overall_loss, grads.copy(), wrt_value.copy()))

    def on_end(self):
        self.ended += 1


def test_the_keras_vis_preset_is_its_own_loop(tf, vis, digits):
    """The whole of keras-vis' optimizer, written out in numpy, side by side for five steps."""
    told = Recorder()
    vis.visualize_activation(
        digits, -1, 3, input_range=(0.0, 1.0), preset="keras-vis", max_iter=5, callbacks=[told]
    )
    model = logits_of(digits)
    x = told.steps[0][4]
    assert abs(x.mean() - 0.5) < 1e-5
    assert abs(x.std() - 0.05) < 1e-5

    @tf.function(autograph=False)
    def losses(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            count = float(np.prod(x.shape[1:]))
            act = -tf.reduce_mean(model(x, training=False)[:, 3])
            lp = tf.reduce_sum(tf.abs(x) ** 6.0) ** (1 / 6) / count
            dy = x[:, 1:, :-1] - x[:, :-1, :-1]
            dx = x[:, :-1, 1:] - x[:, :-1, :-1]
            tv = tf.reduce_sum(dy**2 + dx**2) / count
            total = act + 10 * lp + 10 * tv
        return (act, 10 * lp, 10 * tv), total, tape.gradient(total, x)

    cache = np.zeros_like(x)
    for i, named, overall, grads, value in told.steps:
        np.testing.assert_allclose(value, x, rtol=1e-5, atol=1e-5)
        terms, total, g = losses(tf.constant(x))
        expected = dict(
            zip(
                ("ActivationMax Loss", "L-6.0 Norm Loss", "TV(2.0) Loss"),
                [float(t) for t in terms],
                strict=True,
            )
        )
        assert named.keys() == expected.keys()
        for name, number in expected.items():
            assert named[name] == pytest.approx(number, rel=1e-5, abs=1e-6)
        assert overall == pytest.approx(float(total), rel=1e-5)
        g = g.numpy()
        # Callbacks get the gradient as keras-vis' do: of length 1.
        g = g / np.sqrt((g**2).sum())
        np.testing.assert_allclose(grads, g, rtol=1e-4, atol=1e-6)
        cache = 0.95 * cache + 0.05 * g**2
        x = (x - g / np.sqrt(cache + 1e-7)).astype(np.float32)
        assert i == told.steps[i][0]
    assert told.ended == 1
    # The notebook's own log of the first iteration, for 28×28 noise of that mean and deviation.
    assert told.steps[0][1]["L-6.0 Norm Loss"] == pytest.approx(0.01983, rel=0.02)
    assert told.steps[0][1]["TV(2.0) Loss"] == pytest.approx(0.0959, rel=0.05)


def test_activation_stays_in_its_range_and_is_the_picture_that_scores(vis, digits):
    model = logits_of(digits)
    for edges in ((0.0, 1.0), (-1.0, 1.0)):
        found = vis.visualize_activation(
            digits, -1, 3, input_range=edges, max_iter=30, tv_weight=0.01, lp_norm_weight=0.01
        )
        assert found.dtype == np.float32
        assert found.shape == (28, 28, 1)
        assert edges[0] <= found.min()
        assert found.max() <= edges[1]
        grey = np.full((1, 28, 28, 1), sum(edges) / 2, np.float32)
        assert model(found[None])[0, 3] > model(grey)[0, 3] + 0.1
    assert vis.visualize_activation(digits, -1, 3, max_iter=2).dtype == np.uint8


def test_activation_with_losses_is_the_same(vis, digits, digit):
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    x = digits.inputs[0]
    losses = [
        (ActivationMaximization(digits.layers[-1], 3), 1),
        (LPNorm(x), 10),
        (TotalVariation(x), 10),
    ]
    for preset in (None, "keras-vis"):
        settings = {
            "input_range": (0.0, 1.0), "max_iter": 4, "preset": preset,
            "seed_input": digit,
        }  # fmt: skip
        expected = vis.visualize_activation(digits, -1, 3, tv_weight=10, **settings)
        found = vis.visualize_activation_with_losses(x, losses, **settings)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_activation_of_several_layers_kinds_and_seeds(vis, digits, digit):
    filtered = vis.visualize_activation(digits, "conv2", 5, input_range=(0.0, 1.0), max_iter=3)
    other = vis.visualize_activation(digits, "conv2", 5, input_range=(0.0, 1.0), max_iter=3, seed=1)
    again = vis.visualize_activation(digits, "conv2", 5, input_range=(0.0, 1.0), max_iter=3)
    np.testing.assert_array_equal(filtered, again)
    assert not np.array_equal(filtered, other)
    begun = vis.visualize_activation(
        digits, "preds", [1, 7], seed_input=digit, input_range=(0.0, 1.0), max_iter=1,
        lp_norm_weight=0, tv_weight=0,
    )  # fmt: skip
    # One step of the default optimizer moves no pixel by more than a twentieth of the range.
    assert np.abs(begun - digit).max() <= 0.0501


def test_print_and_gif(vis, digits, tmp_path, capsys):
    from PIL import Image

    from kvis_cli.keras_vis.callbacks import GifGenerator, Print

    mine = [GifGenerator(tmp_path / "progress", every=2)]
    vis.visualize_activation(
        digits, -1, 0, input_range=(0.0, 1.0), max_iter=5, verbose=True, callbacks=mine
    )
    assert len(mine) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Iteration: {i}" for i in range(1, 6)]
    assert "ActivationMax Loss" in lines[0]
    with Image.open(tmp_path / "progress.gif") as movie:
        assert movie.n_frames == 3
        # Small frames are enlarged, and the default range is that of the optimisation.
        assert movie.size == (224, 224)
        above = np.asarray(movie.convert("L"))[:150]
        assert np.ptp(above) > 60
    vis.visualize_activation(digits, -1, 0, max_iter=1, callbacks=[Print])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_generate_pattern_is_the_books_loop(tf, keras, vis):
    from kvis_cli.engines.activation_maximization.seeds import generator, seed_image

    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="a"),
            keras.layers.Conv2D(5, 3, activation="relu", name="b"),
        ]
    )
    found = vis.generate_pattern("b", 2, size=20, model=model)

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(model(x)[..., 2])
        g = tape.gradient(loss, x)
        return x + g / (tf.sqrt(tf.reduce_mean(tf.square(g))) + 1e-5)

    x = seed_image("book", (20, 20, 3), generator(0, 0))[None]
    for _ in range(40):
        x = step(tf.constant(x)).numpy()
    image = x[0]
    image = (image - image.mean()) / (image.std() + 1e-5) * 0.1 + 0.5
    expected = np.clip(image, 0, 1) * 255
    assert found.dtype == np.uint8
    assert np.abs(found.astype(float) - expected).max() <= 1.5


def test_pairs_of_layers_inside_nested_models(keras, vis):
    keras.utils.set_random_seed(5)
    inner = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="c1"),
            keras.layers.Conv2D(6, 3, activation="relu", name="c2"),
        ],
        name="base",
    )
    x = keras.Input((16, 16, 3))
    y = keras.layers.GlobalAveragePooling2D()(inner(x))
    outer = keras.Model(x, keras.layers.Dense(3, activation="softmax")(y))
    flat = keras.Model(
        inner.inputs,
        outer.layers[-1](keras.layers.GlobalAveragePooling2D()(inner.outputs[0])),
    )
    image = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    expected = vis.visualize_cam(flat, -1, 0, image)
    np.testing.assert_allclose(vis.visualize_cam(outer, -1, 0, image), expected, atol=1e-6)
    for layer in ("base/c2", "c2", "base", 1):
        found = vis.visualize_cam(outer, -1, 0, image, penultimate_layer_idx=layer)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        vis.visualize_saliency(outer, "base/c1", 2, image),
        vis.visualize_saliency(flat, "c1", 2, image),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda v, m, x: v.visualize_saliency(m, 40, 0, x), UnknownNameError),
        (lambda v, m, x: v.visualize_saliency(m, "conv", 0, x), UnknownNameError),
        (lambda v, m, x: v.visualize_saliency(m, -1, 10, x), UsageError),
        (lambda v, m, x: v.visualize_saliency(m, -1, 1.5, x), UsageError),
        (lambda v, m, x: v.visualize_saliency(m, -1, [], x), UsageError),
        (lambda v, m, x: v.visualize_saliency(m, -1, 0, x[:20]), InputError),
        (lambda v, m, x: v.visualize_saliency(m, -1, 0, x, grad_modifier="np"), UnknownNameError),
        (lambda v, m, x: v.visualize_saliency("m.h5", -1, 0, x), UsageError),
        (lambda v, m, x: v.visualize_saliency_with_losses(m.inputs[0], [], x), UsageError),
        (lambda v, m, x: v.visualize_activation(m, -1, 0, wrt_tensor="pool"), UsageError),
        (lambda v, m, x: v.visualize_activation(m, -1, 0, preset="best"), UnknownNameError),
        (lambda v, m, x: v.visualize_activation(m, -1, 0, input_range=(1, 1)), UsageError),
        (
            lambda v, m, x: v.visualize_activation(
                m, -1, 0, act_max_weight=0, lp_norm_weight=None, tv_weight=0
            ),
            UsageError,
        ),
    ],
)
def test_wrong_arguments_are_said(vis, digits, digit, call, error):
    with pytest.raises(error) as caught:
        call(vis, digits, digit)
    assert isinstance(caught.value, KvisError)
    assert caught.value.what


def test_one_trace_for_many_calls(vis, digits):
    from kvis_cli.models.live.session import live_model

    rng = np.random.default_rng(0)
    live_model(digits).engines._values.clear()
    for i in range(20):
        image = rng.random((28, 28, 1))
        vis.visualize_saliency(digits, -1, i % 10, image)
        vis.visualize_cam(digits, -1, i % 5, image)
        vis.visualize_activation(digits, "conv2", i % 8, max_iter=1)
    engines = [e for e in live_model(digits).engines._values.values() if not isinstance(e, list)]
    traces = [e.traces if hasattr(e, "traces") else e[1].traces for e in engines]
    # The saliency engine compiles the gradient and the reduction of channels, each once.
    assert sorted(traces) == [1, 1, 2]


@pytest.mark.slow
def test_a_thousand_calls_take_constant_time_and_memory(vis, digits, digit):
    import resource
    import time

    def hundred():
        begun = time.perf_counter()
        for i in range(100):
            vis.visualize_saliency(digits, -1, i % 10, digit)
            vis.visualize_cam(digits, -1, i % 5, digit)
        return time.perf_counter() - begun

    hundred()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [hundred() for _ in range(9)]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    assert grown < 20, f"{grown:.0f} MiB more after 900 calls of each"
    # keras-vis' calls became four times slower over such a loop.
    assert min(seconds[-3:]) < 1.5 * min(seconds[:3]), seconds


def test_the_model_is_left_as_it_was_and_goes_when_it_goes(keras, vis, digit, tmp_path):
    import gc
    import weakref

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    before = [w.numpy().copy() for w in model.weights]
    vis.visualize_saliency(model, -1, 0, digit)
    vis.visualize_cam(model, -1, 0, digit)
    vis.visualize_activation(model, -1, 0, max_iter=2)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(digit[None]), model(digit[None]), atol=1e-6)
    gone = weakref.ref(model)
    del model, new
    gc.collect()
    assert gone() is None


def test_a_subclassed_model_is_explained_like_its_functional_twin(keras, vis, digit):
    keras.utils.set_random_seed(6)

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(4, 3, activation="relu", name="conv")
            self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
            self.head = keras.layers.Dense(3, activation="softmax", name="head")

        def call(self, x):
            return self.head(self.pool(self.conv(x)))

    net = Net()
    net(digit[None])
    x = keras.Input((28, 28, 1))
    twin = keras.Model(x, net.head(net.pool(net.conv(x))))
    for layer in ("head", -1):
        np.testing.assert_allclose(
            vis.visualize_saliency(net, layer, 1, digit),
            vis.visualize_saliency(twin, "head", 1, digit),
            atol=1e-6,
        )
    for index in range(3):
        expected = vis.visualize_cam(twin, "head", index, digit)
        found = vis.visualize_cam(net, "head", index, digit, penultimate_layer_idx="conv")
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(
            vis.visualize_cam(net, "head", index, digit), expected, atol=1e-6
        )
