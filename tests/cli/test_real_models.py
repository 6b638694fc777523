"""Every command on every file of the real models: known answers, or an explained refusal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

STEERING = ("--replace-layer", "lambda_1=rescaling:scale=1/127.5,offset=-1")
EMOTIONS = [
    f"checkpoints/fer2013_mini_XCEPTION.{run}.hdf5"
    for run in ("00-0.47", "05-0.56", "102-0.66", "15-0.60", "32-0.62", "51-0.63", "70-0.63")
]
# File, photo, what has to be given, the layer that `auto` takes, the first classes where known.
FILES = [
    ("models/mobilenet_v1_025_224.keras", "cat.jpg", ("--labels", "imagenet"), "conv_pw_13_relu",
     [("Egyptian_cat", 0.525), ("tabby", 0.387), ("tiger_cat", 0.054)]),
    ("models/mobilenet_v1_025_224.h5", "ouzel1.jpg", (), "conv_pw_13_relu",
     [("water_ouzel", 0.998)]),
    ("models/squeezenet_v10_227.keras", "cat.jpg", (), None,
     [("tabby", 0.639), ("Egyptian_cat", 0.253), ("tiger_cat", 0.102)]),
    ("models/resnet8_cifar10_keras24.h5", "cat.jpg", ("--preprocess", "none"), "activation_6",
     [("3", 0.997)]),
    ("models/person_mobilenet_96_keras24.h5", "soldiers.jpg", ("--preprocess", "unit"),
     "activation_26", None),
    ("models/teachable_machine_waste.h5", "cat.jpg", (), "sequential_1/model1/out_relu",
     [("cardboard", 0.972)]),
    ("models/steering_keras12.h5", "road_left.png", STEERING, "convolution2d_4", None),
    *((file, "faces.jpg", ("--preprocess", "signed"), "conv2d_7", None) for file in EMOTIONS),
]  # fmt: skip

# The layer of the filters that are shown, where it is not that of the emotion checkpoints.
FILTERED = {
    "models/mobilenet_v1_025_224.keras": "conv_pw_3",
    "models/mobilenet_v1_025_224.h5": "conv_pw_3",
    "models/squeezenet_v10_227.keras": "fire3_expand3x3",
    "models/resnet8_cifar10_keras24.h5": "conv2d_3",
    "models/person_mobilenet_96_keras24.h5": "conv2d_3",
    "models/teachable_machine_waste.h5": "sequential_1/model1/block_3_expand",
    "models/steering_keras12.h5": "convolution2d_3",
}


@pytest.fixture(scope="module")
def face(real_data, tmp_path_factory):
    """The face in front of the group."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    with Image.open(real_data / "photos/faces.jpg") as image:
        image.crop((850, 780, 1450, 1380)).convert("L").save(path)
    return path


def rows(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("file", "photo", "options", "layer", "top"), FILES)
@pytest.mark.parametrize("command", ["cam", "saliency"])
def test_explains(kvis, real_data, face, command, file, photo, options, layer, top, tmp_path):
    picture = face if photo == "faces.jpg" else real_data / "photos" / photo
    ran = kvis(command, real_data / file, picture, "--raw", "-o", tmp_path, *options)
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path)
    raw = np.load(tmp_path / row["raw"])["map"]
    assert np.isfinite(raw).all() and raw.max() > 0
    with Image.open(picture) as photo_file, Image.open(tmp_path / row["file"]) as drawn:
        assert drawn.size == photo_file.size
    if command == "cam" and layer:
        assert row["layer"] == layer
    for (label, value), (wanted, probability) in zip(row["top"], top or [], strict=False):
        assert label == wanted
        assert value == pytest.approx(probability, abs=6e-4)


@pytest.mark.parametrize(("file", "options"), [(f[0], f[2]) for f in FILES])
def test_lists(kvis, real_data, file, options):
    ran = kvis("layers", real_data / file, "--json", *options)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["params"] > 10_000
    assert document["cam_layer"]
    assert document["refused"] == ""
    assert bool(document["upgrades"]) == (document["keras_version"][:1] in "12")


@pytest.mark.parametrize(("file", "options"), [(f[0], f[2]) for f in FILES])
def test_maximizes(kvis, real_data, file, options, tmp_path):
    options = [o for o in options if o not in ("--labels", "imagenet")]
    ran = kvis(
        "maximize", real_data / file, "--class", "0", "--steps", "3", "-o", tmp_path, *options
    )
    assert ran.code == 0, ran.err
    assert np.isfinite(rows(tmp_path)[0]["score"])


@pytest.mark.parametrize(("file", "options"), [(f[0], f[2]) for f in FILES])
def test_filters(kvis, real_data, file, options, tmp_path):
    options = [o for o in options if o not in ("--labels", "imagenet")]
    layer = FILTERED.get(file, "conv2d_7")
    ran = kvis("filters", real_data / file, "--layer", layer, "--filters", "1-2", "--steps", "8",
               "--raw", "-o", tmp_path, *options)  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path)
    assert row["layer"] == layer
    assert np.isfinite(row["scores"]).all() and len(row["scores"]) == 2
    # Eight steps move each filter above what it makes of the picture that it began with.
    assert max(row["scores"]) > 0
    with Image.open(tmp_path / row["file"]) as sheet:
        assert np.asarray(sheet.convert("L"), np.float32).std() > 5


def test_one_job_over_all_files(kvis, real_data, face, tmp_path):
    """Every file by `kvis run`: the maps are those of the single commands, in one manifest."""
    models = []
    for file, _, options, _, _ in FILES:
        model = {"path": str(real_data / file)}
        pairs = dict(zip(options[::2], options[1::2], strict=True))
        model |= {k: pairs[f"--{k}"] for k in ("labels", "preprocess") if f"--{k}" in pairs}
        if "--replace-layer" in pairs:
            name, _, layer = pairs["--replace-layer"].partition("=")
            model["replace_layer"] = {name: layer}
        models.append(model)
    job = {
        "version": 1,
        "models": models,
        "images": [str(face)],
        "tasks": [{"cam": {"class": 0, "raw": True}}],
        "output": str(tmp_path / "out"),
    }
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    ran = kvis("run", tmp_path / "job.yaml")
    assert ran.code == 0, ran.err
    found = rows(tmp_path / "out")
    assert [row["status"] for row in found] == ["done"] * len(FILES)
    file, _, options, _, _ = FILES[2]
    alone = tmp_path / "alone"
    ran = kvis("cam", real_data / file, face, "-c", "0", "--raw", "-o", alone, *options)
    assert ran.code == 0, ran.err
    (row,) = rows(alone)
    (same,) = [r for r in found if "squeezenet" in r["file"] or "squeezenet" in r.get("model", "")]
    a, b = (np.load(f / r["raw"])["map"] for f, r in ((alone, row), (tmp_path / "out", same)))
    np.testing.assert_allclose(b, a, atol=1e-6 * max(1.0, float(a.max())))


@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_the_steering_model_of_keras_1_is_explained_both_ways(kvis, real_data, direction, tmp_path):
    roads = sorted((real_data / "photos").glob("road_*.png"))
    file = real_data / "models/steering_keras12.h5"
    ran = kvis("cam", file, *roads, *STEERING, "--direction", direction, "--raw", "-o", tmp_path)
    assert ran.code == 0, ran.err
    found = {row["file"].partition("_gradcam")[0]: row for row in rows(tmp_path)}
    assert list(found) == ["road_center", "road_left", "road_right"]
    for name, row in found.items():
        raw = np.load(tmp_path / row["raw"])["map"]
        positive = by_hand(real_data, name) * (1 if direction == "increase" else -1)
        np.testing.assert_allclose(raw, np.maximum(positive, 0), atol=1e-4 * np.ptp(positive))
        # Where everything pulls one way, the other way's map is blank, and that is said.
        blank = not raw.any()
        assert blank == (name == "road_left" and direction == "decrease")
        assert row["warnings"] == (["all values are zero"] if blank else [])
    assert ("--direction increase shows" in ran.err) == (direction == "decrease")


def by_hand(real_data, road):
    """Grad-CAM of the steering angle before its rectifier, from weights read by h5py alone."""
    import h5py
    import tensorflow as tf

    from kvis_cli.images.fitting import fit_photo
    from kvis_cli.images.photo import read_photo

    pixels, _ = fit_photo(read_photo(real_data / f"photos/{road}.png").pixels, 66, 200, 3, "resize")
    x = tf.constant(pixels[np.newaxis], tf.float32) / 127.5 - 1
    with h5py.File(real_data / "models/steering_keras12.h5") as h5:
        group = h5["model_weights"]
        weights = {
            name.decode(): [
                np.float32(group[name][key]) for key in group[name].attrs["weight_names"]
            ]
            for name in group.attrs["layer_names"]
        }

    def convolution(x, number):
        kernel, bias = weights[f"convolution2d_{number}"]
        return tf.nn.elu(tf.nn.conv2d(x, kernel, 2 if number < 4 else 1, "VALID") + bias)

    @tf.function(autograph=False)
    def run(x):
        for number in range(1, 5):
            x = convolution(x, number)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reshape(convolution(x, 5), (1, -1))
            for number in range(1, 5):
                kernel, bias = weights[f"dense_{number}"]
                y = y @ kernel + bias
                y = tf.nn.elu(y) if number < 4 else y
        return x, tape.gradient(y, x)

    maps, gradient = (value.numpy()[0] for value in run(x))
    return (maps * gradient.mean((0, 1))).sum(-1)


def test_the_steering_models_lambda_is_refused_before_tensorflow(kvis, real_data, tmp_path):
    file = real_data / "models/steering_keras12.h5"
    road = real_data / "photos/road_left.png"
    for command in (("cam", file, road), ("saliency", file, road), ("maximize", file)):
        ran = kvis(*command, "--class", "0", "-o", tmp_path)
        assert ran.code == 3
        assert "'lambda_1'" in ran.err and "--replace-layer lambda_1=rescaling" in ran.err
        assert "starting TensorFlow" not in ran.err
    ran = kvis("cam", file, road, "--trust", "-o", tmp_path)
    assert ran.code == 3
    assert "another Python version" in ran.err


def test_the_same_pixels_from_both_formats(kvis, real_data, tmp_path):
    pictures = []
    for suffix in ("keras", "h5"):
        out = tmp_path / suffix
        file = real_data / f"models/mobilenet_v1_025_224.{suffix}"
        ran = kvis("cam", file, real_data / "photos/cat.jpg", "--class", "281", "-o", out)
        assert ran.code == 0, ran.err
        pictures.append(np.asarray(Image.open(next(out.glob("*.png")))))
    np.testing.assert_array_equal(*pictures)


def test_a_sidecar_keeps_what_was_said(kvis, real_data, tmp_path):
    file = tmp_path / "steering.h5"
    file.symlink_to(real_data / "models/steering_keras12.h5")
    road = real_data / "photos/road_left.png"
    assert kvis("init-sidecar", file, *STEERING).code == 0
    assert kvis("init-sidecar", file).code == 2
    ran = kvis("cam", file, road, "-o", tmp_path / "o")
    assert ran.code == 0, ran.err
    assert "preprocessing none" in ran.err
