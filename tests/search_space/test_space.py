"""Paths, architectures and their names; the substitute space."""

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixnas.blocks import BlockSpec, Layout
from helixnas.config import load
from helixnas.errors import ConfigError, SpaceMismatchError
from helixnas.search_space import (
    SKIP,
    TEACHER,
    Architecture,
    SearchSpace,
    block_from_json,
    block_to_json,
    build,
    mbconv,
)
from tests.conftest import ROOT

SPECS = (
    BlockSpec(0, (16, 32, 32), (24, 16, 16), "NCHW", ("a",)),
    BlockSpec(1, (24, 16, 16), (48, 4, 4), "NCHW", ("b",)),
)


DEFAULT = build(SPECS, load(ROOT).search_space)


@pytest.fixture
def space() -> SearchSpace:
    return DEFAULT


def test_the_default_space_has_the_teachers_block_and_three_cells(space: SearchSpace) -> None:
    assert [block.num_paths for block in space.blocks] == [1 + 4 + 16 + 16] * 2
    assert build(SPECS[:1] * 5, load(ROOT).search_space).num_architectures == 37**5


def test_paths_are_listed_once_each_and_found_by_position_and_by_key(space: SearchSpace) -> None:
    for block in space.blocks:
        paths = list(block.paths())
        assert len(set(paths)) == block.num_paths == len(paths)
        assert [block.path_at(index) for index in range(len(paths))] == paths
        assert [block.parse_path(path.key) for path in paths] == paths
    with pytest.raises(IndexError):
        space.blocks[0].path_at(37)


@settings(deadline=None)
@given(st.integers(0, 36), st.integers(0, 36))
def test_an_arch_id_parses_to_the_architecture_that_it_names(first: int, second: int) -> None:
    space = DEFAULT
    architecture = Architecture((space.blocks[0].path_at(first), space.blocks[1].path_at(second)))
    assert space.parse(architecture.arch_id) == architecture


@pytest.mark.parametrize("arch_id", ["0:0", "0:0-9:0", "0:0-1:6", "0:0-1:0.0", "0:0-1:-1", "0:0-x", "", "0:0-1:00"])
def test_an_arch_id_of_another_space_is_refused(space: SearchSpace, arch_id: str) -> None:
    with pytest.raises(SpaceMismatchError):
        space.parse(arch_id)


@pytest.mark.parametrize("arch_id", [7, 0.5, None, ["0:0", "0:0"], {"0:0": 1}])
def test_an_arch_id_that_is_no_text_is_named(space: SearchSpace, arch_id: object) -> None:
    with pytest.raises(SpaceMismatchError, match=rf"must be a text such as .*, but is {re.escape(repr(arch_id))}"):
        space.parse(arch_id)


def test_a_block_of_more_paths_than_can_be_rated_names_the_keys() -> None:
    cells = ["search_space.kernels=[3,5,7]", "search_space.cells=[{depth:8,width:1.0}]"]
    with pytest.raises(ConfigError, match=r"at most 1,000,000 paths, but block 0 has 1,679,6\d\d\. .*less depth"):
        build(SPECS, load(ROOT, cells).search_space)


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


def test_tokens_get_narrower_attention_and_mlp_of_each_depth() -> None:
    (block,) = build([BlockSpec(0, (49, 64), (49, 64), "NLC", ("a",))], load(ROOT).search_space).blocks
    assert [cell.depth for cell in block.cells] == [1, 1, 1, 2]  # the teacher's, a skip, and two depths
    assert block.num_paths == 1 + 1 + 4 + 4**2
    assert block.names(block.path_at(2)) == ("vit_a1_m4",)
    assert not block.cells[2].is_map


def test_a_map_with_channels_last_has_the_cells_of_one_with_channels_first() -> None:
    settings = load(ROOT).search_space
    first, last = (
        build([BlockSpec(0, in_shape, out_shape, layout, ("a",))], settings).blocks[0].cells
        for in_shape, out_shape, layout in (
            ((24, 16, 16), (48, 8, 8), "NCHW"),
            ((16, 16, 24), (8, 8, 48), "NHWC"),
        )
    )
    assert first == last


def test_a_block_that_keeps_its_shape_may_be_left_out() -> None:
    settings = load(ROOT).search_space
    spec = BlockSpec(0, (24, 8, 8), (24, 8, 8), "NCHW", ("a",))
    assert SKIP in {cell.candidates[0][0] for cell in build([spec], settings).blocks[0].cells}
    without = settings.model_copy(update={"allow_skip": False})
    assert SKIP not in {cell.candidates[0][0] for cell in build([spec], without).blocks[0].cells}


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "layout"),
    [((49, 64), (16, 64), "NLC"), ((3, 8, 8), (16, 64), "NLC"), ((16, 64), (64, 4, 4), "NCHW")],
)
def test_where_nothing_can_stand_in_the_teachers_block_stays(
    in_shape: tuple[int, ...], out_shape: tuple[int, ...], layout: Layout
) -> None:
    spec = BlockSpec(0, in_shape, out_shape, layout, ("a",))
    settings = load(ROOT).search_space
    (block,) = build([spec], settings).blocks
    assert [cell.is_teacher for cell in block.cells] == [True]
    with pytest.raises(ConfigError, match=r"Block 0 must have a substitute.*Set search_space\.keep_teacher: true"):
        build([spec], settings.model_copy(update={"keep_teacher": False}))


def test_bottlenecks_and_own_operations_join_the_candidates() -> None:
    settings = load(ROOT, ["search_space.bottlenecks=[0.25]", "search_space.operations=['own.mine:fast_conv']"])
    (block, _) = build(SPECS, settings.search_space).blocks
    names = [candidate.name for candidate in block.cells[1].candidates[0]]
    assert names[4:] == ["bottle_k3_r0.25", "bottle_k5_r0.25", "fast-conv"]


def test_a_space_of_the_users_own_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_space.py").write_text(
        "from helixnas.search_space import Cell, mbconv\n"
        "def cells(spec, settings):\n"
        "    return (Cell((spec.out_width,), (spec.stride,), ((mbconv(3, 4, 0), mbconv(5, 4, 0)),)),)\n"
        "def nothing(spec, settings):\n"
        "    return ()\n"
        "def raises(spec, settings):\n"
        "    return spec.width\n"
    )
    settings = load(ROOT).search_space
    made = build(SPECS, settings.model_copy(update={"name": "factory:my_space:cells"}))
    assert made.num_architectures == 4
    with pytest.raises(ConfigError, match="must give a tuple of Cell for each block"):
        build(SPECS, settings.model_copy(update={"name": "factory:my_space:nothing"}))
    with pytest.raises(ConfigError, match=r"raises must take a BlockSpec and the settings and return, but: Attr"):
        build(SPECS, settings.model_copy(update={"name": "factory:my_space:raises"}))


@pytest.mark.parametrize(
    "cells",
    [
        "None",
        "[1]",
        "(1,)",
        "Cell((8,), (1, 1), ((one,),)),",
        "Cell((8.0,), (1,), ((one,),)),",
        "Cell((8,), (0,), ((one,),)),",
        "Cell((8,), (1,), ((),)),",
        "Cell((8,), (1,), (('mb_k3',),)),",
        "Cell((8,), (1,), None),",
        "Cell((), (), ()),",
    ],
)
def test_what_is_no_cell_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "odd_space", raising=False)
    lines = ["from helixnas.search_space import Cell, mbconv", "one = mbconv(3, 4, 0)", f"def f(*_): return {cells}"]
    (tmp_path / "odd_space.py").write_text("\n".join(lines))
    settings = load(ROOT).search_space.model_copy(update={"name": "factory:odd_space:f"})
    with pytest.raises(ConfigError, match="must give a tuple of Cell for each block, each with a width"):
        build(SPECS, settings)


def test_the_digest_tells_spaces_apart(space: SearchSpace) -> None:
    other = build(SPECS, load(ROOT, ["search_space.se_ratio=0.0"]).search_space)
    assert other.digest != space.digest == build(SPECS, load(ROOT).search_space).digest


def test_a_block_comes_back_equal_from_json() -> None:
    for block in build(SPECS, load(ROOT).search_space).blocks:
        assert block_from_json(json.loads(json.dumps(block_to_json(block)))) == block


def test_a_candidate_is_named_by_its_kind_and_numbers() -> None:
    assert mbconv(5, 6, 0.25).name == "mb_k5_e6_se0.25"
    assert TEACHER.name == "teacher"
