// One rollout's page: curves and the dance are drawn here, all else stands in the page as it is.
document.getElementById("curves").replaceChildren(
  ...(page.curves.length ? driftPlots(page.curves) : [empty("No drift curves.")]),
);

// A dance that was given, as a skeleton in step with the video.
function drawDance(dance, video, canvas) {
  const [width, height] = dance.size;
  canvas.width = 512;
  canvas.height = Math.round((512 * height) / width);
  const scale = canvas.width / width;
  const context = canvas.getContext("2d");
  const style = globalThis.getComputedStyle(document.documentElement);
  const ink = { left: "#4aa3ff", right: "#ff9f40", middle: style.getPropertyValue("--ink") || "#888" };
  let shown = -1;
  const draw = () => {
    const number = Math.min(dance.poses.length - 1, Math.floor(video.currentTime * dance.fps + 1e-6));
    if (number !== shown) {
      shown = number;
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.lineWidth = 5;
      context.lineCap = "round";
      const pose = dance.poses[number];
      for (const [side, bones] of Object.entries(dance.bones)) {
        context.strokeStyle = ink[side];
        for (const [from, to] of bones.filter(([a, b]) => pose[a] && pose[b])) {
          context.beginPath();
          context.moveTo(pose[from][0] * scale, pose[from][1] * scale);
          context.lineTo(pose[to][0] * scale, pose[to][1] * scale);
          context.stroke();
        }
      }
      canvas.dataset.frame = number;
    }
    requestAnimationFrame(draw);
  };
  draw();
}
const skeletons = document.querySelectorAll("canvas.dance");
page.dances.forEach((dance, place) => drawDance(dance, document.querySelector("video.made"), skeletons[place]));
document.documentElement.dataset.ready = performance.now().toFixed(0);
