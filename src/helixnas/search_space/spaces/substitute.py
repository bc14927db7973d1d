"""Drop-in replacements: every cell takes and gives what the teacher's block does, so a trained block fits in place."""

from itertools import product

from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpec, Cell
from helixnas.search_space.candidate import TEACHER, mbconv


def cells(spec: BlockSpec, settings: Space) -> tuple[Cell, ...]:
    """The teacher's block (if kept), then a cell for each asked depth and width, of MBConv candidates.

    Inner widths are rounded to multiples of 8, which hardware likes; the last layer always gives the teacher's width.
    """
    if spec.layout != "NCHW":
        raise ConfigError(
            f"search_space.name 'substitute' replaces blocks of maps, but block {spec.block_id} passes on tokens. "
            "Cut the teacher where it passes on maps."
        )
    candidates = tuple(mbconv(k, e, settings.se_ratio) for e, k in product(settings.expansions, settings.kernels))
    kept = (Cell((spec.out_width,), (spec.stride,), ((TEACHER,),)),) if settings.keep_teacher else ()
    made = (
        Cell(
            widths=(*[_rounded(shape.width * spec.out_width)] * (shape.depth - 1), spec.out_width),
            strides=_strides(spec.stride, shape.depth),
            candidates=(candidates,) * shape.depth,
        )
        for shape in settings.cells
    )
    return (*kept, *dict.fromkeys(made))  # two shapes may round to the same cell: keep one


def _rounded(width: float) -> int:
    return max(8, round(width / 8) * 8)


def _strides(stride: int, depth: int) -> tuple[int, ...]:
    """The block's stride taken as early as it can be, by twos: a kernel of 3 cannot bridge a stride of 4."""
    strides = [1] * depth
    layer = 0
    while stride % 2 == 0 and stride > 2 and layer < depth - 1:
        strides[layer], stride, layer = 2, stride // 2, layer + 1
    strides[layer] *= stride
    return tuple(strides)
