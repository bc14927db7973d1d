"""DNA's space: its published size, its four published networks, and the cut that it needs."""

import math

import pytest
import timm
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.cost import count, count_paths, in_widths
from helixnas.cut import cut
from helixnas.errors import ConfigError
from helixnas.results import RatingTable
from helixnas.search import pricer
from helixnas.search_space import LayerSpec, SearchSpace, mbconv
from helixnas.student import BlockSupernet, assemble, build_operation
from tests.costs import COUNTED
from tests.search_space.conftest import NewSpace, maps

B7 = (32, 48, 80, 160, 224, 384, 640)
"""EfficientNet-B7's widths from the stem on: the published teacher."""
STRIDES = (2, 2, 2, 1, 2, 1)
PUBLISHED = {
    "DNA-a": ("1:4.3.0-2:3.3.4.0-2:2.3.4.0-2:1.4.4.1-2:1.4.4.4.1-0:0", 335, 4.24),
    "DNA-b": ("1:3.4.2-1:2.4.2-2:1.4.4.0-2:1.4.4.1-1:2.4.4.4.2-0:0", 393, 4.92),
    "DNA-c": ("0:1.0-2:1.1.0.1-2:1.0.1.1-1:0.1.1.4-0:1.4.1.1-0:0", 450, 5.27),
    "DNA-d": ("1:2.1.2-2:2.2.2.2-2:2.1.1.2-1:2.1.2.1-1:2.1.1.1.2-0:0", 593, 6.41),
}
"""The operations of the networks that DNA's authors published, and their cost at 224 pixels in millions."""


@pytest.fixture(scope="module")
def space(new_space: NewSpace) -> SearchSpace:
    return new_space("mbconv", maps((16, *B7[1:]), STRIDES, 112))


def test_the_space_has_the_published_size(space: SearchSpace) -> None:
    assert [block.num_paths for block in space.blocks] == [288, 1548, 1548, 2808, 16848, 6]
    assert sum(len(block.cells) for block in space.blocks) == 16
    assert space.num_architectures == 288 * 1548 * 1548 * 2808 * 16848 * 6
    assert f"{space.num_architectures:.3e}" == "1.959e+17"


def test_candidates_are_in_the_published_order(space: SearchSpace) -> None:
    sizes = [(6, 3), (6, 5), (6, 7), (3, 3), (3, 5), (3, 7)]
    assert space.blocks[5].cells[0].candidates[0] == tuple(mbconv(kernel, e, 0.25) for e, kernel in sizes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_is_a_member_and_costs_what_was_published(space: SearchSpace, name: str) -> None:
    arch_id, madds, num_params = PUBLISHED[name]
    network = _published(space, arch_id)
    cost = count(network, (3, 224, 224), COUNTED)
    # the published counts add each bias that a convolution or linear layer adds: some thousands
    dense = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    biases = sum(module.bias.numel() for module in dense if module.bias is not None)
    assert round((cost["madds"] + biases) / 1e6) == madds
    assert cost["madds"] / 1e6 == pytest.approx(madds, abs=1)
    assert round(cost["num_params"] / 1e6, 2) == num_params


def _published(space: SearchSpace, arch_id: str) -> nn.Sequential:
    """A whole network with the published stem and head: 16 channels at half the resolution in, 320 out."""
    layers, width = [], 16
    for block, path in zip(space.blocks, space.parse(arch_id).paths, strict=True):
        for layer, choice in zip(block.cells[path.cell].layers(width), path.choices, strict=True):
            layers.append(build_operation(layer, layer.candidates[choice]))
            width = layer.out_width
    first = build_operation(LayerSpec(32, 16, 1, ()), mbconv(3, 1, 0.25))
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU(), first)
    head = nn.Sequential(nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.SiLU())
    return nn.Sequential(stem, *layers, head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


def test_a_cell_is_rated_with_the_width_that_most_cells_before_it_give(space: SearchSpace) -> None:
    widths = [{cell.in_width for cell in block.cells} for block in space.blocks]
    assert widths == [{None}, {24}, {40}, {80}, {112}, {192}]


def test_only_the_first_layer_shrinks_maps(space: SearchSpace) -> None:
    for block, stride in zip(space.blocks, STRIDES, strict=True):
        assert all(cell.strides == (stride, *[1] * (cell.depth - 1)) for cell in block.cells)


@pytest.mark.parametrize("side", [112, 16, 8, 9])
def test_maps_may_shrink_to_a_point_and_be_odd(new_space: NewSpace, side: int) -> None:
    assert math.ceil(side / 16) == maps(B7, STRIDES, side)[-1].out_size[0]
    assert new_space("mbconv", maps(B7, STRIDES, side)).num_architectures > 10**17


def test_channels_last_will_do(new_space: NewSpace) -> None:
    assert new_space("mbconv", maps(B7, STRIDES, 16, "NHWC")).num_architectures > 10**17


@pytest.mark.parametrize(
    ("specs", "fault"),
    [
        (maps(B7[:-1], STRIDES[:-1], 112), "has 5: stride 2, stride 2, stride 2, stride 1, stride 2"),
        (maps((*B7, 8), (*STRIDES, 1), 112), "has 7"),
        (maps(B7, (2, 2, 2, 2, 2, 1), 112), "has 6: stride 2, stride 2, stride 2, stride 2"),
        ((BlockSpec(0, (49, 64), (49, 64), "NLC", ("a",)),) * 6, "has 6: NLC to NLC, "),
    ],
)
def test_another_cut_is_refused_with_what_it_has_and_what_is_needed(
    new_space: NewSpace, specs: tuple[BlockSpec, ...], fault: str
) -> None:
    needed = r"'mbconv' needs 6 blocks of maps with strides \(2, 2, 2, 1, 2, 1\)"
    with pytest.raises(ConfigError, match=rf"{needed}, but teacher\.blocks {fault}"):
        new_space("mbconv", specs)


@pytest.mark.slow
def test_before_efficientnets_own_stem_and_head_the_tables_tell_the_published_costs(new_space: NewSpace) -> None:
    """EfficientNet-B0 has the published stem and head, so nothing of ours lies between them and the six blocks."""
    network = timm.create_model("efficientnet_b0", pretrained=False)
    teacher = cut(network, [[f"blocks.{index}"] for index in range(1, 7)], torch.zeros(1, 3, 224, 224))
    space = new_space("mbconv", teacher.specs)
    fixed = count(teacher.stem, (3, 224, 224), COUNTED) + count(teacher.head, space.blocks[-1].spec.out_shape, COUNTED)
    tables = [count_paths(block, in_widths(space, block.block_id), nn.Identity(), COUNTED) for block in space.blocks]
    ratings = [
        RatingTable(block.block_id, table.paths[: block.num_paths], (0.0,) * block.num_paths, 0, 0, "feature", 1.0)
        for block, table in zip(space.blocks, tables, strict=True)
    ]
    price = pricer(space, ratings, tables, fixed)
    supernets = [BlockSupernet(block, nn.Identity()) for block in space.blocks]
    for arch_id, madds, num_params in PUBLISHED.values():
        architecture = space.parse(arch_id)
        cost = price(architecture).cost
        assert cost["madds"] / 1e6 == pytest.approx(madds, abs=1)
        assert round(cost["num_params"] / 1e6, 2) == num_params
        assert count(assemble(teacher.stem, supernets, teacher.head, architecture), (3, 224, 224), COUNTED) == cost
