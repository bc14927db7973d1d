"""HyTra's layers: shapes, where attention looks, what a shortcut is, and cells that share layers."""

import pytest
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.search_space import BlockSpace, Cell, LayerSpec, Path
from helixnas.search_space.candidate import RESIDUAL_ATTENTION, RESIDUAL_CONV, Candidate
from helixnas.student import BlockSupernet, build_operation

BOTH = (RESIDUAL_ATTENTION, RESIDUAL_CONV)


def operation(candidate: Candidate, in_width: int = 16, out_width: int = 16, stride: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return build_operation(LayerSpec(in_width, out_width, stride, ()), candidate).eval()


@pytest.mark.parametrize("candidate", BOTH)
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("side", [1, 7, 8])
def test_a_map_shrinks_by_the_stride_rounded_up(candidate: Candidate, stride: int, side: int) -> None:
    outputs = operation(candidate, 12, 16, stride)(torch.randn(2, 12, side, side))
    assert outputs.shape == (2, 16, -(-side // stride), -(-side // stride))
    assert bool((outputs >= 0).all())


@pytest.mark.parametrize("stride", [4, 8])
def test_a_coarse_stride_leaves_no_pixel_out(stride: int) -> None:
    x = torch.zeros(1, 12, 16, 16, requires_grad=True)
    operation(RESIDUAL_CONV, 12, 16, stride).shrink(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())


@pytest.mark.parametrize(("candidate", "sees_all"), [(RESIDUAL_ATTENTION, True), (RESIDUAL_CONV, False)])
def test_attention_sees_the_whole_map_and_a_convolution_its_neighbourhood(candidate: Candidate, sees_all: bool) -> None:
    x = torch.randn(1, 16, 9, 9, requires_grad=True)
    operation(candidate).mix(operation(candidate).narrow(x))[..., 0, 0].sum().backward()
    assert x.grad is not None
    assert bool((x.grad[..., 8, 8] != 0).any()) == sees_all


def test_attention_weighs_values_by_softmax_over_positions() -> None:
    attend = operation(RESIDUAL_ATTENTION, 256, 512).mix[0]  # 128 inside: two heads of 64
    x = torch.randn(2, 128, 3, 3)
    q, k, v = attend.qkv(x).flatten(2).chunk(3, dim=1)
    heads = []
    for head in range(2):
        part = slice(64 * head, 64 * head + 64)
        weights = (q[:, part].transpose(1, 2) @ k[:, part] / 8).softmax(dim=-1)
        heads.append(v[:, part] @ weights.transpose(1, 2))
    assert torch.allclose(attend(x), torch.cat(heads, dim=1).view(2, 128, 3, 3), atol=1e-5)


@pytest.mark.parametrize(("in_width", "stride", "is_kept"), [(16, 1, True), (8, 1, False), (16, 2, False)])
def test_the_shortcut_is_the_input_where_shapes_allow(in_width: int, stride: int, is_kept: bool) -> None:
    net = operation(RESIDUAL_CONV, in_width, 16, stride)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    x = torch.rand(2, in_width, 4, 4)
    assert bool(net(x).any()) == is_kept
    assert not is_kept or torch.equal(net(x), x)


def shared_block(*, shares_layers: bool) -> BlockSupernet:
    """Cells of widths 16-16, 16-32 and 32-32: the first two begin alike."""
    cells = tuple(
        Cell(widths, strides, (BOTH, BOTH))
        for widths, strides in [((16, 16), (1, 1)), ((16, 32), (1, 2)), ((32, 32), (2, 1)), ((16, 32), (1, 2))]
    )
    spec = BlockSpec(0, (16, 8, 8), (32, 4, 4), "NCHW", ("a",))
    torch.manual_seed(0)
    return BlockSupernet(BlockSpace(spec, cells, shares_layers=shares_layers), nn.Identity()).eval()


def test_cells_share_the_layers_that_do_the_same_at_the_same_place() -> None:
    net = shared_block(shares_layers=True)
    places = [[net.operations(Path(0, cell, (1, 1)))[layer] for layer in range(2)] for cell in range(4)]
    assert places[0][0] is places[1][0] is places[3][0]
    assert places[1][1] is places[3][1]
    assert len({id(operation) for place in places for operation in place}) == 5
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(net(x, Path(0, 1, (0, 1))), net(x, Path(0, 3, (0, 1))))


def test_a_shared_layer_is_registered_once() -> None:
    net = shared_block(shares_layers=True)
    pointers = [tensor.data_ptr() for tensor in net.state_dict().values()]
    assert len(pointers) == len(set(pointers))
    parameters = [id(parameter) for cell in net.cells for parameter in cell.parameters()]
    assert len(parameters) == len(set(parameters)) == len(list(net.cells.parameters()))
    other = shared_block(shares_layers=True)
    other.load_state_dict({name: tensor + 1 for name, tensor in net.state_dict().items()})
    assert other.operations(Path(0, 3, (1, 1)))[0] is other.operations(Path(0, 0, (1, 1)))[0]


def test_cells_share_nothing_unless_the_space_says_so() -> None:
    net = shared_block(shares_layers=False)
    operations = [operation for cell in range(4) for operation in net.operations(Path(0, cell, (1, 1)))]
    assert len(set(map(id, operations))) == 8
