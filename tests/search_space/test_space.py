"""Paths, architectures and their names; the substitute space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixnas.config import load
from helixnas.errors import ConfigError, SpaceMismatchError
from helixnas.search_space import TEACHER, Architecture, BlockSpec, Candidate, SearchSpace, build, mbconv
from tests.conftest import ROOT

SPECS = (
    BlockSpec(0, (16, 32, 32), (24, 16, 16), "NCHW", ("a",)),
    BlockSpec(1, (24, 16, 16), (48, 4, 4), "NCHW", ("b",)),
)


@pytest.fixture
def space() -> SearchSpace:
    return build(SPECS, load(ROOT).search_space)


def test_the_default_space_has_79_paths_a_block_and_over_10_to_the_8_architectures(space: SearchSpace) -> None:
    assert [block.num_paths for block in space.blocks] == [1 + 6 + 36 + 36] * 2
    assert build(SPECS[:1] * 5, load(ROOT).search_space).num_architectures == 79**5 > 10**8


def test_paths_are_listed_once_each_and_found_by_position_and_by_key(space: SearchSpace) -> None:
    for block in space.blocks:
        paths = list(block.paths())
        assert len(set(paths)) == block.num_paths == len(paths)
        assert [block.path_at(index) for index in range(len(paths))] == paths
        assert [block.parse_path(path.key) for path in paths] == paths
    with pytest.raises(IndexError):
        space.blocks[0].path_at(79)


@given(st.integers(0, 78), st.integers(0, 78))
def test_an_arch_id_parses_to_the_architecture_that_it_names(first: int, second: int) -> None:
    space = build(SPECS, load(ROOT).search_space)
    architecture = Architecture((space.blocks[0].path_at(first), space.blocks[1].path_at(second)))
    assert space.parse(architecture.arch_id) == architecture


@pytest.mark.parametrize("arch_id", ["0:0", "0:0-9:0", "0:0-1:6", "0:0-1:0.0", "0:0-1:-1", "0:0-x", "", "0:0-1:00"])
def test_an_arch_id_of_another_space_is_refused(space: SearchSpace, arch_id: str) -> None:
    with pytest.raises(SpaceMismatchError):
        space.parse(arch_id)


def test_a_substitute_takes_and_gives_what_the_block_does(space: SearchSpace) -> None:
    for block in space.blocks:
        assert block.cells[0].candidates == ((TEACHER,),)
        for cell in block.cells:
            layers = cell.layers(block.spec.in_width)
            assert layers[0].in_width == block.spec.in_width
            assert layers[-1].out_width == block.spec.out_width
            stride = 1
            for layer in layers:
                stride *= layer.stride
            assert stride == block.spec.stride
    assert space.blocks[1].cells[2].strides == (2, 2)  # a stride of 4 is taken by twos where there are layers
    assert space.blocks[1].cells[3].widths == (24, 48)


def test_tokens_are_refused_by_the_substitute_space() -> None:
    spec = BlockSpec(0, (49, 64), (49, 64), "NLC", ("a",))
    with pytest.raises(ConfigError, match="tokens"):
        build([spec], load(ROOT).search_space)


def test_the_digest_tells_spaces_apart(space: SearchSpace) -> None:
    other = build(SPECS, load(ROOT, ["search_space.se_ratio=0.0"]).search_space)
    assert other.digest != space.digest == build(SPECS, load(ROOT).search_space).digest


@pytest.mark.parametrize("candidate", [TEACHER, mbconv(5, 6, 0.25), Candidate("op", (("n", 12),))])
def test_a_candidate_is_known_by_its_name_alone(candidate: Candidate) -> None:
    assert Candidate.parse(candidate.name) == candidate


def test_a_name_that_no_candidate_has_is_refused() -> None:
    assert mbconv(5, 6, 0.25).name == "mb_k5_e6_se0.25"
    with pytest.raises(SpaceMismatchError, match="mb_5"):
        Candidate.parse("mb_5")
