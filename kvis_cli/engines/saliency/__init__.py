"""Saliency: which parts of an input move a score.

`kvis_cli.engines.saliency.engine.SaliencyEngine` computes; what is here needs no TensorFlow.
"""

# Importing a module enters its methods into the registry, in the order in which help lists them.
# isort: off
from kvis_cli.engines.saliency import gradient  # noqa: F401
from kvis_cli.engines.saliency import smoothgrad  # noqa: F401
from kvis_cli.engines.saliency import integrated_gradients  # noqa: F401
from kvis_cli.engines.saliency import blur_ig  # noqa: F401
from kvis_cli.engines.saliency import occlusion  # noqa: F401
from kvis_cli.engines.saliency import rise  # noqa: F401

# isort: on
from kvis_cli.engines.saliency.registry import SALIENCY_METHODS
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.plugins import load_methods

__all__ = ["SALIENCY_METHODS", "SaliencySettings"]

load_methods()
