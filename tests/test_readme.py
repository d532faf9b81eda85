"""The README tells the truth: its settings and queries are the code's, its commands exist and run."""

import re
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
from data_catalog.examples import EXAMPLES
from data_catalog.queries import run_query
from flows.cli.main import main
from flows.options import defaults_table
from pipeline.config import BuildConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("longdance ")
]


def test_the_settings_table_is_the_codes():
    for name, default, meaning in defaults_table(BuildConfig):
        assert f"| `{name}` | {default} | {meaning} |" in README


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_query_in_the_readme_is_the_codes_and_runs(name, tmp_path):
    sql, meaning = EXAMPLES[name]
    assert f"{meaning} (`{name}`):\n\n```sql{sql}```" in README
    with open_catalog(tmp_path / "catalog.duckdb"):
        pass
    columns, _ = run_query(tmp_path / "catalog.duckdb", sql)
    assert columns


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_readme_parses(command):
    """The whole runs of build, verify and sql are in tests/flows; here each line must be one that longdance takes."""
    name, *arguments = shlex.split(command)[1:]
    assert name in main.commands
    with main.commands[name].make_context(name, arguments, resilient_parsing=False):
        pass


def test_the_deployments_that_the_readme_runs_are_in_prefect_yaml():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    offered = {f"{d['entrypoint'].split(':')[1].replace('_', '-')}/{d['name']}" for d in deployments}
    assert set(re.findall(r"prefect deployment run (\S+)", README)) <= offered


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


@pytest.mark.parametrize("option", ["--dry-run", "--format"])
def test_the_commands_that_the_readme_says_have_an_option_are_those_that_have_it(option):
    [sentence] = re.findall(rf"\n`{option}[^:]*:([^.]*)\.", README)
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
