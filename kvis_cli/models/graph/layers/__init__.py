"""Keras' layer classes, one module per family; each class is known in one place."""

# Importing a module enters its classes into the table.
from kvis_cli.models.graph.layers import (  # noqa: F401
    attention,
    convolution,
    dense,
    elementwise,
    encoding,
    merging,
    operations,
    pooling,
    recurrent,
    wrappers,
)
from kvis_cli.models.graph.layers.rules import (
    LAYERS,
    ROLES,
    count_parameters,
    has_role,
    known_classes,
    output_shapes,
)

__all__ = ["LAYERS", "ROLES", "count_parameters", "has_role", "known_classes", "output_shapes"]
