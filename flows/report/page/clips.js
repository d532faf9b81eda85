// The clips, column by column, and whether this page may mark them.
const POSTER = 1, PREVIEW = 2, FRAME = 4, STORED = 8, NONE = 65535;

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}

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
