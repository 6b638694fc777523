"""Operations of `keras.ops` that move or remove axes."""

from __future__ import annotations

from typing import Any

from kvis_cli.models.graph.layers.rules import Config, Shape, role, shape_rule


@shape_rule("Amax", "Amin", "Max", "Mean", "Min", "Prod", "Std", "Sum", "Var")
def _reduce_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axis")
    if axes is None:
        axes = list(range(len(shape)))
    gone = {axis % len(shape) for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    if config.get("keepdims"):
        return tuple(1 if i in gone else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in gone)


@shape_rule("Transpose")
def _transpose_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axes")
    return tuple(shape[axis] for axis in (axes or reversed(range(len(shape)))))


@shape_rule("ExpandDims")
def _expand_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = list(inputs[0]), config["axis"]
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return tuple(shape)


@shape_rule("Squeeze")
def _squeeze_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axis")
    if axes is None:
        return tuple(size for size in shape if size != 1)
    gone = {axis % len(shape) for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    return tuple(size for i, size in enumerate(shape) if i not in gone)


@shape_rule("Stack")
def _stack_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape = list(inputs[0])
    axis = config.get("axis", 0)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, len(inputs))
    return tuple(shape)


@shape_rule("GetItem")
def _getitem_shape(config: Config, inputs: list[Shape]) -> Shape:
    key = config["key"]
    if isinstance(key, dict) and key.get("class_name") == "__tuple__":
        key = key["items"]
    items = list(key) if isinstance(key, list) else [key]
    taken = sum(item is not None and not _is_ellipsis(item) for item in items)
    rest, out = list(inputs[0]), []
    for item in items:
        if _is_ellipsis(item):
            keep = len(rest) - taken
            out += rest[:keep]
            del rest[:keep]
        elif item is None:
            out.append(1)
        else:
            size = rest.pop(0)
            taken -= 1
            if isinstance(item, dict):
                cut = item["config"]
                bounds = slice(cut["start"], cut["stop"], cut["step"])
                out.append(None if size is None else len(range(*bounds.indices(size))))
    return (*out, *rest)


def _is_ellipsis(item: Any) -> bool:
    return isinstance(item, dict) and item.get("class_name") == "__ellipsis__"


role(
    "preparing",
    "Flip",
    "GetItem",
    "Mean",
    "SlicingOpLambda",
    "Split",
    "Stack",
    "TFOpLambda",
    "TensorFlowOpLayer",
    "Transpose",
)
