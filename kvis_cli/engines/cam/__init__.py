"""Class activation maps: where in an image the evidence for a score lies.

`kvis_cli.engines.cam.engine.CamEngine` computes; what is here needs no TensorFlow.
"""

# Importing a module enters its methods into the table, in the order in which help lists them.
# isort: off
from kvis_cli.engines.cam import weightings  # noqa: F401
from kvis_cli.engines.cam import engine_methods  # noqa: F401

# isort: on
from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.plugins import load_methods

__all__ = ["CAM_METHODS"]

load_methods()
