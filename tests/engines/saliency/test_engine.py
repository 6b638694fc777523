"""Saliency methods against literal loops, and what holds for all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from kvis_cli.engines.saliency import SALIENCY_METHODS, SaliencySettings
from kvis_cli.errors import UnknownNameError, UsageError
from tests.helpers.oracles import literal_of
from tests.helpers.targets import targets

METHODS = list(SALIENCY_METHODS)
SETTINGS = {
    "low": np.array([-1, -1, -1], np.float32),
    "high": np.array([1, 1, 1], np.float32),
    "samples": 7,
    "steps": 9,
    "patch": 4,
    "stride": 3,
    "batch_size": 8,
}


def build(seed=0, head="softmax", classes=4):
    import keras

    keras.utils.set_random_seed(seed)
    x = keras.Input((12, 10, 3))
    y = keras.layers.Conv2D(6, 3, activation="relu")(x)
    y = keras.layers.MaxPooling2D()(y)
    y = keras.layers.Conv2D(8, 3, activation="relu")(y)
    y = keras.layers.GlobalAveragePooling2D()(y)
    y = keras.layers.Dense(classes, bias_initializer="normal")(y)
    if head:
        y = keras.layers.Activation(head)(y)
    return keras.Model(x, y)


@pytest.fixture(scope="module")
def model(tf):
    return build()


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(5).uniform(-1, 1, (3, 12, 10, 3)).astype(np.float32)


def engine(model, methods, **options):
    from kvis_cli.engines.saliency.engine import SaliencyEngine
    from kvis_cli.models.live.reader import ModelReader

    settings = SaliencySettings(**{**SETTINGS, **options.pop("settings", {})})
    return SaliencyEngine(ModelReader(model), methods, settings=settings, **options)


def maps(model, inputs, methods, *wanted, units=4, **options):
    batch = engine(model, methods, **options)(inputs, *targets(len(inputs), units, *wanted))
    return {(m.method.name, m.modifier): m for m in batch.maps}


def logits(model):
    import keras

    return keras.Model(model.input, model.layers[-2].output)


def literal_gradient(tf, model, points, unit):
    """Gradients one point at a time."""
    bare = logits(model)

    @tf.function(autograph=False)
    def one(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = bare(x, training=False)[0, unit]
        return tape.gradient(score, x)

    return np.stack([one(tf.constant(p[None])).numpy()[0] for p in points])


def written_out(tf, model, points, rectify):
    """The logits of `build`, operation by operation, with another rectifier."""
    first, second, dense = (
        layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "Dense")
    )
    y = rectify(tf.nn.conv2d(points, first.kernel, 1, "VALID") + first.bias)
    y = tf.nn.max_pool2d(y, 2, 2, "VALID")
    y = rectify(tf.nn.conv2d(y, second.kernel, 1, "VALID") + second.bias)
    return tf.reduce_mean(y, [1, 2]) @ dense.kernel + dense.bias


def score_of(model, points, unit):
    return logits(model)(points, training=False).numpy()[:, unit]


def close(found, expected, tolerance=1e-5):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


def raw(model, inputs, method, unit, **settings):
    found = maps(
        model, inputs, [method], unit, modifiers=["none"], channels="keep", settings=settings
    )
    return found[method, "none"]


@literal_of("gradient", "input_x_gradient", unit=[0, 2])
def test_gradient_and_its_product_with_the_input(tf, model, inputs, unit):
    expected = literal_gradient(tf, model, inputs, unit)
    close(raw(model, inputs, "gradient", unit).values[:, 0], expected, 1e-6)
    close(raw(model, inputs, "input_x_gradient", unit).values[:, 0], inputs * expected, 1e-6)


@literal_of("smoothgrad", "smoothgrad_squared", "vargrad", samples=[3, 6], noise=[0.1, 0.4])
def test_methods_of_noise_are_moments_of_single_gradients(tf, model, inputs, samples, noise):
    from kvis_cli.engines.saliency.score import ScoreFunction
    from kvis_cli.engines.saliency.smoothgrad import NoisyGradients
    from kvis_cli.models.live.reader import ModelReader

    own = {"samples": samples, "noise": noise, "seed": 9, "batch_size": 4}
    settings = SaliencySettings(**{**SETTINGS, **own})
    drawn = NoisyGradients(ScoreFunction(ModelReader(model)), settings)._draw(
        np.arange(samples), (12, 10, 3)
    )
    every = np.stack([literal_gradient(tf, model, x + drawn, 3) for x in inputs])
    for method, wanted in {
        "smoothgrad": every.mean(1),
        "smoothgrad_squared": (every**2).mean(1),
        "vargrad": every.var(1),
    }.items():
        close(raw(model, inputs, method, 3, **own).values[:, 0], wanted, 2e-5)


@literal_of("guided_backprop", "deconvnet", unit=[0, 3])
def test_backward_rules_in_a_network_written_out(tf, model, inputs, unit):
    """Springenberg et al. 2014; Zeiler and Fergus 2013: the rule stands at every rectifier."""

    def rectifier(rule):
        @tf.custom_gradient
        def rectify(x):
            def backward(gradient):
                passed = tf.nn.relu(gradient)
                return tf.where(x > 0, passed, 0.0) if rule == "guided" else passed

            return tf.nn.relu(x), backward

        return rectify

    for method, rule in (("guided_backprop", "guided"), ("deconvnet", "deconv")):
        points = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = written_out(tf, model, points, rectifier(rule))[:, unit]
        wanted = tape.gradient(score, points).numpy()
        close(raw(model, inputs, method, unit).values[:, 0], wanted, 1e-5)


def test_several_targets_at_once(tf, model, inputs):
    found = maps(model, inputs, ["gradient"], 0, 3, modifiers=["none"], channels="keep")
    values = found["gradient", "none"].values
    for t, unit in enumerate((0, 3)):
        close(values[:, t], literal_gradient(tf, model, inputs, unit), 1e-6)


def test_smoothgrad_and_kin_are_moments_of_gradients_at_given_noise(tf, model, inputs):
    from kvis_cli.engines.saliency.batch import Batch
    from kvis_cli.engines.saliency.score import ScoreFunction
    from kvis_cli.engines.saliency.smoothgrad import NoisyGradients
    from kvis_cli.models.live.reader import ModelReader

    noise = np.random.default_rng(1).normal(0, 0.3, (7, 12, 10, 3)).astype(np.float32)
    weights, _ = targets(3, 4, 1)
    score = ScoreFunction(ModelReader(model))
    batch = Batch(tf.constant(inputs), tf.constant(weights), None)
    # 8 points at once and 3 inputs: pieces of two samples, the last one half empty.
    noisy = NoisyGradients(score, SaliencySettings(batch_size=8))
    moments = noisy.moments(batch, noise)
    every = np.stack([literal_gradient(tf, model, x + noise, 1) for x in inputs])
    close(moments.mean.numpy()[:, 0], every.mean(1), 1e-6)
    close(moments.variance.numpy()[:, 0], every.var(1), 1e-6)


def test_smoothgrad_is_the_same_beside_others_and_with_noise_drawn_anew(model, inputs, monkeypatch):
    from kvis_cli.engines.saliency import smoothgrad

    settings = {"samples": 7, "batch_size": 8}
    alone = raw(model, inputs, "smoothgrad", 1, **settings).values
    both = maps(
        model, inputs, ["smoothgrad", "vargrad"], 1, modifiers=["none"], channels="keep",
        settings=settings,
    )  # fmt: skip
    close(alone, both["smoothgrad", "none"].values, 1e-6)
    monkeypatch.setattr(smoothgrad, "_KEPT_BYTES", 0)
    close(alone, raw(model, inputs, "smoothgrad", 1, **settings).values, 1e-6)


def test_smoothgrad_draws_its_noise_in_units_of_the_input_range(tf, model, inputs):
    wide = {"low": np.float32(-1), "high": np.float32(3)}
    narrow = raw(model, inputs, "vargrad", 0, noise=0.2).values
    same = raw(model, inputs, "vargrad", 0, noise=0.1, **wide).values
    np.testing.assert_allclose(narrow, same, rtol=1e-4, atol=1e-9)


def test_noise_has_the_deviation_asked_for_and_differs_between_samples(tf):
    from kvis_cli.engines.saliency.score import ScoreFunction
    from kvis_cli.engines.saliency.smoothgrad import NoisyGradients
    from kvis_cli.models.live.reader import ModelReader

    settings = SaliencySettings(low=np.float32([0, 0, 0]), high=np.float32([1, 2, 4]), noise=0.5)
    noisy = NoisyGradients(ScoreFunction(ModelReader(build())), settings)
    drawn = noisy._draw(np.arange(4), (60, 60, 3))
    np.testing.assert_allclose(drawn.std((0, 1, 2)), [0.5, 1, 2], rtol=0.03)
    assert abs(np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1]) < 0.03


@literal_of("integrated_gradients", name=["black", "white", "grey", "blur", "noise"], steps=[8, 16])
def test_integrated_gradients_equal_a_literal_loop(tf, model, inputs, name, steps):
    from kvis_cli.engines.saliency.baselines import baselines

    settings = SaliencySettings(**{**SETTINGS, "steps": steps, "baseline": name})
    bases = np.asarray(baselines(tf.constant(inputs), settings, "black"))
    found = raw(model, inputs, "integrated_gradients", 1, steps=steps, baseline=name)
    share = steps // bases.shape[1]
    alphas = (np.arange(share) + 0.5) / share
    for i, x in enumerate(inputs):
        total = np.zeros_like(x)
        for base in bases[min(i, len(bases) - 1)]:
            points = np.stack([base + a * (x - base) for a in alphas]).astype(np.float32)
            total += literal_gradient(tf, model, points, 1).mean(0) * (x - base)
        close(found.values[i, 0], total / bases.shape[1], 1e-5)


@literal_of("blur_ig", steps=[4, 6])
def test_blur_ig_equals_a_literal_loop_and_is_complete(tf, model, inputs, steps):
    from kvis_cli.engines.saliency.gaussian import smooth

    found = raw(model, inputs, "blur_ig", 2, steps=steps)
    for i, x in enumerate(inputs):
        way = []
        for k in range(steps + 1):
            rows = smooth(x, max(0.2 * (k / steps) ** 2 * 12, 1e-6), (0,))
            way.append(smooth(rows, max(0.2 * (k / steps) ** 2 * 10, 1e-6), (1,)))
        total = sum(
            literal_gradient(tf, model, [(near + far) / 2], 2)[0] * (near - far)
            for near, far in pairwise(way)
        )
        close(found.values[i, 0], total, 1e-5)
        base = found.extras["baseline_score"][i, 0]
        np.testing.assert_allclose(base, score_of(model, way[-1][None], 2)[0], rtol=1e-4)
    fine = raw(model, inputs, "blur_ig", 2, steps=128)
    assert (fine.extras["completeness_gap"] < 0.02).all()


def test_baselines_are_what_their_names_say(tf, inputs):
    from kvis_cli.engines.saliency.baselines import baselines

    def made(name, **options):
        settings = SaliencySettings(
            low=np.float32([0, -2, 1]), high=np.float32([1, 2, 3]), baseline=name, **options
        )
        return np.asarray(baselines(tf.constant(inputs), settings, "black"))

    np.testing.assert_array_equal(made("black")[0, 0, 4, 4], [0, -2, 1])
    np.testing.assert_array_equal(made("white")[0, 0, 4, 4], [1, 2, 3])
    np.testing.assert_array_equal(made("grey")[0, 0, 4, 4], [0.5, 0, 2])
    assert made("blur").shape == (3, 1, 12, 10, 3)
    # Blurring keeps a constant and the mean of the middle, and takes the contrast away.
    assert made("blur").std() < 0.5 * inputs.std()
    noise = made("noise")
    assert noise.shape[:2] == (1, 8)
    assert (noise[..., 1].min(), noise[..., 1].max()) >= (-2, 1.9)
    assert not np.array_equal(noise, made("noise", seed=1))
    own = np.full((12, 10, 3), 0.25, np.float32)
    np.testing.assert_array_equal(made(own)[0, 0], own)
    with pytest.raises(UnknownNameError, match="black"):
        made("blak")


def test_completeness(tf, model, inputs):
    found = maps(
        model,
        inputs,
        ["integrated_gradients"],
        0,
        2,
        modifiers=["none"],
        channels="sum",
        settings={"steps": 256},
    )["integrated_gradients", "none"]
    black = np.full((1, 12, 10, 3), -1, np.float32)
    for t, unit in enumerate((0, 2)):
        change = score_of(model, inputs, unit) - score_of(model, black, unit)
        total = found.values[:, t].sum((1, 2))
        np.testing.assert_allclose(total, change, atol=0.02 * np.abs(change).max())
        gap = np.abs(total - change) / np.abs(change)
        np.testing.assert_allclose(found.extras["completeness_gap"][:, t], gap, atol=1e-4)
        assert (gap < 0.02).all()


@literal_of("occlusion", patch=[4, 5], stride=[2, 3])
def test_occlusion_equals_a_literal_loop(tf, model, inputs, patch, stride):
    settings = {"patch": patch, "stride": stride, "batch_size": 7}
    found = raw(model, inputs, "occlusion", 1, **settings).values[:, 0]
    # Every stride, and once more where the patch meets the edge.
    rows, columns = (sorted({*range(0, n - patch, stride), n - patch}) for n in (12, 10))
    for i, x in enumerate(inputs):
        clean = score_of(model, x[None], 1)[0]
        total, cover = np.zeros((12, 10)), np.zeros((12, 10))
        for row in rows:
            for column in columns:
                hidden = x.copy()
                hidden[row : row + patch, column : column + patch] = 0
                drop = clean - score_of(model, hidden[None], 1)[0]
                total[row : row + patch, column : column + patch] += drop
                cover[row : row + patch, column : column + patch] += 1
        close(found[i], total / cover, 1e-5)


@literal_of("rise", samples=[5, 11], seed=[0, 4])
def test_rise_equals_a_literal_loop(tf, model, inputs, samples, seed):
    from kvis_cli.engines.saliency.rise import random_mask

    found = raw(model, inputs, "rise", 3, samples=samples, seed=seed, batch_size=7)
    masks = [
        random_mask(np.random.default_rng([seed, 3, i]), (12, 10), 8, 0.5) for i in range(samples)
    ]
    for i, x in enumerate(inputs):
        scores = np.array([score_of(model, (x * m[..., None])[None], 3)[0] for m in masks])
        weighted = sum(s * m for s, m in zip(scores, masks, strict=True))
        expected = weighted / sum(masks) - scores.mean()
        close(found.values[i, 0], expected, 1e-5)
        np.testing.assert_allclose(found.extras["mean_score"][i, 0], scores.mean(), rtol=1e-5)


def test_rise_masks_are_smooth_and_show_the_share_asked_for():
    from kvis_cli.engines.saliency.rise import random_mask

    masks = np.stack(
        [random_mask(np.random.default_rng([0, i]), (64, 48), 8, 0.3) for i in range(400)]
    )
    assert masks.min() >= 0 and masks.max() <= 1
    assert abs(masks.mean() - 0.3) < 0.01
    # Bilinear: neighbouring rows differ by at most one step of a cell of 8 rows.
    assert np.abs(np.diff(masks, axis=1)).max() <= 1 / 8 + 1e-6
    # Everywhere alike, so no place is favoured.
    assert np.abs(masks.mean(0) - 0.3).max() < 0.12


@pytest.mark.parametrize("method", METHODS)
def test_batch_single_and_permuted_batch_are_equal(model, inputs, method):
    made = engine(model, [method], settings={"seed": 2})
    whole = made(inputs, *targets(3, 4)).maps[0].values
    order = [2, 0, 1]
    permuted = made(inputs[order], *targets(3, 4)).maps[0].values
    for i in range(3):
        alone = made(inputs[i : i + 1], *targets(1, 4)).maps[0].values
        close(whole[i], alone[0], 2e-5)
        close(permuted[order.index(i)], whole[i], 2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_gives_one_map(model, inputs, method):
    runs = [
        engine(model, [method], settings={"seed": s})(inputs, *targets(3, 4)).maps[0].values
        for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.array_equal(runs[0], runs[2]) == SALIENCY_METHODS[method].deterministic


@pytest.mark.parametrize("method", METHODS)
def test_scaling_the_score_scales_the_map_and_nothing_else(tf, model, inputs, method):
    """Fixture 3: a model whose logits are a millionth gives the same picture."""
    import keras

    from kvis_cli.render.scale import scale_map

    small = keras.models.clone_model(model)
    small.set_weights(model.get_weights())
    dense = small.layers[-2]
    dense.set_weights([w * np.float32(1e-6) for w in dense.get_weights()])
    kind = "signed" if method in ("occlusion", "rise") else "heatmap"
    values = [
        maps(m, inputs, [method], 1)[method, SALIENCY_METHODS[method].modifier].values[0, 0]
        for m in (model, small)
    ]
    shown = [scale_map(v, kind, percentile=99).values for v in values]
    # Differences of scores of a millionth keep fewer digits.
    tolerance = 2e-2 if kind == "signed" else 1e-4
    np.testing.assert_allclose(shown[0], shown[1], atol=tolerance)


def test_one_trace_for_many_batches(model, inputs):
    made = engine(model, METHODS)
    made(inputs, *targets(3, 4))
    traces = made.traces
    for seed in range(5):
        shifted = np.roll(inputs, seed, axis=1)
        made(shifted, *targets(3, 4, seed % 4))
    made(inputs, *targets(3, 4))
    assert made.traces == traces


def test_noise_does_not_change_which_class_is_explained(tf, model, inputs):
    top = logits(model)(inputs).numpy().argmax(1)
    made = engine(
        model,
        ["smoothgrad"],
        modifiers=["none"],
        channels="keep",
        settings={"noise": 5.0, "samples": 3},
    )
    ranked = made(inputs, *targets(3, 4)).maps[0].values
    weights = np.zeros((3, 1, 4), np.float32)
    weights[np.arange(3), 0, top] = 1
    fixed = made(inputs, weights, np.full((3, 1), -1, np.int32)).maps[0].values
    np.testing.assert_array_equal(ranked, fixed)


def test_channel_reductions_in_numpy(model, inputs):
    gradient = raw(model, inputs, "gradient", 0).values
    expected = {
        "mean": gradient.mean(-1),
        "sum": gradient.sum(-1),
        "norm": np.linalg.norm(gradient, axis=-1),
        "max": np.take_along_axis(gradient, np.abs(gradient).argmax(-1)[..., None], -1)[..., 0],
    }
    for how, values in expected.items():
        found = maps(model, inputs, ["gradient"], 0, modifiers=["none"], channels=how)
        close(found["gradient", "none"].values, values, 1e-6)
        assert found["gradient", "none"].signed == (how != "norm")
    absolute = maps(model, inputs, ["gradient"], 0)["gradient", "absolute"]
    close(absolute.values, np.abs(gradient).max(-1), 1e-6)
    assert not absolute.signed


def test_modifiers_and_methods_at_once_share_their_passes(model, inputs):
    made = engine(model, ["gradient", "input_x_gradient"], modifiers=["relu", "negate"])
    found = made(inputs, *targets(3, 4, 0)).maps
    assert [(m.method.name, m.modifier) for m in found] == [
        ("gradient", "relu"),
        ("gradient", "negate"),
        ("input_x_gradient", "relu"),
        ("input_x_gradient", "negate"),
    ]
    # One pass through the model, and one reduction per modifier.
    assert made.traces == 3


def test_channels_first_inputs(tf, model, inputs):
    import keras

    x = keras.Input((3, 12, 10))
    turned = keras.Model(x, model(keras.layers.Permute((2, 3, 1))(x)))
    for method in METHODS:
        name = (method, SALIENCY_METHODS[method].modifier)
        last = maps(model, inputs, [method], 1)[name].values
        first = maps(turned, np.moveaxis(inputs, -1, 1), [method], 1, settings={"channel_axis": 1})[
            name
        ].values
        if method in ("smoothgrad", "smoothgrad_squared", "vargrad"):
            # Noise is drawn in the layout of the input.
            assert first.shape == last.shape
        else:
            close(first, last, 2e-5)


@pytest.mark.slow
def test_one_and_three_dimensional_inputs_and_tables(tf):
    import keras

    keras.utils.set_random_seed(0)
    series = keras.Sequential(
        [
            keras.Input((16, 2)),
            keras.layers.Conv1D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    volume = keras.Sequential(
        [
            keras.Input((5, 6, 7, 1)),
            keras.layers.Conv3D(2, 3),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    table = keras.Sequential(
        [keras.Input((9,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(4)]
    )
    plain = {"low": 0.0, "high": 1.0, "patch": 2, "stride": 2}
    for model, shape, axis in ((series, (16,), -1), (volume, (5, 6, 7), -1), (table, (9,), None)):
        x = np.random.default_rng(0).random((2, *model.input_shape[1:]), np.float32)
        for method in METHODS:
            found = engine(model, [method], settings={**plain, "channel_axis": axis})
            values = found(x, *targets(2, 4, 0)).maps[0].values
            assert values.shape == (2, 1, *shape), method
            assert np.isfinite(values).all() and values.any(), method


def test_log_probability_and_contrast(tf, model, inputs):
    grads = [literal_gradient(tf, model, inputs, unit) for unit in range(4)]
    p = np.asarray(model(inputs))
    weights = np.zeros((3, 1, 4), np.float32)
    weights[:, 0, 1] = 1
    ranks = np.full((3, 1), -1, np.int32)
    options = {"modifiers": ["none"], "channels": "keep"}
    found = engine(model, ["gradient"], score="log-probability", **options)(inputs, weights, ranks)
    mean = sum(p[:, u, None, None, None] * grads[u] for u in range(4))
    close(found.maps[0].values[:, 0], grads[1] - mean, 1e-5)
    np.testing.assert_allclose(found.scores[:, 0], np.log(p[:, 1]), rtol=1e-5)
    weights[:, 0, 2] = -1
    difference = engine(model, ["gradient"], **options)(inputs, weights, ranks)
    close(difference.maps[0].values[:, 0], grads[1] - grads[2], 1e-5)


def test_both_classes_of_one_sigmoid(tf, inputs):
    model = build(head="sigmoid", classes=1)
    p = np.asarray(model(inputs))[:, 0]
    weights = np.ones((3, 2, 1), np.float32)
    weights[:, 1] = -1
    ranks = np.full((3, 2), -1, np.int32)
    for kind, of in (("probability", lambda p: p), ("log-probability", np.log)):
        scores = engine(model, ["gradient"], score=kind)(inputs, weights, ranks).scores
        np.testing.assert_allclose(scores, np.stack([of(p), of(1 - p)], 1), rtol=1e-4)
    with pytest.raises(UsageError, match="no probabilities"):
        engine(build(head=None), ["gradient"], score="log-probability")(inputs, *targets(3, 4, 0))


def test_units_of_a_layer(tf, model, inputs):
    import keras

    from kvis_cli.models.live.reader import Tap

    conv = model.layers[3]
    cut = keras.Model(model.input, conv.output)

    @tf.function(autograph=False)
    def literal(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(tf.reduce_mean(cut(x)[..., 5], [1, 2]))
        return tape.gradient(score, x)

    found = engine(model, ["gradient"], layer=Tap(conv.name), modifiers=["none"], channels="keep")
    batch = found(inputs, *targets(3, 8, 5))
    close(batch.maps[0].values[:, 0], literal(tf.constant(inputs)).numpy(), 1e-6)
    np.testing.assert_allclose(
        batch.scores[:, 0], cut(inputs).numpy()[..., 5].mean((1, 2)), rtol=1e-5
    )
    # The model's own answer is still there for the console.
    np.testing.assert_allclose(batch.outputs, np.asarray(model(inputs)), rtol=1e-5)


def test_gradients_at_a_layer(tf, model, inputs):
    from kvis_cli.models.live.reader import Tap

    pool = model.layers[2].name
    found = engine(
        model, ["gradient", "input_x_gradient"], wrt=Tap(pool), modifiers=["none"], channels="keep"
    )(inputs, *targets(3, 4, 0)).maps
    assert found[0].values.shape == (3, 1, 5, 4, 6)
    # The head is linear in the second convolution's input up to its rectifiers and biases, so
    # moving along the gradient raises the score.
    assert (found[0].values != 0).any()
    with pytest.raises(UsageError, match="--wrt use: gradient"):
        engine(model, ["smoothgrad"], wrt=Tap(pool))


def test_whole_number_inputs_are_refused_by_name_and_their_embedding_offered(tf):
    import keras

    from kvis_cli.models.live.reader import Tap

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32", name="tokens"),
            keras.layers.Embedding(20, 5, name="words"),
            keras.layers.Conv1D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    with pytest.raises(UsageError, match=r"'tokens' takes whole numbers \(int32\)") as caught:
        engine(model, ["smoothgrad"])
    assert "--wrt words" in caught.value.hint
    tokens = np.array([[1, 2, 3, 4, 5, 6]], np.int32)
    made = engine(
        model, ["gradient"], wrt=Tap("words"), channels="norm", settings={"channel_axis": -1}
    )
    assert made(tokens, *targets(1, 4, 0)).maps[0].values.shape == (1, 1, 6)


def test_unknown_names_and_no_rectifier(tf, model, inputs):
    with pytest.raises(UnknownNameError, match="smoothgrad"):
        engine(model, ["smothgrad"])
    with pytest.raises(UnknownNameError, match="absolute"):
        engine(model, ["gradient"], modifiers=["absolut"])
    import keras

    linear = keras.Sequential(
        [keras.Input((12, 10, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    with pytest.raises(UsageError, match="no rectifier"):
        engine(linear, ["guided_backprop"])(inputs, *targets(3, 4, 0))


def test_backprop_modifier_with_any_gradient_method(tf, model, inputs):
    made = engine(model, ["gradient", "smoothgrad", "occlusion"], backprop="guided")
    plain = engine(model, ["gradient", "smoothgrad", "occlusion"])
    guided = engine(model, ["guided_backprop"])(inputs, *targets(3, 4, 0)).maps[0].values
    found = made(inputs, *targets(3, 4, 0)).maps
    others = plain(inputs, *targets(3, 4, 0)).maps
    np.testing.assert_array_equal(found[0].values, guided)
    assert np.abs(found[1].values - others[1].values).max() > 0
    np.testing.assert_array_equal(found[2].values, others[2].values)
    assert [c.describe() for c in made.rectifiers] == [
        "guided: 2 of 2 activations are rectifiers and were changed"
    ]


@pytest.mark.parametrize("down", ["stride", "pool"])
def test_the_deconvnet_sees_a_picture_by_its_switches_alone(tf, inputs, down):
    import keras

    keras.utils.set_random_seed(3)
    layers = [keras.Input((12, 10, 3)), keras.layers.Conv2D(6, 3, strides=1 + (down == "stride"))]
    layers += [keras.layers.BatchNormalization(), keras.layers.ReLU(6.0)]
    layers += [keras.layers.MaxPooling2D()] if down == "pool" else []
    layers += [keras.layers.Conv2D(5, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(4), keras.layers.Softmax()])
    made = engine(model, ["guided_backprop", "deconvnet"])
    guided, deconvnet = (m.values for m in made(inputs, *targets(3, 4, 1)).maps)
    assert made(inputs, *targets(3, 4)).scores.shape == (3, 1)
    assert np.ptp(guided, axis=0).max() > 0
    assert (np.ptp(deconvnet, axis=0).max() > 0) == (down == "pool")
    assert {c.name: c.blind for c in made.rectifiers} == {
        "guided": False,
        "deconv": down == "stride",
    }


def test_a_modifier_of_ones_own(tf, model, inputs):
    def squared(gradient):
        return gradient**2

    found = maps(model, inputs, ["gradient"], 0, modifiers=[squared], channels="keep")
    gradient = raw(model, inputs, "gradient", 0).values
    close(found["gradient", "squared"].values, gradient**2, 1e-6)
    assert not found["gradient", "squared"].signed


@pytest.mark.parametrize("sigma", [0.8, 3.0])
def test_smoothing_keeps_constants_and_spreads_a_point_as_a_gaussian(sigma):
    from kvis_cli.engines.saliency.gaussian import smooth

    np.testing.assert_allclose(
        smooth(np.full((9, 7), 3.0, np.float32), sigma, (0, 1)), 3, rtol=1e-5
    )
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    spread = smooth(point, sigma, (0, 1))
    at = np.arange(41) - 20
    expected = np.exp(-0.5 * (at[:, None] ** 2 + at[None] ** 2) / sigma**2)
    np.testing.assert_allclose(spread, expected / expected.sum(), atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_nested_and_sequential_twins_give_the_same_map(tf, model, inputs, method):
    import keras

    inner = keras.Sequential([keras.Input((12, 10, 3)), *model.layers[1:4]])
    nested = keras.Sequential([keras.Input((12, 10, 3)), inner, *model.layers[4:]])
    sequential = keras.Sequential(model.layers)
    values = [
        engine(m, [method])(inputs, *targets(3, 4)).maps[0].values
        for m in (model, nested, sequential)
    ]
    close(values[1], values[0], 1e-6)
    close(values[2], values[0], 1e-6)
