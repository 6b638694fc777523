"""Which layers CAM options mean: one, several fused, every stage; and whether a head is linear."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.output_regions import example_region
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import Architecture, LayerCall
from kvis_cli.models.graph.layers import has_role

_FINAL = frozenset({"softmax", "sigmoid", "linear", None})


def cam_layers(info: ModelInfo, text: str) -> list[list[tuple[LayerCall, str]]]:
    """Return the layers of one ``--layer`` entry, with the reason for each.

    Parameters
    ----------
    info
        The model.
    text
        An address, ``auto``, ``all-spatial``, or addresses joined by ``+``.

    Returns
    -------
    list of list
        One inner list per map: several layers in it are fused.

    Raises
    ------
    UnknownNameError, UsageError
        For a layer that is not there, or has maps of one position.
    """
    refuse_noise(info)
    if text == "all-spatial":
        return [[(call, "one stage")] for call in stages(info)]
    try:
        found = [info.cam_layer(text)]
    except UnknownNameError:
        parts = [part.strip() for part in text.split("+")]
        if len(parts) < 2 or not all(parts):
            raise
        found = [info.cam_layer(part) for part in parts]
    for call, _ in found:
        refuse_single_position(call)
    return [found]


def refuse_noise(info: ModelInfo) -> None:
    """Refuse a generator, whose input is a vector of noise: there is nothing to lay a map over.

    Parameters
    ----------
    info
        The model.

    Raises
    ------
    UsageError
        With the command that explains it.
    """
    form = info.input_form()
    if form is not None and form.kind == "noise":
        output = info.output_form()
        raise UsageError(
            f"{info.reference} has no photo that a class activation map could lie over.",
            f"It makes {output.describe()} from {form.describe()}.",
            "`kvis saliency` shows which numbers of the noise move a part of it: kvis saliency "
            f"{shlex.quote(info.reference)} noise.npy --region {example_region(output)}",
        )


def refuse_single_position(call: LayerCall) -> None:
    """Refuse a layer whose maps have one position.

    Parameters
    ----------
    call
        The layer call; one of unknown size passes.

    Raises
    ------
    UsageError
        With the reason.
    """
    if call.spatial_shape and all(size == 1 for size in call.spatial_shape):
        grid = "×".join("1" for _ in call.spatial_shape)
        raise UsageError(
            f"Layer '{call.path}' has maps of {grid}.",
            "One position covers the whole image: a map of it would be one colour.",
            "Choose an earlier layer that `kvis layers` marks as a CAM target, or --layer auto.",
        )


def stages(info: ModelInfo) -> list[LayerCall]:
    """Return the spatial layers that the whole output passes, in order.

    Of each convolution with its normalisation and activation only the last counts.

    Parameters
    ----------
    info
        A model whose graph is known.

    Returns
    -------
    list of LayerCall
        The last of them is what ``--layer auto`` takes.

    Raises
    ------
    UsageError
        When there is none.
    """
    architecture = info.architecture
    last = autolayer.choose_cam_layer(architecture, info.output_index()).call
    output = architecture.outputs[info.output_index()].call
    candidates = autolayer.cam_candidates(architecture)
    passed = [
        call
        for call in autolayer.dominators(architecture, output)
        if call in candidates and call.index <= last.index and not autolayer.is_passive(call)
    ]
    users = _users(architecture)
    return [call for call in passed if call is last or not _is_refined(call, users)]


def _users(architecture: Architecture) -> dict[int, list[LayerCall]]:
    users: dict[int, list[LayerCall]] = {}
    for call in architecture:
        for before in call.inputs:
            users.setdefault(id(before), []).append(call)
    return users


def _is_refined(call: LayerCall, users: dict[int, list[LayerCall]]) -> bool:
    return any(has_role(user.class_name, "refining") for user in users.get(id(call), []))


def check_linear_head(architecture: Architecture, output_index: int, layer: LayerCall) -> None:
    """Refuse plain CAM where anything but average pooling and one linear layer follows `layer`.

    Parameters
    ----------
    architecture
        The model.
    output_index
        Which output is explained.
    layer
        Where the map is taken.

    Raises
    ------
    UsageError
        Naming what stands in between.
    """
    call = architecture.outputs[output_index].call
    pooled = linear = False
    while call is not layer:
        problem = ""
        name, activation = call.class_name, call.config.get("activation")
        if name.startswith("GlobalAveragePooling") or _pools_everything(call):
            pooled = True
        elif name in ("Dense", "Conv1D", "Conv2D", "Conv3D"):
            ends = not pooled and not linear and activation in _FINAL
            problem = "" if ends and _is_pointwise(call.config) else name
            linear = True
        elif name == "Softmax" or (name == "Activation" and activation in _FINAL):
            problem = name if linear and activation != "linear" else ""
        elif not has_role(name, "plain"):
            problem = name
        if problem or len(call.inputs) != 1:
            raise UsageError(
                f"Plain CAM is not defined at layer '{layer.path}' of this model.",
                f"It needs nothing but global average pooling and one Dense layer behind the "
                f"layer; here is also '{call.path}' ({call.class_name}).",
                "Use --method gradcam, which is the same where CAM is defined.",
            )
        call = call.inputs[0]
    if not pooled:
        raise UsageError(
            f"Plain CAM is not defined at layer '{layer.path}' of this model.",
            "There is no global average pooling behind it.",
            "Use --method gradcam.",
        )


def _pools_everything(call: LayerCall) -> bool:
    """Whether average pooling has a window as large as the map."""
    before = call.inputs[0].spatial_shape if len(call.inputs) == 1 else None
    window = call.config.get("pool_size")
    return (
        call.class_name.startswith("AveragePooling")
        and before is not None
        and isinstance(window, Sequence)
        and tuple(window) == tuple(before)
    )


def _is_pointwise(config: dict[str, object]) -> bool:
    size = config.get("kernel_size")
    return size is None or (isinstance(size, Sequence) and all(n == 1 for n in size))
