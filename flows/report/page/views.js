// The overview and the versions.
function tile(value, name, note = "") {
  return el("div", { class: "tile" }, el("b", {}, value), el("span", {}, name), note ? el("small", {}, note) : null);
}
function section(title, note, ...children) {
  return el("section", {}, el("h2", {}, title), note ? el("p", { class: "hint" }, note) : null, children);
}
function barRow(name, count, most, kind, go) {
  const wide = most ? Math.max(0.5, count / most * 100) : 0;
  const bar = svg("svg", {
    class: "bar-fill",
    viewBox: "0 0 100 10",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  }, svg("rect", { x: 0, y: 0, width: wide, height: 10, class: kind === "ok" ? "fill-ok" : "fill-bad" }));
  return el(
    "button",
    { type: "button", class: "bar-row", onclick: go, disabled: !go },
    el("span", {}, words(name)),
    bar,
    el("b", {}, whole.format(count)),
  );
}
function counted(list) {
  const counts = new Map();
  for (const name of list) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || String(a[0]).localeCompare(String(b[0])));
}

function overviewView() {
  const all = [...Array(clips.count).keys()], good = all.filter(isOk), { start_s, end_s } = clips.numbers;
  const minutes = (list) =>
    timeText(list.reduce((sum, clip) => sum + (end_s.values[clip] - start_s.values[clip] || 0), 0));
  const status = page.sources.status ?? [], rejected = [...status.keys()].filter((i) => status[i] !== "ok");
  const reasons = counted(all.filter((clip) => !isOk(clip)).map((clip) => textOf("reason", clip) ?? "bad"));
  const refused = counted(rejected.map((i) => page.sources.reason[i] ?? "unknown"));
  const most = Math.max(good.length, ...reasons.map(([, count]) => count));
  const ruled = new Set(page.thresholds.map((rule) => rule.score));
  const columns = Object.values(clips.numbers).filter((column) => column.kind !== "place");
  columns.sort((a, b) => ruled.has(b.name) - ruled.has(a.name));
  const card = (column) => {
    const rules = page.thresholds.filter((rule) => rule.score === column.name);
    let over = 0, unknown = 0;
    for (const value of column.values) {
      if (Number.isNaN(value)) unknown++;
      else if (rules.some((rule) => (rule.op === ">" ? value > rule.value : value < rule.value))) over++;
    }
    const choose = (low, high) =>
      showInGallery({
        sort: column.name,
        limits: [
          ...(low === -Infinity ? [] : [{ name: column.name, op: ">=", value: low }]),
          ...(high === Infinity ? [] : [{ name: column.name, op: "<", value: high }]),
        ],
      });
    const notes = [
      rules.length ? `${whole.format(over)} beyond` : "no threshold",
      unknown ? `${whole.format(unknown)} not measured` : null,
    ];
    return el(
      "div",
      { class: "chart-card" },
      el("h3", {}, column.label, column.unit ? el("small", {}, column.unit) : null),
      histogram(column, rules, choose),
      el("p", { class: "dim" }, notes.filter(Boolean).join(" · ")),
    );
  };
  return [
    el(
      "div",
      { class: "tiles" },
      tile(
        whole.format(status.length),
        "sources",
        rejected.length ? `${whole.format(rejected.length)} rejected` : "none rejected",
      ),
      tile(
        whole.format(clips.count),
        "clips",
        `${whole.format(good.length)} ok, ${whole.format(clips.count - good.length)} bad`,
      ),
      tile(minutes(good), "good footage", `of ${minutes(all)} cut`),
      tile(
        whole.format(page.totals.samples),
        "samples stored",
        `${many(page.totals.shards, "shard")}, ${sizeText(page.totals.bytes)}`,
      ),
    ),
    el(
      "div",
      { class: "halves" },
      section(
        "Clips by verdict",
        "Each bar opens its clips.",
        clips.count
          ? [
            barRow("ok", good.length, most, "ok", () => showInGallery({ verdict: "ok" })),
            reasons.map(([name, count]) =>
              barRow(
                name,
                count,
                most,
                "bad",
                () => showInGallery({ verdict: "bad", reason: clips.reasonNames.includes(name) ? name : "" }),
              )
            ),
          ]
          : empty("No clips yet."),
      ),
      section(
        "Sources",
        null,
        barRow("ok", status.length - rejected.length, status.length, "ok", null),
        refused.map(([name, count]) => barRow(name, count, status.length, "bad", null)),
      ),
    ),
    section(
      "Scores",
      "Heights are square roots of counts, so that rare clips show. A dashed line is a threshold; red lies beyond it. A bar opens its clips.",
      el("div", { class: "charts" }, columns.map(card)),
    ),
    rejected.length
      ? section(
        "Rejected sources",
        rejected.length > 500 ? "The first 500." : null,
        table(
          ["source", "reason", "what was found"],
          rejected.slice(0, 500).map((
            i,
          ) => [page.sources.path[i], chip(words(page.sources.reason[i] ?? ""), "bad"), page.sources.detail[i]]),
        ),
      )
      : null,
  ];
}

function shiftRows(kept, gone) {
  const rows = [];
  for (const column of Object.values(clips.numbers)) {
    if (column.kind === "place" || column.kind === "borderline") continue;
    const known = (list) => list.map((clip) => column.values[clip]).filter((v) => !Number.isNaN(v));
    const a = known(kept), b = known(gone);
    if (!a.length || !b.length) continue;
    const mean = (list) => list.reduce((x, y) => x + y, 0) / list.length;
    const [ma, mb] = [mean(a), mean(b)], both = [...a, ...b], m = mean(both);
    const spread = Math.sqrt(mean(both.map((v) => (v - m) ** 2)));
    if (spread) rows.push([column.label, fmt(ma), fmt(mb), fmt((mb - ma) / spread)]);
  }
  return rows.sort((x, y) => Math.abs(Number(y[3])) - Math.abs(Number(x[3]))).slice(0, 8);
}

function versionsView() {
  if (!page.versions.length) {
    return [section("Versions", null, empty("There are no versions yet: `longdance prune` makes the first."))];
  }
  return page.versions.toReversed().map((version) => {
    const marks = new Uint8Array(bytes(version.marks)), lists = [[], [], [], []];
    marks.forEach((mark, clip) => lists[mark].push(clip));
    const [, kept, gone, thinned] = lists, inside = [...kept, ...thinned];
    const lost = version.motion_lost === null ? "unknown" : `${fmt(Number((version.motion_lost * 100).toFixed(1)))} %`;
    return el(
      "section",
      { class: "card-block", id: `version-${version.version}` },
      el("h2", {}, version.version),
      el(
        "p",
        { class: "hint" },
        `parent ${version.parent ?? "none: compared with all good clips"} · hash ${short(version.hash)} · ${
          fmt(version.samples)
        } samples · ${String(version.created ?? "").slice(0, 16).replace("T", " ")}`,
      ),
      el(
        "div",
        { class: "tiles" },
        tile(whole.format(inside.length), "clips kept"),
        tile(whole.format(gone.length), "clips removed"),
        tile(whole.format(thinned.length), "lost some variants"),
        tile(lost, "of the motion removed"),
      ),
      el(
        "div",
        { class: "row" },
        el(
          "button",
          { type: "button", onclick: () => showInGallery({ version: `removed:${version.version}` }) },
          "Show what it removed",
        ),
        el("button", {
          type: "button",
          class: "quiet",
          onclick: () => showInGallery({ version: `in:${version.version}` }),
        }, "Show what it holds"),
      ),
      gone.length
        ? table(["score", "mean of the kept", "mean of the removed", "difference in spreads"], shiftRows(inside, gone))
        : null,
      version.policy
        ? el("details", {}, el("summary", {}, "Policy"), el("pre", {}, JSON.stringify(version.policy, null, 2)))
        : null,
    );
  });
}
