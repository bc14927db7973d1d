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
_MOST_TILT = 1e5
"""The most by which the logarithm of a row's chance falls with the share of the limits that the row takes."""


def propose(price: Pricer, best: Sequence[Choice], budget: Budget, num_students: int, seed: int) -> list[Architecture]:
    """Propose distinct architectures to measure, the tables' optimum first; fewer where the space holds no more.

    Up to half of them are the best of the tables. The others are drawn at random within the budget, at 90 % of a limit
    or more by what the tables say, and spread evenly over predicted_loss. Half of the draws take any path of a block,
    the other half the paths on the block's frontier, since random paths alone are seldom good. The samples of a smaller
    number are among those of a larger one. Where not even the dearest architecture takes 90 % of a limit, all may be
    drawn.

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
    band = _Band(options, np.array([cost_value(price.fixed, name) for name in names]), ceilings(budget, names))
    every = [np.arange(len(option.path)) for option in options]
    contenders = [np.flatnonzero(np.isin(option.path, option.contenders())) for option in options]
    chances = band.chances(every), band.chances(contenders)
    found: dict[Architecture, Choice] = {}
    for index in range(_MOST_ROUNDS):
        room = (_POOL // 2 if index % 2 == 0 else _POOL) - len(found)
        allowed = zip((every, contenders)[index % 2], chances[index % 2], strict=True)
        drawn = np.column_stack([rng.choice(rows, _DRAWS, p=chance) for rows, chance in allowed])
        drawn = drawn[band.holds(drawn)]
        for row in drawn[np.sort(np.unique(drawn, axis=0, return_index=True)[1])]:  # in order, without repeats
            if room <= 0:
                break
            blocks = zip(price.space.blocks, options, row, strict=True)
            architecture = Architecture(tuple(block.path_at(int(option.path[i])) for block, option, i in blocks))
            if architecture not in found:
                found[architecture] = price(architecture)
                room -= 1
        if len(found) >= _POOL:
            break
    return list(found.values())


class _Band:
    """The architectures whose costs are within all limits and close to one of them.

    A limit that not even the dearest architecture comes close to is no limit to be close to.

    Args:
        options: The tables of all blocks.
        fixed: The costs of stem and head, [d].
        limits: The most of each cost, [d].
    """

    def __init__(self, options: Sequence[BlockOptions], fixed: Floats, limits: Floats) -> None:
        self._options, self._fixed, self._limits, self._is_max = options, fixed, limits, options[0].is_max
        dearest = np.array([option.values.max(axis=0) for option in options])
        whole = self._total([np.append(0.0, fixed), *dearest])[1:]
        self._counts = np.isfinite(limits) & (whole >= MIN_SHARE * limits)

    def holds(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of draws [n, blocks] whether their blocks join and their costs lie in the band, [n]."""
        drawn = [option.part(column) for option, column in zip(self._options, rows.T, strict=True)]
        sums = self._total([np.append(0.0, self._fixed), *(part.values for part in reversed(drawn))])[:, 1:]
        joins = np.ones(len(sums), dtype=bool)
        for before, behind in pairwise(drawn):
            joins &= before.out_width == behind.in_width
        is_close = (sums >= MIN_SHARE * self._limits)[:, self._counts].any(axis=1) | (not self._counts.any())
        return np.asarray(joins & within(sums, self._limits) & is_close)

    def chances(self, allowed: Sequence[NDArray[np.int64]]) -> list[Floats]:
        """Return the chance of each allowed row of each block, such that the mean draw lies in the middle of the band.

        Equal chances would seldom hit a tight budget, and never with many blocks. So a row's chance falls, or rises,
        exponentially with the share of the limits that it takes.
        """
        counts = self._counts & ~self._is_max[1:]
        limits = np.where(counts, self._limits, np.inf)
        shares = [option.values[rows, 1:] / limits for option, rows in zip(self._options, allowed, strict=True)]

        def tilted(tilt: float) -> list[Floats]:
            exponents = [-tilt * share.sum(axis=1) for share in shares]
            weights = [np.exp(exponent - exponent.max()) for exponent in exponents]
            return [weight / weight.sum() for weight in weights]

        low, high = -_MOST_TILT, _MOST_TILT
        while counts.any() and high - low > _MOST_TILT / 2**30:
            middle = (low + high) / 2
            means = [chance @ share for chance, share in zip(tilted(middle), shares, strict=True)]
            is_dear = float((self._fixed / limits + np.sum(means, axis=0)).max()) > (1 + MIN_SHARE) / 2
            low, high = (middle, high) if is_dear else (low, middle)
        return tilted((low + high) / 2)

    def _total(self, parts: Sequence[Floats]) -> Floats:
        return reduce(lambda total, part: combine(total, part, self._is_max), parts)
