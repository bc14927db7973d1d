"""Find the best without fronts: a linear relaxation, and HiGHS on the rows that it leaves.

The linear relaxation may choose rows by shares. Its dual solution puts a price on each cost, and the reduced costs give
each row a floor: no architecture with this row has a lower loss within the limits (reduced-cost fixing: Kellerer,
Pferschy and Pisinger 2004, "Knapsack Problems", ch. 11). An integer program over the few rows with the lowest floors
finds a good architecture. Rows whose floor is above its loss cannot be in a better one, so a program over all other
rows completes the proof.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from helixnas.search.frontier import Rows
from helixnas.search.options import BlockOptions, Floats, combine, within

TOLERANCE = 1e-9
"""A gap that counts as no gap, as a share of the loss."""
_FEW = 3
"""Number of rows per block, on average, that the first program considers."""
_OBJECTIVE = 1e4
"""The size to which the loss is scaled: HiGHS stops at a gap of 1e-6, in whatever unit the loss has."""


@dataclass(frozen=True, slots=True, eq=False)
class Floors:
    """Floors of the loss within the limits, from prices on the costs.

    Attributes:
        lowest: Nothing within the limits has a lower loss.
        of_rows: For each block, a floor [n] for all architectures with each row; infinite where none is within limits.
        weights: 1 for the loss, then the price of each cost, [1 + d].
        ahead: What the blocks before a block add at least to the priced sums behind it, less the price of the limits,
            by block and by width between them, [blocks, widths].
        widths: The widths, ascending.
        unit: About the size of the losses' sum.
    """

    lowest: float
    of_rows: Sequence[Floats]
    weights: Floats
    ahead: Floats
    widths: Rows
    unit: float

    @property
    def tolerance(self) -> float:
        """A difference of losses that counts as none."""
        return TOLERANCE * self.unit

    def of_parts(self, block_index: int, in_width: int, sums: Floats) -> Floats:
        """Return a floor [n] for all architectures that have these sums, [n, 1 + d], from a block to the last."""
        return np.asarray(sums @ self.weights + self.ahead[block_index, np.searchsorted(self.widths, in_width)])


class Program:
    """The choice as a linear program: a variable per row, 1 where the row is chosen; one unit flows through all blocks.

    A limit on a maximum is kept if and only if each row keeps it alone, so it leaves rows out. Limits on sums are
    constraints, each as a share of what stem and head leave of it.

    Args:
        options: The options of every block.
        fixed: The loss and costs of stem and head, [1 + d], which every sum contains.
        limits: The most of each cost, [d], with stem and head.
    """

    def __init__(self, options: Sequence[BlockOptions], fixed: Floats, limits: Floats) -> None:
        self.options, self.fixed, self.limits = options, fixed, limits
        values = np.concatenate([block.values for block in options])
        self._loss, self._starts = values[:, 0], np.cumsum([0, *(len(block.path) for block in options)])
        is_max = options[0].is_max[1:]
        self._is_open = (np.maximum(values, fixed)[:, 1:] <= limits)[:, is_max].all(axis=1)
        self._limited = 1 + np.flatnonzero(~is_max & np.isfinite(limits))  # columns that are constraints
        room = (limits - fixed[1:])[self._limited - 1]
        self._size = np.where(room > 0, room, 1.0)
        self._spent, self._room = csr_array((values[:, self._limited] / self._size).T), room / self._size
        self._widths, self._flow, self._supply = _flow(options)
        self._forbidden: list[Rows] = []

    def floors(self) -> Floors | None:
        """Solve the linear relaxation; None where it has no solution, so that nothing is within the limits.

        The floors hold for any prices: what HiGHS does not solve to the last digit makes them lower, but not wrong.
        """
        solution = linprog(
            self._loss,
            A_ub=self._spent,
            b_ub=self._room,
            A_eq=self._flow,
            b_eq=self._supply,
            bounds=np.column_stack([np.zeros(len(self._loss)), self._is_open]),
        )
        if solution.status == 2:
            return None
        assert solution.status == 0, solution.message
        prices, potentials = np.maximum(-solution.ineqlin.marginals, 0), solution.eqlin.marginals
        reduced = np.where(self._is_open, self._loss + self._spent.T @ prices - self._flow.T @ potentials, np.inf)
        lowest = np.minimum.reduceat(reduced, self._starts[:-1])
        floor = float(potentials @ self._supply + lowest.sum() - prices @ self._room)
        weights = np.zeros(len(self.fixed))
        weights[0], weights[self._limited] = 1.0, prices / self._size
        ahead = potentials @ self._supply - potentials.reshape(len(self.options), -1)
        ahead += np.cumsum([0, *lowest[:-1]])[:, None] - weights[self._limited] @ self.limits[self._limited - 1]
        of_rows = np.split(floor + reduced - np.repeat(lowest, np.diff(self._starts)), self._starts[1:-1])
        worst = float(np.maximum.reduceat(np.abs(self._loss), self._starts[:-1]).sum())
        return Floors(floor, of_rows, weights, ahead, self._widths, max(abs(floor), worst / 1000) or 1.0)

    def next_best(self, kept: NDArray[np.bool_], unit: float, seconds: float) -> tuple[Rows | None, float]:
        """Find the best choice among the rows that are kept, by HiGHS, and forbid it for the next call.

        Args:
            kept: Whether each row may be chosen, [n].
            unit: About the size of the losses' sum.
            seconds: Time for HiGHS.

        Returns:
            The row in each block, [blocks], if any was found; and a floor of the loss of every such choice.
        """
        index, scale = np.flatnonzero(kept & self._is_open), _OBJECTIVE / unit
        constraints = [
            LinearConstraint(self._flow[:, index], self._supply, self._supply),
            LinearConstraint(self._spent[:, index], -np.inf, self._room),
            *(LinearConstraint(np.isin(index, rows)[None], -np.inf, len(rows) - 1) for rows in self._forbidden),
        ]
        answer = milp(
            self._loss[index] * scale,
            constraints=constraints,
            integrality=1,
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0.0, "time_limit": seconds},
        )
        if answer.status == 2:
            return None, np.inf
        floor = -np.inf if answer.mip_dual_bound is None else float(answer.mip_dual_bound) / scale
        if answer.x is None:
            return None, floor
        self._forbidden.append(index[answer.x > 0.5])
        return self._forbidden[-1] - self._starts[:-1], floor

    def sums(self, rows: Rows) -> Floats:
        """Return the loss and costs [1 + d] of a row in each block, added up as in ``merge``."""
        sums = self.fixed
        for block, row in zip(reversed(self.options), reversed(rows), strict=True):
            sums = combine(block.values[row], sums, block.is_max)
        return sums


def best_by_program(program: Program, floors: Floors, time_limit_s: float) -> tuple[Rows | None, float]:
    """Find the best architecture within the limits, or the best so far when the time is over; ties in any order.

    HiGHS keeps limits to a millionth only. Where its answer is over a limit, it solves again without this answer.

    Args:
        program: The program.
        floors: Its floors.
        time_limit_s: Seconds for HiGHS.

    Returns:
        The row in each block, [blocks], if any was found; and a floor of the loss of everything within the limits.
    """
    end, of_rows = time.monotonic() + time_limit_s, np.concatenate(floors.of_rows)
    lowest_first, num_kept = np.sort(of_rows), _FEW * len(program.options)
    best, loss, floor = None, np.inf, floors.lowest
    while floor < loss - floors.tolerance and (seconds := end - time.monotonic()) > 0:
        edge = min(loss, lowest_first[min(num_kept, len(of_rows)) - 1])
        kept = of_rows <= edge + floors.tolerance
        rows, floor_of_kept = program.next_best(kept, floors.unit, seconds)
        floor = max(floor, min(floor_of_kept, float(of_rows[~kept].min(initial=np.inf))))
        if rows is None:
            num_kept *= 4
        elif within((sums := program.sums(rows))[1:], program.limits) and sums[0] < loss:
            best, loss, num_kept = rows, float(sums[0]), len(of_rows)
    return best, min(floor, loss)


def _flow(options: Sequence[BlockOptions]) -> tuple[Rows, csr_array, Floats]:
    """One unit enters by the first block's width; each width between two blocks hands on the flow that it gets.

    Returns:
        The widths; a matrix with a column per row of the options; and what the matrix times the choice must be.
    """
    widths = np.unique(np.concatenate([width for block in options for width in (block.in_width, block.out_width)]))
    position = np.repeat(np.arange(len(options)), [len(block.path) for block in options])
    enters = position * len(widths) + np.searchsorted(widths, np.concatenate([block.in_width for block in options]))
    leaves = np.concatenate([block.out_width for block in options])
    leaves = (position + 1) * len(widths) + np.searchsorted(widths, leaves)
    column = np.arange(len(position))
    signs = np.repeat([1.0, -1.0], len(column))
    num_nodes = (len(options) + 1) * len(widths)
    matrix = coo_array((signs, (np.concatenate([enters, leaves]), np.tile(column, 2))), (num_nodes, len(column)))
    supply = np.zeros(num_nodes)
    supply[enters[0]] = 1.0
    inner = len(options) * len(widths)  # behind the last block anything may come out
    return widths, matrix.tocsr()[:inner], supply[:inner]
