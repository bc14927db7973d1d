"""Our space of vision transformers: depths, widths, heads and MLP ratios for each block."""

import pytest
import torch

from helixnas.blocks import BlockSpec
from helixnas.config import load
from helixnas.errors import ConfigError
from helixnas.search_space import SearchSpace, build
from helixnas.student import build_operation
from tests.conftest import ROOT
from tests.search_space.conftest import NewSpace, maps

SPECS = tuple(BlockSpec(block_id, (65, 192), (65, 192), "NLC", (f"blocks.{block_id}",)) for block_id in range(4))


@pytest.fixture(scope="module")
def space(new_space: NewSpace) -> SearchSpace:
    return new_space("vit", SPECS)


def test_a_block_counts_every_choice_of_every_cell(space: SearchSpace) -> None:
    cells = [(cell.depth, cell.widths[-1]) for cell in space.blocks[0].cells]
    assert cells == [(1, 192), (2, 192), (2, 96)]
    assert [block.num_paths for block in space.blocks] == [4 + 4**2 + 4**2] * 4  # 2 shares of heads, 2 MLP ratios
    assert space.num_architectures == 36**4


def test_a_layer_of_every_candidate_gives_the_cells_width(space: SearchSpace) -> None:
    for cell in space.blocks[1].cells:
        width = 192
        for layer in cell.layers(width):
            for candidate in layer.candidates:
                outputs = build_operation(layer, candidate).eval()(torch.randn(2, 65, layer.in_width))
                assert outputs.shape == (2, 65, cell.widths[-1])


def test_heads_and_mlp_set_what_a_layer_costs(space: SearchSpace) -> None:
    (layer,) = space.blocks[0].cells[0].layers(192)
    sizes = [sum(p.numel() for p in build_operation(layer, c).parameters()) for c in layer.candidates]
    weights = [4 * a * 192**2 + 2 * m * 192**2 for a in (1, 0.5) for m in (4, 2)]
    assert [size - weight for size, weight in zip(sizes, weights, strict=True)] == pytest.approx([2300] * 4, abs=800)


def test_a_cell_is_rated_with_the_width_that_most_cells_before_it_give(space: SearchSpace) -> None:
    assert [{cell.in_width for cell in block.cells} for block in space.blocks] == [{None}, {192}, {192}, {192}]


@pytest.mark.parametrize(
    "spec",
    [
        *maps((16, 16), (1,), 8),
        *maps((16, 16), (1,), 8, "NHWC"),
        BlockSpec(0, (64, 192), (16, 384), "NLC", ("a",)),
    ],
)
def test_maps_and_tokens_that_are_merged_are_refused(new_space: NewSpace, spec: BlockSpec) -> None:
    with pytest.raises(ConfigError, match=r"'vit' needs blocks of tokens .* that keep L, but block 0"):
        new_space("vit", [spec])


@pytest.mark.parametrize("key", ["cells", "attention", "mlp_ratios"])
def test_a_setting_that_leaves_nothing_to_choose_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"search_space\.{key} must hold something"):
        build(SPECS, load(ROOT, ["search_space.name=vit", f"search_space.{key}=[]"]).search_space)
