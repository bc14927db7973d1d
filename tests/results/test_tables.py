"""What a rating table says of the distillation that it was made from."""

from dataclasses import replace

import pytest

from helixnas.blocks import BlockSpec
from helixnas.results import RatingTable, Trained, trained, worse_than_identity
from helixnas.search_space import SKIP, TEACHER, BlockSpace, Candidate, Cell, mbconv
from helixnas.search_space.candidate import fewer_layers

OPTIONS = (mbconv(3, 6, 0.25), mbconv(5, 6, 0.25))
SPEC = BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("a",))
KEPT, SKIPPED, FEWER = (Cell((8,), (1,), ((option,),)) for option in (TEACHER, SKIP, fewer_layers(1)))
SHORT = Cell((8,), (1,), (OPTIONS,))


def rated(block: BlockSpace, *losses: float) -> RatingTable:
    return RatingTable(0, tuple(path.key for path in block.paths()), losses, 10, 0, "feature", 1.0)


def test_trained_paths_are_held_against_the_constant_and_the_identity() -> None:
    block = BlockSpace(SPEC, (KEPT, SKIPPED, FEWER, SHORT))
    table = rated(block, 0.0, 0.3, 0.2, 0.3, 1.0)  # as good as the constant or the identity is not better
    assert trained(table, block) == Trained(0, num_paths=3, beat_constant=2, beat_identity=1)
    without_skip = BlockSpace(SPEC, (KEPT, FEWER, SHORT))
    table = rated(without_skip, 0.0, 0.2, 0.3, 1.0)
    assert trained(table, without_skip) == Trained(0, num_paths=3, beat_constant=2, beat_identity=None)
    assert trained(replace(table, constant=None), without_skip) == Trained(0, 3, None, None)


def test_what_a_criterion_does_not_know_is_not_told() -> None:
    assert str(Trained(0, 3, None, None)) == "3 trained paths"
    assert str(Trained(0, 3, None, 2)) == "of 3 trained paths 2 are better than leaving it out"


@pytest.mark.parametrize(
    ("num_paths", "beat_constant", "beat_identity", "has_failed"),
    [
        (390, 1, 1, True),
        (4, 2, None, False),
        (5, 2, None, True),
        (4, 4, 0, True),
        (4, 4, 1, False),
        (0, 0, 0, False),
        (4, None, None, False),
    ],
)
def test_a_distillation_failed_where_few_paths_beat_the_constant_or_none_the_identity(
    num_paths: int, beat_constant: int | None, beat_identity: int | None, has_failed: bool
) -> None:
    assert Trained(0, num_paths, beat_constant, beat_identity).has_failed == has_failed


def test_a_cell_that_could_do_nothing_may_not_rate_worse_than_that() -> None:
    deep = Cell((8, 8), (1, 1), (OPTIONS[:1], OPTIONS))
    block = BlockSpace(SPEC, (KEPT, SKIPPED, SHORT, deep))
    (found,) = worse_than_identity(rated(block, 0.0, 0.3, 0.9, 0.3, 0.41, 0.4), block)
    assert (found.path, found.rating, found.identity_loss) == ("3:0.1", 0.4, 0.3)


@pytest.mark.parametrize(
    "cell",
    [
        Cell((4, 8), (1, 1), (OPTIONS, OPTIONS)),
        Cell((8, 8), (2, 1), (OPTIONS, OPTIONS)),
        Cell((8,), (1,), ((Candidate("ghost"),),)),
        FEWER,
    ],
    ids=["another width inside", "a stride", "no shortcut known", "the teacher's"],
)
def test_a_cell_that_must_do_something_may_rate_as_it_will(cell: Cell) -> None:
    block = BlockSpace(SPEC, (KEPT, SKIPPED, cell))
    assert worse_than_identity(rated(block, 0.0, 0.3, *[2.0] * cell.num_paths), block) == ()


def test_without_a_skip_there_is_no_identity_to_compare_with() -> None:
    block = BlockSpace(SPEC, (KEPT, SHORT))
    assert worse_than_identity(rated(block, 0.0, 2.0, 2.0), block) == ()
