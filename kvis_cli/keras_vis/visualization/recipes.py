"""The recipe that the weights and the preset of a call mean."""

from __future__ import annotations

from dataclasses import replace

from kvis_cli.engines.activation_maximization.presets import PRESETS, Recipe
from kvis_cli.errors import UnknownNameError

# keras-vis' weights and 200 iterations, with a step in units of the range and pixels kept in it.
MENDED = Recipe(steps=200, rate=0.05, parametrization="pixel", start="noise", tv=10.0, lp=10.0)


def recipe_for(
    preset: str | None, act: float | None, lp: float | None, tv: float | None, steps: int | None
) -> Recipe:
    """Return the recipe that weights, preset and steps mean."""
    if preset is not None and preset not in PRESETS:
        raise UnknownNameError.of("preset", preset, PRESETS)
    base = MENDED if preset is None else PRESETS[preset]
    if preset in (None, "keras-vis"):
        base = replace(base, act=act or 0.0, lp=lp or 0.0, tv=tv or 0.0)
    return base if steps is None else replace(base, steps=steps)
