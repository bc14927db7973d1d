"""Build the SearchSpace from the blocks' specs and the section ``search_space`` of ``params.yaml``."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from reprlib import repr as shortened
from typing import Any

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.custom import load_custom
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpace, Cell, SearchSpace
from helixnas.search_space.candidate import Candidate

Cells = Callable[[BlockSpec, Space], tuple[Cell, ...]]
"""A function that makes the cells of one block from that block's spec alone."""
Blocks = Callable[[Sequence[BlockSpec], Space], tuple[BlockSpace, ...]]
"""A function that makes the spaces of all blocks from the specs of all blocks."""


MAX_PATHS = 1_000_000


def _each(cells: Cells) -> Blocks:
    return lambda specs, settings: tuple(BlockSpace(spec, cells(spec, settings)) for spec in specs)


def build(specs: Sequence[BlockSpec], settings: Space) -> SearchSpace:
    """Build the search space of a cut teacher; equal arguments give an equal space, in the same order.

    Args:
        specs: The teacher's blocks, in order.
        settings: The section ``search_space``. Its ``name`` is a file of ``spaces/``, or ``factory:module:function``
            for a custom function that takes a block's spec and the settings and returns the block's cells.

    Raises:
        ConfigError: The space does not fit the teacher's cut, a custom function returns no cells, a block has more than
            MAX_PATHS paths, or a block has no cell for a width that the block before it may give.
    """
    kind, _, function = settings.name.partition(":")
    blocks: Blocks
    if kind == "factory":
        deed = "take a BlockSpec and the settings and return"
        blocks = _each(load_custom(function, "search_space.name", deed))
    else:  # loaded by name, so that a new space edits no file that others depend on
        module = importlib.import_module(f"helixnas.search_space.spaces.{kind}")
        blocks = module.blocks if hasattr(module, "blocks") else _each(module.cells)
    *inner, last = blocks(specs, settings)
    for block in (*inner, last):
        _check(settings.name, block.cells)
        if block.num_paths > MAX_PATHS:  # each is a row of its tables
            raise ConfigError(
                f"A block must have at most {MAX_PATHS:,} paths, but block {block.block_id} has {block.num_paths:,}. "
                "Take fewer of search_space.kernels, expansions, bottlenecks, attention, mlp_ratios or operations, or "
                "cells of less depth."
            )
    space = SearchSpace((*inner, replace(last, is_last=True)))
    for before, block in pairwise(space.blocks):
        _check_joint(before, block)
    return space


def _check(name: str, cells: Any) -> None:
    """ConfigError unless these are cells, which only a custom space can miss."""
    if not isinstance(cells, tuple) or not cells or not all(map(_is_cell, cells)):
        raise ConfigError(
            f"search_space.name {name!r} must give a tuple of Cell for each block, each with a width, a stride and a "
            f"tuple of Candidate for each layer, but gave {shortened(cells)}. Correct the function."
        )


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, Cell):
        return False
    parts: tuple[Any, ...] = (cell.widths, cell.strides, cell.candidates)
    if not all(isinstance(part, tuple) and part and len(part) == len(cell.widths) for part in parts):
        return False
    has_options = all(
        isinstance(options, tuple) and options and all(isinstance(option, Candidate) for option in options)
        for options in cell.candidates
    )
    return has_options and all(type(number) is int and number > 0 for number in (*cell.widths, *cell.strides))


def _check_joint(before: BlockSpace, block: BlockSpace) -> None:
    """ConfigError unless a block takes whatever the block before it may give."""
    widths = {width for cell in before.cells for width in cell.out_widths}
    dead_ends = [width for width in sorted(widths) if not any(cell.takes(width) for cell in block.cells)]
    if dead_ends:
        raise ConfigError(
            f"Block {block.block_id} must have a cell for each width that block {before.block_id} may end with, but "
            f"has none for {dead_ends[0]}."
        )
    width = before.spec.out_width
    if widths != {width} and any(cell.is_of_teacher or not cell.is_trainable for cell in block.cells):
        raise ConfigError(
            f"Block {block.block_id} cannot be the teacher's own or be left out, since it would have to take the "
            f"teacher's {width} channels, but block {before.block_id} may give {sorted(widths)}."
        )
