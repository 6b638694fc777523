"""SavedModels that would do more than compute are refused by name, before TensorFlow opens them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kvis_cli.errors import ExitCode, ModelError, UntrustedError
from kvis_cli.models.savedmodel import GRAPH_FILE, allowed_operations, check_savedmodel

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hostile(tf, tmp_path_factory):
    """Saves a model that runs `act` in one of four places; gives its folder."""
    root = tmp_path_factory.mktemp("hostile")

    def save(name: str, act, place: str = "signature") -> Path:
        class Model(tf.Module):
            def __init__(self):
                super().__init__()
                self.weight = tf.Variable(tf.ones([3, 2]))

            @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3])])
            def serve(self, x):
                if place == "signature":
                    act()
                elif place == "function":
                    helper()
                elif place == "while":
                    for _ in tf.range(tf.shape(x)[0]):
                        act()
                return tf.reduce_mean(x, (1, 2)) @ self.weight

        @tf.function
        def helper():
            inner()

        @tf.function
        def inner():
            act()

        model = Model()
        folder = root / name
        tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
        return folder

    return save


def acts(tf, target: str):
    """Operations that reach outside the model, by name."""
    return {
        "WriteFile": lambda: tf.io.write_file(target, "x"),
        "ReadFile": lambda: tf.io.read_file(target),
        "MatchingFiles": lambda: tf.io.matching_files(target),
        "EagerPyFunc": lambda: tf.py_function(lambda: 1.0, [], tf.float32),
        "PyFunc": lambda: tf.numpy_function(lambda: np.float32(1), [], tf.float32),
        "PrintV2": lambda: tf.print("seen"),
        "SaveV2": lambda: tf.raw_ops.SaveV2(
            prefix=target, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros(3)]
        ),
        "RestoreV2": lambda: tf.raw_ops.RestoreV2(
            prefix=target, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        ),
        "TextLineDataset": lambda: tf.data.TextLineDataset(target)._variant_tensor,
    }


NAMES = (
    "WriteFile",
    "ReadFile",
    "MatchingFiles",
    "EagerPyFunc",
    "PyFunc",
    "PrintV2",
    "SaveV2",
    "RestoreV2",
    "TextLineDataset",
)


@pytest.mark.parametrize("name", NAMES)
def test_what_reaches_outside_is_refused_by_name(tf, hostile, tmp_path, name):
    folder = hostile(name, acts(tf, str(tmp_path / "target"))[name])
    with pytest.raises(UntrustedError) as caught:
        check_savedmodel(folder)
    said = str(caught.value)
    # Which of its two operations comes first is chance.
    operation = "T" if name == "TextLineDataset" else name
    assert f"the operation {operation}" in said
    assert "of its function" in said
    assert "--trust" in said


@pytest.mark.parametrize("place", ["function", "while"])
def test_functions_of_functions_are_read_too(tf, hostile, tmp_path, place):
    folder = hostile(f"in-{place}", acts(tf, str(tmp_path / "target"))["WriteFile"], place)
    with pytest.raises(UntrustedError, match="WriteFile"):
        check_savedmodel(folder)


def test_a_file_is_written_only_with_trust(tf, hostile, kvis, picture, tmp_path):
    target = tmp_path / "written"
    folder = hostile("writes", acts(tf, str(target))["WriteFile"])
    for command in ("cam", "saliency"):
        ran = kvis(command, folder, picture, "-o", tmp_path / "out")
        assert ran.code == ExitCode.NOT_EVALUATED
        assert "WriteFile" in ran.err
        assert "reads or writes files" in ran.err
    assert not target.exists()
    # That it would have: the refusal is what kept it from running.
    ran = kvis("saliency", folder, picture, "-o", tmp_path / "out", "--trust")
    assert ran.code == 0, ran.err
    assert target.exists()


def test_an_operation_that_nobody_knows_is_refused(tf, hostile):
    from tensorflow.core.protobuf import saved_model_pb2

    folder = hostile("plain", lambda: None)
    check_savedmodel(folder)
    path = folder / GRAPH_FILE
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0].graph_def
    graph.node.add(name="odd", op="MyOwnOperation")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UntrustedError, match="MyOwnOperation, which is not among"):
        check_savedmodel(folder)


@pytest.mark.parametrize("how", ["object", "signature", "restore"])
def test_saving_functions_serve_the_saver_alone(tf, hostile, how):
    """What saves and restores is in every SavedModel; nothing that is called may lead there."""
    from tensorflow.core.protobuf import saved_model_pb2

    folder = hostile(f"saver-{how}", lambda: None)
    path = folder / GRAPH_FILE
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = model.meta_graphs[0]
    functions = {f.signature.name: f for f in meta.graph_def.library.function}
    save = next(name for name in functions if "traced_save" in name)
    if how == "object":
        meta.object_graph_def.concrete_functions[save].SetInParent()
    elif how == "signature":
        node = next(
            n for n in meta.graph_def.node if any(a.func.name == save for a in n.attr.values())
        )
        signature = meta.signature_def["serving_default"]
        next(iter(signature.outputs.values())).name = f"{node.name}:0"
    else:
        restore = next(f for name, f in functions.items() if "traced_restore" in name)
        node = next(n for n in restore.node_def if n.op == "RestoreV2")
        node.input[0] = next(n.name for n in restore.node_def if n.op == "Const") + ":output:0"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UntrustedError, match=r"SaveV2|RestoreV2|StatefulPartitionedCall|Merge"):
        check_savedmodel(folder)


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt"])
def test_a_second_graph_beside_the_one_that_was_read_is_refused(hostile, name):
    folder = hostile(f"two-{name}", lambda: None)
    (folder / name).write_bytes(b"")
    with pytest.raises(UntrustedError, match="which kvis does not read"):
        check_savedmodel(folder)


def test_damaged_graphs_are_said_to_be(hostile, kvis, picture, tmp_path):
    folder = hostile("damaged", lambda: None)
    path = folder / GRAPH_FILE
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="is damaged"):
        check_savedmodel(folder)
    ran = kvis("cam", folder, picture, "-o", tmp_path)
    assert ran.code == ExitCode.NOT_EVALUATED
    assert "Traceback" not in ran.err


def test_ordinary_layers_are_allowed(tf, tmp_path):
    import keras

    inputs = keras.Input((12, 12, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.SpatialDropout2D(0.2)(x)
    x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
    x = keras.layers.Reshape((-1, 4))(x)
    x = keras.layers.LSTM(3, return_sequences=True)(x)
    x = keras.layers.MultiHeadAttention(1, 2)(x, x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.export(tmp_path / "saved", verbose=False)
    check_savedmodel(tmp_path / "saved")


def test_the_list_is_that_of_the_installed_tensorflow_or_smaller(tf):
    import runpy

    script = runpy.run_path(str(ROOT / "tools" / "savedmodel_operations.py"))
    found = set(script["operations"]())
    allowed = allowed_operations()
    assert len(allowed) > 1000
    version = script["TARGET"].read_text().split("TensorFlow ")[1]
    if version.split(".\n")[0] == tf.__version__:
        assert allowed == found
    for name in ("WriteFile", "ReadFile", "PyFunc", "PyFuncStateless", "Print", "MatchingFiles"):
        assert name not in found | allowed
    for name in ("DecodeProtoV2", "ImmutableConst", "Abort", "InitializeTableFromTextFileV2"):
        assert name not in found | allowed
