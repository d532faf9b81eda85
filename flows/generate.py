"""The flow `generate`: trained runs, a plan and a picture in; a long video, its drift and a page about it out.

What is finished is on the disk, window by window: run it again to resume, whatever was killed.
"""

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from data_catalog.base.files import atomic
from data_catalog.base.rollout_paths import RolloutFolder
from data_catalog.queries import format_rows
from flows.catalog.kept_rows import keep_and_merge
from flows.comparison import comparison
from flows.generate_request import GenerateRequest, OpenedRequest, opened_request
from flows.progress import Progress
from flows.report.rollout_page import DrawnDance, write_page
from flows.report.stored_clip import stored_member
from flows.runners import TASK_OPTIONS
from flows.server.outlive import show_in_prefect
from flows.storage.home import keep_rows
from model.drift.report import catalog_metrics, measure_drift, write_report
from model.drift.table import report_table, why_empty
from model.plans.plan import depth_per_frame
from model.rollout.generate import Generated, Prepared, Start, at_work, generate_video, rollout_row
from model.rollout.rollout import RolloutEvent
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.clips.song import RATE as SONG_RATE
from pipeline.shards.cut_sound import read_flac
from pipeline.shards.tar import SOUND
from pipeline.video.add_sound import add_sound
from pipeline.video.writer import write_gif_within


@task(name="roll out", task_run_name="roll out {out.name}", **TASK_OPTIONS)
def roll_out(prepared: Prepared, start: Start, out: Path) -> Generated:
    """Every window of the plan, one after the other."""
    with Progress(f"generate {out.name}") as progress, progress.growing("windows") as grow:

        def show(event: RolloutEvent) -> None:
            grow(event.calls_done, event.calls)

        return generate_video(prepared, start, out, show)


@task(name="measure drift", task_run_name="measure {opened.request.out.name}", **TASK_OPTIONS)
def measure_rollout(generated: Generated, opened: OpenedRequest) -> dict[str, Any]:
    """All drift metrics of the finished video, beside real clips where there are some."""
    request, prepared = opened.request, opened.prepared
    plan, finder = prepared.request.calls(), DancerFinder(pose_model_path())
    beside = comparison(opened)
    try:
        with Progress(f"measure {request.out.name}") as progress, progress.growing("frames") as grow:
            drift = measure_drift(
                generated.rollout.decoded, finder, depth_per_frame(plan), beside.truth, beside.references,
                request.weights, lambda done: grow(done, request.frames), prepared.codec,
                opened.beginning.start.region, prepared.request.fps, beside.dance,
            )  # fmt: skip
    finally:
        finder.close()
    report = drift.report()
    write_report(RolloutFolder(generated.folder).metrics, report)
    return report


@flow(name="generate", flow_run_name="generate {request.out.name}", persist_result=False)
def generate(request: GenerateRequest) -> dict[str, Any]:
    """Generate a long video from one picture and measure its drift; run it again to resume.

    Args:
        request: Runs, picture and all settings of the video.
    """
    opened = opened_request(request)
    with at_work(request.out):
        generated = roll_out(opened.prepared, opened.beginning.start, request.out)
        report = measure_rollout(generated, opened)
        return finish(generated, opened, report)


def finish(generated: Generated, opened: OpenedRequest, report: dict[str, Any]) -> dict[str, Any]:
    """The PNGs, the page, the row in the catalog, the GIF and the artifacts; returns where all of it lies.

    Raises LongdanceError for a GIF that cannot be made so small; all else is there then.
    """
    request, prepared, out = opened.request, opened.prepared, generated.video
    files: dict[str, Any] = {"video": str(out), "page": str(out.with_suffix(".html"))}
    _add_song_or_clip_sound(generated, opened)
    if request.pngs:
        files["pngs"] = str(write_pngs(generated))
    write_page(
        Path(files["page"]), out, prepared.request.plan, prepared.request.calls(), report, generated.record.identity,
        drawn_dances(opened),
    )  # fmt: skip
    if opened.data is not None:
        row = rollout_row(generated, prepared, catalog_metrics(report))
        kept = keep_and_merge(opened.data, f"rollout-{row['rollout']}", {"rollouts": [row]})
        if opened.place is not None:
            keep_rows(opened.place, kept)
    if request.gif_mb:  # nothing else is lost where none fits, and a redo is not done twice
        gif = out.with_suffix(".gif")
        write_gif_within(gif, out, request.frames, prepared.request.fps, int(request.gif_mb * 1e6), generated.folder)
        files["gif"] = str(gif)
    generated.record.finish()
    table = "\n\n".join([_markdown(*report_table(report)), *why_empty(report)])
    told = f"# {out.name}\n\n{table}\n"
    show_in_prefect(create_markdown_artifact, key="drift", markdown=told, description=f"Drift of {out}")
    show_in_prefect(create_link_artifact, Path(files["page"]).as_uri(), key="rollout-page", link_text=out.name)
    get_run_logger().info("%s: %d frames; look at %s", out, request.frames, files["page"])
    return {**files, "rollout": generated.record.rollout, "metrics": report}


def drawn_dances(opened: OpenedRequest) -> list[DrawnDance]:
    """The dance that was given as it was danced, and as it was put on the picture's person; none where none was."""
    beginning, prepared = opened.beginning, opened.prepared
    if beginning.start.dance is None:
        return []
    rate = prepared.request.fps
    own = DrawnDance.framed("as it was danced", beginning.driving, rate) if beginning.driving is not None else None
    put_on = DrawnDance("as it was put on the picture", beginning.start.dance, prepared.size, rate)
    return [put_on] if own is None else [own, put_on]


def _add_song_or_clip_sound(generated: Generated, opened: OpenedRequest) -> None:
    """Let the video play the song that is danced to, or the sound of the clip that it begins with, as far as that goes
    and while both keep time."""
    request = opened.request
    if opened.song is not None:
        with atomic(generated.video, generated.folder) as temp, generated.video.open("rb") as silent:
            add_sound(silent, opened.song.sound, SONG_RATE, temp)
        return
    if opened.data is None or request.clip is None or request.fps is not None:
        return
    sound = stored_member(opened.data, request.clip, SOUND)
    if sound is not None:
        with atomic(generated.video, generated.folder) as temp, generated.video.open("rb") as silent:
            add_sound(silent, *read_flac(sound), temp)


def write_pngs(generated: Generated) -> Path:
    """Every frame as a PNG in a folder of the rollout's."""
    from PIL import Image

    folder = RolloutFolder(generated.folder).frames
    for number, frame in enumerate(generated.rollout.decoded()):
        with atomic(folder / f"{number:05d}.png") as temp:
            Image.fromarray(frame).save(temp, format="PNG")
    return folder


def _markdown(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *([("" if c is None else str(c)) for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def drift_table(report: dict[str, Any]) -> str:
    """The report's table for a terminal."""
    return format_rows(*report_table(report), "table") + "".join(f"{why}\n" for why in why_empty(report))
