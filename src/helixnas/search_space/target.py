"""How much of the teacher's output all cells of a block can reach, where their widths are the space's own."""

from dataclasses import dataclass

from helixnas.search_space.block import BlockSpace, SearchSpace


@dataclass(frozen=True, slots=True)
class TargetShape:
    """So many leading principal components of the teacher's output, on maps of this size."""

    width: int
    size: tuple[int, ...]


def target_shape(block: BlockSpace) -> TargetShape | None:
    """The target of a block's cells: the least width and the least size that any of them ends with.

    None where every cell ends with the teacher's own interface: then the target is the teacher's output as it is.
    """
    spec = block.spec
    widths = {width for cell in block.cells for width in cell.out_widths}
    sizes = {spec.out_size if cell.in_size is None else cell.out_size(cell.in_size) for cell in block.cells}
    if widths == {spec.out_width} and sizes == {spec.out_size}:
        return None
    sides = zip(spec.out_size, *sizes, strict=True)
    return TargetShape(min(spec.out_width, *widths), tuple(map(min, sides)))


def keeps_interface(space: SearchSpace) -> bool:
    """Whether every block of every student takes and gives what the teacher's does.

    Then a student works before it is retrained, so that measuring it tells something.
    """
    return all(target_shape(block) is None for block in space.blocks)
