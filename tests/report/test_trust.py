"""The page and the terminal say first how far the tables can be trusted; the page shows every predictor beside them."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from helixnas.report import ReportData, print_figures, write
from helixnas.report.trust import trust_tables
from helixnas.results import Agreement, Order, Trust

SHOWN = Agreement("tables", 0.5, (0.2, 0.7), (0.0, 0.0))
MADDS = Agreement("more madds", -0.123, (-0.4, 0.2), (0.3, 0.9))
EARNED = Trust((Order(0, 100, (SHOWN, MADDS), Agreement("calibrated", 0.61, (0.4, 0.7), (0.0, 0.0))),))
BEATEN = Trust((Order(3, 16, (replace(SHOWN, interval=(-0.1, 0.7)), replace(MADDS, tau=0.6)), None),))


def page(data: ReportData, folder: Path) -> str:
    write(folder / "report.html", data)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text[text.index("<main>") :]


def test_the_page_says_it_before_the_figures(data: ReportData, tmp_path: Path) -> None:
    text = page(replace(data, trust=EARNED), tmp_path)
    said = "The tables order students: held against 100 students measured as assembled"
    assert text.index(said) < text.index('<table class="figures">')
    assert f'<p class="lede">{said}' in text
    assert f'<p class="warning">{said}' not in text


def test_a_lack_of_trust_is_a_warning_with_a_remedy(data: ReportData, tmp_path: Path) -> None:
    text = page(replace(data, trust=BEATEN), tmp_path)
    assert (
        '<p class="warning">It is not shown that the tables order students, and a trivial predictor does better' in text
    )
    assert "The best trivial predictor, more madds, has +0.60. Raise search.measured" in text
    assert "Whether the tables order students is not known: none was measured." in page(data, tmp_path)


def test_every_predictor_has_a_row() -> None:
    table = trust_tables(EARNED)
    for cell in ("100 students as assembled", "+0.50", "+0.20 to +0.70", "+0.30 to +0.90", "+0.61"):
        assert cell in table
    assert "\N{MINUS SIGN}0.12" in table
    assert "16 students after 3 epochs of training" in trust_tables(BEATEN)
    assert trust_tables(Trust((Order(0, 0, (SHOWN,), None),))) == ""


def test_the_terminal_says_it_before_every_warning(data: ReportData) -> None:
    figures = replace(data.figures, trust=str(EARNED), warnings=("Raise distill.updates.",))
    console = Console(file=io.StringIO(), width=400)
    print_figures(figures, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-3:] == [str(EARNED), "", "Raise distill.updates."]
