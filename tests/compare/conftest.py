"""Small random spaces with cells of the teacher's own layers among others, and tables of integers: ties are common."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from helixnas.blocks import BlockSpec
from helixnas.results import Cost, CostTable
from helixnas.search_space import SKIP, TEACHER, Architecture, BlockSpace, Cell, Path, SearchSpace, mbconv
from helixnas.search_space.candidate import fewer_layers
from tests.costs import three

OTHERS = (mbconv(3, 6, 0.25), mbconv(5, 3, 0.25))


@dataclass(frozen=True)
class Tables:
    space: SearchSpace
    costs: tuple[CostTable, ...]
    fixed: Cost

    def cost(self, architecture: Architecture) -> Cost:
        total = self.fixed
        for path, table in zip(architecture.paths, self.costs, strict=True):
            total += table.costs[table.paths.index(path.key)]
        return total

    def made_of_teacher(self) -> list[tuple[Architecture, tuple[int, ...]]]:
        """Every architecture of the teacher's layers alone, and how many layers it keeps in each block."""
        options = [
            [(path, kept) for path in block.paths() if (kept := num_kept(block, path)) is not None]
            for block in self.space.blocks
        ]
        return [
            (Architecture(tuple(path for path, _ in pairs)), tuple(kept for _, kept in pairs))
            for pairs in product(*options)
        ]


def num_kept(block: BlockSpace, path: Path) -> int | None:
    """Told from the names alone, which the code under test does not read; None for other cells."""
    names = block.names(path)
    if names == ("skip",):
        return 0
    num_layers = max(1, len(block.spec.droppable))
    return num_layers - int(names[0].partition("_d")[2] or 0) if names[0].startswith("teacher") else None


def make_tables(seed: int, num_blocks: int, *, is_monotone: bool) -> Tables:
    """Blocks of one to four layers. ``is_monotone``: more layers cost more of everything, as in real networks."""
    rng = np.random.default_rng(seed)
    blocks, costs = [], []
    for block_id in range(num_blocks):
        num_layers = int(rng.integers(1, 5))
        cells = [Cell((8,), (1,), ((candidate,),)) for candidate in (TEACHER, SKIP)]
        cells += [Cell((8,), (1,), ((fewer_layers(n),),)) for n in range(1, num_layers) if rng.random() < 0.7]
        cells.append(Cell((8, 8), (1, 1), (OTHERS, OTHERS)))
        droppable = tuple(f"m.{n}" for n in range(num_layers)) if num_layers > 1 else ()
        spec = BlockSpec(block_id, (8, 4, 4), (8, 4, 4), "NCHW", ("m",), droppable=droppable)
        block = BlockSpace(spec, tuple(cells))
        keys = tuple(path.key for path in block.paths())
        values = [_cost(rng, num_kept(block, path) if is_monotone else None) for path in block.paths()]
        costs.append(CostTable(block_id, (8,) * len(keys), keys, tuple(values)).check(block))
        blocks.append(block)
    return Tables(SearchSpace(tuple(blocks)), tuple(costs), three(3, 2, 0.5) | {"peak_memory_bytes": 1})


def _cost(rng: np.random.Generator, num_layers: int | None) -> Cost:
    if num_layers is None:
        madds, num_params, eighths = (int(value) for value in rng.integers(0, 12, 3))
        return three(madds, num_params, eighths / 8) | {"peak_memory_bytes": 1 + (7 * madds + num_params) % 5}
    return three(4 * num_layers, 3 * num_layers**2, num_layers / 4) | {"peak_memory_bytes": 1 + num_layers}
