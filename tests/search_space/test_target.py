"""What all cells of a block can reach, and blocks that can follow each other."""

from dataclasses import replace

import pytest

from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.search_space import SKIP, TEACHER, BlockSpace, Candidate, Cell, TargetShape, build, mbconv, target_shape
from helixnas.search_space.candidate import fewer_layers, slimmable
from helixnas.search_space.spaces import mbconv as space_of_dna
from tests.search_space.conftest import NewSpace, maps

SPEC = BlockSpec(0, (8, 8, 8), (16, 4, 4), "NCHW", ("a",))
OPTIONS = (mbconv(3, 2, 0),)


def cell(*widths: int, **size: object) -> Cell:
    return Cell(widths, (2, *[1] * (len(widths) - 1)), (OPTIONS,) * len(widths), **size)


@pytest.mark.parametrize(
    ("cells", "shape"),
    [
        ([cell(16), cell(4, 16)], None),  # inner widths are the cell's affair
        ([cell(16), cell(12), cell(40)], TargetShape(12, (4, 4))),
        ([cell(24)], TargetShape(16, (4, 4))),  # the teacher has no more
        ([Cell((24,), (2,), ((slimmable(8), slimmable(24)),))], TargetShape(8, (4, 4))),
        ([cell(16, in_width=8, in_size=(8, 8))], None),
        ([cell(16, in_width=8, in_size=(5, 5)), cell(16, in_width=4, in_size=(8, 8))], TargetShape(16, (3, 3))),
        ([cell(16, in_width=8, in_size=(16, 16))], TargetShape(16, (4, 4))),  # larger maps than the teacher's
    ],
)
def test_the_target_is_the_least_that_any_cell_ends_with(cells: list[Cell], shape: TargetShape | None) -> None:
    assert target_shape(BlockSpace(SPEC, tuple(cells))) == shape


def test_substitutes_keep_the_teachers_interface(new_space: NewSpace) -> None:
    space = new_space("substitute", maps((8, 16, 32), (2, 1), 8))
    assert [target_shape(block) for block in space.blocks] == [None, None]


def test_the_last_block_of_a_space_knows_that_it_is(new_space: NewSpace) -> None:
    space = new_space("nats_size", maps((16, 16, 32, 64), (2, 2, 1), 32))
    assert [block.is_last for block in space.blocks] == [False, False, True]


def build_two(config: RunConfig, monkeypatch: pytest.MonkeyPatch, first: Cell, second: Cell) -> None:
    specs = (SPEC, BlockSpec(1, (16, 4, 4), (16, 2, 2), "NCHW", ("b",)))

    def blocks(specs: tuple[BlockSpec, ...], settings: Space) -> tuple[BlockSpace, ...]:
        return tuple(BlockSpace(spec, (cell,)) for spec, cell in zip(specs, (first, second), strict=True))

    monkeypatch.setattr(space_of_dna, "blocks", blocks)
    build(specs, config.search_space.model_copy(update={"name": "mbconv"}))


def test_an_end_that_no_cell_takes_is_refused(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = cell(16, in_width=12, in_size=(4, 4))
    build_two(config, monkeypatch, cell(12), follower)
    with pytest.raises(ConfigError, match=r"Block 1 must have a cell for each width .* block 0 .* none for 16"):
        build_two(config, monkeypatch, cell(16), follower)


@pytest.mark.parametrize("candidate", [TEACHER, SKIP, fewer_layers(1)])
def test_the_teachers_own_layers_follow_only_their_own_width(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, candidate: Candidate
) -> None:
    kept = replace(cell(16), candidates=((candidate,),))
    build_two(config, monkeypatch, cell(16), kept)
    with pytest.raises(ConfigError, match=r"Block 1 .* take the teacher's 16 channels, but block 0 may give \[12\]"):
        build_two(config, monkeypatch, cell(12), kept)
