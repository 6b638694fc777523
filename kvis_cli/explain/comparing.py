"""The same questions put to two models, in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kvis_cli.errors import UsageError
from kvis_cli.explain.explainer import Explainer, split_options
from kvis_cli.explain.images import Images, several
from kvis_cli.explain.shown import ShownExplanation
from kvis_cli.metrics import compare_maps
from kvis_cli.metrics.undefined import Measured


@dataclass(frozen=True)
class Compared:
    """Two models' answers to one question.

    Attributes
    ----------
    image
        Which of the images, from 0.
    a, b
        The maps of both models, for the same class.
    measures
        Name -> how alike the maps are, a number or `kvis_cli.metrics.Undefined`: the
        names of `kvis_cli.metrics.MEASURES`.
    first
        Labels of the first class of both models for the image.
    """

    image: int
    a: ShownExplanation
    b: ShownExplanation
    measures: Mapping[str, Measured] = field(default_factory=dict)
    first: tuple[str, str] = ("", "")

    @property
    def flipped(self) -> bool | None:
        """Whether the models' first classes differ; None where they name the class differently."""
        return None if self.a.target.label != self.b.target.label else len(set(self.first)) > 1

    @property
    def drop(self) -> float | None:
        """How much the probability of the class falls from `a` to `b`; None where there is none."""
        if self.a.probability is None or self.b.probability is None:
            return None
        return self.a.probability - self.b.probability

    def __getitem__(self, measure: str) -> Measured:
        """Return one of `measures`."""
        return self.measures[measure]


def compare(
    a: Any, b: Any, images: Images, *, kind: Literal["cam", "saliency"] = "cam", **options: Any
) -> list[Compared]:
    """Put the same questions to two models and measure how alike their maps are.

    A rank as ``top1`` is that of `a`; `b` is asked about the same class, whatever it predicts.

    Parameters
    ----------
    a
        Live Keras models, files, names of applications, or `Explainer` objects.
    b
        Live Keras models, files, names of applications, or `Explainer` objects.
    images
        Files or arrays.
    kind
        The kind of maps.
    **options
        The keys of a ``cam`` or a ``saliency`` task, of a model (both are read alike),
        ``batch_size`` and ``seed``; ``kvis cam --help`` explains them.

    Returns
    -------
    list of Compared
        For each image, layer, class and method.

    Raises
    ------
    SpecError
        For options that are not there or have wrong values.
    UsageError
        For unknown classes, layers and methods; for models that were asked different questions, as
        layers that only one of them has.
    """
    of_model, of_task = split_options(kind, options)
    if of_model and isinstance(a, Explainer) and isinstance(b, Explainer):
        raise UsageError(
            f"'{next(iter(of_model))}' is an option of a model.",
            "Both are opened already.",
            "Give it to Explainer.",
        )
    models = [m if isinstance(m, Explainer) else Explainer(m, **of_model) for m in (a, b)]
    found: list[Compared] = []
    for number, image in enumerate(several(images)):
        mine = getattr(models[0], kind)(image, **of_task)
        asked = list(dict.fromkeys(e.target.asked for e in mine if e.target.asked))
        task = {key: value for key, value in of_task.items() if key.rstrip("_") != "class"}
        theirs = getattr(models[1], kind)(image, **task, **({"class_": asked} if asked else {}))
        if len(theirs) != len(mine):
            raise UsageError(
                "The models were not asked the same.",
                f"There are {len(mine)} maps of one and {len(theirs)} of the other.",
                "Name layers that both have, and classes that are not the same twice.",
            )
        tops = [model.predict(image, top=1)[0] for model in models]
        first = (tops[0][0][0], tops[1][0][0])
        for one, other in zip(mine, theirs, strict=True):
            measures = compare_maps(one.map, other.map)
            found.append(Compared(number, one, other, measures, first))
    return found
