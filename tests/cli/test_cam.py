"""``kvis cam`` from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.render.png import read_metadata


@pytest.fixture(scope="module")
def star(samples) -> Path:
    return samples / "images" / "star.png"


@pytest.fixture(scope="module")
def shapes(samples) -> Path:
    return samples / "shapes.keras"


def files(ran) -> list[Path]:
    assert ran.code == 0, ran.err
    return [Path(line) for line in ran.out.split("\n") if line]


def test_an_overlay_at_the_photos_own_size_with_its_provenance(kvis, shapes, star, tmp_path):
    (path,) = files(kvis("cam", shapes, star, "-c", "star", "-o", tmp_path))
    assert path.name == "star_gradcam_1-star.png"
    photo, picture = (np.asarray(Image.open(p).convert("RGB")) for p in (star, path))
    assert picture.shape == photo.shape
    assert (picture != photo).any()

    about = json.loads(read_metadata(path)["kvis"])
    assert about["target"] == "star"
    assert about["units"] == [[1, 1.0]]
    assert about["spec"]["tasks"][0]["class"] == ["star"]
    assert len(about["model_sha256"]) == 64
    assert {"tensorflow", "keras"} <= set(about["versions"])

    (plain,) = files(kvis("cam", shapes, star, "-c", "1", "-o", tmp_path / "p", "--no-metadata"))
    assert read_metadata(plain) == {}
    np.testing.assert_array_equal(np.asarray(Image.open(plain)), picture)


def test_the_manifest_says_what_every_file_is(kvis, shapes, star, tmp_path):
    written = files(kvis("cam", shapes, star, "-c", "top3", "-c", "2+3", "-o", tmp_path))
    assert len(written) == 4
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert {row["file"] for row in rows} == {p.name for p in written}
    by_target = {row["target"]: row for row in rows}
    both = by_target["cross + house"]
    assert both["probability"] is None
    assert both["file"] == "star_gradcam_2+3.png"
    best = by_target["star"]
    assert best["probability"] > 0.5
    assert best["layer"] == "conv6_relu"
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["device"] == "cpu"
    assert run["failures"] == []
    # A second run into the same folder adds to it.
    files(kvis("cam", shapes, star, "-c", "fish", "-o", tmp_path))
    assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 5


def test_json_lists_results_and_failures(kvis, shapes, star, tmp_path):
    (tmp_path / "bad.png").write_text("bad")
    ran = kvis("cam", shapes, star, tmp_path / "bad.png", "-o", tmp_path / "o", "--json")
    assert ran.code == 1
    document = json.loads(ran.out)
    assert [row["target"] for row in document["results"]] == ["star"]
    assert "bad.png" in document["failures"][0]["what"]


def test_raw_maps_are_the_engines_and_unscaled(kvis, tf, shapes, star, tmp_path):
    import keras

    files(kvis("cam", shapes, star, "-c", "star", "-o", tmp_path, "--raw"))
    stored = np.load(tmp_path / "star_gradcam_1-star.npz")
    assert stored["map"].dtype == np.float32

    model = keras.saving.load_model(shapes, compile=False)
    tapped = keras.Model(
        model.input, [model.get_layer("conv6_relu").output, model.layers[-2].output]
    )
    image = Image.open(star).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)
    features, pooled = tapped(np.asarray(image, np.float32)[None], training=False)
    kernel, bias = (np.asarray(w) for w in model.layers[-1].get_weights())
    features = np.asarray(features)[0]
    # With global average pooling, the gradient of a logit is its kernel column by the area.
    alpha = kernel[:, 1] / features.shape[0] / features.shape[1]
    expected = np.maximum(features @ alpha, 0)
    np.testing.assert_allclose(stored["map"], expected, rtol=1e-4, atol=1e-6)
    logit = float(np.asarray(pooled)[0] @ kernel[:, 1] + bias[1])
    assert float(stored["score"]) == pytest.approx(logit, rel=1e-4)


def test_overlay_zero_is_the_photo_itself(kvis, shapes, star, tmp_path):
    (path,) = files(kvis("cam", shapes, star, "-o", tmp_path, "--overlay", "0"))
    np.testing.assert_array_equal(
        np.asarray(Image.open(path)), np.asarray(Image.open(star).convert("RGB"))
    )


def test_a_shared_scale_shows_equal_values_in_equal_colours(kvis, samples, shapes, tmp_path):
    images = [samples / "images" / f"{n}.png" for n in ("star", "fish")]
    each = files(kvis("cam", shapes, *images, "-c", "star", "-o", tmp_path / "e"))
    same = files(
        kvis("cam", shapes, *images, "-c", "star", "-o", tmp_path / "s", "--scale", "shared")
    )
    rows = [json.loads(x) for x in (tmp_path / "s" / "manifest.jsonl").read_text().splitlines()]
    peak = {row["file"]: row["max"] for row in rows}
    strongest = max(peak, key=peak.get)
    for a, b in zip(each, same, strict=True):
        equal = (np.asarray(Image.open(a)) == np.asarray(Image.open(b))).all()
        assert equal == (a.name == strongest)


def test_a_grid_holds_every_photo(kvis, samples, shapes, tmp_path):
    images = [samples / "images" / f"{n}.png" for n in ("star", "fish", "house")]
    written = files(kvis("cam", shapes, *images, "-c", "top2", "-o", tmp_path, "--grid"))
    sheet = Image.open(written[-1])
    assert written[-1].name == "grid.png"
    assert len(written) == 7
    assert sheet.width > 3 * 300
    assert sheet.height > 3 * 300


def test_equal_names_in_different_folders_do_not_collide(kvis, shapes, star, tmp_path):
    copies = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        copies.append(tmp_path / folder / "x.png")
        copies[-1].write_bytes(star.read_bytes())
    written = files(kvis("cam", shapes, *copies, "-o", tmp_path / "out"))
    assert len({p.name for p in written}) == 2
    assert all(p.is_file() for p in written)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_batch_size_changes_nothing(kvis, samples, shapes, tmp_path, count):
    images = sorted((samples / "images").glob("*.png"))[:5]
    one = files(kvis("cam", shapes, *images, "-o", tmp_path / "one", "--batch-size", 16))
    two = files(kvis("cam", shapes, *images, "-o", tmp_path / "two", "--batch-size", count))
    for a, b in zip(one, two, strict=True):
        difference = np.asarray(Image.open(a), int) - np.asarray(Image.open(b), int)
        assert abs(difference).max() <= 1


def test_exif_rotation_turns_the_map_with_the_photo(kvis, shapes, star, tmp_path):
    upright = Image.open(star).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    (a,) = files(kvis("cam", shapes, star, "-c", "1", "-o", tmp_path / "a"))
    (b,) = files(kvis("cam", shapes, tmp_path / "turned.png", "-c", "1", "-o", tmp_path / "b"))
    np.testing.assert_array_equal(np.asarray(Image.open(a)), np.asarray(Image.open(b)))


def test_a_blank_map_is_said_on_stderr_in_the_manifest_and_in_the_picture(
    kvis, tf, picture, tmp_path
):
    import keras

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(2, 3, activation="relu")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="zeros")(x))
    model.save(tmp_path / "zero.keras")
    ran = kvis("cam", tmp_path / "zero.keras", picture, "-o", tmp_path / "o")
    (path,) = files(ran)
    assert "all values are zero" in ran.err
    row = json.loads((tmp_path / "o" / "manifest.jsonl").read_text())
    assert row["warnings"] == ["all values are zero"]
    assert (np.asarray(Image.open(path)) != np.asarray(Image.open(picture))).any()


CAT = "Egyptian_cat 0.525, tabby 0.387, tiger_cat 0.054"


def test_mobilenet_on_the_cat(kvis, real_data, tmp_path):
    cat = real_data / "photos" / "cat.jpg"
    pictures = {}
    for suffix in ("keras", "h5"):
        model = real_data / "models" / f"mobilenet_v1_025_224.{suffix}"
        ran = kvis("cam", model, cat, "--class", 281, "--labels", "imagenet", "-o", tmp_path)
        (path,) = files(ran)
        assert CAT in ran.err
        pictures[suffix] = np.asarray(Image.open(path), int)
    picture = pictures["keras"]
    np.testing.assert_array_equal(picture, pictures["h5"])
    assert picture.shape == (400, 400, 3)
    heat = abs(picture - np.asarray(Image.open(cat).convert("RGB"), int)).sum(-1)
    assert heat[:, :240].mean() > 8 * heat[:, 330:].mean()  # the cat sits on the left


@pytest.mark.parametrize("model", ["mobilenet_v1_025_224", "squeezenet_v10_227"])
def test_known_answers_of_real_photos(kvis, real_data, tmp_path, model):
    known = {
        "ouzel1": "water_ouzel",
        "ouzel2": "water_ouzel",
        "goldfish": "goldfish",
        "bear": "brown_bear",
        "soldiers": "assault_rifle",
    }
    photos = [real_data / "photos" / f"{n}.jpg" for n in known]
    ran = kvis("cam", real_data / "models" / f"{model}.keras", *photos, "-o", tmp_path)
    assert len(files(ran)) == 5
    for name, label in known.items():
        assert f"{name}.jpg: {label} " in ran.err
