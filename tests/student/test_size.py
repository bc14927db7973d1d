"""Slimmable layers: all widths share kernels, and a width alone is the same network."""

import copy

import pytest
import torch
from torch import Tensor, nn

from helixnas.search_space import LayerSpec
from helixnas.search_space.candidate import slimmable
from helixnas.student import build_operation, recalibrate
from helixnas.student.build import build_layer
from helixnas.student.operations.size import Slimmable

WIDTHS = (2, 4, 6)
CANDIDATES = tuple(map(slimmable, WIDTHS))
BOTH = pytest.mark.parametrize("stride", [1, 2])


def layer(stride: int) -> list[nn.Module]:
    torch.manual_seed(0)
    return build_layer(LayerSpec(6, 6, stride, CANDIDATES))


def alone(in_width: int, width: int, stride: int) -> nn.Module:
    torch.manual_seed(1)
    return build_operation(LayerSpec(in_width, width, stride, ()), slimmable(width))


@BOTH
@pytest.mark.parametrize("in_width", WIDTHS)
@pytest.mark.parametrize("choice", range(3))
def test_a_width_alone_gives_what_it_gives_among_all(stride: int, in_width: int, choice: int) -> None:
    operation = layer(stride)[choice]
    x = torch.randn(4, in_width, 5, 5)
    for candidate in (operation, alone(in_width, WIDTHS[choice], stride)):
        recalibrate(candidate, [x + 1])
    assert isinstance(operation, Slimmable)
    copied = operation.copied(alone(in_width, WIDTHS[choice], stride)).eval()
    assert torch.equal(copied(x), operation.eval()(x))
    assert not any(isinstance(module, Slimmable) for module in copied.modules())
    assert copied(x).shape == (4, WIDTHS[choice], *((5, 5) if stride == 1 else (3, 3)))


@BOTH
def test_widths_share_kernels_and_nothing_else(stride: int) -> None:
    operations = nn.ModuleList(layer(stride))
    names = {name for name, _ in operations.named_parameters()}
    kernels = {name for name in names if "kernels" in name}
    assert all(name.startswith("2.kernels.") for name in kernels)  # the widest owns them
    assert len(kernels) == (6 if stride == 1 else 3)
    norms = {name for name in operations.state_dict() if name not in kernels}
    assert {name.split(".")[0] for name in norms} == {"0", "1", "2"}
    pointers = [tensor.data_ptr() for tensor in operations.state_dict().values() if tensor.numel()]
    assert len(pointers) == len(set(pointers))  # a file of tensors takes each once


@BOTH
def test_training_a_width_trains_the_first_channels_of_the_shared_kernels(stride: int) -> None:
    narrow, _, widest = layer(stride)
    narrow(torch.randn(4, 4, 5, 5)).square().mean().backward()
    assert isinstance(widest, Slimmable)
    assert isinstance(widest.kernels, nn.ModuleDict)
    for name, kernel in widest.kernels.items():
        gradient: Tensor = kernel.weight.grad
        in_width = 2 if name in {"edges_12_1", "edges_13_1", "edges_23_1", "second_1"} else 4
        assert gradient[:2, :in_width].abs().sum() > 0
        gradient[:2, :in_width] = 0
        assert not gradient.any()


@BOTH
def test_a_copy_of_the_layer_shares_kernels_with_itself_alone(stride: int) -> None:
    operations = nn.ModuleList(layer(stride))
    other = copy.deepcopy(operations).double()
    x = torch.randn(4, 4, 5, 5)
    before = operations[0].eval()(x)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(operations[0](x), before)
    assert other[0].eval()(x.double()).abs().sum() == 0


def test_the_skip_is_a_convolution_only_where_widths_differ() -> None:
    same, other = alone(4, 4, 1), alone(2, 4, 1)
    count = [sum(isinstance(module, nn.Conv2d) for module in network.modules()) for network in (same, other)]
    assert count == [5, 6]
    num_params = sum(parameter.numel() for parameter in same.parameters())
    assert num_params == 5 * (9 * 4 * 4 + 2 * 4)  # kernels and BatchNorms


def test_a_map_that_is_a_point_stays_one() -> None:
    assert alone(4, 6, 2).eval()(torch.randn(2, 4, 1, 1)).shape == (2, 6, 1, 1)
