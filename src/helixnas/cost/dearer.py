"""Leave candidates out of a space that the teacher's block beats in every counted cost, and in its loss, which is 0.

Every stage that reads the space does this first, so it must be fast. Weights are counted before multiply-adds, which
take longer and often need not be known. Modules are built on torch's meta device, where they have shapes but no values.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.counting import counting
from helixnas.search_space import BlockSpace, Candidate, Cell, LayerSpec, SearchSpace, target_shape
from helixnas.student import build_operation, custom_name

Shape = tuple[int, ...]
Count = Callable[[LayerSpec, Candidate, Shape], int]
"""Function from a layer, a candidate and the shape of one input image to a cost of the candidate."""


def without_dearer(space: SearchSpace) -> SearchSpace:
    """Return the space without the candidates that make every path of their cell dearer than the teacher's block.

    A candidate of a layer is left out where even the cheapest path of its cell through this candidate takes more madds
    and more num_params than the teacher's block. A cell with an empty layer is left out. The teacher's block, the
    teacher's block with fewer layers, and the skip always stay. Blocks without the teacher's block and blocks with
    custom widths stay whole, since they need at least one path. torch's random numbers are left where they were.
    """
    with torch.random.fork_rng(devices=[]):
        return replace(space, blocks=tuple(map(_cheaper_block, space.blocks)))


def _cheaper_block(block: BlockSpace) -> BlockSpace:
    has_teacher = any(cell.is_teacher for cell in block.cells)
    if block.spec.madds is None or not has_teacher or target_shape(block) is not None:
        return block
    counter = _Counter()
    cells = [_cheaper_cell(cell, block.spec, counter) for cell in block.cells]
    return replace(block, cells=tuple(cell for cell in cells if all(cell.candidates)))


def _cheaper_cell(cell: Cell, spec: BlockSpec, counter: "_Counter") -> Cell:
    """The cell with the candidates that may stay, perhaps none at a layer."""
    layers = cell.layers(spec.in_width)
    has_equal_widths = all(
        option.width(layer.out_width) == layer.out_width for layer in layers for option in layer.candidates
    )
    if cell.is_of_teacher or not cell.is_trainable or not has_equal_widths:
        return cell
    assert spec.madds is not None and spec.num_params is not None
    heavy = [[least > spec.num_params for least in row] for row in _cheapest_through(cell, spec, counter.num_params)]
    if not any(map(any, heavy)):
        return cell
    slow = [[least > spec.madds for least in row] for row in _cheapest_through(cell, spec, counter.madds)]
    kept = [
        tuple(option for option, *dearer in zip(options, *rows, strict=True) if not all(dearer))
        for options, *rows in zip(cell.candidates, heavy, slow, strict=True)
    ]
    return replace(cell, candidates=tuple(kept))


def _cheapest_through(cell: Cell, spec: BlockSpec, count: Count) -> list[list[int]]:
    """For each candidate of each layer, the cost of the cheapest path of the cell through this candidate."""
    rows = []
    size = cell.in_size or spec.in_size
    for layer in cell.layers(spec.in_width):
        in_shape = (layer.in_width, *size) if layer.is_map else (*size, layer.in_width)
        rows.append([count(layer, candidate, in_shape) for candidate in layer.candidates])
        size = tuple(math.ceil(side / layer.stride) for side in size)
    least = sum(map(min, rows))
    return [[least - min(row) + number for number in row] for row in rows]


class _Counter:
    """Counts each candidate of a layer once: its weights, and its multiply-adds for each shape of its input."""

    def __init__(self) -> None:
        self._modules: dict[tuple[LayerSpec, Candidate], nn.Module] = {}
        self._madds: dict[tuple[LayerSpec, Candidate, Shape], int] = {}

    def num_params(self, layer: LayerSpec, candidate: Candidate, _in_shape: Shape) -> int:
        """Count the weights of a candidate at a layer."""
        return sum(parameter.numel() for parameter in self._module(layer, candidate).parameters())

    def madds(self, layer: LayerSpec, candidate: Candidate, in_shape: Shape) -> int:
        """Count the multiply-adds of a candidate at a layer, for one input of this shape."""
        key = (layer, candidate, in_shape)
        if key not in self._madds:
            with torch.no_grad(), counting() as counter:
                self._module(layer, candidate)(torch.zeros(1, *in_shape, device=_device(candidate)))
            self._madds[key] = counter.madds
        return self._madds[key]

    def _module(self, layer: LayerSpec, candidate: Candidate) -> nn.Module:
        key = (layer, candidate)
        if key not in self._modules:
            with _device(candidate):
                self._modules[key] = build_operation(layer, candidate).eval()
        return self._modules[key]


def _device(candidate: Candidate) -> torch.device:
    """The meta device, but the CPU for custom operations, which may make tensors and are checked on values."""
    return torch.device("cpu" if custom_name(candidate.kind) else "meta")
