"""Random architectures that take nearly the whole budget: networks that a run without any search would find."""

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np

from helixnas.compare.rival import Rival
from helixnas.results import Budget, Cost, CostTable
from helixnas.search_space import Architecture, Path, SearchSpace

MIN_SHARE = 0.9
"""The least share that a rival takes of the limit that it uses most: a cheaper network would be no fair match."""
MAX_DRAWS = 200_000
"""The most draws, which take seconds. Where few architectures come so close to the budget, fewer are found."""


def random_rivals(
    space: SearchSpace, costs: Sequence[CostTable], fixed: Cost, budget: Budget, num_rivals: int, seed: int
) -> tuple[Rival, ...]:
    """Draw distinct architectures that fit the budget and take at least 90 % of one of its limits, block by block.

    In each block, every path that may follow the block before is equally likely. Without a limit, every draw will do.

    Args:
        space: The search space.
        costs: The cost table of every block, with every kind that the budget limits.
        fixed: The cost of stem and head together.
        budget: The limits.
        num_rivals: How many architectures to find.
        seed: Of the draws.

    Returns:
        The rivals that were found, ``num_rivals`` at most.
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
        shares = [cost[name] / limit for name, limit in budget.items()]
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
