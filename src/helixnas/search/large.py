"""Find the k best under limits where fronts grow too large: a relaxation, a beam, and HiGHS on the rest.

The floors of the relaxation leave few rows that can be in a better architecture than those that the beam has found
(reduced-cost fixing, as in multiple-choice knapsacks: Kellerer, Pferschy and Pisinger 2004, ch. 11).
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
"""Relative: a gap that counts as no gap."""
_BEAMS = (256, 2048, 16384)
"""For each sweep, the number of parts that go on from block to block."""
_CORE = (5, 10, 20)
"""For each sweep, the number of rows per block that it considers, on average over blocks."""
_SMALL = 400
"""The number of rows in all blocks together that each sweep considers at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best architectures that were found, and what is proven of them.

    Attributes:
        rows: The row in each block, [n, blocks], the lowest loss first; n is 0 if nothing was found.
        losses: The loss of each, [n].
        floor: Nothing within the limits has a lower loss; infinite where nothing fits.
        floor_of_rest: No architecture outside ``rows`` has a lower loss.
    """

    rows: NDArray[np.int64]
    losses: Floats
    floor: float
    floor_of_rest: float

    @classmethod
    def none(cls, num_blocks: int) -> "Found":
        """Return that nothing fits."""
        return cls(np.zeros((0, num_blocks), dtype=np.int64), np.zeros(0), np.inf, np.inf)

    def loss(self, rank: int) -> float:
        """Return the loss of the best (rank 1), or of the rank-th; infinite if so many were not found."""
        return float(self.losses[rank - 1]) if len(self.losses) >= rank else np.inf

    def with_more(self, options: Sequence[BlockOptions], rows: NDArray[np.int64]) -> "Found":
        """Return these and more rows, without doubles, sorted by loss."""
        every = np.unique(np.concatenate([self.rows, rows]), axis=0)
        losses = sum(block.values[every[:, index], 0] for index, block in enumerate(options))
        order = np.argsort(losses, kind="stable")
        return replace(self, rows=every[order], losses=np.asarray(losses)[order])


def best_within(options: Sequence[BlockOptions], limits: Floats, num_best: int, time_limit_s: float) -> Found:
    """Find the ``num_best`` best within the limits, and more, with what is proven of them when the time is over.

    A limit on a maximum is kept if and only if each block keeps it alone. So such limits leave rows out, and the search
    is under the limits on sums.

    Args:
        options: The options of every block.
        limits: The most of each cost, [d], without stem and head.
        num_best: How many architectures are wanted.
        time_limit_s: Seconds for the whole search; the sweeps before HiGHS are not cut short.

    Returns:
        The best that were found; ties may come in any order.
    """
    is_max = options[0].is_max[1:]
    kept = [np.flatnonzero((block.values[:, 1:] <= limits)[:, is_max].all(axis=1)) for block in options]
    if not all(map(len, kept)):
        return Found.none(len(options))
    sums = np.flatnonzero(~is_max)
    if not len(sums):  # the loss itself stands for a cost without a limit
        sums, limits = np.array([-1]), np.array([np.inf])
    found = _best_of_sums(
        [block.part(rows, [0, *1 + sums]) for block, rows in zip(options, kept, strict=True)],
        limits[sums],
        num_best,
        time_limit_s,
    )
    return replace(found, rows=_original(kept, found.rows))


def _best_of_sums(options: Sequence[BlockOptions], limits: Floats, num_best: int, time_limit_s: float) -> Found:
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
        [block.part(kept) for block, kept in zip(options, core, strict=True)], floors, limits, bar, num_best, beam
    )
    found = found.with_more(options, _original(core, rows))
    rest = min(left_out, dropped)
    return replace(found, floor=max(found.floor, min(found.loss(1), rest)), floor_of_rest=rest)


def _programmed(found: Found, options: Sequence[BlockOptions], floors: Floors, limits: Floats, seconds: float) -> Found:
    core, _ = _core(options, floors, found.loss(1), None)
    unit = max(abs(floors.best.floor), TOLERANCE)
    answer = solve_program([block.part(kept) for block, kept in zip(options, core, strict=True)], limits, unit, seconds)
    if answer.rows is not None:
        found = found.with_more(options, _original(core, answer.rows[None]))
    return replace(found, floor=max(found.floor, min(found.loss(1), answer.floor)))


def _core(
    options: Sequence[BlockOptions], floors: Floors, bar: float, size: int | None
) -> tuple[list[NDArray[np.int64]], float]:
    """For each block the rows that may be in an architecture as good as ``bar``; the ``size`` most likely of all.

    The number is the lowest floor of the rows that were left out for lack of room.
    """
    through = floors.through()
    edge, left_out = bar + SLACK * abs(bar), np.inf
    every = np.concatenate(through)
    if size is not None and np.count_nonzero(every <= edge) > size:
        edge = float(np.partition(every, size)[size])
        left_out = float(every[every > edge].min(initial=np.inf))
    return [np.flatnonzero(floor <= edge) for floor in through], left_out


def _original(core: Sequence[NDArray[np.int64]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn rows of the core into rows of the whole options."""
    return np.column_stack([kept[rows[:, index]] for index, kept in enumerate(core)])
