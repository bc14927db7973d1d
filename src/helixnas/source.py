"""Which files of this program a stage runs: its own file, and all that it imports, directly or not.

``dvc.yaml`` names these files, and the digest that names half-done work is taken of them. So an edit repeats the stages
that it can change, and no other. ``python -m helixnas.source`` writes the list into ``dvc.yaml``.
"""

import ast
import contextlib
import hashlib
import io
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple, get_args

from helixnas.config.values import Criterion, Supervision

PACKAGE = Path(__file__).parent
LOADED_BY_NAME = {
    "search_space/build.py": "search_space/spaces",
    "cost/count.py": "cost_kinds",
    "cost/measure.py": "cost_kinds",
    "runtimes/registry.py": "runtimes",
    "search/options.py": "cost_kinds",
    "stages/search_space.py": "student/operations",
}
"""Files that load others by name when a run asks for them, and the folder of those: a new way changes no other file.

Networks load operations by name too, but stages do not depend on those files: the stage ``search_space`` writes down
for each block the digests of the operations that it uses.
"""
WAYS = {"distill": ("supervision", get_args(Supervision)), "rating": ("criterion", get_args(Criterion))}
"""Stages that import one file of their room by name: the key of their section that names it, and the names there are.

Only the file that is chosen counts. What any of these files imports counts for all.
"""
HARMLESS = {
    "archive": "hands a network over as it is, or refuses it",
    "artifacts": "moves values without changing them; VERSION marks a new format on disk",
    "cached": "says what is damaged",
    "config": "what is read there is in params.yaml, which DVC watches key by key",
    "custom": "finds the user's code, which the stages custom and search_space watch",
    "errors": "says what is wrong",
    "plan": "foretells",
    "progress": "shows progress",
    "report": "shows results",
    "scratch": "says where temporary files lie",
    "source": "names half-done work",
    "telling": "puts results into words",
    "tracking": "hands over a teacher from the registry byte for byte; params.yaml says which",
}
"""What stages import without depending on it, and why an edit there cannot change what a stage computes."""
SHOWN = {"report", "telling"}
"""What decides how results look: the stage ``report`` depends on it, and no other."""


class Import(NamedTuple):
    """``from module import name as alias``; ``name`` is empty for ``import module``."""

    module: str
    name: str
    alias: str


def digest(paths: Iterable[Path], folder: Path | None = None) -> str:
    """Return hexadecimal digits that change with the text of a file, or with its name relative to ``folder``.

    Args:
        paths: The files, in an order that does not change.
        folder: A folder above all of them; None for the package.
    """
    folder = folder or PACKAGE
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.relative_to(folder)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def stage_digest(stage: str | None, way: str | None = None) -> str:
    """Return the digest of the code of a stage.

    Args:
        stage: Such as ``distill``; None for the whole package.
        way: The chosen one of the stage's WAYS, where the work runs it.
    """
    code = sorted(PACKAGE.rglob("*.py")) if stage is None else files_of(stage)
    return digest([*code, PACKAGE / stage / f"{way}.py"] if stage and way else code)


def operation_digest(kind: str) -> str:
    """Return the digest of the file of a built-in operation, with all that it imports."""
    return digest(_with_imports({PACKAGE / "student" / "operations" / f"{kind}.py"}, None))


def custom_files(root: Path, function: str) -> list[Path]:
    """List the files of a custom function: its module, and those that it imports, as far as they lie in the project.

    Args:
        root: The project's folder.
        function: ``package.module:function``; no files where the module does not lie in the project.
    """
    found: set[Path] = set()
    left = _files_of_module(root, function.partition(":")[0])
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        package = path.relative_to(root).parent.parts
        nodes: list[ast.AST] = []
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):  # the stage that loads the file says more
            nodes += ast.walk(ast.parse(path.read_bytes()))
        for node in nodes:
            if isinstance(node, ast.Import):
                left |= {file for alias in node.names for file in _files_of_module(root, alias.name)}
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else ()
                module = ".".join([*above, *filter(None, [node.module])])
                for name in (module, *(f"{module}.{alias.name}" for alias in node.names)):
                    left |= _files_of_module(root, name)
    return sorted(found)


def _files_of_module(root: Path, module: str) -> set[Path]:
    """The module's file in the project, and the ``__init__.py`` of each package around it."""
    *packages, last = module.split(".")
    folder = root.joinpath(*packages)
    files = {root.joinpath(*packages[:end], "__init__.py") for end in range(1, len(packages) + 1)}
    files |= {folder / f"{last}.py", folder / last / "__init__.py"}
    return {file for file in files if file.is_file()}


def files_of(stage: str) -> list[Path]:
    """List the files that decide what a stage computes, in alphabetical order.

    Imports are followed by name: ``from helixnas.student import assemble`` leads to ``student/network.py`` alone,
    whatever else the room offers. A file of ``handover/`` counts as a whole, but only the imports of those
    definitions that the stage uses are followed. The stage's WAYS are not in the list; what they import is.
    """
    ways = {PACKAGE / stage / f"{name}.py" for name in WAYS.get(stage, ("", ()))[1]}
    taken = set(_taken_by_stage(PACKAGE / "stages" / f"{stage}.py", None))
    glue = {path for path in taken if path.parent in {PACKAGE / "stages", PACKAGE / "handover"}}
    taken |= set(chain(*map(_loaded_by_name, glue)))
    taken |= {origin for way in ways for each in imports(way) for origin in _origins(each)}
    return sorted({*glue, *_with_imports(taken - glue, stage, ways)})


def _with_imports(paths: set[Path], stage: str | None, left_out: Collection[Path] = ()) -> list[Path]:
    """These files and all that they import, as far as it counts for a stage."""
    found, left = set[Path](), set(paths) - set(left_out)
    while left:
        path = left.pop()
        room, *_ = path.relative_to(PACKAGE).with_suffix("").parts
        is_counted = room not in HARMLESS or (stage == "report" and room in SHOWN)
        if path not in found and is_counted:
            found.add(path)
            left |= {origin for each in imports(path) for origin in _origins(each)}
            left |= _loaded_by_name(path)
    return sorted(found)


def _loaded_by_name(path: Path) -> set[Path]:
    """The files that a file loads by name."""
    folder = LOADED_BY_NAME.get(path.relative_to(PACKAGE).as_posix())
    return set() if folder is None else set((PACKAGE / folder).glob("[!_]*.py"))


def dependencies(stage: str) -> list[str]:
    """The code that ``dvc.yaml`` names for a stage: files, or a room where the stage needs all files of the room.

    DVC puts the value in ``params.yaml`` into the name of the file that one of the WAYS takes.
    """
    files = files_of(stage)
    rooms = set()
    for room in PACKAGE.iterdir():
        is_open = any((PACKAGE / folder).is_relative_to(room) for folder in LOADED_BY_NAME.values())
        code = [path for path in room.rglob("*.py") if path.name != "__init__.py"]
        if (room / "__init__.py").is_file() and not is_open and set(code) <= set(files):  # a new way is not used yet
            rooms.add(room)
    names = {next((room for room in path.parents if room in rooms), path) for path in files}
    way = [f"src/helixnas/{stage}/${{{stage}.{WAYS[stage][0]}}}.py"] if stage in WAYS else []
    return sorted([*way, *(f"src/helixnas/{path.relative_to(PACKAGE)}" for path in names)])


def _taken_by_stage(path: Path, name: str | None) -> Iterator[Path]:
    """A file of ``stages/`` or ``handover/``, and those that it imports: all, or what its definition ``name`` needs."""
    yield path
    used = None if name is None else _names_used(path, name)
    for each in imports(path):
        if used is None or each.alias in used:
            for origin in _origins(each):
                if origin.parent == PACKAGE / "handover":
                    yield from _taken_by_stage(origin, each.name)
                else:
                    yield origin


def _origins(found: Import) -> Iterator[Path]:
    """The file that defines what is imported; through ``__init__.py`` of a room, where that passes it on."""
    package, *parts = found.module.split(".")
    if package != "helixnas":
        return
    place = PACKAGE.joinpath(*parts)
    if not found.name:  # import helixnas.search.exact
        yield place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    elif (place / f"{found.name}.py").is_file():
        yield place / f"{found.name}.py"
    elif place.with_suffix(".py").is_file():
        yield place.with_suffix(".py")
    elif (place / found.name / "__init__.py").is_file():
        yield from sorted((place / found.name).glob("*.py"))
    else:
        room = place / "__init__.py"
        passed_on = [each for each in imports(room) if each.alias == found.name]
        for each in passed_on:
            yield from _origins(each)
        if not passed_on:
            yield room


@cache
def tree(path: Path) -> ast.Module:
    """The syntax of a file, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands in the file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.module or "", alias.name, alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", alias.asname or alias.name)


def _names_used(path: Path, name: str) -> set[str]:
    """The names in a definition of a module, and in the definitions of the same module that it uses."""
    definitions: dict[str, ast.stmt] = {}
    for statement in tree(path).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            definitions |= dict.fromkeys(names, statement)
    left, used = {name}, set[str]()
    while left:
        current = left.pop()
        used.add(current)
        if current in definitions:
            nodes = ast.walk(definitions[current])
            left |= {node.id for node in nodes if isinstance(node, ast.Name)} - used
    return used


def write(root: Path) -> None:
    """Write the files of every stage into the ``deps`` of ``root/dvc.yaml``, and leave the rest as it is."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 4096, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    path = root / "dvc.yaml"
    pipeline = yaml.load(path.read_text(encoding="utf-8"))
    for stage, entry in pipeline["stages"].items():
        deps = entry["deps"]
        for index in reversed(range(len(deps))):  # one by one, so that the comments of the others stay
            if deps[index].startswith("src/"):
                del deps[index]
        deps.extend(dependencies(stage))
    text = io.StringIO()  # whole before the file is touched
    yaml.dump(pipeline, text)
    path.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    write(Path())
