// Which clips are shown, in which order, and the toolbar that says so; all of it stands in the address, too.
const SORTS = (() => {
  const named = Object.values(clips.numbers);
  const of = (kind) => named.filter((column) => column.kind === kind).map((column) => [column.name, column.label]);
  return [
    ["", [["clip_id", "clip id"], ["path", "source and time"]]],
    ["review", of("borderline")],
    ["losses", of("loss")],
    ["scores", of("score")],
    ["place", of("place")],
  ].filter(([, list]) => list.length);
})();
const START = {
  text: "",
  verdict: "",
  reason: "",
  decision: "",
  version: "",
  limits: [],
  sort: "clip_id",
  descending: false,
};
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
  const box = el("select", {
    id: `f-${name}`,
    onchange: () => {
      state[name] = box.value;
      change();
      refresh();
    },
  }, options.map(([value, text]) => el("option", { value, selected: state[name] === value }, text)));
  return el("label", { class: "field" }, el("span", {}, label), box);
}

// A first mark brings a reason that no clip had before.
function offerReasons() {
  const box = document.getElementById("f-reason"),
    offered = new Set([...box?.options ?? []].map((option) => option.value));
  box?.append(
    ...clips.reasonNames.filter((name) => !offered.has(name)).map((name) => el("option", { value: name }, words(name))),
  );
}

function sortOptions() {
  return SORTS.map(([title, list]) => {
    const options = list.map(([value, text]) => el("option", { value, selected: value === state.sort }, text));
    return title ? el("optgroup", { label: title }, options) : options;
  });
}

function limitRow(limit, remove) {
  const scores = SORTS.filter(([title]) => title !== "").flatMap(([, list]) => list);
  const name = el("select", {
    "aria-label": "Score",
    onchange: () => {
      limit.name = name.value;
      refresh();
    },
  }, scores.map(([value, text]) => el("option", { value, selected: value === limit.name }, text)));
  const value = el("input", {
    type: "number",
    step: "any",
    "aria-label": "Value",
    value: Number.isNaN(limit.value) ? "" : limit.value,
    oninput: () => {
      limit.value = value.value === "" ? NaN : Number(value.value);
      refresh();
    },
  });
  const op = el(
    "select",
    {
      "aria-label": "Comparison",
      onchange: () => {
        limit.op = op.value;
        value.hidden = op.value === "unknown";
        refresh();
      },
    },
    [["<", "<"], ["<=", "≤"], [">", ">"], [">=", "≥"], ["unknown", "is unknown"]].map(([v, text]) =>
      el("option", { value: v, selected: v === limit.op }, text)
    ),
  );
  value.hidden = limit.op === "unknown";
  return el(
    "span",
    { class: "limit-row" },
    name,
    op,
    value,
    el("button", { type: "button", class: "quiet", "aria-label": "Remove this condition", onclick: remove }, "✕"),
  );
}

function toolbar(count) {
  const limits = el("div", { class: "limits" });
  const fill = () =>
    limits.replaceChildren(
      ...state.limits.map((limit) =>
        limitRow(limit, () => {
          state.limits.splice(state.limits.indexOf(limit), 1);
          fill();
          refresh();
        })
      ),
      el("button", {
        type: "button",
        class: "quiet",
        id: "add-limit",
        onclick: () => {
          state.limits.push({ name: SORTS.find(([t]) => t === "scores")[1][0][0], op: ">", value: NaN });
          fill();
          refresh();
          limits.querySelector(".limit-row:last-of-type select")?.focus();
        },
      }, "+ condition"),
    );
  fill();
  const search = el("input", {
    type: "search",
    id: "f-text",
    placeholder: "source or clip id",
    value: state.text,
    oninput: () => {
      state.text = search.value;
      refresh();
    },
  });
  const sort = el("select", {
    id: "f-sort",
    onchange: () => {
      state.sort = sort.value;
      refresh();
    },
  }, sortOptions());
  const turn = el("button", {
    type: "button",
    class: "quiet",
    id: "f-turn",
    "aria-label": "Turn the order round",
    onclick: () => {
      state.descending = !state.descending;
      turn.textContent = state.descending ? "↓" : "↑";
      refresh();
    },
  }, state.descending ? "↓" : "↑");
  const versions = page.versions.flatMap((
    v,
  ) => [[`in:${v.version}`, `in ${v.version}`], [`removed:${v.version}`, `removed by ${v.version}`]]);
  const review = el("button", {
    type: "button",
    id: "review",
    title: "The clips that a small change of a threshold would turn",
    onclick: () => showInGallery({ sort: "borderline" }),
  }, "Borderline first");
  const fields = [
    el("label", { class: "field wide" }, el("span", {}, "find"), search),
    choice("verdict", "verdict", [["", "all"], ["ok", "ok"], ["bad", "bad"]]),
    choice("reason", "reason", [["", "any"], ...clips.reasonNames.map((name) => [name, words(name)])]),
    choice("decision", "marked", [["", "any"], ["keep", "keep"], ["drop", "drop"], ["none", "not marked"]]),
    versions.length ? choice("version", "version", [["", "any"], ...versions]) : null,
    el("label", { class: "field" }, el("span", {}, "sort by"), sort),
    turn,
    review,
    el("button", { type: "button", class: "quiet", id: "reset", onclick: () => showInGallery({}) }, "Reset"),
  ];
  const folded = matchMedia("(max-width: 640px)").matches;
  return el(
    "div",
    { class: "toolbar" },
    el(
      "details",
      { open: !folded },
      el("summary", {}, el("span", { class: "more" }, "Filter and sort"), count),
      el("div", { class: "fields" }, fields),
      limits,
    ),
  );
}
