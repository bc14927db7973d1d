"""A search space of your own: one function from a block's spec to the cells that may stand in for it.

search_space:
  name: factory:examples.two_kernels:cells
"""

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.search_space import TEACHER, Cell, mbconv


def cells(spec: BlockSpec, settings: Space) -> tuple[Cell, ...]:
    """The teacher's block, or one MBConv of kernel 3 or 5."""
    teacher = Cell((spec.out_width,), (spec.stride,), ((TEACHER,),))
    small = Cell(
        (spec.out_width,), (spec.stride,), ((mbconv(3, 4, settings.se_ratio), mbconv(5, 4, settings.se_ratio)),)
    )
    return teacher, small
