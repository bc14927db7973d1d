"""Merge fronts of partial sums block by block, from the last block to the first, for each width that may come in.

Every sum in this room starts with stem and head and then runs from the last block to the first. Rounding never turns an
order around (a <= b gives a + c <= b + c in floats, too), so an architecture that is dropped here is beaten to the last
bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import frontier
from helixnas.search.options import BlockOptions, combine


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """The completions that no other completion beats, in the order of their rows, so the first of equals is lowest.

    Attributes:
        sums: Loss and costs of each completion, [n, 1 + d].
        rows: The row in each block, [n, blocks].
    """

    sums: NDArray[np.float64]
    rows: NDArray[np.int64]


Fronts = dict[int, Front]
"""Fronts by the width that comes in."""


_MOST_SUMS = 4_000_000
"""The most sums of the last merge with two costs or more, which take seconds.

A merge before it may have fewer, by the square of the number of blocks left, since fronts grow. With one cost, fronts
are far shorter and faster to make, and have no limit.
"""


class FrontsExplodeError(Exception):
    """The fronts grow so fast that the merge would take too long; this room catches the error and takes another way."""


def merge(options: Sequence[BlockOptions], fixed: NDArray[np.float64]) -> list[Fronts]:
    """Compute, for each block, the fronts of all completions from that block to the last.

    Args:
        options: The options of every block.
        fixed: The loss and costs of stem and head, [1 + d], which every sum contains.

    Returns:
        The fronts of each block, and behind the last block the fronts of ``fixed`` alone.

    Raises:
        FrontsExplodeError: With two costs or more, a block has too many sums for the blocks still to come.
    """
    nothing = Front(fixed[None], np.zeros((1, 0), dtype=np.int64))
    fronts: list[Fronts] = [{int(width): nothing for width in np.unique(options[-1].out_width)}]
    for num_left, block in zip(range(len(options), 0, -1), reversed(options), strict=True):
        behind, most = fronts[0], _MOST_SUMS / num_left**2 if len(fixed) > 2 else np.inf
        fronts.insert(0, {int(width): _front(block, int(width), behind, most) for width in np.unique(block.in_width)})
    return fronts


def _front(block: BlockOptions, in_width: int, behind: Fronts, most: float) -> Front:
    """The front of a block's rows with the completions behind them, made of at most ``most`` sums."""
    parts = []
    for rows in block.rows(in_width):
        contenders = rows[frontier(block.values[rows])]  # beaten inside the block is beaten everywhere
        completions = behind[int(block.out_width[rows[0]])]
        most -= len(contenders) * len(completions.sums)
        if most < 0:
            raise FrontsExplodeError
        parts.append(_sums(block.values[contenders], contenders, completions, block.is_max))
    return parts[0] if len(parts) == 1 else _join(parts)


def _sums(values: NDArray[np.float64], rows: NDArray[np.int64], behind: Front, is_max: NDArray[np.bool_]) -> Front:
    """Combine each row with each completion, and leave the beaten out."""
    sums = combine(values[:, None], behind.sums[None], is_max).reshape(-1, values.shape[1])
    kept = frontier(sums)
    first, rest = np.divmod(kept, len(behind.sums))
    return Front(sums[kept], np.column_stack([rows[first], behind.rows[rest]]))


def _join(parts: Sequence[Front]) -> Front:
    sums, rows = np.concatenate([part.sums for part in parts]), np.concatenate([part.rows for part in parts])
    order = np.argsort(rows[:, 0], kind="stable")  # a row hands on one width, so equal first rows are of one part
    kept = order[frontier(sums[order])]
    return Front(sums[kept], rows[kept])
