"""All candidates of one block in one network. The path to run is an argument; no choice is stored."""

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from helixnas.search_space import BlockSpace, BlockSpec, Cell, LayerSpec, Path
from helixnas.student.ops import build_layer


class BlockSupernet(nn.Module):
    """Every cell of a block, every candidate of each layer. Cells share nothing: each is a supernet of its own.

    The teacher's block stands in as it is, weights and statistics, where the space keeps it.
    """

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        super().__init__()
        self.cells = nn.ModuleList(_cell(cell, block.spec, teacher_block) for cell in block.cells)

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

    def match_outputs(self, mean: Tensor, std: Tensor) -> None:
        """Start every path near the teacher: its last BatchNorm gives the teacher's mean and deviation, [C] each."""
        for index in range(len(self.cells)):
            for operation in self.layers(index)[-1]:
                if isinstance(operation, _Last):
                    operation.match_outputs(mean, std)


class _Last(nn.Module):
    """The operation that a cell ends with, and the activation that the teacher's block ends with."""

    def __init__(self, operation: nn.Module, *, is_nonnegative: bool) -> None:
        super().__init__()
        self.operation = operation
        self.activation = nn.ReLU() if is_nonnegative else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.operation(x))
        return y

    @torch.no_grad()
    def match_outputs(self, mean: Tensor, std: Tensor) -> None:
        norms = [module for module in self.operation.modules() if isinstance(module, _NormBase) and module.affine]
        if norms:
            norms[-1].weight.copy_(std)
            norms[-1].bias.copy_(mean)


class _ChannelsFirst(nn.Module):
    """An operation on maps [N, C, H, W] where the teacher's have channels last."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        """[N, H, W, C] to the same order."""
        y: Tensor = self.operation(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y


def _cell(cell: Cell, spec: BlockSpec, teacher_block: nn.Module) -> nn.ModuleList:
    if cell.is_teacher:
        return nn.ModuleList([nn.ModuleList([copy.deepcopy(teacher_block)])])
    *inner, last = (_layer(layer, spec) for layer in cell.layers(cell.in_width or spec.in_width))
    ends = (_Last(operation, is_nonnegative=spec.is_nonnegative) for operation in last)
    return nn.ModuleList([*map(nn.ModuleList, inner), nn.ModuleList(ends)])


def _layer(layer: LayerSpec, spec: BlockSpec) -> list[nn.Module]:
    operations = build_layer(layer)
    return [_ChannelsFirst(operation) for operation in operations] if spec.layout == "NHWC" else operations
