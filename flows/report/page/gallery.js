// The gallery: what is shown is a list of clip numbers; only the cards in view exist.
const SORTS = (() => {
  const named = Object.values(clips.numbers);
  const of = (kind) => named.filter((column) => column.kind === kind).map((column) => [column.name, column.label]);
  return [["", [["clip_id", "clip id"], ["path", "source and time"]]], ["review", of("borderline")],
    ["losses", of("loss")], ["scores", of("score")], ["place", of("place")]].filter(([, list]) => list.length);
})();
const START = { text: "", verdict: "", reason: "", decision: "", version: "", limits: [], sort: "clip_id", descending: false };
const state = structuredClone(START);
let shown = new Int32Array(0), refresh = () => {}, openClip = () => {};

function versionTest() {
  const at = state.version.indexOf(":");
  if (at < 0) return null;
  const what = state.version.slice(0, at), found = page.versions.find((v) => v.version === state.version.slice(at + 1));
  if (!found) return null;
  const marks = new Uint8Array(bytes(found.marks));
  return what === "in" ? (clip) => marks[clip] === 1 || marks[clip] === 3 : (clip) => marks[clip] === 2;
}

// The clips that pass, in order. A score that is unknown passes no comparison and sorts last, as in SQL.
function select() {
  const tests = [];
  if (state.verdict) tests.push((clip) => textOf("verdict", clip) === state.verdict);
  if (state.reason) {
    const wanted = clips.reasonNames.indexOf(state.reason);
    tests.push((clip) => clips.reasons[clip].includes(wanted));
  }
  if (state.decision) tests.push((clip) => (textOf("decision", clip) ?? "none") === state.decision);
  const inVersion = versionTest();
  if (inVersion) tests.push(inVersion);
  for (const { name, op, value } of state.limits) {
    const values = clips.numbers[name]?.values;
    if (!values) continue;
    if (op === "unknown") tests.push((clip) => Number.isNaN(values[clip]));
    else if (Number.isNaN(value)) continue;
    else if (op === "<") tests.push((clip) => values[clip] < value);
    else if (op === "<=") tests.push((clip) => values[clip] <= value);
    else if (op === ">") tests.push((clip) => values[clip] > value);
    else tests.push((clip) => values[clip] >= value);
  }
  const text = state.text.trim().toLowerCase();
  if (text) {
    const paths = (page.sources.path ?? []).map((path) => path.toLowerCase().includes(text));
    tests.push((clip) => paths[clips.source[clip]] || clips.ids[clip].toLowerCase().includes(text));
  }
  const found = [];
  for (let clip = 0; clip < clips.count; clip++) if (tests.every((test) => test(clip))) found.push(clip);
  return Int32Array.from(found).sort(order());
}

function order() {
  const sign = state.descending ? -1 : 1;
  if (state.sort === "clip_id") return (a, b) => sign * (a - b);
  if (state.sort === "path") {
    const start = clips.numbers.start_s.values;
    return (a, b) => sign * (clips.source[a] - clips.source[b] || start[a] - start[b]) || a - b;
  }
  const values = clips.numbers[state.sort].values;
  return (a, b) => {
    const x = values[a], y = values[b];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
    return sign * (x - y) || a - b;
  };
}

function saveState() {
  const said = new URLSearchParams();
  for (const name of ["text", "verdict", "reason", "decision", "version"]) if (state[name]) said.set(name, state[name]);
  if (state.limits.length) said.set("limits", state.limits.map((l) => `${l.name}|${l.op}|${l.value}`).join(";"));
  if (state.sort !== "clip_id") said.set("sort", state.sort);
  if (state.descending) said.set("descending", "1");
  const text = said.toString();
  history.replaceState(null, "", `${location.pathname}${location.search}#clips${text ? "?" + text : ""}`);
}

function loadState(text) {
  const said = new URLSearchParams(text);
  Object.assign(state, structuredClone(START));
  for (const name of ["text", "verdict", "reason", "decision", "version"]) state[name] = said.get(name) ?? "";
  for (const part of (said.get("limits") ?? "").split(";").filter(Boolean)) {
    const [name, op, value] = part.split("|");
    if (clips.numbers[name]) state.limits.push({ name, op, value: Number(value) });
  }
  const sort = said.get("sort") ?? "clip_id";
  state.sort = SORTS.some(([, list]) => list.some(([name]) => name === sort)) ? sort : "clip_id";
  state.descending = said.get("descending") === "1";
}

function showInGallery(change) {
  Object.assign(state, structuredClone(START), change);
  saveState();
  route();
}

function choice(name, label, options, change = () => {}) {
  const box = el("select", { id: `f-${name}`, onchange: () => { state[name] = box.value; change(); refresh(); } },
    options.map(([value, text]) => el("option", { value, selected: state[name] === value }, text)));
  return el("label", { class: "field" }, el("span", {}, label), box);
}

// A first mark brings a reason that no clip had before.
function offerReasons() {
  const box = document.getElementById("f-reason"), offered = new Set([...box?.options ?? []].map((option) => option.value));
  box?.append(...clips.reasonNames.filter((name) => !offered.has(name)).map((name) => el("option", { value: name }, words(name))));
}

function sortOptions() {
  return SORTS.map(([title, list]) => {
    const options = list.map(([value, text]) => el("option", { value, selected: value === state.sort }, text));
    return title ? el("optgroup", { label: title }, options) : options;
  });
}

function limitRow(limit, remove) {
  const scores = SORTS.filter(([title]) => title !== "").flatMap(([, list]) => list);
  const name = el("select", { "aria-label": "Score", onchange: () => { limit.name = name.value; refresh(); } },
    scores.map(([value, text]) => el("option", { value, selected: value === limit.name }, text)));
  const value = el("input", { type: "number", step: "any", "aria-label": "Value", value: Number.isNaN(limit.value) ? "" : limit.value,
    oninput: () => { limit.value = value.value === "" ? NaN : Number(value.value); refresh(); } });
  const op = el("select", { "aria-label": "Comparison", onchange: () => {
    limit.op = op.value; value.hidden = op.value === "unknown"; refresh();
  } }, [["<", "<"], ["<=", "≤"], [">", ">"], [">=", "≥"], ["unknown", "is unknown"]].map(([v, text]) =>
    el("option", { value: v, selected: v === limit.op }, text)));
  value.hidden = limit.op === "unknown";
  return el("span", { class: "limit-row" }, name, op, value,
    el("button", { type: "button", class: "quiet", "aria-label": "Remove this condition", onclick: remove }, "✕"));
}

function toolbar(count) {
  const limits = el("div", { class: "limits" });
  const fill = () => limits.replaceChildren(...state.limits.map((limit) => limitRow(limit, () => {
    state.limits.splice(state.limits.indexOf(limit), 1); fill(); refresh();
  })), el("button", { type: "button", class: "quiet", id: "add-limit", onclick: () => {
    state.limits.push({ name: SORTS.find(([t]) => t === "scores")[1][0][0], op: ">", value: NaN }); fill(); refresh();
    limits.querySelector(".limit-row:last-of-type select")?.focus();
  } }, "+ condition"));
  fill();
  const search = el("input", { type: "search", id: "f-text", placeholder: "source or clip id", value: state.text,
    oninput: () => { state.text = search.value; refresh(); } });
  const sort = el("select", { id: "f-sort", onchange: () => { state.sort = sort.value; refresh(); } }, sortOptions());
  const turn = el("button", { type: "button", class: "quiet", id: "f-turn", "aria-label": "Turn the order round", onclick: () => {
    state.descending = !state.descending; turn.textContent = state.descending ? "↓" : "↑"; refresh();
  } }, state.descending ? "↓" : "↑");
  const versions = page.versions.flatMap((v) => [[`in:${v.version}`, `in ${v.version}`], [`removed:${v.version}`, `removed by ${v.version}`]]);
  const review = el("button", { type: "button", id: "review", title: "The clips that a small change of a threshold would turn",
    onclick: () => showInGallery({ sort: "borderline" }) }, "Borderline first");
  const fields = [
    el("label", { class: "field wide" }, el("span", {}, "find"), search),
    choice("verdict", "verdict", [["", "all"], ["ok", "ok"], ["bad", "bad"]]),
    choice("reason", "reason", [["", "any"], ...clips.reasonNames.map((name) => [name, words(name)])]),
    choice("decision", "marked", [["", "any"], ["keep", "keep"], ["drop", "drop"], ["none", "not marked"]]),
    versions.length ? choice("version", "version", [["", "any"], ...versions]) : null,
    el("label", { class: "field" }, el("span", {}, "sort by"), sort), turn, review,
    el("button", { type: "button", class: "quiet", id: "reset", onclick: () => showInGallery({}) }, "Reset"),
  ];
  const folded = matchMedia("(max-width: 640px)").matches;
  return el("div", { class: "toolbar" },
    el("details", { open: !folded }, el("summary", {}, el("span", { class: "more" }, "Filter and sort"), count),
      el("div", { class: "fields" }, fields), limits));
}

function cardLabel(clip) {
  const sorted = clips.numbers[state.sort];
  const value = sorted ? `, ${sorted.label} ${fmt(sorted.values[clip])}` : "";
  return `${isOk(clip) ? "ok" : words(textOf("reason", clip) ?? "bad")}, ${nameOf(pathOf(clip))} at ${clock(numberOf("start_s", clip))}${value}`;
}

function play(card, clip) {
  stopPlaying();
  const url = videoUrl(clip);
  if (!url) return;
  const video = el("video", { src: url, playsinline: true, loop: true, "aria-hidden": "true" });
  video.muted = true;
  card.querySelector(".shot").append(video);
  card.classList.add("playing");
  video.play().catch(() => stopPlaying());
}
function stopPlaying() {
  for (const card of document.querySelectorAll(".card.playing")) {
    card.classList.remove("playing");
    card.querySelector("video")?.remove();
  }
}

function galleryView() {
  const count = el("span", { class: "count", id: "count", role: "status" });
  const grid = el("div", { class: "grid", id: "grid", role: "group", "aria-label": "Clips" });
  const cards = new Map();
  let columns = 1, side = 180, rowHeight = 240, focused = 0, wait = 0;
  const { crop_width: across, crop_height: tall } = clips.numbers;
  const known = across && tall ? across.values.findIndex((value) => value > 0) : -1;
  const ratio = known < 0 ? 1 : tall.values[known] / across.values[known]; // all clips of a data set have one shape
  const measure = () => {
    const wide = grid.clientWidth || 800, least = wide < 500 ? 150 : 190;
    columns = Math.max(2, Math.floor((wide + 12) / (least + 12)));
    side = (wide - 12 * (columns - 1)) / columns;
    rowHeight = side * ratio + 58;
    grid.style.height = `${Math.ceil(shown.length / columns) * rowHeight}px`;
  };
  const makeCard = (at) => {
    const clip = shown[at], url = posterUrl(clip), path = pathOf(clip), sorted = clips.numbers[state.sort];
    const value = sorted ? `${fmt(sorted.values[clip])}` : clock(numberOf("start_s", clip));
    const shot = el("span", { class: "shot" }, url
      ? el("img", { src: url, alt: "", decoding: "async", onerror: (event) => event.target.replaceWith(el("span", { class: "none" }, "no picture")) })
      : el("span", { class: "none" }, "no picture"));
    const card = el("button", { type: "button", class: `card ${isOk(clip) ? "ok" : "bad"}`, "data-clip": clips.ids[clip], "data-at": at,
      tabindex: at === focused ? 0 : -1, "aria-label": cardLabel(clip) }, shot,
      el("span", { class: "line" }, verdictChip(clip), markChip(clip),
        el("span", { class: "value" }, value)),
      el("span", { class: "line name", title: path }, nameOf(path)));
    card.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") wait = setTimeout(() => play(card, clip), 120);
    });
    card.addEventListener("pointerleave", (event) => {
      clearTimeout(wait);
      if (event.pointerType === "mouse") stopPlaying();
    });
    card.addEventListener("click", (event) => {
      const tapped = event.pointerType === "touch" && !card.classList.contains("playing") && videoUrl(clip);
      if (tapped) play(card, clip); else { stopPlaying(); openClip(at); }
    });
    card.addEventListener("focus", () => { setFocus(at, false); if (card.matches(":focus-visible")) play(card, clip); });
    card.addEventListener("blur", stopPlaying);
    return card;
  };
  const draw = () => {
    if (!grid.isConnected) return;
    const top = grid.getBoundingClientRect().top, first = Math.max(0, Math.floor(-top / rowHeight) - 1);
    const last = Math.ceil((innerHeight - top) / rowHeight) + 1;
    const from = first * columns, to = Math.min(shown.length, Math.max(0, last) * columns);
    for (const [at, card] of cards) {
      if ((at < from || at >= to) && card !== document.activeElement) { card.remove(); cards.delete(at); }
    }
    if ((focused < from || focused >= to) && !grid.contains(document.activeElement)) focused = from;  // Tab leads into view
    for (let at = from; at < to; at++) {
      let card = cards.get(at);
      if (!card) { card = makeCard(at); cards.set(at, card); grid.append(card); }
      card.tabIndex = at === focused ? 0 : -1;
      card.style.transform = `translate(${(at % columns) * (side + 12)}px, ${Math.floor(at / columns) * rowHeight}px)`;
      card.style.width = `${side}px`;
      card.style.height = `${rowHeight - 12}px`;
    }
  };
  const again = () => {
    const held = grid.contains(document.activeElement);
    cards.forEach((card) => card.remove());
    cards.clear();
    measure();
    draw();
    if (held) cards.get(focused)?.focus({ preventScroll: true });
  };
  const setFocus = (at, move = true) => {
    if (!shown.length) return;
    cards.get(focused)?.setAttribute("tabindex", "-1");
    focused = Math.max(0, Math.min(shown.length - 1, at));
    if (move) {
      const box = grid.getBoundingClientRect(), y = Math.floor(focused / columns) * rowHeight, head = 150;
      if (box.top + y < head) scrollBy(0, box.top + y - head);
      else if (box.top + y + rowHeight > innerHeight) scrollBy(0, box.top + y + rowHeight - innerHeight);
      draw();
    }
    const card = cards.get(focused);
    card?.setAttribute("tabindex", "0");
    if (move) card?.focus({ preventScroll: true });
  };
  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own: Ctrl-D is a bookmark
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: 4 * columns, PageUp: -4 * columns };
    const to = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1 : event.key in steps ? focused + steps[event.key] : null;
    if (to !== null) { event.preventDefault(); if (to >= 0 && to < shown.length) setFocus(to); return; }
    const mark = { k: "keep", d: "drop" }[event.key];
    if (mark && canMark) markClip(shown[focused], mark).then(again);
  });
  refresh = () => {
    const started = performance.now();
    shown = select();
    focused = 0;
    let seconds = 0;
    const { start_s: start, end_s: end } = clips.numbers;
    for (const clip of shown) seconds += end.values[clip] - start.values[clip] || 0;
    count.textContent = `${whole.format(shown.length)} of ${whole.format(clips.count)} clips · ${timeText(seconds)}`;
    saveState();
    again();
    grid.dataset.count = shown.length;
    grid.dataset.milliseconds = (performance.now() - started).toFixed(1);
    grid.dataset.turn = Number(grid.dataset.turn ?? 0) + 1;
  };
  redraw = again;
  let asked = 0;
  const soon = () => { if (!asked) asked = requestAnimationFrame(() => { asked = 0; draw(); }); };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", () => { if (grid.isConnected) again(); });
  new ResizeObserver(() => { if (grid.isConnected && Math.abs((grid.clientWidth - 12 * (columns - 1)) / columns - side) > 0.5) again(); }).observe(grid);
  const hint = el("p", { class: "hint" }, "Hover, tap or focus a clip to play it; click, tap again or Enter opens it. Arrow keys move",
    canMark ? ", K keeps and D drops." : ".");
  return [toolbar(count), hint, grid];
}
let redraw = () => {};
