// Elements, numbers and words. Text reaches the page through text nodes and attributes alone, never as markup.
// What is taken from the browser, by name: so the linter finds every other name that nobody declares.
const { document, history, matchMedia, requestAnimationFrame, ResizeObserver, scrollBy, scrollTo } = globalThis;
const page = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");

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
