"""Output shapes and numbers of weights per layer, beside those that Keras itself gives."""

from __future__ import annotations

import json

import pytest

from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.graph.layers import count_parameters
from tests.helpers.configs import without_stored_shapes

S, M, V = (9, 4), (11, 8, 6), (7, 6, 5, 4)

# Layer, options, shapes of its inputs without the batch. No two sizes or options are alike, so
# that one taken for the other shows.
CASES = [
    ("Conv1D", {"filters": 5, "kernel_size": 3}, S),
    ("Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, S),
    ("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 3)}, M),
    ("Conv2D", {"filters": 4, "kernel_size": (2, 3), "padding": "same", "strides": (3, 2)}, M),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": (2, 1), "use_bias": False}, M),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, M),
    ("Conv2D", {"filters": 5, "kernel_size": (2, 3), "data_format": "channels_first"}, M),
    ("Conv3D", {"filters": 3, "kernel_size": (3, 2, 1), "strides": (1, 2, 3)}, V),
    ("Conv1DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2}, S),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": (4, 3), "strides": (2, 3)}, M),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"}, M),
    ("Conv2DTranspose",
     {"filters": 5, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"}, M),
    ("Conv2DTranspose",
     {"filters": 5, "kernel_size": 4, "strides": 3, "output_padding": (1, 2)}, M),
    ("Conv2DTranspose", {"filters": 5, "kernel_size": 3, "dilation_rate": 2}, M),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2, "strides": (1, 2, 2)}, V),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, S),
    ("DepthwiseConv2D", {"kernel_size": (3, 2), "strides": 2}, M),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 3, "use_bias": False}, M),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2}, S),
    ("SeparableConv2D", {"filters": 5, "kernel_size": (3, 2), "depth_multiplier": 2}, M),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "padding": "same", "strides": 2}, M),
    ("Dense", {"units": 7}, (6,)),
    ("Dense", {"units": 7, "use_bias": False}, M),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 3, 5)}, S),
    ("EinsumDense",
     {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}, S),
    ("EinsumDense",
     {"equation": "...x,xy->...y", "output_shape": 7, "bias_axes": "y"}, S),
    ("Embedding", {"input_dim": 13, "output_dim": 5}, (9,)),
    ("Flatten", {}, M),
    ("Reshape", {"target_shape": (12, -1)}, M),
    ("Reshape", {"target_shape": (4, 132)}, M),
    ("Permute", {"dims": (3, 1, 2)}, M),
    ("RepeatVector", {"n": 5}, (6,)),
    ("MaxPooling1D", {"pool_size": 2, "strides": 3}, S),
    ("MaxPooling2D", {"pool_size": (3, 2)}, M),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, M),
    ("AveragePooling2D", {"pool_size": (2, 3), "strides": (3, 2)}, M),
    ("AveragePooling3D", {"pool_size": (2, 3, 1)}, V),
    ("GlobalAveragePooling1D", {}, S),
    ("GlobalAveragePooling2D", {}, M),
    ("GlobalMaxPooling2D", {"keepdims": True}, M),
    ("GlobalMaxPooling2D", {"data_format": "channels_first"}, M),
    ("GlobalAveragePooling3D", {"keepdims": True}, V),
    ("AdaptiveAveragePooling2D", {"output_size": (3, 2)}, M),
    ("AdaptiveMaxPooling1D", {"output_size": 4}, S),
    ("ZeroPadding1D", {"padding": (1, 2)}, S),
    ("ZeroPadding2D", {"padding": ((1, 2), (3, 4))}, M),
    ("ZeroPadding2D", {"padding": (1, 2)}, M),
    ("ZeroPadding3D", {"padding": ((1, 2), (0, 1), (2, 0))}, V),
    ("Cropping1D", {"cropping": (1, 2)}, S),
    ("Cropping2D", {"cropping": ((1, 2), (0, 3))}, M),
    ("Cropping3D", {"cropping": ((1, 2), (0, 1), (2, 0))}, V),
    ("UpSampling1D", {"size": 3}, S),
    ("UpSampling2D", {"size": (2, 3)}, M),
    ("UpSampling2D", {"size": (2, 3), "data_format": "channels_first"}, M),
    ("UpSampling3D", {"size": (1, 2, 3)}, V),
    ("Resizing", {"height": 5, "width": 7}, M),
    ("Resizing", {"height": 5, "width": 7, "data_format": "channels_first"}, M),
    ("CenterCrop", {"height": 5, "width": 4}, M),
    ("RandomCrop", {"height": 5, "width": 4}, M),
    ("BatchNormalization", {}, M),
    ("BatchNormalization", {"axis": 1, "scale": False}, M),
    ("BatchNormalization", {"center": False, "scale": False}, M),
    ("LayerNormalization", {}, M),
    ("LayerNormalization", {"axis": (1, 3), "center": False}, M),
    ("GroupNormalization", {"groups": 3}, M),
    ("GroupNormalization", {"groups": 2, "axis": 2, "scale": False}, M),
    ("RMSNormalization", {"axis": -1}, M),
    ("UnitNormalization", {}, M),
    ("Normalization", {}, M),
    ("Normalization", {"axis": (1, 3)}, M),
    ("Normalization", {"axis": None}, M),
    ("Normalization", {"mean": 2.0, "variance": 3.0}, M),
    ("PReLU", {}, M),
    ("PReLU", {"shared_axes": (1, 2)}, M),
    ("LeakyReLU", {}, M),
    ("Dropout", {"rate": 0.5}, M),
    ("SpatialDropout2D", {"rate": 0.5}, M),
    ("LSTM", {"units": 5}, S),
    ("LSTM", {"units": 5, "return_sequences": True, "use_bias": False}, S),
    ("LSTM", {"units": 5, "return_state": True}, S),
    ("GRU", {"units": 5, "return_state": True, "return_sequences": True}, S),
    ("GRU", {"units": 5, "reset_after": False}, S),
    ("GRU", {"units": 5, "use_bias": False}, S),
    ("SimpleRNN", {"units": 5}, S),
    ("ConvLSTM1D", {"filters": 5, "kernel_size": 3}, (3, *S)),
    ("ConvLSTM2D", {"filters": 5, "kernel_size": (3, 2), "return_sequences": True}, (3, *M)),
    ("ConvLSTM2D", {"filters": 5, "kernel_size": 3, "strides": 2, "use_bias": False}, (3, *M)),
    ("Add", {}, M, M),
    ("Subtract", {}, M, M),
    ("Multiply", {}, M, (8, 6)),
    ("Multiply", {}, M, (1, 8, 1)),
    ("Average", {}, (1, 8, 6), (11, 1, 6), (6,)),
    ("Maximum", {}, M, M, M),
    ("Concatenate", {}, M, (11, 8, 2)),
    ("Concatenate", {"axis": 1}, M, (2, 8, 6), (3, 8, 6)),
    ("Dot", {"axes": 1}, (4, 3), (4, 5)),
    ("Dot", {"axes": (2, 1)}, (4, 3), (3, 5)),
    ("Dot", {"axes": -1}, (7,), (7,)),
    ("Dot", {"axes": (2, 1)}, (4, 3), (3,)),
    ("Dot", {"axes": (1, 3)}, (4, 3), (2, 5, 4)),
    ("CategoryEncoding", {"num_tokens": 6, "output_mode": "multi_hot"}, (4,)),
    ("Discretization", {"bin_boundaries": [0.0, 1.0]}, (4,)),
]  # fmt: skip


# What needs more than a layer called on a list of its inputs.
CALLS = {
    "MultiHeadAttention of itself": lambda k, x: k.layers.MultiHeadAttention(2, 3)(x, x),
    "MultiHeadAttention of a value": lambda k, x: k.layers.MultiHeadAttention(
        2, 3, value_dim=5, use_bias=False
    )(x, k.Input((6, 7))),
    "MultiHeadAttention of a key": lambda k, x: k.layers.MultiHeadAttention(
        2, 3, value_dim=5, output_shape=8
    )(x, k.Input((6, 7)), k.Input((6, 9))),
    "MultiHeadAttention of two axes": lambda k, x: k.layers.MultiHeadAttention(
        2, 3, output_shape=(8, 5)
    )(x, x),
    "GroupedQueryAttention": lambda k, x: k.layers.GroupQueryAttention(
        head_dim=3, num_query_heads=4, num_key_value_heads=2
    )(x, k.Input((6, 4))),
    "GroupedQueryAttention with a gate": lambda k, x: k.layers.GroupQueryAttention(
        head_dim=3, num_query_heads=4, num_key_value_heads=2, use_bias=False, use_gate=True
    )(x, k.Input((6, 4)), k.Input((6, 7))),
    "MultiHeadAttention with a gate": lambda k, x: k.layers.MultiHeadAttention(
        2, 3, value_dim=5, use_gate=True
    )(x, x),
    "Attention": lambda k, x: k.layers.Attention()([x, k.Input((6, 4))]),
    "Attention with a scale": lambda k, x: k.layers.Attention(use_scale=True)([x, x]),
    "Attention that concatenates": lambda k, x: k.layers.Attention(
        use_scale=True, score_mode="concat"
    )([x, x]),
    "AdditiveAttention": lambda k, x: k.layers.AdditiveAttention()([x, k.Input((6, 4))]),
    "AdditiveAttention without a scale": lambda k, x: k.layers.AdditiveAttention(use_scale=False)(
        [x, x]
    ),
    "Bidirectional": lambda k, x: k.layers.Bidirectional(k.layers.LSTM(5))(x),
    "Bidirectional of every step": lambda k, x: k.layers.Bidirectional(
        k.layers.LSTM(5, return_sequences=True)
    )(x),
    "Bidirectional, summed": lambda k, x: k.layers.Bidirectional(
        k.layers.GRU(5, return_sequences=True), merge_mode="sum"
    )(x),
    "Bidirectional of two": lambda k, x: k.layers.Bidirectional(
        k.layers.LSTM(5, return_state=True), merge_mode=None
    )(x),
    "Bidirectional of another backwards": lambda k, x: k.layers.Bidirectional(
        k.layers.LSTM(5), backward_layer=k.layers.LSTM(5, go_backwards=True, use_bias=False)
    )(x),
    "TimeDistributed": lambda k, x: k.layers.TimeDistributed(k.layers.Dense(7))(x),
    "TimeDistributed of a model": lambda k, x: k.layers.TimeDistributed(
        k.Sequential([k.Input((4,)), k.layers.Dense(7), k.layers.Dense(3)])
    )(x),
    "SpectralNormalization": lambda k, x: k.layers.SpectralNormalization(k.layers.Dense(7))(x),
    "RNN": lambda k, x: k.layers.RNN(k.layers.LSTMCell(5))(x),
    "RNN of cells": lambda k, x: k.layers.RNN(
        [k.layers.GRUCell(5), k.layers.SimpleRNNCell(7)], return_sequences=True
    )(x),
    "mean": lambda k, x: k.ops.mean(x, axis=1),
    "mean of all": lambda k, x: k.ops.mean(x),
    "max, axes kept": lambda k, x: k.ops.max(x, axis=(1, -1), keepdims=True),
    "sum of two axes": lambda k, x: k.ops.sum(x, axis=[1, 2]),
    "transpose": lambda k, x: k.ops.transpose(x, (0, 2, 1)),
    "transpose of all": lambda k, x: k.ops.transpose(x),
    "expand_dims": lambda k, x: k.ops.expand_dims(x, 1),
    "expand_dims at the end": lambda k, x: k.ops.expand_dims(x, -1),
    "squeeze": lambda k, x: k.ops.squeeze(k.ops.expand_dims(x, 2), 2),
    "stack": lambda k, x: k.ops.stack([x, x, x], axis=1),
    "stack at the end": lambda k, x: k.ops.stack([x, x], axis=-1),
    "concatenate": lambda k, x: k.ops.concatenate([x, x], axis=1),
    "an item": lambda k, x: x[:, 1],
    "a slice": lambda k, x: x[:, 2:8:3],
    "the last ones": lambda k, x: x[..., -2:],
    "a new axis": lambda k, x: x[:, None, :, 1],
    "an ellipsis in front": lambda k, x: x[..., 0],
    "reshape": lambda k, x: k.ops.reshape(x, (-1, 3, 12)),
    "add": lambda k, x: k.ops.add(x, 2.0),
    "add of two": lambda k, x: k.ops.add(x, k.Input((1, 4))),
}


def both(keras, made):
    """Every call's shape and count by Keras, and by kvis of a config without shapes."""
    model = keras.Model(keras.utils.get_source_inputs(first(made)), made)
    config = without_stored_shapes(json.loads(model.to_json()))
    found = {call.path: call for call in read_architecture(config)}
    # Operations are no layers, and have no weights.
    for operation in model.operations:
        outputs = (
            operation.output if isinstance(operation.output, list | tuple) else [operation.output]
        )
        call = found[operation.name]
        assert call.output_shape == tuple(outputs[0].shape), operation.name
        weights = operation.count_params() if isinstance(operation, keras.Layer) else 0
        assert (call.params or 0) == weights, operation.name


def first(made):
    return made[0] if isinstance(made, list | tuple) else made


@pytest.mark.parametrize(
    ("name", "options", "shapes"),
    [(name, options, shapes) for name, options, *shapes in CASES],
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(CASES)],
)
def test_layers(tf, name, options, shapes):
    import keras

    inputs = [keras.Input(shape) for shape in shapes]
    both(keras, getattr(keras.layers, name)(**options)(inputs if len(inputs) > 1 else inputs[0]))


@pytest.mark.parametrize("name", CALLS)
def test_calls(tf, name):
    import keras

    both(keras, CALLS[name](keras, keras.Input(S)))


@pytest.mark.parametrize("name", ["Conv2D", "MaxPooling2D", "Flatten", "ZeroPadding2D"])
def test_unknown_sizes_stay_unknown(tf, name):
    import keras

    options = {"filters": 4, "kernel_size": 3} if name == "Conv2D" else {}
    both(keras, getattr(keras.layers, name)(**options)(keras.Input((None, 8, 3))))


@pytest.mark.parametrize("shapes", [[(None, 8, 6), (11, 8, 2)], [(11, 8, 6), (None, 8, 2)]])
def test_a_size_that_one_input_knows_is_that_of_all(tf, shapes):
    import keras

    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    (*_, call) = read_architecture(without_stored_shapes(json.loads(model.to_json())))
    assert call.output_shape == (None, 11, 8, 8)


def test_an_unknown_size_along_the_axis_stays_unknown(tf):
    import keras

    both(keras, keras.layers.Concatenate(axis=1)([keras.Input((None, 8)), keras.Input((11, 8))]))


def test_locally_connected_layers_of_keras_2():
    """A kernel and a bias for each of 4·3 positions: 12·(2·2·2·3) and 12·3."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 5, 4, 2]}},
        {
            "class_name": "LocallyConnected2D",
            "config": {"name": "l", "filters": 3, "kernel_size": [2, 2], "strides": [1, 1]},
        },
    ]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    (start, call) = read_architecture(model)
    assert start.path == "i"
    assert call.output_shape == (None, 4, 3, 3)
    assert call.params == 12 * 24 + 36


@pytest.mark.parametrize("count", [1, 2])
def test_a_sequential_whose_first_layer_states_the_shape(count):
    dense = [
        {
            "class_name": "Dense",
            "config": {"name": "a", "units": 5, "batch_input_shape": [None, 7]},
        },
        {"class_name": "Dense", "config": {"name": "b", "units": 3}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": dense[:count]}}
    calls = list(read_architecture(model))
    assert calls[-1].output_shape == (None, [5, 3][count - 1])
    assert [call.params for call in calls][-count:] == [40, 18][:count]
    assert [call.filters for call in calls][-count:] == [5, 3][:count]


def test_renormalization_of_keras_2_has_three_arrays_more():
    assert count_parameters("BatchNormalization", {"renorm": True}, [(None, 8, 6)]) == 7 * 6


@pytest.mark.parametrize("name", ["MultiHeadAttention", "GroupedQueryAttention"])
def test_attention_whose_file_names_one_input_is_of_itself(name):
    heads = {"num_heads": 2, "key_dim": 3, "num_query_heads": 2, "num_key_value_heads": 2}
    config = {**heads, "head_dim": 3, "use_bias": True}
    # Three projections of 4 to 2·3 numbers and one back, each with its bias.
    assert count_parameters(name, config, [(None, 9, 4)]) == 3 * (4 * 6 + 6) + 6 * 4 + 4


@pytest.mark.parametrize("wrong", [[], {}, "x"])
def test_a_size_that_is_no_number_leaves_the_shape_unknown(wrong):
    from kvis_cli.models.graph.layers import output_shapes

    config = {"filters": wrong, "kernel_size": [3, 3]}
    assert output_shapes("Conv2D", config, [(None, 8, 8, 3)]) == [None]
    assert output_shapes("Conv2D", config | {"filters": 4}, [(None, 8, 8, 3)]) == [(None, 6, 6, 4)]
