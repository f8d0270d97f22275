"""A disk that loses what was not synced: the file operations of a save, recorded and cut.

In the manner of SQLite's crash tests. The recorder notes every operation by which a save changes
a folder. `images` then gives what the disk may hold if the power fails after the first `count` of
them: synced data are there; of other data nothing, a part or all; and of the names that no
fsync of their folder has put on disk since, any may have got there and any not.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIRECTORY, LINK = "directory", "link"


@dataclass(eq=False)
class Node:
    """A file with what was written and what of it is synced, a link, or a folder."""

    kind: str = "file"
    written: bytes = b""
    synced: bytes = b""
    target: str = ""
    # Folders: the names as every process sees them, and as the disk has them for certain.
    seen: dict[str, "Node"] = field(default_factory=dict)
    names: dict[str, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Step:
    """One operation: what is done to the names of a folder, or to the content of a file."""

    name: str
    folder: str = ""
    entry: str = ""
    node: Node | None = None
    to_folder: str = ""
    to_entry: str = ""
    data: bytes = b""


@contextmanager
def recorded(root: Path) -> Iterator[list[Step]]:
    """Every change under `root` that os.* functions make while the block runs."""
    steps: list[Step] = []
    paths: dict[int, str] = {}  # descriptor -> path
    nodes: dict[int, Node] = {}  # descriptor -> file
    files: dict[str, Node] = {}  # path -> node created meanwhile
    originals: dict[str, Callable[..., Any]] = {}

    def place(path: Any, how: dict[str, Any], key: str = "dir_fd") -> str:
        path = os.fspath(path)
        return os.path.join(paths[how[key]], path) if how.get(key) is not None else path

    def split(path: str) -> tuple[str, str]:
        folder, entry = os.path.split(os.path.relpath(path, root))
        return folder or ".", entry

    def opened(path: Any, flags: int, *rest: Any, **how: Any) -> int:
        there = place(path, how)
        new = bool(flags & os.O_CREAT) and not os.path.lexists(there)
        descriptor: int = originals["open"](path, flags, *rest, **how)
        paths[descriptor] = there
        if new:
            files[there] = Node()
            steps.append(Step("create", *split(there), files[there]))
        nodes[descriptor] = files.get(there, Node())
        return descriptor

    def wrote(descriptor: int, data: Any) -> int:
        count: int = originals["write"](descriptor, data)
        steps.append(Step("write", node=nodes[descriptor], data=bytes(data[:count])))
        return count

    def synced(descriptor: int) -> None:
        folder = os.path.isdir(paths[descriptor])
        relative = os.path.relpath(paths[descriptor], root) if folder else ""
        steps.append(Step("sync", relative, node=None if folder else nodes[descriptor]))

    def made(path: Any, *rest: Any, **how: Any) -> None:
        originals["mkdir"](path, *rest, **how)
        steps.append(Step("create", *split(place(path, how)), Node(DIRECTORY)))

    def linked(target: Any, path: Any, **how: Any) -> None:
        originals["symlink"](target, path, **how)
        steps.append(Step("create", *split(place(path, how)), Node(LINK, target=target)))

    def moved(name: str) -> Callable[..., None]:
        def call(source: Any, target: Any) -> None:
            originals[name](source, target)
            if os.fspath(source) in files:
                files[os.fspath(target)] = files.pop(os.fspath(source))
            folder, entry = split(os.fspath(source))
            steps.append(Step("move", folder, entry, None, *split(os.fspath(target))))

        return call

    def removed(name: str) -> Callable[..., None]:
        def call(path: Any, **how: Any) -> None:
            there = place(path, how)
            originals[name](path, **how)
            files.pop(there, None)
            steps.append(Step("remove", *split(there)))

        return call

    replacements = {
        "open": opened, "write": wrote, "fsync": synced, "mkdir": made, "symlink": linked,
        "rename": moved("rename"), "replace": moved("replace"),
        "unlink": removed("unlink"), "rmdir": removed("rmdir"),
    }  # fmt: skip
    originals.update({name: getattr(os, name) for name in replacements})
    try:
        for name, replacement in replacements.items():
            setattr(os, name, replacement)
        yield steps
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def read(path: Path) -> Node:
    """What a folder holds, all of it synced."""
    if path.is_symlink():
        return Node(LINK, target=os.readlink(path))
    if path.is_file():
        return Node(written=path.read_bytes(), synced=path.read_bytes())
    names = {child.name: read(child) for child in path.iterdir()}
    return Node(DIRECTORY, seen=dict(names), names=names)


def _folder(tree: Node, path: str) -> Node:
    """The folder that processes see at `path`."""
    for part in Path(path).parts:
        tree = tree.seen[part]
    return tree


def _apply(step: Step, names: dict[str, Node], to: dict[str, Node]) -> None:
    """Change names; one that depends on a name that did not get to the disk changes nothing."""
    if step.name == "create" and step.node is not None:
        names[step.entry] = step.node
    elif step.name == "remove":
        names.pop(step.entry, None)
    elif step.entry in names:
        to[step.to_entry] = names.pop(step.entry)


def images(
    before: Path, steps: list[Step], count: int, draw: random.Random, drawn: int
) -> Iterator[Node]:
    """What the disk may hold after `count` of the steps: all of it; what is synced alone; and
    `drawn` times some of the rest."""
    yield _image(before, steps[:count], lambda: True)
    yield _image(before, steps[:count], lambda: False)
    for _ in range(drawn):
        yield _image(before, steps[:count], lambda: draw.random() < 0.5)


def _image(before: Path, steps: list[Step], arrives: Callable[[], bool]) -> Node:
    tree = read(before)
    for step in steps:  # the nodes are shared between images
        if step.node is not None:
            step.node.written, step.node.synced = b"", b""
            step.node.seen, step.node.names = {}, {}
    pending: list[tuple[Step, Node, Node]] = []
    for step in steps:
        if step.name == "write":
            assert step.node is not None
            step.node.written += step.data
        elif step.name == "sync" and step.node is not None:
            step.node.synced = step.node.written
        elif step.name == "sync":
            folder = _folder(tree, step.folder)
            for names in [each for each in pending if folder in each[1:]]:
                _apply(names[0], names[1].names, names[2].names)
                pending.remove(names)
        else:
            folder, to = _folder(tree, step.folder), _folder(tree, step.to_folder)
            _apply(step, folder.seen, to.seen)
            pending.append((step, folder, to if step.name == "move" else folder))
    for step, folder, to in pending:
        if arrives():
            _apply(step, folder.names, to.names)
    _settle(tree, arrives)
    return tree


def _settle(tree: Node, arrives: Callable[[], bool]) -> None:
    for node in tree.names.values():
        if node.kind == DIRECTORY:
            _settle(node, arrives)
        elif node.kind == "file" and node.synced != node.written:
            more = len(node.written) - len(node.synced)
            kept = more if arrives() else more // 2 if arrives() else 0
            node.synced = node.written[: len(node.synced) + kept]


def write(tree: Node, path: Path) -> None:
    """Put an image into a folder that is not there yet."""
    path.mkdir()
    for name, node in tree.names.items():
        if node.kind == DIRECTORY:
            write(node, path / name)
        elif node.kind == LINK:
            (path / name).symlink_to(node.target)
        else:
            (path / name).write_bytes(node.synced)
