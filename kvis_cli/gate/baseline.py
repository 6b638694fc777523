"""The baseline: how a model that was accepted looked, in a file made for git.

``baseline.txt`` is sorted lines of text, each with a checksum of itself at its end, so that two
branches that accept different questions merge as any text does. The checksum finds damage and edits
by hand; it is no signature. Nothing here imports TensorFlow.

    kvis-baseline 1
    i IMAGE NAME                       the first 16 digits of the SHA-256 of an image; its name
    m MODEL DIGEST                     the name of an accepted model, and 16 digits of its hash
    q IMAGE SETTINGS CLASS MODEL VARIANT SCORE PROBABILITY FIRST GRID CELLS
    s SETTINGS JSON                    8 digits of the hash of the settings; the settings
    end
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from kvis_cli.errors import NotEvaluatedError
from kvis_cli.gate.cells import MAX_SIDE, Cells
from kvis_cli.lazy import np
from kvis_cli.paths import write_bytes_atomic

NAME = "baseline.txt"
HEAD = "kvis-baseline 1"
MAX_BYTES = 256 * 1024 * 1024
MAX_VARIANTS = 3
_MAX_LINE = 64 * 1024
_DIGITS = {"image": 16, "settings": 8, "check": 8}
_HEX = re.compile(r"[0-9a-f]+\Z")

Question = tuple[str, str, str]
"""What was asked, whichever model: image, settings and class, as a baseline names them."""


@dataclass(frozen=True)
class Kept:
    """An accepted answer of a model to a question.

    Attributes
    ----------
    question
        The image, the settings, the class.
    model
        The name of the model that gave it.
    score, probability
        What was explained, and the model's own output for the class, None where it is none.
    first
        Label of the model's first class for the image; empty where it has none.
    cells
        The map.
    """

    question: Question
    model: str
    score: float
    probability: float | None
    first: str
    cells: Cells


@dataclass(frozen=True)
class Baseline:
    """What a baseline folder holds.

    Attributes
    ----------
    images
        Digest -> name.
    models
        Name -> digest.
    settings
        Hash -> settings of a method, with the version of its results.
    kept
        Every accepted answer; of one model to one question up to three.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()

    def variants(self, model: str) -> dict[Question, list[Kept]]:
        """Return the answers that a model is compared with.

        Its own; a model that the baseline does not know is compared with the only one it knows.
        """
        own = model if model in self.models or len(self.models) != 1 else next(iter(self.models))
        found: dict[Question, list[Kept]] = {}
        for kept in self.kept:
            if kept.model == own:
                found.setdefault(kept.question, []).append(kept)
        return found


def image_key(sha256: str) -> str:
    """Return what a baseline calls an image of a content."""
    return sha256[: _DIGITS["image"]]


def settings_key(settings: Mapping[str, Any]) -> str:
    """Return what a baseline calls settings: their hash."""
    return _hash(_json(settings), "settings")


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write a baseline; the same content gives the same bytes.

    Parameters
    ----------
    folder
        The baseline folder, made where it is missing.
    baseline
        What is accepted.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    return write_bytes_atomic(folder / NAME, to_text(baseline).encode())


def to_text(baseline: Baseline) -> str:
    """Return the text of a baseline."""
    lines = [f"i {digest} {quote(name)}" for digest, name in baseline.images.items()]
    lines += [f"m {quote(name)} {digest or '-'}" for name, digest in baseline.models.items()]
    lines += [f"s {key} {_json(settings)}" for key, settings in baseline.settings.items()]
    groups: dict[tuple[Question, str], list[str]] = {}
    for kept in baseline.kept:
        groups.setdefault((kept.question, kept.model), []).append(answer_text(kept))
    for (question, model), answers in groups.items():
        for number, answer in enumerate(sorted(answers), 1):
            lines.append(f"q {' '.join(question)} {quote(model)} {number} {answer}")
    checked = [f"{line} {_hash(line, 'check')}" for line in sorted(lines)]
    return "\n".join([HEAD, *checked, "end", ""])


def read_baseline(folder: Path) -> Baseline:
    """Read a baseline.

    Parameters
    ----------
    folder
        Where it is.

    Returns
    -------
    Baseline
        What it holds.

    Raises
    ------
    NotEvaluatedError
        When it is not there, or is not what kvis wrote: cut short, edited, of another program or a
        newer kvis.
    """
    path = folder / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _wrong(path, f"It is larger than {MAX_BYTES // 2**20} MiB.")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise NotEvaluatedError(
            f"There is no baseline in '{folder}'.",
            f"{NAME} is missing.",
            "`kvis check --update-baseline` writes one from the maps of the job.",
        ) from None
    except UnicodeDecodeError:
        raise _wrong(path, "It is no text.") from None
    except OSError as error:
        raise _wrong(path, f"{error.strerror or error}.") from None
    return parse_baseline(text, path)


def parse_baseline(text: str, path: Path) -> Baseline:
    """Return the baseline that a text says; `path` is for messages. Raises as `read_baseline`."""
    # Git may have made Windows' line ends of them.
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] != HEAD:
        if lines[0].startswith("kvis-baseline "):
            raise _wrong(path, "It was written by another version of kvis.", "Update kvis.")
        raise _wrong(path, f"Its first line is not '{HEAD}'.")
    if lines[-2:] != ["end", ""]:
        raise _wrong(path, "It is cut short: its last line is not 'end'.")
    read = _Reading()
    for number, line in enumerate(lines[1:-2], 2):
        try:
            read.take(line)
        except (ValueError, KeyError, RecursionError) as error:
            raise _wrong(path, f"Line {number} is not what kvis wrote: {_said(error)}.") from None
    try:
        return read.whole()
    except ValueError as error:
        raise _wrong(path, f"{error}.") from None


class _Reading:
    """The lines of a baseline, one after the other."""

    def __init__(self) -> None:
        self.images: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self.settings: dict[str, Mapping[str, Any]] = {}
        self.kept: list[Kept] = []
        self.numbers: set[tuple[Question, str, str]] = set()

    def take(self, line: str) -> None:
        if len(line) > _MAX_LINE:
            raise ValueError("it is too long")
        if line[:7] in ("<<<<<<<", "=======", ">>>>>>>"):
            raise ValueError("it is a conflict of git")
        body, _, check = line.rpartition(" ")
        if _hash(body, "check") != check:
            raise ValueError("its checksum does not fit")
        kind, _, rest = body.partition(" ")
        if kind == "i":
            digest, name = rest.split(" ")
            self.images[_hex(digest, "image")] = unquote(name)
        elif kind == "m":
            name, digest = rest.split(" ")
            self.models[unquote(name)] = "" if digest == "-" else _hex(digest, "image")
        elif kind == "s":
            key, _, text = rest.partition(" ")
            found = json.loads(text)
            if not isinstance(found, dict) or settings_key(found) != key:
                raise ValueError("its hash is of other settings")
            self.settings[key] = found
        elif kind == "q":
            self._answer(rest)
        else:
            raise ValueError("it is of no known kind")

    def _answer(self, rest: str) -> None:
        image, settings, asked, model, number, score, probability, first, grid, text = rest.split(
            " "
        )
        if number not in ("1", "2", "3"):
            raise ValueError(f"there are at most {MAX_VARIANTS} variants")
        question = (_hex(image, "image"), _hex(settings, "settings"), asked)
        if (question, model, number) in self.numbers:
            raise ValueError("it stands there twice")
        self.numbers.add((question, model, number))
        chance = None if probability == "-" else _number(probability)
        cells = _cells(grid, text)
        kept = Kept(question, unquote(model), _number(score), chance, _label(first), cells)
        self.kept.append(kept)

    def whole(self) -> Baseline:
        """Return all of it; what an answer speaks of has to be there."""
        for kept in self.kept:
            image, settings, _ = kept.question
            for what, name, there in (
                ("image", image, self.images),
                ("settings", settings, self.settings),
                ("model", kept.model, self.models),
            ):
                if name not in there:
                    raise ValueError(f"It speaks of the {what} {name}, which it does not list")
        return Baseline(self.images, self.models, self.settings, tuple(self.kept))


def answer_text(kept: Kept) -> str:
    """Return what a line says of an answer, after its question, model and number."""
    chance = "-" if kept.probability is None else f"{kept.probability:.4g}"
    height, width = kept.cells.shape
    values = kept.cells.values
    text = base64.b85encode(values.tobytes()).decode() if values.any() else "-"
    grid = f"{height}x{width}{'s' if kept.cells.signed else 'h'}"
    first = quote(kept.first, safe="").replace("-", "%2D") or "-"
    return f"{kept.score:.5g} {chance} {first} {grid} {text}"


def _cells(grid: str, text: str) -> Cells:
    match = re.fullmatch(r"([1-9][0-9]?)x([1-9][0-9]?)([hs])", grid)
    if match is None or int(match[1]) > MAX_SIDE or int(match[2]) > MAX_SIDE:
        raise ValueError(f"a grid is at most {MAX_SIDE}x{MAX_SIDE}")
    shape = int(match[1]), int(match[2])
    data = bytes(shape[0] * shape[1]) if text == "-" else base64.b85decode(text)
    if len(data) != shape[0] * shape[1]:
        raise ValueError("its cells are not as many as its grid has")
    return Cells(np.frombuffer(data, np.uint8).reshape(shape), match[3] == "s")


def _json(value: Mapping[str, Any]) -> str:
    # Blanks part the fields of a line; of a text they are written as JSON writes other characters.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace(" ", "\\u0020")


def _hash(text: str, what: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: _DIGITS[what]]


def _hex(text: str, what: str) -> str:
    if len(text) != _DIGITS[what] or not _HEX.match(text):
        raise ValueError(f"'{text[:20]}' is no hash of {_DIGITS[what]} digits")
    return text


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or len(text) > 24:
        raise ValueError("a number of it is none")
    return number


def _label(text: str) -> str:
    return "" if text == "-" else unquote(text)


def _said(error: BaseException) -> str:
    return str(error)[:80] if isinstance(error, ValueError) else type(error).__name__


def _wrong(path: Path, why: str, hint: str = "") -> NotEvaluatedError:
    return NotEvaluatedError(
        f"The baseline '{path}' cannot be used.",
        why,
        hint or "Take it from git again, or accept the maps of the job with --update-baseline.",
    )
