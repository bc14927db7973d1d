"""Small random search spaces with tables: integers as costs and coarse losses, so that ties are common."""

from dataclasses import dataclass

import numpy as np
import pytest

from helixnas.search_space import (
    BlockSpace,
    BlockSpec,
    Candidate,
    Cell,
    Cost,
    CostTable,
    RatingTable,
    SearchSpace,
)


@dataclass(frozen=True)
class Instance:
    """A search space with the tables of its blocks, and the cost of stem and head."""

    space: SearchSpace
    ratings: tuple[RatingTable, ...]
    costs: tuple[CostTable, ...]
    fixed: Cost


def make_instance(seed: int, num_blocks: int, num_paths: int, widths: tuple[int, ...] = (8,)) -> Instance:
    """Each block has a cell of ``num_paths`` candidates for each width that it may hand on."""
    rng = np.random.default_rng(seed)
    candidates = tuple(Candidate("op", (("n", n),)) for n in range(num_paths))
    blocks, ratings, costs = [], [], []
    for block_id in range(num_blocks):
        cells = tuple(Cell((width,), (1,), (candidates,)) for width in widths)
        block = BlockSpace(BlockSpec(block_id, (widths[0], 4, 4), (widths[0], 4, 4), "NCHW", ("m",)), cells)
        keys = tuple(path.key for path in block.paths())
        losses = tuple(float(loss) for loss in rng.integers(0, 12, len(keys)) / 4)
        ratings.append(RatingTable(block_id, keys, losses, 10, 0))
        in_widths = widths[:1] if block_id == 0 else widths
        rows = [(width, key) for width in in_widths for key in keys]
        prices = tuple(
            Cost(int(rng.integers(1, 20)), int(rng.integers(1, 20)), float(rng.integers(1, 20)) / 8) for _ in rows
        )
        costs.append(CostTable(block_id, tuple(w for w, _ in rows), tuple(k for _, k in rows), prices))
        blocks.append(block)
    return Instance(SearchSpace(tuple(blocks)), tuple(ratings), tuple(costs), Cost(3, 2, 0.5))


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=0, num_blocks=3, num_paths=5)
