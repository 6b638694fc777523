"""Evidence from the first BatchNormalization, which knows the statistics of what it was fed."""

from __future__ import annotations

from kvis_cli.lazy import np
from kvis_cli.models.description.evidence.reading import steps
from kvis_cli.models.description.evidence.weights import ReadWeights
from kvis_cli.models.graph.architecture import Architecture, LayerCall

# Channels that were constant in training have no scale to compare with.
LEAST_VARIANCE = 1e-8
LEAST_SHARE = 0.01


def divergence(
    architecture: Architecture, normalisation: LayerCall, x: np.ndarray, read: ReadWeights
) -> float | None:
    """Return how far the statistics of what reaches a layer are from those of the training.

    The median over the channels of ``KL(observed ‖ moving statistics)`` between two normal
    distributions, in nats: 0 for equal ones.

    Parameters
    ----------
    architecture
        The model.
    normalisation
        A BatchNormalization of it.
    x
        float32 ``(N, H, W, C)`` model inputs.
    read
        Gives the weights of a layer.

    Returns
    -------
    float or None
        None where the layer is not reached, or all its channels were constant.
    """
    for step in steps(architecture, x, read):
        if step.call is not normalisation:
            continue
        observed = step.inputs[0].reshape(-1, step.inputs[0].shape[-1])
        mean, variance = (np.asarray(w, np.float64) for w in step.weights[-2:])
        # Of a channel that never left zero, the mean is exactly where it began.
        used = np.isfinite(mean) & (mean != 0) & (variance > LEAST_VARIANCE)
        # The variance of a unit that is hardly ever driven is that of a few pictures.
        used &= variance > LEAST_SHARE * variance.max(initial=0.0)
        if not used.any():
            return None
        found = observed[:, used]
        return float(
            np.median(
                kl_of_normals(
                    found.mean(0, dtype=np.float64),
                    found.var(0, dtype=np.float64),
                    mean[used],
                    variance[used],
                )
            )
        )
    return None


def kl_of_normals(
    mean: np.ndarray, variance: np.ndarray, other_mean: np.ndarray, other_variance: np.ndarray
) -> np.ndarray:
    """Return ``KL(N(mean, variance) ‖ N(other_mean, other_variance))`` in nats, elementwise."""
    variance = np.maximum(variance, LEAST_VARIANCE)
    ratio = variance / other_variance
    return np.asarray(0.5 * (ratio + (mean - other_mean) ** 2 / other_variance - 1 - np.log(ratio)))
