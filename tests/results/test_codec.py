from dataclasses import replace
from pathlib import Path

import pytest

from helixnas import artifacts
from helixnas.blocks import BlockSpec
from helixnas.errors import SpaceMismatchError
from helixnas.results import (
    Budget,
    Choice,
    Comparison,
    Cost,
    Figure,
    Figures,
    Lead,
    Retraining,
    SearchResult,
    figures_from_json,
    figures_to_json,
    search_result_from_json,
    search_result_to_json,
)
from helixnas.search_space import Candidate
from helixnas.search_space.block import BlockSpace, Cell, SearchSpace
from tests.costs import three

OPTIONS = (Candidate("a"), Candidate("b"))


def space(num_blocks: int = 2) -> SearchSpace:
    cells = (Cell((4,), (1,), (OPTIONS,)), Cell((2, 4), (1, 1), (OPTIONS, OPTIONS)))
    specs = [BlockSpec(block_id, (4, 8, 8), (4, 8, 8), "NCHW", (f"layer{block_id}",)) for block_id in range(num_blocks)]
    return SearchSpace(tuple(BlockSpace(spec, cells) for spec in specs))


def figures(latency_ms: float | None = 1.5) -> Figures:
    rows = [Figure(name, acc, three(9, 5, latency_ms)) for name, acc in (("r", 0.99), ("s0", 0.4), ("s", 0.98))]
    return Figures(
        "0:1-1:0.1", *rows, Budget(madds=10.0), 450, {"cpu": "x", "threads": "1"}, Retraining("initial", 0.4, 0.3)
    )


def result() -> SearchResult:
    exact = Choice(space().parse("0:1-1:0.1"), 0.25, three(9, 5))
    chosen = replace(
        exact,
        architecture=space().parse("0:0-0:1"),
        val_loss=0.1,
        measured=Cost(latency_ms=2.0),
        lead=Lead(0.2, 0.1, 270),
    )
    return SearchResult(
        chosen, "refine", "it measured better", exact, "proven", Budget(latency_ms=2.5), (exact, chosen), (exact,), 24
    )


@pytest.mark.parametrize("latency_ms", [1.5, None])
def test_figures_come_back_equal_from_a_file(tmp_path: Path, latency_ms: float | None) -> None:
    path = tmp_path / "figures.json"
    artifacts.save_json(path, "figures", figures_to_json(figures(latency_ms)))
    assert figures_from_json(artifacts.load_json(path, "figures")) == figures(latency_ms)


def test_comparisons_come_back_equal(tmp_path: Path) -> None:
    compared = Comparison("obvious", "0:0-0:0", figures().student, 0.4, False, 0.1, 7, 3, 0.34)
    made = replace(figures(), comparisons=(compared, replace(compared, is_chosen=True)))
    path = tmp_path / "figures.json"
    artifacts.save_json(path, "figures", figures_to_json(made))
    assert figures_from_json(artifacts.load_json(path, "figures")) == made


def test_a_search_result_comes_back_equal_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    artifacts.save_json(path, "search_result", search_result_to_json(result()))
    assert search_result_from_json(artifacts.load_json(path, "search_result"), space()) == result()


def test_an_architecture_is_written_as_its_arch_id() -> None:
    assert search_result_to_json(result())["chosen"]["arch_id"] == "0:0-0:1"


def test_a_search_result_of_another_space_is_refused() -> None:
    with pytest.raises(SpaceMismatchError, match="must name 3 blocks"):
        search_result_from_json(search_result_to_json(result()), space(num_blocks=3))
