"""The ratings, block by block: every path's rating against its madds."""

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from helixnas.report.blocks import ChosenBlock, cell_name
from helixnas.report.charts import LOG_AXIS, OTHERS, STUDENT, SYMBOLS, TEACHER, blank, embed, is_wide
from helixnas.results import RatingTable, Trained, trained
from helixnas.search_space import Path
from helixnas.telling import quantity


def rating_charts(views: Sequence[ChosenBlock], ratings: Sequence[RatingTable]) -> str:
    """A chart for each block, as HTML."""
    counts = [trained(table, view.block) for table, view in zip(ratings, views, strict=True)]
    return "\n".join(map(_chart, views, counts))


def _chart(view: ChosenBlock, counts: Trained) -> str:
    figure = blank("madds", "rating", height=340)
    for index, cell in enumerate(view.block.cells):
        paths = [path for path in view.block.paths_after(view.in_width) if path.cell == index]
        color = TEACHER if cell.is_teacher else OTHERS[index % len(OTHERS)]
        marker = {"size": 7, "color": color, "symbol": SYMBOLS[index % len(SYMBOLS)]}
        figure.add_trace(_points(view, paths, cell_name(cell), marker))
    ring = {"size": 17, "color": STUDENT, "symbol": "circle-open", "line": {"width": 2.5}}
    figure.add_trace(_points(view, [view.path], "chosen", ring))
    if is_wide([cost["madds"] for cost in view.costs.values()], ratio=4):
        figure.update_xaxes(LOG_AXIS)
    figure.update_xaxes(tickformat="~s")
    figure.update_yaxes(rangemode="tozero")
    block_id, num_paths = view.block.block_id, view.block.num_paths
    caption = f"{num_paths:,} paths; {counts}. Chosen {view.path.key}: {' · '.join(view.block.names(view.path))}"
    return embed(figure, f"rating-{block_id}", f"Block {block_id}.", caption)


def _points(view: ChosenBlock, paths: Sequence[Path], label: str, marker: Mapping[str, object]) -> go.Scatter:
    madds = [view.costs[path.key]["madds"] for path in paths]
    names = [escape(" · ".join(view.block.names(path))) for path in paths]
    return go.Scatter(
        x=madds,
        y=[view.losses[path.key] for path in paths],
        customdata=[
            [path.key, name, quantity("madds", cost)] for path, name, cost in zip(paths, names, madds, strict=True)
        ],
        name=label,
        mode="markers",
        cliponaxis=False,
        marker=marker,
        hovertemplate="<b>%{customdata[0]}</b>  %{customdata[1]}<br>"
        "rating %{y:.4f}<br>%{customdata[2]} madds<extra></extra>",
    )
