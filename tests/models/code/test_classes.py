"""Modules for models with classes of their own: begun by kvis, completed, and predicting."""

from __future__ import annotations

import ast
import sys

import numpy as np
import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.code.classes import classes_code, own_classes
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.trust import check_file
from kvis_cli.models.files.weight_layers import StoredLayer
from kvis_cli.models.live.open import open_model
from kvis_cli.models.request import ModelSpec


def transformer(keras):
    """A model with a block as tutorials write it, and a layer with weights of its own."""
    layers = keras.layers

    class TransformerBlock(layers.Layer):
        def __init__(self, width, heads=2, **kwargs):
            super().__init__(**kwargs)
            self.width, self.heads = width, heads
            self.att = layers.MultiHeadAttention(heads, width // heads)
            self.ffn = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(width)])
            self.norm = layers.LayerNormalization()

        def build(self, shape):
            self.att.build(shape, shape)
            self.ffn.build(shape)
            self.norm.build(shape)
            self.built = True

        def call(self, x):
            return self.norm(x + self.ffn(self.att(x, x)))

        def get_config(self):
            return {**super().get_config(), "width": self.width, "heads": self.heads}

    class Scaled(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="normal")

        def call(self, x):
            return x * self.factor

    return keras.Sequential(
        [keras.Input((6, 4)), layers.Dense(4), TransformerBlock(4, name="block_one"),
         TransformerBlock(4, name="block_two"), Scaled(name="scaled"), layers.Flatten(),
         layers.Dense(2)]
    )  # fmt: skip


CALLS = {
    "TransformerBlock": "return self.norm(x + self.ffn(self.att(x, x)))",
    "Scaled": "return x * self.factor",
}


def completed(text):
    """The module with the body of each call, as its author would write it."""
    for name, body in CALLS.items():
        text = text.replace(
            f'raise NotImplementedError("what {name} computes is not in the file")',
            body.replace("x", "inputs").replace("inputsatt", "xatt"),
        )
    return text


@pytest.fixture
def saved(tf, tmp_path, monkeypatch):
    import keras

    keras.utils.set_random_seed(3)
    model = transformer(keras)
    for weight in model.weights:
        weight.assign(weight + 0.05)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return model


@pytest.mark.slow
def test_begun_completed_and_the_same(saved, kvis, tmp_path):
    path = tmp_path / "blocks.keras"
    saved.save(path)
    ran = kvis("init-code", path)
    assert ran.code == 0 and ran.out == "blocks_code.py\n"
    names = "blocks_code:TransformerBlock,blocks_code:Scaled"
    assert f"--custom-objects {names}" in " ".join(ran.err.split())
    text = (tmp_path / "blocks_code.py").read_text()
    for line in (
        "def __init__(self, width=4, heads=2, **kwargs):",
        "self.att = keras.layers.MultiHeadAttention(2, 2)",
        "self.ffn = keras.Sequential([keras.layers.Dense(5), keras.layers.Dense(4)])",
        "self.norm = keras.layers.LayerNormalization()",
        'add_weight(name="weight_0", shape=(4,))',
        '"""In the file: block_one, block_two."""',
    ):
        assert line in text
    # What the file does not have is written by who knows it: calls and an activation.
    text = completed(text).replace("Dense(5)", 'Dense(5, activation="relu")')
    (tmp_path / "blocks_code.py").write_text(text.replace("weight_0", "factor"))
    found = open_model(describe_model(ModelSpec(path=str(path), custom_objects=names.split(","))))
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(found.model(x)), np.asarray(saved(x)), atol=1e-6)


@pytest.mark.slow
def test_the_class_and_the_layer_are_named_in_one_sentence(saved, kvis, tmp_path):
    for path in (tmp_path / "blocks.keras", tmp_path / "blocks.h5"):
        saved.save(path)
        info = describe_model(ModelSpec(path=str(path)))
        with pytest.raises(ModelError) as caught:
            check_file(info)
        what = caught.value.what
        assert "TransformerBlock in the layer 'block_one'" in what and len(what) < 300
        assert f"kvis init-code {path}" in caught.value.hint
        # Where the file is trusted, its modules are looked for, and are not there.
        with pytest.raises(ModelError) as caught:
            open_model(describe_model(ModelSpec(path=str(path), trust=True)))
        assert "TransformerBlock in the layer 'block_one'" in caught.value.what
        assert "Full object config" not in str(caught.value)


@pytest.mark.slow
def test_weights_of_hdf5_files_are_found_by_the_name_of_the_layer(saved, kvis, tmp_path):
    saved.save(tmp_path / "old.h5")
    assert kvis("init-code", tmp_path / "old.h5").code == 0
    text = (tmp_path / "old_code.py").read_text()
    assert "class Scaled(keras.layers.Layer)" in text and "shape=(4,)" in text
    assert "keras.layers.Dense(5)" in text


def test_a_model_of_keras_own_classes_needs_no_code(kvis, tiny_model):
    ran = kvis("init-code", tiny_model)
    assert ran.code == 2 and "needs no code" in ran.err


def test_names_and_settings_of_a_file_are_never_code():
    evil = 'x"""\nimport os\nos.system("true")\n"""'
    layer = {
        "class_name": "Mine", "module": "mine",
        "config": {
            "name": evil, "size": evil, evil: 3, "class": 1, "more": [evil], "deep": {"a": 1},
        },
    }  # fmt: skip
    bad = {"class_name": evil, "module": "mine", "config": {"name": "b"}}
    config = {"class_name": "Sequential", "module": "keras", "config": {"layers": [layer, bad]}}
    stored = [
        StoredLayer(f"{evil}/a", ((evil, (2, 3)), ("b", (3,)))),
        StoredLayer(evil, ((evil, (2,)),)),
    ]
    text = classes_code(own_classes(config, stored, ordered=True), evil)
    tree = ast.parse(text)
    assert [type(node).__name__ for node in tree.body] == ["Expr", "Import", "ClassDef"]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    plain = {"keras", "self", "super", "NotImplementedError", "kwargs", "size", "more", "deep"}
    assert names <= plain
