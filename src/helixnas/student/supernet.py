"""All candidates of one block in one network. The path to run is an argument; no choice is stored."""

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from helixnas.search_space import BlockSpace, Candidate, Cell, LayerSpec, Path, target_shape
from helixnas.student.adapter import Adapters, Target
from helixnas.student.build import build_layer, build_operation
from helixnas.student.depthwise import quicken


class BlockSupernet(nn.Module):
    """Every cell of a block, with every candidate of each layer; cells share nothing unless the space says so.

    Where the space keeps the teacher's block, a copy of it with its weights and statistics is one of the cells. Where
    the space has custom widths, adapters join each cell to the teacher's features, and ``target`` says what cells
    imitate.

    Args:
        block: The space of the block.
        teacher_block: The teacher's block, of which copies are taken.
    """

    def __init__(self, block: BlockSpace, teacher_block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.cells = nn.ModuleList(map(_Cells(block, teacher_block), block.cells))
        self.adapters = Adapters(block)
        shape = target_shape(block)
        self.target = None if shape is None else Target(shape, block.spec)

    def forward(self, x: Tensor, path: Path) -> Tensor:
        """Run a path on the teacher's feature ``x``; the output is comparable with ``aim`` of the teacher's output."""
        x = self.enter(path.cell, x)
        for operation in self.operations(path):
            x = operation(x)
        return self.leave(path.cell, x)

    def enter(self, cell: int, x: Tensor) -> Tensor:
        """Adapt the teacher's feature [N, C, H, W] to the width and the map size of the cell's input.

        Example: for a cell of 24 channels, an adapter maps 40 channels of the teacher to 24.
        """
        adapter = self.adapters.entry(cell)
        return x if adapter is None else cast("Tensor", adapter(x))

    def leave(self, cell: int, x: Tensor) -> Tensor:
        """Map the cell's output [N, C, H, W] to the target's r channels, to compare cells of all widths alike."""
        adapter = self.adapters.exit(cell, x.shape[1 + self.block.spec.channel_axis])
        return x if adapter is None else cast("Tensor", adapter(x))

    def aim(self, y: Tensor) -> Tensor:
        """Project the teacher's output [N, C, H, W] onto the r principal components that cells imitate.

        Without custom widths there is no projection: cells imitate the teacher's output itself.
        """
        return y if self.target is None else cast("Tensor", self.target(y))

    def restore(self, y: Tensor) -> Tensor:
        """Turn a path's output into a feature [N, C, H, W] as the teacher's next block takes it.

        Without custom widths it is that already. What lies outside of the r principal components is set to its mean.
        """
        return y if self.target is None else self.target.restore(y)

    def aimed_variance(self, variance: Tensor) -> Tensor:
        """Return the variance of what cells imitate, float64 [r]; ``variance`` [C] is that of the teacher's output."""
        return variance if self.target is None else self.target.variance

    def operations(self, path: Path) -> list[nn.Module]:
        """Return the modules along a path, shared with the supernet, without adapters."""
        return [layer[choice] for layer, choice in zip(self.layers(path.cell), path.choices, strict=True)]

    def layers(self, cell: int) -> Sequence[nn.ModuleList]:
        """Return the candidates of each layer of a cell."""
        return cast("Sequence[nn.ModuleList]", self.cells[cell])

    @torch.no_grad()
    def match_outputs(self, mean: Tensor, std: Tensor) -> None:
        """Start every path near the teacher, before distilling.

        A layer with a shortcut starts as the identity. So in each cell, the last layer with candidates without a
        shortcut gets the teacher's moments by their last BatchNorm, and the layers behind it change nothing yet. Where
        cells imitate principal components instead, the adapters are scaled to the deviation of each component.

        Args:
            mean: Mean of the teacher's output by channel, [C].
            std: Deviation of the teacher's output by channel, [C].
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
    """Let an operation's last BatchNorm give these moments; an operation without such an end must learn them."""
    norms = [module for module in operation.modules() if isinstance(module, _NormBase) and module.affine]
    if norms and norms[-1].weight.shape == std.shape:
        norms[-1].weight.copy_(std)
        norms[-1].bias.copy_(mean)


class _Last(nn.Module):
    """The last operation of a cell, followed by the activation with which the teacher's block ends."""

    def __init__(self, operation: nn.Module, *, is_nonnegative: bool) -> None:
        super().__init__()
        self.operation = operation
        self.activation = nn.ReLU() if is_nonnegative else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.operation(x))
        return y


class _ChannelsFirst(nn.Module):
    """An operation on maps [N, C, H, W] inside a teacher whose features are [N, H, W, C]."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        """Run the operation; the order [N, H, W, C] stays."""
        y: Tensor = self.operation(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y


class _Borrowed(nn.Module):
    """A layer shared with another cell, where it is registered."""

    def __init__(self, layer: nn.ModuleList) -> None:
        super().__init__()
        self._layer = (layer,)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._layer[0])

    def __getitem__(self, choice: int) -> nn.Module:
        return self._layer[0][choice]


class _Cells:
    """Makes the cells of a block, in order; a layer that cells share is registered in the first cell that needs it."""

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
        made = nn.ModuleList(wrapped(operation, self._block, is_last=is_last) for operation in build_layer(layer))
        if self._block.shares_layers:
            self._known[key] = made
        return made


def wrapped(operation: nn.Module, block: BlockSpace, *, is_last: bool) -> nn.Module:
    """Put an operation into the form that it has in a block.

    Args:
        operation: Works on maps [N, C, H, W] or on tokens.
        block: Decides the layout, and whether the block's output is nonnegative.
        is_last: Whether the operation ends its cell; then a ReLU follows where the teacher's block gives no negative
            values.
    """
    spec = block.spec
    operation = _ChannelsFirst(operation) if spec.layout == "NHWC" else operation
    if not is_last:
        return operation
    return _Last(operation, is_nonnegative=spec.is_nonnegative and target_shape(block) is None)


def borrowed(teacher_block: nn.Module, block: BlockSpace, candidate: Candidate) -> nn.Module:
    """Copy the teacher's block, without as many of its last droppable layers as the candidate says."""
    made = copy.deepcopy(teacher_block)
    num_dropped = int(dict(candidate.numbers).get("d", 0))
    if num_dropped:  # the remaining layers must learn, unlike the whole block, which stays fixed
        made.requires_grad_(True)
        quicken(made)
    for name in block.spec.droppable[len(block.spec.droppable) - num_dropped :]:
        made.set_submodule(name, nn.Identity())
    return made


def new_operation(block: BlockSpace, layer: LayerSpec, candidate: Candidate, *, is_last: bool) -> nn.Module:
    """Build a fresh operation in the form that it has in a student's block."""
    return wrapped(build_operation(layer, candidate), block, is_last=is_last)


def bare(operation: nn.Module) -> nn.Module:
    """Return the operation inside a ``wrapped`` operation."""
    while isinstance(operation, _Last | _ChannelsFirst):
        operation = operation.operation
    return operation
