"""Architectures up to some block: what the searches carry from block to block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import layers
from helixnas.search.options import BlockOptions

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows [n, blocks], sums [n, 1 + d] without stem and head, width [n] handed on."""

    rows: NDArray[np.int64]
    sums: Floats
    width: NDArray[np.int64]

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Parts":
        return Parts(self.rows[index], self.sums[index], self.width[index])


def nothing(first: BlockOptions) -> Parts:
    """The one part before the first block."""
    return Parts(np.zeros((1, 0), dtype=np.int64), np.zeros((1, first.values.shape[1])), first.in_width[:1])


def extend(parts: Parts, block: BlockOptions, num_best: int) -> Parts:
    """Every part followed by every row of the block that takes its width, but for those that k others beat."""
    extended = []
    for width in np.unique(parts.width):
        front = parts.take(parts.width == width)
        groups = block.rows(int(width))
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *(g[layers(block.values[g], num_best)] for g in groups)])
        sums = front.sums[:, None] + block.values[rows]
        first, row = np.repeat(np.arange(len(front.rows)), len(rows)), np.tile(rows, len(front.rows))
        chosen = np.column_stack([front.rows[first], row])
        extended.append(Parts(chosen, sums.reshape(-1, sums.shape[-1]), block.out_width[row]))
    return _concatenate(extended)


def thin(parts: Parts, num_best: int) -> Parts:
    """Without those that k others of the same width are as good and as cheap as."""
    groups = [np.flatnonzero(parts.width == width) for width in np.unique(parts.width)]
    kept = [group[layers(parts.sums[group], num_best)] for group in groups]
    return parts.take(np.concatenate([np.zeros(0, dtype=np.int64), *kept]))


def _concatenate(parts: Sequence[Parts]) -> Parts:
    rows, sums, width = zip(*((part.rows, part.sums, part.width) for part in parts), strict=True)
    return Parts(np.concatenate(rows), np.concatenate(sums), np.concatenate(width))
