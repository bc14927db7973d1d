"""All candidates of one block in one network. The path to run is an argument; no choice is stored."""

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from helixnas.search_space import BlockSpace, Candidate, Cell, LayerSpec, Path, target_shape
from helixnas.student.adapter import Adapters, Target
from helixnas.student.depthwise import quicken
from helixnas.student.ops import build_layer, build_operation


class BlockSupernet(nn.Module):
    """Every cell of a block, every candidate of each layer. Cells share nothing, unless the space says they do.

    The teacher's block stands in as it is, weights and statistics, where the space keeps it. Where the space has widths
    of its own, adapters join each cell to the teacher's features, and ``target`` says what the cells imitate.
    """

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.cells = nn.ModuleList(map(_Cells(block, teacher_block), block.cells))
        self.adapters = Adapters(block)
        shape = target_shape(block)
        self.target = None if shape is None else Target(shape, block.spec)

    def forward(self, x: Tensor, path: Path) -> Tensor:
        """What the path makes of the teacher's feature ``x``, to be compared with ``aim`` of the teacher's output."""
        x = self.enter(path.cell, x)
        for operation in self.operations(path):
            x = operation(x)
        return self.leave(path.cell, x)

    def enter(self, cell: int, x: Tensor) -> Tensor:
        """From the teacher's feature to what the cell takes."""
        adapter = self.adapters.entry(cell)
        return x if adapter is None else cast("Tensor", adapter(x))

    def leave(self, cell: int, x: Tensor) -> Tensor:
        """From what the cell gives to what it is compared as."""
        adapter = self.adapters.exit(cell, x.shape[1 + self.block.spec.channel_axis])
        return x if adapter is None else cast("Tensor", adapter(x))

    def aim(self, y: Tensor) -> Tensor:
        """From the teacher's output to what the cells imitate."""
        return y if self.target is None else cast("Tensor", self.target(y))

    def operations(self, path: Path) -> list[nn.Module]:
        """The modules along a path, shared with the supernet, without adapters."""
        return [layer[choice] for layer, choice in zip(self.layers(path.cell), path.choices, strict=True)]

    def layers(self, cell: int) -> Sequence[nn.ModuleList]:
        """The candidates of each layer of a cell."""
        return cast("Sequence[nn.ModuleList]", self.cells[cell])

    @torch.no_grad()
    def match_outputs(self, mean: Tensor, std: Tensor) -> None:
        """Start every path near the teacher, before distilling.

        A layer with a shortcut starts as the identity. So in each cell the last layer without one is given the
        teacher's moments, by its last BatchNorm, and the layers behind it change nothing yet. Where the target is
        another than the teacher's output, the adapters are scaled to the target's deviation instead.

        Args:
            mean: Of the teacher's output by channel, [C].
            std: Its deviation by channel, [C].
        """
        if self.target is not None:
            self.adapters.scale_exits(self.target.variance.sqrt())
            return
        for index, cell in enumerate(self.block.cells):
            if cell.is_of_teacher:
                continue
            for layer in reversed(list(self.layers(index))):
                without_shortcut = [op for op in layer if not getattr(bare(op), "has_shortcut", False)]
                for operation in without_shortcut:
                    _match(bare(operation), mean, std)
                if without_shortcut:
                    break


def _match(operation: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Let an operation's last BatchNorm give these moments; one that ends otherwise has to learn them."""
    norms = [module for module in operation.modules() if isinstance(module, _NormBase) and module.affine]
    if norms and norms[-1].weight.shape == std.shape:
        norms[-1].weight.copy_(std)
        norms[-1].bias.copy_(mean)


class _Last(nn.Module):
    """The operation that a cell ends with, and the activation that the teacher's block ends with."""

    def __init__(self, operation: nn.Module, *, is_nonnegative: bool) -> None:
        super().__init__()
        self.operation = operation
        self.activation = nn.ReLU() if is_nonnegative else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.operation(x))
        return y


class _ChannelsFirst(nn.Module):
    """An operation on maps [N, C, H, W] where the teacher's have channels last."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        """[N, H, W, C] to the same order."""
        y: Tensor = self.operation(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y


class _Borrowed(nn.Module):
    """A layer that another cell has too, and that is registered there."""

    def __init__(self, layer: nn.ModuleList) -> None:
        super().__init__()
        self._layer = (layer,)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._layer[0])

    def __getitem__(self, choice: int) -> nn.Module:
        return self._layer[0][choice]


class _Cells:
    """Makes a block's cells, in order; where they share layers, the first to need a layer has it."""

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        self._block, self._teacher_block = block, teacher_block
        self._known: dict[tuple[int, bool, LayerSpec], nn.ModuleList] = {}

    def __call__(self, cell: Cell) -> nn.ModuleList:
        if cell.is_of_teacher:
            (options,) = cell.candidates
            return nn.ModuleList([nn.ModuleList(borrowed(self._teacher_block, self._block, c) for c in options)])
        layers = enumerate(cell.layers(cell.in_width or self._block.spec.in_width), start=1)
        return nn.ModuleList(self._layer(position, position == cell.depth, layer) for position, layer in layers)

    def _layer(self, position: int, is_last: bool, layer: LayerSpec) -> nn.Module:
        key = (position, is_last, layer)
        if key in self._known:
            return _Borrowed(self._known[key])
        made = nn.ModuleList(self._operations(layer, is_last))
        if self._block.shares_layers:
            self._known[key] = made
        return made

    def _operations(self, layer: LayerSpec, is_last: bool) -> Iterator[nn.Module]:
        return (wrapped(operation, self._block, is_last=is_last) for operation in build_layer(layer))


def wrapped(operation: nn.Module, block: BlockSpace, *, is_last: bool) -> nn.Module:
    """The operation as it stands in a block: in the block's layout, and as the last one with the teacher's end."""
    spec = block.spec
    operation = _ChannelsFirst(operation) if spec.layout == "NHWC" else operation
    if not is_last:
        return operation
    return _Last(operation, is_nonnegative=spec.is_nonnegative and target_shape(block) is None)


def borrowed(teacher_block: nn.Module, block: BlockSpace, candidate: Candidate) -> nn.Module:
    """A copy of the teacher's block, without as many of its last droppable layers as the candidate says."""
    made = copy.deepcopy(teacher_block)
    num_dropped = int(dict(candidate.numbers).get("d", 0))
    if num_dropped:  # what is left has to learn, where the whole block is the teacher's and fixed
        made.requires_grad_(True)
        quicken(made)
    for name in block.spec.droppable[len(block.spec.droppable) - num_dropped :]:
        made.set_submodule(name, nn.Identity())
    return made


def new_operation(block: BlockSpace, layer: LayerSpec, candidate: Candidate, *, is_last: bool) -> nn.Module:
    """A fresh operation as it stands in a student's block."""
    return wrapped(build_operation(layer, candidate), block, is_last=is_last)


def bare(operation: nn.Module) -> nn.Module:
    """The inverse of ``wrapped``."""
    while isinstance(operation, _Last | _ChannelsFirst):
        operation = operation.operation
    return operation
