"""Dense layers, embeddings, and layers that reshape."""

from __future__ import annotations

import math

from kvis_cli.models.graph.layers.rules import (
    Config,
    Shape,
    output_shapes,
    parameter_rule,
    role,
    shape_rule,
)
from kvis_cli.models.graph.layers.sizes import bias_size, known, product


@shape_rule("Dense")
def _dense_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], int(config["units"]))


@shape_rule("EinsumDense")
def _einsum_dense_shape(config: Config, inputs: list[Shape]) -> Shape | None:
    left, right = config["equation"].replace(" ", "").split("->")
    source = left.split(",")[0]
    shape = inputs[0]
    sizes: dict[str, int | None] = {}
    if "..." in source:
        rest = source.replace("...", "")
        lead, shape = shape[: len(shape) - len(rest)], shape[len(shape) - len(rest) :]
        sizes.update(zip(rest, shape, strict=True))
    else:
        lead = ()
        sizes.update(zip(source, shape, strict=True))
    given = config["output_shape"]
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    named = right.replace("...", "")
    sizes.update(zip(named[-len(given) :], given, strict=True))
    return (*lead, *(sizes[name] for name in named))


@shape_rule("Flatten")
def _flatten_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], product(inputs[0][1:]))


@shape_rule("Reshape")
def _reshape_shape(config: Config, inputs: list[Shape]) -> Shape:
    if "newshape" in config:
        # The operation states the batch, too; the layer does not.
        sizes = list(config["newshape"])
        return tuple(None if size == -1 else size for size in sizes)
    target = [int(size) for size in config["target_shape"]]
    if -1 in target:
        total, rest = product(inputs[0][1:]), -math.prod(target)
        free = target.index(-1)
        size = None if total is None else total // rest
        return (inputs[0][0], *target[:free], size, *target[free + 1 :])
    return (inputs[0][0], *target)


@shape_rule("Permute")
def _permute_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], *(inputs[0][axis] for axis in config["dims"]))


@shape_rule("RepeatVector")
def _repeat_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], int(config["n"]), inputs[0][1])


@shape_rule("Embedding")
def _embedding_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0], int(config["output_dim"]))


@parameter_rule("Dense")
def _dense_parameters(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return known(inputs[0][-1]) * units + bias_size(config, units)


@parameter_rule("EinsumDense")
def _einsum_dense_parameters(config: Config, inputs: list[Shape]) -> int:
    left, right = config["equation"].replace(" ", "").split("->")
    source, kernel = left.split(",")
    out = output_shapes("EinsumDense", config, inputs)[0]
    if out is None:
        raise ValueError("unknown output shape")
    sizes: dict[str, int | None] = {}
    for names, shape in ((source, inputs[0]), (right, out)):
        names = names.replace("...", "")
        sizes.update(zip(names, shape[len(shape) - len(names) :], strict=True))
    bias = math.prod(known(sizes[axis]) for axis in config.get("bias_axes") or "")
    return math.prod(known(sizes[axis]) for axis in kernel) + (
        bias if config.get("bias_axes") else 0
    )


@parameter_rule("Embedding")
def _embedding_parameters(config: Config, inputs: list[Shape]) -> int:
    return int(config["input_dim"]) * int(config["output_dim"])


role("feature", "Dense", "EinsumDense", "Embedding")
role("passive", "Flatten")
role("preparing", "Permute", "Reshape")
role("plain", "Flatten", "Permute", "Reshape")
role("reshaping", "Flatten", "Permute", "Reshape")
