// One clip: its video, the source's frame with crop and landmarks, every number, and what people decided.
let detailAt = 0, seenStamp = page.stamp ?? null, silent = true;

async function markClip(clip, decision, why = "") {
  try {
    const answer = await fetch("api/decisions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Longdance-Token": token },
      body: JSON.stringify({ clips: [clips.ids[clip]], decision, why }),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error ?? `The server answered ${answer.status}.`);
    const now = said.clips[clips.ids[clip]];
    for (const name of ["verdict", "reason", "decision"]) setText(name, clip, now[name]);
    setReasons(clip, now.reasons);
    offerReasons();
    seenStamp = said.stamp;
    page.decisions.push({
      clip_id: clips.ids[clip],
      decision,
      why,
      who: said.who,
      decided: said.decided,
      newest: true,
    });
    tell(`${decision === "clear" ? "Decision taken back" : "Marked " + decision}: ${clips.ids[clip]}`);
    return true;
  } catch (error) {
    tell(`Not stored. ${error.message}`, true);
    return false;
  }
}

function tell(text, bad = false) {
  const note = document.getElementById("note") ?? el("div", { id: "note", role: "status" });
  // A modal dialog covers all that is not in it.
  (document.querySelector("dialog[open]") ?? document.body).append(note);
  note.textContent = text;
  note.className = bad ? "bad" : "";
  note.hidden = false;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => {
    note.hidden = true;
  }, bad ? 8000 : 2500);
}

function scoreRows(clip) {
  const rules = new Map();
  for (const rule of page.thresholds) rules.set(rule.score, [...(rules.get(rule.score) ?? []), rule]);
  const rows = [];
  for (const column of Object.values(clips.numbers)) {
    if (column.kind === "place") continue;
    const value = column.values[clip], own = rules.get(column.name) ?? [];
    const broken = own.some((rule) => (rule.op === ">" ? value > rule.value : value < rule.value));
    rows.push({
      broken,
      ruled: own.length > 0,
      cells: [
        el(
          "span",
          { class: broken ? "broken" : "" },
          column.label,
          column.unit ? el("small", {}, ` ${column.unit}`) : null,
        ),
        el("span", { class: `figure ${broken ? "broken" : ""}` }, fmt(value)),
        el("span", { class: "figure dim" }, own.map((rule) => `${rule.op} ${fmt(rule.value)} is bad`).join(", ") || ""),
      ],
    });
  }
  rows.sort((a, b) => b.broken - a.broken || b.ruled - a.ruled);
  return rows.map((row) => row.cells);
}

function decisionPanel(clip, again) {
  const past = page.decisions.filter((row) => row.clip_id === clips.ids[clip]).slice(-4).reverse();
  const list = past.length
    ? el(
      "ul",
      { class: "past" },
      past.map((row) =>
        el(
          "li",
          {},
          el("b", {}, row.decision),
          ` by ${row.who}, ${String(row.decided).slice(0, 16).replace("T", " ")}`,
          row.why ? `: ${row.why}` : "",
        )
      ),
    )
    : null;
  if (!canMark) {
    const how = page.mode === "serve"
      ? "Open the address that `longdance serve` printed to mark clips."
      : "`longdance serve` shows this page live and lets you mark clips.";
    return el("div", { class: "panel" }, list, el("p", { class: "dim" }, how));
  }
  const why = el("input", {
    type: "text",
    id: "why",
    maxlength: 500,
    placeholder: "why (optional)",
    "aria-label": "Why",
  });
  const mark = (decision) => async () => {
    if (await markClip(clip, decision, why.value)) {
      redraw();
      again();
    }
  };
  return el(
    "div",
    { class: "panel marking" },
    el("button", { type: "button", class: "keep", id: "keep", onclick: mark("keep") }, "Keep"),
    el("button", { type: "button", class: "drop", id: "drop", onclick: mark("drop") }, "Drop"),
    textOf("decision", clip)
      ? el("button", { type: "button", class: "quiet", onclick: mark("clear") }, "Take back")
      : null,
    why,
    list,
  );
}

function detailBody(dialog, at) {
  const clip = shown[at], n = (name) => numberOf(name, clip), again = () => fillDetail(dialog, detailAt);
  const video = videoUrl(clip), frame = frameUrl(clip), path = pathOf(clip);
  const player = video
    ? el("video", { src: video, controls: true, loop: true, playsinline: true, poster: posterUrl(clip) ?? undefined })
    : el("div", { class: "none tall" }, "No video: the clip is not stored and its source is not at hand.");
  if (video) {
    player.muted = silent;
    player.autoplay = true;
    // Who has turned the sound on hears the next clip, too.
    player.addEventListener("volumechange", () => silent = player.muted);
  }
  const facts = [
    ["source", path],
    ["time", `${clock(n("start_s"))} to ${clock(n("end_s"))}, from frame ${fmt(n("first_frame"))}`],
    ["clip", clips.ids[clip]],
    ["rate", `${fmt(n("frames"))} frames, ${fmt(n("fps"))} a second`],
    [
      "crop",
      Number.isNaN(n("crop_height"))
        ? "none"
        : `${fmt(n("crop_width"))}x${fmt(n("crop_height"))} px at ${fmt(n("crop_x"))}, ${fmt(n("crop_y"))}, ${
          textOf("crop_mode", clip) ?? ""
        } ${textOf("framing", clip) ?? ""}`,
    ],
  ];
  return [
    el(
      "header",
      {},
      el(
        "div",
        { class: "chips" },
        verdictChip(clip),
        clips.reasons[clip].slice(1).map((i) => chip(words(clips.reasonNames[i]), "bad")),
        markChip(clip),
      ),
      el("span", { class: "dim" }, `${whole.format(at + 1)} of ${whole.format(shown.length)}`),
      el("button", {
        type: "button",
        class: "quiet",
        "aria-label": "Previous clip",
        id: "previous",
        disabled: at === 0,
        onclick: () => step(-1),
      }, "‹"),
      el("button", {
        type: "button",
        class: "quiet",
        "aria-label": "Next clip",
        id: "next",
        disabled: at + 1 >= shown.length,
        onclick: () => step(1),
      }, "›"),
      el("button", {
        type: "button",
        class: "quiet",
        "aria-label": "Close",
        id: "close",
        onclick: () => dialog.close(),
      }, "✕"),
    ),
    el(
      "div",
      { class: "two" },
      el("div", {}, player, decisionPanel(clip, again), captionPanel(clip, again)),
      el(
        "div",
        {},
        frame
          ? el("img", {
            src: frame,
            class: "frame",
            alt: "The source's frame with the crop and the dancer's landmarks",
          })
          : el("div", { class: "none tall" }, "No source frame: the source is not where it was."),
        el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      ),
    ),
    table(["score", "value", "threshold"], scoreRows(clip), "scores"),
  ];
}

function fillDetail(dialog, at) {
  const held = dialog.contains(document.activeElement) ? document.activeElement.id : "";
  detailAt = at;
  dialog.replaceChildren(...detailBody(dialog, at));
  if (held) (dialog.querySelector(`#${held}:not(:disabled)`) ?? dialog.querySelector("#close")).focus();
}
let step = () => {};

function makeDetail() {
  const dialog = el("dialog", { id: "detail", "aria-label": "Clip" });
  document.body.append(dialog);
  step = (by) => {
    const to = detailAt + by;
    if (to >= 0 && to < shown.length) {
      fillDetail(dialog, to);
      dialog.scrollTop = 0;
    }
  };
  dialog.addEventListener("keydown", (event) => {
    if (
      ["INPUT", "SELECT", "VIDEO", "TEXTAREA"].includes(event.target.tagName) || event.ctrlKey || event.metaKey ||
      event.altKey
    ) {
      return;
    }
    if (event.key === "ArrowRight") step(1);
    if (event.key === "ArrowLeft") step(-1);
    if (canMark && event.key === "k") dialog.querySelector("#keep")?.click();
    if (canMark && event.key === "d") dialog.querySelector("#drop")?.click();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    document.querySelector(`.card[data-at="${detailAt}"]`)?.focus();
  });
  openClip = (at) => {
    fillDetail(dialog, at);
    dialog.showModal();
  };
}
