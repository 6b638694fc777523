"""Functions and layers of Keras 2 that upgraded configs refer to and that Keras 3 has otherwise.

The only part of the upgrade that needs Keras; hand the result to whatever builds the model.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kvis_cli.models.legacy.tables import LEGACY_HARD_SIGMOID


@cache
def legacy_objects() -> dict[str, Any]:
    """Return the ``custom_objects`` that an upgraded config may need."""
    import keras

    from kvis_cli.models.live.legacy_layers import LocallyConnected1D, LocallyConnected2D

    # Registered, so that a wrapper that copies its layer by way of the config keeps it, too.
    @keras.saving.register_keras_serializable(package="kvis", name=LEGACY_HARD_SIGMOID)
    def keras2_hard_sigmoid(x: Any) -> Any:
        """``clip(0.2·x + 0.5, 0, 1)``: Keras 3 changed the slope to 1/6."""
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {
        LEGACY_HARD_SIGMOID: keras2_hard_sigmoid,
        "LocallyConnected1D": LocallyConnected1D,
        "LocallyConnected2D": LocallyConnected2D,
    }
