// One dance's page: the skeleton, and the beats as ticks that pass a line as they sound.
const song = document.querySelector("audio.song");
drawDance(page.dances[0], song, document.querySelector("canvas.dance"));

function drawBeats(beats, canvas) {
  const context = canvas.getContext("2d");
  const around = 3; // seconds to either side of the line
  const draw = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const beat of beats) {
      const away = beat - song.currentTime;
      if (Math.abs(away) > around) continue;
      const near = away <= 0 && away > -0.12;
      context.fillStyle = near ? "#ff9f40" : "#888";
      context.fillRect(canvas.width * (0.5 + away / (2 * around)) - 2, near ? 0 : 10, 4, near ? 40 : 20);
    }
    context.fillStyle = "#4aa3ff";
    context.fillRect(canvas.width / 2 - 1, 0, 2, canvas.height);
    requestAnimationFrame(draw);
  };
  draw();
}
drawBeats(page.beats, document.querySelector("canvas.beats"));
document.documentElement.dataset.ready = performance.now().toFixed(0);
