"""BossNAS's space of inverted residuals: its published size and encoding."""

import pytest

from helixnas.errors import ConfigError
from helixnas.search_space import SearchSpace, mbconv
from tests.search_space.conftest import NewSpace, maps

STRIDES = (2, 2, 2, 1, 2, 1)
WIDTHS = (16, 24, 40, 80, 112, 192, 320)


@pytest.fixture(scope="module")
def space(new_space: NewSpace) -> SearchSpace:
    return new_space("mbconv4", maps(WIDTHS, STRIDES, 112))


def test_the_space_has_the_published_size(space: SearchSpace) -> None:
    assert [block.num_paths for block in space.blocks] == [16, 256, 256, 256, 256, 1]
    assert space.num_architectures == 16 * 256**4
    assert [(cell.depth, cell.widths[-1]) for block in space.blocks for cell in block.cells] == list(
        zip((2, 4, 4, 4, 4, 1), WIDTHS[1:], strict=True)
    )


def test_a_published_encoding_is_an_arch_id(space: SearchSpace) -> None:
    """The best of the 23 networks whose accuracy is published: 1-1, 1-1-1-1, 1-1-0-1, 1-0-1-1, 1-1-0-1."""
    architecture = space.parse("0:1.1-0:1.1.1.1-0:1.1.0.1-0:1.0.1.1-0:1.1.0.1-0:0")
    names = [space.blocks[path.block_id].names(path) for path in architecture.paths]
    assert names[2] == ("mb_k5_e6_se0.25", "mb_k5_e6_se0.25", "mb_k3_e6_se0.25", "mb_k5_e6_se0.25")
    assert names[5] == ("mb_k3_e6_se0.25",)


def test_candidates_are_in_the_published_order(space: SearchSpace) -> None:
    sizes = [(6, 3), (6, 5), (3, 3), (3, 5)]
    assert space.blocks[1].cells[0].candidates[0] == tuple(mbconv(kernel, e, 0.25) for e, kernel in sizes)


def test_another_cut_is_refused(new_space: NewSpace) -> None:
    with pytest.raises(ConfigError, match=r"'mbconv4' needs 6 blocks .* has 5: stride 2"):
        new_space("mbconv4", maps(WIDTHS[:-1], STRIDES[:-1], 112))
