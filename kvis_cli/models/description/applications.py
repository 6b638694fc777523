"""The architectures of keras.applications by name: ``vgg16``, ``vgg16:random``, ``vgg16:w.h5``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvis_cli.errors import UnknownNameError, WeightsError
from kvis_cli.paths import user_path
from kvis_cli.shown import said

if TYPE_CHECKING:
    import keras

# Name on the command line -> class in keras.applications.
APPLICATIONS: dict[str, str] = {
    "convnext_base": "ConvNeXtBase",
    "convnext_large": "ConvNeXtLarge",
    "convnext_small": "ConvNeXtSmall",
    "convnext_tiny": "ConvNeXtTiny",
    "convnext_xlarge": "ConvNeXtXLarge",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
    **{f"efficientnet_b{i}": f"EfficientNetB{i}" for i in range(8)},
    **{f"efficientnet_v2_b{i}": f"EfficientNetV2B{i}" for i in range(4)},
    "efficientnet_v2_l": "EfficientNetV2L",
    "efficientnet_v2_m": "EfficientNetV2M",
    "efficientnet_v2_s": "EfficientNetV2S",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
    "nasnet_large": "NASNetLarge",
    "nasnet_mobile": "NASNetMobile",
    "resnet101": "ResNet101",
    "resnet101_v2": "ResNet101V2",
    "resnet152": "ResNet152",
    "resnet152_v2": "ResNet152V2",
    "resnet50": "ResNet50",
    "resnet50_v2": "ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}


@dataclass(frozen=True)
class ApplicationRef:
    """A request for an application: which one, and which weights.

    Attributes
    ----------
    name
        A key of `APPLICATIONS`.
    weights
        ``imagenet``, ``random`` or the path of a weights file.
    options
        Settings of its function, ``(("alpha", 0.5),)``.
    classes
        Of its classifier; None for those of ImageNet, 0 where the weights are without one.
    """

    name: str
    weights: str = "imagenet"
    options: tuple[tuple[str, Any], ...] = ()
    classes: int | None = None

    def settings(self, top: bool) -> dict[str, Any]:
        """Return the arguments of its function in Keras, but for the weights."""
        classes = {"classes": self.classes} if self.classes and top else {}
        return {**dict(self.options), "include_top": top, **classes}

    def describe(self) -> str:
        """``MobileNetV2(alpha=0.35, classes=5)`` for people."""
        settings = dict(self.options)
        if self.classes == 0:
            settings["include_top"] = False
        elif self.classes not in (None, 1000):
            settings["classes"] = self.classes
        inside = ", ".join(f"{key}={value}" for key, value in settings.items())
        return APPLICATIONS[self.name] + (f"({inside})" if inside else "")


def parse_reference(text: str) -> ApplicationRef | None:
    """`text` as an application reference, or None when it names no application.

    ``MobileNetV2``, ``mobilenetv2`` and ``mobilenet-v2`` are all ``mobilenet_v2``.
    """
    name, _, weights = text.partition(":")
    by_plain = {_plain(known): known for known in APPLICATIONS}
    known = by_plain.get(_plain(name))
    if known is None or "/" in name or os.sep in name:
        return None
    return ApplicationRef(known, weights or "imagenet")


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name.lower())


def cache_folder() -> Path:
    """Where Keras keeps downloaded weights."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def cached_weights() -> list[str]:
    """File names of the weights in Keras' cache."""
    folder = cache_folder()
    return sorted(p.name for p in folder.glob("*.h5")) if folder.is_dir() else []


def build(reference: ApplicationRef, *, top: bool = True, seed: int = 0) -> keras.Model:
    """Build an application with its weights.

    Parameters
    ----------
    reference
        Which one.
    top
        Whether the classifier is wanted. Without it the input size is free.
    seed
        Seed of ``random`` weights.

    Returns
    -------
    keras.Model
        On the TensorFlow backend.

    Raises
    ------
    WeightsError
        When weights are neither cached nor to be had, or a file does not fit.
    """
    import keras

    make = getattr(keras.applications, APPLICATIONS[reference.name])
    top = top and reference.classes != 0
    if reference.weights == "random":
        keras.utils.set_random_seed(seed)
        return make(weights=None, **reference.settings(top))
    if reference.weights == "imagenet":
        return _pretrained(make, reference, top)
    path = user_path(reference.weights)
    if not path.is_file():
        raise WeightsError(
            f"The weights file '{path}' of {reference.name} is not there.",
            "",
            f"Give a file, `{reference.name}:random`, or `{reference.name}` for ImageNet weights.",
        )
    return _from_file(make, reference, path, top)


def _pretrained(make: Any, reference: ApplicationRef, top: bool) -> keras.Model:
    try:
        return make(weights="imagenet", include_top=top)
    except Exception as error:
        # Keras names the address in its message; that is the one place that knows the file.
        address = re.search(r"https?://\S+?\.(?:weights\.)?(?:h5|keras)", str(error))
        file = address.group(0).rsplit("/", 1)[1] if address else "the weights file"
        raise WeightsError(
            f"The ImageNet weights of {reference.name} are not on this machine and cannot be "
            "downloaded.",
            f"Keras looked for {cache_folder() / file}"
            + (f" and asked {address.group(0)}." if address else "."),
            f"Fetch {file} on a machine with a network and put it into {cache_folder()}, or pass "
            f"it as `{reference.name}:path/to/{file}`.",
        ) from error


def _from_file(make: Any, reference: ApplicationRef, path: Path, top: bool) -> keras.Model:
    from kvis_cli.models.files.read import check_safe
    from kvis_cli.models.legacy.groups import load_weights

    check_safe(path)
    reasons = []
    for include_top in dict.fromkeys((top, not top)):
        model = make(weights=None, **reference.settings(include_top))
        try:
            load_weights(model, path)
        except Exception as error:
            reasons.append(said(error, 200))
        else:
            return model
    raise WeightsError(
        f"The weights in '{path}' are not those of {reference.name}.",
        reasons[0],
        "Give the file that keras.applications uses for this architecture.",
    )


def unknown(text: str) -> UnknownNameError:
    """Return the error for a model that is neither a file nor an application."""
    return UnknownNameError.of(
        "model",
        text,
        APPLICATIONS,
        hint="Give a model file, or the name of a keras.applications model.",
    )
