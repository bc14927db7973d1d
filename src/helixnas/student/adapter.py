"""Join cells of custom widths to the teacher's features, while the cells are distilled and rated only.

See ``docs/decisions/0002-adapters.md``.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d, interpolate, linear

from helixnas.blocks import BlockSpec
from helixnas.search_space import BlockSpace, TargetShape, target_shape


class Adapter(nn.Module):
    """A linear map of channels without a bias, for cells whose width or map size differs from the teacher's.

    Args:
        in_width: Channels that come in.
        out_width: Channels that go out.
        layout: Order of the axes of the features, such as "NCHW".
        size: Height and width to which maps are pooled before the linear map; None keeps their size.
    """

    def __init__(self, in_width: int, out_width: int, layout: str, size: tuple[int, ...] | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(out_width, in_width)))
        self._layout, self._size = layout, size

    def forward(self, x: Tensor) -> Tensor:
        """Pool the feature to the adapter's size and mix its channels; the layout stays."""
        return _mixed(_resized(x, self._size), self.weight, self._layout)


def _resized(x: Tensor, size: tuple[int, ...] | None) -> Tensor:
    return x if size is None or tuple(x.shape[2:]) == size else adaptive_avg_pool2d(x, cast("tuple[int, int]", size))


def _mixed(x: Tensor, weight: Tensor, layout: str) -> Tensor:
    return conv2d(x, weight[:, :, None, None]) if layout == "NCHW" else linear(x, weight)


class Adapters(nn.Module):
    """The adapters of all cells of a block; a cell with the teacher's widths and sizes has none.

    Each cell has its own adapters, except in a block that shares layers: there, cells of equal widths share adapters.
    """

    def __init__(self, block: BlockSpace) -> None:
        super().__init__()
        self._block, spec, shape = block, block.spec, target_shape(block)
        self.entries, self.exits = nn.ModuleDict(), nn.ModuleDict()
        for index, cell in enumerate(block.cells):
            width, size = cell.in_width or spec.in_width, cell.in_size or spec.in_size
            name = self._name(index, width)
            if (width, size) != (spec.in_width, spec.in_size) and name not in self.entries:
                self.entries[name] = Adapter(spec.in_width, width, spec.in_layout or spec.layout, cell.in_size)
            if shape is not None:
                pooled = None if cell.in_size is None else shape.size
                for name, width in ((self._name(index, width), width) for width in cell.out_widths):
                    if name not in self.exits:
                        self.exits[name] = Adapter(width, shape.width, spec.layout, pooled)

    def _name(self, index: int, width: int) -> str:
        return str(width) if self._block.shares_layers else f"{index}_{width}"

    def entry(self, index: int) -> Adapter | None:
        """Return the adapter before a cell, or None where the cell takes the teacher's feature as it is."""
        name = self._name(index, self._block.cells[index].in_width or self._block.spec.in_width)
        return cast("Adapter", self.entries[name]) if name in self.entries else None

    def exit(self, index: int, width: int) -> Adapter | None:
        """Return the adapter behind a cell whose output has ``width`` channels, or None where it needs no adapter."""
        name = self._name(index, width)
        return cast("Adapter", self.exits[name]) if name in self.exits else None

    def scale_exits(self, std: Tensor) -> None:
        """Scale the adapters so that cell outputs of deviation 1 give each component its deviation ``std`` [r]."""
        for adapter in self.exits.values():
            weight = cast("Adapter", adapter).weight
            weight.copy_(std[:, None] * weight / weight.norm(dim=1, keepdim=True))


class Target(nn.Module):
    """The target that a block's cells imitate: the teacher's output less its mean, on its leading principal components.

    There are as many components as the narrowest cell has channels. So each cell can reach the target, however narrow
    it is, and no rating is decided by the rank of an adapter.

    Attributes:
        basis: The leading principal components of the teacher's output, [r, C].
        mean: The mean of the teacher's output by channel, [C].
        variance: The variance of the output on each component, float64 [r]; also the unit of the loss.

    Args:
        shape: Number of components and map size of the target.
        spec: The block's interface in the teacher.
    """

    basis: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, shape: TargetShape, spec: BlockSpec) -> None:
        super().__init__()
        self.register_buffer("basis", torch.eye(shape.width, spec.out_width))
        self.register_buffer("mean", torch.zeros(spec.out_width))
        self.register_buffer("variance", torch.ones(shape.width, dtype=torch.float64))
        self._size = shape.size if shape.size != spec.out_size else None
        self._out_size = spec.out_size
        self._layout, self._channel_axis = spec.layout, 1 + spec.channel_axis

    @torch.no_grad()
    def fit(self, features: Iterable[Tensor]) -> None:
        """Compute mean, components and variances from the teacher's outputs, in float64.

        The sign of a component is chosen so that its largest entry is positive.
        """
        width = len(self.mean)
        count, total = 0, torch.zeros(width, dtype=torch.float64)
        squares = torch.zeros(width, width, dtype=torch.float64)
        for feature in features:
            rows = _resized(feature, self._size).movedim(self._channel_axis, -1).flatten(0, -2).cpu().double()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
        mean = total / count
        variance, vectors = torch.linalg.eigh(squares / count - torch.outer(mean, mean))
        basis = vectors.flip(1).T[: len(self.variance)]
        largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
        self.basis.copy_(basis * largest.sign())
        self.mean.copy_(mean)
        self.variance.copy_(variance.flip(0)[: len(self.variance)].clamp_min(0))

    def forward(self, y: Tensor) -> Tensor:
        """Turn the teacher's output into the target, with r channels in the layout of the block."""
        rows = _mixed(_resized(y, self._size), self.basis, self._layout)
        shift = self.basis @ self.mean
        return rows - (shift[:, None, None] if self._layout == "NCHW" else shift)

    def restore(self, x: Tensor) -> Tensor:
        """Turn components into a feature of the teacher's shape: the reverse of ``forward``, up to what is cut off.

        Maps that are smaller than the teacher's are enlarged, each value to the nearest places.
        """
        y = _mixed(x, self.basis.T, self._layout)
        y = y + (self.mean[:, None, None] if self._layout == "NCHW" else self.mean)
        return y if self._size is None else interpolate(y, self._out_size)


def has_tail(block: BlockSpace) -> bool:
    """Return whether a student keeps an adapter behind this block: only the last block, where it has custom widths."""
    return block.is_last and target_shape(block) is not None


def new_tail(spec: BlockSpec, width: int) -> nn.Conv2d | nn.Linear:
    """Make the one adapter that a student keeps, with a bias: from the student's last width to the head's width.

    Args:
        spec: The interface of the last block in the teacher.
        width: Channels of the student's last output.

    Returns:
        A 1x1 convolution for maps "NCHW", else a linear layer.
    """
    if spec.layout == "NCHW":
        return nn.Conv2d(width, spec.out_width, 1)
    return nn.Linear(width, spec.out_width)
