"""Fronts of partial sums, merged block by block from the last to the first, one for each width that may come in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import frontier
from helixnas.search.options import BlockOptions


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What no other completion beats: sums [n, 1 + d] of loss and costs, and the row [n, blocks] chosen in each block."""

    sums: NDArray[np.float64]
    rows: NDArray[np.int64]


Fronts = dict[int, Front]
"""By the width that comes in."""


def merge(options: Sequence[BlockOptions]) -> list[Fronts]:
    """For each block, the fronts of all completions from that block to the last; one more, empty, behind the last."""
    num_values = options[0].values.shape[1]
    nothing = Front(np.zeros((1, num_values)), np.zeros((1, 0), dtype=np.int64))
    fronts: list[Fronts] = [{int(width): nothing for width in np.unique(options[-1].out_width)}]
    for block in reversed(options):
        fronts.insert(0, _step(block, fronts[0]))
    return fronts


def _step(block: BlockOptions, behind: Fronts) -> Fronts:
    """The fronts before a block, from those behind it."""
    fronts: Fronts = {}
    for in_width in np.unique(block.in_width):
        parts = []
        for out_width in np.unique(block.out_width):
            rows = np.flatnonzero((block.in_width == in_width) & (block.out_width == out_width))
            rows = rows[frontier(block.values[rows])]  # beaten inside the block is beaten everywhere
            parts.append(_sums(block.values[rows], rows, behind[int(out_width)]))
        fronts[int(in_width)] = parts[0] if len(parts) == 1 else _join(parts)
    return fronts


def _sums(values: NDArray[np.float64], rows: NDArray[np.int64], behind: Front) -> Front:
    """Every one of the block's rows before every completion, the beaten ones left out."""
    sums = (values[:, None] + behind.sums[None]).reshape(-1, values.shape[1])
    kept = frontier(sums)
    first, rest = np.divmod(kept, len(behind.sums))
    return Front(sums[kept], np.column_stack([rows[first], behind.rows[rest]]))


def _join(parts: list[Front]) -> Front:
    sums = np.concatenate([part.sums for part in parts])
    kept = frontier(sums)
    return Front(sums[kept], np.concatenate([part.rows for part in parts])[kept])
