"""One small model of every kind that people save, with what kvis should make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIZE = 24


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes
    ----------
    make
        Builds the Keras 3 model.
    layer
        What `--layer auto` should take; empty where CAM is refused.
    inputs
        ``"picture"``, or the shape of the array that is explained.
    options
        What has to be given on the command line.
    refused
        A part of the message with which CAM is refused.
    """

    make: Callable[[], Any]
    layer: str = ""
    inputs: Any = "picture"
    options: tuple[str, ...] = ()
    refused: str = ""
    formats: tuple[str, ...] = ("keras", "h5")
    no_gradient: str = ""
    tokens: bool = False
    about: dict[str, Any] = field(default_factory=dict)


def _keras() -> Any:
    import keras

    return keras


def conv_stack(x: Any, prefix: str = "") -> Any:
    layers = _keras().layers
    x = layers.Conv2D(6, 3, activation="relu", name=f"{prefix}c1")(x)
    return layers.Conv2D(8, 3, strides=2, activation="relu", name=f"{prefix}c2")(x)


def head(x: Any, classes: int = 3, activation: str | None = "softmax") -> Any:
    layers = _keras().layers
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(classes, activation=activation, name="classes")(x)


def functional() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, head(conv_stack(image)), name="flat")


def softmax_layer() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    x = head(conv_stack(image), activation=None)
    return keras.Model(image, keras.layers.Softmax(name="softmax")(x))


def sigmoid() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, head(conv_stack(image), 1, "sigmoid"))


def sequential_layers() -> list[Any]:
    layers = _keras().layers
    return [
        layers.Conv2D(6, 3, activation="relu", name="c1"),
        layers.Conv2D(8, 3, strides=2, activation="relu", name="c2"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(3, activation="softmax", name="classes"),
    ]


def sequential() -> Any:
    keras = _keras()
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *sequential_layers()])


def sequential_built() -> Any:
    model = _keras().Sequential(sequential_layers())
    model.build((None, SIZE, SIZE, 3))
    return model


def sequential_called() -> Any:
    model = _keras().Sequential(sequential_layers())
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    return model


def base() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, conv_stack(image), name="base")


def nested_in_functional() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, head(base()(image)))


def nested_in_sequential() -> Any:
    keras = _keras()
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), base(), *sequential_layers()[2:]])


def nested_deep() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    middle = keras.Sequential([keras.Input((SIZE, SIZE, 3)), base()], name="middle")
    outer = keras.Model(image, middle(image), name="outer")
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), outer, *sequential_layers()[2:]])


def nested_head() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    ending = keras.Sequential([keras.Input((9, 9, 8)), *sequential_layers()[2:]], name="ending")
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="c2")(
        keras.layers.Conv2D(6, 5, activation="relu", name="c1")(image)
    )
    return keras.Model(image, ending(x))


def augmented() -> Any:
    keras = _keras()
    layers = keras.layers
    front = keras.Sequential(
        [layers.Input((SIZE, SIZE, 3)), layers.RandomFlip(), layers.RandomRotation(0.1)],
        name="augmentation",
    )
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(front(image))
    return keras.Model(image, head(base()(x)))


def shared_layer() -> Any:
    keras = _keras()
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3))
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    return keras.Model(image, head(shared(shared(image))))


def siamese() -> Any:
    keras = _keras()
    left, right = (
        keras.Input((SIZE, SIZE, 3), name="left"),
        keras.Input((SIZE, SIZE, 3), name="right"),
    )
    part = base()
    x = keras.layers.Concatenate(name="both")([part(left), part(right)])
    return keras.Model([left, right], head(x))


def image_and_table() -> Any:
    keras = _keras()
    layers = keras.layers
    image, table = keras.Input((SIZE, SIZE, 3), name="image"), keras.Input((5,), name="table")
    x = layers.GlobalAveragePooling2D(name="pool")(conv_stack(image))
    x = layers.Concatenate()([x, layers.Dense(4, activation="relu")(table)])
    outputs = [
        layers.Dense(3, activation="softmax", name="kind")(x),
        layers.Dense(1, name="amount")(x),
    ]
    return keras.Model([image, table], outputs)


def dictionaries() -> Any:
    keras = _keras()
    layers = keras.layers
    image, table = keras.Input((SIZE, SIZE, 3), name="i"), keras.Input((5,), name="t")
    x = layers.GlobalAveragePooling2D(name="pool")(conv_stack(image))
    x = layers.Concatenate()([x, table])
    return keras.Model(
        {"photo": image, "facts": table}, {"kind": layers.Dense(3, activation="softmax")(x)}
    )


def free_size() -> Any:
    keras = _keras()
    image = keras.Input((None, None, 3))
    return keras.Model(image, head(conv_stack(image)))


def channels_first() -> Any:
    keras = _keras()
    layers = keras.layers
    image = keras.Input((3, SIZE, SIZE))
    x = layers.Permute((2, 3, 1), name="to_last")(image)
    return keras.Model(image, head(conv_stack(x)))


def unsigned_bytes() -> Any:
    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    return keras.Model(image, head(conv_stack(x)))


def signal() -> Any:
    keras = _keras()
    layers = keras.layers
    wave = keras.Input((64, 2))
    x = layers.Conv1D(4, 5, activation="relu", name="c1")(wave)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(wave, layers.Dense(3, activation="softmax")(x))


def volume() -> Any:
    keras = _keras()
    layers = keras.layers
    scan = keras.Input((8, 12, 12, 1))
    x = layers.Conv3D(4, 3, activation="relu", name="c1")(scan)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(scan, layers.Dense(3, activation="softmax")(x))


def text() -> Any:
    keras = _keras()
    layers = keras.layers
    words = keras.Input((20,), dtype="int32")
    x = layers.Embedding(50, 8, name="embedding")(words)
    x = layers.Conv1D(6, 3, activation="relu", name="c1")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(words, layers.Dense(3, activation="softmax")(x))


def table() -> Any:
    keras = _keras()
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])


def separable() -> Any:
    keras = _keras()
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.SeparableConv2D(6, 3, activation="relu", name="s1")(image)
    x = layers.SeparableConv2D(8, 3, activation="relu", name="s2")(x)
    return keras.Model(image, head(x))


def u_net() -> Any:
    keras = _keras()
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(image)
    b = layers.Conv2D(6, 3, padding="same", activation="relu", name="deep")(
        layers.MaxPooling2D()(a)
    )
    c = layers.Concatenate(name="join")([a, layers.UpSampling2D()(b)])
    c = layers.Conv2D(5, 3, padding="same", activation="relu", name="up")(c)
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax", name="mask")(c))


def low_precision(policy: str) -> Callable[[], Any]:
    def make() -> Any:
        keras = _keras()
        keras.config.set_dtype_policy(policy)
        try:
            return functional()
        finally:
            keras.config.set_dtype_policy("float32")

    return make


def subclassed() -> Any:
    from tests.helpers.odd_classes import Subclassed

    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    return model


def custom_layer() -> Any:
    from tests.helpers.odd_classes import Residual

    keras = _keras()
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="c1")(image)
    return keras.Model(image, head(Residual(6, name="block")(x)))


OWN = (
    "--custom-objects",
    "tests.helpers.odd_classes:Subclassed,tests.helpers.odd_classes:Residual",
)
KINDS: dict[str, Kind] = {
    "functional": Kind(functional, "c2"),
    "softmax layer": Kind(softmax_layer, "c2"),
    "1-unit sigmoid": Kind(sigmoid, "c2"),
    "Sequential with Input": Kind(sequential, "c2"),
    "Sequential, built": Kind(sequential_built, "c2"),
    "Sequential, called": Kind(sequential_called, "c2"),
    "nested base in Functional": Kind(nested_in_functional, "base/c2"),
    "nested base in Sequential": Kind(nested_in_sequential, "base/c2"),
    "nested three deep": Kind(nested_deep, "outer/middle/base/c2"),
    "nested head": Kind(nested_head, "c2"),
    "augmentation in front": Kind(augmented, "base/c2"),
    "shared layer (2 calls)": Kind(shared_layer, "shared@1"),
    "siamese": Kind(siamese, "both", options=("--input", "left=image", "--input", "right=0.5")),
    "image and table, 2 outputs": Kind(image_and_table, "c2", options=("--output", "kind")),
    "dict inputs and outputs": Kind(dictionaries, "c2", options=("--input", "facts=0.25")),
    "(None, None, 3)": Kind(free_size, "c2", options=("--size", "32x28")),
    "channels first": Kind(channels_first, "c2"),
    "uint8 input": Kind(unsigned_bytes, "c2", no_gradient="uint8"),
    "Conv1D": Kind(signal, "c1", (64, 2)),
    "Conv3D": Kind(volume, "c1", (8, 12, 12, 1)),
    "text after embedding": Kind(text, "c1", (20,), tokens=True, no_gradient="int32"),
    "table only": Kind(table, "", (6,), refused="No layer"),
    "SeparableConv only": Kind(separable, "s2"),
    "U-Net output": Kind(u_net, "up"),
    "mixed_float16": Kind(low_precision("mixed_float16"), "c2"),
    "mixed_bfloat16": Kind(low_precision("mixed_bfloat16"), "c2"),
    "subclassed": Kind(subclassed, "block", options=OWN, formats=("keras",)),
    "custom layer": Kind(custom_layer, "block", options=OWN),
}
