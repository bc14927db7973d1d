"""Drop-in substitutes: every cell has the input and output shapes of the teacher's block, and so fits in its place."""

from collections.abc import Iterator
from itertools import product

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.search_space.block import Cell
from helixnas.search_space.candidate import (
    SKIP,
    TEACHER,
    Candidate,
    bottleneck,
    custom_candidate,
    fewer_layers,
    mbconv,
    transformer,
)
from helixnas.search_space.spaces.skeleton import rounded


def cells(spec: BlockSpec, settings: Space) -> tuple[Cell, ...]:
    """Make the cells of one block.

    The cells are, in order: the teacher's block (if kept), the identity (where input and output shapes are equal), the
    teacher's block with fewer layers, and one cell for each depth and width in ``settings.cells``. Inner widths are
    rounded to multiples of 8, which suits hardware; the last layer always has the teacher's width. Cells of tokens keep
    the teacher's width throughout.

    Raises:
        ConfigError: The block has no cell at all, for example tokens whose number changes, without ``keep_teacher``.
    """
    kept = [_single(spec, TEACHER)] if settings.keep_teacher else []
    skip = [_single(spec, SKIP)] if settings.allow_skip and spec.in_shape == spec.out_shape else []
    # one layer is left out, half, or all that can be; but a block that keeps its shape keeps one of them
    most = len(spec.droppable) - (spec.in_shape == spec.out_shape)
    dropped = sorted({1, most // 2, most} - {0}) if settings.fewer_layers and most > 0 else []
    fewer = [_single(spec, fewer_layers(num_dropped)) for num_dropped in dropped]
    made = _tokens if spec.layout == "NLC" else _maps
    # a map that becomes tokens, and tokens that become a map, have no substitute
    is_alike = len(spec.in_shape) == len(spec.out_shape)
    # two shapes may round to the same cell: keep one of them
    found = tuple(dict.fromkeys([*kept, *skip, *fewer, *(made(spec, settings) if is_alike else ())]))
    if not found:
        raise ConfigError(
            f"Block {spec.block_id} must have a substitute, but nothing here turns {spec.in_shape} into "
            f"{spec.out_shape} ({spec.layout}). Set search_space.keep_teacher: true, or cut the teacher elsewhere."
        )
    return found


def _single(spec: BlockSpec, candidate: Candidate) -> Cell:
    return Cell((spec.out_width,), (spec.stride,), ((candidate,),))


def _maps(spec: BlockSpec, settings: Space) -> Iterator[Cell]:
    candidates = (
        *(mbconv(k, e, settings.se_ratio) for e, k in product(settings.expansions, settings.kernels)),
        *(bottleneck(k, r) for r, k in product(settings.bottlenecks, settings.kernels)),
        *map(custom_candidate, settings.operations_of(spec.block_id, is_tokens=False)),
    )
    for shape in settings.cells:
        yield Cell(
            widths=(*[rounded(shape.width * spec.out_width)] * (shape.depth - 1), spec.out_width),
            strides=_strides(spec.stride, shape.depth),
            candidates=(candidates,) * shape.depth,
        )


def _tokens(spec: BlockSpec, settings: Space) -> Iterator[Cell]:
    candidates = (
        *(transformer(a, m) for a, m in product(settings.attention, settings.mlp_ratios)),
        *map(custom_candidate, settings.operations_of(spec.block_id, is_tokens=True)),
    )
    if spec.in_size != spec.out_size or not candidates:
        return
    for shape in settings.cells:
        depth = shape.depth
        yield Cell((spec.out_width,) * depth, (1,) * depth, (candidates,) * depth, is_map=False)


def _strides(stride: int, depth: int) -> tuple[int, ...]:
    """The block's stride taken as early as it can be, by twos: a kernel of 3 cannot bridge a stride of 4."""
    strides = [1] * depth
    layer = 0
    while stride % 2 == 0 and stride > 2 and layer < depth - 1:
        strides[layer], stride, layer = 2, stride // 2, layer + 1
    strides[layer] *= stride
    return tuple(strides)
