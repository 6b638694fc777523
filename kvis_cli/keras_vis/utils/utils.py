"""keras-vis' helpers, under their own names. Those that need no model import no TensorFlow."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.description.labels import imagenet

EPSILON = 1e-7


def set_random_seed(seed_value: int = 1337) -> None:
    """Seed Python, numpy and TensorFlow."""
    import keras

    keras.utils.set_random_seed(seed_value)


def reverse_enumerate(iterable: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Numbers and entries, the last one first."""
    return zip(reversed(range(len(iterable))), reversed(iterable), strict=True)


def listify(value: Any) -> list[Any]:
    """Return what is in a sequence or an array as a list; anything else as a list of itself."""
    if isinstance(value, np.ndarray):
        return list(np.atleast_1d(value))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    return [value]


def add_defaults_to_kwargs(defaults: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
    """`defaults` with `kwargs` put over them."""
    return {**defaults, **kwargs}


def get_identifier(
    identifier: str | Callable[..., Any] | None, known: Mapping[str, Any], name: str
) -> Any:
    """Return what `identifier` names among `known`; a function or None is itself.

    Parameters
    ----------
    identifier
        A key of `known`, a function, or None.
    known
        Name -> function; what cannot be called is left out.
    name
        The noun in the message.

    Returns
    -------
    Callable or None
        None for None.

    Raises
    ------
    UnknownNameError
        For an unknown name; `name` is the noun in the message.
    """
    if identifier is None or callable(identifier):
        return identifier
    if identifier not in known or not callable(known[identifier]):
        raise UnknownNameError.of(name, identifier, [k for k, v in known.items() if callable(v)])
    return known[identifier]


def apply_modifications(model: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a copy of `model` in which changed attributes of its layers count.

    Nothing is written to disk. kvis' own functions see a changed activation without this.

    Parameters
    ----------
    model
        A Keras model that can be made from its config.
    custom_objects
        Classes and functions of your own, by name.

    Returns
    -------
    keras.Model
        With weights of its own, equal to those of `model`.
    """
    import keras

    with keras.utils.custom_object_scope(dict(custom_objects or {})):
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def find_layer_idx(model: Any, layer_name: str) -> int:
    """Return the number of a layer in ``model.layers``.

    Parameters
    ----------
    model
        A Keras model.
    layer_name
        Of a layer directly in it.

    Returns
    -------
    int
        Counted from 0.

    Raises
    ------
    UnknownNameError
        When there is none. Layers inside nested models have no number: give functions their path
        as `layer_idx` instead.

    Examples
    --------
    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="predictions")])
    >>> find_layer_idx(model, "predictions")
    0
    """
    names = [layer.name for layer in model.layers]
    if layer_name not in names:
        raise UnknownNameError.of(
            "layer",
            layer_name,
            names,
            where=f"in '{model.name}'",
            hint="A layer inside a nested model has no number; use its path as layer_idx.",
        )
    return names.index(layer_name)


def normalize(array: np.ndarray, min_value: float = 0.0, max_value: float = 1.0) -> np.ndarray:
    """`array` stretched to the given range, linearly."""
    array = np.asarray(array, np.float64 if np.asarray(array).dtype == np.float64 else np.float32)
    low, high = array.min(), array.max()
    return np.asarray((array - low) / (high - low + EPSILON) * (max_value - min_value) + min_value)


def deprocess_input(
    input_array: np.ndarray, input_range: tuple[float, float] = (0, 255)
) -> np.ndarray:
    """Mean 0.5 and deviation 0.1 of the range, clipped to it: contrast of any scale made visible.

    It is another picture than `input_array`; `visualize_activation` does not use it unless asked.
    """
    array = np.asarray(input_array, np.float32)
    array = (array - array.mean()) / (array.std() + EPSILON) * 0.1 + 0.5
    low, high = input_range
    return np.asarray(np.clip(array, 0, 1) * (high - low) + low)


def random_array(
    shape: Sequence[int],
    mean: float = 128.0,
    std: float = 20.0,
    *,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Uniform noise with exactly this mean and deviation.

    Parameters
    ----------
    shape
        Of the array.
    mean
        Of all its values.
    std
        Their standard deviation.
    seed
        A seed or generator; None for other noise each time.

    Returns
    -------
    numpy.ndarray
        float64 of `shape`.

    Examples
    --------
    >>> noise = random_array((64, 64, 3), mean=128, std=20, seed=0)
    >>> round(float(noise.mean())), round(float(noise.std()))
    (128, 20)
    """
    noise = np.random.default_rng(seed).random(tuple(shape))
    return np.asarray((noise - noise.mean()) / (noise.std() + EPSILON) * std + mean)


def bgr2rgb(img: np.ndarray) -> np.ndarray:
    """`img` with its channels, the last axis, in reverse."""
    return np.asarray(img)[..., ::-1]


def load_img(
    path: str | Path, grayscale: bool = False, target_size: tuple[int, int] | None = None
) -> np.ndarray:
    """Read a picture: upright by its EXIF, transparency over white, any depth.

    Parameters
    ----------
    path
        Its file.
    grayscale
        One channel of luma instead of RGB.
    target_size
        ``(rows, columns)`` to resize it to.

    Returns
    -------
    numpy.ndarray
        uint8 ``(rows, columns, 3)``, or ``(rows, columns)``.

    Raises
    ------
    InputError
        For a file that is not a picture.
    """
    from kvis_cli.images.photo import read_photo

    photo = Image.fromarray(read_photo(Path(path)).pixels)
    if grayscale:
        photo = photo.convert("L")
    if target_size is not None:
        rows, columns = target_size
        photo = photo.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(photo)


def stitch_images(
    images: Sequence[np.ndarray], margin: int = 5, cols: int = 5
) -> np.ndarray | None:
    """Pictures of one shape in rows of `cols`, with black lines between; None for no pictures.

    Parameters
    ----------
    images
        ``(H, W)`` or ``(H, W, C)``, all alike; they keep their type.
    margin
        Width of the lines in pixels.
    cols
        Pictures in a row.

    Returns
    -------
    numpy.ndarray or None
        Of the type of the pictures; black where there is none.

    Raises
    ------
    UsageError
        For pictures of different shapes.

    Examples
    --------
    >>> stitch_images([np.ones((8, 8, 3), np.uint8)] * 3, margin=2, cols=2).shape
    (18, 18, 3)
    """
    if len(images) == 0:
        return None
    shapes = {np.shape(image) for image in images}
    if len(shapes) > 1:
        raise UsageError(f"The pictures have different shapes: {sorted(shapes)}.")
    if cols < 1 or margin < 0:
        raise UsageError(f"A sheet cannot have {cols} columns and lines of {margin} pixels.")
    height, width, *channels = np.shape(images[0])
    rows = -(-len(images) // cols)
    sheet = np.zeros(
        (rows * (height + margin) - margin, cols * (width + margin) - margin, *channels),
        np.asarray(images[0]).dtype,
    )
    for number, image in enumerate(images):
        y, x = number // cols * (height + margin), number % cols * (width + margin)
        sheet[y : y + height, x : x + width] = image
    return sheet


def draw_text(
    img: np.ndarray,
    text: str,
    position: tuple[int, int] = (10, 10),
    font: str | None = None,
    font_size: float = 14,
    color: tuple[int, int, int] = (0, 0, 0),
) -> np.ndarray:
    """`text` on a copy of a picture.

    Parameters
    ----------
    img
        uint8, grey or RGB.
    text
        Characters that the font lacks are looked for in the system's.
    position
        ``(x, y)`` of its upper left corner.
    font
        A TrueType file; None, or one that cannot be read, for the best that is there.
    font_size
        In pixels.
    color
        Red, green, blue.

    Returns
    -------
    numpy.ndarray
        uint8 RGB.

    Warns
    -----
    UserWarning
        For a font that cannot be read.
    """
    from PIL import ImageDraw, ImageFont

    from kvis_cli.render.caption import font_for
    from kvis_cli.render.display import to_rgb

    image = Image.fromarray(to_rgb(np.asarray(img)).copy())
    face: Any = None
    if font:
        try:
            face = ImageFont.truetype(font, font_size)
        except OSError as error:
            warnings.warn(f"The font '{font}' cannot be read ({error}).", stacklevel=2)
    face = face or font_for(text, font_size)
    ImageDraw.Draw(image).text(position, text, fill=color, font=face)
    return np.asarray(image)


def lookup_imagenet_labels(indices: Any) -> list[str]:
    """Return the ImageNet names of class indices.

    Parameters
    ----------
    indices
        An index or several, 0 to 999.

    Returns
    -------
    list of str
        A name for each index.

    Raises
    ------
    UsageError
        For an index beyond the 1000 classes.
    """
    names = imagenet().names
    found = []
    for index in listify(indices):
        if not 0 <= index < len(names):
            raise UsageError(f"ImageNet has no class {index}.", "", "Use 0 to 999.")
        found.append(names[index])
    return found


def get_imagenet_label(indices: Any, join: str = ", ") -> str:
    """Return the names of `lookup_imagenet_labels` as one text."""
    return join.join(lookup_imagenet_labels(indices))


def _data_format() -> str:
    """``keras.config.image_data_format()``; Keras is not imported for it."""
    keras = sys.modules.get("keras")
    return "channels_last" if keras is None else str(keras.config.image_data_format())


def get_img_shape(img: Any, data_format: str | None = None) -> tuple[int | None, ...]:
    """Return ``(samples, channels, sizes…)`` of a batch, an array or a symbolic tensor.

    `data_format` is Keras' ``image_data_format`` unless it is given.
    """
    data_format = data_format or _data_format()
    samples, *rest = tuple(img.shape)
    if data_format == "channels_first":
        return (samples, *rest)
    return (samples, rest[-1], *rest[:-1])


class _Slicer:
    """``layer_out[slicer[:, index]]``: index 1 is the channel wherever the data has it."""

    def __getitem__(self, item: Any) -> Any:
        parts = item if isinstance(item, tuple) else (item,)
        if _data_format() == "channels_first" or len(parts) < 2:
            return parts
        samples, channel, *rest = parts
        return tuple(itertools.chain([samples], rest, [channel]))


slicer = _Slicer()
"""``slicer[:, 3, ...]`` is ``(:, ..., 3)`` where Keras has the channels last."""
