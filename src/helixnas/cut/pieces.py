"""The teacher in pieces: made from known boundaries, described by a BlockSpec for each block, and proved."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec, Layout
from helixnas.counting import counting
from helixnas.cut import by_export, by_fx, graph
from helixnas.cut.boundaries import Boundaries
from helixnas.cut.inside import Inside, look_inside
from helixnas.cut.layout import MAP, layout_of
from helixnas.errors import CutError


@dataclass(frozen=True, slots=True, eq=False)
class CutTeacher:
    """The teacher in pieces that share its weights: ``head(blocks(stem(x)))`` is the teacher's output."""

    network: nn.Module
    stem: nn.Module
    blocks: tuple[nn.Module, ...]
    head: nn.Module
    specs: tuple[BlockSpec, ...]
    boundaries: Boundaries

    def to(self, device: torch.device) -> None:
        """Move the network and its pieces to ``device``.

        The pieces are moved too, since a buffer that a piece reads directly does not follow the network's.
        """
        for module in (self.network, self.stem, *self.blocks, self.head):
            module.to(device)


def assemble(network: nn.Module, boundaries: Boundaries, example: Tensor) -> CutTeacher:
    """Cut the teacher at ``boundaries`` and describe its blocks by their shapes on ``example``, without a proof.

    Raises:
        CutError: The network lacks the steps that ``boundaries`` names.
    """
    network.eval()
    record = by_fx.flow if boundaries.method == "fx" else by_export.flow
    stem, *blocks, head = pieces = record(network, boundaries, example).split(boundaries.names)
    specs = _specs(stem, blocks, graph.covered(pieces)[1:-1], example)
    return CutTeacher(network, stem, tuple(blocks), head, specs, boundaries)


@torch.no_grad()
def prove(teacher: CutTeacher, example: Tensor) -> None:
    """Prove that the pieces in a row give the whole network's output on ``example``, within float32 rounding.

    The proof is repeated on the first image alone, since a piece must take batches of any size.

    Raises:
        CutError: The outputs differ, or a piece changes its input in place.
    """
    for images in (example, example[:1])[: len(example)]:
        whole = teacher.network(images)
        difference = float((_run(teacher, images) - whole).abs().max())
        allowed = 1e-5 * max(1.0, float(whole.abs().max()))
        if not difference <= allowed:
            raise CutError(
                f"The recomposed blocks must equal the teacher, but differ by {difference:g} on {len(images)} images. "
                "Does the teacher change in eval mode, or keep state between calls?"
            )


def _run(teacher: CutTeacher, images: Tensor) -> Tensor:
    x: Tensor = teacher.stem(images)
    for block_id, piece in enumerate((*teacher.blocks, teacher.head)):
        version = x._version
        y = piece(x)
        if x._version != version:
            name = f"Block {block_id}" if block_id < len(teacher.blocks) else "The head"
            raise CutError(f"{name} must leave its input as it is, but changes it in place. Cut behind the change.")
        x = y
    return x


@torch.no_grad()
def _specs(
    stem: nn.Module, blocks: Sequence[nn.Module], modules: Sequence[tuple[str, ...]], example: Tensor
) -> tuple[BlockSpec, ...]:
    specs: list[BlockSpec] = []
    x = stem(example)
    in_layout = _layout(x, example, look_inside(stem, example), None, 0)
    for block_id, (block, names) in enumerate(zip(blocks, modules, strict=True)):
        y, inside = block(x), look_inside(block, x)
        layout = _layout(y, example, inside, in_layout, block_id)
        other = None if in_layout == layout else in_layout
        shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        with counting() as counter:
            block(x[:1])
        spec = BlockSpec(
            block_id,
            *shapes,
            layout,
            names,
            droppable=inside.droppable,
            in_layout=other,
            madds=counter.madds,
            num_params=sum(parameter.numel() for parameter in block.parameters()),
        )
        specs.append(spec)
        x, in_layout = y, layout
    return tuple(specs)


def _layout(tensor: object, example: Tensor, inside: Inside, before: Layout | None, block_id: int) -> Layout:
    """The layout of what a piece passes on; where neither shape nor steps tell it, that of what came in, or NCHW."""
    shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else ()
    axis = inside.channel_axis
    if axis is None and before is not None and len(shape) == (3 if before == "NLC" else 4):
        axis = {"NCHW": 1, "NHWC": 3, "NLC": 2}[before]
    layout = layout_of(shape, example.shape, axis) or ("NCHW" if len(shape) == MAP else None)
    if layout is None:
        got = shape or type(tensor).__name__
        raise CutError(
            f"Block {block_id} must pass on maps [N, C, H, W] or tokens [N, L, C], or maps with channels last, "
            f"but passes on {got}."
        )
    return layout
