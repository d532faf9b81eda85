// Curves drawn as SVG, with a line to read them by.
function niceTicks(low, high, count = 4) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough) ?? 10 * power;
  const ticks = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) {
    ticks.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  }
  return ticks;
}

// Lines over a common x. series: [{name, x, y}]; null breaks a line; band: [low, high] of what is usual.
function lines(title, series, { xName = "", height = 180, log = false, band = null, note = "" } = {}) {
  const width = 520, left = 46, bottom = height - 22, top = 8, right = width - 8;
  const known = series.flatMap((s) => s.y.filter((v) => v !== null && (!log || v > 0)));
  if (!known.length) return empty("No numbers.");
  known.push(...band ?? []);
  const xs = series.flatMap((s) => s.x);
  const fold = (list, f) => list.reduce((a, b) => f(a, b));
  let low = fold(known, Math.min), high = fold(known, Math.max);
  const xLow = fold(xs, Math.min), xHigh = fold(xs, Math.max);
  if (low === high) {
    low -= Math.abs(low) * 0.1 || 1;
    high += Math.abs(high) * 0.1 || 1;
  }
  const scale = log ? Math.log : (v) => v;
  const X = (v) => left + (xHigh > xLow ? (v - xLow) / (xHigh - xLow) : 0.5) * (right - left);
  const Y = (v) => bottom - (scale(v) - scale(low)) / (scale(high) - scale(low)) * (bottom - top);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": title });
  if (band) {
    picture.append(
      svg("rect", { x: left, y: Y(band[1]), width: right - left, height: Y(band[0]) - Y(band[1]), class: "band" }),
    );
  }
  for (const tick of log ? [low, Math.sqrt(low * high), high] : niceTicks(low, high)) {
    picture.append(
      svg("line", { x1: left, x2: right, y1: Y(tick), y2: Y(tick), class: "grid-line" }),
      svg(
        "text",
        { x: left - 6, y: Y(tick) + 3, class: "tick", "text-anchor": "end" },
        fmt(Number(tick.toPrecision(3))),
      ),
    );
  }
  for (const tick of niceTicks(xLow, xHigh, 5)) {
    picture.append(svg("text", { x: X(tick), y: height - 6, class: "tick", "text-anchor": "middle" }, fmt(tick)));
  }
  series.forEach((s, i) => {
    let path = "", pen = false;
    s.y.forEach((value, k) => {
      if (value === null || (log && !(value > 0))) {
        pen = false;
        return;
      }
      path += `${pen ? "L" : "M"}${X(s.x[k]).toFixed(1)} ${Y(value).toFixed(1)}${pen ? "" : "h0"}`; // h0: a dot at least
      pen = true;
    });
    picture.append(svg("path", { d: path, class: `line line-${i % 8}` }));
    if (s.y.length === 1) {
      picture.append(svg("circle", { cx: X(s.x[0]), cy: Y(s.y[0]), r: 3, class: `dot dot-${i % 8}` }));
    }
  });
  const reader = svg("line", { y1: top, y2: bottom, class: "reader" });
  picture.append(reader);
  const said = el("div", { class: "legend" });
  const show = (at) =>
    said.replaceChildren(
      ...series.map((s, i) => {
        let near = s.x.length - 1;
        if (at !== null) {
          s.x.forEach((v, k) => {
            if (Math.abs(v - at) < Math.abs(s.x[near] - at)) near = k;
          });
        }
        return el("span", {}, el("i", { class: `key key-${i % 8}` }), `${s.name} ${fmt(s.y[near])}`);
      }),
      el(
        "span",
        { class: "dim" },
        at === null ? `${xName} to ${fmt(Math.round(xHigh))}` : `${xName} ${fmt(Math.round(at * 100) / 100)}`,
      ),
    );
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const at = Math.min(right, Math.max(left, (event.clientX - box.left) / box.width * width));
    reader.setAttribute("x1", at);
    reader.setAttribute("x2", at);
    reader.classList.add("on");
    show(xLow + (at - left) / (right - left) * (xHigh - xLow));
  });
  picture.addEventListener("pointerleave", () => {
    reader.classList.remove("on");
    show(null);
  });
  show(null);
  const about = note ? el("p", { class: "dim" }, note) : null;
  return el("figure", { class: "plot" }, el("figcaption", {}, title), picture, said, about);
}

// A rollout's metrics over its frames, beside a real clip's: [{name, meaning, series, band}].
function driftPlots(curves) {
  return curves.map(({ name, meaning, series, band }) =>
    lines(words(name), series, { xName: "frame", height: 140, band, note: meaning })
  );
}
