"""What inputs take and outputs are, told from graph and shapes without TensorFlow."""

from __future__ import annotations

import json

import pytest

from kvis_cli.models.graph.forms import folded, input_form, output_form
from kvis_cli.models.graph.from_config import read_architecture
from tests.helpers.output_models import KINDS, convolutions, dense, u_net


def read(model):
    return read_architecture(json.loads(model.to_json()))


def forms(model, labels=0):
    architecture = read(model)
    (entry,), (output,) = architecture.inputs, architecture.outputs
    made = output_form(architecture, output, entry, labels)
    return input_form(architecture, entry, made), made


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_told(tf, name):
    make, taken, made = KINDS[name]
    found = forms(make())
    assert (found[0].kind, found[1].kind) == (taken, made)


@pytest.mark.parametrize(
    "name, units, positions, layout, text",
    [
        ("mask", 1, (12, 18), "last", "a mask of 12×18 ("),
        ("mask of any size", 1, (None, None), "last", "a mask of ?×? ("),
        ("segmentation", 5, (12, 18), "last", "a map of 12×18 with 5 classes ("),
        ("segmentation in rows", 5, (6, 8), "flat", "a map of 6×8 with 5 classes ("),
        ("segmentation, channels first", 5, (6, 8), "first", "a map of 6×8 with 5 classes ("),
        ("super-resolution", 3, (12, 18), "last", "an image of 12×18 with 3 channels ("),
        ("denoiser", 1, (12, 18), "last", "an image of 12×18 with 1 channel ("),
        ("autoencoder of pixels", 1, (28, 28), "flat", "an image of 28×28 with 1 channel ("),
        ("autoencoder of a plane", 1, (16, 16), "none", "an image of 16×16 with 1 channel ("),
        ("tags", 6, (64,), "last", "64 steps of 6 classes each"),
        ("signal made a signal", 2, (40,), "last", "a signal of 40 steps with 2 channels ("),
        ("volume", 1, (4, 6, 8), "last", "a mask of 4×6×8 ("),
        ("regression", 1, (), "last", "one number (a regression)"),
    ],
)
def test_sizes_and_layouts_of_outputs(tf, name, units, positions, layout, text):
    found = forms(KINDS[name][0]())[1]
    assert (found.units, found.positions, found.layout) == (units, positions, layout)
    assert found.describe().startswith(text)


@pytest.mark.parametrize(
    "name, fold, text",
    [
        ("pixels", (28, 28, 1), "the pixels of a picture, 784"),
        ("coloured pixels", (32, 32, 3), "the pixels of a picture, 3072"),
        ("plane", (28, 28, 1), "the pixels of a picture, 28×28"),
        ("plane made a picture", (12, 18, 1), "the pixels of a picture, 12×18"),
        ("signal", None, "a signal of 187×1 (steps × channels)"),
        ("table", None, "a table row of 13 numbers"),
        ("text as numbers", None, "64 tokens (whole numbers)"),
        ("generator of 100", None, "a noise vector of 100 numbers"),
        ("segmentation, channels first", None, "a picture of 6×8×3"),
    ],
)
def test_what_inputs_take(tf, name, fold, text):
    found = forms(KINDS[name][0]())[0]
    assert found.fold == fold
    assert found.describe() == text
    assert found.takes_photos == (found.kind in ("picture", "pixels"))


def test_labels_make_channels_of_a_picture_classes(tf):
    model = convolutions((12, 18, 3), 3, None)
    assert forms(model)[1].kind == "image"
    assert forms(model, labels=3)[1].kind == "segmentation"
    assert forms(model, labels=2)[1].kind == "image"
    # As many labels as outputs: nothing but classes, however many the input has numbers.
    assert forms(dense((784,), 784, "sigmoid"), labels=784)[1].kind == "classes"


def test_one_grey_channel_is_a_mask_where_branches_meet(tf):
    assert forms(u_net(size=(12, 18, 1)))[1].kind == "mask"
    assert forms(convolutions((12, 18, 1), 1, "sigmoid"))[1].kind == "image"


def test_a_scaled_sigmoid_is_no_mask_and_a_cropped_one_is(tf):
    import keras

    for layer, kind in (
        (keras.layers.Rescaling(255), "image"),
        (keras.layers.Cropping2D(1), "mask"),
    ):
        model = u_net()
        assert forms(keras.Model(model.inputs, layer(model.outputs[0])))[1].kind == kind


@pytest.mark.parametrize(
    "numbers, picture",
    [
        (64, (8, 8, 1)),
        (784, (28, 28, 1)),
        (192, (8, 8, 3)),
        (3072, (32, 32, 3)),
        (49, None),
        (147, None),
        (785, None),
        (0, None),
    ],
)
def test_numbers_that_are_a_square_picture(numbers, picture):
    assert folded(numbers) == picture
