"""What all charts share: one look, that holds on light and dark paper, and the way into the page.

Marks have colours of middle lightness, which show on both; text and grid take the page's colours from style.css.
"""

import math
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import plotly.io

STUDENT, TEACHER, EXACT, LIMIT = "#2f7fe6", "#8794a5", "#d98a00", "#d6455d"
OTHERS = ("#1f9d8b", "#8e6bd1", "#c9742b", "#c1558b", "#5f8f3f", "#5b7fa6")
SYMBOLS = ("circle", "square", "triangle-up", "cross", "star", "hexagon")
FONT = 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
HOVER = {"bgcolor": "#1b2430", "bordercolor": "#1b2430", "font": {"color": "#ffffff", "size": 12, "family": FONT}}
CLEAR = "rgba(0,0,0,0)"
LOG_AXIS = {"type": "log", "dtick": "D2"}
"""Logarithmic, with ticks at 1, 2 and 5."""


def is_wide(values: Sequence[float], ratio: float) -> bool:
    """Whether positive values span more than ``ratio``: then a logarithmic axis shows them better."""
    return bool(values) and min(values) > 0 and max(values) > ratio * min(values)


def blank(x_title: str, y_title: str, height: int) -> go.Figure:
    """An empty chart in the page's look, ``height`` in pixels."""
    x_axis = {"title": {"text": x_title, "standoff": 8}, "showgrid": False, "showline": True, "ticks": "outside"}
    y_axis = {"title": {"text": y_title, "standoff": 8}, "showgrid": True}
    both = {"zeroline": False, "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 12, "r": 12, "t": 40, "b": 12},
            "font": {"family": FONT, "size": 12},
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "hoverlabel": HOVER,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": x_axis | both,
            "yaxis": y_axis | both,
        }
    )


def mark_x(figure: go.Figure, x: float, text: str, color: str, *, level: float = 1.0) -> None:
    """A dashed vertical line at ``x``, named beside its top. ``level``: how high the name stands, 0 to 1."""
    figure.add_vline(x=x, line={"width": 1.5, "dash": "dash", "color": color})
    at = math.log10(x) if figure.layout.xaxis.type == "log" else x  # notes on a log axis count in decades, lines do not
    place = {"x": at, "y": level, "yref": "paper", "xanchor": "right", "yanchor": "top", "xshift": -5}
    figure.add_annotation(place, text=text, showarrow=False)


def embed(figure: go.Figure, div_id: str, title: str, caption: str) -> str:
    """The chart as HTML: a place, and what page.html's last script draws there once the page is laid out.

    ``div_id`` is fixed, so that the same chart gives the same bytes.
    """
    source = plotly.io.to_json(figure, engine="json")  # escapes "<": no name can end the script
    return (
        f'<figure class="chart"><div id="{div_id}" style="height:{figure.layout.height}px"></div>'
        f'<script type="application/json">{source}</script>'
        f"<figcaption><b>{escape(title)}</b> {escape(caption)}</figcaption></figure>"
    )
