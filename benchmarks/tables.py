"""Tables of made-up blocks, as the search reads them, and the integer program that any of them is."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from helixnas.search.options import BlockOptions

RELATIVE_MADDS = np.array([3, 5, 7, 6, 10, 14])  # of kernels 3, 5, 7 with expansions 3 and 6, about
Floats = NDArray[np.float64]


def options_of(values: Floats) -> BlockOptions:
    """A block of one width, from its paths' losses and costs [n, 1 + d]."""
    width = np.ones(len(values), dtype=np.int64)
    return BlockOptions(width, width, np.arange(len(values)), values, np.zeros(values.shape[1], dtype=bool))


def layered(rng: np.random.Generator, depth: int) -> BlockOptions:
    """Six candidates a layer: madds add up over layers; the loss falls with them, each path with noise of its own."""
    choices = np.array(list(itertools.product(range(6), repeat=depth)))
    madds = (1e6 * RELATIVE_MADDS[choices] * rng.uniform(0.5, 1.5, depth)).sum(axis=1).round()
    loss = np.exp(-madds / madds.max() + rng.normal(0, 0.1, len(madds)))
    return options_of(np.column_stack([loss, madds]))


def integer_program(blocks: Sequence[BlockOptions]) -> Callable[[Floats], float]:
    """The plain program: one path a block, the costs within limits [d], the least loss with no gap, by HiGHS."""
    values: Floats = np.concatenate([options.values for options in blocks])
    owner = np.repeat(np.arange(len(blocks)), [len(options.path) for options in blocks])
    one_each = LinearConstraint(csr_array((np.ones(len(owner)), (owner, np.arange(len(owner))))), 1, 1)

    def solve(limits: Floats) -> float:
        within = LinearConstraint((values[:, 1:] / limits).T, -np.inf, 1)
        result = milp(
            values[:, 0], constraints=[one_each, within], integrality=1, bounds=Bounds(0, 1), options={"mip_rel_gap": 0}
        )
        assert result.success, result.message
        return float(result.fun)

    return solve
