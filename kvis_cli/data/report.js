"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [name, call] of Object.entries(value)) node.addEventListener(name, call);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
};
const number = (value, digits = 3) => (value === null || value === undefined ? "" : value.toFixed(digits));
const label = (p) => [p.method, p.variant, p.layerShown].filter(Boolean).join(" · ");
const score = (p) => p.target + " " + (p.probability === null ? number(p.score, 2) : number(p.probability));

// Dark or light: as the system says until the button is pressed.
const theme = (dark) => document.documentElement.setAttribute("data-theme", dark ? "dark" : "light");
const wanted = new URLSearchParams(location.search).get("theme");
theme(wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
$("theme").addEventListener("click", () =>
  theme(document.documentElement.getAttribute("data-theme") !== "dark"));

// A picture at full size, with its photo and all its numbers.
let shown = [], at = 0;
function enlarge(list, index) {
  shown = list; at = index;
  const p = list[index], image = data.images[p.image];
  const facts = [
    ["model", data.models[p.model].name], ["image", image ? image.path : ""], ["method", label(p)],
    ["layer", p.layer], ["target", p.target], ["score", number(p.score)],
    ["probability", number(p.probability)], ["entropy", number(p.entropy)],
    ["in region", number(p.in_region)], ["enrichment", number(p.enrichment)],
    ["model says", p.top.map(([name, value]) => name + " " + number(value)).join(", ")],
    ["warnings", p.warnings.join(" ")], ["caution", p.caution || ""],
  ].filter(([, value]) => value);
  const list_ = make("dl", {}, ...facts.flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]),
    make("dt", {}, "file"), make("dd", {}, make("a", { href: "./" + encodeURI(p.file) }, p.file)));
  const pictures = make("div", { class: "pictures" }, make("img", { src: p.src, alt: p.file }),
    image && image.photo ? make("img", { src: image.photo, alt: image.path }) : null);
  $("big").replaceChildren(make("div", { class: "inner" }, pictures, list_));
  if (!$("big").open) $("big").showModal();
}
$("big").addEventListener("click", () => $("big").close());
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !$("big").open) return;
  event.preventDefault();
  enlarge(shown, (at + step + shown.length) % shown.length);
});

function card(list, index, text) {
  const p = list[index];
  return make("figure", { class: p.warnings.length ? "warn" : null },
    make("img", { src: p.src, alt: p.file, loading: "lazy", tabindex: 0, on: {
      click: () => enlarge(list, index),
      keydown: (event) => { if (event.key === "Enter") enlarge(list, index); } } }),
    make("figcaption", {}, make("b", {}, text), " ", score(p),
      p.warnings.length ? " ⚠ " + p.warnings.join(" ") : ""));
}

const options = (select, entries, all) => {
  select.replaceChildren(...(all ? [make("option", { value: "" }, all)] : []),
    ...entries.map(([value, text]) => make("option", { value }, text)));
};
const unique = (values) => [...new Set(values)];

// The models side by side in time: one slider moves all pictures of an image.
function compare() {
  if (data.models.length < 2 || !data.groups.length) { $("compare").hidden = true; return; }
  const images = unique(data.groups.map((g) => g.image));
  options($("c-image"), images.map((i) => [i, i < 0 ? "(no image)" : data.images[i].name]));
  const slider = $("c-model");
  slider.max = data.models.length - 1;
  slider.value = slider.max;
  let cards = [], timer = null;
  const show = () => {
    const index = Number(slider.value);
    $("c-name").textContent = data.models[index].name;
    for (const { group, image, none, text, strip } of cards) {
      const found = group.pictures[index];
      const p = found === null ? null : data.pictures[found];
      image.hidden = p === null;
      none.hidden = p !== null;
      if (p) image.src = p.src;
      text.textContent = p ? score(p) + (p.warnings.length ? " ⚠ " + p.warnings.join(" ") : "") : "";
      strip.forEach(([node, model]) => node.classList.toggle("on", model === index));
    }
  };
  const build = () => {
    const image = Number($("c-image").value);
    cards = data.groups.filter((g) => g.image === image).map((group) => {
      const list = group.pictures.filter((i) => i !== null).map((i) => data.pictures[i]);
      const open = () => enlarge(list, Math.max(0, list.findIndex((p) => p.model === Number(slider.value))));
      const node = make("img", { alt: group.name, on: { click: open } });
      const none = make("div", { class: "none" }, "nothing here");
      const text = make("span");
      const strip = list.map((p) => [make("img", { src: p.src, alt: data.models[p.model].name,
        title: data.models[p.model].name, on: { click: () => { slider.value = p.model; show(); } } }), p.model]);
      return { group, image: node, none, text, strip, figure: make("figure", {}, node, none,
        make("figcaption", {}, make("b", {}, group.name), " ", text),
        make("div", { class: "strip" }, ...strip.map(([n]) => n))) };
    });
    const photo = image >= 0 && data.images[image].photo;
    $("c-cards").replaceChildren(...(photo ? [make("figure", {}, make("img", { src: photo,
      alt: data.images[image].path, style: "cursor:default" }), make("figcaption", {},
      make("b", {}, data.images[image].name)))] : []), ...cards.map((c) => c.figure));
    show();
  };
  const stop = () => { clearInterval(timer); timer = null; $("c-play").textContent = "▶ play"; };
  $("c-play").addEventListener("click", () => {
    if (timer) { stop(); return; }
    $("c-play").textContent = "■ stop";
    timer = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % data.models.length;
      show();
    }, 700);
  });
  slider.addEventListener("input", () => { stop(); show(); });
  $("c-image").addEventListener("change", build);
  build();
}

// Everything, filtered.
function gallery() {
  const indices = (key) => unique(data.pictures.map((p) => p[key])).sort((a, b) => a - b);
  options($("g-model"), indices("model").map((i) => [i, data.models[i].name]), "all models");
  options($("g-method"), unique(data.pictures.map(label)).sort().map((m) => [m, m]), "all methods");
  options($("g-class"), unique(data.pictures.map((p) => p.target)).sort().map((t) => [t, t]), "all classes");
  let limit = 300;
  const draw = () => {
    const [model, method, target] = ["g-model", "g-method", "g-class"].map((id) => $(id).value);
    const text = $("g-text").value.toLowerCase(), warned = $("g-warned").checked;
    const found = data.pictures.filter((p) => (model === "" || p.model === Number(model)) &&
      (method === "" || label(p) === method) && (target === "" || p.target === target) &&
      (!warned || p.warnings.length) &&
      (!text || p.file.toLowerCase().includes(text) || p.imageName.toLowerCase().includes(text)));
    $("g-count").textContent = found.length + " of " + data.pictures.length + " pictures";
    const sections = [], part = found.slice(0, limit);
    for (const image of unique(part.map((p) => p.image))) {
      const own = part.map((p, i) => [p, i]).filter(([p]) => p.image === image);
      sections.push(make("h3", {}, image < 0 ? "Made from models alone" : data.images[image].name));
      sections.push(make("div", { class: "cards" }, ...own.map(([p, i]) =>
        card(found, i, [data.models.length > 1 ? data.models[p.model].short : "", label(p)]
          .filter(Boolean).join(" · ")))));
    }
    $("g-cards").replaceChildren(...sections);
    $("g-more").hidden = found.length <= limit;
  };
  for (const id of ["g-model", "g-method", "g-class", "g-warned"])
    $(id).addEventListener("change", () => { limit = 300; draw(); });
  $("g-text").addEventListener("input", draw);
  $("g-more").addEventListener("click", () => { limit += 300; draw(); });
  draw();
}

const warned = data.pictures.filter((p) => p.warnings.length);
$("w-cards").replaceChildren(...warned.slice(0, 24).map((p, i) =>
  card(warned, i, [data.models[p.model].short, p.imageName, label(p)].filter(Boolean).join(" · "))));
compare();
gallery();
document.documentElement.setAttribute("data-ready", "");
