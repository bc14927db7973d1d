"""Costs are counted on the real modules, and add up along paths."""

import timm
import torch

from helixnas.cost import count, count_paths, in_widths, measure
from helixnas.progress import silent
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import CutTeacher


def test_efficientnet_b0_at_224_has_385_8_million_madds() -> None:
    cost = count(timm.create_model("efficientnet_b0"), (3, 224, 224))
    assert round(cost.madds / 1e6, 1) == 385.8
    assert cost.num_params == 5_288_548


def test_the_table_holds_what_each_path_counts_as_a_whole(teacher: CutTeacher, space: SearchSpace) -> None:
    block = space.blocks[1]
    table = count_paths(block, in_widths(space, 1), teacher.blocks[1]).check(block)
    supernet = BlockSupernet(block, teacher.blocks[1])
    for path, cost in zip(block.paths(), table.costs, strict=True):
        assert count(torch.nn.Sequential(*supernet.operations(path)), block.spec.in_shape) == cost


def test_a_measurement_runs_everything_once_a_round_and_once_to_warm_up() -> None:
    calls: list[int] = []
    times = measure([lambda: calls.append(0), lambda: calls.append(1)], 3, 0.2, silent)
    assert calls == [0, 1] * 4
    assert len(times) == 2
    assert all(time > 0 for time in times)
