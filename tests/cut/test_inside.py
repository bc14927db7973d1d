"""What a block is made of: the layers that it could do without, and how its output lies."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import cut
from helixnas.cut.inside import look_inside
from tests.cut.networks import ChannelsLast, DenseNet, Residual, ResNet, conv
from tests.cut.networks import VisionTransformer as Transformer
from tests.cut.odd_networks import ChecksData, OpaqueInside

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
MAPS = torch.rand(2, 8, 4, 4, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("kind", "droppable"),
    [
        (ResNet, [["stage1.0", "stage1.1", "stage1.2"], ["stage2.1", "stage2.2"], ["stage3.1", "stage3.2"]]),
        (Transformer, [["blocks.0", "blocks.1"], ["blocks.2", "blocks.3"], ["blocks.4", "blocks.5"]]),
        (ChannelsLast, [[], ["stage1.1", "stage1.2"], ["stage2.0", "stage2.1", "stage2.2"]]),
        (OpaqueInside, [["stage1.0", "stage1.2"], ["stage2.1", "stage2.2"], ["stage3.1", "stage3.2"]]),
        (ChecksData, [["stage1.0", "stage1.1", "stage1.2"], ["stage2.1", "stage2.2"], ["stage3.1", "stage3.2"]]),
        (DenseNet, [[], [], []]),
    ],
)
def test_a_block_may_do_without_the_layers_that_keep_its_shape(
    kind: type[nn.Module], droppable: list[list[str]]
) -> None:
    teacher = cut(kind(), 3, IMAGES)
    assert [list(spec.droppable) for spec in teacher.specs] == droppable
    x = teacher.stem(IMAGES)
    for block, spec in zip(teacher.blocks, teacher.specs, strict=True):
        shorter = copy.deepcopy(block)
        for name in spec.droppable:
            shorter.set_submodule(name, nn.Identity())
        assert shorter(x).shape == block(x).shape
        assert spec.droppable == () or not torch.equal(shorter(x), block(x))
        x = block(x)


class Keyed(nn.Module):
    """A residual block that is also given how much of it is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Residual(8, 8)

    def forward(self, x: Tensor, share: float) -> Tensor:
        y: Tensor = x + share * self.block(x)
        return y


class Keys(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Keyed(), Keyed()])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, share=0.5)
        return x


class Around(nn.Module):
    """A shortcut leads past two blocks in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


@pytest.mark.parametrize(
    ("piece", "droppable"),
    [
        (nn.Sequential(Residual(8, 8), Residual(8, 8)), ("0", "1")),
        (nn.Sequential(Residual(8, 8), nn.Sequential(Residual(8, 8), Residual(8, 8))), ("1.0", "1.1")),
        (
            nn.Sequential(*(nn.Sequential(Residual(8, 8), Residual(8, 8)) for _ in range(2))),
            ("0.0", "0.1", "1.0", "1.1"),
        ),
        (nn.Sequential(OrderedDict(left=Residual(8, 8), right=Residual(8, 8))), ()),  # parts with names, no list
        (nn.Sequential(Residual(8, 8), conv(8, 8)), ()),  # no two of a kind
        (nn.Sequential(conv(8, 8), conv(8, 8)), ()),  # single convolutions are parts of a layer
        (nn.Sequential(Residual(8, 16), Residual(16, 8)), ()),
        (Keys(), ()),
        (Around(), ()),
    ],
)
def test_a_layer_is_one_of_its_kind_in_a_row_with_the_rest(piece: nn.Module, droppable: tuple[str, ...]) -> None:
    assert look_inside(piece.eval(), MAPS).droppable == droppable


class First(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


class Last(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2)


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class Viewed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(MAPS), 4, 4, 8)


class Asks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("layers", "axis"),
    [
        ([nn.Conv2d(8, 8, 1)], 1),
        ([nn.BatchNorm2d(8), nn.ReLU()], 1),
        ([nn.Conv2d(8, 8, 1), Last()], 3),
        ([nn.Conv2d(8, 8, 1), Last(), nn.GELU()], 3),
        ([Last(), nn.LayerNorm(8)], 3),
        ([Last(), nn.Linear(8, 8), First()], 1),
        ([nn.Conv2d(8, 8, 1), Flat()], 1),
        ([nn.Conv2d(8, 8, 1), Turned()], 2),
        ([nn.Conv2d(8, 8, 1), Viewed()], None),
        ([nn.ReLU()], None),
        ([nn.Conv2d(8, 8, 1), Asks()], 1),
    ],
)
def test_the_channels_are_followed_to_the_layer_that_knows(layers: list[nn.Module], axis: int | None) -> None:
    assert look_inside(nn.Sequential(*layers), MAPS).channel_axis == axis
