"""The preprocessing that the weights speak for."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from kvis_cli.models.description.evidence.feeding import choose, stated
from kvis_cli.models.description.evidence.hypotheses import COLOUR, GREY, as_grey
from kvis_cli.models.description.evidence.photos import generated_photos
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.preprocessing import PRESETS
from kvis_cli.models.request import build_model_spec

# Other photos than those that kvis looks at.
PHOTOS = generated_photos(37, 40, 40)
CASES = [(name, 3) for name in COLOUR] + [(name, 1) for name in GREY]


def described(path, photos=(), **options):
    info = describe_model(build_model_spec({"path": str(path), **options}))
    info.photos = tuple(photos)
    return info


def normalised(tf, path, photos, name, *, nested=False, bias=0.3):
    """Save a network whose first normalisation has the statistics of `photos` under a preset."""
    import keras

    L = keras.layers
    rng = np.random.default_rng(4)
    channels = photos.shape[-1]
    front = [
        keras.Input((40, 40, channels)),
        L.Conv2D(10, 3, strides=2, activation=None, name="edges"),
        L.BatchNormalization(name="norm"),
        L.ReLU(),
    ]
    tail = [L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]
    body = keras.Sequential(front, name="body")
    whole = [keras.Input((40, 40, channels)), body, *tail] if nested else [*front, *tail]
    model = keras.Sequential(whole)
    layers = body if nested else model
    edges, norm = layers.get_layer("edges"), layers.get_layer("norm")
    edges.set_weights([rng.normal(0, 0.4, edges.kernel.shape), rng.normal(0, bias, 10)])
    made = np.asarray(edges(PRESETS[name].apply(photos))).reshape(-1, 10)
    norm.set_weights([np.ones(10), np.zeros(10), made.mean(0), made.var(0)])
    model.save(path)
    return path


@pytest.mark.parametrize(("name", "channels"), CASES)
def test_each_preprocessing_is_told_from_the_others(tf, tmp_path, name, channels):
    photos = PHOTOS if channels == 3 else as_grey(PHOTOS)
    path = normalised(tf, tmp_path / "m.keras", photos, name)
    files = []
    for i, pixels in enumerate(PHOTOS[:10]):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    choice = choose(described(path, files))
    assert choice.certain and not choice.warning
    assert choice.preprocessing == PRESETS[name]
    assert choice.evidence.photos == "given" and choice.evidence.layer == "norm"
    assert "'norm'" in choice.reason
    assert ("RGB is used" in choice.reason) == (channels == 3 and name != "caffe")


@pytest.mark.parametrize("name", ["none", "unit", "signed"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_without_photos_and_inside_of_another_model(tf, tmp_path, name, suffix):
    path = normalised(tf, tmp_path / f"m.{suffix}", PHOTOS, name, nested=True)
    choice = choose(described(path))
    assert choice.certain and choice.preprocessing == PRESETS[name]
    assert (choice.evidence.photos, choice.evidence.layer) == ("generated", "body/norm")


def test_what_is_no_photo_is_not_decided(tf, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 40, 3)).astype(np.uint8)
    choice = choose(described(normalised(tf, tmp_path / "m.keras", noise, "unit")))
    assert not choice.certain and choice.rival is not None
    assert choice.warning.startswith("fed by a guess")


def test_a_net_that_was_never_trained_says_nothing(tf, tiny_model):
    import keras

    path = tiny_model.parent / "fresh.keras"
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    ).save(path)
    choice = choose(described(path))
    assert choice.evidence is None and not choice.certain
    assert choice.preprocessing == PRESETS["unit"] and choice.rival == PRESETS["signed"]


def test_what_is_said_wins_and_a_contradiction_is_said(tf, tmp_path):
    path = normalised(tf, tmp_path / "m.keras", PHOTOS, "signed")
    asked = choose(described(path, preprocess="none"))
    assert asked.preprocessing == PRESETS["none"] and asked.certain
    assert "expects signed" in asked.warning and "as asked" in asked.warning
    assert not choose(described(path, preprocess="signed")).warning
    # A sidecar with the mean and deviation of the preset is no contradiction.
    (tmp_path / "m.kvis.yaml").write_text("preprocess: {mean: 127.5, std: 127.5}\n")
    assert not choose(described(path)).warning
    (tmp_path / "m.kvis.yaml").write_text("preprocess: unit\n")
    choice = choose(described(path))
    assert choice.preprocessing == PRESETS["unit"] and "m.kvis.yaml" in choice.warning


def test_a_sidecar_that_scales_where_the_model_does_is_told(tf, tmp_path):
    import keras

    inner = normalised(tf, tmp_path / "inner.keras", PHOTOS, "unit")
    model = keras.saving.load_model(inner)
    scaled = keras.Sequential([keras.Input((40, 40, 3)), keras.layers.Rescaling(1 / 255), model])
    path = tmp_path / "m.keras"
    scaled.save(path)
    choice = choose(described(path))
    assert choice.preprocessing == PRESETS["none"] and not choice.warning
    (tmp_path / "m.kvis.yaml").write_text("preprocess: unit\n")
    assert "expects none" in choose(described(path)).warning


def test_stated_reads_no_weights(tf, tmp_path):
    path = normalised(tf, tmp_path / "m.keras", PHOTOS, "unit")
    assert stated(described(path)) is None
    assert stated(described(path, preprocess="torch")).preprocessing == PRESETS["torch"]


@pytest.mark.slow
def test_real_models_are_fed_as_they_were_trained(real_data, tmp_path):
    """The known answers of the real files, none of them by their names or by a guess."""
    truth = {
        "models/mobilenet_v1_025_224.keras": "signed",
        "models/mobilenet_v1_025_224.h5": "signed",
        "models/resnet8_cifar10_keras24.h5": "none",
        "models/person_mobilenet_96_keras24.h5": "unit",
        "models/teachable_machine_waste.h5": "signed",
        **{
            f"checkpoints/{path.name}": "signed"
            for path in sorted((real_data / "checkpoints").glob("*.hdf5"))
        },
    }
    for name, expected in truth.items():
        source = real_data / name
        target = tmp_path / f"{len(list(tmp_path.iterdir()))}{source.suffix}"
        shutil.copy(source, target)
        evidence = choose(described(target)).evidence
        assert evidence is not None and evidence.decided, name
        assert evidence.best.preprocessing.name == expected, name
