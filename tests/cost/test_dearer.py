"""What the teacher's own block beats in every counted cost is left out before anything is trained."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from helixnas.blocks import BlockSpec
from helixnas.config import load
from helixnas.cost import count, count_paths, without_dearer
from helixnas.custom import Custom
from helixnas.cut import CutTeacher, cut
from helixnas.search_space import SKIP, TEACHER, BlockSpace, Candidate, Cell, LayerSpec, SearchSpace, build, mbconv
from helixnas.search_space.candidate import slimmable
from helixnas.student import operation
from helixnas.student.custom import CUSTOM
from tests.conftest import ROOT
from tests.costs import COUNTED

SETTINGS = load(ROOT).search_space
KEPT = Cell((8,), (1,), ((TEACHER,),))
NARROW, WIDE = mbconv(3, 1, 0.0), mbconv(3, 6, 0.0)


def cut_of(name: str, blocks: list[list[str]], side: int = 64, **options: object) -> CutTeacher:
    torch.manual_seed(0)
    return cut(timm.create_model(name, **options), blocks, torch.rand(2, 3, side, side))


def space_of(*cells: Cell, madds: int | None, num_params: int | None) -> SearchSpace:
    spec = BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("a",), madds=madds, num_params=num_params)
    return SearchSpace((BlockSpace(spec, cells, is_last=True),))


def price(option: Candidate) -> tuple[int, int]:
    """The madds and weights of a layer of 8 channels on maps of 4x4."""
    block = space_of(Cell((8,), (1,), ((option,),)), madds=None, num_params=None).blocks[0]
    (cost,) = count_paths(block, [8], nn.Identity(), COUNTED).costs
    return cost["madds"], cost["num_params"]


def test_a_block_knows_what_it_costs() -> None:
    teacher = cut_of("resnet10t", [["layer1"], ["layer2"], ["layer3", "layer4"]])
    for spec, piece in zip(teacher.specs, teacher.blocks, strict=True):
        cost = count(piece, spec.in_shape, COUNTED)
        assert (spec.madds, spec.num_params) == (cost["madds"], cost["num_params"])


def test_a_separable_convolution_loses_its_mbconvs() -> None:
    teacher = cut_of("tf_efficientnet_lite0", [["blocks.0"], ["blocks.1"]])
    first, second = without_dearer(build(teacher.specs, SETTINGS)).blocks
    assert (first.spec.in_width, first.spec.out_width) == (32, 16)
    assert [first.names(path) for path in first.paths()] == [("teacher",)]
    assert second.num_paths > 30


@pytest.mark.parametrize(
    "teacher",
    [
        lambda: cut_of("resnet10t", [["layer1"], ["layer2"]]),
        lambda: cut_of("mobilenetv2_050", [["blocks.1"], ["blocks.2"]]),
        lambda: cut_of("mobilenetv3_small_050", [["blocks.2"], ["blocks.3"]]),
        lambda: cut_of("vit_tiny_patch16_224", [["blocks.0"], ["blocks.1", "blocks.2"]], 32, img_size=32),
        lambda: cut_of("convnext_atto", [["stages.0"], ["stages.1"]]),
        lambda: cut_of("swin_tiny_patch4_window7_224", [["layers.0"]], 56, img_size=56, embed_dim=24),
    ],
)
def test_what_goes_is_what_is_on_no_path_that_takes_less_than_the_block(teacher: object) -> None:
    cut_teacher: CutTeacher = teacher()  # type: ignore[operator]
    whole = build(cut_teacher.specs, SETTINGS)
    for block, less, piece in zip(whole.blocks, without_dearer(whole).blocks, cut_teacher.blocks, strict=True):
        costs, most = (
            count_paths(block, [block.spec.in_width], piece, COUNTED).costs,
            count(piece, block.spec.in_shape, COUNTED),
        )
        used = set()
        for path, cost in zip(block.paths(), costs, strict=True):
            cell = block.cells[path.cell]
            if not cell.is_trainable or cost["madds"] <= most["madds"] or cost["num_params"] <= most["num_params"]:
                used |= {(path.cell, layer, choice) for layer, choice in enumerate(path.choices)}
        left = []
        for index, cell in enumerate(block.cells):
            rows = [
                tuple(option for choice, option in enumerate(options) if (index, layer, choice) in used)
                for layer, options in enumerate(cell.candidates)
            ]
            left += [replace(cell, candidates=tuple(rows))] if all(rows) else []
        assert less.cells == tuple(left)
        assert less.spec == block.spec


def test_a_candidate_stays_where_one_cost_or_one_companion_saves_it() -> None:
    cell = Cell((8, 8), (1, 1), ((NARROW, WIDE), (NARROW, WIDE)))
    madds, num_params = (sum(pair) for pair in zip(price(NARROW), price(WIDE), strict=True))
    for limits, kept in (
        ((madds, num_params), (NARROW, WIDE)),  # as dear is not dearer
        ((madds - 1, num_params - 1), (NARROW,)),
        ((madds, 1), (NARROW, WIDE)),
        ((1, num_params), (NARROW, WIDE)),
    ):
        (block,) = without_dearer(space_of(KEPT, cell, madds=limits[0], num_params=limits[1])).blocks
        assert block.cells == (KEPT, replace(cell, candidates=(kept, kept)))


def test_the_teachers_block_and_the_skip_stay_and_an_empty_cell_goes() -> None:
    skip, made = (Cell((8,), (1,), ((option,),)) for option in (SKIP, WIDE))
    (block,) = without_dearer(space_of(KEPT, skip, made, madds=1, num_params=1)).blocks
    assert block.cells == (KEPT, skip)


@pytest.mark.parametrize(
    "space",
    [
        space_of(KEPT, Cell((8,), (1,), ((WIDE,),)), madds=None, num_params=None),
        space_of(Cell((8,), (1,), ((WIDE,),)), madds=1, num_params=1),
        space_of(KEPT, Cell((6,), (1,), ((WIDE,),)), madds=1, num_params=1),
        space_of(KEPT, Cell((8, 8), (1, 1), ((slimmable(4), slimmable(8)), (WIDE,))), madds=1, num_params=1),
    ],
    ids=["not counted", "no teacher's block", "widths of its own", "widths that vary inside"],
)
def test_where_a_way_might_be_lost_all_stays(space: SearchSpace) -> None:
    assert without_dearer(space) == space


def test_an_operation_of_ones_own_is_counted_and_moves_no_random_number(monkeypatch: pytest.MonkeyPatch) -> None:
    @operation
    def heavy(layer: LayerSpec) -> nn.Module:
        return nn.Conv2d(layer.in_width, layer.out_width, 3, layer.stride, 1)

    monkeypatch.setitem(CUSTOM, "heavy", Custom("mine:heavy", "search_space.operations", "return", heavy))
    options = (Candidate("heavy"), NARROW)
    before = torch.get_rng_state()
    limits = {"madds": 16 * 9 * 64, "num_params": 9 * 64 + 8}
    cell = Cell((8,), (1,), (options,))
    assert without_dearer(space_of(KEPT, cell, **limits)).blocks[0].cells == (KEPT, cell)
    less = without_dearer(space_of(KEPT, cell, **{name: limit - 1 for name, limit in limits.items()}))
    assert less.blocks[0].cells == (KEPT, replace(cell, candidates=((NARROW,),)))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_block_costs_does_not_change_the_spaces_name() -> None:
    cells = (KEPT, Cell((8,), (1,), ((WIDE,),)))
    spaces = [space_of(*cells, madds=madds, num_params=madds) for madds in (None, 10**9)]
    assert spaces[0].digest == spaces[1].digest != without_dearer(space_of(*cells, madds=1, num_params=1)).digest
