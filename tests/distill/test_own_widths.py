"""Ratings where a space's widths are its own: decided by what a cell can do, not by the width that it ends with."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.distill import Distillation, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.fit import Checkpoint
from helixnas.progress import forget, silent
from helixnas.rating import Sources, rate
from helixnas.rating.feature import FeatureCriterion
from helixnas.search_space import BlockSpace, Cell, mbconv
from helixnas.student import BlockSupernet, recalibrate
from helixnas.teacher import BlockBatch, DistillLoss

INNER_AND_END = ((4, 8), (4, 24), (16, 8), (16, 24))
"""Widths of a cell's two layers."""
NUM_TRAIN = 1000


def teacher_block() -> nn.Sequential:
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for in_width, stride in ((8, 2), (32, 1)):
        layers += [nn.Conv2d(in_width, 32, 3, stride, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    return nn.Sequential(*layers).eval()


def smooth_maps() -> Tensor:
    noise = torch.randn(NUM_TRAIN + 200, 8, 10, 10, generator=torch.Generator().manual_seed(0))
    return nn.functional.avg_pool2d(noise, 3, 1) * 3


@pytest.fixture(scope="module")
def ratings(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], float]:
    cells = tuple(Cell(widths, (2, 1), ((mbconv(3, 3, 0),),) * 2) for widths in INNER_AND_END)
    block = BlockSpace(BlockSpec(0, (8, 8, 8), (32, 4, 4), "NCHW", ("b",)), cells)
    network, x = teacher_block(), smooth_maps()
    recalibrate(network, [x[:NUM_TRAIN]])
    with torch.no_grad():
        y = network(x)
    torch.manual_seed(2)
    supernet = BlockSupernet(block, network)
    assert supernet.target is not None
    supernet.target.fit([y[:NUM_TRAIN]])
    moments = y.mean((0, 2, 3)), y.var((0, 2, 3))
    supernet.match_outputs(moments[0], moments[1].sqrt())
    lesson = Imitation(supernet, DistillLoss(supernet.target.variance))
    train = [[BlockBatch(*pair)] for pair in zip(x[:NUM_TRAIN].split(50), y[:NUM_TRAIN].split(50), strict=True)]
    aimed = supernet.aim(y[NUM_TRAIN:])
    held_out = [partial(BlockBatch, *pair) for pair in zip(x[NUM_TRAIN:].split(50), aimed.split(50), strict=True)]
    settings = config.distill.model_copy(update={"updates": 100, "lr": 0.01})
    distillation = Distillation(supernet, block, lesson, settings, 3, len(train))
    checkpoint = Checkpoint(tmp_path_factory.mktemp("own") / "checkpoint.pt")
    before = [adapter.clone() for adapter in supernet.adapters.parameters()]
    train_group(Member(distillation, checkpoint, forget), [], lambda epoch, block_ids: train, silent)
    assert not any(map(torch.equal, before, supernet.adapters.parameters()))  # adapters learn too
    criterion = FeatureCriterion(Sources(supernet, {}, None, moments, config.rating))  # the batches are given
    table = rate(supernet, block, criterion, x[:500], held_out, 0, silent, 2**30)
    return dict(zip(INNER_AND_END, table.ratings, strict=True))


def test_cells_of_equal_capacity_rate_alike_whatever_they_end_with(ratings: dict[tuple[int, int], float]) -> None:
    for inner in (4, 16):
        assert ratings[inner, 8] == pytest.approx(ratings[inner, 24], abs=0.06)


def test_the_width_inside_a_cell_decides(ratings: dict[tuple[int, int], float]) -> None:
    for end in (8, 24):
        assert ratings[16, end] < ratings[4, end] - 0.18


def test_a_cell_learns_most_of_the_target(ratings: dict[tuple[int, int], float]) -> None:
    assert all(0 < ratings[widths] < 0.8 for widths in INNER_AND_END)  # 1 is what a constant reaches
