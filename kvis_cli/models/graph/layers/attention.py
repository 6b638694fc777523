"""Attention."""

from __future__ import annotations

import math

from kvis_cli.models.graph.layers.rules import Config, Shape, parameter_rule, role, shape_rule
from kvis_cli.models.graph.layers.sizes import bias_size, known


@shape_rule("MultiHeadAttention")
def _multi_head_attention_shape(config: Config, inputs: list[Shape]) -> Shape:
    out = config.get("output_shape")
    if out is None:
        return inputs[0]
    rank = len(config.get("attention_axes") or [1])
    sizes = out if isinstance(out, (list, tuple)) else [out]
    return (*inputs[0][: 1 + rank], *sizes)


@shape_rule("GroupedQueryAttention", "GroupQueryAttention")
def _grouped_attention_shape(config: Config, inputs: list[Shape]) -> Shape:
    return inputs[0]


@shape_rule("Attention", "AdditiveAttention")
def _attention_shape(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], inputs[1][-1])


@parameter_rule("MultiHeadAttention")
def _multi_head_attention_parameters(config: Config, inputs: list[Shape]) -> int:
    query, value, key = _query_value_key(inputs)
    heads, key_dim = int(config["num_heads"]), int(config["key_dim"])
    value_dim = int(config.get("value_dim") or key_dim)
    out = config.get("output_shape")
    if out is None:
        out_size = known(query[-1])
    else:
        out_size = math.prod(int(n) for n in out) if isinstance(out, (list, tuple)) else int(out)
    total = 0
    for source, size in ((query, key_dim), (key, key_dim), (value, value_dim)):
        total += _projection(config, source, heads * size)
    total += heads * value_dim * out_size + bias_size(config, out_size)
    if config.get("use_gate"):
        total += _projection(config, query, heads * value_dim)
    return total


@parameter_rule("GroupedQueryAttention", "GroupQueryAttention")
def _grouped_attention_parameters(config: Config, inputs: list[Shape]) -> int:
    query, value, key = _query_value_key(inputs)
    head = int(config["head_dim"])
    wide, narrow = (int(config[f"num_{kind}_heads"]) * head for kind in ("query", "key_value"))
    total = 0
    for source, size in ((query, wide), (key, narrow), (value, narrow)):
        total += _projection(config, source, size)
    if config.get("use_gate"):
        total += _projection(config, query, wide)
    return total + wide * known(query[-1]) + bias_size(config, known(query[-1]))


def _query_value_key(inputs: list[Shape]) -> tuple[Shape, Shape, Shape]:
    """Return the three inputs; those that were not given are the one before."""
    query = inputs[0]
    value = inputs[1] if len(inputs) > 1 else query
    return query, value, inputs[2] if len(inputs) > 2 else value


def _projection(config: Config, source: Shape, size: int) -> int:
    """Return the weights of a linear map of the last axis to `size` numbers."""
    return known(source[-1]) * size + bias_size(config, size)


@parameter_rule("Attention", "AdditiveAttention")
def _attention_parameters(config: Config, inputs: list[Shape]) -> int:
    if "use_scale" not in config:
        return 0
    if config.get("score_mode") is None:
        return known(inputs[0][-1]) if config["use_scale"] else 0
    return int(bool(config["use_scale"])) + int(config["score_mode"] == "concat")


role("feature", "AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention")
