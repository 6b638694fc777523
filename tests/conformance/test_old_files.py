"""Files written by Keras 2 (tf-keras) open under Keras 3 and predict the same."""

from __future__ import annotations

import copy
import io
import zipfile

import numpy as np
import pytest

from kvis_cli.models.files.read import check_safe, read_model_file
from kvis_cli.models.graph.editing import replace_layer
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.legacy.upgrade import upgrade
from kvis_cli.models.legacy.weights import convert_arrays, legacy_arrays

pytestmark = [pytest.mark.slow, pytest.mark.conformance]


@pytest.fixture(scope="module")
def keras2(tf):
    return pytest.importorskip("tf_keras")


def opened(path, **replaced):
    """The model at `path` under Keras 3, by the upgrade alone; and its architecture."""
    import h5py
    import keras

    from kvis_cli.models.live.legacy_objects import legacy_objects

    check_safe(path)
    file = read_model_file(path)
    found = upgrade(file.config, keras_version=file.keras_version)
    config = found.config
    for name, layer in replaced.items():
        config = replace_layer(config, name, layer)
    assert found.unsupported == []
    model = keras.saving.deserialize_keras_object(
        copy.deepcopy(config), custom_objects=legacy_objects()
    )
    if file.format == "h5":
        arrays = legacy_arrays(path, config, generation=found.generation, backend=file.backend)
        for layer in model.layers:
            variables = layer.trainable_weights + layer.non_trainable_weights
            for variable, array in zip(variables, arrays.pop(layer.name, []), strict=True):
                variable.assign(array)
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
        assert arrays == {}
    else:
        with zipfile.ZipFile(path) as archive:
            weights = path.with_suffix(".weights.h5")
            weights.write_bytes(archive.read("model.weights.h5"))
        with h5py.File(io.BytesIO(weights.read_bytes())):
            model.load_weights(weights)
    return model, read_architecture(config)


def fill(model, rng):
    for weight in model.weights:
        if weight.dtype.is_floating:
            values = rng.normal(size=weight.shape) * 0.3
            weight.assign(np.abs(values) + 0.1 if "variance" in weight.name else values)


def check(keras2, model, tmp_path, formats=("h5", "keras"), tolerance=1e-5):
    """Save by Keras 2, open by Keras 3: same outputs, and the graph read without Keras agrees."""
    rng = np.random.default_rng(0)
    fill(model, rng)
    inputs = [
        rng.uniform(0, 1, (2, *(n or 16 for n in tensor.shape[1:]))).astype("float32")
        if tensor.dtype.is_floating
        else rng.integers(0, 5, (2, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    for kind in formats:
        path = tmp_path / f"model.{kind}"
        model.save(path)
        wanted = keras2.models.load_model(path, compile=False)(inputs, training=False)
        new, architecture = opened(path)
        got = new(inputs if len(inputs) > 1 else inputs[0], training=False)
        listed = [list(v.values()) if isinstance(v, dict) else v for v in (wanted, got)]
        wanted, got = ([v] if not isinstance(v, (list, tuple)) else v for v in listed)
        for a, b in zip(wanted, got, strict=True):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=tolerance)
        assert architecture.params == new.count_params()
        assert [o.shape for o in architecture.outputs] == [tuple(o.shape) for o in new.outputs]


def base(keras2):
    layers = keras2.layers
    image = keras2.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="c1")(image)
    x = layers.BatchNormalization(name="b1")(x)
    return keras2.Model(image, layers.Conv2D(4, 3, name="c2", activation="relu")(x), name="base")


def flat(keras2):
    layers = keras2.layers
    image = keras2.Input((16, 16, 3))
    x = layers.Conv2D(4, 3)(image)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(5, 3)(x))
    return keras2.Model(image, layers.Dense(3, activation="softmax")(x))


def nested(keras2):
    image = keras2.Input((16, 16, 3))
    x = keras2.layers.GlobalMaxPooling2D()(base(keras2)(image))
    return keras2.Model(image, keras2.layers.Dense(3)(x))


def sequential_on_base(keras2, frozen=False):
    inner = base(keras2)
    inner.trainable = not frozen
    layers = keras2.layers
    return keras2.Sequential([inner, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def frozen_base(keras2):
    return sequential_on_base(keras2, frozen=True)


def without_input_layer(keras2):
    layers = keras2.layers
    model = keras2.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    model.build((None, 16, 16, 3))
    return model


def shared_nested(keras2):
    layers = keras2.layers
    image = keras2.Input((16, 16, 3))
    part = keras2.Sequential([layers.Conv2D(3, 3, padding="same"), layers.ReLU()])
    once = part(image)
    twice = part(once)
    both = layers.Concatenate()([once, twice])
    pooled = [layers.GlobalAveragePooling2D()(both), layers.GlobalMaxPooling2D()(twice)]
    return keras2.Model(image, pooled)


def nested_outputs(keras2):
    image = keras2.Input((16, 16, 3))
    part = base(keras2)
    return keras2.Model(image, [part(image), keras2.layers.Flatten()(part(image))])


def tensorflow_operations(keras2):
    import tensorflow as tf

    image = keras2.Input((16, 16, 3))
    x = keras2.applications.mobilenet_v2.preprocess_input(image)
    x = 1.0 - (x - 127.5) * 0.5 / 2.0
    x = tf.nn.relu(x)
    y = tf.nn.sigmoid(x)
    x = tf.concat([x + y * x, y], -1)
    x = x[:, 2:, ::2, :]
    x = tf.reshape(tf.reduce_mean(x, [1, 2]), [-1, 2, 3])
    return keras2.Model(image, keras2.layers.Dense(2)(keras2.layers.Flatten()(x)))


def as_node(tensors, function):
    """One operation as TensorFlow 2.0 to 2.3 put it into a model: as its raw graph node."""
    import tensorflow as tf
    from google.protobuf import json_format
    from tf_keras.src.engine.base_layer import TensorFlowOpLayer

    with tf.Graph().as_default():
        operation = function(*(tf.compat.v1.placeholder(t.dtype, t.shape) for t in tensors)).op
        constants = {
            i: tf.get_static_value(value)
            for i, value in enumerate(operation.inputs)
            if value.op.type == "Const"
        }
        node = json_format.MessageToDict(operation.node_def)
    layer = TensorFlowOpLayer(node, f"node_{operation.type}_{len(_NODES)}", constants)
    _NODES.append(layer.name)
    return layer(tensors if len(tensors) > 1 else tensors[0])


_NODES: list[str] = []


def tensorflow_nodes(keras2):
    import tensorflow as tf

    image = keras2.Input((16, 16, 3))
    x = image
    for step in (
        lambda x: x[..., ::-1],
        lambda x: x - [103.9, 116.8, 123.7],
        lambda x: x / 127.5,
        lambda x: 1.0 - x,
        lambda x: tf.nn.leaky_relu(x, 0.3),
        lambda x: tf.pow(x, 2.0),
        lambda x: tf.maximum(x, 0.1),
        lambda x: x[:, 2:, ::2, :],
        lambda x: tf.nn.bias_add(x, [1.0, 2.0, 3.0]),
        tf.tanh,
        tf.nn.softmax,
    ):
        x = as_node([x], step)
    y = as_node([x], tf.sqrt)
    x = as_node([x, y], lambda a, b: a * b)
    x = as_node([x, y], lambda a, b: tf.concat([a, b], -1))
    x = as_node([x], lambda x: tf.transpose(x, [0, 2, 1, 3]))
    x = as_node([x], lambda x: tf.reduce_mean(x, [1, 2], keepdims=True))
    x = as_node([x], lambda x: tf.squeeze(x, [1, 2]))
    x = as_node([x], lambda x: tf.reshape(x, [-1, 2, 3]))
    x = as_node([x], lambda x: x[:, 1])
    x = as_node([x], lambda x: tf.expand_dims(x, 1))
    return keras2.Model(image, keras2.layers.Dense(2)(keras2.layers.Flatten()(x)))


def several_inputs(keras2):
    layers = keras2.layers
    image, number = keras2.Input((16, 16, 3), name="i"), keras2.Input((4,), name="n")
    x = layers.Flatten()(layers.Conv2D(2, 3)(image))
    x = layers.Concatenate()([x, layers.Dense(3)(number)])
    return keras2.Model([image, number], [layers.Dense(2)(x), layers.Dense(1)(x)])


def text(keras2):
    layers = keras2.layers
    words = keras2.Input((7,), dtype="int32")
    x = layers.Embedding(10, 6)(words)
    lstm = layers.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")
    x = layers.GRU(4)(layers.Bidirectional(lstm)(x))
    return keras2.Model(words, layers.Dense(2)(x))


def augmented(keras2):
    layers = keras2.layers
    return keras2.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Rescaling(1 / 255.0),
            layers.RandomFlip(),
            layers.RandomRotation(0.1),
            layers.RandomHeight(0.1),
            layers.Normalization(),
            layers.Conv2D(4, 3, kernel_regularizer="l2"),
            layers.LeakyReLU(0.2),
            layers.PReLU(shared_axes=[1, 2]),
            layers.LayerNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, kernel_constraint="max_norm"),
        ]
    )


def over_time(keras2):
    layers = keras2.layers
    frame = keras2.Sequential(
        [layers.Input((14, 14, 2)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()]
    )
    return keras2.Sequential(
        [
            layers.Input((5, 16, 16, 3)),
            layers.TimeDistributed(layers.Conv2D(2, 3)),
            layers.TimeDistributed(frame),
            layers.SimpleRNN(3),
            layers.Dense(1),
        ]
    )


KINDS = [
    augmented,
    flat,
    frozen_base,
    nested,
    nested_outputs,
    over_time,
    sequential_on_base,
    several_inputs,
    shared_nested,
    tensorflow_operations,
    text,
    without_input_layer,
]


@pytest.mark.parametrize("kind", KINDS)
def test_predicts_as_under_keras_2(keras2, kind, tmp_path):
    check(keras2, kind(keras2), tmp_path)


def test_nodes_of_early_tensorflow_2(keras2, tmp_path):
    check(keras2, tensorflow_nodes(keras2), tmp_path, formats=("h5",))


def test_mixed_precision_is_explained_in_float32(keras2, tmp_path):
    keras2.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = flat(keras2)
        check(keras2, model, tmp_path, tolerance=5e-3)
    finally:
        keras2.mixed_precision.set_global_policy("float32")


def _layers(keras2):
    """One of each layer that old models are made of, with the shape of its input."""
    new = keras2.layers
    for rank, shape in ((1, (12, 6)), (2, (12, 10, 6)), (3, (8, 8, 8, 3))):

        def of(name, rank=rank):
            return getattr(new, name.replace("_", f"{rank}D"))

        for padding in ("valid", "same"):
            yield shape, of("Conv_")(4, 3, strides=2, padding=padding)
            yield shape, of("Conv_")(4, 3, dilation_rate=2, padding=padding)
            yield shape, of("Conv_Transpose")(4, 3, strides=2, padding=padding)
            yield shape, of("Conv_Transpose")(4, 2, strides=3, padding=padding)
            yield shape, of("MaxPooling_")(3, strides=2, padding=padding)
            yield shape, of("AveragePooling_")(2, padding=padding)
            if rank < 3:
                yield shape, of("SeparableConv_")(4, 3, padding=padding, depth_multiplier=2)
                yield shape, of("DepthwiseConv_")(3, strides=2, padding=padding)
        yield shape, of("GlobalAveragePooling_")()
        yield shape, of("GlobalMaxPooling_")(keepdims=True)
        yield shape, of("ZeroPadding_")(2)
        yield shape, of("Cropping_")(1)
        yield shape, of("UpSampling_")(2)
        yield shape, of("SpatialDropout_")(0.3)
    image, steps = (12, 10, 6), (12, 6)
    yield steps, new.Conv1D(4, 3, padding="causal")
    yield image, new.Conv2DTranspose(4, 3, strides=2, output_padding=1)
    yield image, new.ZeroPadding2D(((1, 2), (3, 0)))
    for name in ("elu", "exponential", "gelu", "hard_sigmoid", "selu", "softmax", "swish", "tanh"):
        yield image, new.Activation(name)
    for layer in (
        new.ReLU(6.0, 0.1, 0.2), new.PReLU(), new.ELU(0.5), new.ThresholdedReLU(0.3),
        new.Softmax(), new.Dropout(0.2), new.GaussianNoise(0.1), new.AlphaDropout(0.1),
        new.GroupNormalization(3), new.UnitNormalization(), new.Reshape((10, -1)),
        new.Permute((3, 1, 2)), new.Resizing(7, 5), new.CenterCrop(4, 6), new.RandomZoom(0.1),
        new.RandomContrast(0.1), new.BatchNormalization(scale=False, center=False),
    ):  # fmt: skip
        yield image, layer
    for layer in (
        new.LSTM(4), new.GRU(4, reset_after=False), new.RNN([new.GRUCell(4), new.LSTMCell(3)]),
        new.Bidirectional(new.GRU(3)), new.TimeDistributed(new.Dense(3)), new.SimpleRNN(4),
        new.Bidirectional(new.LSTM(3, return_sequences=True), merge_mode="sum"),
    ):  # fmt: skip
        yield steps, layer
    yield steps, new.LocallyConnected1D(4, 3, strides=2, activation="relu")
    yield image, new.LocallyConnected2D(4, (3, 2), strides=(2, 1), use_bias=False)
    yield image, new.LocallyConnected2D(3, 3, data_format="channels_first")
    yield (5,), new.RepeatVector(3)
    yield (4, 8, 8, 3), new.ConvLSTM2D(3, 3, return_sequences=True)


def test_every_layer(keras2, tmp_path):
    failed = []
    for shape, layer in _layers(keras2):
        model = keras2.Sequential([keras2.layers.Input(shape), layer])
        try:
            check(keras2, model, tmp_path, formats=("h5",))
        except Exception as error:
            failed.append(f"{type(layer).__name__}: {type(error).__name__} {str(error)[:200]}")
    assert failed == []


# --- weights of Keras 1 ------------------------------------------------------------------------


def _cases(keras2):
    new = keras2.layers
    first = {"data_format": "channels_first"}
    yield new.Conv2D(4, (3, 2), **first), (None, 5, 8, 8), [(4, 5, 3, 2), (4,)], first
    yield new.Conv2D(4, (3, 2)), (None, 8, 8, 5), [(3, 2, 5, 4), (4,)], {}
    yield new.Conv1D(4, 3), (None, 8, 5), [(3, 1, 5, 4), (4,)], {"filters": 4}
    yield new.Conv1D(4, 3), (None, 8, 5), [(4, 5, 3, 1), (4,)], {"filters": 4}
    yield new.Conv3D(4, (3, 2, 1), **first), (None, 5, 8, 8, 8), [(4, 5, 3, 2, 1), (4,)], first
    lstm = [(5, 3), (3, 3), (3,)] * 4
    yield new.LSTM(3), (None, 8, 5), lstm, {}
    yield new.GRU(3, reset_after=False), (None, 8, 5), lstm[:9], {}


def test_arrays_of_keras_1(keras2):
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    rng = np.random.default_rng(1)
    for layer, shape, arrays, config in _cases(keras2):
        layer.build(shape)
        made = [rng.normal(size=size) for size in arrays]
        wanted = preprocess_weights_for_loading(layer, list(made), "1", "tensorflow")
        got = convert_arrays(
            type(layer).__name__, config, list(made), generation=1, backend="tensorflow"
        )
        for a, b in zip(wanted, got, strict=True):
            np.testing.assert_array_equal(b, a, err_msg=type(layer).__name__)


@pytest.mark.parametrize(("generation", "backend"), [(2, "theano"), (1, "theano")])
def test_theano_convolves_truly(tf, generation, backend):
    """Theano's layer is `numpy.convolve`; TensorFlow's slides the kernel as it is."""
    rng = np.random.default_rng(5)
    signal, kernel = rng.normal(size=9), rng.normal(size=3)
    shape = (3, 1, 1) if generation == 2 else (3, 1, 1, 1)
    arrays = [kernel.reshape(shape), np.zeros(1)]
    turned, _ = convert_arrays(
        "Conv1D", {"filters": 1}, arrays, generation=generation, backend=backend
    )
    got = tf.nn.conv1d(signal.reshape(1, 9, 1), turned, 1, "VALID")
    np.testing.assert_allclose(np.ravel(got), np.convolve(signal, kernel, "valid"), atol=1e-12)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_arrays_of_cudnn(keras2, name):
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    rng = np.random.default_rng(2)
    gates = {"LSTM": 4, "GRU": 3}[name]
    layer = getattr(keras2.layers, name)(3)
    layer.build((None, 8, 5))
    shapes = [(5, 3 * gates), (3, 3 * gates), (2 * 3 * gates,)]
    made = [rng.normal(size=size) for size in shapes]
    wanted = preprocess_weights_for_loading(layer, list(made), "2", "tensorflow")
    got = convert_arrays(name, {}, list(made), generation=2, backend="tensorflow")
    for a, b in zip(wanted, got, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-12)


def test_steering_model_of_keras_1(keras2, real_data):
    path = real_data / "models" / "steering_keras12.h5"
    scaling = {"class_name": "Rescaling", "config": {"scale": 1 / 127.5, "offset": -1.0}}
    model, _ = opened(path, lambda_1=scaling)
    new = keras2.layers
    convolutions = [(24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)]
    twin = keras2.Sequential(
        [
            new.Input((66, 200, 3)),
            new.Rescaling(1 / 127.5, -1.0),
            *(new.Conv2D(n, k, strides=s, activation="elu") for n, k, s in convolutions),
            new.Dropout(0.5),
            new.Flatten(),
            *(new.Dense(n, activation="elu") for n in (100, 50, 10)),
            new.Dense(1),
        ]
    )
    twin.load_weights(path)
    pictures = np.random.default_rng(3).uniform(0, 255, (4, 66, 200, 3)).astype("float32")
    got, wanted = (np.asarray(m(pictures, training=False)) for m in (model, twin))
    assert np.ptp(wanted) > 1e-3
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_teachable_machine_predicts_as_under_keras_2(keras2, real_data):
    path = real_data / "models" / "teachable_machine_waste.h5"
    pictures = np.random.default_rng(4).uniform(-1, 1, (3, 224, 224, 3)).astype("float32")
    model, _ = opened(path)
    wanted = keras2.models.load_model(path, compile=False)(pictures, training=False)
    got = model(pictures, training=False)
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), atol=1e-5)
