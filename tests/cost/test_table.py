"""The price of every path: the sum of its candidates, each counted once, for each width that may come in."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.cost import count, count_paths, in_widths, path_subjects
from helixnas.cut import CutTeacher
from helixnas.search_space import TEACHER, BlockSpace, Cell, SearchSpace, mbconv
from helixnas.search_space.candidate import slimmable
from helixnas.student import BlockSupernet
from tests.costs import COUNTED

CANDIDATES = (mbconv(3, 2, 0.25), mbconv(5, 2, 0.25), mbconv(3, 4, 0.0))


def varied(side: int = 5) -> SearchSpace:
    """Two blocks whose cells end in widths of their own: what comes into block 1 varies."""
    ends = [(12,), (8, 16), (16,)]
    first = tuple(Cell(widths, (2,) * len(widths), (CANDIDATES,) * len(widths)) for widths in ends)
    second = (Cell((8, 10), (1, 2), (CANDIDATES, CANDIDATES[:2])), Cell((10,), (2,), (CANDIDATES,)))
    specs = (
        BlockSpec(0, (4, 2 * side, 2 * side), (16, side, side), "NCHW", ("a",)),
        BlockSpec(1, (16, side, side), (10, -(-side // 2), -(-side // 2)), "NCHW", ("b",)),
    )
    return SearchSpace((BlockSpace(specs[0], first), BlockSpace(specs[1], second)))


def test_the_widths_that_may_come_in_are_those_that_the_block_before_may_give(space: SearchSpace) -> None:
    assert [in_widths(varied(), block_id) for block_id in (0, 1)] == [(4,), (12, 16)]
    assert [in_widths(space, block_id) for block_id in (0, 1, 2)] == [(8,), (8,), (16,)]


def test_the_table_holds_what_each_path_counts_as_a_whole(teacher: CutTeacher, space: SearchSpace) -> None:
    for block, teacher_block in zip(space.blocks, teacher.blocks, strict=True):
        table = count_paths(block, in_widths(space, block.block_id), teacher_block, COUNTED).check(block)
        supernet = BlockSupernet(block, teacher_block)
        for path, cost in zip(block.paths(), table.costs, strict=True):
            assert count(nn.Sequential(*supernet.operations(path)), block.spec.in_shape, COUNTED) == cost
        assert table.costs[0] == count(teacher_block, block.spec.in_shape, COUNTED)


@pytest.mark.parametrize("side", [4, 5, 7])
def test_every_width_that_may_come_in_has_its_own_rows(side: int) -> None:
    block = varied(side).blocks[1]
    table = count_paths(block, (12, 16), nn.Identity(), COUNTED).check(block)
    assert table.in_widths == (12,) * block.num_paths + (16,) * block.num_paths
    assert table.paths == tuple(path.key for path in block.paths()) * 2
    for in_width, rows in ((12, table.costs[: block.num_paths]), (16, table.costs[block.num_paths :])):
        shape = (in_width, side, side)
        supernet = BlockSupernet(replace(block, spec=replace(block.spec, in_shape=shape)), nn.Identity())
        for path, cost in zip(block.paths(), rows, strict=True):
            assert count(nn.Sequential(*supernet.operations(path)), shape, COUNTED) == cost


def test_each_candidate_of_a_layer_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def counted(network: nn.Module, in_shape: tuple[int, ...], kinds: Sequence[str]) -> object:
        shapes.append(in_shape)
        return count(network, in_shape, kinds)

    monkeypatch.setattr("helixnas.cost.table.count", counted)
    count_paths(varied().blocks[1], (12, 16), nn.Identity(), COUNTED)
    # cell 0: three candidates for each width, two behind them; cell 1: three for each width
    assert len(shapes) == 2 * 3 + 2 + 2 * 3


def test_layers_alike_are_priced_each_on_its_own_map() -> None:
    cell = Cell((8, 8, 8), (2, 2, 2), (CANDIDATES[:1],) * 3)
    block = BlockSpace(BlockSpec(0, (8, 9, 9), (8, 2, 2), "NCHW", ("a",)), (cell,))
    supernet = BlockSupernet(block, nn.Identity())
    (path,) = block.paths()  # 9x9 to 5x5 to 3x3 to 2x2
    table = count_paths(block, (8,), nn.Identity(), COUNTED)
    assert table.costs == (count(nn.Sequential(*supernet.operations(path)), (8, 9, 9), COUNTED),)


def test_there_is_a_network_of_every_path_in_the_order_of_the_table() -> None:
    kept = Cell((10,), (2,), ((TEACHER,),))
    block = varied().blocks[1]
    block = replace(block, cells=(kept, *block.cells))
    teacher_block = nn.Conv2d(12, 10, 3, 2, 1)
    table = count_paths(block, (12,), teacher_block, COUNTED)
    subjects = path_subjects(block, 12, teacher_block, 3, torch.device("cpu"))
    assert [inputs.shape for _, inputs in subjects] == [(3, 12, 5, 5)] * block.num_paths
    assert not any(module.training for network, _ in subjects for module in network[:1])
    assert tuple(count(network, (12, 5, 5), COUNTED) for network, _ in subjects) == table.costs


def own_ends(**facts: object) -> BlockSpace:
    """A last block whose cells end with 6 or 8 channels where the teacher's head takes 10."""
    widths = (slimmable(6), slimmable(8))
    cells = (Cell((8, 8), (1, 2), (CANDIDATES, widths), **facts), Cell((8,), (2,), (CANDIDATES,), **facts))
    return BlockSpace(BlockSpec(0, (4, 8, 8), (10, 4, 4), "NCHW", ("a",)), cells, is_last=True)


@pytest.mark.parametrize(("facts", "side"), [({}, 8), ({"in_width": 12, "in_size": (5, 5)}, 5)])
def test_the_adapter_that_stays_is_in_every_price_and_every_network(facts: dict[str, object], side: int) -> None:
    block = own_ends(**facts)
    table = count_paths(block, (12,), nn.Identity(), COUNTED).check(block)
    subjects = path_subjects(block, 12, nn.Identity(), 2, torch.device("cpu"))
    assert {tuple(inputs.shape) for _, inputs in subjects} == {(2, 12, side, side)}
    assert tuple(count(network, (12, side, side), COUNTED) for network, _ in subjects) == table.costs
    for path, (network, _) in zip(block.paths_after(12), subjects, strict=True):
        assert (network[-1].in_channels, network[-1].out_channels) == (block.out_width(path), 10)
    alone = count_paths(replace(block, is_last=False), (12,), nn.Identity(), COUNTED)
    size = -(-side // 2)
    extra = [whole["madds"] - cost["madds"] for whole, cost in zip(table.costs, alone.costs, strict=True)]
    assert extra == [block.out_width(path) * 10 * size**2 for path in block.paths_after(12)]
