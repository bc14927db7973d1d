"""Ratings, costs, and the decision of the search."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.cost_kinds import counted, measured
from helixnas.errors import ArtifactError, SpaceMismatchError
from helixnas.handover.space import require_space
from helixnas.results import (
    Cost,
    CostTable,
    RatingTable,
    SearchResult,
    search_result_from_json,
)
from helixnas.search_space import Architecture, SearchSpace

if TYPE_CHECKING:
    import pandas as pd


def load_ratings(root: Path, space: SearchSpace) -> tuple[RatingTable, ...]:
    """The rating table of every block, complete and finite, or ArtifactError."""
    tables = []
    for block_id, block in enumerate(space.blocks):
        path = root / folder("rating", block_id) / "rating.parquet"
        frame, facts = artifacts.load_table(path, "ratings")
        require_space(path, facts["space"], block)
        ratings = tuple(map(float, frame["rating"]))
        about = {name: facts[name] for name in ("num_images", "seed", "criterion", "constant")}
        with _reading(path):
            tables.append(RatingTable(block_id, tuple(frame["path"]), ratings, **about).check(block))
    return tuple(tables)


def load_costs(root: Path, space: SearchSpace, kinds: Iterable[str]) -> tuple[CostTable, ...]:
    """The cost table of every block with these kinds of cost, counted ones before those measured on this machine."""
    kinds, tables = tuple(kinds), []
    for block_id, block in enumerate(space.blocks):
        path, measured_path = (
            root / folder("cost") / part / f"block_{block_id}.parquet" for part in ("counted", "measured")
        )
        frame, facts = artifacts.load_table(path, "counted")
        require_space(path, facts["space"], block)
        columns: dict[str, list[float]] = {name: list(map(int, _column(path, frame, name))) for name in counted(kinds)}
        if measured(kinds):
            times, _ = artifacts.load_table(measured_path, "measured")
            if list(times["path"]) != list(frame["path"]) or list(times["in_width"]) != list(frame["in_width"]):
                raise ArtifactError(
                    f"{measured_path} must hold the paths of {path}, but does not. Run `dvc repro cost`."
                )
            columns |= {name: list(map(float, _column(measured_path, times, name))) for name in measured(kinds)}
        costs = tuple(Cost(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))
        with _reading(path):
            in_widths = tuple(map(int, frame["in_width"]))
            tables.append(CostTable(block_id, in_widths, tuple(frame["path"]), costs).check(block))
    return tuple(tables)


def _column(path: Path, frame: "pd.DataFrame", name: str) -> "pd.Series[Any]":
    if name not in frame:
        raise ArtifactError(f"{path} must have {name}, but has not. Run `dvc repro cost`.")
    return frame[name]


def load_outer_costs(root: Path, kinds: Iterable[str]) -> tuple[Cost, Cost]:
    """The cost of stem and head together, and of the whole teacher, with these kinds of cost."""
    names = tuple(kinds)
    parts = {"counted": tuple(counted(names)), "measured": tuple(measured(names))}
    found = {"fixed": Cost(), "teacher": Cost()}
    for part, asked in parts.items():
        if asked:
            value = artifacts.load_json(root / folder("cost") / part / "fixed.json", f"{part} fixed")
            found = {name: cost | Cost(value[name]).only(asked) for name, cost in found.items()}
    return found["fixed"], found["teacher"]


def load_search_result(root: Path, space: SearchSpace) -> SearchResult:
    """What the search decided; SpaceMismatchError if it chose from another space."""
    path = root / folder("search") / "result.json"
    value = artifacts.load_json(path, "search")
    with _reading(path):
        return search_result_from_json(value, space)


def load_chosen(root: Path, space: SearchSpace) -> Architecture:
    """The architecture that the search chose; SpaceMismatchError if it is of another space."""
    path = root / folder("search") / "chosen.json"
    value = artifacts.load_json(path, "chosen")
    with _reading(path):
        return space.parse(value["arch_id"])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with the value that it holds."""
    try:
        yield
    except (ArtifactError, SpaceMismatchError) as error:
        raise type(error)(f"{path} cannot be used. {error}") from error
