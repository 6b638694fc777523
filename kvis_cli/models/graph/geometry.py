"""Where the cells of a feature map lie on the input: stride, centre and extent, from the graph.

A cell of a layer reads a window of ``k`` cells of the layer before, ``stride`` apart and moved by
the padding, so along each axis (Dumoulin & Visin 2016, arXiv:1603.07285; Araujo et al. 2019,
doi:10.23915/distill.00021)::

    first' = first + ((k - 1) / 2 - padding before) · step
    step' = stride · step
    extent' = extent + (k - 1) · step

with ``k`` the dilated size of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kvis_cli.explanation import GridAxis, MapGrid
from kvis_cli.models.graph.architecture import LayerCall

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class _Axis:
    step: float = 1.0
    first: float = 0.5
    extent: float = 1.0
    # Whether padding moved the windows: then the formula is no more than where training began.
    padded: bool = False


@dataclass(frozen=True)
class _Call:
    """A layer call along one axis."""

    config: dict[str, Any]
    axis: int
    rank: int
    before: int
    after: int

    def setting(self, name: str, default: Any = 1) -> Any:
        """Return the value of a setting along this axis."""
        value = self.config.get(name)
        if value is None:
            return default
        if isinstance(value, list | tuple):
            return value[self.axis] if len(value) == self.rank else value[0]
        return value


_Rule = Callable[[_Axis, _Call], "_Axis | None"]


def map_grid(call: LayerCall) -> MapGrid | None:
    """Return the grid of a layer's maps on the model's input.

    Parameters
    ----------
    call
        A layer call with spatial maps of known size.

    Returns
    -------
    MapGrid or None
        None where the graph does not say it: behind a reshape or global pooling, where branches
        of different strides meet, for sizes that are not fixed.
    """
    space = call.spatial_shape
    known: dict[int, tuple[_Axis, ...] | None] = {}
    source = _source(call)
    if not space or source is None or None in space or None in (source.spatial_shape or (None,)):
        return None
    axes = _axes(call, known)
    if axes is None or len(axes) != len(space):
        return None
    sizes = source.spatial_shape or ()
    if len(sizes) != len(axes):
        return None
    return MapGrid(
        tuple(
            GridAxis(int(cells or 0), int(size or 0), a.step, a.first, a.extent)
            for a, cells, size in zip(axes, space, sizes, strict=True)
        ),
        exact=not any(a.padded for a in axes),
    )


def _source(call: LayerCall) -> LayerCall | None:
    """Return the only input that a call depends on."""
    pending, seen, found = [call], set(), []
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if not current.inputs:
            found.append(current)
        pending.extend(current.inputs)
    return found[0] if len(found) == 1 else None


def _axes(call: LayerCall, known: dict[int, tuple[_Axis, ...] | None]) -> tuple[_Axis, ...] | None:
    # Without recursion: deep networks are deeper than Python's stack.
    pending = [call]
    while pending:
        current = pending[-1]
        if id(current) in known:
            pending.pop()
            continue
        missing = [before for before in current.inputs if id(before) not in known]
        if missing:
            pending.extend(missing)
            continue
        known[id(current)] = _of_call(current, [known[id(before)] for before in current.inputs])
        pending.pop()
    return known[id(call)]


def _of_call(call: LayerCall, before: list[tuple[_Axis, ...] | None]) -> tuple[_Axis, ...] | None:
    space = call.spatial_shape
    if not space:
        return None
    if not before:
        return tuple(_Axis() for _ in space)
    axes = _joined(before)
    if axes is None or len(axes) != len(space):
        return None
    was = call.inputs[0].spatial_shape or ()
    rule = _RULES.get(call.class_name)
    if rule is None:
        return axes if was == space else None
    if len(was) != len(space) or None in was or None in space:
        return None
    found = [
        rule(axis, _Call(call.config, i, len(space), int(was[i] or 0), int(space[i] or 0)))
        for i, axis in enumerate(axes)
    ]
    return None if any(axis is None for axis in found) else tuple(a for a in found if a)


def _joined(parts: list[tuple[_Axis, ...] | None]) -> tuple[_Axis, ...] | None:
    """Return what several inputs have in common.

    The same steps, the mean centre, the largest extent.
    """
    first = parts[0]
    if first is None or any(part is None or len(part) != len(first) for part in parts):
        return None
    joined = []
    for same in zip(*(part for part in parts if part), strict=True):
        if len({axis.step for axis in same}) > 1:
            return None
        low = min(axis.first - axis.extent / 2 for axis in same)
        high = max(axis.first + axis.extent / 2 for axis in same)
        centres = {axis.first for axis in same}
        joined.append(
            _Axis(
                same[0].step,
                sum(centres) / len(centres),
                high - low,
                any(axis.padded for axis in same) or len(centres) > 1,
            )
        )
    return tuple(joined)


def _window(axis: _Axis, size: int, stride: int, left: int, right: int) -> _Axis:
    shift = (size - 1) / 2 - left
    return _Axis(
        axis.step * stride,
        axis.first + shift * axis.step,
        axis.extent + (size - 1) * axis.step,
        # Padding that keeps every window where its cell is moves nothing.
        axis.padded or bool(left + right and not (stride == 1 and left == right)),
    )


def _windowed(axis: _Axis, call: _Call, size: int, stride: int) -> _Axis:
    padding = str(call.config.get("padding", "valid")).lower()
    left = right = 0
    if padding == "same":
        total = max((call.after - 1) * stride + size - call.before, 0)
        left, right = total // 2, total - total // 2
    elif padding == "causal":
        left = size - 1
    return _window(axis, size, stride, left, right)


def _convolution(axis: _Axis, call: _Call) -> _Axis | None:
    dilation = int(call.setting("dilation_rate"))
    size = (int(call.setting("kernel_size")) - 1) * dilation + 1
    return _windowed(axis, call, size, int(call.setting("strides")))


def _pooling(axis: _Axis, call: _Call) -> _Axis | None:
    size = int(call.setting("pool_size", 2))
    return _windowed(axis, call, size, int(call.setting("strides", size)))


def _transposed(axis: _Axis, call: _Call) -> _Axis | None:
    size, stride = int(call.setting("kernel_size")), int(call.setting("strides"))
    same = str(call.config.get("padding", "valid")).lower() == "same"
    total = max(size - stride, 0) if same else 0
    step = axis.step / stride
    shift = total // 2 - (size - 1) / 2
    return _Axis(step, axis.first + shift * step, axis.extent + (size - 1) * step, True)


def _padding(axis: _Axis, call: _Call) -> _Axis | None:
    left, right = _both_sides(call, "padding")
    # What follows decides whether it moves the windows; said to be so, to be sure.
    return replace(
        axis, first=axis.first - left * axis.step, padded=axis.padded or bool(left or right)
    )


def _cropping(axis: _Axis, call: _Call) -> _Axis | None:
    left, _ = _both_sides(call, "cropping")
    return replace(axis, first=axis.first + left * axis.step)


def _both_sides(call: _Call, name: str) -> tuple[int, int]:
    value = call.config.get(name, 1)
    if isinstance(value, list | tuple) and (
        call.rank > 1 or len(value) == 1 or isinstance(value[0], list | tuple)
    ):
        value = value[call.axis] if len(value) == call.rank else value[0]
    if isinstance(value, list | tuple):
        return int(value[0]), int(value[-1])
    return int(value), int(value)


def _resampled(axis: _Axis, call: _Call) -> _Axis | None:
    if not call.after or call.config.get("crop_to_aspect_ratio"):
        return None
    step = axis.step * call.before / call.after
    return replace(axis, step=step, first=axis.first - axis.step / 2 + step / 2)


def _nothing(axis: _Axis, call: _Call) -> _Axis | None:
    return None


_DIMENSIONS = (1, 2, 3)
_CONVOLUTIONS = ("", "Separable", "Depthwise")
_RULES: dict[str, _Rule] = {
    **{f"{kind}Conv{n}D": _convolution for kind in _CONVOLUTIONS for n in _DIMENSIONS},
    **{f"LocallyConnected{n}D": _convolution for n in _DIMENSIONS},
    **{f"Conv{n}DTranspose": _transposed for n in _DIMENSIONS},
    **{f"{kind}Pooling{n}D": _pooling for kind in ("Max", "Average") for n in _DIMENSIONS},
    **{f"ZeroPadding{n}D": _padding for n in _DIMENSIONS},
    **{f"Cropping{n}D": _cropping for n in _DIMENSIONS},
    **{f"UpSampling{n}D": _resampled for n in _DIMENSIONS},
    "Resizing": _resampled,
    # They may keep the size, and never the places.
    **dict.fromkeys(("Reshape", "Permute", "Flatten", "TimeDistributed", "Dot"), _nothing),
}
