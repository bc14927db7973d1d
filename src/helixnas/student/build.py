"""Build the operations that candidates name, each for one layer: widths and stride go in, a module comes out."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from helixnas.errors import ConfigError
from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.custom import CUSTOM, build_custom

FOLDER = Path(__file__).parent / "operations"


def build_operation(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    """Build a fresh module for a candidate at a layer.

    Raises:
        ConfigError: The candidate's kind is neither built in nor registered as a custom operation.
    """
    if candidate.kind in _built_in():
        module: nn.Module = _file(candidate.kind).build(layer, candidate)
        return module
    if candidate.kind in CUSTOM:
        return build_custom(CUSTOM[candidate.kind], layer)
    known = sorted(_built_in() | CUSTOM.keys())
    raise ConfigError(f"A candidate's kind must be one of {known}, but is {candidate.kind!r}.")


def build_layer(layer: LayerSpec) -> list[nn.Module]:
    """Build fresh modules for all candidates of a layer."""
    first = layer.candidates[0].kind
    if first in _built_in() and hasattr(_file(first), "build_together"):
        return [*_file(first).build_together(layer)]
    return [build_operation(layer, candidate) for candidate in layer.candidates]


@cache
def _built_in() -> frozenset[str]:
    """The kinds of the built-in operations, which are the names of their files."""
    return frozenset(file.stem for file in FOLDER.glob("[!_]*.py"))


def _file(kind: str) -> Any:
    """The file of a built-in operation, loaded by name, so that a new one edits no file that others depend on."""
    return importlib.import_module(f"helixnas.student.operations.{kind}")
