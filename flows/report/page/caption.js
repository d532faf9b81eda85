// A clip's captions: those that models wrote, and the person's own, which comes before them and can be edited.
async function saveCaption(clip, caption) {
  try {
    const answer = await fetch("api/captions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Longdance-Token": token },
      body: JSON.stringify({ clip: clips.ids[clip], caption }),
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error ?? `The server answered ${answer.status}.`);
    const all = page.captions[clips.ids[clip]] ??= {};
    if (said.caption) all[""] = said.caption;
    else delete all[""];
    tell(said.caption ? "Caption stored in captions.csv" : "Your caption is taken back");
    return true;
  } catch (error) {
    tell(`Not stored. ${error.message}`, true);
    return false;
  }
}

function captionPanel(clip, again) {
  const all = page.captions?.[clips.ids[clip]] ?? {}, own = all[""] ?? "";
  const sets = Object.entries(all).filter(([name]) => name);
  const list = sets.length
    ? el("dl", { class: "past" }, sets.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]))
    : null;
  if (!canMark) return own || list ? el("div", { class: "panel" }, own ? el("p", {}, own) : null, list) : null;
  const text = el("textarea", {
    id: "caption",
    rows: 2,
    maxlength: 2000,
    placeholder: sets[0]?.[1] ?? "a caption of your own",
    "aria-label": "Caption",
  });
  text.value = own;
  const save = async () => {
    if (await saveCaption(clip, text.value)) again();
  };
  return el(
    "div",
    { class: "panel captions" },
    el("h3", {}, "Your caption, which comes before a model's"),
    text,
    el("button", { type: "button", id: "save-caption", onclick: save }, "Save caption"),
    list,
  );
}
