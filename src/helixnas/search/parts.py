"""Architectures up to some block, which the searches carry from block to block."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import layers
from helixnas.search.options import BlockOptions, combine

Floats = NDArray[np.float64]
Index = NDArray[np.int64] | NDArray[np.bool_]
Pick = Callable[[Floats, NDArray[np.int64]], Index]
"""Function from sums [n, 1 + d] and widths [n] to the parts to keep."""
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Architectures up to some block.

    Attributes:
        rows: The row in each block so far, [n, blocks].
        sums: Loss and costs so far, [n, 1 + d], without stem and head.
        width: The width that each part hands on, [n].
    """

    rows: NDArray[np.int64]
    sums: Floats
    width: NDArray[np.int64]

    def take(self, index: Index) -> "Parts":
        """Return the parts at an index."""
        return Parts(self.rows[index], self.sums[index], self.width[index])


def everything(sums: Floats, width: NDArray[np.int64]) -> Index:
    """Keep all parts."""
    return np.ones(len(sums), dtype=bool)


def nothing(first: BlockOptions) -> Parts:
    """Return the one empty part before the first block."""
    return Parts(np.zeros((1, 0), dtype=np.int64), np.zeros((1, first.values.shape[1])), first.in_width[:1])


def extend(parts: Parts, block: BlockOptions, num_best: int, pick: Pick = everything) -> Parts:
    """Extend every part by every row of the block that takes its width, except rows that k others beat.

    Args:
        parts: The parts up to the block before.
        block: The options of the block.
        num_best: The number k of architectures that are wanted.
        pick: Says which parts to keep; called on the sums, before any other array is made of them.
    """
    first, row = [], []
    for width in np.unique(parts.width):
        groups = [group[layers(block.values[group], num_best)] for group in block.rows(int(width))]
        rows, takers = np.concatenate([_NONE, *groups]), np.flatnonzero(parts.width == width)
        first.append(np.repeat(takers, len(rows)))
        row.append(np.tile(rows, len(takers)))
    firsts, rows = np.concatenate([_NONE, *first]), np.concatenate([_NONE, *row])
    sums = combine(parts.sums[firsts], block.values[rows], block.is_max)
    kept = pick(sums, block.out_width[rows])
    rows = rows[kept]
    return Parts(np.column_stack([parts.rows[firsts[kept]], rows]), sums[kept], block.out_width[rows])


def thin(parts: Parts, num_best: int) -> Parts:
    """Drop the parts to which ``num_best`` others of the same width are equal or better in loss and every cost."""
    groups = [np.flatnonzero(parts.width == width) for width in np.unique(parts.width)]
    kept = [group[layers(parts.sums[group], num_best)] for group in groups]
    return parts.take(np.concatenate([_NONE, *kept]))
