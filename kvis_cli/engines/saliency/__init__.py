"""Saliency: which parts of an input move a score."""

from kvis_cli.engines.saliency import (  # noqa: F401 - entered into the registry by import
    integrated_gradients,
    occlusion,
    pointwise,
    rise,
    smoothgrad,
)
from kvis_cli.engines.saliency.engine import SaliencyBatch, SaliencyEngine, SaliencyMap
from kvis_cli.engines.saliency.methods import SALIENCY_METHODS
from kvis_cli.engines.saliency.settings import SaliencySettings

__all__ = [
    "SALIENCY_METHODS",
    "SaliencyBatch",
    "SaliencyEngine",
    "SaliencyMap",
    "SaliencySettings",
]
