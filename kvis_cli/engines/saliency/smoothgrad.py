"""Methods made of gradients at noisy copies of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.baselines import along_channels
from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.methods import Explain, Make, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction

SAMPLES = 50
_COST = "50 forward, 50 backward (--samples)"
_NOISE_STREAM = 2
# The noise of a run is kept up to this size; beyond it, it is drawn anew for each batch.
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Moments:
    """Mean and mean square deviation of the gradients over the samples, ``(B, T, …)``."""

    mean: Any
    variance: Any


class NoisyGradients:
    """Gradients at ``x + noise``, accumulated sample by sample.

    The noise of a sample depends on the seed and the sample's number alone and is the same for all
    inputs. So a batch gives what single runs give, pictures differ by their content and not by
    their luck, and the noise of a run is drawn once.
    """

    def __init__(self, score: ScoreFunction, settings: SaliencySettings) -> None:
        self.score = score
        self.settings = settings
        self.samples = settings.samples or SAMPLES
        self._run = score.compile(self._piece)
        self._kept: dict[tuple[int, ...], np.ndarray] = {}

    def moments(self, batch: Batch, noise: np.ndarray | None = None) -> Moments:
        """Mean and variance of the gradients.

        Parameters
        ----------
        batch
            The inputs.
        noise
            ``(samples, …)``, added to the inputs as it is; by default drawn from the seed.
        """
        shape = tuple(batch.inputs.shape[1:])
        total = self.samples if noise is None else len(noise)
        count = 0.0
        mean: Any = None
        deviations: Any = None
        for index, counts in chunks(total, len(batch.inputs), self.settings.batch_size):
            drawn = self._noise(index, shape) if noise is None else noise[index]
            here = float(counts.sum())
            new_mean, new_deviations = self._run(
                batch.inputs, batch.weights, tf.constant(drawn), tf.constant(counts)
            )
            if mean is None:
                mean, deviations = new_mean, new_deviations
            else:
                # Chan et al. 1983: two groups of samples as one, without large sums of squares.
                shift = new_mean - mean
                share = here / (count + here)
                mean += shift * share
                deviations += new_deviations + tf.square(shift) * (count * share)
            count += here
        return Moments(mean, deviations / count)

    def _piece(self, inputs: Any, weights: Any, noise: Any, counts: Any) -> tuple[Any, Any]:
        """Mean and summed squared deviations of one piece of the samples."""
        gradients = self.score.gradients_of_each(inputs[:, tf.newaxis] + noise, weights)
        share = tf.reshape(counts / tf.reduce_sum(counts), [1, -1, *[1] * len(inputs.shape)])
        mean = tf.reduce_sum(gradients * share, axis=1)
        squares = tf.square(gradients - mean[:, tf.newaxis]) * share
        return mean, tf.reduce_sum(squares, axis=1) * tf.reduce_sum(counts)

    def _noise(self, index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if self.samples * int(np.prod(shape)) * 4 > _KEPT_BYTES:
            return self._draw(index, shape)
        if shape not in self._kept:
            self._kept[shape] = self._draw(np.arange(self.samples), shape)
        return self._kept[shape][index]

    def _draw(self, index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        settings = self.settings
        span = np.subtract(settings.high, settings.low, dtype=np.float32)
        sigma = settings.noise * along_channels(span, len(shape), settings)
        drawn = [
            np.random.default_rng([settings.seed, _NOISE_STREAM, int(i)]).standard_normal(
                shape, np.float32
            )
            for i in index
        ]
        return np.stack(drawn) * sigma


def _method(
    name: str, paper: str, about: str, of: Callable[[Moments], Any], *, unsigned: bool = False
) -> Make:
    def make(score: ScoreFunction, settings: SaliencySettings) -> Explain:
        noisy = NoisyGradients(score, settings)

        def explain(batch: Batch) -> Attribution:
            key = ("noisy gradients", score.backprop)
            return Attribution(of(batch.shared(key, lambda: noisy.moments(batch))))

        return explain

    return register(name, paper, _COST, about, unsigned=unsigned, deterministic=False)(make)


smoothgrad = _method(
    "smoothgrad",
    "Smilkov et al. 2017, arXiv:1706.03825",
    "The mean gradient at noisy copies of the input.",
    lambda m: m.mean,
)
smoothgrad_squared = _method(
    "smoothgrad_squared",
    "Hooker et al. 2018, arXiv:1806.10758",
    "The mean squared gradient at noisy copies of the input.",
    lambda m: m.variance + tf.square(m.mean),
    unsigned=True,
)
vargrad = _method(
    "vargrad",
    "Adebayo et al. 2018, arXiv:1810.03307",
    "The variance of the gradient at noisy copies of the input.",
    lambda m: m.variance,
    unsigned=True,
)
