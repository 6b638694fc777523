"""The user's own photos, small, as what the hypotheses are tried on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from kvis_cli.errors import KvisError
from kvis_cli.lazy import np

MOST = 24
# Of more it is not worth finding one that can be read.
MOST_LOOKED_AT = 32


def given_photos(
    paths: Iterable[Path], height: int, width: int, channels: int, fit: str = "resize"
) -> np.ndarray | None:
    """Return the first photos that can be read, as the model is given them before preprocessing.

    Parameters
    ----------
    paths
        Picture files; arrays and what cannot be read are left out.
    height
        Of the model's input.
    width
        Of the model's input.
    channels
        Of the model's input, 1 or 3.
    fit
        How a photo is fitted into the input.

    Returns
    -------
    np.ndarray or None
        uint8 ``(N, height, width, channels)``, at most 24; None where there is none.
    """
    wanted = tuple(p for p in paths if p.suffix.lower() != ".npy")[:MOST_LOOKED_AT]
    return _read(wanted, height, width, channels, fit)


@lru_cache(maxsize=4)
def _read(
    paths: tuple[Path, ...], height: int, width: int, channels: int, fit: str
) -> np.ndarray | None:
    # Pillow is imported only where there are photos.
    from kvis_cli.images.fitting import fit_photo
    from kvis_cli.images.photo import read_photo

    found: list[np.ndarray] = []
    for path in paths:
        if len(found) == MOST:
            break
        try:
            pixels = read_photo(path).pixels
            found.append(fit_photo(pixels, height, width, channels, fit)[0])  # type: ignore[arg-type]
        except KvisError:
            # It is said where the photo itself is explained.
            continue
    return np.stack(found) if found else None
