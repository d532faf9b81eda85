// Data, elements and numbers. Text reaches the page through text nodes and attributes alone, never as markup.
// What is taken from the browser, by name: so the linter finds every other name that nobody declares.
const { document, history, matchMedia, requestAnimationFrame, ResizeObserver, scrollBy, scrollTo } = globalThis;
const page = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
const POSTER = 1, PREVIEW = 2, FRAME = 4, STORED = 8, NONE = 65535;

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined));
  return node;
}

// --- the clips, column by column ------------------------------------------------------------------
const clips = (() => {
  const raw = page.clips, texts = {};
  for (const [name, column] of Object.entries(raw.texts)) {
    texts[name] = { names: column.names, values: new Uint16Array(bytes(column.values)) };
  }
  const numbers = {};
  for (const column of raw.numbers) {
    numbers[column.name] = { ...column, values: new Float64Array(bytes(column.values)) };
  }
  return {
    count: raw.ids.length,
    ids: raw.ids,
    texts,
    numbers,
    source: new Int32Array(bytes(raw.source)),
    has: new Uint8Array(bytes(raw.has)),
    reasons: raw.reasons.values,
    reasonNames: raw.reasons.names,
  };
})();

function textOf(name, clip) {
  const column = clips.texts[name], value = column.values[clip];
  return value === NONE ? null : column.names[value];
}

// All that is wrong with a clip, as the filter by reason reads it.
function setReasons(clip, names) {
  clips.reasons[clip] = names.map((name) => {
    const at = clips.reasonNames.indexOf(name);
    return at < 0 ? clips.reasonNames.push(name) - 1 : at;
  });
}

function setText(name, clip, text) {
  const column = clips.texts[name];
  if (text === null) {
    column.values[clip] = NONE;
    return;
  }
  let at = column.names.indexOf(text);
  if (at < 0) at = column.names.push(text) - 1;
  column.values[clip] = at;
}

const isOk = (clip) => textOf("verdict", clip) === "ok";
const pathOf = (clip) => (clips.source[clip] < 0 ? "(unknown source)" : page.sources.path[clips.source[clip]] ?? "");
const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const numberOf = (name, clip) => clips.numbers[name].values[clip];

function mediaUrl(kind, clip, suffix) {
  const id = clips.ids[clip];
  return `${page.media}${kind}/${encodeURIComponent(id.slice(0, 2))}/${encodeURIComponent(id)}${suffix}`;
}
const posterUrl = (clip) => (clips.has[clip] & POSTER ? mediaUrl("posters", clip, ".jpg") : null);
const frameUrl = (clip) => (clips.has[clip] & FRAME ? mediaUrl("frames", clip, ".jpg") : null);
// Live, a stored clip plays from its shard; a page on disk has small previews instead.
const videoUrl = (clip) =>
  page.mode === "serve" && clips.has[clip] & STORED
    ? mediaUrl("videos", clip, ".mp4")
    : clips.has[clip] & PREVIEW
    ? mediaUrl("previews", clip, ".mp4")
    : null;

// --- words and numbers ----------------------------------------------------------------------------
const words = (name) => String(name).replaceAll("_", " ");
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const many = (count, name) => `${whole.format(count)} ${name}${count === 1 ? "" : "s"}`;
function fmt(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return whole.format(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}
function sizeText(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < 4) {
    count /= 1000;
    at++;
  }
  return `${fmt(Number(count.toPrecision(3)))} ${units[at]}`;
}
function timeText(seconds) {
  if (!(seconds >= 0)) return "–";
  const m = Math.floor(seconds / 60), h = Math.floor(m / 60);
  return h
    ? `${h} h ${m % 60} min`
    : m
    ? `${m} min ${Math.round(seconds % 60)} s`
    : `${fmt(Number(seconds.toFixed(1)))} s`;
}
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const short = (
  id,
) => (id === null || id === undefined ? "–" : String(id).length > 14 ? String(id).slice(0, 10) + "…" : String(id));

function chip(text, kind = "") {
  return el("span", { class: `chip ${kind}` }, text);
}
function verdictChip(clip) {
  const reason = textOf("reason", clip);
  return isOk(clip) ? chip("ok", "ok") : chip(words(reason ?? "bad"), "bad");
}
function markChip(clip) {
  const mark = textOf("decision", clip);
  return mark && textOf("reason", clip) !== "marked_drop"
    ? chip(mark === "keep" ? "✓ kept" : "✕ dropped", "mark")
    : null;
}
function table(head, rows, kind = "") {
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      { class: kind },
      el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            row.map((cell) =>
              el(
                "td",
                { class: typeof cell === "number" ? "number" : null },
                typeof cell === "number" ? fmt(cell) : cell ?? "–",
              )
            ),
          )
        ),
      ),
    ),
  );
}
const empty = (...text) => el("p", { class: "empty" }, ...text);

// The token came with the address that `longdance serve` printed; it stays in this tab and out of the address bar.
const token = (() => {
  if (page.mode !== "serve") return null;
  const given = new URLSearchParams(location.search).get("token");
  try {
    if (given) {
      sessionStorage.setItem("longdance-token", given);
      history.replaceState(null, "", location.pathname + location.hash);
    }
    return given ?? sessionStorage.getItem("longdance-token");
  } catch {
    return given;
  }
})();
const canMark = token !== null;
