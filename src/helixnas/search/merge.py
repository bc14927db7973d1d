"""Merge fronts of partial sums block by block, from the last block to the first, for each width between two blocks.

Every sum in this room starts with stem and head and then runs from the last block to the first. Rounding never turns an
order around (a <= b gives a + c <= b + c in floats, too), so an architecture that is dropped here is beaten to the last
bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import Rows, layers
from helixnas.search.options import BlockOptions, Floats, combine


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """The completions that no other completion beats, in the order of their rows, so the first of equals is lowest.

    Attributes:
        sums: Loss and costs of each completion, [n, 1 + d].
        rows: The row in each block, [n, blocks].
    """

    sums: Floats
    rows: Rows

    def take(self, index: Rows | NDArray[np.bool_]) -> "Front":
        """Return some of the completions."""
        return Front(self.sums[index], self.rows[index])


Keep = Callable[[int, int, Floats], NDArray[np.bool_]]
"""Function from a block's index, the width that comes in and sums [n, 1 + d] to whether to keep each, [n]."""
_MOST_SUMS = 4_000_000
"""The most sums of a block that are made at once, which takes seconds.

Where nothing but the beaten is dropped, a block may have fewer, by the square of the number of blocks left, since
fronts grow. With one cost, fronts are then far shorter and faster to make, and have no limit.
"""


class FrontsExplodeError(Exception):
    """The fronts grow so fast that the merge would take too long; this room catches the error and takes another way."""


def merge(options: Sequence[BlockOptions], fixed: Floats, num_best: int = 1, keep: Keep | None = None) -> Front:
    """Compute the front of all architectures.

    Args:
        options: The options of every block. A row may hand on a width that no row of the next block takes.
        fixed: The loss and costs of stem and head, [1 + d], which every sum contains.
        num_best: A completion is dropped only if so many others equal or beat it.
        keep: Says which completions to keep of those from some block to the last; all by default.

    Raises:
        FrontsExplodeError: A block has too many sums for the blocks still to come.
    """
    nothing = Front(fixed[None], np.zeros((1, 0), dtype=np.int64))
    behind = {int(width): nothing for width in np.unique(options[-1].out_width)}
    for index, block in reversed(list(enumerate(options))):
        most = _MOST_SUMS if keep else _MOST_SUMS / (index + 1) ** 2 if len(fixed) > 2 else np.inf
        widths = map(int, np.unique(block.in_width))
        behind = {
            width: _front(block, width, behind, num_best, most, partial(keep, index, width) if keep else None)
            for width in widths
        }
    return behind[int(options[0].in_width[0])]


def _front(
    block: BlockOptions,
    in_width: int,
    behind: dict[int, Front],
    num_best: int,
    most: float,
    keep: Callable[[Floats], NDArray[np.bool_]] | None,
) -> Front:
    """The front of a block's rows with the completions behind them, made of at most ``most`` sums."""
    deadend = next(iter(behind.values())).take(np.zeros(0, dtype=np.int64))
    parts = []
    for rows in block.rows(in_width):
        contenders = rows[layers(block.values[rows], num_best)]  # beaten inside the block is beaten everywhere
        completions = behind.get(int(block.out_width[rows[0]]), deadend)
        most -= len(contenders) * len(completions.sums)
        if most < 0:
            raise FrontsExplodeError
        sums = combine(block.values[contenders, None], completions.sums[None], block.is_max)
        sums = sums.reshape(-1, sums.shape[-1])
        kept = np.arange(len(sums)) if keep is None else np.flatnonzero(keep(sums))
        kept = kept[layers(sums[kept], num_best)]
        first, rest = np.divmod(kept, len(completions.sums) or 1)
        parts.append(Front(sums[kept], np.column_stack([contenders[first], completions.rows[rest]])))
    return parts[0] if len(parts) == 1 else _join(parts, num_best)


def _join(parts: Sequence[Front], num_best: int) -> Front:
    sums, rows = np.concatenate([part.sums for part in parts]), np.concatenate([part.rows for part in parts])
    order = np.argsort(rows[:, 0], kind="stable")  # a row hands on one width, so equal first rows are of one part
    kept = order[layers(sums[order], num_best)]
    return Front(sums[kept], rows[kept])
