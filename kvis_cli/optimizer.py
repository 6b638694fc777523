"""keras-vis' ``Optimizer``: gradient descent on a picture, with its last gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.callbacks import OptimizerCallback, Step

if TYPE_CHECKING:
    from kvis_cli.engines.gradient_modifiers import Modify
    from kvis_cli.input_modifiers import InputModifier
    from kvis_cli.visualization.composed import WeightedLosses


class Optimizer:
    """Minimises a weighted sum of losses over a model's input.

    Parameters
    ----------
    input_tensor, losses, input_range, wrt_tensor
        See `kvis_cli.visualization.visualize_activation_with_losses`.
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
        self.input_tensor = input_tensor
        self.losses = losses
        self.input_range = input_range
        self.wrt_tensor = wrt_tensor
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
        seed_input, max_iter, input_modifiers, grad_modifier, callbacks, verbose, seed
            See `kvis_cli.visualization.visualize_activation_with_losses`.

        Returns
        -------
        tuple of numpy.ndarray
            The picture; the gradient of the last step and the model input that it was taken at,
            both ``(1, …, C)``.
        """
        from kvis_cli.engines.gradient_modifiers import find_modifier
        from kvis_cli.visualization import visualize_activation_with_losses

        modify = find_modifier(grad_modifier).modify
        last = _Last()
        picture = visualize_activation_with_losses(
            self.input_tensor,
            self.losses,
            self.wrt_tensor,
            seed_input,
            self.input_range,
            grad_modifier=(lambda g: modify(_unit(g))) if self.norm_grads else modify,
            max_iter=max_iter,
            input_modifiers=input_modifiers,
            callbacks=[*(callbacks or []), last],
            verbose=verbose,
            seed=seed,
        )
        low, high = self.input_range
        # A gradient of length 1 is one in any unit.
        grads = last.step.grads * ((high - low) if self.norm_grads else 1.0)
        return picture, grads, last.step.wrt_value


class _Last(OptimizerCallback):
    """Keeps the last step."""

    def on_step(self, step: Step) -> None:
        self.step = step


def _unit(gradient: Any) -> Any:
    """``(B, …)`` with each entry of length 1; keras-vis' epsilon is below the square root."""
    import tensorflow as tf

    axes = tuple(range(1, len(gradient.shape)))
    square = tf.reduce_sum(tf.square(gradient), axis=axes, keepdims=True)
    return gradient * tf.math.rsqrt(tf.maximum(square, 1e-12))
