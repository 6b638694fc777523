"""The page of old and new maps: what it holds, and that it does what its buttons say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.gate.sheet import Row, Seen, difference
from kvis_cli.images.fitting import Placement
from kvis_cli.report.comparison import MAX_ITEMS, PageItem, comparison_page

NASTY = "a</script><b>'\"&"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def page(photo, count=3, **more):
    place = Placement(0, 0, 32, 24)
    items = []
    for i in range(count):
        old, new = np.eye(6), np.eye(6)[::-1]
        seen = [Seen(old, place, False, "star 0.9") if i else None, Seen(new, place, False, "0.1")]
        changed = Seen(difference(old, new), place, True, "Spearman 0.1") if i else None
        items.append(
            PageItem(
                Row(photo, "", seen, changed), f"photo {i}", NASTY, ["gradcam", "layercam"][i % 2],
                "model", f"drift {i}", ["drift ≥ 0.9"] if i % 2 else ["avoid ≤ 0.1"], i == 1,
            )
        )  # fmt: skip
    return comparison_page(NASTY, "Worst first", ("accepted", "now"), items, **more)


def data_of(text):
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def test_one_file_holds_all_and_nothing_of_others_is_markup(photo):
    text = page(photo, facts=[("1", NASTY)], problems=[NASTY])
    assert text.count("</script>") == 2 and "<b>'" not in text
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)
    data = data_of(text)
    assert data["names"] == ["accepted", "now"]
    assert [item["image"] for item in data["items"]] == ["photo 0", "photo 1", "photo 2"]
    for item in data["items"][1:]:
        pictures = [item[key] for key in ("photo", "old", "new", "changed")]
        assert all(p.startswith("data:image/jpeg;base64,") for p in pictures)
        assert len(set(pictures)) == 4
    assert data["items"][0]["old"] is None and data["items"][0]["changed"] is None
    assert len(data_of(page(photo, MAX_ITEMS + 5))["items"]) == MAX_ITEMS


def test_difference_is_of_maps_at_one_scale():
    a, b = np.zeros((4, 4)), np.zeros((2, 2))
    a[:2, :2] = 5
    b[0, 0], b[1, 1] = 0.1, 0.05
    np.testing.assert_allclose(difference(a, b), [[0, 0], [0, 0.5]])
    np.testing.assert_allclose(difference(b, a * 0), [[-1, 0], [0, -0.5]])


# As little of a browser as the page asks for.
BROWSER = """
const nodes = {};
class Node {
  constructor(tag) { this.tag = tag; this.children = []; this.style = {}; this.dataset = {};
    this.attributes = {}; this.listeners = {}; this.hidden = false; this.value = ""; }
  setAttribute(k, v) { this.attributes[k] = String(v); if (k === "value") this.value = v; }
  getAttribute(k) { return this.attributes[k]; }
  addEventListener(k, f) { this.listeners[k] = f; }
  append(...more) { this.children.push(...more); }
  replaceChildren(...more) { this.children = more; }
  get className() { return this.attributes.class || ""; }
  all() { return [this, ...this.children.flatMap((c) => (c.all ? c.all() : []))]; }
}
const byId = (id) => (nodes[id] ??= new Node(id));
const buttons = ["beside", "slider", "blink", "difference"].map((v) => {
  const b = new Node("button"); b.dataset.view = v; return b; });
global.document = { getElementById: byId, createElement: (t) => new Node(t),
  documentElement: new Node("html"),
  querySelectorAll: (q) => q === ".upper"
    ? byId("items").all().filter((n) => n.className === "upper") : buttons };
global.location = { search: "" };
global.matchMedia = () => ({ matches: false });
let tick = null;
global.setInterval = (f) => { tick = f; return 1; };
global.clearInterval = () => { tick = null; };
byId("data").textContent = DATA;
byId("split").value = "30"; byId("f-order").value = "worst";
const images = () => byId("items").all().filter((n) => n.tag === "img").length;
const articles = () => byId("items").children.length;
"""
STEPS = """
const said = [];
said.push([articles(), images(), byId("count").textContent]);
byId("f-tag").value = "drift ≥ 0.9"; byId("f-tag").listeners.change();
said.push([articles(), images()]);
byId("f-tag").value = ""; byId("f-tag").listeners.change();
buttons[1].listeners.click();
said.push([document.querySelectorAll(".upper").map((n) => n.style.clipPath), byId("split").hidden]);
buttons[2].listeners.click(); tick();
const hidden = document.querySelectorAll(".upper").map((n) => n.style.visibility);
said.push([hidden, byId("which").textContent]);
buttons[3].listeners.click();
said.push([images(), tick === null]);
console.log(JSON.stringify(said));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Chromium here")
def test_filters_slider_blink_and_difference(photo, tmp_path):
    text = page(photo)
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    data = json.dumps(json.dumps(data_of(text)))
    (tmp_path / "page.js").write_text(
        f"const DATA = {data};\n{BROWSER}\n(() => {{ {script} }})();\n{STEPS}"
    )
    done = subprocess.run(
        ["node", str(tmp_path / "page.js")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, filtered, slider, blink, changed = json.loads(done.stdout)
    # Two whole items of four pictures, one without an accepted map.
    assert first == [3, 2 + 4 + 4, "3 of 3 shown"]
    assert filtered == [1, 4]
    assert slider == [["inset(0 0 0 70%)"] * 2, False]
    assert blink == [["hidden"] * 2, "accepted"]
    assert changed == [2 + 2 + 2, True]
