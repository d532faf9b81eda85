"""Every path of a data set, a run and a rollout is spelled in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_catalog.base import paths, rollout_paths
from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.base.rollout_paths import RolloutFolder

ROOT = Path(paths.__file__).parents[2]
ROOMS = ("data_catalog", "pipeline", "model", "flows")


def properties(kind: type) -> dict[str, Path]:
    """What each property says of a folder called ROOT."""
    folder = kind(Path("ROOT"))
    return {
        name: getattr(folder, name)
        for name, value in vars(kind).items()
        if isinstance(value, property) and isinstance(getattr(folder, name), Path)
    }


KINDS = (DataFolder, RunFolder, RolloutFolder)
SPELLED = {part for kind in KINDS for path in properties(kind).values() for part in path.parts[1:]} | {
    "analysis",
    "clips",
    "failures",
}


def spelled_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of every folder or file of ours that is joined to a path, or looked for, as a literal."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.right]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            parts = node.args if node.func.attr in ("joinpath", "join", "glob", "rglob", "with_name") else []
        for part in parts:
            said = part.value if isinstance(part, ast.Constant) else None
            text = said.decode() if isinstance(said, bytes) else said
            if isinstance(text, str) and text.split("/")[0] in SPELLED:
                yield node.lineno, text


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_but_paths_spells_a_file_or_folder_of_ours(room: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in sorted((ROOT / room).rglob("*.py"))
        if file not in (Path(paths.__file__), Path(rollout_paths.__file__))
        for line, name in spelled_in(ast.parse(file.read_text()))
    ]
    assert found == []


def test_a_name_that_is_spelled_out_would_be_found() -> None:
    for code in (
        'data / "latents"',
        'p.joinpath("run.json")',
        'p.glob("versions/*.json")',
        'join(p, b"catalog.duckdb")',
    ):
        assert list(spelled_in(ast.parse(code.replace("join(", "os.path.join(")))), code


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_things_lie_in_the_same_place(kind: type) -> None:
    found = properties(kind)
    assert len(set(found.values())) == len(found)


def test_a_codec_s_latents_and_a_video_s_rollout_are_found_by_name() -> None:
    assert DataFolder(Path("d")).latents_of("0123456789abcdef0123") == Path("d/latents/0123456789abcdef")
    assert RolloutFolder.beside(Path("videos/dance.mp4")).root == Path("videos/dance.rollout")


def test_a_folder_without_a_data_set_is_told_with_the_command_that_builds_one(tmp_path: Path) -> None:
    with pytest.raises(LongdanceError, match=r"holds no data set: run `longdance build RAW --data "):
        DataFolder.built(tmp_path)
    DataFolder(tmp_path).catalog.touch()
    assert DataFolder.built(tmp_path / "." / "new" / "..") == DataFolder(tmp_path)
