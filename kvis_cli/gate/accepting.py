"""Accepting answers: a baseline in which those of a run stand."""

from __future__ import annotations

from collections.abc import Iterable

from kvis_cli.errors import NotEvaluatedError
from kvis_cli.gate.baseline import MAX_VARIANTS, Baseline, Kept, Question, answer_text


def added(
    old: Baseline,
    new: Baseline,
    *,
    only: Iterable[tuple[Question, str]] | None = None,
    beside: bool = False,
) -> Baseline:
    """Return a baseline in which new answers are accepted.

    Parameters
    ----------
    old
        What was accepted; the answers of a run.
    new
        What was accepted; the answers of a run.
    only
        The pairs of question and model to accept; the others stay as they are. None accepts all of
        `new` and drops whatever else `old` holds.
    beside
        Whether new answers stand beside the old ones of the same question instead of replacing
        them. An answer that is there already is not added again.

    Returns
    -------
    Baseline
        Images, models and settings are those that it still speaks of.

    Raises
    ------
    NotEvaluatedError
        When a question would have more than three accepted answers.
    """
    chosen = None if only is None else set(only)
    taken = [k for k in new.kept if chosen is None or (k.question, k.model) in chosen]
    asked = {(k.question, k.model) for k in taken}
    stay = [k for k in old.kept if (k.question, k.model) not in asked or beside]
    if chosen is None and not beside:
        stay = []
    kept = list(stay)
    for one in taken:
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    counts: dict[tuple[Question, str], int] = {}
    for one in kept:
        counts[one.question, one.model] = counts.get((one.question, one.model), 0) + 1
    if max(counts.values(), default=0) > MAX_VARIANTS:
        raise NotEvaluatedError(
            f"A question has more than {MAX_VARIANTS} accepted variants.",
            "",
            "Accept the new maps alone: leave --add-variant out.",
        )
    images = {**old.images, **new.images}
    models = {**old.models, **new.models}
    if chosen is not None:
        # A model of which nothing is accepted is as it was.
        models |= {n: d for n, d in old.models.items() if n not in {k.model for k in taken}}
    settings = {**old.settings, **new.settings}
    return Baseline(
        {d: images[d] for d in sorted({k.question[0] for k in kept})},
        {m: models[m] for m in sorted({k.model for k in kept})},
        {s: settings[s] for s in sorted({k.question[1] for k in kept})},
        tuple(kept),
    )


def _same(one: Kept, other: Kept) -> bool:
    """Whether two answers stand in the file as one line."""
    return (one.question, one.model) == (other.question, other.model) and answer_text(
        one
    ) == answer_text(other)
