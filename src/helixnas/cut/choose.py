"""Choose the places to cut: where the resolution changes, and so that the blocks have equal shares of the madds."""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise, zip_longest
from operator import attrgetter

from helixnas.cut.points import Point
from helixnas.errors import CutError

CHANGED = 1.5
"""The least ratio of two features' numbers of positions that counts as another resolution. A class token is less."""
UNEVEN = 0.1
"""The price of a block of half, or twice, its equal share of the madds; it grows with the square of the doublings."""
INNER = 1.0
"""The price of a cut between two blocks that no change of resolution marks."""
SAME = 0.5
"""The price of a block that ends at the same resolution as the block before it."""
SPLIT = 0.5
"""The price of a cut where no module ends or begins; in part, where one of less than a block's equal share does."""
NESTED = 0.3
"""The price of each module that a cut lies inside, over the cut that lies inside the fewest."""
WIDE = 0.05
"""The price of each doubling of a feature's width over the narrowest feature of the same resolution."""
MIXED = 0.5
"""The price of a block whose input and output layouts differ, since few substitutes fit such a block."""
OUTSIDE = 1.0
"""The price of stem and head, which no search changes, times their share of all madds."""


def choose(points: Sequence[Point], num_blocks: int, total_madds: int) -> list[Point]:
    """Choose the ``num_blocks + 1`` points with the least sum of prices: where the stem ends, then each block.

    Args:
        points: All places that can be cut, in order.
        num_blocks: How many blocks are wanted.
        total_madds: Of the whole network. No cut lies where all of them are done, since the head needs some too.

    Raises:
        CutError: There are too few points; the message names them.
    """
    # of points with no multiply-add between them, at most one is worth a cut
    grouped = groupby((point for point in points if point.madds < total_madds), key=attrgetter("madds"))
    groups = [list(group) for _, group in grouped]
    if len(groups) <= num_blocks:
        names = ", ".join(_best(group).name for group in groups) or "none"
        remedy = f" Ask for at most {len(groups) - 1}." if len(groups) > 1 else ""
        raise CutError(
            f"{num_blocks} blocks need {num_blocks + 1} places where exactly one tensor crosses, a map or tokens, with "
            f"multiply-adds between them, but {len(groups)} were found: {names}.{remedy}"
        )
    prices = _Prices(groups, num_blocks, total_madds)
    best = [(prices.stem(index), [index]) for index in range(len(groups))]
    for block_id in range(num_blocks):
        best = [
            min(
                ((price + prices.block(block_id, row[-1], index), [*row, index]) for price, row in best[:index]),
                default=(math.inf, [index]),
            )
            for index in range(len(groups))
        ]
    _, chosen = min((price + prices.head(row[-1]), row) for price, row in best)
    return [prices.points[index] for index in chosen]


class _Prices:
    """What cuts cost, by the index of the group that they lie in."""

    def __init__(self, groups: Sequence[Sequence[Point]], num_blocks: int, total_madds: int) -> None:
        self.points = [_best(group) for group in groups]
        self._num_blocks = num_blocks
        self._share = [point.madds / total_madds for point in self.points]
        self._at = [self._point(point) for point in self.points]
        self._inner = [INNER * (not _changes(*pair)) for pair in zip_longest(groups, groups[1:], fillvalue=())]

    def stem(self, index: int) -> float:
        return self._at[index] + OUTSIDE * self._share[index]

    def block(self, block_id: int, start: int, stop: int) -> float:
        """The price of a block and of the cut that it ends with."""
        doublings = math.log2((self._share[stop] - self._share[start]) * self._num_blocks)
        before, point = self.points[start], self.points[stop]
        is_same = block_id > 0 and not _is_other(before.num_positions, point.num_positions)
        is_inner = block_id < self._num_blocks - 1
        price = UNEVEN * doublings**2 + MIXED * (before.layout != point.layout) + SAME * is_same
        return price + self._at[stop] + is_inner * self._inner[stop]

    def head(self, index: int) -> float:
        return OUTSIDE * (1 - self._share[index])

    def _point(self, point: Point) -> float:
        alike = [other.width for other in self.points if not _is_other(point.num_positions, other.num_positions)]
        nested = point.depth - min(other.depth for other in self.points)
        part = min(1, point.weight * self._num_blocks)
        return SPLIT * (1 - part) + NESTED * nested + WIDE * math.log2(point.width / min(alike))


def _best(group: Sequence[Point]) -> Point:
    """The point where the largest module ends or begins, else the last before the resolution changes."""
    heaviest = max(point.weight for point in group)
    if heaviest:
        return next(point for point in reversed(group) if point.weight == heaviest)
    for point, following in pairwise(group):
        if _is_other(point.num_positions, following.num_positions):
            return point
    return group[-1]


def _changes(group: Sequence[Point], following: Sequence[Point]) -> bool:
    """Whether the resolution changes among these points, in a module that begins with them, or at the next point."""
    steps = [(point.num_positions, other.num_positions) for point, other in pairwise([*group, *following[:1]])]
    return any(_is_other(*step) for step in [*steps, *((point.num_positions, point.onward) for point in group)])


def _is_other(num: int, other: int) -> bool:
    return max(num, other) >= CHANGED * min(num, other)
