"""A disk that keeps only what was synced, and of the rest any part: what may be there after the power was cut.

A file's bytes are sure once the file was synced, its name once the folder was; a rename happens whole or not at all.
That is what POSIX promises. Most file systems keep more; none is relied upon.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.power_loss.record import Operation

ROOT = 0
Tree = Mapping[str, bytes | None]
"""Files by their path, folders as None."""


@dataclass(eq=False)
class Effect:
    """What one operation changes: names in folders, or bytes of a file. `sure` is when it can be lost no more."""

    at: int
    file: int | None = None  # whose bytes
    offset: int = 0
    data: bytes | None = None  # None cuts the file to `offset`
    names: tuple[tuple[int, str, int | None], ...] = ()  # (folder, name, what it now means)
    waits: set[int] = field(default_factory=set)  # what must be synced
    sure: int | None = None

    def is_sure(self, after: int) -> bool:
        """Whether it cannot be lost once so many operations have ended."""
        return self.sure is not None and self.sure <= after

    def zeroed(self) -> "Effect":
        """The size without the bytes, where the file grew; what lay there before stays."""
        return replace(self, offset=self.offset + len(self.data), data=b"") if self.data else self

    def torn(self) -> "Effect":
        """The first half of what was written."""
        return self if self.data is None else replace(self, data=self.data[: len(self.data) // 2])


@dataclass(frozen=True)
class State:
    """What may be found: the tree, after how many operations, and which were answered `done` before."""

    tree: Tree
    after: int
    acknowledged: tuple[str, ...]
    kept: str

    def __str__(self) -> str:
        return f"after {self.after} operations, kept {self.kept}"


class Disk:
    """All effects of a record of operations on a folder that held `before`."""

    def __init__(self, before: Tree, operations: Sequence[Operation]) -> None:
        self.operations = list(operations)
        self.effects: list[Effect] = []
        self.folders: set[int] = {ROOT}
        self._names: dict[int, dict[str, int]] = {ROOT: {}}
        self._next = 1
        self._contents: dict[bytes, bytes] = {}
        for path, content in sorted(before.items()):
            self._make(path, folder=content is None, at=0, content=content)
        for effect in self.effects:
            effect.sure = 0
        for at, operation in enumerate(self.operations, 1):
            self._apply(operation, at)

    def after_all(self) -> Tree:
        """What is there if nothing is lost."""
        return self._tree(self.effects)

    def states(self, singles: int | None = None) -> Iterator[State]:
        """Every different state, earliest first. singles: of how many unsynced effects each is lost, or kept, alone."""
        seen: set[int] = set()
        acknowledged: list[str] = []
        for after in range(len(self.operations) + 1):
            if after and self.operations[after - 1].kind == "ack":
                acknowledged.append(self.operations[after - 1].to)
            for effects, kept in self._kept(after, singles):
                tree = self._tree(effects)
                mark = hash((*acknowledged, *((path, id(content)) for path, content in tree.items())))
                if mark not in seen:
                    seen.add(mark)
                    yield State(tree, after, tuple(acknowledged), kept)

    def _kept(self, after: int, singles: int | None) -> Iterator[tuple[Sequence[Effect], str]]:
        """(effects that are kept, which those are) for a cut after so many operations."""
        done = [effect for effect in self.effects if effect.at <= after]
        loose = [effect for effect in done if not effect.is_sure(after)]
        yield [effect for effect in done if effect.is_sure(after)], "nothing unsynced"
        if not loose:
            return
        yield done, "everything"
        yield [effect for effect in done if effect.is_sure(after) or effect.names], "all names and no unsynced bytes"
        yield [effect if effect.is_sure(after) else effect.zeroed() for effect in done], "all sizes and zeros"
        for effect in _spread(loose, singles):
            what = str(self.operations[effect.at - 1])
            yield [one for one in done if one is not effect], f"all but: {what}"
            yield [one for one in done if one.is_sure(after) or one is effect], f"of what is unsynced only: {what}"
            if effect.data is not None and len(effect.data) > 1:
                yield [one.torn() if one is effect else one for one in done], f"all, half of: {what}"

    def _tree(self, effects: Sequence[Effect]) -> Tree:
        files: dict[int, list[Effect]] = {}
        names: dict[int, dict[str, int]] = {}
        for effect in effects:
            for folder, name, meaning in effect.names:
                entries = names.setdefault(folder, {})
                entries.pop(name, None)
                if meaning is not None:
                    entries[name] = meaning
            if effect.file is not None:
                files.setdefault(effect.file, []).append(effect)
        return dict(self._walk(ROOT, "", names, {file: self._content(of) for file, of in files.items()}))

    def _content(self, effects: Sequence[Effect]) -> bytes:
        """A file's bytes; the same bytes are the same object."""
        content = bytearray()
        for effect in effects:
            if effect.data is None:
                del content[effect.offset :]
            content.extend(bytes(max(0, effect.offset - len(content))))
            if effect.data is not None:
                content[effect.offset : effect.offset + len(effect.data)] = effect.data
        return self._contents.setdefault(hashlib.sha256(content).digest(), bytes(content))

    def _walk(
        self, folder: int, prefix: str, names: Mapping[int, Mapping[str, int]], files: Mapping[int, bytes]
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, meaning in sorted(names.get(folder, {}).items()):
            if meaning in self.folders:
                yield prefix + name, None
                yield from self._walk(meaning, f"{prefix}{name}/", names, files)
            else:
                yield prefix + name, files.get(meaning, self._contents.setdefault(b"", b""))

    def _apply(self, operation: Operation, at: int) -> None:
        path = operation.path
        match operation.kind:
            case "create":
                if self._find(path) is None:
                    self._make(path, folder=False, at=at)
            case "mkdir":
                self._make(path, folder=True, at=at)
            case "write" | "truncate":
                self._change(path, at, operation.offset, operation.data if operation.kind == "write" else None)
            case "unlink" | "rmdir":
                folder, name = self._place(path)
                del self._names[folder][name]
                self.effects.append(Effect(at, names=((folder, name, None),), waits={folder}))
            case "rename":
                (old, name), (new, other) = self._place(path), self._place(operation.to)
                moved = self._names[old].pop(name)
                self._names[new][other] = moved
                self.effects.append(Effect(at, names=((old, name, None), (new, other, moved)), waits={old, new}))
            case "sync":
                self._sync(self._find(path), at)
            case "unknown":
                raise AssertionError(f"this model of a disk does not know what was done to {path}")

    def _make(self, path: str, *, folder: bool, at: int, content: bytes | None = None) -> None:
        number, self._next = self._next, self._next + 1
        where, name = self._place(path)
        self._names[where][name] = number
        if folder:
            self.folders.add(number)
            self._names[number] = {}
        self.effects.append(Effect(at, names=((where, name, number),), waits={where}))
        if content:
            self.effects.append(Effect(at, number, 0, content, waits={number}))

    def _change(self, path: str, at: int, offset: int, data: bytes | None) -> None:
        file = self._find(path)
        assert file is not None, path
        self.effects.append(Effect(at, file, offset, data, waits={file}))

    def _sync(self, what: int | None, at: int) -> None:
        for effect in self.effects:
            if effect.sure is None and what in effect.waits:
                effect.waits.discard(what)
                if not effect.waits:
                    effect.sure = at

    def _place(self, path: str) -> tuple[int, str]:
        *folders, name = path.split("/")
        number = ROOT
        for folder in folders:
            number = self._names[number][folder]
        return number, name

    def _find(self, path: str) -> int | None:
        if path in ("", "."):
            return ROOT
        folder, name = self._place(path)
        return self._names[folder].get(name)


def _spread(effects: Sequence[Effect], most: int | None) -> Sequence[Effect]:
    """At most so many of them: the newest, and the others evenly."""
    if most is None or len(effects) <= most:
        return effects
    return [effects[round(number * (len(effects) - 1) / (most - 1))] for number in range(most)]


def read_tree(folder: Path) -> Tree:
    """A folder as it is."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def write_tree(tree: Tree, folder: Path) -> None:
    """Make `folder` hold exactly this."""
    folder.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
