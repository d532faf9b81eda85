// The parts about runs and rollouts.
function lineage() {
  const nodes = [], edges = [], folders = new Map(page.runs.map((run) => [run.folder, run.run]));
  const go = (id) => () => document.getElementById(id)?.scrollIntoView({ behavior: "smooth", block: "start" });
  for (const v of page.versions) {
    nodes.push({
      id: `v:${v.version}`,
      title: short(v.version),
      note: `version, ${fmt(v.samples)} samples`,
      kind: "version",
      go: () => {
        location.hash = "#versions";
      },
    });
    if (v.parent) edges.push({ from: `v:${v.parent}`, to: `v:${v.version}`, kind: "parent" });
  }
  for (const run of page.runs) {
    nodes.push({
      id: `r:${run.run}`,
      title: `${run.stage ?? "run"} ${short(run.run).slice(0, 8)}`,
      note: `${run.status ?? "?"} at step ${fmt(run.step)}`,
      kind: "run",
      go: go(`run-${run.run}`),
    });
    if (run.parent) edges.push({ from: `r:${run.parent}`, to: `r:${run.run}`, kind: "parent" });
    edges.push({ from: `v:${run.version}`, to: `r:${run.run}`, kind: "data" });
    const start = String(run.config?.init ?? "").replace(/^run:/, "").replace(/\/$/, "");
    if (folders.has(start)) edges.push({ from: `r:${folders.get(start)}`, to: `r:${run.run}`, kind: "init" });
  }
  for (const made of page.rollouts) {
    nodes.push({
      id: `o:${made.rollout}`,
      title: short(made.rollout),
      note: `rollout, plan ${made.plan ?? "?"}`,
      kind: "rollout",
      go: () => {
        location.hash = "#rollouts";
      },
    });
    const from = Array.isArray(made.runs) ? made.runs : Object.values(made.runs ?? {});
    for (const run of from.flat()) {
      edges.push({ from: `r:${typeof run === "object" ? run?.run : run}`, to: `o:${made.rollout}`, kind: "made" });
    }
  }
  return graph(nodes, edges);
}

function configChanges(run) {
  const parent = page.runs.find((other) => other.run === run.parent);
  if (!parent) return null;
  const flat = (
    value,
    name = "",
  ) => (value && typeof value === "object" && !Array.isArray(value)
    ? Object.entries(value).flatMap(([k, v]) => flat(v, name ? `${name}.${k}` : k))
    : [[name, JSON.stringify(value)]]);
  const before = new Map(flat(parent.config ?? {})), now = new Map(flat(run.config ?? {}));
  const names = [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name));
  return names.map((name) => [name, before.get(name) ?? "–", now.get(name) ?? "–"]);
}

function runsView() {
  if (!page.runs.length) {
    return [section("Runs", null, empty("Nothing was trained yet: `longdance train STAGE` makes the first run."))];
  }
  const cards = page.runs.toReversed().map((run) => {
    const curve = (name, as = name) => (run.curves[name] ? [{ name: as, ...run.curves[name] }] : []);
    const bins = Object.keys(run.curves).filter((name) => name.startsWith("validation bin"));
    const losses = [...curve("loss", "training"), ...curve("validation loss", "validation")],
      changes = configChanges(run);
    const positive = losses.length > 0 && losses.every((s) => s.y.every((v) => v > 0));
    const points = page.checkpoints.filter((c) => c.run === run.run);
    return el(
      "section",
      { class: "card-block", id: `run-${run.run}` },
      el("h2", {}, `${run.stage ?? "run"} `, el("small", {}, run.run)),
      el(
        "p",
        { class: "hint" },
        `${run.status ?? "?"} at step ${fmt(run.step)} · data ${short(run.version)} · parent ${
          short(run.parent)
        } · code ${short(run.code_hash)} · ${many(points.length, "checkpoint")}, ${
          points.filter((c) => c.verified).length
        } verified`,
      ),
      losses.length
        ? el(
          "div",
          { class: "plots" },
          lines("Loss", losses, { xName: "step", log: positive }),
          bins.length
            ? lines(
              "Validation loss by log-SNR bin",
              bins.map((name) => ({ name: name.slice(11), ...run.curves[name] })),
              { xName: "step" },
            )
            : null,
          run.curves["grad norm"] ? lines("Gradient norm", curve("grad norm"), { xName: "step", height: 130 }) : null,
          run.curves["learning rate"]
            ? lines("Learning rate", curve("learning rate"), { xName: "step", height: 130 })
            : null,
        )
        : empty(
          run.folder ? `No curves: ${run.folder} holds no metrics.jsonl.` : "No curves: the run has no checkpoint yet.",
        ),
      run.picture
        ? el(
          "figure",
          { class: "plot" },
          el("figcaption", {}, "Newest sample windows"),
          el("img", { src: run.picture, alt: "Sample windows of the run", class: "sample" }),
        )
        : null,
      changes
        ? el(
          "details",
          { open: changes.length < 12 },
          el("summary", {}, `${many(changes.length, "setting")} other than the parent's`),
          table(["setting", "parent", "here"], changes),
        )
        : null,
      el("details", {}, el("summary", {}, "Config"), el("pre", {}, JSON.stringify(run.config, null, 2))),
    );
  });
  return [
    section(
      "Lineage",
      "Solid: forked from. Dashed: trained on, begun with the weights of, or generated by. A box leads to what it names.",
      lineage(),
    ),
    ...cards,
  ];
}

function rolloutsView() {
  if (!page.rollouts.length) {
    return [section("Rollouts", null, empty("Nothing was generated yet: `longdance generate` makes the first video."))];
  }
  return page.rollouts.toReversed().map((made) => {
    const plots = driftPlots(made.curves);
    const drift = made.drift.rows.map(([name, ...numbers]) => [words(name), ...numbers]);
    const source = made.video ? `${page.media}rollouts/${encodeURIComponent(made.video)}` : null;
    const player = !source
      ? el("div", { class: "none tall" }, `No video at ${made.path ?? "an unknown place"}.`)
      : made.video.endsWith(".gif")
      ? el("img", { src: source, alt: "The generated video" })
      : el("video", { src: source, controls: true, loop: true, playsinline: true });
    return el(
      "section",
      { class: "card-block" },
      el("h2", {}, made.rollout),
      el(
        "p",
        { class: "hint" },
        `plan ${made.plan ?? "?"} · seed ${made.seed ?? "?"} · runs ${JSON.stringify(made.runs)} · ${
          String(made.created ?? "").slice(0, 16).replace("T", " ")
        } · ${made.path ?? ""}`,
      ),
      el(
        "div",
        { class: "rollout" },
        player,
        el(
          "div",
          { class: "values" },
          drift.length ? table(made.drift.head, drift) : null,
          made.drift.why.map((sentence) => el("p", { class: "hint" }, sentence)),
          table(
            ["measured", "value"],
            Object.entries(made.values).map((
              [name, value],
            ) => [words(name), value === true ? "yes" : value === false ? "no" : value]),
          ),
        ),
      ),
      plots.length ? el("div", { class: "plots" }, plots) : empty("No drift curves."),
    );
  });
}
