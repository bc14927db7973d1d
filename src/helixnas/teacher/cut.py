"""Cut the teacher into a stem, blocks and a head at named modules, and prove that the pieces are the whole."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from helixnas.errors import CutError
from helixnas.search_space import BlockSpec
from helixnas.search_space.block import Layout
from helixnas.teacher import graph


@dataclass(frozen=True, slots=True, eq=False)
class CutTeacher:
    """The teacher in pieces that share its weights: ``head(blocks(stem(x)))`` is the teacher's output."""

    network: nn.Module
    stem: nn.Module
    blocks: tuple[nn.Module, ...]
    head: nn.Module
    specs: tuple[BlockSpec, ...]


def cut(network: nn.Module, block_modules: Sequence[Sequence[str]], example: Tensor) -> CutTeacher:
    """Cut at the named modules; block k covers ``block_modules[k]``, in order and without a gap.

    ``example`` is a batch [N, C, H, W] of normalised images, on which the cut is proved: the pieces in a row must give
    what the whole gives. Raises CutError that says where and why.
    """
    _require_modules(network, block_modules)
    network.eval()
    nodes = graph.trace(network, [name for names in block_modules for name in names])
    entries = _boundaries(nodes, block_modules)
    exits = [*entries[1:], graph.result(nodes)]
    stem = graph.piece(network, nodes[1 : nodes.index(entries[0]) + 1], nodes[0], entries[0])
    pieces = [_piece(network, nodes, entry, exit_) for entry, exit_ in zip(entries, exits, strict=True)]
    *blocks, head = pieces
    specs = _specs(stem, blocks, block_modules, example)
    teacher = CutTeacher(network, stem, tuple(blocks), head, specs)
    prove(teacher, example)
    return teacher


@torch.no_grad()
def prove(teacher: CutTeacher, example: Tensor) -> None:
    """CutError unless the pieces in a row give the whole network's output on ``example``, to float32's last digits."""
    whole = teacher.network(example)
    x = teacher.stem(example)
    for block in teacher.blocks:
        x = block(x)
    difference = float((teacher.head(x) - whole).abs().max())
    allowed = 1e-5 * max(1.0, float(whole.abs().max()))
    if not difference <= allowed:
        raise CutError(
            f"The recomposed blocks must equal the teacher, but differ by {difference:g} on {len(example)} images. "
            "Does the teacher change in eval mode, or keep state between calls?"
        )


def _piece(network: nn.Module, nodes: list[fx.Node], entry: fx.Node, exit_: fx.Node) -> fx.GraphModule:
    return graph.piece(network, nodes[nodes.index(entry) + 1 : nodes.index(exit_) + 1], entry, exit_)


def _require_modules(network: nn.Module, block_modules: Sequence[Sequence[str]]) -> None:
    known = [name for name, _ in network.named_modules() if name]
    for block_id, names in enumerate(block_modules):
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
                raise CutError(
                    f"teacher.blocks[{block_id}] must name modules of the teacher, but {name!r} is none. "
                    f"Near: {', '.join(near) or ', '.join(known[:8])}."
                )


def _boundaries(nodes: list[fx.Node], block_modules: Sequence[Sequence[str]]) -> list[fx.Node]:
    """The node that enters block 0, then the node that each block ends with."""
    first = _call(nodes, block_modules[0][0], 0)
    entry = first.args[0]
    if not isinstance(entry, fx.Node):
        raise CutError(f"teacher.blocks[0] must start with a module of one tensor, but {first.target!r} takes another.")
    boundaries = [entry]
    for block_id, names in enumerate(block_modules):
        boundary = _call(nodes, names[-1], block_id)
        _require_run(nodes, boundaries[-1], boundary, block_id, names)
        boundaries.append(boundary)
    for position, boundary in enumerate(boundaries):
        _require_one_tensor(nodes, boundary, position)
    return boundaries


def _call(nodes: list[fx.Node], name: str, block_id: int) -> fx.Node:
    calls = [node for node in nodes if node.op == "call_module" and node.target == name]
    if len(calls) != 1:
        raise CutError(
            f"teacher.blocks[{block_id}] must name modules that one forward pass calls once, but {name!r} is called "
            f"{len(calls)} times. Name the module that holds it, or one inside it."
        )
    return calls[0]


def _require_run(nodes: list[fx.Node], start: fx.Node, end: fx.Node, block_id: int, names: Sequence[str]) -> None:
    """CutError unless the modules called between two boundaries are exactly the block's."""
    called = [str(n.target) for n in nodes[nodes.index(start) + 1 : nodes.index(end) + 1] if n.op == "call_module"]
    if called == list(names):
        return
    place = f"where block {block_id - 1} ends" if block_id else "where the stem ends"
    if not called:
        raise CutError(
            f"teacher.blocks[{block_id}].modules must continue {place}, but {names[-1]!r} is called before it."
        )
    if called[0] != names[0]:
        raise CutError(
            f"teacher.blocks[{block_id}].modules must continue {place} ({called[0]!r}), but starts at {names[0]!r}."
        )
    raise CutError(
        f"teacher.blocks[{block_id}] must list every module from its first to its last, which are {called}, "
        f"but lists {list(names)}."
    )


def _require_one_tensor(nodes: list[fx.Node], boundary: fx.Node, position: int) -> None:
    others = graph.crossing(nodes, boundary)
    if others:
        place = f"after block {position - 1}" if position else "before block 0"
        names = ", ".join(sorted(node.name for node in others))
        raise CutError(
            f"One tensor must cross the cut {place} ({boundary.name}), but {len(others) + 1} do: {names} too. "
            "Cut where a residual or dense connection is closed."
        )


@torch.no_grad()
def _specs(
    stem: nn.Module, blocks: Sequence[nn.Module], block_modules: Sequence[Sequence[str]], example: Tensor
) -> tuple[BlockSpec, ...]:
    specs = []
    x = stem(example)
    for block_id, (block, names) in enumerate(zip(blocks, block_modules, strict=True)):
        y = block(x)
        for tensor in (x, y):
            _require_layout(tensor, block_id)
        layout: Layout = "NCHW" if y.ndim == 4 else "NLC"
        specs.append(BlockSpec(block_id, tuple(x.shape[1:]), tuple(y.shape[1:]), layout, tuple(names)))
        x = y
    return tuple(specs)


def _require_layout(tensor: object, block_id: int) -> None:
    if not isinstance(tensor, Tensor) or tensor.ndim not in (3, 4):
        shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise CutError(f"Block {block_id} must pass on maps [N, C, H, W] or tokens [N, L, C], but passes on {shape}.")
