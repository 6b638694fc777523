"""What a model without moving statistics gives away: how its units and outputs respond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields

from kvis_cli.lazy import np
from kvis_cli.models.description.evidence.reading import Step, steps
from kvis_cli.models.description.evidence.weights import ReadWeights
from kvis_cli.models.graph.architecture import Architecture

_LEAST = 1e-6


@dataclass(frozen=True)
class Responses:
    """Numbers about one pass of photos; each is without a unit.

    Attributes
    ----------
    spread
        log10 of the deviation of the scores over the classes, in the median photo.
    change
        log10 of the deviation of a score over the photos, in the median class.
    entropy
        Of the outputs, mean over the photos, 0 to 1.
    information
        What the output says about which photo it is: the entropy of the mean output minus
        `entropy`, 0 to 1.
    flipped
        Mean total variation between the outputs for a photo and for its mirror image, 0 to 1.
    dead
        Share of the rectified units that no photo drives, 0 to 1.
    always
        Share of the rectified units that every photo drives everywhere, 0 to 1.
    saturated
        Share of the values of tanh and sigmoid units beyond 0.98 of their range, 0 to 1.
    bias
        log10 of the first layer's biases over the deviation of what its weights make of the
        photos.
    """

    spread: float
    change: float
    entropy: float
    information: float
    flipped: float
    dead: float
    always: float
    saturated: float
    bias: float

    def values(self) -> tuple[float, ...]:
        """Return the numbers in the order of `NAMES`."""
        return astuple(self)


NAMES = tuple(field.name for field in fields(Responses))


def responses(
    architecture: Architecture,
    x: np.ndarray,
    read: ReadWeights,
    arrange: Callable[[np.ndarray], np.ndarray] = lambda x: x,
) -> Responses | None:
    """Run a classifier on photos and on their mirror images.

    Parameters
    ----------
    architecture
        The model.
    x
        float32 ``(N, H, W, C)`` pictures, preprocessed.
    read
        Gives the weights of a layer.
    arrange
        From pictures to the model's inputs, where these have another shape.

    Returns
    -------
    Responses or None
        None where the model is no classifier of one input and output, or has a layer that is not
        known.
    """
    if len(architecture.inputs) != 1 or len(architecture.outputs) != 1:
        return None
    counts = _Counts()
    last: Step | None = None
    for step in steps(architecture, arrange(np.concatenate([x, x[:, :, ::-1]])), read):
        counts.take(step)
        last = step
    if last is None or last.call is not architecture.outputs[0].call or last.output.ndim != 2:
        return None
    scores = counts.scores(last)
    if scores is None or not np.isfinite(scores).all():
        return None
    output = _probabilities(scores)
    half = len(x)
    entropy = _entropy(output[:half]).mean()
    return Responses(
        spread=_log(
            np.median(scores[:half].std(1)) if scores.shape[1] > 1 else np.median(abs(scores))
        ),
        change=_log(np.median(scores[:half].std(0))),
        entropy=float(entropy),
        information=float(_entropy(output[:half].mean(0)) - entropy),
        flipped=float(abs(output[:half] - output[half:]).sum(1).mean() / 2),
        dead=counts.dead / max(counts.units, 1),
        always=counts.always / max(counts.units, 1),
        saturated=counts.saturated / max(counts.bounded, 1),
        bias=counts.bias,
    )


class _Counts:
    """Counts over the layers of one pass."""

    def __init__(self) -> None:
        self.units = self.dead = self.always = 0
        self.bounded = self.saturated = 0
        self.bias = 0.0
        self._first = True

    def take(self, step: Step) -> None:
        axes = tuple(range(step.output.ndim - 1))
        name = _activation(step)
        if name in ("relu", "relu6", "elu", "swish", "silu", "gelu", "leaky_relu"):
            on = step.output > 0
            self.units += on.shape[-1]
            self.dead += int((~on.any(axes)).sum())
            self.always += int(on.all(axes).sum())
        elif name in ("tanh", "sigmoid") and step.output.ndim > 2:
            beyond = abs(step.output if name == "tanh" else 2 * step.output - 1) > 0.96
            self.bounded += beyond.size
            self.saturated += int(beyond.sum())
        if self._first and step.weights:
            self._first = False
            self.bias = _bias(step)

    def scores(self, last: Step) -> np.ndarray | None:
        """Return what stands before the last softmax or sigmoid, ``(N, units)``."""
        if not last.weights:
            return last.inputs[0] if last.call.class_name in ("Softmax", "Activation") else None
        flat: np.ndarray = last.inputs[0] @ last.weights[0]
        return flat + last.weights[1] if len(last.weights) > 1 else flat


def _activation(step: Step) -> str:
    if step.call.class_name in ("ReLU", "LeakyReLU"):
        return "relu"
    value = step.call.config.get("activation")
    return value.lower() if isinstance(value, str) else ""


def _bias(step: Step) -> float:
    axes = tuple(range(step.output.ndim - 1))
    if len(step.weights) < 2 or step.weights[-1].ndim != 1:
        return 0.0
    made = np.median(step.output.std(axes))
    return _log(np.median(abs(step.weights[-1])) / max(float(made), _LEAST))


def _probabilities(scores: np.ndarray) -> np.ndarray:
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], 1)
    made = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(made / made.sum(1, keepdims=True), np.float64)


def _entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray(-(p * np.log(np.maximum(p, 1e-12))).sum(-1) / np.log(p.shape[-1]))


def _log(value: float) -> float:
    return float(np.log10(max(float(value), _LEAST)))
