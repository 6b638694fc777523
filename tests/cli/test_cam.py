"""`kvis cam` from options to files."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.models import tiny_network

ALL = (
    "gradcam,gradcam++,gradcam++norm,xgradcam,hirescam,layercam,elementwise,eigencam,"
    "eigengradcam,finercam,cam,scorecam,ablationcam,fullgrad,guided_gradcam"
)


@pytest.fixture
def cam(kvis, tiny_model, picture, tmp_path):
    """Run `kvis cam` on the small model; gives the manifest's rows."""

    def run(*arguments, model=tiny_model, code=0):
        out = tmp_path / "out"
        ran = kvis("cam", model, picture, "-o", out, *arguments, "--json", "--raw")
        assert ran.code == code, ran.err
        return json.loads(ran.out)["results"] if code == 0 else ran.err

    run.folder = tmp_path / "out"
    return run


def raw(cam, row):
    return np.load(cam.folder / row["raw"])["map"]


def test_all_methods_of_one_picture(cam, tf, tmp_path):
    linear = tmp_path / "linear.keras"
    tiny_network(3, hidden=False).save(linear)
    rows = cam("--class", "1", "-m", ALL, "--grid", model=linear)
    assert [row["method"] for row in rows if row.get("raw")] == sorted(
        ALL.split(","), key=[row["method"] for row in rows].index
    )
    assert {row["method"] for row in rows} >= set(ALL.split(","))
    assert (cam.folder / "grid.png").is_file()
    by_method = {row["method"]: row for row in rows if row.get("raw")}
    # Average pooling and one Dense layer follow: these are the same by theory.
    gradcam = raw(cam, by_method["gradcam"])
    for name in ("hirescam", "xgradcam"):
        np.testing.assert_allclose(raw(cam, by_method[name]), gradcam, atol=1e-6)
    plain = raw(cam, by_method["cam"])
    np.testing.assert_allclose(np.maximum(plain, 0) / plain.size, gradcam, atol=1e-6)
    assert raw(cam, by_method["fullgrad"]).shape == (16, 16)
    assert by_method["fullgrad"]["accounted"] == pytest.approx(1, abs=1e-3)
    assert raw(cam, by_method["guided_gradcam"]).shape == (16, 16)


def test_layers_separately_fused_and_all(cam):
    from kvis_cli.engines.cam.fusion import fuse

    separate = cam("--class", "1", "-l", "first,second", "-m", "layercam")
    assert [row["layer"] for row in separate] == ["first", "second"]
    assert len({row["file"] for row in separate}) == 2
    maps = [raw(cam, row) for row in separate]
    for how in ("mean", "max"):
        (fused,) = cam("--class", "1", "-l", "first+second", "-m", "layercam", "--fuse", how)
        assert fused["layer"] == "first+second"
        np.testing.assert_allclose(raw(cam, fused), fuse(maps, how), atol=1e-6)
    strip = cam("--class", "1", "-l", "all-spatial", "-m", "layercam")
    assert [row["layer"] for row in strip] == ["first", "second"]
    assert len({row["file"] for row in strip}) == 2


def test_fusing_scales_each_map_first():
    from kvis_cli.engines.cam.fusion import fuse

    small, large = np.float32([[0, 2], [4, 0]]), np.zeros((4, 4), np.float32)
    large[0, 0] = 1000
    found = fuse([small, large], "max")
    assert found.shape == (4, 4)
    assert found[0, 0] == 1 and found[3, 0] == 1
    np.testing.assert_allclose(fuse([small, small]), small / 4)
    assert not fuse([small * 0, large * 0]).any()
    # Signals and volumes alike; enlarged with half-pixel centres.
    np.testing.assert_allclose(fuse([np.float32([1, 3])]), [1 / 3, 1])
    line = fuse([np.float32([0, 4]), np.zeros(4, np.float32)])
    np.testing.assert_allclose(line, [0, 0.125, 0.375, 0.5])
    volume = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(fuse([volume, volume]), volume / volume.max(), atol=1e-6)


def test_where_a_filter_fires(cam, tiny_model, tf):
    rows = cam("--filter", "second:2,second:4")
    assert [row["target"] for row in rows] == ["second · filter 2", "second · filter 4"]
    assert {row["layer"] for row in rows} == {"second"}
    assert all("probability" not in row or row["probability"] is None for row in rows)
    for text, said in (
        ("second:6", "Filter 6 is not among the 6"),
        ("second", "LAYER:INDEX"),
        ("secnd:1", "Did you mean 'second'"),
        ("first:1,second:1", "several layers"),
    ):
        assert said in cam("--filter", text, code=2)
    for option, value in (("--class", "1"), ("--contrast", "1"), ("--score", "probability")):
        refused = cam("--filter", "second:2", option, value, code=2)
        assert f"{option} has no effect with --filter" in refused


def test_decrease_is_the_map_of_the_negated_score(cam):
    import keras

    (row,) = cam("--class", "1", "--direction", "decrease")
    lower = raw(cam, row)
    (other,) = cam("--class", "1")
    upper = raw(cam, other)
    # Each position is evidence for or against, never both.
    assert not ((lower > 0) & (upper > 0)).any()
    assert (lower > 0).any() or (upper > 0).any()
    assert row["score"] == pytest.approx(other["score"])
    assert keras is not None and row["file"] != other["file"]


def test_augmented_maps_are_the_mean_of_six(cam, tf, tiny_model, picture):
    import keras

    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.models.live.reader import ModelReader, Tap

    (row,) = cam("--class", "1", "--aug-smooth", "--preprocess", "none")
    model = keras.models.load_model(tiny_model)
    engine = CamEngine(ModelReader(model), [CamLayer(Tap("second"))])
    image = Image.open(picture).resize((16, 16), Image.Resampling.BILINEAR)
    x = np.asarray(image, np.float32)[None]
    weights, ranks = np.float32([[[0, 1, 0]]]), np.int32([[-1]])
    maps = []
    for contrast in (0.9, 1.0, 1.1):
        maps.append(engine(x * np.float32(contrast), weights, ranks).maps)
        mirrored = engine(x[:, :, ::-1] * np.float32(contrast), weights, ranks).maps
        maps.append({key: value[..., ::-1] for key, value in mirrored.items()})
    wanted = np.mean([m["second", "gradcam"][0, 0] for m in maps], axis=0)
    np.testing.assert_allclose(raw(cam, row), wanted, atol=1e-4 * wanted.max())


@pytest.mark.parametrize("view", ["overlay", "heatmap", "contour", "mask", "side-by-side"])
def test_views_and_the_box(cam, view, picture):
    (row,) = cam("--class", "2", "--view", view, "--box")
    drawn = Image.open(cam.folder / row["file"])
    width, height = Image.open(picture).size
    assert drawn.height == height
    assert drawn.width > width if view == "side-by-side" else drawn.width == width
    from kvis_cli.explanation import GridAxis, MapGrid
    from kvis_cli.images.fitting import placed_map
    from kvis_cli.render.box import hot_box

    # 3×3, then 3×3 in steps of 2, without padding: the first cell sees pixels 0 to 4 of 16.
    assert row["grid"]["stride"] == [2, 2]
    assert row["grid"]["extent"] == [5, 5]
    axes = (GridAxis(6, 16, 2, 2.5, 5),) * 2
    placed = placed_map(raw(cam, row), (height, width), MapGrid(axes, True, True))
    box = hot_box(placed, (height, width))
    assert row["box"] == (list(box) if box else None)


def test_a_colour_bar_stands_beside_the_photo(cam, picture):
    (plain,) = cam("--class", "2")
    without = np.asarray(Image.open(cam.folder / plain["file"]))
    (row,) = cam("--class", "2", "--colorbar")
    barred = np.asarray(Image.open(cam.folder / row["file"]))
    assert barred.shape[1] > without.shape[1]
    np.testing.assert_array_equal(barred[:, : without.shape[1]], without)
    for view in ("contour", "mask"):
        said = cam("--colorbar", "--view", view, code=2)
        assert f"--colorbar explains colours, and --view {view} has none" in said
        assert "cannot be" not in said


def test_methods_that_do_not_fit_are_refused(cam, tmp_path, tf):
    import keras

    assert "Did you mean 'gradcam'" in cam("-m", "gradcm", code=2)
    for name in ("eigencam", "fullgrad"):
        assert "no direction" in cam("-m", name, "--direction", "decrease", code=2)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(3, 3, activation="relu", name="maps")(inputs)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(4, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="value")(x))
    model.save(tmp_path / "deep.keras")
    deep = tmp_path / "deep.keras"
    assert "'hidden'" in cam("-m", "cam", model=deep, code=2)
    assert "other classes" in cam("-m", "finercam", model=deep, code=2)
    assert "does not go with finercam" in cam("-m", "finercam", "--contrast", "1", code=2)
    assert "nothing to contrast" in cam("--contrast", "0", model=deep, code=2)
    assert "A region needs" in cam("--region", "0,0,1,1", model=deep, code=2)
    assert "A region needs" in cam("--region", "predicted", model=deep, code=2)


def test_one_position_is_refused_with_the_reason(cam, tmp_path, tf):
    import keras

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(3, 3, activation="relu", name="maps"),
            keras.layers.Conv2D(2, 14, name="point"),
            keras.layers.Flatten(),
            keras.layers.Softmax(),
        ]
    )
    model.save(tmp_path / "point.keras")
    said = cam("-l", "point", model=tmp_path / "point.keras", code=2)
    assert "1×1" in said and "--layer auto" in said
    (row,) = cam("--class", "0", model=tmp_path / "point.keras")
    assert row["layer"] == "maps"


def test_regions_of_a_segmentation(cam, tmp_path, tf):
    import keras

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="maps"),
            keras.layers.Conv2D(3, 1, activation="softmax", name="pixels"),
        ]
    )
    path = tmp_path / "segment.keras"
    model.save(path)
    mask = np.zeros((30, 40), np.uint8)
    mask[:15] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    scores = {}
    for region in ("0,0,1,0.5", tmp_path / "mask.png", "0,0.5,1,1", "0,0,1,1", "predicted", ""):
        options = ("--region", region) if region else ()
        (row,) = cam("--class", "1", *options, model=path)
        scores[str(region).rpartition("/")[2]] = row["score"]
    assert scores["mask.png"] == pytest.approx(scores["0,0,1,0.5"], rel=1e-2)
    halves = (scores["0,0,1,0.5"] + scores["0,0.5,1,1"]) / 2
    assert halves == pytest.approx(scores["0,0,1,1"], rel=1e-4)
    assert scores["0,0,1,1"] == pytest.approx(scores[""], rel=1e-4)
    assert "is not a region" in cam("--region", "nowhere", model=path, code=2)
    assert "is not a box" in cam("--region", "0.5,0,0.2,1", model=path, code=2)


def test_outputs_by_name(cam, tmp_path, tf):
    import keras

    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = [keras.layers.Dense(3, name="kind")(x), keras.layers.Dense(1, name="age")(x)]
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "two.keras")
    for name, units in (("kind", [[2, 1.0]]), ("age", [[0, 1.0]])):
        target = "2" if name == "kind" else "top1"
        (row,) = cam("--output", name, "--class", target, model=tmp_path / "two.keras")
        assert row["units"] == units


def test_outputs_of_a_dict_by_key(cam, tmp_path, tf):
    import keras

    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    # Keras sorts them by key.
    outputs = {"kind": keras.layers.Dense(3)(x), "age": keras.layers.Dense(1)(x)}
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "two.keras")
    for name, target in (("kind", "2"), ("age", "top1")):
        (row,) = cam("--output", name, "--class", target, model=tmp_path / "two.keras")
        assert len(row["top"]) == (3 if name == "kind" else 1)
    assert {unit for unit, _ in row["units"]} == {0}


def test_a_blank_map_is_said(cam, tmp_path, tf, kvis, picture):
    import keras

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(3, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(-1.0)),
        ]
    )
    model.save(tmp_path / "negative.keras")
    (row,) = cam("--class", "0", model=tmp_path / "negative.keras")
    assert row["warnings"] == ["all values are zero"]
    ran = kvis("cam", tmp_path / "negative.keras", picture, "-c", "0", "-o", tmp_path / "o")
    assert "all values are zero" in ran.err


def test_what_was_cropped_is_marked_and_heat_on_padding_is_said(kvis, tiny_model, tmp_path):
    from tests.helpers.rows import json_rows

    photo = tmp_path / "wide.png"
    Image.fromarray(np.full((40, 120, 3), 200, np.uint8)).save(photo)
    ran = kvis("cam", tiny_model, photo, "--fit", "crop", "-o", tmp_path / "crop")
    assert ran.code == 0, ran.err
    cropped = np.asarray(Image.open(ran.out.split()[0]).convert("RGB")).astype(int)
    assert cropped[:, :35].mean() < 130
    # A method whose map of grey is not blank.
    arguments = (tiny_model, photo, "--fit", "pad", "-m", "eigencam", "-o", tmp_path / "pad")
    ran = kvis("cam", *arguments)
    assert ran.code == 0, ran.err
    (row,) = json_rows(tmp_path / "pad" / "manifest.jsonl")
    assert row["max"] > 0
    assert "of the heat lies on padding" in ran.err
    assert any("lies on padding" in warning for warning in row["warnings"])
