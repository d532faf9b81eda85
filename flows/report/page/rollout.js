// One rollout's page: curves and the dance are drawn here, all else stands in the page as it is.
document.getElementById("curves").replaceChildren(
  ...(page.curves.length ? driftPlots(page.curves) : [empty("No drift curves.")]),
);

const skeletons = document.querySelectorAll("canvas.dance");
page.dances.forEach((dance, place) => drawDance(dance, document.querySelector("video.made"), skeletons[place]));
document.documentElement.dataset.ready = performance.now().toFixed(0);
