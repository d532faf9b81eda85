// Charts drawn as SVG: histograms, and the graph of runs.
function binned(values, limits, bins = 36) {
  let low = Infinity, high = -Infinity;
  const known = [];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    known.push(value);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!known.length) return null;
  // One far outlier must not press everything else into one bar: the last bars hold what lies beyond.
  const sorted = Float64Array.from(known).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  let from = low, to = high;
  const spread = at(0.99) - at(0.01);
  if (spread > 0 && to > at(0.99) + spread) to = at(0.99) + spread * 0.25;
  if (spread > 0 && from < at(0.01) - spread) from = at(0.01) - spread * 0.25;
  for (const limit of limits) {
    if (limit > to && limit - from < 3 * (to - from)) to = limit * 1.02;
    if (limit < from && to - limit < 3 * (to - from)) from = limit - Math.abs(limit) * 0.02;
  }
  if (!(to > from)) { // one value: some room on both sides, but none below zero for what is never negative
    const room = (Math.abs(from) || 1) * 0.5;
    to = from + room;
    from = from >= 0 ? Math.max(0, from - room) : from - room;
  }
  // Counted by the very edges that a bar filters by: division alone would put a value on an edge elsewhere.
  const edges = Array.from({ length: bins + 1 }, (_, i) => from + (to - from) * i / bins),
    counts = new Array(bins).fill(0);
  for (const value of known) {
    let bin = Math.max(0, Math.min(bins - 1, Math.floor((value - from) / (to - from) * bins)));
    if (bin > 0 && value < edges[bin]) bin--;
    else if (bin < bins - 1 && value >= edges[bin + 1]) bin++;
    counts[bin]++;
  }
  return { counts, edges, from, to };
}

// A score's histogram with its thresholds drawn in; `choose` is called with the range of a bar.
function histogram(column, rules, choose) {
  const found = binned(column.values, rules.map((rule) => rule.value));
  if (!found) return empty("Not measured for any clip.");
  const width = 320, height = 110, base = height - 18, bins = found.counts.length, most = Math.max(...found.counts);
  const x = (value) => (value - found.from) / (found.to - found.from) * width;
  const bar = width / bins;
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "chart",
    role: "img",
    "aria-label": `Histogram of ${column.label}`,
  });
  found.counts.forEach((count, i) => {
    const from = found.edges[i], to = found.edges[i + 1], middle = (from + to) / 2;
    const bad = rules.some((rule) => (rule.op === ">" ? middle > rule.value : middle < rule.value));
    const tall = count ? Math.max(2, Math.sqrt(count / most) * (base - 14)) : 0;
    const low = i === 0 ? -Infinity : from, high = i === bins - 1 ? Infinity : to;
    const group = svg(
      "g",
      { class: "bin", onclick: () => choose(low, high) },
      svg("rect", { x: i * bar, y: 0, width: bar, height: base, class: "hit" }),
      svg("rect", {
        x: i * bar + 0.5,
        y: base - tall,
        width: Math.max(1, bar - 1),
        height: tall,
        rx: 1,
        class: bad ? "fill-bad" : "fill-ok",
      }),
    );
    group.append(svg("title", {}, `${whole.format(count)} clips from ${fmt(from)} to ${fmt(to)}`));
    picture.append(group);
  });
  picture.append(svg("line", { x1: 0, x2: width, y1: base, y2: base, class: "axis" }));
  for (const tick of niceTicks(found.from, found.to)) {
    const near = Math.min(width - 2, Math.max(2, x(tick)));
    picture.append(
      svg("text", {
        x: near,
        y: height - 4,
        class: "tick",
        "text-anchor": near < 20 ? "start" : near > width - 20 ? "end" : "middle",
      }, fmt(Number(tick.toPrecision(12)))),
    );
  }
  for (const rule of rules) {
    const place = x(rule.value), at = Math.min(width - 1, Math.max(1, place)); // beyond the bars: at the edge, with an arrow
    picture.append(svg("line", { x1: at, x2: at, y1: 2, y2: base, class: "threshold" }));
    const left = at > width * 0.6, beyond = place > width ? " \u2192" : place < 0 ? " \u2190" : "";
    picture.append(
      svg(
        "text",
        { x: left ? at - 4 : at + 4, y: 10, class: "limit", "text-anchor": left ? "end" : "start" },
        `bad ${rule.op} ${fmt(rule.value)}${beyond}`,
      ),
    );
  }
  return picture;
}

// Boxes in columns by generation; nodes: [{id, title, note, kind, go}], edges: [{from, to, kind}].
function graph(nodes, edges) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const links = edges.filter((edge) => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to);
  const depth = new Map(nodes.map((node) => [node.id, 0]));
  for (let turn = 0; turn < nodes.length; turn++) { // ends even where the data hold a circle
    let moved = false;
    for (const { from, to } of links) {
      if (depth.get(to) < depth.get(from) + 1 && depth.get(from) + 1 < nodes.length) {
        depth.set(to, depth.get(from) + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  const columns = [];
  for (const node of nodes) (columns[depth.get(node.id)] ??= []).push(node);
  const W = 190, H = 50, GX = 56, GY = 16, place = new Map();
  columns.forEach((column, c) =>
    (column ?? []).forEach((node, r) => place.set(node.id, { x: 8 + c * (W + GX), y: 8 + r * (H + GY) }))
  );
  const wide = 16 + columns.length * (W + GX) - GX;
  const tall = 16 + Math.max(...columns.map((column) => (column ?? []).length)) * (H + GY) - GY;
  const picture = svg("svg", {
    viewBox: `0 0 ${wide} ${tall}`,
    width: wide,
    height: tall,
    class: "graph",
    role: "group",
    "aria-label": "Lineage",
  });
  for (const { from, to, kind } of links) {
    const a = place.get(from), b = place.get(to), x1 = a.x + W, y1 = a.y + H / 2, x2 = b.x, y2 = b.y + H / 2;
    picture.append(
      svg("path", {
        d: `M${x1} ${y1}C${x1 + GX / 2} ${y1} ${x2 - GX / 2} ${y2} ${x2 - 2} ${y2}`,
        class: `edge ${kind}`,
      }),
    );
  }
  for (const node of nodes) {
    const { x, y } = place.get(node.id);
    const box = svg(
      "g",
      {
        class: `node ${node.kind}`,
        tabindex: 0,
        role: "link",
        "aria-label": `${node.title}, ${node.note}`,
        onclick: node.go,
        onkeydown: (event) => {
          if (event.key === "Enter") node.go();
        },
      },
      svg("rect", { x, y, width: W, height: H, rx: 9 }),
      svg("text", { x: x + 12, y: y + 21, class: "name" }, node.title),
      svg("text", { x: x + 12, y: y + 38, class: "note" }, node.note),
    );
    picture.append(box);
  }
  return el("div", { class: "scroll" }, picture);
}
