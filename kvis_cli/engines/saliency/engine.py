"""Any saliency methods on batches of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvis_cli.engines.backprop_modifiers import Rectifiers, Rule
from kvis_cli.engines.gradient_modifiers import GradientModifier, Modify, find_modifier
from kvis_cli.engines.saliency.batch import Attribution, Batch
from kvis_cli.engines.saliency.channels import CHANNELS, reduce_channels
from kvis_cli.engines.saliency.registry import (
    SALIENCY_METHODS,
    Explain,
    SaliencyMethod,
    find_method,
)
from kvis_cli.engines.saliency.score import ScoreFunction, compiled
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.engines.scores import Region, ScoreKind, join_groups, target_groups
from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.live.reader import ModelReader, Tap


@dataclass(frozen=True)
class SaliencyMap:
    """The maps of one method with one modifier.

    Attributes
    ----------
    method, modifier
        Their names.
    values
        float32 ``(B, T, …)``: an input's shape without its channel axis, which is there only with
        ``channels="keep"``.
    signed
        Whether values of both signs have a meaning.
    extras
        Numbers of the method, each ``(B, T)``.
    """

    method: SaliencyMethod
    modifier: str
    values: np.ndarray
    signed: bool
    extras: dict[str, np.ndarray] = field(default_factory=dict)


def joined(parts: list[SaliencyMap], total: int) -> SaliencyMap:
    """Return the maps of groups of targets as those of all `total` targets."""
    first = parts[0]
    if len(parts) == 1:
        return first

    return replace(
        first,
        values=join_groups([part.values for part in parts], total),
        signed=any(part.signed for part in parts),
        extras={
            name: join_groups([part.extras[name] for part in parts], total) for name in first.extras
        },
    )


@dataclass(frozen=True)
class SaliencyBatch:
    """A batch, explained.

    Attributes
    ----------
    maps
        In the order of methods, then modifiers.
    scores
        float32 ``(B, T)``.
    weights
        float32 ``(B, T, units)``: the units of each score, ranks resolved.
    outputs
        float32 ``(B, units)``: the model's output.
    """

    maps: list[SaliencyMap]
    scores: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray


class SaliencyEngine:
    """Which parts of an input move a score. Compiled once per method and batch shape.

    Parameters
    ----------
    reader
        The model.
    methods
        Names of `SALIENCY_METHODS`.
    modifiers
        Gradient modifiers by name, or callables; none takes each method's own.
    channels
        A key of `CHANNELS`.
    backprop
        A backprop modifier for all methods that bring none of their own.
    settings
        Parameters of the methods.
    score
        What is explained of an output; see `ScoreFunction`.
    output
        Which of the model's outputs.
    layer
        Explain the units of this layer call instead of the output's.
    channels_first
        Whether that layer's maps are ``(B, K, …)``.
    wrt
        Take gradients with respect to this layer call's output instead of the input.
    region
        Which positions of the output are explained; see `ScoreFunction`.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.
    UsageError
        For a model that takes whole numbers, with a method that needs gradients.

    Examples
    --------
    >>> model = keras.models.load_model("sample_models/shapes.keras")
    >>> photo = keras.utils.load_img("sample_models/images/house.png", target_size=(96, 96))
    >>> photo = keras.utils.img_to_array(photo)
    >>> engine = SaliencyEngine(ModelReader(model), ["gradient"])
    >>> weights = np.eye(6, dtype=np.float32)[np.newaxis, 3:4]
    >>> found = engine(photo[np.newaxis], weights, np.full((1, 1), -1, np.int32))
    >>> found.maps[0].values.shape, found.maps[0].signed
    ((1, 1, 96, 96), False)
    """

    def __init__(
        self,
        reader: ModelReader,
        methods: Sequence[str] = ("gradient",),
        *,
        modifiers: Sequence[str | Modify] = (),
        channels: str = "max",
        backprop: str | Rule | None = None,
        settings: SaliencySettings | None = None,
        score: ScoreKind = "logit",
        output: int = 0,
        layer: Tap | None = None,
        channels_first: bool = False,
        wrt: Tap | None = None,
        region: Region = None,
    ) -> None:
        self.settings = settings or SaliencySettings()
        self.methods = [find_method(name) for name in methods]
        self.modifiers = [find_modifier(name) for name in modifiers]
        if channels not in CHANNELS:
            raise UnknownNameError.of("channel reduction", channels, CHANNELS)
        self.channels = channels
        self.wrt = wrt
        self._functions: list[Any] = []
        self._reduce = self._compile(self._reduced)
        check_inputs(reader.model, self.methods, wrt)

        def score_with(rule: str | Rule | None) -> ScoreFunction:
            return ScoreFunction(
                reader,
                score=score,
                output=output,
                layer=layer,
                channels_first=channels_first,
                wrt=wrt,
                backprop=rule,
                region=region,
                compile=self._compile,
            )

        self._scores: dict[str | Rule | None, ScoreFunction] = {}
        self._explain: list[Explain] = []
        for method in self.methods:
            rule = (method.backprop or backprop) if method.gradient else None
            if rule not in self._scores:
                self._scores[rule] = score_with(rule)
            self._explain.append(method.make(self._scores[rule], self.settings))
        self._first = next(
            (
                self._scores[method.backprop or backprop]
                for method in self.methods
                if method.pointwise
            ),
            None,
        )
        self._any = next(iter(self._scores.values()), None) or score_with(None)

    @property
    def traces(self) -> int:
        """How often something was compiled."""
        return sum(function.experimental_get_tracing_count() for function in self._functions)

    @property
    def rectifiers(self) -> list[Rectifiers]:
        """What the backprop modifiers changed; known once a batch was explained."""
        return [s.rectifiers for s in self._scores.values() if s.rectifiers is not None]

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> SaliencyBatch:
        """Explain a batch.

        Parameters
        ----------
        inputs
            Preprocessed inputs ``(B, …)``.
        weights
            ``(B, T, units)`` as from `kvis_cli.models.description.targets.encode`.
        ranks
            ``(B, T)`` as from there.

        Returns
        -------
        SaliencyBatch
            A map per method and modifier, ``(B, T, …)`` of the input's shape with its channels
            reduced; the scores, and the model's outputs.
        """
        if self.wrt is None:
            # Points between and around inputs are real numbers; the model rounds them itself.
            inputs = np.asarray(inputs, np.float32)
        given = (tf.constant(inputs), tf.constant(weights), tf.constant(ranks))
        groups = target_groups(weights.shape[1])
        if self._first is not None and len(groups) == 1:
            scores, resolved, outputs, *point = self._first.run_explain(*given)
            batch = Batch(given[0], resolved, scores)
            batch.share(("point", self._first.backprop), point)
        else:
            scores, resolved, outputs = self._any.run_resolve(*given)
            batch = Batch(given[0], resolved, scores)
        parts = [batch] if len(groups) == 1 else [batch.of_targets(group) for group in groups]
        maps: list[SaliencyMap] = []
        for method, explain in zip(self.methods, self._explain, strict=True):
            # Without gradients, all targets cost as much as one.
            found = [explain(part) for part in (parts if method.gradient else [batch])]
            for modifier in self.modifiers or [find_modifier(method.modifier)]:
                of_parts = [self._map(method, modifier, attribution) for attribution in found]
                maps.append(joined(of_parts, weights.shape[1]))
        return SaliencyBatch(maps, scores.numpy(), resolved.numpy(), outputs.numpy())

    def _map(
        self, method: SaliencyMethod, modifier: GradientModifier, found: Attribution
    ) -> SaliencyMap:
        axis = self.settings.channel_axis if method.gradient else None
        values = self._reduce(found.values, modifier.modify, axis).numpy()
        unsigned = modifier.unsigned or (axis is not None and self.channels == "norm")
        if method.unsigned:
            unsigned = modifier.name != "negate"
        if modifier.modify is not None and not modifier.says:
            unsigned = bool((values >= 0).all())
        return SaliencyMap(method, modifier.name, values, not unsigned, found.extras)

    def _reduced(self, values: Any, modify: Callable[[Any], Any], axis: int | None) -> Any:
        # One sample per target: a modifier that looks at the whole map sees one map.
        flat = tf.reshape(values, [-1, *values.shape[2:]])
        return reduce_channels(tf.reshape(modify(flat), tf.shape(values)), self.channels, axis)

    def _compile(self, function: Callable[..., Any]) -> Any:
        self._functions.append(compiled(function))
        return self._functions[-1]


def check_inputs(model: keras.Model, methods: Sequence[SaliencyMethod], wrt: Tap | None) -> None:
    """Refuse gradients with respect to whole numbers, and paths or noise at a layer.

    Parameters
    ----------
    model
        A Keras model; only the types of its inputs are read.
    methods
        What is to be computed.
    wrt
        The layer call of the gradients, or None for the input.

    Raises
    ------
    UsageError
        Naming the input and what can be done instead.
    """
    if wrt is not None:
        other = [method.name for method in methods if not method.pointwise]
        if other:
            raise UsageError(
                f"'{other[0]}' cannot be taken at layer '{wrt}'.",
                "It changes the input itself.",
                "With --wrt use: "
                + ", ".join(m.name for m in SALIENCY_METHODS.values() if m.pointwise)
                + ".",
            )
        return
    needing = [method.name for method in methods if method.gradient]
    whole = [
        tensor
        for tensor in keras.tree.flatten(getattr(model, "inputs", None) or [])
        if not keras.backend.is_float_dtype(tensor.dtype)
    ]
    if needing and whole:
        embedding = next(
            (layer.name for layer in model.layers if isinstance(layer, keras.layers.Embedding)), ""
        )
        offer = (
            f"--wrt {embedding} explains the output of its Embedding layer; " if embedding else ""
        )
        raise UsageError(
            f"'{needing[0]}' needs a gradient, and the model's input '{whole[0].name}' takes whole "
            f"numbers ({whole[0].dtype}).",
            "There is no gradient with respect to them.",
            f"{offer}--method occlusion and rise need no gradient.",
        )
