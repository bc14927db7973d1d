"""Propose the architectures to measure: the best of the tables, and samples that spread over what the tables predict.

Only students far apart in predicted_loss can show whether the tables order students; the k best alone cannot.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from helixnas.results import Budget, Choice
from helixnas.search.options import BlockOptions, Floats, block_options, ceilings, combine, cost_value, within
from helixnas.search.price import Pricer, counted_names
from helixnas.search_space import Architecture

MIN_SHARE = 0.9
"""The least share that a sample takes of the limit that it uses most: cheap students would flatter any order."""
_DRAWS, _MOST_ROUNDS = 20_000, 20
_POOL = 5000
"""Architectures in the pool from which samples are chosen."""


def propose(price: Pricer, best: Sequence[Choice], budget: Budget, num_students: int, seed: int) -> list[Architecture]:
    """Propose distinct architectures to measure, the tables' optimum first; fewer where the space holds no more.

    Up to half of them are the best of the tables. The others are drawn at random within the budget, at 90 % of a limit
    or more by what the tables say, and spread evenly over predicted_loss. Half of the draws take any path of a block,
    the other half the paths on the block's frontier, since random paths alone are seldom good. The samples of a smaller
    number are among those of a larger one.

    Args:
        price: Knows the tables.
        best: The best of the tables, best first.
        budget: The limits.
        num_students: How many to propose.
        seed: Of the draws.
    """
    kept = [choice.architecture for choice in best[: max(1, num_students // 2)]]
    pool = [choice for choice in _pool(price, budget, seed) if choice.architecture not in kept]
    losses = np.array([choice.predicted_loss for choice in pool])
    is_free = np.ones(len(pool), dtype=bool)
    for index in range(min(num_students - len(kept), len(pool))):
        aim = losses.min() + _halfway(index) * (losses.max() - losses.min())
        nearest = int(np.argmin(np.where(is_free, np.abs(losses - aim), np.inf)))
        is_free[nearest] = False
        kept.append(pool[nearest].architecture)
    return kept


def _halfway(index: int) -> float:
    """The van der Corput sequence, 0, 1/2, 1/4, 3/4, 1/8 and so on: each first part of it lies evenly over 0 to 1."""
    return int(f"{index:012b}"[::-1], 2) / 2**12


def _pool(price: Pricer, budget: Budget, seed: int) -> list[Choice]:
    """Random architectures in the budget band, without repeats; fewer where they are rare."""
    rng = np.random.default_rng(seed)
    names = counted_names(budget)
    options = block_options(price.space, *price.tables, names)
    contenders = [np.flatnonzero(np.isin(option.path, option.contenders())) for option in options]
    fixed = np.array([0.0, *(cost_value(price.fixed, name) for name in names)])
    limits = ceilings(budget, names)
    found: dict[Architecture, Choice] = {}
    for index in range(_MOST_ROUNDS):
        room = (_POOL // 2 if index % 2 == 0 else _POOL) - len(found)
        drawn = [
            rng.choice(few if index % 2 else len(o.path), _DRAWS) for few, o in zip(contenders, options, strict=True)
        ]
        rows = np.column_stack(drawn)[_is_in_band(options, drawn, fixed, limits)]
        for row in rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]:  # without repeats, as they were drawn
            blocks = zip(price.space.blocks, options, row, strict=True)
            architecture = Architecture(tuple(block.path_at(int(option.path[i])) for block, option, i in blocks))
            if room > 0 and architecture not in found:
                found[architecture] = price(architecture)
                room -= 1
            if room <= 0:
                break
        if len(found) >= _POOL:
            break
    return list(found.values())


def _is_in_band(
    options: Sequence[BlockOptions], rows: Sequence[NDArray[np.int64]], fixed: Floats, limits: Floats
) -> NDArray[np.bool_]:
    """Whether the blocks of each draw join, and whether its costs are within the limits but close to one of them."""
    drawn = [option.part(row) for option, row in zip(options, rows, strict=True)]
    sums = reduce(lambda total, part: combine(total, part.values, options[0].is_max), reversed(drawn), fixed)[:, 1:]
    joins = np.ones(len(sums), dtype=bool)
    for before, behind in pairwise(drawn):
        joins &= before.out_width == behind.in_width
    is_close = (sums >= MIN_SHARE * limits).any(axis=1) | ~np.isfinite(limits).any()
    return np.asarray(joins & within(sums, limits) & is_close)
