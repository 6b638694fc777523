"""A model as its files describe it, before anything of TensorFlow is started."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kvis_cli.errors import ModelError, SpecError, UnknownNameError, UsageError
from kvis_cli.models.description import applications, inputs
from kvis_cli.models.description.evidence.fingerprint import PreprocessingChoice
from kvis_cli.models.description.evidence.weighing import Weights
from kvis_cli.models.description.inputs import ImageInput
from kvis_cli.models.description.labels import Labels, imagenet, read_labels
from kvis_cli.models.description.recognized import application_of_weights
from kvis_cli.models.description.replacements import apply_replacements
from kvis_cli.models.description.sidecar import Sidecar, read_sidecar
from kvis_cli.models.description.targets import Head
from kvis_cli.models.files.json_models import with_architecture
from kvis_cli.models.files.kinds import ModelFile
from kvis_cli.models.files.read import read_model_file
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import Architecture, LayerCall
from kvis_cli.models.graph.editing import lambda_layers, with_input_layer
from kvis_cli.models.graph.forms import (
    InputForm,
    OutputForm,
    channels_first,
    ending_activation,
    input_form,
    output_form,
)
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.legacy.upgrade import Upgraded, upgrade
from kvis_cli.models.request import ModelSpec, parse_shape, parse_size
from kvis_cli.paths import user_path

DEFAULT_SIZE = 224


@dataclass
class ModelInfo:
    """What is known of a model without running it.

    Attributes
    ----------
    spec
        The request.
    name
        For file names: the file's stem or the application's name.
    file
        The model file; None for an application.
    application
        The application; None for a file.
    config
        ``{"class_name", "config"}`` after the upgrade; empty for an application not yet built.
    changes
        What the upgrade changed, one sentence each.
    architecture
        The flat graph.
    sidecar
        What the sidecar says.
    photos
        The first photos that are explained. Where the model's files do not say how it is fed, the
        weights are asked what they expect of them.
    weights
        Opens the weights of a model that is already live; None for those of the file.
    choice
        How it is fed, once `kvis_cli.models.description.evidence.feeding.choose` has decided that.
    """

    spec: ModelSpec
    name: str
    file: ModelFile | None = None
    application: applications.ApplicationRef | None = None
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    changes: list[str] = field(default_factory=list)
    architecture: Architecture = field(default_factory=lambda: Architecture("", ""), repr=False)
    sidecar: Sidecar = field(default_factory=Sidecar)
    sidecar_file: Path | None = None
    upgraded: Upgraded | None = field(default=None, repr=False)
    replacements: list[str] = field(default_factory=list)
    photos: Sequence[Path] = ()
    weights: Weights | None = field(default=None, repr=False)
    choice: PreprocessingChoice | None = field(default=None, repr=False)

    @property
    def reference(self) -> str:
        """What the user typed."""
        return self.spec.path

    @property
    def native(self) -> bool:
        """Whether Keras 3 wrote the file, and nothing in it was changed."""
        found = self.upgraded
        whole = self.file is not None and not self.file.beside
        return whole and found is not None and found.generation >= 3 and not self.changes

    def stated_shape(self) -> tuple[int | None, ...] | None:
        """Return the input shape that the user gives, without the batch.

        None when there is none.
        """
        if self.spec.input_shape:
            return parse_shape(self.spec.input_shape)
        size = self.spec.size or self.sidecar.size
        return (*parse_size(str(size)), 3) if size else None

    # What follows is derived from the architecture, so it also serves a live model.

    def output_index(self) -> int:
        """Which output is explained."""
        outputs = self.architecture.outputs
        if self.spec.output is None:
            return 0
        names = [o.key or o.name for o in outputs]
        if self.spec.output in names:
            return names.index(self.spec.output)
        text = self.spec.output
        if text.lstrip("-").isdigit() and -len(names) <= int(text) < len(names):
            return int(text) % len(names)
        raise UnknownNameError.of("output", text, names, where=f"of {self.reference}")

    def given_inputs(self) -> dict[str, str]:
        """Return what `--input` says: name of an input → its value."""
        return inputs.parse_inputs(self.spec.input, self.architecture.inputs)

    def explained_input(self) -> int:
        """Which input takes the pictures."""
        return inputs.explained_input(self.architecture.inputs, self.given_inputs())

    def image_input(self) -> ImageInput:
        """Return the size of photos for the model, or the shape of the arrays that are explained.

        Returns
        -------
        ImageInput
            Height and width in pixels, and channels; 0 × 0 where the input is no picture.

        Raises
        ------
        ModelError
            When the shape of the input is not known.
        UsageError
            When `--size` does not fit it.
        """
        endpoints = self.architecture.inputs
        wanted = self.spec.size or self.sidecar.size
        shape = endpoints[self.explained_input()].shape if endpoints else None
        if not shape:
            stated = self.stated_shape()
            if stated is None:
                raise ModelError(
                    f"{self.reference} does not say the shape of its input.",
                    "",
                    "Give --size 224 for pictures, or --input-shape 224,224,3.",
                )
            shape = (None, *stated)
        if len(shape) != 4:
            return ImageInput(0, 0, shape[-1] or 0, shape=tuple(shape[1:]))
        first = channels_first(self.architecture, shape)
        height: int | None = shape[2] if first else shape[1]
        width: int | None = shape[3] if first else shape[2]
        channels = (shape[1] if first else shape[3]) or 3
        free = height is None or width is None
        if wanted is not None:
            asked = parse_size(str(wanted))
            if not free and asked != (height, width):
                raise UsageError(
                    f"--size {asked[1]}x{asked[0]} (width x height) does not fit {self.reference}.",
                    f"The model takes {height}×{width} (height × width) and nothing else.",
                    "Leave --size out.",
                )
            height, width = asked
        return ImageInput(
            height or DEFAULT_SIZE,
            width or DEFAULT_SIZE,
            channels,
            first,
            free,
            tuple(shape[1:]),
        )

    def head(self) -> Head:
        """Return the explained output's units and their names, where these are known.

        A `ModelError` where the file does not say how many outputs there are.
        """
        outputs = self.architecture.outputs
        shape = outputs[self.output_index()].shape if outputs else None
        if not shape or shape[-1] is None:
            raise ModelError(
                f"The number of outputs of {self.reference} is not known.",
                f"Its output has the shape {shape}.",
            )
        form = self.output_form()
        labels = self._labels(form.units) if form.kind not in ("image", "signal") else Labels()
        binary = form.kind == "classes" and form.units == 1
        return Head(form.units, labels, binary, form.kind)

    def output_form(self) -> OutputForm:
        """Return what the explained output is: classes, a mask, an image …."""
        output = self.architecture.outputs[self.output_index()]
        entries = self.architecture.inputs
        explained = entries[self.explained_input()] if entries else None
        shape = output.shape or (None, 1)
        # A labels.txt may belong to another model of the same folder.
        said = self.spec.labels or self.sidecar.labels
        names = len(self._labels(shape[-1] or 1).names) if said and len(shape) > 1 else 0
        return output_form(self.architecture, output, explained, names)

    def describe_output(self) -> str:
        """``3 classes, labels: labels.txt`` or ``output: a mask of 128×128 (…)``, for people."""
        head, form = self.head(), self.output_form()
        labels = f", labels: {head.labels.source}"
        if form.kind == "classes":
            return f"{head.classes} classes{labels}"
        return f"output: {form.describe()}{labels if head.labels.names else ''}"

    def input_form(self) -> InputForm | None:
        """Return what the explained input takes; None where its shape is not known."""
        endpoints = self.architecture.inputs
        explained = endpoints[self.explained_input()] if endpoints else None
        if explained is None or not explained.shape:
            return None
        outputs = self.architecture.outputs
        known = outputs and outputs[self.output_index()].shape
        return input_form(self.architecture, explained, self.output_form() if known else None)

    def final_activation(self) -> str:
        """Return the name of the activation that ends the explained output; ``linear`` for none."""
        outputs = self.architecture.outputs
        call = outputs[self.output_index()].call if outputs else None
        return ending_activation(call, resized=False)

    def _labels(self, units: int) -> Labels:
        if self.spec.labels:
            if self.spec.labels.lower() == "imagenet":
                return imagenet()
            return read_labels(user_path(self.spec.labels))
        if isinstance(self.sidecar.labels, list):
            return Labels(tuple(self.sidecar.labels), self.sidecar_file.name)  # type: ignore[union-attr]
        if self.sidecar.labels == "imagenet":
            return imagenet()
        if self.sidecar.labels:
            assert self.sidecar_file is not None
            return read_labels(
                self.sidecar_file.parent / self.sidecar.labels, str(self.sidecar_file)
            )
        if self.file is not None:
            for name in (f"{self.file.path.stem}.labels.txt", "labels.txt"):
                beside = self.file.path.with_name(name)
                if beside.is_file():
                    labels = read_labels(beside)
                    # A labels.txt may belong to another model of the same folder.
                    if name != "labels.txt" or len(labels.names) in (units, units + (units == 1)):
                        return labels
            if self.file.format == "tfjs":
                # Of Teachable Machine; a file of that name by others is no list of labels.
                with contextlib.suppress(SpecError):
                    labels = read_labels(self.file.path.with_name("metadata.json"))
                    if len(labels.names) in (units, units + (units == 1)):
                        return labels
        return imagenet() if units == 1000 else Labels()

    def cam_layer(self, address: str) -> tuple[LayerCall, str]:
        """Return the layer call that a CAM reads, and the reason for it."""
        if address == "auto" and self.sidecar.layer:
            return autolayer.resolve(
                self.architecture, self.sidecar.layer, model=self.reference
            ), f"from {self.sidecar_file.name}" if self.sidecar_file else ""
        if self.file is not None and self.file.format == "savedmodel":
            raise UsageError(
                f"{self.reference} shows none of its layers.",
                "A SavedModel holds compiled functions: no layer of it can be read.",
                "`kvis saliency` explains it by the gradient of its input; for a CAM give the "
                "Keras model that it was exported from.",
            )
        if address == "auto":
            choice = autolayer.choose_cam_layer(self.architecture, self.output_index())
            return choice.call, choice.reason
        return autolayer.resolve(self.architecture, address, model=self.reference), "as asked"


def describe_model(spec: ModelSpec) -> ModelInfo:
    """Read what a model's files say about it, without TensorFlow.

    Parameters
    ----------
    spec
        The model's path or name, with the options about it.

    Returns
    -------
    ModelInfo
        The upgraded config, the graph, and the sidecar.

    Raises
    ------
    ModelError
        For a file that is missing, damaged, unsafe or no model.
    UnknownNameError
        For a name that is neither a file nor an application.
    """
    path = user_path(spec.path)
    if not path.exists():
        reference = applications.parse_reference(spec.path)
        if reference is not None:
            return ModelInfo(spec, reference.name, application=reference)
        if not path.suffix and path.parent == Path() and ":" not in path.name:
            raise applications.unknown(spec.path)
    file = with_architecture(read_model_file(path, allow_weights_only=True), spec.arch)
    sidecar, sidecar_file = read_sidecar(path) or (Sidecar(), None)
    if file.format == "weights_h5" and spec.arch is None:
        return _application_file(spec, file, sidecar, sidecar_file)
    upgraded = upgrade(file.config, keras_version=file.keras_version)
    # The user's own words come last: they may replace what the sidecar says.
    replacements = _by_name([*sidecar.replace_layer, *spec.replace_layer])
    config, replaced = apply_replacements(upgraded.config, replacements)
    if replaced:
        upgraded = replace(upgraded, lambdas=lambda_layers(config), config=config)
        names = {text.partition("=")[0].strip().rpartition("/")[2] for text in replacements}
        still = [u for u in upgraded.unsupported if u.partition(" ")[0] not in names]
        upgraded = replace(upgraded, unsupported=still)
    info = ModelInfo(
        spec,
        path.stem,
        file=file,
        config=config,
        changes=[*upgraded.changes, *replaced],
        sidecar=sidecar,
        sidecar_file=sidecar_file,
        upgraded=upgraded,
        replacements=replacements,
    )
    info.architecture = read_architecture(config)
    shape = info.stated_shape()
    if shape is not None and _is_open_sequential(info.architecture):
        info.config = with_input_layer(config, (None, *shape))
        info.changes.append(f"Added an input layer of the shape {shape}, as asked.")
        info.architecture = read_architecture(info.config)
    return info


def _application_file(
    spec: ModelSpec, file: ModelFile, sidecar: Sidecar, sidecar_file: Path | None
) -> ModelInfo:
    """Return what is known of a file of weights alone that are those of an application."""
    reference = application_of_weights(file.path)
    return ModelInfo(
        spec,
        file.path.stem,
        file=file,
        application=reference,
        changes=[
            f"Took the weights for those of keras.applications' {reference.describe()}"
            + (", whose outputs are feature maps and no classes." if not reference.classes else ".")
        ],
        sidecar=sidecar,
        sidecar_file=sidecar_file,
    )


def _by_name(assignments: list[str]) -> list[str]:
    return list({text.partition("=")[0].strip(): text for text in assignments}.values())


def _is_open_sequential(architecture: Architecture) -> bool:
    """Whether it is a Sequential whose file does not say the shape of its input."""
    inputs = architecture.inputs
    return architecture.class_name == "Sequential" and bool(inputs) and inputs[0].shape is None
