"""Prose is spelt as in British English; names, options and keys are spelt as they are.

A word that names an option, a field or a class keeps its spelling in prose: optimizer,
regularizer, parametrization, activation maximization.
"""

from __future__ import annotations

import re

import pytest

from tests.contracts.prose import files, prose, prose_of_markdown, prose_of_python
from tests.contracts.source import ROOT

NAMES = re.compile(
    r"(standardize|maximiz(e|ation)|(optimiz|regulariz|initializ|tokeniz|quantiz)ers?|parametrizations?"
    r"|(re|down|up)?siz(e|es|ed|ing)|prizes?|seiz(e|es|ed|ing))$",
    re.I,
)
LAYERS = ("Normalization", "BatchNormalization")
AMERICAN = re.compile(
    r"\b(\w*(?:iz(?:e|es|ed|er|ers|ing|able|ation|ations)|yz(?:e|es|ed|er|ers|ing))"
    r"|(?:un|dis)?color(?:s|ed|ing|ful|less)?|grays?|grayscale|cent(?:er|ers|ered|ering)"
    r"|(?:behavi|neighb|fav|hon|flav)or\w*|(?:label|cancel|model|travel|signal)(?:ed|ing)"
    r"|artifacts?|defense|catalogs?|fulfills?|analogs?)\b",
    re.I,
)


def named(word: str) -> bool:
    return word in LAYERS or bool(NAMES.match(word))


def american(text: str) -> list[str]:
    return [m[0] for m in AMERICAN.finditer(text) if not named(m[0])]


def test_prose_is_british():
    found = []
    for path in files():
        # Most files hold no such word at all, and need not be parsed.
        if not american(path.read_text("utf-8")):
            continue
        for line, text in prose(path):
            for match in AMERICAN.finditer(text):
                if not named(match[0]):
                    at = line + text[: match.start()].count("\n")
                    found.append(f"{path.relative_to(ROOT)}:{at}: {match[0]}")
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "The color is optimized.",
        "It normalizes gray pixels.",
        "A centered, labeled box.",
        "analyzed",
    ],
)
def test_american_words_are_found(text):
    assert american(text)


def test_names_and_code_are_no_prose():
    page = (
        "A Normalization layer, `normalize`, --colormap, color_bars, keras.normalize(x), 'gray'\n"
    )
    [(_, text)] = prose_of_markdown(page + "\n    optimize it\n\n```\ncolor\n```\n")
    assert american(text) == []
    assert american("an optimizer of a size, a regularizer, the parametrization, maximize") == []


def test_comments_docstrings_and_messages_are_prose():
    sign, entry = "#", "    color\n        A gray.\n    "
    source = f'"""Optimize.\n\n{entry}"""\nx = "a gray cat"  {sign} its color\ny = "color"\n'
    found = [word for _, text in prose_of_python(source, True) for word in american(text)]
    assert sorted(found) == ["Optimize", "color", "gray", "gray"]
