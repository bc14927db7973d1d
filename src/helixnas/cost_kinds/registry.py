"""Find a kind of cost by its name: its file is loaded by name, so that a new kind edits no other file."""

import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from helixnas.cost_kinds.kind import CostKind, CountedKind, MeasuredKind

_OTHER_FILES = {"__init__", "kind", "registry"}


def known() -> tuple[str, ...]:
    """Return the names of all kinds, in alphabetical order."""
    names = {file.stem for file in Path(__file__).parent.glob("*.py")}
    return tuple(sorted(names - _OTHER_FILES))


@cache
def kind(name: str) -> CostKind:
    """Return the kind with this name."""
    made: CostKind = importlib.import_module(f"helixnas.cost_kinds.{name}").KIND
    return made


def counted(names: Iterable[str]) -> dict[str, CountedKind]:
    """Return the counted kinds among ``names``, by name."""
    return {name: found for name in names if isinstance(found := kind(name), CountedKind)}


def measured(names: Iterable[str]) -> dict[str, MeasuredKind]:
    """Return the measured kinds among ``names``, by name."""
    return {name: found for name in names if isinstance(found := kind(name), MeasuredKind)}
