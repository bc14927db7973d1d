"""The curves of training: one chart for each quantity, one line for each stage that logged it."""

from collections.abc import Mapping
from html import escape

import pandas as pd

from helixnas.report.charts import LOG_AXIS, OTHERS, STUDENT, blank, embed, is_wide

Lines = dict[str, pd.DataFrame]
"""Points of one quantity, by the stage that logged them."""


def curve_charts(curves: Mapping[str, pd.DataFrame]) -> str:
    """A chart for each (stage, name); the blocks of a stage, such as ``distill@2``, share one. As HTML."""
    charts: dict[tuple[str, str], Lines] = {}
    for stage, points in curves.items():
        for name, rows in points.groupby("name", sort=True):
            charts.setdefault((stage.partition("@")[0], str(name)), {})[stage] = rows
    return "\n".join(
        _chart(f"curve-{index}", stage, name, lines) for index, ((stage, name), lines) in enumerate(charts.items())
    )


def _chart(div_id: str, stage: str, name: str, lines: Lines) -> str:
    figure = blank("epoch", "", height=280)
    colors = (STUDENT,) if len(lines) == 1 else OTHERS
    for index, (line, rows) in enumerate(lines.items()):
        label = escape(line.partition("@")[2] or line)
        figure.add_scatter(
            x=rows["step"].tolist(),
            y=rows["value"].tolist(),
            name=label,
            mode="lines+markers",
            line={"width": 1.8, "color": colors[index % len(colors)]},
            marker={"size": 4},
            hovertemplate=f"epoch %{{x}}<br>{escape(name)} %{{y:.4f}}<extra>{escape(line)}</extra>",
        )
    values = [value for rows in lines.values() for value in rows["value"].tolist()]
    has_legend = len(lines) > 1
    figure.update_layout(showlegend=has_legend, legend_title_text="block", margin_t=40 if has_legend else 12)
    if is_wide(values, ratio=20):
        figure.update_yaxes(LOG_AXIS)
    return embed(figure, div_id, f"{stage}.", name)
