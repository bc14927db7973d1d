"""Join the blocks of one student: adapters fold into weights; operations that cannot take them in start fresh."""

import copy
from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn

from helixnas.search_space import Architecture, BlockSpace, Candidate, LayerSpec, Path
from helixnas.student.adapter import new_tail
from helixnas.student.build import build_operation
from helixnas.student.operations.size import Slimmable
from helixnas.student.supernet import BlockSupernet, bare, wrapped


def joined(supernets: Sequence[BlockSupernet], architecture: Architecture) -> list[list[nn.Module]]:
    """Return the operations of each block of a student, at the widths that blocks hand on to each other.

    The operations are those of the supernets, except the first operation of a block with adapters before it. There, a
    copy takes the linear map between the two blocks into its weights. A fresh operation, drawn from torch's global
    generator, stands there instead where its width is not the rated width, or where it does not start with linear
    layers alone. Behind the last block one adapter may stay.

    Args:
        supernets: The supernet of every block, in order.
        architecture: One path for each block.

    Returns:
        A list of modules for each block.
    """
    blocks: list[list[nn.Module]] = []
    width, given = supernets[0].block.spec.in_width, None
    for supernet, path in zip(supernets, architecture.paths, strict=True):
        blocks.append(_operations(supernet, path, width, given))
        width, given = supernet.block.out_width(path), None
        adapter = supernet.adapters.exit(path.cell, width)
        if supernet.target is not None and adapter is not None:
            # the map [C, width] from the path's output to the teacher's output less its mean; else it is that already
            given = supernet.target.basis.T @ adapter.weight.detach()
    target = supernets[-1].target
    if given is not None and target is not None:
        tail = new_tail(supernets[-1].block.spec, given.shape[1]).to(given.device)
        with torch.no_grad():
            tail.weight.copy_(given.view_as(tail.weight))
            cast("Tensor", tail.bias).copy_(target.mean)
        blocks[-1].append(tail)
    return blocks


def _operations(supernet: BlockSupernet, path: Path, in_width: int, given: Tensor | None) -> list[nn.Module]:
    block, cell = supernet.block, supernet.block.cells[path.cell]
    layers = cell.along(in_width, path.choices)
    choices = [layer.candidates[choice] for layer, choice in zip(layers, path.choices, strict=True)]
    operations = [
        _alone(operation, block, layer, candidate, is_last=layer is layers[-1])
        for operation, layer, candidate in zip(supernet.operations(path), layers, choices, strict=True)
    ]
    is_rated = in_width == (cell.in_width or block.spec.in_width)
    entry = supernet.adapters.entry(path.cell)
    maps = [matrix for matrix in (None if entry is None else entry.weight.detach(), given) if matrix is not None]
    between = reduce(torch.matmul, maps) if maps else None
    if between is not None or not is_rated:
        first = folded(bare(operations[0]), between) if between is not None and is_rated else None
        first = build_operation(layers[0], choices[0]) if first is None else first
        operations[0] = wrapped(first, block, is_last=cell.depth == 1).to(next(supernet.parameters()).device)
    return operations


def _alone(
    operation: nn.Module, block: BlockSpace, layer: LayerSpec, candidate: Candidate, *, is_last: bool
) -> nn.Module:
    """Return the operation itself, or, for one width of a slimmable layer, a copy of that width alone."""
    slimmable = bare(operation)
    if not isinstance(slimmable, Slimmable):
        return operation
    device = next(slimmable.parameters()).device
    return wrapped(slimmable.copied(build_operation(layer, candidate).to(device)), block, is_last=is_last)


@torch.no_grad()
def folded(operation: nn.Module, matrix: Tensor) -> nn.Module | None:
    """Copy an operation so that the copy does the work of a linear map of its input's channels as well.

    Args:
        operation: An operation whose ``entrances`` method lists the layers that read its input.
        matrix: The linear map before the operation, [C, C']: from C' new input channels to the C that it takes now.

    Returns:
        The copy, or None where the operation has no entrances, because it does not start with linear layers alone.
    """
    copied = copy.deepcopy(operation)
    entrances = find() if callable(find := getattr(copied, "entrances", None)) else []
    for layer in entrances:
        layer.weight.copy_(torch.tensordot(layer.weight, matrix, dims=([1], [0])).movedim(-1, 1))
    return copied if entrances else None
