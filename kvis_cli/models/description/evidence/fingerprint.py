"""Which preprocessing a model was trained with, from what its file gives away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kvis_cli.models.description.evidence.weighing import Evidence
from kvis_cli.models.description.preprocessing import PRESETS, Preprocessing
from kvis_cli.models.graph.layers import has_role


@dataclass(frozen=True)
class PreprocessingChoice:
    """A chosen preprocessing and why.

    Attributes
    ----------
    preprocessing
        The choice.
    reason
        In words, without a full stop.
    certain
        False when it is only the likeliest, or nothing speaks for it.
    warning
        What a person must know before believing a picture: that the choice is a guess, or that
        the weights speak against it. Empty where there is nothing to say.
    rival
        What is nearly as likely, where the choice is not certain.
    evidence
        What the weights say, where that was looked at.
    """

    preprocessing: Preprocessing
    reason: str
    certain: bool = True
    warning: str = ""
    rival: Preprocessing | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Fingerprint:
    """Layer names that give a known family away."""

    family: str
    preprocessing: Preprocessing
    layers: tuple[str, ...]


SQUEEZENET = Preprocessing("caffe", (104.0, 117.0, 123.0), (1.0,), "bgr")

# More specific families first: a ResNet50V2 also has the names of a ResNet50's first layers.
FINGERPRINTS: tuple[Fingerprint, ...] = (
    Fingerprint("Inception-ResNet v2", PRESETS["signed"], ("mixed_7a", "conv_7b")),
    Fingerprint("Inception v3", PRESETS["signed"], ("mixed0", "mixed10")),
    Fingerprint("Xception", PRESETS["signed"], ("block1_conv1", "block14_sepconv2")),
    Fingerprint("ResNet v2", PRESETS["signed"], ("conv1_conv", "conv2_block1_preact_bn")),
    Fingerprint("ResNet", PRESETS["caffe"], ("conv1_conv", "conv2_block1_1_conv", "pool1_pool")),
    Fingerprint("ResNet 50 (2017)", PRESETS["caffe"], ("res2a_branch2a", "bn_conv1")),
    Fingerprint("VGG", PRESETS["caffe"], ("block1_conv1", "block5_conv3", "block5_pool")),
    Fingerprint("DenseNet", PRESETS["torch"], ("conv2_block1_concat", "pool2_conv")),
    Fingerprint("NASNet", PRESETS["signed"], ("stem_conv1", "stem_bn1")),
    Fingerprint("MobileNet", PRESETS["signed"], ("conv1", "conv_dw_1", "conv_pw_13")),
    Fingerprint("MobileNet v2", PRESETS["signed"], ("Conv1", "expanded_conv_depthwise", "Conv_1")),
    Fingerprint("MobileNet v2", PRESETS["signed"], ("Conv1", "expanded_conv_depthwise")),
    Fingerprint("MobileNet v3", PRESETS["signed"], ("conv_bn", "expanded_conv_1_expand")),
    Fingerprint("SqueezeNet v1.0", SQUEEZENET, ("fire2_squeeze1x1", "fire9_expand3x3")),
)

# A model that scales its own input takes pixels as they are.
SCALING_LAYERS = frozenset({"Rescaling", "Normalization"})


def known_preprocessing(calls: Sequence[tuple[str, str]]) -> PreprocessingChoice | None:
    """Return the preprocessing that a model's layers say, or that its family is known for.

    Parameters
    ----------
    calls
        ``(class name, layer name)`` of every layer call in execution order, nested models
        inlined.

    Returns
    -------
    PreprocessingChoice or None
        None where the layers say nothing.
    """
    for class_name, name in calls:
        if class_name in SCALING_LAYERS:
            return PreprocessingChoice(
                PRESETS["none"], f"the model scales its input itself (layer '{name}')"
            )
        if not has_role(class_name, "in_front") and not class_name.startswith("Random"):
            break
    names = {name for _, name in calls}
    for fingerprint in FINGERPRINTS:
        if names.issuperset(fingerprint.layers):
            return PreprocessingChoice(
                fingerprint.preprocessing, f"its layers are those of {fingerprint.family}"
            )
    return None


def checked(choice: PreprocessingChoice, evidence: Evidence | None) -> PreprocessingChoice:
    """Return a choice that was made otherwise, with a warning where the weights contradict it.

    Parameters
    ----------
    choice
        From an option, a sidecar, a layer or a known family.
    evidence
        What the weights say, None where they say nothing.

    Returns
    -------
    PreprocessingChoice
        The same preprocessing.
    """
    if evidence is None or not evidence.speaks_against(choice.preprocessing):
        return replace(choice, evidence=evidence)
    return replace(
        choice,
        evidence=evidence,
        warning=f"preprocessing {choice.preprocessing.name} ({choice.reason}), but the first "
        f"BatchNormalization ('{evidence.layer}') expects {evidence.best.preprocessing.name}",
    )


def chosen_by(evidence: Evidence | None, *, code: str = "") -> PreprocessingChoice:
    """Return what the weights say, or the likeliest with a warning where they do not say enough.

    Parameters
    ----------
    evidence
        What the weights say, None where they say nothing.
    code
        Name of a Lambda layer in front, which most often is what scales the pixels.

    Returns
    -------
    PreprocessingChoice
        With its reason in words; `certain` is off for a guess.
    """
    if evidence is None and code:
        return PreprocessingChoice(
            PRESETS["none"],
            f"not known: the Lambda layer '{code}' comes first, and most such layers scale pixels",
            certain=False,
            warning=f"fed by a guess (none): what the Lambda layer '{code}' does is not known",
            rival=PRESETS["unit"],
        )
    if evidence is None:
        return PreprocessingChoice(
            PRESETS["unit"],
            "not known: nothing in the model says how it was trained",
            certain=False,
            warning="fed by a guess (unit): nothing in the model says how it was trained",
            rival=PRESETS["signed"],
        )
    best, second = (fit.preprocessing for fit in evidence.fits[:2])
    if not evidence.decided:
        return PreprocessingChoice(
            best,
            f"not known: its weights speak for {best.name} or {second.name}, not clearly for one",
            certain=False,
            warning=f"fed by a guess ({best.name}; {second.name} is as likely)",
            rival=second,
            evidence=evidence,
        )
    if evidence.layer:
        reason = f"the model's first BatchNormalization ('{evidence.layer}') expects it"
    else:
        reason = "its units and outputs respond to photos so, and not otherwise"
    if best.color == "rgb" and evidence.colour:
        reason += "; the colour order is not known, RGB is used"
    return PreprocessingChoice(best, reason, evidence=evidence)


def looks_like(calls: Iterable[tuple[str, str]]) -> str:
    """Return the family whose layer names these are, or an empty text."""
    names = {name for _, name in calls}
    return next((f.family for f in FINGERPRINTS if names.issuperset(f.layers)), "")
