"""Find the k best architectures under limits: block by block, keep only the parts that can still be among them.

The fronts behind a block tell the least loss that any completion within the limits can have. So the best loss that each
part of an architecture can reach is known, and the k-th best of these losses is a bar: a part that cannot reach the bar
is not among the k best.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixnas.search.merge import Front, Fronts
from helixnas.search.options import BlockOptions, room_behind, within
from helixnas.search.parts import Floats, Parts, extend, nothing, thin

_SLACK = 1e-12
"""Relative: parts are summed in another order than wholes, and may differ in the last bits."""
_CHUNK = 256
"""Number of completions that are tried at once, the best first."""
_CROWD = 4096
"""With more parts than this, parts to which k others are equal or better in loss and every cost are dropped."""


def best_rows(
    options: Sequence[BlockOptions], fronts: Sequence[Fronts], limits: Floats, num_best: int
) -> NDArray[np.int64]:
    """Find rows of architectures among which are the ``num_best`` best within the limits.

    At least one architecture must fit, and losses must not be negative. A few more than the best are among the rows,
    and at the edge of the limits not all are within them: check each again.

    Args:
        options: The options of every block.
        fronts: The fronts that ``merge`` made of these options.
        limits: The most of each cost, [d], with stem and head.
        num_best: How many architectures are wanted.

    Returns:
        The row in each block, [n, blocks], in lexicographic order.
    """
    parts = nothing(options[0])
    bar = np.inf
    for block, behind in zip(options, fronts[1:], strict=True):
        parts = extend(parts, block, num_best)
        reachable = _least_loss(parts, behind, limits * (1 + _SLACK), bar, block.is_max)
        certain = _least_loss(parts, behind, limits * (1 - _SLACK), bar, block.is_max)
        if len(certain) >= num_best:  # each part leads to a different architecture
            bar = min(bar, float(np.partition(certain, num_best - 1)[num_best - 1]) * (1 + _SLACK))
        parts = parts.take(np.isfinite(reachable) & (reachable <= bar))
        parts = thin(parts, num_best) if len(parts.rows) > _CROWD else parts
    return parts.rows[np.lexsort(parts.rows.T[::-1])]


def _least_loss(parts: Parts, behind: Fronts, limits: Floats, bar: float, is_max: NDArray[np.bool_]) -> Floats:
    """The least loss [n] that each part can reach within the limits; infinite above ``bar``, or if nothing fits."""
    loss = np.full(len(parts.rows), np.inf)
    for width in np.unique(parts.width):
        here = np.flatnonzero(parts.width == width)
        room = room_behind(limits, parts.sums[here, 1:], is_max[1:])
        loss[here] = _completed(parts.sums[here, 0], room, behind[int(width)], bar)
    return loss


def _completed(losses: Floats, room: Floats, front: Front, bar: float) -> Floats:
    completions = front.sums[np.argsort(front.sums[:, 0], kind="stable")]
    loss = np.full(len(losses), np.inf)
    waiting = np.flatnonzero(within(completions[:, 1:].min(axis=0), room))
    for start in range(0, len(completions), _CHUNK):
        some = completions[start : start + _CHUNK]
        waiting = waiting[losses[waiting] + some[0, 0] <= bar]
        fits = within(some[None, :, 1:], room[waiting, None])
        found = fits.any(axis=1)
        loss[waiting[found]] = losses[waiting[found]] + some[fits[found].argmax(axis=1), 0]
        waiting = waiting[~found]
    return loss
