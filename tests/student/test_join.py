"""Students of blocks with widths of their own: what folds is exact, what cannot starts fresh, prices are the counts."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.cost import count, count_paths, in_widths
from helixnas.search_space import Architecture, BlockSpace, Candidate, Cell, LayerSpec, SearchSpace, mbconv
from helixnas.search_space.candidate import (
    RESIDUAL_ATTENTION,
    RESIDUAL_CONV,
    bottleneck,
    slimmable,
    transformer,
)
from helixnas.student import BlockSupernet, StudentNetwork, assemble, build_operation
from helixnas.student.join import folded
from tests.costs import COUNTED

WIDTHS = (6, 10, 14)
"""The teacher's, from the stem on."""
LAYOUTS = pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NLC"])


def shape(layout: str, width: int, side: int) -> tuple[int, ...]:
    return {"NCHW": (width, side, side), "NHWC": (side, side, width), "NLC": (9, width)}[layout]


def space(
    layout: str = "NCHW",
    candidates: Sequence[Candidate] | None = None,
    cell_widths: Sequence[tuple[int, ...]] = ((8, 4), (8,)),
) -> SearchSpace:
    """Two blocks with cells of these widths, the second rated with 4 coming in."""
    is_map, stride = layout != "NLC", 1 if layout == "NLC" else 2
    options = tuple(candidates or ((mbconv(3, 2, 0.25),) if is_map else (transformer(1, 2),)))
    blocks, side = [], 8
    for block_id, (first, last) in enumerate(pairwise(WIDTHS)):
        shapes = shape(layout, first, side), shape(layout, last, math.ceil(side / stride))
        side = math.ceil(side / stride)
        cells = tuple(
            Cell(widths, (stride, 1)[: len(widths)], (options,) * len(widths), is_map, 4 if block_id else None)
            for widths in cell_widths
        )
        spec = BlockSpec(block_id, *shapes, layout, (f"m{block_id}",), is_nonnegative=True)
        blocks.append(BlockSpace(spec, cells, is_last=block_id == 1))
    return SearchSpace(tuple(blocks))


def supernets(space: SearchSpace) -> list[BlockSupernet]:
    """Supernets as they are after distilling: statistics, targets and adapters far from their first values."""
    torch.manual_seed(0)
    nets = [BlockSupernet(block, nn.Identity()) for block in space.blocks]
    for net in nets:
        if net.target is not None:
            net.target.fit([torch.randn(20, *net.block.spec.out_shape) * 3 + 2])
        for _ in range(2):
            for path in net.block.paths():
                net(torch.randn(8, *net.block.spec.in_shape), path)
        for adapter in [*net.adapters.entries.values(), *net.adapters.exits.values()]:
            nn.init.normal_(adapter.weight)
    return nets


def student(space: SearchSpace, nets: list[BlockSupernet], arch_id: str) -> StudentNetwork:
    return assemble(nn.Identity(), nets, nn.Identity(), space.parse(arch_id)).eval()


def with_adapters(nets: list[BlockSupernet], architecture: Architecture, x: Tensor) -> Tensor:
    """Each block between its adapters, as it was rated; between them the way back from the target."""
    for net, path in zip(nets, architecture.paths, strict=True):
        y = net.eval()(x, path)
        target = net.target
        assert target is not None
        axis = 1 + net.block.spec.channel_axis
        x = (y.movedim(axis, -1) @ target.basis).movedim(-1, axis)
    return (x.movedim(axis, -1) + target.mean).movedim(-1, axis)


@LAYOUTS
def test_a_student_without_adapters_computes_what_the_blocks_did_between_them(layout: str) -> None:
    nets = supernets(two := space(layout))
    x = torch.randn(4, *two.blocks[0].spec.in_shape)
    for arch_id in ("0:0.0-0:0.0", "0:0.0-1:0"):  # the widths between them as rated
        network = student(two, nets, arch_id)
        assert torch.allclose(network(x), with_adapters(nets, two.parse(arch_id), x), rtol=1e-4, atol=1e-3)


@LAYOUTS
@pytest.mark.parametrize("arch_id", ["0:0.0-0:0.0", "1:0-1:0", "1:0-0:0.0"])
def test_a_student_costs_what_its_paths_were_priced(layout: str, arch_id: str) -> None:
    two = space(layout)
    tables = [
        count_paths(block, in_widths(two, block.block_id), nn.Identity(), COUNTED).check(block) for block in two.blocks
    ]
    width, madds, num_params = WIDTHS[0], 0, 0
    for block, path, table in zip(two.blocks, two.parse(arch_id).paths, tables, strict=True):
        rows = zip(table.in_widths, table.paths, table.costs, strict=True)
        (cost,) = (cost for in_width, key, cost in rows if (in_width, key) == (width, path.key))
        madds, num_params, width = madds + cost["madds"], num_params + cost["num_params"], block.out_width(path)
    whole = count(student(two, supernets(two), arch_id), two.blocks[0].spec.in_shape, COUNTED)
    assert (whole["madds"], whole["num_params"]) == (madds, num_params)


def test_the_only_adapter_that_stays_leads_to_the_head() -> None:
    nets = supernets(two := space())
    network = student(two, nets, "0:0.0-1:0")
    assert [len(block) for block in network.blocks] == [2, 1 + 1]
    tail = network.blocks[-1][-1]
    assert (tail.in_channels, tail.out_channels, tail.kernel_size) == (8, 14, (1, 1))
    assert nets[1].target is not None
    assert torch.equal(tail.bias, nets[1].target.mean)
    assert network(torch.randn(2, 6, 8, 8)).shape == (2, 14, 2, 2)


def test_an_operation_behind_another_width_than_rated_starts_fresh() -> None:
    nets = supernets(two := space())
    torch.manual_seed(1)
    network = student(two, nets, "1:0-0:0.0")  # 8 channels come in where it was rated with 4
    first, second = network.blocks[1][:2]
    assert first.expand[0].in_channels == 8
    assert torch.equal(first.project[1].running_mean, torch.zeros(8))
    assert second.state_dict().keys() == nets[1].layers(0)[1][0].state_dict().keys()
    assert all(map(torch.equal, second.state_dict().values(), nets[1].layers(0)[1][0].state_dict().values()))
    torch.manual_seed(1)
    again = student(two, nets, "1:0-0:0.0")
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))


def test_a_slimmable_layer_enters_a_student_alone() -> None:
    nets = supernets(two := space(candidates=[slimmable(4), slimmable(8)], cell_widths=[(8, 8)]))
    network = student(two, nets, "0:1.0-0:1.0")
    x = torch.randn(2, 6, 8, 8)
    y = network.blocks[0](x)
    operations = nets[0].eval().operations(two.parse("0:1.0-0:1.0").paths[0])
    assert torch.equal(y, nn.Sequential(*operations)(x))
    assert y.shape == (2, 4, 4, 4)
    names = {type(module).__name__ for module in network.modules()}
    assert not names & {"Slimmable", "_Slice"}


def test_supernets_stay_as_they_are() -> None:
    nets = supernets(two := space())
    before = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in nets]
    network = student(two, nets, "0:0.0-0:0.0").train()
    network(torch.randn(4, 6, 8, 8)).square().mean().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    for net, state in zip(nets, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("candidate", "layer"),
    [
        (mbconv(3, 2, 0.25), LayerSpec(6, 8, 1, ())),
        (mbconv(3, 2, 0.25), LayerSpec(6, 6, 2, ())),
        (bottleneck(3, 0.5), LayerSpec(6, 8, 1, ())),
        (RESIDUAL_CONV, LayerSpec(6, 8, 1, ())),
        (RESIDUAL_ATTENTION, LayerSpec(6, 8, 2, ())),
        (transformer(1, 2), LayerSpec(6, 8, 1, (), is_map=False)),
    ],
)
def test_an_operation_folds_the_linear_map_before_it(candidate: Candidate, layer: LayerSpec) -> None:
    torch.manual_seed(0)
    operation = build_operation(layer, candidate).eval()
    matrix = torch.randn(6, 6)
    x = torch.randn(3, 6, 8, 8) if layer.is_map else torch.randn(3, 9, 6)
    axis = 1 if layer.is_map else -1
    mapped = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    copy = folded(operation, matrix)
    assert copy is not None
    assert torch.allclose(copy(x), operation(mapped), atol=1e-4)
    assert not torch.allclose(copy(x), operation(x), atol=1e-2)


@pytest.mark.parametrize(
    ("candidate", "layer"),
    [
        (mbconv(3, 2, 0.25), LayerSpec(6, 6, 1, ())),  # its shortcut hands the input on
        (mbconv(3, 1, 0.25), LayerSpec(6, 8, 1, ())),  # starts depthwise
        (bottleneck(3, 0.5), LayerSpec(6, 6, 1, ())),
        (RESIDUAL_CONV, LayerSpec(8, 8, 1, ())),
        (RESIDUAL_CONV, LayerSpec(6, 8, 4, ())),  # starts depthwise
        (slimmable(8), LayerSpec(6, 8, 1, ())),  # starts with a ReLU
        (transformer(1, 2), LayerSpec(6, 6, 1, (), is_map=False)),
        (Candidate("skip"), LayerSpec(6, 6, 1, ())),
    ],
)
def test_an_operation_that_does_not_start_linear_is_not_folded(candidate: Candidate, layer: LayerSpec) -> None:
    assert folded(build_operation(layer, candidate), torch.eye(layer.in_width)) is None
