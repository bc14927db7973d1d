"""Solve the remaining choice as an integer program, with HiGHS through SciPy: one unit flows from width to width."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from helixnas.search.options import BlockOptions, within
from helixnas.search.parts import Floats
from helixnas.search.sweep import SLACK

_OBJECTIVE = 1e4
"""The size to which the loss is scaled: HiGHS stops at a gap of 1e-6, in whatever unit the loss has."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The answer of the integer program.

    Attributes:
        rows: The best row in each block, [blocks]; None if nothing was found.
        floor: Nothing has a lower loss; infinite if nothing fits.
    """

    rows: NDArray[np.int64] | None
    floor: float


def solve_program(options: Sequence[BlockOptions], limits: Floats, unit: float, seconds: float) -> Answer:
    """Find the least loss within the limits, or the best so far and a floor when the time is over.

    HiGHS keeps limits to a millionth only. Where its answer is over a limit, this choice of rows is forbidden, and
    HiGHS solves again.

    Args:
        options: The options of every block.
        limits: The most of each cost, [d].
        unit: About the size of the losses' sum.
        seconds: Time for the search.
    """
    end, program = time.monotonic() + seconds, _Program(options, limits, unit)
    floor = -np.inf
    while (left := end - time.monotonic()) > 0:
        chosen, floor = program.solve(left)
        if chosen is None:
            return Answer(None, floor)
        rows = program.rows(chosen)
        sums = sum(block.values[row] for block, row in zip(options, rows, strict=True))
        if within(np.asarray(sums)[1:], limits * (1 + SLACK)):
            return Answer(rows, floor)
        program.forbid(chosen)
    return Answer(None, floor)


class _Program:
    """An integer program with one variable per row, 1 where the row is chosen; what flows into a width leaves it."""

    def __init__(self, options: Sequence[BlockOptions], limits: Floats, unit: float) -> None:
        values = np.concatenate([block.values for block in options])
        self._sizes = [len(block.path) for block in options]
        self._loss, self._scale = values[:, 0] * (_OBJECTIVE / unit), unit / _OBJECTIVE
        size = np.where(limits > 0, limits, 1.0)
        spent = LinearConstraint((values[:, 1:] / size).T, -np.inf, limits / size)
        self._constraints = [_flow(options), spent]

    def solve(self, seconds: float) -> tuple[NDArray[np.bool_] | None, float]:
        """Which rows [n] are chosen, if any were found, and the floor."""
        options = {"mip_rel_gap": 0.0, "time_limit": seconds}
        found = milp(self._loss, constraints=self._constraints, integrality=1, bounds=Bounds(0, 1), options=options)
        if found.status == 2:
            return None, np.inf
        floor = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound) * self._scale
        if found.x is None:
            return None, floor
        chosen = found.x > 0.5
        return chosen, float(self._loss[chosen].sum()) * self._scale if found.status == 0 else floor

    def rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The row in each block."""
        starts = np.cumsum([0, *self._sizes[:-1]])
        return np.asarray(np.flatnonzero(chosen) - starts)

    def forbid(self, chosen: NDArray[np.bool_]) -> None:
        """Forbid these rows together."""
        self._constraints.append(LinearConstraint(chosen[None].astype(float), -np.inf, len(self._sizes) - 1))


def _flow(options: Sequence[BlockOptions]) -> LinearConstraint:
    """One unit enters by the first block's width; each width between two blocks hands on the flow that it gets."""
    widths = np.unique(np.concatenate([width for block in options for width in (block.in_width, block.out_width)]))
    position = np.repeat(np.arange(len(options)), [len(block.path) for block in options])
    enters = position * len(widths) + np.searchsorted(widths, np.concatenate([block.in_width for block in options]))
    leaves = np.concatenate([block.out_width for block in options])
    leaves = (position + 1) * len(widths) + np.searchsorted(widths, leaves)
    row = np.arange(len(position))
    signs = np.repeat([1.0, -1.0], len(row))
    num_nodes = (len(options) + 1) * len(widths)
    matrix = coo_array((signs, (np.concatenate([enters, leaves]), np.tile(row, 2))), (num_nodes, len(row))).tocsr()
    supply = np.zeros(num_nodes)
    supply[enters[0]] = 1.0
    inner = len(options) * len(widths)  # behind the last block anything may come out
    return LinearConstraint(matrix[:inner], supply[:inner], supply[:inner])
