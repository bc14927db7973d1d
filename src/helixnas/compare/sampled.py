"""Random architectures that take about the whole budget: what no search at all would have found."""

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from helixnas.compare.rival import Rival
from helixnas.results import Budget, Cost, CostTable
from helixnas.search_space import Architecture, Path, SearchSpace

MIN_SHARE = 0.9
"""Of the limit that is used most: what takes less is a cheaper network, and no match."""
MAX_DRAWS = 200_000
"""Seconds. Where hardly any architecture lies so close under the budget, fewer than asked are found."""


def random_rivals(
    space: SearchSpace, costs: Sequence[CostTable], fixed: Cost, budget: Budget, num_rivals: int, seed: int
) -> tuple[Rival, ...]:
    """Distinct architectures that fit the budget and take 90 % of one of its limits, drawn block by block.

    In each block every path that may follow the block before is equally likely. Without a limit every draw will do.
    """
    rng = np.random.default_rng(seed)
    options: list[dict[int, list[tuple[Path, Cost]]]] = []
    for block, table in zip(space.blocks, costs, strict=True):
        options.append(defaultdict(list))
        for in_width, key, cost in zip(table.in_widths, table.paths, table.costs, strict=True):
            options[-1][in_width].append((block.parse_path(key), cost))
    found: dict[str, Cost] = {}
    for _ in range(MAX_DRAWS):
        if len(found) == num_rivals:
            break
        architecture, cost = _draw(space, options, fixed, rng)
        shares = [getattr(cost, name) / limit for name, limit in budget.limits.items()]
        if budget.admits(cost) and max(shares, default=1.0) >= MIN_SHARE:
            found[architecture.arch_id] = cost
    return tuple(
        Rival(f"random_{index}", f"random {index + 1}", arch_id, cost)
        for index, (arch_id, cost) in enumerate(found.items())
    )


def _draw(
    space: SearchSpace, options: Sequence[dict[int, list[tuple[Path, Cost]]]], fixed: Cost, rng: np.random.Generator
) -> tuple[Architecture, Cost]:
    paths, costs, width = [], [], space.blocks[0].spec.in_width
    for block, here in zip(space.blocks, options, strict=True):
        path, cost = here[width][rng.integers(len(here[width]))]
        paths.append(path)
        costs.append(cost)
        width = block.out_width(path)
    return Architecture(tuple(paths)), reduce(add, reversed(costs), fixed)
