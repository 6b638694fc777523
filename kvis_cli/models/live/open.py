"""Opening a model: from its description to a live Keras model, in safe mode."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import UnknownNameError, WeightsError
from kvis_cli.models.description import applications, inputs
from kvis_cli.models.description.evidence.feeding import choose
from kvis_cli.models.description.evidence.fingerprint import PreprocessingChoice
from kvis_cli.models.description.evidence.forward import NotKnown
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.inputs import ImageInput
from kvis_cli.models.description.preprocessing import Preprocessing
from kvis_cli.models.description.targets import Head
from kvis_cli.models.graph.architecture import Architecture, LayerCall
from kvis_cli.models.graph.forms import InputForm
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.live import feeding
from kvis_cli.models.live.build import build_model
from kvis_cli.models.live.reader import ModelReader
from kvis_cli.models.live.structure import input_structure
from kvis_cli.models.live.tracing import complete_shapes, traced_architecture
from kvis_cli.models.request import ModelSpec
from kvis_cli.runtime.cache import Cache

# Compiled engines hold tensors; one per entry of a job's tasks and set of methods is enough.
MOST_ENGINES = 8


@dataclass
class OpenModel:
    """A live model with everything that is needed to explain it.

    Attributes
    ----------
    info
        What its files say.
    model
        The Keras model, exactly as loaded.
    reader
        Runs it and reads its layers.
    notes
        Choices made on the user's behalf.
    engines
        What was compiled for it.
    fold
        ``(H, W, C)`` of the pictures that stand for an input of numbers; None for the input as it
        is.
    """

    info: ModelInfo
    model: keras.Model
    reader: ModelReader
    notes: list[str] = field(default_factory=list)
    engines: Cache = field(default_factory=lambda: Cache(MOST_ENGINES))
    fold: tuple[int, int, int] | None = None

    @cached_property
    def head(self) -> Head:
        """The explained outputs."""
        return self.info.head()

    @cached_property
    def image_input(self) -> ImageInput:
        """The input that photos go into."""
        if self.fold is not None:
            height, width, channels = self.fold
            return ImageInput(height, width, channels, shape=self.fold)
        return self.info.image_input()

    @cached_property
    def for_photos(self) -> OpenModel:
        """The same model, given pictures where its input is their numbers without channels.

        Itself where there is no such input.
        """
        form = self.info.input_form()
        if form is None or form.fold is None or self.fold is not None:
            return self
        arrange = feeding.folding(form.shape, self.reader.arrange)
        reader = ModelReader(self.model, arrange, self.reader.shown)
        return OpenModel(self.info, self.model, reader, [fold_note(form)], fold=form.fold)

    @cached_property
    def preprocessing_choice(self) -> PreprocessingChoice:
        """The preprocessing, and why it was chosen."""
        return choose(self.info)

    @property
    def preprocessing(self) -> Preprocessing:
        """From pixels to model inputs."""
        return self.preprocessing_choice.preprocessing

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file; of the weights for an application."""
        if self.info.file is not None and self.info.file.path.is_file():
            digests = []
            for path in dict.fromkeys((self.info.file.path, *self.info.file.beside)):
                with path.open("rb") as stream:
                    digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
            joined = hashlib.sha256(" ".join(digests).encode()).hexdigest()
            return digests[0] if len(digests) == 1 else joined
        digest = hashlib.sha256()
        for weight in self.model.weights:
            digest.update(np.asarray(weight).tobytes())
        return digest.hexdigest()

    def to_inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures ``(B, H, W, C)`` in 0..255 as model inputs, in the model's channel order.

        Arrays for a model that takes no pictures are its inputs as they are.
        """
        if not self.image_input.is_picture:
            return pixels
        made = self.preprocessing.apply(pixels)
        return np.moveaxis(made, -1, 1) if self.image_input.channels_first else made


def open_model(info: ModelInfo, *, top: bool = True, seed: int = 0) -> OpenModel:
    """Load a model.

    Parameters
    ----------
    info
        From `kvis_cli.models.description.info.describe_model`. For an application, its
        architecture is filled in.
    top
        Whether an application's classifier is wanted.
    seed
        Seed of an application's ``random`` weights.

    Returns
    -------
    OpenModel
        With its reader, labels and preprocessing.

    Raises
    ------
    ModelError
        When Keras cannot build the model from its file.
    UntrustedError
        When the file holds code and `--trust` was not given.
    WeightsError
        When weights are missing, do not fit or are not finite.
    """
    if info.application is not None:
        model = applications.build(info.application, top=top, seed=seed)
    else:
        model = build_model(info)
    return _opened(info, model)


def open_live(model: keras.Model, spec: ModelSpec) -> OpenModel:
    """Return what explains a model that is already open.

    Parameters
    ----------
    model
        Any Keras 3 model on the TensorFlow backend.
    spec
        How its inputs and outputs are to be read; its path is only a name.

    Returns
    -------
    OpenModel
        The model itself is not copied.

    Raises
    ------
    WeightsError
        When weights are not finite.
    """
    return _opened(ModelInfo(spec, spec.path), model)


def _opened(info: ModelInfo, model: keras.Model) -> OpenModel:
    check_weights(info.reference, model)
    specs, names = input_structure(info, model)
    if not info.architecture.calls:
        info.architecture = live_architecture(model, specs, names)
    elif any(call.output_shape is None for call in info.architecture):
        complete_shapes(info.architecture, model, specs, names)
    notes, arrange = _arranged(info, specs, names)
    if info.file is not None and info.file.format == "savedmodel":
        notes.append("a SavedModel is sealed: scores are its outputs, never before their softmax")
    outputs = info.architecture.outputs
    shown = None
    if outputs and outputs[info.output_index()].shape:
        shown = feeding.units_last(info.output_form(), info.output_index())
    reader = ModelReader(model, arrange, shown)
    if info.file is None or info.application is not None:
        info.weights = lambda: nullcontext(partial(_arrays, reader))
    return OpenModel(info, model, reader, notes)


def fold_note(form: InputForm) -> str:
    """Say how a photo becomes the numbers of an input without channels."""
    assert form.fold is not None
    size = "×".join(map(str, form.fold))
    if len(form.shape) == 1:
        order = "row by row" + (", the colours of a pixel side by side" if form.fold[2] > 1 else "")
        return f"the {form.shape[0]} numbers of the input are taken as a picture of {size}, {order}"
    return f"the input has no channel axis: photos become grey pictures of {size}"


def _arrays(reader: ModelReader, call: LayerCall) -> list[np.ndarray]:
    """Return the weights of a layer of a live model, float32."""
    try:
        layer = reader.operation(call.layer_path)
    except UnknownNameError:
        raise NotKnown(call.layer_path) from None
    return [np.asarray(weight, np.float32) for weight in layer.weights]


def _arranged(info: ModelInfo, specs: Any, names: Any) -> tuple[list[str], feeding.Arrange | None]:
    """How the explained input joins the others, and what people must know of these."""
    endpoints = info.architecture.inputs
    given = info.given_inputs()
    if isinstance(names, str):
        return [], None
    explained = endpoints[info.explained_input()]
    constants, notes = {}, []
    for endpoint in endpoints:
        if endpoint is explained:
            continue
        label = inputs.label(endpoint)
        constants[endpoint.name] = inputs.constant(endpoint, given.get(label))
        notes.append(
            f"input {label}: {given[label]}"
            if label in given
            else f"input {label}: zeros; give it with --input {label}=FILE.npy or a number"
        )
    if constants:
        notes.insert(0, f"input {inputs.label(explained)} takes what is explained")
    return notes, feeding.arranger(specs, names, explained.name, constants)


def check_weights(reference: str, model: keras.Model) -> None:
    """Refuse weights that are not finite: a rectifier can hide them in a plausible output.

    Parameters
    ----------
    reference
        The model, for the message.
    model
        All of its weights are looked at.

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


def architecture_of_application(info: ModelInfo) -> Architecture:
    """Return the layers of an application, built without weights."""
    assert info.application is not None
    bare = replace(info.application, weights="random")
    return live_architecture(applications.build(bare))


def live_architecture(model: keras.Model, specs: Any = None, names: Any = None) -> Architecture:
    """Return the graph of a model that is already open; of a subclassed one by tracing it."""
    try:
        architecture = read_architecture(json.loads(model.to_json()))
    except (NotImplementedError, TypeError, ValueError):
        # A subclassed model need not describe itself.
        architecture = Architecture("", "", is_graph=False)
    if not architecture.is_graph and specs is not None:
        return traced_architecture(model, specs, names)
    if specs is not None and any(call.output_shape is None for call in architecture):
        complete_shapes(architecture, model, specs, names)
    return architecture
