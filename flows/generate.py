"""The flow `generate`: trained runs, a plan and a picture in; a long video, its drift and a page about it out.

What is finished is on the disk, window by window: run it again to go on, whatever was killed.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from data_catalog.base.files import atomic
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.queries import format_rows
from data_catalog.writes import merge_rollouts
from flows.build_dataset import OPTIONS
from flows.progress import Progress
from flows.report.rollout_page import write_page
from flows.starting_picture import Beginning, begin_with
from model.data.samples import frame_rate, rate_of
from model.drift.frechet import load_scripted
from model.drift.report import catalog_metrics, measure_drift, reference_clips, report_table, write_report
from model.errors import RolloutError
from model.plans.plan import depth_per_frame
from model.rollout.config import sampling_config
from model.rollout.generate import (
    FPS,
    Generated,
    Prepared,
    Request,
    Start,
    at_work,
    check_output,
    generate_video,
    prepare,
    rollout_row,
)
from model.rollout.rollout import RolloutEvent
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.video.writer import write_gif_within

PlanName = Literal["origin", "streaming", "tree"]
MAX_FPS, MAX_GIF_MB = 120, 2000.0
REFERENCES = 3
"""Real clips that a rollout is compared with, where a data set is named."""


@dataclass(frozen=True)
class Output:
    """What is made beside the mp4."""

    out: Path
    gif_mb: float
    pngs: bool
    weights: dict[str, Path]


@task(name="roll out", task_run_name="roll out {out.name}", **OPTIONS)
def roll_out(prepared: Prepared, start: Start, out: Path) -> Generated:
    """Every window of the plan, one after the other."""
    with Progress(f"generate {out.name}") as progress, progress.growing("windows") as grow:

        def show(event: RolloutEvent) -> None:
            grow(event.calls_done, event.calls)

        return generate_video(prepared, start, out, show)


@task(name="measure drift", task_run_name="measure {output.out.name}", **OPTIONS)
def measure_rollout(
    generated: Generated, prepared: Prepared, beginning: Beginning, data: DataFolder | None, output: Output
) -> dict[str, Any]:
    """All drift metrics of the finished video, beside real clips where there are some."""
    plan, finder = prepared.request.calls(), DancerFinder(pose_model_path())
    truth, references = beginning.truth, cast(Any, ())
    if data is not None and truth is None:
        holdout = next(iter(prepared.serving.values())).config.holdout
        references = reference_clips(data.root, REFERENCES, prepared.size, holdout)
    try:
        with Progress(f"measure {output.out.name}") as progress, progress.growing("frames") as grow:
            drift = measure_drift(
                generated.rollout.decoded, finder, depth_per_frame(plan), truth, references, output.weights,
                lambda done: grow(done, prepared.request.frames), prepared.codec, beginning.start.region,
            )  # fmt: skip
    finally:
        finder.close()
    report = drift.report()
    write_report(generated.folder / "metrics.json", report)
    return report


@flow(name="generate", flow_run_name="generate {out.name}", persist_result=False)
def generate(
    runs: list[Path],
    out: Path,
    image: Path | None = None,
    clip: str | None = None,
    data: Path | None = None,
    frames: int = 181,
    plan: PlanName = "origin",
    settings: dict[str, Any] | None = None,
    align: bool = True,
    redo: str | None = None,
    overwrite: bool = False,
    gif_mb: float = 8.0,
    pngs: bool = False,
    fvd: Path | None = None,
    lpips: Path | None = None,
    fps: float | None = None,
) -> dict[str, Any]:
    """Generate a long video from one picture and measure its drift; run it again to go on.

    Args:
        runs: Folders of trained runs: one for each stage of the plan, or one of stage `any`.
        out: The mp4. Latents, numbers and a page about it are kept beside it.
        image: The picture; it is aligned by its dancer's pose as clips are.
        clip: Instead of a picture, a clip of the data set: its first frame, and then a comparison with the rest.
        data: Folder of the data set, for `clip`, for real clips to compare with, and for the row in `rollouts`.
        frames: Frames of the video.
        plan: Which windows are made in which order.
        settings: Sampling settings; names as in `model.rollout.config.SamplingConfig`.
        align: False takes the picture's middle, in the shape of the clips, as it is.
        redo: Frames to make again, START:STOP, with all that depends on them.
        overwrite: Begin anew where `out` holds a rollout of something else.
        gif_mb: Most megabytes of the GIF; 0 writes none.
        pngs: Write every frame as a PNG, too.
        fvd: TorchScript weights of an I3D network.
        lpips: TorchScript weights of an LPIPS network.
        fps: Frames a second; else the clip's, or those of most clips of `data`, or 30.
    """
    out = out.expanduser().resolve()
    ready = get_ready(
        runs, out, image, clip, data, frames, plan, settings or {}, align, redo, overwrite, fvd, lpips, fps, gif_mb
    )  # fmt: skip
    output = Output(out, gif_mb, pngs, ready.weights)
    with at_work(out):
        generated = roll_out(ready.prepared, ready.beginning.start, out)
        report = measure_rollout(generated, ready.prepared, ready.beginning, ready.data, output)
        return finish(generated, ready.prepared, report, ready.data, output)


@dataclass(frozen=True)
class Ready:
    """All that a rollout needs, opened and checked."""

    prepared: Prepared
    beginning: Beginning
    data: DataFolder | None
    weights: dict[str, Path]


def get_ready(
    runs: list[Path], out: Path, image: Path | None, clip: str | None, data: Path | None, frames: int, plan: str,
    settings: dict[str, Any], align: bool, redo: str | None, overwrite: bool, fvd: Path | None, lpips: Path | None,
    fps: float | None, gif_mb: float,
) -> Ready:  # fmt: skip
    """Open and check everything, before anything long begins.

    Raises ModelError's kinds and LongdanceError, each with one sentence.
    """
    if not 0 <= gif_mb <= MAX_GIF_MB:
        raise RolloutError(f"The GIF's limit is {gif_mb} megabytes: give 0 (no GIF) to {MAX_GIF_MB:g}.")
    folder, folders = _data_set(data), tuple(run.expanduser().resolve() for run in runs)
    rate = frames_a_second(fps, clip, folder)
    request = Request(folders, plan, frames, sampling_config(folders, settings), rate, redo, overwrite)
    prepared = prepare(request)
    out = out.expanduser().resolve()
    weights = {name: path for name, path in (("fvd", fvd), ("lpips", lpips)) if path is not None}
    for name, path in weights.items():
        load_scripted(path, name.upper())
    beginning = begin_with(image, clip, folder, prepared, align)
    check_output(
        prepared, beginning.start, out, [out.with_suffix(end) for end in (".html", ".gif") if end != ".gif" or gif_mb]
    )
    return Ready(prepared, beginning, folder, weights)


def frames_a_second(fps: float | None, clip: str | None, data: DataFolder | None) -> Fraction:
    """What was asked for; else as the clip that the video begins with has it, or most clips of the data set.

    Raises RolloutError for a rate that no player shows.
    """
    if fps is not None:
        if not 1 <= fps <= MAX_FPS:
            raise RolloutError(f"The video's rate is {fps} frames a second: give 1 to {MAX_FPS}.")
        return rate_of(fps)
    return (frame_rate(data.root, clip) if data else None) or FPS


def _data_set(data: Path | None) -> DataFolder | None:
    from flows.train_stage import built

    return built(data) if data is not None else None


def finish(
    generated: Generated, prepared: Prepared, report: dict[str, Any], data: DataFolder | None, output: Output
) -> dict[str, Any]:
    """The PNGs, the page, the row in the catalog, the GIF and the artifacts; returns where all of it lies.

    Raises LongdanceError for a GIF that cannot be made so small; all else is there then.
    """
    request, out = prepared.request, generated.video
    files: dict[str, Any] = {"video": str(out), "page": str(out.with_suffix(".html"))}
    if output.pngs:
        files["pngs"] = str(write_pngs(generated))
    write_page(Path(files["page"]), out, request.plan, request.calls(), report, generated.record.identity)
    if data is not None:
        with open_catalog(data.catalog) as con:
            merge_rollouts(con, [rollout_row(generated, prepared, catalog_metrics(report))])
    if output.gif_mb:  # nothing else is lost where none fits, and a redo is not done twice
        gif = out.with_suffix(".gif")
        write_gif_within(gif, out, request.frames, request.fps, int(output.gif_mb * 1e6), generated.folder)
        files["gif"] = str(gif)
    generated.record.finish()
    table = _markdown(*report_table(report))
    create_markdown_artifact(key="drift", markdown=f"# {out.name}\n\n{table}\n", description=f"Drift of {out}")
    create_link_artifact(Path(files["page"]).as_uri(), key="rollout-page", link_text=out.name)
    get_run_logger().info("%s: %d frames; look at %s", out, request.frames, files["page"])
    return {**files, "rollout": generated.record.rollout, "metrics": report}


def write_pngs(generated: Generated) -> Path:
    """Every frame as a PNG in a folder of the rollout's."""
    from PIL import Image

    folder = generated.folder / "frames"
    for number, frame in enumerate(generated.rollout.decoded()):
        with atomic(folder / f"{number:05d}.png") as temp:
            Image.fromarray(frame).save(temp, format="PNG")
    return folder


def _markdown(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *([("" if c is None else str(c)) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def drift_table(report: dict[str, Any]) -> str:
    """The report's table for a terminal."""
    return format_rows(*report_table(report), "table")
