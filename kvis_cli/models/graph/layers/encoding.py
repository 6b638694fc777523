"""Layers that turn words and numbers into indices."""

from __future__ import annotations

from kvis_cli.models.graph.layers.rules import Config, Shape, shape_rule


@shape_rule("CategoryEncoding", "Hashing", "Discretization", "IntegerLookup", "StringLookup")
def _preprocessing_shape(config: Config, inputs: list[Shape]) -> Shape | None:
    if config.get("output_mode", "int") == "int":
        return inputs[0]
    tokens = config.get("num_tokens") or config.get("max_tokens")
    return None if tokens is None else (*inputs[0][:-1], int(tokens))


@shape_rule("TextVectorization")
def _text_vectorization_shape(config: Config, inputs: list[Shape]) -> Shape:
    if config.get("output_mode", "int") == "int":
        return (inputs[0][0], config.get("output_sequence_length"))
    return (inputs[0][0], config.get("max_tokens"))
