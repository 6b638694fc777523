"""The ``cam`` task."""

from __future__ import annotations

from typing import Literal

from kvis_cli.spec.fields import TARGET, Texts, option
from kvis_cli.spec.pictures import ExplainSpec


class CamSpec(ExplainSpec):
    """Class activation maps: where does the model look?"""

    kind: Literal["cam"] = "cam"
    method: Texts = option(
        lambda: ["gradcam"],
        "CAM method; several give one picture each.",
        short="-m",
        panel=TARGET,
        metavar="NAME",
        min_length=1,
    )
    layer: Texts = option(
        lambda: ["auto"],
        "Layer to read: auto, a name, a path through nested models (base/conv5), or an index.",
        short="-l",
        panel=TARGET,
        metavar="LAYER",
        min_length=1,
    )
