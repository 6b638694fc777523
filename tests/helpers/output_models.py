"""Small models of every kind of input and output: a mask, an image, tokens, a table …."""

from __future__ import annotations

from typing import Any


def _stack(*parts: Any) -> Any:
    import keras

    return keras.Sequential(list(parts))


def u_net(units: int = 1, activation: str | None = "sigmoid", size: Any = (12, 18, 3)) -> Any:
    """One level down and up, with a skip connection."""
    from keras import Input, Model, layers

    inputs = Input(size)
    first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    down = layers.MaxPooling2D()(first)
    down = layers.Conv2D(5, 3, padding="same", activation="relu", name="middle")(down)
    joined = layers.Concatenate()([first, layers.UpSampling2D()(down)])
    last = layers.Conv2D(4, 3, padding="same", activation="relu", name="last")(joined)
    return Model(inputs, layers.Conv2D(units, 1, activation=activation, name="out")(last))


def convolutions(size: Any, units: int, activation: str | None, *, up: int = 1) -> Any:
    """A single path that keeps the size of a picture, or enlarges it."""
    from keras import Input, layers

    return _stack(
        Input(size),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="maps"),
        layers.UpSampling2D(up),
        layers.Conv2D(units, 3, padding="same", activation=activation, name="out"),
    )


def generator(numbers: int = 20) -> Any:
    """From a vector of noise to a picture of 16×16."""
    from keras import Input, layers

    return _stack(
        Input((numbers,)),
        layers.Dense(128, activation="relu"),
        layers.Reshape((4, 4, 8)),
        layers.Conv2DTranspose(6, 3, 2, padding="same", activation="relu", name="up"),
        layers.Conv2DTranspose(3, 3, 2, padding="same", activation="tanh", name="out"),
    )


def dense(size: Any, units: int, activation: str | None, *more: Any) -> Any:
    """One hidden layer over all numbers of an input."""
    from keras import Input, layers

    return _stack(
        Input(size),
        layers.Flatten(),
        layers.Dense(8, activation="tanh", name="hidden"),
        layers.Dense(units, activation=activation, name="out"),
        *more,
    )


def sequence(size: Any, units: int, activation: str | None, *, each: bool) -> Any:
    """A convolution over steps, and an output for each of them or for all together."""
    from keras import Input, layers

    pooled = [] if each else [layers.GlobalAveragePooling1D()]
    return _stack(
        Input(size),
        layers.Conv1D(4, 3, padding="same", activation="relu", name="maps"),
        *pooled,
        layers.Dense(units, activation=activation, name="out"),
    )


def words(units: int, activation: str, *, each: bool = False, dtype: str = "int32") -> Any:
    """An embedding of 64 tokens, so many as a picture of 8×8 has pixels."""
    from keras import Input, layers

    pooled = [] if each else [layers.GlobalAveragePooling1D()]
    return _stack(
        Input((64,), dtype=dtype),
        layers.Embedding(50, 6),
        *pooled,
        layers.Dense(units, activation=activation, name="out"),
    )


def reshaped_plane() -> Any:
    """Grey pictures without a channel axis, not square, brought to one."""
    from keras import Input, layers

    return _stack(
        Input((12, 18)),
        layers.Reshape((12, 18, 1)),
        layers.Conv2D(4, 3, activation="relu", name="maps"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax", name="out"),
    )


def rows_of_classes() -> Any:
    """A map of classes as the rows of a table, a row per pixel."""
    from keras import Input, layers

    return _stack(
        Input((6, 8, 3)),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="maps"),
        layers.Conv2D(5, 1, name="scores"),
        layers.Reshape((48, 5)),
        layers.Activation("softmax"),
    )


def channels_first() -> Any:
    """A map of classes whose units stand before its positions."""
    from keras import Input, Model, layers

    inputs = Input((3, 6, 8))
    maps = layers.Conv2D(4, 3, padding="same", activation="relu", data_format="channels_first")(
        inputs
    )
    scores = layers.Conv2D(5, 1, data_format="channels_first", name="scores")(maps)
    return Model(inputs, layers.Softmax(axis=1)(scores))


def rows_read_by_lstm() -> Any:
    """Square pictures, read row by row."""
    from keras import Input, layers

    return _stack(Input((28, 28)), layers.LSTM(4), layers.Dense(3, activation="softmax"))


def volume() -> Any:
    """A mask of a volume."""
    from keras import Input, layers

    return _stack(
        Input((4, 6, 8, 2)),
        layers.Conv3D(3, 3, padding="same", activation="relu"),
        layers.Conv3D(1, 1, activation="sigmoid", name="out"),
    )


def plane_of_pixels() -> Any:
    """An autoencoder of grey pictures without a channel axis."""
    from keras import layers

    return dense((16, 16), 256, "sigmoid", layers.Reshape((16, 16)))


# Name → what makes it, its input, its output; "" for classes.
KINDS: dict[str, tuple[Any, str, str]] = {
    "mask": (u_net, "picture", "mask"),
    "mask of a grey picture": (lambda: u_net(size=(12, 18, 1)), "picture", "mask"),
    "mask of any size": (lambda: u_net(size=(None, None, 3)), "picture", "mask"),
    "segmentation": (lambda: u_net(5, "softmax"), "picture", "segmentation"),
    "segmentation, one of three": (lambda: u_net(3, "softmax"), "picture", "segmentation"),
    "segmentation from logits": (lambda: u_net(7, None), "picture", "segmentation"),
    "segmentation in rows": (rows_of_classes, "picture", "segmentation"),
    "segmentation, channels first": (channels_first, "picture", "segmentation"),
    "autoencoder": (lambda: u_net(3, "sigmoid"), "picture", "image"),
    "grey autoencoder": (lambda: convolutions((12, 18, 1), 1, "sigmoid"), "picture", "image"),
    "denoiser": (lambda: convolutions((12, 18, 1), 1, None), "picture", "image"),
    "super-resolution": (lambda: convolutions((6, 9, 3), 3, None, up=2), "picture", "image"),
    "colours": (lambda: convolutions((12, 18, 1), 3, "tanh"), "picture", "image"),
    "colour channels": (lambda: convolutions((12, 18, 1), 2, "tanh"), "picture", "image"),
    "generator": (generator, "noise", "image"),
    "generator of 100": (lambda: generator(100), "noise", "image"),
    "pixels": (lambda: dense((784,), 10, "softmax"), "pixels", "classes"),
    "coloured pixels": (lambda: dense((3072,), 10, "softmax"), "pixels", "classes"),
    "plane": (lambda: dense((28, 28), 10, "softmax"), "pixels", "classes"),
    "plane made a picture": (reshaped_plane, "pixels", "classes"),
    "rows of a picture": (rows_read_by_lstm, "pixels", "classes"),
    "autoencoder of pixels": (lambda: dense((784,), 784, "sigmoid"), "pixels", "image"),
    "autoencoder of a plane": (plane_of_pixels, "pixels", "image"),
    "signal": (lambda: sequence((187, 1), 5, "softmax", each=False), "signal", "classes"),
    "signal, wide": (lambda: sequence((100, 12), 5, "softmax", each=False), "signal", "classes"),
    "mask of a signal": (lambda: sequence((40, 2), 1, "sigmoid", each=True), "signal", "mask"),
    "signal made a signal": (lambda: sequence((40, 2), 2, None, each=True), "signal", "signal"),
    "classes of steps": (lambda: sequence((40, 2), 4, "softmax", each=True), "signal", "tokens"),
    "table": (lambda: dense((13,), 3, "softmax"), "table", "classes"),
    "regression": (lambda: dense((13,), 1, None), "table", "score"),
    "two classes": (lambda: dense((13,), 1, "sigmoid"), "table", "classes"),
    "text": (lambda: words(1, "sigmoid"), "tokens", "classes"),
    "text as numbers": (lambda: words(3, "softmax", dtype="float32"), "tokens", "classes"),
    "tags": (lambda: words(6, "softmax", each=True), "tokens", "tokens"),
    "volume": (volume, "volume", "mask"),
}
