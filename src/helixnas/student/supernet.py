"""All candidates of one block in one network. The path to run is an argument; no choice is stored."""

import copy
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from helixnas.search_space import TEACHER, BlockSpace, Candidate, Cell, LayerSpec, Path
from helixnas.student.ops import build_operation


class BlockSupernet(nn.Module):
    """Every cell of a block, every candidate of each layer. Cells share nothing: each is a supernet of its own.

    The teacher's block stands in as it is, weights and statistics, where the space keeps it.
    """

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        super().__init__()
        in_width = block.spec.in_width
        self.cells = nn.ModuleList(_cell(cell, in_width, teacher_block) for cell in block.cells)

    def forward(self, x: Tensor, path: Path) -> Tensor:
        """The block's output for the inputs ``x`` along ``path``: in_shape to out_shape."""
        for operation in self.operations(path):
            x = operation(x)
        return x

    def operations(self, path: Path) -> list[nn.Module]:
        """The modules along a path, shared with the supernet."""
        return [layer[choice] for layer, choice in zip(self.layers(path.cell), path.choices, strict=True)]

    def layers(self, cell: int) -> Sequence[nn.ModuleList]:
        """The candidates of each layer of a cell."""
        return cast("Sequence[nn.ModuleList]", self.cells[cell])


def _cell(cell: Cell, in_width: int, teacher_block: nn.Module) -> nn.ModuleList:
    layers = cell.layers(in_width)
    return nn.ModuleList(nn.ModuleList(_module(layer, c, teacher_block) for c in layer.candidates) for layer in layers)


def _module(layer: LayerSpec, candidate: Candidate, teacher_block: nn.Module) -> nn.Module:
    if candidate == TEACHER:
        return copy.deepcopy(teacher_block)
    return build_operation(layer, candidate)
