"""Measures of maps: arrays in, numbers out.

A measure that a map does not have is `Undefined`, with the reason; it is never 0, 1 or nan.
"""

from __future__ import annotations

from kvis_cli.metrics.comparing import (
    MEASURES,
    centroid_shift,
    compare_maps,
    pearson,
    spearman,
    ssim,
    top_overlap,
)
from kvis_cli.metrics.curves import Curve, Score, deletion, insertion
from kvis_cli.metrics.grids import area_average, common_grid, meet
from kvis_cli.metrics.locating import energy_in_mask, enrichment, pointing_game
from kvis_cli.metrics.spread import entropy
from kvis_cli.metrics.undefined import Measured, Undefined

__all__ = [
    "MEASURES",
    "Curve",
    "Measured",
    "Score",
    "Undefined",
    "area_average",
    "centroid_shift",
    "common_grid",
    "compare_maps",
    "deletion",
    "energy_in_mask",
    "enrichment",
    "entropy",
    "insertion",
    "meet",
    "pearson",
    "pointing_game",
    "spearman",
    "ssim",
    "top_overlap",
]
