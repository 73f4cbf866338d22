"use strict";
// Sends files to /ocr, one request per file, and shows each page with its regions and texts.

const drop = document.getElementById("drop");
const input = document.getElementById("files");
const state = document.getElementById("state");
const pages = document.getElementById("pages");
let waiting = Promise.resolve();
let open = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text) {
  state.textContent = text;
}

function add(files) {
  for (const file of files) {
    open += 1;
    waiting = waiting.then(() => read(file)).finally(() => {
      open -= 1;
      if (open === 0) say("");
    });
  }
}

async function read(file) {
  say(`Reading ${file.name}${open > 1 ? `, ${open - 1} more` : ""} …`);
  const form = new FormData();
  form.append("images", file);
  try {
    const answer = await fetch("ocr?picture=true", { method: "POST", body: form });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    pages.prepend(...found.results.map(show));
  } catch (error) {
    pages.prepend(element("section", { className: "page" }, element("p", { className: "bad", textContent: error.message })));
  }
}

function show(page) {
  const texts = page.texts ?? [];
  const title = page.page ? `${page.name}, page ${page.page}` : page.name;
  const section = element("section", { className: "page" });
  const lines = texts.join("\n");
  section.append(
    element(
      "h2", {}, element("span", { textContent: title }),
      button("Copy text", (made) => copy(lines, made)),
      button("Save JSON", () => save(page, title)),
    ),
  );
  if (page.note) section.append(element("p", { textContent: page.note }));
  const polygons = [];
  const picture = element("div", { className: "picture" }, element("img", { src: page.picture, alt: title }));
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("viewBox", `0 0 ${page.size[0]} ${page.size[1]}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  for (const box of page.boxes ?? []) {
    const polygon = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    polygon.setAttribute("points", box.map((point) => point.join(",")).join(" "));
    drawing.append(polygon);
    polygons.push(polygon);
  }
  picture.append(drawing);
  const list = element("ol");
  page.scores.forEach((score, index) => {
    const item = element(
      "li", {}, element("bdi", { textContent: texts[index] ?? `Region ${index + 1}` }),
      element("small", { textContent: score.toFixed(2), title: "Score" }),
    );
    list.append(item);
    link(item, polygons[index]);
  });
  if (page.scores.length === 0) list.append(element("li", { textContent: "No text was found." }));
  section.append(element("div", { className: "parts" }, picture, list));
  return section;
}

// A line of the list and its region are marked together; a region that is chosen shows its line.
function link(item, polygon) {
  if (!polygon) return;
  for (const part of [item, polygon]) {
    part.addEventListener("pointerenter", () => mark(true));
    part.addEventListener("pointerleave", () => mark(false));
  }
  polygon.addEventListener("click", () => {
    mark(true);
    item.scrollIntoView({ block: "nearest" });
  });
  function mark(on) {
    item.classList.toggle("on", on);
    polygon.classList.toggle("on", on);
  }
}

function button(text, action) {
  const made = element("button", { type: "button", textContent: text });
  made.addEventListener("click", () => action(made));
  return made;
}

async function copy(text, made) {
  try {
    await navigator.clipboard.writeText(text);
    made.textContent = "Copied";
  } catch {
    made.textContent = "Copying is not allowed";
  }
}

function save(page, title) {
  const { picture, ...rest } = page;
  const address = URL.createObjectURL(new Blob([JSON.stringify(rest, null, 1)], { type: "application/json" }));
  element("a", { href: address, download: `${title}.json` }).click();
  URL.revokeObjectURL(address);
}

input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop" || event.relatedTarget === null) drop.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => add(event.dataTransfer.files));
document.addEventListener("paste", (event) => add(event.clipboardData.files));
