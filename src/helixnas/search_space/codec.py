"""Write the choices of a block as plain JSON types, and read them back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from helixnas.blocks import BlockSpec
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import Candidate


def block_to_json(block: BlockSpace) -> dict[str, Any]:
    """Write a block's spec and cells as plain JSON types."""
    return asdict(block)


def block_from_json(value: Mapping[str, Any]) -> BlockSpace:
    """Read the block that ``block_to_json`` wrote."""
    cells = []
    for cell in map(_with_tuples, value["cells"]):
        candidates = tuple(tuple(Candidate(**option) for option in options) for options in cell["candidates"])
        cells.append(Cell(**{**cell, "candidates": candidates}))
    return BlockSpace(**{**value, "spec": BlockSpec(**_with_tuples(value["spec"])), "cells": tuple(cells)})


def _with_tuples(value: Any) -> Any:
    """The same with tuples for lists, as frozen values hold them."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
