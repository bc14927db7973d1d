"""Cut the teacher into a stem, blocks and a head, and prove that the pieces are the whole."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.cut.auto import auto
from helixnas.cut.boundaries import Boundaries
from helixnas.cut.listed import listed
from helixnas.cut.pieces import CutTeacher, assemble, prove
from helixnas.errors import CutError


def cut(network: nn.Module, blocks: int | Sequence[Sequence[str]], example: Tensor) -> CutTeacher:
    """Cut a network into blocks, and prove on ``example`` that the pieces in a row give the same output as the whole.

    Args:
        network: The teacher.
        blocks: How many blocks to make, at places that suit the network; or the names of each block's modules, in order
            and without a gap.
        example: A batch [N, C, H, W] of normalised images.

    Raises:
        CutError: The network cannot be cut so; the message says where and why.
    """
    if isinstance(blocks, int):
        return auto(network, blocks, example)
    network.eval()
    teacher = assemble(network, listed(network, blocks, example), example)
    prove(teacher, example)
    named = zip(teacher.specs, blocks, strict=True)
    return replace(teacher, specs=tuple(replace(spec, teacher_modules=tuple(names)) for spec, names in named))


def recut(network: nn.Module, boundaries: Boundaries, specs: Sequence[BlockSpec], example: Tensor) -> CutTeacher:
    """Cut another copy of a network at known boundaries, without a search, and prove the cut.

    Args:
        network: The copy.
        boundaries: The boundaries of the first cut.
        specs: The blocks of the first cut.
        example: A batch [N, C, H, W] of normalised images.

    Raises:
        CutError: The copy has no such boundaries, or its blocks have other shapes than ``specs``.
    """
    teacher = assemble(network, boundaries, example)
    prove(teacher, example)
    wanted, got = ([(spec.in_shape, spec.out_shape) for spec in some] for some in (specs, teacher.specs))
    if wanted != got:
        raise CutError(f"The teacher's blocks must have the shapes {wanted}, as they were cut, but have {got}.")
    return replace(teacher, specs=tuple(specs))
