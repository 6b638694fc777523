"""From the options of the ``cam`` task to what is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kvis_cli.engines.cam.objective import Objective
from kvis_cli.engines.scores import Region
from kvis_cli.errors import UsageError
from kvis_cli.explanation import Target
from kvis_cli.images.photo import read_photo
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.paths import safe_name, user_path
from kvis_cli.render.resize import resize_map
from kvis_cli.spec.cam import CamSpec


@dataclass(frozen=True)
class Filters:
    """Filters of one layer as targets.

    Attributes
    ----------
    layer
        The layer call.
    channels
        How many it has.
    indices
        Which of them.
    """

    layer: LayerCall
    channels: int
    indices: list[int]

    def target(self, units: Sequence[tuple[int, float]]) -> Target:
        """Return the `Target` of one filter."""
        index = units[0][0]
        name = f"{safe_name(self.layer.path.replace('/', '.'))}-{index}"
        return Target(f"{self.layer.path} · filter {index}", name, tuple(units))


def filter_targets(opened: OpenModel, texts: Sequence[str]) -> Filters | None:
    """``LAYER:INDEX`` entries as targets; None for none.

    Parameters
    ----------
    opened
        The model.
    texts
        Such as ``block3_conv1:12``, all of one layer.

    Returns
    -------
    Filters or None
        Without repetition.

    Raises
    ------
    UsageError
        For an entry without an index, a filter that is not there, or filters of several layers.
    """
    if not texts:
        return None
    architecture = opened.info.architecture
    found: dict[int, LayerCall] = {}
    indices = []
    for text in texts:
        address, _, index = text.rpartition(":")
        if not address or not index.isdecimal():
            raise UsageError(
                f"'{text}' is not a filter.",
                f"'{index}' is not a number." if address else "It has no index.",
                "Write LAYER:INDEX, as block3_conv1:12; for saliency --layer LAYER --unit INDEX. "
                "Several are separated by commas.",
            )
        call = autolayer.resolve(architecture, address, model=opened.info.reference)
        found[id(call)] = call
        indices.append(int(index))
    if len(found) > 1:
        raise UsageError(
            "The filters are of several layers.",
            "One task explains filters of one layer.",
            "Run kvis once per layer, or write one task per layer in a job file.",
        )
    call = next(iter(found.values()))
    shape = call.output_shape or ()
    channels = (shape[1] if call.channels_first else shape[-1]) if len(shape) > 1 else None
    if channels is None:
        raise UsageError(f"Layer '{call.path}' has no channels.", f"Its output is {shape}.")
    for number in indices:
        if number >= channels:
            raise UsageError(
                f"Filter {number} is not among the {channels} of '{call.path}'.",
                "Filters are counted from 0.",
                f"Use 0 to {channels - 1}.",
            )
    return Filters(call, channels, list(dict.fromkeys(indices)))


def cam_objective(opened: OpenModel, task: CamSpec, filters: Filters | None) -> Objective:
    """Return what a task explains.

    Parameters
    ----------
    opened
        The model.
    task
        Its score and region.
    filters
        What is explained instead of classes, or None.

    Returns
    -------
    Objective
        What the CAM engines differentiate.

    Raises
    ------
    UsageError
        For a region of an output that is not a map, or options that exclude each other.
    """
    output = opened.info.output_index()
    if filters is not None:
        call = filters.layer
        return Objective(
            output=output,
            filter_layer=Tap(call.layer_path, call.call),
            channels_first=call.channels_first,
        )
    return Objective(task.score, output, _region(opened, task.region, output))


def _region(opened: OpenModel, text: str | None, output: int) -> Region:
    if text is None:
        return None
    if text == "predicted":
        return "predicted"
    outputs = opened.info.architecture.outputs
    shape = outputs[output].shape if outputs else None
    if shape is None or len(shape) != 4 or shape[1] is None or shape[2] is None:
        raise UsageError(
            "A region needs a model whose output is a map of known size.",
            f"Its output has the shape {shape}.",
            "Leave --region out, or use --region predicted.",
        )
    size = (shape[1], shape[2])
    edges = _box(text)
    if edges is not None:
        return _inside(edges, size)
    path = user_path(text)
    if not path.is_file():
        raise UsageError(
            f"'{text}' is not a region.",
            "It is neither `predicted`, nor a box, nor a picture file.",
            "Write LEFT,TOP,RIGHT,BOTTOM in shares of the picture: 0.25,0,0.75,0.5.",
        )
    white = read_photo(path).pixels.astype(np.float32).mean(axis=-1) / 255
    return resize_map(white, size)


def _box(text: str) -> tuple[float, ...] | None:
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    if len(edges) != 4:
        return None
    left, top, right, bottom = edges
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise UsageError(
            f"The region {text} is not a box.",
            "Its edges are LEFT,TOP,RIGHT,BOTTOM in shares of the picture, 0 to 1.",
        )
    return edges


def _inside(edges: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    """How much of each output position lies in the box."""

    def cover(low: float, high: float, count: int) -> np.ndarray:
        cells = np.arange(count)
        return np.clip(np.minimum(cells + 1, high * count) - np.maximum(cells, low * count), 0, 1)

    left, top, right, bottom = edges
    rows, columns = cover(top, bottom, size[0]), cover(left, right, size[1])
    return np.asarray(np.outer(rows, columns), np.float32)
