"""The k best architectures under limits: block by block, only what can still be among them is kept.

The fronts behind a block tell the least loss that any completion within the limits can have. So each part of an
architecture knows how good it can become, and the k-th best of these is a bar that no better one can miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import layers
from helixnas.search.merge import Front, Fronts
from helixnas.search.options import BlockOptions, within

_SLACK = 1e-12
"""Relative: parts are summed in another order than wholes, and may differ in the last bits."""
_CHUNK = 256
"""Completions that are tried at once, the best first."""
_CROWD = 4096
"""More parts than that tie; then those with k others that are as good and as cheap may go."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Architectures up to some block: rows [n, blocks], sums [n, 1 + d] without stem and head, width [n] handed on."""

    rows: NDArray[np.int64]
    sums: Floats
    width: NDArray[np.int64]

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "_Parts":
        return _Parts(self.rows[index], self.sums[index], self.width[index])


def best_rows(
    options: Sequence[BlockOptions], fronts: Sequence[Fronts], limits: Floats, num_best: int
) -> NDArray[np.int64]:
    """Rows [n, blocks] of architectures among which are the ``num_best`` best within ``limits`` [d], lowest rows first.

    Something must fit. A few more than the best are among them, at the limits' edge not all within them: check again.
    Losses must not be negative.
    """
    parts = _Parts(np.zeros((1, 0), dtype=np.int64), np.zeros((1, 1 + len(limits))), options[0].in_width[:1])
    bar = np.inf
    for block, behind in zip(options, fronts[1:], strict=True):
        parts = _extend(parts, block, num_best)
        reachable = _least_loss(parts, behind, limits * (1 + _SLACK), bar)
        certain = _least_loss(parts, behind, limits * (1 - _SLACK), bar)
        if len(certain) >= num_best:  # each part leads on to an architecture of its own
            bar = min(bar, float(np.partition(certain, num_best - 1)[num_best - 1]) * (1 + _SLACK))
        parts = _thin(parts.take(np.isfinite(reachable) & (reachable <= bar)), num_best)
    return parts.rows[np.lexsort(parts.rows.T[::-1])]


def _extend(parts: _Parts, block: BlockOptions, num_best: int) -> _Parts:
    """Every part followed by every row of the block that takes its width, but for those that k others beat."""
    extended = []
    for width in np.unique(parts.width):
        front = parts.take(parts.width == width)
        groups = block.rows(int(width))
        rows = np.concatenate([group[layers(block.values[group], num_best)] for group in groups])
        sums = front.sums[:, None] + block.values[rows]
        first, row = np.repeat(np.arange(len(front.rows)), len(rows)), np.tile(rows, len(front.rows))
        chosen = np.column_stack([front.rows[first], row])
        extended.append(_Parts(chosen, sums.reshape(-1, sums.shape[-1]), block.out_width[row]))
    return _concatenate(extended)


def _thin(parts: _Parts, num_best: int) -> _Parts:
    if len(parts.rows) <= _CROWD:
        return parts
    groups = [np.flatnonzero(parts.width == width) for width in np.unique(parts.width)]
    return parts.take(np.concatenate([group[layers(parts.sums[group], num_best)] for group in groups]))


def _concatenate(parts: Sequence[_Parts]) -> _Parts:
    rows, sums, width = zip(*((part.rows, part.sums, part.width) for part in parts), strict=True)
    return _Parts(np.concatenate(rows), np.concatenate(sums), np.concatenate(width))


def _least_loss(parts: _Parts, behind: Fronts, limits: Floats, bar: float) -> Floats:
    """The least loss [n] that each part can come to within the limits; infinite above ``bar``, or if nothing fits."""
    loss = np.full(len(parts.rows), np.inf)
    for width in np.unique(parts.width):
        here = np.flatnonzero(parts.width == width)
        loss[here] = _completed(parts.sums[here], behind[int(width)], limits, bar)
    return loss


def _completed(sums: Floats, front: Front, limits: Floats, bar: float) -> Floats:
    completions = front.sums[np.argsort(front.sums[:, 0], kind="stable")]
    room = limits - sums[:, 1:]
    loss = np.full(len(sums), np.inf)
    waiting = np.flatnonzero(within(completions[:, 1:].min(axis=0), room))
    for start in range(0, len(completions), _CHUNK):
        some = completions[start : start + _CHUNK]
        waiting = waiting[sums[waiting, 0] + some[0, 0] <= bar]
        fits = within(some[None, :, 1:], room[waiting, None])
        found = fits.any(axis=1)
        loss[waiting[found]] = sums[waiting[found], 0] + some[fits[found].argmax(axis=1), 0]
        waiting = waiting[~found]
    return loss
