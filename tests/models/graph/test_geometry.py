"""Where the cells of a map lie: by formula, by gradient, and as drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kvis_cli.explanation import GridAxis, MapGrid
from kvis_cli.images.fitting import Placement, placed_map
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.graph.geometry import map_grid


def grid_of(model, layer):
    import keras

    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    calls = read_architecture(config).calls
    return map_grid(next(call for call in calls if call.path == layer))


@pytest.fixture(scope="module")
def layers(tf):
    import keras

    return keras.layers


def nets(layers):
    conv = {"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same"}
    return {
        "4 convolutions, same": [layers.Conv2D(**conv) for _ in range(4)],
        "5 convolutions, same": [layers.Conv2D(**conv) for _ in range(5)],
        "4 poolings of 3, same": [layers.MaxPooling2D(3, 2, "same") for _ in range(4)],
        "4 poolings of 3, valid": [layers.MaxPooling2D(3, 2, "valid") for _ in range(4)],
        "4 poolings of 2": [layers.MaxPooling2D(2) for _ in range(4)],
        "5 poolings of 2": [layers.MaxPooling2D(2) for _ in range(5)],
    }


NETS = {
    "4 convolutions, same": (7.5, False),
    "5 convolutions, same": (15.5, False),
    "4 poolings of 3, same": (7.5, False),
    "4 poolings of 3, valid": (-0.5, True),
    "4 poolings of 2": (0, True),
    "5 poolings of 2": (0, True),
}


@pytest.fixture(scope="module")
def dot_model(layers, tmp_path_factory):
    """A model file that finds a bright dot: its map is the dot, seen through one of the nets."""
    import keras

    folder = tmp_path_factory.mktemp("dots")

    def make(name):
        inputs = keras.Input((224, 224, 3))
        x = layers.Rescaling(1 / 255, offset=-0.2)(inputs)
        # How bright it is, and nothing below a fifth.
        x = layers.Conv2D(1, 1, activation="relu", name="bright")(x)
        for layer in nets(layers)[name]:
            x = layer(x)
        x = layers.Activation("linear", name="maps")(x)
        x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, layers.Dense(2, name="classes")(x))
        for layer in model.layers:
            if layer.name == "classes":
                layer.set_weights([np.float32([[1, -1]]), np.zeros(2, np.float32)])
            elif layer.weights:
                kernel = np.ones(layer.kernel.shape, np.float32)
                if layer.name == "bright":
                    kernel /= 3
                else:
                    # A smooth kernel, the same in both directions.
                    kernel[..., 0, 0] = np.outer([1, 2, 1], [1, 2, 1]) / 16
                layer.set_weights([kernel, np.zeros(1, np.float32)])
        path = folder / f"{name}.keras"
        model.save(path)
        return model, path

    return make


@pytest.mark.parametrize(("name", "wanted"), NETS.items())
def test_a_dot_is_drawn_where_it_is(dot_model, kvis, tmp_path, name, wanted):
    """Within half a pixel, by the centroid of the heat on the photo."""
    from tests.helpers.rows import json_rows

    model, path = dot_model(name)
    offset, exact = wanted
    grid = grid_of(model, "maps")
    assert grid.exact == exact
    assert [axis.offset for axis in grid.axes] == [offset, offset]

    rows, columns = np.indices((224, 224)) + 0.5
    # Centres or corners of cells, so that pooling finds them from both sides.
    places = [(112.0, 112.0), (144.0, 80.0), (80.0, 144.0)]
    for number, (x, y) in enumerate(places):
        dot = 40 + 215 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 24**2))
        Image.fromarray(np.repeat(dot[..., None], 3, 2).astype(np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    options = [] if exact else ["--registration", "receptive"]
    photos = [tmp_path / f"{n}.png" for n in range(3)]
    out = tmp_path / "out"
    arguments = [path, *photos, "--class", "0", "--layer", "maps", "--preprocess", "none", "--raw"]
    ran = kvis("cam", *arguments, *options, "-o", out)
    assert ran.code == 0, ran.err
    for row in json_rows(out / "manifest.jsonl"):
        x, y = places[int(row["image_name"])]
        raw = np.load(out / row["raw"])["map"]
        drawn = Placement(0, 0, 224, 224).to_photo(
            raw, 224, 224, MapGrid.from_json(row["grid"], raw.shape)
        )
        if drawn.shape != (224, 224):
            drawn = placed_map(raw, (224, 224), even(raw))
        # The tail of the dot is the same all around: what lies below a third cannot pull.
        heat = np.maximum(drawn - drawn.max() / 3, 0)
        found = (heat * columns).sum() / heat.sum(), (heat * rows).sum() / heat.sum()
        assert np.abs(np.subtract(found, (x, y))).max() <= 0.5
        assert row["grid"]["applied"]


def even(raw):
    axes = (GridAxis(n, 224, 224 / n, 112 / n, 1) for n in raw.shape)
    return MapGrid(tuple(axes), True, True)


def test_padding_is_not_undone_unasked(dot_model, kvis, tmp_path):
    from tests.helpers.rows import json_rows

    _, path = dot_model("4 convolutions, same")
    photo = tmp_path / "grey.png"
    Image.fromarray(np.full((224, 224, 3), 200, np.uint8)).save(photo)
    ran = kvis(
        "cam",
        path,
        photo,
        "--class",
        "0",
        "-l",
        "maps",
        "--preprocess",
        "none",
        "-o",
        tmp_path / "o",
    )
    assert ran.code == 0, ran.err
    assert "--registration receptive" in ran.err
    (row,) = json_rows(tmp_path / "o" / "manifest.jsonl")
    assert row["grid"] == {
        "stride": [16, 16],
        "offset": [7.5, 7.5],
        "extent": [31, 31],
        "size": [224, 224],
        "exact": False,
        "applied": False,
    }


def test_the_formula_is_what_gradients_see(tf, layers):
    """The middle of all inputs that a middle cell depends on, and how many there are."""
    import keras

    inputs = keras.Input((61, 61, 1))
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(inputs)
    x = layers.Conv2D(2, 5, strides=2, dilation_rate=1)(x)
    x = layers.Conv2D(2, 3, dilation_rate=2, padding="same")(x)
    x = layers.AveragePooling2D((2, 3), (2, 1))(x)
    x = layers.Cropping2D(((1, 0), (2, 1)))(x)
    x = layers.DepthwiseConv2D(3)(x)
    y = layers.Conv2D(2, 1)(x)
    x = layers.Add(name="end")([x, y])
    model = keras.Model(inputs, x)
    for weight in model.weights:
        weight.assign(tf.ones_like(weight))
    grid = grid_of(model, "end")
    middle = [axis.cells // 2 for axis in grid.axes]
    probe = tf.Variable(tf.ones((1, 61, 61, 1)))
    with tf.GradientTape() as tape:
        cell = tf.reduce_sum(model(probe)[0, middle[0], middle[1]])
    seen = tape.gradient(cell, probe).numpy()[0, ..., 0] != 0
    for number, axis in enumerate(grid.axes):
        where = np.flatnonzero(seen.any(1 - number))
        assert (where[0] + where[-1]) / 2 + 0.5 == axis.first + middle[number] * axis.step
        assert where[-1] - where[0] + 1 == axis.extent


def test_what_no_graph_says_is_not_guessed(layers):
    import keras

    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    turned = layers.Permute((2, 1, 3), name="turned")(x)
    half = layers.Conv2D(4, 2, 2)(x)
    up = layers.UpSampling2D(2, name="up")(half)
    both = layers.Add(name="both")([x, up])
    model = keras.Model(inputs, [turned, layers.GlobalMaxPooling2D(name="flat")(both)])
    assert grid_of(model, "turned") is None
    assert grid_of(model, "flat") is None
    assert grid_of(model, "first").exact
    # Both branches have a step of one pixel and the same centres; the wider window counts.
    assert grid_of(model, "both") == MapGrid((GridAxis(32, 32, 1, 0.5, 4),) * 2, True)


def test_branches_that_see_other_places_are_not_exact(layers):
    import keras

    inputs = keras.Input((33, 33, 3))
    one = layers.Conv2D(2, 3, strides=2)(inputs)
    other = layers.Conv2D(2, 3, strides=2, padding="same")(
        layers.Cropping2D(((2, 0), (2, 0)))(inputs)
    )
    model = keras.Model(inputs, layers.Add(name="both")([one, other]))
    grid = grid_of(model, "both")
    # Cells of the first lie at 1.5, 3.5 …, of the second at 2.5, 4.5 …
    assert not grid.exact
    assert grid.axes[0].first == 2
    assert grid.axes[0].step == 2
    assert grid.axes[0].extent == 4


def test_a_placed_map_of_an_even_grid_is_the_stretched_one():
    from kvis_cli.render.resize import resize_map

    raw = np.random.default_rng(1).random((5, 7)).astype(np.float32)
    axes = (GridAxis(5, 50, 10, 5, 1), GridAxis(7, 70, 10, 5, 1))
    found = placed_map(raw, (300, 420), MapGrid(axes, True, True))
    np.testing.assert_allclose(found, resize_map(raw, (300, 420)), atol=1e-6)
