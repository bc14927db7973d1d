"""Vision transformers with a depth, a width, heads and MLP ratios for each block.

This space is HelixNAS's: the papers of DNA's family mention a space of small vision transformers, but publish neither
its definition nor its size. The space reads three keys of ``search_space``:

- ``cells``: the depth, and the width as a share of the teacher's. All layers of a cell have this width, so the next
  block takes this width too.
- ``attention``: the inner width of attention, in heads of 32, as a share of the width.
- ``mlp_ratios``: the inner width of the MLP, as a multiple of the width.
"""

from collections.abc import Sequence
from itertools import product

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import transformer
from helixnas.search_space.spaces.skeleton import rounded, usual_width


def blocks(specs: Sequence[BlockSpec], settings: Space) -> tuple[BlockSpace, ...]:
    """Make one block of the student for each of the teacher's blocks, with the same number of tokens.

    Raises:
        ConfigError: A block is not of tokens, or changes their number; or a list that the space needs is empty.
    """
    _require_tokens(specs, settings)
    candidates = tuple(transformer(a, m) for a, m in product(settings.attention, settings.mlp_ratios))
    made: list[BlockSpace] = []
    for spec in specs:
        in_width = usual_width(made[-1].cells) if made else None
        shapes = dict.fromkeys((shape.depth, rounded(shape.width * spec.out_width)) for shape in settings.cells)
        cells = (
            Cell((width,) * depth, (1,) * depth, (candidates,) * depth, is_map=False, in_width=in_width)
            for depth, width in shapes
        )
        made.append(BlockSpace(spec, tuple(cells)))
    return tuple(made)


def _require_tokens(specs: Sequence[BlockSpec], settings: Space) -> None:
    for spec in specs:
        if {spec.layout, spec.in_layout} - {None, "NLC"} or spec.in_size != spec.out_size:
            raise ConfigError(
                f"search_space.name 'vit' needs blocks of tokens [L, C] that keep L, but block {spec.block_id} of "
                f"teacher.blocks turns {spec.in_shape} into {spec.out_shape} ({spec.layout}). Cut the teacher where "
                "its tokens stay as many, or take search_space.name: substitute."
            )
    for key in ("cells", "attention", "mlp_ratios"):
        if not getattr(settings, key):
            raise ConfigError(
                f"search_space.{key} must hold something, since search_space.name is 'vit', but is empty."
            )
