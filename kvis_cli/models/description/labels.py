"""Names of a model's outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from kvis_cli.errors import SpecError, UnknownNameError

MAX_LABEL_FILE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Labels:
    """The names of a model's output units.

    Attributes
    ----------
    names
        One name per unit; empty when no labels are known.
    source
        Where the names come from, in words.
    """

    names: tuple[str, ...] = ()
    source: str = "none"

    def name(self, index: int) -> str:
        """Return the unit's label, or its index as text."""
        return self.names[index] if 0 <= index < len(self.names) else str(index)

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        table: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            table.setdefault(_key(name), []).append(index)
        return table

    def index(self, text: str) -> int:
        """Return the unit called `text`: case, blanks, ``_`` and ``-`` do not matter.

        Parameters
        ----------
        text
            As a user types it.

        Returns
        -------
        int
            Counted from 0.

        Raises
        ------
        UnknownNameError
            With close matches; also when two units carry the name.
        """
        found = self._by_name.get(_key(text), [])
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownNameError(
                f"The label '{text}' belongs to {len(found)} classes.",
                "",
                f"Use the index: {' or '.join(map(str, found))}.",
            )
        hint = "Use a class index, or give the labels with --labels." if not self.names else ""
        raise UnknownNameError.of("class", text, self.names, hint=hint)


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


def imagenet() -> Labels:
    """Return the 1000 ImageNet classes in the order of keras.applications."""
    text = resources.files("kvis_cli").joinpath("data/imagenet_labels.txt").read_text("utf-8")
    return Labels(tuple(text.split()), "ImageNet")


def read_labels(path: Path, named_in: str = "") -> Labels:
    """Read a label file.

    Text: a label a line, in order, or ``index label`` lines as Teachable Machine writes them.
    JSON: a list of names, ``{"0": "cat"}``, ``{"cat": 0}``, Keras' ``{"0": ["n01", "cat"]}``, or
    ``{"labels": ["cat"]}`` as Teachable Machine writes it for TensorFlow.js.

    Parameters
    ----------
    path
        ``.json`` is read as JSON, anything else as text in UTF-8.
    named_in
        The file that refers to it, for the message.

    Returns
    -------
    Labels
        In the order of the units.

    Raises
    ------
    SpecError
        For a file that is missing, unreadable or no list of labels.
    """
    try:
        if path.stat().st_size > MAX_LABEL_FILE:
            raise SpecError(f"The label file {path} is too large to be one.")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SpecError(
            f"Cannot read the label file {path}.",
            f"{error.strerror or error}.",
            f"It is named in {named_in}: correct it there." if named_in else "",
        ) from None
    except UnicodeDecodeError:
        raise SpecError(
            f"The label file {path} is not UTF-8 text.", "", "Save it as UTF-8."
        ) from None
    if path.suffix.lower() == ".json":
        names = _from_json(path, text)
    else:
        names = _from_lines(text)
    if not names:
        raise SpecError(f"The label file {path} holds no labels.")
    return Labels(tuple(names), path.name)


def _from_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [line.split(None, 1) for line in lines]
    if all(part[0].rstrip(":,").isdigit() and len(part) == 2 for part in numbered):
        pairs = {int(part[0].rstrip(":,")): part[1] for part in numbered}
        if sorted(pairs) == list(range(len(numbered))):
            return [pairs[i] for i in range(len(pairs))]
    return lines


def _from_json(path: Path, text: str) -> list[str]:
    wrong = SpecError(
        f"The label file {path} is not a list of labels.",
        "",
        'Write ["cat", "dog"], {"0": "cat"} or {"cat": 0}.',
    )
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise wrong from None
    if isinstance(data, dict) and isinstance(data.get("labels"), list):
        data = data["labels"]
    if isinstance(data, dict):
        if data and all(isinstance(v, int) for v in data.values()):
            data = {str(v): k for k, v in data.items()}
        if not all(str(k).isdigit() for k in data):
            raise wrong
        by_index = {int(k): v for k, v in data.items()}
        if sorted(by_index) != list(range(len(by_index))):
            raise wrong
        data = [by_index[i] for i in range(len(by_index))]
    if not isinstance(data, list):
        raise wrong
    names = [entry[-1] if isinstance(entry, list) and entry else entry for entry in data]
    if not all(isinstance(name, str | int | float) for name in names):
        raise wrong
    return [str(name) for name in names]
