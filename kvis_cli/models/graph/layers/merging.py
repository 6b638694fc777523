"""Layers of several tensors, and the operations of two."""

from __future__ import annotations

from kvis_cli.models.graph.layers.rules import Config, Shape, role, shape_rule


@shape_rule(
    "Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract",
    # keras.ops nodes of two tensors, or a tensor and a constant
    "Divide", "TrueDivide", "FloorDivide", "Power", "Mod", "Equal", "NotEqual", "Greater",
    "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "Where",
)  # fmt: skip
def _broadcast_shape(config: Config, inputs: list[Shape]) -> Shape:
    rank = max(len(shape) for shape in inputs)
    out: list[int | None] = []
    for axis in range(-rank, 0):
        sizes = [shape[axis] for shape in inputs if len(shape) >= -axis]
        fixed = {size for size in sizes if size not in (1, None)}
        if len(fixed) > 1:
            raise ValueError("shapes do not broadcast")
        out.append(fixed.pop() if fixed else None if None in sizes else 1)
    return tuple(out)


@shape_rule("Concatenate")
def _concatenate_shape(config: Config, inputs: list[Shape]) -> Shape:
    out = list(inputs[0])
    axis = config.get("axis", -1)
    sizes = [shape[axis] for shape in inputs]
    out[axis] = None if None in sizes else sum(size for size in sizes if size is not None)
    for other in inputs[1:]:
        for i, size in enumerate(other):
            if out[i] is None and i != axis % len(out):
                out[i] = size
    return tuple(out)


@shape_rule("Dot")
def _dot_shape(config: Config, inputs: list[Shape]) -> Shape:
    first, second = list(inputs[0]), list(inputs[1])
    axes = config["axes"]
    a, b = axes if isinstance(axes, (list, tuple)) else (axes, axes)
    del first[a], second[b]
    out = (*first, *second[1:])
    return out if len(out) > 1 else (*out, 1)


role("preparing", "Add", "Concatenate", "Divide", "Multiply", "Subtract", "TrueDivide")
