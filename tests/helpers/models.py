"""Small networks that tests share."""

from __future__ import annotations

from typing import Any


def network_of_rank(rank: int, activation: str | None = None) -> Any:
    """One convolution of 5 filters, its average and three classes, over 8 positions per axis."""
    import keras

    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((8,) * rank + (2,)),
            getattr(keras.layers, f"Conv{rank}D")(5, 3, activation="relu", name="maps"),
            getattr(keras.layers, f"GlobalAveragePooling{rank}D")(),
            keras.layers.Dense(3, activation=activation),
        ]
    )


def tiny_network(seed: int, *, hidden: bool = True) -> Any:
    """A network of a few hundred weights: 16×16 RGB, three classes, softmax.

    It has biases, and a curved head: a network without is homogeneous, so that a scaled input
    scales the gradients, and whole classes of mistakes cancel out of every map. Without its
    `hidden` layer the head is global average pooling and one Dense layer.
    """
    import keras

    keras.utils.set_random_seed(seed)
    bias = keras.initializers.RandomUniform(-0.1, 0.2, seed=seed)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", bias_initializer=bias, name="first"),
            keras.layers.Conv2D(
                6, 3, strides=2, activation="relu", bias_initializer=bias, name="second"
            ),
            keras.layers.GlobalAveragePooling2D(),
            *[keras.layers.Dense(5, activation="tanh", bias_initializer=bias, name="hidden")][
                : int(hidden)
            ],
            keras.layers.Dense(3, activation="softmax", bias_initializer=bias, name="classes"),
        ],
        name="tiny",
    )
