"""Methods made of gradients at noisy copies of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.baselines import along_channels
from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.registry import Explain, Make, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction

SAMPLES = 50
_COST = "50 forward, 50 backward (--samples)"
_NOISE_STREAM = 2
# The noise of a run is kept up to this size; beyond it, it is drawn again for each batch.
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Moments:
    """Mean and mean square deviation of the gradients over the samples, ``(B, T, …)``.

    The variance is None where nothing asked for it.
    """

    mean: Any
    variance: Any


class NoisyGradients:
    """Gradients at ``x + noise``, accumulated sample by sample.

    The noise of a sample depends on the seed and the sample's number alone and is the same for all
    inputs. So a batch gives what single runs give, pictures differ by their content and not by
    their luck, and the noise of a run is drawn once.

    Parameters
    ----------
    score
        Scores and their gradients.
    settings
        The number of samples, the noise and the seed.
    variance
        Whether to compute the variance, too.

    Attributes
    ----------
    variance
        Whether the variance is computed, too; settled before the first batch.
    """

    def __init__(
        self, score: ScoreFunction, settings: SaliencySettings, *, variance: bool = True
    ) -> None:
        self.score = score
        self.settings = settings
        self.variance = variance
        self.samples = settings.samples or SAMPLES
        self._run = score.compile(self._piece)
        self._kept: dict[tuple[int, ...], Any] = {}

    def moments(self, batch: Batch, noise: np.ndarray | None = None) -> Moments:
        """Mean and variance of the gradients.

        Parameters
        ----------
        batch
            The inputs.
        noise
            ``(samples, …)``, added to the inputs as it is; by default drawn from the seed.

        Returns
        -------
        Moments
            Mean and variance over the samples, ``(B, T, …)``; no variance where none is asked for.
        """
        shape = tuple(batch.inputs.shape[1:])
        total = self.samples if noise is None else len(noise)
        count = 0.0
        mean: Any = None
        deviations: Any = 0.0
        for index, counts in chunks(total, len(batch.inputs), self.settings.batch_size):
            drawn = self._noise(index, shape) if noise is None else tf.constant(noise[index])
            here = float(counts.sum())
            found = self._run(batch.inputs, batch.weights, drawn, tf.constant(counts))
            if mean is None:
                mean, *rest = found
            else:
                new_mean, *rest = found
                # Chan et al. 1983: two groups of samples as one, without large sums of squares.
                shift = new_mean - mean
                share = here / (count + here)
                mean += shift * share
                if self.variance:
                    deviations += tf.square(shift) * (count * share)
            if self.variance:
                deviations += rest[0]
            count += here
        return Moments(mean, deviations / count if self.variance else None)

    def _piece(self, inputs: Any, weights: Any, noise: Any, counts: Any) -> list[Any]:
        """Mean and summed squared deviations of one piece of the samples."""
        gradients = self.score.gradients_of_each(inputs[:, tf.newaxis] + noise, weights)
        shape = gradients.shape
        # Sums over samples as products of matrices, which pass only once over all the gradients.
        flat = tf.reshape(gradients, [*shape[:2], -1])
        mean = tf.matmul((counts / tf.reduce_sum(counts))[tf.newaxis, tf.newaxis], flat)
        found = [mean]
        if self.variance:
            found.append(tf.matmul(counts[tf.newaxis, tf.newaxis], tf.square(flat - mean)))
        return [tf.reshape(sums, [shape[0], *shape[2:]]) for sums in found]

    def _noise(self, index: np.ndarray, shape: tuple[int, ...]) -> Any:
        if self.samples * int(np.prod(shape)) * 4 > _KEPT_BYTES:
            return tf.constant(self._draw(index, shape))
        if shape not in self._kept:
            self._kept[shape] = tf.constant(self._draw(np.arange(self.samples), shape))
        return self._kept[shape][index[0] : index[-1] + 1]

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
    name: str, paper: str, about: str, of: Callable[[Moments], Any], *, squares: bool = False
) -> Make:
    def make(score: ScoreFunction, settings: SaliencySettings) -> Explain:
        noisy: NoisyGradients = score.shared(
            NoisyGradients, lambda: NoisyGradients(score, settings, variance=False)
        )
        noisy.variance |= squares

        def explain(batch: Batch) -> Attribution:
            return Attribution(of(batch.shared(noisy, lambda: noisy.moments(batch))))

        return explain

    facts = {"unsigned": squares, "deterministic": False, "options": ("samples", "noise")}
    return register(name, paper, _COST, about, **facts)(make)


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
    squares=True,
)
vargrad = _method(
    "vargrad",
    "Adebayo et al. 2018, arXiv:1810.03307",
    "The variance of the gradient at noisy copies of the input.",
    lambda m: m.variance,
    squares=True,
)
