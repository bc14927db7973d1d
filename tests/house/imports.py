"""What the source imports, read from its text: which rooms, and by which of their modules."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

PACKAGE = ROOT / "src" / "helixnas"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


class Import(NamedTuple):
    """``from module import name as alias``; ``name`` is empty for ``import module``."""

    module: str
    name: str
    alias: str

    @property
    def room(self) -> str | None:
        """The part of helixnas that it comes from, such as ``search`` or ``errors``; None if from elsewhere."""
        package, *inner = self.module.split(".")
        return next(iter([*inner, self.name])) or None if package == "helixnas" else None


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.module or "", alias.name, alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", alias.asname or alias.name)


def rooms_imported(path: Path) -> set[str]:
    """The parts of helixnas that a file, or a folder's files, import."""
    files = path.rglob("*.py") if path.is_dir() else [path]
    return {found.room for file in files for found in imports(file) if found.room}


def rooms_of_stage(stage: str) -> set[str]:
    """The parts of helixnas that a stage runs through: its own imports, and theirs, and so on.

    Of another file in ``stages/``, which is glue, only what the stage takes from it counts.
    """
    left, found = rooms_taken(stage, None), set[str]()
    while left:
        room = left.pop()
        found.add(room)
        path = PACKAGE / room
        left |= rooms_imported(path if path.is_dir() else path.with_suffix(".py")) - found
    return found


def rooms_taken(stage: str, name: str | None) -> set[str]:
    """The rooms that ``stages/STAGE.py`` imports: all of them, or those that its definition ``name`` needs."""
    path = PACKAGE / "stages" / f"{stage}.py"
    used = None if name is None else _names_used(path, name)
    rooms: set[str] = set()
    for found in imports(path):
        if used is None or found.alias in used:
            glue = found.module.removeprefix("helixnas.stages.")
            rooms |= rooms_taken(glue, found.name) if glue != found.module else {found.room} - {None}
    return rooms


def _names_used(path: Path, name: str) -> set[str]:
    """The names in a definition of a module, and in the definitions of the same module that it uses."""
    definitions = {key: node for node in tree(path).body for key in _defined(node)}
    left, used = {name}, set[str]()
    while left:
        current = left.pop()
        used.add(current)
        if current in definitions:
            nodes = ast.walk(definitions[current])
            left |= {node.id for node in nodes if isinstance(node, ast.Name)} - used
    return used


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
