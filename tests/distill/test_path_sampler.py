"""Samplers: which path a step trains depends on block, seed and step alone, and on the promise of fairness."""

from collections import Counter
from itertools import pairwise, product

import pytest

from helixnas.distill import SAMPLERS, trainable_cells
from helixnas.search_space import TEACHER, BlockSpace, BlockSpec, Cell, Path, SearchSpace, mbconv

CANDIDATES = tuple(mbconv(kernel, expansion, 0.25) for expansion, kernel in product((3, 6), (3, 5, 7)))
KEPT = Cell((8,), (1,), ((TEACHER,),))


def block(*depths: int, num_candidates: int = len(CANDIDATES), block_id: int = 0) -> BlockSpace:
    """The teacher's own cell, then one of each depth."""
    choices = CANDIDATES[:num_candidates]
    cells = (Cell((8,) * depth, (1,) * depth, (choices,) * depth) for depth in depths)
    return BlockSpace(BlockSpec(block_id, (8, 4, 4), (8, 4, 4), "NCHW", ("a",)), (KEPT, *cells))


def draw(name: str, space: BlockSpace, num_steps: int, seed: int = 0) -> list[Path]:
    sampler = SAMPLERS[name](space, seed)
    return [sampler(step) for step in range(num_steps)]


def z_score(count: int, num_draws: int, chance: float) -> float:
    return float(abs(count - num_draws * chance) / (num_draws * chance * (1 - chance)) ** 0.5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_stays_in_the_space_and_reaches_all_of_it(name: str, space: SearchSpace) -> None:
    paths = draw(name, space.blocks[1], 400)
    assert all(space.blocks[1].has(path) and path.block_id == 1 for path in paths)
    assert set(paths) == {path for path in space.blocks[1].paths() if not space.blocks[1].cells[path.cell].is_teacher}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_restarted_at_any_step_goes_on_as_if_never_stopped(name: str) -> None:
    paths = draw(name, block(1, 2), 100)
    for start in (1, 7, 50, 99):
        restarted = SAMPLERS[name](block(1, 2), 0)
        assert [restarted(step) for step in range(start, 100)] == paths[start:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_order_of_asking_does_not_matter(name: str) -> None:
    sampler = SAMPLERS[name](block(1, 2), 0)
    assert [sampler(step) for step in reversed(range(100))][::-1] == draw(name, block(1, 2), 100)


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_seed_draws_other_paths(name: str) -> None:
    assert draw(name, block(1, 2), 100, seed=1) != draw(name, block(1, 2), 100, seed=2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_cell_is_drawn_in_proportion_to_its_depth(name: str) -> None:
    paths = draw(name, block(1, 3, num_candidates=1), 4000)  # one candidate, so that fair's runs are single steps
    assert z_score(sum(path.cell == 2 for path in paths), 4000, 0.75) < 4


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_path_of_a_cell_is_drawn_as_often_as_the_next(name: str) -> None:
    num_draws = 60 * 36
    counts = Counter(draw(name, block(2), num_draws))
    assert len(counts) == 36
    assert max(z_score(count, num_draws, 1 / 36) for count in counts.values()) < 4.5


def test_uniform_steps_are_independent_of_each_other() -> None:
    paths = draw("uniform", block(1, num_candidates=2), 4001)
    repeats = sum(first == second for first, second in pairwise(paths))
    assert z_score(repeats, 4000, 0.5) < 4


@pytest.mark.parametrize("num_candidates", [1, 2, 6])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_fair_run_trains_each_candidate_of_each_layer_once(num_candidates: int, depth: int) -> None:
    paths = draw("fair", block(depth, num_candidates=num_candidates), 20 * num_candidates)
    for start in range(0, len(paths), num_candidates):
        for choices in zip(*(path.choices for path in paths[start : start + num_candidates]), strict=True):
            assert sorted(choices) == list(range(num_candidates))


def test_a_fair_run_stays_in_one_cell() -> None:
    paths = draw("fair", block(1, 2), 600)
    cells = [{path.cell for path in paths[start : start + 6]} for start in range(0, 600, 6)]
    assert all(len(run) == 1 for run in cells)
    assert set.union(*cells) == {1, 2}


def test_fair_layers_are_shuffled_each_for_itself() -> None:
    pairs = Counter(path.choices for path in draw("fair", block(2, num_candidates=3), 300))
    assert len(pairs) == 9  # not the diagonal alone


def test_each_fair_run_is_shuffled_anew() -> None:
    paths = draw("fair", block(1), 6 * 20)
    runs = [tuple(paths[start : start + 6]) for start in range(0, len(paths), 6)]
    assert all(first != second for first, second in pairwise(runs))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_block_without_a_cell_to_train_has_a_sampler_that_nobody_calls(name: str) -> None:
    assert trainable_cells(block()) == []
    SAMPLERS[name](block(), 0)


def test_all_cells_but_the_teachers_own_are_trained() -> None:
    assert trainable_cells(block(1, 2)) == [1, 2]
