"""Doors, sizes and names: what makes the house readable stays so. The floors are import-linter's."""

import ast
import importlib
import subprocess
import sys
from typing import Any

import pytest

from helixnas.__main__ import app
from helixnas.config import RunConfig
from helixnas.source import PACKAGE, imports, tree
from tests.conftest import ROOT
from tests.house.imports import ROOMS, python_files, room
from tests.project import dvc_yaml

MAX_LINES = 300
NAMES_THAT_SAY_NOTHING = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
DOORLESS = {"stages", "handover", "registry", "plan"}
"""No room: the command line takes one file of it per command."""

PAST_THE_DOOR = {
    (
        "helixnas.config.schema",
        None,
    ): "a room takes its own section as a type; at the door it would be one name of many",
    ("helixnas.config.recipes", None): "as schema",
    ("helixnas.config.values", None): "the registries of supervisions and criteria, which `source` reads",
    ("helixnas.config.load", "FILE_NAME"): "flows.parameters writes the file that config reads",
}
"""What is imported of another room without passing through its ``__init__.py``; None stands for every name."""


@pytest.mark.parametrize("name", [name for name in ROOMS if name not in DOORLESS])
def test_a_door_shows_what_it_imports_in_order(name: str) -> None:
    door = f"helixnas.{name}"
    taken = [found.alias for found in imports(PACKAGE / name / "__init__.py") if found.module.startswith(door)]
    shown = importlib.import_module(door).__all__
    assert sorted(shown) == sorted(taken)
    assert shown == sorted(shown, key=_constants_then_classes)
    assert not [each for each in shown if each.startswith("_")]


def _constants_then_classes(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_rooms_are_entered_by_the_door() -> None:
    passed = set()
    for path in python_files("src", "flows"):
        own = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else None
        for found in imports(path):
            is_inner = found.module.startswith("helixnas.") and found.module.count(".") > 1
            if is_inner and room(found) not in {own, *DOORLESS}:
                reasons = {(found.module, found.name), (found.module, None)} & set(PAST_THE_DOOR)
                assert reasons, f"{path} imports {found.name} from {found.module}, not from helixnas.{room(found)}"
                passed |= reasons
    assert passed == set(PAST_THE_DOOR), "an exception that nobody needs any more"


def test_no_file_is_long_and_every_name_says_something() -> None:
    for path in python_files("src", "flows", "tests", "benchmarks"):
        assert len(path.read_text().splitlines()) <= MAX_LINES, path
        assert path.name not in NAMES_THAT_SAY_NOTHING, path


def test_nine_functions_in_ten_are_under_33_lines() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in python_files("src", "flows")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno
    ]
    assert sum(length < 33 for length in lengths) >= 0.9 * len(lengths)


HEAVY = {"torch", "timm", "mlflow", "optuna", "prefect", "dvc", "plotly", "sklearn"}


def modules_after(code: str) -> set[str]:
    """What a fresh Python has loaded after ``code``, which may print too."""
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_is_shown_without_anything_heavy() -> None:
    code = "from helixnas.__main__ import app; app(['--help'], standalone_mode=False)"
    assert modules_after(code) & (HEAVY | {"pandas", "hydra", "pydantic"}) == set()


def test_the_flows_command_starts_light() -> None:
    assert modules_after("import flows.__main__") & HEAVY == set()


@pytest.mark.parametrize(("name", "entry"), dvc_yaml()["stages"].items())
def test_a_stage_bears_one_name_in_all_its_places(name: str, entry: dict[str, Any]) -> None:
    assert name in RunConfig.model_fields or name == "custom"  # which looks at what other sections name
    assert name in {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert entry["cmd"].split()[:2] == ["helixnas", name]
    assert (PACKAGE / "stages" / f"{name}.py").is_file()
    assert (PACKAGE / name).is_dir() or name == "custom"
    assert all(out.startswith(f"artifacts/{name}/") or out == f"artifacts/{name}" for out in entry["outs"])
