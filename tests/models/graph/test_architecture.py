"""The flat graph: wiring, addresses, shapes and counts, of configs by hand and by Keras."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.files.read import read_model_file
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.legacy.upgrade import upgrade
from tests.helpers.configs import without_stored_shapes


def layer(class_name, name, nodes=None, **config):
    made = {"class_name": class_name, "name": name, "config": {"name": name, **config}}
    if nodes is not None:
        made["inbound_nodes"] = nodes
    return made


def image(name="img", shape=(None, 8, 8, 3)):
    return layer("InputLayer", name, [], batch_shape=list(shape), dtype="float32")


def conv(name, nodes=None, filters=4, size=3, padding="valid", **config):
    return layer(
        "Conv2D", name, nodes, filters=filters, kernel_size=[size, size], padding=padding, **config
    )


def functional(name, layers, inputs, outputs):
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "name": name, "config": config}


def tensor(name, call=0, output=0, shape=None):
    config = {"shape": shape, "dtype": "float32", "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def call(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}


def paths(architecture):
    return [c.path for c in architecture]


def test_flat_functional_of_keras_2():
    model = functional(
        "m",
        [
            image(),
            conv("a", [[["img", 0, 0, {}]]]),
            conv("b", [[["img", 0, 0, {}]]], padding="same", strides=[2, 2]),
            layer("ZeroPadding2D", "pad", [[["b", 0, 0, {}]]], padding=[[1, 1], [0, 2]]),
            layer("Concatenate", "cat", [[["a", 0, 0, {}], ["pad", 0, 0, {}]]], axis=-1),
        ],
        [["img", 0, 0]],
        [["cat", 0, 0]],
    )
    found = read_architecture(model)
    assert paths(found) == ["img", "a", "b", "pad", "cat"]
    assert [c.output_shape for c in found] == [
        (None, 8, 8, 3),
        (None, 6, 6, 4),
        (None, 4, 4, 4),
        (None, 6, 6, 4),
        (None, 6, 6, 8),
    ]
    assert [c.name for c in found.calls[4].inputs] == ["a", "pad"]
    assert found.params == 2 * (3 * 3 * 3 * 4 + 4)
    assert [(o.name, o.shape) for o in found.outputs] == [("cat", (None, 6, 6, 8))]


def test_keras_3_nodes_with_keyword_tensors_and_operations():
    model = functional(
        "m",
        [
            image(shape=(None, 5, 6)),
            layer("Dense", "v", [call(tensor("img", shape=[None, 5, 6]))], units=4),
            layer(
                "MultiHeadAttention",
                "att",
                [call(tensor("img"), value=tensor("v"), mask=None)],
                num_heads=2,
                key_dim=3,
                value_dim=3,
            ),
            layer("Multiply", "twice", [call(tensor("att", shape=[None, 5, 6]), 2.0)]),
        ],
        ["img", 0, 0],
        {"out": ["twice", 0, 0]},
    )
    found = read_architecture(model)
    attention, twice = found.calls[2:]
    assert [c.name for c in attention.inputs] == ["img", "v"]
    # query and value project 6 and 4 numbers to 2·3, keys come from the values.
    assert attention.params == (6 * 6 + 6) + 2 * (4 * 6 + 6) + (6 * 6 + 6)
    assert twice.output_shape == (None, 5, 6)
    assert found.outputs[0].key == "out"


def nested(shift_in, shift_out, node):
    inner = functional(
        "base",
        [image("x"), conv("c", [[["x", 0, 0, {}]]], 3, padding="same")],
        [["x", 0, 0]],
        [["c", 0, 0]],
    )
    inner["inbound_nodes"] = [node("img", 0), node("base", shift_in)]
    return functional(
        "m",
        [image(), inner, layer("Flatten", "flat", [node("base", shift_in + 1)])],
        [["img", 0, 0]],
        [["flat", 0, 0], ["base", shift_out, 0]],
    )


@pytest.mark.parametrize(
    ("shift_in", "shift_out", "node"),
    [
        (1, 1, lambda name, n: [[name, n, 0, {}]]),  # Keras 2
        (0, 1, lambda name, n: call(tensor(name, n))),  # Keras 3
        (0, 0, lambda name, n: [[name, n, 0, {}]]),
    ],
)
def test_shared_nested_model_in_every_numbering(shift_in, shift_out, node):
    found = read_architecture(nested(shift_in, shift_out, node))
    assert paths(found) == ["img", "base/c", "base@1/c", "flat"]
    first, second = found.calls[1:3]
    assert second.inputs == (first,)
    assert (second.layer_path, second.call, second.depth) == ("base/c", 1, 1)
    assert found.calls[3].inputs == (second,)
    assert found.outputs[1].call is first
    assert found.models == {"base": first, "base@1": second}
    assert found.params == first.params == 3 * 3 * 3 * 3 + 3


def test_shared_layer_gets_a_call_per_use():
    model = functional(
        "m",
        [
            image(),
            conv("c", [[["img", 0, 0, {}]], [["c", 0, 0, {}]]], 3),
            layer("Flatten", "f", [[["c", 1, 0, {}]]]),
        ],
        [["img", 0, 0]],
        [["f", 0, 0]],
    )
    found = read_architecture(model)
    assert paths(found) == ["img", "c", "c@1", "f"]
    assert found.calls[2].output_shape == (None, 4, 4, 3)
    assert found.params == 3 * 3 * 3 * 3 + 3


def test_sequential_with_and_without_an_input_layer():
    layers = [conv("c"), layer("GlobalAveragePooling2D", "g"), layer("Dense", "d", units=2)]
    with_input = {"class_name": "Sequential", "config": {"name": "s", "layers": [image(), *layers]}}
    built = {**with_input, "config": {"name": "s", "layers": layers}}
    built["config"]["build_input_shape"] = [None, 8, 8, 3]
    for model in (with_input, built):
        found = read_architecture(model)
        assert [c.output_shape for c in found.calls[1:]] == [(None, 6, 6, 4), (None, 4), (None, 2)]
        assert found.outputs[0].name == "d"
    del built["config"]["build_input_shape"]
    unknown = read_architecture(built)
    assert unknown.outputs[0].shape is None
    assert unknown.params is None


def test_sequentials_in_each_other_are_inlined():
    head = {"class_name": "Sequential", "config": {"name": "head", "layers": [conv("c")]}}
    body = {"class_name": "Sequential", "config": {"name": "body", "layers": [image(), head]}}
    found = read_architecture(
        {"class_name": "Sequential", "config": {"name": "s", "layers": [body, conv("c")]}}
    )
    assert paths(found)[1:] == ["body/head/c", "c"]
    assert found.calls[-1].output_shape == (None, 4, 4, 4)


def test_input_shapes_can_be_replaced():
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": [image(), conv("c")]}}
    found = read_architecture(model, input_shapes=[(None, 20, 30, 3)])
    assert found.outputs[0].shape == (None, 18, 28, 4)


def test_stored_shapes_fill_in_unknown_layers():
    model = functional(
        "m",
        [
            image(),
            layer("Mystery", "my", [call(tensor("img", shape=[None, 8, 8, 3]))]),
            conv("c", [call(tensor("my", shape=[None, 9, 9, 2]))]),
        ],
        ["img", 0, 0],
        ["c", 0, 0],
    )
    found = read_architecture(model)
    assert found.calls[1].output_shape == (None, 9, 9, 2)
    assert found.calls[1].params is None
    assert found.outputs[0].shape == (None, 7, 7, 4)


def test_channels_first_is_kept_by_what_follows():
    model = {
        "class_name": "Sequential",
        "config": {
            "name": "s",
            "layers": [
                image(shape=(None, 3, 8, 10)),
                conv("c", data_format="channels_first"),
                layer("Activation", "a", activation="relu"),
            ],
        },
    }
    found = read_architecture(model)
    assert found.calls[2].output_shape == (None, 4, 6, 8)
    assert found.calls[2].spatial_shape == (6, 8)
    assert found.calls[2].filters == 4


def test_subclassed_model_is_no_graph():
    found = read_architecture({"class_name": "MyNet", "config": {"width": 3}})
    assert not found.is_graph
    assert found.calls == ()


@pytest.mark.parametrize(
    "nodes",
    [
        [[["nowhere", 0, 0, {}]]],
        [[["c", 0, 0, {}]]],
        [[["img", 7, 0, {}]]],
        [[["img", 0, 3, {}]]],
        [[["img"]]],
        5,
    ],
)
def test_broken_wiring_is_one_error(nodes):
    model = functional("m", [image(), conv("c", nodes)], [["img", 0, 0]], [["c", 0, 0]])
    with pytest.raises(ModelError):
        read_architecture(model)


def test_no_tensorflow_no_keras():
    code = (
        "import sys; import kvis_cli.models.legacy.upgrade, kvis_cli.models.graph.autolayer, "
        "kvis_cli.models.files.read; "
        "bad = {'tensorflow', 'keras', 'h5py', 'numpy'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


REAL = {
    "mobilenet_v1_025_224.h5": 475_544,
    "mobilenet_v1_025_224.keras": 475_544,
    "person_mobilenet_96_keras24.h5": 221_794,
    "resnet8_cifar10_keras24.h5": 78_666,
    "squeezenet_v10_227.keras": 1_248_424,
    "steering_keras12.h5": 252_219,
    "teachable_machine_waste.h5": 538_708,
}


@pytest.mark.parametrize("name", REAL)
def test_counts_of_real_files_are_those_of_their_arrays(real_data, name):
    from math import prod

    from kvis_cli.models.files.read import stored_weights

    path = real_data / "models" / name
    file = read_model_file(path)
    found = read_architecture(upgrade(file.config, keras_version=file.keras_version).config)
    assert found.params == REAL[name]
    weights = [w for w in stored_weights(path) if not w.path.startswith("optimizer")]
    assert found.params == sum(prod(weight.shape) for weight in weights)


# --- against Keras -----------------------------------------------------------------------------

APPLICATIONS = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_shapes_and_counts_are_those_of_keras(tf, name):
    import keras

    model = getattr(keras.applications, name)(weights=None)
    config = json.loads(model.to_json())
    for written in (config, without_stored_shapes(config)):
        found = read_architecture(written)
        by_name = {c.path: c for c in found}
        for keras_layer in model.layers:
            if isinstance(keras_layer, keras.Model):
                continue
            made = by_name[keras_layer.name]
            assert made.output_shape == tuple(keras_layer.output.shape), keras_layer.name
            assert made.params == keras_layer.count_params(), keras_layer.name
        assert found.params == model.count_params()
        assert [o.shape for o in found.outputs] == [tuple(o.shape) for o in model.outputs]
    keras.backend.clear_session()
