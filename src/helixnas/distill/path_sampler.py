"""Decide which paths of a block the next step trains. A sampler depends on the step alone, so resuming is exact."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from helixnas.search_space import BlockSpace, Path


def trainable_cells(block: BlockSpace) -> list[int]:
    """Return the indices of the cells that can learn: all but the teacher's unchanged block and the skip."""
    return [index for index, cell in enumerate(block.cells) if cell.is_trainable]


def round_length(block: BlockSpace) -> int:
    """Return the number of paths that train each candidate of each layer of every cell at least once.

    Example: cells whose longest layers have 6 and 4 candidates need 6 + 4 = 10 paths.
    """
    return sum(max(map(len, block.cells[cell].candidates)) for cell in trainable_cells(block))


class Sampler(Protocol):
    """The paths of each step, counted from 0. A step runs each of its paths and then moves the weights once."""

    num_steps: int
    """How many steps give each candidate the number of updates that params.yaml asks for."""

    def __call__(self, step: int) -> Sequence[Path]:
        """Return the paths that this step trains."""
        ...


class StratifiedSampler:
    """One path a step. A round of steps trains each candidate of each layer of every cell once.

    So after each round all candidates have had the same number of updates, whatever their cell, and the learning rate
    falls for all cells alike. A layer with fewer candidates than another layer of its cell repeats some of them.

    Args:
        block: The block whose paths are sampled.
        updates: Rounds to train, and so updates of each candidate.
        seed: Of the order of paths.
    """

    def __init__(self, block: BlockSpace, updates: int, seed: int) -> None:
        self._rounds = _Rounds(block, seed)
        self._length = round_length(block)
        self.num_steps = updates * self._length

    def __call__(self, step: int) -> Sequence[Path]:
        """Return the one path that this step trains."""
        index, offset = divmod(step, self._length)
        return [[path for run in self._rounds(index) for path in run][offset]]


class FairSampler:
    """FairNAS (arXiv 1907.01845): a step runs each candidate of each layer of one cell once, and then moves them all.

    Cells take turns, in a new order each round.

    Args:
        block: The block whose paths are sampled.
        updates: Rounds to train, and so updates of each candidate.
        seed: Of the order of cells and paths.
    """

    def __init__(self, block: BlockSpace, updates: int, seed: int) -> None:
        self._rounds = _Rounds(block, seed)
        self.num_steps = updates * len(self._rounds.lengths)

    def __call__(self, step: int) -> Sequence[Path]:
        """Return the paths of one cell that together hold each of its candidates."""
        index, offset = divmod(step, len(self._rounds.lengths))
        return self._rounds(index)[offset]


class UniformSampler:
    """One path a step, each layer's candidate drawn uniformly (SPOS, arXiv 1904.00420; DNA, arXiv 1911.13053).

    A cell is drawn in proportion to the number of candidates of its longest layer, so that candidates of all cells may
    expect the same number of updates.

    Args:
        block: The block whose paths are sampled.
        updates: Expected updates of each candidate of the longest layers.
        seed: Of the draws; each step has its own generator.
    """

    def __init__(self, block: BlockSpace, updates: int, seed: int) -> None:
        self._block, self._seed = block, seed
        self._lengths = _Rounds(block, seed).lengths
        self.num_steps = updates * round_length(block)

    def __call__(self, step: int) -> Sequence[Path]:
        """Return the one path that is drawn for this step."""
        generator = np.random.default_rng([self._seed, step])
        weights = np.array(list(self._lengths.values()))
        cell = int(generator.choice(list(self._lengths), p=weights / weights.sum()))
        choices = (int(generator.integers(len(candidates))) for candidates in self._block.cells[cell].candidates)
        return [Path(self._block.block_id, cell, tuple(choices))]


class _Rounds:
    """Sets of paths for each cell: as many paths as its longest layer has candidates, each candidate at least once."""

    def __init__(self, block: BlockSpace, seed: int) -> None:
        self._block, self._seed = block, seed
        self.lengths = {cell: max(map(len, block.cells[cell].candidates)) for cell in trainable_cells(block)}

    def __call__(self, index: int) -> list[list[Path]]:
        """Return the sets of paths of a round, the cells in a new order each time."""
        generator = np.random.default_rng([self._seed, index])
        return [self._run(int(cell), generator) for cell in generator.permutation(list(self.lengths))]

    def _run(self, cell: int, generator: np.random.Generator) -> list[Path]:
        orders = [generator.permutation(len(candidates)) for candidates in self._block.cells[cell].candidates]
        return [
            Path(self._block.block_id, cell, tuple(int(order[offset % len(order)]) for order in orders))
            for offset in range(self.lengths[cell])
        ]


SAMPLERS: dict[str, Callable[[BlockSpace, int, int], Sampler]] = {
    "stratified": StratifiedSampler,
    "fair": FairSampler,
    "uniform": UniformSampler,
}
"""Samplers by the name in ``distill.sampler``; each is made of a block, the updates of each candidate, and a seed."""
