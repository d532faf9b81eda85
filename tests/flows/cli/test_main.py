"""The command line: a user's mistake is one sentence and exit code 2, before anything is started."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli.main import main


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_raw_folder_that_is_missing_or_empty_is_one_sentence_and_exit_code_2(kind: str, tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    if kind == "empty":
        raw.mkdir()
    done = CliRunner().invoke(main, ["build", str(raw), "--data", str(data)])
    assert done.exit_code == 2
    assert done.stderr.startswith("longdance: ")
    assert done.stderr.count("\n") == 1
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "crop.margins=1"], "crop.margins"),
        (["--set", "crop.margin"], "NAME=VALUE"),
        (["--fps", "0"], "0 frames per second"),
        (["--fps", "fast"], "fast"),
        (["--frames", "1"], "clips.frames"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(main, ["build", str(tmp_path), "--data", str(tmp_path / "data"), *arguments])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_dry_run_prints_the_config_and_makes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "dance.mp4").write_bytes(b"whatever")
    done = CliRunner().invoke(main, ["build", str(tmp_path), "--data", str(data), "--variants", "1", "--dry-run"])
    assert done.exit_code == 0
    assert '"count": 1' in " ".join(done.stdout.split())
    assert not data.exists()


def test_verify_of_no_data_set_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["verify", "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert "build a data set first" in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [(["encode=foo"], "encode.picture=96"), (["encode.picture=3", "encode.picture.x=3"], "is a value already")],
)
def test_a_setting_of_training_that_does_not_fit_is_one_sentence_and_exit_code_2(
    settings: list[str], words: str, tmp_path: Path
) -> None:
    given = [part for text in settings for part in ("--set", text)]
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "train",
        "starter",
        "--data",
        str(tmp_path),
        "--run",
        "r",
        *given,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


HELP = """
import sys
from click.testing import CliRunner
from flows.cli.main import main

def ask(command, path):
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0, path
    for name, inner in getattr(command, "commands", {}).items():
        ask(inner, [*path, name])

ask(main, [])
print(*sys.modules)
"""
HEAVY = {
    "torch",
    "prefect",
    "mediapipe",
    "cv2",
    "duckdb",
    "numpy",
    "pyarrow",
    "pydantic",
    "rich",
    "starlette",
    "uvicorn",
}


def test_no_help_of_any_command_imports_what_takes_long() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())


def test_asking_the_catalog_needs_neither_prefect_nor_torch_nor_the_pipeline(tmp_path: Path) -> None:
    code = f"""
import sys
from flows.cli.main import main
try:
    main(["sql", "SELECT 1", "--data", {str(tmp_path)!r}])
except SystemExit as end:
    assert end.code == 2
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "prefect", "mediapipe", "cv2", "scipy", "pydantic"} & set(done.stdout.split())


def test_a_trainings_samples_are_named_only_where_they_are(tmp_path):
    from flows.cli.training import where_to_look

    assert where_to_look(tmp_path) == f"tensorboard --logdir {tmp_path}"
    (tmp_path / "samples").mkdir()
    assert where_to_look(tmp_path) == f"look at {tmp_path}/samples, or: tensorboard --logdir {tmp_path}"


def test_the_fraction_of_a_prune_says_whether_it_takes_clips_or_variants():
    for command in (["prune"], ["experiment", "prune"]):
        [said] = [
            option.help
            for option in command_of(command).params
            if isinstance(option, click.Option) and option.name == "fraction"
        ]
        assert said is not None
        assert "variants" in said


def command_of(words: list[str]) -> click.Command:
    found: click.Command = main
    for word in words:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return found


@pytest.mark.parametrize(
    ("status", "stage", "says"),
    [
        ("stopped", "any", "the same command again, without --until, goes on from there"),
        ("finished", "starter", "longdance train extrapolation --data d --run RUN-extrapolation --set init=run:RUN"),
        ("finished", "extrapolation", "longdance train interpolation --data d --run RUN-interpolation"),
        ("finished", "interpolation", "longdance generate --runs STARTER_RUN EXTRAPOLATION_RUN RUN --image"),
        ("finished", "any", "longdance generate --runs RUN --image PICTURE.png --out dance.mp4"),
    ],
)
def test_a_training_ends_with_the_next_command_to_type(status, stage, says, tmp_path):
    from flows.cli.training import next_command

    run = tmp_path / "runs" / "one"
    said = next_command(status, stage, Path("d"), run)
    assert says.replace("RUN", "\0") in said.replace(str(run), "RUN").replace("RUN", "\0")
    words = shlex.split(said)
    if words[0] == "longdance":
        command = command_of([words[1]])
        options = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_a_folder_with_a_blank_is_quoted_in_the_next_command(tmp_path):
    from flows.cli.training import next_command

    run = tmp_path / "my runs" / "one"
    words = shlex.split(next_command("finished", "starter", Path("my data"), run))
    assert words[words.index("--data") + 1] == "my data"
    assert words[-1] == f"init=run:{run}"


@pytest.mark.parametrize("name", ["build", "train", "encode", "score", "prune", "generate"])
def test_the_settings_of_every_command_are_printed_as_their_page_has_them(name):
    done = CliRunner().invoke(main, ["settings", name, "--format", "json"])
    assert done.exit_code == 0
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text().split(f"## `longdance {name}`")[1]
    rows = json.loads(done.stdout)
    assert len(rows) > 3
    for row in rows:
        assert f"| `{row['name']}` | {row['default']} | " in page.split("\n## ")[0]


def test_a_setting_of_prune_without_its_section_suggests_the_one_that_has_it():
    command = ["prune", "--run", "r", "--data", "d", "--dry-run", "--set", "fraction=0.2"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "policy.fraction" in done.stderr
