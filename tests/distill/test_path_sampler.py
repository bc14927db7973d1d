"""Samplers: which path a step trains depends on block, seed and step alone, and on the promise of fairness."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise, product

import pytest

from helixnas.blocks import BlockSpec
from helixnas.distill import SAMPLERS, trainable_cells
from helixnas.search_space import TEACHER, BlockSpace, Cell, Path, SearchSpace, mbconv

CANDIDATES = tuple(mbconv(kernel, expansion, 0.25) for expansion, kernel in product((3, 6), (3, 5, 7)))
KEPT = Cell((8,), (1,), ((TEACHER,),))


def block(*depths: int, num_candidates: int = len(CANDIDATES), block_id: int = 0) -> BlockSpace:
    """The teacher's own cell, then one of each depth."""
    choices = CANDIDATES[:num_candidates]
    cells = (Cell((8,) * depth, (1,) * depth, (choices,) * depth) for depth in depths)
    return BlockSpace(BlockSpec(block_id, (8, 4, 4), (8, 4, 4), "NCHW", ("a",)), (KEPT, *cells))


UPDATES = 40


def draw(name: str, space: BlockSpace, num_steps: int, seed: int = 0) -> list[Path]:
    """The paths of so many steps, one after another."""
    sampler = SAMPLERS[name](space, UPDATES, seed)
    return [path for step in range(num_steps) for path in sampler(step)]


def num_updates(name: str, space: BlockSpace, updates: int = UPDATES) -> Counter[tuple[int, int, int]]:
    """How often each (cell, layer, candidate) is trained by all the steps of a sampler."""
    sampler = SAMPLERS[name](space, updates, 0)
    return Counter(
        (path.cell, layer, choice)
        for step in range(sampler.num_steps)
        for path in sampler(step)
        for layer, choice in enumerate(path.choices)
    )


def z_score(count: int, num_draws: int, chance: float) -> float:
    return float(abs(count - num_draws * chance) / (num_draws * chance * (1 - chance)) ** 0.5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_stays_in_the_space_and_reaches_all_of_it(name: str, space: SearchSpace) -> None:
    paths = draw(name, space.blocks[1], 400)
    assert all(space.blocks[1].has(path) and path.block_id == 1 for path in paths)
    assert set(paths) == {path for path in space.blocks[1].paths() if not space.blocks[1].cells[path.cell].is_teacher}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_restarted_at_any_step_goes_on_as_if_never_stopped(name: str) -> None:
    sampler, steps = SAMPLERS[name](block(1, 2), UPDATES, 0), range(100)
    paths = [list(sampler(step)) for step in steps]
    for start in (1, 7, 50, 99):
        restarted = SAMPLERS[name](block(1, 2), UPDATES, 0)
        assert [list(restarted(step)) for step in steps[start:]] == paths[start:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_order_of_asking_does_not_matter(name: str) -> None:
    sampler = SAMPLERS[name](block(1, 2), UPDATES, 0)
    forwards = [list(sampler(step)) for step in range(100)]
    assert [list(sampler(step)) for step in reversed(range(100))][::-1] == forwards


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_seed_draws_other_paths(name: str) -> None:
    assert draw(name, block(1, 2), 100, seed=1) != draw(name, block(1, 2), 100, seed=2)


@pytest.mark.parametrize("name", ["stratified", "fair"])
def test_each_candidate_of_each_cell_gets_exactly_the_updates_that_are_asked_for(name: str) -> None:
    counts = num_updates(name, block(1, 2, 3))
    assert len(counts) == 6 + 12 + 18
    assert set(counts.values()) == {UPDATES}


def test_candidates_drawn_uniformly_may_expect_the_updates_that_are_asked_for() -> None:
    counts = num_updates("uniform", block(1, 2), updates=600)
    assert len(counts) == 18
    assert max(abs(count - 600) for count in counts.values()) < 5 * 600**0.5


def test_a_cell_of_one_candidate_is_trained_no_more_than_the_others() -> None:
    space = block(2)
    single = Cell((8,), (1,), (CANDIDATES[:1],))
    counts = num_updates("stratified", replace(space, cells=(*space.cells, single)))
    assert set(counts.values()) == {UPDATES}
    assert (2, 0, 0) in counts


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_path_of_a_cell_is_drawn_as_often_as_the_next(name: str) -> None:
    paths = draw(name, block(2), 60 * 36 // (6 if name == "fair" else 1))
    counts = Counter(paths)
    assert len(counts) == 36
    assert max(z_score(count, len(paths), 1 / 36) for count in counts.values()) < 4.5


def test_uniform_steps_are_independent_of_each_other() -> None:
    paths = draw("uniform", block(1, num_candidates=2), 4001)
    repeats = sum(first == second for first, second in pairwise(paths))
    assert z_score(repeats, 4000, 0.5) < 4


@pytest.mark.parametrize("num_candidates", [1, 2, 6])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_fair_step_trains_each_candidate_of_each_layer_of_one_cell_once(num_candidates: int, depth: int) -> None:
    sampler = SAMPLERS["fair"](block(depth, 1, num_candidates=num_candidates), UPDATES, 0)
    for step in range(20):
        paths = sampler(step)
        assert len({path.cell for path in paths}) == 1
        for choices in zip(*(path.choices for path in paths), strict=True):
            assert sorted(choices) == list(range(num_candidates))


def test_the_layers_of_a_run_are_shuffled_each_for_itself() -> None:
    pairs = Counter(path.choices for path in draw("stratified", block(2, num_candidates=3), 300))
    assert len(pairs) == 9  # not the diagonal alone


def test_each_run_is_shuffled_anew() -> None:
    paths = draw("stratified", block(1), 6 * 20)
    runs = [tuple(paths[start : start + 6]) for start in range(0, len(paths), 6)]
    assert all(first != second for first, second in pairwise(runs))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_block_without_a_cell_to_train_has_a_sampler_without_a_step(name: str) -> None:
    assert trainable_cells(block()) == []
    assert SAMPLERS[name](block(), UPDATES, 0).num_steps == 0


def test_all_cells_but_the_teachers_own_are_trained() -> None:
    assert trainable_cells(block(1, 2)) == [1, 2]
