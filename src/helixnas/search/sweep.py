"""Sweep a beam over the blocks: parts with the lowest floors go on, and the lowest floor of the dropped is remembered.

If that floor is no lower than the k-th best loss that was found, nothing better was dropped: the k best are proven.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixnas.search.options import BlockOptions, within
from helixnas.search.parts import Floats, extend, nothing, thin
from helixnas.search.relax import Floors

SLACK = 1e-12
"""Relative: parts are summed in another order than wholes, and may differ in the last bits."""
_CROWDING = 4
"""This many times the beam's width is the number of parts that are compared with each other."""


def sweep(
    options: Sequence[BlockOptions], floors: Floors, limits: Floats, bar: float, num_best: int, width: int
) -> tuple[NDArray[np.int64], float]:
    """Find architectures within the limits whose loss is at most ``bar``.

    Args:
        options: The options of every block.
        floors: Floors of these options.
        limits: The most of each cost, [d], without stem and head.
        bar: The highest loss of interest.
        num_best: How many architectures are wanted.
        width: How many parts go on from each block.

    Returns:
        Rows [n, blocks], and a number: any other architecture within the limits has at least that loss, or more than
            ``bar``, or ``num_best`` others that are as good.
    """
    beam = _Beam(options, floors, limits, bar)
    parts = nothing(options[0])
    for block in options:
        beam.num_blocks, beam.width = beam.num_blocks + 1, _CROWDING * width
        parts = thin(extend(parts, block, num_best, beam.pick), num_best)
        beam.width = width
        parts = parts.take(beam.pick(parts.sums, parts.width))
    return parts.rows, beam.dropped


class _Beam:
    """Picks the parts with the lowest floors among those that can still end within the limits and below the bar."""

    def __init__(self, options: Sequence[BlockOptions], floors: Floors, limits: Floats, bar: float) -> None:
        self._floors, self._limits, self._bar = floors, limits * (1 + SLACK), bar * (1 + SLACK)
        least = [block.values[:, 1:].min(axis=0) for block in reversed(options)]
        self._least_behind = np.cumsum([np.zeros(len(limits)), *least], axis=0)[::-1]
        self.num_blocks = 0
        self.width = 1
        self.dropped = np.inf

    def pick(self, sums: Floats, width: NDArray[np.int64]) -> NDArray[np.int64]:
        kept = np.flatnonzero(within(sums[:, 1:] + self._least_behind[self.num_blocks], self._limits))
        bound = self._floors.bound(sums[kept], width[kept], self.num_blocks, self._bar)
        kept, bound = kept[bound <= self._bar], bound[bound <= self._bar]
        if len(kept) <= self.width:
            return kept
        order = np.argpartition(bound, self.width)
        self.dropped = min(self.dropped, float(bound[order[self.width]]))
        return np.sort(kept[order[: self.width]])
