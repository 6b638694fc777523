"""Pictures with the statistics of photos, generated and not taken from anywhere."""

from __future__ import annotations

from functools import lru_cache

from kvis_cli.lazy import np

SEED = 20
# Mean and deviation of natural photos over all pixels, 0..1, and the axes of their colours with
# the variances along them (Krizhevsky et al. 2012, section 4.1).
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
_VARIANCES = (0.2175, 0.0188, 0.0045)
# Photos differ in brightness and in contrast: the deviation of both between photos.
_BRIGHTNESS, _CONTRAST = 0.6, 0.25
# Exponent of the fall of the amplitudes with the frequency.
_SLOPE = 1.2


@lru_cache(maxsize=4)
def generated_photos(count: int, height: int, width: int) -> np.ndarray:
    """Return pictures with a 1/f spectrum and the colour covariance of photos.

    Over all of them together, the mean and the deviation of each colour are those of natural
    photos. The statistics of 1/f spectra do not depend on the scale, so that a small picture
    stands for a part of a large one.

    Parameters
    ----------
    count
        How many.
    height
        In pixels.
    width
        In pixels.

    Returns
    -------
    np.ndarray
        uint8 ``(count, height, width, 3)`` RGB; the same ones for the same arguments.
    """
    random = np.random.default_rng(SEED)
    spectrum = _spectrum(height, width)
    noise = random.standard_normal((count, 3, height, width)).astype(np.float32)
    fields = np.fft.irfft2(np.fft.rfft2(noise) * spectrum, s=(height, width))
    fields -= fields.mean((2, 3), keepdims=True)
    fields /= fields.std((2, 3), keepdims=True) + 1e-9
    fields *= np.exp(_CONTRAST * random.standard_normal((count, 1, 1, 1)))
    fields += _BRIGHTNESS * random.standard_normal((count, 3, 1, 1))
    fields *= np.sqrt(np.reshape(_VARIANCES, (1, 3, 1, 1)))
    pixels = np.einsum("ca,nahw->nhwc", np.asarray(_AXES), fields)
    pixels -= pixels.mean((0, 1, 2))
    pixels *= np.asarray(_DEVIATION) / (pixels.std((0, 1, 2)) + 1e-9)
    return np.clip((pixels + _MEAN) * 255 + 0.5, 0, 255).astype(np.uint8)


def _spectrum(height: int, width: int) -> np.ndarray:
    rows = np.fft.fftfreq(height)[:, np.newaxis]
    columns = np.fft.rfftfreq(width)[np.newaxis]
    # Amplitudes fall with the frequency; photos were made smaller with a triangle filter.
    cycles = np.maximum(np.hypot(rows * height, columns * width), 1.0)
    return np.asarray((np.sinc(rows) * np.sinc(columns)) ** 2 * cycles**-_SLOPE)
