"""keras-vis' ``Optimizer``: gradient descent on a picture, with its last gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.keras_vis.callbacks import OptimizerCallback, Step
from kvis_cli.keras_vis.losses import input_of

if TYPE_CHECKING:
    from kvis_cli.engines.gradient_modifiers import Modify
    from kvis_cli.keras_vis.input_modifiers import InputModifier
    from kvis_cli.keras_vis.visualization.composed import WeightedLosses


class Optimizer:
    """Minimises a weighted sum of losses over a model's input.

    The steps, the losses and the picture are keras-vis' own, as with ``preset="keras-vis"``.

    Parameters
    ----------
    input_tensor
        The model, or its symbolic input.
    losses
        ``(loss, weight)`` pairs, as for
        `kvis_cli.keras_vis.visualization.visualize_activation_with_losses`.
    input_range
        Lowest and highest model input.
    wrt_tensor
        The model's input, or None.
    norm_grads
        Divide the gradient by its length before `grad_modifier` gets it.
    """

    def __init__(
        self,
        input_tensor: Any,
        losses: WeightedLosses,
        input_range: tuple[float, float] = (0, 255),
        wrt_tensor: Any = None,
        norm_grads: bool = True,
    ) -> None:
        self.input_tensor = input_of(input_tensor)
        self.losses = losses
        self.input_range = input_range
        self.wrt_tensor = self.input_tensor if wrt_tensor is None else input_of(wrt_tensor)
        self.wrt_tensor_is_input_tensor = self.wrt_tensor is self.input_tensor
        self.norm_grads = norm_grads

    def minimize(
        self,
        seed_input: Any = None,
        max_iter: int = 200,
        input_modifiers: Sequence[InputModifier | Callable[[Any], Any]] | None = None,
        grad_modifier: str | Modify | None = None,
        callbacks: Sequence[OptimizerCallback | type[OptimizerCallback]] | None = None,
        verbose: bool = True,
        *,
        seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take `max_iter` steps.

        Parameters
        ----------
        seed_input
            Where to start, as a model input; None for noise.
        max_iter
            Steps.
        input_modifiers
            Random changes before the model.
        grad_modifier
            Applied to the gradient of each step.
        callbacks
            Called after every step.
        verbose
            Print all losses of every step.
        seed
            Of everything random.

        Returns
        -------
        tuple of numpy.ndarray
            The picture as floats in `input_range`; the gradient of the last step and the model
            input that it was taken at, both ``(1, …, C)``.
        """
        from kvis_cli.engines.activation_maximization.presets import PRESETS
        from kvis_cli.engines.gradient_modifiers import find_modifier
        from kvis_cli.keras_vis.visualization.activation_maximization import minimised

        last = _Last()
        recipe = replace(
            PRESETS["keras-vis"], steps=max_iter, act=1.0, lp=0.0, tv=0.0,
            unit_gradient=self.norm_grads,
        )  # fmt: skip
        picture = minimised(
            self.input_tensor,
            self.losses,
            recipe,
            wrt_tensor=self.wrt_tensor,
            seed_input=seed_input,
            input_range=self.input_range,
            modify=None if grad_modifier is None else find_modifier(grad_modifier).modify,
            input_modifiers=input_modifiers,
            callbacks=[*(callbacks or []), last],
            verbose=verbose,
            seed=seed,
            as_floats=True,
        )
        return picture, last.step.grads, last.step.wrt_value


class _Last(OptimizerCallback):
    """Keeps the last step."""

    def on_step(self, step: Step) -> None:
        self.step = step
