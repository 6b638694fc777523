"""``kvis saliency`` from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.engines.saliency import SALIENCY_METHODS
from kvis_cli.render.png import read_metadata


def files(ran) -> list[Path]:
    assert ran.code == 0, ran.err
    return [Path(line) for line in ran.out.split("\n") if line]


def rows(folder: Path) -> dict[str, dict]:
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return {row["file"]: row for row in map(json.loads, lines)}


def test_methods_and_modifiers_at_once_have_names_of_their_own(kvis, tiny_model, picture, tmp_path):
    out = tmp_path / "o"
    written = files(
        kvis(
            "saliency", tiny_model, picture, "-c", "1", "-m", "gradient,input_x_gradient",
            "--modifier", "absolute,negate", "--grid", "--raw", "-o", out,
        )
    )  # fmt: skip
    assert [p.name for p in written] == [
        "photo_gradient_1.png",
        "photo_gradient_negate_1.png",
        "photo_input_x_gradient_1.png",
        "photo_input_x_gradient_negate_1.png",
        "grid.png",
    ]
    about = rows(out)["photo_gradient_negate_1.png"]
    assert (about["method"], about["modifier"]) == ("gradient", "negate")
    for path in written[:-1]:
        assert np.asarray(Image.open(path)).shape == (30, 40, 3)
    signed = np.load(out / "photo_gradient_negate_1.npz")["map"]
    absolute = np.load(out / "photo_gradient_1.npz")["map"]
    # Maps are of the input's size and unscaled; the picture is of the photo's.
    assert signed.shape == absolute.shape == (16, 16)
    np.testing.assert_allclose(np.abs(signed), absolute, rtol=1e-5)


def test_raw_maps_are_the_gradient(kvis, tf, tiny_model, picture, tmp_path):
    import keras

    from kvis_cli.images.fitting import fit_photo

    files(kvis("saliency", tiny_model, picture, "-c", "2", "--channels", "keep", "--modifier",
               "none", "--raw", "-o", tmp_path))  # fmt: skip
    model = keras.saving.load_model(tiny_model, compile=False)
    bare = keras.Sequential([*model.layers[:-1], keras.layers.Dense(3)])
    bare.build((None, 16, 16, 3))
    bare.layers[-1].set_weights(model.layers[-1].get_weights())
    x, _ = fit_photo(np.asarray(Image.open(picture)), 16, 16, 3, "resize")

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = bare(x)[0, 2]
        return tape.gradient(score, x)

    expected = gradient(tf.constant(x[None], tf.float32)).numpy()[0]
    found = np.load(tmp_path / "photo_gradient_none_2.npz")["map"]
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_two_runs_with_one_seed_give_the_same_pixels(kvis, tiny_model, picture, tmp_path):
    def run(name, seed):
        command = ["saliency", tiny_model, picture, "-m", "smoothgrad,rise", "--samples", "9"]
        return files(kvis(*command, "--seed", seed, "--no-metadata", "-o", tmp_path / name))

    first, again, other = run("a", 3), run("b", 3), run("c", 4)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert all(p.read_bytes() != q.read_bytes() for p, q in zip(first, other, strict=True))


def test_what_a_person_must_know_is_said_once_and_stored(kvis, tiny_model, picture, tmp_path):
    command = ["saliency", tiny_model, picture, "-c", "0", "-m", "guided_backprop", "-o", tmp_path]
    ran = kvis(*command)
    assert "guided: 2 of 3 activations are rectifiers and were changed; 1 tanh kept" in ran.err
    (path,) = files(ran)
    for caution in (
        rows(tmp_path)[path.name]["caution"],
        json.loads(read_metadata(path)["kvis"])["caution"],
    ):
        assert "much the same edges for every class" in caution
    assert kvis(*command, "--strict").code == 1
    plain = ["saliency", tiny_model, picture, "-c", "0", "-o", tmp_path, "--strict"]
    assert kvis(*plain).code == 0


def test_a_blank_map_is_a_warning_everywhere(kvis, tf, picture, tmp_path):
    import keras

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(2, 3, activation="relu", kernel_initializer="zeros"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax", bias_initializer="normal"),
        ]
    )
    path = tmp_path / "dead.keras"
    model.save(path)
    ran = kvis("saliency", path, picture, "-o", tmp_path / "o")
    assert "all values are zero" in ran.err
    (written,) = files(ran)
    assert rows(tmp_path / "o")[written.name]["warnings"] == ["all values are zero"]
    assert json.loads(read_metadata(written)["kvis"])["warnings"] == ["all values are zero"]
    assert kvis("saliency", path, picture, "-o", tmp_path / "o", "--strict").code == 1


def test_integrated_gradients_say_what_they_miss(kvis, samples, tiny_model, tmp_path):
    star = samples / "images" / "star.png"
    command = ["saliency", samples / "shapes.keras", star, "-m", "integrated_gradients"]
    few, many = (
        rows(Path(files(kvis(*command, "--steps", n, "-o", tmp_path / n))[0]).parent)
        for n in ("1", "200")
    )
    (coarse,), (fine,) = few.values(), many.values()
    assert "more --steps bring them closer" in coarse["warnings"][0]
    assert fine["completeness_gap"] < 0.02 < coarse["completeness_gap"]
    assert fine["warnings"] == []
    # A white picture against a white baseline: there is nothing to explain.
    Image.new("RGB", (16, 16), "white").save(tmp_path / "white.png")
    ran = kvis("saliency", tiny_model, tmp_path / "white.png", "-m", "integrated_gradients",
               "--baseline", "white", "-o", tmp_path / "w")  # fmt: skip
    assert files(ran)
    (white,) = rows(tmp_path / "w").values()
    assert white["warnings"] == ["all values are zero"]
    assert "completeness_gap" not in white


def test_a_saturated_probability_is_said(kvis, tf, picture, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, bias_initializer=keras.initializers.Constant([30, 0, 0])),
            keras.layers.Softmax(),
        ]
    )
    path = tmp_path / "sure.keras"
    model.save(path)
    command = ["saliency", path, picture, "-c", "0", "--preprocess", "unit", "-o", tmp_path / "o"]
    assert "is saturated" not in kvis(*command).err
    assert "the probability is saturated (1.000000)" in kvis(*command, "--score", "probability").err


def regression(keras, activation="linear"):
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(-4)),
            keras.layers.Activation(activation),
        ]
    )


@pytest.mark.parametrize("activation", ["linear", "tanh"])
def test_regression_needs_no_classes_and_has_directions(kvis, tf, picture, tmp_path, activation):
    import keras

    path = tmp_path / "count.keras"
    regression(keras, activation).save(path)
    command = ["saliency", path, picture, "--preprocess", "unit", "--raw", "--output", "0"]
    made = {}
    for options in ([], ["--modifier", "none"], *(["--direction", d] for d in DIRECTIONS)):
        out = tmp_path / "-".join(["o", *options])
        ran = kvis(*command, *options, "-o", out)
        files(ran)
        made[options[-1] if options else ""] = np.load(next(out.glob("*.npz")))["map"]
        assert "regression" in ran.err
        assert ("read before its tanh" in ran.err) == (activation == "tanh")
        if "maintain" in options:
            assert "no evidence of what keeps it" in ran.err
    signed = made["none"]
    np.testing.assert_allclose(made[""], np.abs(signed), rtol=1e-6)
    # Channels are rectified before the strongest is taken.
    assert (made["increase"] >= np.maximum(signed, 0)).all()
    assert (made["decrease"] >= np.maximum(-signed, 0)).all()
    assert made["decrease"].any() and made["increase"].any()
    names = {p.name for p in tmp_path.glob("o*/*.png")}
    assert "photo_gradient_decrease_output.png" in names


DIRECTIONS = ("increase", "decrease", "maintain")


def test_units_of_a_layer_are_targets(kvis, tiny_model, picture, tmp_path):
    written = files(
        kvis("saliency", tiny_model, picture, "--layer", "second", "--unit", "0,3", "-o", tmp_path)
    )
    assert [p.name for p in written] == [
        "photo_gradient_second-0.png",
        "photo_gradient_second-3.png",
    ]
    about = rows(tmp_path)["photo_gradient_second-3.png"]
    assert (about["target"], about["layer"]) == ("second · filter 3", "second")


def test_a_contrast_is_a_difference(kvis, tiny_model, picture, tmp_path):
    for name, options in {
        "0": ["-c", "0"],
        "1": ["-c", "1"],
        "0-1": ["--contrast", "0,1"],
    }.items():
        files(kvis("saliency", tiny_model, picture, *options, "--modifier", "none", "--channels",
                   "keep", "--raw", "-o", tmp_path / name))  # fmt: skip
    maps = {n: np.load(next((tmp_path / n).glob("*.npz")))["map"] for n in ("0", "1", "0-1")}
    np.testing.assert_allclose(maps["0-1"], maps["0"] - maps["1"], atol=1e-6)


def test_a_contrast_with_the_classes_of_each_photo(kvis, tiny_model, picture, tmp_path):
    given = ["saliency", tiny_model, picture, "-c", "top3", "--contrast", "1", "--raw"]
    ran = kvis(*given, "-m", "gradient,occlusion", "--score", "probability", "-o", tmp_path)
    names = {path.name for path in files(ran) if path.suffix == ".png"}
    # What is subtracted stands last, whatever its number: 0+2 would be a sum.
    assert names == {
        f"photo_{method}_{units}.png"
        for method in ("gradient", "occlusion")
        for units in ("0-1", "1-1", "2-1")
    }
    about = rows(tmp_path)
    assert about["photo_gradient_2-1.png"]["units"] == [[2, 1.0], [1, -1.0]]
    assert about["photo_gradient_1-1.png"]["units"] == []
    assert about["photo_gradient_1-1.png"]["warnings"] == [
        "the class is its own contrast: their difference is always zero"
    ]
    assert "1 - 1" in ran.err and not about["photo_gradient_2-1.png"]["warnings"]


def test_an_input_outside_the_models_range_is_said(kvis, real_data, tmp_path):
    model = real_data / "models" / "mobilenet_v1_025_224.keras"
    ran = kvis("saliency", model, real_data / "photos" / "cat.jpg", "--preprocess", "none", "-o",
               tmp_path)  # fmt: skip
    assert "the model expects -1 to 1 (signed" in ran.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-m", "smothgrad"], "Did you mean 'smoothgrad'"),
        (["--modifier", "absolut"], "Did you mean 'absolute'?"),
        (["--samples", "0"], "--samples cannot be '0'"),
        (["--steps", "-1"], "--steps cannot be '-1'"),
        (["--baseline", "blak"], "black"),
        (["--percentile", "0"], "--percentile"),
        (["--backprop", "guidd"], "did you mean 'guided'?"),
        (["--direction", "increase", "--modifier", "none"], "one of the two"),
        (["--direction", "increase", "-m", "vargrad"], "needs a sign"),
        (["--unit", "3"], "--unit needs the --layer"),
        (["--layer", "second"], "--layer needs a --unit"),
        (["--layer", "second", "--unit", "6"], "Filter 6 is not among the 6"),
        (["--layer", "secnd", "--unit", "0"], "second"),
        (["--wrt", "second", "-m", "rise"], "cannot be taken at layer 'second'"),
        (["-c", "9"], "Class 9"),
        (["-c", ""], "--class is empty"),
        (["--layer", "second", "--unit", "0-2"], "'0-2' is not a number"),
        (["--layer", "second", "--unit", "0", "-c", "1"], "--class has no effect"),
        (["--layer", "second", "--unit", "0", "--score", "probability"], "--score is of classes"),
        (["--samples", "5"], "--samples changes nothing in gradient"),
        (["-m", "smoothgrad", "--steps", "5"], "it is for integrated_gradients, blur_ig"),
        (["-m", "occlusion,rise", "--backprop", "guided"], "--backprop changes nothing"),
        (["-m", "occlusion", "--patch", "2", "--stride", "3"], "--stride 3 is larger"),
        (["-m", "occlusion", "--patch", "16"], "hides the whole input of 16×16"),
        (["--wrt", "classes"], "it lies behind what is explained"),
    ],
)
def test_wrong_usage_is_named(kvis, tiny_model, picture, tmp_path, options, says):
    ran = kvis("saliency", tiny_model, picture, "-o", tmp_path, *options)
    assert ran.code == 2
    assert says in " ".join(ran.err.split())
    assert not list(tmp_path.glob("*gradient*"))


def test_guided_on_a_model_without_rectifiers_is_refused(kvis, tf, picture, tmp_path):
    import keras

    path = tmp_path / "linear.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(
        path
    )
    ran = kvis("saliency", path, picture, "-m", "guided_backprop", "-o", tmp_path / "o")
    assert ran.code == 2
    assert "no rectifier" in ran.err


def test_every_view_and_a_shared_scale(kvis, tiny_model, picture, tmp_path):
    pictures = set()
    for view in ("glow", "overlay", "heatmap", "contour", "mask", "side-by-side"):
        (path,) = files(kvis("saliency", tiny_model, picture, "--view", view, "--smooth", "1.5",
                             "--scale", "shared", "-o", tmp_path / view))  # fmt: skip
        pictures.add(Image.open(path).tobytes())
    assert len(pictures) == 6


@pytest.mark.parametrize(
    ("name", "count"),
    [("mobilenet_v1_025_224.keras", "27 of 27"), ("teachable_machine_waste.h5", "36 of 36")],
)
def test_guided_reaches_every_rectifier_of_real_models(kvis, real_data, tmp_path, name, count):
    ran = kvis(
        "saliency", real_data / "models" / name, real_data / "photos" / "cat.jpg", "-m",
        "gradient,guided_backprop", "--raw", "-o", tmp_path,
    )  # fmt: skip
    files(ran)
    assert f"guided: {count} activations are rectifiers" in ran.err
    plain, guided = (
        np.load(next(tmp_path.glob(f"*_{m}_*.npz")))["map"] for m in ("gradient", "guided_backprop")
    )
    plain, guided = plain / plain.max(), guided / guided.max()
    assert np.abs(plain - guided).max() > 0.1


def test_whole_number_inputs_are_refused_and_offered_a_way(kvis, tf, picture, tmp_path):
    import keras

    text = keras.Sequential(
        [
            keras.Input((6,), dtype="int32", name="tokens"),
            keras.layers.Embedding(20, 5, name="words"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    pixels = keras.Sequential(
        [
            keras.Input((16, 16, 3), dtype="uint8", name="pixels"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    text.save(tmp_path / "text.keras")
    pixels.save(tmp_path / "pixels.keras")
    tokens = tmp_path / "tokens.npy"
    np.save(tokens, np.array([1, 2, 3, 4, 5, 6], np.int32))
    out = tmp_path / "o"

    ran = kvis("saliency", tmp_path / "text.keras", tokens, "-o", out)
    assert ran.code == 2
    assert "'tokens' takes whole numbers (int32)" in ran.err
    assert "--wrt words" in ran.err
    files(kvis("saliency", tmp_path / "text.keras", tokens, "--wrt", "words", "--raw", "-o", out))
    assert np.load(next(out.glob("*.npz")))["map"].shape == (6,)

    ran = kvis("saliency", tmp_path / "pixels.keras", picture, "-o", out)
    assert ran.code == 2
    assert "'pixels' takes whole numbers (uint8)" in ran.err
    files(kvis("saliency", tmp_path / "pixels.keras", picture, "-m", "occlusion", "-o", out))


REAL = {
    "models/mobilenet_v1_025_224.keras": "photos/cat.jpg",
    "models/mobilenet_v1_025_224.h5": "photos/cat.jpg",
    "models/squeezenet_v10_227.keras": "photos/cat.jpg",
    "models/resnet8_cifar10_keras24.h5": "photos/cat.jpg",
    "models/person_mobilenet_96_keras24.h5": "photos/faces.jpg",
    "models/teachable_machine_waste.h5": "photos/cat.jpg",
    "models/steering_keras12.h5": "photos/road_left.png",
    "checkpoints/fer2013_mini_XCEPTION.00-0.47.hdf5": "photos/faces.jpg",
    "checkpoints/fer2013_mini_XCEPTION.102-0.66.hdf5": "photos/faces.jpg",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_every_method_on_every_real_model(kvis, real_data, tmp_path, name):
    command = ["saliency", real_data / name, real_data / REAL[name], "--samples", "4", "--steps",
               "4", "--patch", "16", "-o", tmp_path]  # fmt: skip
    methods = list(SALIENCY_METHODS)
    if "steering" in name:
        command += ["--replace-layer", "lambda_1=rescaling:scale=0.00784313725,offset=-1"]
        # Its activations are ELU, for which the rules of guided methods are not defined.
        assert kvis(*command, "-m", "guided_backprop").code == 2
        methods = [m for m in SALIENCY_METHODS if SALIENCY_METHODS[m].backprop is None]
    written = files(kvis(*command, "-m", ",".join(methods)))
    assert len(written) == len(methods)
    for about in rows(tmp_path).values():
        assert about["max"] != 0, about["method"]
        assert not any("zero" in w or "finite" in w for w in about["warnings"]), about["method"]


def test_h5_and_keras_files_of_one_model_give_one_map(kvis, real_data, tmp_path):
    maps = []
    for suffix in (".keras", ".h5"):
        model = real_data / "models" / f"mobilenet_v1_025_224{suffix}"
        out = tmp_path / suffix
        files(kvis("saliency", model, real_data / "photos" / "cat.jpg", "--raw", "-o", out))
        maps.append(np.load(next(out.glob("*.npz")))["map"])
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6 * maps[0].max())


@pytest.mark.slow
def test_integrated_gradients_of_a_real_model_are_complete(kvis, real_data, tmp_path):
    photos = [real_data / "photos" / f"{n}.jpg" for n in ("cat", "ouzel1", "goldfish")]
    files(
        kvis("saliency", real_data / "models" / "mobilenet_v1_025_224.keras", *photos, "-m",
             "integrated_gradients", "--steps", "256", "-o", tmp_path)
    )  # fmt: skip
    assert all(about["completeness_gap"] < 0.02 for about in rows(tmp_path).values())
