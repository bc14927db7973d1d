import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from helixnas.report import ReportData, write
from helixnas.results import Budget

from .conftest import NASTY, make_data


class Page(HTMLParser):
    """A written report, read back: its tags, its text, and the charts by the id of their place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.charts: dict[str, dict[str, Any]] = {}
        self._open: tuple[str, dict[str, str | None]] = ("", {})
        self._place = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = (tag, dict(attrs))
        self.tags.append(self._open)
        if tag == "div":
            self._place = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        tag, attrs = self._open
        if tag == "script" and attrs.get("type") == "application/json" and data.strip():
            self.charts[self._place] = json.loads(data)
        elif tag not in ("script", "style") and data.strip():
            self.texts.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self._open = ("", {})


def page_of(data: ReportData, folder: Path) -> Page:
    write(folder / "report.html", data)
    return Page(folder / "report.html")


@pytest.fixture
def page(data: ReportData, tmp_path: Path) -> Page:
    return page_of(data, tmp_path)


def traces(chart: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in chart["data"]}


def strings(value: Any) -> Iterator[str]:
    """Every string of a chart, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def test_the_page_loads_nothing(page: Page) -> None:
    links = [
        value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset", "data")
    ]
    assert links
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    style = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_the_page_forbids_the_network(page: Page) -> None:
    policies = [attrs["content"] for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs]
    assert len(policies) == 1
    assert "default-src 'none'" in (policies[0] or "")


def test_plotly_is_in_it_once(page: Page) -> None:
    assert page.source.count(get_plotlyjs()[:2000]) == 1


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "first.html", tmp_path / "second.html"]
    for path in paths:
        write(path, make_data())
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_every_figure_is_on_the_page(page: Page) -> None:
    for value in ("99.00 %", "75.00 %", "98.00 %", "2.40M", "900.0K", "4.00 ms", "1.60 ms", "37.5 %", "40.0 %"):
        assert value in page.text
    for fact in ("2:0.1-1:1.1", "refine", "proven", "35 architectures", "17"):
        assert fact in page.text


def test_every_section_has_its_charts(page: Page) -> None:
    assert list(page.charts) == ["frontier", "trials", "rating-0", "rating-1", "curve-0", "curve-1"]
    assert [trace["name"] for trace in page.charts["curve-0"]["data"]] == ["0", "1"]


def test_the_chosen_point_is_where_it_belongs(page: Page) -> None:
    marks = traces(page.charts["frontier"])
    assert (marks["chosen"]["x"], marks["chosen"]["y"]) == ([900_000], [0.28])
    assert (marks["exact optimum"]["x"], marks["exact optimum"]["y"]) == ([1_000_000], [0.25])
    chosen = traces(page.charts["rating-0"])["chosen"]
    assert chosen["customdata"][0][:2] == ["2:0.1", "mb_k3_e6_se0.25 · mb_k5_e3_se0.25"]


def test_a_rating_is_drawn_at_the_cost_of_the_width_that_comes_in(page: Page) -> None:
    # the chosen path of block 0 gives 6 channels, so block 1's paths cost what they cost for 6
    assert traces(page.charts["rating-1"])["teacher's"]["x"] == [600_000]


def test_the_frontier_is_drawn_over_the_only_cost_with_a_limit(data: ReportData, tmp_path: Path) -> None:
    result = replace(data.result, budget=Budget(latency_ms=2.0))
    chart = page_of(replace(data, result=result), tmp_path).charts["frontier"]
    assert traces(chart)["chosen"]["x"] == [1.25]
    assert "budget 2.00 ms<br>50 % of the teacher" in list(strings(chart["layout"]))


def test_a_chart_says_how_many_trained_paths_are_of_use(data: ReportData, tmp_path: Path) -> None:
    first = data.ratings[0]
    losses = (0.0, 1.5, 1.0, *first.ratings[3:])
    page = page_of(replace(data, ratings=(replace(first, ratings=losses), data.ratings[1])), tmp_path)
    assert "7 paths; of 6 trained paths 4 are better than a constant. Chosen 2:0.1" in page.text
    assert "5 paths; of 4 trained paths 4 are better than a constant. Chosen 1:1.1" in page.text


def test_warnings_stand_beside_the_figures(data: ReportData, tmp_path: Path) -> None:
    page = page_of(replace(data, figures=replace(data.figures, warnings=("Raise <b>distill.updates</b>.",))), tmp_path)
    assert "Raise <b>distill.updates</b>." in page.text
    assert ("p", {"class": "warning"}) in page.tags


def test_the_teachers_layers_and_accuracy_are_told(page: Page) -> None:
    assert "The teacher gets 90.00 % of 270 rating images right, between 85.8 and 93.0 %" in page.text
    assert "layer1.1 0 0.031" in page.text


def test_names_cannot_become_tags(page: Page) -> None:
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "object", "iframe"})
    assert page.text.count(NASTY) == 6  # teacher, reason, layer, curve, commit, machine
    shown = [text for chart in page.charts.values() for text in strings(chart) if "onerror" in text]
    assert shown  # plotly reads tags in its texts: they must be escaped there, too
    assert not any("<img" in text for text in shown)


def test_without_trials_the_page_says_that_none_was_measured(tmp_path: Path) -> None:
    page = page_of(make_data(num_trials=0), tmp_path)
    assert "trials" not in page.charts
    assert "No architecture was measured" in page.text


def test_a_kind_that_was_not_asked_for_has_no_column(tmp_path: Path) -> None:
    page = page_of(make_data(is_measured=False), tmp_path)
    assert "latency_ms" not in page.text
    assert "latency_ms" in page_of(make_data(is_measured=True), tmp_path).text
    assert "faster" not in page.text
