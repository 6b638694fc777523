"""A model whose top layers are re-initialised, one after the other: no map may survive that.

Adebayo et al. 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292: a map that stays the same
when the weights are random does not depend on what was learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvis_cli.errors import ModelError, OutputError
from kvis_cli.lazy import np
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.sidecar import sidecar_path
from kvis_cli.models.description.sidecar_writing import sidecar_text
from kvis_cli.paths import safe_name
from kvis_cli.shown import said


def write_randomized(info: ModelInfo, folder: Path, *, most: int = 4, seed: int = 0) -> list[Path]:
    """Write models of which the top 1, 2, … layers with kernels, and at last all, are random.

    Kernels are drawn from a normal distribution of their own standard deviation, cut off at two of
    them; biases change places; statistics of normalisation stay, so that signals keep their size.

    Parameters
    ----------
    info
        The model.
    folder
        Where the models go, with sidecars; it is made.
    most
        How many layers are re-initialised one after the other before all are.
    seed
        Of the weights.

    Returns
    -------
    list of Path
        The most alike first.

    Raises
    ------
    ModelError
        For a model without kernels, or one that Keras cannot save.
    OutputError
        When a file cannot be written.
    """
    from kvis_cli.models.live.open import open_model

    opened = open_model(info)
    layers = list(with_kernels(opened.model))[::-1]
    if not layers:
        raise ModelError(f"{info.reference} has no weights to re-initialise.")
    rng = np.random.default_rng(seed)
    written = []
    for number, layer in enumerate(layers, 1):
        randomize(layer, rng)
        last = number == len(layers)
        if number > most and not last:
            continue
        name = f"all-{number}-layers" if last else f"top-{number}-{safe_name(layer.name)}"
        path = folder / f"{name}.keras"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sidecar_path(path).write_text(sidecar_text(info, folder), "utf-8")
            opened.model.save(path)
        except OSError as error:
            raise OutputError(f"'{path}' cannot be written.", f"{error.strerror}.") from error
        except Exception as error:
            raise ModelError(f"Keras cannot save {info.reference}.", said(error)) from error
        written.append(path)
    return written


def with_kernels(model: Any) -> Iterator[Any]:
    """Yield the layers that hold weights of two or more axes, from the input to the output."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from with_kernels(layer)
        elif any(len(weight.shape) > 1 for weight in layer.weights):
            yield layer


def randomize(layer: Any, rng: np.random.Generator) -> None:
    """Draw the kernels of a layer anew, and let its biases change places."""
    import keras

    normalises = isinstance(layer, keras.layers.BatchNormalization)
    weights = []
    for weight in layer.get_weights():
        if weight.ndim > 1:
            drawn = rng.normal(size=weight.shape)
            while (far := np.abs(drawn) > 2).any():
                drawn[far] = rng.normal(size=int(far.sum()))
            # A normal distribution that ends at two has this deviation.
            drawn *= weight.std() / 0.8796
            weights.append(drawn.astype(weight.dtype))
        else:
            weights.append(weight if normalises else rng.permutation(weight))
    layer.set_weights(weights)
