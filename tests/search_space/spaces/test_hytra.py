"""BossNAS's hybrid space: its published size, counted by how blocks follow each other, and a published network."""

from itertools import product

import pytest
from torch import nn

from helixnas.cost import count, count_paths, in_widths
from helixnas.errors import ConfigError, SpaceMismatchError
from helixnas.search_space import BlockSpace, Path, SearchSpace
from helixnas.student import build_operation
from tests.costs import COUNTED
from tests.search_space.conftest import NewSpace, maps

WIDTHS = (256, 512, 1024, 2048)
RESNET = maps((64, *WIDTHS), (1, 2, 2, 2), 56)
BOSSNET_T0 = ([1], [1], [1, 1, 1, 0, 1], [0, 0, 0, 1, 0, 0, 0, 0, 0])
"""As published, by scale: 1 is a convolution, 0 attention."""


@pytest.fixture(scope="module")
def space(new_space: NewSpace) -> SearchSpace:
    return new_space("hytra", RESNET)


def encoded(space: SearchSpace, scales: tuple[list[int], ...]) -> str:
    """The arch_id of a published encoding, four layers a block."""
    layers = [(scale, is_conv) for scale, row in enumerate(scales) for is_conv in row]
    width, keys = 64, []
    for block, start in zip(space.blocks, range(0, 16, 4), strict=True):
        part = layers[start : start + 4]
        widths = tuple(WIDTHS[scale] for scale, _ in part)
        (cell,) = [i for i, cell in enumerate(block.cells) if cell.takes(width) and cell.widths == widths]
        choices = tuple(is_conv if scale > 1 else 0 for scale, is_conv in part)
        keys.append(Path(block.block_id, cell, choices).key)
        width = widths[-1]
    return "-".join(keys)


def test_the_space_has_the_published_size(space: SearchSpace) -> None:
    assert space.num_architectures == 2_818_103


def test_a_first_block_alone_may_end_in_as_many_ways_as_published(space: SearchSpace) -> None:
    assert SearchSpace(space.blocks[:1]).num_architectures == 131  # BossNAS's list of paths from the largest scale


def test_two_blocks_join_where_one_ends_as_the_other_begins(space: SearchSpace) -> None:
    pair = SearchSpace(space.blocks[:2])
    ways = [(a, b) for a, b in product(*(list(block.paths()) for block in pair.blocks)) if _follows(pair.blocks, a, b)]
    assert pair.num_architectures == len(ways)


def _follows(blocks: tuple[BlockSpace, ...], first: Path, second: Path) -> bool:
    """By the published rule: a layer keeps the scale of the one before it, or goes on to the next."""
    last, start = (blocks[i].cells[p.cell] for i, p in enumerate((first, second)))
    return start.in_width == last.widths[-1] and start.widths[0] in {start.in_width, 2 * start.in_width}


def test_no_layer_goes_back_or_skips_a_scale_after_the_first(space: SearchSpace) -> None:
    for block in space.blocks:
        for cell in block.cells:
            steps = [b / a for a, b in zip((cell.in_width, *cell.widths)[1:], cell.widths[1:], strict=False)]
            assert set(steps) <= {1, 2}
            assert cell.strides[1:] == tuple(int(step) for step in steps)


def test_a_published_network_is_a_member_and_costs_what_was_published(space: SearchSpace) -> None:
    """BossNet-T0 without squeeze-excite: 3.4 G at 224 pixels."""
    layers, width = [], 64
    for block, path in zip(space.blocks, space.parse(encoded(space, BOSSNET_T0)).paths, strict=True):
        for layer, choice in zip(block.cells[path.cell].along(width, path.choices), path.choices, strict=True):
            layers.append(build_operation(layer, layer.candidates[choice]))
        width = block.out_width(path)
    stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))
    assert round(count(nn.Sequential(stem, *layers, head), (3, 224, 224), COUNTED)["madds"] / 1e9, 1) == 3.4


def test_blocks_that_do_not_follow_each_other_make_no_architecture(space: SearchSpace) -> None:
    arch_id = encoded(space, BOSSNET_T0)
    keys = arch_id.split("-")
    assert space.joins(space.parse(arch_id))
    with pytest.raises(SpaceMismatchError, match="take what the one before gives"):
        space.parse("-".join([keys[0], keys[2], keys[2], keys[3]]))


def test_a_path_is_priced_after_the_ends_that_it_follows_alone(space: SearchSpace) -> None:
    assert in_widths(space, 0) == (64,)
    assert in_widths(space, 3) == WIDTHS
    table = count_paths(space.blocks[3], (2048,), nn.Identity(), COUNTED).check(space.blocks[3])
    assert len(table.paths) == 2**4  # at the smallest scale nothing but operations is left to choose
    sizes = {cell.in_width: cell.in_size for cell in space.blocks[3].cells}
    assert sizes == {256: (56, 56), 512: (28, 28), 1024: (14, 14), 2048: (7, 7)}


@pytest.mark.parametrize("specs", [RESNET[:3], maps((64, *WIDTHS), (1, 2, 2, 2), 8, "NHWC"), (*RESNET, RESNET[3])])
def test_another_cut_is_refused(new_space: NewSpace, specs: tuple) -> None:
    with pytest.raises(ConfigError, match=rf"'hytra' needs 4 blocks of maps .* has {len(specs)}: "):
        new_space("hytra", specs)
