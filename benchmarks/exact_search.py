"""How much faster is the Pareto merge than an integer program? DNA's real size, 36 x 1296^4 = 10^14 architectures.

Both get the same arrays and one madds limit, take turns in one process, and must find the same loss. The merge gives
the whole frontier, HiGHS the one optimum. Run: python benchmarks/exact_search.py [rounds]
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy reads it

import itertools
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from helixnas.search.best import best_rows
from helixnas.search.merge import merge
from helixnas.search.options import BlockOptions

DEPTHS = (2, 4, 4, 4, 4)  # layers of a block; six candidates in each: 36 and 1296 paths
RELATIVE_MADDS = np.array([3, 5, 7, 6, 10, 14])  # of kernels 3, 5, 7 with expansions 3 and 6, about
SEED = 0


def block(rng: np.random.Generator, depth: int) -> BlockOptions:
    """Madds add up over layers; the loss falls with them, each path with noise of its own."""
    choices = np.array(list(itertools.product(range(6), repeat=depth)))
    madds = (1e6 * RELATIVE_MADDS[choices] * rng.uniform(0.5, 1.5, depth)).sum(axis=1).round()
    loss = np.exp(-madds / madds.max() + rng.normal(0, 0.1, len(madds)))
    width = np.ones(len(madds), dtype=np.int64)
    return BlockOptions(width, width, np.arange(len(madds)), np.column_stack([loss, madds]))


def by_merge(blocks: list[BlockOptions], limit: float) -> float:
    fronts = merge(blocks, np.zeros(2))
    (rows,) = best_rows(blocks, fronts, np.array([limit]), 1)[:1]
    return float(sum(options.values[row, 0] for options, row in zip(blocks, rows, strict=True)))


def by_integer_program(blocks: list[BlockOptions]) -> Callable[[float], float]:
    values: NDArray[np.float64] = np.concatenate([options.values for options in blocks])
    owner = np.repeat(np.arange(len(blocks)), [len(options.path) for options in blocks])
    one_each = LinearConstraint(csr_array((np.ones(len(owner)), (owner, np.arange(len(owner))))), 1, 1)

    def solve(limit: float) -> float:
        within = LinearConstraint(values[:, 1] / limit, -np.inf, 1)
        result = milp(
            values[:, 0], constraints=[one_each, within], integrality=1, bounds=Bounds(0, 1), options={"mip_rel_gap": 0}
        )
        assert result.success, result.message
        return float(result.fun)

    return solve


def timed(solver: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    loss = solver()
    return time.perf_counter() - start, loss


def main(num_rounds: int) -> None:
    rng = np.random.default_rng(SEED)
    blocks = [block(rng, depth) for depth in DEPTHS]
    frontier = merge(blocks, np.zeros(2))[0][1].sums
    limit = float(np.median(frontier[:, 1]))
    integer_program = by_integer_program(blocks)
    pairs = []
    for _ in range(num_rounds):
        merge_s, loss = timed(lambda: by_merge(blocks, limit))
        program_s, program_loss = timed(lambda: integer_program(limit))
        assert abs(loss - program_loss) < 1e-6, (loss, program_loss)
        pairs.append((merge_s, program_s))
    seconds = np.array(pairs)
    ratios = seconds[:, 1] / seconds[:, 0]
    print(f"36 x 1296^4 architectures, madds <= {limit / 1e6:.1f}M, seed {SEED}; n = {num_rounds}, taken in turns")
    for name, column in (("Pareto merge", seconds[:, 0]), ("SciPy/HiGHS, gap 0", seconds[:, 1])):
        low, middle, high = np.quantile(column, [0, 0.5, 1]) * 1000
        print(f"{name:20} {middle:9.1f} ms, from {low:.1f} to {high:.1f}")
    print(f"the merge is {np.median(ratios):.0f} times as fast, from {ratios.min():.0f} to {ratios.max():.0f},")
    print(f"and gives the whole frontier of {len(frontier)} architectures, where HiGHS gives one")
    print(
        f"on {cpu()}, one thread; Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    )


def cpu() -> str:
    """The processor's name and the cores at hand."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return f"{names[0] if names else platform.machine()} ({os.cpu_count()} cores)"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
