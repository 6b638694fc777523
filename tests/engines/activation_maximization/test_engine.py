"""The engine against literal transcriptions, closed forms and invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kvis_cli.errors import ResultError, UnknownNameError, UsageError

SIZE = (12, 12, 3)


@pytest.fixture(scope="module")
def am(tf):
    """The parts of the engine under one name."""
    from types import SimpleNamespace

    from kvis_cli.engines.activation_maximization import (
        engine,
        input_modifiers,
        losses,
        objectives,
        optimizers,
        parametrizations,
        presets,
        published,
        regularizers,
        seeds,
        selected_filters,
    )
    from kvis_cli.engines.activation_maximization import input_space as space

    found = {}
    for module in (
        published, engine, input_modifiers, losses, objectives, optimizers, parametrizations,
        presets, regularizers, seeds, space, selected_filters,
    ):  # fmt: skip
        found.update({k: v for k, v in vars(module).items() if not k.startswith("__")})
    return SimpleNamespace(**found)


@pytest.fixture(scope="module")
def small(tf):
    """A convolutional model with a softmax head, any input size up to the head."""
    import keras

    keras.utils.set_random_seed(11)
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(5, 3, activation="tanh", name="one")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="two")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dense(3, activation="softmax", name="classes")(x)
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def reader(small):
    from kvis_cli.models.live.reader import ModelReader

    return ModelReader(small)


def bound(objective, channels, rank=4):
    objective.bind((None,) * (rank - 1) + (channels,))
    return objective


def generators(am, count, seed=0):
    return [am.generator(seed, 1, i) for i in range(count)]


def noise(count, shape=SIZE, seed=0):
    return np.random.default_rng(seed).random((count, *shape)).astype(np.float32)


def literal_gradient(tf, model, layer, filter_index):
    """The gradient of the mean of a filter's map, as the book takes it."""
    import keras

    cut = keras.Model(model.input, model.get_layer(layer).output)

    @tf.function
    def gradient(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = tf.reduce_mean(cut(image)[..., filter_index])
        return tape.gradient(loss, image)

    return gradient


def test_chollet_preset_is_the_book_recipe(tf, am, small, reader):
    filters = [0, 3]
    objective = bound(am.ActivationMaximization("two", filters), 4)
    recipe = am.PRESETS["chollet"]
    seeds = np.stack([am.seed_image("book", SIZE, am.generator(1, i)) for i in filters])
    assert seeds.min() >= 128 and seeds.max() < 148
    maximizer = am.make_maximizer(recipe, reader, [(objective, 1.0)], SIZE, am.InputSpace())
    found = maximizer(seeds, generators(am, 2), recipe.steps)
    for row, index in enumerate(filters):
        image = tf.constant(seeds[row : row + 1])
        gradient = literal_gradient(tf, small, "two", index)
        for _ in range(40):
            grads = gradient(image)
            grads /= tf.sqrt(tf.reduce_mean(tf.square(grads))) + 1e-5
            image += grads * 1.0
        np.testing.assert_allclose(found.images[row], image[0], atol=2e-2)
    x = found.images[0].astype(np.float64)
    literal = np.clip((x - x.mean()) / (x.std() + 1e-5) * 0.1 + 0.5, 0, 1)
    np.testing.assert_allclose(am.stretch(found.images[0]), literal, atol=1e-5)


def test_keras_vis_losses_are_its_formulae(tf, am):
    seed = am.seed_image("keras-vis", (28, 28, 1), am.generator(0, 5), (0.0, 1.0))
    assert seed.mean() == pytest.approx(0.5, abs=1e-4)
    assert seed.std() == pytest.approx(0.05, abs=1e-4)
    view = am.View(None, tf.constant(seed[np.newaxis]), [], {})
    lp = 10 * float(am.KerasVisLPNorm()(view, {})[0])
    tv = 10 * float(am.KerasVisTotalVariation()(view, {})[0])
    x = seed[..., 0].astype(np.float64)
    literal_lp = 10 * (np.abs(x) ** 6).sum() ** (1 / 6) / x.size
    crop = ((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2).sum()
    assert lp == pytest.approx(literal_lp, rel=1e-5)
    assert tv == pytest.approx(10 * crop / x.size, rel=1e-5)
    # What keras-vis' own notebook logs for its first iteration on MNIST.
    assert lp == pytest.approx(0.01983, rel=0.02)
    assert tv == pytest.approx(0.0959, rel=0.05)


def test_keras_vis_preset_takes_its_rmsprop_steps(tf, am, small, reader):
    objective = bound(am.ActivationMaximization("two", [1]), 4)
    recipe = replace(am.PRESETS["keras-vis"], keep="last")
    seeds = np.stack([am.seed_image("keras-vis", SIZE, am.generator(2), (0.0, 255.0))])
    maximizer = am.make_maximizer(recipe, reader, [(objective, 1.0)], SIZE, am.InputSpace())
    found = maximizer(seeds, generators(am, 1), 5)

    import keras

    cut = keras.Model(small.input, small.get_layer("two").output)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            act = -tf.reduce_mean(cut(x)[..., 1])
            lp = tf.reduce_sum(tf.abs(x) ** 6) ** (1 / 6) / x.shape.num_elements()
            dy = x[:, 1:, :-1] - x[:, :-1, :-1]
            dx = x[:, :-1, 1:] - x[:, :-1, :-1]
            tv = tf.reduce_sum(dx**2 + dy**2) / x.shape.num_elements()
            loss = act + 10 * lp + 10 * tv
        return tape.gradient(loss, x)

    x, cache = seeds.astype(np.float32), 0.0
    for _ in range(5):
        g = gradient(tf.constant(x)).numpy()
        g /= np.sqrt((g**2).sum())
        cache = 0.95 * cache + 0.05 * g**2
        x = x - g / np.sqrt(cache + 1e-7)
    np.testing.assert_allclose(found.images, x, atol=2e-2)


@pytest.mark.conformance
def test_one_sgd_step_equals_tf_keras_vis(tf, am, small, reader):
    import keras

    tkv = pytest.importorskip("tf_keras_vis.activation_maximization")
    from tf_keras_vis.activation_maximization.regularizers import Norm, TotalVariation2D
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    filters, rate = [0, 1, 3], 0.7
    seeds = noise(3) * 255
    theirs = tkv.ActivationMaximization(small, [ExtractIntermediateLayer("two")])(
        CategoricalScore(filters),
        seed_input=tf.constant(seeds),
        steps=1,
        input_range=(None, None),
        input_modifiers=[],
        regularizers=[TotalVariation2D(1.0), Norm(0.3, p=2)],
        optimizer=keras.optimizers.SGD(rate),
    )

    def variation(view):
        return tf.image.total_variation(view.inputs) / float(np.prod(SIZE))

    def norm(view):
        flat = tf.reshape(view.inputs, [-1, int(np.prod(SIZE))])
        return tf.norm(flat, axis=1) / float(np.prod(SIZE)) ** 0.5

    ours = am.ActivationMaximizer(
        reader,
        [(bound(am.ActivationMaximization("two", filters), 4), 1), (variation, 1.0), (norm, 0.3)],
        SIZE,
        parametrization=am.Pixel("none"),
        optimizer=am.make_optimizer("keras:sgd", rate),
        keep="last",
    )(seeds, generators(am, 3), 1)
    assert np.abs(ours.images - seeds).max() > 1e-4
    np.testing.assert_allclose(ours.images, np.asarray(theirs), atol=1e-4)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_regularizer_gradients_are_finite(tf, am, beta, value):
    flat = tf.fill([1, 6, 6, 3], value)
    for loss in (
        am.TotalVariation(beta), am.LPNorm(6.0), am.LPNorm(1.0), am.LPNorm(float("inf")),
        am.L1(), am.L2(), am.Blur(),
    ):  # fmt: skip

        @tf.function
        def gradient(x, loss=loss):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = loss(am.View(x, x, [], {}), {})
            return y, tape.gradient(y, x)

        y, g = gradient(flat)
        assert np.isfinite(y).all() and np.isfinite(g).all(), loss.name


def test_total_variation_and_lp_are_the_paper_form(tf, am):
    x = noise(2, (5, 7, 3)).astype(np.float64)
    view = am.View(tf.constant(x, tf.float32), None, [], {})
    dy = x[:, 1:, :-1] - x[:, :-1, :-1]
    dx = x[:, :-1, 1:] - x[:, :-1, :-1]
    literal = ((dx**2 + dy**2) ** 0.75 * 6.5**1.5).sum(-1).mean((1, 2))
    np.testing.assert_allclose(am.TotalVariation(1.5)(view, {}), literal, rtol=1e-5)
    literal = (((2 * x - 1) ** 2).sum(-1) ** 3).mean((1, 2))
    np.testing.assert_allclose(am.LPNorm(6)(view, {}), literal, rtol=1e-5)


@pytest.mark.parametrize("parametrization", ["pixel", "fourier"])
def test_range_of_the_input_does_not_matter(tf, am, small, parametrization):
    """One function over (0, 1), (0, 255) and (-1, 1): the same picture from the same options."""
    import keras

    from kvis_cli.models.live.reader import ModelReader

    images = []
    for low, high in ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)):
        inputs = keras.Input((12, 12, 3))
        scaled = keras.layers.Rescaling(1 / (high - low), -low / (high - low))(inputs)
        model = keras.Model(inputs, small(scaled))
        objective = bound(am.ActivationMaximization(None, [0, 2]), 3, 2)
        maximizer = am.ActivationMaximizer(
            ModelReader(model),
            [(objective, 1), (am.TotalVariation(), 0.1), (am.LPNorm(), 0.1)],
            SIZE,
            space=am.InputSpace(np.float32(low), np.float32(high)),
            parametrization=am.Fourier(SIZE) if parametrization == "fourier" else am.Pixel(),
            modifiers=[am.Jitter("2px")],
        )
        images.append(maximizer(noise(2) * 0.2 + 0.4, generators(am, 2), 20).images)
    assert images[0].min() >= 0 and images[0].max() <= 1
    assert np.abs(images[0] - images[0].mean()).max() > 0.1
    np.testing.assert_allclose(images[0], images[1], atol=5e-3)
    np.testing.assert_allclose(images[0], images[2], atol=5e-3)


def test_jitter_is_a_torus_and_can_be_undone(tf, am):
    row = tf.reshape(tf.range(8.0), [1, 8, 1])
    moved = am.Jitter().apply(row, tf.constant([[2.0]]))
    np.testing.assert_array_equal(moved[0, :, 0], [6, 7, 0, 1, 2, 3, 4, 5])
    x, shift = tf.constant(noise(3)), tf.constant([[1.0, -3.0], [0.0, 5.0], [-2.0, 2.0]])
    jitter = am.Jitter()

    @tf.function
    def there_and_back(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            back = jitter.apply(jitter.apply(x, shift), -shift)
            score = tf.reduce_sum(back**3)
        return back, tape.gradient(score, x)

    back, gradient = there_and_back(x)
    np.testing.assert_array_equal(back, x)
    np.testing.assert_allclose(gradient, 3 * x**2, rtol=1e-6)


def test_jitter_numbers_are_within_the_limit(am):
    drawn = am.Jitter("25%").draw(am.generator(0), 500, (8, 16, 3))
    assert set(np.unique(drawn[:, 0])) == set(range(-2, 3))
    assert set(np.unique(drawn[:, 1])) == set(range(-4, 5))


@pytest.mark.parametrize(
    ("text", "size", "pixels"), [("16px", 64, 16), ("5%", 60, 3), (0.1, 50, 5), ("3", 9, 3)]
)
def test_amounts(am, text, size, pixels):
    assert am.amount(text, size) == pixels


@pytest.mark.parametrize("text", ["x", "-1", "64px", "100%", "5 %%"])
def test_amounts_that_are_none(am, text):
    with pytest.raises(UsageError):
        am.amount(text, 64)


def test_rotation_and_scaling_agree_with_numpy(tf, am):
    x = noise(1, (9, 9, 3))
    turned = am.Rotate(90).apply(tf.constant(x), tf.constant([[np.pi / 2]]))
    np.testing.assert_allclose(turned[0], np.rot90(x[0], -1), atol=1e-4)
    np.testing.assert_allclose(
        am.Rotate().apply(tf.constant(x), tf.constant([[0.0]])), x, atol=1e-6
    )
    np.testing.assert_allclose(am.Scale().apply(tf.constant(x), tf.constant([[1.0]])), x, atol=1e-6)
    doubled = am.Scale().apply(tf.constant(x), tf.constant([[2.0]])).numpy()
    np.testing.assert_allclose(doubled[0, ::2, ::2], x[0, 2:7, 2:7], atol=1e-6)
    middle = (x[0, 2:6, 2:7] + x[0, 3:7, 2:7]) / 2
    np.testing.assert_allclose(doubled[0, 1::2, ::2], middle, atol=1e-6)


def test_pad_flip_and_blur(tf, am):
    x = noise(2)
    padded = am.Pad("2px").apply(tf.constant(x), tf.constant([[0.0, 4, 2, 2], [2, 2, 2, 2]]))
    np.testing.assert_array_equal(padded[1], x[1])
    np.testing.assert_array_equal(padded[0, 2:, :-2], x[0, :-2, 2:])
    assert (padded.numpy()[0, :2] == 0.5).all()
    flipped = am.Flip().apply(tf.constant(x), tf.constant([[1.0], [0.0]]))
    np.testing.assert_array_equal(flipped[0], x[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], x[1])
    spot = np.zeros((1, 15, 15, 1), np.float32)
    spot[0, 7, 7] = 1
    weights = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    weights /= weights.sum()
    blurred = am.blurred(tf.constant(spot), 1.0).numpy()[0, :, :, 0]
    np.testing.assert_allclose(blurred[4:11, 4:11], np.outer(weights, weights), atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 12, 3), (11, 9, 1), (16, 2), (5, 6, 7, 2)])
def test_fourier_round_trip(tf, am, shape):
    x = noise(2, shape) * 0.9 + 0.05
    fourier = am.Fourier(shape)
    np.testing.assert_allclose(fourier.decode(tf.constant(fourier.encode(x))), x, atol=1e-4)
    if shape[-1] == 3:
        swapped = am.Fourier(shape, bgr=True)
        np.testing.assert_allclose(
            swapped.encode(x[..., ::-1]), fourier.encode(x), rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2)])
def test_own_filter_equals_the_whole_convolution(tf, am, strides, padding, dilation):
    import keras

    if strides != (1, 1) and dilation != (1, 1):
        pytest.skip("TensorFlow has no strided dilated convolution")
    layer = keras.layers.Conv2D(
        6, (3, 5), strides=strides, padding=padding, dilation_rate=dilation, activation="elu",
        bias_initializer="random_normal",
    )  # fmt: skip
    x = tf.constant(noise(3, (13, 14, 4)))
    layer(x)
    filters = tf.constant([4, 0, 4])

    @tf.function
    def both(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            whole = tf.gather(tf.transpose(layer(x), [0, 3, 1, 2]), filters, batch_dims=1)
            own = am.convolve_own_filter(layer, x, filters)[..., 0]
            a, b = tf.reduce_sum(whole**2), tf.reduce_sum(own**2)
        return whole, own, tape.gradient(a, x), tape.gradient(b, x)

    whole, own, a, b = both(x)
    np.testing.assert_allclose(own, whole, atol=1e-5)
    np.testing.assert_allclose(b, a, atol=1e-4)
    with am.only_filters(layer, filters):
        assert layer(x).shape[-1] == 1
    assert layer(x).shape[-1] == 6
    assert "call" not in layer.__dict__


def test_pictures_do_not_depend_on_their_batch(am, reader):
    images = []
    for batch_size in (5, 2, 1):
        objective = bound(am.ActivationMaximization("two", range(4)), 4)
        maximizer = am.ActivationMaximizer(
            reader,
            [objective],
            SIZE,
            parametrization=am.Fourier(SIZE),
            modifiers=[am.Jitter("2px"), am.Scale(), am.Rotate()],
        )
        found = maximizer(noise(4), generators(am, 4), 12, batch_size=batch_size)
        images.append(np.rint(found.images * 255))
        assert maximizer.traces == 1
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "keras:adam", "nadam"])
def test_every_optimizer_raises_the_activation(am, reader, name):
    objective = bound(am.ActivationMaximization("one", [0, 1]), 5)
    maximizer = am.ActivationMaximizer(
        reader, [objective], SIZE, optimizer=am.make_optimizer(name, 0.02)
    )
    start = noise(2) * 0.1 + 0.45
    before = maximizer.measure(start)
    found = maximizer(start, generators(am, 2), 30)
    assert (found.scores > before + 0.01).all()
    assert found.images.min() >= 0 and found.images.max() <= 1
    np.testing.assert_allclose(maximizer.measure(found.images), found.scores, rtol=1e-5)


def test_adam_is_keras_adam(tf, am, reader):
    images = []
    for optimizer in (
        am.Adam(0.01, epsilon=1e-12),
        am.KerasOptimizer("adam", 0.01, beta_1=0.9, beta_2=0.99, epsilon=1e-12),
    ):
        objective = bound(am.ActivationMaximization("two", [0, 1]), 4)
        maximizer = am.ActivationMaximizer(
            reader, [objective], SIZE, optimizer=optimizer, keep="last",
            parametrization=am.Pixel("none"),
        )  # fmt: skip
        images.append(maximizer(noise(2), generators(am, 2), 6).images)
    np.testing.assert_allclose(images[0], images[1], atol=1e-4)


def test_unknown_optimizer(am):
    with pytest.raises(UnknownNameError, match="adamm"):
        am.make_optimizer("adamm", 0.1)


def test_several_units_and_positions(tf, am, small, reader):
    """Scores of units at once, of their negatives and of one position, against the layer itself."""
    import keras

    x = noise(4)
    maps = keras.Model(small.input, small.get_layer("one").output)(x).numpy()
    goals = [
        am.Goal(((1, 1.0), (3, 2.0))), am.Goal(((2, -1.0),)), am.Goal(((0, 1.0),), (4, 7)),
        am.Goal(((4, 1.0),)),
    ]  # fmt: skip
    objective = am.ActivationMaximization("one", goals)
    objective.bind((None, 10, 10, 5))
    measured = am.ActivationMaximizer(reader, [objective], SIZE).measure(x)
    mean = maps.mean((1, 2))
    expected = [mean[0, 1] + 2 * mean[0, 3], -mean[1, 2], maps[2, 4, 7, 0], mean[3, 4]]
    np.testing.assert_allclose(measured, expected, atol=1e-5)


def test_class_scores_are_logits_or_probabilities(tf, am, small, reader):
    x = noise(3)
    probabilities = small(x, training=False).numpy()
    dense = small.get_layer("classes")
    pooled = __import__("keras").Model(small.input, small.get_layer("mean").output)(x)
    logits = pooled.numpy() @ dense.kernel.numpy() + dense.bias.numpy()
    for score, values in (("logit", logits), ("probability", probabilities)):
        objective = bound(am.ActivationMaximization(None, [2, 0, 1], score=score), 3, 2)
        measured = am.ActivationMaximizer(reader, [objective], SIZE).measure(x)
        np.testing.assert_allclose(measured, values[[0, 1, 2], [2, 0, 1]], atol=1e-5)


def test_broken_step_is_named_and_undone(tf, am, reader):
    """A term that becomes NaN once the first picture is bright: the others go on."""

    def cliff(view):
        mean = tf.reduce_mean(view.images, [1, 2, 3])
        return tf.where(mean > 0.6, np.float32(np.nan), -mean)

    maximizer = am.ActivationMaximizer(
        reader, [(cliff, 1.0)], SIZE, optimizer=am.Sgd(0.03), keep="last"
    )
    seeds = np.stack([np.full(SIZE, v, np.float32) for v in (0.5, 0.1)])
    found = maximizer(seeds, generators(am, 2), 10)
    assert "cliff" in found.warnings[0][0] and "step 5 of 10" in found.warnings[0][0]
    assert found.warnings[1] == ()
    assert found.images[0].mean() == pytest.approx(0.59, abs=5e-3)
    assert found.images[1].mean() == pytest.approx(0.4, abs=5e-3)
    assert list(found.steps) == [4, 10]
    with pytest.raises(ResultError, match="cliff"):
        maximizer(seeds + 0.3, generators(am, 2), 3)


def test_patience_stops_each_picture_by_itself(tf, am, reader):
    def towards(view):
        return tf.reduce_mean(tf.abs(view.images - 0.5), [1, 2, 3])

    maximizer = am.ActivationMaximizer(
        reader, [(towards, 1.0)], SIZE, optimizer=am.Sgd(0.02), patience=4
    )
    seeds = np.stack([np.full(SIZE, v, np.float32) for v in (0.499, 0.02)])
    found = maximizer(seeds, generators(am, 2), 64)
    assert found.steps[0] < 10 < found.steps[1] < 64
    assert np.isnan(found.history["total"][found.steps[0] :, 0]).all()
    assert np.isfinite(found.history["total"][: found.steps[1], 1]).all()


def test_the_best_picture_is_the_one_that_was_evaluated(am, reader):
    """Steps that are far too large: of all pictures on the way, the one of the lowest total."""
    objective = bound(am.ActivationMaximization("two", [0, 1, 2, 3]), 4)
    maximizer = am.ActivationMaximizer(
        reader, [(objective, 1.0), (am.TotalVariation(), 0.3)], SIZE, optimizer=am.Sgd(0.4)
    )
    way = []
    found = maximizer(
        noise(4), generators(am, 4), 9, frames=lambda rows, step, images: way.append(images)
    )
    assert len(way) == 10
    totals = found.history["total"]
    earlier = 0
    for b in range(4):
        best = int(np.argmin(totals[:, b]))
        last, then = (
            maximizer.measure(np.stack([way[9][b]] * 4))[b],
            -found.history["activation"][best, b],
        )
        expected = way[9][b] if last >= then else way[best][b]
        earlier += last < then
        np.testing.assert_array_equal(found.images[b], expected)
        assert found.scores[b] == pytest.approx(max(last, then), rel=1e-4)
    assert earlier


def test_memory_that_does_not_suffice_halves_the_batch(tf, am, reader, monkeypatch):
    def maximizer():
        objective = bound(am.ActivationMaximization("two", [0, 1, 2, 3, 0]), 4)
        return am.ActivationMaximizer(reader, [objective], SIZE)

    whole = maximizer()(noise(5), generators(am, 5), 4, batch_size=5)
    run, sizes = am.ActivationMaximizer._run, []

    def limited(self, seeds, draws, rows, size, *rest):
        sizes.append(size)
        if size > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return run(self, seeds, draws, rows, size, *rest)

    monkeypatch.setattr(am.ActivationMaximizer, "_run", limited)
    halved = maximizer()(noise(5), generators(am, 5), 4, batch_size=5)
    assert sizes == [5, 3, 2, 2, 2]
    np.testing.assert_allclose(halved.images, whole.images, atol=1e-5)


def test_dead_units_are_told(tf, am):
    import keras

    from kvis_cli.models.live.reader import ModelReader

    inputs = keras.Input((12, 12, 3))
    layer = keras.layers.Conv2D(2, 3, activation="relu", name="half")
    model = keras.Model(inputs, layer(inputs))
    kernel, _bias = layer.get_weights()
    layer.set_weights([np.abs(kernel), np.array([0.0, -1e6], np.float32)])
    objective = bound(am.ActivationMaximization("half", [0, 1]), 2)
    maximizer = am.ActivationMaximizer(ModelReader(model), [objective], SIZE)
    found = maximizer(noise(2), generators(am, 2), 4)
    assert list(found.unmoved) == [False, True]


def test_weights_and_goals_that_mean_nothing(am, reader):
    objective = am.ActivationMaximization("two", [0])
    with pytest.raises(UsageError, match="nothing to optimise"):
        am.weighted([(objective, 0.0)])
    with pytest.raises(UsageError, match="Filter 512"):
        am.ActivationMaximization("two", [512]).bind((None, 16, 16, 256))
    with pytest.raises(UsageError, match="no channels"):
        am.ActivationMaximization("two", [0]).bind((None,))
    with pytest.raises(UsageError, match="position"):
        am.ActivationMaximization("two", [am.Goal(((0, 1.0),), (9, 9))]).bind((None, 4, 4, 8))
    with pytest.raises(UsageError, match="p of an Lp norm"):
        am.LPNorm(0.5)


def test_losses_are_weighted_sums(tf, am, reader):
    objective = bound(am.ActivationMaximization("two", [0, 1]), 4)

    def bright(view):
        return tf.reduce_mean(view.images, [1, 2, 3])

    maximizer = am.ActivationMaximizer(reader, [(objective, 2.0), (bright, 0.5)], SIZE)
    found = maximizer(noise(2), generators(am, 2), 3)
    total = 2 * found.history["activation"] + 0.5 * found.history["bright"]
    np.testing.assert_allclose(found.history["total"], total, rtol=1e-5)
    np.testing.assert_allclose(found.history["bright"][0], noise(2).mean((1, 2, 3)), rtol=1e-5)


def test_gradient_and_backprop_modifiers(tf, am, reader):
    from kvis_cli.engines.gradient_modifiers import find_modifier

    def images(**options):
        objective = bound(am.ActivationMaximization("two", [0]), 4)
        maximizer = am.ActivationMaximizer(
            reader, [objective], SIZE, optimizer=am.Sgd(0.01), keep="last", **options
        )
        return maximizer(noise(1) * 0.1 + 0.45, generators(am, 1), 1).images, maximizer

    plain, _ = images()
    negated, _ = images(gradient_modifier=find_modifier("negate").modify)
    start = noise(1) * 0.1 + 0.45
    np.testing.assert_allclose(negated - start, start - plain, atol=1e-6)
    _, maximizer = images(backprop_modifier="guided")
    assert "1 of 2 activations" in maximizer.notes[0]


def test_mean_distances_and_grain_are_what_they_say(tf, am):
    x = noise(2, (9, 11, 3)).astype(np.float64)
    view = am.View(tf.constant(x, tf.float32), None, [], {})
    np.testing.assert_allclose(am.L1()(view, {}), np.abs(x - 0.5).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(am.L2()(view, {}), ((x - 0.5) ** 2).mean((1, 2, 3)), rtol=1e-5)
    taps = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    taps /= taps.sum()
    blurred = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect")
    blurred = sum(w * blurred[:, i : i + 9] for i, w in enumerate(taps))
    blurred = sum(w * blurred[:, :, i : i + 11] for i, w in enumerate(taps))
    np.testing.assert_allclose(am.Blur()(view, {}), ((x - blurred) ** 2).mean((1, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0)])
def test_regularizers_of_presets_on_model_inputs_see_the_unit_range(am, reader, low, high):
    recipe = replace(am.PRESETS["keras-vis"], l1=1.0, l2=2.0, grain=3.0)
    objective = bound(am.ActivationMaximization("two", [0]), 4)
    space = am.InputSpace(np.float32(low), np.float32(high))
    maximizer = am.make_maximizer(recipe, reader, [(objective, 1.0)], SIZE, space)
    unit = noise(1)
    history = maximizer(space.to_inputs(unit), generators(am, 1), 1).history
    assert history["l1"][0] == pytest.approx(np.abs(unit - 0.5).mean(), rel=1e-4)
    assert history["l2"][0] == pytest.approx(np.square(unit - 0.5).mean(), rel=1e-4)
    weights = {"activation": 1, "L-6.0 Norm Loss": 10, "TV(2.0) Loss": 10}
    weights |= {"l1": 1, "l2": 2, "blur": 3}
    total = sum(w * history[name][0] for name, w in weights.items())
    assert history["total"][0] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("preset", ["keras-vis", "chollet", "quality"])
def test_channels_first_makes_the_same_picture(tf, am, preset):
    """The same convolution, once on (H, W, C) and once on (C, H, W)."""
    import keras

    from kvis_cli.models.live.reader import ModelReader

    keras.utils.set_random_seed(4)
    images, weights = [], None
    for order, shape in (("channels_last", (10, 12, 3)), ("channels_first", (3, 10, 12))):
        inputs = keras.Input(shape)
        layer = keras.layers.Conv2D(4, 3, activation="tanh", data_format=order, name="conv")
        model = keras.Model(inputs, layer(inputs))
        if weights is None:
            weights = layer.get_weights()
        layer.set_weights(weights)
        first = order == "channels_first"
        objective = am.ActivationMaximization("conv", [1, 2], channels_first=first)
        objective.bind(tuple(model.output.shape))
        recipe = replace(am.PRESETS[preset], keep="last")
        space = am.InputSpace(np.float32(0), np.float32(255), channels_first=first)
        maximizer = am.make_maximizer(
            recipe, ModelReader(model), [(objective, 1.0)], (10, 12, 3), space
        )
        start = noise(2, (10, 12, 3)) * (255 if recipe.as_coded else 1)
        images.append(maximizer(start, generators(am, 2), 5).images)
    assert np.abs(images[0] - start).max() > 0.01
    np.testing.assert_allclose(images[1], images[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["jitter", "rotate", "scale", "flip", "pad", "blur"])
def test_input_modifiers_are_differentiated(tf, am, name):
    """The gradient of <w, A(x)> is Aᵀw: <x, Aᵀw> is <w, A(x) - A(0)>, for any x and w."""
    modifier = am.INPUT_MODIFIERS[name]()
    shape = (20, 22, 3)
    numbers = np.stack([modifier.draw(am.generator(7, i), 3, shape)[2] for i in range(2)])
    x, w = (tf.constant(noise(2, shape, seed)) for seed in (1, 2))

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            changed = modifier.apply(x, tf.constant(numbers))
            score = tf.reduce_sum(w * changed)
        return changed, tape.gradient(score, x)

    changed, found = gradient(x)
    still = modifier.apply(tf.zeros_like(x), tf.constant(numbers))
    assert np.abs(changed - x).max() > 0.01
    assert float(tf.reduce_sum(x * found)) == pytest.approx(
        float(tf.reduce_sum(w * (changed - still))), rel=1e-4
    )
    with pytest.raises(UsageError, match=f"nothing to {name}|Only pictures"):
        modifier.draw(am.generator(0), 2, (7,))


@pytest.mark.parametrize("fails_at", [0, 3, "measure"])
def test_memory_that_ends_in_the_middle_changes_nothing(tf, am, reader, fails_at):
    """Batches above 2 run out of memory at some step: the same pictures, scores, histories."""

    def maximizer():
        objective = bound(am.ActivationMaximization("two", [0, 1, 2, 3, 0]), 4)
        return am.ActivationMaximizer(
            reader, [objective, (am.TotalVariation(), 0.1)], SIZE, modifiers=[am.Jitter("2px")],
            patience=3, optimizer=am.Adam(0.05),
        )  # fmt: skip

    def run(maximizer):
        frames: dict[int, list[int]] = {}

        def frame(rows, step, images):
            for row in rows:
                if step == 0:
                    frames[row] = []
                frames[row].append(step)

        told = []
        found = maximizer(
            noise(5), generators(am, 5), 6, batch_size=5, frames=frame, frames_every=2,
            progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
        assert told[-1][0] == told[-1][1]
        return found, frames

    whole, frames = run(maximizer())
    tight = maximizer()
    step, measured = tight._compiled, tight._measured

    def limited_step(state, draws, arguments, number):
        if state[0].shape[0] > 2 and int(number) == fails_at:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return step(state, draws, arguments, number)

    def limited_measure(images, arguments):
        if images.shape[0] > 2 and fails_at == "measure":
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return measured(images, arguments)

    tight._compiled, tight._measured = limited_step, limited_measure
    halved, halved_frames = run(tight)
    assert "batches of 2" in tight.notes[-1]
    np.testing.assert_array_equal(np.rint(halved.images * 255), np.rint(whole.images * 255))
    np.testing.assert_allclose(halved.scores, whole.scores, rtol=1e-4)
    np.testing.assert_allclose(halved.history["total"], whole.history["total"], rtol=1e-3)
    assert halved_frames == frames == {row: [0, 2, 4, 6] for row in range(5)}
    np.testing.assert_allclose(tight.measure(halved.images, 5), halved.scores, rtol=1e-5)

    def never(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    tight._compiled = never
    with pytest.raises(ResultError, match="not enough memory for even one picture"):
        run(tight)
