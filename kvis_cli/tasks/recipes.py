"""From the options of a task to a recipe."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

from kvis_cli.engines.activation_maximization.presets import PRESETS, Recipe
from kvis_cli.errors import UsageError
from kvis_cli.spec.maximize import OptimizationSpec, parse_rescale
from kvis_cli.tasks.canvas import Canvas


def recipe_of(task: OptimizationSpec, canvas: Canvas, settings: dict[str, Any]) -> Recipe:
    """Return the task's preset, changed by the options given and then by `settings` of a stage.

    Parameters
    ----------
    task
        Its preset and options; None leaves an option to the preset.
    canvas
        The model's input, whose size the preset is fitted to.
    settings
        Option -> value.

    Returns
    -------
    Recipe
        All settings of one optimisation.

    Raises
    ------
    UsageError
        For options that do not go together.
    """
    base = _fitted(PRESETS[task.preset], canvas)  # type: ignore[attr-defined]
    names = (
        "steps", "optimizer", "parametrization", "start", "tv", "lp", "l1", "l2", "grain",
        "jitter", "pad", "rotate", "flip", "blur", "patience", "stretch", "act",
    )  # fmt: skip
    given: dict[str, Any] = {n: getattr(task, n, None) for n in (*names, "lr", "rescale")}
    given = {k: v for k, v in {**given, **settings}.items() if v is not None}
    changes: dict[str, Any] = {k: v for k, v in given.items() if k in names}
    if "rescale" in given:
        low, high = parse_rescale(given["rescale"])
        changes["rescale"] = None if low == high == 1 else (low, high)
    for name in ("jitter", "pad"):
        if re.fullmatch(r"0*\.?0*(px|%)?", changes.get(name, "-")):
            changes[name] = None
    for name in ("rotate", "blur"):
        if changes.get(name) == 0:
            changes[name] = None
    if "lr" in given:
        low, high = canvas.value_range
        changes["rate"] = given["lr"] * (high - low if base.as_coded else 1)
    recipe = replace(base, **changes)
    if recipe.as_coded and recipe.parametrization == "fourier":
        raise UsageError(
            "The fourier parametrization does not go with this preset.",
            "The preset optimises model inputs as they are.",
            "Use --preset quality.",
        )
    return recipe


def _fitted(preset: Recipe, canvas: Canvas) -> Recipe:
    """Return a preset without what has no meaning for the input.

    What is asked for stays, and may fail.
    """
    axes = len(canvas.shape) - 1
    if axes == 0:
        preset = replace(
            preset, parametrization="pixel", warm_up=0, jitter=None, rescale=None, tv=0.0
        )
    return preset if axes == 2 else replace(preset, rotate=None)


def about_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe for the manifest: what is set."""
    return {k: v for k, v in asdict(recipe).items() if v not in (None, False)}
