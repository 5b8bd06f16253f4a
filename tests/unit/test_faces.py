"""The rooms' faces: exact, and the only way in; rooms and files of a size that can be read.

A room with a face is a package with an `__init__.pyi`. Tests and training may look behind it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
ROOTS = ("serve", "deployments", "benchmarks")
MAX_FILES = 14
MAX_LINES = 350


def dotted(path: Path) -> str:
    """The module or package at a path of the house."""
    return ".".join(path.relative_to(HOUSE).with_suffix("").parts)


FILES = sorted(file for root in ROOTS for file in (HOUSE / root).rglob("*.py"))
FACES = {dotted(f.parent): f for root in ROOTS for f in (HOUSE / root).rglob("__init__.pyi")}


@cache
def parsed(file: Path) -> ast.Module:
    """The file's syntax."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[tuple[str, str | None, str]]:
    """Each import anywhere in a file: the module, a name out of it, and what it is called here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, one.name, one.asname or one.name) for one in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, None, one.asname or one.name) for one in node.names)


def rooms_around(module: str) -> Iterator[str]:
    """The rooms with a face behind which a module lies; a room does not lie behind its own."""
    parts = module.split(".")
    above = (".".join(parts[:end]) for end in range(1, len(parts)))
    return (name for name in above if name in FACES)


def inside(file: Path, room: str) -> bool:
    """Whether a file lies in a room."""
    return FACES[room].parent in file.parents


def attributes(tree: ast.Module, name: str) -> Iterator[str]:
    """What a file takes from a name: the b of each a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name:
            yield node.attr


@cache
def used() -> dict[str, set[str]]:
    """The names that code outside a room takes from its face, by room."""
    names: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        for module, name, called in imports(parsed(file)):
            whole = module if name is None else f"{module}.{name}"
            if module in FACES and name is not None and not inside(file, module):
                names[module].add(name)
            elif whole in FACES and not inside(file, whole):
                names[whole].update(attributes(parsed(file), called))
    return names


@cache
def defined(file: Path) -> frozenset[str]:
    """The names that a module makes at its top."""
    names: set[str] = set()
    for node in parsed(file).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound = (leaf for target in targets for leaf in ast.walk(target))
            names.update(leaf.id for leaf in bound if isinstance(leaf, ast.Name))
    return frozenset(names)


@pytest.mark.parametrize("room", sorted(FACES))
def test_a_face_shows_what_is_there_and_what_others_use(room: str) -> None:
    folder = FACES[room].parent
    modules = {file.stem for file in folder.glob("*.py")} | {
        inner.parent.name for inner in folder.glob("*/__init__.py")
    }
    shown: set[str] = set()
    for module, name, called in imports(parsed(FACES[room])):
        assert name == called, f"{room}: {name} is shown under another name"
        if module == ".":
            assert name in modules, f"{room}: there is no module {name}"
        else:
            assert name not in modules, f"{room}: {name} is a module's name, too"
            assert name in defined(folder / f"{module[1:]}.py"), f"{room}{module} has no {name}"
        shown.add(called)

    assert shown == used()[room]


def test_code_outside_a_room_comes_in_by_its_face() -> None:
    behind = [
        f"{file.relative_to(HOUSE)}: {module}"
        for file in FILES
        for module, name, _ in imports(parsed(file))
        for room in rooms_around(module if module in FACES else f"{module}.{name or ''}")
        if not inside(file, room)
    ]

    assert not behind


def test_rooms_and_files_are_of_a_size_that_can_be_read() -> None:
    rooms: dict[Path, int] = defaultdict(int)
    for file in FILES:
        rooms[file.parent] += file.name != "__init__.py"
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}

    assert not {dotted(room): n for room, n in rooms.items() if n > MAX_FILES}
    assert not {dotted(file): n for file, n in lengths.items() if n > MAX_LINES}
