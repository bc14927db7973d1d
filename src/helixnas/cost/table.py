"""The price of every path of a block, and of what lies outside the blocks."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from helixnas.cost.count import count
from helixnas.cost.latency import Run, runner
from helixnas.search_space import TEACHER, BlockSpace, Candidate, Cost, CostTable, LayerSpec, Path, SearchSpace
from helixnas.student import BlockSupernet, build_operation


def in_widths(space: SearchSpace, block_id: int) -> tuple[int, ...]:
    """The widths that may come into a block: the spec's own for block 0, else whatever the block before may give."""
    if block_id == 0:
        return (space.blocks[0].spec.in_width,)
    return tuple(sorted({width for cell in space.blocks[block_id - 1].cells for width in cell.out_widths}))


def count_paths(block: BlockSpace, widths: Sequence[int], teacher_block: nn.Module) -> CostTable:
    """The madds and num_params of every (in_width, path). Candidates are counted once each and summed along paths."""
    counter = _LayerCounter(block, teacher_block)
    rows = [(width, path) for width in widths for path in block.paths_after(width)]
    return CostTable(
        block.block_id,
        tuple(width for width, _ in rows),
        tuple(path.key for _, path in rows),
        tuple(counter.path_cost(width, path) for width, path in rows),
    )


class _LayerCounter:
    """Counts each (layer, candidate, input shape) once."""

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        self._block, self._teacher_block = block, teacher_block
        self._known: dict[tuple[LayerSpec, Candidate, tuple[int, ...]], Cost] = {}

    def path_cost(self, in_width: int, path: Path) -> Cost:
        size = self._block.cells[path.cell].in_size or self._block.spec.in_size
        total = Cost(0, 0)
        for layer, choice in zip(self._block.cells[path.cell].along(in_width, path.choices), path.choices, strict=True):
            candidate = layer.candidates[choice]
            if candidate == TEACHER:
                in_shape = self._block.spec.with_in_width(in_width).in_shape
            else:
                in_shape = (layer.in_width, *size) if layer.is_map else (*size, layer.in_width)
            total += self._layer_cost(layer, candidate, in_shape)
            size = tuple(math.ceil(side / layer.stride) for side in size)
        return total

    def _layer_cost(self, layer: LayerSpec, candidate: Candidate, in_shape: tuple[int, ...]) -> Cost:
        key = (layer, candidate, in_shape)
        if key not in self._known:
            module = self._teacher_block if candidate == TEACHER else build_operation(layer, candidate)
            self._known[key] = count(module, in_shape)
        return self._known[key]


def path_runs(
    block: BlockSpace, in_width: int, teacher_block: nn.Module, batch_size: int, device: torch.device
) -> list[Run]:
    """A run of every path of a block for one width that comes in, in the order of ``paths()``, weights fresh."""
    spec = block.spec.with_in_width(in_width)
    supernet = BlockSupernet(BlockSpace(spec, block.cells), teacher_block).to(device).eval()
    inputs = torch.rand(batch_size, *spec.in_shape, device=device)
    return [runner(nn.Sequential(*supernet.operations(path)), inputs) for path in block.paths()]
