"""Blocks next to each other in one student: adapters fold into weights, and what they cannot fold into starts fresh."""

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.search_space import Architecture, BlockSpace, Candidate, LayerSpec, Path
from helixnas.student.adapter import new_tail
from helixnas.student.ops import build_operation
from helixnas.student.size import Slimmable
from helixnas.student.supernet import BlockSupernet, bare, wrapped


def joined(supernets: Sequence[BlockSupernet], architecture: Architecture) -> list[list[nn.Module]]:
    """The operations of each block of a student, at the widths that the blocks hand on to each other.

    They are the supernets' own, but for the first of a block where adapters stood before it. There a copy has what lies
    between the blocks in its weights; or, where the width is not the rated one, or the operation does not start with
    linear layers alone, a fresh one stands, from torch's global generator. Behind the last block one adapter may stay.
    """
    blocks: list[list[nn.Module]] = []
    width, given = supernets[0].block.spec.in_width, None
    for supernet, path in zip(supernets, architecture.paths, strict=True):
        blocks.append(_operations(supernet, path, width, given))
        width, given = supernet.block.out_width(path), _given(supernet, path)
    target = supernets[-1].target
    if given is not None and target is not None:
        blocks[-1].append(_tail(supernets[-1].block.spec, given, target.mean))
    return blocks


def _given(supernet: BlockSupernet, path: Path) -> Tensor | None:
    """[C, width]: how the teacher's output, less its mean, follows from what a path gives; None if it is just that."""
    adapter = supernet.adapters.exit(path.cell, supernet.block.out_width(path))
    if supernet.target is None or adapter is None:
        return None
    return supernet.target.basis.T @ adapter.weight.detach()


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
    between = _product(None if entry is None else entry.weight.detach(), given)
    if between is not None or not is_rated:
        first = folded(bare(operations[0]), between) if between is not None and is_rated else None
        first = build_operation(layers[0], choices[0]) if first is None else first
        operations[0] = wrapped(first, block, is_last=cell.depth == 1).to(next(supernet.parameters()).device)
    return operations


def _product(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first @ second


def _alone(
    operation: nn.Module, block: BlockSpace, layer: LayerSpec, candidate: Candidate, *, is_last: bool
) -> nn.Module:
    """The operation itself, or, where it is one width of a slimmable layer, a copy of that width alone."""
    slimmable = bare(operation)
    if not isinstance(slimmable, Slimmable):
        return operation
    device = next(slimmable.parameters()).device
    return wrapped(slimmable.copied(build_operation(layer, candidate).to(device)), block, is_last=is_last)


@torch.no_grad()
def folded(operation: nn.Module, matrix: Tensor) -> nn.Module | None:
    """A copy of the operation that does what it did behind a linear map of its input's channels, ``matrix`` [C, C].

    None where the operation does not say that it starts with linear layers alone (its ``entrances``).
    """
    copied = copy.deepcopy(operation)
    entrances = find() if callable(find := getattr(copied, "entrances", None)) else []
    for layer in entrances:
        weight = torch.tensordot(layer.weight, matrix, dims=([1], [0])).movedim(-1, 1)
        layer.weight.copy_(weight)
    return copied if entrances else None


@torch.no_grad()
def _tail(spec: BlockSpec, given: Tensor, mean: Tensor) -> nn.Module:
    tail = new_tail(spec, given.shape[1]).to(given.device)
    tail.weight.copy_(given.view_as(tail.weight))
    cast("Tensor", tail.bias).copy_(mean)
    return tail
