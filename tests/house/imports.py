"""The source as text: which files there are, and which room an import comes from."""

from pathlib import Path

from helixnas.source import PACKAGE, Import
from tests.conftest import ROOT

ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room(found: Import) -> str | None:
    """The part of helixnas that an import comes from, such as ``search`` or ``errors``; None if from elsewhere."""
    package, *inner = found.module.split(".")
    return next(iter([*inner, found.name])) or None if package == "helixnas" else None
