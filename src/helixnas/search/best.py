"""The k best architectures under limits: block by block, only what can still be among them is kept.

The fronts behind a block tell the least loss that any completion within the limits can have. So each part of an
architecture knows how good it can become, and the k-th best of these is a bar that no better one can miss.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixnas.search.merge import Front, Fronts
from helixnas.search.options import BlockOptions, within
from helixnas.search.parts import Floats, Parts, extend, nothing, thin

_SLACK = 1e-12
"""Relative: parts are summed in another order than wholes, and may differ in the last bits."""
_CHUNK = 256
"""Completions that are tried at once, the best first."""
_CROWD = 4096
"""More parts than that tie; then those with k others that are as good and as cheap may go."""


def best_rows(
    options: Sequence[BlockOptions], fronts: Sequence[Fronts], limits: Floats, num_best: int
) -> NDArray[np.int64]:
    """Rows [n, blocks] of architectures among which are the ``num_best`` best within ``limits`` [d], lowest rows first.

    Something must fit. A few more than the best are among them, at the limits' edge not all within them: check again.
    Losses must not be negative.
    """
    parts = nothing(options[0])
    bar = np.inf
    for block, behind in zip(options, fronts[1:], strict=True):
        parts = extend(parts, block, num_best)
        reachable = _least_loss(parts, behind, limits * (1 + _SLACK), bar)
        certain = _least_loss(parts, behind, limits * (1 - _SLACK), bar)
        if len(certain) >= num_best:  # each part leads on to an architecture of its own
            bar = min(bar, float(np.partition(certain, num_best - 1)[num_best - 1]) * (1 + _SLACK))
        parts = parts.take(np.isfinite(reachable) & (reachable <= bar))
        parts = thin(parts, num_best) if len(parts.rows) > _CROWD else parts
    return parts.rows[np.lexsort(parts.rows.T[::-1])]


def _least_loss(parts: Parts, behind: Fronts, limits: Floats, bar: float) -> Floats:
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
