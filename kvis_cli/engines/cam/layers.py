"""Layers whose feature maps are weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvis_cli.errors import UsageError
from kvis_cli.lazy import tf

if TYPE_CHECKING:
    from kvis_cli.models.live.reader import Tap


@dataclass(frozen=True)
class CamLayer:
    """A layer call whose feature maps are weighted.

    Attributes
    ----------
    tap
        Its address.
    channels_first
        Whether its maps are ``(B, K, *space)``.
    """

    tap: Tap
    channels_first: bool = False

    def __str__(self) -> str:
        return str(self.tap)

    def channels_last(self, tensor: Any) -> Any:
        """Feature maps as float32 ``(B, *space, K)``."""
        tensor = tf.cast(tensor, tf.float32)
        if self.channels_first:
            rank = tensor.shape.rank
            tensor = tf.transpose(tensor, [0, *range(2, rank), 1])
        return tensor


def check_maps(layer: CamLayer, tensor: Any) -> None:
    """Refuse a tensor that is not made of maps larger than one position.

    Parameters
    ----------
    layer
        Named in the message.
    tensor
        Its output with the batch axis; only its shape is read.

    Raises
    ------
    UsageError
        With the shape, and what to choose instead.
    """
    shape = tuple(tensor.shape)
    space = shape[2:] if layer.channels_first else shape[1:-1]
    if not space:
        raise UsageError(
            f"Layer '{layer}' has no feature maps.",
            f"Its output has the shape {shape}.",
            "Choose a layer that `kvis layers` marks as a CAM target.",
        )
    if all(size == 1 for size in space):
        grid = "×".join(str(size) for size in space)
        raise UsageError(
            f"Layer '{layer}' has maps of {grid}.",
            "One position covers the whole image: a map of it would be one colour.",
            "Choose an earlier layer that `kvis layers` marks as a CAM target, or --layer auto.",
        )
