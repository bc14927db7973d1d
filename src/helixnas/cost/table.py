"""Count or measure the cost of every path of a block, and of the adapter behind the last block."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from helixnas.cost.count import count
from helixnas.cost.measure import Subject
from helixnas.cost_kinds import counted
from helixnas.results import Cost, CostTable
from helixnas.search_space import TEACHER, BlockSpace, Candidate, LayerSpec, Path, SearchSpace
from helixnas.student import borrowed, build_operation, has_tail, new_operation, new_tail


def in_widths(space: SearchSpace, block_id: int) -> tuple[int, ...]:
    """Return the widths that may come into a block, in rising order.

    Block 0 takes the width of its spec alone; a later block takes every width that the block before may give.
    """
    if block_id == 0:
        return (space.blocks[0].spec.in_width,)
    return tuple(sorted({width for cell in space.blocks[block_id - 1].cells for width in cell.out_widths}))


def count_paths(block: BlockSpace, widths: Sequence[int], teacher_block: nn.Module, kinds: Iterable[str]) -> CostTable:
    """Count the costs of every (in_width, path); each candidate is counted once, and combined along paths.

    Args:
        block: The space of the block.
        widths: The widths that may come into the block.
        teacher_block: The teacher's block, for candidates made of it.
        kinds: Names of kinds of cost; those that are measured are left out.
    """
    counter = _LayerCounter(block, teacher_block, tuple(counted(kinds)))
    rows = [(width, path) for width in widths for path in block.paths_after(width)]
    return CostTable(
        block.block_id,
        tuple(width for width, _ in rows),
        tuple(path.key for _, path in rows),
        tuple(counter.path_cost(width, path) for width, path in rows),
    )


class _LayerCounter:
    """Counts each (layer, candidate, input shape) once."""

    def __init__(self, block: BlockSpace, teacher_block: nn.Module, kinds: Sequence[str]) -> None:
        self._block, self._teacher_block, self._kinds = block, teacher_block, kinds
        self._nothing = Cost(dict.fromkeys(kinds, 0))
        self._known: dict[tuple[LayerSpec, Candidate, tuple[int, ...]], Cost] = {}
        self._tails: dict[tuple[int, tuple[int, ...]], Cost] = {}

    def path_cost(self, in_width: int, path: Path) -> Cost:
        """All costs that the path adds to a student, with the adapter to the head where the last block keeps one."""
        size = self._block.cells[path.cell].in_size or self._block.spec.in_size
        total = self._nothing
        for layer, choice in zip(self._block.cells[path.cell].along(in_width, path.choices), path.choices, strict=True):
            candidate = layer.candidates[choice]
            if candidate.kind == TEACHER.kind:
                in_shape = self._block.spec.with_in_width(in_width).in_shape
            else:
                in_shape = (layer.in_width, *size) if layer.is_map else (*size, layer.in_width)
            total += self._layer_cost(layer, candidate, in_shape)
            size = tuple(math.ceil(side / layer.stride) for side in size)
        return total + self._tail_cost(self._block.out_width(path), size)

    def _tail_cost(self, width: int, size: tuple[int, ...]) -> Cost:
        if not has_tail(self._block):
            return self._nothing
        if (width, size) not in self._tails:
            spec = self._block.spec
            in_shape = (width, *size) if spec.layout == "NCHW" else (*size, width)
            self._tails[width, size] = count(new_tail(spec, width), in_shape, self._kinds)
        return self._tails[width, size]

    def _layer_cost(self, layer: LayerSpec, candidate: Candidate, in_shape: tuple[int, ...]) -> Cost:
        key = (layer, candidate, in_shape)
        if key not in self._known:
            self._known[key] = count(self._module(layer, candidate), in_shape, self._kinds)
        return self._known[key]

    def _module(self, layer: LayerSpec, candidate: Candidate) -> nn.Module:
        if candidate.kind == TEACHER.kind:
            return borrowed(self._teacher_block, self._block, candidate)
        return build_operation(layer, candidate)


def path_subjects(
    block: BlockSpace, in_width: int, teacher_block: nn.Module, batch_size: int, device: torch.device
) -> list[Subject]:
    """Make the network of every path after a width with fresh weights, to be measured, in the order of ``paths_after``.

    Args:
        block: The space of the block.
        in_width: Channels that come into the block.
        teacher_block: The teacher's block, for candidates made of it.
        batch_size: Images in the input.
        device: Where to run.
    """
    make = _Modules(block, teacher_block, device)
    inputs: dict[tuple[int, ...], torch.Tensor] = {}
    subjects: list[Subject] = []
    for path in block.paths_after(in_width):
        in_size = block.cells[path.cell].in_size
        shape = block.spec.with_in_width(in_width).in_shape if in_size is None else (in_width, *in_size)
        if shape not in inputs:
            inputs[shape] = torch.rand(batch_size, *shape, device=device)
        subjects.append((make(path, in_width), inputs[shape]))
    return subjects


class _Modules:
    """Networks of paths as a student has them; paths share one module for each (layer, candidate)."""

    def __init__(self, block: BlockSpace, teacher_block: nn.Module, device: torch.device) -> None:
        self._block, self._teacher_block, self._device = block, teacher_block, device
        self._known: dict[tuple[LayerSpec, int, bool], nn.Module] = {}

    def __call__(self, path: Path, in_width: int) -> nn.Sequential:
        layers = self._block.cells[path.cell].along(in_width, path.choices)
        modules = [self._module(*pair, layers[-1]) for pair in zip(layers, path.choices, strict=True)]
        if has_tail(self._block):
            modules.append(new_tail(self._block.spec, self._block.out_width(path)).to(self._device))
        return nn.Sequential(*modules)

    def _module(self, layer: LayerSpec, choice: int, last: LayerSpec) -> nn.Module:
        key = (layer, choice, layer is last)
        if key not in self._known:
            candidate = layer.candidates[choice]
            if candidate.kind == TEACHER.kind:
                made = borrowed(self._teacher_block, self._block, candidate)
            else:
                made = new_operation(self._block, layer, candidate, is_last=key[2])
            self._known[key] = made.to(self._device).eval()
        return self._known[key]
