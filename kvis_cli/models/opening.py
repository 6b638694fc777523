"""Opening a model: from its card to a live Keras model, in safe mode."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import ModelError, UntrustedError, UsageError, WeightsError
from kvis_cli.models import applications
from kvis_cli.models.architecture import Architecture
from kvis_cli.models.card import ImageInput, ModelCard
from kvis_cli.models.files import check_safe
from kvis_cli.models.fingerprint import Choice
from kvis_cli.models.preprocessing import Preprocessing
from kvis_cli.models.reading import ModelReader
from kvis_cli.models.targets import Head


@dataclass
class OpenModel:
    """A live model with everything that is needed to explain it.

    Attributes
    ----------
    card
        What its files say.
    model
        The Keras model, exactly as loaded.
    reader
        Runs it and reads its layers.
    """

    card: ModelCard
    model: keras.Model
    reader: ModelReader

    @cached_property
    def head(self) -> Head:
        return self.card.head()

    @cached_property
    def image_input(self) -> ImageInput:
        return self.card.image_input()

    @cached_property
    def preprocessing_choice(self) -> Choice:
        return self.card.preprocessing()

    @property
    def preprocessing(self) -> Preprocessing:
        return self.preprocessing_choice.preprocessing

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file; of the weights for an application."""
        if self.card.file is not None and self.card.file.path.is_file():
            with self.card.file.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        for weight in self.model.weights:
            digest.update(np.asarray(weight).tobytes())
        return digest.hexdigest()

    def to_inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures ``(B, H, W, C)`` in 0..255 as model inputs, in the model's channel order."""
        inputs = self.preprocessing.apply(pixels)
        return np.moveaxis(inputs, -1, 1) if self.image_input.channels_first else inputs


def open_model(card: ModelCard, *, top: bool = True, seed: int = 0) -> OpenModel:
    """Load a model.

    Parameters
    ----------
    card
        From `kvis_cli.models.card.read_card`. For an application, its architecture is filled in.
    top
        Whether an application's classifier is wanted.
    seed
        Seed of an application's ``random`` weights.

    Raises
    ------
    ModelError
        When Keras cannot build the model from its file.
    UntrustedError
        When the file holds code and `--trust` was not given.
    WeightsError
        When weights are missing, do not fit or are not finite.
    """
    if card.application is not None:
        model = applications.build(card.application, top=top, seed=seed)
    else:
        model = _load(card)
    if not card.architecture.calls:
        card.architecture = live_architecture(model)
    check_weights(card.reference, model)
    return OpenModel(card, model, ModelReader(model))


def check_weights(reference: str, model: keras.Model) -> None:
    """Refuse weights that are not finite: a rectifier can hide them in a plausible output.

    Raises
    ------
    WeightsError
        Naming the first broken weights.
    """
    # A float64 sum of finite float32 values is finite, and is one pass without a temporary.
    broken = [
        w.path for w in model.weights if not np.isfinite(np.sum(np.asarray(w), dtype=np.float64))
    ]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise WeightsError(
            f"{reference} holds weights that are not finite.",
            f"NaN or infinity in '{broken[0]}'{more}.",
            "The training run diverged before this file was saved: take an earlier checkpoint.",
        )


def architecture_of_application(card: ModelCard) -> Architecture:
    """The layers of an application, built without weights."""
    assert card.application is not None
    bare = replace(card.application, weights="random")
    return live_architecture(applications.build(bare))


def live_architecture(model: keras.Model) -> Architecture:
    """The graph of a model that is already open."""
    return Architecture.from_config(json.loads(model.to_json()))


def _load(card: ModelCard) -> keras.Model:
    assert card.file is not None
    check_safe(card.file.path)
    objects = custom_objects(card.spec.custom_objects)
    try:
        return keras.saving.load_model(
            card.file.path, custom_objects=objects, compile=False, safe_mode=not card.spec.trust
        )
    except Exception as error:
        raise _explained(card, error) from error


def _explained(card: ModelCard, error: Exception) -> ModelError:
    text = " ".join(str(error).split())
    if "safe_mode" in text or "unsafe" in text.lower() or "arbitrary code" in text:
        return UntrustedError(
            f"{card.reference} holds code that would run on opening.",
            f"{text[:240]}.",
            "If you trust the file, add --trust.",
        )
    if "Could not locate class" in text or "Unknown layer" in text or "is not registered" in text:
        return ModelError(
            f"{card.reference} needs a class that is not part of Keras.",
            text[:240],
            "Give it with --custom-objects package.module:Name.",
        )
    return ModelError(
        f"Keras cannot open {card.reference}.", f"{type(error).__name__}: {text[:400]}"
    )


def custom_objects(references: list[str]) -> dict[str, Any]:
    """``package.module:Name`` references as the mapping that Keras takes.

    Raises
    ------
    UsageError
        For a reference that cannot be imported.
    """
    found: dict[str, Any] = {}
    for reference in references:
        module, _, name = reference.partition(":")
        try:
            found[name] = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(
                f"The custom object '{reference}' cannot be imported.",
                f"{error}.",
                "Write package.module:Name, and run kvis where the package can be imported.",
            ) from None
    return found
