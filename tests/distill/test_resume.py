"""A kill at any step costs nothing but an epoch: what is resumed ends bit for bit as if it had not been cut."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helixnas.distill import SAMPLERS
from tests.distill.conftest import UPDATES, Training, Watch, equal


def kill_at(wanted: int) -> Watch:
    def watch(step: int) -> None:
        if step == wanted:
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kills", [[0], [2], [4], [7, 9], [11], [5, 5, 8]])
def test_a_distillation_killed_at_any_step_ends_bit_for_bit_as_if_it_had_not_been(
    new_training: Callable[..., Training], tmp_path: Path, sampler: str, kills: list[int]
) -> None:
    whole = new_training(sampler=sampler, updates=UPDATES[sampler]).run(tmp_path / "whole")
    for step in kills:
        with pytest.raises(KeyboardInterrupt):
            new_training(sampler=sampler, updates=UPDATES[sampler]).run(tmp_path / "cut", before_step=kill_at(step))
    assert equal(new_training(sampler=sampler, updates=UPDATES[sampler]).run(tmp_path / "cut"), whole)


def test_a_kill_between_log_and_checkpoint_logs_the_same_point_again(
    new_training: Callable[..., Training], tmp_path: Path
) -> None:
    points: list[tuple[str, float, int]] = []

    def log(name: str, value: float, step: int) -> None:
        points.append((name, value, step))
        if len(points) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new_training().run(tmp_path / "c", log)
    resumed = new_training().run(tmp_path / "c", log)
    assert [step for _, _, step in points] == [0, 1, 1, 2]
    assert points[1] == points[2]
    assert equal(resumed, new_training().run(tmp_path / "whole"))


def test_a_resumed_run_repeats_no_epoch_that_was_saved(new_training: Callable[..., Training], tmp_path: Path) -> None:
    steps: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        new_training().run(tmp_path / "c", before_step=kill_at(9))
    new_training().run(tmp_path / "c", before_step=steps.append)
    assert steps == [8, 9, 10, 11]


def test_the_last_epoch_ends_when_all_steps_are_done(new_training: Callable[..., Training], tmp_path: Path) -> None:
    steps: list[int] = []
    points: list[tuple[str, float, int]] = []
    training = new_training(sampler="fair", updates=3)
    training.run(tmp_path / "c", lambda *point: points.append(point), steps.append)
    assert training.distillation.num_steps == 6
    (moved,) = {int(state["step"]) for state in training.distillation._optimizer.state.values()}
    assert moved == 3  # of each of two cells
    assert [epoch for _, _, epoch in points] == [0, 1]
    assert training.distillation.is_done


def test_a_finished_run_trains_no_further(new_training: Callable[..., Training], tmp_path: Path) -> None:
    steps: list[int] = []
    finished = new_training().run(tmp_path / "c")
    assert equal(new_training().run(tmp_path / "c", before_step=steps.append), finished)
    assert steps == []
