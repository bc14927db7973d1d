from dataclasses import replace
from pathlib import Path

import pytest

from helixnas.report import ReportData
from helixnas.report.beside import below_warning, beside_sentence
from helixnas.results import Comparison, Figure, Figures, mcnemar
from tests.costs import three

from .conftest import NASTY
from .test_page import page_of
from .test_terminal import printed

MINUS = "\N{MINUS SIGN}"


def comparison(
    only: tuple[int, int], acc: float, kind: str = "obvious", name: str = "teacher without 1+0 layers"
) -> Comparison:
    figure = Figure(name, acc, three(1_100_000, 5000, 1.5))
    return Comparison(kind, "0:0-0:0", figure, 0.5, False, 0.0, *only, mcnemar(*only), 0.88)


def with_comparisons(figures: Figures, *comparisons: Comparison) -> Figures:
    """The student has 98.00 % of 400 images right."""
    return replace(figures, comparisons=comparisons)


ABOVE = comparison((7, 3), 0.97)
APART = comparison((14, 2), 0.95)
BELOW = comparison((3, 5), 0.985)
CHOSEN = replace(comparison((0, 0), 0.98, name="teacher without 0+1 layers"), is_chosen=True)


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        (
            ABOVE,
            "The chosen student is 1.00 points above the best obvious way, teacher without 1+0 layers. The two are not "
            "told apart: of 400 test images it alone is right on 7, the other alone on 3 (McNemar's exact test, "
            "p = 0.34).",
        ),
        (
            APART,
            "The chosen student is 3.00 points above the best obvious way, teacher without 1+0 layers. The two are "
            "told apart: of 400 test images it alone is right on 14, the other alone on 2 (McNemar's exact test, "
            "p = 0.0042).",
        ),
        (
            BELOW,
            "The chosen student is 0.50 points below the best obvious way, teacher without 1+0 layers. The two are not "
            "told apart: of 400 test images it alone is right on 3, the other alone on 5 (McNemar's exact test, "
            "p = 0.73).",
        ),
        (
            comparison((4, 4), 0.98),
            "The chosen student is as good as the best obvious way, teacher without 1+0 layers. The two are not told "
            "apart: of 400 test images it alone is right on 4, the other alone on 4 (McNemar's exact test, p = 1).",
        ),
    ],
)
def test_it_is_said_whether_the_student_is_told_apart(data: ReportData, compared: Comparison, words: str) -> None:
    assert beside_sentence(with_comparisons(data.figures, compared)) == words


def test_the_best_obvious_way_is_the_one_that_is_held_against(data: ReportData) -> None:
    random = comparison((0, 8), 1.0, kind="random", name="random 1")
    figures = with_comparisons(data.figures, CHOSEN, APART, ABOVE, random)
    assert figures.best_obvious == ABOVE
    assert beside_sentence(figures).endswith("itself an obvious way, teacher without 0+1 layers.")


def test_a_student_below_the_obvious_is_a_warning_with_a_remedy(data: ReportData) -> None:
    assert below_warning(with_comparisons(data.figures, ABOVE, CHOSEN)) is None
    assert below_warning(data.figures) is None
    warning = below_warning(with_comparisons(data.figures, ABOVE, BELOW))
    assert warning is not None
    assert "teacher without 1+0 layers reaches 98.50 %, the chosen student 98.00 %. At a lower search.budget" in warning


def test_a_way_over_the_budget_says_by_how_much(data: ReportData, tmp_path: Path) -> None:
    figures = with_comparisons(data.figures, replace(ABOVE, excess=0.125))
    assert "without 1+0 layers, which is over the budget by 12.5 %." in beside_sentence(figures)
    assert "over the budget by 12.5 %" in page_of(replace(data, figures=figures), tmp_path).text


def test_a_student_that_is_the_only_obvious_way_says_so(data: ReportData) -> None:
    said = beside_sentence(with_comparisons(data.figures, CHOSEN))
    assert said == "The chosen student is itself an obvious way, teacher without 0+1 layers."


def test_the_page_has_a_row_for_each_with_the_difference_and_p(data: ReportData, tmp_path: Path) -> None:
    rows = (ABOVE, CHOSEN, BELOW, comparison((20, 0), 0.93, "random", NASTY))
    page = page_of(replace(data, figures=with_comparisons(data.figures, *rows)), tmp_path)
    table = " ".join(page.texts[page.texts.index("chosen student") :])
    for words in (
        "chosen student untrained: distilled 98.00 % 75.00 %",
        "teacher without 1+0 layers 0:0-0:0 97.00 % 50.00 % +1.00 7 / 3 0.34 0.88 1.10M (45.8 %)",
        "the chosen architecture itself, not trained twice as chosen 50.00 %",
        f"98.50 % 50.00 % {MINUS}0.50 3 / 5 0.73 0.88",
        f"{NASTY} 0:0-0:0, untrained: distilled 93.00 % 50.00 % +5.00 20 / 0 1.9e-06 0.88",
    ):
        assert words in table
    assert "strong" in {tag for tag, _ in page.tags}
    assert "The search has not paid" in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"img"})


def test_the_page_says_why_nothing_was_compared(data: ReportData, tmp_path: Path) -> None:
    page = page_of(data, tmp_path)
    assert "No obvious way was trained: compare.enabled is false" in page.text
    assert "chosen student" not in page.texts


def test_the_terminal_has_one_line_for_the_best_and_warns(data: ReportData) -> None:
    lines = printed(with_comparisons(data.figures, APART, BELOW, CHOSEN))
    (line,) = (line for line in lines if line.startswith("best obvious way"))
    assert line.split()[3:7] == ["98.50", "%", f"{MINUS}0.50", "1.10M"]
    assert [line for line in lines if line.startswith("The search has not paid")]
    quiet = printed(with_comparisons(data.figures, APART))
    assert quiet[-1].startswith("best obvious way")
    assert not any(line.startswith("best obvious") for line in printed(with_comparisons(data.figures, CHOSEN)))
