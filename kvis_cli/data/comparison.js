"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
};

// Dark or light: as the system says until the button is pressed.
const theme = (dark) => document.documentElement.setAttribute("data-theme", dark ? "dark" : "light");
const wanted = new URLSearchParams(location.search).get("theme");
theme(wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
$("theme").addEventListener("click", () =>
  theme(document.documentElement.getAttribute("data-theme") !== "dark"));

const picture = (source, text) => make("figure", {},
  source ? make("img", { src: source, alt: text, loading: "lazy" }) : make("div", { class: "none" }, "nothing here"),
  make("figcaption", {}, text));

// Old below, new above it: the slider cuts the upper one off, the blink hides it.
const stacked = (item) => make("figure", {},
  make("div", { class: "stack" }, make("img", { src: item.old, alt: item.oldText }),
    make("img", { src: item.new, alt: item.newText, class: "upper" })),
  make("figcaption", {}, item.oldText + " | " + item.newText));

function pictures(item, view) {
  const photo = picture(item.photo, item.image);
  const both = item.old && item.new;
  if (view === "difference" && item.changed) return [photo, picture(item.changed, item.changedText)];
  if ((view === "slider" || view === "blink") && both) return [photo, stacked(item)];
  return [photo, picture(item.old, item.oldText), picture(item.new, item.newText),
    item.changed ? picture(item.changed, item.changedText) : null].filter(Boolean);
}

let view = "beside", timer = null, upper = true;
function apply() {
  const split = Number($("split").value);
  for (const node of document.querySelectorAll(".upper")) {
    node.style.clipPath = view === "slider" ? "inset(0 0 0 " + (100 - split) + "%)" : "";
    node.style.visibility = view === "blink" && !upper ? "hidden" : "";
  }
  $("which").textContent = view === "blink" ? (upper ? data.names[1] : data.names[0]) : "";
}

const STEP = 100;
let limit = STEP;
function draw() {
  const [model, method, target, tag] = ["f-model", "f-method", "f-class", "f-tag"].map((id) => $(id).value);
  let found = data.items.filter((i) => (!model || i.model === model) && (!method || i.method === method) &&
    (!target || i.target === target) && (!tag || i.tags.includes(tag)));
  if ($("f-order").value === "name") found = [...found].sort((a, b) => (a.image < b.image ? -1 : 1));
  $("count").textContent = found.length + " of " + data.items.length + " shown";
  const more = make("button", { type: "button" }, "more");
  more.addEventListener("click", () => { limit += STEP; draw(); });
  $("items").replaceChildren(...found.slice(0, limit).map((item) =>
    make("article", { class: item.bad ? "item bad" : "item" },
      make("h3", {}, [item.image, item.target, item.method, item.model].filter(Boolean).join(" · ")),
      make("p", {}, item.text), make("div", { class: "row" }, ...pictures(item, view)))),
    ...(found.length > limit ? [more] : []));
  apply();
}

const choose = (id, key, all) => {
  const values = [...new Set(data.items.flatMap((item) => item[key]))].filter(Boolean).sort();
  $(id).replaceChildren(make("option", { value: "" }, all), ...values.map((v) => make("option", { value: v }, v)));
  $(id).hidden = values.length < 2 && key !== "tags" || !values.length;
  $(id).addEventListener("change", () => { limit = STEP; draw(); });
};
choose("f-model", "model", "all models");
choose("f-method", "method", "all methods");
choose("f-class", "target", "all classes");
choose("f-tag", "tags", "all checks");
$("f-order").addEventListener("change", draw);
$("split").addEventListener("input", apply);
const buttons = [...document.querySelectorAll("[data-view]")];
for (const button of buttons) button.addEventListener("click", () => {
  view = button.dataset.view;
  buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
  $("split").hidden = view !== "slider";
  $("which").hidden = view !== "blink";
  clearInterval(timer);
  upper = true;
  if (view === "blink") timer = setInterval(() => { upper = !upper; apply(); }, 600);
  draw();
});
draw();
document.documentElement.setAttribute("data-ready", "");
