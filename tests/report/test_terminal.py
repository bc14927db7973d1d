import io
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from helixnas.report import ReportData, print_figures
from helixnas.results import Figures, Retraining

from .conftest import make_data


def printed(figures: Figures, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_figures(figures, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_shows_each_figure_with_its_share(data: ReportData) -> None:
    student = printed(data.figures)[-1]
    assert student.split() == [
        *("student", "98.00", "%", "\N{MINUS SIGN}1.00"),
        *("900.0K", "37.5", "%", "5.00K", "100.0", "%", "1.60", "ms", "40.0", "%"),
    ]


def test_the_teacher_has_no_shares(data: ReportData) -> None:
    figures = replace(data.figures, teacher=replace(data.figures.teacher, name="teacher"))
    assert printed(figures)[1].split() == ["teacher", "99.00", "%", "2.40M", "5.00K", "4.00", "ms"]


def test_without_labels_the_column_is_agreement(data: ReportData) -> None:
    assert "agreement with the teacher (test)" in printed(replace(data.figures, is_labelled=False))[0]
    assert "top-1 (test)" in printed(data.figures)[0]


def test_markup_in_a_name_is_printed_as_it_is(data: ReportData) -> None:
    figures = replace(data.figures, student=replace(data.figures.student, name="[red]student[/red]"))
    assert printed(figures)[-1].startswith("[red]student[/red]")


def test_warnings_are_the_last_lines(data: ReportData) -> None:
    figures = replace(data.figures, warnings=("Raise distill.updates.", "Mind [red]this[/red]."))
    assert printed(figures)[-3:] == ["Raise distill.updates.", "", "Mind [red]this[/red]."]


def test_a_student_that_retraining_made_worse_is_told_of_with_a_remedy(data: ReportData) -> None:
    assert not any("worse" in line for line in printed(data.figures))
    figures = replace(data.figures, retraining=Retraining("initial", 0.9912, 0.98))
    said = printed(figures, width=200)[-1]
    assert said == (
        "Retraining made the student worse, so it stays as it was: 99.12 % of the rating images before, 98.00 % after. "
        "Change retrain.recipe.lr or retrain.distillation."
    )


def test_a_kind_that_was_not_asked_for_has_no_column() -> None:
    assert "latency_ms" in printed(make_data().figures)[0]
    assert "latency_ms" not in printed(make_data(is_measured=False).figures)[0]


@pytest.mark.parametrize("width", [80, 140])
def test_no_value_is_cut_short(data: ReportData, width: int) -> None:
    text = "\n".join(printed(data.figures, width))
    assert "…" not in text
    assert all(value in text for value in ("99.00 %", "75.00 %", "98.00 %", "2.40M", "1.60 ms"))


def test_the_terminal_needs_no_plotly() -> None:
    code = "import sys, helixnas.report; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
