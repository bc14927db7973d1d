from dataclasses import replace

import pytest
from scipy.stats import binomtest

from helixnas.report import ReportData
from helixnas.report.wording import (
    agreement_sentence,
    budget_sentence,
    headline,
    loss_sentence,
    optimum_sentence,
    percent,
    points,
    rating_warnings,
    space_sentence,
)
from helixnas.results import Budget, Figures, RatingTable
from helixnas.search_space import SKIP, BlockSpace, Cell, SearchSpace
from tests.costs import three

from .conftest import OPTIONS, make_data, make_space


def with_student(figures: Figures, **changes: object) -> Figures:
    return replace(figures, student=replace(figures.student, **changes))


def test_the_headline_says_accuracy_cost_and_speed(data: ReportData) -> None:
    assert headline(data.figures) == (
        "The student reaches 98.00 % (teacher 99.00 %) "
        "with 37.5 % of the multiply-adds, 2.5\N{MULTIPLICATION SIGN} faster."
    )


@pytest.mark.parametrize(
    ("latency_ms", "ending"),
    [
        (8.0, "multiply-adds, 2.0\N{MULTIPLICATION SIGN} slower."),
        (4.1, "multiply-adds, about as fast."),
        (None, "multiply-adds."),
    ],
)
def test_the_headline_is_as_plain_about_slowness(data: ReportData, latency_ms: float | None, ending: str) -> None:
    cost = three(900_000, 5000, latency_ms)
    assert headline(with_student(data.figures, cost=cost)).endswith(ending)


@pytest.mark.parametrize(
    ("acc", "start"),
    [
        (0.98, "It loses 1.00 points of top-1 accuracy: 4 more of the 400 test images are wrong."),
        (0.9875, "It loses 0.25 points of top-1 accuracy: 1 more of the 400 test images is wrong."),
        (0.99, "It gets as many of the 400 test images right as the teacher."),
        (0.995, "It gains 0.50 points of top-1 accuracy: 2 fewer of the 400 test images are wrong."),
    ],
)
def test_losses_and_gains_are_counted_in_images(data: ReportData, acc: float, start: str) -> None:
    assert loss_sentence(with_student(data.figures, top1_acc=acc)).startswith(start)


def test_the_interval_is_wilsons(data: ReportData) -> None:
    low, high = binomtest(392, 400).proportion_ci(method="wilson")
    assert f"lies between {percent(low)} and {percent(high)} with" in loss_sentence(data.figures)


def test_points_carry_their_sign() -> None:
    assert [points(-0.0044), points(0.0), points(0.01)] == ["\N{MINUS SIGN}0.44", "±0", "+1.00"]


def test_every_limit_is_said_to_be_kept_exceeded_or_unmeasured(data: ReportData) -> None:
    figures = replace(data.figures, budget=Budget(madds=900_000.0, num_params=4000.0))
    assert budget_sentence(figures) == (
        "madds ≤ 900.0K, kept: the student takes 900.0K. num_params ≤ 4.00K, exceeded: the student takes 5.00K."
    )
    unmeasured = replace(make_data(is_measured=False).figures, budget=Budget(latency_ms=2.0))
    assert budget_sentence(unmeasured) == "latency_ms ≤ 2.00 ms; the student's was not measured."
    assert budget_sentence(replace(figures, budget=Budget())) == "None was set."


def test_the_optimum_is_told_from_the_choice(data: ReportData) -> None:
    assert optimum_sentence(data.result) == (
        "proven; it is 1:1-1:0.1, predicted_loss 0.25, where the chosen one has 0.28."
    )
    same = replace(data.result, chosen=data.result.exact)
    assert optimum_sentence(same) == "proven; it is the chosen architecture, predicted_loss 0.25."


def test_large_spaces_are_written_in_powers_of_ten(data: ReportData) -> None:
    assert space_sentence(3_077_056_399, data.result).startswith("3,077,056,399 architectures; 3 make up the frontier")
    assert space_sentence(12 * 10**30, data.result).startswith("1.2 \N{MULTIPLICATION SIGN} 10^31 architectures")


def test_agreement_is_weighed_against_chance() -> None:
    assert "so this is more than chance explains" in agreement_sentence(0.6, 24)
    assert "so this is no more than chance explains" in agreement_sentence(0.2, 24)


@pytest.mark.parametrize(("tau", "n"), [(None, 24), (1.0, 4)])
def test_agreement_of_too_few_is_not_claimed(tau: float | None, n: int) -> None:
    assert agreement_sentence(tau, n).startswith("Too few")


def test_ratings_that_say_little_are_told_with_the_block_the_counts_and_the_keys() -> None:
    first, second = make_space().blocks
    cells = (*second.cells, Cell((8,), (1,), ((SKIP,),)))
    space = SearchSpace((first, BlockSpace(second.spec, cells)))

    def rated(block: BlockSpace, *losses: float) -> RatingTable:
        return RatingTable(block.block_id, tuple(path.key for path in block.paths()), losses, 10, 0, "feature", 1.0)

    good = [rated(space.blocks[0], 0, *[0.5] * 6), rated(space.blocks[1], 0, 0.1, 2, 2, 0.1, 0.2)]
    assert rating_warnings(space, good) == ()
    assert len(OPTIONS) == 2
    bad = [rated(space.blocks[0], 0, *[0.5] * 2, *[1.0] * 4), rated(space.blocks[1], 0, 0.3, 2, 2, 0.4, 0.2)]
    assert rating_warnings(space, bad) == (
        "Block 0 learnt too little to be rated: of 6 trained paths 2 are better than a constant. "
        "Raise distill.updates, or lower distill.lr.",
        "Block 1 learnt too little to be rated: of 4 trained paths 2 are better than a constant, 0 are better than "
        "leaving it out. Raise distill.updates, or lower distill.lr.",
        "Block 1 has cells that could do nothing, but rate worse than leaving the block out, which has 0.2: "
        "1:0.0 with 0.3. Raise distill.updates, or lower distill.lr.",
    )


def test_without_labels_it_is_agreement_with_the_teacher(data: ReportData) -> None:
    figures = replace(
        data.figures, is_labelled=False, teacher=replace(data.figures.teacher, top1_acc=1.0), num_test_images=400
    )
    assert headline(figures).startswith("The student reaches 98.00 % agreement with the teacher with 37.5 % of the")
    assert loss_sentence(figures).startswith(
        "It loses 2.00 points of agreement with the teacher: 8 more of the 400 test images are told otherwise than by "
        "the teacher. One image is 0.25 points; the student's agreement with the teacher lies between"
    )
