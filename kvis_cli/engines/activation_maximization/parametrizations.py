"""What the optimizer moves: pixels, or the spectrum of decorrelated colours."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import tensorflow as tf

from kvis_cli.errors import UsageError

Bound = Literal["clip", "sigmoid", "none"]


class Parametrization(Protocol):
    """The way between pictures and what the optimizer moves."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Parameters of pictures ``(B, …, C)``; first axis the batch."""
        ...

    def decode(self, parameters: Any) -> Any:
        """Pictures of parameters, inside the traced step."""
        ...

    def project(self, parameters: Any) -> Any:
        """Parameters after a step, brought back to where they may be."""
        ...


class Pixel:
    """Every value of the picture is a parameter.

    Parameters
    ----------
    bound
        ``clip`` projects onto [0, 1] after every step, ``sigmoid`` cannot leave it, ``none`` is
        free.
    """

    def __init__(self, bound: Bound = "clip") -> None:
        self.bound = bound

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the parameters of pictures."""
        return _logit(images) if self.bound == "sigmoid" else np.asarray(images, np.float32)

    def decode(self, parameters: Any) -> Any:
        """Return the pictures of parameters."""
        return tf.sigmoid(parameters) if self.bound == "sigmoid" else parameters

    def project(self, parameters: Any) -> Any:
        """Bring parameters back to where pictures are valid."""
        return tf.clip_by_value(parameters, 0.0, 1.0) if self.bound == "clip" else parameters


# A root of the covariance of colours in ImageNet photos, from Olah, Mordvintsev and Schubert,
# "Feature Visualization" (Distill 2017), divided by the largest column norm.
_COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
_COLOURS /= np.linalg.norm(_COLOURS, axis=0).max()


class Fourier:
    """The parameters are Fourier coefficients, scaled by 1/f, of decorrelated colours.

    Photos have a 1/f spectrum, so with this scaling one step changes all frequencies by what is
    natural for them, and fine noise does not win (Olah et al. 2017). A sigmoid keeps pictures in
    [0, 1].

    Parameters
    ----------
    shape
        ``(…, C)`` of one picture, one to three spatial axes.
    bgr
        Whether the channels are blue, green, red.
    decay
        Power of the frequency that coefficients are divided by.
    """

    def __init__(self, shape: tuple[int, ...], *, bgr: bool = False, decay: float = 1.0) -> None:
        if not 1 <= len(shape) - 1 <= 3:
            raise UsageError(
                "The fourier parametrization is for inputs with one to three spatial axes.",
                f"This input has the shape {shape}.",
                "Use --parametrization pixel.",
            )
        self.size, self.channels = tuple(shape[:-1]), shape[-1]
        axes = [np.fft.fftfreq(n) for n in self.size[:-1]] + [np.fft.rfftfreq(self.size[-1])]
        radius = np.sqrt(sum(f**2 for f in np.meshgrid(*axes, indexing="ij")))
        scale = 1 / np.maximum(radius, 1 / max(self.size)) ** decay
        scale *= np.sqrt(np.prod(self.size))
        # The overall colour keeps one pace, however small the picture.
        scale.flat[0] = 8 * np.prod(self.size)
        self.scale = scale.astype(np.float32)
        colours = _COLOURS[::-1] if bgr else _COLOURS
        self.colours = colours if self.channels == 3 else None

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return the parameters of pictures."""
        logits = _logit(images).astype(np.float64)
        if self.colours is not None:
            logits = logits @ np.linalg.inv(self.colours.astype(np.float64)).T
        rank = len(self.size)
        planes = np.moveaxis(logits, -1, 1)
        spectrum = np.fft.rfftn(planes, axes=tuple(range(2, 2 + rank))) / (self.scale / 4)
        return np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)

    def decode(self, parameters: Any) -> Any:
        """Return the pictures of parameters."""
        spectrum = tf.complex(parameters[..., 0], parameters[..., 1])
        spectrum *= tf.cast(self.scale / 4, tf.complex64)
        if len(self.size) == 3:
            # TensorFlow has no gradient of irfft3d, but of its parts.
            along = [0, 1, 3, 4, 2]
            spectrum = tf.transpose(spectrum, along)
            spectrum = tf.transpose(tf.signal.ifft(spectrum), np.argsort(along))
        inverse = tf.signal.irfft if len(self.size) == 1 else tf.signal.irfft2d
        planes = inverse(spectrum, fft_length=list(self.size[-2:]))
        rank = planes.shape.rank
        images = tf.transpose(planes, [0, *range(2, rank), 1])
        if self.colours is not None:
            images = tf.tensordot(images, tf.constant(self.colours.T.copy()), 1)
        return tf.sigmoid(images)

    def project(self, parameters: Any) -> Any:
        """Bring parameters back to where pictures are valid."""
        return parameters


def _logit(images: np.ndarray) -> np.ndarray:
    inside = np.clip(np.asarray(images, np.float64), 1e-3, 1 - 1e-3)
    return np.log(inside / (1 - inside)).astype(np.float32)
