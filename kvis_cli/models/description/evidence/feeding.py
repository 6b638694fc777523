"""How a model is fed: by what the user says, its files, its layers, and its weights last."""

from __future__ import annotations

from kvis_cli.errors import KvisError
from kvis_cli.models.description.evidence.fingerprint import (
    PreprocessingChoice,
    checked,
    chosen_by,
    known_preprocessing,
)
from kvis_cli.models.description.evidence.photos_given import given_photos
from kvis_cli.models.description.evidence.weighing import Evidence, Weights, weigh
from kvis_cli.models.description.evidence.weights import open_weights
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.preprocessing import PRESETS, Preprocessing, parse

_WHOLE_NUMBERS = frozenset({"uint8", "int8", "int16", "uint16", "int32", "int64"})


def stated(info: ModelInfo) -> PreprocessingChoice | None:
    """Return the preprocessing that an option, a sidecar or the model's layers state.

    None where only the weights can tell.

    Parameters
    ----------
    info
        The model; its weights are not read.

    Returns
    -------
    PreprocessingChoice or None
        With the reason in words.

    Raises
    ------
    SpecError
        For an option or a sidecar that describes no preprocessing.
    """
    if info.spec.preprocess != "auto":
        return PreprocessingChoice(parse(info.spec.preprocess), "as asked")
    if info.sidecar.preprocess not in (None, "auto"):
        assert info.sidecar.preprocess is not None and info.sidecar_file is not None
        return PreprocessingChoice(parse(info.sidecar.preprocess), f"from {info.sidecar_file.name}")
    endpoints = info.architecture.inputs
    if endpoints and endpoints[info.explained_input()].dtype in _WHOLE_NUMBERS:
        return PreprocessingChoice(PRESETS["none"], "its input takes whole numbers")
    return known_preprocessing([(c.class_name, c.name) for c in info.architecture.calls])


def choose(info: ModelInfo) -> PreprocessingChoice:
    """Return the preprocessing of a model and the reason for it, checked against its weights.

    It is decided once: `ModelInfo.photos` have to be set before.
    """
    if info.choice is None:
        info.choice = _chosen(info)
    return info.choice


def _chosen(info: ModelInfo) -> PreprocessingChoice:
    known = stated(info)
    others = () if known is None else (known.preprocessing,)
    evidence = weighed(info, others)
    if known is not None:
        return checked(known, evidence)
    lambdas = [c.name for c in info.architecture.calls[:3] if c.class_name == "Lambda"]
    return chosen_by(evidence, code=lambdas[0] if lambdas else "")


def weighed(info: ModelInfo, others: tuple[Preprocessing, ...] = ()) -> Evidence | None:
    """Return what the weights say about the preprocessing; None where they cannot be read.

    Parameters
    ----------
    info
        The model; `ModelInfo.photos` are looked at.
    others
        Preprocessings to try beside the usual ones.

    Returns
    -------
    Evidence or None
        All hypotheses, the best first, and whether that is enough to choose one.
    """
    source = info.weights or _stored_weights(info)
    try:
        size = info.image_input()
        form = info.input_form()
    except KvisError:
        return None
    if source is None or size.channels_first:
        return None
    if size.is_picture:
        shape = (size.height, size.width, size.channels)
    elif form is not None and form.fold is not None:
        shape = form.fold
    else:
        return None
    flat = None if size.is_picture or form is None else form.shape
    return weigh(
        info.architecture,
        source,
        shape,
        photos=lambda: given_photos(info.photos, *shape, info.spec.fit),
        others=others,
        arrange=lambda x: x if flat is None else x.reshape(len(x), *(size or 0 for size in flat)),
    )


def _stored_weights(info: ModelInfo) -> Weights | None:
    file, found = info.file, info.upgraded
    if file is None or found is None or not info.architecture.is_graph:
        return None
    return lambda: open_weights(file, info.config, found.generation)
