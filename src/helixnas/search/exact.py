"""Find the best architecture under a budget, proven, and the whole frontier: a Pareto merge of the blocks' tables.

A sum of block losses under sums of block costs has optimal substructure: if a part of an architecture is beaten in loss
and in every cost by another part that takes the same width, no completion can make the beaten part better. So fronts of
partial sums are merged block by block (the exact replacement of DNA's traversal, arXiv 1911.13053, Alg. 2, which skips
solutions). The next best come from a second merge, of the rows that floors leave (``best``).

Where the fronts of several costs grow too large, ``program`` finds the best without them, and states the gap that is
left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from helixnas.errors import OutOfTimeError
from helixnas.results import Budget, Choice, Cost, CostTable, RatingTable
from helixnas.search.best import Found, best_within
from helixnas.search.frontier import Rows
from helixnas.search.infeasible import infeasible
from helixnas.search.merge import FrontsExplodeError, merge
from helixnas.search.options import BlockOptions, Floats, block_options, ceilings, cost_value, within
from helixnas.search.price import Pricer, counted_names, pricer
from helixnas.search.program import TOLERANCE
from helixnas.search_space import Architecture, SearchSpace


@dataclass(frozen=True, slots=True)
class ExactResult:
    """The result of the exact search.

    Attributes:
        best: The ``num_best`` best architectures under the budget, best first.
        frontier: The frontier, cheapest first.
        optimality: In words, what is proven of the best.
    """

    best: tuple[Choice, ...]
    frontier: tuple[Choice, ...]
    optimality: str


def solve(
    space: SearchSpace,
    ratings: Sequence[RatingTable],
    costs: Sequence[CostTable],
    fixed: Cost,
    budget: Budget,
    num_best: int,
    time_limit_s: float,
) -> ExactResult:
    """Find the best architectures by summed ratings under ``budget``, and the frontier.

    The frontier is over predicted_loss and every limited cost, or madds where nothing is limited, and reaches beyond
    the budget. Of equal losses the cheaper comes first; of architectures equal in everything, the one with the lowest
    paths; where a maximum is limited, such as peak_memory_bytes, any of these.

    One limit takes 0.1 s for five blocks of 300 paths and 1 s for twenty. With more limits the frontier itself grows,
    and the time with it, to seconds, the less the costs go together.
    Where the frontier grows too large, the frontiers of each limited cost alone are given, equals of the best come in
    any order, and the best is sought for ``time_limit_s``.

    Args:
        space: The search space.
        ratings: The rating table of every block.
        costs: The cost table of every block.
        fixed: The cost of stem and head together.
        budget: The limits.
        num_best: How many of the best to return.
        time_limit_s: Seconds for the integer programs of the search without fronts.

    Returns:
        The best and the frontier; ``optimality`` says what is proven.

    Raises:
        InfeasibleBudgetError: No architecture fits the budget.
        ArtifactError: A table is incomplete or lacks a limited cost.
        OutOfTimeError: Nothing was found in time, and that nothing fits is not proven either.
    """
    problem = _Problem(space, block_options(space, ratings, costs, counted_names(budget)), budget, fixed)
    price = pricer(space, ratings, costs, fixed)
    try:
        return _by_fronts(problem, price, num_best, time_limit_s)
    except FrontsExplodeError:
        return _by_floors(problem, price, num_best, time_limit_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The options of all blocks with the costs that count, and the limits on them."""

    space: SearchSpace
    options: Sequence[BlockOptions]
    budget: Budget
    fixed: Cost

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the costs that count."""
        return counted_names(self.budget)

    def outside(self) -> Floats:
        """The loss, 0, and the costs of stem and head, [1 + d]."""
        return np.array([0.0, *(cost_value(self.fixed, name) for name in self.names)])

    def best(self, num_best: int, time_limit_s: float, least: int = 0, known: Rows | None = None) -> Found:
        """Find the architectures with the least of column ``least`` (0 is the loss) within the limits on all others."""
        others = [column for column in range(1, 1 + len(self.names)) if column != least]
        limits = ceilings(self.budget, [self.names[column - 1] for column in others])
        columns = [least, *others]
        return best_within(self.columns(*columns), self.outside()[columns], limits, num_best, time_limit_s, known)

    def columns(self, *indices: int) -> list[BlockOptions]:
        """The options with only these columns of their values; column 0 is the loss."""
        return [option.part(np.arange(len(option.path)), indices) for option in self.options]

    def architectures(self, rows: Iterable[Sequence[int]]) -> list[Architecture]:
        """Make architectures from their row in each block."""
        blocks = list(zip(self.space.blocks, self.options, strict=True))
        return [
            Architecture(tuple(b.path_at(int(o.path[i])) for (b, o), i in zip(blocks, row, strict=True)))
            for row in rows
        ]

    def ranked(self, choices: Iterable[Choice]) -> list[Choice]:
        """The choices within the budget, the best first; of equals the cheaper first."""
        fitting = (choice for choice in choices if self.budget.admits(choice.cost))
        return sorted(fitting, key=lambda c: (c.predicted_loss, *(cost_value(c.cost, name) for name in self.names)))


def _by_fronts(problem: _Problem, price: Pricer, num_best: int, time_limit_s: float) -> ExactResult:
    front = merge(problem.options, problem.outside())
    cheapest_first = front.rows[np.lexsort(front.sums.T[:0:-1])]
    frontier = tuple(map(price, problem.architectures(cheapest_first)))
    fitting = front.take(within(front.sums[:, 1:], ceilings(problem.budget, problem.names)))
    if not len(fitting.rows):
        raise infeasible(frontier, problem.budget, price)
    found = problem.best(num_best, time_limit_s, known=fitting.rows[np.lexsort(fitting.sums.T[::-1])[0]])
    best = problem.ranked(map(price, problem.architectures(found.rows)))[:num_best]
    return ExactResult(tuple(best), frontier, _optimality(best, found, num_best, time_limit_s))


def _by_floors(problem: _Problem, price: Pricer, num_best: int, time_limit_s: float) -> ExactResult:
    frontier = _single_frontiers(problem, price)
    found = problem.best(num_best, time_limit_s)
    if found.floor == np.inf:
        raise infeasible([*frontier, *_remedies(problem, price, time_limit_s)], problem.budget, price)
    best = problem.ranked(map(price, problem.architectures(found.rows)))[:num_best]
    if not best:
        raise OutOfTimeError(
            f"An architecture within {problem.budget} must be found within search.time_limit_s = {time_limit_s:g}, but "
            "none was, and that none exists is not proven either. Raise search.time_limit_s, or a limit of the budget."
        )
    return ExactResult(tuple(best), frontier, _optimality(best, found, num_best, time_limit_s))


def _optimality(best: Sequence[Choice], found: Found, num_best: int, time_limit_s: float) -> str:
    gap = 1 - found.floor / best[0].predicted_loss if best[0].predicted_loss else 0.0
    if gap > TOLERANCE:
        return f"within {gap:.2g} of its predicted_loss, when search.time_limit_s = {time_limit_s:g} was over"
    if len(best) == num_best or found.floor_of_rest == np.inf:
        return "proven"
    return "proven for the best; the next best are not given: too many architectures are nearly as good"


def _single_frontiers(problem: _Problem, price: Pricer) -> tuple[Choice, ...]:
    """The frontiers over predicted_loss and each cost alone, joined."""
    rows = []
    for index in range(1, 1 + len(problem.names)):
        front = merge(problem.columns(0, index), np.zeros(2))
        rows.append(front.rows)
    choices = map(price, problem.architectures(np.unique(np.concatenate(rows), axis=0)))
    return tuple(sorted(choices, key=lambda c: tuple(cost_value(c.cost, name) for name in problem.names)))


def _remedies(problem: _Problem, price: Pricer, time_limit_s: float) -> list[Choice]:
    """For each cost that is a sum, an architecture with the least of it within the other limits, if one is found."""
    columns = np.flatnonzero(~problem.options[0].is_max)[1:]
    rows = [row for column in columns for row in problem.best(1, time_limit_s, int(column)).rows]
    return list(map(price, problem.architectures(rows)))
