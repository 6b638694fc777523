"""The layers of a weights file as a plain chain, each taking what the one before it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvis_cli.errors import ModelError
from kvis_cli.models.description.layer_kinds import Kind, kind_of_layer
from kvis_cli.models.files.weight_layers import StoredLayer
from kvis_cli.shown import shown

RECURRENT = ("GRU", "LSTM", "SimpleRNN")
_HINT = "Name the function that made the model when the weights were saved: --arch module:function."


@dataclass(frozen=True)
class ChainLink:
    """One layer of a chain.

    Attributes
    ----------
    layer, kind
        The layer of the file, and what it is.
    positions
        How many positions its input is flattened from, so that it takes `positions` × channels;
        0 where nothing is flattened.
    """

    layer: StoredLayer
    kind: Kind
    positions: int = 0


def chain_of(
    layers: Sequence[StoredLayer], *, ordered: bool, reference: str, channels: int | None = None
) -> list[ChainLink]:
    """Return the layers in the order of their calls.

    Parameters
    ----------
    layers
        As the file has them.
    ordered
        Whether that is the order of the model. Otherwise only the order within each class is
        known, and the channels have to tell the rest.
    reference
        What the user typed, for the message.
    channels
        That what the chain reads has; None at the start of a model.

    Returns
    -------
    list of ChainLink
        The first is the one that reads the input.

    Raises
    ------
    ModelError
        Naming the first layer that is no plain one, or does not follow from the one before.
    """
    named = [(layer, kind_of_layer(layer)) for layer in layers]
    for layer, kind in named:
        if not kind.class_name:
            raise ModelError(
                f"The architecture of {reference} cannot be told from its weights: "
                f"'{shown(layer.name)}' is no plain layer.",
                "It has arrays of the shapes " + ", ".join(map(str, layer.shapes)) + ".",
                _HINT,
            )
    chain: list[ChainLink] = []
    spatial = channels is not None
    while named:
        place = 0 if ordered else _next(named, channels, spatial)
        layer, kind = named.pop(place)
        positions = _positions(kind, channels, spatial)
        if positions is None:
            raise ModelError(
                f"The architecture of {reference} cannot be told from its weights: "
                f"'{shown(layer.name)}' takes {kind.takes} channels.",
                f"The layer before it gives {channels}, so the layers are no plain chain.",
                _HINT,
            )
        chain.append(ChainLink(layer, kind, positions))
        if positions:
            spatial = False
        if kind.gives is not None:
            channels = kind.gives
            spatial = spatial if kind.class_name == "Embedding" else kind.rank > 0
        elif positions:
            channels = kind.takes
    return chain


def _positions(kind: Kind, channels: int | None, spatial: bool) -> int | None:
    """Return from how many positions a layer's input is flattened; None where it does not fit."""
    if channels is None or kind.takes is None or kind.takes == channels:
        return 0
    flat = spatial and kind.rank == 0 and kind.class_name not in RECURRENT
    if flat and kind.takes % channels == 0:
        return kind.takes // channels
    return None


def _next(named: list[tuple[StoredLayer, Kind]], channels: int | None, spatial: bool) -> int:
    """Return the place of the layer that comes next: the first of its class, if it fits."""
    seen: set[str] = set()
    found: list[tuple[tuple[int, int], int]] = []
    for place, (layer, kind) in enumerate(named):
        if layer.class_name in seen:
            continue
        seen.add(layer.class_name)
        positions = _positions(kind, channels, spatial)
        if positions is None or (channels is None and kind.gives is None):
            continue
        takes = kind.takes or 0
        found.append(((_rank(kind, bool(positions)), takes), place))
    return min(found)[1] if found else 0


def _rank(kind: Kind, flattens: bool) -> int:
    if kind.class_name == "Embedding":
        return 0
    if kind.gives is None:
        return 5 if flattens else 1
    if kind.rank:
        return 2
    return 3 if kind.class_name in RECURRENT else 4
