"""The page: every section in its place in page.html, plotly.js once, nothing from the network."""

from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd

from helixnas.artifacts import save_text
from helixnas.report.beside import beside_html
from helixnas.report.blocks import chosen_blocks
from helixnas.report.draw import draw
from helixnas.report.summary import (
    decision_list,
    definition_list,
    figures_table,
    headline_html,
    losses_html,
    teacher_html,
)
from helixnas.results import CostTable, Figures, LayerLoss, RatingTable, SearchResult, TeacherAccuracy
from helixnas.search_space import SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """All that the page shows. ``curves`` go from a stage, such as ``distill@2``, to its (step, name, value) rows.

    ``facts`` are shown as provenance, as they are. ``trials`` is what ``trials_table`` made; empty where none was run.
    """

    figures: Figures
    result: SearchResult
    space: SearchSpace
    ratings: tuple[RatingTable, ...]
    costs: tuple[CostTable, ...]
    curves: dict[str, pd.DataFrame]
    facts: dict[str, str]
    teacher: TeacherAccuracy | None
    layers: tuple[LayerLoss, ...]
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)


def write(path: Path, data: ReportData) -> None:
    """Write the report: one HTML file that needs nothing else. The same data gives the same bytes."""
    from plotly.offline import get_plotlyjs

    from helixnas.report.curves import curve_charts  # plotly: not for those who only want the terminal's table
    from helixnas.report.frontier import frontier_chart
    from helixnas.report.ratings import rating_charts
    from helixnas.report.trials import trials_chart

    figures, result, resources = data.figures, data.result, files("helixnas.report")
    blocks = chosen_blocks(data.space, result.chosen.architecture, data.ratings, data.costs)
    outer_madds = result.chosen.cost["madds"] - sum(view.cost["madds"] for view in blocks)
    sections = {
        "title": escape(figures.arch_id),
        "headline": headline_html(figures),
        "losses": losses_html(figures),
        "warnings": "".join(f'<p class="warning">{escape(warning)}</p>' for warning in figures.warnings),
        "figures": figures_table(figures),
        "decision": decision_list(figures, result, data.space),
        "beside": beside_html(figures),
        "frontier": frontier_chart(result, figures.teacher.cost),
        "trials": trials_chart(data.trials),
        "ratings": rating_charts(blocks, data.ratings),
        "teacher": teacher_html(data.teacher, data.layers),
        "student": draw(blocks, outer_madds),
        "curves": curve_charts(data.curves),
        "provenance": _provenance(data),
        "style": resources.joinpath("style.css").read_text(encoding="utf-8"),
        "plotly": get_plotlyjs(),
    }
    save_text(path, Template(resources.joinpath("page.html").read_text(encoding="utf-8")).substitute(sections))


def _provenance(data: ReportData) -> str:
    made = {
        "search space": data.space.digest,
        "rating images": f"{data.ratings[0].num_images:,}",
        "latency measured on": ", ".join(f"{name} {text}" for name, text in data.figures.machine.items()),
    }
    return definition_list({name: escape(text) for name, text in (data.facts | made).items()})
