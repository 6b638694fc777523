"""Baselines: inputs that count as absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.gaussian import blur_matrices, blurred
from kvis_cli.errors import UnknownNameError
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.settings import SaliencySettings


BASELINES: dict[str, str] = {
    "black": "what black pixels become",
    "white": "what white pixels become",
    "grey": "what mid-grey pixels become",
    "blur": "the input itself, blurred by a tenth of its side",
    "noise": "uniform noise, averaged over 8 draws",
}
NOISE_DRAWS = 8
BLUR = 0.1
_NOISE_STREAM = 1


def baselines(inputs: Any, settings: SaliencySettings, default: str) -> Any:
    """Return the baselines of a batch.

    Parameters
    ----------
    inputs
        ``(B, …)``.
    settings
        Which baseline, the range of inputs, and the seed of noise.
    default
        What ``auto`` means.

    Returns
    -------
    tf.Tensor
        ``(B or 1, K, …)``: K baselines for each input, or the same K for all of them.

    Raises
    ------
    UnknownNameError
        For an unknown name.
    """
    chosen = settings.baseline
    shape = tuple(inputs.shape[1:])
    if not isinstance(chosen, str):
        return tf.constant(np.broadcast_to(np.asarray(chosen, np.float32), shape)[None, None])
    name = default if chosen == "auto" else chosen
    low, high = (along_channels(v, len(shape), settings) for v in (settings.low, settings.high))
    share = {"black": 0.0, "grey": 0.5, "white": 1.0}.get(name)
    if share is not None:
        level = np.broadcast_to(low + share * (high - low), shape)
        return tf.constant(level[None, None].astype(np.float32))
    if name == "blur":
        matrices = blur_matrices(inputs.shape, [BLUR], settings.channel_axis)
        return blurred(inputs, matrices, settings.channel_axis)
    if name == "noise":
        random = np.random.default_rng([settings.seed, _NOISE_STREAM])
        draws = random.random((NOISE_DRAWS, *shape), np.float32)
        return tf.constant((low + draws * (high - low)).astype(np.float32)[None])
    raise UnknownNameError.of("baseline", name, ["auto", *BASELINES])


def along_channels(value: float | np.ndarray, rank: int, settings: SaliencySettings) -> np.ndarray:
    """Return a number per channel, shaped to broadcast against one input of `rank` dimensions."""
    array = np.asarray(value, np.float32)
    if array.size == 1 or settings.channel_axis is None:
        return array.reshape(())
    shape = [1] * rank
    shape[settings.channel_axis - 1 if settings.channel_axis > 0 else -1] = array.size
    return array.reshape(shape)
