"""The frontier: what was to be had at which cost, and where the choice lies."""

from collections.abc import Sequence

import plotly.graph_objects as go

from helixnas.cost_kinds import kind
from helixnas.report.charts import EXACT, LIMIT, LOG_AXIS, STUDENT, TEACHER, blank, embed, is_wide, mark_x
from helixnas.report.wording import percent
from helixnas.results import Choice, Cost, SearchResult
from helixnas.telling import quantity

CAPTION = (
    "Each grey point is an architecture that no other beats in both predicted_loss and cost. predicted_loss is what "
    "the ratings of its blocks foretell; low is good. The step line is the best loss that a budget buys."
)


def frontier_chart(result: SearchResult, teacher: Cost) -> str:
    """predicted_loss against the budgeted cost (madds where none or several are), as HTML."""
    limits = result.budget
    name = next(iter(limits)) if len(limits) == 1 else "madds"
    figure = blank(name, "predicted_loss", height=460)
    size = f"frontier ({len(result.frontier):,})"
    line = {"mode": "lines+markers", "line": {"shape": "hv", "width": 1.5, "color": TEACHER}}
    figure.add_trace(_points(result.frontier, name, size, TEACHER, symbol="circle", size=4).update(line))
    figure.add_trace(_points(result.best, name, f"{len(result.best)} best", STUDENT, symbol="circle-open", size=10))
    figure.add_trace(_points((result.exact,), name, "exact optimum", EXACT, symbol="diamond-open", size=17))
    figure.add_trace(_points((result.chosen,), name, "chosen", STUDENT, symbol="circle", size=11))
    whole = teacher[name]
    costs = [choice.cost[name] for choice in result.frontier]
    if is_wide([*costs, whole] if whole else costs, ratio=4):
        figure.update_xaxes(LOG_AXIS)
    if is_wide([choice.predicted_loss for choice in result.frontier], ratio=20):
        figure.update_yaxes(LOG_AXIS)
    figure.update_xaxes(tickformat="~s", ticksuffix=f" {kind(name).unit}".rstrip())
    if whole:
        mark_x(figure, whole, f"teacher {quantity(name, whole)}", TEACHER)
    if name in limits:
        share = f"<br>{percent(limits[name] / whole, 0)} of the teacher" if whole else ""
        mark_x(figure, limits[name], f"budget {quantity(name, limits[name])}{share}", LIMIT, level=0.9)
    return embed(figure, "frontier", "Frontier.", CAPTION)


def _points(choices: Sequence[Choice], name: str, label: str, color: str, *, symbol: str, size: int) -> go.Scatter:
    costs = [
        ", ".join(f"{kind(each).title} {quantity(each, value)}" for each, value in choice.cost.items())
        for choice in choices
    ]
    return go.Scatter(
        x=[choice.cost[name] for choice in choices],
        y=[choice.predicted_loss for choice in choices],
        customdata=[[choice.architecture.arch_id, cost] for choice, cost in zip(choices, costs, strict=True)],
        name=label,
        mode="markers",
        cliponaxis=False,
        marker={"symbol": symbol, "size": size, "color": color, "line": {"width": 2, "color": color}},
        hovertemplate="<b>%{customdata[0]}</b><br>predicted_loss %{y:.4f}<br>%{customdata[1]}<extra></extra>",
    )
