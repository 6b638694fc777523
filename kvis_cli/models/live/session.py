"""A Keras model in the user's own process: its layers by any address, and the engines made for it.

Engines are kept with the model, so that a thousand calls compile once; they go when it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import Architecture, LayerCall
from kvis_cli.models.live.open import live_architecture
from kvis_cli.models.live.reader import ModelReader, children, walk
from kvis_cli.models.live.structure import input_structure
from kvis_cli.models.request import ModelSpec
from kvis_cli.runtime.cache import Cache

Address = Any
"""A layer by its number in ``model.layers``, name, path, or as the layer itself or its tensor."""

# Keras leaves out attributes that begin like this when it saves a model.
_ATTRIBUTE = "__kvis__"
# Callables made again for each call must not pile up as engines.
_MOST_ENGINES = 32
_MOST_OPENED = 4


class LiveModel:
    """What kvis knows of a live model.

    Parameters
    ----------
    model
        Functional, Sequential or subclassed; never changed.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.reader = ModelReader(model)
        self.state = _state(model)
        self.engines = Cache(_MOST_ENGINES)
        # As it is opened under different options, each with engines of its own.
        self.opened = Cache(_MOST_OPENED)

    @cached_property
    def architecture(self) -> Architecture:
        """The graph; without calls where a subclassed model was never called."""
        try:
            return live_architecture(self.model, *input_structure(self.info, self.model))
        except UsageError:
            return live_architecture(self.model)

    @property
    def info(self) -> ModelInfo:
        """An empty info of the model's name."""
        return ModelInfo(ModelSpec(path=self.model.name), self.model.name)

    @cached_property
    def gives_probabilities(self) -> bool:
        """Whether its first output ends in a softmax or sigmoid."""
        info = self.info
        info.architecture = self.architecture
        return info.final_activation() in ("softmax", "sigmoid")

    @cached_property
    def _inputs(self) -> list[Any]:
        """What the model takes: symbolic tensors, or the ends of the graph."""
        stated = keras.tree.flatten(getattr(self.model, "inputs", None) or [])
        return stated or list(self.architecture.inputs)

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of the only input, batch included; None where the model does not say it.

        Raises
        ------
        UsageError
            For a model with several inputs.
        """
        if len(self._inputs) > 1:
            raise UsageError(
                f"'{self.model.name}' has {len(self._inputs)} inputs.",
                "These functions explain one array.",
                "Fix the other inputs in a model around it: keras.Model(x, model([x, fixed])).",
            )
        shape = self._inputs[0].shape if self._inputs else None
        return None if shape is None else tuple(shape)

    @property
    def input_dtype(self) -> str:
        """What the input is made of."""
        return str(self._inputs[0].dtype) if self._inputs else "float32"

    def address(self, layer: Address) -> str:
        """Return the path of a layer.

        Parameters
        ----------
        layer
            A number in ``model.layers``, a name or path, a layer, or a symbolic tensor.

        Returns
        -------
        str
            Names joined by ``/``.

        Raises
        ------
        UnknownNameError
            For what is not in the model.
        """
        if isinstance(layer, bool) or layer is None:
            raise UnknownNameError(f"'{layer}' is not a layer.", "", "Give a number, name or path.")
        if isinstance(layer, int | np.integer):
            layers = self.model.layers
            if not -len(layers) <= layer < len(layers):
                raise UnknownNameError(
                    f"No layer {layer}.",
                    f"The model has {len(layers)}: 0 to {len(layers) - 1}, or -1 from the end.",
                )
            return str(layers[layer].name)
        if isinstance(layer, str):
            return layer
        history = getattr(layer, "_keras_history", None)
        wanted = layer if history is None else history.operation
        for path, operation in _paths(self.model):
            if operation is wanted:
                return path
        raise UnknownNameError(
            f"The layer '{getattr(wanted, 'name', wanted)}' is not in '{self.model.name}'."
        )

    def call(self, layer: Address) -> LayerCall | None:
        """Return the layer's place in the graph; None in a subclassed model."""
        address = self.address(layer)
        if not self.architecture.calls:
            self.reader.operation(address.partition("@")[0])
            return None
        return autolayer.resolve(self.architecture, address, model=self.model.name)

    def engine(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the engine for `key`, made by `make` where there is none yet."""
        return self.engines.get(key, make)


def live_model(model: keras.Model) -> LiveModel:
    """Return the `LiveModel` of a model: the same one until a layer or an activation is replaced.

    Parameters
    ----------
    model
        A Keras model.

    Returns
    -------
    LiveModel
        It is kept with the model.

    Raises
    ------
    UsageError
        For anything that is not a Keras model.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"A Keras model is needed, not {type(model).__name__}.",
            "",
            "Load the file first: keras.models.load_model(path, compile=False).",
        )
    known = model.__dict__.get(_ATTRIBUTE)
    if known is None or known.state != _state(model):
        known = LiveModel(model)
        # Past Keras' own __setattr__, which tracks what it is given.
        model.__dict__[_ATTRIBUTE] = known
    return known


def _state(model: keras.Model) -> tuple[Any, ...]:
    """Return what a compiled engine depends on beside weights: the layers and their activations."""
    return tuple((op, getattr(op, "activation", None)) for op in walk(model) if op is not model)


def _paths(operation: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for child in children(operation):
        path = f"{prefix}{child.name}"
        found += [(path, child), *_paths(child, f"{path}/")]
    return found
