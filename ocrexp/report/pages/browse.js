// With DATA the page is a file that contains its samples; otherwise it asks its server.
(function () {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const fields = ["text", "split", "problem", "sort", "min_length", "max_length", "min_width", "max_width", "min_height", "max_height"];
  const switches = ["regex", "case"];
  const severities = { error: 0, warning: 1, note: 2 };
  const perPage = 60, variants = DATA ? 0 : 3;
  let shown = { samples: [], page: 0, pages: 1, first: 0, matched: 0 };
  let opened = null, polygons = true, asked = 0, state = null, page = 0, epochs = variants;

  // Texts become text nodes only, so nothing in a label or a file name is markup.
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  function runs(pieces) {
    return pieces.map(([text, kind, what]) => kind ? make("span", { class: kind, title: what }, text) : text);
  }

  async function ask(path) {
    const answer = await fetch(path, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
    return answer.json();
  }

  // The address after #: the filters and the opened sample.

  function filters() {
    const values = {};
    for (const name of fields) if (byId(name).value && !(name === "sort" && byId(name).value === "list")) values[name] = byId(name).value;
    for (const name of switches) if (byId(name).checked) values[name] = "1";
    if (byId("descending").getAttribute("aria-pressed") === "true") values.descending = "1";
    return values;
  }

  function remember() {
    const values = new URLSearchParams(filters());
    if (page) values.set("page", page);
    if (opened) values.set("sample", opened);
    history.replaceState(null, "", "#" + values.toString());
  }

  function restore() {
    const values = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) {
      const value = values.get(name) || (name === "sort" ? "list" : "");
      if (name === "problem" && value && !kindOption(value)) byId(name).append(make("option", { value }, value));
      byId(name).value = value;
    }
    for (const name of switches) byId(name).checked = values.get(name) === "1";
    byId("descending").setAttribute("aria-pressed", String(values.get("descending") === "1"));
    page = Number(values.get("page")) || 0;
    return values.get("sample");
  }

  const kindOption = (value) => [...byId("problem").options].find((option) => option.value === value);

  // The list

  async function list(keepPage) {
    if (!keepPage) page = 0;
    const mine = ++asked, values = filters();
    let answer = null, failed = null;
    try {
      answer = DATA ? local(values) : await ask("api/samples?" + new URLSearchParams({ ...values, page, per: perPage }));
    } catch (error) { failed = error; }
    if (mine !== asked) return;
    byId("error").hidden = !failed;
    byId("error").textContent = failed ? failed.message : "";
    const bounded = fields.slice(4).some((name) => values[name]);
    byId("more").className = bounded ? "used" : "";
    byId("descending").textContent = values.descending ? "↓" : "↑";
    if (!answer) return;
    shown = answer;
    page = answer.page;
    draw();
    remember();
  }

  function local(values) {
    const text = values.text || "";
    const find = values.regex ? (() => { const expression = new RegExp(text, values.case ? "mu" : "imu"); return (label) => expression.test(label); })()
      : (label) => values.case ? label.includes(text) : label.toLowerCase().includes(text.toLowerCase());
    const number = (name, otherwise) => values[name] ? Number(values[name]) : otherwise;
    const chosen = DATA.samples.filter((one) => (!values.split || one.item.split === values.split)
      && (!text || find(one.detail.regions.map((region) => region.text).join("\n")))
      && (!values.problem || (values.problem === "none") !== one.detail.problems.some((found) => values.problem === "none" || values.problem === "any" ? found.severity !== "note" : found.kind === values.problem))
      && ["length", "width", "height"].every((name) => one.item[name] >= number("min_" + name, 0) && one.item[name] <= number("max_" + name, Infinity)));
    const value = { area: (item) => item.width * item.height, aspect: (item) => item.width / (item.height || 1) }[values.sort] || ((item) => item[values.sort]);
    if (values.sort && values.sort !== "list") chosen.sort((a, b) => value(a.item) - value(b.item));
    if (values.descending) chosen.reverse();
    return { matched: chosen.length, unknown: 0, page: 0, pages: 1, first: 0, samples: chosen.map((one) => one.item), elsewhere: [] };
  }

  const key = (item) => item.split + "/" + item.index;

  function picture(item, attributes) {
    const image = make("img", { alt: "", loading: "lazy", ...attributes });
    image.addEventListener("error", async () => {
      let reason = DATA ? item.broken || "the image cannot be shown" : "";
      if (!DATA) { try { await ask(attributes.src); reason = "the image cannot be shown"; } catch (error) { reason = error.message; } }
      image.replaceWith(make("span", { class: "broken" }, reason));
    });
    return image;
  }

  function measures(item) {
    const size = item.width ? item.width + "×" + item.height : "size unknown";
    const unit = state.task === "det" ? (item.length === 1 ? " region" : " regions") : state.task === "cls" ? "" : (item.length === 1 ? " character" : " characters");
    return unit && item.length >= 0 ? size + " · " + item.length + unit : size;
  }

  function tile(item) {
    const worst = [...item.problems].sort((a, b) => severities[a[0]] - severities[b[0]])[0];
    const source = DATA ? DATA.samples.find((one) => key(one.item) === key(item)).detail.image : "thumb/" + key(item);
    return make("a", { class: "tile", href: "#sample=" + key(item), "data-key": key(item), title: item.problems.map((one) => one[1]).join("\n") || null,
        on: { click: (event) => { if (event.metaKey || event.ctrlKey) return; event.preventDefault(); open(key(item)); } } },
      make("span", { class: "frame" }, source ? picture(item, { src: source }) : make("span", { class: "broken" }, item.broken || "no image")),
      make("bdi", { class: "label", dir: "auto" }, ...runs(item.label)),
      make("span", { class: "meta" }, make("span", {}, item.split + " " + item.index), make("span", {}, measures(item)),
        worst ? make("span", { class: worst[0] === "note" ? "note-kind" : worst[0] }, item.problems.length + (item.problems.length === 1 ? " problem" : " problems")) : null,
        make("span", { class: "name" }, item.name)));
  }

  function draw() {
    byId("grid").className = state.task === "det" ? "wide" : "";
    byId("grid").replaceChildren(...shown.samples.map(tile));
    const elsewhere = shown.elsewhere;
    byId("elsewhere").replaceChildren(...(elsewhere.length ? [make("details", { open: !shown.samples.length },
      make("summary", {}, "Lines with this problem that are not samples, because training skips them: " + elsewhere.length), make("ul", {}, ...elsewhere.map((place) => make("li", {}, place))))] : []));
    byId("pager").hidden = shown.pages < 2;
    byId("where").textContent = "page " + (shown.page + 1) + " of " + shown.pages;
    byId("back").disabled = shown.page === 0;
    byId("next").disabled = shown.page + 1 >= shown.pages;
    status();
  }

  function status() {
    const parts = [shown.matched.toLocaleString("en") + " of " + state.count.toLocaleString("en") + " samples"];
    if (shown.unknown) parts.push(shown.unknown.toLocaleString("en") + " not judged yet");
    if (state.texts < state.count) parts.push("reads labels: " + state.texts.toLocaleString("en"));
    else if (state.sizes < state.count) parts.push("reads sizes: " + state.sizes.toLocaleString("en"));
    if (state.check) parts.push("check: " + state.check);
    byId("status").textContent = parts.join(" · ");
  }

  function kinds() {
    const chosen = byId("problem").value;
    const count = (kind) => kind.samples === kind.count ? kind.count : kind.count + ", " + kind.samples + " samples";
    const options = [["", "all samples"], ...(state.check ? [["any", "with any problem"], ["none", "without a problem"]] : []),
      ...state.kinds.map((kind) => [kind.name, kind.severity + ": " + kind.title + " (" + count(kind) + ")"])];
    if (chosen && !options.some(([value]) => value === chosen)) options.push([chosen, chosen]);
    byId("problem").replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
    byId("problem").value = chosen;
  }

  async function poll() {
    const before = state;
    try { state = await ask("api/state"); } catch (error) {
      byId("status").textContent = "The server has ended: start ocrexp browse again.";
      return;
    }
    const version = (one) => one ? one.version + "/" + one.texts + "/" + one.sizes : "";
    if (!before || before.version !== state.version) kinds();
    if (before && version(before) !== version(state) && !opened && (filters().problem || shown.unknown || before.version !== state.version)) await list(true);
    else if (before) status();
    const busy = state.checking || state.texts < state.count || state.sizes < state.count;
    setTimeout(poll, busy ? 1000 : 5000);
  }

  // One sample

  async function open(which) {
    opened = which;
    epochs = variants;
    remember();
    let sample = null;
    try { sample = DATA ? DATA.samples.find((one) => key(one.item) === which).detail : await ask("api/sample/" + which); }
    catch (error) { sample = { failed: error.message, regions: [], problems: [] }; }
    if (opened !== which) return;
    show(sample, which);
    if (!byId("detail").open) byId("detail").showModal();
    byId("detail").scrollTop = 0;
    byId("sample").focus({ preventScroll: true });
  }

  function show(sample, which) {
    const many = sample.regions.length > 1 || (sample.regions[0] && sample.regions[0].points);
    const box = byId("sample"), split = which.split("/")[0];
    const marks = [];
    const mark = (number, on) => marks.filter((one) => one.number === number).forEach((one) => one.element.classList.toggle("here", on));
    const hover = (number) => ({ mouseenter: () => mark(number, true), mouseleave: () => mark(number, false) });
    const place = shown.samples.findIndex((item) => key(item) === which);
    box.replaceChildren(
      make("div", { class: "bar" },
        make("span", { class: "title" }, which.replace("/", " ") + (place >= 0 ? "  (" + (shown.first + place + 1).toLocaleString("en") + " of " + shown.matched.toLocaleString("en") + ")" : "")),
        make("button", { type: "button", "aria-label": "Previous sample", on: { click: () => step(-1) } }, "←"),
        make("button", { type: "button", "aria-label": "Next sample", on: { click: () => step(1) } }, "→"),
        many && make("button", { type: "button", "aria-pressed": String(polygons), id: "polygons", on: { click: toggle } }, "Polygons"),
        make("button", { type: "button", on: { click: copyLink } }, "Copy link"),
        make("button", { type: "button", on: { click: close } }, "Close")));
    if (sample.failed) { box.append(make("p", { class: "note" }, sample.failed)); return; }
    box.append(stage(sample, which, marks, hover));
    if (!many) for (const region of sample.regions) box.append(make("p", { class: "big" }, make("bdi", { dir: "auto" }, region.text)));
    if (sample.problems.length) box.append(make("ul", { class: "problems" }, ...sample.problems.map((found) => make("li", {},
      make("span", { class: found.severity === "note" ? "note-kind" : found.severity }, found.severity + ": " + found.title), " — " + found.what + (found.advice ? "; " + found.advice : "")))));
    const facts = [["file", sample.path], ["label", sample.source], ["size", sample.width ? sample.width + "×" + sample.height + " pixels" : "unknown"]];
    const list = make("dl", {});
    if (!many) for (const region of sample.regions) list.append(make("dt", {}, "characters"), make("dd", { class: "visible" }, make("bdi", { dir: "auto" }, ...runs(region.runs))));
    for (const [name, value] of facts) if (value) list.append(make("dt", {}, name), make("dd", {}, value));
    box.append(list);
    box.append(make("h2", {}, split === "train" ? "As training sees it" : "As evaluation sees it"));
    const made = make("div", { class: "variants" + (state.task === "det" ? " maps" : "") });
    box.append(made);
    if (DATA) made.append(...DATA.samples.find((one) => key(one.item) === which).variants.map(variant));
    else load(made, which, 0);
    if (!DATA && split === "train") box.append(make("p", {}, make("button", { type: "button", on: { click: () => { const from = epochs; epochs += variants; load(made, which, from); } } }, "More epochs")));
    if (many) box.append(make("h2", {}, "Regions (" + (sample.regions.length + sample.more) + ")"), make("ol", { class: "regions" }, ...sample.regions.map((region, number) => {
      const line = make("li", { on: hover(number) }, make("span", { class: "number" }, String(number)), make("bdi", { dir: "auto", class: region.ignored ? "faint" : null }, ...runs(region.runs)));
      marks.push({ number, element: line });
      return line;
    })));
    if (sample.more) box.append(make("p", { class: "faint" }, sample.more + " more regions are not shown"));
  }

  function stage(sample, which, marks, hover) {
    const source = DATA ? sample.image : "image/" + which;
    if (!source) return make("p", { class: "note" }, sample.broken || "no image");
    const small = sample.width && sample.width < 500 ? Math.min(Math.floor(900 / sample.width), 4) : 1;
    const box = make("div", { class: "stage" + (polygons ? "" : " bare") });
    const image = picture(sample, { src: source, width: sample.width && small > 1 ? sample.width * small : null, loading: "eager" });
    box.append(image);
    if (sample.width && sample.regions.some((region) => region.points)) {
      const name = "http://www.w3.org/2000/svg", svg = document.createElementNS(name, "svg");
      svg.setAttribute("viewBox", "0 0 " + sample.width + " " + sample.height);
      svg.setAttribute("preserveAspectRatio", "none");
      sample.regions.forEach((region, number) => {
        const outline = document.createElementNS(name, "polygon"), title = document.createElementNS(name, "title");
        outline.setAttribute("points", region.points.map((point) => point.join(",")).join(" "));
        if (region.ignored) outline.setAttribute("class", "ignored");
        title.textContent = number + ": " + region.text;
        outline.append(title);
        for (const [event, handler] of Object.entries(hover(number))) outline.addEventListener(event, handler);
        const start = document.createElementNS(name, "circle");
        start.setAttribute("cx", region.points[0][0]); start.setAttribute("cy", region.points[0][1]);
        start.setAttribute("r", Math.max(sample.width, sample.height) / 350);
        marks.push({ number, element: outline });
        svg.append(outline, start);
      });
      box.append(svg);
    }
    return box;
  }

  function variant(one) {
    return make("div", { class: "variant" }, make("h3", {}, one.title),
      ...one.notes.map((note) => make("p", { class: "note" }, note)),
      make("div", { class: "panels" }, ...one.panels.map((panel) => make("figure", {}, make("img", { src: panel.src, alt: panel.title, width: panel.width < 330 ? panel.width * Math.max(1, Math.floor(340 / panel.width)) : null }), make("figcaption", {}, panel.title)))),
      make("dl", {}, ...one.facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, make("bdi", { dir: "auto" }, value))])));
  }

  async function load(box, which, from) {
    const until = which.startsWith("val/") ? 1 : epochs;
    for (let epoch = from; epoch < until; epoch++) {
      const waiting = make("div", { class: "variant faint" }, epoch ? "Epoch " + epoch + "…" : "Loading… (the first sample loads the model)");
      box.append(waiting);
      let made = null;
      try { made = variant(await ask("api/variant/" + which + "/" + epoch)); }
      catch (error) { made = make("div", { class: "variant" }, make("p", { class: "note" }, error.message)); }
      if (opened !== which) return;
      waiting.replaceWith(made);
    }
  }

  function toggle() {
    polygons = !polygons;
    document.querySelectorAll(".stage").forEach((box) => box.classList.toggle("bare", !polygons));
    if (byId("polygons")) byId("polygons").setAttribute("aria-pressed", String(polygons));
  }

  async function copyLink(event) {
    const link = location.href.split("#")[0] + "#sample=" + opened, button = event.currentTarget;
    try { await navigator.clipboard.writeText(link); button.textContent = "Copied"; } catch (error) { prompt("Link of this sample", link); }
  }

  function close() {
    const was = opened;
    opened = null;
    if (byId("detail").open) byId("detail").close();
    remember();
    const back = [...document.querySelectorAll(".tile")].find((one) => one.dataset.key === was);
    if (back) back.focus();
  }

  async function step(by) {
    let place = shown.samples.findIndex((item) => key(item) === opened) + by;
    if (place < 0 && shown.page > 0) { page = shown.page - 1; await list(true); place = shown.samples.length - 1; }
    else if (place >= shown.samples.length && shown.page + 1 < shown.pages) { page = shown.page + 1; await list(true); place = 0; }
    if (shown.samples[place]) open(key(shown.samples[place]));
  }

  async function turn(by) {
    if (page + by < 0 || page + by >= shown.pages) return;
    page += by;
    await list(true);
    scrollTo(0, 0);
  }

  function move(event) {
    const tiles = [...document.querySelectorAll(".tile")], at = tiles.indexOf(document.activeElement);
    const columns = tiles.filter((one) => one.offsetTop === (tiles[0] || {}).offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, j: 1, k: -1 }[event.key];
    const to = at < 0 ? 0 : at + by;
    if (tiles[to]) { event.preventDefault(); tiles[to].focus(); }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing || byId("help").open) return;
    if (byId("detail").open) {
      if (event.key === "ArrowRight" || event.key === "j") { event.preventDefault(); step(1); }
      else if (event.key === "ArrowLeft" || event.key === "k") { event.preventDefault(); step(-1); }
      else if (event.key === "p") toggle();
      return;
    }
    if (event.key === "/") { event.preventDefault(); byId("text").focus(); }
    else if (event.key === "?") byId("help").showModal();
    else if (event.key === "]") turn(1);
    else if (event.key === "[") turn(-1);
    else if (/^(Arrow|[jk]$)/.test(event.key)) move(event);
  });

  let waiting = 0;
  for (const name of [...fields, ...switches]) {
    const typed = byId(name).tagName === "INPUT" && byId(name).type !== "checkbox";
    byId(name).addEventListener(typed ? "input" : "change", () => { clearTimeout(waiting); waiting = setTimeout(() => list(false), typed ? 250 : 0); });
  }
  byId("descending").addEventListener("click", (event) => {
    event.currentTarget.setAttribute("aria-pressed", String(event.currentTarget.getAttribute("aria-pressed") !== "true"));
    list(false);
  });
  byId("clear").addEventListener("click", () => { history.replaceState(null, "", "#"); restore(); list(false); });
  byId("back").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
  byId("detail").addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) close(); });
  addEventListener("hashchange", async () => { const which = restore(); await list(true); if (which) open(which); else close(); });

  (async function () {
    try { state = DATA ? DATA.state : await ask("api/state"); } catch (error) { byId("status").textContent = error.message; return; }
    byId("sort").replaceChildren(...state.sorts.map((name) => make("option", { value: name }, name === "list" ? "order of the list" : "by " + (name === "length" && state.task === "det" ? "number of regions" : name))));
    kinds();
    const which = restore();
    await list(true);
    if (which) open(which);
    if (!DATA) setTimeout(poll, 700);
  })();
})();
