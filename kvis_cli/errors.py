"""Everything that kvis refuses, and the exit code of each refusal.

An error says three things: what happened, why, and what to do next. Code raises one of the
classes below; the command line prints the three parts and leaves with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_EVALUATED = 3
    INTERRUPTED = 130


class KvisError(Exception):
    """An error that the user can act on.

    Parameters
    ----------
    what
        What happened, one sentence, with the offending value in quotes.
    why
        The cause, when it is known and not obvious from `what`.
    hint
        What to do next: a command, a path, a correct value.

    Examples
    --------
    >>> error = KvisError("Layer 'conv9' is not there.", "The model has 8.", "See `kvis layers`.")
    >>> print(error)
    Layer 'conv9' is not there. The model has 8. See `kvis layers`.
    >>> error.hint
    'See `kvis layers`.'
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.hint) if part)

    def __reduce__(self) -> tuple[type[KvisError], tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.hint)


class UsageError(KvisError, ValueError):
    """The request itself is wrong: an option, a value, a job file."""

    exit_code = ExitCode.USAGE


class SpecError(UsageError):
    """A job spec or a sidecar file does not say anything that kvis can do."""


class JobFileError(SpecError):
    """The mistakes of a job file, one a line. No line break in `what` comes from the file."""


class UnknownNameError(UsageError):
    """A name that is not among the known ones. The message offers the close matches."""

    @classmethod
    def of(
        cls, kind: str, name: object, known: Iterable[str], *, where: str = "", hint: str = ""
    ) -> UnknownNameError:
        """Build the error for `name`, which is not one of `known`.

        `kind` is the noun ("layer", "method"); `where` is added after the name ("in model.h5").
        """
        names = list(known)
        close = close_matches(str(name), names)
        what = f"Unknown {kind} '{name}'{' ' + where if where else ''}."
        why = ""
        if close:
            why = "Did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
        elif names and len(names) <= 24:
            why = f"Known: {', '.join(names)}."
        return cls(what, why, hint)


class InputError(KvisError):
    """An image (or other input) that cannot be read or does not fit the model."""


class OutputError(KvisError):
    """A result that cannot be written: read-only folder, full disk, name taken."""


class ResultError(KvisError):
    """A computation that gave nothing to show: a map that is not finite, a dead unit."""


class NotEvaluatedError(KvisError):
    """Nothing could be computed: the model, its weights or the device is not to be had."""

    exit_code = ExitCode.NOT_EVALUATED


class ModelError(NotEvaluatedError):
    """A model file that cannot be opened."""


class WeightsError(NotEvaluatedError):
    """Weights that are missing, of another architecture, or not finite."""


class DeviceError(NotEvaluatedError):
    """The device that was asked for is not there."""


class UntrustedError(ModelError):
    """Opening the file would run code that came with it, and `--trust` was not given."""


def close_matches(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the up to `n` entries of `known` that look like `name`, best first, case ignored.

    Parameters
    ----------
    name
        What was given.
    known
        What there is.
    n
        How many at most.

    Returns
    -------
    list of str
        Empty where nothing is close.

    Examples
    --------
    >>> close_matches("grdcam", ["gradcam", "scorecam", "smoothgrad"], 1)
    ['gradcam']
    """
    by_lower: dict[str, str] = {}
    for entry in known:
        by_lower.setdefault(entry.lower(), entry)
    name = name.lower()
    found = difflib.get_close_matches(name, by_lower, n=n, cutoff=0.6)
    if not found:
        found = [entry for entry in by_lower if name and name in entry][:n]
    return [by_lower[entry] for entry in found]


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
