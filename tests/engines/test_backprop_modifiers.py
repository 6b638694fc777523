"""Backward rules: hand formulas, every kind of rectifier, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import UnknownNameError, UsageError


@pytest.fixture(scope="module")
def keras(tf):
    import keras

    return keras


def run(tf, model, x, name, upstream=None):
    """Score ``sum(upstream * model(x))``: its gradient, the output, and the counts."""
    from kvis_cli.engines.backprop_modifiers import backprop_modifier

    counts = []

    @tf.function(autograph=False)
    def passes(x):
        with backprop_modifier(name) as rectifiers:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = model(x)
                score = tf.reduce_sum(y * upstream) if upstream is not None else tf.reduce_sum(y)
            gradient = tape.gradient(score, x)
        if name is not None:
            rectifiers.finish(score)
        counts.append(rectifiers)
        return gradient, y

    gradient, y = passes(tf.constant(x))
    return gradient.numpy(), y.numpy(), counts[0]


X = np.array([[-5, -1.5, -0.5, 0.5, 1.5, 5, 8, 0.25]], np.float32)
G = np.array([[1, -1, 2, -2, 3, -3, 4, 5]], np.float32)


def derivative(name, x):
    """The derivative of each rectifier, written down by hand."""
    return {
        "relu": (x > 0) * 1.0,
        "relu6": ((x > 0) & (x < 6)) * 1.0,
        "leaky": np.where(x > 0, 1, 0.3),
        "prelu": np.where(x > 0, 1, 0.25),
        "max": ((x > 0) & (x < 3)) * 1.0,
        "threshold": (x > 1) * 1.0,
        "all": np.where(x > 1, (x < 3) * 1.0, 0.2),
        "slope_max": np.where(x > 0, (x < 3) * 1.0, 0.2),
    }[name].astype(np.float32)


def rectifier(keras, name):
    layers = keras.layers
    return {
        "relu": lambda: layers.ReLU(),
        "relu6": lambda: layers.ReLU(max_value=6),
        "leaky": lambda: layers.LeakyReLU(negative_slope=0.3),
        "prelu": lambda: layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25)),
        "max": lambda: layers.ReLU(max_value=3),
        "threshold": lambda: layers.ReLU(threshold=1),
        "all": lambda: layers.ReLU(max_value=3, negative_slope=0.2, threshold=1),
        "slope_max": lambda: layers.ReLU(max_value=3, negative_slope=0.2),
    }[name]()


NAMES = ["relu", "relu6", "leaky", "prelu", "max", "threshold", "all", "slope_max"]


@pytest.mark.parametrize("name", NAMES)
def test_each_rectifier_follows_the_hand_formulas(tf, keras, name):
    model = keras.Sequential([keras.Input((8,)), rectifier(keras, name)])
    slope = derivative(name, X)
    plain, y, _ = run(tf, model, X, None, G)
    np.testing.assert_allclose(plain, slope * G, rtol=1e-6)
    guided, y_guided, counts = run(tf, model, X, "guided", G)
    np.testing.assert_allclose(guided, slope * np.maximum(G, 0), rtol=1e-6)
    deconv, y_deconv, _ = run(tf, model, X, "deconv", G)
    np.testing.assert_allclose(deconv, np.maximum(G, 0), rtol=1e-6)
    assert counts.changed == counts.activations == 1
    # The forward pass is the same to the bit.
    assert y.tobytes() == y_guided.tobytes() == y_deconv.tobytes()


def test_fixture_of_two_neurons(tf, keras):
    """ReLU(W·x) summed, W the identity: guided lets nothing through dead units."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "relu", use_bias=False)])
    model.set_weights([np.eye(2, dtype=np.float32)])
    ones = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    # With weights (1, 1) into one sum, active units hand down ones.
    np.testing.assert_array_equal(run(tf, model, ones, "deconv")[0], np.ones((3, 2)))
    np.testing.assert_array_equal(run(tf, model, ones, "guided")[0], (ones > 0).astype(np.float32))


def test_fixture_of_keras_vis(tf, keras):
    """Fixture 8: relu(x) and -relu(-x) summed is the identity, but guided stops the second."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(4, "relu", use_bias=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    both = np.concatenate([np.eye(2), -np.eye(2)], axis=1).astype(np.float32)
    model.set_weights([both, np.array([[1], [1], [-1], [-1]], np.float32)])
    positive = np.array([[1, 1]], np.float32)
    negative = np.array([[-1, -1]], np.float32)
    np.testing.assert_array_equal(run(tf, model, positive, None)[0], [[1, 1]])
    np.testing.assert_array_equal(run(tf, model, positive, "guided")[0], [[1, 1]])
    np.testing.assert_array_equal(run(tf, model, negative, None)[0], [[1, 1]])
    np.testing.assert_array_equal(run(tf, model, negative, "guided")[0], [[0, 0]])
    np.testing.assert_array_equal(run(tf, model, positive * 0, "guided")[0], [[0, 0]])


def small(keras, activation="relu"):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation=activation),
            keras.layers.Conv2D(4, 3),
            keras.layers.Activation(activation),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def test_nested_and_shared_models_and_custom_layers_are_reached(tf, keras):
    class Custom(keras.layers.Layer):
        def call(self, x):
            return tf.nn.relu(x) - tf.nn.relu6(-x)

    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "relu"), Custom()])
    x = keras.Input((8,))
    model = keras.Model(x, keras.layers.Dense(2)(inner(inner(x))))
    data = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    plain, _, _ = run(tf, model, data, None)
    guided, _, counts = run(tf, model, data, "guided")
    # Three rectifiers in the inner model, which is called twice.
    assert counts.changed == 6
    assert np.abs(guided - plain).max() > 0.01
    np.testing.assert_allclose(guided, guided_by_hand(model, inner, data), atol=1e-6)


def guided_by_hand(model, inner, data):
    """The two calls of `inner` and the head, forward and backward in numpy."""
    kernel, bias = inner.layers[0].get_weights()
    head, _ = model.layers[-1].get_weights()
    forward = []
    for _ in range(2):
        z = data @ kernel + bias
        a = np.maximum(z, 0)
        forward.append((z, a))
        data = np.maximum(a, 0) - np.clip(-a, 0, 6)
    g = np.tile(head.sum(1), (len(data), 1))
    for z, a in reversed(forward):
        g = (a > 0) * np.maximum(g, 0) - ((-a > 0) & (-a < 6)) * np.maximum(-g, 0)
        g = (z > 0) * np.maximum(g, 0) @ kernel.T
    return g


def test_functions_inside_the_model_keep_their_own_gradient_afterwards(tf, keras):
    class Compiled(keras.layers.Layer):
        @tf.function(autograph=False)
        def inner(self, x):
            return tf.nn.relu(x)

        def call(self, x):
            return self.inner(x)

    model = keras.Sequential([keras.Input((8,)), Compiled()])
    before, _, _ = run(tf, model, X, None, G)
    guided, _, counts = run(tf, model, X, "guided", G)
    after, _, _ = run(tf, model, X, None, G)
    assert counts.changed == 1
    np.testing.assert_array_equal(guided, (X > 0) * np.maximum(G, 0))
    np.testing.assert_array_equal(before, after)
    assert not tf.config.functions_run_eagerly()


def test_everything_is_put_back_even_after_an_error(tf, keras):
    from tensorflow.python.framework import ops

    from kvis_cli.engines.backprop_modifiers import backprop_modifier

    registry = ops._gradient_registry
    before = [registry.lookup(kind) for kind in ("Relu", "Relu6", "LeakyRelu")]
    prelu = keras.layers.PReLU.call
    with pytest.raises(RuntimeError), backprop_modifier("guided"):
        assert registry.lookup("Relu") is not before[0]
        raise RuntimeError
    assert [registry.lookup(kind) for kind in ("Relu", "Relu6", "LeakyRelu")] == before
    assert keras.layers.PReLU.call is prelu


def test_the_registry_is_what_the_tape_asks(tf):
    """A canary: TensorFlow's registry is private; this fails first if it moves."""
    from tensorflow.python.framework import ops

    entry = ops._gradient_registry._registry["Relu"]
    before = entry["type"]
    try:
        entry["type"] = lambda operation, gradient: gradient * 7

        @tf.function(autograph=False)
        def f(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.nn.relu(x)
            return tape.gradient(y, x)

        assert f(tf.constant(-1.0)).numpy() == 7
    finally:
        entry["type"] = before


def test_smooth_activations_are_counted_and_kept(tf, keras):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(4, "relu"),
            *[
                keras.layers.Activation(name)
                for name in ("silu", "gelu", "elu", "tanh", "mish", "hard_silu", "hard_sigmoid")
            ],
        ]
    )
    _, _, counts = run(tf, model, X, "guided")
    assert counts.changed == 1
    assert counts.activations == 8
    assert counts.describe().startswith("guided: 1 of 8 activations are rectifiers")


@pytest.mark.parametrize("name", ["hard_sigmoid", "hard_silu", "silu", "gelu", "elu", "selu"])
def test_smooth_activations_have_their_own_gradient_under_guided(tf, keras, name):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Activation(name)])
    plain, _, _ = run(tf, model, X, None, G)
    # A rectifier behind it that is always active and always gets positive gradients.
    late = keras.Sequential(
        [model, keras.layers.Rescaling(1, 100), keras.layers.ReLU(), keras.layers.Rescaling(1)]
    )
    guided, _, counts = run(tf, late, X, "guided", np.abs(G))
    np.testing.assert_allclose(guided, plain * np.sign(G), rtol=1e-5, atol=1e-7)
    assert (counts.changed, counts.activations) == (1, 2)


def test_no_rectifier_is_an_error(tf, keras):
    with pytest.raises(UsageError, match="no rectifier"):
        run(tf, small(keras, "tanh"), np.ones((1, 8, 8, 3), np.float32), "guided")


def test_unknown_rule_offers_the_close_one(tf, keras):
    with pytest.raises(UnknownNameError, match="guided"):
        run(tf, small(keras), np.ones((1, 8, 8, 3), np.float32), "guidd")


def test_a_rule_of_ones_own(tf, keras):
    def double(local, gradient):
        return local(2 * gradient)

    model = keras.Sequential([keras.Input((8,)), keras.layers.ReLU()])
    gradient, _, _ = run(tf, model, X, double, G)
    np.testing.assert_array_equal(gradient, (X > 0) * 2 * G)


def test_deconvnet_keeps_the_switches_of_max_pooling(tf, keras):
    model = keras.Sequential([keras.Input((4, 1)), keras.layers.MaxPooling1D(2)])
    with_relu = keras.Sequential([keras.Input((4, 1)), model, keras.layers.ReLU()])
    x = np.array([[[3.0], [1.0], [-2.0], [-1.0]]], np.float32)
    gradient, _, _ = run(tf, with_relu, x, "deconv")
    # The second pool's winner is negative: the deconvnet passes it, the gradient would not.
    np.testing.assert_array_equal(gradient[0, :, 0], [1, 0, 0, 1])


@pytest.mark.parametrize("count", [1, 2], ids=["one target", "two targets"])
def test_functions_of_a_saved_model_neither_find_nor_keep_a_changed_gradient(
    tf, keras, tmp_path, count
):
    from kvis_cli.engines.backprop_modifiers import backprop_modifier

    model = small(keras)
    model.export(tmp_path / "saved", verbose=False)
    sealed = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    x = np.random.default_rng(4).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    seed = np.random.default_rng(5).normal(size=(count, 2, model.output_shape[-1]))

    def gradients(of, rule):
        @tf.function(autograph=False)
        def run(x):
            with backprop_modifier(rule) as counts:
                # A tape that is asked for several gradients takes another way to them.
                with tf.GradientTape(persistent=count > 1) as tape:
                    tape.watch(x)
                    scores = [tf.reduce_sum(of(x) * tf.constant(s, tf.float32)) for s in seed]
                found = [tape.gradient(score, x) for score in scores]
            if rule:
                counts.finish(scores[0])
                assert counts.changed > 0
            return found

        return [g.numpy() for g in run(tf.constant(x))]

    for rule in (None, "guided", "deconv", None, "guided"):
        np.testing.assert_allclose(gradients(sealed, rule), gradients(model, rule), atol=1e-6)
    assert np.abs(np.subtract(gradients(model, None), gradients(model, "guided"))).max() > 1e-3


def test_smooth_activations_inside_a_saved_model_are_counted(tf, keras, tmp_path):
    layers = [keras.Input((8,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "silu")]
    keras.Sequential(layers).export(tmp_path / "saved", verbose=False)
    sealed = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    model = keras.Sequential([keras.Input((8,)), sealed])
    _, _, counts = run(tf, model, X, "guided")
    assert (counts.changed, counts.activations) == (1, 2)
