"""Groups of blocks: all there once, led in order, of about the same work."""

from itertools import pairwise

import pytest

from helixnas.blocks import BlockSpec
from helixnas.distill import partition


def specs(*widths_and_sides: tuple[int, int]) -> list[BlockSpec]:
    shapes = [(width, side, side) for width, side in widths_and_sides]
    pairs = enumerate(pairwise(shapes))
    return [BlockSpec(block_id, before, after, "NCHW", ("m",)) for block_id, (before, after) in pairs]


RESNET = specs((64, 8), (32, 8), (64, 4), (128, 2), (128, 2), (256, 1))


@pytest.mark.parametrize("num_groups", range(1, 8))
def test_every_block_is_in_one_group_and_the_first_ones_lead(num_groups: int) -> None:
    groups = partition(RESNET, num_groups)
    assert sorted(block_id for group in groups for block_id in group) == list(range(5))
    assert [group[0] for group in groups] == list(range(min(num_groups, 5)))


def test_the_large_maps_of_the_first_block_outweigh_several_others() -> None:
    assert partition(RESNET, 2) == [[0, 3], [1, 2, 4]]


def test_equal_blocks_are_dealt_out_evenly() -> None:
    assert partition(specs(*[(8, 8)] * 7), 3) == [[0, 3], [1, 4], [2, 5]]
