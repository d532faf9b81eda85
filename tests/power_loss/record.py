"""What a program asked the kernel to do with the files of a folder, by strace: each operation in order, with its bytes.

Writes through a shared mapping and calls that are not listed are not seen: who records compares the folder with what
the operations give, and finds them.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ACK = "ack:"  # a program tells that it was answered `done` by removing a folder of such a name, which is not there
CALLS = (
    "open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "lseek", "truncate", "ftruncate", "rename",
    "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat", "symlink",
    "symlinkat", "fsync", "fdatasync", "sendfile", "copy_file_range", "fallocate",
)  # fmt: skip
_ON_FILES = (
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "lseek",
    "ftruncate",
    "fsync",
    "fdatasync",
    "sendfile",
    "fallocate",
)
IMPORTS_HERE = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
"""For children with `-m`: they do not look into the folder that they begin in, where flows told them not to."""
_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(.*)")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>,? *(.*)\) += (-?\d+)(.*)")
_FD = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Operation:
    """One call: `kind` is create, truncate, write, rename, unlink, mkdir, rmdir, sync or ack."""

    kind: str
    path: str
    to: str = ""
    offset: int = 0
    data: bytes = b""

    @property
    def end(self) -> int:
        """Where a write ends."""
        return self.offset + len(self.data)

    def __str__(self) -> str:
        size = f" {len(self.data)} bytes at {self.offset}" if self.kind == "write" else ""
        return f"{self.kind} {self.path}{f' to {self.to}' if self.to else ''}{size}"


@dataclass(frozen=True)
class _Call:
    name: str
    arguments: str
    result: int
    rest: str


def record(command: Sequence[str], folder: Path, log: Path, **options: object) -> list[Operation]:
    """Run a command to its end under strace; what it and its children did below `folder`, by paths relative to it."""
    traced = ["strace", "-f", "-y", "-xx", "-s", str(1 << 28), "--seccomp-bpf", "-e", f"trace={','.join(CALLS)}"]
    done = subprocess.run(
        [*traced, "-e", "signal=none", "-o", str(log), *command],
        env=IMPORTS_HERE, capture_output=True, text=True, check=False, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return list(_joined(_Reader(folder).operations(log)))


def _joined(operations: Iterator[Operation]) -> Iterator[Operation]:
    """A file that is written on and on as one operation; a half of it may be lost, too."""
    last: Operation | None = None
    for one in operations:
        if last and last.kind == one.kind == "write" and (last.path, last.end) == (one.path, one.offset):
            last = replace(last, data=last.data + one.data)
            continue
        if last:
            yield last
        last = one
    if last:
        yield last


class _Reader:
    """Calls to operations; it remembers where each open file is written on."""

    def __init__(self, folder: Path) -> None:
        self.root = f"{folder.resolve()}/"
        self.places: dict[tuple[int, str], int | None] = {}  # (descriptor, path): None appends
        self.sizes: dict[str, int] = {}

    def operations(self, log: Path) -> Iterator[Operation]:
        with log.open(encoding="ascii") as lines:
            for call in _calls(lines):
                yield from self.of(call)

    def of(self, call: _Call) -> Iterator[Operation]:
        """The operations of one call; none if it failed or was about other files."""
        paths = [path[len(self.root) :] for path in _paths(call) if path.startswith(self.root)]
        if call.name == "rmdir" and paths and Path(paths[0]).name.startswith(ACK):
            yield Operation("ack", str(Path(paths[0]).parent), to=Path(paths[0]).name.removeprefix(ACK))
        if call.result < 0 or not paths:
            return
        path = paths[0]
        match call.name:
            case "open" | "openat" | "creat":
                yield from self._opened(call, path)
            case "write" | "writev" | "pwrite64":
                yield self._written(call, path)
            case "lseek":
                self.places[_descriptor(call), path] = call.result
            case "ftruncate":
                self.sizes[path] = int(call.arguments.rsplit(",", 1)[1])
                yield Operation("truncate", path, offset=self.sizes[path])
            case "rename" | "renameat" | "renameat2":
                assert len(paths) == 2, f"renamed out of the folder: {call}"
                self._rename(path, paths[1])
                yield Operation("rename", path, to=paths[1])
            case "unlink" | "unlinkat":
                self.sizes.pop(path, None)
                yield Operation("rmdir" if "AT_REMOVEDIR" in call.arguments else "unlink", path)
            case "mkdir" | "mkdirat":
                yield Operation("mkdir", path)
            case "rmdir":
                yield Operation("rmdir", path)
            case "fsync" | "fdatasync":
                yield Operation("sync", path)
            case _:
                yield Operation("unknown", path, to=call.name)

    def _opened(self, call: _Call, path: str) -> Iterator[Operation]:
        flags = call.arguments.rsplit('"', 1)[1]
        if "O_DIRECTORY" in flags:
            return
        self.places[call.result, path] = None if "O_APPEND" in flags else 0
        if "O_CREAT" in flags or call.name == "creat":
            yield Operation("create", path)
        if "O_TRUNC" in flags or call.name == "creat":
            self.sizes[path] = 0
            yield Operation("truncate", path)

    def _written(self, call: _Call, path: str) -> Operation:
        data = b"".join(_bytes(text) for text in _TEXT.findall(call.arguments))[: call.result]
        assert len(data) == call.result, f"strace cut the bytes of a write to {path} short"
        key = _descriptor(call), path
        if call.name == "pwrite64":
            at = int(call.arguments.rsplit(",", 1)[1])
        else:
            place = self.places.get(key, 0)
            at = self.sizes.get(path, 0) if place is None else place
            self.places[key] = None if place is None else at + len(data)
        self.sizes[path] = max(self.sizes.get(path, 0), at + len(data))
        return Operation("write", path, offset=at, data=data)

    def _rename(self, path: str, to: str) -> None:
        if path in self.sizes:
            self.sizes[to] = self.sizes.pop(path)
        for number, name in [key for key in self.places if key[1] == path]:
            self.places[number, to] = self.places.pop((number, name))


def _calls(lines: Iterator[str] | object) -> Iterator[_Call]:
    """Whole calls in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in lines:  # type: ignore[attr-defined]
        if found := _BEGUN.match(line):
            begun[found[1]] = found[3]
        elif found := _ENDED.match(line):
            before = begun.pop(found[1], "")
            arguments = ", ".join(part for part in (before, found[3]) if part)
            yield _Call(found[2], arguments, int(found[4]), found[5])
        elif found := _WHOLE.match(line):
            yield _Call(found[2], found[3], int(found[4]), found[5])


def _paths(call: _Call) -> list[str]:
    """The absolute paths that a call is about: of names, beside the folder that they are relative to, or of a file."""
    if call.name in _ON_FILES:
        found = _FD.match(call.arguments)
        return [] if found is None or found[3] else [_text(found[2]).removesuffix(" (deleted)")]
    parts = re.findall(r'(?:(?:-?\d+|AT_FDCWD)<([^>]*)>, )?"((?:\\x[0-9a-f]{2})*)"', call.arguments)
    return [str(Path(_text(folder) or "/", _text(name))) for folder, name in parts]


def _descriptor(call: _Call) -> int:
    return int(call.arguments.split("<", 1)[0])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _text(text: str) -> str:
    return _bytes(text).decode("utf-8", "surrogateescape") if "\\x" in text else text
