"""The teacher's block with fewer of its own layers: its weights kept, its cost the counted one, its shape the same."""

import timm
import torch
from torch import nn

from helixnas.config import RunConfig
from helixnas.cost import count, count_paths
from helixnas.cut import CutTeacher, cut
from helixnas.search_space import BlockSpace, build
from helixnas.student import BlockSupernet
from tests.costs import COUNTED


def residual(config: RunConfig) -> tuple[CutTeacher, BlockSpace]:
    """A stage of four residual layers, of which the last three keep the shape."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", channels=[8, 16, 16, 16], layers=[1, 4, 1, 1], in_chans=1, num_classes=4)
    teacher = cut(network, [["layer1"], ["layer2"]], torch.rand(2, 1, 32, 32))
    settings = config.search_space.model_copy(update={"fewer_layers": True, "cells": []})
    return teacher, build(teacher.specs, settings).blocks[1]


def test_one_half_or_all_of_the_layers_that_keep_the_shape_may_go(config: RunConfig) -> None:
    teacher, block = residual(config)
    assert len(teacher.specs[1].droppable) == 3
    assert [block.names(path) for path in block.paths()] == [("teacher",), ("teacher_d1",), ("teacher_d3",)]


def test_what_is_left_is_the_teachers_own(config: RunConfig) -> None:
    teacher, block = residual(config)
    supernet = BlockSupernet(block, teacher.blocks[1]).eval()
    x = torch.rand(2, *block.spec.in_shape)
    (least,) = [path for path in block.paths() if block.names(path) == ("teacher_d3",)]
    torch.testing.assert_close(supernet(x, least), teacher.network.layer2[0](x))
    assert {tuple(supernet(x, path).shape[1:]) for path in block.paths()} == {block.spec.out_shape}


def test_the_teacher_itself_keeps_all_its_layers_and_prices_are_counts(config: RunConfig) -> None:
    teacher, block = residual(config)
    whole = count(teacher.blocks[1], block.spec.in_shape, COUNTED)
    supernet = BlockSupernet(block, teacher.blocks[1])
    costs = count_paths(block, [block.spec.in_width], teacher.blocks[1], COUNTED).check(block).costs
    for path, cost in zip(block.paths(), costs, strict=True):
        assert (
            cost["num_params"]
            == count(nn.Sequential(*supernet.operations(path)), block.spec.in_shape, COUNTED)["num_params"]
        )
    assert costs[0]["madds"] == whole["madds"] == count(teacher.blocks[1], block.spec.in_shape, COUNTED)["madds"]
    assert costs[2]["madds"] < costs[1]["madds"] < costs[0]["madds"]
