// One rollout's page: the curves are drawn here, all else stands in the page as it is.
document.getElementById("curves").replaceChildren(
  ...(page.curves.length ? driftPlots(page.curves) : [empty("No drift curves.")]),
);
document.documentElement.dataset.ready = performance.now().toFixed(0);
