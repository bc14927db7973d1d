"""Find the k best under limits where fronts grow too large: a linear relaxation, and HiGHS on the rows that it leaves.

The linear relaxation may choose rows by shares. Its dual solution puts a price on each cost, and the reduced costs give
each row a floor: no architecture with this row has a lower loss within the limits (reduced-cost fixing: Kellerer,
Pferschy and Pisinger 2004, "Knapsack Problems", ch. 11). An integer program over the rows with the lowest floors finds
an architecture, which is then forbidden, and so on. Once k are found, rows whose floor is above the k-th loss cannot be
in a better architecture, so a few programs over all other rows complete the proof.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from helixnas.search.options import BlockOptions, Floats, combine, within

TOLERANCE = 1e-9
"""Relative: a gap that counts as no gap."""
_FEW = 5
"""Number of rows per block, on average, that the first program considers."""
_OBJECTIVE = 1e4
"""The size to which the loss is scaled: HiGHS stops at a gap of 1e-6, in whatever unit the loss has."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best architectures that were found, and what is proven of them.

    Attributes:
        rows: The row in each block, [n, blocks], the lowest loss first; n is 0 if nothing was found.
        losses: The loss of each, [n].
        floor_of_rest: No other architecture within the limits has a lower loss; infinite where no other exists.
    """

    rows: NDArray[np.int64]
    losses: Floats
    floor_of_rest: float

    @property
    def floor(self) -> float:
        """Nothing within the limits has a lower loss; infinite where nothing fits."""
        return min(self.loss(1), self.floor_of_rest)

    def loss(self, rank: int) -> float:
        """Return the loss of the best (rank 1), or of the rank-th; infinite if so many were not found."""
        return float(self.losses[rank - 1]) if len(self.losses) >= rank else np.inf

    def with_more(self, rows: NDArray[np.int64], loss: float) -> "Found":
        """Return these architectures and one more, [blocks], sorted by loss."""
        place = int(np.searchsorted(self.losses, loss, side="right"))
        return Found(
            np.insert(self.rows, place, rows, axis=0), np.insert(self.losses, place, loss), self.floor_of_rest
        )


def best_within(
    options: Sequence[BlockOptions], fixed: Floats, limits: Floats, num_best: int, time_limit_s: float
) -> Found:
    """Find the ``num_best`` best architectures within the limits, with what is proven of them when the time is over.

    Args:
        options: The options of every block.
        fixed: The loss and costs of stem and head, [1 + d], which every sum contains.
        limits: The most of each cost, [d], with stem and head.
        num_best: How many architectures are wanted.
        time_limit_s: Seconds for the integer programs; the linear relaxation before them is not cut short.

    Returns:
        The best that were found, sometimes a few more; ties may come in any order.
    """
    end, program = time.monotonic() + time_limit_s, _Program(options, fixed, limits)
    floors, num_rows = program.floors(), _FEW * len(options)
    lowest_first = np.sort(floors)
    found = Found(np.zeros((0, len(options)), dtype=np.int64), np.zeros(0), float(lowest_first[0]))
    while found.floor_of_rest < found.loss(num_best) and (seconds := end - time.monotonic()) > 0:
        if len(found.losses) >= num_best:
            edge = found.loss(num_best) + TOLERANCE * program.unit
        else:
            edge = lowest_first[min(num_rows, len(floors)) - 1]
        kept = np.isfinite(floors) & (floors <= edge)
        chosen, bound = program.solve(kept, seconds)
        bound = min(bound, float(floors[~kept].min(initial=np.inf)))
        found = replace(found, floor_of_rest=max(found.floor_of_rest, bound))
        if chosen is None:
            num_rows *= 4
            continue
        program.forbid(chosen)
        rows, sums = program.architecture(chosen)
        if within(sums[1:], limits):  # HiGHS keeps limits to a millionth only
            found = found.with_more(rows, float(sums[0]))
    return found


class _Program:
    """An integer program with one variable per row, 1 where the row is chosen; one unit flows from width to width.

    A limit on a maximum is kept if and only if each row keeps it alone, so it leaves rows out. Limits on sums are
    constraints, each as a share of what stem and head leave of it.

    Attributes:
        unit: About the size of the losses' sum, by which the objective is scaled.
    """

    def __init__(self, options: Sequence[BlockOptions], fixed: Floats, limits: Floats) -> None:
        self._options, self._fixed = options, fixed
        self._values = np.concatenate([block.values for block in options])
        self._starts = np.cumsum([0, *(len(block.path) for block in options)])
        is_max = options[0].is_max
        highest, room = combine(fixed, self._values, is_max), (limits - fixed[1:])[~is_max[1:]]
        self._is_open = within(np.where(is_max, highest, -np.inf)[:, 1:], limits)
        size = np.where(room > 0, room, 1.0)
        self._spent, self._room = csr_array((self._values[:, 1:][:, ~is_max[1:]] / size).T), room / size
        self._flow, self._supply = _flow(options)
        self._forbidden: list[NDArray[np.bool_]] = []
        self.unit = 1.0

    def floors(self) -> Floats:
        """Return a floor [n] of the loss of all architectures with each row; infinite where none is within the limits.

        The floors hold for any prices, so what HiGHS leaves unsolved makes them lower, but not wrong.
        """
        loss = self._values[:, 0]
        solution = linprog(
            loss,
            A_ub=self._spent,
            b_ub=self._room,
            A_eq=self._flow,
            b_eq=self._supply,
            bounds=np.column_stack([np.zeros(len(loss)), self._is_open]),
        )
        if solution.status == 2:
            return np.full(len(loss), np.inf)
        prices, potentials = np.minimum(solution.ineqlin.marginals, 0), solution.eqlin.marginals
        reduced = np.where(self._is_open, loss - self._spent.T @ prices - self._flow.T @ potentials, np.inf)
        lowest = np.minimum.reduceat(reduced, self._starts[:-1])
        floor = float(prices @ self._room + potentials @ self._supply + lowest.sum())
        self.unit = abs(floor) or 1.0
        return floor + reduced - np.repeat(lowest, np.diff(self._starts))

    def solve(self, kept: NDArray[np.bool_], seconds: float) -> tuple[NDArray[np.int64] | None, float]:
        """Find the best architecture of the rows that are kept, [n], which is not forbidden.

        Returns:
            The rows that are chosen, [blocks], if any were found; and a floor of the loss of all such architectures.
        """
        index, scale = np.flatnonzero(kept), _OBJECTIVE / self.unit
        constraints = [
            LinearConstraint(self._flow[:, index], self._supply, self._supply),
            LinearConstraint(self._spent[:, index], -np.inf, self._room),
        ]
        if self._forbidden:
            cuts = np.array(self._forbidden)[:, index].astype(float)
            constraints.append(LinearConstraint(cuts, -np.inf, len(self._options) - 1))
        answer = milp(
            self._values[index, 0] * scale,
            constraints=constraints,
            integrality=1,
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0.0, "time_limit": seconds},
        )
        if answer.status == 2:
            return None, np.inf
        floor = -np.inf if answer.mip_dual_bound is None else float(answer.mip_dual_bound) / scale
        return None if answer.x is None else index[answer.x > 0.5], floor

    def forbid(self, chosen: NDArray[np.int64]) -> None:
        """Forbid these rows together, [blocks]."""
        cut = np.zeros(len(self._values), dtype=bool)
        cut[chosen] = True
        self._forbidden.append(cut)

    def architecture(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        """Return the row in each block, [blocks], and the sums [1 + d], which are added up as in ``merge``."""
        sums = self._fixed
        for row in chosen[::-1]:
            sums = combine(self._values[row], sums, self._options[0].is_max)
        return chosen - self._starts[:-1], sums


def _flow(options: Sequence[BlockOptions]) -> tuple[csr_array, Floats]:
    """One unit enters by the first block's width; each width between two blocks hands on the flow that it gets.

    Returns:
        A matrix with a column per row of the options, and what the matrix times the choice must be.
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
    return matrix.tocsr()[:inner], supply[:inner]
