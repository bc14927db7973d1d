"""Find the k best under limits: price the costs, keep the rows whose floor is low enough, and merge what is left."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import Rows
from helixnas.search.merge import Front, FrontsExplodeError, merge
from helixnas.search.options import BlockOptions, Floats, combine, within
from helixnas.search.program import Floors, Program, best_by_program

_SLACK = 1e-12
"""Relative: the least of the blocks ahead is added in another order than an architecture's sum."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best architectures that were found, and what is proven of them.

    Attributes:
        rows: The row in each block, [n, blocks]; n is 0 if nothing was found.
        floor: Nothing within the limits has a lower loss; infinite where nothing fits.
        floor_of_rest: No other architecture within the limits has a lower loss; infinite where no other exists.
    """

    rows: Rows
    floor: float
    floor_of_rest: float


def best_within(
    options: Sequence[BlockOptions],
    fixed: Floats,
    limits: Floats,
    num_best: int,
    time_limit_s: float,
    best: Rows | None = None,
) -> Found:
    """Find the ``num_best`` best architectures within the limits and their equals; or the best alone.

    The best alone is given where it is not proven in time, and where the merge for the next best would take too long.

    Args:
        options: The options of every block.
        fixed: The loss and costs of stem and head, [1 + d], which every sum contains.
        limits: The most of each cost, [d], with stem and head.
        num_best: How many architectures are wanted.
        time_limit_s: Seconds for HiGHS to find the best; its linear relaxation and the next best are not cut short.
        best: The row of the best in each block, [blocks], where it is known.
    """
    program = Program(options, fixed, limits)
    floors, floor = program.floors(), np.inf
    if best is None and floors is not None:
        best, floor = best_by_program(program, floors, time_limit_s)
    if best is None:
        return Found(np.zeros((0, len(options)), dtype=np.int64), floor, floor)
    loss = float(program.sums(best)[0])
    floor = min(floor, loss)
    if floors is not None and num_best > 1 and loss <= floor + floors.tolerance:
        with contextlib.suppress(FrontsExplodeError):
            return _next_best(program, floors, loss, num_best)
    return Found(best[None], floor, floor)


def _next_best(program: Program, floors: Floors, lowest_loss: float, num_best: int) -> Found:
    """Find the best, the next best and their equals, given the lowest loss.

    A merge of the rows whose floor is at most a bar, without the completions whose floor is above it, gives every
    architecture whose loss is at most the bar. If these are not enough, the bar is raised.
    """
    lowest_first = np.append(np.sort(np.concatenate(floors.of_rows)), np.inf)
    num_kept, bar, kth = int(np.searchsorted(lowest_first, lowest_loss)) + num_best, -np.inf, np.inf
    while bar < kth:
        bar = min(kth, float(lowest_first[min(num_kept, len(lowest_first) - 1)]))
        front = _below(program, floors, bar + floors.tolerance, num_best)
        front = front.take(within(front.sums[:, 1:], program.limits))
        if len(front.sums) >= num_best:
            kth, num_kept = float(np.sort(front.sums[:, 0])[num_best - 1]), len(lowest_first)
        num_kept += max(num_best, num_kept // 8)
    return Found(front.rows[front.sums[:, 0] <= kth], lowest_loss, kth)


def _below(program: Program, floors: Floors, bar: float, num_best: int) -> Front:
    """Merge what may be within the limits and have a loss of at most ``bar``."""
    kept = [np.flatnonzero(np.isfinite(of_rows) & (of_rows <= bar)) for of_rows in floors.of_rows]
    options = [block.part(rows) for block, rows in zip(program.options, kept, strict=True)]
    is_max, limits = options[0].is_max, program.limits * (1 + _SLACK)
    least_ahead = [np.zeros(len(program.fixed))]
    for block in options[:-1]:
        least_ahead.append(combine(least_ahead[-1], block.values.min(axis=0), is_max))

    def may_count(block_index: int, in_width: int, sums: Floats) -> NDArray[np.bool_]:
        counts = within(combine(sums, least_ahead[block_index], is_max)[:, 1:], limits)
        counts[counts] = floors.of_parts(block_index, in_width, sums[counts]) <= bar
        return counts

    front = merge(options, program.fixed, num_best, may_count)
    return Front(front.sums, np.column_stack([rows[front.rows[:, index]] for index, rows in enumerate(kept)]))
