"""SavedModels that would do more than compute are refused by name, before TensorFlow opens them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kvis_cli.errors import ExitCode, ModelError, UntrustedError
from kvis_cli.models.files.protobuf import encoded
from kvis_cli.models.files.savedgraph import SavedGraph
from kvis_cli.models.files.savedmodel import (
    GRAPH_FILE,
    allowed_operations,
    check_savedmodel,
    opened_folder,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def hostile(tf, tmp_path_factory):
    """Saves a model that runs `act` in one of four places; gives its folder."""
    root = tmp_path_factory.mktemp("hostile")

    def save(name: str, act, place: str = "signature") -> Path:
        class Model(tf.Module):
            def __init__(self):
                super().__init__()
                self.weight = tf.Variable(tf.ones([3, 2]))
                if place == "initializer":
                    self.table = Table()
                    self.handle = self.table.resource_handle

            @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3])])
            def serve(self, x):
                if place == "signature":
                    act()
                elif place == "function":
                    helper()
                elif place == "while":
                    for _ in tf.range(tf.shape(x)[0]):
                        act()
                elif place == "initializer":
                    # What a function uses is saved with it.
                    tf.raw_ops.LookupTableSizeV2(table_handle=self.handle)
                return tf.reduce_mean(x, (1, 2)) @ self.weight

        class Table(tf.saved_model.experimental.TrackableResource):
            def _create_resource(self):
                return tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)

            def _initialize(self):
                act()
                return tf.constant(1.0)

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


@pytest.mark.parametrize("place", ["function", "while", "initializer"])
def test_functions_of_functions_are_read_too(tf, hostile, tmp_path, place):
    folder = hostile(f"in-{place}", acts(tf, str(tmp_path / "target"))["WriteFile"], place)
    with pytest.raises(UntrustedError, match="WriteFile"):
        check_savedmodel(folder)
    # As it is called when the model is loaded.
    target = tmp_path / "target"
    target.unlink(missing_ok=True)
    with pytest.raises(UntrustedError), opened_folder(folder, trust=False):
        pass
    assert not target.exists()
    tf.saved_model.load(str(folder))
    assert target.exists() == (place == "initializer")


def test_a_refusal_comes_before_tensorflow(hostile, picture, tmp_path):
    import subprocess
    import sys

    folder = hostile("early", lambda: tf_write(tmp_path / "written"))
    code = (
        "import sys; from typer.testing import CliRunner; from kvis_cli.cli.app import app\n"
        "for command in (['layers'], ['cam', sys.argv[2]], ['saliency', sys.argv[2]]):\n"
        "    ran = CliRunner().invoke(app, [command[0], sys.argv[1], *command[1:]])\n"
        "    assert ran.exit_code == 3 and 'WriteFile' in ran.stderr, ran.stderr\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), str(picture)], check=True)
    assert not (tmp_path / "written").exists()


def tf_write(target: Path) -> None:
    import tensorflow

    tensorflow.io.write_file(str(target), "x")


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


@pytest.mark.parametrize("how", ["object", "bare", "function"])
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
    elif how == "bare":
        # TensorFlow finds a function by this name alone.
        bare = meta.object_graph_def.nodes.add().bare_concrete_function
        bare.concrete_function_name = save
    else:
        caller = next(f for name, f in functions.items() if "serve" in name)
        node = caller.node_def.add(name="sneaks", op="PartitionedCall")
        node.attr["f"].func.name = save
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UntrustedError, match=r"SaveV2|Merge"):
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
    allowed = {name.decode() for name in allowed_operations()}
    assert len(allowed) > 1000
    version = script["TARGET"].read_text().split("TensorFlow ")[1]
    if version.split(".\n")[0] == tf.__version__:
        assert allowed == found
    for name in ("WriteFile", "ReadFile", "PyFunc", "PyFuncStateless", "Print", "MatchingFiles"):
        assert name not in found | allowed
    for name in ("DecodeProtoV2", "ImmutableConst", "Abort", "InitializeTableFromTextFileV2"):
        assert name not in found | allowed


# --- what TensorFlow gets to see ----------------------------------------------------------------


def operations_of(folder: Path) -> set[str]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((folder / GRAPH_FILE).read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def test_tensorflow_opens_the_bytes_that_were_judged_without_what_saves(tf, hostile):
    folder = hostile("cut", lambda: None)
    (folder / "keras_metadata.pb").write_bytes(b"not for TensorFlow")
    assert {"SaveV2", "RestoreV2"} <= operations_of(folder)
    with opened_folder(folder, trust=False) as copy:
        assert {path.name for path in copy.iterdir()} == {GRAPH_FILE, "variables"}
        assert operations_of(folder) - operations_of(copy) >= {"SaveV2", "RestoreV2"}
        # What is put into the folder afterwards is not what is opened.
        (folder / GRAPH_FILE).write_bytes(b"")
        loaded = tf.saved_model.load(str(copy))
    x = tf.random.stateless_uniform([2, 8, 8, 3], (1, 2))
    given = loaded.signatures["serving_default"](x=x)["output_0"]
    # Its weights, all ones, were restored.
    np.testing.assert_allclose(given, np.mean(x, (1, 2)).sum(-1, keepdims=True).repeat(2, 1), 1e-5)
    assert not copy.exists()
    with opened_folder(folder, trust=True) as same:
        assert same == folder


def of_tensorflow_1(tf, folder: Path, target: Path) -> None:
    """A SavedModel as TensorFlow 1 wrote it, with a node that saves to a place of its own."""
    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, (None, 8, 8, 3), name="x")
        weight = tf1.get_variable("w", initializer=tf.constant([[1.0, 2], [3, 4], [5, 6]]))
        y = tf.matmul(tf.reduce_mean(x, (1, 2)), weight, name="y")
        tf.raw_ops.SaveV2(
            prefix=str(target),
            tensor_names=["a"],
            shape_and_slices=[""],
            tensors=[tf.zeros(3)],
            name="evil",
        )
        session.run(tf1.global_variables_initializer())
        tf1.saved_model.simple_save(session, str(folder), {"x": x}, {"y": y})


def alter(folder: Path, change) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / GRAPH_FILE
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    meta = model.meta_graphs[0]
    change(meta, {node.name: node for node in meta.graph_def.node})
    path.write_bytes(model.SerializeToString())


def test_a_graph_of_tensorflow_1_is_restored_by_its_own_operations(tf, kvis, picture, tmp_path):
    folder, target = tmp_path / "v1", tmp_path / "written"
    of_tensorflow_1(tf, folder, target)
    with opened_folder(folder, trust=False) as copy:
        assert "SaveV2" not in operations_of(copy)
        assert "RestoreV2" in operations_of(copy)
        loaded = tf.saved_model.load(str(copy))
    given = loaded.signatures["serving_default"](x=tf.ones([1, 8, 8, 3]))["y"]
    np.testing.assert_allclose(given, [[9, 12]], rtol=1e-6)
    ran = kvis("saliency", folder, picture, "-c", "0", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert not list(tmp_path.glob("written*"))


@pytest.mark.parametrize("how", ["restores", "reads", "gives", "initializes"])
def test_a_graph_of_tensorflow_1_reaches_no_other_file(tf, kvis, picture, tmp_path, how):
    folder, target = tmp_path / "v1", tmp_path / "written"
    of_tensorflow_1(tf, folder, target)

    def change(meta, nodes):
        if how == "restores":
            # TensorFlow runs this node to restore the variables, when the model is loaded.
            nodes[meta.saver_def.restore_op_name].input.append("^evil")
        elif how == "reads":
            restore = next(n for n in nodes.values() if n.op == "RestoreV2")
            restore.input[0] = next(n for n in nodes.values() if n.name == "evil").input[0]
        elif how == "gives":
            nodes["y"].input.append("^evil")
        else:
            meta.collection_def["saved_model_main_op"].node_list.value.append("evil")

    alter(folder, change)
    ran = kvis("saliency", folder, picture, "-c", "0", "-o", tmp_path / "out")
    assert ran.code == ExitCode.NOT_EVALUATED
    assert ("RestoreV2" if how == "reads" else "SaveV2") in ran.err
    assert not list(tmp_path.glob("written*"))
    if how == "restores":
        # That it would have.
        tf.saved_model.load(str(folder))
        assert list(tmp_path.glob("written*"))


def test_a_gradient_of_its_own_does_not_save(tf, tmp_path):
    """The function of a gradient runs without that anything in the graph calls it."""

    def save():
        tf.raw_ops.SaveV2(
            prefix=str(tmp_path / "written"),
            tensor_names=["a"],
            shape_and_slices=[""],
            tensors=[tf.zeros(3)],
        )

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3])])
        def serve(self, x):
            @tf.custom_gradient
            def sneaks(x):
                def gradient(given):
                    save()
                    return tf.identity(given)

                return tf.identity(x), gradient

            return tf.reduce_mean(sneaks(x), (1, 2))

    model, folder = Model(), tmp_path / "saved"
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(model, str(folder), {"serving_default": model.serve}, options)

    def hide(meta, nodes):
        names = [f.signature.name for f in meta.graph_def.library.function]
        (name,) = [name for name in names if "grad_fn" in name]
        del meta.object_graph_def.concrete_functions[name]

    with pytest.raises(UntrustedError, match="SaveV2"):
        check_savedmodel(folder)
    alter(folder, hide)
    # Nothing names it now, and it is cut out: asking for the gradient fails in TensorFlow.
    with opened_folder(folder, trust=False) as copy:
        assert "SaveV2" not in operations_of(copy)


# --- bytes that were made to take long ----------------------------------------------------------


def field(number: int, value: bytes) -> bytes:
    return encoded(number << 3 | 2) + encoded(len(value)) + value


def node(name: bytes, operation: bytes, *attributes: bytes) -> bytes:
    return field(1, name) + field(2, operation) + b"".join(field(5, a) for a in attributes)


def function(name: bytes, *nodes: bytes) -> bytes:
    return field(1, field(1, field(1, name)) + b"".join(field(3, n) for n in nodes))


def judged(graph: bytes, more: bytes = b"") -> SavedGraph:
    return SavedGraph(field(2, field(2, graph) + more), allowed_operations())


def chain() -> bytes:
    """A function calls the next one, and the last one saves."""
    calls = [b"f%d" % i for i in range(10_000)]
    pairs = zip(calls, [*calls[1:], b"SaveV2"], strict=True)
    return field(2, b"".join(function(name, node(b"n", called)) for name, called in pairs))


LONG = {
    "chain": chain,
    "nodes": lambda: field(1, node(b"", b"NoOp")) * 1_000_000,
    "attributes": lambda: field(1, node(b"n", b"NoOp") + b"\x2a\x00" * 3_000_000),
    "operations": lambda: b"".join(field(1, node(b"n", b"Op%d" % i)) for i in range(30_000)),
    "functions": lambda: field(1, node(b"n", b"NoOp", field(2, b"\x52\x00" * 3_000_000))),
    "savers": lambda: field(
        2, b"".join(function(b"f%d" % i, node(b"n", b"SaveV2")) for i in range(20_000))
    ),
    "saving nodes": lambda: b"".join(
        field(1, node(b"n%d" % (i + 1), b"SaveV2") + field(3, b"n%d" % i)) for i in range(20_000)
    ),
}


SLOW = ("attributes", "functions")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in LONG]
)
def test_no_graph_takes_long(name):
    """In a few seconds of this process; some of these once took minutes."""
    import time

    graph = LONG[name]()
    began = time.process_time()
    try:
        judged(graph)
    except ValueError as error:
        assert "absurdly many" in str(error)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (field(1, field(2, b"NoOp") + field(2, b"WriteFile")), "two operations"),
        (field(1, node(b"a", b"NoOp") + field(1, b"b")), "two names"),
        (field(1, b"\x10\x01"), "wrong type"),
        (field(2, b"") * 2, "twice"),
        (field(2, function(b"f") * 2), "two functions of one name"),
        (field(1, b"\x2a\x7f"), "outside its message"),
    ],
)
def test_what_readers_could_read_in_two_ways_is_refused(graph, says):
    with pytest.raises(ValueError, match=says):
        judged(graph)


def test_protobuf_reads_nothing_else_from_what_passes(tf, hostile, tmp_path):
    """Of damaged graphs that pass, TensorFlow's own reader finds allowed operations alone."""
    import random

    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    of_tensorflow_1(tf, tmp_path / "v1", tmp_path / "written")
    sound = [f / GRAPH_FILE for f in (hostile("fuzzed", lambda: None), tmp_path / "v1")]
    seeds = [path.read_bytes() for path in sound]
    allowed = {name.decode() for name in allowed_operations()}
    rng, passed = random.Random(4), 0
    for _ in range(800):
        data = bytearray(rng.choice(seeds))
        at, other = rng.randrange(len(data)), rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 2:
            data[at:at] = data[other : other + rng.randrange(1, 200)]
        else:
            data[at : at + 9] = b"WriteFile"
        try:
            graph = SavedGraph(bytes(data), allowed_operations())
            if graph.findings:
                continue
            model = saved_model_pb2.SavedModel.FromString(b"".join(graph.without_saving()))
        except (ValueError, DecodeError):
            continue
        passed += 1
        for meta in model.meta_graphs:
            is_called = meta.HasField("object_graph_def") and len(model.meta_graphs) == 1
            library = meta.graph_def.library.function
            known = allowed | {f.signature.name for f in library}
            known |= set() if is_called else {"RestoreV2"}
            nodes = [*meta.graph_def.node, *(n for f in library for n in f.node_def)]
            assert {n.op for n in nodes} <= known
    assert passed > 50


def test_functions_are_found_in_attributes_of_attributes():
    inner = field(2, field(10, field(1, b"hidden")))
    outer = field(2, field(1, field(9, field(1, b"f") + field(2, inner))))
    library = field(2, function(b"f") + function(b"hidden", node(b"w", b"WriteFile")))
    (found,) = judged(field(1, node(b"n", b"NoOp", outer)) + library).findings
    assert (found.operation, found.node, found.function) == ("WriteFile", "w", "hidden")
    (found,) = judged(field(1, node(b"n", b"NoOp", outer)) + field(2, function(b"f"))).findings
    assert found.operation == "hidden"
    deep = b"f"
    for _ in range(40):
        deep = field(1, b"f") + field(2, field(2, field(10, deep)))
    with pytest.raises(ValueError, match="too deep"):
        judged(field(1, node(b"n", b"NoOp", field(2, field(10, deep)))))


def test_names_of_the_file_are_made_printable(tmp_path):
    bad = field(1, node(b"a\x1b[31m\n" + b"x" * 500, b"Evil\x07"))
    (tmp_path / GRAPH_FILE).write_bytes(field(2, field(2, bad)))
    with pytest.raises(UntrustedError) as caught:
        check_savedmodel(tmp_path)
    said = str(caught.value)
    assert "Evil\\x07" in said
    assert said.isprintable()
    assert len(said) < 500


# --- old and incomplete folders ------------------------------------------------------------------


def test_folders_without_their_variables_are_refused_in_one_sentence(tf, tmp_path):
    import shutil

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.ones([3, 2]))

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def serve(self, x):
            return x @ self.weight

    model = Model()
    whole = tmp_path / "whole"
    tf.saved_model.save(model, str(whole), signatures=model.serve)
    check_savedmodel(whole)
    data = "variables.data-00000-of-00001"
    for names, missing in (
        ((data,), data), (("variables.index",), "variables.index"),
        ((data, "variables.index"), data),
    ):  # fmt: skip
        folder = tmp_path / missing / str(len(names))
        shutil.copytree(whole, folder)
        for name in names:
            (folder / "variables" / name).unlink()
        with pytest.raises(ModelError, match=f"there is no 'variables/{missing}' in it"):
            check_savedmodel(folder)
    folder = tmp_path / "sharded"
    shutil.copytree(whole, folder)
    (folder / "variables" / data).rename(folder / "variables/variables.data-00001-of-00002")
    with pytest.raises(ModelError, match=r"no 'variables/variables\.data-00000-of-00002'"):
        check_savedmodel(folder)
    bare = tmp_path / "bare"
    tf.saved_model.save(
        tf.Module(), str(bare), signatures=tf.function(lambda x: x * 2).get_concrete_function(
            tf.TensorSpec([None, 3])
        )
    )  # fmt: skip
    shutil.rmtree(bare / "variables")
    check_savedmodel(bare)


def test_the_slots_of_an_optimizer_that_is_gone_are_left_out(tf, tmp_path):
    import tf_keras
    from tensorflow.core.protobuf import saved_model_pb2

    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.request import ModelSpec

    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    pixels = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    model.fit(pixels, np.ones((4, 3)), verbose=0)
    folder = tmp_path / "old"
    model.save(folder, save_format="tf")
    path = folder / GRAPH_FILE
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString(path.read_bytes())
    objects = proto.meta_graphs[0].object_graph_def.nodes
    optimizers = [node for node in objects if node.slot_variables]
    assert optimizers
    for node in optimizers:
        # As an optimizer that this TensorFlow does not know any more.
        node.user_object.identifier = "optimizer_of_another_time"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(str(folder))
    opened = open_model(describe_model(ModelSpec(path=str(folder))))
    np.testing.assert_allclose(
        np.asarray(opened.model(pixels)), model.predict(pixels, verbose=0), atol=1e-6
    )
