"""keras-vis' small helpers around its maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvis_cli.errors import UsageError


def get_num_filters(layer: Any) -> int:
    """How many filters or units a layer has, by its own data format.

    Parameters
    ----------
    layer
        A Keras layer whose output shape is known.

    Returns
    -------
    int
        The size of its channel axis.
    """
    shape = tuple(layer.output.shape)
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    count = shape[1] if first and len(shape) > 2 else shape[-1]
    if count is None:
        raise UsageError(f"The number of filters of layer '{layer.name}' is not known.")
    return int(count)


def overlay(array1: np.ndarray, array2: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """``array1 · alpha + array2 · (1 - alpha)``.

    Parameters
    ----------
    array1
        A picture. Where it holds whole numbers and `array2` floats within 0..1, or the other way
        round, the floats are brought to 0..255.
    array2
        A picture of the same shape.
    alpha
        The share of the first, 0 to 1.

    Returns
    -------
    numpy.ndarray
        The type of `array1`, or uint8 where floats were brought to 0..255.

    Raises
    ------
    ValueError
        For an `alpha` out of its range, or arrays of different shapes.

    Examples
    --------
    >>> heat, photo = np.full((2, 2, 3), 0.5), np.full((2, 2, 3), 100, np.uint8)
    >>> overlay(heat, photo, alpha=0.4)[0, 0].tolist()
    [111, 111, 111]
    """
    array1, array2 = np.asarray(array1), np.asarray(array2)
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is {alpha}, and has to be between 0 and 1.")
    if array1.shape != array2.shape:
        raise ValueError(
            f"The arrays have the shapes {array1.shape} and {array2.shape}; they have to be equal."
        )
    result: Any = array1.dtype
    whole = [np.issubdtype(a.dtype, np.integer) for a in (array1, array2)]
    if whole[0] != whole[1]:
        floats = array2 if whole[0] else array1
        if floats.size and floats.min() >= 0 and floats.max() <= 1:
            result = np.uint8
            if whole[0]:
                array2 = floats * 255.0
            else:
                array1 = floats * 255.0
    return np.asarray(array1 * alpha + array2 * (1.0 - alpha)).astype(result)
