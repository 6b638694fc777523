"""A model's architecture as a flat graph of layer calls, read from its config without Keras.

Nested models are inlined: what remains are the calls of real layers, each with an address such
as ``base/conv1``. A shared layer has one call per use (``conv``, ``conv@1`` ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kvis_cli.models.graph.config import (
    Config,
)
from kvis_cli.models.graph.layers.rules import Shape


@dataclass(eq=False)
class LayerCall:
    """One use of one layer.

    Attributes
    ----------
    path
        The address of this call: names of the nested models and of the layer, joined by ``/``;
        ``@k`` marks the (k+1)-th use of a shared layer or model.
    layer_path
        The address of the layer itself: `path` without ``@k``.
    call
        0 for the layer's first use in execution order, 1 for its second ...
    name, class_name, config
        As in the file.
    index
        Row number in execution order.
    inputs
        The calls whose outputs it reads, in argument order, without repetition.
    input_shapes
        The shape of each tensor that it reads, batch included; None when unknown.
    output_shapes
        The shape of each tensor that it makes.
    params
        Number of weights, None when unknown. The uses of a shared layer share them.
    depth
        How many nested models it is inside of.
    """

    path: str
    layer_path: str
    call: int
    name: str
    class_name: str
    config: Config = field(repr=False)
    index: int
    inputs: tuple[LayerCall, ...] = field(repr=False)
    input_shapes: tuple[Shape | None, ...] = field(repr=False)
    output_shapes: tuple[Shape | None, ...]
    params: int | None = None
    depth: int = 0

    @property
    def output_shape(self) -> Shape | None:
        """The shape of the first output, batch included; None when unknown."""
        return self.output_shapes[0] if self.output_shapes else None

    @property
    def filters(self) -> int | None:
        """How many channels or units the output has, None when unknown."""
        shape = self.output_shape
        if shape is None or len(shape) < 2 or self.class_name == "InputLayer":
            return None
        if len(shape) > 2 and self.channels_first:
            return shape[1]
        return shape[-1]

    @property
    def channels_first(self) -> bool:
        """Whether the channels of its output stand before the spatial dimensions.

        A layer that does not say it (an activation, an addition) keeps the order of what it reads.
        """
        pending, seen = [self], set()
        while pending:
            call = pending.pop(0)
            if id(call) in seen:
                continue
            seen.add(id(call))
            stated = call.config.get("data_format")
            if stated in ("channels_first", "channels_last"):
                return bool(stated == "channels_first")
            if call.class_name == "BatchNormalization" and len(call.output_shape or ()) > 3:
                axis = call.config.get("axis", -1)
                axis = axis[0] if isinstance(axis, list) and axis else axis
                return bool(axis == 1)
            if call.class_name in ("Dense", "Reshape", "Permute", "Embedding"):
                return False
            pending.extend(call.inputs)
        return False

    @property
    def spatial_shape(self) -> Shape | None:
        """The sizes between batch and channels; empty for a vector, None when unknown."""
        shape = self.output_shape
        if shape is None:
            return None
        if len(shape) < 3:
            return ()
        return shape[2:] if self.channels_first else shape[1:-1]


@dataclass(frozen=True)
class Endpoint:
    """An input or output of the model: its name, shape (batch included), dtype and tensor."""

    name: str
    shape: Shape | None
    dtype: str
    call: LayerCall = field(repr=False)
    output: int = 0
    key: str | None = None


@dataclass
class Architecture:
    """The flat graph of a model.

    Attributes
    ----------
    name, class_name
        Of the model itself.
    calls
        All layer calls in execution order, the inputs first used included.
    inputs, outputs
        What goes in and out, in the model's own order. `key` is set for dict inputs and outputs.
    models
        Nested models: address → the call that makes their (first) output.
    is_graph
        False for a subclassed model, whose config does not say what it computes.
    """

    name: str
    class_name: str
    calls: tuple[LayerCall, ...] = ()
    inputs: tuple[Endpoint, ...] = ()
    outputs: tuple[Endpoint, ...] = ()
    models: dict[str, LayerCall] = field(default_factory=dict)
    is_graph: bool = True

    @property
    def params(self) -> int | None:
        """Number of weights, each shared layer counted once; None when a layer is unknown."""
        total, seen = 0, set()
        for call in self.calls:
            if call.layer_path in seen:
                continue
            seen.add(call.layer_path)
            if call.params is None:
                return None
            total += call.params
        return total

    def __iter__(self) -> Iterator[LayerCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)
