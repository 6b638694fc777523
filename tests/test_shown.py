"""No text of a stranger acts on who reads it."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
import xml.etree.ElementTree as ET

import pytest
from rich.table import Table

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.terminal import ShownConsole, print_error
from kvis_cli.errors import JobFileError, KvisError
from kvis_cli.paths import safe_name
from kvis_cli.render.png import encode_png, provenance, read_metadata
from kvis_cli.shown import (
    UNSAFE,
    ShownStream,
    json_text,
    shown,
    shown_html,
    shown_lines,
    shown_picture,
    shown_xml,
)

ALL = "".join(map(chr, range(sys.maxunicode + 1)))
ACTING = "".join(c for c in ALL if unicodedata.category(c) in UNSAFE)


def test_every_character_of_the_six_categories_is_replaced_and_no_other():
    assert len(ACTING) > 137_000 + 2048
    for text in (shown(ACTING), shown_lines(ACTING).replace("\n", "").replace("\t", "")):
        assert text.isascii() and text.isprintable()
    others = "".join(c for c in ALL if unicodedata.category(c) not in UNSAFE)
    assert shown(others) == others


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mRED", r"a\x1b[31mRED"),
        ("tabby cat, 熊 é", "tabby cat, 熊 é"),
        ("one\ntwo\tthree\r", r"one\ntwo\tthree\r"),
        ("\x00\x7f\x9b\xad", r"\x00\x7f\x9b\xad"),
        ("\u202efdp.exe\u2028\ue000", r"\u202efdp.exe\u2028\ue000"),
        ("caf\udce9 \U000e0041", r"caf\udce9 \U000e0041"),
    ],
)
def test_what_is_shown_instead_is_what_python_calls_it(text, expected):
    assert shown(text) == expected


def test_json_says_the_same_in_characters_that_do_nothing():
    value = {ACTING: [ACTING, "熊"]}
    for options in ({}, {"indent": 2}):
        text = json_text(value, **options)
        assert "熊" in text
        assert not any(unicodedata.category(c) in UNSAFE for c in text.replace("\n", ""))
        text.encode()
        # Two surrogates that stand side by side are one character in JSON.
        assert json.loads(text) == json.loads(json.dumps(value))


def test_xml_takes_every_text():
    element = ET.Element("a", name=shown_xml(ALL))
    element.text = shown_xml(ALL)
    ET.fromstring(ET.tostring(element, encoding="unicode"))


def test_html_is_text_and_pictures_keep_what_joins_letters():
    assert shown_html('<b a="\u202e">') == r"&lt;b a=&quot;\u202e&quot;&gt;"
    assert shown_picture("می\u200cخواهم\n\ue000\x1b\u202e") == "می\u200cخواهم\n\ue000\\x1b\\u202e"


def test_names_of_files_and_text_chunks_of_pictures_hold_none(tmp_path):
    import numpy as np

    assert not any(unicodedata.category(c) in UNSAFE for c in safe_name("a" + ACTING))
    about = {"label": "a\x1b\x9b\u202e\udcff\x00熊"}
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(np.zeros((2, 2), np.uint8), provenance(about)))
    text = read_metadata(path)["kvis"]
    assert shown(text) == text and json.loads(text) == about


def test_what_anybody_prints_is_shown():
    stream = ShownStream(io.StringIO())
    print("warning:\n\tlayer \x1b[31mRED", file=stream)
    stream.writelines(["\x07", "\n"])
    assert stream.getvalue() == "warning:\n\tlayer \\x1b[31mRED\n\\x07\n"
    assert not stream.isatty()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


EVIL = "a\x1b]0;own\x07\u202e[red]x[/red]"
SAFE = r"a\x1b]0;own\x07\u202e[red]x[/red]"


def test_the_console_replaces_what_was_forgotten(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    stream = io.StringIO()
    console = ShownConsole(file=stream, markup=False, emoji=False, highlight=False)
    table = Table(EVIL, box=None, pad_edge=False)
    table.add_row("\u202e")
    console.print(table, EVIL)
    # Rich itself drops the bell.
    assert SAFE.replace(r"\x07", "") in stream.getvalue()
    assert stream.getvalue().count("\\x1b") == 2
    assert "\x1b" not in stream.getvalue() and "\u202e" not in stream.getvalue()


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_listener_shows_texts_and_no_markup(kind, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream := kind())
    listener = ConsoleListener()
    listener.stage(EVIL)
    listener.note(EVIL)
    listener.warn(EVIL)
    listener.predicted(EVIL, [(EVIL, 0.5)], None)
    listener.progress(1, 2, EVIL)
    listener.progress(2, 2, EVIL)
    listener.failed(EVIL, KvisError(EVIL + "1", EVIL, EVIL))
    listener.close()
    text = stream.getvalue()
    assert "\x1b]" not in text and "\x07" not in text and "\u202e" not in text
    assert text.count(SAFE) >= 9


def test_only_a_job_files_mistakes_have_lines(capsys):
    print_error(KvisError("one\nwarning: two"))
    print_error(JobFileError("2 mistakes\njob.yaml:1:1: a\\nb"))
    assert capsys.readouterr().err.splitlines() == [
        r"error: one\nwarning: two",
        "error: 2 mistakes",
        r"job.yaml:1:1: a\nb",
    ]
