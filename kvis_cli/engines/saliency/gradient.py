"""Methods made of the gradient at the input: one forward and one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvis_cli.engines.saliency.batch import Attribution, Batch
from kvis_cli.engines.saliency.registry import Explain, Make, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction

_COST = "1 forward, 1 backward"
_INSENSITIVE = (
    "guided backpropagation and the deconvnet paint much the same edges for every class, and even "
    "for untrained weights (Adebayo et al. 2018)"
)


@register(
    "gradient",
    "Simonyan et al. 2013, arXiv:1312.6034",
    _COST,
    "How much a small change of each pixel moves the score.",
    pointwise=True,
    options=(),
)
def gradient(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """``∂score/∂x``; with a backprop modifier, what its rule makes of it."""
    del settings

    def explain(batch: Batch) -> Attribution:
        return Attribution(score.point(batch)[0])

    return explain


@register(
    "input_x_gradient",
    "Shrikumar et al. 2016, arXiv:1605.01713",
    _COST,
    "The gradient times the input: each pixel's share of a linear score.",
    pointwise=True,
    options=(),
)
def input_x_gradient(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """``x · ∂score/∂x``, in the model's own input values."""
    del settings

    def explain(batch: Batch) -> Attribution:
        gradients, at = score.point(batch)
        return Attribution(gradients * tf.cast(at, tf.float32)[:, tf.newaxis])

    return explain


def _with_rule(name: str, paper: str, backprop: str, about: str) -> Make:
    return register(
        name,
        paper,
        _COST,
        about,
        pointwise=True,
        backprop=backprop,
        caution=_INSENSITIVE,
        options=(),
    )(gradient)  # fmt: skip


guided_backprop = _with_rule(
    "guided_backprop",
    "Springenberg et al. 2014, arXiv:1412.6806",
    "guided",
    "The gradient with only positive parts passed back through active rectifiers.",
)
deconvnet = _with_rule(
    "deconvnet",
    "Zeiler & Fergus 2013, arXiv:1311.2901",
    "deconv",
    "The gradient with only positive parts passed back through all rectifiers.",
)
