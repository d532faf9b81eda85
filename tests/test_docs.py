"""The pages tell the truth: settings and queries are the code's, figures are a bench's, commands exist."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from data_catalog.connection import open_catalog
from data_catalog.examples import EXAMPLES, named_query
from data_catalog.queries import run_query
from flows.cli.main import main
from flows.options import defaults_table
from pipeline.config import BuildConfig

ROOT = Path(__file__).parents[1]
DOCS = (
    "data",
    "shapes",
    "training",
    "pruning",
    "generation",
    "captions",
    "rights",
    "exporting",
    "scorers",
    "bench",
    "choreography",
    "queries",
    "operations",
    "settings",
    "measured",
    "architecture",
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in DOCS), ROOT / "CONTRIBUTING.md"]
TEXT = "\n".join(page.read_text() for page in PAGES)


def shell_lines(text: str) -> list[str]:
    """The lines of a page's `sh` blocks, without what stands behind a #."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines() if line.strip()]


COMMANDS = [line for line in shell_lines(TEXT) if line.startswith("longdance ") and "s3://" not in line]


def test_every_page_is_listed_and_the_readme_links_to_it():
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == set(DOCS)
    assert set(DOCS) <= set(re.findall(r"docs/(\w+)\.md", PAGES[0].read_text()))


def test_every_link_of_a_page_leads_to_a_file():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_settings_page_is_the_codes():
    made = runpy.run_path(str(ROOT / "tools" / "settings_page.py"))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text() == made, "run python tools/settings_page.py"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_query_of_the_page_is_the_codes_and_runs(name, tmp_path):
    sql, meaning = EXAMPLES[name]
    assert f"{meaning} (`{name}`):\n\n```sql{sql}```" in (ROOT / "docs" / "queries.md").read_text()
    with open_catalog(tmp_path / "catalog.duckdb"):
        pass
    columns, _ = run_query(tmp_path / "catalog.duckdb", named_query(name))
    assert columns
    assert named_query(sql) == sql == named_query(name)


def figures() -> Iterator[tuple[str, str, str]]:
    """(what, figure, file) of every row of a table whose last column says what file keeps its figures."""
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if cells and cells[-1].rstrip(" |").endswith(".txt"):
            for cell in cells[1:-2]:
                for figure in re.findall(r"[-+]?\d+(?:\.\d+)?", cell):
                    yield cells[0], figure, cells[-1].rstrip(" |")


@pytest.mark.parametrize(("what", "figure", "file"), figures())
def test_a_figure_of_a_page_is_one_that_its_command_printed(what, figure, file):
    kept = (ROOT / "bench" / "results" / file).read_text()
    assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d]|\.\d)", kept), f"{what}: {file} has no {figure}"


def test_every_kept_result_is_shown_on_a_page():
    shown = {file for _, _, file in figures()}
    assert {path.name for path in (ROOT / "bench" / "results").glob("*.txt")} == shown


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_page_is_one_that_longdance_takes(command):
    """They all run, in order, in tests/test_docs_commands.py."""
    name, *arguments = shlex.split(command)[1:]
    assert name in main.commands
    with main.commands[name].make_context(name, arguments, resilient_parsing=False):
        pass


def test_the_deployments_that_the_pages_run_are_in_prefect_yaml():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    offered = {f"{d['entrypoint'].split('.')[-1].replace('_', '-')}/{d['name']}" for d in deployments}
    assert set(re.findall(r"prefect deployment run (\S+/\S+)", TEXT)) <= offered


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


@pytest.mark.parametrize("option", ["--dry-run", "--format"])
def test_the_commands_that_a_page_says_have_an_option_are_those_that_have_it(option):
    [sentence] = re.findall(rf"\n`{option}[^:]*:([^.]*)\.", TEXT)
    have = {name for name, command in leaves(main) if any(option in p.opts for p in command.params)}
    assert set(re.findall(r"`([^`]+)`", sentence)) == have


def test_help_fits_one_screen_and_needs_no_heavy_import():
    for arguments in [["--help"], *([name, "--help"] for name in main.commands)]:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0
        assert len(result.output.splitlines()) <= 40
    listed = subprocess.run(
        [sys.executable, "-c", "import flows.cli, sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not {"torch", "prefect", "mediapipe", "cv2", "duckdb", "numpy"} & set(listed.stdout.split())


def test_every_file_that_the_architecture_names_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`((?:flows|model|pipeline|data_catalog|tools|docs)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name


def test_the_version_that_is_told_is_the_one_that_is_declared():
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    told = CliRunner().invoke(main, ["--version"]).output
    assert declared is not None
    assert told.split()[-1] == declared[1], "install again: pip install -e ."


def reasons_of_the_code() -> set[str]:
    """Every code that rejects a source, a clip or a sound, and every threshold's reason."""
    found = {str(row["reason"]) for row in BuildConfig().thresholds.rows()} | {"marked_drop"}
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "data_catalog").rglob("*.py")]:
        found |= set(re.findall(r"RejectedError\(\s*\"([a-z_]+)\"", path.read_text()))
    return found


def test_every_reason_that_occurs_is_explained_with_what_to_do():
    page, told = (ROOT / "docs" / "data.md").read_text(), set()
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 3 and all(cells):
            told |= set(re.findall(r"`([a-z_]+)`", cells[0]))
    assert len(reasons_of_the_code()) > 35
    assert reasons_of_the_code() <= told


def test_what_the_page_of_reasons_says_can_be_set_can_be_set():
    known = {name for name, *_ in defaults_table(BuildConfig)}
    page = (ROOT / "docs" / "data.md").read_text()
    for name in re.findall(r"`((?:thresholds|crop|limits|clips)\.\w+)", page):
        assert name in known, name


def test_make_install_prepares_what_the_demo_does_and_the_readme_names_it():
    rules = dict(re.findall(r"^([a-z]+): (.*)$", (ROOT / "Makefile").read_text(), re.M))
    assert rules["install"] == rules["demo"] == "$(READY)"
    assert "make install" in (ROOT / "README.md").read_text()


IMPORTS = """
import flows.build_dataset, flows.train_stage, flows.generate, flows.score_and_prune
import pipeline.analysis.beat_tracking, pipeline.analysis.pose
from data_catalog.base.paths import user_cache
print(user_cache())
"""


def test_what_is_written_in_a_home_is_named_on_the_page(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], env=env | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"^\| `~/([^`]+)` \|", page, re.M))
    assert str(Path(done.stdout.strip()).relative_to(tmp_path)) in named
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.iterdir() if path.name != ".cache"} <= named
    assert {f".cache/{path.name}" for path in tmp_path.glob(".cache/*")} <= named
