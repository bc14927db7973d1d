"""Small random search spaces with tables: integers as costs and coarse losses, so that ties are common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pytest

from helixnas.blocks import BlockSpec
from helixnas.results import Budget, Choice, Cost, CostTable, RatingTable
from helixnas.search import ExactResult, Pricer, exact, pricer, solve
from helixnas.search.merge import FrontsExplodeError
from helixnas.search_space import Architecture, BlockSpace, Candidate, Cell, SearchSpace
from helixnas.search_space.candidate import slimmable
from tests.costs import three


@dataclass(frozen=True)
class Instance:
    """A search space with the tables of its blocks, and the cost of stem and head."""

    space: SearchSpace
    ratings: tuple[RatingTable, ...]
    costs: tuple[CostTable, ...]
    fixed: Cost

    @property
    def price(self) -> Pricer:
        return pricer(self.space, self.ratings, self.costs, self.fixed)

    @cached_property
    def everything(self) -> list[Choice]:
        """Every architecture, in the order of paths: what brute force looks through."""
        price = self.price
        every = map(Architecture, product(*(list(block.paths()) for block in self.space.blocks)))
        return [price(architecture) for architecture in every if self.space.joins(architecture)]

    def solve(self, budget: Budget, num_best: int = 1, time_limit_s: float = 60) -> ExactResult:
        return solve(self.space, self.ratings, self.costs, self.fixed, budget, num_best, time_limit_s)


def make_instance(
    seed: int,
    num_blocks: int,
    num_paths: int,
    widths: tuple[int, ...] = (8,),
    *,
    is_coarse: bool = True,
    make_cells: Callable[[tuple[int, ...], tuple[Candidate, ...]], tuple[Cell, ...]] | None = None,
) -> Instance:
    """Each block has a cell of ``num_paths`` candidates for each width that it may hand on, or ``make_cells``."""
    rng = np.random.default_rng(seed)
    candidates = tuple(Candidate("op", (("n", n),)) for n in range(num_paths))
    blocks, ratings, costs = [], [], []
    for block_id in range(num_blocks):
        cells = (make_cells or _cells)(widths, candidates)
        block = BlockSpace(BlockSpec(block_id, (widths[0], 4, 4), (widths[0], 4, 4), "NCHW", ("m",)), cells)
        keys = tuple(path.key for path in block.paths())
        losses = rng.integers(0, 12, len(keys)) / 4 if is_coarse else rng.random(len(keys))
        ratings.append(RatingTable(block_id, keys, tuple(map(float, losses)), 10, 0, "feature", 1.0))
        ins = widths[:1] if block_id == 0 else widths
        rows = [(width, path.key) for width in ins for path in block.paths_after(width)]
        priced = _with_peaks(_costs(rng, len(rows), is_coarse), seed, block_id)
        costs.append(CostTable(block_id, *map(tuple, zip(*rows, strict=True)), priced))
        blocks.append(block)
    return Instance(
        SearchSpace(tuple(blocks)),
        tuple(ratings),
        tuple(costs),
        three(3, 2, 0.5 if is_coarse else 0.1) | {"peak_memory_bytes": 2},
    )


def _cells(widths: tuple[int, ...], candidates: tuple[Candidate, ...]) -> tuple[Cell, ...]:
    return tuple(Cell((width,), (1,), (candidates,)) for width in widths)


def bound_cells(widths: tuple[int, ...], candidates: tuple[Candidate, ...]) -> tuple[Cell, ...]:
    """From each width that may come in a cell of its own, which hands on that width or the next."""
    pairs = [(first, last) for index, first in enumerate(widths) for last in widths[index : index + 2]]
    return tuple(Cell((last,), (1,), (candidates,), in_width=first, in_size=(4, 4)) for first, last in pairs)


def slimmable_cells(widths: tuple[int, ...], candidates: tuple[Candidate, ...]) -> tuple[Cell, ...]:
    """One cell, whose last layer chooses the width that is handed on."""
    return (Cell((widths[-1],) * 2, (1, 1), (candidates, tuple(map(slimmable, widths)))),)


def _costs(rng: np.random.Generator, num_rows: int, is_coarse: bool) -> tuple[Cost, ...]:
    counts = rng.integers(1, 20, (num_rows, 2))
    latencies = rng.integers(1, 20, num_rows) / 8 if is_coarse else rng.random(num_rows)
    return tuple(three(int(m), int(n), float(ms)) for (m, n), ms in zip(counts, latencies, strict=True))


def _with_peaks(costs: Sequence[Cost], seed: int, block_id: int) -> tuple[Cost, ...]:
    peaks = np.random.default_rng([seed, block_id]).integers(1, 9, len(costs))
    return tuple(cost | {"peak_memory_bytes": int(peak)} for cost, peak in zip(costs, peaks, strict=True))


def explode(*_: object) -> None:
    raise FrontsExplodeError


def let_fronts_explode(patch: pytest.MonkeyPatch) -> None:
    """Let the fronts of two costs and more explode, as they do where tables are large."""
    by_fronts = exact._by_fronts
    patch.setattr(
        exact, "_by_fronts", lambda problem, *a: (explode if len(problem.names) > 1 else by_fronts)(problem, *a)
    )


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=0, num_blocks=3, num_paths=5)
