// The gallery: what is shown is a list of clip numbers; only the cards in view exist.
function cardLabel(clip) {
  const sorted = clips.numbers[state.sort];
  const value = sorted ? `, ${sorted.label} ${fmt(sorted.values[clip])}` : "";
  return `${isOk(clip) ? "ok" : words(textOf("reason", clip) ?? "bad")}, ${nameOf(pathOf(clip))} at ${
    clock(numberOf("start_s", clip))
  }${value}`;
}

function play(card, clip) {
  stopPlaying();
  const url = videoUrl(clip);
  if (!url) return;
  const video = el("video", { src: url, playsinline: true, loop: true, "aria-hidden": "true" });
  video.muted = true;
  card.querySelector(".shot").append(video);
  card.classList.add("playing");
  video.play().catch(() => stopPlaying());
}
function stopPlaying() {
  for (const card of document.querySelectorAll(".card.playing")) {
    card.classList.remove("playing");
    card.querySelector("video")?.remove();
  }
}

function galleryView() {
  const count = el("span", { class: "count", id: "count", role: "status" });
  const grid = el("div", { class: "grid", id: "grid", role: "group", "aria-label": "Clips" });
  const cards = new Map();
  let columns = 1, side = 180, rowHeight = 240, focused = 0, wait = 0;
  const { crop_width: across, crop_height: tall } = clips.numbers;
  const known = across && tall ? across.values.findIndex((value) => value > 0) : -1;
  const ratio = known < 0 ? 1 : tall.values[known] / across.values[known]; // all clips of a data set have one shape
  const measure = () => {
    const wide = grid.clientWidth || 800, least = wide < 500 ? 150 : 190;
    columns = Math.max(2, Math.floor((wide + 12) / (least + 12)));
    side = (wide - 12 * (columns - 1)) / columns;
    rowHeight = side * ratio + 58;
    grid.style.height = `${Math.ceil(shown.length / columns) * rowHeight}px`;
  };
  const makeCard = (at) => {
    const clip = shown[at], url = posterUrl(clip), path = pathOf(clip), sorted = clips.numbers[state.sort];
    const value = sorted ? `${fmt(sorted.values[clip])}` : clock(numberOf("start_s", clip));
    const shot = el(
      "span",
      { class: "shot" },
      url
        ? el("img", {
          src: url,
          alt: "",
          decoding: "async",
          onerror: (event) => event.target.replaceWith(el("span", { class: "none" }, "no picture")),
        })
        : el("span", { class: "none" }, "no picture"),
    );
    const card = el(
      "button",
      {
        type: "button",
        class: `card ${isOk(clip) ? "ok" : "bad"}`,
        "data-clip": clips.ids[clip],
        "data-at": at,
        tabindex: at === focused ? 0 : -1,
        "aria-label": cardLabel(clip),
      },
      shot,
      el("span", { class: "line" }, verdictChip(clip), markChip(clip), el("span", { class: "value" }, value)),
      el("span", { class: "line name", title: path }, nameOf(path)),
    );
    card.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") wait = setTimeout(() => play(card, clip), 120);
    });
    card.addEventListener("pointerleave", (event) => {
      clearTimeout(wait);
      if (event.pointerType === "mouse") stopPlaying();
    });
    card.addEventListener("click", (event) => {
      const tapped = event.pointerType === "touch" && !card.classList.contains("playing") && videoUrl(clip);
      if (tapped) play(card, clip);
      else {
        stopPlaying();
        openClip(at);
      }
    });
    card.addEventListener("focus", () => {
      setFocus(at, false);
      if (card.matches(":focus-visible")) play(card, clip);
    });
    card.addEventListener("blur", stopPlaying);
    return card;
  };
  const draw = () => {
    if (!grid.isConnected) return;
    const top = grid.getBoundingClientRect().top, first = Math.max(0, Math.floor(-top / rowHeight) - 1);
    const last = Math.ceil((globalThis.innerHeight - top) / rowHeight) + 1;
    const from = first * columns, to = Math.min(shown.length, Math.max(0, last) * columns);
    for (const [at, card] of cards) {
      if ((at < from || at >= to) && card !== document.activeElement) {
        card.remove();
        cards.delete(at);
      }
    }
    if ((focused < from || focused >= to) && !grid.contains(document.activeElement)) focused = from; // Tab leads into view
    for (let at = from; at < to; at++) {
      let card = cards.get(at);
      if (!card) {
        card = makeCard(at);
        cards.set(at, card);
        grid.append(card);
      }
      card.tabIndex = at === focused ? 0 : -1;
      card.style.transform = `translate(${(at % columns) * (side + 12)}px, ${Math.floor(at / columns) * rowHeight}px)`;
      card.style.width = `${side}px`;
      card.style.height = `${rowHeight - 12}px`;
    }
  };
  const again = () => {
    const held = grid.contains(document.activeElement);
    cards.forEach((card) => card.remove());
    cards.clear();
    measure();
    draw();
    if (held) cards.get(focused)?.focus({ preventScroll: true });
  };
  const setFocus = (at, move = true) => {
    if (!shown.length) return;
    cards.get(focused)?.setAttribute("tabindex", "-1");
    focused = Math.max(0, Math.min(shown.length - 1, at));
    if (move) {
      const box = grid.getBoundingClientRect(), y = Math.floor(focused / columns) * rowHeight, head = 150;
      if (box.top + y < head) scrollBy(0, box.top + y - head);
      else if (box.top + y + rowHeight > globalThis.innerHeight) {
        scrollBy(0, box.top + y + rowHeight - globalThis.innerHeight);
      }
      draw();
    }
    const card = cards.get(focused);
    card?.setAttribute("tabindex", "0");
    if (move) card?.focus({ preventScroll: true });
  };
  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own: Ctrl-D is a bookmark
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: 4 * columns,
      PageUp: -4 * columns,
    };
    const to = event.key === "Home"
      ? 0
      : event.key === "End"
      ? shown.length - 1
      : event.key in steps
      ? focused + steps[event.key]
      : null;
    if (to !== null) {
      event.preventDefault();
      if (to >= 0 && to < shown.length) setFocus(to);
      return;
    }
    const mark = { k: "keep", d: "drop" }[event.key];
    if (mark && canMark) markClip(shown[focused], mark).then(again);
  });
  refresh = () => {
    const started = performance.now();
    shown = select();
    focused = 0;
    let seconds = 0;
    const { start_s: start, end_s: end } = clips.numbers;
    for (const clip of shown) seconds += end.values[clip] - start.values[clip] || 0;
    count.textContent = `${whole.format(shown.length)} of ${whole.format(clips.count)} clips · ${timeText(seconds)}`;
    saveState();
    again();
    grid.dataset.count = shown.length;
    grid.dataset.milliseconds = (performance.now() - started).toFixed(1);
    grid.dataset.turn = Number(grid.dataset.turn ?? 0) + 1;
  };
  redraw = again;
  let asked = 0;
  const soon = () => {
    if (!asked) {
      asked = requestAnimationFrame(() => {
        asked = 0;
        draw();
      });
    }
  };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", () => {
    if (grid.isConnected) again();
  });
  new ResizeObserver(() => {
    if (grid.isConnected && Math.abs((grid.clientWidth - 12 * (columns - 1)) / columns - side) > 0.5) again();
  }).observe(grid);
  const hint = el(
    "p",
    { class: "hint" },
    "Hover, tap or focus a clip to play it; click, tap again or Enter opens it. Arrow keys move",
    canMark ? ", K keeps and D drops." : ".",
  );
  return [toolbar(count), hint, grid];
}
let redraw = () => {};
