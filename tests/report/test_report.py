"""Reports from a manifest: numbers, XML, Markdown, and the page in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import InputError, UsageError
from kvis_cli.jobs.results.store import MANIFEST, RUN, ResultStore
from kvis_cli.report.animations import write_animations
from kvis_cli.report.charts import curve, short_names
from kvis_cli.report.data import load_run
from kvis_cli.report.markdown import LIMIT
from kvis_cli.report.summary import summarise
from kvis_cli.report.write import write_report
from tests.helpers.rows import json_rows, write_rows

MODELS = ["epoch-1", "epoch-2", "epoch-10"]
IMAGES = ["cat", "a</script><b>'\"&|`x"]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


def browser(test):
    """A test that looks at a page in Chromium."""
    missing = BROWSER is None or not sys.platform.startswith("linux")
    skipped = pytest.mark.skipif(missing, reason="there is no Chromium here")
    return pytest.mark.browser(skipped(test))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three models × two images × two methods, one model's second image failed, one warning."""
    folder = tmp_path / "out"
    store = ResultStore(folder)
    rng = np.random.default_rng(0)
    rows = []
    for m, model in enumerate(MODELS):
        for i, image in enumerate(IMAGES):
            for method in ("gradcam", "layercam"):
                row = {
                    "task": f"{m}-{i}-{method}",
                    "kind": "cam",
                    "entry": "cam",
                    "model": f"runs/{model}.keras",
                    "model_name": model,
                    "image": f"photos/{image}.png",
                    "image_name": image,
                    "method": method,
                }
                if (m, i) == (1, 1):
                    error = {"kind": "InputError", "what": "It is <broken>.", "why": "Cut short."}
                    rows.append(
                        {**row, "status": "failed", "file": None, "warnings": [], "error": error}
                    )
                    continue
                path = store.path(f"p{i}", method, folder=model)
                store.write_picture(path, rng.integers(0, 256, (30, 40, 3), np.uint8), {})
                rows.append(
                    {
                        **row,
                        "status": "done",
                        "of": 1,
                        "places": [0],
                        "file": store.name(path),
                        "layer": "conv",
                        "target": "tabby" if i == 0 else f"t{m}",
                        "score": 1.0 + m,
                        "probability": 0.2 + 0.3 * m,
                        "entropy": 0.5,
                        "enrichment": 2.0 if method == "gradcam" else 4.0,
                        "top": [["tabby", 0.5]],
                        "warnings": ["The map is blank."] if (m, i) == (0, 0) else [],
                    }
                )
    write_rows(folder, rows)
    about = {
        "models": [{"name": n} for n in MODELS],
        "images": [{"name": n} for n in IMAGES],
        "seconds": 3.0,
    }
    store.write_json(RUN, about)
    return folder


def test_the_numbers(results):
    run = load_run(results)
    summary = summarise(run)
    assert summary["done"] == summary["pictures"] == 10
    assert (summary["tasks"], summary["failed"], summary["warnings"]) == (12, 2, 2)
    assert run.models == MODELS
    assert [m["probability"] for m in summary["models"]] == pytest.approx([0.2, 0.5, 0.8])
    assert summary["models"][0]["enrichment"] == 3
    # The same question asked of every model.
    assert [len(by_model) for by_model in run.groups.values()] == [3, 3, 2, 2]


def test_failures_come_in_the_order_of_models_images_and_methods(results):
    rows = json_rows(results / MANIFEST)
    order = [("epoch-10", "layercam"), ("epoch-2", "gradcam"), ("epoch-1", "layercam")]
    failed = [
        {**rows[0], "task": f"f{i}", "status": "failed", "file": None, "model_name": model,
         "image_name": "cat", "method": method}
        for i, (model, method) in enumerate([*order, ("epoch-1", "gradcam")])
    ]  # fmt: skip
    done = [row for row in rows if row["status"] == "done"]
    write_rows(results, done + failed)
    found = [(row.model_name, row.method) for row in load_run(results).failures]
    assert found == [("epoch-1", "gradcam"), *order[::-1]]


def test_models_in_natural_order_without_a_run_file(results):
    (results / RUN).unlink()
    assert load_run(results).models == MODELS


def test_json(results):
    found = json.loads(write_report(results, "json").read_text())
    assert len(found["results"]) == 10 and len(found["failures"]) == 2


def test_junit_has_a_case_per_task(results):
    path = write_report(results, "junit")
    root = ET.parse(path).getroot()
    assert [s.get("name") for s in root] == MODELS
    cases = root.findall(".//testcase")
    assert len(cases) == int(root.get("tests")) == 12
    failures = root.findall(".//failure")
    assert len(failures) == int(root.get("failures")) == 2
    assert failures[0].get("type") == "InputError"
    assert "It is <broken>. Cut short." in failures[0].text
    assert {c.get("classname") for c in cases if c.find("failure") is not None} == {"epoch-2"}


def test_junit_survives_what_xml_cannot_hold(results):
    manifest = results / "manifest.jsonl"
    manifest.write_text(
        manifest.read_text().replace("The map is blank.", "bad \\u0000\\ud800 text")
    )
    assert "bad" in write_report(results, "junit").read_text("utf-8")
    ET.parse(results / "junit.xml")


def test_markdown_fits_a_comment_and_holds_no_markup_of_others(results):
    text = write_report(results, "markdown").read_text()
    assert "10 of 12 tasks done, 2 failed, 2 warnings" in text
    assert "| epoch-10 | 4 |" in text
    assert "It is \\<broken\\>" in text
    assert "<b>" not in text.replace("\\<b\\>", "").replace("`a</script><b>'\"&\\|'x`", "")
    rows = [json.loads(line) for line in (results / "manifest.jsonl").read_text().splitlines()]
    many = [
        {**rows[-1], "task": str(i), "model_name": f"model-{i}", "status": "failed",
         "error": {"what": f"reason {i} " + "x" * 3000}}
        for i in range(500)
    ]  # fmt: skip
    write_rows(results, rows + many)
    assert len(write_report(results, "markdown").read_text()) <= LIMIT


def test_a_folder_without_results(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        write_report(tmp_path, "html")
    with pytest.raises(UsageError, match="no folder"):
        load_run(tmp_path / "missing")


def test_the_page_is_one_file_without_addresses(results):
    text = write_report(results, "html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)
    assert "http://" not in text.replace("http://www.w3.org", "") and "@import" not in text
    # A name cannot end the script that holds it.
    assert text.count("</script>") == 2
    assert "<b>'" not in text


def in_browser(page: Path, *arguments: str) -> str:
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options = ["--virtual-time-budget=4000", f"--user-data-dir={page.parent / 'profile'}"]
    done = subprocess.run(
        [*command, *options, *arguments, f"file://{page}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


@browser
def test_the_page_shows_everything_offline(results):
    page = write_report(results, "html")
    shown = in_browser(page, "--dump-dom")
    assert "data-ready" in shown
    gallery = shown.partition('id="g-cards"')[2].partition("</section>")[0]
    assert gallery.count("<figure") == 10
    compare = shown.partition('id="c-cards"')[2].partition("</section>")[0]
    assert compare.count('class="strip"') == 2
    assert 'id="c-name">epoch-10<' in shown
    failed = shown.index("It is &lt;broken&gt;.")
    assert failed < shown.index("The map is blank.") < shown.index('id="gallery"')
    assert shown.count("<svg") == 3
    assert "10 of 10 pictures" in shown


@browser
@pytest.mark.parametrize(
    ("action", "pictures"),
    [
        ("$('g-model').value = '2'", 4),
        ("$('g-method').value = 'layercam'", 5),
        ("$('g-class').value = 'tabby'", 6),
        ("$('g-warned').checked = true", 2),
        ("$('g-model').value = '0'; $('g-method').value = 'gradcam'", 2),
        ("$('g-text').value = 'nothing of that name'", 0),
    ],
)
def test_filters(results, action, pictures):
    page = write_report(results, "html")
    events = "$('g-model').dispatchEvent(new Event('change'))"
    page.write_text(
        page.read_text().replace("</body>", f"<script>{action}; {events}</script></body>")
    )
    shown = in_browser(page, "--dump-dom")
    assert f"{pictures} of 10 pictures" in shown
    gallery = shown.partition('id="g-cards"')[2].partition("</section>")[0]
    assert gallery.count("<figure") == pictures


@browser
def test_the_slider_moves_through_the_models_and_a_click_enlarges(results):
    page = write_report(results, "html")
    script = (
        "$('c-model').value = 0; $('c-model').dispatchEvent(new Event('input'));"
        "document.querySelector('#c-cards figure:last-child img').click();"
    )
    page.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    shown = in_browser(page, "--dump-dom")
    assert 'id="c-name">epoch-1<' in shown
    big = shown.partition('<dialog id="big" open')[2].partition("</dialog>")[0]
    assert "epoch-1" in big and "layercam" in big
    assert "enrichment" in big


@browser
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_screenshot_in_each_theme(results, theme):
    page = write_report(results, "html")
    shot = results / "shot.png"
    in_browser(page, "--window-size=1200,900", f"--screenshot={shot}")
    # The theme is asked for in the address.
    assert BROWSER is not None
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
         f"--user-data-dir={results / 'profile'}", "--virtual-time-budget=4000",
         f"--screenshot={shot}", f"file://{page}?theme={theme}"],
        capture_output=True, timeout=120,
    )  # fmt: skip
    pixels = np.asarray(Image.open(shot).convert("L"))
    paper = np.median(pixels)
    assert paper < 60 if theme == "dark" else paper > 200
    # There is something on it.
    assert pixels.std() > 10


def test_animations_over_the_models(results):
    files = write_animations(results)
    names = [path.name for path in files]
    assert names[:2] == ["cat_gradcam.gif", "cat_layercam.gif"]
    assert len(files) == 4
    with Image.open(files[0]) as image:
        assert image.n_frames == 3
        first = np.asarray(image.convert("RGB"))
        image.seek(2)
        assert not np.array_equal(first, np.asarray(image.convert("RGB")))


def test_curves():
    svg = curve({"a": [0, 1, None], "b<": [1, 0, 1]}, ["e-1", "e-2", "e-3"])
    root = ET.fromstring(svg.partition("<div")[0])
    space = "{http://www.w3.org/2000/svg}" if root.tag.startswith("{") else ""
    lines = [p.get("points").split() for p in root.iter(f"{space}polyline")]
    assert [len(points) for points in lines] == [2, 3]
    # The highest value is at the top of the plot, the lowest at its bottom.
    heights = [float(p.split(",")[1]) for p in lines[1]]
    assert heights == [12, 216, 12]
    many = curve({str(i): [i, i + 1] for i in range(20)}, ["x", "y"])
    assert many.count("<polyline") == 1 and "mean of 20" in many
    assert curve({"a": [None]}, ["x"]) == ""


def test_short_names():
    assert short_names(["run.00-0.47", "run.05-0.56", "run.102-0.66"]) == [
        "00-0.47", "05-0.56", "102-0.66"
    ]  # fmt: skip
    assert short_names(["epoch-1", "epoch-11"]) == ["1", "11"]
    assert short_names(["same", "same"]) == ["same", "same"]
    assert short_names(["one"]) == ["one"]


@pytest.mark.parametrize(("count", "shown"), [(2, "shapes_shortcut"), (8, "shapes_…")])
def test_names_under_a_curve_are_cut_only_where_room_is_short(count, shown):
    from kvis_cli.report.charts import curve

    ticks = ["x", "shapes_shortcut", *(f"other{i}" for i in range(count - 2))]
    drawn = curve({"a": [0.5] * count}, ticks)
    assert f">{shown}</text>" in drawn
