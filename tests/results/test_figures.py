"""How good a teacher is, and when it is no better than guessing."""

import math

import pytest

from helixnas.results import TeacherAccuracy, wilson_interval


@pytest.mark.parametrize(("num_right", "n"), [(392, 400), (0, 30), (30, 30), (7, 70)])
def test_the_interval_is_wilsons(num_right: int, n: int) -> None:
    share, z = num_right / n, 1.959964
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    wanted = tuple((centre + side * half) / (1 + z * z / n) for side in (-1, 1))
    assert wilson_interval(share, n) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("top1_acc", "num_images", "num_classes", "is_warned"),
    [(0.11, 500, 10, True), (0.0, 500, 10, True), (0.2, 500, 10, False), (0.2, 10, 10, True), (0.01, 500, 1000, False)],
)
def test_a_teacher_no_better_than_chance_is_warned_of(
    top1_acc: float, num_images: int, num_classes: int, is_warned: bool
) -> None:
    warning = TeacherAccuracy(top1_acc, num_images, num_classes).warning
    assert (warning is not None) == is_warned
    if warning:
        assert all(key in warning for key in ("data.mean", "data.std", "classes", "teacher.weights"))


def test_the_accuracy_is_told_with_its_interval_and_its_images() -> None:
    assert str(TeacherAccuracy(0.7375, 2000, 1000)) == (
        "The teacher gets 73.75 % of 2,000 rating images right, between 71.8 and 75.6 % with 95 % confidence."
    )
