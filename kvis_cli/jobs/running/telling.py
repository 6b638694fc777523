"""What a person is told about a model before anything of it is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.events import Listener
from kvis_cli.images.fitting import fit_photo

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


def tell_model(opened: OpenModel, listener: Listener, *, top: bool) -> None:
    """Say what a model is and how it is fed.

    Parameters
    ----------
    opened
        The model.
    listener
        Hears it.
    top
        Whether its classes matter.
    """
    info, architecture = opened.info, opened.info.architecture
    size = opened.image_input
    facts = [f"{architecture.class_name} '{architecture.name}'"]
    if architecture.params:
        facts.append(f"{architecture.params:,} parameters")
    facts.append(f"input {size.describe()}")
    if top:
        facts.append(info.describe_output())
    listener.note(f"model {info.reference}: {', '.join(facts)}")
    for change in info.changes:
        listener.note(f"upgraded: {change}")
    for note in opened.notes:
        listener.note(note)
    if size.is_picture:
        tell_preprocessing(opened, listener)


def tell_preprocessing(opened: OpenModel, listener: Listener) -> None:
    """Say how a model is fed, and what makes that doubtful.

    Parameters
    ----------
    opened
        A model that takes pictures.
    listener
        Hears it.
    """
    choice = opened.preprocessing_choice
    tell = listener.note if choice.certain else listener.warn
    tell(f"preprocessing {choice.preprocessing.describe()} ({choice.reason})")
    if choice.warning and choice.certain:
        listener.warn(choice.warning)
    elif choice.warning:
        listener.warn(
            "look at the first classes below; set --preprocess, or `kvis predict --truth` with "
            "photos whose class is known tells"
        )


def rival_classes(opened: OpenModel, photo: np.ndarray, count: int) -> list[tuple[str, float]]:
    """Return the first classes of a photo, fed as the rival of a doubtful choice would.

    Parameters
    ----------
    opened
        A model whose preprocessing is not certain.
    photo
        uint8 ``(H, W, 3)``.
    count
        How many classes.

    Returns
    -------
    list of tuple
        Pairs of label and the model's own output, the largest first.
    """
    rival, size = opened.preprocessing_choice.rival, opened.image_input
    assert rival is not None
    pixels, _ = fit_photo(photo, size.height, size.width, size.channels, opened.info.spec.fit)
    made = rival.apply(pixels)[np.newaxis]
    found = opened.reader.forward(np.moveaxis(made, -1, 1) if size.channels_first else made)
    flat = np.asarray(found.outputs[opened.info.output_index()]).reshape(-1)
    return opened.head.top(flat, count)
