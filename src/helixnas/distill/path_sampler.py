"""Which path of a block the next step trains. A sampler is a function of the step alone, so resuming is exact."""

from collections.abc import Callable, Sequence

import numpy as np

from helixnas.search_space import BlockSpace, Cell, Path

Sampler = Callable[[int], Path]
"""From the step, counted from 0, to the path that it trains."""


def trainable_cells(block: BlockSpace) -> list[int]:
    """The cells that have something to learn: all but the teacher's own block and the skip."""
    return [index for index, cell in enumerate(block.cells) if cell.is_trainable]


class UniformSampler:
    """Each step draws a cell, the deeper the likelier, then each layer's candidate uniformly (SPOS, DNA)."""

    def __init__(self, block: BlockSpace, seed: int) -> None:
        self._block, self._seed = block, seed
        self._cells = trainable_cells(block)

    def __call__(self, step: int) -> Path:
        generator = np.random.default_rng([self._seed, step])
        index = _draw_cell(self._block.cells, self._cells, generator)
        choices = (int(generator.integers(len(candidates))) for candidates in self._block.cells[index].candidates)
        return Path(self._block.block_id, index, tuple(choices))


class FairSampler:
    """Runs of steps in which each candidate of each layer of one cell is trained once (FairNAS, arXiv 1907.01845)."""

    def __init__(self, block: BlockSpace, seed: int) -> None:
        self._block, self._seed = block, seed
        self._cells = trainable_cells(block)
        sizes = (len(candidates) for index in self._cells for candidates in block.cells[index].candidates)
        self._run_length = max(sizes, default=1)

    def __call__(self, step: int) -> Path:
        run, offset = divmod(step, self._run_length)
        generator = np.random.default_rng([self._seed, run])
        index = _draw_cell(self._block.cells, self._cells, generator)
        orders = [generator.permutation(len(candidates)) for candidates in self._block.cells[index].candidates]
        return Path(self._block.block_id, index, tuple(int(order[offset % len(order)]) for order in orders))


def _draw_cell(cells: Sequence[Cell], indices: Sequence[int], generator: np.random.Generator) -> int:
    """A cell, with a chance in proportion to its depth: a deeper one has more to learn."""
    depths = np.array([cells[index].depth for index in indices])
    return int(generator.choice(indices, p=depths / depths.sum()))


SAMPLERS: dict[str, Callable[[BlockSpace, int], Sampler]] = {"fair": FairSampler, "uniform": UniformSampler}
