"""The optimum of 40 blocks of 1,000 paths under two budgets: a linear relaxation and HiGHS on the rows
that it leaves, against the plain integer program.

Both get the same arrays; madds and num_params go together as in real layers, or have nothing to do with each other.
Run: python benchmarks/large_search.py
"""

import contextlib
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy reads it

import statistics

import numpy as np
from figure import Figure, in_turns, publish, timed
from tables import Floats, integer_program, options_of

from helixnas.search.best import best_within
from helixnas.search.merge import FrontsExplodeError, merge
from helixnas.search.options import BlockOptions
from helixnas.search.program import TOLERANCE

NUM_BLOCKS, NUM_PATHS, NUM_ROUNDS = 40, 1000, 3
SHARE = 0.35  # of the way from the cheapest to the mean


def block(rng: np.random.Generator, *, is_related: bool) -> BlockOptions:
    madds = rng.uniform(1, 10, NUM_PATHS) * rng.uniform(0.5, 1.5, NUM_PATHS)
    if is_related:
        num_params = madds * np.exp(rng.normal(0, 0.4, NUM_PATHS))
        size = madds / madds.max() + 0.7 * num_params / num_params.max()
        loss = np.exp(-size / 1.2 + rng.normal(0, 0.1, NUM_PATHS))
    else:
        num_params, loss = rng.uniform(1, 10, NUM_PATHS), rng.uniform(0, 1, NUM_PATHS)
    return options_of(np.column_stack([loss, np.round(madds * 1e6), np.round(num_params * 1e5)]))


def instance(seed: int, *, is_related: bool) -> tuple[list[BlockOptions], Floats]:
    rng = np.random.default_rng(seed)
    blocks = [block(rng, is_related=is_related) for _ in range(NUM_BLOCKS)]
    least, mean = (sum(kind(b.values[:, 1:], axis=0) for b in blocks) for kind in (np.min, np.mean))
    return blocks, least + (mean - least) * SHARE


def proven(blocks: list[BlockOptions], limits: Floats) -> float:
    """As ``solve`` goes about it: the merge is given up first."""
    with contextlib.suppress(FrontsExplodeError):
        merge(blocks, np.zeros(1 + len(limits)))
        raise AssertionError("the fronts were meant to explode")
    found = best_within(blocks, np.zeros(1 + len(limits)), limits, 1, 60)
    loss = float(sum(block.values[row, 0] for block, row in zip(blocks, found.rows[0], strict=True)))
    assert found.floor >= loss * (1 - TOLERANCE), "not proven"
    return loss


def measured(seed: int, *, is_related: bool) -> tuple[float, float, float]:
    """Our seconds, the program's, and ours for the ten best."""
    blocks, limits = instance(seed, is_related=is_related)
    program = integer_program(blocks)
    ways = [lambda: proven(blocks, limits), lambda: program(limits)]
    mine, theirs = in_turns(ways, 1)[0] if seed % 2 == 0 else in_turns(ways[::-1], 1)[0][::-1]
    assert mine[1] <= theirs[1] * (1 + 1e-6), (mine, theirs)
    seconds, ten = timed(lambda: best_within(blocks, np.zeros(1 + len(limits)), limits, 10, 60))
    assert len(ten.rows) == 10, "the next best are not proven"
    return mine[0], theirs[0], seconds


def main() -> None:
    figures = []
    for is_related in (True, False):
        rounds = [measured(seed, is_related=is_related) for seed in range(NUM_ROUNDS)]
        ours, plain, ten = zip(*rounds, strict=True)
        kind = "costs that go together" if is_related else "costs that have nothing to do with each other"
        ratio = statistics.median(theirs / mine for mine, theirs in zip(ours, plain, strict=True))
        figures.append(
            Figure(
                f"{NUM_BLOCKS} blocks x {NUM_PATHS:,} paths, two budgets, {kind}",
                f"SciPy/HiGHS as one program, gap 0: {statistics.median(plain):.2f} s, {ratio:.1f}x as long",
                ours,
                3,
                "s",
                is_more_better=False,
                note=f"{NUM_ROUNDS} instances, all proven, the program's loss or better; the ten best took "
                f"{statistics.median(ten):.1f} s",
            )
        )
    publish(*figures)


if __name__ == "__main__":
    main()
