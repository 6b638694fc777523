"""Which preprocessing a model was trained with, from what its file gives away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        For people, without a full stop.
    certain
        False when it is only the fallback.
    """

    preprocessing: Preprocessing
    reason: str
    certain: bool = True


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


def guess_preprocessing(calls: Sequence[tuple[str, str]]) -> PreprocessingChoice:
    """Choose a preprocessing from the model's layers.

    Parameters
    ----------
    calls
        ``(class name, layer name)`` of every layer call in execution order, nested models
        inlined.
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
    return PreprocessingChoice(
        PRESETS["unit"],
        "nothing in the model says how it was trained; this is a guess, so check the top-5 and "
        "set --preprocess if they are wrong",
        certain=False,
    )


def looks_like(calls: Iterable[tuple[str, str]]) -> str:
    """Return the family whose layer names these are, or an empty text."""
    names = {name for _, name in calls}
    return next((f.family for f in FINGERPRINTS if names.issuperset(f.layers)), "")
