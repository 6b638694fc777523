"""keras-vis' regularizers, by its own formulae."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvis_cli.errors import UsageError
from kvis_cli.keras_vis.losses import Loss, input_of


class _OfInput(Loss):
    """A loss of the input alone, computed by an engine's loss."""

    def __init__(self, img_input: Any) -> None:
        super().__init__()
        self.img_input = input_of(img_input)

    def as_coded(self) -> Any:
        """keras-vis' formula as an engine's loss."""
        raise NotImplementedError

    def mended(self) -> Any:
        """Return the same idea as a mean over pixels in the unit range, as an engine's loss."""
        raise NotImplementedError

    def build_loss(self) -> Any:
        import keras

        from kvis_cli.engines.activation_maximization.losses import View
        from kvis_cli.keras_vis.symbolic import Traced

        loss = self.as_coded()
        per_sample = Traced(lambda x: loss(View(x, x, [], {}), {}))(self.img_input)
        return keras.ops.mean(per_sample)


class LPNorm(_OfInput):
    """``(Σ |x|^p)^(1/p) / N`` with N the number of input values, channels included.

    Parameters
    ----------
    img_input
        The model, or its symbolic input ``model.inputs[0]``.
    p
        At least 1, ``inf`` for the largest magnitude.

    Raises
    ------
    UsageError
        For p below 1.

    Examples
    --------
    >>> import keras
    >>> LPNorm(keras.Input((8, 8, 3)), p=2).name
    'L-2 Norm Loss'
    """

    def __init__(self, img_input: Any, p: float = 6.0) -> None:
        super().__init__(img_input)
        if not p >= 1:
            raise UsageError(f"The p of an Lp norm cannot be {p:g}.", "It is at least 1.")
        self.p = p
        self.name = f"L-{p} Norm Loss"

    def as_coded(self) -> Any:
        """Return the loss with keras-vis' own formula."""
        from kvis_cli.engines.activation_maximization.published import KerasVisLPNorm

        return KerasVisLPNorm(self.p)

    def mended(self) -> Any:
        """Return the loss as a mean over pixels in the unit range."""
        from kvis_cli.engines.activation_maximization.regularizers import LPNorm

        return _named(LPNorm(self.p), self.name)


class TotalVariation(_OfInput):
    """``Σ_{c,i} (Σ_d (x[i+e_d] - x[i])²)^(β/2) / N``.

    Parameters
    ----------
    img_input
        The model, or its symbolic input ``model.inputs[0]``.
    beta
        The exponent.
    """

    def __init__(self, img_input: Any, beta: float = 2.0) -> None:
        super().__init__(img_input)
        self.beta = beta
        self.name = f"TV({beta}) Loss"

    def as_coded(self) -> Any:
        """Return the loss with keras-vis' own formula."""
        from kvis_cli.engines.activation_maximization.published import KerasVisTotalVariation

        return KerasVisTotalVariation(self.beta)

    def mended(self) -> Any:
        """Return the loss as a mean over pixels in the unit range."""
        from kvis_cli.engines.activation_maximization.regularizers import TotalVariation

        return _named(TotalVariation(self.beta), self.name)


def normalize(input_tensor: Any, output_tensor: Any) -> Any:
    """`output_tensor` divided by the number of values of one `input_tensor`, channels included."""
    return output_tensor / float(np.prod(tuple(input_tensor.shape)[1:]))


def _named(loss: Any, name: str) -> Any:
    loss.name = name
    return loss
