"""The k best under limits where whole fronts are out of reach: a relaxation, a beam, and HiGHS on what is left.

The relaxation's floors leave few rows that can be in a better architecture than those the beam has found (reduced-cost
fixing, as in multiple-choice knapsacks: Kellerer, Pferschy and Pisinger 2004, ch. 11).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from helixnas.search.options import BlockOptions
from helixnas.search.parts import Floats
from helixnas.search.program import solve_program
from helixnas.search.relax import Floors, relax
from helixnas.search.sweep import SLACK, sweep

TOLERANCE = 1e-9
"""Relative: a gap that counts as none."""
_BEAMS = (256, 2048, 16384)
"""Parts that go on from block to block, sweep by sweep."""
_CORE = (5, 10, 20)
"""Rows a block, on average, that these sweeps look at ..."""
_SMALL = 400
"""... and so many in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Rows [n, blocks], the lowest loss first: the best that were found, none if n is 0.

    Nothing within the limits has a lower loss than ``floor``; it is infinite where nothing fits. Nothing but ``rows``
    has less than ``floor_of_rest``.
    """

    rows: NDArray[np.int64]
    losses: Floats
    floor: float
    floor_of_rest: float

    def loss(self, rank: int) -> float:
        """The loss of the best (1), or of the rank-th; infinite if so many were not found."""
        return float(self.losses[rank - 1]) if len(self.losses) >= rank else np.inf

    def with_more(self, options: Sequence[BlockOptions], rows: NDArray[np.int64]) -> "Found":
        """The same with more architectures, given by the row [n, blocks] of each block; sorted by loss."""
        every = np.unique(np.concatenate([self.rows, rows]), axis=0)
        losses = sum(block.values[every[:, index], 0] for index, block in enumerate(options))
        order = np.argsort(losses, kind="stable")
        return replace(self, rows=every[order], losses=np.asarray(losses)[order])


def best_within(options: Sequence[BlockOptions], limits: Floats, num_best: int, time_limit_s: float) -> Found:
    """The ``num_best`` best within ``limits`` [d], and more, with what is proven of them when the time is over.

    ``limits`` are without stem and head. Ties may come out in any order.
    """
    end = time.monotonic() + time_limit_s
    most = sum((block.values.max(axis=0) for block in options), start=np.zeros(1 + len(limits)))
    limits = np.minimum(limits, most[1:])
    floors = relax(options, limits)
    found = Found(np.zeros((0, len(options)), dtype=np.int64), np.zeros(0), floors.best.floor, floors.best.floor)
    if floors.best.floor > most[0] * (1 + TOLERANCE):
        return replace(found, floor=np.inf, floor_of_rest=np.inf)
    for beam, size in zip(_BEAMS, _CORE, strict=True):
        found = _swept(found, options, floors, limits, num_best, beam, max(_SMALL, size * len(options)))
        if found.floor_of_rest >= found.loss(num_best) * (1 - TOLERANCE):
            return found
    if found.floor >= found.loss(1) * (1 - TOLERANCE):
        return found
    return _programmed(found, options, floors, limits, end - time.monotonic())


def _swept(
    found: Found,
    options: Sequence[BlockOptions],
    floors: Floors,
    limits: Floats,
    num_best: int,
    beam: int,
    size: int,
) -> Found:
    bar = found.loss(num_best)
    core, left_out = _core(options, floors, bar, size)
    rows, dropped = sweep(
        [_part(b, kept) for b, kept in zip(options, core, strict=True)], floors, limits, bar, num_best, beam
    )
    found = found.with_more(options, _original(core, rows))
    rest = min(left_out, dropped)
    return replace(found, floor=max(found.floor, min(found.loss(1), rest)), floor_of_rest=rest)


def _programmed(found: Found, options: Sequence[BlockOptions], floors: Floors, limits: Floats, seconds: float) -> Found:
    core, _ = _core(options, floors, found.loss(1), None)
    unit = max(abs(floors.best.floor), TOLERANCE)
    answer = solve_program([_part(b, kept) for b, kept in zip(options, core, strict=True)], limits, unit, seconds)
    if answer.rows is not None:
        found = found.with_more(options, _original(core, answer.rows[None]))
    return replace(found, floor=max(found.floor, min(found.loss(1), answer.floor)))


def _core(
    options: Sequence[BlockOptions], floors: Floors, bar: float, size: int | None
) -> tuple[list[NDArray[np.int64]], float]:
    """For each block the rows that may be in something as good as ``bar``, the ``size`` most likely of all.

    And the floor of those that were left out for their number.
    """
    through = floors.through()
    edge, left_out = bar + SLACK * abs(bar), np.inf
    every = np.concatenate(through)
    if size is not None and np.count_nonzero(every <= edge) > size:
        edge = float(np.partition(every, size)[size])
        left_out = float(every[every > edge].min(initial=np.inf))
    return [np.flatnonzero(floor <= edge) for floor in through], left_out


def _part(block: BlockOptions, kept: NDArray[np.int64]) -> BlockOptions:
    return BlockOptions(block.in_width[kept], block.out_width[kept], block.path[kept], block.values[kept])


def _original(core: Sequence[NDArray[np.int64]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the core as rows of the whole."""
    return np.column_stack([kept[rows[:, index]] for index, kept in enumerate(core)])
