// Parts, theme, and in `serve` a look now and then whether the catalog has changed.
const PARTS = [
  ["overview", "Overview", overviewView],
  ["clips", "Clips", galleryView],
  ["versions", "Versions", versionsView],
  ["runs", "Runs", runsView],
  ["rollouts", "Rollouts", rolloutsView],
];

function route() {
  const [name, said] = location.hash.slice(1).split("?");
  const part = PARTS.find(([id]) => id === name) ?? PARTS[0];
  stopPlaying();
  if (part[0] === "clips") loadState(said ?? "");
  main.replaceChildren(...part[2]().flat(9).filter(Boolean));
  main.dataset.part = part[0];
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.dataset.part === part[0]) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (part[0] === "clips") refresh();
}

const counts = {
  clips: clips.count,
  versions: page.versions.length,
  runs: page.runs.length,
  rollouts: page.rollouts.length,
};
document.querySelector(".tabs").append(
  ...PARTS.map(([id, name]) =>
    el("a", { href: `#${id}`, "data-part": id }, name, id in counts ? el("small", {}, whole.format(counts[id])) : null)
  ),
);

const theme = document.getElementById("theme");
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("longdance-theme", name);
  } catch { /* a private window */ }
};
try {
  const kept = localStorage.getItem("longdance-theme");
  if (kept) document.documentElement.dataset.theme = kept;
} catch { /* a private window */ }
theme.addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches,
    now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
});

document.body.append(
  el(
    "footer",
    {},
    `longdance ${page.longdance} · ${page.root} · ${page.made.slice(0, 16).replace("T", " ")} UTC`,
    page.mode === "serve" ? (canMark ? " · live, you can mark clips" : " · live, read-only") : "",
  ),
);
makeDetail();
addEventListener("hashchange", route);
route();

if (page.mode === "serve") {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const { stamp } = await (await fetch("api/stamp")).json();
      if (seenStamp !== null && stamp !== seenStamp && !document.getElementById("stale")) {
        document.body.prepend(
          el("button", {
            type: "button",
            id: "stale",
            onclick: () => location.reload(),
          }, "The data set has changed. Show it as it is now"),
        );
      }
      seenStamp = stamp;
    } catch { /* the server has ended: what is shown stays */ }
  }, 5000);
}
document.documentElement.dataset.ready = performance.now().toFixed(0);
