"""What differs between the questions of a job and those of a baseline, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kvis_cli.gate.answers import MapAnswer
from kvis_cli.gate.baseline import Baseline, settings_key

MAX_NAMES = 5
# Keys that say which settings are meant.
_WHICH = ("kind", "method", "variant", "layer")


def differences(baseline: Baseline, model: str, answers: Sequence[MapAnswer]) -> list[str]:
    """Return what a baseline was asked otherwise, a sentence each; none where all is the same.

    Parameters
    ----------
    baseline
        What was accepted.
    model
        The model's name.
    answers
        Of the model.

    Returns
    -------
    list of str
        For people.
    """
    kept = baseline.variants(model)
    if not kept:
        names = ", ".join(sorted(baseline.models)) or "none"
        return [f"the baseline knows nothing of the model '{model}'; it knows {names}"]
    mine = {settings_key(a.settings): a.settings for a in answers}
    theirs = {question[1] for question in kept}
    found = [
        f"other settings: {_closest(settings, [baseline.settings[k] for k in sorted(theirs)])}"
        for key, settings in mine.items()
        if key not in theirs
    ]
    found += [
        f"other settings: the job no longer asks for {_name(baseline.settings[key])}"
        for key in sorted(theirs - mine.keys())
        if not any(_name(settings) == _name(baseline.settings[key]) for settings in mine.values())
    ]
    images = {a.question[0]: a.row.image_name for a in answers}
    before = {question[0]: baseline.images[question[0]] for question in kept}
    new = [name for key, name in images.items() if key not in before]
    gone = [name for key, name in before.items() if key not in images]
    if new:
        found.append(f"other images: {_listed(new)} not in the baseline")
    if gone:
        found.append(f"other images: {_listed(gone)} of the baseline not in the job")
    pairs = {question[:2] for question in kept}
    asked = [
        f"{a.row.image_name} ({a.row.target})"
        for a in answers
        if a.question not in kept and a.question[:2] in pairs
    ]
    if asked:
        found.append(f"other classes: {_listed(asked)} not asked in the baseline")
    return list(dict.fromkeys(found))


def _closest(settings: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """Say what differs from the nearest settings of the baseline."""
    same = [other for other in others if _name(other) == _name(settings)]
    if not same:
        return f"the baseline has no {_name(settings)}"
    changes = min((_changes(other, settings) for other in same), key=len)
    return f"{_name(settings)}: {', '.join(changes)}"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = sorted(before.keys() | now.keys())
    return [
        f"{'version of the results' if key == 'version' else key} was "
        f"{_value(before.get(key))}, is {_value(now.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _value(value: object) -> str:
    return "the default" if value is None else str(value)


def _name(settings: Mapping[str, Any]) -> str:
    parts = (str(settings[key]) for key in _WHICH[1:] if isinstance(settings.get(key), str))
    return " ".join([*parts]) or str(settings.get("kind", "?"))


def _listed(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
