"""Layer tensors read while the model runs, for every kind of model, which stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import UnknownNameError

X = np.random.default_rng(2).random((2, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def models(tf):
    """One network four times: flat, nested, Sequential and subclassed, with the same weights."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)

    def trunk():
        return [
            layers.Conv2D(4, 3, activation="relu", name="a"),
            layers.Conv2D(5, 3, activation="relu", name="b"),
        ]

    def head():
        return [
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation="softmax", name="d"),
        ]

    def chain(inputs, parts):
        for part in parts:
            inputs = part(inputs)
        return inputs

    inputs = keras.Input((16, 16, 3))
    flat = keras.Model(inputs, chain(inputs, [*trunk(), *head()]))
    inner_input = keras.Input((16, 16, 3))
    inner = keras.Model(inner_input, chain(inner_input, trunk()), name="base")
    inputs = keras.Input((16, 16, 3))
    nested = keras.Model(inputs, chain(inputs, [inner, *head()]))
    sequential = keras.Sequential([keras.Sequential(trunk(), name="base"), *head()])
    sequential.build((None, 16, 16, 3))

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = trunk()
            self.pool, self.d = head()

        def call(self, inputs):
            return self.d(self.pool(self.b(self.a(inputs))))

    subclassed = Subclassed()
    subclassed(X)
    for model in (nested, sequential, subclassed):
        model.set_weights(flat.get_weights())
    return {"flat": flat, "nested": nested, "sequential": sequential, "subclassed": subclassed}


@pytest.mark.parametrize(
    ("kind", "path"),
    [("flat", "b"), ("nested", "base/b"), ("sequential", "base/b"), ("subclassed", "b")],
)
def test_the_tensor_is_the_layers_output(tf, models, kind, path):
    import keras

    from kvis_cli.models.live.reader import ModelReader, Tap

    expected = keras.Model(
        models["flat"].input, [models["flat"].get_layer("b").output, models["flat"].output]
    )(X)
    model = models[kind]
    before = set(vars(model))
    forward = ModelReader(model).forward(X, [Tap(path)])
    np.testing.assert_array_equal(forward.taps[0], expected[0])
    np.testing.assert_array_equal(forward.outputs[0], expected[1])
    assert set(vars(model)) == before
    assert "call" not in vars(ModelReader(model).operation(path))
    np.testing.assert_array_equal(model(X), expected[1])


@pytest.mark.parametrize("kind", ["flat", "nested", "sequential"])
def test_stopping_computes_no_more_and_takes_any_size(tf, models, kind):
    from kvis_cli.models.live.reader import ModelReader, Tap

    path = "a" if kind == "flat" else "base/a"
    forward = ModelReader(models[kind]).forward(
        np.zeros((1, 40, 24, 3), np.float32), [Tap(path)], stop=True
    )
    assert forward.outputs == []
    assert forward.taps[0].shape == (1, 38, 22, 4)
    with pytest.raises(ValueError, match="shape"):  # the model itself still refuses the size
        models[kind](np.zeros((1, 40, 24, 5), np.float32))


def test_a_failing_pass_leaves_the_model_as_it_was(tf, models):
    from kvis_cli.models.live.reader import ModelReader, Tap

    model = models["flat"]
    with pytest.raises(RuntimeError, match="watch"):
        ModelReader(model).forward(X, [Tap("a")], watch=_refuse)
    assert "call" not in vars(model.get_layer("a"))
    assert model(X).shape == (2, 3)


def _refuse(_):
    raise RuntimeError("watch")


def test_each_call_of_a_shared_layer_has_its_address(tf):
    import keras

    from kvis_cli.models.live.reader import ModelReader, Tap

    shared = keras.layers.Dense(2, name="shared")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, shared(shared(inputs)))
    x = np.ones((1, 2), np.float32)
    first, second = ModelReader(model).forward(x, [Tap("shared"), Tap.of("shared@1")]).taps
    np.testing.assert_allclose(first, shared(x), rtol=1e-6)
    np.testing.assert_allclose(second, shared(shared(x)), rtol=1e-6)
    with pytest.raises(UnknownNameError, match="shared@2"):
        ModelReader(model).forward(x, [Tap.of("shared@2")])


def test_a_typo_offers_the_close_name(models):
    from kvis_cli.models.live.reader import ModelReader

    with pytest.raises(UnknownNameError, match="'base'"):
        ModelReader(models["nested"]).operation("bas/b")


def test_dropout_and_batch_normalization_are_inert(tf):
    import keras
    from keras import layers

    from kvis_cli.models.live.reader import ModelReader, Tap

    model = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(name="n"), layers.Dropout(0.9, name="o")]
    )
    state = [np.array(w) for w in model.weights]
    x = np.random.default_rng(0).random((64, 4)).astype(np.float32)
    forward = ModelReader(model).forward(x, [Tap("n"), Tap("o")])
    np.testing.assert_array_equal(forward.taps[0], forward.taps[1])
    for before, after in zip(state, model.weights, strict=True):
        np.testing.assert_array_equal(before, np.array(after))
