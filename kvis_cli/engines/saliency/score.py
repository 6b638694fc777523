"""The explained score and its gradient with respect to the input, as traced functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kvis_cli.engines.backprop_modifiers import Rectifiers, Rule, backprop_modifier, depends_on
from kvis_cli.engines.saliency.batch import Batch
from kvis_cli.engines.scores import Region, ScoreKind, per_unit, score_targets, score_units
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader, Tap, Watch

Compile = Callable[[Callable[..., Any]], Any]
"""Makes a ``tf.function`` of a function."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile `function`: one trace per shape, errors passed through as they are."""
    return tf.function(function, autograph=False)


class ScoreFunction:
    """Scores of any targets, and their gradients, per sample.

    Parameters
    ----------
    reader
        The model.
    score
        What is explained of an output.
    output
        Which of the model's outputs.
    layer
        Explain the units of this layer call instead: the mean of a unit over its map. The model
        then runs no further than to it.
    channels_first
        Whether that layer's maps are ``(B, K, …)``.
    wrt
        Take gradients with respect to the output of this layer call instead of the input.
    backprop
        A backprop modifier's name, or None.
    region
        Of an output with positions: where it is read, as for `score_targets`.
    compile
        What makes traced functions callable.
    """

    def __init__(
        self,
        reader: ModelReader,
        *,
        score: ScoreKind = "logit",
        output: int = 0,
        layer: Tap | None = None,
        channels_first: bool = False,
        wrt: Tap | None = None,
        backprop: str | Rule | None = None,
        region: Region = None,
        compile: Compile = compiled,
    ) -> None:
        self.reader = reader
        self.kind = score
        self.output = output
        self.layer = layer
        self.channels_first = channels_first
        self.wrt = wrt
        self.backprop = backprop
        self.region = region
        self.compile = compile
        self.rectifiers: Rectifiers | None = None
        self._shared: dict[Any, Any] = {}
        self.run_resolve = compile(self.resolve)
        self.run_explain = compile(self.explain)
        self.run_scores = compile(self.scores)

    def shared(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, made once for all methods of this score that ask with `key`."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def point(self, batch: Batch) -> tuple[Any, Any]:
        """``(gradients, at)`` at the clean inputs, computed once per batch."""
        ranks = tf.fill(batch.weights.shape[:2], -1)
        return batch.shared(
            ("point", self.backprop),
            lambda: self.run_explain(batch.inputs, batch.weights, ranks)[3:],
        )

    def resolve(self, inputs: Any, weights: Any, ranks: Any) -> tuple[Any, Any, Any]:
        """``(scores, weights, outputs)`` of a clean batch, ranks resolved."""
        return self._resolved(self._forward(inputs, stop=False), weights, ranks)

    def scores(self, points: Any, weights: Any) -> Any:
        """``(N, T)`` scores at `points`, for weights with no ranks left to resolve."""
        return self._scored(self._forward(points), weights)

    def gradients(self, points: Any, weights: Any) -> Any:
        """``(N, T, …)`` gradients at `points`, for weights with no ranks left to resolve."""
        with backprop_modifier(self.backprop) as rectifiers:
            with self._tape(weights) as tape:
                forward = self._forward(points, watch=tape.watch)
                targets = tf.unstack(self._scored(forward, weights), axis=1)
            return self._differentiated(tape, targets, forward, weights, rectifiers)

    def gradients_of_each(self, points: Any, weights: Any) -> Any:
        """``(B, N, T, …)`` gradients at N points for each input, ``(B, N, …)``."""
        batch, count = points.shape[:2]
        flat = tf.reshape(points, [batch * count, *points.shape[2:]])
        gradients = self.gradients(flat, tf.repeat(weights, count, axis=0))
        return tf.reshape(gradients, [batch, count, *gradients.shape[1:]])

    def explain(self, inputs: Any, weights: Any, ranks: Any) -> tuple[Any, Any, Any, Any, Any]:
        """`resolve` and `gradients` in one pass.

        Parameters
        ----------
        inputs
            ``(B, …)``.
        weights
            ``(B, T, units)``.
        ranks
            ``(B, T)``.

        Returns
        -------
        scores, weights, outputs, gradients, at
            ``at`` is what the gradients are with respect to: the input, or a layer's output.
        """
        with backprop_modifier(self.backprop) as rectifiers:
            with self._tape(weights) as tape:
                forward = self._forward(inputs, stop=False, watch=tape.watch)
                resolved = self._resolved(forward, weights, ranks)
                targets = tf.unstack(resolved[0], axis=1)
            gradients = self._differentiated(tape, targets, forward, resolved[1], rectifiers)
        return (*resolved, gradients, forward.at)

    def _tape(self, weights: Any) -> tf.GradientTape:
        return tf.GradientTape(persistent=weights.shape[1] > 1, watch_accessed_variables=False)

    def _forward(self, inputs: Any, *, stop: bool = True, watch: Watch | None = None) -> _Forward:
        if watch is not None and self.wrt is None:
            watch(inputs)
        taps = [tap for tap in (self.layer, self.wrt) if tap is not None]
        forward = self.reader.forward(
            inputs,
            taps,
            watch=watch if self.wrt is not None else None,
            stop=stop and self.layer is not None,
        )
        units = None
        if self.layer is not None:
            units = forward.taps[0]
            if self.channels_first and units.shape.rank > 2:
                units = tf.transpose(units, [0, *range(2, units.shape.rank), 1])
        at = inputs if self.wrt is None else forward.taps[-1]
        return _Forward(inputs, forward.outputs, units, at)

    def _scored(self, forward: _Forward, weights: Any) -> Any:
        if forward.units is not None:
            return score_units(forward.units, weights).scores
        ranks = tf.fill(tf.shape(weights)[:2], -1)
        output = forward.outputs[self.output]
        return score_targets(output, weights, ranks, self.kind, self.region).scores

    def _resolved(self, forward: _Forward, weights: Any, ranks: Any) -> tuple[Any, Any, Any]:
        output = forward.outputs[self.output]
        if forward.units is not None:
            return self._scored(forward, weights), weights, per_unit(output)
        found = score_targets(output, weights, ranks, self.kind, self.region)
        return found.scores, found.weights, found.outputs

    def _differentiated(
        self,
        tape: Any,
        targets: list[Any],
        forward: _Forward,
        weights: Any,
        rectifiers: Rectifiers,
    ) -> Any:
        # The samples of a batch do not see each other, so the sum's gradient is each one's own.
        gradients = [tape.gradient(target, forward.at) for target in targets]
        if any(gradient is None for gradient in gradients):
            raise no_gradient(forward.at, self.wrt)
        if self.backprop is not None:
            rectifiers.finish(targets[0])
            rectifiers.blind = not depends_on(gradients[0], forward.inputs, weights)
            self.rectifiers = rectifiers
        return tf.cast(tf.stack(gradients, axis=1), tf.float32)


@dataclass(frozen=True)
class _Forward:
    inputs: Any
    outputs: list[Any]
    units: Any
    at: Any


def no_gradient(at: Any, wrt: Tap | None) -> UsageError:
    """Return the error for a score that cannot be differentiated."""
    what = f"layer '{wrt}'" if wrt is not None else "the input"
    if wrt is not None and at.dtype.is_floating:
        return UsageError(
            f"There is no gradient with respect to {what}.",
            "The score does not depend on it: it lies behind what is explained, or beside it. "
            "Scores are read before a final softmax or sigmoid.",
            "Use a --wrt layer further to the front; `kvis layers` lists them.",
        )
    return UsageError(
        f"There is no gradient with respect to {what} ({at.dtype.name}).",
        "The score does not depend on it, or only through whole numbers: an Embedding, a cast.",
        "Use --method occlusion or rise, which need no gradient, or --wrt LAYER with the first "
        "layer whose output is real numbers (the Embedding).",
    )
