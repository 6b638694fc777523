r"""Untrusted text, made safe to show.

A label, a layer's name, a file name or the message of a library may hold characters that a
terminal obeys (``ESC [ 2 J``), that turn text around (U+202E), or that nobody sees (U+200B). Here,
and only here, they become what Python calls them: ``\x1b``, ``\u202e``. Whatever kvis shows goes
through this module: messages and tables when they are put together (`shown`), and once more where
they leave the process (`ShownStream`, and the console of `kvis_cli.cli.console`).

Replaced are all characters of the Unicode categories Cc (control), Cf (format), Co (private use),
Cs (surrogates, which are the undecodable bytes of file names), Zl and Zp (line and paragraph
separators).
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def shown(text: object) -> str:
    r"""`text` on one line, with nothing in it that acts: ``a<ESC>[31m`` becomes ``a\x1b[31m``."""
    return _replaced(str(text), "", _named)


def said(error: BaseException, limit: int = 300) -> str:
    """Return what an exception of a library says, on one line, without Keras' colours."""
    text = " ".join(_COLOURS.sub("", str(error)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown_lines(text: str) -> str:
    """As `shown`, for text whose line breaks and tabs are kvis' own layout."""
    return _replaced(text, "\n\t", _named)


def safe_json(text: str) -> str:
    r"""JSON text of any `json.dumps`, with all such characters as ``\uXXXX``: the same document.

    Outside its strings JSON holds none of them but line breaks, which stay.

    Parameters
    ----------
    text
        A JSON document.

    Returns
    -------
    str
        The same document in printable characters.

    Examples
    --------
    >>> print(safe_json('"\x1b[31mred"'))
    "\u001b[31mred"
    """
    return _replaced(text, "\n", _escaped)


def json_text(value: Any, **options: Any) -> str:
    """`value` as JSON: letters of all scripts as they are, no controls."""
    return safe_json(json.dumps(value, ensure_ascii=False, **options))


def _replaced(
    text: str, kept: str, replacement: Callable[[str], str], categories: frozenset[str] = UNSAFE
) -> str:
    # Nearly every text is ASCII that can be printed: it costs nothing.
    if text.isprintable():
        return text
    return "".join(
        replacement(c) if c not in kept and unicodedata.category(c) in categories else c
        for c in text
    )


def _named(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def shown_html(text: str) -> str:
    """As `shown`, for a text or an attribute of HTML: nothing in it is markup."""
    return html.escape(shown(text))


def shown_picture(text: str) -> str:
    """As `shown_lines`, for text that is drawn: what joins letters stays, and what fonts define."""
    return _replaced(text, "\n\u200c\u200d", _named, UNSAFE - {"Co"})


_COLOURS = re.compile("\x1b\\[[0-9;]*m")

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def shown_xml(text: str) -> str:
    """As `shown_lines`, for a text of XML 1.0, which knows no U+FFFE and U+FFFF either."""
    return _NOT_XML.sub("\ufffd", shown_lines(text))


class ShownStream:
    """A stream to a terminal: all that is printed on it, by whatever library, is `shown_lines`.

    Parameters
    ----------
    stream
        Where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write `text` without what a terminal would obey."""
        self.stream.write(shown_lines(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def true_stream(stream: Any) -> Any:
    """Return what lies under a `ShownStream`, for those who see to it themselves; else `stream`."""
    return stream.stream if isinstance(stream, ShownStream) else stream
