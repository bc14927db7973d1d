"""Toy ways that are not registered, to which the contracts apply as well: the interfaces hold for ways to come."""

import importlib.util
import sys
from pathlib import Path

import pytest

WAYS = Path(__file__).parent / "ways"
TOYS = {"distill": ["toy_siamese"], "rating": ["toy_population", "toy_tail"]}


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the toys be found as if their files lay in the rooms."""
    for room, names in TOYS.items():
        for name in names:
            spec = importlib.util.spec_from_file_location(f"helixnas.{room}.{name}", WAYS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, f"helixnas.{room}.{name}", module)
            spec.loader.exec_module(module)
