"""The CAM variants that are functions of the feature maps and their gradient.

Notation: ``A`` are the layer's feature maps ``(B, 1, h, w, K)``, ``G = ∂score/∂A`` is
``(B, T, h, w, K)``; a map is ``(B, T, h, w)``, float32, unscaled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Maps = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class CamMethod:
    """A registered variant.

    Attributes
    ----------
    name
        What users type.
    paper
        Authors, year, arXiv number.
    maps
        ``(A, G) -> maps``.
    """

    name: str
    paper: str
    maps: Maps


CAM_METHODS: dict[str, CamMethod] = {}


def register(name: str, paper: str) -> Callable[[Maps], Maps]:
    """Enter a function into `CAM_METHODS`."""

    def enter(maps: Maps) -> Maps:
        CAM_METHODS[name] = CamMethod(name, paper, maps)
        return maps

    return enter


@register("gradcam", "Selvaraju et al. 2016, arXiv:1610.02391")
def gradcam(features: Any, gradient: Any) -> Any:
    """``ReLU(Σ_k α_k A_k)`` with ``α_k`` the mean of ``G_k`` over space."""
    weights = tf.reduce_mean(gradient, axis=[2, 3], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))
