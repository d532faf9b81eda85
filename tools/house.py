"""The house: prints how large its rooms are and which stand on which, and fails where a bound is broken.

usage: python tools/house.py
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "model", "pipeline", "data_catalog")
MAX_MODULES, MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_README_LINES = 16, 300, 60, 160
GLOSSARY_WORDS = 15


def modules() -> dict[str, Path]:
    """Every module by its dotted name; a package is its `__init__`."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """Names of our modules that a module imports, early or late."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def too_long(name: str, path: Path, tree: ast.AST) -> Iterator[str]:
    """A module and functions beyond their bounds."""
    lines = len(path.read_text().splitlines())
    if lines > MAX_MODULE_LINES:
        yield f"{name} has {lines} lines, more than {MAX_MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{name}.{node.name} has {length} lines, more than {MAX_FUNCTION_LINES}"


def public_names(tree: ast.Module) -> Iterator[str]:
    """Classes and type aliases that a module defines for others."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and re.match(r"[A-Z]\w*[a-z]|PRESETS$", target.id):
                    yield target.id


def room_of(name: str, known: dict[str, Path]) -> str:
    """The folder that a module lies in."""
    return name if known[name].name == "__init__.py" else name.rpartition(".")[0]


def circle(stands_on: dict[str, set[str]]) -> str:
    """A circle of rooms, as an arrow; empty where there is none."""
    try:
        list(TopologicalSorter(stands_on).static_order())
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def glossary(readme: str) -> list[str]:
    """The words of the README's glossary: first cells of its table."""
    section = readme.partition("## Words")[2].partition("\n## ")[0]
    return re.findall(r"^\| \*\*([^*]+)\*\* \|", section, re.M)


def readme_faults() -> Iterator[str]:
    """What is wrong with the README's length and with its glossary."""
    readme = (ROOT / "README.md").read_text()
    lines = len(readme.splitlines())
    if lines > MAX_README_LINES:
        yield f"README.md has {lines} lines, more than {MAX_README_LINES}"
    words = glossary(readme)
    if len(words) < GLOSSARY_WORDS:
        yield f"README.md explains {len(words)} words under '## Words', fewer than {GLOSSARY_WORDS}"
    code = "\n".join(path.read_text().lower() for path in modules().values())
    yield from (
        f"no code uses the glossary's word {word!r}" for word in words if not re.search(rf"\b{word.lower()}", code)
    )


def main() -> int:
    """Print the house; 1 if a bound is broken."""
    known, faults = modules(), list(readme_faults())
    rooms: dict[str, list[str]] = defaultdict(list)
    stands_on: dict[str, set[str]] = defaultdict(set)
    defined: dict[str, list[str]] = defaultdict(list)
    for name, path in known.items():
        tree, room = ast.parse(path.read_text()), room_of(name, known)
        if path.name != "__init__.py":
            rooms[room].append(name)
        faults += too_long(name, path, tree)
        stands_on[room] |= {room_of(other, known) for other in imports(tree, known)} - {room}
        for word in public_names(tree):
            defined[word].append(name)
    faults += [f"{word} means {len(at)} things: {', '.join(at)}" for word, at in defined.items() if len(at) > 1]
    faults += [f"{room} has {len(inside)} modules" for room, inside in rooms.items() if len(inside) > MAX_MODULES]
    if found := circle(stands_on):
        faults.append(f"rooms stand on each other in a circle: {found}")
    for room, inside in sorted(rooms.items()):
        lines = sum(len(known[name].read_text().splitlines()) for name in inside)
        print(f"{room:<26} {len(inside):>2} modules {lines:>6} lines, on {', '.join(sorted(stands_on[room])) or '-'}")
    print("\n".join(faults) or "every bound holds", file=sys.stderr if faults else sys.stdout)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
