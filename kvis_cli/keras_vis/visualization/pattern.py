"""``generate_pattern`` of "Deep Learning with Python"."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvis_cli.keras_vis.visualization.activation_maximization import visualize_activation
from kvis_cli.models.live.session import Address


def generate_pattern(
    layer_name: Address, filter_index: int, size: int = 150, *, model: Any = None, seed: int = 0
) -> np.ndarray:
    """Return the pattern that a filter responds to: F. Chollet's recipe.

    Noise of 128 to 148, 40 steps of size 1 along the gradient divided by its root mean square,
    shown with mean 0.5 and deviation 0.1.

    Parameters
    ----------
    layer_name
        The layer: a name, path or number.
    filter_index
        Its channel.
    size
        Height and width of the pattern.
    model
        None for VGG16 with ImageNet weights and without its classifier, as in the book.
    seed
        Of the noise.

    Returns
    -------
    numpy.ndarray
        uint8 ``(size, size, C)``.

    Raises
    ------
    WeightsError
        When no `model` is given and VGG16's weights are neither here nor to be downloaded.
    """
    if model is None:
        from kvis_cli.models.description.applications import build, parse_reference

        reference = parse_reference("vgg16")
        assert reference is not None
        model = _VGG16.setdefault("vgg16", None) or build(reference, top=False)
        _VGG16["vgg16"] = model
    from kvis_cli.engines.activation_maximization.seeds import generator, seed_image
    from kvis_cli.keras_vis.visualization.subject import input_channels_first
    from kvis_cli.models.live.session import live_model

    live = live_model(model)
    shape = live.input_shape
    channels = 3 if shape is None else shape[1 if input_channels_first(live) else -1] or 3
    start = seed_image("book", (size, size, channels), generator(seed, 0))
    if input_channels_first(live):
        start = np.moveaxis(start, -1, 0)
    return visualize_activation(
        model, layer_name, filter_index, seed_input=start, preset="chollet", seed=seed
    )


_VGG16: dict[str, Any] = {}
