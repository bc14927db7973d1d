"""NATS-Bench's size space: its published size and encoding, and widths that the chosen layers set."""

import pytest

from helixnas.cost import in_widths
from helixnas.errors import ConfigError
from helixnas.search_space import SearchSpace
from tests.search_space.conftest import NewSpace, maps

WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)


@pytest.fixture(scope="module")
def space(new_space: NewSpace) -> SearchSpace:
    return new_space("nats_size", maps((16, 16, 32, 64), (2, 2, 1), 32))


def test_the_space_has_the_published_size(space: SearchSpace) -> None:
    assert [block.num_paths for block in space.blocks] == [64, 64, 8]
    assert space.num_architectures == 8**5 == 32_768


def test_a_choice_is_the_index_of_a_width(space: SearchSpace) -> None:
    """The best network of the benchmark on CIFAR-10: 64:64:56:64:24."""
    names = [b.names(path) for b, path in zip(space.blocks, space.parse("0:7.7-0:6.7-0:2").paths, strict=True)]
    assert names == [("size_w64", "size_w64"), ("size_w56", "size_w64"), ("size_w24",)]


def test_layers_along_a_path_are_as_wide_as_it_makes_them(space: SearchSpace) -> None:
    block = space.blocks[1]
    layers = block.cells[0].along(24, (6, 1))
    assert [(layer.in_width, layer.out_width, layer.stride) for layer in layers] == [(24, 56, 1), (56, 16, 2)]
    assert block.out_width(block.parse_path("0:6.1")) == 16


def test_every_width_may_come_into_the_next_block(space: SearchSpace) -> None:
    assert [in_widths(space, block_id) for block_id in range(3)] == [(16,), WIDTHS, WIDTHS]


def test_a_block_is_rated_with_the_largest_width_that_may_come_in(space: SearchSpace) -> None:
    assert [block.cells[0].in_width for block in space.blocks] == [None, 64, 64]


def test_another_cut_is_refused(new_space: NewSpace) -> None:
    with pytest.raises(ConfigError, match=r"needs 3 blocks of maps with strides \(2, 2, 1\), but .* has 3: stride 1, "):
        new_space("nats_size", maps((16, 16, 32, 64), (1, 2, 2), 32))
