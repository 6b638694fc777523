"""Fonts that have the glyphs of a text: Pillow's own for ASCII, else one of the system's."""

from __future__ import annotations

import os
import struct
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import ImageFont, features

# Fonts whose glyphs are themselves boxes or blanks, or cannot be drawn at any size.
_UNUSABLE = ("lastresort", "adobeblank", "coloremoji", "applecoloremoji")
_PREFERRED = ("notosans", "dejavusans", "liberationsans", "arial", "segoeui", "helvetica")
_UNPLEASANT = (
    *("bold", "italic", "oblique", "mono", "serif", "condensed", "light", "thin", "black"),
    *("medium", "math", "symbol", "unifont"),
)


@dataclass(frozen=True, eq=False)
class Charmap:
    """Which characters a font has a glyph for: its `cmap` table, formats 4 and 12."""

    format: int
    starts: np.ndarray
    ends: np.ndarray
    deltas: np.ndarray
    offsets: np.ndarray
    words: np.ndarray
    """Format 4 only: all 16-bit words from the range offsets on, which these point into."""

    @classmethod
    def parse(cls, table: bytes) -> Charmap:
        """Read the best Unicode subtable. Raises ValueError where there is none."""
        count = struct.unpack_from(">H", table, 2)[0]
        found: dict[int, int] = {}
        for record in range(count):
            platform, encoding, offset = struct.unpack_from(">HHL", table, 4 + 8 * record)
            if platform == 0 or (platform, encoding) in ((3, 1), (3, 10)):
                found[struct.unpack_from(">H", table, offset)[0]] = offset
        none = np.zeros(0, np.uint16)
        if 12 in found:
            start = found[12]
            groups = struct.unpack_from(">L", table, start + 12)[0]
            rows = np.frombuffer(table, ">u4", 3 * groups, start + 16).reshape(-1, 3)
            return cls(12, rows[:, 0], rows[:, 1], rows[:, 2], none, none)
        if 4 in found:
            start = found[4]
            n = struct.unpack_from(">H", table, start + 6)[0] // 2
            at = start + 14
            words = np.frombuffer(table, ">u2", (len(table) - at - 6 * n - 2) // 2, at + 6 * n + 2)
            return cls(
                4,
                starts=np.frombuffer(table, ">u2", n, at + 2 * n + 2),
                ends=np.frombuffer(table, ">u2", n, at),
                deltas=np.frombuffer(table, ">u2", n, at + 4 * n + 2),
                offsets=words[:n],
                words=words,
            )
        raise ValueError("no Unicode character map of format 4 or 12")

    def __contains__(self, character: str) -> bool:
        code = ord(character)
        at = int(np.searchsorted(self.ends, code))
        if at == len(self.ends) or code < self.starts[at]:
            return False
        first, delta = int(self.starts[at]), int(self.deltas[at])
        if self.format == 12:
            return delta + code - first != 0
        offset = int(self.offsets[at])
        if offset == 0:
            return (code + delta) & 0xFFFF != 0
        glyph = at + offset // 2 + code - first
        return glyph < len(self.words) and int(self.words[glyph]) != 0


@dataclass(frozen=True, eq=False)
class Face:
    """One font: the file it is in (None: Pillow's built-in) and the characters it has."""

    path: Path | None

    @cached_property
    def charmap(self) -> Charmap | None:
        """The characters of the face; None where it cannot be read."""
        try:
            if self.path is None:
                built_in = ImageFont.load_default(12)
                return Charmap.parse(_sfnt_table(getattr(built_in, "font_bytes", b""), b"cmap"))
            return Charmap.parse(_cmap_of_file(self.path))
        except (OSError, ValueError, struct.error):
            return None

    def covers(self, text: str) -> bool:
        """Whether every visible character of `text` has a glyph here."""
        charmap = self.charmap
        if charmap is None:
            return False
        return all(c in charmap for c in set(visible(text))) and self._loads

    @cached_property
    def _loads(self) -> bool:
        try:
            self.at(12)
        except (OSError, ValueError):
            return False
        return True

    @lru_cache(maxsize=32)  # noqa: B019 - faces live as long as the process
    def at(self, size: float) -> ImageFont.FreeTypeFont:
        """Return the font at `size` pixels."""
        if self.path is not None:
            return ImageFont.truetype(str(self.path), size)
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise OSError("this Pillow was built without FreeType")
        return font


class FontBook:
    """The built-in font and those found in `folders`, in the order in which they are tried."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self._found: dict[str, Face | None] = {}

    @cached_property
    def faces(self) -> list[Face]:
        """The faces that may be there."""
        files = {path for folder in self.folders for path in _font_files(folder)}
        return [Face(None), *(Face(path) for path in sorted(files, key=_rank))]

    def face_for(self, text: str) -> Face | None:
        """Return the first font that has every character of `text`, None where none has."""
        key = "".join(sorted(set(visible(text))))
        if key not in self._found:
            usable = can_shape(text)
            built_in = Face(None) if "faces" not in self.__dict__ else self.faces[0]
            if usable and built_in.covers(key) and not needs_shaping(text):
                # Most texts are ASCII: they never cost a walk through the font folders.
                self._found[key] = built_in
            else:
                faces = self.faces[1:] if usable else []
                self._found[key] = next((face for face in faces if face.covers(key)), None)
        return self._found[key]

    def covered(self, text: str) -> set[str]:
        """Return the characters of `text` that some font has."""
        return {c for c in set(visible(text)) if self.face_for(c) is not None}


@cache
def system_fonts() -> FontBook:
    """Return the fonts of this machine."""
    return FontBook(_system_folders())


def visible(text: str) -> str:
    """`text` in composed form, without blanks and the characters that never have a glyph."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        c
        for c in composed
        if not c.isspace()
        and unicodedata.category(c) not in ("Cc", "Cf")
        and not "\ufe00" <= c <= "\ufe0f"
    )


def needs_shaping(text: str) -> bool:
    """Whether letters join, combine or run from right to left, so that drawing needs Raqm."""
    return any(
        unicodedata.bidirectional(c) in ("R", "AL", "AN") or unicodedata.category(c) in ("Mn", "Mc")
        for c in visible(text)
    )


def can_shape(text: str) -> bool:
    """Whether this Pillow can lay `text` out as its script wants."""
    return not needs_shaping(text) or all(map(features.check, ("raqm", "fribidi")))


_PACKAGES = {
    "CJK": "fonts-noto-cjk",
    "HIRAGANA": "fonts-noto-cjk",
    "KATAKANA": "fonts-noto-cjk",
    "HANGUL": "fonts-noto-cjk",
    "FULLWIDTH": "fonts-noto-cjk",
    "IDEOGRAPHIC": "fonts-noto-cjk",
    "CYRILLIC": "fonts-dejavu-core",
    "GREEK": "fonts-dejavu-core",
    "LATIN": "fonts-dejavu-core",
    "ARMENIAN": "fonts-dejavu-core",
}


def suggest_package(text: str, book: FontBook | None = None) -> str | None:
    """Return what to install so that `text` can be drawn.

    A Debian package; None where nothing is missing.

    The same fonts ("Noto Sans CJK" …) exist for every system under their own names.
    """
    book = book or system_fonts()
    if book.face_for(text) is not None:
        return None
    if not can_shape(text):
        return "libfribidi0"
    missing = sorted(set(visible(text)) - book.covered(text))
    if not missing:
        # Several fonts have the characters, none has them all.
        return "fonts-unifont"
    for character in missing:
        script = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
        if script in _PACKAGES:
            return _PACKAGES[script]
    if all(unicodedata.category(c) == "So" for c in missing):
        return "fonts-symbola"
    return "fonts-noto-core"


def _sfnt_table(data: bytes, tag: bytes, at: int = 0) -> bytes:
    for name, offset, length in _sfnt_records(data, at):
        if name == tag:
            return data[offset : offset + length]
    raise ValueError("not a TrueType or OpenType font")


def _sfnt_records(header: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    for record in range(struct.unpack_from(">H", header, at + 4)[0]):
        name, _, offset, length = struct.unpack_from(">4sLLL", header, at + 12 + 16 * record)
        yield name, offset, length


def _cmap_of_file(path: Path) -> bytes:
    """Return the `cmap` table alone: font files run to 100 MB."""
    with path.open("rb") as file:
        start = 0
        if file.read(4) == b"ttcf":
            file.seek(12)
            start = struct.unpack(">L", file.read(4))[0]
        file.seek(start)
        header = file.read(12)
        header += file.read(16 * struct.unpack_from(">H", header, 4)[0])
        for name, offset, length in _sfnt_records(header, 0):
            if name == b"cmap":
                file.seek(offset)
                return file.read(length)
    raise ValueError("no character map")


def _font_files(folder: Path) -> list[Path]:
    return [
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc", ".otc"))
        and not any(word in name.lower() for word in _UNUSABLE)
    ]


def _rank(path: Path) -> tuple[int, int, int, str]:
    """Plain sans-serif faces first."""
    name = path.stem.lower().replace(" ", "").replace("-", "").replace("_", "")
    flaws = sum(word in name for word in _UNPLEASANT)
    liked = next((k for k, start in enumerate(_PREFERRED) if name.startswith(start)), 99)
    return flaws, liked, len(name), str(path)


def _system_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        folders = [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            Path(os.environ.get("LOCALAPPDATA", home)) / "Microsoft/Windows/Fonts",
        ]
    elif sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    else:
        data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        own = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
        folders = [Path(part) / "fonts" for part in data.split(":") if part]
        folders += [Path("/usr/share/fonts"), own / "fonts", home / ".fonts"]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
