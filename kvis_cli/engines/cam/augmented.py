"""Test-time augmentation of any CAM engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kvis_cli.engines.cam.settings import CONTRASTS, CamBatch, CamEngineLike


class AugmentedCam:
    """Maps averaged over mirrored inputs and inputs of more and less contrast.

    Parameters
    ----------
    engine
        Makes the maps.
    width_axis
        The input's axis from left to right.
    """

    def __init__(self, engine: CamEngineLike, width_axis: int) -> None:
        self.engine = engine
        self.width_axis = width_axis

    @property
    def traces(self) -> int:
        """How often the engine was compiled."""
        return self.engine.traces

    @property
    def notes(self) -> list[str]:
        """What the user should know, once a batch was explained."""
        return self.engine.notes

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch: scores are those of the inputs as they are."""
        plain = self.engine(inputs, weights, ranks)
        # The top class of a mirrored photo may be another.
        fixed = np.full_like(ranks, -1)
        total = {key: np.zeros_like(value) for key, value in plain.maps.items()}
        for mirrored in (False, True):
            for contrast in CONTRASTS:
                if not mirrored and contrast == 1.0:
                    maps = plain.maps
                else:
                    changed = np.flip(inputs, self.width_axis) if mirrored else inputs
                    changed = (changed * contrast).astype(inputs.dtype)
                    maps = self.engine(changed, plain.weights, fixed).maps
                for key, value in maps.items():
                    total[key] += np.flip(value, -1) if mirrored else value
        count = 2 * len(CONTRASTS)
        return replace(plain, maps={key: value / count for key, value in total.items()})
