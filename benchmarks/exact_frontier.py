"""The whole frontier of DNA's real size, 36 x 1296^4 = 10^14 architectures, by the Pareto merge.

Against HiGHS, which finds one optimum from the same arrays, in turns; and against an evolutionary search of 50,000
evaluations, for what it misses. The merge is checked against brute force on small spaces first.
Run: python benchmarks/exact_frontier.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy reads it

import itertools
import statistics

import numpy as np
from figure import Figure, in_turns, publish, timed
from tables import Floats, integer_program, layered, options_of

from helixnas.search.merge import merge
from helixnas.search.options import BlockOptions

DEPTHS = (2, 4, 4, 4, 4)  # layers of a block; six candidates in each: 36 and 1296 paths
NUM_ROUNDS = 7
NUM_SMALL = 50
NUM_EVALUATIONS, POPULATION = 50_000, 100


def best_loss(blocks: list[BlockOptions], limit: float) -> float:
    """The whole frontier, and from it the optimum under one limit."""
    sums = merge(blocks, np.zeros(2)).sums
    return float(sums[sums[:, 1] <= limit, 0].min())


def check_by_brute_force(rng: np.random.Generator) -> None:
    """Every point of the frontier of small spaces, 4 x 6^3 architectures each."""
    for _ in range(NUM_SMALL):
        sizes = (4, 6, 6, 6)
        blocks = [options_of(np.column_stack([rng.random(n), rng.integers(1, 50, n)])) for n in sizes]
        sums = np.array([sum(row) for row in itertools.product(*(block.values for block in blocks))])
        sums = sums[np.lexsort(sums.T)]  # by madds, then by loss
        lowest = np.minimum.accumulate(np.r_[np.inf, sums[:-1, 0]])
        wanted = sums[sums[:, 0] < lowest]
        found = merge(blocks, np.zeros(2)).sums
        assert np.allclose(found[np.argsort(found[:, 1])], wanted, rtol=1e-12)


def evolve(blocks: list[BlockOptions], limit: float, seed: int) -> float:
    """Tournaments of two, uniform crossover, a mutation a child; over the limit counts as worse than any within it.

    The best of parents and children live on. A child known already is not evaluated again.
    """
    rng = np.random.default_rng(seed)
    sizes = [len(block.values) for block in blocks]
    population = rng.integers(0, sizes, (POPULATION, len(sizes)))
    seen, keys = {tuple(row) for row in population}, _fitness(blocks, population, limit)
    while len(seen) < NUM_EVALUATIONS:
        rivals = rng.integers(0, POPULATION, (2, 2, POPULATION))
        mother, father = population[np.where(keys[rivals[0]] <= keys[rivals[1]], rivals[0], rivals[1])]
        children = np.where(rng.random(mother.shape) < 0.5, mother, father)
        mutated = rng.random(children.shape) < 1 / len(sizes)
        children = np.where(mutated, rng.integers(0, sizes, children.shape), children)
        fresh = np.array([row for row in dict.fromkeys(map(tuple, children)) if row not in seen]).reshape(
            -1, len(sizes)
        )
        seen.update(map(tuple, fresh))
        population = np.concatenate([population, fresh.astype(np.int64)])
        keys = np.concatenate([keys, _fitness(blocks, fresh.astype(np.int64), limit)])
        kept = np.argsort(keys, kind="stable")[:POPULATION]
        population, keys = population[kept], keys[kept]
    return float(keys[0])


def _fitness(blocks: list[BlockOptions], rows: Floats, limit: float) -> Floats:
    sums = sum(block.values[rows[:, index]] for index, block in enumerate(blocks))
    over = np.maximum(sums[:, 1] / limit - 1, 0)
    return np.where(over > 0, 1e3 + over, sums[:, 0])


def main() -> None:
    rng = np.random.default_rng(0)
    check_by_brute_force(rng)
    blocks = [layered(rng, depth) for depth in DEPTHS]
    frontier = merge(blocks, np.zeros(2)).sums
    limit = float(np.median(frontier[:, 1]))
    program = integer_program(blocks)
    rounds = in_turns([lambda: best_loss(blocks, limit), lambda: program(np.array([limit]))], NUM_ROUNDS)
    assert all(abs(ours[1] - theirs[1]) < 1e-6 for ours, theirs in rounds)
    milliseconds = [1000 * timed(lambda: merge(blocks, np.zeros(2)))[0] for _ in range(NUM_ROUNDS)]
    optimum = rounds[0][0][1]
    gaps = [100 * (evolve(blocks, limit, seed) / optimum - 1) for seed in range(NUM_ROUNDS)]
    reached = sum(gap < 1e-9 for gap in gaps)
    publish(
        Figure(
            f"exact frontier of 10^14 ({len(frontier)} architectures)",
            "the goal alone: no rival gives it",
            tuple(milliseconds),
            20,
            "ms",
            is_more_better=False,
            note=f"equal to brute force on {NUM_SMALL} small spaces",
        ),
        Figure(
            "frontier and optimum under a limit",
            "SciPy/HiGHS, gap 0, for the optimum alone",
            tuple(theirs[0] / ours[0] for ours, theirs in rounds),
            20,
            note=f"the same loss; HiGHS took {statistics.median(theirs[0] for _, theirs in rounds):.2f} s",
        ),
        Figure(
            "gap of the merge to the optimum that HiGHS proves",
            f"an evolutionary search of {NUM_EVALUATIONS:,} evaluations",
            tuple(100 * max(0.0, ours[1] / theirs[1] - 1) for ours, theirs in rounds),
            1e-6,
            "%",
            is_more_better=False,
            note=f"evolution's gap: {min(gaps):.2g} to {max(gaps):.2g} %, median {statistics.median(gaps):.2g} %, "
            f"{reached} of {NUM_ROUNDS} seeds reached the optimum; each evaluation is a look into the tables",
        ),
    )


if __name__ == "__main__":
    main()
