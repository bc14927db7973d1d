"""The k best architectures under limits, in order: A* with an exact heuristic.

The fronts behind each block tell the least loss that any completion within the limits can have. So the estimate of a
partial architecture is exact, each step leads on to an architecture of just that loss, and of the ways to extend a
part only the k most promising need be kept.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from helixnas.search.merge import Front, Fronts
from helixnas.search.options import BlockOptions

_CHUNK = 1 << 22
"""Comparisons held in memory at once, in elements."""


@dataclass(frozen=True, slots=True, order=True)
class _Part:
    """A partial architecture: the loss of its best completion, its rows, the values it has used up."""

    loss: float
    rows: tuple[int, ...]
    used: NDArray[np.float64] = field(compare=False)


def best_rows(
    options: Sequence[BlockOptions], fronts: Sequence[Fronts], limits: NDArray[np.float64], num_best: int
) -> Iterator[tuple[int, ...]]:
    """Rows of the architectures whose costs are within ``limits`` [d], from the least loss up; of equals the first rows.

    Yields at least ``num_best`` of them where there are so many; ends when none is left.
    """
    heap = [_Part(0.0, (), np.zeros(1 + len(limits)))]
    while heap:
        part = heapq.heappop(heap)
        position = len(part.rows)
        if position == len(options):
            yield part.rows
            continue
        block = options[position]
        width = int(options[position - 1].out_width[part.rows[-1]] if position else block.in_width[0])
        for extended in _extensions(part, block, width, fronts[position + 1], limits, num_best):
            heapq.heappush(heap, extended)


def _extensions(
    part: _Part, block: BlockOptions, in_width: int, behind: Fronts, limits: NDArray[np.float64], num_best: int
) -> Iterator[_Part]:
    rows = np.flatnonzero(block.in_width == in_width)
    used = part.used + block.values[rows]
    loss = used[:, 0] + _rest_loss(block.out_width[rows], limits - used[:, 1:], behind)
    order = np.argsort(loss, kind="stable")[:num_best]
    for index in order[np.isfinite(loss[order])]:
        yield _Part(float(loss[index]), (*part.rows, int(rows[index])), used[index])


def _rest_loss(widths: NDArray[np.int64], room: NDArray[np.float64], behind: Fronts) -> NDArray[np.float64]:
    """The least loss of a completion within the room [n, d] that is left, for each width [n]; infinite if none fits."""
    losses = np.full(len(widths), np.inf)
    for width in np.unique(widths):
        here = np.flatnonzero(widths == width)
        front = behind[int(width)]
        for chunk in np.array_split(here, max(1, len(here) * front.sums.size // _CHUNK)):
            losses[chunk] = _least(front, room[chunk])
    return losses


def _least(front: Front, room: NDArray[np.float64]) -> NDArray[np.float64]:
    fits = (front.sums[None, :, 1:] <= room[:, None]).all(axis=2)
    return np.where(fits, front.sums[:, 0], np.inf).min(axis=1)
