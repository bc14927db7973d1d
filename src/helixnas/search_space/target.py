"""The part of the teacher's output that every cell of a block can reach, where a space chooses its own widths."""

from dataclasses import dataclass

from helixnas.search_space.block import BlockSpace, SearchSpace


@dataclass(frozen=True, slots=True)
class TargetShape:
    """The first ``width`` principal components of the teacher's output, on maps of ``size`` (height, width)."""

    width: int
    size: tuple[int, ...]


def target_shape(block: BlockSpace) -> TargetShape | None:
    """Find the target of a block's cells: the least width and the least size that any of the cells ends with.

    Returns:
        None where every cell ends with the teacher's width and size: then the target is the teacher's whole output.
    """
    spec = block.spec
    widths = {width for cell in block.cells for width in cell.out_widths}
    sizes = {spec.out_size if cell.in_size is None else cell.out_size(cell.in_size) for cell in block.cells}
    if widths == {spec.out_width} and sizes == {spec.out_size}:
        return None
    sides = zip(spec.out_size, *sizes, strict=True)
    return TargetShape(min(spec.out_width, *widths), tuple(map(min, sides)))


def keeps_interface(space: SearchSpace) -> bool:
    """Tell whether every block of every student has the teacher's input and output shapes.

    Such a student works before it is retrained, so its accuracy before training means something.
    """
    return all(target_shape(block) is None for block in space.blocks)
