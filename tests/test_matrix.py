"""Every kind of model × every command: a checked result, or a checked and explained refusal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.odd_models import KINDS, SIZE

pytestmark = pytest.mark.slow

# Kinds that are the same network in other words: given the same weights, all maps are the same.
TWINS = [
    "functional",
    "softmax layer",
    "Sequential with Input",
    "Sequential, built",
    "Sequential, called",
    "nested base in Functional",
    "nested base in Sequential",
    "nested three deep",
    "augmentation in front",
    "channels first",
    "mixed_float16",
    "mixed_bfloat16",
]


@pytest.fixture(scope="module")
def made(tf, tmp_path_factory):
    """A kind's model with seeded weights, its files, and the input that is explained."""
    import keras

    folder = tmp_path_factory.mktemp("kinds")
    found = {}

    def make(name):
        if name in found:
            return found[name]
        kind = KINDS[name]
        rng = np.random.default_rng(3)
        keras.utils.set_random_seed(3)
        model = kind.make()
        for weight in model.weights:
            if weight.dtype != "uint32":
                values = rng.normal(0.05, 0.3, weight.shape)
                # A head of positive weights, so that no map is blank.
                head = len(weight.shape) == 2 or weight.shape[:2] == (1, 1)
                weight.assign(np.abs(values) if head else values)
        here = folder / name.replace(" ", "_").replace("/", "_")
        here.mkdir()
        files = {}
        for suffix in kind.formats:
            files[suffix] = here / f"model.{suffix}"
            model.save(files[suffix])
        if kind.inputs == "picture":
            size = (28, 32) if "--size" in kind.options else (SIZE, SIZE)
            pixels = rng.integers(0, 256, (*size, 3), np.uint8)
            source = here / "input.png"
            Image.fromarray(pixels).save(source)
            example = pixels.astype(np.float32)
        else:
            whole = rng.integers(0, 50, kind.inputs)
            example = whole if kind.tokens else rng.normal(size=kind.inputs).astype(np.float32)
            source = here / "input.npy"
            np.save(source, example)
        found[name] = kind, model, files, source, example
        return found[name]

    return make


def inputs_of(name, x):
    """What the model takes, put together by hand from a batch of pictures, or of arrays."""
    if name not in ("augmentation in front", "uint8 input") and KINDS[name].inputs == "picture":
        x = x / 255
    if name == "channels first":
        return np.moveaxis(x, -1, 1)
    if name == "siamese":
        return [x, np.full_like(x, 0.5)]
    if name == "image and table, 2 outputs":
        return [x, np.zeros((len(x), 5), np.float32)]
    if name == "dict inputs and outputs":
        return {"photo": x, "facts": np.full((len(x), 5), 0.25, np.float32)}
    return x


def first(value):
    if isinstance(value, dict):
        return next(iter(value.values()))
    return value[0] if isinstance(value, list | tuple) else value


def read_through(name, model):
    """From a batch of inputs to the tensor that CAM reads and the scores before their softmax."""
    import keras
    import tensorflow as tf

    for layer in model._flatten_layers():
        if getattr(layer, "activation", None) in (
            keras.activations.softmax,
            keras.activations.sigmoid,
        ):
            layer.activation = keras.activations.linear
    if name == "subclassed":

        def run(x):
            maps = model.block(model.stem(x))
            side = tf.tanh(model.side(maps))
            pooled = tf.reduce_mean(maps, (1, 2)) + tf.reduce_mean(side, (1, 2))
            return maps, model.classes(pooled)

        return run
    scores = model.get_layer("classes").output if name == "softmax layer" else None
    scores = first(model.outputs) if scores is None else scores
    # A layer inside a nested model, and that of a table, is not looked for: scores alone are asked.
    tensor = scores
    if name == "shared layer (2 calls)":
        tensor = model.get_layer("pool").input
    elif KINDS[name].layer and "/" not in KINDS[name].layer:
        tensor = model.get_layer(KINDS[name].layer).output
    structure = getattr(model, "_inputs_struct", None)
    cut = keras.Model(model.inputs if structure is None else structure, [tensor, scores])
    return lambda x: cut(x, training=False)


def wanted_of(scores, unit):
    """What `maximize` raises, per input: the score, and 5 times its log-probability.

    A map of classes counts at its mean.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape[-1] > 1:
        score = scores[..., unit]
        probability = score - np.log(np.exp(scores).sum(-1))
    else:
        score = scores[..., 0]
        probability = -np.log1p(np.exp(-score))
    return [x.reshape(len(x), -1).mean(1) for x in (score, score + 5 * probability)]


def literal(name, model, example):
    """Grad-CAM and gradient saliency of class 1, through a model cut by hand at its layer."""
    import keras
    import tensorflow as tf

    run = read_through(name, model)
    inputs = keras.tree.map_structure(tf.constant, inputs_of(name, example[np.newaxis]))

    @tf.function(autograph=False)
    def explain(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            maps, scores = run(x)
            score = scores[..., 1 if scores.shape[-1] > 1 else 0]
            # A map of classes is explained at its mean.
            score = tf.reduce_mean(score)
        return maps, tape.gradient(score, maps), tape.gradient(score, first(x))

    maps, gradient, pixels = explain(inputs)
    maps, gradient = maps.numpy()[0], gradient.numpy()[0]
    weights = gradient.reshape(-1, gradient.shape[-1]).mean(0)
    cam = np.maximum((maps * weights).sum(-1), 0)
    saliency = None
    if pixels is not None and not KINDS[name].no_gradient:
        saliency = np.abs(pixels.numpy()[0]).max(0 if name == "channels first" else -1)
    return cam, saliency


def explained(kvis, command, file, source, kind, tmp_path, *extra):
    ran = kvis(
        command, file, source, "--class", "1", "--raw", "-o", tmp_path, *kind.options, *extra
    )
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    return np.load(tmp_path / rows[0]["raw"])["map"], rows[0]


def same(a, b, tolerance=1e-5):
    """Equal up to the scale of the map, which is what a picture shows; and not blank."""
    assert a.shape == b.shape
    assert b.max() > 0
    np.testing.assert_allclose(a / a.max(), b / b.max(), atol=tolerance)


LITERAL = [
    name
    for name, kind in KINDS.items()
    if kind.layer and "/" not in kind.layer and name not in ("Sequential, built",)
]


@pytest.mark.parametrize("name", LITERAL)
def test_cam_is_the_formula(kvis, made, name, tmp_path):
    kind, model, files, source, example = made(name)
    found = [explained(kvis, "cam", f, source, kind, tmp_path / s) for s, f in files.items()]
    assert {row["layer"] for _, row in found} == {kind.layer}
    # Weights are drawn anew in float32; what was saved in low precision is explained in float32.
    if name.startswith("mixed"):
        pytest.skip("compared with its float32 twin below")
    wanted, _ = literal(name, model, example)
    for raw, _ in found:
        same(raw, wanted)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("command", ["cam", "saliency"])
def test_twins_have_equal_maps(kvis, made, command, name, tmp_path):
    _, flat, flat_files, _, _ = made("functional")
    kind, model, files, source, _ = made(name)
    own = [w for w in model.weights if w.dtype != "uint32"]
    assert [w.shape for w in own] == [w.shape for w in flat.weights]
    reference = made("functional")
    wanted, _ = explained(
        kvis, command, flat_files["keras"], source, reference[0], tmp_path / "flat"
    )
    for suffix, file in files.items():
        raw, _ = explained(kvis, command, file, source, kind, tmp_path / suffix)
        if name == "augmentation in front" and command == "saliency":
            # Its input is pixels, not pixels / 255.
            raw = raw * 255
        assert wanted.max() > 0
        np.testing.assert_allclose(raw, wanted, atol=1e-6 * max(1.0, float(wanted.max())))


SALIENCY = [n for n, k in KINDS.items() if n in LITERAL and not k.no_gradient]


@pytest.mark.parametrize("name", SALIENCY)
def test_saliency_is_the_gradient(kvis, made, name, tmp_path):
    kind, model, files, source, example = made(name)
    if name.startswith("mixed"):
        pytest.skip("compared with its float32 twin")
    raw, _ = explained(kvis, "saliency", files["keras"], source, kind, tmp_path)
    _, wanted = literal(name, model, example)
    assert wanted is not None
    same(raw, wanted)


@pytest.mark.parametrize("name", [n for n, k in KINDS.items() if k.no_gradient])
def test_saliency_of_whole_numbers_is_refused_by_name(kvis, made, name, tmp_path):
    kind, _, files, source, _ = made(name)
    for file in files.values():
        ran = kvis("saliency", file, source, "-o", tmp_path, *kind.options)
        assert ran.code == 2
        assert f"whole numbers ({kind.no_gradient})" in ran.err
        assert "occlusion" in ran.err


@pytest.mark.parametrize("name", [n for n, k in KINDS.items() if k.refused])
def test_cam_is_refused_with_the_reason(kvis, made, name, tmp_path):
    kind, _, files, source, _ = made(name)
    for file in files.values():
        ran = kvis("cam", file, source, "-o", tmp_path)
        assert ran.code == 2
        assert kind.refused in ran.err
        assert "saliency" in ran.err
        assert kvis("saliency", file, source, "-o", tmp_path).code == 0


@pytest.mark.parametrize("name", KINDS)
def test_layers_lists_what_is_there(kvis, made, name):
    kind, model, files, _, _ = made(name)
    counted = sum(int(np.prod(w.shape)) for w in model.weights if w.dtype != "uint32")
    for file in files.values():
        ran = kvis("layers", file, "--json", *kind.options)
        assert ran.code == 0, ran.err
        document = json.loads(ran.out)
        if name != "custom layer":
            # Without its code nothing is known of a custom layer: not its weights, not its shape.
            assert document["params"] == counted
            assert document["cam_layer"] == (kind.layer or None)


@pytest.mark.parametrize("name", KINDS)
def test_maximize_finds_what_no_chance_finds(kvis, made, name, tmp_path):
    kind, model, files, _, _ = made(name)
    options = [o for o in kind.options if o not in ("--size", "32x28")]
    # The score alone: nothing else may pull against it.
    alone = ("--tv", "0", "--lp", "0", "--jitter", "0", "--rotate", "0")
    ran = kvis("maximize", files["keras"], "--class", "1", "--steps", "160", "--raw",
               "-o", tmp_path, *options, *alone)  # fmt: skip
    if kind.no_gradient:
        assert ran.code == 2
        assert f"whole numbers ({kind.no_gradient})" in ran.err
        return
    assert ran.code == 0, ran.err
    (row,) = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    rng = np.random.default_rng(0)
    if kind.inputs == "picture":
        found = np.asarray(Image.open(tmp_path / row["file"]), np.float32)[np.newaxis]
        by_chance = rng.uniform(0, 255, (100, *found.shape[1:]))
        plain = np.linspace(0, 255, 11)
    else:
        found = np.load(tmp_path / row["raw"])["inputs"][np.newaxis]
        by_chance = rng.uniform(found.min(), found.max(), (100, *found.shape[1:]))
        plain = np.linspace(found.min(), found.max(), 11)
    plain = np.broadcast_to(plain.reshape(-1, *[1] * (found.ndim - 1)), (11, *found.shape[1:]))
    run = read_through(name, model)
    (score, found), (_, by_chance), (_, plain) = (
        wanted_of(run(inputs_of(name, np.float32(x)))[1], 1) for x in (found, by_chance, plain)
    )
    # What is on disk is worth what the manifest says. (Low precision is explained in float32.)
    tolerance = 5e-3 if name.startswith("mixed") else 1e-3
    assert row["score_saved"] == pytest.approx(float(score[0]), rel=tolerance)
    # It is worth more than noise ever is. One plain colour may be the best of all pictures where
    # all weights of the head are positive, but not those before it.
    assert found[0] > by_chance.max()
    assert found[0] > np.percentile(plain, 90)


@pytest.mark.parametrize("name", [n for n, k in KINDS.items() if k.layer])
def test_filters_make_an_atlas(kvis, made, name, tmp_path):
    kind, _, files, _, _ = made(name)
    skipped = ("--size", "32x28", "--output", "kind")
    options = [o for o in kind.options if o not in skipped]
    if name == "siamese":
        # Its other input has a size of its own.
        options += ["--size", str(SIZE)]
    ran = kvis(
        "filters", files["keras"], "--layer", kind.layer, "--filters", "0-2", "--steps", "4",
        "-o", tmp_path, *options,
    )  # fmt: skip
    if kind.no_gradient:
        assert ran.code == 2
        assert f"whole numbers ({kind.no_gradient})" in ran.err
        return
    assert ran.code == 0, ran.err
    (row,) = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert row["layer"] == kind.layer
    assert max(row["scores"]) > 0


def test_one_job_over_many_kinds(kvis, made, tmp_path):
    names = [n for n in TWINS if n not in ("channels first",)][:6]
    source = made("functional")[3]
    job = {
        "version": 1,
        "models": [{"path": str(made(name)[2]["keras"])} for name in names],
        "images": [str(source)],
        "tasks": [{"cam": {"class": 1, "raw": True}}, {"saliency": {"class": 1, "raw": True}}],
        "output": str(tmp_path / "out"),
    }
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    ran = kvis("run", tmp_path / "job.yaml")
    assert ran.code == 0, ran.err
    rows = [json.loads(x) for x in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row.get("status") == "done"]
    assert len(rows) == 2 * len(names)
    for kind in ("cam", "saliency"):
        maps = [np.load(tmp_path / "out" / r["raw"])["map"] for r in rows if r["kind"] == kind]
        for raw in maps[1:]:
            np.testing.assert_allclose(raw, maps[0], atol=1e-6)
