"""The layers of a model as rows: what ``kvis layers --json`` prints."""

from __future__ import annotations

from typing import Any

from kvis_cli.errors import KvisError
from kvis_cli.explanation import MapGrid
from kvis_cli.models.description.cam_layers import refuse_noise
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.autolayer import cam_candidates
from kvis_cli.models.graph.geometry import map_grid


def auto_layer(info: ModelInfo) -> tuple[LayerCall | None, str]:
    """Return the layer that ``--layer auto`` means, and why; None with the reason for none."""
    try:
        refuse_noise(info)
        return info.cam_layer("auto")
    except KvisError as error:
        return None, str(error)


def layer_rows(info: ModelInfo) -> list[dict[str, Any]]:
    """Describe the layer calls in execution order.

    Parameters
    ----------
    info
        A model whose graph is known.

    Returns
    -------
    list of dict
        ``index``, ``path``, ``type``, ``output_shape``, ``filters``, ``params``, ``grid`` (where
        the cells lie on the input), ``cam`` (whether a map can be taken there), ``auto``.
    """
    auto, _ = auto_layer(info)
    taken = info.input_form()
    over = taken is None or taken.kind != "noise"
    candidates = {call.path for call in cam_candidates(info.architecture) if over}
    return [
        {
            "index": call.index,
            "path": call.path,
            "type": call.class_name,
            "output_shape": list(call.output_shape) if call.output_shape else None,
            "filters": call.filters,
            "params": call.params,
            "grid": _grid(map_grid(call)),
            "cam": call.path in candidates,
            "auto": auto is not None and call.path == auto.path,
        }
        for call in info.architecture.calls
    ]


def _grid(grid: MapGrid | None) -> dict[str, Any] | None:
    """Where a layer's cells lie on the input; null where the graph does not say it."""
    if grid is None:
        return None
    return {k: v for k, v in grid.to_json().items() if k != "applied"}
